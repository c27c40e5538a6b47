"""The task: photographs with a hole, to be filled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from paperzoo.data import Batch, Dataset
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
