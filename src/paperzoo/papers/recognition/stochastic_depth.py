"""Deep Networks with Stochastic Depth (Huang, Sun, Liu, Sedra and Weinberger, 2016).

Train a short network, test a deep one. In every mini-batch a coin b_l is thrown for each block of a residual network: where it
shows 0 the block is not computed, and its input passes on as it is,

    H_l = ReLU(b_l f_l(H_{l-1}) + id(H_{l-1})),        P(b_l = 1) = p_l                                         (Eq. 2)
    p_l = 1 - (l / L) (1 - p_L),        l = 1 ... L                                                             (Eq. 4)

so that early blocks, whose features all others use, nearly always live, and the last one does half of the time (p_L = 0.5). On
average (3L - 1) / 4 blocks are alive: a quarter of the time is saved, gradients have a short way, and the network is an
ensemble of 2^L networks of different depths. At test every block stands, weighted by how often it was there:

    H_l = ReLU(p_l f_l(H_{l-1}) + H_{l-1})                                                                      (Eq. 5)

The layers are those of ``resnet``; read ``StochasticBlock.forward``, then ``Model.step``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import SGD

from paperzoo.data import Batch
from paperzoo.errors import PaperzooError
from paperzoo.nn.schedules import steps
from paperzoo.papers.recognition.resnet import BasicBlock, ResNet
from paperzoo.ranges import NotNegative, Part, Pixels, Positive, Share, Size, SomeShare
from paperzoo.records import Recipe, Target
from paperzoo.tasks.classification import Classifier
from paperzoo.tasks.model import Optimizers, Players


def survival_probabilities(blocks: int, last: float = 0.5, decay: str = "linear") -> list[float]:
    """``p_1 ... p_L`` of ``blocks`` blocks: linear decay to ``last`` (Eq. 4), or ``last`` everywhere (``"uniform"``)."""
    if decay == "uniform":
        return [last] * blocks
    return [1 - block / blocks * (1 - last) for block in range(1, blocks + 1)]


class StochasticBlock(BasicBlock):
    """A block of ``resnet`` whose residual is weighted from outside."""

    def forward(self, x: Tensor, share: float = 1.0) -> Tensor:
        """(N, inputs, H, W) to (N, width, H / stride, W / stride).

        Args:
            share: in training b_l, 0 or 1 (Eq. 2), and with 0 the residual is not computed; at test p_l (Eq. 5).
        """
        assert self.downsample is not None
        around: Tensor = self.downsample(x)
        if share == 0:
            return around.relu()
        f = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        out: Tensor = (share * f + around).relu()
        return out


class StochasticResNet(ResNet):
    """The CIFAR network of ``resnet`` with option A, and how often each of its blocks survives."""

    def __init__(self, p: Sequence[float], width: int, channels: int, classes: int) -> None:
        super().__init__("cifar", StochasticBlock, (len(p) // 3,) * 3, width, "A", channels, classes)
        self.p = tuple(p)

    def forward(self, image: Tensor, alive: Sequence[float] | None = None) -> Tensor:
        """Normalised images (N, C, H, W) to logits (N, classes).

        Args:
            alive: b_l of each block, for the whole mini-batch; ``None`` at test, where each counts as p_l.
        """
        x = self.bn1(self.conv1(image)).relu()
        blocks = [block for stage in range(self.stages) for block in self.get_submodule(f"layer{stage + 1}").children()]
        for block, share in zip(blocks, self.p if alive is None else alive, strict=True):
            x = block(x, share)
        return self.fc(x.mean((2, 3)))  # type: ignore[no-any-return]  # (N, C, H, W) -> (N, C)


def common_chance(numbers: int, opt: Players, device: torch.device) -> list[float]:
    """Uniform numbers in [0, 1), the same on every process, so that a mini-batch has one draw however many share it.

    The mean over processes of numbers in [0, 1) is not uniform, but its digits after the first few are.
    """
    return (opt.mean(torch.rand(numbers).to(device)) * 256 % 1).tolist()


class Model(Classifier):
    """A residual network of stochastic depth, and stochastic gradient descent.

    Args:
        depth: weighted layers, 6n + 2 with n blocks in each of three stages.
        survival: p_L, how often the last block lives; 1 gives a network of constant depth.
        decay: ``"linear"`` (Eq. 4), or ``"uniform"``: all blocks live as often as the last.
        width: channels of the first stage; 16 in the paper.
        image_size: height and width trained on; the network itself takes any.
        mean, std: of the training images, one value or one a channel, in units of [0, 1].

    Raises:
        PaperzooError: an argument is out of range.
    """

    def __init__(
        self,
        *,
        depth: Size = 110,
        survival: SomeShare = 0.5,
        decay: Literal["linear", "uniform"] = "linear",
        width: Size = 16,
        channels: Size = 3,
        classes: Size = 10,
        image_size: Pixels = 32,
        mean: Sequence[float] = (0.0,),
        std: Sequence[Positive] = (1.0,),
    ) -> None:
        super().__init__()
        if depth < 8 or depth % 6 != 2:
            raise PaperzooError(f"depth {depth} of stochastic_depth is not 6n + 2, such as 8, 20, 56, 110, 1202")
        for name, values in {"mean": mean, "std": std}.items():
            if len(values) not in (1, channels):
                raise PaperzooError(f"{name} of stochastic_depth has one value or one for each of {channels} channels, not {len(values)}")
        self.channels, self.image_size = channels, image_size
        self.p = survival_probabilities((depth - 2) // 2, survival, decay)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).reshape(1, -1, 1, 1))  # (1, C, 1, 1)
        self.register_buffer("std", torch.tensor(std).reshape(1, -1, 1, 1))
        self.network = StochasticResNet(self.p, width, channels, classes)

    def forward(self, image: Tensor, alive: Sequence[float] | None = None) -> Tensor:
        """Logits (N, classes) of images (N, C, H, W) in [0, 1]; with ``alive``, b_l of each block, as in training."""
        return self.network((image - self.mean) / self.std, alive)  # type: ignore[no-any-return]

    def optimizers(
        self,
        *,
        lr: NotNegative = 0.1,
        momentum: Part = 0.9,
        weight_decay: NotNegative = 1e-4,
        nesterov: bool = True,
        drops: Sequence[Share] = (0.5, 0.75),
        warm_up: Share = 0.0,
    ) -> Optimizers:
        """SGD with Nesterov's momentum on all parameters.

        A tenth of the rate for the share ``warm_up`` of the steps, then all of it, divided by 10 after each of the shares ``drops``.
        """
        sgd = SGD(self.network.parameters(), lr, momentum, weight_decay=weight_decay, nesterov=nesterov)
        return {"network": (sgd, steps(drops, warm_up))}

    def step(self, batch: Batch, opt: Players) -> Mapping[str, float]:
        """Throws the coins, one a block for the whole mini-batch, and takes one step on the cross-entropy."""
        chance = common_chance(len(self.p), opt, batch.image.device)
        alive = [float(c < p) for c, p in zip(chance, self.p, strict=True)]  # b_1 ... b_L
        opt.network.minimize(F.cross_entropy(self(batch.image, alive), batch.label))
        return {"blocks alive": sum(alive)}


VARIANTS: dict[str, dict[str, object]] = {f"resnet{depth}": {"depth": depth} for depth in (110, 1202, 20, 56)}

_SMALL = {"lr": 0.05, "nesterov": False}  # as resnet's small recipes, so that only the coins differ

RECIPES = {
    "paper": Recipe(
        data="cifar10",
        steps=175_781,
        batch_size=128,
        augment=("crop4", "flip"),
        model={"mean": (0.4914, 0.4822, 0.4465), "std": (0.247, 0.2435, 0.2616)},
        variants=("resnet110",),
        targets=(Target("error %", at_most=5.23, claim="resnet110-cifar10"),),
        note="500 epochs of 45,000 images",
    ),
    "small": Recipe(
        data="mnist-5k",
        steps=800,
        batch_size=64,
        augment=("shift2",),
        optimizer=_SMALL,
        variants=("resnet20", "resnet56"),
        targets=(Target("error %", at_most=2, variants=("resnet20",)),),
        note="5,000 digits at 28x28, step for step as resnet's small recipe: compare resnet56 with resnet:resnet56",
    ),
    "small-deep": Recipe(
        data="mnist-5k",
        steps=800,
        batch_size=64,
        augment=("shift2",),
        model={"image_size": 16},
        optimizer={**_SMALL, "warm_up": 400 / 64_000},
        variants=("resnet110",),
        note="the digits at 16x16, so that 110 layers are done in minutes; as resnet's small-deep",
    ),
    "small-sprites": Recipe(
        data="sprites",
        steps=800,
        batch_size=64,
        augment=("crop4", "flip"),
        model={"image_size": 32},
        optimizer=_SMALL,
        variants=("resnet20", "resnet56"),
        note="fantasy figures by race, in colour; as resnet's small-sprites",
    ),
    "smoke": Recipe(
        data="digits", steps=60, model={"depth": 14, "width": 8, "channels": 1, "image_size": 8}, optimizer={"lr": 0.05}
    ),
}
RECIPES = {
    **RECIPES,
    "paper-1202": RECIPES["paper"].but(
        optimizer={"warm_up": 10 / 500},
        variants=("resnet1202",),
        targets=(Target("error %", at_most=4.91, claim="resnet1202-cifar10"),),
        note="the first 10 epochs at a tenth of the rate, as section 4 is remembered, not re-checked",
    ),
}
