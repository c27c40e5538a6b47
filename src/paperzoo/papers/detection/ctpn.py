"""CTPN: a line of text is a row of strips 16 pixels wide, each found where the ones beside it say that it is (Tian et al. 2016).

VGG-16 shrinks a picture 16 times. A window of 3x3 slides over every row of its last map, and a recurrent network with 128 units each way
reads the windows of a row from left to right and from right to left (section 3.2), so that a strip is seen in its line. Every window has
k = 10 anchors, all 16 pixels wide, 11 to 273 high, each 1 / 0.7 of the one before, and answers for each whether it is text, where text
begins and how high it is, and how far a line's end is from the strip's middle (sections 3.1 and 3.3):

    v_c = (c_y - c_y^a) / h^a,    v_h = log(h / h^a),    o = (x_side - c_x^a) / w^a                              (1, 2, 4)
    L = 1 / N_s sum L_cl(s, s*) + lambda_1 / N_v sum L_re(v, v*) + lambda_2 / N_o sum L_re(o, o*)                      (5)

with 128 anchors a picture, half of them text. Strips are linked to lines, whose ends are moved by o (``tasks.decoding.connector``).
Read ``Network.forward``, then ``targets``, then ``ctpn_loss`` beside equation 5.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, AdamW

from paperzoo.data import Batch, Dataset
from paperzoo.nn.schedules import steps, warmup_cosine
from paperzoo.papers.detection.trunks import VGG16
from paperzoo.ranges import Count, NotNegative, Pixels, Positive, Share, Size, Sizeable
from paperzoo.records import Recipe, Target
from paperzoo.tasks.decoding.connector import Strips, connected, links
from paperzoo.tasks.model import Optimizers, Players
from paperzoo.tasks.text_detection import Reading, TextDetector, draw

STRIDE = 16  # of the last map, and width of a strip
#: heights of the anchors (section 3.1): 11 to 273 pixels
HEIGHTS = tuple(11 / 0.7**i for i in range(10))


class Network(nn.Module):
    """VGG-16 up to conv5, windows of 3x3, a recurrent network along each row, a layer of 512, and three outputs of each anchor.

    Args:
        recurrent: units each way; 0 for a linear layer of 256 units in its place, which sees one window.
        width: factor on all channels. anchors: k.
    """

    def __init__(self, channels: int, width: float, batch_norm: bool, recurrent: int, anchors: int, weights: str) -> None:
        super().__init__()
        self.trunk = VGG16(channels, width, batch_norm, weights, poolings=4)
        inputs, hidden = 9 * self.trunk.sizes[2], max(8, round(width * 512))
        self.recurrent = nn.LSTM(inputs, recurrent, batch_first=True, bidirectional=True) if recurrent else None
        self.alone = None if recurrent else nn.Linear(inputs, 256)
        self.hidden = nn.Linear(2 * recurrent or 256, hidden)
        self.outputs = nn.Linear(hidden, 4 * anchors)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1] to (N, 4k, H / 16, W / 16): for each anchor the logit of text, v_c, v_h and o."""
        maps = self.trunk(image)[-1]
        number, _, tall, wide = maps.shape
        windows = F.unfold(maps, 3, padding=1).view(number, -1, tall, wide)  # (N, 9C, h, w)
        rows = windows.permute(0, 2, 3, 1).flatten(0, 1)  # (N h, w, 9C), each row a sequence
        if self.recurrent is not None:
            rows = self.recurrent(rows)[0]
        elif self.alone is not None:
            rows = self.alone(rows).relu()
        outputs: Tensor = self.outputs(self.hidden(rows).relu())  # (N h, w, 4k)
        return outputs.view(number, tall, wide, -1).permute(0, 3, 1, 2)


# Anchors and what they learn -----------------------------------------------------------------------------------------


