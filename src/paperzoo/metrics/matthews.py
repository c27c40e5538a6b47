"""Matthews correlation: agreement of two labellings beyond chance."""

from __future__ import annotations

import numpy as np


def matthews(label: np.ndarray, guess: np.ndarray) -> float:
    """Matthews correlation of int (N) true and (N) guessed classes, in [-1, 1]; what GLUE scores CoLA by.

    The correlation of the two as indicator variables (Gorodkin 2004), for two classes
    ``(TP TN - FP FN) / sqrt((TP + FP) (TP + FN) (TN + FP) (TN + FN))``. 0 if either names one class only.
    """
    if label.shape != guess.shape or label.ndim != 1 or not len(label):
        raise ValueError(f"two equally long vectors wanted, not {label.shape} and {guess.shape}")
    classes = np.union1d(label, guess)
    a, b = (label[:, None] == classes).astype(float), (guess[:, None] == classes).astype(float)  # (N, K)
    a, b = a - a.mean(0), b - b.mean(0)
    scale = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / scale) if scale else 0.0
