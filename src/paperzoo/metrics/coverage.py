"""Prediction intervals by split conformal prediction, and whether they hold what they promise.

Of n held-out scores |y - forecast|, the k-th smallest with k = ceil((n + 1) c) is exceeded by the next score with probability
at most 1 - c, if it is exchangeable with them: whatever the distribution, and however bad the forecast (Vovk et al. 2005;
Lei et al. 2018). Series drift, so the scores may be renewed as outcomes become known, and coverage is always measured too.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque

import numpy as np


def conformal(scores: np.ndarray, level: float = 0.9) -> np.ndarray:
    """The half-width of intervals that hold with probability ``level``.

    Args:
        scores: absolute errors (n, ...) of held-out forecasts, not-a-number where there is none.

    Returns:
        (...): of each column, the k-th smallest; infinite where there are too few scores (fewer than 9 for 0.9).
    """
    ordered = np.sort(scores, 0)  # not-a-number last
    count = (~np.isnan(scores)).sum(0)
    place = np.ceil((count + 1) * level - 1e-9).astype(int)
    width = np.take_along_axis(ordered, np.clip(place - 1, 0, len(scores) - 1)[None], 0)[0]
    return np.where(place <= count, width, math.inf)


def followed(held: np.ndarray, scores: np.ndarray, known: np.ndarray, level: float = 0.9) -> np.ndarray:
    """Half-widths (N) of intervals that follow the series: each score that becomes known takes the place of the oldest.

    Args:
        held: (n), absolute errors of held-out forecasts, the oldest first.
        scores: (N), those of the forecasts themselves, in order of time; not-a-number where there is none.
        known: (N), how many of ``scores`` are known when each forecast is made; never falls.
    """
    queue, ordered, at = deque(held.tolist()), sorted(held.tolist()), 0
    place, widths = math.ceil((len(held) + 1) * level - 1e-9), np.full(len(scores), math.inf)
    for i, count in enumerate(known.tolist() if place <= len(held) else []):
        for score in scores[at:count].tolist():
            if not math.isnan(score):
                queue.append(score)
                insort(ordered, score)
                del ordered[bisect_left(ordered, queue.popleft())]
        at = max(at, count)
        widths[i] = ordered[place - 1]
    return widths


def coverage(actual: np.ndarray, low: np.ndarray, high: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of intervals (N, H, K), by column (H, K): how many % hold the actual value, and the mean width, where mask (N, H)."""
    counted, steps = mask[..., None], np.maximum(mask.sum(0), 1)[:, None]
    held = ((low <= actual) & (actual <= high) & counted).sum(0)
    return 100 * held / steps, np.where(counted, high - low, 0).sum(0) / steps
