"""EAST: every pixel of a word says how likely there is text, and where the word ends in all directions (Zhou et al. 2017).

A trunk's last maps are merged to one, at a quarter of the picture's sides (figure 3). There each pixel answers a score and a geometry: as
a rotated box (RBOX) the distances to its four sides and an angle, as a quadrilateral (QUAD) the way to its corners. Pixels in the middle
of a text learn it, whose quadrilateral is shrunk by 0.3 of its sides (section 3.3, figure 4):

    L = L_s + lambda_g L_g                                                                                              (4)
    L_s = -beta Y* log Y - (1 - beta) (1 - Y*) log(1 - Y),        beta = 1 - mean Y*                                    (5, 6)
    L_g = -log IoU(R, R*) + lambda_theta (1 - cos(theta - theta*))                                                      (8, 9, 13)

or, as others found better, dice for L_s. All pixels of a text vote (``tasks.decoding.locality_nms``). Read ``Network``, then ``targets``.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam, AdamW

from paperzoo.data import Batch
from paperzoo.errors import PaperzooError
from paperzoo.nn.schedules import exponential, warmup_cosine
from paperzoo.papers.detection.east_geometry import clockwise, inside, rotated_boxes, smallest_boxes
from paperzoo.papers.detection.trunks import VGG16, Conv, PVANet, Trunk
from paperzoo.ranges import Count, NotNegative, Part, Pixels, Positive, Share, Size, Sizes
from paperzoo.records import Recipe, Target
from paperzoo.tasks.decoding.locality_nms import locality_nms
from paperzoo.tasks.model import Optimizers, Players
from paperzoo.tasks.text_detection import Reading, TextDetector

STRIDE = 4


class Network(nn.Module):
    """A trunk, the merging branch with 128, 64 and 32 channels, and 1x1 convolutions to a score and a geometry (figure 3).

    Args:
        trunk: gives four maps, the finest first; ``sizes`` are their channels.
        numbers: of the geometry: 5 of RBOX, 8 of QUAD. branch: factor on the merging branch's channels.
    """

    def __init__(self, trunk: Trunk, numbers: int, branch: float) -> None:
        super().__init__()
        self.trunk, merge, into = trunk, list[nn.Module](), trunk.sizes[3]
        for beside, out in zip(trunk.sizes[2::-1], (128, 64, 32), strict=True):
            out = max(4, round(branch * out))
            merge.append(nn.Sequential(Conv(into + beside, out, 1), Conv(out, out, 3)))
            into = out
        self.merge, self.last = nn.ModuleList(merge), Conv(into, into, 3)
        self.score, self.geometry = nn.Conv2d(into, 1, 1), nn.Conv2d(into, numbers, 1)
        nn.init.constant_(self.score.bias, -2.0)  # type: ignore[arg-type]

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1] to (N, 1 + numbers, H / 4, W / 4): a score's logit, then a geometry."""
        *finer, x = self.trunk(image)
        for merge, beside in zip(self.merge, finer[::-1], strict=True):
            x = merge(torch.cat([F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False), beside], 1))
        x = self.last(x)
        return torch.cat([self.score(x), self.geometry(x)], 1)


# Geometry ------------------------------------------------------------------------------------------------------------


def places(tall: int, wide: int, like: Tensor) -> Tensor:
    """The middles (2, h, w), x and y in pixels of the image, of what the map's pixels see."""
    x, y = (STRIDE * (torch.arange(side, dtype=like.dtype, device=like.device) + 0.5) for side in (wide, tall))
    return torch.stack([x.expand(tall, wide), y[:, None].expand(tall, wide)])


def shrunk(quads: Tensor, by: float = 0.3) -> Tensor:
    """Quadrilaterals (..., 4, 2) whose sides are moved inwards: each corner along both its sides by ``by`` of its shorter one.

    The two longer sides' ends first, then those of the two shorter ones (section 3.3.1).
    """
    length = (quads.roll(-1, -2) - quads).norm(dim=-1)  # (..., 4), of side i from corner i to i + 1
    reach = by * torch.minimum(length, length.roll(1, -1))
    longer = length[..., 0::2].sum(-1) >= length[..., 1::2].sum(-1)  # whether sides 0 and 2 are the longer pair

    def moved(given: Tensor, first: int) -> Tensor:
        """The ends of side ``first`` and the one across moved towards each other."""
        made = list(given.unbind(-2))
        for a in (first, first + 2):
            b = (a + 1) % 4
            step = F.normalize(given[..., b, :] - given[..., a, :], dim=-1, eps=1e-9)
            made[a] = given[..., a, :] + reach[..., a, None] * step
            made[b] = given[..., b, :] - reach[..., b, None] * step
        return torch.stack(made, -2)

    return torch.where(longer[..., None, None], moved(moved(quads, 0), 1), moved(moved(quads, 1), 0))


