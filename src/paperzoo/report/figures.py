"""Curves and bars as PNG bytes, readable on white and on black: transparent ground, mid-grey text, a picture a scale."""

from __future__ import annotations

import io
import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: colours told apart by most eyes, on light and dark grounds
COLOURS = ("#3b82d6", "#e08214", "#2a9d6f", "#c2478f", "#8a6fd1", "#9a8c2f")
GREY = "#808080"
#: losses share a picture while their typical sizes lie within this factor
SCALE = 4.0

#: name -> (step, value), in order of steps
Curves = Mapping[str, Sequence[tuple[int, float]]]


def loss_curves(lines: Iterable[Mapping[str, Any]]) -> dict[str, bytes]:
    """The losses (and what else a step returned) over the steps, a picture a scale: title -> PNG.

    Args:
        lines: of ``metrics.jsonl``.
    """
    curves = collect(lines, "loss")
    return {", ".join(names): panel(", ".join(names), {n: curves[n] for n in names}) for names in by_scale(curves)}


def measured_curves(lines: Iterable[Mapping[str, Any]]) -> dict[str, bytes]:
    """Each metric over the steps, a picture a metric and a line a split: metric -> PNG."""
    metrics: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for name, points in collect(lines, "measured").items():
        match = re.fullmatch(r"(.*) \((\w+)\)", name)  # "error % (test)"
        metric, split = match.groups() if match else (name, "")
        metrics.setdefault(metric, {})[split] = points
    return {metric: panel(metric, curves) for metric, curves in metrics.items()}


def collect(lines: Iterable[Mapping[str, Any]], group: str) -> dict[str, list[tuple[int, float]]]:
    """The finite points of every curve of a group, ``"loss"`` or ``"measured"``."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for line in lines:
        for name, value in line.get(group, {}).items():
            if math.isfinite(value):
                curves.setdefault(name, []).append((line["step"], value))
    return curves


def by_scale(curves: Curves) -> list[list[str]]:
    """Names whose typical size (median of absolute values) is alike; each group keeps the order of ``curves``."""
    size = {name: statistics.median(abs(v) for _, v in points) for name, points in curves.items()}
    groups: list[list[str]] = []
    for name in sorted(size, key=lambda n: size[n]):
        if groups and size[name] <= SCALE * max(size[groups[-1][0]], 1e-12):
            groups[-1].append(name)
        else:
            groups.append([name])
    order = list(curves)
    return sorted((sorted(group, key=order.index) for group in groups), key=lambda group: order.index(group[0]))


def panel(title: str, curves: Curves) -> bytes:
    """Curves in one small picture; one of few points is drawn with dots, so that a single point is seen."""
    figure = _figure(4.6, 2.5)
    axes = figure.add_subplot()
    for (name, points), colour in zip(curves.items(), _colours(len(curves)), strict=True):
        steps, values = zip(*points, strict=True)
        dots = "o" if len(points) < 12 else ""
        axes.plot(steps, values, color=colour, label=name, linewidth=1.2, marker=dots, markersize=4)
    axes.set_title(title, fontsize=9, color=GREY)
    axes.set_xlabel("step", fontsize=8, color=GREY)
    axes.set_xlim(left=0)
    if list(curves) not in ([title], [""]):
        axes.legend(fontsize=8, labelcolor=GREY, frameon=False)
    plain(axes)
    return png(figure)


def ranked(metric: str, direction: str, values: Mapping[str, Sequence[float]], strips: Mapping[str, Any] | None = None) -> bytes:
    """Means of one metric with their spread, the best on top, a dot a seed; below them a strip of samples a paper, in the same order.

    Args:
        direction: ``"lower"`` or ``"higher"``, which is better; empty where nobody says: then the order is that of ``values``.
        values: paper -> one value a seed.
        strips: paper -> picture (H, W) or (H, W, 3), uint8.
    """
    means = {name: statistics.fmean(per_seed) for name, per_seed in values.items()}
    names = sorted(means, key=lambda name: means[name], reverse=direction == "higher") if direction else list(means)
    shown = [name for name in names if name in (strips or {})]
    height = 0.9 + 0.32 * len(names)
    figure = _figure(9.2, height + 0.95 * len(shown))
    grid = figure.add_gridspec(1 + len(shown), 1, height_ratios=[height] + [0.95] * len(shown))
    axes = figure.add_subplot(grid[0, 0])
    for row, name in enumerate(names):
        spread = statistics.stdev(values[name]) if len(values[name]) > 1 else None
        axes.barh(row, means[name], height=0.65, xerr=spread, color=_colours(1)[0], alpha=0.75, ecolor=GREY, capsize=3)
        axes.plot(values[name], [row] * len(values[name]), ".", color=GREY, markersize=4)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_title(f"{metric}: {direction} is better" if direction else metric, fontsize=9, color=GREY)
    plain(axes)
    for row, name in enumerate(shown, 1):
        axes = figure.add_subplot(grid[row, 0])
        axes.imshow((strips or {})[name], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes.set_title(name, fontsize=9, color=GREY)
        axes.axis("off")
    return png(figure)


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, transparent=True)
    return buffer.getvalue()


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure  # no pyplot: the Agg canvas comes with savefig, and nothing global is touched

    return Figure(figsize=(width, height), layout="constrained")


def _colours(number: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(number)]


def plain(axes: Axes) -> None:
    """Grey ticks, a pale grid behind, and two spines: how every figure here looks."""
    """Grey ticks, a pale grid behind, and two spines: how every figure here looks."""
    axes.tick_params(colors=GREY, labelsize=8)
    axes.grid(color=GREY, alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(GREY)
