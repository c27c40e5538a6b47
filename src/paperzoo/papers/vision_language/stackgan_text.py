"""The text encoders of StackGAN: a char-CNN-RNN and the structured joint embedding that such an encoder is trained by (Reed et al. 2016).

An encoder of sentences is good if a picture is nearer to its own sentence than to others. With the compatibility F(v, t) = theta(v)
phi(t) of pictures v and sentences t (1605.05395, Eq. 1), the structured loss asks both ways for a margin of 1 (Eqs. 4 and 5):

    l_v = max(0, 1 + F(v_n, t) - F(v_n, t_n)),        l_t = max(0, 1 + F(v, t_n) - F(v_n, t_n)).

``CharCNNRNN`` is the paper's phi, whose weights come from a file. ``SentenceEncoder`` is one small enough to be trained here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paperzoo.data.captions.words import PAD, START
from paperzoo.pretrained.published import load_published

#: the characters that are seen, by number from 1; others are blank, as is what follows the end
ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789-,;.!?:'\"/\\|_@#$%^&*~`+-=<>()[]{} "
#: characters that are read of a text
CHARACTERS = 201


class CharCNNRNN(nn.Module):
    """Texts as one-hot characters (N, 70, 201) to phi (N, 1024).

    Three convolutions over characters, the first two followed by pooling, leave 18 frames; a GRU reads them, and the mean of its states
    is projected.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(len(ALPHABET), 384, 4)
        self.conv2 = nn.Conv1d(384, 512, 4)
        self.conv3 = nn.Conv1d(512, 512, 4)
        self.rnn = nn.GRU(512, 512, batch_first=True)
        self.emb_proj = nn.Linear(512, 1024)

    def forward(self, characters: Tensor) -> Tensor:
        h = F.max_pool1d(self.conv1(characters).relu(), 3)  # (N, 384, 66)
        h = F.max_pool1d(self.conv2(h).relu(), 3)  # (N, 512, 21)
        h = self.conv3(h).relu().transpose(1, 2)  # (N, 512, 18) -> (N, 18, 512)
        states, _ = self.rnn(h)
        phi: Tensor = self.emb_proj(states.mean(1))
        return phi


def one_hot(text: str) -> Tensor:
    """A text in small letters, float32 (70, 201); a column of zeros for a character that is not in the alphabet, and behind the end."""
    codes = torch.zeros(len(ALPHABET), CHARACTERS)
    for place, character in enumerate(text.lower()[:CHARACTERS]):
        if (number := ALPHABET.find(character)) >= 0:
            codes[number, place] = 1
    return codes


@cache
def char_cnn_rnn(weights: str) -> Callable[[list[str]], Tensor]:
    """Texts to phi (N, 1024), by a frozen network that is no part of a model.

    Args:
        weights: a file with the state dict of ``CharCNNRNN``.

    Raises:
        PaperzooError: it cannot be read, or does not fit.
    """
    network = CharCNNRNN()
    load_published(network, weights, {})
    network.eval().requires_grad_(False)

    @torch.no_grad()
    def encode(texts: list[str]) -> Tensor:
        phi: Tensor = network(torch.stack([one_hot(text) for text in texts]))
        return phi

    return encode


class SentenceEncoder(nn.Module):
    """Captions int64 (N, T), 0 where padded, to phi (N, outputs): the mean of a GRU's states over the words, projected, normalised.

    Without the last, the numbers would be as small as a margin of 1 allows, and what hears them would be slow to learn what they say.
    """

    def __init__(self, vocabulary: int, embedding: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, embedding)
        self.rnn = nn.GRU(embedding, hidden, batch_first=True)
        self.project = nn.Sequential(nn.Linear(hidden, outputs), nn.LayerNorm(outputs, elementwise_affine=False))

    def forward(self, captions: Tensor) -> Tensor:
        states, _ = self.rnn(self.words(captions))  # (N, T, hidden)
        counts = ((captions != PAD) & (captions != START)).to(states.dtype)[..., None]  # (N, T, 1)
        phi: Tensor = self.project((states * counts).sum(1) / counts.sum(1).clamp(min=1))
        return phi


class PictureEncoder(nn.Module):
    """Pictures (N, channels, S, S) in [-1, 1] to theta (N, outputs): three convolutions that halve the side, the mean over places."""

    def __init__(self, channels: int, width: int, outputs: int) -> None:
        super().__init__()
        widths = (channels, width, 2 * width, 4 * width)
        layers: list[nn.Module] = []
        for a, b in zip(widths, widths[1:], strict=False):
            layers += [nn.Conv2d(a, b, 3, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten())  # (N, 64 width)
        self.project = nn.Linear(64 * width, outputs)

    def forward(self, image: Tensor) -> Tensor:
        theta: Tensor = self.project(self.body(image))
        return theta


def joint_embedding_loss(theta: Tensor, phi: Tensor) -> Tensor:
    """Eqs. 4 and 5 of pictures (N, E) and their sentences (N, E), a mean over all wrong pairs of the batch; N at least 2."""
    score = theta @ phi.T  # (N, N), F(v_i, t_j)
    matching = score.diagonal()
    wrong = F.relu(1 + score - matching[:, None]) + F.relu(1 + score - matching)  # l_v by rows, l_t by columns
    return (wrong - torch.diag(wrong.diagonal())).sum() / (len(matching) * (len(matching) - 1))
