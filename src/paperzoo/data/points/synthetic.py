"""Data made by formula, for exact checks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from paperzoo.data.dataset import Dataset, Schema, Split, Unpaired, Values


def ring8(items: int = 50_000, spread: float = 0.02, seed: int = 0) -> Dataset:
    """Eight Gaussians with standard deviation ``spread`` on a circle of radius sqrt(2): ``point`` (N, 2), ``label`` (N).

    The toy set of the WGAN-GP paper's section 4 (radius 2, deviation 0.02, all divided by 1.414).
    """

    def draw(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        mode = random.integers(0, 8, count)
        angle = 2 * np.pi * mode / 8
        centre = np.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)], 1)  # (N, 2)
        return centre + spread / np.sqrt(2) * random.standard_normal((count, 2)), mode

    return _points("ring8", draw, items, seed, classes=8)


def grid25(items: int = 50_000, spread: float = 0.05, seed: int = 0) -> Dataset:
    """25 Gaussians, standard deviation ``spread``, on a 5x5 grid of spacing 2 round the origin, all divided by 2 sqrt(2).

    ``point`` (N, 2), ``label`` (N): 5 x column + row, both from the lowest. The scale, commonly used for this toy set,
    brings the variance of each coordinate to 1.
    """

    def draw(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        mode = random.integers(0, 25, count)
        centre = 2.0 * np.stack([mode // 5 - 2, mode % 5 - 2], 1)  # (N, 2), in -4, -2, 0, 2, 4
        return (centre + spread * random.standard_normal((count, 2))) / np.sqrt(8), mode

    return _points("grid25", draw, items, seed, classes=25)


#: centres of the modes of ``modes5>10``, (5, 2) and (10, 2)
MODES_A = 3 * np.stack([np.cos(2 * np.pi * np.arange(5) / 5), np.sin(2 * np.pi * np.arange(5) / 5)], 1)
MODES_B = 6 * np.stack([np.cos(2 * np.pi * (np.arange(10) + 0.5) / 10), np.sin(2 * np.pi * (np.arange(10) + 0.5) / 10)], 1)


def modes(items: int = 50_000, spread: float = 0.3, seed: int = 0) -> Dataset:
    """Two unpaired sets of Gaussian modes in the plane: ``point_a`` of 5 (``MODES_A``), ``point_b`` of 10 (``MODES_B``).

    The toy set of the DiscoGAN paper, which gives no coordinates: here five lie on a circle of radius 3 and ten on one of radius
    6, all with deviation ``spread``. ``schema.arguments`` says so: the centres of both as ``modes``, and the ``deviation``.
    """
    splits = {}
    for index, (split, count) in enumerate({"train": items, "test": items // 5}.items()):
        random = np.random.default_rng([seed, index])
        columns = []
        for name, centres in (("point_a", MODES_A), ("point_b", MODES_B)):
            point = centres[random.integers(0, len(centres), count)] + spread * random.standard_normal((count, 2))  # (N, 2)
            columns.append(Values(name, torch.from_numpy(point.astype(np.float32))))
        splits[split] = Split(Unpaired(*columns))
    known = {"modes": (MODES_A.tolist(), MODES_B.tolist()), "deviation": spread}
    arguments = {"dimensions": 2, "domains": ("5 modes", "10 modes"), "paired": (), **known}
    schema = Schema("modes5>10", ("point_a", "point_b"), arguments)
    return Dataset(schema, splits, licence="none needed", source="formula")


def gaussian1d(items: int = 50_000, mean: float = 0.0, spread: float = 1.0, seed: int = 0) -> Dataset:
    """A normal distribution in one dimension, N(0, 1) if nothing else is said: ``point`` (N, 1), every ``label`` 0."""

    def draw(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        return mean + spread * random.standard_normal((count, 1)), np.zeros(count, np.int64)

    return _points("gaussian1d", draw, items, seed, classes=1)


def factors8(items: int = 50_000, seed: int = 0) -> Dataset:
    """Two Gaussian factors seen through eight numbers: ``point`` (N, 8) = W z + b + noise of deviation 0.5; every ``label`` 0.

    W and b are standard normal. The distribution is known exactly: N(b, W W^T + I / 4).
    """
    return _factors("factors8", 8, np.ones(2), 0.5, items, seed)


def plane3d(items: int = 50_000, seed: int = 0) -> Dataset:
    """Points near a plane in space: ``point`` (N, 3), deviations 2 and 1 in the plane and 0.3 out of it; every ``label`` 0."""
    return _factors("plane3d", 3, np.sqrt(np.array([4.0, 1.0]) - 0.09), 0.3, items, seed, orthonormal=True)


def _factors(
    name: str, dimensions: int, deviation: np.ndarray, noise: float, items: int, seed: int, orthonormal: bool = False
) -> Dataset:
    """``deviation`` (K) times K normal factors, turned into ``dimensions`` numbers, shifted, and noise in every direction."""
    normal = np.random.default_rng(seed)
    w, b = normal.standard_normal((dimensions, len(deviation))), normal.standard_normal(dimensions)
    w = deviation * (np.linalg.qr(w).Q if orthonormal else w)  # (D, K)

    def draw(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        z, e = random.standard_normal((count, len(deviation))), random.standard_normal((count, dimensions))
        return z @ w.T + b + noise * e, np.zeros(count, np.int64)  # (N, D)

    return _points(name, draw, items, seed, classes=1)


def _points(
    name: str, draw: Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]], items: int, seed: int, classes: int
) -> Dataset:
    """``items`` points to train on and a fifth as many for the test, each split from a generator of its own."""
    splits = {}
    for index, (split, count) in enumerate({"train": items, "test": items // 5}.items()):
        point, mode = draw(np.random.default_rng([seed, index]), count)
        splits[split] = Split(
            Values("point", torch.from_numpy(point.astype(np.float32))), Values("label", torch.from_numpy(mode))
        )
    dimensions = splits["train"][0].point.numel()
    schema = Schema(name, ("point", "label"), {"dimensions": dimensions}, tuple(str(i) for i in range(classes)))
    return Dataset(schema, splits, licence="none needed", source="formula")
