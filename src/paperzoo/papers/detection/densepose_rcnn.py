"""DensePose-RCNN: a detector's regions, each with the part, U and V of its pixels (Guler, Neverova and Kokkinos 2018, section 3.2).

A residual network with a feature pyramid proposes regions and tells people from none, as Mask R-CNN does (1703.06870). Of each person's
region 14 x 14 features are taken by RoIAlign, which rounds nothing; eight convolutions of 512 channels and a transposed one make of them
15 logits of masks' parts, 25 of the surface's, and U and V of all 24, at 56 x 56 places. Losses are those of ``densepose``: cross-entropy,
and smooth L1 for the true part alone. In the cascade (section 3.3) a second head sees what the first one said. Read ``Head`` first, then
``Model.step``.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, AdamW

from paperzoo.data import Batch
from paperzoo.errors import PaperzooError
from paperzoo.nn.pixels import IMAGENET_MEAN, IMAGENET_STD, per_channel
from paperzoo.nn.schedules import steps, warmup_cosine
from paperzoo.papers.detection.densepose import PARTS, SEGMENTS, answers_of, at_points, chart_error, part_error, trunk_of
from paperzoo.papers.detection.regions import anchors_of, decoded, encoded, matched, pooled, sampled
from paperzoo.ranges import Count, NotNegative, Pixels, Positive, Share, Size, Sizes
from paperzoo.records import Recipe, Target
from paperzoo.tasks.decoding.nms import nms
from paperzoo.tasks.dense_pose import DensePoser, Found
from paperzoo.tasks.model import Optimizers, Players

#: places along each side of a region at which parts, U and V are said
SIDE = 56
#: factors on the offsets of boxes that the second stage says
OFFSETS = (10.0, 10.0, 5.0, 5.0)
#: overlap of proposals and of people above which the worse is suppressed
SAME_PROPOSAL, SAME_PERSON = 0.7, 0.5


class Pyramid(nn.Module):
    """The four stages of a residual network, each as ``width`` channels with what comes from the coarser one added (1612.03144)."""

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int, blocks: tuple[int, ...], bottleneck: bool, trunk: int, width: int, weights: str) -> None:
        super().__init__()
        self.trunk = trunk_of(channels, blocks, bottleneck, trunk, weights)
        sizes = [(4 if bottleneck else 1) * trunk << stage for stage in range(4)]
        self.lateral = nn.ModuleList(nn.Conv2d(size, width, 1) for size in sizes)
        self.smooth = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in sizes)
        known = channels == 3
        self.register_buffer("mean", per_channel("mean", IMAGENET_MEAN if known else [0.45], channels), persistent=False)
        self.register_buffer("std", per_channel("std", IMAGENET_STD if known else [0.23], channels), persistent=False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Images (N, C, H, W) in [0, 1] to maps P2 to P6 at a quarter to a 64th of their sides."""
        x = self.trunk.maxpool(self.trunk.bn1(self.trunk.conv1((image - self.mean) / self.std)).relu())
        stages = []
        for stage in range(1, 5):
            x = self.trunk.get_submodule(f"layer{stage}")(x)
            stages.append(self.lateral[stage - 1](x))
        for finer in (2, 1, 0):
            stages[finer] = stages[finer] + F.interpolate(stages[finer + 1], stages[finer].shape[2:])
        maps = [smooth(level).float() for smooth, level in zip(self.smooth, stages, strict=True)]
        return [*maps, F.max_pool2d(maps[-1], 1, 2)]


class Proposer(nn.Module):
    """At each cell of each map, for each of three anchors, whether somebody is there, and by which offsets (1506.01497)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.shared, self.both = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, 15, 1)
        for module in (self.shared, self.both):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Maps (N, C, h, w) to a logit and four offsets of each anchor, (N, A, 5)."""
        said = [self.both(self.shared(level).relu()) for level in maps]
        return torch.cat([one.permute(0, 2, 3, 1).reshape(len(one), -1, 5) for one in said], 1).float()  # (N, h w 3, 5)


