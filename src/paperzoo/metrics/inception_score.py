"""Inception score (Salimans et al. 2016, 1606.03498): are samples recognisable, and of many classes?"""

from __future__ import annotations

import numpy as np


def inception_score(probabilities: np.ndarray, splits: int = 10) -> tuple[float, float]:
    """``exp(E_x KL(p(y|x) || p(y)))``, mean and standard deviation over ``splits`` equal parts in the order given.

    Args:
        probabilities: (N, K), a judge's class probabilities of N samples; rows sum to 1.

    Returns:
        Mean and deviation, each in [1, K]. Higher is better; 1 if all predictions are alike, K if they are certain and
        balanced. Few samples a split bias it upward, and another judge gives another scale, so its name must be told.

    Raises:
        ValueError: fewer samples than splits, or rows that are no distributions.
    """
    p = np.asarray(probabilities, np.float64)
    if p.ndim != 2 or len(p) < splits:
        raise ValueError(f"need (N, K) with N at least {splits}, got {p.shape}")
    if not np.allclose(p.sum(1), 1, atol=1e-3) or (p < 0).any():
        raise ValueError("rows must be probability distributions")
    scores = []
    for part in np.array_split(p, splits):
        marginal = part.mean(0)  # (K,)
        ratio = np.log(np.maximum(part, 1e-16)) - np.log(np.maximum(marginal, 1e-16))
        scores.append(np.exp((part * ratio).sum(1).mean()))
    return float(np.mean(scores)), float(np.std(scores))
