"""The task."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, log
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from paperzoo.data import Batch, Dataset, Schema
from paperzoo.errors import PaperzooError
from paperzoo.tasks.forecasting.draw import draw
from paperzoo.tasks.forecasting.measure import forecasts
from paperzoo.tasks.graphs import Graph
from paperzoo.tasks.task import Task

if TYPE_CHECKING:
    from paperzoo.tasks.forecasting.contract import Forecaster


#: forecasts that cost nothing, and by how many % a network may be worse than these, and than fitted ones, before it is called so
NAIVE, LITTLE, MUCH = ("persistence", "seasonal naive"), 0.5, 5.0


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

    def verdict(self, metrics: Mapping[str, float]) -> str:
        """Quality of the forecasts on held-out data, beside the simple methods; begins with ``Worse than`` where one of them is better."""
        keys = [key for key in metrics if "RMSE at " in key and any(other.endswith(f" {key}") for other in metrics)]
        names = dict.fromkeys(other.removesuffix(f" {key}") for key in keys for other in metrics if other.endswith(f" {key}"))
        ratios = {}  # of root mean squared errors, the geometric mean over targets and steps ahead
        for name in names:
            both = [(metrics[key], metrics[f"{name} {key}"]) for key in keys if f"{name} {key}" in metrics]
            if both and all(theirs > 0 < ours for ours, theirs in both):
                ratios[name] = exp(sum(log(ours / theirs) for ours, theirs in both) / len(both))
        if not ratios:
            return ""
        best = max(ratios, key=lambda name: ratios[name])
        off, more = f"{keys[-1]} {metrics[keys[-1]]:.4g}", 100 * (ratios[best] - 1)
        naive = max((ratios[name] for name in NAIVE if name in ratios), default=0.0)
        if more > MUCH or 100 * (naive - 1) > LITTLE:
            much = f"by {more:.0f} %" if more < 900 else "many times over"
            return f"Worse than {best} where it was held out, {much}: use that instead ({off})."
        other = "as much as" if abs(more) < LITTLE else f"{abs(more):.0f} % {'more' if more > 0 else 'less'} than"
        return f"Held out, it was off by {other} {best}, the best simple method ({off})."

    def show(self, model: Forecaster, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        return draw(model, dataset, split, folder, stem)

    def inputs(self, model: Forecaster, batch: Batch) -> Tensor:
        history: Tensor = batch.history
        return history

    def answer(self, model: Forecaster, inputs: Tensor) -> Tensor:
        return model(inputs)  # type: ignore[no-any-return]

    def graph(self, model: Forecaster) -> Graph:
        """The forecast in the series' own units; its interval's ends too, if enough windows were held out."""
        half, shape = model.half_width(), (model.window, len(model.columns))
        known = bool(half.isfinite().all())

        def forecast(history: Tensor) -> tuple[Tensor, ...]:
            ahead = model.answer(history)
            return tuple(model.raw(z, history) for z in ((ahead, ahead - half, ahead + half) if known else (ahead,)))

        def example(items: int) -> tuple[Tensor, ...]:
            noise = torch.randn(items, *shape, generator=torch.Generator().manual_seed(items))
            return (model.location + model.spread * noise,)

        size = f"float32 (N, {model.horizon}, {len(model.targets)})"
        meanings = {"history": f"float32 (N, {shape[0]}, {shape[1]}), the last steps of {', '.join(model.columns)}"}
        names = ("forecast", "low", "high") if known else ("forecast",)
        return Graph(forecast, example, meanings, {name: f"{size}, of {', '.join(model.targets)}" for name in names})