class Truth(NamedTuple):
    """The targets of the pixels of N maps.

    Attributes:
        text: 1 in the shrunk quadrilaterals, else 0, (N, h, w); counts: 0 where text need not be found, else 1.
        geometry: (N, 5, h, w), distances and angle, or (N, 8, h, w), corners less the pixel's place; anything where there is no text.
        short: (N, h, w), the shortest side of the quadrilateral; pixels: (N, h, w), how many pixels its text has.
    """

    text: Tensor
    counts: Tensor
    geometry: Tensor
    short: Tensor
    pixels: Tensor


def targets(quads: Tensor, real: Tensor, ignored: Tensor, grid: tuple[int, int], rbox: bool) -> Truth:
    """The targets on a map of ``grid`` rows and columns for quadrilaterals (N, M, 4, 2).

    Args:
        real: bool (N, M), those to be found; ignored: bool (N, M), those that need not be. What is neither is padding.
    """
    quads, at = clockwise(quads), places(*grid, quads)
    middle = inside(shrunk(quads), at) & real[..., None, None]  # (N, M, h, w)
    ignore = (inside(quads, at) & ignored[..., None, None]).any(1)
    text, owner = middle.any(1), middle.int().argmax(1)  # of two the first
    number = torch.arange(len(quads), device=quads.device)[:, None, None]
    boxes, angle = smallest_boxes(quads)
    offsets = (boxes if rbox else quads)[number, owner] - at.permute(1, 2, 0)[..., None, :]  # (N, h, w, 4, 2)
    if rbox:
        turn = angle[number, owner]  # (N, h, w)
        x = turn.cos()[..., None] * offsets[..., 0] + turn.sin()[..., None] * offsets[..., 1]
        y = turn.cos()[..., None] * offsets[..., 1] - turn.sin()[..., None] * offsets[..., 0]
        geometry = torch.stack([-y[..., 0], x[..., 1], y[..., 2], -x[..., 3], turn], 1)
    else:
        geometry = offsets.flatten(3).permute(0, 3, 1, 2)
    short = (quads.roll(-1, -2) - quads).norm(dim=-1).amin(-1)[number, owner]
    first = F.one_hot(owner, quads.shape[1]).permute(0, 3, 1, 2) * text[:, None]  # (N, M, h, w), each pixel of one text
    pixels = first.sum((2, 3))[number, owner].clamp(min=1)
    return Truth(text.float(), (~ignore | text).float(), geometry, short, pixels)


# Losses --------------------------------------------------------------------------------------------------------------


def balanced(logit: Tensor, text: Tensor, counts: Tensor, share: Tensor) -> Tensor:
    """Eq. 5 at each pixel (N, h, w): cross-entropy, where text weighs the share of what is none, and what is none that of text.

    Args:
        share: of the pixels that are text, over the whole batch: 1 - beta.
    """
    weight = torch.where(text > 0, 1 - share, share) * counts
    return weight * F.binary_cross_entropy_with_logits(logit, text, reduction="none")


def dice(score: Tensor, text: Tensor, counts: Tensor) -> Tensor:
    """1 - 2 |Y Y*| / (|Y| + |Y*|) of each image, (N), over the pixels that count."""
    both = (score * text * counts).sum((1, 2))
    return 1 - 2 * both / ((score * counts).sum((1, 2)) + (text * counts).sum((1, 2)) + 1e-5)


def box_loss(said: Tensor, true: Tensor) -> Tensor:
    """-log IoU (Eq. 9 to 12) of boxes by their distances (P, 4) from one point to the four sides, (P)."""
    both = torch.minimum(said, true)
    shared = (both[:, 0] + both[:, 2]) * (both[:, 1] + both[:, 3])
    area = [(d[:, 0] + d[:, 2]) * (d[:, 1] + d[:, 3]) for d in (said, true)]
    return -(shared / (area[0] + area[1] - shared)).clamp(min=1e-6).log()


