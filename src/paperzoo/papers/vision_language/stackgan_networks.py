"""What StackGAN's networks are built of, and its discriminator (Zhang et al. 2016, section 4.4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Block(nn.Module):
    """Two 3x3 convolutions beside the identity (N, channels, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *convolution(channels, channels, 3, 1, nn.ReLU()), nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels)
        )

    def forward(self, h: Tensor) -> Tensor:
        change: Tensor = self.body(h)
        return (h + change).relu()


def convolution(inputs: int, outputs: int, kernel: int, stride: int, activation: nn.Module) -> list[nn.Module]:
    """A convolution, batch normalisation, an activation."""
    padding = (kernel - 1) // 2
    return [nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False), nn.BatchNorm2d(outputs), activation]


def up(inputs: int, times: int) -> list[nn.Module]:
    """Blocks that together enlarge by ``times``, a power of two: each repeats pixels, then halves the channels by a 3x3 convolution."""
    layers: list[nn.Module] = []
    while times > 1:
        layers += [nn.Upsample(scale_factor=2), *convolution(inputs, inputs // 2, 3, 1, nn.ReLU())]
        inputs, times = inputs // 2, times // 2
    return layers


class Discriminator(nn.Module):
    """A picture (N, C, S, S) in [-1, 1], and the phi_t (N, E) of one or more sentences beside it, to a logit (N) each.

    Strided 4x4 convolutions down to 4x4; there the sentence, compressed to N_d numbers, stands at every place, and a 1x1 convolution
    looks at both. The picture is looked at once, however many sentences there are.
    """

    def __init__(self, image_size: int, channels: int, embedding: int, compressed: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        now, side = width, image_size // 2
        while side > 4:
            after = min(2 * now, 8 * width)
            layers += convolution(now, after, 4, 2, nn.LeakyReLU(0.2))
            now, side = after, side // 2
        self.look = nn.Sequential(*layers)
        self.compress = nn.Sequential(nn.Linear(embedding, compressed), nn.LeakyReLU(0.2))
        self.join = nn.Sequential(*convolution(now + compressed, now, 1, 1, nn.LeakyReLU(0.2)))
        self.score = nn.Linear(now * 16, 1)

    def forward(self, image: Tensor, *phi: Tensor) -> tuple[Tensor, ...]:
        h = self.look(image)  # (N, now, 4, 4)
        logits = []
        for one in phi:
            condition = self.compress(one)[:, :, None, None].expand(-1, -1, 4, 4)  # (N, N_d) -> (N, N_d, 4, 4)
            logits.append(self.score(self.join(torch.cat([h, condition], 1)).flatten(1))[:, 0])
        return tuple(logits)


def init(module: nn.Module) -> None:
    """All weights from N(0, 0.02^2); a batch norm's scale around 1."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
