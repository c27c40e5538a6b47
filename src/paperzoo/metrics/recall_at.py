"""Retrieval between pictures and captions: recall at 1, 5 and 10, and the median rank, both ways."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

AT = (1, 5, 10)


@dataclass(frozen=True)
class RecallAt:
    """Retrieval in one direction.

    Attributes:
        recall: k -> percent of queries with a right answer among the k best.
        median: rank of the best right answer, from 1, in the median.
    """

    recall: dict[int, float]
    median: float


def recall_at(scores: np.ndarray, picture: np.ndarray) -> tuple[RecallAt, RecallAt]:
    """Captions found by pictures, and pictures found by captions.

    A right answer that ties with wrong ones ranks behind them, so that scores which say nothing find nothing. Chance is at most
    ``100 k K / M`` for pictures with K of M captions each, and ``100 k / N`` for captions.

    Args:
        scores: (N, M), how well caption m fits picture n; larger is better.
        picture: int (M), which picture each caption belongs to.

    Raises:
        ValueError: other shapes, a score that is no number, or a picture without a caption.
    """
    scores, picture = np.asarray(scores, np.float64), np.asarray(picture)
    if scores.ndim != 2 or picture.shape != scores.shape[1:] or not scores.size:
        raise ValueError(f"scores (N, M) and a picture for each of M captions wanted, not {scores.shape} and {picture.shape}")
    if np.isnan(scores).any():
        raise ValueError(f"{int(np.isnan(scores).sum())} of {scores.size} scores are no numbers")
    matching = picture == np.arange(len(scores))[:, None]  # (N, M)
    if not matching.any(1).all() or not matching.any(0).all():
        raise ValueError("every picture has at least one caption, and every caption one of these pictures")
    best = np.where(matching, scores, -np.inf).max(1)  # (N)
    captions = ((scores >= best[:, None]) & ~matching).sum(1) + 1  # (N), ranks
    right = scores[picture, np.arange(len(picture))]  # (M)
    pictures = ((scores >= right) & ~matching).sum(0) + 1  # (M)
    return _of(captions), _of(pictures)


def _of(ranks: np.ndarray) -> RecallAt:
    return RecallAt({k: 100 * float((ranks <= k).mean()) for k in AT}, float(np.median(ranks)))
