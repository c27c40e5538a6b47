"""The task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from paperzoo.data import Batch, Dataset, Schema
from paperzoo.errors import PaperzooError
from paperzoo.tasks.embedding.draw import draw
from paperzoo.tasks.embedding.measure import agreement
from paperzoo.tasks.task import Task

if TYPE_CHECKING:
    from paperzoo.tasks.embedding.contract import Embedding


class WordEmbedding(Task):
    """A vector for every word."""

    name = "embedding"
    needs = ("tokens",)

    def check(self, model_class: Any, schema: Schema) -> None:
        """Raises ``PaperzooError`` unless data of this schema has tokens, and knows its words and their counts."""
        super().check(model_class, schema)
        for name in ("vocabulary", "counts"):
            if name not in schema.arguments:
                raise PaperzooError(f"{self.name} needs data that knows its {name}, but {schema.name} does not")

    def measure(self, model: Embedding, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        return agreement(model, dataset)

    def show(self, model: Embedding, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        return draw(model, folder, stem)

    def inputs(self, model: Embedding, batch: Batch) -> Tensor:
        """Numbers of words (N)."""
        return torch.arange(len(batch))

    def answer(self, model: Embedding, inputs: Tensor) -> Tensor:
        """Their vectors (N, D)."""
        return torch.from_numpy(model.vectors())[inputs]
