"""Words read letter by letter: by a recurrent net (Lample et al. 2016) or a convolution (Ma and Hovy 2016).

Rows of different lengths share a tensor: x (N, T, ...), of which the first ``length`` (N) steps of each row are real.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from paperzoo.errors import unknown


def inside(length: Tensor, steps: int) -> Tensor:
    """Which positions are real: bool (N, steps), true where t < length."""
    return torch.arange(steps, device=length.device) < length[:, None]


def mirror(x: Tensor, length: Tensor) -> Tensor:
    """The first ``length`` steps of each row of x (N, T, D) in reverse order; padding stays where it is."""
    step = torch.arange(x.shape[1], device=x.device)
    source = torch.where(inside(length, x.shape[1]), length[:, None] - 1 - step, step)  # (N, T)
    return x.gather(1, source[..., None].expand_as(x))


def last(x: Tensor, length: Tensor) -> Tensor:
    """The last real step of each row: (N, T, ...) to (N, ...)."""
    return x[torch.arange(len(x), device=x.device), length - 1]


class LetterLSTM(nn.Module):
    """Letters int64 (M, L), 0 where padded, to (M, 2 width): the last states of an LSTM each way (Lample et al., section 4.1)."""

    def __init__(self, letters: int, width: int = 25) -> None:
        super().__init__()
        self.embedding = nn.Embedding(letters, width, padding_idx=0)
        self.forwards = nn.LSTM(width, width, batch_first=True)
        self.backwards = nn.LSTM(width, width, batch_first=True)
        self.size = 2 * width

    def forward(self, letters: Tensor) -> Tensor:
        """Every row has at least one letter."""
        length = (letters > 0).sum(1)
        x = self.embedding(letters)  # (M, L, width)
        right, _ = self.forwards(x)
        left, _ = self.backwards(mirror(x, length))
        return torch.cat([last(right, length), last(left, length)], 1)


class LetterCNN(nn.Module):
    """Letters int64 (M, L), 0 where padded, to (M, filters): each filter's highest answer to any three neighbouring letters.

    Ma and Hovy, section 2.1: letters of 30 dimensions, 30 filters.
    """

    def __init__(self, letters: int, width: int = 30, filters: int = 30) -> None:
        super().__init__()
        self.embedding = nn.Embedding(letters, width, padding_idx=0)
        nn.init.uniform_(self.embedding.weight, -((3 / width) ** 0.5), (3 / width) ** 0.5)  # section 3.1
        with torch.no_grad():
            self.embedding.weight[0] = 0
        self.convolution = nn.Conv1d(width, filters, 3, padding=1)
        self.size = filters

    def forward(self, letters: Tensor) -> Tensor:
        """Every row has at least one letter."""
        maps = self.convolution(self.embedding(letters).transpose(1, 2))  # (M, filters, L)
        best: Tensor = maps.masked_fill((letters == 0)[:, None], -torch.inf).amax(2)
        return best


def letter_network(kind: str, letters: int) -> LetterLSTM | LetterCNN:
    """``lstm`` or ``cnn``, for numbers of letters below ``letters``.

    Raises:
        PaperzooError: another kind.
    """
    networks: dict[str, type[LetterLSTM | LetterCNN]] = {"lstm": LetterLSTM, "cnn": LetterCNN}
    if kind not in networks:
        raise unknown("characters", kind, networks)
    return networks[kind](letters)
