"""The task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from paperzoo.data import Batch, Dataset
from paperzoo.tasks.classification.draw import draw
from paperzoo.tasks.classification.first_layers import draw_first_layers
from paperzoo.tasks.classification.measure import errors
from paperzoo.tasks.classification.room import room
from paperzoo.tasks.graphs import Graph, Room, noise_of
from paperzoo.tasks.task import Task

if TYPE_CHECKING:
    from paperzoo.tasks.classification.contract import Classifier


class ImageClassification(Task):
    """Images (N, C, H, W) in [0, 1] to classes."""

    name = "classification"
    needs = ("image", "label")
    named = True
    judges = True

    def measure(self, model: Classifier, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        return errors(model, dataset, split)

    def show(self, model: Classifier, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        paths = draw(model, dataset, split, folder, stem)
        image = dataset[split].batch([0]).image.to(next(model.parameters()).device)
        if (layers := model.first_layers(image)) is not None:
            filters, first, second = layers
            paths.append(draw_first_layers(filters, image, first, second, folder / f"{stem}-maps.png"))
        return paths

    def judgement(self, model: Classifier, images: Tensor) -> tuple[Tensor, Tensor]:
        hidden = model.features(images)
        return model.head(hidden).softmax(1), hidden

    def inputs(self, model: Classifier, batch: Batch) -> Tensor:
        """Images that are noise, so that no pixel is the same in all."""
        return torch.rand_like(batch.image)

    def answer(self, model: Classifier, inputs: Tensor) -> Tensor:
        return model(inputs)  # type: ignore[no-any-return]

    def graph(self, model: Classifier) -> Graph:
        about = f"float32 (N, {model.channels}, {model.image_size}, {model.image_size}) in [0, 1]"
        shape = (model.channels, model.image_size, model.image_size)
        return Graph(model, noise_of(*shape), {"image": about}, {"logits": "float32 (N, classes)"})

    def room(self, model: Classifier) -> Room | None:
        return room(model)
