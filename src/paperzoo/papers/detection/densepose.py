"""DensePose: every pixel of a person says where on the surface of a human body it lies (Guler, Neverova and Kokkinos 2018).

The surface is cut into 24 parts, each with two coordinates U and V in [0, 1]. A fully convolutional network says at each pixel i which
part it shows, or none, and for every part regresses U and V; those of the likeliest part count (section 3.1):

    c* = argmax_c P(c | i),        [U, V] = R^{c*}(i)                                                                     (1)

Parts learn by cross-entropy; U and V by smooth L1, of a pixel's true part alone. People annotate about a hundred points a person, so that
nearly no pixel has a label. A *teacher* network, which sees people without their background, therefore learns from those points first,
then paints parts, U and V all over each person, and the network learns from its painting (section 3.4). ``densepose_rcnn`` does the same
in the regions of a detector. Read ``Network``, then ``Model.step``.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, AdamW

from paperzoo.data import Batch
from paperzoo.data.bodyparts import COARSE
from paperzoo.errors import PaperzooError, unknown
from paperzoo.nn.pixels import IMAGENET_MEAN, IMAGENET_STD, per_channel
from paperzoo.nn.schedules import steps, warmup_cosine
from paperzoo.papers.recognition import resnet
from paperzoo.ranges import Count, NotNegative, Pixels, Positive, Size, Sizes
from paperzoo.records import Recipe, Stage, Target
from paperzoo.tasks.dense_pose import DensePoser, Found
from paperzoo.tasks.model import Optimizers, Players

SEGMENTS, PARTS = 15, 25  # of the masks and of the surface, each with the background


class Answers(NamedTuple):
    """The network's output maps: logits of the masks' parts (N, 15, h, w) and of the surface's (N, 25, h, w), and U and V for each
    part of the surface (N, 2, 24, h, w)."""

    segments: Tensor
    parts: Tensor
    uv: Tensor


def answers_of(maps: Tensor) -> Answers:
    """The answers in 15 + 25 + 2 x 24 maps (N, 88, h, w)."""
    segments, parts, uv = torch.split(maps, [SEGMENTS, PARTS, 2 * (PARTS - 1)], 1)
    return Answers(segments, parts, uv.reshape(len(uv), 2, PARTS - 1, *uv.shape[2:]))


class Network(nn.Module):
    """A residual network whose last stages keep their resolution by dilation, and 1x1 convolutions to 88 maps.

    Args:
        blocks: of each stage. bottleneck: whether they are bottlenecks. width: channels of the first stage.
        stride: of the maps, 8 or 4. weights: ``imagenet`` for published ones.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int, blocks: tuple[int, ...], bottleneck: bool, width: int, stride: int, weights: str) -> None:
        super().__init__()
        self.trunk = trunk_of(channels, blocks, bottleneck, width, weights)
        for number, dilation in ((2, 2), (3, 4), (4, 8)) if stride == 4 else ((3, 2), (4, 4)):
            dilate(self.trunk.get_submodule(f"layer{number}"), dilation)
        self.maps = nn.Conv2d((4 if bottleneck else 1) * width * 8, SEGMENTS + PARTS + 2 * (PARTS - 1), 1)
        nn.init.normal_(self.maps.weight, std=0.001)
        nn.init.zeros_(self.maps.bias)  # type: ignore[arg-type]
        known = channels == 3
        self.register_buffer("mean", per_channel("mean", IMAGENET_MEAN if known else [0.45], channels), persistent=False)
        self.register_buffer("std", per_channel("std", IMAGENET_STD if known else [0.23], channels), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Images (N, C, H, W) in [0, 1] to maps (N, 88, H / stride, W / stride)."""
        x = (image - self.mean) / self.std
        x = self.trunk.maxpool(self.trunk.bn1(self.trunk.conv1(x)).relu())
        for stage in range(1, 5):
            x = self.trunk.get_submodule(f"layer{stage}")(x)
        maps: Tensor = self.maps(x)
        return maps


def trunk_of(channels: int, blocks: tuple[int, ...], bottleneck: bool, width: int, weights: str) -> resnet.ResNet:
    """A residual network for ImageNet without its last layer."""
    if weights:
        depth = next((depth for depth, row in resnet.TABLE_1.items() if row == blocks and bottleneck == (depth >= 50)), 0)
        if not depth or width != 64:
            raise PaperzooError(f"weights={weights} are of residual networks of {', '.join(map(str, resnet.TABLE_1))} layers, width 64")
        trunk = resnet.Model(depth=depth, design="imagenet", shortcut="B", width=64, channels=channels, weights=weights).network
    else:
        block = resnet.Bottleneck if bottleneck else resnet.BasicBlock
        trunk = resnet.ResNet("imagenet", block, blocks, width, "B", channels, 1)
    trunk.fc = nn.Identity()  # type: ignore[assignment]
    return trunk


def dilate(stage: nn.Module, dilation: int) -> None:
    """A stage whose convolutions have no stride, and 3x3 ones holes, so that each sees what it would have seen (section 3.1)."""
    for module in stage.modules():
        if isinstance(module, nn.Conv2d):
            module.stride = (1, 1)
            if module.kernel_size == (3, 3):
                module.dilation = module.padding = (dilation, dilation)


# Losses --------------------------------------------------------------------------------------------------------------


def at_points(maps: Tensor, points: Tensor, tall: int, wide: int) -> Tensor:
    """Maps (N, K, h, w) of images of ``tall`` x ``wide`` pixels, bilinearly at points (N, Q, 2), x and y in pixels: (N, K, Q)."""
    grid = 2 * points / torch.tensor([wide, tall], dtype=points.dtype, device=points.device) - 1
    return F.grid_sample(maps, grid[:, None], padding_mode="border", align_corners=False)[:, :, 0]


def part_error(logits: Tensor, part: Tensor) -> Tensor:
    """Cross-entropy of logits (N, K, ...) at each place (N, ...) whose part is known, 0 where it is -1."""
    return F.cross_entropy(logits, part, ignore_index=-1, reduction="none")


def chart_error(uv: Tensor, part: Tensor, true: Tensor, beta: float) -> Tensor:
    """Smooth L1 of U and V, summed, of the true part alone, 0 where there is none.

    Args:
        uv: (N, 2, 24, ...), of all parts. part: (N, ...), from 1, 0 for none. true: (N, 2, ...).
    """
    chart = (part - 1).clamp(min=0)[:, None, None].expand(-1, 2, 1, *part.shape[1:])
    error = F.smooth_l1_loss(uv.gather(2, chart)[:, :, 0], true, reduction="none", beta=beta).sum(1)
    return error * (part > 0)


def cells(values: Tensor, tall: int, wide: int) -> Tensor:
    """A map (..., H, W) at the pixels in the middle of ``tall`` x ``wide`` cells."""
    by = values.shape[-2] // tall, values.shape[-1] // wide
    return values[..., by[0] // 2 :: by[0], by[1] // 2 :: by[1]]


def painted(answers: Answers, segments: Tensor) -> tuple[Tensor, Tensor]:
    """The teacher's pseudo-labels where a mask's part is known: the likeliest of its surface's parts, and their U and V.

    Args:
        segments: (N, h, w), 0 where nobody is.

    Returns:
        Parts (N, h, w), 0 where nobody is, and U and V in [0, 1] (N, 2, h, w).
    """
    of = torch.from_numpy(COARSE[1:]).to(segments.device)[None, :, None, None]
    part = answers.parts[:, 1:].masked_fill(of != segments[:, None], -torch.inf).argmax(1) + 1
    chart = (part - 1)[:, None, None].expand(-1, 2, 1, -1, -1)
    return part * (segments > 0), answers.uv.gather(2, chart)[:, :, 0].clamp(0, 1)


#: fewer pixels than this share of an image are nobody
LEAST = 0.002


class Model(DensePoser):
    """A fully convolutional network that says of each pixel where on a body it lies; of one person, or of all as if they were one.

    Args:
        blocks, bottleneck, width: of the residual network; those of ResNet-101 by default.
        stride: of its maps.
        teacher: whether another network paints labels everywhere, see the recipe's stages.
        mask, part, chart: weights of the losses of masks, parts, and U and V. beta: where smooth L1 turns from a square into a line.
        weights: ``imagenet`` for published ones.
    """

    def __init__(
        self, *, channels: Size = 3, image_size: Pixels = 512, blocks: Sizes = (3, 4, 23, 3), bottleneck: bool = True, width: Size = 64,
        stride: Literal[4, 8] = 8, teacher: bool = False, mask: NotNegative = 2.0, part: Positive = 0.3, chart: Positive = 20.0,
        beta: Positive = 1.0, weights: str = "",
    ) -> None:  # fmt: skip
        super().__init__(channels, image_size)
        if len(blocks) != 4:
            raise PaperzooError(f"blocks are the numbers of a residual network's four stages, not {len(blocks)}")
        self.weigh, self.beta, self.now = (mask, part, chart), beta, ""
        sizes = (channels, tuple(blocks), bottleneck, width, stride, weights)
        self.network = Network(*sizes)
        self.teacher = Network(*sizes) if teacher else None

    def optimizers(
        self, *, name: Literal["SGD", "AdamW"] = "SGD", lr: NotNegative = 2e-3, warmup: Count = 1, fall: bool = False
    ) -> Optimizers:
        """SGD, whose rate is divided by ten after 100 and 120 of 130 parts of the training, or AdamW.

        Args:
            warmup: steps in which the rate rises, if ``fall``: whether it then falls along a cosine to 0.
        """

        def one(network: Network) -> tuple[torch.optim.Optimizer, object]:
            weights = network.parameters()
            chosen = SGD(weights, lr, 0.9, weight_decay=1e-4) if name == "SGD" else AdamW(weights, lr)
            return chosen, warmup_cosine(warmup) if fall else steps((100 / 130, 120 / 130))

        players = {"network": one(self.network)}
        return players | ({"teacher": one(self.teacher)} if self.teacher is not None else {})  # type: ignore[return-value]

    def stage(self, name: str) -> None:
        """``teacher``, which learns from points, or ``student``, which learns from what the teacher paints, too; else both do at once."""
        if self.teacher is None or name not in ("teacher", "student"):
            raise unknown("stage", name, ("teacher", "student") if self.teacher else (), "of densepose")
        self.now = name

    def answers(self, image: Tensor) -> Tensor:
        """Images (N, C, H, W) to 15 + 25 logits and 2 x 24 coordinates, (N, 88, h, w)."""
        maps: Tensor = self.network(image)
        return maps

    def people(self, image: Tensor) -> list[list[Found]]:
        tall, wide = image.shape[2:]
        answers = answers_of(F.interpolate(self.answers(image).float(), (tall, wide), mode="bilinear", align_corners=False))
        part = answers.parts.argmax(1)  # Eq. 1: the background is one of the 25
        chart = (part - 1).clamp(min=0)[:, None, None].expand(-1, 2, 1, -1, -1)
        uv = answers.uv.gather(2, chart)[:, :, 0].clamp(0, 1) * (part > 0)[:, None]  # (N, 2, H, W)
        sure = 1 - answers.parts.softmax(1)[:, 0]
        return [self._person(*each) for each in zip(part.cpu().numpy(), uv.cpu().numpy(), sure.cpu().numpy(), strict=True)]

    def _person(self, part: np.ndarray, uv: np.ndarray, sure: np.ndarray) -> list[Found]:
        rows, columns = np.nonzero(part)
        if len(rows) < LEAST * part.size:
            return []
        box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], np.float32)
        return [Found(float(sure[part > 0].mean()), box, part, uv)]

    def step(self, batch: Batch, opt: Players) -> dict[str, Tensor]:
        """One batch. Sums are divided by counts over all processes, so that many are as one."""
        losses, labels = dict[str, Tensor](), None
        if self.teacher is not None and self.now != "student":
            losses["teacher"], said = self._loss(self.teacher(self.seen(batch)), batch, opt)
        if self.now != "teacher":
            if self.teacher is not None:
                labels = self.paint(batch)
            losses["network"], said = self._loss(self.network(batch.image), batch, opt, labels)
        opt.minimize(**losses)
        return said

    def paint(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The teacher's pseudo-labels for people's pixels, in eval mode without gradients: see ``painted``."""
        assert self.teacher is not None
        self.teacher.eval()
        with torch.no_grad():
            maps = self.teacher(self.seen(batch))
        self.teacher.train(self.training)
        return painted(answers_of(maps), cells(batch.segments, *maps.shape[2:]))

    def seen(self, batch: Batch) -> Tensor:
        """The teacher's input: people alone, in front of black."""
        image: Tensor = batch.image * (batch.segments > 0)[:, None]
        return image

    def _loss(
        self, maps: Tensor, batch: Batch, opt: Players, labels: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        tall, wide = batch.image.shape[2:]
        segments = cells(batch.segments, *maps.shape[2:])
        answers, there = answers_of(maps), segments > 0
        points, part = batch.points.flatten(1, 2), batch.point_part.flatten(1)  # (N, M, P, 2) -> (N, M P, 2)
        true = batch.point_uv.flatten(1, 2).transpose(1, 2)  # (N, 2, M P)
        near = answers_of(at_points(maps, points, tall, wide)[..., None])  # (N, K, M P, 1)
        known, empty = opt.mean((part > 0).sum().float()).clamp(min=1), opt.mean((~there).sum().float()).clamp(min=1)
        mask = part_error(answers.segments, segments).mean()
        parts = part_error(near.parts[..., 0], torch.where(part > 0, part, -1)).sum() / known
        parts = parts + part_error(answers.parts, torch.where(there, -1, 0)).sum() / empty
        charts = chart_error(near.uv[..., 0], part, true, self.beta).sum() / known
        if labels is not None:
            full = opt.mean(there.sum().float()).clamp(min=1)
            parts = parts + part_error(answers.parts, torch.where(there, labels[0], -1)).sum() / full
            charts = charts + chart_error(answers.uv, labels[0], labels[1], self.beta).sum() / full
        of_mask, of_part, of_chart = self.weigh
        said = {"masks": mask.detach(), "parts": parts.detach(), "charts": charts.detach()}
        return of_mask * mask + of_part * parts + of_chart * charts, said


VARIANTS: dict[str, dict[str, object]] = {"sparse": {}, "teacher": {"teacher": True}, "resnet50": {"blocks": (3, 4, 6, 3)}}

_LITTLE = {"blocks": (2, 2, 2, 1), "bottleneck": False, "width": 32, "stride": 8, "part": 1.0, "mask": 1.0, "chart": 4.0, "beta": 0.1}
_FAST = {"name": "AdamW", "lr": 3e-3, "warmup": 30, "fall": True}
_TINY = {"blocks": (1, 1, 1, 1), "bottleneck": False, "width": 16, "stride": 4, "part": 1.0, "chart": 4.0, "beta": 0.1}
RECIPES = {
    "paper": Recipe(data="densepose-coco", steps=130_000, batch_size=16, augment=("flip",), variants=("sparse", "resnet50")),
    "small": Recipe(
        data="drawn-people", steps=1500, batch_size=16, augment=("flip",), model=_LITTLE, optimizer=_FAST,
        targets=(Target("part accuracy", at_least=0.90), Target("uv error", at_most=0.08)), variants=("sparse",),
    ),
    "smoke": Recipe(
        data="people-plain", steps=24, batch_size=8, model=_TINY, optimizer=_FAST | {"warmup": 5}, precision="float32",
        variants=("sparse",),
    ),
}  # fmt: skip
RECIPES["paper-teacher"] = RECIPES["paper"].but(
    steps=260_000, stages=(Stage("teacher", 130_000), Stage("student", 130_000)), variants=("teacher",)
)
RECIPES["small-teacher"] = RECIPES["small"].but(
    stages=(Stage("teacher", 750), Stage("student", 750)), variants=("teacher",), note="as many steps as without a teacher",
    targets=(Target("part accuracy", at_least=0, than="sparse:small"), Target("uv error", at_most=0, than="sparse:small")),
)  # fmt: skip
RECIPES["smoke-teacher"] = RECIPES["smoke"].but(variants=("teacher",))