def strips_of(boxes: Tensor, columns: int) -> tuple[Tensor, Tensor]:
    """The strips that boxes (N, M, 4) are cut into on the grid of 16 pixels: top and bottom (N, M, W, 2), and whether there is one.

    A column has a strip if the box covers half of it or more, or if it is the column that holds more of the box than any other.
    """
    left = STRIDE * torch.arange(columns, device=boxes.device, dtype=boxes.dtype)
    part = (torch.minimum(boxes[..., 2:3], left + STRIDE) - torch.maximum(boxes[..., :1], left)).clamp(min=0)  # (N, M, W)
    there = (part >= STRIDE / 2) | ((part == part.amax(2, keepdim=True)) & (part > 0))
    return boxes[:, :, None, [1, 3]].expand(*part.shape, 2), there


class Truth(NamedTuple):
    """The targets of A = k h w anchors of N pictures.

    Attributes:
        label: 1 for text, 0 for none, -1 for what is not learnt, int64 (N, k, h, w); v: (N, k, h, w, 2), v_c and v_h.
        o: (N, k, h, w); side: bool (N, k, h, w), which anchors learn it: those of text within 32 pixels of a line's end.
    """

    label: Tensor
    v: Tensor
    o: Tensor
    side: Tensor


def targets(boxes: Tensor, real: Tensor, ignored: Tensor, heights: Tensor, grid: tuple[int, int]) -> Truth:
    """Anchors with an overlap above 0.7 with a strip, or the greatest with it, are text; those below 0.5 with all are none.

    All anchors and strips of a column are equally wide, so that their overlap is that of their heights.

    Args:
        boxes: (N, M, 4) of lines; real: bool (N, M), those to be found; ignored: bool (N, M), those that need not be.
        heights: (k).
    """
    tall, wide = grid
    middle = STRIDE * (torch.arange(tall, device=boxes.device, dtype=boxes.dtype) + 0.5)
    low, high = (middle[None] + sign * heights[:, None] / 2 for sign in (-1, 1))  # (k, h)
    ends, there = strips_of(boxes, wide)  # (N, M, W, 2), (N, M, W)
    top, bottom = (ends[..., i][:, :, None, None] for i in range(2))  # (N, M, 1, 1, W)
    both = (torch.minimum(bottom, high[..., None]) - torch.maximum(top, low[..., None])).clamp(min=0)  # (N, M, k, h, W)
    overlap = both / (bottom - top + heights[:, None, None] - both).clamp(min=1e-6)
    overlap = overlap * there[:, :, None, None]
    known = overlap * real[:, :, None, None, None]
    best, owner = known.max(1)  # (N, k, h, W)
    greatest = known.amax((2, 3), keepdim=True)  # of each strip over all anchors of its column
    chosen = ((known == greatest) & (greatest > 0)).any(1)
    label = torch.full_like(owner, -1)
    label[best < 0.5] = 0
    label[(best > 0.7) | chosen] = 1
    label[((overlap * ignored[:, :, None, None, None]).amax(1) >= 0.5) & (label < 1)] = -1
    number = torch.arange(len(boxes), device=boxes.device)[:, None, None, None]
    matched = boxes[number, owner]  # (N, k, h, W, 4)
    tallness = heights[:, None, None]
    v = torch.stack([((matched[..., 1] + matched[..., 3]) / 2 - middle[:, None]) / tallness,
                     ((matched[..., 3] - matched[..., 1]).clamp(min=1) / tallness).log()], -1)  # fmt: skip
    across = STRIDE * (torch.arange(wide, device=boxes.device, dtype=boxes.dtype) + 0.5)
    from_left, from_right = matched[..., 0] - across, matched[..., 2] - across
    nearer = torch.where(from_left.abs() <= from_right.abs(), from_left, from_right)
    return Truth(label, v, nearer / STRIDE, (label == 1) & (nearer.abs() <= 2 * STRIDE))


