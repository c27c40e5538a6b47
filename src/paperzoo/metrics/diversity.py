"""Diversity score: do samples show the classes as often as the data do?"""

from __future__ import annotations

import numpy as np


def diversity_score(fake: np.ndarray, real: np.ndarray) -> float:
    """``exp(-KL(P(y) || P*(y)))`` of the class marginals of samples, P, and of real data, P*.

    Args:
        fake, real: a judge's class probabilities (N, K) and (M, K); rows sum to 1. Marginals are the means of the rows.

    Returns:
        In [0, 1]; 1 if the marginals are equal, 1/K if all samples are of one of K classes that are equally frequent in
        the data, 0 if samples show a class that the data have not. It says nothing of diversity within a class.

    Raises:
        ValueError: other numbers of classes, or rows that are no distributions.
    """
    p, q = np.asarray(fake, np.float64), np.asarray(real, np.float64)
    if p.ndim != 2 or q.ndim != 2 or p.shape[1] != q.shape[1] or not len(p) or not len(q):
        raise ValueError(f"need (N, K) and (M, K), got {p.shape} and {q.shape}")
    if any(not np.allclose(rows.sum(1), 1, atol=1e-3) or (rows < 0).any() for rows in (p, q)):
        raise ValueError("rows must be probability distributions")
    shown, true = p.mean(0), q.mean(0)  # (K)
    there = shown > 0
    if (true[there] == 0).any():
        return 0.0
    return float(np.exp(-(shown[there] * np.log(shown[there] / true[there])).sum()))