def quad_loss(said: Tensor, true: Tensor, short: Tensor) -> Tensor:
    """Smooth L1 (Eq. 14 and 15) of corners (P, 4, 2), over 8 of the shortest side (P), with the first corner that fits best: (P)."""
    errors = [F.smooth_l1_loss(said, true.roll(i, 1), reduction="none").sum((1, 2)) for i in range(4)]
    return torch.stack(errors).amin(0) / (8 * short.clamp(min=1))


class Model(TextDetector):
    """A fully convolutional network that finds words.

    Args:
        stem: ``vgg16``, ``pvanet`` or, twice as wide, ``pvanet2x``. blocks: of PVANet's stages from the second on.
        width, branch: factors on the channels of the trunk and of what merges its maps. batch_norm: in VGG-16, too.
        head: RBOX or QUAD. score_loss: class-balanced cross-entropy, as in the paper, or dice.
        angle: lambda_theta. geometry: lambda_g. alike: whether all pixels count alike for the geometry, as in the paper, or all texts.
        threshold: least score of a pixel that votes. merge, overlap: see ``locality_nms``.
        votes: least number of pixels that say the same.
        weights: ``imagenet`` for published ones of VGG-16.
    """

    def __init__(
        self, *, channels: Size = 3, image_size: Pixels = 512, stem: Literal["pvanet", "pvanet2x", "vgg16"] = "pvanet",
        blocks: Sizes = (3, 4, 4, 4),
        head: Literal["rbox", "quad"] = "rbox", width: Positive = 1.0, branch: Positive = 1.0, batch_norm: bool = False,
        score_loss: Literal["balanced", "dice"] = "balanced", geometry: Positive = 1.0, angle: NotNegative = 10.0,
        alike: Literal["pixels", "texts"] = "pixels",
        threshold: Share = 0.8, merge: Part = 0.2, overlap: Part = 0.2, votes: Count = 1, weights: str = "",
    ) -> None:  # fmt: skip
        super().__init__(channels, image_size, threshold)
        if weights and stem != "vgg16":
            raise PaperzooError(f"weights={weights} are of vgg16; {stem} has none that are published")
        if len(blocks) != 4:
            raise PaperzooError(f"blocks are the numbers of PVANet's four later stages, not {len(blocks)}")
        if stem == "vgg16":
            trunk: Trunk = VGG16(channels, width, batch_norm, weights)
        else:
            trunk = PVANet(channels, (2 if stem == "pvanet2x" else 1) * width, blocks)
        self.rbox, self.score_loss, self.geometry, self.angle = head == "rbox", score_loss, geometry, angle
        self.merge, self.overlap, self.votes, self.alike = merge, overlap, votes, alike
        self.network = Network(trunk, 5 if self.rbox else 8, branch)

    def optimizers(
        self, *, name: Literal["Adam", "AdamW"] = "Adam", lr: NotNegative = 1e-3, falls: Count = 3, warmup: Count = 1, fall: bool = False
    ) -> Optimizers:
        """Adam, whose rate is divided by ten at each of ``falls`` equal parts of the training (section 3.5), or AdamW.

        Args:
            warmup: steps in which the rate rises, if ``fall``: whether it then falls along a cosine to 0.
        """
        chosen = (Adam if name == "Adam" else AdamW)(self.network.parameters(), lr)
        return {"network": (chosen, warmup_cosine(warmup) if fall else exponential(0.1, falls))}

    def answers(self, image: Tensor) -> Tensor:
        """Images to a score's logit, and distances in pixels and an angle, or corners less the pixel's place: (N, 6 or 9, h, w)."""
        raw: Tensor = self.network(image)
        if not self.rbox:
            return torch.cat([raw[:, :1], 32 * raw[:, 1:]], 1)
        distances = 16 * raw[:, 1:5].clamp(-8, 5).exp()
        return torch.cat([raw[:, :1], distances, math.pi / 4 * raw[:, 5:].tanh()], 1)

    def read(self, answers: Tensor, threshold: float) -> list[Reading]:
        at = places(answers.shape[2], answers.shape[3], answers).permute(1, 2, 0)  # (h, w, 2)
        readings = []
        for maps in answers:
            score, geometry = maps[0].sigmoid(), maps[1:].permute(1, 2, 0)  # (h, w), (h, w, 5 or 8)
            chosen = score > threshold  # row by row from left to right
            values, here = geometry[chosen], at[chosen]
            quads = rotated_boxes(values[:, :4], values[:, 4], here) if self.rbox else values.view(-1, 4, 2) + here[:, None]
            kept = locality_nms(quads.double().numpy(), score[chosen].double().numpy(), self.merge, self.overlap)
            some = kept.number >= self.votes
            mean = kept.votes[some] / kept.number[some]
            order = np.argsort(-mean, kind="stable")
            readings.append(Reading(kept.quads[some][order], mean[order]))
        return readings

    def reading_rules(self) -> dict[str, Any]:
        rules = {"stride": STRIDE, "merge": self.merge, "overlap": self.overlap, "votes": self.votes}
        return rules if self.rbox else {}

    def step(self, batch: Batch, opt: Players) -> dict[str, Tensor]:
        """One batch. Sums are divided by counts over all processes, so that many are as one."""
        answers = self.answers(batch.image)
        real = torch.arange(batch.quads.shape[1], device=answers.device) < batch.objects[:, None]  # (N, M)
        grid = (answers.shape[2], answers.shape[3])
        truth = targets(batch.quads, real & ~batch.difficult, real & batch.difficult, grid, self.rbox)
        positive, valid = opt.mean(truth.text.sum()), opt.mean(truth.counts.sum())
        logit = answers[:, 0].float()
        if self.score_loss == "dice":
            score = dice(logit.sigmoid(), truth.text, truth.counts).mean()
        else:
            score = balanced(logit, truth.text, truth.counts, positive / valid).sum() / valid
        inside = truth.text > 0
        weight = torch.ones_like(truth.text[inside]) if self.alike == "pixels" else 1 / truth.pixels[inside]
        total = opt.mean(weight.sum()).clamp(min=1e-6)
        said, true = (each.permute(0, 2, 3, 1)[inside] for each in (answers[:, 1:], truth.geometry))  # (P, 5 or 8)
        if self.rbox:
            place = (weight * box_loss(said[:, :4], true[:, :4])).sum() / total
            turn = (weight * (1 - (said[:, 4] - true[:, 4]).cos())).sum() / total
        else:
            place = (weight * quad_loss(said.view(-1, 4, 2), true.view(-1, 4, 2), truth.short[inside])).sum() / total
            turn = torch.zeros_like(place)
        opt.network.minimize(score + self.geometry * (place + self.angle * turn))
        return {"score": score.detach(), "place": place.detach(), "turn": turn.detach()}


