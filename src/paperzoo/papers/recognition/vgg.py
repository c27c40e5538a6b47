"""Very Deep Convolutional Networks for Large-Scale Image Recognition (Simonyan and Zisserman, 2014).

How far does depth alone go? Everything else is held fixed: convolutions are 3x3, of stride 1, padded by one pixel, so that
they leave the sides as they are; five 2x2 maximum poolings halve them; three fully connected layers end the network. Two
3x3 convolutions see 5x5 pixels, three see 7x7, with fewer weights and more non-linearities (section 2.3):

    3 (3^2 C^2) = 27 C^2   <   7^2 C^2 = 49 C^2.

Eleven to nineteen weighted layers are stacked so (table 1). A trained network is run over an image of any size by reading
its fully connected layers as convolutions (section 3.2, ``VGG.score_map``): the scores become a map, which is averaged.

Read ``VGG`` beside table 1. The ``_bn`` variants, with batch normalisation behind each convolution, came later.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from typing import Annotated, Literal

import torch.nn.functional as F
from annotated_types import Ge
from torch import Tensor, nn
from torch.optim import SGD

from paperzoo.data import Batch
from paperzoo.errors import PaperzooError
from paperzoo.nn.dropout import Dropout
from paperzoo.nn.pixels import IMAGENET_MEAN, IMAGENET_STD, per_channel
from paperzoo.nn.schedules import steps
from paperzoo.pretrained.published import imagenet_names, load_published
from paperzoo.ranges import NotNegative, Part, Pixels, Positive, Share, Size
from paperzoo.records import Recipe, Target
from paperzoo.tasks.classification import Classifier
from paperzoo.tasks.model import Optimizers, Players


class VGG(nn.Module):
    """Stages of 3x3 convolutions and a pooling, then three fully connected layers. State-dict keys are torchvision's.

    Args:
        depth: weighted layers, of ``TABLE_1``.
        width: factor on every hidden layer's channels.
        image_size: height and width; a 32nd of it is the side that the fully connected layers see.
    """

    def __init__(
        self, depth: int, batch_norm: bool, width: float, channels: int, classes: int, image_size: int, dropout: float
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for stage, count in enumerate(TABLE_1[depth]):
            outputs = round(width * min(64 << stage, 512))  # 64, 128, 256, 512, 512
            for _ in range(count):
                layers.append(nn.Conv2d(channels, outputs, 3, padding=1))
                layers += [nn.BatchNorm2d(outputs)] if batch_norm else []
                layers.append(nn.ReLU(inplace=True))
                channels = outputs
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        side, hidden = image_size // 32, round(width * 4096)
        self.classifier = nn.Sequential(
            nn.Linear(channels * side**2, hidden), nn.ReLU(inplace=True), Dropout(dropout),
            nn.Linear(hidden, hidden), nn.ReLU(inplace=True), Dropout(dropout),
            nn.Linear(hidden, classes),
        )  # fmt: skip
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, image: Tensor, dense: bool = False) -> Tensor:
        """Normalised images (N, C, S, S) to logits (N, classes); ``dense``: larger ones to a map (N, classes, H', W')."""
        x = self.features(image)  # (N, C, S / 32, S / 32), rounded down
        return self.score_map(x) if dense else self.classifier(x.flatten(1))

    def score_map(self, x: Tensor) -> Tensor:
        """The classifier at every place of a feature map: (N, C, H, W) to (N, classes, H - side + 1, W - side + 1).

        The first fully connected layer becomes a convolution as large as what it saw, the others become 1x1 (section 3.2).
        """
        for layer in self.classifier:
            if isinstance(layer, nn.Linear):
                side = isqrt(layer.in_features // x.shape[1])
                kernel = layer.weight.reshape(layer.out_features, -1, side, side)  # (O, C side^2) -> (O, C, side, side)
                x = F.conv2d(x, kernel, layer.bias)
            else:
                x = layer(x)
        return x


#: table 1: weighted layers (configurations A, B, D, E) -> convolutions before each of the five poolings
TABLE_1 = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


#: torchvision's weights (BSD-3-Clause), trained on ImageNet
URL = "https://download.pytorch.org/models/{}.pth"
FILES = {
    "vgg11": "vgg11-8a719046", "vgg13": "vgg13-19584684", "vgg16": "vgg16-397923af", "vgg19": "vgg19-dcbb9e9d",
    "vgg11_bn": "vgg11_bn-6002323d", "vgg13_bn": "vgg13_bn-abd245e5",
    "vgg16_bn": "vgg16_bn-6c64b313", "vgg19_bn": "vgg19_bn-c79401a0",
}  # fmt: skip


class Model(Classifier):
    """A VGG network and stochastic gradient descent with momentum.

    Args:
        depth: weighted layers: 11, 13, 16 or 19.
        batch_norm: behind each convolution.
        width: factor on every hidden layer's channels.
        image_size: height and width, at least 32.
        dropout: share of the first two fully connected layers' outputs that is dropped in training.
        mean, std: of the training images, one value or one a channel, in units of [0, 1].
        weights: ``"imagenet"`` (published by torchvision) or a local file; with other classes than the file's the last
            layer stays fresh.

    Raises:
        PaperzooError: an argument is out of range, or the weights cannot be had or do not fit.
    """

    def __init__(
        self,
        *,
        depth: Literal[11, 13, 16, 19] = 16,
        batch_norm: bool = False,
        width: Positive = 1.0,
        channels: Size = 3,
        classes: Size = 1000,
        image_size: Annotated[Pixels, Ge(32)] = 224,
        dropout: Part = 0.5,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[Positive] = IMAGENET_STD,
        weights: str = "",
    ) -> None:
        super().__init__()
        if round(64 * width) < 1:
            raise PaperzooError(f"width of vgg must leave at least one of 64 channels: a factor from 0.01, not {width:g}")
        self.channels, self.image_size = channels, image_size
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", per_channel("mean of vgg", mean, channels))  # (1, C, 1, 1)
        self.register_buffer("std", per_channel("std of vgg", std, channels))
        self.network = VGG(depth, batch_norm, width, channels, classes, image_size, dropout)
        if weights:
            file = FILES[f"vgg{depth}_bn" if batch_norm else f"vgg{depth}"]
            load_published(self.network, weights, {"imagenet": URL.format(file)}, head="classifier.6.")
        if weights == "imagenet" and classes == 1000:
            self.names, self.short_side = imagenet_names(), round(image_size * 8 / 7)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, C, S, S) in [0, 1], S the ``image_size``.

        Raises:
            PaperzooError: images of another size.
        """
        if image.shape[2:] != (self.image_size, self.image_size):
            size = "x".join(map(str, image.shape[2:]))
            raise PaperzooError(f"this vgg sees {self.image_size}x{self.image_size} pixels, not {size}; dense() takes larger ones")
        return self.network((image - self.mean) / self.std)  # type: ignore[no-any-return]

    def dense(self, image: Tensor) -> Tensor:
        """Logits (N, classes) of whole images (N, C, H, W) in [0, 1], of any size from ``image_size``: the mean over places."""
        if min(image.shape[2:]) < self.image_size:
            raise PaperzooError(f"dense() takes images of at least {self.image_size} pixels, not {min(image.shape[2:])}")
        scores = self.network((image - self.mean) / self.std, dense=True)  # (N, classes, H', W')
        return scores.mean((2, 3))  # type: ignore[no-any-return]

    def optimizers(
        self,
        *,
        lr: NotNegative = 0.01,
        momentum: Part = 0.9,
        weight_decay: NotNegative = 5e-4,
        drops: Sequence[Share] = (0.5, 0.75, 0.9),
    ) -> Optimizers:
        """SGD; the rate is divided by 10 three times, after the shares ``drops`` of the steps (section 3.1)."""
        return {"network": (SGD(self.network.parameters(), lr, momentum, weight_decay=weight_decay), steps(drops))}

    def step(self, batch: Batch, opt: Players) -> None:
        """One step on the cross-entropy of a batch."""
        opt.network.minimize(F.cross_entropy(self(batch.image), batch.label))


