"""Temporal 3D ConvNets: New Architecture and Transfer Learning for Video Classification (Diba, Fayyaz et al., 2017).

A 3-D convolution sees a fixed number of frames, most often three, but a clap is short and a swim is long. T3D is a DenseNet
with 3-D kernels (DenseNet3D) whose transitions look at several depths of time at once: the temporal transition layer (TTL)
has side by side a convolution for each depth d, of the same size in time and space, and joins what they find,

    TTL(x) = pool_2x2x2([C_1(x), C_3(x), C_6(x)]),        C_d = convolution(d x 3 x 3) o ReLU o batch normalisation,

the depths being 1, 3, 6 after the first dense block and 1, 3, 4 after those behind it. The paper's second idea, teaching it first
from a frozen image network, stands in ``t3d_transfer.py``. Read ``TemporalTransition``, then ``DenseNet3D``. With ``flat`` this is a
2-D DenseNet, frame by frame, whose answers are averaged: what can be told without the order of the frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Annotated, Literal, NamedTuple

import torch
import torch.nn.functional as F
from annotated_types import Gt
from torch import Tensor, nn
from torch.optim import SGD

from paperzoo.data import Batch
from paperzoo.errors import PaperzooError
from paperzoo.nn.schedules import steps
from paperzoo.ranges import NotNegative, Part, Pixels, Share, Size, Sizes
from paperzoo.records import Recipe, Stage, Target
from paperzoo.tasks.model import Optimizers, Players
from paperzoo.tasks.video import VideoClassifier


def composite(inputs: int, outputs: int, depth: int, side: int) -> nn.Sequential:
    """BN-ReLU-convolution of ``depth`` frames and ``side`` pixels: (N, inputs, T, H, W) to (N, outputs, T, H, W)."""
    before = (depth - 1) // 2
    after = depth - 1 - before  # one more than before if the depth is even
    same = before == after
    conv = nn.Conv3d(inputs, outputs, (depth, side, side), padding=(before if same else 0, side // 2, side // 2), bias=False)
    pad = [] if same else [nn.ConstantPad3d((0, 0, 0, 0, before, after), 0.0)]
    return nn.Sequential(nn.BatchNorm3d(inputs), nn.ReLU(), *pad, conv)


def pool(x: Tensor, flat: bool) -> Tensor:
    """Averages 2x2x2 (``flat``: 1x2x2): (N, C, T, H, W) to (N, C, T / 2, H / 2, W / 2), rounded up."""
    wanted = (1 if flat else 2, 2, 2)
    kernel = [min(side, size) for side, size in zip(wanted, x.shape[2:], strict=True)]  # a single frame stays as it is
    return F.avg_pool3d(x, kernel, ceil_mode=True)  # at an odd end, the mean of what is there


class DenseLayer(nn.Module):
    """A 1x1x1 convolution to four times ``growth``, a 3x3x3 one to ``growth``; what it finds is put behind its input."""

    def __init__(self, inputs: int, growth: int, flat: bool) -> None:
        super().__init__()
        self.narrow = composite(inputs, 4 * growth, 1, 1)
        self.conv = composite(4 * growth, growth, 1 if flat else 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, T, H, W) to (N, inputs + growth, T, H, W)."""
        return torch.cat([x, self.conv(self.narrow(x))], 1)


class Transition(nn.Module):
    """Between dense blocks of DenseNet3D: half the channels, half the resolution in time and space."""

    def __init__(self, inputs: int, flat: bool) -> None:
        super().__init__()
        self.outputs, self.flat = inputs // 2, flat
        self.conv = composite(inputs, self.outputs, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, T, H, W) to (N, inputs / 2, T / 2, H / 2, W / 2)."""
        return pool(self.conv(x), self.flat)


class TemporalTransition(nn.Module):
    """The TTL: a convolution of each temporal depth side by side, 1x1 in space for depth 1 and 3x3 for others, joined."""

    def __init__(self, inputs: int, width: int, depths: Sequence[int]) -> None:
        super().__init__()
        self.outputs = width * len(depths)
        self.branches = nn.ModuleList(composite(inputs, width, depth, 1 if depth == 1 else 3) for depth in depths)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, T, H, W) to (N, width * depths, T / 2, H / 2, W / 2)."""
        return pool(torch.cat([branch(x) for branch in self.branches], 1), flat=False)


class Answer(NamedTuple):
    """The network's output for clips: ``features`` (N, D), its last maps' means over time and space, and ``logits`` (N, classes)."""

    features: Tensor
    logits: Tensor


