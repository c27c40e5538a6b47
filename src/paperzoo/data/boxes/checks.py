"""Checks of the boxes in a user's files: corrected where the meaning is clear, else left out, reported in any case."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from paperzoo.data.boxes.geometry import around, crosses_itself
from paperzoo.data.boxes.readers import Annotated, Mark

#: what was found -> where
Said = defaultdict[str, list[str]]


def shares_taken_for_pixels(pictures: Sequence[Annotated]) -> bool:
    """Whether boxes that should be in pixels are shares of the pictures' sides: all lie in [0, 1], and some have an extent."""
    boxes = [mark.box for one in pictures for mark in one.marks]
    return bool(boxes) and all(min(box) >= -0.01 and max(box) <= 1.01 for box in boxes) and any(box[2] > box[0] for box in boxes)


def pixels_taken_for_shares(pictures: Sequence[Annotated]) -> bool:
    """Whether boxes that should be shares are pixels: some reach far beyond 1."""
    return any(max(mark.box) > 2 for one in pictures for mark in one.marks)


def scaled(mark: Mark, wide: float, tall: float) -> Mark:
    """A mark in shares of a picture's sides as one in pixels."""
    x0, y0, x1, y1 = mark.box
    quad = tuple((x * wide, y * tall) for x, y in mark.quad)
    return Mark((x0 * wide, y0 * tall, x1 * wide, y1 * tall), mark.name, mark.difficult, mark.crowd, quad, mark.text, mark.where)


def sound(marks: Sequence[Mark], wide: int, tall: int, said: Said) -> list[Mark]:
    """The marks that can be used, in a picture of ``wide`` x ``tall`` pixels; what was done to others goes to ``said``.

    Sides in the wrong order are exchanged, corners of a quadrilateral that crosses itself put in order around their middle, and boxes
    that reach beyond the picture cut at its border. One without an area, or wholly outside, is left out.
    """
    kept = []
    for mark in marks:
        x0, y0, x1, y1 = mark.box
        quad = np.array(mark.quad, np.float64).reshape(-1, 2)
        if len(quad) == 4:
            if crosses_itself(quad):
                said["quadrilaterals that crossed themselves, their corners put in order"].append(mark.where)
                quad = in_order(quad)
            x0, y0, x1, y1 = around(quad).tolist()
        elif x1 < x0 or y1 < y0:
            said["boxes with right and left, or bottom and top, exchanged, which was put right"].append(mark.where)
            x0, x1, y0, y1 = min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)
        if x1 <= x0 or y1 <= y0:
            said["boxes without an area, left out"].append(mark.where)
            continue
        if x1 <= 0 or y1 <= 0 or x0 >= wide or y0 >= tall:
            said["boxes wholly outside of their pictures, left out"].append(mark.where)
            continue
        if min(x0, y0) < -1 or x1 > wide + 1 or y1 > tall + 1:  # a pixel is rounding
            said["boxes that reached beyond their pictures, cut at the border"].append(mark.where)
        box = (max(x0, 0.0), max(y0, 0.0), min(x1, float(wide)), min(y1, float(tall)))
        corners = tuple((float(x), float(y)) for x, y in quad)
        kept.append(Mark(box, mark.name, mark.difficult, mark.crowd, corners, mark.text, mark.where))
    return kept


def in_order(quad: np.ndarray) -> np.ndarray:
    """The corners (4, 2) clockwise around their middle, from the one that was first."""
    middle = quad - quad.mean(0)
    angle = np.arctan2(middle[:, 1], middle[:, 0])  # y points down: growing angles go clockwise
    order = np.argsort((angle - angle[0]) % (2 * np.pi), kind="stable")
    ordered: np.ndarray = quad[order]
    return ordered
