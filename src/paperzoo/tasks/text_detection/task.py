"""The task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from paperzoo.data import Batch, Dataset
from paperzoo.tasks.graphs import Graph, Room
from paperzoo.tasks.task import Task
from paperzoo.tasks.text_detection import draw, measure
from paperzoo.tasks.text_detection.room import graph, room

if TYPE_CHECKING:
    from paperzoo.tasks.text_detection.contract import TextDetector


class TextDetection(Task):
    """Text in pictures, each piece with the quadrilateral that it lies in, and a score."""

    name = "text detection"
    needs = ("image", "quads", "objects")

    def measure(self, model: TextDetector, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        return measure.harmonic(model, dataset, split)

    def show(self, model: TextDetector, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        return draw.pictures(model, dataset, split, folder, stem)

    def inputs(self, model: TextDetector, batch: Batch) -> Tensor:
        """Images that are noise, so that no pixel is the same in all."""
        return torch.rand_like(batch.image)

    def answer(self, model: TextDetector, inputs: Tensor) -> Tensor:
        """All that the network says."""
        return model.answers(inputs)

    def graph(self, model: TextDetector) -> Graph:
        return graph(model)

    def room(self, model: TextDetector) -> Room | None:
        return room(model)
