"""The tasks: images, points, and beside either the likelihood."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from paperzoo.data import Batch, Dataset
from paperzoo.tasks.graphs import Graph, noise_of
from paperzoo.tasks.reconstruction import draw, measure
from paperzoo.tasks.task import Task

if TYPE_CHECKING:
    from paperzoo.tasks.reconstruction.contract import Autoencoder, LikelihoodAutoencoder, PointAutoencoder


class ImageReconstruction(Task):
    """Images (N, C, H, W) in [0, 1], encoded and decoded."""

    name = "reconstruction"
    needs = ("image",)

    def measure(self, model: Autoencoder, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        return measure.errors(model, dataset, split)

    def show(self, model: Autoencoder, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        return draw.reconstructions(model, dataset, split, folder, stem)

    def inputs(self, model: Autoencoder, batch: Batch) -> Tensor:
        """Images that are noise, so that no pixel is the same in all."""
        return torch.rand_like(batch.image)

    def answer(self, model: Autoencoder, inputs: Tensor) -> Tensor:
        conditions = [part.to(inputs.device) for part in model.told_example(len(inputs))]
        return model.decode(model.encode(inputs, *conditions), *conditions).flatten(1)

    def graph(self, model: Autoencoder) -> Graph | None:
        shape = getattr(model, "channels", 0), getattr(model, "image_size", 0), getattr(model, "image_size", 0)
        if model.told_example(1) or not all(shape):  # points, and what is told more than the image
            return None
        about = "float32 (N, {}, {}, {}) in [0, 1]".format(*shape)
        return Graph(lambda image: model.decode(model.encode(image)), noise_of(*shape), {"image": about}, {"image_again": "the same shape"})


class PointReconstruction(ImageReconstruction):
    """Points (N, D)."""

    needs = ("point",)

    def show(self, model: PointAutoencoder, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:  # type: ignore[override]
        return draw.points(model, dataset, split, folder, stem)

    def inputs(self, model: Autoencoder, batch: Batch) -> Tensor:
        point: Tensor = batch.point
        return point


class Likelihood(Task):
    """Bounds on the log-likelihood in nats. It stands beside another task, which defines the data."""

    name = "likelihood"

    def measure(self, model: LikelihoodAutoencoder, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        return measure.likelihood(model, dataset, split)

    def inputs(self, model: LikelihoodAutoencoder, batch: Batch) -> None:
        """None of its own."""
        return None
