"""The task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from paperzoo.data import Batch, Dataset
from paperzoo.tasks.dense_pose import draw, measure
from paperzoo.tasks.graphs import Graph, noise_of
from paperzoo.tasks.task import Task

if TYPE_CHECKING:
    from paperzoo.tasks.dense_pose.contract import DensePoser


class DensePose(Task):
    """People in pictures: which part of a body's surface each pixel shows, and U and V in that part's chart."""

    name = "dense pose"
    needs = ("image", "segments", "points", "point_part", "point_uv", "objects")

    def measure(self, model: DensePoser, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        return measure.of_points(model, dataset, split)

    def show(self, model: DensePoser, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        return draw.pictures(model, dataset, split, folder, stem)

    def inputs(self, model: DensePoser, batch: Batch) -> Tensor:
        """Images that are noise, so that no pixel is the same in all."""
        return torch.rand_like(batch.image)

    def answer(self, model: DensePoser, inputs: Tensor) -> Tensor:
        """All that the network says."""
        return model.answers(inputs)

    def graph(self, model: DensePoser) -> Graph | None:
        """What the network says of a picture; people are told apart outside. Of one that says it by region there is none."""
        if model.by_region:
            return None
        shape = (model.channels, model.image_size, model.image_size)
        about = "float32 (N, {}, {}, {}) in [0, 1]".format(*shape)
        maps = "float32 (N, 88, h, w): logits of 15 masks and of 25 parts, then U and V of 24 parts"
        return Graph(model.answers, noise_of(*shape), {"image": about}, {"maps": maps})
