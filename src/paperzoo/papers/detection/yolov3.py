"""YOLOv3: boxes at three scales, each by the layers that see it best (Redmon and Farhadi 2018).

Darknet-53 shrinks a picture 32 times, by residual blocks and convolutions of stride 2 (section 2.4, table 1). Boxes are proposed at
1/32, 1/16 and 1/8 of its sides, three anchors each; on the way back up features are enlarged and joined with those of the trunk
(section 2.3). Places are decoded as in YOLOv2 (section 2.1, figure 2):

    b_x = sigma(t_x) + c_x,    b_y = sigma(t_y) + c_y,    b_w = p_w e^{t_w},    b_h = p_h e^{t_h}.

What is new in the loss: objectness is logistic regression, 1 for the one anchor over all scales that overlaps a truth most; an anchor
that is not the best but overlaps a truth by more than 0.5 has no part in it; and each class is a logistic classifier of its own,
without softmax (section 2.2), for a thing may be both a woman and a person.

Read ``Head`` and ``Network.forward``, then ``shared_out`` and ``scale_loss`` beside sections 2.1 and 2.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, AdamW

from paperzoo.data import Batch
from paperzoo.data.boxes.anchors import NUMBERS
from paperzoo.errors import PaperzooError
from paperzoo.metrics.iou import iou
from paperzoo.nn.schedules import steps, warmup_cosine
from paperzoo.papers.detection.yolov2 import Conv, decoded, resized
from paperzoo.pretrained import darknet
from paperzoo.ranges import Count, NotNegative, Part, Pixels, Positive, Size, Sizes, SomeShare
from paperzoo.records import Recipe, Target
from paperzoo.tasks.detection import Candidates, Detector
from paperzoo.tasks.model import Optimizers, Players


class Residual(nn.Module):
    """A 1x1 convolution to half the channels, a 3x3 one back, and what was there."""

    def __init__(self, channels: int, memory: float) -> None:
        super().__init__()
        half = max(4, channels // 2)
        self.squeeze, self.spread = Conv(channels, half, 1, memory=memory), Conv(half, channels, 3, memory=memory)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        change: Tensor = self.spread(self.squeeze(x))
        return x + change


#: residual blocks at each halving (table 1), and the scales that are read: 1/8, 1/16, 1/32
BLOCKS, STRIDES = (1, 2, 8, 8, 4), (8, 16, 32)


class Darknet53(nn.Module):
    """52 convolutions (table 1); the 53rd, fully connected, would make it a classifier."""

    def __init__(self, channels: int, widths: Sequence[int], memory: float, blocks: Sequence[int] = BLOCKS) -> None:
        super().__init__()
        self.first = Conv(channels, widths[0], 3, memory=memory)
        self.stages = nn.ModuleList(
            nn.Sequential(Conv(into, out, 3, 2, memory), *(Residual(out, memory) for _ in range(number)))
            for into, out, number in zip(widths, widths[1:], blocks, strict=False)
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """(N, C, H, W) to features at 1/8, 1/16 and 1/32 of its sides."""
        x, stages = self.first(image), []
        for stage in self.stages:
            x = stage(x)
            stages.append(x)
        return stages[-3:]


class Head(nn.Module):
    """Five convolutions, of which the last feeds the next finer scale too; then a 3x3 and the 1x1 that proposes (section 2.3)."""

    def __init__(self, into: int, half: int, outputs: int, memory: float) -> None:
        super().__init__()
        channels = (into, half, 2 * half, half, 2 * half, half)
        self.five = nn.Sequential(*(Conv(a, b, 3 if b > half else 1, memory=memory) for a, b in zip(channels, channels[1:], strict=False)))
        self.spread, self.predict = Conv(half, 2 * half, 3, memory=memory), nn.Conv2d(2 * half, outputs, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, h, w) to features (N, C', h, w) for the next scale, and outputs (N, 3(5 + K), h, w)."""
        x = self.five(x)
        return x, self.predict(self.spread(x))


