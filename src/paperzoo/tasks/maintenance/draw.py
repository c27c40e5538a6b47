"""Curves and costs, the sensors' importance, a page a machine."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paperzoo.data import Batch, Dataset
from paperzoo.metrics import alarms
from paperzoo.tasks.maintenance.measure import importance
from paperzoo.tasks.pictures import save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from paperzoo.tasks.maintenance.contract import AlarmModel

#: machines that ``show`` draws
PAGES = 3


def draw(model: AlarmModel, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
    """The curves, the sensors' importance, and a page for each of the machines that fail most: sensors, probability, alarms."""
    logit, batch = model.outputs(dataset, split)
    label = model.label(batch).numpy()
    paths = []
    if label.any() and not label.all():
        paths.append(_curves(model, logit, label, batch.until.numpy(), folder / f"{stem}-curves.png"))
        paths.append(_bars(importance(model, dataset, split), folder / f"{stem}-importance.png"))
    machine = batch.machine.numpy()
    failing, count = np.unique(machine[label], return_counts=True)
    for number in failing[np.argsort(-count, kind="stable")][:PAGES]:
        paths.append(_page(model, dataset, split, np.flatnonzero(machine == number), logit, batch, folder, stem))
    return paths


def _curves(model: AlarmModel, logit: np.ndarray, label: np.ndarray, until: np.ndarray, path: Path) -> Path:
    from matplotlib.figure import Figure

    curve, cut = alarms.curve(logit, label), model.cut()
    at = int(np.searchsorted(-curve.threshold, -cut, side="right")) - 1  # the last threshold that is not below the cut
    figure = Figure(figsize=(8, 6.4), layout="constrained")
    (roc, precision), (cost, lead) = figure.subplots(2, 2)
    roc.plot(curve.false_rate, curve.recall)
    roc.plot([0, 1], [0, 1], ":", color="grey")
    roc.set(xlabel="share of quiet windows with an alarm", ylabel="recall", title=f"ROC AUC {alarms.roc_auc(logit, label):.3f}")
    precision.plot(curve.recall[1:], curve.precision[1:])
    precision.axhline(label.mean(), ls=":", color="grey")
    score = alarms.average_precision(logit, label)
    precision.set(xlabel="recall", ylabel="precision", ylim=(0, 1.02), title=f"average precision {score:.3f}")
    costs = curve.cost(model.alarm_cost, model.failure_cost)
    cost.plot(100 * curve.alarms / curve.total, costs)
    cost.plot(100 * curve.alarms[at] / curve.total, costs[at], "o", color="tab:red", label=f"threshold {model.threshold:.1%}")
    cost.axhline(costs[0], ls=":", color="grey", label="no alarm ever")
    cost.legend(fontsize=7)
    title = f"an alarm costs {model.alarm_cost:g}, a missed window {model.failure_cost:g}"
    cost.set(xlabel="windows with an alarm, %", ylabel="cost a window", title=title)
    hours = alarms.lead_times(logit >= cut, until, model.prediction)
    lead.hist(hours, bins=24, range=(0, 24 * model.prediction))
    lead.set(xlabel="hours from a true alarm to the failure", ylabel="alarms", title=f"{len(hours)} true alarms")
    for axes in (roc, precision, cost, lead):
        _small(axes)
    return save(figure, path)


def _page(
    model: AlarmModel, dataset: Dataset, split: str, rows: np.ndarray, logit: np.ndarray, batch: Batch, folder: Path, stem: str
) -> Path:
    """One machine over the split: a day of each sensor from each of its windows, then probabilities, alarms and failures."""
    from matplotlib.figure import Figure

    time, until = batch.time.numpy()[rows], batch.until.numpy()[rows]
    number = int(batch.machine[rows[0]])
    name = dataset.schema.names[number] if number < len(dataset.schema.names) else str(number)
    day = (time - time[0]) / 86_400
    readings = dataset[split].batch(rows).readings[:, -model.per_day :].cpu().numpy()  # (days, per_day, sensors)
    hours = day[:, None] + np.arange(1 - model.per_day, 1) / model.per_day
    figure = Figure(figsize=(9, 1.2 * (len(model.sensors[:8]) + 1.3)), layout="constrained")
    *traces, last = figure.subplots(len(model.sensors[:8]) + 1, 1, sharex=True)
    for axes, sensor, values in zip(traces, model.sensors, np.moveaxis(readings, 2, 0), strict=False):
        gap = np.diff(day, append=day[-1]) > 1.5  # days without a window are left white
        values = np.where(gap[:, None] & (np.arange(model.per_day) == model.per_day - 1), np.nan, values)
        axes.plot(hours.reshape(-1), values.reshape(-1), lw=0.6)
        axes.set_ylabel(sensor, fontsize=7)
    probability = 1 / (1 + np.exp(-logit[rows]))
    alarm = logit[rows] >= model.cut()
    true = until <= model.prediction
    last.plot(day, probability, lw=0.8, color="black")
    last.axhline(model.threshold, ls=":", color="grey")
    for chosen, colour, says in ((alarm & true, "tab:green", "true alarm"), (alarm & ~true, "tab:orange", "false alarm")):
        last.plot(day[chosen], probability[chosen], "o", ms=4, color=colour, label=says)
    last.plot(day[~alarm & true], probability[~alarm & true], "x", color="tab:red", label="missed")
    last.set(ylim=(-0.05, 1.05), xlabel=f"days from {datetime.fromtimestamp(int(time[0]), UTC):%Y-%m-%d}")
    last.set_ylabel("probability", fontsize=7)
    last.legend(fontsize=6, ncols=3, loc="upper left")
    for axes in (*traces, last):
        for failure in np.unique(np.round((day + until)[true], 2)):
            axes.axvline(failure, color="tab:red", lw=0.8)
        _small(axes)
    figure.suptitle(f"machine {name}: failures are red lines", fontsize=9)
    return save(figure, folder / f"{stem}-machine-{''.join(c if c.isalnum() else '_' for c in name)}.png")


def _bars(falls: dict[str, float], path: Path, shown: int = 20) -> Path:
    from matplotlib.figure import Figure

    best = sorted(falls.items(), key=lambda pair: -pair[1])[:shown][::-1]
    figure = Figure(figsize=(5, 0.8 + 0.3 * len(best)), layout="constrained")
    axes = figure.add_subplot()
    axes.barh([name for name, _ in best], [fall for _, fall in best])
    axes.set_xlabel("fall of ROC AUC when the sensor is shuffled among windows")
    _small(axes)
    return save(figure, path)


def _small(axes: Axes) -> None:
    axes.tick_params(labelsize=7)
    for text, size in ((axes.xaxis.label, 8), (axes.yaxis.label, 8), (axes.title, 9)):
        text.set_fontsize(size)
