"""Kernel inception distance (Bińkowski et al. 2018, 1801.01401): a distance of two sets of features without bias."""

from __future__ import annotations

import numpy as np

#: rows of the kernel matrix made at once
_CHUNK = 1000


def kid(real: np.ndarray, fake: np.ndarray) -> float:
    """Squared maximum mean discrepancy of features (N, D) and (M, D) under ``k(x, y) = (x.y / D + 1)^3``.

    The unbiased estimate: the mean of k over pairs of *two* real samples, plus that over pairs of two fakes, less twice
    that over pairs of a real and a fake. Its expectation does not depend on N and M (that of FID does), and it is zero for
    equal distributions, so it may come out slightly negative. Lower is better; published figures are often times 1,000.

    Raises:
        ValueError: fewer than two samples, or features of different lengths.
    """
    x, y = np.asarray(real, np.float32), np.asarray(fake, np.float32)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise ValueError(f"need (N, D) and (M, D) with N and M at least 2, got {x.shape} and {y.shape}")
    n, m = len(x), len(y)
    within = (_total(x, x) - _diagonal(x)) / (n * (n - 1)) + (_total(y, y) - _diagonal(y)) / (m * (m - 1))
    return within - 2 * _total(x, y) / (n * m)


def kid_of_subsets(
    real: np.ndarray, fake: np.ndarray, subsets: int = 100, size: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Mean and standard deviation of ``kid`` over random subsets of ``size`` each, drawn without replacement.

    This is how published figures are made; the mean agrees in expectation with ``kid`` of everything, which needs no
    choice of subsets and is what this collection prints.
    """
    random = np.random.default_rng(seed)
    if size > min(len(real), len(fake)):
        raise ValueError(f"subsets of {size} cannot be drawn from {len(real)} and {len(fake)} samples")
    values = [
        kid(real[random.choice(len(real), size, replace=False)], fake[random.choice(len(fake), size, replace=False)])
        for _ in range(subsets)
    ]
    return float(np.mean(values)), float(np.std(values))


def _total(x: np.ndarray, y: np.ndarray) -> float:
    """The sum of k over all pairs of rows."""
    total = 0.0
    for start in range(0, len(x), _CHUNK):
        kernel = x[start : start + _CHUNK] @ (y / np.float32(y.shape[1])).T + np.float32(1)  # (chunk, M)
        total += float((kernel * kernel * kernel).sum(dtype=np.float64))
    return total


def _diagonal(x: np.ndarray) -> float:
    """The sum of k over pairs of a row with itself."""
    return float(((np.einsum("nd,nd->n", x, x, dtype=np.float64) / x.shape[1] + 1) ** 3).sum())
