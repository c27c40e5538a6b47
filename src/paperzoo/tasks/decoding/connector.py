"""From strips of text, one column of a grid wide, to lines (1609.03605, section 3.2, "Side-refinement", and 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Strips(NamedTuple):
    """Strips of one picture, S of them.

    Attributes:
        column: of the grid, whole numbers as float64 (S); top, bottom: in pixels.
        side: where the line that the strip belongs to ends, if it does so near; x in pixels. score: (S).
    """

    column: np.ndarray
    top: np.ndarray
    bottom: np.ndarray
    side: np.ndarray
    score: np.ndarray

    def some(self, which: np.ndarray) -> Strips:
        """These strips, in this order."""
        return Strips(*(values[which] for values in self))

    def suppressed(self, overlap: float) -> Strips:
        """From the highest score down, those that overlap no kept one of their column by more than ``overlap`` of their IoU."""
        order, kept = np.argsort(-self.score, kind="stable"), list[int]()
        for column in np.unique(self.column):
            rest = order[self.column[order] == column]
            while len(rest):
                first, rest = rest[0], rest[1:]
                kept.append(int(first))
                both = np.minimum(self.bottom[first], self.bottom[rest]) - np.maximum(self.top[first], self.top[rest])
                whole = np.maximum(self.bottom[first], self.bottom[rest]) - np.minimum(self.top[first], self.top[rest])
                rest = rest[both <= overlap * whole]
        return self.some(np.array(kept, np.int64))


class Line(NamedTuple):
    """A line: its corners float64 (4, 2), clockwise from the upper left, the mean score of its strips, and their numbers."""

    quad: np.ndarray
    score: float
    strips: Sequence[int]


def links(strips: Strips, width: float, gap: float, agree: float) -> list[tuple[int, int]]:
    """Pairs of strips that are each other's nearest neighbour, the left one first.

    A strip's neighbour to the right is, of those of the nearest column whose heights agree with it, the one with the highest score, less
    than ``gap`` pixels away; to the left likewise. A pair is linked if each is the other's.

    Args:
        width: of a column in pixels. agree: least share that two heights have in common, of both together.
    """
    right, left = _neighbours(strips, width, gap, agree, 1), _neighbours(strips, width, gap, agree, -1)
    return [(i, j) for i, j in enumerate(right) if j >= 0 and left[j] == i]


def _neighbours(strips: Strips, width: float, gap: float, agree: float, way: int) -> list[int]:
    neighbours = []
    for i in range(len(strips.score)):
        apart = way * (strips.column - strips.column[i]) * width
        both = np.minimum(strips.bottom, strips.bottom[i]) - np.maximum(strips.top, strips.top[i])
        whole = np.maximum(strips.bottom, strips.bottom[i]) - np.minimum(strips.top, strips.top[i])
        able = np.flatnonzero((apart > 0) & (apart < gap) & (both > agree * whole))
        if len(able):
            nearest = able[apart[able] == apart[able].min()]
            neighbours.append(int(nearest[strips.score[nearest].argmax()]))
        else:
            neighbours.append(-1)
    return neighbours


def connected(strips: Strips, width: float, gap: float = 50.0, agree: float = 0.7, refine: bool = True) -> list[Line]:
    """Lines of strips that are linked one to the next.

    The upper and the lower side of a line are straight, fitted to the middles of its strips' tops and bottoms.

    Args:
        refine: whether a line ends where its outer strips say, rather than at their columns' borders.
    """
    pairs = dict(links(strips, width, gap, agree))
    starts = sorted(set(range(len(strips.score))) - set(pairs.values()))
    lines = []
    for start in starts:
        chain = [start]
        while chain[-1] in pairs:
            chain.append(pairs[chain[-1]])
        linked = strips.some(np.array(chain))
        x = (linked.column + 0.5) * width
        left, right = linked.column[0] * width, (linked.column[-1] + 1) * width
        if refine:
            left, right = _ends(float(left), float(right), float(linked.side[0]), float(linked.side[-1]), width, len(chain))
        (top0, top1), (bottom0, bottom1) = (_fitted(x, y, left, right) for y in (linked.top, linked.bottom))
        quad = np.array([[left, top0], [right, top1], [right, bottom1], [left, bottom0]])
        lines.append(Line(quad, float(linked.score.mean()), tuple(chain)))
    return lines


def _ends(left: float, right: float, first: float, last: float, width: float, number: int) -> tuple[float, float]:
    """Where a line ends: as its outer strips say, unless that is farther from them than two columns, or leaves nothing of it."""
    new_left = first if abs(first - (left + width / 2)) <= 2 * width else left
    new_right = last if abs(last - (right - width / 2)) <= 2 * width else right
    if number == 1:  # a strip alone says one end, the nearer
        new_left, new_right = (new_left, right) if first < left + width / 2 else (left, new_right)
    return (new_left, new_right) if new_right - new_left >= width / 4 else (left, right)


def _fitted(x: np.ndarray, y: np.ndarray, left: float, right: float) -> tuple[float, float]:
    """The straight line through points of least squares, read at two places."""
    if len(x) == 1:
        return float(y[0]), float(y[0])
    slope, start = np.polyfit(x - x.mean(), y, 1)
    return float(start + slope * (left - x.mean())), float(start + slope * (right - x.mean()))
