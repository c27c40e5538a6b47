"""Locality-aware non-maximum suppression of quadrilaterals: what neighbouring pixels say of one text is merged, row by row (1704.03155).

Among n quadrilaterals that a dense map proposes the usual suppression compares about n^2 pairs. Those that follow each other in a row of
the map mostly speak of one text: each is merged with the last one, weighted by the scores, as long as the two overlap, in one pass of
n steps (section 3.6, algorithm 1). The usual suppression decides over the few that are left. A merged one has more votes than its parts.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import NamedTuple

import numpy as np

from paperzoo.metrics.polygons import overlaps


class Kept(NamedTuple):
    """Quadrilaterals float64 (K, 4, 2), the sum of the scores that voted for each (K), and how many did (K); the most votes first."""

    quads: np.ndarray
    votes: np.ndarray
    number: np.ndarray


def locality_nms(quads: np.ndarray, scores: np.ndarray, merge: float = 0.2, overlap: float = 0.2) -> Kept:
    """Merges quadrilaterals in the order that is given, a map's rows from left to right, then suppresses.

    Without numba it runs uncompiled, with the same result some hundred times as slowly.

    Args:
        quads: (N, 4, 2), convex, corners in corresponding order. scores: positive (N).
        merge: IoU above which one is merged with the one before. overlap: most IoU of two that are kept.
    """
    merging, suppressing = _compiled()
    corners = np.ascontiguousarray(quads, np.float64).reshape(-1, 4, 2)
    few, votes, number = merging(corners, np.ascontiguousarray(scores, np.float64), merge)
    order = np.argsort(-votes, kind="stable")
    kept = order[suppressing(few[order], overlap)]
    return Kept(few[kept], votes[kept], number[kept])


def quad_nms(quads: np.ndarray, scores: np.ndarray, overlap: float = 0.2) -> np.ndarray:
    """Numbers int64 (K) of the quadrilaterals (N, 4, 2) that are kept, from the highest score down; of equal scores the first comes first.

    The usual suppression, of quadrilaterals of any shape: one goes if its IoU with a kept one of a higher score is above ``overlap``.
    """
    rest, kept = np.argsort(-np.asarray(scores, np.float64), kind="stable"), list[int]()
    while len(rest):
        first, rest = rest[0], rest[1:]
        kept.append(int(first))
        rest = rest[overlaps(quads[first][None], quads[rest])[0] <= overlap]
    return np.array(kept, np.int64)


Merging = Callable[[np.ndarray, np.ndarray, float], tuple[np.ndarray, np.ndarray, np.ndarray]]
Suppressing = Callable[[np.ndarray, float], np.ndarray]


@cache
def _compiled() -> tuple[Merging, Suppressing]:
    """Both passes, compiled if numba is there, which keeps the machine code on disk for the next process."""
    try:
        import numba
    except ImportError:
        return merged, suppressed
    space = dict(globals())  # the compiled functions call each other, while the ones of this module stay plain
    for plain in (shared, merged, suppressed):
        copy = FunctionType(plain.__code__, space, plain.__name__)
        try:
            space[plain.__name__] = numba.njit(cache=True)(copy)
        except RuntimeError:  # there is no place to keep it
            space[plain.__name__] = numba.njit(copy)
    return space["merged"], space["suppressed"]


def merged(quads: np.ndarray, scores: np.ndarray, merge: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Algorithm 1 but for its last line."""
    averages, votes, number = np.empty_like(quads), np.empty_like(scores), np.zeros(len(quads), np.int64)
    last, area_last = -1, 0.0
    for i in range(len(quads)):
        area, low, high = 0.0, 1e300, -1e300
        for k in range(4):
            j = (k + 1) % 4
            area += quads[i, k, 0] * quads[i, j, 1] - quads[i, j, 0] * quads[i, k, 1]
            low, high = min(low, quads[i, k, 0]), max(high, quads[i, k, 0])
        area = abs(area) / 2
        together = False
        if last >= 0 and low < averages[last, :, 0].max() and high > averages[last, :, 0].min():
            both = shared(quads[i], averages[last])
            together = both > merge * (area + area_last - both)
        if together:
            weight = votes[last] + scores[i]
            area_last = 0.0
            for k in range(4):
                for d in range(2):
                    averages[last, k, d] = (votes[last] * averages[last, k, d] + scores[i] * quads[i, k, d]) / weight
            for k in range(4):
                j = (k + 1) % 4
                area_last += averages[last, k, 0] * averages[last, j, 1] - averages[last, j, 0] * averages[last, k, 1]
            area_last = abs(area_last) / 2
            votes[last] = weight
            number[last] += 1
        else:
            last += 1
            for k in range(4):
                for d in range(2):
                    averages[last, k, d] = quads[i, k, d]
            votes[last], number[last], area_last = scores[i], 1, area
    return averages[: last + 1], votes[: last + 1], number[: last + 1]


