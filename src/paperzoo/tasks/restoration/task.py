"""The task: photographs at low resolution, to be had at high resolution."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from paperzoo.data import Batch, Dataset
from paperzoo.tasks.graphs import Graph, Room, noise_of
from paperzoo.tasks.restoration import draw, measure
from paperzoo.tasks.restoration.room import room
from paperzoo.tasks.task import Task

if TYPE_CHECKING:
    from paperzoo.tasks.restoration.contract import SuperResolver


class SuperResolution(Task):
    """Photographs (N, C, h, w) enlarged to (N, C, h s, w s)."""

    name = "super-resolution"
    needs = ("low", "high", "scale", "size")

    def measure(self, model: SuperResolver, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        return measure.of_photographs(model, dataset, split)

    def show(self, model: SuperResolver, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        return draw.draw(model, dataset, split, folder, stem)

    def inputs(self, model: SuperResolver, batch: Batch) -> Tensor:
        """Small images that are noise, so that no pixel is the same in all."""
        return torch.rand_like(model.seen(batch.low))

    def graph(self, model: SuperResolver) -> Graph:
        scale, shape = min(model.scales), (model.channels, 24, 24)
        about = "Y of BT.601 over 255" if model.channels == 1 else "RGB in [0, 1]"
        inputs, outputs = {"low": f"float32 (N, {model.channels}, 24, 24), {about}"}, {"high": f"{scale} times as large"}
        return Graph(lambda low: model.restore(low, scale), noise_of(*shape), inputs, outputs)

    def answer(self, model: SuperResolver, inputs: Tensor) -> Tensor:
        return model.restore(inputs, min(model.scales)).flatten(1)

    def room(self, model: SuperResolver) -> Room | None:
        return room(model)
