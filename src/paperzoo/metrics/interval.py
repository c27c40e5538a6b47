"""Intervals for what was counted or measured a few times: what another sample might have given."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple


class Interval(NamedTuple):
    """A mean and the ends of its interval."""

    mean: float
    low: float
    high: float


def wilson(count: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval (1927) for the probability behind ``count`` of ``total`` independent trials; within [0, 1].

    The ends are those p for which the share that was found lies just z standard errors, sqrt(p (1 - p) / total), from p. It
    holds near 0 and 1 and for few trials, where mean and standard error do not.

    Raises:
        ValueError: no trials, a count above them, or a confidence that is not between 0 and 1.
    """
    if not 0 <= count <= total or total < 1:
        raise ValueError(f"{count} of {total} trials")
    z, share = _normal(confidence), count / total
    middle = share + z**2 / (2 * total)
    spread = z * math.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    low, high = ((middle + sign * spread) / (1 + z**2 / total) for sign in (-1, 1))
    return (max(0.0, low) if count else 0.0), (min(1.0, high) if count < total else 1.0)


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """The mean of a few independent values, taken as normal, with Student's interval.

    Of the differences of two methods on the same draws it is the paired interval, narrower than one from the two spreads,
    for a hard draw is hard for both.

    Raises:
        ValueError: fewer than two values, or a confidence that is not between 0 and 1.
    """
    if len(values) < 2:
        raise ValueError(f"an interval needs two values or more, not {len(values)}")
    _normal(confidence)  # refuses what is no confidence
    from scipy.special import stdtrit

    mean = statistics.fmean(values)
    half = float(stdtrit(len(values) - 1, (1 + confidence) / 2)) * statistics.stdev(values) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def _normal(confidence: float) -> float:
    """The half-width, in standard deviations, of the central interval that holds this share of a normal distribution."""
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence lies between 0 and 1, not at {confidence}")
    return statistics.NormalDist().inv_cdf((1 + confidence) / 2)