class Network(nn.Module):
    """Trunk and three heads, the coarsest first, in the order of the released cfg; ``width`` is a factor on all channels."""

    def __init__(self, channels: int, outputs: int, width: float, memory: float, blocks: Sequence[int] = BLOCKS) -> None:
        super().__init__()

        def wide(number: int) -> int:
            return max(4, round(width * number))

        self.trunk = Darknet53(channels, [wide(number) for number in (32, 64, 128, 256, 512, 1024)], memory, blocks)
        self.coarse = Head(wide(1024), wide(512), outputs, memory)
        self.to_middle = Conv(wide(512), wide(256), 1, memory=memory)
        self.middle = Head(wide(512) + wide(256), wide(256), outputs, memory)
        self.to_fine = Conv(wide(256), wide(128), 1, memory=memory)
        self.fine = Head(wide(256) + wide(128), wide(128), outputs, memory)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, C, H, W) in [0, 1] to outputs (N, 3(5 + K), h, w) at 1/8, 1/16 and 1/32 of its sides."""
        eighth, sixteenth, last = self.trunk(image)
        x, coarse = self.coarse(last)
        x, middle = self.middle(torch.cat([F.interpolate(self.to_middle(x), scale_factor=2.0), sixteenth], 1))
        _, fine = self.fine(torch.cat([F.interpolate(self.to_fine(x), scale_factor=2.0), eighth], 1))
        return fine, middle, coarse


# Losses --------------------------------------------------------------------------------------------------------------


class Shares(NamedTuple):
    """Which truth is learnt where, at one scale: of each of T truths its image, its place in the image's list, anchor, row and column."""

    image: Tensor
    truth: Tensor
    anchor: Tensor
    row: Tensor
    column: Tensor


def shared_out(
    boxes: Tensor, real: Tensor, anchors: Tensor, grids: Sequence[tuple[int, int]], strides: Sequence[int] = STRIDES
) -> list[Shares]:
    """To each truth the one anchor of its shape over all scales, in the cell of its middle; where two meet, the later has the place.

    Args:
        boxes: (N, M, 4) in pixels; real: bool (N, M), truths to be learnt.
        anchors: (S, A, 2) in pixels; grids: height and width of each scale's; strides: pixels of a cell's side.
    """
    image, truth = real.nonzero(as_tuple=True)
    box, flat = boxes[image, truth], anchors.flatten(0, 1)  # (T, 4), (S A, 2)
    size, middle = box[:, 2:] - box[:, :2], (box[:, :2] + box[:, 2:]) / 2
    both = torch.minimum(size[:, None], flat).prod(2)
    best = (both / (size.prod(1, keepdim=True) + flat.prod(1) - both)).argmax(1)  # (T), over all scales
    per_scale = []
    for scale, (grid, stride) in enumerate(zip(grids, strides, strict=True)):
        here = best // anchors.shape[1] == scale
        row, column = ((middle[here, i] / stride).long().clamp(0, grid[1 - i] - 1) for i in (1, 0))
        key = torch.stack([image[here], best[here], row, column], 1)
        last = (key[:, None] == key).all(2).long().triu(1).sum(1) == 0  # no later truth has the same place
        parts = (image[here], truth[here], best[here] % anchors.shape[1], row, column)
        per_scale.append(Shares(*(part[last] for part in parts)))
    return per_scale


class Terms(NamedTuple):
    """The parts of the loss, each the sum over the batch's images over their number."""

    coord: Tensor
    object: Tensor
    noobject: Tensor
    label: Tensor


def scale_loss(
    output: Tensor, boxes: Tensor, labels: Tensor, some: Tensor, shares: Shares, anchors: Tensor, stride: int, ignore: float
) -> Terms:
    """The loss of one scale: squares of the errors of t_x, t_y, t_w, t_h, cross-entropies of objectness and of each class.

    Args:
        output: (N, A, 5 + K, h, w); boxes: (N, M, 4) in pixels; labels: int64 (N, M).
        some: bool (N, M), what there is at all; ``ignore``: overlap above which a box is not called nothing.
    """
    number, grid = len(output), output.shape[3:]
    overlap = iou(decoded(output.detach(), anchors, stride).flatten(1, 3), boxes) * some[:, None]  # (N, A h w, M)
    image, truth, anchor, row, column = shares
    nothing = (overlap.amax(2) <= ignore).view(number, len(anchors), *grid)
    nothing[image, anchor, row, column] = False
    box, response = boxes[image, truth], output[image, anchor, :, row, column]  # (T, 4), (T, 5 + K)
    size, middle = box[:, 2:] - box[:, :2], (box[:, :2] + box[:, 2:]) / 2 / stride
    target = torch.cat([middle - torch.stack([column, row], 1), (size / anchors[anchor]).log()], 1)
    place = torch.cat([response[:, :2].sigmoid(), response[:, 2:4]], 1)
    small = 2 - size.prod(1, keepdim=True) / (grid[0] * grid[1] * stride**2)
    classes = F.one_hot(labels[image, truth], response.shape[1] - 5).to(response)
    return Terms(
        0.5 * (small * (target - place).square()).sum() / number,
        F.softplus(-response[:, 4]).sum() / number,  # -log sigma(t_o)
        (nothing * F.softplus(output[:, :, 4])).sum() / number,  # -log(1 - sigma(t_o))
        F.binary_cross_entropy_with_logits(response[:, 5:], classes, reduction="sum") / number,
    )


