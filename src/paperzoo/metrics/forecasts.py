"""Errors of forecasts, and whether a forecast does more than repeat what was last seen."""

from __future__ import annotations

import numpy as np

#: a forecast repeats if it correlates with the past by this much, with what it forecasts by less, and if its root mean squared
#: error is at least this share of persistence's
REPEATS, NO_BETTER = 0.95, 0.9


def errors(actual: np.ndarray, forecast: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Root mean squared error and mean absolute error of (N, H, K), by column (H, K), where mask (N, H) is true."""
    wrong = np.where(mask[..., None], actual - forecast, 0)
    steps = np.maximum(mask.sum(0), 1)[:, None]
    return np.sqrt((wrong**2).sum(0) / steps), np.abs(wrong).sum(0) / steps


def best_lag(forecast: np.ndarray, past: np.ndarray) -> tuple[int, float]:
    """At which lag forecasts correlate best with the series, and by how much.

    Args:
        forecast: (N), each of one point in time.
        past: (N, L), the series at that time, one step before it, two steps before it, ...

    Returns:
        the lag, the least where several are equal, and the correlation in [-1, 1]. A forecast one step ahead that says what it
        last saw has lag 1. Lag 0 and correlation 0 where forecast or series never changes.
    """
    f, p = forecast - forecast.mean(), past - past.mean(0)
    scale = np.sqrt((f @ f) * (p * p).sum(0))
    correlation = np.divide(f @ p, scale, out=np.zeros(past.shape[1]), where=scale > 0)
    lag = int(correlation.argmax())
    return lag, float(correlation[lag])


def repeats(lag: int, correlation: float, relative: float, horizon: int = 1) -> bool:
    """Whether a forecast ``horizon`` steps ahead with this best lag merely repeats the last value, be it on another scale.

    Args:
        relative: its root mean squared error over that of persistence.
    """
    return lag >= horizon and correlation >= REPEATS and relative >= NO_BETTER
