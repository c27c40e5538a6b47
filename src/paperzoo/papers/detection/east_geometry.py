"""Quadrilaterals and rotated boxes as EAST needs them, corners (..., 4, 2) as x and y in pixels, y down, clockwise from the upper left."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def rotated_boxes(distances: Tensor, angle: Tensor, at: Tensor) -> Tensor:
    """Corners (..., 4, 2), clockwise from the upper left, of boxes by the distances (..., 4) of their sides from points ``at`` (..., 2).

    Args:
        distances: to the upper, right, lower and left side of a box that is level; angle: (...), by which it is turned clockwise.
    """
    top, right, bottom, left = distances.unbind(-1)
    cos, sin = angle.cos(), angle.sin()
    along = torch.stack([-left, right, right, -left], -1)  # (..., 4), of each corner
    down = torch.stack([-top, -top, bottom, bottom], -1)
    x = cos[..., None] * along - sin[..., None] * down
    y = sin[..., None] * along + cos[..., None] * down
    return torch.stack([x, y], -1) + at[..., None, :]


def smallest_boxes(quads: Tensor) -> tuple[Tensor, Tensor]:
    """The box of the smallest area around each quadrilateral (..., 4, 2): its corners (..., 4, 2), and its angle (...).

    One of its sides lies along a side of the quadrilateral. The angle is from -45 to 45 degrees, and the corners begin at the upper left
    of the box turned back by it, wherever reading begins.
    """
    step = quads.roll(-1, -2) - quads
    angle = torch.atan2(step[..., 1], step[..., 0])  # (..., 4), a candidate of each side
    angle = angle - (angle / (math.pi / 2)).round() * (math.pi / 2)
    cos, sin = angle.cos()[..., None], angle.sin()[..., None]
    x, y = quads[..., None, :, 0], quads[..., None, :, 1]
    along, down = cos * x + sin * y, cos * y - sin * x  # (..., 4 candidates, 4 corners)
    low = torch.stack([along.amin(-1), down.amin(-1)], -1)
    high = torch.stack([along.amax(-1), down.amax(-1)], -1)
    area = (high - low).prod(-1).masked_fill(step.norm(dim=-1) < 1e-6, torch.inf)
    best = area.argmin(-1, keepdim=True)
    angle = angle.gather(-1, best)[..., 0]
    low, high = (each.gather(-2, best[..., None].expand(*best.shape, 2))[..., 0, :] for each in (low, high))
    middle = (low + high) / 2
    cos, sin = angle.cos(), angle.sin()
    at = torch.stack([cos * middle[..., 0] - sin * middle[..., 1], sin * middle[..., 0] + cos * middle[..., 1]], -1)
    wide, tall = ((high - low) / 2).unbind(-1)
    return rotated_boxes(torch.stack([tall, wide, tall, wide], -1), angle, at), angle


def clockwise(quads: Tensor) -> Tensor:
    """Quadrilaterals (..., 4, 2), those that run the other way with their second and last corner exchanged."""
    x, y = quads.unbind(-1)
    twice = (x * y.roll(-1, -1) - y * x.roll(-1, -1)).sum(-1)
    return torch.where((twice < 0)[..., None, None], quads[..., [0, 3, 2, 1], :], quads)


def inside(quads: Tensor, at: Tensor) -> Tensor:
    """Which of points ``at`` (2, h, w) lie in which of clockwise, convex quadrilaterals (N, M, 4, 2): bool (N, M, h, w)."""
    step, start = (quads.roll(-1, -2) - quads)[..., None, None], quads[..., None, None]  # (N, M, 4, 2, 1, 1)
    side = step[..., 0, :, :] * (at[1] - start[..., 1, :, :]) - step[..., 1, :, :] * (at[0] - start[..., 0, :, :])
    return (side > 0).all(2)