#: the nine anchors of section 2.3, in pixels of pictures of 416
ANCHORS = ((10, 13), (16, 30), (33, 23), (30, 61), (62, 45), (59, 119), (116, 90), (156, 198), (373, 326))


class Model(Detector):
    """The network, its nine anchors, three a scale from the smallest, and pictures of changing size.

    Args:
        anchors9: nine widths and heights in pixels, from the data; default: those of COCO (section 2.3).
        width: see ``Network``. blocks: residual blocks at each halving, five numbers; those of Darknet-53.
        sizes: sides of the pictures that are drawn from anew every ten batches; none for ``image_size`` alone.
        ignore: IOU with a truth above which a box is not called nothing: 0.5 (section 2.1; the released cfg says 0.7).
        coord, label: weights of the errors of place and of class, both 1 in the released cfg.
        memory: share by which a batch moves the statistics of batch normalisation.
        weights: ``coco``, as published, a darknet ``.weights`` file, or the trunk's alone, ``darknet53.conv.74``.
    """

    anchors: Tensor
    side: Tensor

    def __init__(
        self, *, channels: Size = 3, image_size: Pixels = 416, classes: Size = 80, anchors9: Sequence[Sequence[Positive]] = ANCHORS,
        width: SomeShare = 1.0, blocks: Sizes = BLOCKS, sizes: Sequence[Pixels] = (),
        ignore: Part = 0.5, coord: NotNegative = 1.0, label: NotNegative = 1.0,
        memory: SomeShare = 0.01, weights: str = "",
    ) -> None:  # fmt: skip
        super().__init__(channels, image_size, classes)
        if len(anchors9) != NUMBERS[1] or any(len(shape) != 2 for shape in anchors9):
            raise PaperzooError(f"anchors9 are {NUMBERS[1]} widths and heights, not {len(anchors9)} of {[len(a) for a in anchors9][:1]}")
        if any(side % self.stride for side in sizes):
            raise PaperzooError(f"sizes are multiples of {self.stride}, not {', '.join(map(str, sizes))}")
        if len(blocks) != len(BLOCKS):
            raise PaperzooError(f"blocks are the numbers at the trunk's {len(BLOCKS)} halvings, not {len(blocks)}")
        self.register_buffer("anchors", torch.tensor([list(shape) for shape in anchors9]).float().view(3, 3, 2), persistent=False)
        self.register_buffer("side", torch.tensor(image_size))
        self.sizes, self.ignore, self.coord, self.label = tuple(sizes), ignore, coord, label
        self.network = Network(channels, 3 * (5 + classes), width, memory, blocks)
        if weights:
            self.names = darknet.load(self.network, weights, {"coco": darknet.YOLOV3}, classes)

    def optimizers(
        self, *, name: Literal["SGD", "AdamW"] = "SGD", lr: NotNegative = 1e-3, decay: NotNegative = 5e-4, warmup: Count = 1,
        fall: bool = False,
    ) -> Optimizers:  # fmt: skip
        """SGD with momentum 0.9, a tenth of the rate after 0.8 and 0.9 of the steps (released cfg), or AdamW.

        Args:
            warmup: steps in which the rate rises, if ``fall``: whether it then falls along a cosine to 0.
        """
        parameters = self.network.parameters()
        chosen = SGD(parameters, lr, 0.9, weight_decay=decay) if name == "SGD" else AdamW(parameters, lr, weight_decay=decay)
        return {"network": (chosen, warmup_cosine(warmup) if fall else steps((0.8, 0.9)))}

    def answers(self, image: Tensor) -> list[Tensor]:
        """Images (N, C, H, W) to outputs (N, 3, 5 + K, h, w) of each scale, the finest first."""
        return [output.unflatten(1, (3, 5 + self.classes)) for output in self.network(image)]

    def candidates(self, image: Tensor) -> Candidates:
        boxes, objectness, labels = [], [], []
        for output, anchors, stride in zip(self.answers(image), self.anchors, STRIDES, strict=True):
            boxes.append(decoded(output, anchors, stride).flatten(1, 3))  # (N, A h w, 4)
            objectness.append(output[:, :, 4].sigmoid().flatten(1))
            labels.append(output[:, :, 5:].sigmoid().permute(0, 1, 3, 4, 2).flatten(1, 3))  # (N, A h w, K)
        there = torch.cat(objectness, 1)
        return Candidates(torch.cat(boxes, 1), there, there[..., None] * torch.cat(labels, 1))

    def step(self, batch: Batch, opt: Players) -> dict[str, Tensor]:
        """One batch."""
        image, boxes = resized(batch, self.side, self.sizes, opt)
        some = torch.arange(boxes.shape[1], device=boxes.device) < batch.objects[:, None]  # (N, M)
        real = some & ~batch.difficult & ~batch.crowd
        outputs = self.answers(image)
        shares = shared_out(boxes, real, self.anchors, [(out.shape[3], out.shape[4]) for out in outputs])
        scales = [
            scale_loss(output, boxes, batch.box_label, some, share, anchors, stride, self.ignore)
            for output, share, anchors, stride in zip(outputs, shares, self.anchors, STRIDES, strict=True)
        ]
        terms = Terms(*(torch.stack(part).sum() for part in zip(*scales, strict=True)))
        terms = terms._replace(coord=self.coord * terms.coord, label=self.label * terms.label)
        opt.network.minimize(torch.stack(terms).sum())
        return {name: value.detach() for name, value in terms._asdict().items()}


