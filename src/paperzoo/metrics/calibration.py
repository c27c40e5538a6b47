"""Calibration (Guo et al. 2017, 1706.04599): of the answers given with confidence 0.8, are 80 % right?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Reliability:
    """Answers sorted into bins of equal width by their confidence.

    Attributes:
        count: answers in each bin, (M).
        confidence: their mean confidence, (M); not-a-number in an empty bin.
        accuracy: the share of them that is right, (M); not-a-number in an empty bin.
    """

    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error in [0, 1]: the bins' distances of accuracy and confidence, weighted by count (Eq. 3)."""
        gap = np.abs(self.accuracy - self.confidence)
        return float(np.sum(self.count * np.where(self.count > 0, gap, 0)) / self.count.sum())


def reliability(confidence: np.ndarray, right: np.ndarray, bins: int = 15) -> Reliability:
    """The data of a reliability diagram of N answers.

    Args:
        confidence: the probability given to each answer, (N) in [0, 1].
        right: whether it is right, (N).
        bins: M; bin m holds confidences in ((m - 1) / M, m / M], the first one also 0.

    Raises:
        ValueError: no answers, not as many of both, or a confidence outside [0, 1].
    """
    p, hit = np.asarray(confidence, np.float64), np.asarray(right, np.float64)
    if p.ndim != 1 or p.shape != hit.shape or not len(p):
        raise ValueError(f"need confidences (N) and as many answers, got {p.shape} and {hit.shape}")
    if not (p.min() >= 0 and p.max() <= 1 + 1e-6):
        raise ValueError(f"confidences lie in [0, 1], not in [{p.min():g}, {p.max():g}]")
    index = np.clip(np.ceil(p * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(index, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = [np.bincount(index, weights=values, minlength=bins) / count for values in (p, hit)]
    return Reliability(count, *means)
