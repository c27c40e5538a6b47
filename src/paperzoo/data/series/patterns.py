"""Level, trend and season of a series, as far as its last T steps show them: what is taken out before a network sees it.

Of a window x (T, K), with the season m, a pattern says what comes h steps ahead, and what it leaves of the window itself:

    level    the mean of the last L steps
    season   the mean over the last c seasons, by their place in the season, less the mean of them all
    trend    what the training stretch departed from level and season by on average, h steps ahead

L = 1 without a season is persistence, L = m with c = 1 the seasonal naive forecast, L = T nearly the mean. All are weighted sums of
the window, so that nothing of a pattern has to be known but the window; places in the season are counted back from its end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from paperzoo.data.series.series import Windows

#: how a series is straightened, and back
TRANSFORMS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]] = {
    "none": (lambda x: x, lambda z: z),
    "log": (np.log1p, np.expm1),
}


def weights(history: int, horizon: int, season: int, level: int, cycles: int) -> tuple[np.ndarray, np.ndarray]:
    """The residual of a window without its pattern, as a matrix (T, T), and the forecast of the pattern, as a matrix (H, T).

    Args:
        season: m; 0 for none.
        level: L, at most ``history``.
        cycles: c; 0 takes no season out. c m is at most ``history``.
    """
    steps = np.arange(history + horizon) - history  # from -T on; 0 is the first step that is to come
    last, phase = steps[:history], steps % season if cycles else np.zeros_like(steps)
    pattern = np.zeros((history + horizon, history)) + (last >= -level) / level  # (T + H, T)
    if cycles:
        in_cycles = last >= -cycles * season
        pattern += (phase[:, None] == phase[None, :history]) * in_cycles / cycles - in_cycles / (cycles * season)
    return np.eye(history) - pattern[:history], pattern[history:]


def chosen(train: Windows, validation: Windows, season: int) -> dict[str, Any]:
    """The pattern whose forecasts of the validation windows are off least, squared, over all targets and steps ahead.

    Returns:
        ``transform`` (``"none"``, or ``"log"`` of 1 + x), ``level``, ``cycles``, ``season``; ``trend`` and ``deviation`` (H, K): mean
        and deviation of what the pattern leaves of training targets; ``spread`` (K): the deviation of what it leaves of windows.
    """
    history, horizon = train.history, train.horizon
    seasons = sorted({0, 1, history // season}) if 1 < season <= history else [0]
    levels = sorted({1, min(season if season > 1 else 8, history), history})
    lowest = min(float(w.values[:, list(w.targets)].min()) for w in (train, validation))
    transforms = ["none", "log"] if lowest >= 0 else ["none"]
    best: tuple[float, dict[str, Any]] = (np.inf, {})
    scale = np.maximum(train.values[:, list(train.targets)].std(0), 1e-12)
    for transform, cycles, level in product(transforms, seasons, levels):
        straighten, back = TRANSFORMS[transform]
        left, ahead = weights(history, horizon, season, level, cycles)
        (window, target, observed), (past, came, mask) = (_stacked(w, straighten) for w in (train, validation))
        rest = np.where(observed[..., None], target - ahead @ window, np.nan)  # (N, H, K)
        for trend in (np.nanmean(rest, 0), np.zeros(rest.shape[1:])):
            said = back(ahead @ past + trend)
            wrong = np.where(mask[..., None], (back(came) - said) / scale, 0.0)
            score = float((wrong**2).sum() / mask.sum())
            if score < 0.999 * best[0]:
                deviation = np.sqrt(np.nanmean((rest - trend) ** 2, 0))
                arguments = {
                    "transform": transform, "level": level, "cycles": cycles, "season": season, "trend": trend.tolist(),
                    "deviation": np.maximum(deviation, 1e-6 * scale).tolist(),
                    "spread": np.maximum((left @ window).std((0, 1)), 1e-6 * scale).tolist(),
                }  # fmt: skip
                best = score, arguments
    return best[1]


def _stacked(windows: Windows, straighten: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Straightened windows (N, T, K), what came (N, H, K) and its mask (N, H), of at most 2,000 windows, evenly spaced."""
    some = windows.part(np.linspace(0, len(windows) - 1, min(2000, len(windows))).round().astype(int))
    before = some.values[some.origins[:, None] - some.history + np.arange(some.history)][..., list(some.targets)]
    came, mask = some.ahead()
    return straighten(before), straighten(came), mask


def described(pattern: Mapping[str, Any], label: Callable[[int], str]) -> str:
    """The pattern that is taken out, in words.

    Args:
        label: steps in words: ``7 days`` of 7.
    """
    level, cycles, season = (int(pattern[key]) for key in ("level", "cycles", "season"))
    if cycles and (level, cycles) == (season, 1):
        named = f"what was {label(season)} before"
    else:
        named = "the last value" if level == 1 else f"the mean of the last {label(level)}"
        named += f", a season of {label(season)} (mean of the last {cycles})" if cycles else ""
    trend = ", the mean trend" if np.any(pattern["trend"]) else ""
    return f"{named}{trend}{', in logarithms' if pattern['transform'] == 'log' else ''}"
