"""The task: a sentence, to be drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from paperzoo.data import Batch, Dataset
from paperzoo.data.captions.words import END, SPECIAL, START
from paperzoo.tasks.generation import ImageGeneration
from paperzoo.tasks.graphs import Graph, tokens_of
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

    def graph(self, model: SentenceGenerator) -> Graph | None:  # type: ignore[override]
        """Noise and a sentence's words to its picture; none where words are read by a network that is no part of the model."""
        if not model.vocabulary or getattr(model, "words_encoder", None) is None:
            return None

        def draw(z: Tensor, words: Tensor) -> Tensor:
            ends = [words.new_full((words.shape[0], 1), end) for end in (START, END)]
            return model.generate(z, model.embed(torch.cat([ends[0], words, ends[1]], 1)))

        size, words = len(model.vocabulary), tokens_of(len(model.vocabulary), first=len(SPECIAL))

        def example(items: int) -> tuple[Tensor, ...]:
            return model.latents(items, items), *words(items)

        numbers = f"int64 (N, T), from {len(SPECIAL)} to {size - 1:,}, without ends"
        inputs = {"z": f"float32 (N, {model.latent}), standard normal", "words": numbers}
        outputs = {"image": f"float32 (N, {model.channels}, {model.image_size}, {model.image_size}) in [0, 1]"}
        beside = {"vocabulary": list(model.vocabulary)}
        return Graph(draw, example, inputs, outputs, lengths=("words",), beside=beside)
