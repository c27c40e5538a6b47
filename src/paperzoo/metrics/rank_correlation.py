"""Whether two lists are in the same order."""

from __future__ import annotations

import numpy as np


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1 of (N) values; equal ones share the mean of theirs."""
    _, which, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)  # the highest rank of each distinct value
    shared: np.ndarray = (last - (count - 1) / 2)[which]
    return shared


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's rank correlation of (N) and (N): the correlation of their ranks, in [-1, 1].

    Not-a-number if N < 2 or either is constant.
    """
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"two equally long vectors wanted, not {x.shape} and {y.shape}")
    a, b = ranks(x), ranks(y)
    a, b = a - a.mean() if len(a) else a, b - b.mean() if len(b) else b
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale else float("nan")
