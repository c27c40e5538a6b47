"""The task: a picture and a question, to be answered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from paperzoo.data import Batch, Dataset
from paperzoo.data.captions.words import SPECIAL
from paperzoo.tasks.graphs import Graph, Room
from paperzoo.tasks.questions.draw import draw
from paperzoo.tasks.questions.measure import accuracies
from paperzoo.tasks.questions.room import graph, room
from paperzoo.tasks.task import Task

if TYPE_CHECKING:
    from paperzoo.tasks.questions.contract import Answerer


class QuestionAnswering(Task):
    """Pictures (N, C, S, S) in [0, 1] and questions int64 (N, T) to one of the answers that were learnt."""

    name = "visual question answering"
    needs = ("image", "question", "length", "label", "answers", "kind")
    named = True

    def measure(self, model: Answerer, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        return accuracies(model, dataset, split)

    def show(self, model: Answerer, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        return draw(model, dataset, split, folder, stem)

    def inputs(self, model: Answerer, batch: Batch) -> Tensor:
        """Pictures that are noise, so that no pixel is the same in all; the question is one for all of them."""
        return torch.rand_like(batch.image)

    def answer(self, model: Answerer, inputs: Tensor) -> Tensor:
        question = torch.arange(len(model.vocabulary), device=inputs.device)[len(SPECIAL) :][:4].expand(len(inputs), -1)  # (N, 4)
        logits: Tensor = model(inputs, question, torch.full((len(inputs),), question.shape[1]))
        return logits

    def graph(self, model: Answerer) -> Graph | None:
        return graph(model) if model.vocabulary else None

    def room(self, model: Answerer) -> Room | None:
        return room(model)
