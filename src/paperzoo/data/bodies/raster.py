"""A rasteriser: which triangle of a mesh is seen at each pixel, and where in it, by depth and barycentric coordinates."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Seen(NamedTuple):
    """A mesh rasterised to H x W pixels.

    Attributes:
        face: int64 (H, W), the number of the triangle, -1 where there is none.
        weights: float64 (H, W, 3), barycentric coordinates of the pixel's middle in it; 0 where there is none.
        depth: float64 (H, W); infinite where there is none.
    """

    face: np.ndarray
    weights: np.ndarray
    depth: np.ndarray


def rasterised(points: np.ndarray, faces: np.ndarray, tall: int, wide: int, cull: bool = True) -> Seen:
    """A mesh rasterised at the centres of pixels, which lie at halves.

    A pixel in the middle of which several triangles lie shows the nearest; one on an edge belongs to both its triangles. Coordinates
    are linear in the picture, as a camera far away has them.

    Args:
        points: (V, 3), x to the right and y down in pixels, and depth, smaller nearer.
        faces: int (F, 3). cull: leave out triangles seen from behind, whose corners run clockwise to the eye.
    """
    corners = points[faces]  # (F, 3, 3)
    (x0, y0), (x1, y1), (x2, y2) = (corners[:, i, :2].T for i in range(3))
    area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)  # negative: counter-clockwise to the eye, for y runs down
    low = np.maximum(np.ceil(corners[:, :, :2].min(1) - 0.5), 0).astype(np.int64)
    high = np.minimum(np.floor(corners[:, :, :2].max(1) - 0.5), [wide - 1, tall - 1]).astype(np.int64)
    across, down = (np.maximum(high - low + 1, 0)).T
    some = np.flatnonzero((across * down > 0) & ((area < 0) if cull else (area != 0)))
    number = across[some] * down[some]
    owner = np.repeat(some, number)  # (P), a row for each pixel in the box around each triangle
    place = np.arange(len(owner)) - np.repeat(number.cumsum() - number, number)
    column, row = low[owner, 0] + place % across[owner], low[owner, 1] + place // across[owner]
    x, y = column + 0.5, row + 0.5
    first = (x1[owner] - x) * (y2[owner] - y) - (x2[owner] - x) * (y1[owner] - y)
    second = (x2[owner] - x) * (y0[owner] - y) - (x0[owner] - x) * (y2[owner] - y)
    weights = np.stack([first, second], 1) / area[owner, None]
    weights = np.concatenate([weights, 1 - weights.sum(1, keepdims=True)], 1)
    inside = (weights >= -1e-9).all(1)
    owner, weights, pixel = owner[inside], weights[inside], (row * wide + column)[inside]
    depth = (weights * corners[owner, :, 2]).sum(1)
    order = np.argsort(-depth, kind="stable")  # of those written to one pixel the last, the nearest, stays
    face, coordinates, far = np.full(tall * wide, -1), np.zeros((tall * wide, 3)), np.full(tall * wide, np.inf)
    face[pixel[order]], coordinates[pixel[order]], far[pixel[order]] = owner[order], weights[order], depth[order]
    return Seen(face.reshape(tall, wide), coordinates.reshape(tall, wide, 3), far.reshape(tall, wide))


def normals(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals (V, 3) of vertices, means of those of their triangles weighed by area; outward where corners run so."""
    a, b, c = (points[faces[:, i]] for i in range(3))
    face_normals = np.cross(b - a, c - a)
    summed = np.stack([np.bincount(faces.ravel(), np.repeat(face_normals[:, i], 3), len(points)) for i in range(3)], 1)
    unit: np.ndarray = summed / np.maximum(np.linalg.norm(summed, axis=1, keepdims=True), 1e-12)
    return unit