VARIANTS: dict[str, dict[str, object]] = {
    "pvanet": {}, "pvanet2x": {"stem": "pvanet2x"}, "vgg16": {"stem": "vgg16"}, "quad": {"head": "quad"}, "dice": {"score_loss": "dice"},
}  # fmt: skip

_LITTLE = {"width": 0.375, "blocks": (1, 1, 1, 1), "score_loss": "dice", "alike": "texts", "threshold": 0.95, "merge": 0.3, "votes": 6}
_FAST = {"name": "AdamW", "lr": 4e-3, "warmup": 30, "fall": True}
RECIPES = {
    "paper": Recipe(
        data="icdar2015", steps=81_900, batch_size=24, augment=("zoom",), targets=(Target("hmean", at_least=0.7820, claim="pvanet2x-f"),),
        variants=("pvanet2x",), note="three times 27,300 steps; crops of 512 pixels are a zoom",
    ),
    "small": Recipe(
        data="scene-text", steps=1300, batch_size=8, augment=("quarter",), model=_LITTLE, optimizer=_FAST,
        targets=(Target("hmean", at_least=0.80),), variants=("pvanet",),
    ),
    "smoke": Recipe(
        data="text-plain", steps=24, batch_size=8, model={"width": 0.0625, "branch": 0.25, "blocks": (1, 1, 1, 1), "threshold": 0.5},
        optimizer=_FAST | {"warmup": 5}, precision="float32", variants=("pvanet",),
    ),
}  # fmt: skip
RECIPES["paper-vgg16"] = RECIPES["paper"].but(targets=(Target("hmean", at_least=0.7641, claim="vgg16-f"),), variants=("vgg16",))
RECIPES["paper-pvanet"] = RECIPES["paper"].but(targets=(), variants=("pvanet", "quad", "dice"))
