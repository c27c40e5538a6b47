"""Deep Residual Learning for Image Recognition (He, Zhang, Ren and Sun, 2015).

A plain network of 56 layers has a higher *training* error than one of 20, although it could copy the shallow one and
let the other layers do nothing. So doing nothing should be easy: a few layers learn the residual F, and their input
goes round them and is added,

    y = F(x, {W_i}) + x                                                                                         (Eq. 1)

With F = 0 the block is the identity. Where the number of channels rises, the shortcut is padded with zeros (option A,
no parameters) or projected by a 1x1 convolution, y = F(x) + W_s x (option B, Eq. 2). Without shortcuts the same file
gives the plain networks that the paper compares with: ``resnet:plain56`` against ``resnet:resnet56``.

Read ``BasicBlock`` first, then ``ResNet``. Section 4.2 (CIFAR) and Table 1 (ImageNet) differ only in stem and sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD

from paperzoo.data import Batch
from paperzoo.errors import PaperzooError
from paperzoo.nn.schedules import steps
from paperzoo.pretrained.published import load_published
from paperzoo.ranges import NotNegative, Part, Pixels, Positive, Share, Size
from paperzoo.records import Recipe, Target
from paperzoo.tasks.classification import Classifier
from paperzoo.tasks.model import Optimizers, Players

Shortcut = Literal["A", "B", "C", "none"]


class PadShortcut(nn.Module):
    """Option A: every ``stride``-th pixel, and channels of zeros behind those of x. No parameters."""

    def __init__(self, outputs: int, stride: int) -> None:
        super().__init__()
        self.outputs, self.stride = outputs, stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, outputs, H / stride, W / stride), rounded up."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.outputs - x.shape[1]))


def make_shortcut(kind: Shortcut, inputs: int, outputs: int, stride: int) -> nn.Module | None:
    """A block's shortcut: the identity where shapes agree (option C projects there, too), else option A or B."""
    changes = stride != 1 or inputs != outputs
    if kind == "none":
        return None
    if kind == "C" or (kind == "B" and changes):  # W_s of Eq. 2
        return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
    return PadShortcut(outputs, stride) if changes else nn.Identity()


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut: relu(F(x) + x), Fig. 2. Batch normalisation follows each convolution."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = make_shortcut(shortcut, inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, width, H / stride, W / stride)."""
        y: Tensor = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y))
        return (y if self.downsample is None else y + self.downsample(x)).relu()  # the second ReLU follows the addition


class Bottleneck(nn.Module):
    """1x1 to fewer channels, 3x3, 1x1 to four times as many, and a shortcut (Fig. 5, right)."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = make_shortcut(shortcut, inputs, 4 * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, 4 width, H / stride, W / stride)."""
        y: Tensor = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        y = self.bn3(self.conv3(y))
        return (y if self.downsample is None else y + self.downsample(x)).relu()


Block = type[BasicBlock] | type[Bottleneck]


class ResNet(nn.Module):
    """Stem, stages of blocks that halve the resolution and double the width, global average, one linear layer.

    Args:
        stem: ``"cifar"`` (a 3x3 convolution) or ``"imagenet"`` (7x7 of stride 2, then 3x3 max pooling of stride 2).
        blocks: how many blocks each stage has.
        width: channels of the first stage's 3x3 convolutions.
    """

    def __init__(
        self, stem: str, block: Block, blocks: Sequence[int], width: int, shortcut: Shortcut, channels: int, classes: int
    ) -> None:
        super().__init__()
        large = stem == "imagenet"
        self.conv1 = nn.Conv2d(channels, width, 7 if large else 3, 2 if large else 1, padding=3 if large else 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1) if large else nn.Identity()
        self.stages, inputs = len(blocks), width
        for stage, count in enumerate(blocks):
            layer = []
            for index in range(count):
                layer.append(block(inputs, width << stage, 2 if stage and not index else 1, shortcut))
                inputs = block.expansion * (width << stage)
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layer))
        self.fc = nn.Linear(inputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")  # N(0, 2 / fan-in), 1502.01852, Eq. 10

    def forward(self, image: Tensor) -> Tensor:
        """Normalised images (N, C, H, W) to logits (N, classes)."""
        x = self.maxpool(self.bn1(self.conv1(image)).relu())
        for stage in range(self.stages):
            x = self.get_submodule(f"layer{stage + 1}")(x)
        return self.fc(x.mean((2, 3)))  # type: ignore[no-any-return]  # (N, C, H, W) -> (N, C)


#: block counts of Table 1; 50 layers and more are built of bottlenecks
TABLE_1 = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}

