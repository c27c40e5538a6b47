"""Errors in raw units at each step ahead beside those of simple methods, and how much the intervals hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from paperzoo.data import Dataset
from paperzoo.errors import PaperzooError
from paperzoo.metrics import baselines
from paperzoo.metrics.coverage import conformal, coverage
from paperzoo.metrics.forecasts import errors
from paperzoo.metrics.great_circle import great_circle

if TYPE_CHECKING:
    from paperzoo.tasks.forecasting.contract import Forecaster, Walk

#: what a prediction interval promises, the model's and that of persistence
LEVEL = 0.9


def forecasts(model: Forecaster, dataset: Dataset, split: str) -> dict[str, float]:
    """Errors in raw units of forecasts from every origin, at each step of ``reported``, beside ``simple`` methods'.

    ``RMSE at 1 year``, ``MAE at 1 year``, ``AR(9) RMSE at 1 year``, ...: with the target's name before them where there are
    several. For tracks ``track error at 12 h``: the mean great-circle distance in km. ``interval coverage % at``: of actual
    values in the 90 % intervals, and ``lowest`` and ``highest`` over all steps ahead and targets. After the validation split
    the intervals follow the series, see ``walk``; ``not updated``: those of the validation split alone, as ``predict`` gives
    them. ``interval width at``: the mean, beside that of ``persistence``, calibrated on the validation split alone. ``lag of
    best cross-correlation at``: 0 where the forecast moves with the series, the steps ahead where it repeats the last value.
    """
    walk, simple = model.walk(model.windows(dataset, split), split == "test"), model.simple(dataset, split)
    if not walk.mask.any(0).all():
        reason = f"the {split} split of {dataset.name} is shorter than the {model.horizon} steps to forecast"
        raise PaperzooError(f"{reason}: set model.horizon")
    metrics: dict[str, float] = {}
    covered, width = coverage(walk.actual, walk.low, walk.high, walk.mask)
    calm = persistence_width(model, dataset)
    for h in reported(model):
        at = f"at {model.label(h)}"
        for name, value in {"": walk.value, **simple}.items():
            metrics |= {f"{name} {key} {at}".lstrip(): e for key, e in errors_at(model, walk, value, h - 1).items()}
        for k, target in enumerate(model.targets):
            of = f"{target} " if len(model.targets) > 1 else ""
            if np.isfinite(width[h - 1, k]):
                metrics[f"{of}interval coverage % {at}"] = float(covered[h - 1, k])
                metrics[f"{of}interval width {at}"] = float(width[h - 1, k])
                metrics |= {f"persistence {of}interval width {at}": 2 * calm[h - 1, k]} if calm is not None else {}
            metrics[f"{of}lag of best cross-correlation {at}"] = float(model.lag(walk, h, k)[0])
    if np.isfinite(width).all():
        metrics |= {"lowest interval coverage %": float(covered.min()), "highest interval coverage %": float(covered.max())}
        if split == "test" and not model.place:
            fixed = model.walk(walk.windows)
            alone, _ = coverage(fixed.actual, fixed.low, fixed.high, fixed.mask)
            metrics["lowest interval coverage %, not updated"] = float(alone.min())
    return metrics


def reported(model: Forecaster) -> list[int]:
    """Steps ahead that stand in the metrics: all up to 4, else the first, the middle and the last."""
    return list(range(1, model.horizon + 1)) if model.horizon <= 4 else [1, (model.horizon + 1) // 2, model.horizon]


def errors_at(model: Forecaster, walk: Walk, value: np.ndarray, h: int) -> dict[str, float]:
    """``RMSE`` and ``MAE`` at one step ahead (from 0); for tracks, the two columns of places together."""
    rmse, mae = errors(walk.actual, value, walk.mask)
    metrics: dict[str, float] = {}
    if model.place:
        metrics["track error"] = float(distance(model, walk.actual, value)[walk.mask[:, h], h].mean())
    for k, target in enumerate(model.targets):
        if target not in model.place:
            of = f"{target} " if len(model.targets) > 1 else ""
            metrics |= {f"{of}RMSE": float(rmse[h, k]), f"{of}MAE": float(mae[h, k])}
    return metrics


def distance(model: Forecaster, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Kilometres between the places of (N, H, K) and (N, H, K): (N, H)."""
    both = [model.targets.index(name) for name in model.place]
    return great_circle(a[..., both], b[..., both])


def persistence_width(model: Forecaster, dataset: Dataset) -> np.ndarray | None:
    """Half the width (H, K) of persistence's intervals, from its errors on the validation split."""
    if "validation" not in dataset.splits:
        return None
    windows = model.windows(dataset, "validation")
    actual, mask = windows.ahead()
    last = np.stack([baselines.persistence(windows, k) for k in windows.targets], 2)
    return conformal(np.where(mask[..., None], np.abs(actual - last), np.nan), LEVEL)