VARIANTS: dict[str, dict[str, object]] = {
    "vgg16": {"depth": 16},
    **{f"vgg{depth}": {"depth": depth} for depth in (11, 13, 19)},
    **{f"vgg{depth}_bn": {"depth": depth, "batch_norm": True} for depth in (16, 11, 13, 19)},
}

_LITTLE = {"channels": 1, "classes": 10, "image_size": 32, "mean": (0.0,), "std": (1.0,)}

RECIPES = {
    "paper": Recipe(
        data="imagenet",
        steps=370_000,
        batch_size=256,
        augment=("crop224", "flip"),
        model={"image_size": 224},
        note="74 epochs (section 3.1); not run here: ImageNet cannot be fetched without registration",
    ),
    "small": Recipe(
        data="mnist-5k",
        steps=800,
        batch_size=64,
        augment=("shift2",),
        model={**_LITTLE, "width": 0.25, "batch_norm": True},
        targets=(Target("error %", at_most=1.5, variants=("vgg16",)),),
        note="5,000 digits, bordered to 32x32; a quarter of the channels, and batch normalisation in every variant",
    ),
    "smoke": Recipe(
        data="digits",
        steps=24,
        batch_size=32,
        model={**_LITTLE, "width": 0.125, "dropout": 0.0},
        precision="float32",
    ),
}
