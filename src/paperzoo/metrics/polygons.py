"""Areas of quadrilaterals and of what two of them share: exact, many pairs at a time.

A quadrilateral is four corners x, y in either direction round; one that is not convex is taken as the two triangles that a diagonal parts
it into, one that crosses itself as those two with their signs, as the formula of its area does.
"""

from __future__ import annotations

import numpy as np

#: pairs of quadrilaterals at a time
PART = 200_000


def area_of(quads: np.ndarray) -> np.ndarray:
    """Areas (...) of polygons (..., K, 2), by the shoelace formula; not negative in either direction round."""
    x, y = (np.asarray(quads, np.float64)[..., i] for i in (0, 1))
    twice = (x * np.roll(y, -1, -1) - y * np.roll(x, -1, -1)).sum(-1)
    areas: np.ndarray = np.abs(twice) / 2
    return areas


def convex(quads: np.ndarray) -> np.ndarray:
    """Which of quadrilaterals (..., 4, 2) are convex, bool (...)."""
    turns = _turns(np.asarray(quads, np.float64))
    return np.asarray((turns >= 0).all(-1) | (turns <= 0).all(-1))


def shared_area(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Areas float64 (P) that the quadrilaterals a (P, 4, 2) share with the b (P, 4, 2) that stand in the same place."""
    a, b = (np.asarray(quads, np.float64).reshape(-1, 4, 2) for quads in (a, b))
    areas, plain = np.zeros(len(a)), convex(a) & convex(b)
    areas[plain] = _of_convex(a[plain], b[plain])
    if not plain.all():
        one, other = _triangles(a[~plain]), _triangles(b[~plain])  # (P, 2, 3, 2)
        areas[~plain] = sum(_of_convex(one[:, i], other[:, j]) for i in range(2) for j in range(2))
    return areas


def overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """IoU float64 (N, M) of each of quadrilaterals a (N, 4, 2) with each of b (M, 4, 2); 0 where neither has an area."""
    shared = shares(a, b)
    whole = area_of(a)[:, None] + area_of(b)[None] - shared
    iou: np.ndarray = np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)
    return iou


def shares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Areas float64 (N, M) that each of quadrilaterals a (N, 4, 2) shares with each of b (M, 4, 2).

    Only pairs are computed whose upright boxes meet.
    """
    a, b = (np.asarray(quads, np.float64).reshape(-1, 4, 2) for quads in (a, b))
    low = np.maximum(a.min(1)[:, None], b.min(1)[None])
    high = np.minimum(a.max(1)[:, None], b.max(1)[None])
    i, j = np.nonzero((low < high).all(2))
    areas = np.zeros((len(a), len(b)))
    for start in range(0, len(i), PART):
        rows, columns = i[start : start + PART], j[start : start + PART]
        areas[rows, columns] = shared_area(a[rows], b[columns])
    return areas


def _of_convex(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Shared areas (P) of convex polygons (P, K, 2), by Green's theorem: the border of the intersection is made of the parts of either's
    sides that lie in the other. Of two sides on one line a's counts alone, and neither if they run in opposite directions."""
    a, b = _round(a), _round(b)
    middle = (a.mean(1, keepdims=True) + b.mean(1, keepdims=True)) / 2  # near the origin nothing is lost to rounding
    a, b = a - middle, b - middle
    scale = np.maximum(np.abs(a).max((1, 2)), np.abs(b).max((1, 2)))
    areas: np.ndarray = np.maximum((_along(a, b, 1e-10 * scale) + _along(b, a, -1e-10 * scale)) / 2, 0)
    return np.asarray(np.minimum(areas, np.minimum(area_of(a), area_of(b))))


def _along(a: np.ndarray, b: np.ndarray, slack: np.ndarray) -> np.ndarray:
    """The integral of x dy - y dx (P) along those parts of a's sides that lie in b, or outside of it by ``slack`` (P) at most."""
    start, step = a, np.roll(a, -1, 1) - a  # (P, K, 2)
    edge = np.roll(b, -1, 1) - b
    length = np.linalg.norm(edge, axis=2)
    normal = np.stack([-edge[..., 1], edge[..., 0]], 2) / np.maximum(length, 1e-300)[..., None]  # to the inside
    off = np.einsum("pkd,pjd->pkj", start, normal) - (b * normal).sum(2)[:, None] + slack[:, None, None]  # (P, K of a, K of b)
    rate = np.einsum("pkd,pjd->pkj", step, normal)
    real = (length > 0)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        cross = -off / rate
    flat = np.abs(rate) <= 1e-14 * np.maximum(np.linalg.norm(step, axis=2), 1e-300)[..., None]
    enter = np.where(real & ~flat & (rate > 0), cross, 0.0).max(2).clip(min=0)
    leave = np.where(real & ~flat & (rate < 0), cross, 1.0).min(2).clip(max=1)
    outside = (real & flat & (off < 0)).any(2)
    end = off - slack[:, None, None] + rate  # how far to the inside a side ends
    on = (np.abs(off - slack[:, None, None]) <= np.abs(slack)[:, None, None]) & (np.abs(end) <= np.abs(slack)[:, None, None])
    outside |= (real & on & (np.einsum("pkd,pjd->pkj", step, edge) < 0)).any(2)  # the two lie on either side of a common border
    part = np.where(outside, 0.0, (leave - enter).clip(min=0))
    integral: np.ndarray = (part * (start[..., 0] * step[..., 1] - start[..., 1] * step[..., 0])).sum(1)
    return integral


def _turns(quads: np.ndarray) -> np.ndarray:
    """At each corner (..., K) the cross product of the side that comes and the side that goes."""
    step = np.roll(quads, -1, -2) - quads
    before = np.roll(step, 1, -2)
    turns: np.ndarray = before[..., 0] * step[..., 1] - before[..., 1] * step[..., 0]
    return turns


def _round(polygons: np.ndarray) -> np.ndarray:
    """The polygons (P, K, 2) with the corners in the direction of a positive area."""
    x, y = polygons[..., 0], polygons[..., 1]
    twice = (x * np.roll(y, -1, 1) - y * np.roll(x, -1, 1)).sum(1)
    turned: np.ndarray = np.where((twice < 0)[:, None, None], polygons[:, ::-1], polygons)
    return turned


def _triangles(quads: np.ndarray) -> np.ndarray:
    """Quadrilaterals (P, 4, 2) as two triangles each, (P, 2, 3, 2), parted by that diagonal with which they cover less."""
    one, other = (np.stack([quads[:, first], quads[:, second]], 1) for first, second in (([0, 1, 2], [0, 2, 3]), ([1, 2, 3], [1, 3, 0])))
    less = area_of(one).sum(1) <= area_of(other).sum(1)
    pairs: np.ndarray = np.where(less[:, None, None, None], one, other)
    return pairs