def cfg(model: Model) -> list[darknet.Section]:
    """The model as a cfg of darknet's, in the order of the released one; ``darknet.cfg_text`` writes it."""
    network, ends = model.network, list[int]()
    sections = [darknet.section(network.trunk.first)]
    for stage in network.trunk.stages:
        for part in stage:  # type: ignore[attr-defined]
            if isinstance(part, Residual):
                sections += [darknet.section(part.squeeze), darknet.section(part.spread)]
                sections.append(darknet.Section("shortcut", {"from": "-3", "activation": "linear"}))
            else:
                sections.append(darknet.section(part))
        ends.append(len(sections) - 1)
    settings = {"anchors": ", ".join(f"{wide:g},{tall:g}" for wide, tall in model.anchors.view(-1, 2).tolist()), "num": "9",
            "classes": str(model.classes), "ignore_thresh": f"{model.ignore:g}", "truth_thresh": "1"}  # fmt: skip
    heads = ((network.coarse, network.to_middle, ends[-2]), (network.middle, network.to_fine, ends[-3]), (network.fine, None, 0))
    for number, (head, onward, beside) in enumerate(heads):
        sections += [darknet.section(layer) for layer in (*head.five, head.spread, head.predict)]
        sections.append(darknet.Section("yolo", {"mask": ",".join(str(6 - 3 * number + i) for i in range(3)), **settings}))
        if onward is not None:
            sections += [darknet.Section("route", {"layers": "-4"}), darknet.section(onward), darknet.Section("upsample", {"stride": "2"})]
            sections.append(darknet.Section("route", {"layers": f"-1,{beside}"}))
    return [darknet.net(model.channels, model.image_size), *sections]


VARIANTS: dict[str, dict[str, object]] = {"coco": {}}
PRETRAINED = {"coco": {"weights": "coco"}}

_LITTLE = {"width": 0.25, "blocks": (1, 1, 1, 1, 1), "memory": 0.1}
_FAST = {"name": "AdamW", "lr": 5e-3, "decay": 1e-2, "warmup": 50, "fall": True}
RECIPES = {
    "paper": Recipe(
        data="coco-boxes", steps=500_200, batch_size=64, augment=("flip", "zoom", "colour"),
        model={"sizes": tuple(range(320, 609, 32))},
        targets=(Target("AP50", at_least=0.553, claim="coco-416-ap50"), Target("AP", at_least=0.31, claim="coco-416-ap")),
    ),
    "small": Recipe(
        data="scenes-boxes", steps=1600, batch_size=16, augment=("flip",), model=_LITTLE, optimizer=_FAST,
        targets=(Target("AP50", at_least=0.30), Target("class-agnostic AP50", at_least=0.65)),
    ),
    "smoke": Recipe(
        data="boxes-plain", steps=24, batch_size=8, model={"width": 0.02, "memory": 0.1, "sizes": (64, 96)},
        optimizer=_FAST | {"lr": 2e-3, "warmup": 5}, precision="float32",
    ),
}  # fmt: skip
RECIPES["small-6"] = RECIPES["small"].but(
    data="scenes-boxes-6", targets=(Target("AP50", at_least=0.45), Target("class-agnostic AP50", at_least=0.70)),
)  # fmt: skip
RECIPES["small-long"] = RECIPES["small"].but(
    steps=7000, augment=("flip", "zoom", "colour"), optimizer={"lr": 2e-3}, targets=(Target("AP50", at_least=0.5),)
)  # fmt: skip
