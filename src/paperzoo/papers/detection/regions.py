"""What two-stage detectors share: features of regions without rounding (RoIAlign, 1703.06870), anchors, and boxes as offsets of others."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from paperzoo.metrics.iou import iou

#: most logarithm of a growth that an offset may ask for
LARGEST = math.log(1000 / 16)


def roi_align(features: Tensor, boxes: Tensor, image: Tensor, size: int, scale: float, ratio: int = 2) -> Tensor:
    """Features of boxes, each divided into ``size`` x ``size`` bins: the mean of ``ratio`` x ``ratio`` bilinear values in each bin.

    Nothing is rounded: a value at the middle of a cell is the cell's, and half of it lies in the next after half a cell. Values
    more than a cell beyond the border are 0.

    Args:
        features: (N, C, H, W). boxes: (K, 4), left, top, right and bottom in pixels of the images. image: int64 (K), which each lies in.
        scale: cells a pixel, such as 1/16.

    Returns:
        (K, C, size, size).
    """
    tall, wide = features.shape[2:]
    number = size * ratio
    steps = (torch.arange(number, dtype=boxes.dtype, device=boxes.device) + 0.5) / number
    corner, side = boxes[:, :2] * scale, (boxes[:, 2:] - boxes[:, :2]) * scale
    x = corner[:, :1] + side[:, :1] * steps - 0.5  # (K, number), in cells: 0 is the middle of the first
    y = corner[:, 1:] + side[:, 1:] * steps - 0.5
    inside = ((y >= -1) & (y <= tall))[:, :, None] & ((x >= -1) & (x <= wide))[:, None, :]
    across, down = ((2 * x + 1) / wide - 1)[:, None], ((2 * y + 1) / tall - 1)[:, :, None]
    grid = torch.stack([across.expand(-1, number, -1), down.expand(-1, -1, number)], 3)  # (K, number, number, 2)
    features_of = features.new_zeros(len(boxes), features.shape[1], number, number)
    for n in range(len(features)):  # one call an image, so that no map is copied for each of its boxes
        rows = (image == n).nonzero()[:, 0]
        if not len(rows):
            continue
        at = grid[rows].reshape(1, -1, number, 2).to(features.dtype)  # (1, k number, number, 2)
        values = F.grid_sample(features[n : n + 1], at, padding_mode="border", align_corners=False)
        features_of = features_of.index_copy(0, rows, values.view(-1, len(rows), number, number).transpose(0, 1))
    return F.avg_pool2d(features_of * inside[:, None], ratio)


def level_of(boxes: Tensor, levels: int, whole: float = 224.0) -> Tensor:
    """Which of the maps from P2 on a box (K, 4) is read from, from 0: the third of a box as large as ``whole`` (1612.03144, Eq. 1)."""
    side = ((boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-3).prod(1)).sqrt()
    return (2 + (side / whole).log2().floor()).clamp(0, levels - 1).long()


def pooled(maps: Sequence[Tensor], boxes: Tensor, image: Tensor, size: int, whole: float) -> Tensor:
    """``roi_align`` of each box on the map of its level; maps at a quarter of the image's sides, an eighth, and so on."""
    level = level_of(boxes, len(maps), whole)
    features = maps[0].new_zeros(len(boxes), maps[0].shape[1], size, size)
    for number, level_map in enumerate(maps):
        some = (level == number).nonzero()[:, 0]
        if len(some):
            features = features.index_copy(0, some, roi_align(level_map, boxes[some], image[some], size, 1 / (4 << number)))
    return features


def anchors_of(shapes: Sequence[tuple[int, int]], base: float, ratios: Sequence[float] = (0.5, 1.0, 2.0)) -> Tensor:
    """Boxes (A, 4) around the middles of all cells of maps of these heights and widths, the finest at a quarter of the image's sides.

    Args:
        base: side of an anchor on the finest map; it doubles from map to map. ratios: of heights to widths.
    """
    anchors = list[Tensor]()
    for number, (tall, wide) in enumerate(shapes):
        stride, side = 4 << number, base * 2**number
        y, x = torch.meshgrid((torch.arange(tall) + 0.5) * stride, (torch.arange(wide) + 0.5) * stride, indexing="ij")
        half = torch.tensor([[side / math.sqrt(r) / 2, side * math.sqrt(r) / 2] for r in ratios])  # (R, 2), width and height
        middle = torch.stack([x, y], 2).reshape(-1, 1, 2)
        anchors.append(torch.cat([middle - half, middle + half], 2).reshape(-1, 4))
    return torch.cat(anchors)


def encoded(boxes: Tensor, anchors: Tensor, weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0)) -> Tensor:
    """Boxes (K, 4) as offsets of anchors (K, 4): of the middle in sides of the anchor, and logarithms of the sides' growth."""
    side, extent = anchors[:, 2:] - anchors[:, :2], (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-3)
    moved = ((boxes[:, :2] + boxes[:, 2:]) - (anchors[:, :2] + anchors[:, 2:])) / 2 / side
    return torch.cat([moved, (extent / side).log()], 1) * torch.tensor(weights, device=boxes.device)


def decoded(offsets: Tensor, anchors: Tensor, weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0)) -> Tensor:
    """The inverse of ``encoded``; a box does not grow beyond e^``LARGEST`` times its anchor."""
    offsets = offsets / torch.tensor(weights, device=offsets.device)
    side = anchors[:, 2:] - anchors[:, :2]
    middle = (anchors[:, :2] + anchors[:, 2:]) / 2 + offsets[:, :2] * side
    half = side * offsets[:, 2:].clamp(max=LARGEST).exp() / 2
    return torch.cat([middle - half, middle + half], 1)


def matched(anchors: Tensor, boxes: Tensor, least: float, most: float, best: bool) -> tuple[Tensor, Tensor]:
    """Which box each anchor is to find, int64 (A), and 1 for anchors that find one, 0 for those that find none, -1 for what lies between.

    Args:
        anchors: (A, 4). boxes: (M, 4), of one image. least, most: IoU below which it finds none, from which on one.
        best: whether those that overlap a box best find it however little that is.
    """
    if not len(boxes):
        return torch.zeros(len(anchors), dtype=torch.int64, device=anchors.device), torch.zeros(len(anchors), device=anchors.device).long()
    overlap = iou(anchors, boxes)  # (A, M)
    value, which = overlap.max(1)
    label = torch.full_like(which, -1)
    label[value < least] = 0
    label[value >= most] = 1
    if best:
        top = overlap.max(0).values
        some, of = ((overlap == top) & (top > 0)).nonzero().T
        label[some], which[some] = 1, of
    return which, label


def sampled(label: Tensor, number: int, share: float) -> Tensor:
    """Places of at most ``number`` labels (A) by chance, torch's on the CPU, with at most ``share`` of them 1 and the others 0."""
    order = torch.randperm(len(label)).to(label.device)
    positive = order[label[order] == 1][: round(number * share)]
    negative = order[label[order] == 0][: number - len(positive)]
    return torch.cat([positive, negative])
