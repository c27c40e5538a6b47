"""Density and coverage (Naeem et al. 2020, 2002.09797): fidelity and diversity by nearest neighbours, kept apart."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

#: rows of the distance matrix made at once
_CHUNK = 1000


def density_coverage(real: np.ndarray, fake: np.ndarray, k: int = 5) -> tuple[float, float]:
    """Density and coverage of fake features (M, D) around real ones (N, D).

    Each real sample has a ball that reaches to its k-th nearest other real sample. *Density* counts how many balls a fake
    lies in, divided by k (Eq. 3): 1 in expectation if both are of one distribution, above 1 if fakes crowd where real
    samples are dense, 0 far from all. *Coverage* is the share of balls with at least one fake inside (Eq. 4): in [0, 1],
    and about 1 - 2^-k for equally many fakes of the same distribution. Higher is better for both; density alone would
    reward collapse.

    Both depend on N, M and k; five neighbours are the paper's choice. A fake on a ball's surface is outside, as in the
    authors' program.

    Raises:
        ValueError: fewer real samples than k + 1, no fakes, or features of different lengths.
    """
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1] or len(real) <= k or not len(fake):
        raise ValueError(f"need (N, D) and (M, D) with N above {k} and M above 0, got {real.shape} and {fake.shape}")
    x, y = torch.from_numpy(np.asarray(real, np.float32)), torch.from_numpy(np.asarray(fake, np.float32))
    centre = x.mean(0)  # near zero the squares that the distances are made of lose least
    x, y = x - centre, y - centre
    inside, covered = 0, 0
    for start in range(0, len(x), _CHUNK):
        part = x[start : start + _CHUNK]
        distances = squared_distances(part, x)  # (chunk, N)
        distances[torch.arange(len(part)), torch.arange(start, start + len(part))] = torch.inf  # not its own neighbour
        radius = distances.topk(k, largest=False).values[:, -1:]  # squared, (chunk, 1)
        hits = (squared_distances(part, y) < radius).sum(1)  # fakes in each ball: (chunk)
        inside, covered = inside + int(hits.sum()), covered + int((hits > 0).sum())
    return inside / (k * len(y)), covered / len(x)


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Squared Euclidean distances of rows (N, D) and (M, D), by one matrix product; (N, M)."""
    return torch.addmm(y.square().sum(1), x, y.T, alpha=-2).add_(x.square().sum(1, keepdim=True)).clamp_(min=0)
