"""GoogLeNet: windows of several sizes side by side, each made cheap by a 1x1 convolution (Szegedy et al. 2014, 1409.4842).

What matters in an image may be small or large, so an Inception block looks at its input through windows of 1x1, 3x3 and 5x5 and
a 3x3 maximum pooling, and puts what they find side by side (figure 2):

    y = [c_1(x), c_3(r_3(x)), c_5(r_5(x)), p(max_3x3(x))],

where the 1x1 convolutions r and p narrow what the large windows see and what the pooling leaves: without them nine blocks in a row
would be unaffordable. Two classifiers half-way up send gradients down in training; 0.3 of their losses is added (section 5).

It is trained as ``inception:v1`` (``inception:v1_bn`` is the version with batch normalisation that published weights are of): model,
variants and recipes stand in ``inception.py``. Read ``InceptionV1``, then ``GoogLeNet`` beside table 1.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, norm: bool = False) -> nn.Sequential:
    """GoogLeNet's box: convolution (padded by half its kernel) and ReLU, with batch normalisation between them if ``norm``."""
    parts: dict[str, nn.Module] = {"conv": nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=not norm)}
    if norm:
        parts["bn"] = nn.BatchNorm2d(outputs, eps=0.001)
    return nn.Sequential(OrderedDict(parts, relu=nn.ReLU()))


class InceptionV1(nn.Module):
    """Figure 2(b): windows of 1x1, 3x3, 5x5 and a pooling side by side, the larger behind a 1x1 that narrows."""

    def __init__(self, inputs: int, channels: Sequence[int], norm: bool) -> None:
        super().__init__()
        one, three_in, three, five_in, five, pool = channels
        self.branch1 = convolution(inputs, one, 1, norm=norm)
        self.branch2 = nn.Sequential(convolution(inputs, three_in, 1, norm=norm), convolution(three_in, three, 3, norm=norm))
        five_by_five = convolution(five_in, five, 3 if norm else 5, norm=norm)
        self.branch3 = nn.Sequential(convolution(inputs, five_in, 1, norm=norm), five_by_five)
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1), convolution(inputs, pool, 1, norm=norm))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W)."""
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class HalfWayV1(nn.Module):
    """Section 5: the classifiers on the 14x14 grid, used in training only."""

    def __init__(self, inputs: int, classes: int, w: Callable[[int], int], norm: bool) -> None:
        super().__init__()
        self.norm = norm
        self.conv = convolution(inputs, w(128), 1, norm=norm)
        self.fc1 = nn.Linear(16 * w(128), w(1024))
        self.fc2 = nn.Linear(w(1024), classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, 14, 14) to logits (N, classes)."""
        x = F.adaptive_avg_pool2d(x, 4) if self.norm else F.avg_pool2d(x, 5, 3)  # (N, inputs, 4, 4)
        h = self.fc1(self.conv(x).flatten(1)).relu()  # (N, 128, 4, 4) -> (N, 2048) -> (N, 1024)
        return self.fc2(F.dropout(h, 0.7, self.training))  # type: ignore[no-any-return]


#: GoogLeNet, table 1: of each block the channels of 1x1, 3x3 reduced, 3x3, 5x5 reduced, 5x5, and behind the pooling
V1 = {
    "3a": (64, 96, 128, 16, 32, 32), "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64), "4b": (160, 112, 224, 24, 64, 64), "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64), "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128), "5b": (384, 192, 384, 48, 128, 128),
}  # fmt: skip


class GoogLeNet(nn.Module):
    """Table 1. State-dict keys are torchvision's; with ``norm`` it is torchvision's network, not the paper's.

    ``w`` says how many channels a layer has for which the table gives so many.
    """

    def __init__(self, stem: str, aux: bool, channels: int, classes: int, dropout: float, w: Callable[[int], int], norm: bool) -> None:
        super().__init__()
        self.small, self.dropout, self.norm = stem == "small", dropout, norm
        if self.small:
            self.conv1 = convolution(channels, w(192), 3, norm=norm)
        else:
            self.conv1 = convolution(channels, w(64), 7, stride=2, norm=norm)
            self.conv2 = convolution(w(64), w(64), 1, norm=norm)
            self.conv3 = convolution(w(64), w(192), 3, norm=norm)
        inputs = w(192)
        for name, widths in V1.items():
            self.add_module(f"inception{name}", InceptionV1(inputs, [w(c) for c in widths], norm))
            inputs = w(widths[0]) + w(widths[2]) + w(widths[4]) + w(widths[5])
            if aux and name in ("4a", "4d"):
                self.add_module("aux1" if name == "4a" else "aux2", HalfWayV1(inputs, classes, w, norm))
        self.aux = aux
        self.fc = nn.Linear(inputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def response_norm(self, x: Tensor) -> Tensor:
        """Krizhevsky 2012, section 3.3; (N, C, H, W) to the same shape, unless batch normalisation stands in its place."""
        return x if self.norm else F.local_response_norm(x, 5, alpha=1e-4, beta=0.75)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """Images (N, C, S, S) in [-1, 1] to features (N, 1024), logits (N, classes) and, in training, the half-way logits."""
        x, half_way = self.conv1(image), []  # comments: for S = 224
        if not self.small:
            x = self.response_norm(F.max_pool2d(x, 3, 2, ceil_mode=True))  # (N, 64, 56, 56)
            x = self.response_norm(self.conv3(self.conv2(x)))  # (N, 192, 56, 56)
            x = F.max_pool2d(x, 3, 2, ceil_mode=True)  # (N, 192, 28, 28)
        for name in V1:
            if name in ("4a", "5a"):  # to (N, 480, 14, 14), (N, 832, 7, 7)
                x = F.max_pool2d(x, 2 if self.norm and name == "5a" else 3, 2, ceil_mode=True)
            x = self.get_submodule(f"inception{name}")(x)
            if self.training and self.aux and name in ("4a", "4d"):
                half_way.append(self.get_submodule("aux1" if name == "4a" else "aux2")(x))
        features = x.mean((2, 3))  # (N, 1024, 7, 7) -> (N, 1024)
        return features, self.fc(F.dropout(features, self.dropout, self.training)), tuple(half_way)
