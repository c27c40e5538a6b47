"""The task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from paperzoo.data import Batch, Dataset
from paperzoo.tasks.graphs import Graph, Room, tokens_of
from paperzoo.tasks.task import Task
from paperzoo.tasks.translation.draw import draw
from paperzoo.tasks.translation.measure import scores
from paperzoo.tasks.translation.room import room

if TYPE_CHECKING:
    from paperzoo.tasks.translation.contract import Translator


class SentenceTranslation(Task):
    """Sentences of one language in another."""

    name = "translation"
    needs = ("source", "target", "texts")

    def measure(self, model: Translator, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        return scores(model, dataset, split)

    def show(self, model: Translator, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        return draw(model, dataset, split, folder, stem)

    def inputs(self, model: Translator, batch: Batch) -> Tensor:
        """Source and target (N, 2, T), 0 where padded."""
        both = pad_sequence([*batch.source, *batch.target], batch_first=True)  # (2 * N, T)
        return both.view(2, len(batch), -1).transpose(0, 1)

    def answer(self, model: Translator, inputs: Tensor) -> Tensor:
        source, target = inputs.unbind(1)
        return model.logits(source, target).masked_fill((target == 0)[..., None], 0.0)

    def graph(self, model: Translator) -> Graph:
        sizes = {"source": len(model.vocabulary), "target": len(model.vocabulary)}

        def example(items: int) -> tuple[Tensor, ...]:
            (source,), (target,) = tokens_of(sizes["source"])(items), tokens_of(sizes["target"])(items + 1)
            return source, target[:items]

        inputs = {name: f"int64 (N, T), pieces from 1 to {size - 1:,} of the vocabulary, 0 where padded" for name, size in sizes.items()}
        outputs = {"scores": "float32 (N, T, V), of the piece that follows each of the target's: search stays outside"}
        return Graph(model.logits, example, inputs, outputs, lengths=("source", "target"))

    def room(self, model: Translator) -> Room | None:
        return room(model)
