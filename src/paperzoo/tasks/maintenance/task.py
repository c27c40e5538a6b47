"""The task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from paperzoo.data import Batch, Dataset
from paperzoo.data.series.machines import OBSERVATIONS
from paperzoo.tasks.graphs import Graph, noise_of
from paperzoo.tasks.maintenance.draw import draw
from paperzoo.tasks.maintenance.measure import figures
from paperzoo.tasks.task import Task

if TYPE_CHECKING:
    from paperzoo.tasks.maintenance.contract import AlarmModel


class Maintenance(Task):
    """Windows of readings (N, T, sensors) to log-odds of a failure."""

    name = "maintenance"
    needs = ("readings", "until", "machine", "time")

    def measure(self, model: AlarmModel, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        return figures(model, dataset, split)

    def show(self, model: AlarmModel, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        return draw(model, dataset, split, folder, stem)

    def inputs(self, model: AlarmModel, batch: Batch) -> Tensor:
        readings: Tensor = batch.readings
        return readings

    def answer(self, model: AlarmModel, inputs: Tensor) -> Tensor:
        return model(inputs)  # type: ignore[no-any-return]

    def graph(self, model: AlarmModel) -> Graph | None:
        shape = (max(OBSERVATIONS) * model.per_day, len(model.sensors))
        inputs = {"readings": f"float32 (N, {shape[0]}, {shape[1]}), units of the log: {', '.join(model.sensors)}"}
        return Graph(model, noise_of(*shape), inputs, {"log-odds": "float32 (N), of a failure"})
