"""A network as a function of tensors, which can be taken out of Python: what goes in, what comes out, and an example."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
        beside: plain JSON values that what is computed outside of the graph needs, such as the scores of a chain of tags; by name, in
            the file's metadata.
    """

    call: Callable[..., Any]
    example: Callable[[int], tuple[Tensor, ...]]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    lengths: tuple[str, ...] = ()
    beside: Mapping[str, Any] = field(default_factory=dict)


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


def full(tokens: Tensor) -> Tensor:
    """The lengths of texts without padding; int64 (N) for tokens (N, T, ...)."""
    return torch.full((tokens.shape[0],), tokens.shape[1], dtype=torch.int64)


def pieces_meant(vocabulary: int) -> dict[str, str]:
    """What the inputs of ``pieces_of`` are."""
    tokens = f"int64 (N, T), numbers below {vocabulary:,} of pieces in the vocabulary, [CLS] A [SEP] or [CLS] A [SEP] B [SEP]; no padding"
    return {"tokens": tokens, "segment": "int64 (N, T), 0 as far as A's [SEP], 1 behind it"}


def pieces_of(vocabulary: int) -> Callable[[int], tuple[Tensor, ...]]:
    """An example of texts or pairs of them: ``tokens_of``, and segments of which the second begins after a third."""

    def example(items: int) -> tuple[Tensor, ...]:
        (tokens,) = tokens_of(vocabulary)(items)
        return tokens, (torch.arange(tokens.shape[1]) > tokens.shape[1] // 3).to(torch.int64).repeat(items, 1)

    return example


def tokens_of(vocabulary: int, *, first: int = 1) -> Callable[[int], tuple[Tensor, ...]]:
    """An example of texts of numbers from ``first`` on, int64 (N, 4 + N), from a generator of its own."""

    def example(items: int) -> tuple[Tensor, ...]:
        return (torch.randint(first, vocabulary, (items, 4 + items), generator=torch.Generator().manual_seed(items)),)

    return example
