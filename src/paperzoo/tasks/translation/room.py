"""A translator in a browser: one piece after another, the likeliest each time, and where the network looked for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from paperzoo.data.text.bpe import END, PAD, START
from paperzoo.nn.beam import MORE
from paperzoo.tasks.graphs import Graph, Room, tokens_of

if TYPE_CHECKING:
    from paperzoo.tasks.translation.contract import Translator


def room(model: Translator) -> Room | None:
    """A sentence and the begin of its translation to the scores of the next piece; of a model that has a vocabulary."""
    size = len(model.vocabulary)
    if not size:
        return None

    def following(source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        memory = model.memory(cached=False, record=True)
        scores = model.logits(source, target, memory)
        return scores[:, -1], memory.weights[-1][:, :, -1].mean(1)  # (N, T, V) -> (N, V), (N, heads, T, S) -> (N, S)

    def example(items: int) -> tuple[Tensor, ...]:
        (source,), (target,) = tokens_of(size)(items), tokens_of(size)(items + 1)
        return source, target[:items]

    inputs = {"source": f"int64 (N, S), pieces below {size:,}, </s> last", "target": "int64 (N, T), <s> and the pieces so far"}
    outputs = {"scores": f"float32 (N, {size}), of the next piece", "attention": "float32 (N, S), the last layer's, the mean of its heads"}
    facts = {
        "vocabulary": list(model.vocabulary), "merges": list(model.merges), "languages": list(model.languages),
        "positions": model.longest, "more": MORE, "start": START, "end": END, "never": [PAD, START],
    }  # fmt: skip
    graph = Graph(following, example, inputs, outputs, lengths=("source", "target"))
    return Room("sentence", {"next": graph}, facts)