class Judge(nn.Module):
    """Two linear layers on 7 x 7 features: whether a region is a person, and where its box ends."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(49 * width, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.both = nn.Linear(hidden, 2 + 4)

    def forward(self, features: Tensor) -> Tensor:
        """(K, C, 7, 7) to two logits, none and somebody, and four offsets, (K, 6)."""
        verdict: Tensor = self.both(self.layers(features))
        return verdict.float()


class Head(nn.Module):
    """Eight 3x3 convolutions, then a transposed one that doubles the sides, to 88 maps, and twice their sides bilinearly (figure 8).

    Args:
        into: channels of the regions' features. more: of what an earlier head said, 0 without one.
    """

    def __init__(self, into: int, width: int, layers: int, more: int = 0) -> None:
        super().__init__()
        body = list[nn.Module]()
        for number in range(layers):
            body += [nn.Conv2d(width if number else into + more, width, 3, padding=1), nn.ReLU()]
        self.body = nn.Sequential(*body)
        self.maps = nn.ConvTranspose2d(width, SEGMENTS + PARTS + 2 * (PARTS - 1), 4, 2, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        nn.init.normal_(self.maps.weight, std=0.001)
        nn.init.zeros_(self.maps.bias)  # type: ignore[arg-type]

    def forward(self, features: Tensor) -> Tensor:
        """(K, C, 14, 14) to (K, 88, 56, 56)."""
        return F.interpolate(self.maps(self.body(features)), scale_factor=2.0, mode="bilinear", align_corners=False).float()


class Regions(NamedTuple):
    """Boxes (K, 4) in pixels, the number of the image that each lies in (K), and scores (K)."""

    boxes: Tensor
    image: Tensor
    scores: Tensor


class Model(DensePoser):
    """A detector of people with a head for dense pose.

    Args:
        blocks, bottleneck, trunk: of the residual network; those of ResNet-50 by default. width: channels of the pyramid.
        hidden: of the second stage's linear layers. layers, head: convolutions of a dense head, and their channels.
        cascade: whether a second dense head sees what the first one said.
        anchor: side of the smallest anchor in pixels. whole: side of a box that is read from P4.
        proposals: of an image, in training and in use. regions: of an image that the second stage learns from. people: most of an image.
        mask, part, chart: weights of the losses of masks, parts, and U and V. beta: where smooth L1 of U and V turns into a line.
        threshold: least score of a person. weights: ``imagenet`` for published ones.
    """

    by_region = True

    def __init__(
        self, *, channels: Size = 3, image_size: Pixels = 512, blocks: Sizes = (3, 4, 6, 3), bottleneck: bool = True, trunk: Size = 64,
        width: Size = 256, hidden: Size = 1024, layers: Size = 8, head: Size = 512, cascade: bool = False, anchor: Positive = 32.0,
        whole: Positive = 224.0, proposals: Size = 1000, regions: Size = 512, people: Size = 20, mask: NotNegative = 2.0,
        part: Positive = 0.3, chart: Positive = 20.0, beta: Positive = 1.0, threshold: Share = 0.05, weights: str = "",
    ) -> None:  # fmt: skip
        super().__init__(channels, image_size)
        if len(blocks) != 4:
            raise PaperzooError(f"blocks are the numbers of a residual network's four stages, not {len(blocks)}")
        self.anchor, self.whole, self.proposals, self.regions, self.most = anchor, whole, proposals, regions, people
        self.weigh, self.beta, self.threshold = (mask, part, chart), beta, threshold
        self.pyramid = Pyramid(channels, tuple(blocks), bottleneck, trunk, width, weights)
        self.proposer, self.judge, self.head = Proposer(width), Judge(width, hidden), Head(width, head, layers)
        self.second = Head(width, head, layers, SEGMENTS + PARTS + 2 * (PARTS - 1)) if cascade else None

    def optimizers(
        self, *, name: Literal["SGD", "AdamW"] = "SGD", lr: NotNegative = 2e-3, warmup: Count = 1, fall: bool = False
    ) -> Optimizers:
        """SGD, whose rate is divided by ten after 100 and 120 of 130 parts of the training, or AdamW.

        Args:
            warmup: steps in which the rate rises, if ``fall``: whether it then falls along a cosine to 0.
        """
        chosen = SGD(self.parameters(), lr, 0.9, weight_decay=1e-4) if name == "SGD" else AdamW(self.parameters(), lr)
        return {"network": (chosen, warmup_cosine(warmup) if fall else steps((100 / 130, 120 / 130)))}

    def dense(self, maps: list[Tensor], regions: Regions) -> list[Tensor]:
        """The outputs of the cascaded dense heads for regions, each (K, 88, 56, 56); the last is the prediction."""
        features = pooled(maps[:4], regions.boxes, regions.image, 14, self.whole)
        said = [self.head(features)]
        if self.second is not None:
            said.append(self.second(torch.cat([features, F.avg_pool2d(said[0], SIDE // 14)], 1)))
        return said

    def answers(self, image: Tensor) -> Tensor:
        """The last dense head's output for whole images (N, C, H, W), each as one region: (N, 88, 56, 56)."""
        number, (tall, wide) = len(image), image.shape[2:]
        whole = torch.tensor([[0.0, 0.0, wide, tall]], device=image.device).expand(number, 4)
        return self.dense(self.pyramid(image), Regions(whole, torch.arange(number, device=image.device), whole[:, 0]))[-1]

    def propose(self, said: Tensor, anchors: Tensor, tall: int, wide: int) -> list[Tensor]:
        """The best boxes (K, 4) of each image, cut at its border and without such as nearly coincide."""
        proposals, edge = [], torch.tensor([wide, tall, wide, tall], dtype=torch.float32, device=said.device)
        for output in said.detach():
            score, place = output[:, 0].topk(min(len(output), 2 * self.proposals))
            boxes = torch.minimum(decoded(output[place, 1:], anchors[place]).clamp(min=0), edge)
            some = ((boxes[:, 2:] - boxes[:, :2]) >= 2).all(1)
            boxes, score = boxes[some], score[some]
            proposals.append(boxes[nms(boxes, score, SAME_PROPOSAL)[: self.proposals]])
        return proposals

    def people(self, image: Tensor) -> list[list[Found]]:
        maps, (tall, wide) = self.pyramid(image), image.shape[2:]
        anchors = self._anchors(maps)
        people = list[list[Found]]()
        for n, boxes in enumerate(self.propose(self.proposer(maps), anchors, tall, wide)):
            people.append(self._judged([level[n : n + 1] for level in maps], boxes, tall, wide) if len(boxes) else [])
        return people

    def _judged(self, maps: list[Tensor], boxes: Tensor, tall: int, wide: int) -> list[Found]:
        """The people among the regions (K, 4) of one image."""
        none = torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)
        said = self.judge(pooled(maps[:4], boxes, none, 7, self.whole))
        scores, edge = said[:, :2].softmax(1)[:, 1], torch.tensor([wide, tall, wide, tall], device=boxes.device)
        boxes = torch.minimum(decoded(said[:, 2:], boxes, OFFSETS).clamp(min=0), edge)
        some = (scores > self.threshold) & ((boxes[:, 2:] - boxes[:, :2]) >= 2).all(1)
        boxes, scores = boxes[some], scores[some]
        kept = nms(boxes, scores, SAME_PERSON)[: self.most]
        if not len(kept):
            return []
        dense = self.dense(maps, Regions(boxes[kept], none[: len(kept)], scores[kept]))[-1].cpu()
        return [pasted(*each, tall, wide) for each in zip(dense, boxes[kept].cpu(), scores[kept].tolist(), strict=True)]

    def _anchors(self, maps: list[Tensor]) -> Tensor:
        return anchors_of([(level.shape[2], level.shape[3]) for level in maps], self.anchor).to(maps[0].device)

    def step(self, batch: Batch, opt: Players) -> dict[str, Tensor]:
        """One batch: proposals, regions and dense heads learn at once. Sums are divided by counts over all processes."""
        maps, (tall, wide) = self.pyramid(batch.image), batch.image.shape[2:]
        said, anchors = self.proposer(maps), self._anchors(maps)
        real = [corners[: int(count)] for corners, count in zip(batch.boxes, batch.objects, strict=True)]
        propose = self._proposals(said, anchors, real, opt)
        regions, which, label = list[Tensor](), list[Tensor](), list[Tensor]()
        for boxes, true in zip(self.propose(said, anchors, tall, wide), real, strict=True):
            every = torch.cat([boxes, true])  # the true ones, too, as of 1506.01497
            of, kind = matched(every, true, 0.5, 0.5, False)
            chosen = sampled(kind, self.regions, 0.25)
            regions, which, label = [*regions, every[chosen]], [*which, of[chosen]], [*label, kind[chosen]]
        image = torch.cat([torch.full((len(kept),), n, device=batch.image.device) for n, kept in enumerate(regions)])
        boxes, of, kind = torch.cat(regions), torch.cat(which), torch.cat(label)
        verdict = self.judge(pooled(maps[:4], boxes, image, 7, self.whole))
        number = opt.mean(torch.tensor(float(len(boxes)), device=boxes.device)).clamp(min=1)
        mine = kind == 1
        target = batch.boxes[image, of]  # (K, 4)
        offsets = F.smooth_l1_loss(verdict[mine, 2:], encoded(target[mine], boxes[mine], OFFSETS), reduction="sum")
        judge = (F.cross_entropy(verdict[:, :2], kind, reduction="sum") + offsets) / number
        dense = self._dense(maps, Regions(boxes[mine], image[mine], of[mine]), batch, opt)
        opt.network.minimize(propose + judge + dense)
        return {"proposals": propose.detach(), "judge": judge.detach(), "dense": dense.detach()}

    def _proposals(self, said: Tensor, anchors: Tensor, real: list[Tensor], opt: Players) -> Tensor:
        loss, number = said.sum() * 0, 0
        for output, boxes in zip(said, real, strict=True):
            of, label = matched(anchors, boxes, 0.3, 0.7, True)
            chosen = sampled(label, 256, 0.5)
            number += len(chosen)
            loss = loss + F.binary_cross_entropy_with_logits(output[chosen, 0], label[chosen].float(), reduction="sum")
            mine = chosen[label[chosen] == 1]
            if len(mine):
                loss = loss + F.smooth_l1_loss(output[mine, 1:], encoded(boxes[of[mine]], anchors[mine]), reduction="sum", beta=1 / 9)
        return loss / opt.mean(torch.tensor(float(number), device=said.device)).clamp(min=1)

    def _dense(self, maps: list[Tensor], regions: Regions, batch: Batch, opt: Players) -> Tensor:
        """Losses of the dense heads in regions whose ``scores`` are the numbers of their people."""
        whom = regions.scores
        segments = segments_in(batch.segments, batch.person, regions.boxes, regions.image, whom)
        part, points, inside = points_in(batch.points[regions.image, whom], batch.point_part[regions.image, whom], regions.boxes)
        true = batch.point_uv[regions.image, whom].transpose(1, 2)  # (K, 2, P)
        known, cells = (opt.mean(count.float()).clamp(min=1) for count in (inside.sum(), torch.tensor(segments.numel())))
        of_mask, of_part, of_chart = self.weigh
        loss = 0 * maps[0].sum()  # where nobody is, so that there is a gradient
        for said in self.dense(maps, regions) if len(whom) else []:
            answers = answers_of(said)
            near = answers_of(at_points(said, points, SIDE, SIDE)[..., None])
            loss = loss + of_mask * part_error(answers.segments, segments).sum() / cells
            none = torch.where(segments > 0, -1, 0)
            empty = opt.mean((none == 0).sum().float()).clamp(min=1)
            parts = part_error(near.parts[..., 0], torch.where(part > 0, part, -1)).sum() / known
            parts = parts + part_error(answers.parts, none).sum() / empty
            loss = loss + of_part * parts + of_chart * chart_error(near.uv[..., 0], part, true, self.beta).sum() / known
        return loss