class DenseNet3D(nn.Module):
    """Stem, dense blocks with transitions between them, the mean over time and space, one linear layer.

    Args:
        blocks: layers of each dense block.
        growth: channels that each layer adds.
        width: channels of the stem.
        stem: ``"paper"`` (3x7x7 of stride 2, 3x3x3 max pooling of stride 2) or ``"small"`` (3x3x3 of stride 2 in space).
        depths: temporal depths of each TTL, the last also of those behind it; empty: plain transitions.
        ttl: channels of each of a TTL's branches.
        flat: every kernel is one frame deep, and nothing is pooled over time.
    """

    def __init__(
        self, blocks: Sequence[int], growth: int, width: int, stem: str, depths: Sequence[Sequence[int]], ttl: int, flat: bool,
        channels: int, classes: int,
    ) -> None:  # fmt: skip
        super().__init__()
        depth, large = 1 if flat else 3, stem == "paper"
        time = 2 if large and not flat else 1  # the stride in time
        side = 7 if large else 3
        layers = [
            nn.Conv3d(channels, width, (depth, side, side), (time, 2, 2), (depth // 2, side // 2, side // 2), bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(),
        ]
        if large:
            layers.append(nn.MaxPool3d((depth, 3, 3), (time, 2, 2), (depth // 2, 1, 1)))
        inputs = width
        for number, count in enumerate(blocks):
            if number:
                transition: Transition | TemporalTransition = (
                    TemporalTransition(inputs, ttl, depths[min(number, len(depths)) - 1]) if depths else Transition(inputs, flat)
                )
                layers.append(transition)
                inputs = transition.outputs
            layers += [DenseLayer(inputs + index * growth, growth, flat) for index in range(count)]
            inputs += count * growth
        self.layers = nn.Sequential(*layers, nn.BatchNorm3d(inputs), nn.ReLU())
        self.classifier = nn.Linear(inputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, clip: Tensor) -> Answer:
        """Clips (N, C, T, H, W) in [-1, 1] to features and logits."""
        # on processors oneDNN's bf16 gradient of a kernel three frames deep over two frames is garbage
        with torch.autocast("cpu", enabled=False) if clip.device.type == "cpu" else nullcontext():
            features = self.layers(clip).mean((2, 3, 4))  # (N, D, T / 32, H / 32, W / 32) -> (N, D)
            return Answer(features, self.classifier(features))


BLOCKS = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32)}
DEPTHS = ((1, 3, 6), (1, 3, 4))


class Model(VideoClassifier):
    """A DenseNet with 3-D kernels, and stochastic gradient descent.

    Args:
        blocks, growth, width, stem, depths, ttl, flat: see ``DenseNet3D``.
        image_size, frames: of the clips trained on; the network itself takes any.

    Raises:
        PaperzooError: an argument is out of range.
    """

    def __init__(
        self,
        *,
        blocks: Sizes = BLOCKS[121],
        growth: Size = 32,
        width: Size = 64,
        stem: Literal["paper", "small"] = "paper",
        depths: Sequence[Sizes] = DEPTHS,
        ttl: Size = 128,
        flat: bool = False,
        channels: Size = 3,
        classes: Size = 101,
        image_size: Pixels = 224,
        frames: Size = 32,
    ) -> None:
        super().__init__()
        if flat and depths:
            raise PaperzooError("a flat t3d sees one frame at a time and has no temporal depths: set model.depths=()")
        self.channels, self.image_size, self.frames = channels, image_size, frames
        self.network = DenseNet3D(blocks, growth, width, stem, depths, ttl, flat, channels, classes)

    def forward(self, video: Tensor) -> Tensor:
        """Logits (N, classes) of clips (N, C, T, H, W) in [0, 1]."""
        return self.network(2 * video - 1).logits  # type: ignore[no-any-return]

    def features(self, video: Tensor) -> Tensor:
        """The input of the last layer, (N, D), for clips (N, C, T, H, W) in [0, 1]."""
        return self.network(2 * video - 1).features  # type: ignore[no-any-return]

    def optimizers(
        self,
        *,
        lr: NotNegative = 0.1,
        momentum: Annotated[Part, Gt(0)] = 0.9,
        weight_decay: NotNegative = 1e-4,
        drops: Sequence[Share] = (0.2, 0.4, 0.6, 0.8),
    ) -> Optimizers:
        """SGD with Nesterov's momentum; the rate is divided by 10 after the shares ``drops`` of the steps: each 30 of 150 epochs."""
        sgd = SGD(self.network.parameters(), lr, momentum, weight_decay=weight_decay, nesterov=True)
        return {"network": (sgd, steps(drops))}

    def step(self, batch: Batch, opt: Players) -> None:
        """One step on the cross-entropy of a batch of clips."""
        opt.network.minimize(F.cross_entropy(self(self.clip(batch.video)), batch.label))


VARIANTS: dict[str, dict[str, object]] = {
    "t3d121": {},
    "t3d169": {"blocks": BLOCKS[169]},
    "densenet3d121": {"depths": ()},
    "frames2d": {"depths": (), "flat": True},
    "transfer": {"class": "t3d_transfer.Transfer"},
}
_ALONE = tuple(name for name in VARIANTS if name != "transfer")
_COMPARED = ("t3d121", "densenet3d121", "frames2d")

_LITTLE = {"blocks": (3, 3, 3), "growth": 8, "width": 16, "stem": "small", "ttl": 8}
_TINY = {"blocks": (1, 1, 1), "growth": 4, "width": 8, "stem": "small", "ttl": 4, "channels": 1, "image_size": 16, "frames": 8}

RECIPES = {
    "paper": Recipe(data="ucf101", steps=44_700, batch_size=32, variants=_ALONE, note="150 epochs; not run here: takes days on a GPU"),
    "paper-hmdb51": Recipe(data="hmdb51", steps=16_700, batch_size=32, variants=_ALONE, note="150 epochs; not run here, as above"),
    "paper-transfer": Recipe(
        data="ucf101",
        steps=89_400,
        batch_size=32,
        model={"weights": "imagenet"},
        stages=(Stage("match", 44_700), Stage("classify", 44_700)),
        variants=("transfer",),
        note="both stages on UCF-101's own videos; not run here, as above",
    ),
    "small": Recipe(
        data="moving-digits",
        steps=200,
        batch_size=16,
        model=_LITTLE,
        optimizer={"lr": 0.05, "drops": (0.6, 0.9)},
        variants=_COMPARED,
        targets=(Target("clip error %", at_most=5, variants=("t3d121",)),),
        note="which way one or two digits drift: 75 % by guessing",
    ),
    "small-actions": Recipe(
        data="sprite-actions",
        steps=400,
        batch_size=16,
        model={**_LITTLE, "image_size": 36, "frames": 8},
        optimizer={"lr": 0.05, "drops": (0.6, 0.9)},
        variants=_COMPARED,
        note="what the fighters of a game are doing, units apart; compare t3d121 with frames2d",
    ),
    "small-expressions": Recipe(
        data="avatar-expressions",
        steps=160,
        batch_size=32,
        model={"blocks": (3, 3), "growth": 12, "width": 32, "ttl": 24, "image_size": 32, "frames": 16},
        optimizer={"lr": 0.05, "drops": (0.7, 0.9)},
        variants=("t3d121",),
        targets=(Target("clip error %", at_most=3),),
        note="the judge zoo-motions: what drawn faces do, of people never seen; 80 % by guessing",
    ),
    "smoke": Recipe(
        data="moving-digits-8x8",
        steps=30,
        batch_size=16,
        model=_TINY,
        optimizer={"lr": 0.05, "drops": (0.6,)},
        precision="float32",
        variants=_COMPARED,
    ),
    "smoke-transfer": Recipe(
        data="moving-digits-8x8",
        steps=24,
        batch_size=8,
        model={
            **_TINY, "teacher": "resnet:resnet20", "weights": "", "teacher_arguments": {"depth": 8, "width": 4, "channels": 1},
            "stills": 2, "hidden": (16, 8),
        },
        optimizer={"lr": 0.02, "drops": (0.6,)},
        precision="float32",
        variants=("transfer",),
    ),
}  # fmt: skip
RECIPES = {
    **RECIPES,
    "small-frame": RECIPES["small"].but(
        model={"frames": 1},
        variants=("t3d121",),
        targets=(Target("clip error %", at_least=70),),
        note="the same network shown single frames, which say nothing of the direction: it must stay at chance, 75 %",
    ),
    "small-transfer": RECIPES["small-actions"].but(
        model={"weights": "imagenet"},
        steps=600,
        stages=(Stage("match", 200), Stage("classify", 400)),
        variants=("transfer",),
        note="200 steps of matching without labels, then those of small-actions, to compare with t3d121 there",
    ),
}
