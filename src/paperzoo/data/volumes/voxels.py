"""Meshes to voxels, voxels to bits, and the eight poses of a thing that stands upright.

The axes of a volume (D, H, W) are depth, height from the ground up, and width: z, y and x of a mesh whose y is up.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from paperzoo.errors import PaperzooError

#: the sides that volumes are made at
VoxelSide = Literal[16, 32, 64]
SIDES: tuple[int, ...] = get_args(VoxelSide)

#: turns by a quarter about the vertical, mirrored or not
POSES = 8

_SPACING = 0.5  # of points on a surface, in voxels
_AT_ONCE = 500_000  # points


def side_of(size: int | None, usual: int = 32) -> int:
    """The side of volumes that is asked for.

    Raises:
        PaperzooError: volumes are not made at this side.
    """
    if size is not None and size not in SIDES:
        raise PaperzooError(f"volumes have a side of {', '.join(map(str, SIDES[:-1]))} or {SIDES[-1]} voxels, not {size}")
    return size or usual


def voxelise(vertices: np.ndarray, faces: np.ndarray, size: int) -> np.ndarray:
    """The voxels that a surface meets, and those that it encloses; bool (D, H, W), all of one side.

    The mesh is moved to the middle and scaled, so that its longest side reaches from the first voxel's centre to the last one's:
    in which unit it is measured does not matter. A voxel is met if a point of the surface lies in it, of points half a voxel apart.
    What the voxels met keep from the outside is filled, by 6-connected flood; a surface that is open at this scale stays a shell.

    Args:
        vertices: float (V, 3), x, y, z with y up.
        faces: int (F, 3), triangles.

    Raises:
        PaperzooError: there are no triangles, they have no extent, or a vertex that is used is not finite.
    """
    from scipy.ndimage import binary_fill_holes

    if not len(faces):
        raise PaperzooError("it has no faces")
    triangles = np.asarray(vertices, np.float64)[np.asarray(faces, np.int64)]  # (F, 3, 3)
    if not np.isfinite(triangles).all():
        raise PaperzooError("it has a vertex that is not finite")
    low, high = triangles.min((0, 1)), triangles.max((0, 1))  # (3)
    longest = (high - low).max()
    if not longest > 0:
        raise PaperzooError("all its vertices are at one place")
    # a hair less than the whole, so that a face right between two voxels belongs to the inner one on either side
    scale = (size - 1) / longest * (1 - 1e-6)
    triangles = (triangles - (low + high) / 2) * scale + (size - 1) / 2
    met = np.zeros((size, size, size), bool)
    for points in _on_surface(triangles):
        x, y, z = np.rint(points).astype(np.int64).T
        met[z, y, x] = True
    filled: np.ndarray = binary_fill_holes(met)
    return filled


def _on_surface(triangles: np.ndarray) -> Iterator[np.ndarray]:
    """Points (M, 3) on triangles (F, 3, 3), corners and edges included: rows along the longest edge, so that thin ones have few."""
    edges = np.linalg.norm(np.roll(triangles, -1, 1) - triangles, axis=2)  # (F, 3): from corner k to the next
    order = (edges.argmax(1)[:, None] + np.arange(3)) % 3
    a, b, c = (
        np.take_along_axis(triangles, order[:, k, None, None], 1)[:, 0] for k in range(3)
    )  # (F, 3) each; a to b is longest
    longest = edges.max(1)
    height = np.linalg.norm(np.cross(b - a, c - a), axis=1) / np.maximum(longest, 1e-12)
    along, across = (np.maximum(1, np.ceil(length / _SPACING)).astype(np.int64) for length in (longest, height))
    ends, start = np.cumsum((along + 1) * (across + 1)), 0
    while start < len(triangles):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _AT_ONCE)))
        counts = np.diff(ends[start:stop], prepend=before)
        which = np.repeat(np.arange(start, stop), counts)
        place = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
        row, column = np.divmod(place, along[which] + 1)
        s, t = (column / along[which])[:, None], (row / across[which])[:, None]  # (M, 1)
        yield (a[which] * (1 - s) + b[which] * s) * (1 - t) + c[which] * t
        start = stop


# Bits ----------------------------------------------------------------------------------------------------------------


def pack(volumes: np.ndarray) -> np.ndarray:
    """Volumes bool (N, D, H, W) as bits: uint8 (N, D H W / 8), the first voxel in the highest bit."""
    return np.packbits(volumes.reshape(len(volumes), -1), axis=1)


def unpack(packed: Tensor, size: int) -> Tensor:
    """Bits uint8 (N, S^3 / 8) as float32 (N, 1, S, S, S) of 0 and 1, on their device."""
    shift = torch.arange(7, -1, -1, dtype=torch.uint8, device=packed.device)
    bits = (packed[:, :, None] >> shift) & 1  # (N, S^3 / 8, 8)
    return bits.view(-1, 1, size, size, size).float()


# Poses ---------------------------------------------------------------------------------------------------------------


def posed(volumes: Tensor, pose: int) -> Tensor:
    """Volumes (..., D, H, W) turned by ``pose % 4`` quarters about the vertical, from 4 on mirrored left to right first."""
    mirrored = volumes.flip(-1) if pose >= 4 else volumes
    return torch.rot90(mirrored, pose % 4, (-3, -1))


def iou(first: Tensor, second: Tensor, poses: int = 1) -> Tensor:
    """Intersection over union of each of (N, ...) with each of (M, D, H, W) or (M, 1, D, H, W), of 0 and 1; (N, M).

    Args:
        poses: 8 for the best of the second one's eight poses. Two empty volumes are the same: 1.
    """
    flat = first.flatten(1).float()
    best = flat.new_zeros(len(first), len(second))
    total = flat.sum(1)[:, None] + second.flatten(1).float().sum(1)  # (N, M)
    for pose in range(poses):
        both = flat @ posed(second, pose).flatten(1).float().T
        best = torch.maximum(best, torch.where(total > 0, both / (total - both).clamp(min=1), 1.0))
    return best
