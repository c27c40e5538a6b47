"""Forecasts without a network, which every network's are printed beside.

Each takes ``Windows`` and the number k of one of their columns, and gives forecasts float64 (N, H), in raw units.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from paperzoo.data.series.series import Windows
from paperzoo.errors import PaperzooError


def persistence(windows: Windows, k: int) -> np.ndarray:
    """The last value seen."""
    return np.repeat(windows.values[windows.origins - 1, k][:, None], windows.horizon, 1)


def motion(windows: Windows, k: int) -> np.ndarray:
    """The last change goes on: a straight line through the last two values."""
    last, before = windows.values[windows.origins - 1, k], windows.values[windows.origins - 2, k]
    line: np.ndarray = last[:, None] + (last - before)[:, None] * np.arange(1, windows.horizon + 1)
    return line


def seasonal(windows: Windows, k: int, season: int) -> np.ndarray:
    """The value a season before, or as many seasons as it takes to lie before the origin; the last value where none is known."""
    ahead = np.arange(windows.horizon)
    rows = windows.origins[:, None] + ahead - season * (ahead // season + 1)  # (N, H)
    known = rows >= windows.firsts[:, None]
    return np.where(known, windows.values[np.where(known, rows, 0), k], persistence(windows, k))


def climatology(windows: Windows, train: Windows, k: int, latitude: int, band: float = 5.0) -> np.ndarray:
    """The last value plus what training series changed by on average in as many steps, from the same band of latitude.

    Args:
        latitude: the column of latitudes in degrees. In a band without training windows nothing changes.
    """
    target, mask = train.ahead()
    change = target[..., train.targets.index(k)] - train.values[train.origins - 1, k][:, None]  # (N, H)
    where = np.floor(train.values[train.origins - 1, latitude] / band)
    bands = np.floor(windows.values[windows.origins - 1, latitude] / band)
    forecast = persistence(windows, k)
    for zone in np.unique(where):
        counted = mask & (where == zone)[:, None]
        mean = np.where(counted, change, 0).sum(0) / np.maximum(counted.sum(0), 1)
        forecast[bands == zone] += mean
    return forecast


@dataclass(frozen=True)
class Autoregression:
    """``x_t = c + sum_i a_i x_{t-i}``."""

    constant: float
    weights: np.ndarray  # (p), the nearest first

    def __call__(self, windows: Windows, k: int) -> np.ndarray:
        """Each step ahead from the forecasts of those before it."""
        order = len(self.weights)
        history = windows.values[windows.origins[:, None] - order + np.arange(order), k]  # (N, p), the nearest last
        for _ in range(windows.horizon):
            ahead = self.constant + history[:, len(history[0]) - order :] @ self.weights[::-1]
            history = np.concatenate([history, ahead[:, None]], 1)
        forecast: np.ndarray = history[:, order:]
        return forecast


def autoregression(windows: Windows, k: int, order: int | None = None) -> Autoregression:
    """AR(p) by least squares (statsmodels) on all that is known in one piece before the split.

    Args:
        order: p; default: the one of least AIC (all lags up to p), up to Schwert's 12 (n / 100)^(1/4) or the windows' history.

    Raises:
        PaperzooError: statsmodels is missing.
    """
    known = _known(windows, k)
    AutoReg, select = _statsmodels("ar_model", "AutoReg"), _statsmodels("ar_model", "ar_select_order")
    if order is None:
        most = int(min(12 * (len(known) / 100) ** 0.25, windows.history, len(known) // 4))
        order = len(select(known, most, ic="aic").ar_lags or ())
    fitted = np.asarray(AutoReg(known, order).fit().params)
    return Autoregression(float(fitted[0]), fitted[1:])


def smoothing(windows: Windows, k: int) -> np.ndarray:
    """Exponential smoothing with a damped trend (Holt; Gardner and McKenzie 1985), fitted by statsmodels before the split.

    With l the level and b the trend, l_t = alpha x_t + (1 - alpha)(l_{t-1} + phi b_{t-1}) and b_t = beta (l_t - l_{t-1})
    + (1 - beta) phi b_{t-1}; h steps ahead, x = l_t + (phi + ... + phi^h) b_t.

    Raises:
        PaperzooError: statsmodels is missing.
    """
    known = _known(windows, k)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an optimum at the border, which is no worse a forecast
        fitted = _statsmodels("holtwinters", "Holt")(known, damped_trend=True, initialization_method="estimated").fit().params
    alpha, beta, phi = (float(fitted[name]) for name in ("smoothing_level", "smoothing_trend", "damping_trend"))
    states = np.zeros((len(windows.values), 2))  # after each row
    for first in np.unique(windows.firsts):
        level, trend = windows.values[first, k], 0.0
        for row in range(first, int(windows.origins[windows.firsts == first].max())):
            before, carried = level, phi * trend
            level = alpha * windows.values[row, k] + (1 - alpha) * (before + carried)
            trend = beta * (level - before) + (1 - beta) * carried
            states[row] = level, trend
    level, trend = states[windows.origins - 1].T
    forecast: np.ndarray = level[:, None] + trend[:, None] * np.cumsum(phi ** np.arange(1, windows.horizon + 1))
    return forecast


def _known(windows: Windows, k: int) -> np.ndarray:
    a, b = windows.known
    return windows.values[a:b, k]


def _statsmodels(module: str, name: str) -> type:
    from importlib import import_module

    try:
        model_class: type = getattr(import_module(f"statsmodels.tsa.{module}"), name)
    except ImportError as error:
        raise PaperzooError('AR(p) and exponential smoothing need statsmodels: pip install "paperzoo[series]"') from error
    return model_class
