"""The task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from paperzoo.data import Batch, Dataset
from paperzoo.data.captions.words import PAD, SPECIAL
from paperzoo.tasks.alignment.draw import draw
from paperzoo.tasks.alignment.measure import figures
from paperzoo.tasks.graphs import Graph, noise_of
from paperzoo.tasks.task import Task

if TYPE_CHECKING:
    from paperzoo.tasks.alignment.contract import Aligner


class Alignment(Task):
    """Sentences and pictures that find each other, by words and regions that do."""

    name = "alignment"
    needs = ("image", "captions", "texts")

    def measure(self, model: Aligner, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        return figures(model, dataset, split)

    def show(self, model: Aligner, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        return draw(model, dataset, split, folder, stem)

    def inputs(self, model: Aligner, batch: Batch) -> Tensor:
        """Images that are noise, so that no pixel is the same in all."""
        return torch.rand_like(batch.image)

    def answer(self, model: Aligner, inputs: Tensor) -> Tensor:
        """The vectors of the regions, and the score of a sentence of the vocabulary's first words, (N, R h + 1)."""
        words = torch.arange(len(SPECIAL), min(model.count, len(SPECIAL) + 12), device=inputs.device)[None]  # (1, T)
        regions = model.see(inputs)
        return torch.cat([regions.flatten(1), model.score(regions, model.read(words), words != 0)], 1)  # (N, R, h) -> (N, R h)

    def graph(self, model: Aligner) -> Graph:
        """Pictures and sentences to the vectors of their regions and words; how well they fit (Eq. 8) is computed of these, outside."""
        side, longest = model.image_size, model.longest - 2  # <start> and <end> are not read
        pictures = noise_of(model.channels, side, side)

        def example(items: int) -> tuple[Tensor, ...]:
            words = torch.randint(len(SPECIAL), model.count, (items, longest), generator=torch.Generator().manual_seed(items))
            words[0, longest // 2 :] = PAD
            return *pictures(items), words

        inputs = {
            "image": f"float32 (N, {model.channels}, {side}, {side}) in [0, 1]",
            "words": f"int64 (N, {longest}), from {len(SPECIAL)} to {model.count - 1:,}, without ends, {PAD} behind the last",
        }
        outputs = {"regions": "float32 (N, R, h)", "said": f"float32 (N, {longest}, h), of no meaning behind the last word"}
        beside = {"vocabulary": list(model.vocabulary)}
        return Graph(lambda image, words: (model.see(image), model.read(words)), example, inputs, outputs, beside=beside)
