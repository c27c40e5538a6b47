"""The task: a sentence, to be drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from paperzoo.data import Batch, Dataset
from paperzoo.tasks.generation import ImageGeneration
from paperzoo.tasks.text_to_image import draw, measure

if TYPE_CHECKING:
    from paperzoo.tasks.text_to_image.contract import SentenceGenerator


class TextToImage(ImageGeneration):
    """Sentences int64 (N, T) and noise to images (N, C, H, W) in [0, 1]."""

    name = "text to image"
    needs = ("image", "captions", "texts")

    def measure(self, model: SentenceGenerator, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:  # type: ignore[override]
        return measure.of_sentences(model, dataset, split, judge)

    def show(self, model: SentenceGenerator, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:  # type: ignore[override]
        return [*super().show(model, dataset, split, folder, stem), *draw.sentences(model, dataset, split, folder, stem)]

    def inputs(self, model: SentenceGenerator, batch: Batch) -> Tensor:  # type: ignore[override]
        """Noise and phi, side by side (N, latent + E)."""
        with torch.no_grad():
            phi = model.embed(batch.captions[:, 0])
        return torch.cat([torch.randn(len(batch), model.latent), phi.float()], 1)

    def answer(self, model: SentenceGenerator, inputs: Tensor) -> Tensor:  # type: ignore[override]
        """The pictures of all sizes, as one row of numbers each."""
        return torch.cat([one.flatten(1) for one in model.resolutions(inputs[:, : model.latent], inputs[:, model.latent :])], 1)

    def graph(self, model: Any) -> None:
        """None: a picture hangs on words, which a graph has not."""
