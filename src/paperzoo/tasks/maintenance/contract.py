"""The interface of a model that predicts failures; alarms for a user's log."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from paperzoo.data import Batch, Dataset
from paperzoo.data.series.machines import OBSERVATIONS, Windows, log_arrays
from paperzoo.errors import PaperzooError
from paperzoo.tasks.maintenance.measure import without_readings
from paperzoo.tasks.maintenance.task import Maintenance
from paperzoo.tasks.model import Model
from paperzoo.tasks.task import Task
from paperzoo.terminal import plain


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
    """A model's alarms for a log.

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
        due = [str(alarm) for alarm in self.now if alarm.probability >= self.threshold]
        days = "a day" if self.prediction == 1 else f"{self.prediction} days"
        summary = f"{len(due)} of {len(self.now)} machines may fail within {days} of the reading named (threshold {self.threshold:.1%})"
        skipped = f"no window for {', '.join(map(plain, self.skipped[:5]))}{', ...' if len(self.skipped) > 5 else ''}"
        return "\n".join([summary, *due, *([skipped] if self.skipped else [])])


class AlarmModel(Model):
    """A model whose ``forward`` gives log-odds (N) of a failure for windows of readings (N, T, sensors), the 16 days before.

    Subclasses set what follows.

    Attributes:
        sensors: names, in order; ``per_day``: grid steps a day.
        prediction: days ahead.
        alarm_cost, failure_cost: of an alarm, whether it is right or not, and of a window before a failure without one.
    """

    tasks: ClassVar[tuple[Task, ...]] = (Maintenance(),)
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

    def cut(self) -> float:
        """The threshold as log-odds."""
        return math.log(self.threshold / (1 - self.threshold))

    def outputs(self, dataset: Dataset, split: str) -> tuple[np.ndarray, Batch]:
        """Log-odds (N) of the split in order, and a batch of its other fields."""
        items = dataset[split]
        logit = [self.logit(items.batch(indices).readings) for indices in items.batches(500)]
        return np.concatenate(logit), without_readings(dataset, split)

    def logit(self, readings: Tensor) -> np.ndarray:
        """Log-odds float64 (N) of windows (N, T, sensors)."""
        device = next((t.device for t in (*self.parameters(), *self.buffers())), torch.device("cpu"))
        with torch.no_grad():
            return self(readings.to(device)).cpu().double().numpy()  # type: ignore[no-any-return]

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
        log = log_arrays(path)
        names, per_day = [str(s) for s in log["sensors"]], int(log["per_day"])
        missing = [sensor for sensor in self.sensors if sensor not in names]
        if missing:
            raise PaperzooError(f"{path.name} has no sensor {missing[0]}, which this model reads; it has {', '.join(names)}")
        if per_day != self.per_day:
            raise PaperzooError(f"{path.name} has {per_day} readings a day, and this model was trained on {self.per_day}")
        columns = [names.index(sensor) for sensor in self.sensors]
        windows = Windows(log["readings"], log["end"], max(OBSERVATIONS) * per_day)
        order, parts = np.arange(len(windows)), []
        for indices in np.array_split(order, max(1, len(order) // 500)):
            parts.append(self.logit(windows.take(indices)["readings"][..., columns]))
        probability = 1 / (1 + np.exp(-np.concatenate(parts)))

        def alarm(row: int) -> Alarm:
            when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(log["time"][row]))
            by = datetime.max.replace(tzinfo=UTC)
            by = when + timedelta(days=self.prediction) if by - when > timedelta(days=self.prediction) else by
            return Alarm(str(log["names"][log["machine"][row]]), when, float(probability[row]), by)

        last = np.flatnonzero(np.diff(log["machine"], append=-1))
        due = np.flatnonzero(probability >= self.threshold)
        skipped = np.setdiff1d(np.arange(len(log["names"])), log["machine"])
        return Alarms(
            self.prediction,
            self.threshold,
            tuple(alarm(row) for row in last[np.argsort(-probability[last], kind="stable")]),
            tuple(alarm(row) for row in due[np.argsort(log["time"][due], kind="stable")]),
            tuple(str(log["names"][machine]) for machine in skipped),
        )
