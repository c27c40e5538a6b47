"""Volumes made by formula, for exact checks."""

from __future__ import annotations

import numpy as np
import torch

from paperzoo.data.dataset import Dataset, Schema, Split, Values
from paperzoo.data.volumes.columns import Volumes
from paperzoo.data.volumes.voxels import pack, side_of

#: what they are called, by label
SHAPES = ("box", "ball")


def boxes_spheres(image_size: int | None = None, counts: tuple[int, int, int] = (1000, 200, 400)) -> Dataset:
    """Boxes and balls of any size at any place: ``volume`` (N, 1, S, S, S), ``label`` (N), 0 for a box.

    A box has sides of a quarter to three quarters of the cube's, a ball a diameter of three eighths to three quarters, so that both
    occupy about as much; they lie within the cube. No single voxel tells which of the two it is.

    Args:
        image_size: the side, 16, 32 or 64. Default: 16.
        counts: items to train on, for validation, and to test.

    Raises:
        PaperzooError: the side is another.
    """
    size = side_of(image_size, 16)
    splits = {}
    for number, (name, count) in enumerate(zip(("train", "validation", "test"), counts, strict=True)):
        random = np.random.default_rng(number)
        label = random.integers(0, 2, count)
        volumes = np.stack([_ball(random, size) if kind else _box(random, size) for kind in label])
        splits[name] = Split(Volumes(torch.from_numpy(pack(volumes)), size), Values("label", torch.from_numpy(label)))
    schema = Schema("boxes-spheres", ("volume", "label"), {"image_size": size, "classes": 2}, SHAPES)
    return Dataset(schema, splits, "MIT", "made by formula")


def _box(random: np.random.Generator, size: int) -> np.ndarray:
    """bool (D, H, W)."""
    side = random.integers(size // 4, 3 * size // 4 + 1, 3)
    low = random.integers(0, size - side + 1)
    volume = np.zeros((size, size, size), bool)
    volume[tuple(slice(a, a + b) for a, b in zip(low, side, strict=True))] = True
    return volume


def _ball(random: np.random.Generator, size: int) -> np.ndarray:
    """bool (D, H, W)."""
    radius = random.uniform(3 / 16, 3 / 8) * size
    centre = random.uniform(radius, size - radius, 3)
    place = np.arange(size) + 0.5  # centres of voxels
    squares = [(place - c) ** 2 for c in centre]
    inside: np.ndarray = squares[0][:, None, None] + squares[1][:, None] + squares[2] <= radius**2
    return inside
