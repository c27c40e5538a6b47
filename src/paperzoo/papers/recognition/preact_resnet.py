"""Identity Mappings in Deep Residual Networks (He, Zhang, Ren and Sun, 2016).

The first residual networks put a ReLU behind each addition, so that what one block adds passes through all the ReLUs that
follow. This paper moves normalisation and ReLU in front of the convolutions ("full pre-activation", figure 4e). Then
nothing stands on the way round the blocks, and the signal is a plain sum from any unit l to any deeper unit L:

    x_L = x_l + sum_{i=l}^{L-1} F(x_i, W_i)                                                                     (Eq. 4)
    dE/dx_l = dE/dx_L (1 + d/dx_l sum_{i=l}^{L-1} F(x_i, W_i))                                                  (Eq. 5)

A part of the gradient, dE/dx_L, reaches every unit unchanged, however small the weights. With it a network of 1001 layers
trains as easily as one of 100. Two ends need care: the first unit splits after its activation, and one more activation
stands behind the last unit, since its sum has seen none.

Read ``Unit.forward`` beside ``BasicBlock.forward`` of ``resnet``: the same layers in another order.
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
from paperzoo.papers.recognition.resnet import PadShortcut
from paperzoo.ranges import NotNegative, Part, Pixels, Share, Size
from paperzoo.records import Recipe, Target
from paperzoo.tasks.classification import Classifier
from paperzoo.tasks.model import Optimizers, Players

TABLE_3 = {"preact110": 6.37, "preact164": 5.46, "preact1001": 4.92}


class Unit(nn.Module):
    """``x + F(x)``, where F is twice (bottleneck: three times) batch normalisation, ReLU, convolution; figure 4e.

    Args:
        inputs, width: channels of x and of the 3x3 convolutions; a bottleneck puts out four times as many as ``width``.
        stride: of the first convolution.
        project: where the shape changes, a 1x1 convolution of the activated input goes round; else zeros are padded.
        first: the first unit splits after its activation, so that its shortcut is activated as well.
    """

    def __init__(self, inputs: int, width: int, stride: int, bottleneck: bool, project: bool, first: bool) -> None:
        super().__init__()
        self.outputs = 4 * width if bottleneck else width
        kernels = [(inputs, width, 3), (width, width, 3)]  # channels before and after, side
        if bottleneck:
            kernels = [(inputs, width, 1), (width, width, 3), (width, self.outputs, 1)]
        self.norms = nn.ModuleList(nn.BatchNorm2d(before) for before, _, _ in kernels)
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, side, 1 if index else stride, padding=side // 2, bias=False)
            for index, (before, after, side) in enumerate(kernels)
        )
        changes = stride != 1 or inputs != self.outputs
        self.activates = first or (changes and project)
        self.shortcut: nn.Module = nn.Identity()
        if changes:
            projection = nn.Conv2d(inputs, self.outputs, 1, stride, bias=False)
            self.shortcut = projection if project else PadShortcut(self.outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        f: Tensor = self.norms[0](x).relu()
        h: Tensor = self.shortcut(f if self.activates else x)
        f = self.convs[0](f)
        for norm, conv in zip(list(self.norms)[1:], list(self.convs)[1:], strict=True):
            f = conv(norm(f).relu())
        return h + f  # and no ReLU: f(y) = y


class PreActResNet(nn.Module):
    """A 3x3 convolution, three stages of ``count`` units at widths w, 2w, 4w, the last activation, the mean, one linear layer."""

    def __init__(self, count: int, width: int, bottleneck: bool, project: bool, channels: int, classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        units: list[Unit] = []
        inputs = width
        for stage in range(3):
            for index in range(count):
                stride = 2 if stage and not index else 1
                units.append(Unit(inputs, width << stage, stride, bottleneck, project, first=not units))
                inputs = units[-1].outputs
        self.units = nn.Sequential(*units)
        self.norm = nn.BatchNorm2d(inputs)
        self.output = nn.Linear(inputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")  # N(0, 2 / fan-in)

    def forward(self, image: Tensor) -> Tensor:
        """Images less their mean (N, C, H, W) to logits (N, classes)."""
        x = self.units(self.stem(image))
        x = self.norm(x).relu().mean((2, 3))  # (N, C, H, W) -> (N, C)
        return self.output(x)  # type: ignore[no-any-return]


class Model(Classifier):
    """A pre-activation network for small images, and stochastic gradient descent.

    Args:
        depth: weighted layers, 6n + 2 or, of bottlenecks, 9n + 2, with n units in each of three stages.
        bottleneck: units of 1x1, 3x3 and 1x1 convolutions instead of two of 3x3.
        shortcut: ``"A"`` zero padding or ``"B"`` projection where the shape changes; default: as in the paper, B for bottlenecks.
        width: channels of the first stage's 3x3 convolutions; 16 in the paper.
        image_size: height and width trained on; the network itself takes any.
        mean: of the training images, one value or one a channel, in units of [0, 1].

    Raises:
        PaperzooError: an argument is out of range.
    """

    def __init__(
        self,
        *,
        depth: Size = 164,
        bottleneck: bool = True,
        shortcut: Literal["", "A", "B"] = "",
        width: Size = 16,
        channels: Size = 3,
        classes: Size = 10,
        image_size: Pixels = 32,
        mean: Sequence[float] = (0.0,),
    ) -> None:
        super().__init__()
        layers = 9 if bottleneck else 6
        if depth < layers + 2 or (depth - 2) % layers:
            such = "11, 20, 164, 1001" if bottleneck else "8, 20, 56, 110"
            kind = "bottlenecks" if bottleneck else "two 3x3 convolutions a unit"
            raise PaperzooError(f"depth {depth} of preact_resnet: with {kind} it is {layers}n + 2, such as {such}")
        if len(mean) not in (1, channels):
            raise PaperzooError(f"mean of preact_resnet has one value or one for each of {channels} channels, not {len(mean)}")
        self.channels, self.image_size = channels, image_size
        self.mean: Tensor
        self.register_buffer("mean", torch.tensor(mean).reshape(1, -1, 1, 1))  # (1, C, 1, 1)
        project = bottleneck if not shortcut else shortcut == "B"
        self.network = PreActResNet((depth - 2) // layers, width, bottleneck, project, channels, classes)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, C, H, W) in [0, 1]."""
        return self.network(image - self.mean)  # type: ignore[no-any-return]

    def optimizers(
        self,
        *,
        lr: NotNegative = 0.1,
        momentum: Part = 0.9,
        weight_decay: NotNegative = 1e-4,
        drops: Sequence[Share] = (0.5, 0.75),
        warm_up: Share = 400 / 64_000,
    ) -> Optimizers:
        """SGD on all parameters.

        A tenth of the rate for the share ``warm_up`` of the steps, then all of it, divided by 10 after each of the shares ``drops``.
        """
        sgd = SGD(self.network.parameters(), lr, momentum, weight_decay=weight_decay)
        return {"network": (sgd, steps(drops, warm_up))}

    def step(self, batch: Batch, opt: Players) -> None:
        """One step on the cross-entropy of a batch."""
        opt.network.minimize(F.cross_entropy(self(batch.image), batch.label))


