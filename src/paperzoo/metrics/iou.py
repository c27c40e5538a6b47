"""Intersection over union of boxes: left, top, right, bottom."""

from __future__ import annotations

import torch
from torch import Tensor


def box_area(boxes: Tensor) -> Tensor:
    """Areas (...) of boxes (..., 4); 0 where right is not beyond left, or bottom not below top."""
    return (boxes[..., 2] - boxes[..., 0]).clamp(min=0) * (boxes[..., 3] - boxes[..., 1]).clamp(min=0)


def intersection(a: Tensor, b: Tensor) -> Tensor:
    """Areas (..., N, M) that each of boxes (..., N, 4) shares with each of boxes (..., M, 4)."""
    a, b = a[..., :, None, :], b[..., None, :, :]
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    return (high - low).clamp(min=0).prod(-1)


def iou(a: Tensor, b: Tensor) -> Tensor:
    """IoU (..., N, M) of each of boxes (..., N, 4) with each of boxes (..., M, 4), in [0, 1]; 0 where neither has an area."""
    both = intersection(a, b)
    union = box_area(a)[..., :, None] + box_area(b)[..., None, :] - both
    return both / union.clamp(min=torch.finfo(both.dtype).tiny)


def iou_of_pairs(a: Tensor, b: Tensor) -> Tensor:
    """IoU (...) of boxes (..., 4) with the boxes (..., 4) that stand in the same place."""
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    both = (high - low).clamp(min=0).prod(-1)
    return both / (box_area(a) + box_area(b) - both).clamp(min=torch.finfo(both.dtype).tiny)
