"""The task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from paperzoo.data import Batch, Dataset, Schema
from paperzoo.errors import PaperzooError
from paperzoo.tasks.graphs import Graph, Room, tokens_of
from paperzoo.tasks.language_model.draw import draw
from paperzoo.tasks.language_model.measure import surprise
from paperzoo.tasks.language_model.room import room
from paperzoo.tasks.task import Task

if TYPE_CHECKING:
    from paperzoo.tasks.language_model.contract import LanguageModel


class LanguageModelling(Task):
    """Predicting the next token of a text."""

    name = "language modelling"
    needs = ("tokens", "target", "stream", "place")
    samples = True
    usual = {"items": 1, "temperature": 0.8}

    def check(self, model_class: Any, schema: Schema) -> None:
        """Raises ``PaperzooError`` unless data of this schema is running text."""
        if "tokens" in schema.fields and "target" not in schema.fields:
            raise PaperzooError(
                f"{self.name} needs running text, but {schema.name} is words for vectors or tags: your own text is "
                f"--data characters:PATH or --data words:PATH"
            )
        super().check(model_class, schema)

    def measure(self, model: LanguageModel, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        return surprise(model, dataset, split)

    def show(self, model: LanguageModel, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        return draw(model, dataset, split, folder, stem)

    def write(self, samples: Sequence[str], out: Path) -> str:
        """Nothing is written: texts are printed."""
        return "\n\n----\n\n".join(samples)

    def inputs(self, model: LanguageModel, batch: Batch) -> Tensor:
        tokens: Tensor = batch.tokens
        return tokens

    def answer(self, model: LanguageModel, inputs: Tensor) -> Tensor:
        return model.read(inputs, None)[0]

    def graph(self, model: LanguageModel) -> Graph:
        size = len(model.vocabulary)
        meanings = {"tokens": f"int64 (N, T), numbers below {size:,} of the vocabulary in the arguments, from the beginning of a text"}
        outputs = {"scores": f"float32 (N, T, {size:,}), of what follows each"}
        return Graph(lambda tokens: model.read(tokens, None)[0], tokens_of(size), meanings, outputs, lengths=("tokens",))

    def room(self, model: LanguageModel) -> Room | None:
        return room(model)
