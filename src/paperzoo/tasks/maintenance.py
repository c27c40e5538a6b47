"""Predictive maintenance: the probability that a machine fails within days, alarms from the user's costs, and how early they come."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from paperzoo.data import Batch, Dataset
from paperzoo.data.machines import OBSERVATIONS, Windows, log_arrays
from paperzoo.errors import PaperzooError
from paperzoo.metrics import alarms
from paperzoo.tasks.model import Model
from paperzoo.tasks.pictures import save
from paperzoo.terminal import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: share of the windows that may raise an alarm, for ``recall at 5 % alarms``
ALARM_RATE = 0.05
#: machines that ``show`` draws
PAGES = 3


@dataclass(frozen=True)
class Alarm:
    """A machine, the last reading that was looked at, and how likely a failure follows in the prediction window, which ends ``by``."""

    machine: str
    time: datetime
    probability: float
    by: datetime | None = None

    def __str__(self) -> str:
        by = f"  by {self.by:%Y-%m-%d %H:%M}" if self.by else ""
        return f"{plain(self.machine)}  {self.time:%Y-%m-%d %H:%M}  {self.probability:.1%}{by}"


@dataclass(frozen=True)
class Alarms:
    """What a model says of a log.

    Attributes:
        prediction: days that an alarm looks ahead.
        threshold: an alarm costs less than it saves from this probability on.
        now: each machine at the first reading of its newest day, where windows end; the likeliest failure first.
        past: every alarm that would have been given, a machine a day, by time.
        skipped: machines whose log is shorter than the window, or has a gap in its last one.
    """

    prediction: int
    threshold: float
    now: tuple[Alarm, ...]
    past: tuple[Alarm, ...] = field(repr=False)
    skipped: tuple[str, ...] = ()

    def __str__(self) -> str:
        due = [str(one) for one in self.now if one.probability >= self.threshold]
        days = "a day" if self.prediction == 1 else f"{self.prediction} days"
        said = f"{len(due)} of {len(self.now)} machines may fail within {days} of the reading named (threshold {self.threshold:.1%})"
        skipped = f"no window for {', '.join(map(plain, self.skipped[:5]))}{', ...' if len(self.skipped) > 5 else ''}"
        return "\n".join([said, *due, *([skipped] if self.skipped else [])])


class AlarmModel(Model):
    """A model whose ``forward`` gives log-odds (N) of a failure for windows of readings (N, T, sensors), the 16 days before.

    Subclasses set what follows.

    Attributes:
        sensors: names, in order; ``per_day``: grid steps a day.
        prediction: days ahead.
        alarm_cost, failure_cost: of an alarm, whether it is right or not, and of a window before a failure without one.
    """

    task = "maintenance"
    needs = ("readings", "until", "machine", "time")
    sensors: Sequence[str]
    per_day: int
    prediction: int
    alarm_cost: float
    failure_cost: float

    @property
    def threshold(self) -> float:
        """The probability from which on an alarm costs less than what it saves: ``alarm_cost / failure_cost``."""
        return self.alarm_cost / self.failure_cost

    def label(self, batch: Batch) -> Tensor:
        """Whether a failure follows within the prediction window; bool (N)."""
        return batch.until <= self.prediction  # type: ignore[no-any-return]

    def measure(self, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """Figures of one split; of ``test`` also those of machines never seen, where the data has them.

        ``roc auc`` (0.5: nothing), ``average precision`` (``positives %``: nothing), ``recall at 5 % alarms``; ``log loss`` in nats
        of the probabilities; at the threshold of the costs: ``alarms %`` of the windows, ``failures found %``, ``lead time h``
        (median over true alarms), ``cost`` a window, and beside it ``cost of none`` (no alarm ever) and ``cost at best`` (the
        threshold chosen in hindsight). A split in which all windows are alike has no figures but its share.
        """
        measured = self._figures(dataset, split)
        if split == "test" and "unseen" in dataset.splits:
            found = self._figures(dataset, "unseen")
            kept = ("roc auc", "average precision", "recall at 5 % alarms", "positives %")
            measured |= {f"{name}, unseen machines": found[name] for name in kept if name in found}
        return measured

    def _figures(self, dataset: Dataset, split: str) -> dict[str, float]:
        logit, batch = self._outputs(dataset, split)
        until, label = batch.until.numpy(), self.label(batch).numpy()
        share = {"positives %": 100 * float(label.mean())}
        if label.all() or not label.any():
            return share
        curve, alarm = alarms.curve(logit, label), logit >= self._cut()
        none, best = curve.cost(self.alarm_cost, self.failure_cost)[0], curve.cost(self.alarm_cost, self.failure_cost).min()
        found, failures = alarms.failures_found(alarm, batch.machine.numpy(), batch.time.numpy(), until, self.prediction)
        lead = alarms.lead_times(alarm, until, self.prediction)
        missed = (label & ~alarm).sum()
        return {
            "roc auc": alarms.roc_auc(logit, label),
            "average precision": alarms.average_precision(logit, label),
            "recall at 5 % alarms": alarms.recall_at(logit, label, ALARM_RATE),
            "log loss": float(np.logaddexp(0, np.where(label, -logit, logit)).mean()),
            "alarms %": 100 * float(alarm.mean()),
            "failures found %": 100 * found / failures,
            **({"lead time h": float(np.median(lead))} if len(lead) else {}),
            "cost": float(self.alarm_cost * alarm.sum() + self.failure_cost * missed) / len(label),
            "cost of none": float(none),
            "cost at best": float(best),
            **share,
        }

    def _cut(self) -> float:
        """The threshold as log-odds."""
        return math.log(self.threshold / (1 - self.threshold))

    def _outputs(self, dataset: Dataset, split: str) -> tuple[np.ndarray, Batch]:
        """Log-odds (N) of the split in order, and a batch of its other fields."""
        items = dataset[split]
        logit = [self._logit(items.batch(indices).readings) for indices in items.batches(500)]
        return np.concatenate(logit), _without_readings(dataset, split)

    def _logit(self, readings: Tensor) -> np.ndarray:
        device = next((t.device for t in (*self.parameters(), *self.buffers())), torch.device("cpu"))
        with torch.no_grad():
            return self(readings.to(device)).cpu().double().numpy()  # type: ignore[no-any-return]

    def importance(self, dataset: Dataset, split: str, repeats: int = 3, windows: int = 2000) -> dict[str, float]:
        """For each sensor, how much ROC AUC falls when its readings are those of other windows: mean over ``repeats`` shuffles.

        Every positive is looked at, and evenly spaced negatives up to ``windows`` in all.
        """
        items, random = dataset[split], np.random.default_rng(0)
        label = self.label(_without_readings(dataset, split)).numpy()
        negative = np.flatnonzero(~label)
        spaced = negative[np.unique(np.linspace(0, len(negative) - 1, max(1, windows - int(label.sum()))).astype(np.int64))]
        chosen = np.sort(np.concatenate([np.flatnonzero(label)[:windows], spaced]))
        readings, label = items.batch(chosen).readings.cpu(), label[chosen]

        def auc(given: Tensor) -> float:
            return alarms.roc_auc(np.concatenate([self._logit(part) for part in torch.split(given, 500)]), label)

        whole, falls = auc(readings), {}
        for number, sensor in enumerate(self.sensors):
            found = []
            for _ in range(repeats):
                other = readings.clone()
                other[:, :, number] = readings[torch.from_numpy(random.permutation(len(readings))), :, number]
                found.append(whole - auc(other))
            falls[sensor] = float(np.mean(found))
        return falls

    def show(self, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        """The curves, the sensors' importance, and a page for each of the machines that fail most: sensors, probability, alarms."""
        logit, batch = self._outputs(dataset, split)
        label = self.label(batch).numpy()
        paths = []
        if label.any() and not label.all():
            paths.append(self._curves(logit, label, batch.until.numpy(), folder / f"{stem}-curves.png"))
            paths.append(_bars(self.importance(dataset, split), folder / f"{stem}-importance.png"))
        machine = batch.machine.numpy()
        failing, count = np.unique(machine[label], return_counts=True)
        for number in failing[np.argsort(-count, kind="stable")][:PAGES]:
            paths.append(self._page(dataset, split, np.flatnonzero(machine == number), logit, batch, folder, stem))
        return paths

    def _curves(self, logit: np.ndarray, label: np.ndarray, until: np.ndarray, path: Path) -> Path:
        from matplotlib.figure import Figure

        curve, cut = alarms.curve(logit, label), self._cut()
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
        costs = curve.cost(self.alarm_cost, self.failure_cost)
        cost.plot(100 * curve.alarms / curve.total, costs)
        cost.plot(100 * curve.alarms[at] / curve.total, costs[at], "o", color="tab:red", label=f"threshold {self.threshold:.1%}")
        cost.axhline(costs[0], ls=":", color="grey", label="no alarm ever")
        cost.legend(fontsize=7)
        title = f"an alarm costs {self.alarm_cost:g}, a missed window {self.failure_cost:g}"
        cost.set(xlabel="windows with an alarm, %", ylabel="cost a window", title=title)
        hours = alarms.lead_times(logit >= cut, until, self.prediction)
        lead.hist(hours, bins=24, range=(0, 24 * self.prediction))
        lead.set(xlabel="hours from a true alarm to the failure", ylabel="alarms", title=f"{len(hours)} true alarms")
        for axes in (roc, precision, cost, lead):
            _small(axes)
        return save(figure, path)

    def _page(
        self, dataset: Dataset, split: str, rows: np.ndarray, logit: np.ndarray, batch: Batch, folder: Path, stem: str
    ) -> Path:
        """One machine over the split: a day of each sensor from each of its windows, then probabilities, alarms and failures."""
        from matplotlib.figure import Figure

        time, until = batch.time.numpy()[rows], batch.until.numpy()[rows]
        number = int(batch.machine[rows[0]])
        name = dataset.schema.names[number] if number < len(dataset.schema.names) else str(number)
        day = (time - time[0]) / 86_400
        readings = dataset[split].batch(rows).readings[:, -self.per_day :].cpu().numpy()  # (days, per_day, sensors)
        hours = day[:, None] + np.arange(1 - self.per_day, 1) / self.per_day
        figure = Figure(figsize=(9, 1.2 * (len(self.sensors[:8]) + 1.3)), layout="constrained")
        *traces, last = figure.subplots(len(self.sensors[:8]) + 1, 1, sharex=True)
        for axes, sensor, values in zip(traces, self.sensors, np.moveaxis(readings, 2, 0), strict=False):
            gap = np.diff(day, append=day[-1]) > 1.5  # days without a window are left white
            values = np.where(gap[:, None] & (np.arange(self.per_day) == self.per_day - 1), np.nan, values)
            axes.plot(hours.reshape(-1), values.reshape(-1), lw=0.6)
            axes.set_ylabel(sensor, fontsize=7)
        probability = 1 / (1 + np.exp(-logit[rows]))
        alarm = logit[rows] >= self._cut()
        true = until <= self.prediction
        last.plot(day, probability, lw=0.8, color="black")
        last.axhline(self.threshold, ls=":", color="grey")
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

    def predict(self, input: Any) -> Any:
        """Alarms for a log, a CSV or parquet file of the form that ``machines:PATH`` reads; its ``event`` column may be empty.

        Raises:
            PaperzooError: the file cannot be read, lacks a sensor of the model, or has another number of readings a day.
        """
        if isinstance(input, list | tuple):
            return [self.predict(one) for one in input]
        path = Path(input)
        if not path.is_file():
            raise PaperzooError(f"there is no log {path}")
        found = log_arrays(path)
        names, per_day = [str(s) for s in found["sensors"]], int(found["per_day"])
        missing = [sensor for sensor in self.sensors if sensor not in names]
        if missing:
            raise PaperzooError(f"{path.name} has no sensor {missing[0]}, which this model reads; it has {', '.join(names)}")
        if per_day != self.per_day:
            raise PaperzooError(f"{path.name} has {per_day} readings a day, and this model was trained on {self.per_day}")
        columns = [names.index(sensor) for sensor in self.sensors]
        windows = Windows(found["readings"], found["end"], max(OBSERVATIONS) * per_day)
        order, parts = np.arange(len(windows)), []
        for indices in np.array_split(order, max(1, len(order) // 500)):
            parts.append(self._logit(windows.take(indices)["readings"][..., columns]))
        probability = 1 / (1 + np.exp(-np.concatenate(parts)))

        def alarm(row: int) -> Alarm:
            when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(found["time"][row]))
            by = datetime.max.replace(tzinfo=UTC)
            by = when + timedelta(days=self.prediction) if by - when > timedelta(days=self.prediction) else by
            return Alarm(str(found["names"][found["machine"][row]]), when, float(probability[row]), by)

        last = np.flatnonzero(np.diff(found["machine"], append=-1))
        due = np.flatnonzero(probability >= self.threshold)
        skipped = np.setdiff1d(np.arange(len(found["names"])), found["machine"])
        return Alarms(
            self.prediction,
            self.threshold,
            tuple(alarm(row) for row in last[np.argsort(-probability[last], kind="stable")]),
            tuple(alarm(row) for row in due[np.argsort(found["time"][due], kind="stable")]),
            tuple(str(found["names"][machine]) for machine in skipped),
        )


def _without_readings(dataset: Dataset, split: str) -> Batch:
    """All windows of a split in order, without the readings, which are long."""
    items = dataset[split]
    columns = [column.take(np.arange(len(items))) for column in items.columns if not isinstance(column, Windows)]
    return Batch(**{name: values for fields in columns for name, values in fields.items()}).to("cpu")


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
