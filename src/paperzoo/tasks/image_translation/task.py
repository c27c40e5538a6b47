"""The task: images of domain A to images of domain B, and maybe back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from paperzoo.data import Batch, Dataset
from paperzoo.tasks.graphs import Graph, Room
from paperzoo.tasks.image_translation import draw, measure
from paperzoo.tasks.image_translation.room import graph, room
from paperzoo.tasks.image_translation.whole import seeded
from paperzoo.tasks.pictures import compact, save
from paperzoo.tasks.task import Task
from paperzoo.terminal import plain

if TYPE_CHECKING:
    from paperzoo.tasks.image_translation.contract import ImageTranslator


class ImageTranslation(Task):
    """Images (N, C, H, W) in [0, 1] of two domains, paired or not."""

    name = "image translation"
    needs = ("image_a", "image_b")
    samples = True
    usual: ClassVar[dict[str, Any]] = {"items": 8}
    span = (0.0, 1.0)

    def measure(self, model: ImageTranslator, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        return measure.scores(model, dataset, split, judge)

    def show(self, model: ImageTranslator, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        return draw.translations(model, dataset, split, folder, stem)

    def write(self, samples: Tensor, out: Path) -> str:
        """A column a sample as PNG: source, translation, truth."""
        return plain(save(compact(draw.table(list(samples.unbind(1)))), out))

    def inputs(self, model: ImageTranslator, batch: Batch) -> Tensor:
        """Images that are noise, so that no pixel is the same in all."""
        return torch.rand_like(batch.image_a)

    def answer(self, model: ImageTranslator, inputs: Tensor) -> Tensor:
        """Each image with the same noise, and by itself if its statistics would tie it to others."""
        parts = torch.split(inputs, 1) if model.alone else [inputs]
        answers = []
        for part in parts:
            with seeded(0, inputs.device):
                answers.append(torch.cat([model.translate(part, to) for to in model.domains], 1).flatten(1))
        return torch.cat(answers)

    def graph(self, model: ImageTranslator) -> Graph | None:
        return graph(model)

    def room(self, model: ImageTranslator) -> Room | None:
        return room(model)
