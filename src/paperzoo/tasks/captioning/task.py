"""The task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from paperzoo.data import Batch, Dataset
from paperzoo.data.captions.words import SPECIAL, START
from paperzoo.tasks.captioning.draw import draw
from paperzoo.tasks.captioning.graph import graph
from paperzoo.tasks.captioning.measure import scores
from paperzoo.tasks.captioning.room import room
from paperzoo.tasks.graphs import Graph, Room
from paperzoo.tasks.task import Task

if TYPE_CHECKING:
    from paperzoo.tasks.captioning.contract import Captioner


class Captioning(Task):
    """Pictures described by sentences."""

    name = "captioning"
    needs = ("image", "captions", "texts")

    def measure(self, model: Captioner, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        return scores(model, dataset, split)

    def show(self, model: Captioner, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        return draw(model, dataset, split, folder, stem)

    def inputs(self, model: Captioner, batch: Batch) -> Tensor:
        """Images that are noise, so that no pixel is the same in all."""
        return torch.rand_like(batch.image)

    def answer(self, model: Captioner, inputs: Tensor) -> Tensor:
        """Logits of what follows each of the vocabulary's first words."""
        words = torch.arange(len(SPECIAL), min(len(model.vocabulary), len(SPECIAL) + model.longest - 2), device=inputs.device)
        words = torch.cat([words.new_tensor([START]), words]).expand(len(inputs), 1, -1)  # (N, 1, T)
        return model.say(model.see(inputs), words).logits

    def graph(self, model: Captioner) -> Graph | None:
        return graph(model)

    def room(self, model: Captioner) -> Room | None:
        return room(model)
