"""The task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from paperzoo.data import Batch, Dataset, Schema
from paperzoo.errors import PaperzooError
from paperzoo.tasks.tagging.draw import SENTENCES, draw, transitions
from paperzoo.tasks.tagging.measure import entities
from paperzoo.tasks.task import Task

if TYPE_CHECKING:
    from paperzoo.tasks.tagging.contract import Tagger


class EntityTagging(Task):
    """A tag for every word of a sentence."""

    name = "tagging"
    needs = ("tokens", "tags")

    def check(self, model_class: Any, schema: Schema) -> None:
        """Raises ``PaperzooError`` unless data of this schema has tokens, tags, and their names."""
        super().check(model_class, schema)
        for name in ("vocabulary", "tags"):
            if name not in schema.arguments:
                raise PaperzooError(f"{self.name} needs data that knows its {name}, but {schema.name} does not")

    def measure(self, model: Tagger, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        return entities(model, dataset, split)

    def show(self, model: Tagger, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        paths = draw(model, dataset, split, folder, stem)
        if (chain := model.chain()) is not None:
            tags, scores = chain
            paths.append(transitions(tags, scores.numpy(), model.predict(list(SENTENCES)), folder / f"{stem}-transitions.png"))
        return paths

    def inputs(self, model: Tagger, batch: Batch) -> Tensor:
        tokens: Tensor = batch.tokens
        return tokens

    def answer(self, model: Tagger, inputs: Tensor) -> Tensor:
        """The output of the module ``network`` for each word, 0 where there is none."""
        used = inputs[:, : int((inputs > 0).sum(1).max())]
        out: Tensor = model.get_submodule("network")(used, (used > 0).sum(1))
        return out * (used > 0)[..., None]
