"""A network as a function of tensors, which can be taken out of Python: what goes in, what comes out, and an example."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Graph:
    """One function of a model that makes sense by itself.

    Attributes:
        call: from the inputs to a tensor, or to several, an item a row.
        example: so many items, a tensor for each input.
        inputs, outputs: names, each with what it is: shape, range.
        lengths: inputs whose second axis may be of any length too; ``example`` gives another one for another number of items.
    """

    call: Callable[..., Any]
    example: Callable[[int], tuple[Tensor, ...]]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    lengths: tuple[str, ...] = ()


@dataclass(frozen=True)
class Room:
    """How a model is played with in a browser: what is computed there, and what the page must know.

    Attributes:
        kind: the page's file, ``report/site/rooms/KIND.js``.
        graphs: what is exported, by the name that the page calls it.
        facts: plain JSON values that the page needs: sizes, names of classes, words.
        pictures: the field of the data whose first items are shown as examples; none if it is empty.
    """

    kind: str
    graphs: Mapping[str, Graph]
    facts: Mapping[str, Any]
    pictures: str = ""


def noise_of(*shape: int) -> Callable[[int], tuple[Tensor, ...]]:
    """An example of items of this shape, in [0, 1], from a generator of its own."""

    def example(items: int) -> tuple[Tensor, ...]:
        return (torch.rand(items, *shape, generator=torch.Generator().manual_seed(items)),)

    return example


def tokens_of(vocabulary: int, *, first: int = 1) -> Callable[[int], tuple[Tensor, ...]]:
    """An example of texts of numbers from ``first`` on, int64 (N, 4 + N), from a generator of its own."""

    def example(items: int) -> tuple[Tensor, ...]:
        return (torch.randint(first, vocabulary, (items, 4 + items), generator=torch.Generator().manual_seed(items)),)

    return example