# What is where in a region ---------------------------------------------------------------------------------------------


def segments_in(segments: Tensor, person: Tensor, boxes: Tensor, image: Tensor, whom: Tensor) -> Tensor:
    """The parts of the masks of people ``whom`` (K), from 0, at 56 x 56 places of boxes (K, 4): (K, 56, 56), 0 where others are."""
    steps_in = (torch.arange(SIDE, device=boxes.device) + 0.5) / SIDE
    x = (boxes[:, :1] + (boxes[:, 2] - boxes[:, 0])[:, None] * steps_in).floor().long().clamp(0, segments.shape[2] - 1)
    y = (boxes[:, 1:2] + (boxes[:, 3] - boxes[:, 1])[:, None] * steps_in).floor().long().clamp(0, segments.shape[1] - 1)
    at = (image[:, None, None], y[:, :, None], x[:, None, :])
    return segments[at] * (person[at] == whom[:, None, None] + 1)


def points_in(points: Tensor, part: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Parts (K, P), 0 for points outside their box, the points (K, P, 2) in places of a region of 56 x 56, and which are inside."""
    side = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-3)[:, None]
    places = (points - boxes[:, None, :2]) / side * SIDE
    inside = (part > 0) & ((places >= 0) & (places <= SIDE)).all(2)
    return part * inside, places, inside


def pasted(said: Tensor, box: Tensor, score: float, tall: int, wide: int) -> Found:
    """The dense output (88, 56, 56) for a box (4), resized and pasted into maps of the image."""
    x0, y0 = (int(value) for value in box[:2].floor())
    x1, y1 = (int(value) for value in box[2:].ceil())
    large = F.interpolate(said[None].float(), (max(1, y1 - y0), max(1, x1 - x0)), mode="bilinear", align_corners=False)
    answers = answers_of(large)
    parts = answers.parts.argmax(1) * (answers.segments.argmax(1) > 0)  # (1, h, w)
    uv = answers.uv.gather(2, (parts - 1).clamp(min=0)[:, None, None].expand(-1, 2, 1, -1, -1))[0, :, 0].clamp(0, 1) * (parts > 0)
    part, maps = np.zeros((tall, wide), np.int64), np.zeros((2, tall, wide), np.float32)
    part[y0:y1, x0:x1] = parts[0, : tall - y0, : wide - x0].numpy()
    maps[:, y0:y1, x0:x1] = uv[:, : tall - y0, : wide - x0].numpy()
    return Found(score, box.numpy(), part, maps)


VARIANTS: dict[str, dict[str, object]] = {"resnet50": {}, "resnet101": {"blocks": (3, 4, 23, 3)}, "cascade": {"cascade": True}}

_LITTLE = {
    "blocks": (2, 2, 1, 1), "bottleneck": False, "trunk": 24, "width": 64, "hidden": 128, "layers": 4, "head": 64, "anchor": 24.0,
    "whole": 112.0, "proposals": 100, "regions": 32, "people": 6, "mask": 1.0, "part": 1.0, "chart": 4.0, "beta": 0.1,
}  # fmt: skip
_TINY = _LITTLE | {"blocks": (1, 1, 1, 1), "trunk": 8, "width": 16, "hidden": 16, "layers": 1, "head": 16, "anchor": 16.0, "proposals": 30}
_FAST = {"name": "AdamW", "lr": 1e-3, "warmup": 50, "fall": True}
RECIPES = {
    "paper": Recipe(
        data="densepose-coco", steps=130_000, batch_size=16, augment=("flip",),
        targets=(Target("AP", at_least=0.51, claim="r50-ap"),), variants=("resnet50",),
    ),
    "small": Recipe(
        data="drawn-crowds", steps=3000, batch_size=8, augment=("flip",), model=_LITTLE, optimizer=_FAST,
        targets=(Target("part accuracy", at_least=0.80),), variants=("resnet50",), note="at most 45 minutes",
    ),
    "smoke": Recipe(
        data="people-plain", steps=16, batch_size=4, model=_TINY, optimizer=_FAST | {"warmup": 5}, precision="float32",
        variants=("resnet50", "cascade"),
    ),
}  # fmt: skip
RECIPES["paper-cascade"] = RECIPES["paper"].but(targets=(Target("AP", at_least=0.558, claim="cascade-ap"),), variants=("cascade",))
RECIPES["paper-resnet101"] = RECIPES["paper"].but(targets=(), variants=("resnet101",))
RECIPES["small-cascade"] = RECIPES["small"].but(variants=("cascade",))