#: torchvision's first weights (BSD-3-Clause), trained on ImageNet with the stride in the 3x3 convolution
URL = "https://download.pytorch.org/models/{}.pth"
FILES = {
    18: "resnet18-f37072fd", 34: "resnet34-b627a593", 50: "resnet50-0676ba61",
    101: "resnet101-63fe2227", 152: "resnet152-394f9c45",
}  # fmt: skip


class Model(Classifier):
    """A residual network, or its plain twin, and stochastic gradient descent.

    Args:
        depth: weighted layers. ``cifar``: 6n + 2 with n blocks in each of three stages; ``imagenet``: those of Table 1.
        design: ``"cifar"`` (section 4.2) or ``"imagenet"`` (section 3.3; state-dict keys as in torchvision).
        shortcut: ``"A"`` zero padding, ``"B"`` projection where shapes change, ``"C"`` projection everywhere, or
            ``"none"``: the plain network.
        width: channels of the first stage; the paper's are 16 and 64.
        classes: default: 10 for ``cifar``, 1,000 for ``imagenet``.
        image_size: height and width trained on; the network itself takes any.
        mean, std: of the training images, one value or one a channel, in units of [0, 1].
        weights: ``"imagenet"`` (published by torchvision) or a local file; with other classes than the file's the last
            layer stays fresh.

    Raises:
        PaperzooError: an argument is out of range, or the weights cannot be had or do not fit.
    """

    def __init__(
        self,
        *,
        depth: Size = 20,
        design: Literal["cifar", "imagenet"] = "cifar",
        shortcut: Shortcut = "A",
        width: Size = 16,
        channels: Size = 3,
        classes: Size | None = None,
        image_size: Pixels = 32,
        mean: Sequence[float] = (0.0,),
        std: Sequence[Positive] = (1.0,),
        weights: str = "",
    ) -> None:
        super().__init__()
        if design == "cifar" and (depth < 8 or depth % 6 != 2):
            raise PaperzooError(f"depth {depth} of resnet: CIFAR designs have 6n + 2 layers, such as 8, 20, 32, 44, 56, 110")
        if design == "imagenet" and depth not in TABLE_1:
            raise PaperzooError(f"depth {depth} of resnet: ImageNet designs have {', '.join(map(str, TABLE_1))} layers")
        classes = classes if classes is not None else 1000 if design == "imagenet" else 10
        for name, values in {"mean": mean, "std": std}.items():
            if len(values) not in (1, channels):
                raise PaperzooError(
                    f"{name} of resnet has one value or one for each of {channels} channels, not {len(values)}"
                )
        self.channels, self.image_size = channels, image_size
        self.warm_up = 400 / 64_000 if design == "cifar" and depth >= 110 else 0.0  # section 4.2
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).reshape(1, -1, 1, 1))  # (1, C, 1, 1)
        self.register_buffer("std", torch.tensor(std).reshape(1, -1, 1, 1))
        blocks = ((depth - 2) // 6,) * 3 if design == "cifar" else TABLE_1[depth]
        block = Bottleneck if design == "imagenet" and depth >= 50 else BasicBlock
        self.network = ResNet(design, block, blocks, width, shortcut, channels, classes)
        if weights:
            published = {"imagenet": URL.format(FILES[depth])} if design == "imagenet" else {}
            load_published(self.network, weights, published, head="fc.")

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, C, H, W) in [0, 1]."""
        return self.network((image - self.mean) / self.std)  # type: ignore[no-any-return]

    def optimizers(
        self,
        *,
        lr: NotNegative = 0.1,
        momentum: Part = 0.9,
        weight_decay: NotNegative = 1e-4,
        drops: Sequence[Share] = (0.5, 0.75),
    ) -> Optimizers:
        """SGD on all parameters; the rate is divided by 10 after the shares ``drops`` of the steps.

        That is after 32,000 and 48,000 of 64,000 (section 4.2); 110 layers and more start at a tenth of it.
        """
        sgd = SGD(self.network.parameters(), lr, momentum, weight_decay=weight_decay)
        return {"network": (sgd, steps(drops, self.warm_up))}

    def step(self, batch: Batch, opt: Players) -> None:
        """One step on the cross-entropy of a batch."""
        opt.network.minimize(F.cross_entropy(self(batch.image), batch.label))


_NORMALISED = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}  # as the published weights expect it
_ON_IMAGENET = {"design": "imagenet", "shortcut": "B", "width": 64, "channels": 3, "image_size": 224, **_NORMALISED}

#: table 6, error in % by variant
TABLE_6 = {"resnet20": 8.75, "resnet32": 7.51, "resnet44": 7.17, "resnet56": 6.97, "resnet110": 6.43}

VARIANTS: dict[str, dict[str, object]] = {
    **{f"resnet{depth}": {"depth": depth} for depth in (20, 32, 44, 56, 110)},
    **{f"resnet{depth}-b": {"depth": depth, "shortcut": "B"} for depth in (20, 32, 44, 56, 110)},
    **{f"plain{depth}": {"depth": depth, "shortcut": "none"} for depth in (20, 32, 44, 56)},
    **{f"resnet{depth}": {**_ON_IMAGENET, "depth": depth} for depth in TABLE_1},
    **{f"plain{depth}": {**_ON_IMAGENET, "depth": depth, "shortcut": "none"} for depth in (18, 34)},
}
_LARGE = tuple(name for name, arguments in VARIANTS.items() if "design" in arguments)
_PLAIN = tuple(name for name in VARIANTS if name.startswith("plain") and name not in _LARGE)
_RESIDUAL = tuple(name for name in VARIANTS if name not in _LARGE + _PLAIN)

RECIPES = {
    "paper": Recipe(
        data="cifar10",
        steps=64_000,
        batch_size=128,
        augment=("crop4", "flip"),
        model={"mean": (0.4914, 0.4822, 0.4465)},
        variants=_RESIDUAL,
        targets=tuple(
            Target("error %", at_most=error, claim="resnet110-best" if name == "resnet110" else name, variants=(name,))
            for name, error in TABLE_6.items()
        ),
        note="trained on 45,000 images, as in section 4.2",
    ),
    "paper-imagenet": Recipe(
        data="imagenet",
        steps=600_000,
        batch_size=256,
        augment=("crop224", "flip"),
        optimizer={"drops": (0.25, 0.5, 0.75)},
        variants=_LARGE,
        note="not run here: ImageNet cannot be fetched without registration",
    ),
    "small": Recipe(
        data="mnist-5k",
        steps=800,
        batch_size=64,
        augment=("shift2",),
        optimizer={"lr": 0.05},
        variants=_RESIDUAL,
        targets=(Target("error %", at_most=1.5, variants=("resnet20",)),),
        note="5,000 digits at 28x28; train resnet56 and plain56 to see the degradation",
    ),
    "small-avatars": Recipe(
        data="avatars",
        steps=600,
        batch_size=128,
        augment=("shift2",),
        model={"image_size": 32},
        optimizer={"lr": 0.05},
        variants=("resnet20",),
        targets=(Target("error %", at_most=3),),
        note="the judge zoo-avatars: hair colour, glasses and beard of drawn faces",
    ),
    "small-avatar-sentences": Recipe(
        data="avatar-sentences",
        steps=600,
        batch_size=128,
        augment=("shift2",),
        model={"image_size": 32},
        optimizer={"lr": 0.05},
        variants=("resnet20",),
        targets=(Target("error %", at_most=3),),
        note="the judge zoo-avatars-more: colour and length of the hair, glasses, beard and skin of drawn faces",
    ),
    "small-emoji": Recipe(
        data="emoji",
        steps=1200,
        batch_size=128,
        augment=("crop4", "flip"),
        model={"image_size": 32},
        optimizer={"lr": 0.05},
        variants=("resnet20",),
        note="the judge zoo-emoji: the category of an emoji of any of four vendors",
    ),
    "small-vendor": Recipe(
        data="emoji-vendor",
        steps=1200,
        batch_size=128,
        augment=("shift2", "flip"),
        model={"image_size": 32},
        optimizer={"lr": 0.05},
        variants=("resnet20",),
        note="the judge zoo-vendor: who drew an emoji, and of which category it is",
    ),
    "smoke": Recipe(
        data="digits", steps=60, model={"width": 8, "channels": 1, "image_size": 8, "mean": (0.0,), "std": (1.0,)}
    ),
}
RECIPES = {  # the plain networks take the same steps; deep ones are there to fail, so they have no target
    **RECIPES,
    "paper-plain": RECIPES["paper"].but(variants=_PLAIN, targets=(), note="figure 6 has curves, no figures"),
    "small-plain": RECIPES["small"].but(variants=_PLAIN, targets=(), note="compare the training loss with resnet56's"),
    "small-deep": RECIPES["small"].but(
        model={"image_size": 16},
        variants=("resnet110",),
        targets=(),
        note="the digits at 16x16, so that 110 layers are done in minutes: compare preact_resnet and stochastic_depth",
    ),
    "small-sprites": RECIPES["small"].but(
        data="sprites",
        augment=("crop4", "flip"),
        model={"image_size": 32},
        variants=("resnet20", "resnet56"),
        targets=(),
        note="fantasy figures by race, in colour",
    ),
}