def drawn(label: Tensor, most: int) -> Tensor:
    """Which anchors (N, k, h, w) a step learns from: ``most`` of each picture by chance, at most half of them text."""
    chance = torch.rand(label.shape).to(label.device).flatten(1)
    flat = label.flatten(1)

    def first(kind: int, number: Tensor) -> Tensor:
        """The anchors of this kind whose random number is among the ``number`` (N) largest."""
        rank = chance.masked_fill(flat != kind, -1).argsort(dim=1, descending=True).argsort(dim=1)
        some: Tensor = (flat == kind) & (rank < number[:, None])
        return some

    text = (flat == 1).sum(1).clamp(max=most // 2)
    return (first(1, text) | first(0, most - text)).view_as(label)


class Terms(NamedTuple):
    """The parts of equation 5, without their weights."""

    score: Tensor
    height: Tensor
    side: Tensor


def ctpn_loss(answers: Tensor, truth: Truth, chosen: Tensor, counts: Tensor) -> Terms:
    """Equation 5: cross-entropy, and smooth L1 of v and of o.

    Args:
        answers: (N, 4, k, h, w), logit, v_c, v_h, o. chosen: anchors that are learnt from. counts: (3), N_s, N_v and N_o.
    """
    text, side = chosen & (truth.label == 1), chosen & truth.side
    score = F.binary_cross_entropy_with_logits(answers[:, 0][chosen], (truth.label[chosen] == 1).to(answers.dtype), reduction="sum")
    said = answers[:, 1:3].permute(0, 2, 3, 4, 1)[text]
    height = F.smooth_l1_loss(said, truth.v[text], reduction="sum")
    ends = F.smooth_l1_loss(answers[:, 3][side], truth.o[side], reduction="sum")
    return Terms(score / counts[0], height / counts[1], ends / counts[2])


class Model(TextDetector):
    """A network that finds strips of text, and what links them to lines.

    Args:
        width: factor on all channels but the recurrent ones. batch_norm: in VGG-16, too. recurrent: units each way, 0 for none.
        heights: of the anchors. anchors: that a step learns from, of a picture.
        height, side: lambda_1 and lambda_2. refine: whether lines' ends are moved by o.
        gap: pixels between strips that are linked at most. agree: least overlap of their heights.
        overlap: most IoU of two strips that are kept. least: mean score of a line.
        threshold: least score of a strip. weights: ``imagenet`` for published ones of VGG-16.
    """

    heights: Tensor
    stride = STRIDE

    def __init__(
        self, *, channels: Size = 3, image_size: Pixels = 608, width: Positive = 1.0, batch_norm: bool = False, recurrent: Sizeable = 128,
        anchors: Count = 128, height: NotNegative = 1.0, side: NotNegative = 2.0, refine: bool = True, gap: Positive = 50.0,
        agree: Share = 0.7, overlap: Share = 0.2, least: Share = 0.7, threshold: Share = 0.7, weights: str = "",
    ) -> None:  # fmt: skip
        super().__init__(channels, image_size, threshold)
        self.register_buffer("heights", torch.tensor(HEIGHTS), persistent=False)
        self.anchors, self.height, self.side, self.refine = anchors, height, side, refine
        self.gap, self.agree, self.overlap, self.least = gap, agree, overlap, least
        self.network = Network(channels, width, batch_norm, recurrent, len(HEIGHTS), weights)

    def optimizers(
        self, *, name: Literal["SGD", "AdamW"] = "SGD", lr: NotNegative = 1e-3, decay: NotNegative = 5e-4, warmup: Count = 1,
        fall: bool = False,
    ) -> Optimizers:  # fmt: skip
        """SGD with momentum 0.9, 0.001 for 16,000 steps and a tenth for 4,000 (section 3.4), or AdamW.

        Args:
            warmup: steps in which the rate rises, if ``fall``: whether it then falls along a cosine to 0.
        """
        parameters = self.network.parameters()
        chosen = SGD(parameters, lr, 0.9, weight_decay=decay) if name == "SGD" else AdamW(parameters, lr, weight_decay=decay)
        return {"network": (chosen, warmup_cosine(warmup) if fall else steps((0.8,)))}

    def answers(self, image: Tensor) -> Tensor:
        """Images to the logit, v_c, v_h and o of each anchor, in this order: (N, 4k, h, w)."""
        output: Tensor = self.network(image)
        return output

    def strips(self, answers: Tensor, threshold: float) -> list[Strips]:
        """The strips of each picture whose score is above the threshold, after suppression in their columns."""
        strips = []
        for maps in answers.unflatten(1, (4, -1)):  # type: ignore[no-untyped-call]
            score = maps[0].sigmoid()
            k, row, column = (score > threshold).nonzero(as_tuple=True)
            tall = self.heights[k].cpu()
            middle = STRIDE * (row + 0.5) + maps[1][k, row, column] * tall
            half = tall * maps[2][k, row, column].clamp(max=4).exp() / 2
            values = (column, middle - half, middle + half, STRIDE * (column + 0.5 + maps[3][k, row, column]), score[k, row, column])
            strips.append(Strips(*(v.double().numpy() for v in values)).suppressed(self.overlap))
        return strips

    def read(self, answers: Tensor, threshold: float) -> list[Reading]:
        readings = []
        for strips in self.strips(answers, threshold):
            lines = connected(strips, STRIDE, self.gap, self.agree, self.refine)
            kept = [line for line in lines if line.score >= self.least]
            order = sorted(kept, key=lambda line: -line.score)
            quads = np.array([line.quad for line in order], np.float64).reshape(-1, 4, 2)
            readings.append(Reading(quads, np.array([line.score for line in order])))
        return readings

    def made_of(self, image: Tensor) -> list[tuple[list[Any], list[Any], list[Any]]]:
        """Strips, links and lines of images, in eval mode: the middle and the right of figure 1."""
        with torch.no_grad():
            answers = self.answers(image.to(self.heights.device)).float().cpu()
        made = []
        for strips, reading in zip(self.strips(answers, self.threshold), self.read(answers, self.threshold), strict=True):
            x, middle = STRIDE * strips.column, (strips.top + strips.bottom) / 2
            boxes = [(left, top, left + STRIDE, bottom) for left, top, bottom in zip(x, strips.top, strips.bottom, strict=True)]
            ends = [tuple((x[i] + STRIDE / 2, middle[i]) for i in pair) for pair in links(strips, STRIDE, self.gap, self.agree)]
            made.append((boxes, ends, list(reading.quads)))
        return made

    def show(self, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        return super().show(dataset, split, folder, stem) + draw.parts(self, dataset, split, folder, stem)

    def step(self, batch: Batch, opt: Players) -> dict[str, Tensor]:
        """One batch. Sums are divided by counts over all processes, so that many are as one."""
        answers = self.answers(batch.image).float()
        grid = (answers.shape[2], answers.shape[3])
        answers = answers.unflatten(1, (4, -1))  # type: ignore[no-untyped-call]  # (N, 4, k, h, w)
        real = torch.arange(batch.boxes.shape[1], device=answers.device) < batch.objects[:, None]  # (N, M)
        truth = targets(batch.boxes, real & ~batch.difficult, real & batch.difficult, self.heights, grid)
        chosen = drawn(truth.label, self.anchors)
        number = torch.stack([chosen.sum(), (chosen & (truth.label == 1)).sum(), (chosen & truth.side).sum()]).float()
        terms = ctpn_loss(answers, truth, chosen, opt.mean(number).clamp(min=1))
        opt.network.minimize(terms.score + self.height * terms.height + self.side * terms.side)
        return {name: value.detach() for name, value in terms._asdict().items()}


VARIANTS: dict[str, dict[str, object]] = {"full": {}, "unrefined": {"refine": False}, "alone": {"recurrent": 0}}

_LITTLE = {"width": 0.125, "batch_norm": True, "recurrent": 64, "anchors": 64, "least": 0.9}
_FAST = {"name": "AdamW", "lr": 3e-3, "decay": 1e-2, "warmup": 30, "fall": True}
RECIPES = {
    "paper": Recipe(
        data="icdar2013", steps=20_000, batch_size=1, targets=(Target("hmean", at_least=0.82, claim="icdar2013-iou"),), variants=("full",),
    ),
    "small": Recipe(
        data="lines", steps=560, batch_size=8, model=_LITTLE, optimizer=_FAST,
        targets=(Target("hmean", at_least=0.75, variants=("full",)),), variants=("full", "unrefined"),
    ),
    "smoke": Recipe(
        data="lines-plain", steps=24, batch_size=8, model={"width": 0.03125, "batch_norm": True, "recurrent": 4, "anchors": 16},
        optimizer=_FAST | {"warmup": 5}, precision="float32", variants=("full",),
    ),
}  # fmt: skip
RECIPES["small-alone"] = RECIPES["small"].but(model=_LITTLE | {"recurrent": 0}, targets=(), variants=("alone",))
