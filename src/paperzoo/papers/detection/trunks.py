"""What text detectors stand on: VGG-16 (1409.1556) without its classifier, and PVANet (1608.08021), which is thin and deep.

PVANet halves its first convolutions: C.ReLU joins a response with its negative before the rectifier, for low filters come in pairs of
opposite sign. Its later stages are Inception blocks, which see several sizes at once (table 1 of 1608.08021).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from paperzoo.nn.pixels import IMAGENET_MEAN, IMAGENET_STD, per_channel
from paperzoo.papers.recognition import vgg


class Trunk(nn.Module):
    """A backbone from images (N, C, H, W) in [0, 1], less ImageNet's means where they are in colour, to feature maps.

    Attributes:
        sizes: channels of the maps, the finest first.
    """

    mean: Tensor
    std: Tensor
    sizes: list[int]

    def __init__(self, channels: int) -> None:
        super().__init__()
        known = channels == 3
        self.register_buffer("mean", per_channel("mean", IMAGENET_MEAN if known else [0.45], channels), persistent=False)
        self.register_buffer("std", per_channel("std", IMAGENET_STD if known else [0.23], channels), persistent=False)

    def normal(self, image: Tensor) -> Tensor:
        """The image as the first convolution takes it."""
        return (image - self.mean) / self.std


class VGG16(Trunk):
    """The thirteen convolutions and five poolings of VGG-16.

    Args:
        width: factor on all channels. weights: ``imagenet`` for published ones, which need the full width.
        poolings: how many of the five; the convolutions behind the last of them stay, so that four end with conv5.
    """

    def __init__(self, channels: int, width: float, batch_norm: bool, weights: str, poolings: int = 5) -> None:
        super().__init__(channels)
        if weights:
            network = vgg.Model(depth=16, batch_norm=batch_norm, width=width, channels=channels, weights=weights).network
        else:
            network = vgg.VGG(16, batch_norm, width, channels, 1, 32, 0.0)
        self.features = nn.Sequential(*list(network.features.children())[: None if poolings == 5 else -1])
        self.sizes = [round(width * number) for number in (128, 256, 512, 512)[: poolings - 1]]

    def forward(self, image: Tensor) -> list[Tensor]:
        """(N, C, H, W) to the outputs of the poolings from the second on, at a quarter of the sides and less, and the last map."""
        stages, image = [], self.normal(image)
        for layer in self.features.children():
            image = layer(image)
            if isinstance(layer, nn.MaxPool2d):
                stages.append(image)
        return [*stages[1:-1], image]


class Conv(nn.Sequential):
    """Convolution without bias, batch normalisation, ReLU; the size is kept at stride 1."""

    def __init__(self, into: int, out: int, kernel: int, stride: int = 1) -> None:
        super().__init__(nn.Conv2d(into, out, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(out), nn.ReLU())


class CReLU(nn.Module):
    """A convolution whose response and its negative are both rectified: ``out`` channels of half as many filters."""

    def __init__(self, into: int, out: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(into, out // 2, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        out: Tensor = self.norm(torch.cat([x, -x], 1)).relu()
        return out


class Residual(nn.Module):
    """The input, by a 1x1 convolution where its shape changes, plus what ``body`` makes of it."""

    def __init__(self, into: int, out: int, stride: int, body: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.short = nn.Identity() if into == out and stride == 1 else nn.Conv2d(into, out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x) + self.short(x)
        return out


class Inception(nn.Module):
    """1x1, 3x3 and two 3x3 convolutions side by side, and a pooling where the sides are halved; then 1x1."""

    def __init__(self, into: int, one: int, three: tuple[int, int], five: tuple[int, int, int], pool: int, out: int) -> None:
        super().__init__()
        stride = 2 if pool else 1
        self.one = Conv(into, one, 1, stride)
        self.three = nn.Sequential(Conv(into, three[0], 1, stride), Conv(three[0], three[1], 3))
        self.five = nn.Sequential(Conv(into, five[0], 1, stride), Conv(five[0], five[1], 3), Conv(five[1], five[2], 3))
        self.pool = nn.Sequential(nn.MaxPool2d(3, 2, 1), Conv(into, pool, 1)) if pool else None
        self.last = Conv(one + three[1] + five[2] + pool, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.one(x), self.three(x), self.five(x)] + ([self.pool(x)] if self.pool is not None else [])
        out: Tensor = self.last(torch.cat(parts, 1))
        return out


class PVANet(Trunk):
    """The five stages of PVANet; ``width`` 2 is EAST's PVANET2x.

    Args:
        width: factor on all channels. blocks: of each stage from the second on; (3, 4, 4, 4) in the paper.
    """

    def __init__(self, channels: int, width: float, blocks: Sequence[int] = (3, 4, 4, 4)) -> None:
        super().__init__(channels)

        def wide(number: int) -> int:
            return 2 * max(1, round(width * number / 2))

        self.sizes = [wide(64), wide(128), wide(256), wide(384)]
        self.first = nn.Sequential(CReLU(channels, wide(32), 7, 2), nn.MaxPool2d(3, 2, 1))
        into, stages = wide(32), []
        for number, (narrow, out) in enumerate(((24, 64), (48, 128))):
            layers = list[nn.Module]()
            for place in range(blocks[number]):
                stride = 2 if number and not place else 1
                thin = wide(narrow)
                body = nn.Sequential(Conv(into, thin, 1, stride), CReLU(thin, 2 * thin, 3), Conv(2 * thin, wide(out), 1))
                layers.append(Residual(into, wide(out), stride, body))
                into = wide(out)
            stages.append(nn.Sequential(*layers))
        for number, (three, five, out) in enumerate((((48, 128), (24, 48, 48), 256), ((96, 192), (32, 64, 64), 384)), 2):
            layers = []
            for place in range(blocks[number]):
                branches = (wide(64), (wide(three[0]), wide(three[1])), (wide(five[0]), wide(five[1]), wide(five[2])))
                block = Inception(into, *branches, 0 if place else wide(128), wide(out))
                layers.append(Residual(into, wide(out), 1 if place else 2, block))
                into = wide(out)
            stages.append(nn.Sequential(*layers))
        self.stages = nn.ModuleList(stages)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, image: Tensor) -> list[Tensor]:
        """(N, C, H, W) to the last four stages, at a quarter to a 32nd of the sides."""
        x, stages = self.first(self.normal(image)), []
        for stage in self.stages:
            x = stage(x)
            stages.append(x)
        return stages
