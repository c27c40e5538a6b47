"""How good alarms are: ranking, cost, and how long before the failure they come.

``score`` (N) is higher where a failure is likelier; ``label`` (N) is True where one follows. Windows of equal score are taken
together everywhere, so that no figure depends on their order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paperzoo.errors import PaperzooError


@dataclass(frozen=True)
class Curve:
    """Counts at each threshold, from the highest (no alarm) to the lowest (always): float64 arrays of equal length.

    Attributes:
        threshold: an alarm is given where ``score >= threshold``; the first is infinite.
        alarms, hits: how many alarms, and how many of them are followed by a failure.
        total, positives: how many windows, and how many of those are followed by a failure.
    """

    threshold: np.ndarray
    alarms: np.ndarray
    hits: np.ndarray
    total: int
    positives: int

    @property
    def recall(self) -> np.ndarray:
        """Share of the positives that get an alarm."""
        share: np.ndarray = self.hits / self.positives
        return share

    @property
    def precision(self) -> np.ndarray:
        """Share of the alarms that are right; 1 where there is none."""
        return np.where(self.alarms > 0, self.hits / np.maximum(self.alarms, 1), 1.0)

    @property
    def false_rate(self) -> np.ndarray:
        """Share of the negatives that get an alarm."""
        share: np.ndarray = (self.alarms - self.hits) / (self.total - self.positives)
        return share

    def cost(self, alarm: float, failure: float) -> np.ndarray:
        """Cost a window, where each alarm costs ``alarm`` and each positive without one costs ``failure``."""
        cost: np.ndarray = (alarm * self.alarms + failure * (self.positives - self.hits)) / self.total
        return cost


def curve(score: np.ndarray, label: np.ndarray) -> Curve:
    """The curve of these scores.

    Raises:
        PaperzooError: all labels are equal, or a score is not finite.
    """
    label = np.asarray(label, bool)
    if not np.isfinite(score).all():
        raise PaperzooError(f"score {int(np.flatnonzero(~np.isfinite(score))[0])} of {len(score)} is not a finite number")
    if label.all() or not label.any():
        raise PaperzooError(f"all {len(label)} windows are {'followed' if label.any() else 'not followed'} by a failure: nothing to rank")
    order = np.argsort(-score, kind="stable")
    last = np.flatnonzero(np.diff(score[order], append=-np.inf))  # of each group of equal scores
    hits, threshold = label[order].cumsum()[last], score[order][last]
    return Curve(
        np.append(np.inf, threshold), np.append(0.0, last + 1.0), np.append(0.0, hits), len(label), int(label.sum())
    )


def roc_auc(score: np.ndarray, label: np.ndarray) -> float:
    """Probability that a random positive scores higher than a random negative, a tie counting one half."""
    c = curve(score, label)
    return float(np.trapezoid(c.recall, c.false_rate))


def average_precision(score: np.ndarray, label: np.ndarray) -> float:
    """Sum over thresholds of precision times the recall gained there; the share of positives where scores say nothing."""
    c = curve(score, label)
    return float((np.diff(c.recall) * c.precision[1:]).sum())


def recall_at(score: np.ndarray, label: np.ndarray, rate: float) -> float:
    """Share of the positives among the ``rate`` of all windows with the highest scores; of tied windows, the expected number."""
    if not 0 < rate <= 1:
        raise PaperzooError(f"an alarm rate is a share above 0 and up to 1, not {rate:g}")
    c = curve(score, label)
    return float(np.interp(rate * c.total, c.alarms, c.recall))


def lead_times(alarm: np.ndarray, until: np.ndarray, prediction: float) -> np.ndarray:
    """Hours from each true alarm to its failure. ``until`` (N): days to the next failure; ``prediction``: days that count."""
    true = np.asarray(alarm, bool) & (until <= prediction)
    return 24 * np.asarray(until, float)[true]


def failures_found(
    alarm: np.ndarray, machine: np.ndarray, time: np.ndarray, until: np.ndarray, prediction: float
) -> tuple[int, int]:
    """Failures with an alarm at most ``prediction`` days before, and failures with a window there; a failure counts once.

    Args:
        time: of the window's end, in seconds.
    """
    due = until <= prediction
    when = np.round(time[due] + 86_400 * until[due].astype(float))  # the failure, to the second
    _, which = np.unique(np.stack([machine[due], when]), axis=1, return_inverse=True)
    which = which.reshape(-1)
    return len(np.unique(which[np.asarray(alarm, bool)[due]])), len(np.unique(which))
