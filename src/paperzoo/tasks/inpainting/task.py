"""The task: photographs with a hole, to be filled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from paperzoo.data import Batch, Dataset
from paperzoo.tasks.graphs import Graph, noise_of
from paperzoo.tasks.inpainting import draw, measure
from paperzoo.tasks.task import Task

if TYPE_CHECKING:
    from paperzoo.tasks.inpainting.contract import InPainter


class Inpainting(Task):
    """Images (N, C, S, S) in [0, 1], and holes in them."""

    name = "in-painting"
    needs = ("image",)

    def measure(self, model: InPainter, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        return measure.of_images(model, dataset, split)

    def show(self, model: InPainter, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        return [draw.images(model, dataset, split, folder, stem)]

    def inputs(self, model: InPainter, batch: Batch) -> Tensor:
        """Images that are noise, in the hole too, so that no pixel is the same in all."""
        return torch.rand_like(batch.image)

    def answer(self, model: InPainter, inputs: Tensor) -> Tensor:
        """The content painted into one hole for all images, as if ``inputs`` had it filled already."""
        hole = model.holes(1, torch.Generator().manual_seed(0)).to(inputs.device)
        return model.paint(inputs, hole.expand(len(inputs), -1, -1, -1)).flatten(1)

    def graph(self, model: InPainter) -> Graph:
        """Images whose holes are filled; their known pixels stay as they are."""
        shape = (model.channels, model.image_size, model.image_size)

        def example(items: int) -> tuple[Tensor, ...]:
            return (*noise_of(*shape)(items), model.holes(items, torch.Generator().manual_seed(items)))

        def call(image: Tensor, hole: Tensor) -> Tensor:
            empty = torch.where(hole > 0, model.fill[:, None, None], image)
            return torch.where(hole > 0, model.paint(empty, hole).clamp(0, 1), image)

        where = "1 where pixels are missing" + (f": the middle {model.middle} x {model.middle}" if model.middle else "")
        inputs = {"image": "float32 (N, {}, {}, {}) in [0, 1]".format(*shape), "hole": f"float32 (N, 1, {shape[1]}, {shape[1]}), {where}"}
        return Graph(call, example, inputs, {"filled": "the image's shape"})
