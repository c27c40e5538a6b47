"""A language model in a browser: one token after another, each drawn by the visitor's browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from paperzoo.data.text.running import END
from paperzoo.tasks.graphs import Graph, Room

if TYPE_CHECKING:
    from paperzoo.tasks.language_model.contract import LanguageModel


def room(model: LanguageModel) -> Room:
    """A token and the state before it to the scores of what follows, and the state after it."""
    size = len(model.vocabulary)
    with torch.no_grad():
        state = model.read(torch.zeros(1, 1, dtype=torch.int64), None)[1]
    names = [f"state{i}" for i in range(len(state))]

    def read(token: Tensor, *given: Tensor) -> tuple[Tensor, ...]:
        scores, after = model.read(token[:, None], tuple(part.transpose(0, 1).contiguous() for part in given))
        return (scores[:, 0], *(part.transpose(0, 1) for part in after))

    def example(items: int) -> tuple[Tensor, ...]:
        chance = torch.Generator().manual_seed(items)
        return (torch.randint(size, (items,), generator=chance), *(torch.rand(items, len(s), s.shape[2], generator=chance) for s in state))

    shapes = {name: f"float32 (N, {len(s)}, {s.shape[2]}), zeros at the beginning" for name, s in zip(names, state, strict=True)}
    outputs = {"scores": f"float32 (N, {size})", **{f"next{i}": "the state after it" for i in range(len(state))}}
    graph = Graph(read, example, {"token": f"int64 (N), below {size}", **shapes}, outputs)
    first = "\n" if model.unit == "character" else END
    sizes = {name: [len(s), s.shape[2]] for name, s in zip(names, state, strict=True)}
    facts = {"words": list(model.vocabulary), "unit": model.unit, "states": sizes}
    begin = model.vocabulary.index(first) if first in model.vocabulary else min(1, size - 1)
    return Room("write", {"read": graph}, {**facts, "first": begin})