VARIANTS: dict[str, dict[str, object]] = {
    "preact164": {},
    "preact1001": {"depth": 1001},
    **{f"preact{depth}": {"depth": depth, "bottleneck": False} for depth in (20, 56, 110)},
    **{f"preact{depth}-b": {"depth": depth, "bottleneck": False, "shortcut": "B"} for depth in (20, 110)},
}

RECIPES = {
    "paper": Recipe(
        data="cifar10",
        steps=64_000,
        batch_size=128,
        augment=("crop4", "flip"),
        model={"mean": (0.4914, 0.4822, 0.4465)},
        targets=tuple(Target("error %", at_most=error, claim=f"{name}-cifar10", variants=(name,)) for name, error in TABLE_3.items()),
        note="trained on 45,000 images, as resnet is",
    ),
    "small": Recipe(
        data="mnist-5k",
        steps=800,
        batch_size=64,
        augment=("shift2",),
        optimizer={"lr": 0.05, "warm_up": 0.0},
        variants=("preact20", "preact56", "preact20-b"),
        targets=(Target("error %", at_most=1.5, variants=("preact20",)),),
        note="5,000 digits at 28x28, step for step as resnet's small recipe: compare preact56 with resnet56",
    ),
    "small-deep": Recipe(
        data="mnist-5k",
        steps=800,
        batch_size=64,
        augment=("shift2",),
        model={"image_size": 16},
        optimizer={"lr": 0.05},
        variants=("preact164", "preact110"),
        note="the digits at 16x16, so that more than a hundred layers are done in minutes; as resnet's small-deep",
    ),
    "small-sprites": Recipe(
        data="sprites",
        steps=800,
        batch_size=64,
        augment=("crop4", "flip"),
        model={"image_size": 32},
        optimizer={"lr": 0.05, "warm_up": 0.0},
        variants=("preact20", "preact56"),
        note="fantasy figures by race, in colour; as resnet's small-sprites",
    ),
    "smoke": Recipe(
        data="digits", steps=60, model={"depth": 20, "width": 4, "channels": 1, "image_size": 8}, optimizer={"lr": 0.05}
    ),
}
