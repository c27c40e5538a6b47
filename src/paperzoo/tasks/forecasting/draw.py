"""History, forecasts and intervals; errors by steps ahead; for tracks, a map."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paperzoo.data import Dataset
from paperzoo.tasks.forecasting.measure import errors_at
from paperzoo.tasks.pictures import save

if TYPE_CHECKING:
    from paperzoo.tasks.forecasting.contract import Forecaster, Walk


def draw(model: Forecaster, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
    """History, forecasts and intervals; errors by steps ahead beside the simple methods; for tracks, a map."""
    walk, simple = model.walk(model.windows(dataset, split), split == "test"), model.simple(dataset, split)
    paths = [_plot(model, walk, folder / f"{stem}-forecasts.png"), _by_horizon(model, walk, simple, folder / f"{stem}-errors.png")]
    return [*paths, _map(model, walk, folder / f"{stem}-tracks.png")] if model.place else paths


def _plot(model: Forecaster, walk: Walk, path: Path, shown: int = 150) -> Path:
    """The last origins in one piece: one step ahead from each, and all steps ahead from one of them."""
    from matplotlib.figure import Figure

    windows = walk.windows
    longest = max(np.unique(windows.firsts), key=lambda f: (windows.firsts == f).sum())
    some = np.flatnonzero(windows.firsts == longest)[-shown:]
    figure = Figure(figsize=(9, 2.6 * len(model.targets) + 0.4), layout="constrained")
    rows = figure.subplots(len(model.targets), 2 if model.horizon > 1 else 1, squeeze=False)
    start = some[max(0, len(some) // 2 - model.horizon)]  # for the second column
    for k, (target, axes) in enumerate(zip(model.targets, rows, strict=True)):
        x = windows.origins[some]
        axes[0].plot(x, walk.actual[some, 0, k], color="black", linewidth=1, label="actual")
        axes[0].plot(x, walk.value[some, 0, k], color="C0", linewidth=1, label=f"forecast, {model.label(1)} ahead")
        if np.isfinite(walk.high).all():
            axes[0].fill_between(x, walk.low[some, 0, k], walk.high[some, 0, k], color="C0", alpha=0.2, label="90 % interval")
        axes[0].set_ylabel(target)
        if model.horizon > 1:
            origin, count = windows.origins[start], int(walk.mask[start].sum())
            past, ahead = np.arange(origin - min(windows.history, 5 * model.horizon), origin), np.arange(origin, origin + count)
            axes[1].plot(past, windows.values[past, model.at[k]], color="grey", linewidth=1, label="history")
            axes[1].plot(ahead, walk.actual[start, :count, k], ".-", color="black", linewidth=1)
            axes[1].plot(ahead, walk.value[start, :count, k], ".-", color="C0", linewidth=1)
            if np.isfinite(walk.high).all():
                axes[1].fill_between(ahead, walk.low[start, :count, k], walk.high[start, :count, k], color="C0", alpha=0.2)
        for panel in axes:
            left, right = panel.get_xlim()
            ticks = np.linspace(left, right, 4)[1:-1].round().astype(int)
            if windows.labels and ticks[0] >= 0 and ticks[-1] < len(windows.labels):
                panel.set_xticks(ticks, [windows.labels[i] for i in ticks], fontsize=6)
    rows[0, 0].legend(fontsize=7)
    if note := model.doubt(walk):
        figure.suptitle(note, fontsize=9)
    return save(figure, path)


def _by_horizon(model: Forecaster, walk: Walk, simple: Mapping[str, np.ndarray], path: Path) -> Path:
    """Bars at one step ahead alone, else lines."""
    from matplotlib.figure import Figure

    kinds = [key for key in errors_at(model, walk, walk.value, 0) if "MAE" not in key]
    figure = Figure(figsize=(4.5 * len(kinds), 3.2), layout="constrained")
    every = {model.name or "this": walk.value, **simple}
    for axes, kind in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds, strict=True):
        lines = {name: [errors_at(model, walk, v, h)[kind] for h in range(model.horizon)] for name, v in every.items()}
        if model.horizon == 1:
            axes.barh(list(lines)[::-1], [line[0] for line in lines.values()][::-1])
            axes.set_xlabel(f"{kind}, {model.label(1)} ahead")
            continue
        for name, line in lines.items():
            ahead = model.step_size * np.arange(1, model.horizon + 1)
            axes.plot(ahead, line, ".-", label=name, linewidth=2 if line is lines[model.name or "this"] else 1)
        axes.set(xlabel=f"{model.step_unit} ahead", ylabel=kind + (" (km)" if kind == "track error" else ""), ylim=(0, None))
        axes.legend(fontsize=7)
    return save(figure, path)


def _map(model: Forecaster, walk: Walk, path: Path, shown: int = 6) -> Path:
    """The longest tracks over a grid of degrees, with a forecast from every fourth origin."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    windows, (lat, long) = walk.windows, (model.targets.index(name) for name in model.place)
    firsts, counts = np.unique(windows.firsts, return_counts=True)
    figure = Figure(figsize=(9, 6.4), layout="constrained")
    ahead = f"{model.horizon * model.step_size} {model.step_unit}"
    figure.suptitle(f"Tracks, and where they were expected to go in the next {ahead}, from every fourth place", fontsize=11)
    for axes, first in zip(figure.subplots(2, shown // 2).flat, firsts[counts.argsort()[::-1]], strict=False):
        own = np.flatnonzero(windows.firsts == first)
        rows = np.arange(first, windows.origins[own[-1]] + 1)
        track = windows.values[rows][:, [model.at[long], model.at[lat]]]
        axes.plot(*track.T, color="black", linewidth=1.4, label="as it went")
        axes.plot(*track[0], "o", color="black", markersize=5, label="begin")
        for i in own[::4]:
            start = windows.values[windows.origins[i] - 1, [model.at[long], model.at[lat]]]
            line = np.concatenate([start[None], walk.value[i][walk.mask[i]][:, [long, lat]]])
            axes.plot(*line.T, ".-", color="C0", linewidth=1, markersize=3, label="forecast" if i == own[0] else None)
        axes.set_title(windows.labels[first] if windows.labels else "", fontsize=9)
        for axis, signs in ((axes.xaxis, "EW"), (axes.yaxis, "NS")):
            axis.set_major_locator(MaxNLocator(5, integer=True))
            axis.set_major_formatter(FuncFormatter(lambda value, _, signs=signs: degrees(value, signs)))
        axes.tick_params(labelsize=8)
        axes.grid(color="#dddddd")
        axes.set_aspect("equal", adjustable="datalim")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    return save(figure, path, dpi=120, colours=32)


def degrees(value: float, signs: str) -> str:
    """``60° W`` of -60 with the signs ``EW``; no sign at 0."""
    return f"{abs(value):g}°{f' {signs[int(value < 0)]}' if value else ''}"
