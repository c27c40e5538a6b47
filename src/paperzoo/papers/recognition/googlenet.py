"""GoogLeNet: windows of several sizes side by side, each made cheap by a 1x1 convolution (Szegedy et al. 2014, 1409.4842).

What matters in an image may be small or large, so an Inception block looks at its input through windows of 1x1, 3x3 and 5x5 and
a 3x3 maximum pooling, and puts what they find side by side (figure 2):

    y = [c_1(x), c_3(r_3(x)), c_5(r_5(x)), p(max_3x3(x))],

where the 1x1 convolutions r and p narrow what the large windows see and what the pooling leaves: without them nine blocks in a row
would be unaffordable. Two classifiers half-way up send gradients down in training; 0.3 of their losses is added (section 5).

Read ``InceptionV1``, then ``GoogLeNet`` beside table 1. ``googlenet:v1_bn`` is the network with batch normalisation of which weights are
published; ``inception.py`` is the paper that followed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD

from paperzoo.data import Batch
from paperzoo.errors import PaperzooError
from paperzoo.nn.schedules import exponential
from paperzoo.pretrained.published import imagenet_names, load_published
from paperzoo.ranges import NotNegative, Part, Pixels, Positive, Share, Size, Whole
from paperzoo.records import Recipe, Target
from paperzoo.tasks.classification import Classifier
from paperzoo.tasks.model import Optimizers, Players


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


#: published weights: TensorFlow's as torchvision ported them (BSD-3-Clause); of the network with batch normalisation
URLS = {"v1": {}, "v1_bn": {"imagenet": "https://download.pytorch.org/models/googlenet-1378be20.pth"}}


class Model(Classifier):
    """GoogLeNet and stochastic gradient descent.

    Args:
        design: ``"v1"``, or ``"v1_bn"`` (torchvision's version of it).
        stem: ``"imagenet"``, or ``"small"``: one 3x3 convolution, for images of 4 pixels or more.
        aux: whether the half-way classifiers are there. They need 14x14 positions half-way: 224 pixels, or 28 with a small stem.
        width: factor on every layer's channels.
        image_size: height and width; without half-way classifiers the network takes any from 31 (small stem: 4).
        dropout: share of the last features dropped in training.
        smoothing: share of each label that is spread evenly over all classes; the paper has none.
        weights: ``"imagenet"`` for ``v1_bn``, or a local file; with other classes than the file's the last layers stay fresh.

    Raises:
        PaperzooError: an argument is out of range, or the weights cannot be had or do not fit.
    """

    def __init__(
        self,
        *,
        design: Literal["v1", "v1_bn"] = "v1",
        stem: Literal["imagenet", "small"] = "imagenet",
        aux: bool = True,
        width: Positive = 1.0,
        channels: Size = 3,
        classes: Size = 1000,
        image_size: Pixels = 224,
        dropout: Part = 0.4,
        smoothing: Part = 0.0,
        weights: str = "",
    ) -> None:
        super().__init__()
        whole, least = (28, 4) if stem == "small" else (224, 31)
        if aux and image_size != whole:
            raise PaperzooError(
                f"googlenet's half-way classifiers need images of {whole} pixels, not {image_size}: set model.aux=false"
            )
        if image_size < least:
            raise PaperzooError(f"image_size of googlenet must be at least {least} with the stem {stem!r}, not {image_size}")
        self.channels, self.image_size, self.smoothing = channels, image_size, smoothing

        def w(table: int) -> int:
            return max(1, round(table * width))

        self.network = GoogLeNet(stem, aux, channels, classes, dropout, w, design == "v1_bn")
        if weights:
            load_published(self.network, weights, URLS[design], ("fc.", "aux1.fc2.", "aux2.fc2."), spare=("aux1.", "aux2."))
        if weights == "imagenet" and classes == 1000:
            self.names, self.short_side = imagenet_names(), round(image_size * 8 / 7)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, C, H, W) in [0, 1]."""
        return self.network(2 * image - 1)[1]  # type: ignore[no-any-return]

    def features(self, image: Tensor) -> Tensor:
        """The mean of the last block over positions, (N, 1024), for images (N, C, H, W) in [0, 1]."""
        return self.network(2 * image - 1)[0]  # type: ignore[no-any-return]

    def optimizers(
        self, *, lr: NotNegative = 0.01, momentum: Part = 0.9, fall: Share = 0.96, falls: Whole = 20
    ) -> Optimizers:
        """SGD with momentum; the rate is multiplied by ``fall`` as many times as ``falls`` says (section 6)."""
        return {"network": (SGD(self.network.parameters(), lr, momentum), exponential(fall, falls))}

    def step(self, batch: Batch, opt: Players) -> None:
        """One step on the cross-entropy of the last classifier and three tenths of each auxiliary one's (section 5)."""
        _, logits, half_way = self.network(2 * batch.image - 1)
        loss = F.cross_entropy(logits, batch.label, label_smoothing=self.smoothing)
        for early in half_way:
            loss = loss + 0.3 * F.cross_entropy(early, batch.label, label_smoothing=self.smoothing)
        opt.network.minimize(loss)


VARIANTS: dict[str, dict[str, object]] = {"v1": {}, "v1_bn": {"design": "v1_bn", "dropout": 0.2}}

_LITTLE = {"stem": "small", "channels": 1, "classes": 10, "aux": True, "image_size": 28}
RECIPES = {
    "paper": Recipe(
        "imagenet", 800_000, 256, augment=("crop224", "flip"), model={"image_size": 224},
        optimizer={"lr": 0.01, "fall": 0.96, "falls": 20},
        note="160 epochs, the rate 4 % less every eighth (section 6); not run here: ImageNet cannot be fetched without registration",
    ),
    "small": Recipe(
        "mnist-5k", 600, augment=("shift2",), model={**_LITTLE, "width": 0.25},
        optimizer={"lr": 0.02, "fall": 0.96, "falls": 50}, clip=2.0,
        targets=(Target("error %", at_most=2.5, variants=("v1",)),),
        note="5,000 digits at 28x28, with both half-way classifiers",
    ),
    "smoke": Recipe(
        "digits", 24, 8, model={**_LITTLE, "width": 0.125, "dropout": 0.0},
        optimizer={"lr": 0.03, "fall": 0.96, "falls": 50}, clip=2.0, precision="float32", variants=("v1",),
    ),
}  # fmt: skip
