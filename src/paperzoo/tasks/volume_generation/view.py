"""Voxels seen from outside: an orthographic view, drawn by its faces from the farthest to the nearest."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

#: shades of the faces that look along x, y and z, and the colour that they are of
_SHADES, _COLOUR = (0.62, 1.0, 0.82), (98, 156, 214)
_TILT = 25.0  # degrees, from above
_FINER = 2  # drawn larger by this factor, then averaged


def view(volume: np.ndarray, turn: float = 30.0, side: int = 96) -> Image.Image:
    """A picture of the occupied voxels, ``side`` pixels square on white; an empty volume gives a white one.

    Args:
        volume: bool (D, H, W), of one side; H is up.
        turn: degrees about the vertical. At 0 the depth axis points to the eye, at 90 the width axis.
    """
    size, large = len(volume), side * _FINER
    picture = Image.new("RGB", (large, large), "white")
    pen = ImageDraw.Draw(picture)
    right, up, forward = axes(turn)  # as x, y, z
    scale = large / (size * 1.65)  # the diagonal of a cube is 1.73 of its side, and few shapes have one
    squares, depth, colour = [], [], []
    filled = np.pad(volume.transpose(2, 1, 0), 1)  # (W + 2, H + 2, D + 2): x, y, z
    for axis in range(3):
        sign = -1 if forward[axis] > 0 else 1  # the faces that look to the eye
        bare = (filled & ~np.roll(filled, -sign, axis))[1:-1, 1:-1, 1:-1]
        places = np.argwhere(bare) - size / 2  # (F, 3): the voxels' lowest corners
        corners = np.zeros((4, 3))
        corners[:, axis] = sign > 0
        corners[:, [a for a in range(3) if a != axis]] = [(0, 0), (0, 1), (1, 1), (1, 0)]
        points = places[:, None] + corners  # (F, 4, 3)
        squares.append(np.stack([large / 2 + scale * (points @ right), large / 2 - scale * (points @ up)], 2))
        depth.append((places + 0.5) @ forward)
        colour.append(np.full(len(places), axis))
    order = np.argsort(-np.concatenate(depth), kind="stable")
    shades = [tuple(round(part * shade) for part in _COLOUR) for shade in _SHADES]
    edges = [tuple(round(0.85 * part) for part in shade) for shade in shades] if scale * _FINER >= 8 else shades
    which = np.concatenate(colour)
    for number, square in zip(order.tolist(), np.concatenate(squares)[order].reshape(len(order), 8).tolist(), strict=True):
        pen.polygon(square, fill=shades[which[number]], outline=edges[which[number]])
    return picture.reduce(_FINER)


def axes(turn: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the picture's right and up and the way into it point: orthonormal vectors x, y, z."""
    a, b = np.radians(turn), np.radians(_TILT)
    right = np.array([np.cos(a), 0.0, -np.sin(a)])
    forward = np.array([-np.sin(a) * np.cos(b), -np.sin(b), -np.cos(a) * np.cos(b)])
    return right, np.cross(right, forward), forward


def occupied(volumes: Tensor) -> np.ndarray:
    """Volumes (N, 1, S, S, S) in [0, 1] as bool (N, D, H, W)."""
    mask: np.ndarray = volumes[:, 0].detach().cpu().numpy() > 0.5
    return mask


def sheet(rows: list[list[Image.Image]], captions: list[list[str]] | None = None) -> Image.Image:
    """Pictures of one size row by row on white, each with a line of its own below where there are captions."""
    side, below = rows[0][0].width, 14 if captions else 0
    whole = Image.new("RGB", (max(map(len, rows)) * side, len(rows) * (side + below)), "white")
    pen = ImageDraw.Draw(whole)
    for number, row in enumerate(rows):
        top = number * (side + below)
        for column, picture in enumerate(row):
            whole.paste(picture, (column * side, top))
            if captions:
                place = column * side + side // 2, top + side + 6
                pen.text(place, captions[number][column], fill="black", anchor="mm", font_size=10)
    return whole
