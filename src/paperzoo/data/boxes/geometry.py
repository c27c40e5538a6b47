"""Where things lie in a picture, and where they lie once it is put into a frame of another shape.

A box is left, top, right, bottom in pixels, its right and lower side excluded: a box over the whole of a picture of H x W pixels is
(0, 0, W, H). A quadrilateral is four corners x, y in the same coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from paperzoo.data.marks import Numbers, area, clipped

__all__ = ["GROUND", "Letterbox", "area", "around", "clipped", "corners", "crosses_itself", "letterboxed"]

#: grey, which a picture does not fill of its frame is painted with, as darknet does: 0.5 of [0, 1]
GROUND = 127


@dataclass(frozen=True)
class Letterbox:
    """A picture of ``height`` x ``width`` pixels, shrunk or enlarged with both sides alike until it just fits into a frame, in its middle.

    Both sides of the resized picture are whole pixels, so that the two factors may differ by less than half a pixel over a side; boxes
    are moved by these very factors, and ``back`` is the inverse of ``into``.
    """

    height: int
    width: int
    tall: int
    wide: int

    @property
    def inside(self) -> tuple[int, int]:
        """Height and width of the resized picture."""
        by = min(self.tall / self.height, self.wide / self.width)
        return max(1, min(self.tall, round(self.height * by))), max(1, min(self.wide, round(self.width * by)))

    @property
    def corner(self) -> tuple[int, int]:
        """Top and left of the resized picture in the frame."""
        tall, wide = self.inside
        return (self.tall - tall) // 2, (self.wide - wide) // 2

    def into(self, points: Numbers) -> Numbers:
        """Coordinates (..., 2), x and y, or boxes (..., 4), of the picture as the frame has them."""
        (tall, wide), (top, left) = self.inside, self.corner
        return _moved(points, wide / self.width, tall / self.height, left, top)

    def back(self, points: Numbers) -> Numbers:
        """Coordinates (..., 2) or boxes (..., 4) of the frame as the picture has them."""
        (tall, wide), (top, left) = self.inside, self.corner
        across, down = self.width / wide, self.height / tall
        return _moved(points, across, down, -left * across, -top * down)


def _moved(points: Numbers, across: float, down: float, right: float, below: float) -> Numbers:
    """x times ``across`` plus ``right``, y times ``down`` plus ``below``."""
    moved = points.copy() if isinstance(points, np.ndarray) else points.clone()
    moved[..., 0::2] = moved[..., 0::2] * across + right
    moved[..., 1::2] = moved[..., 1::2] * down + below
    return moved


def letterboxed(picture: Image.Image, tall: int, wide: int) -> np.ndarray:
    """An RGB picture in a frame of ``tall`` x ``wide`` pixels, grey where it does not reach; uint8 (3, tall, wide)."""
    box = Letterbox(picture.height, picture.width, tall, wide)
    (inner_tall, inner_wide), (top, left) = box.inside, box.corner
    frame = np.full((tall, wide, 3), GROUND, np.uint8)
    small = picture if picture.size == (inner_wide, inner_tall) else _resized(picture, inner_wide, inner_tall)
    frame[top : top + inner_tall, left : left + inner_wide] = np.asarray(small)
    return frame.transpose(2, 0, 1)  # (H, W, C) -> (C, H, W)


def _resized(picture: Image.Image, wide: int, tall: int) -> Image.Image:
    return picture.resize((wide, tall), Image.Resampling.BILINEAR, reducing_gap=3)


def around(quads: np.ndarray) -> np.ndarray:
    """The boxes (..., 4) around quadrilaterals (..., 4, 2)."""
    return np.concatenate([quads.min(-2), quads.max(-2)], -1)


def corners(boxes: np.ndarray) -> np.ndarray:
    """Boxes (..., 4) as quadrilaterals (..., 4, 2), clockwise from the upper left corner."""
    quads: np.ndarray = boxes[..., [[0, 1], [2, 1], [2, 3], [0, 3]]]
    return quads


def crosses_itself(quad: np.ndarray) -> bool:
    """Whether two sides of a quadrilateral (4, 2) that do not meet in a corner cross."""

    def side(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> float:
        return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))

    a, b, c, d = quad
    pairs = (((a, b), (c, d)), ((b, c), (d, a)))
    return any(
        side(p, q, r) * side(p, q, s) < 0 and side(r, s, p) * side(r, s, q) < 0 for (p, q), (r, s) in pairs
    )