def suppressed(quads: np.ndarray, overlap: float) -> np.ndarray:
    """Numbers of those quadrilaterals, the best first, that are kept: the last line of algorithm 1."""
    kept, area = np.ones(len(quads), np.bool_), np.zeros(len(quads))
    low, high = np.empty((len(quads), 2)), np.empty((len(quads), 2))
    for i in range(len(quads)):
        for d in range(2):
            low[i, d], high[i, d] = quads[i, :, d].min(), quads[i, :, d].max()
        for k in range(4):
            j = (k + 1) % 4
            area[i] += (quads[i, k, 0] * quads[i, j, 1] - quads[i, j, 0] * quads[i, k, 1]) / 2
    area = np.abs(area)
    for i in range(len(quads)):
        if not kept[i]:
            continue
        for j in range(i + 1, len(quads)):
            apart = low[i, 0] >= high[j, 0] or low[j, 0] >= high[i, 0] or low[i, 1] >= high[j, 1] or low[j, 1] >= high[i, 1]
            if kept[j] and not apart:
                both = shared(quads[i], quads[j])
                kept[j] = both <= overlap * (area[i] + area[j] - both)
    return np.flatnonzero(kept)


def shared(a: np.ndarray, b: np.ndarray) -> float:
    """The area that two convex quadrilaterals (4, 2) share: a's corners cut along each side of b (Sutherland and Hodgman 1974)."""
    points, next_points = np.empty((12, 2)), np.empty((12, 2))
    sign = 0.0
    for k in range(4):
        j = (k + 1) % 4
        points[k, 0], points[k, 1] = a[k, 0], a[k, 1]
        sign += b[k, 0] * b[j, 1] - b[j, 0] * b[k, 1]
    count = 4
    for k in range(4):
        j = (k + 1) % 4
        dx, dy, made = b[j, 0] - b[k, 0], b[j, 1] - b[k, 1], 0
        if sign < 0:
            dx, dy = -dx, -dy
        for i in range(count):
            n = (i + 1) % count
            here = dx * (points[i, 1] - b[k, 1]) - dy * (points[i, 0] - b[k, 0])
            there = dx * (points[n, 1] - b[k, 1]) - dy * (points[n, 0] - b[k, 0])
            if here >= 0:
                next_points[made, 0], next_points[made, 1] = points[i, 0], points[i, 1]
                made += 1
            if (here > 0 and there < 0) or (here < 0 and there > 0):
                part = here / (here - there)
                next_points[made, 0] = points[i, 0] + part * (points[n, 0] - points[i, 0])
                next_points[made, 1] = points[i, 1] + part * (points[n, 1] - points[i, 1])
                made += 1
        if made < 3:
            return 0.0
        count = made
        for i in range(count):
            points[i, 0], points[i, 1] = next_points[i, 0], next_points[i, 1]
    area = 0.0
    for i in range(count):
        n = (i + 1) % count
        area += (points[i, 0] - points[0, 0]) * (points[n, 1] - points[0, 1])
        area -= (points[n, 0] - points[0, 0]) * (points[i, 1] - points[0, 1])
    return abs(area) / 2
