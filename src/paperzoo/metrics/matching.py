"""Codes found without labels, compared with labels: how well a clustering serves as a classifier."""

from __future__ import annotations

import numpy as np


def contingency(code: np.ndarray, label: np.ndarray) -> np.ndarray:
    """The contingency table int64 (codes, classes) of two labellings by whole numbers from 0, (N) and (N).

    Raises:
        ValueError: not two equally long vectors of whole numbers from 0, or nothing in them.
    """
    code, label = np.asarray(code), np.asarray(label)
    whole = code.dtype.kind in "iu" and label.dtype.kind in "iu"
    if code.shape != label.shape or code.ndim != 1 or not len(code) or not whole or min(code.min(), label.min()) < 0:
        raise ValueError(f"two equally long vectors of whole numbers from 0 wanted, not {code.shape} and {label.shape}")
    counts = np.zeros((code.max() + 1, label.max() + 1), np.int64)
    np.add.at(counts, (code, label), 1)
    return counts


def matched_error(code: np.ndarray, label: np.ndarray) -> float:
    """Error in percent if each code is read as one class and no two codes as the same, in the best way possible.

    The best matching is the Hungarian algorithm's. Items of a code that is left without a class count as wrong. It is found
    on the labels that it is judged by, so even random codes do a little better than chance: for ten balanced classes and
    many items their error is close to 90.

    Args:
        code, label: whole numbers from 0, (N) and (N).
    """
    from scipy.optimize import linear_sum_assignment

    counts = contingency(code, label)
    rows, columns = linear_sum_assignment(counts, maximize=True)
    return 100 * (1 - float(counts[rows, columns].sum()) / len(code))


def purity(code: np.ndarray, label: np.ndarray) -> float:
    """Percent of the items that are of their code's most frequent class; several codes may stand for one class.

    100 less this is the error of clusters named after their majority. More codes make it larger, N of them 100, so it is
    compared at equal numbers of codes only.

    Args:
        code, label: whole numbers from 0, (N) and (N).
    """
    return 100 * float(contingency(code, label).max(1).sum()) / len(code)
