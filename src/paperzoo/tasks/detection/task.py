"""The task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from paperzoo.data import Batch, Dataset
from paperzoo.tasks.detection import draw, measure
from paperzoo.tasks.graphs import Graph, noise_of
from paperzoo.tasks.task import Task

if TYPE_CHECKING:
    from paperzoo.tasks.detection.contract import Detector


class ObjectDetection(Task):
    """Things in pictures, each with its class, its box and a score."""

    name = "detection"
    needs = ("image", "boxes", "box_label", "objects")
    named = True

    def measure(self, model: Detector, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        return measure.precision(model, dataset, split)

    def show(self, model: Detector, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        return draw.pictures(model, dataset, split, folder, stem)

    def inputs(self, model: Detector, batch: Batch) -> Tensor:
        """Images that are noise, so that no pixel is the same in all."""
        return torch.rand_like(batch.image)

    def graph(self, model: Detector) -> Graph:
        shape, outputs = (model.channels, model.image_size, model.image_size), ("boxes", "objectness", "scores")
        shapes = ("float32 (N, A, 4), left, top, right, bottom in pixels", "float32 (N, A)", "float32 (N, A, classes)")
        about = "float32 (N, {}, {}, {}) in [0, 1], letterboxed".format(*shape)
        meanings = dict(zip(outputs, shapes, strict=True))
        return Graph(lambda image: tuple(model.candidates(image)), noise_of(*shape), {"image": about}, meanings)

    def answer(self, model: Detector, inputs: Tensor) -> Tensor:
        """All candidate boxes, and their scores."""
        candidates = model.candidates(inputs)
        return torch.cat([candidates.boxes, candidates.objectness[..., None], candidates.scores], 2)
