"""The task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from paperzoo.data import Batch, Dataset, Schema
from paperzoo.errors import PaperzooError
from paperzoo.tasks.forecasting.draw import draw
from paperzoo.tasks.forecasting.measure import forecasts
from paperzoo.tasks.task import Task

if TYPE_CHECKING:
    from paperzoo.tasks.forecasting.contract import Forecaster


class Forecasting(Task):
    """K of D columns of a series, H steps ahead, from the last T."""

    name = "forecasting"
    needs = ("history", "target", "mask", "held")

    def check(self, model_class: Any, schema: Schema) -> None:
        """Raises ``PaperzooError`` unless data of this schema are windows that know their columns."""
        super().check(model_class, schema)
        if "statistics" not in schema.arguments:
            raise PaperzooError(
                f"{self.name} needs data that knows its training split's mean and deviation, but {schema.name} does not"
            )

    def measure(self, model: Forecaster, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        return forecasts(model, dataset, split)

    def show(self, model: Forecaster, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        return draw(model, dataset, split, folder, stem)

    def inputs(self, model: Forecaster, batch: Batch) -> Tensor:
        history: Tensor = batch.history
        return history

    def answer(self, model: Forecaster, given: Tensor) -> Tensor:
        return model(given)  # type: ignore[no-any-return]
