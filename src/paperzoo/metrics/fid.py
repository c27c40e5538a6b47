"""Fréchet inception distance (Heusel et al. 2017, 1706.08500) on any features."""

from __future__ import annotations

import numpy as np


def gaussian(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (D) and unbiased covariance (D, D) of features (N, D)."""
    x = np.asarray(features, np.float64)
    if x.ndim != 2 or len(x) <= x.shape[1]:
        raise ValueError(f"need more samples than dimensions for a covariance, got {x.shape}")
    return x.mean(0), np.cov(x, rowvar=False).reshape(x.shape[1], x.shape[1])


def frechet_distance(first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]) -> float:
    """``|m1 - m2|^2 + Tr(S1 + S2 - 2 (S1 S2)^(1/2))`` between two Gaussians; zero for equal ones, lower is better.

    The trace of the root is the sum of the roots of the eigenvalues of ``S1^(1/2) S2 S1^(1/2)``, which is symmetric.
    """
    (m1, s1), (m2, s2) = first, second
    value, vector = np.linalg.eigh(s1)
    root = (vector * np.sqrt(np.maximum(value, 0))) @ vector.T  # (D, D)
    eigenvalues = np.linalg.eigvalsh(root @ s2 @ root)
    return float(((m1 - m2) ** 2).sum() + np.trace(s1) + np.trace(s2) - 2 * np.sqrt(np.maximum(eigenvalues, 0)).sum())


def fid(real: np.ndarray, fake: np.ndarray) -> float:
    """Fréchet distance between Gaussians fitted to two sets of features, (N, D) and (M, D).

    It is biased upward for few samples, so it is only compared at equal N and printed beside its floor (``fid_floor``).
    """
    return frechet_distance(gaussian(real), gaussian(fake))


def fid_floor(real: np.ndarray, splits: int = 10) -> float:
    """The distance between two random halves of features (N, D) of the training set; the mean over ``splits``, always the same.

    Nothing but chance and the number of samples stands between the halves. A test set in place of one would not do: it is
    other people's digits, or other faces, and the shift from one set to the other would pass for the best that samples can do.
    One split will not do either: where features are rare, as a stroke that few digits have, the floor varies threefold.
    """
    random, half = np.random.default_rng(0), len(real) // 2
    orders = [random.permutation(len(real)) for _ in range(splits)]
    return float(np.mean([fid(real[order[:half]], real[order[half:]]) for order in orders]))
