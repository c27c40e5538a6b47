"""Maximum mean discrepancy (Gretton et al. 2012): are two sets of vectors samples of one distribution?"""

from __future__ import annotations

import numpy as np
import torch

from paperzoo.metrics.density_coverage import squared_distances


def mmd_test(x: np.ndarray, y: np.ndarray, permutations: int = 999, seed: int = 0) -> tuple[float, float]:
    """Squared MMD between x (N, D) and y (M, D) under a Gaussian kernel, and the p-value of a permutation test.

    ``|mean k(x, .) - mean k(y, .)|^2`` in the kernel's space, the biased estimate, which is never negative. The kernel is
    ``exp(-d^2 / 2 s^2)`` with s the median distance of the pooled vectors. The p-value is the share of random relabellings
    of the pooled vectors, the true one counted in, whose discrepancy is at least as large.

    Returns:
        Discrepancy in [0, 2], and p in [1 / (permutations + 1), 1]. For equal distributions p is uniform, so it is below 0.01
        once in a hundred times; a large p says only that N and M vectors do not tell the two apart.

    Raises:
        ValueError: fewer than two vectors of either, vectors of different lengths, or values that are not finite.
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise ValueError(f"need (N, D) and (M, D) with N and M at least 2, got {x.shape} and {y.shape}")
    pooled = torch.from_numpy(np.concatenate([x, y]).astype(np.float64))  # (N + M, D)
    if not torch.isfinite(pooled).all():
        raise ValueError("vectors must be finite")
    pooled -= pooled.mean(0)
    squares = squared_distances(pooled, pooled)  # (N + M, N + M)
    apart = squares[np.triu_indices(len(pooled), 1)]
    kernel = torch.exp(-squares / (2 * apart.median().clamp(min=1e-12)))
    weight = np.concatenate([np.full(len(x), 1 / len(x)), np.full(len(y), -1 / len(y))])
    random = np.random.default_rng(seed)
    columns = np.stack([weight, *(random.permutation(weight) for _ in range(permutations))], 1)
    weights = torch.from_numpy(columns)  # (N + M, permutations + 1), the true one first
    discrepancy = (weights * (kernel @ weights)).sum(0).clamp(min=0)
    return float(discrepancy[0]), float((discrepancy >= discrepancy[0] - 1e-12).double().mean())
