"""Columns of captions, and of what has no tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from paperzoo.data.captions.words import PAD, Words
from paperzoo.data.dataset import Column

#: captions of the training that a schema tells, for models that draw sentences where a user names none
EXAMPLES = 16


class Captions:
    """``captions`` int64 (N, K, T), the numbers of their words between start and end, and ``texts``, the captions as they were written.

    K is the most captions that a picture of the split has, T the longest caption of the batch; of a picture with fewer captions the
    last rows are 0.

    Args:
        texts: the captions of each picture, at least one.
    """

    def __init__(self, texts: Sequence[Sequence[str]], words: Words) -> None:
        self.texts, self.words = [tuple(picture) for picture in texts], words
        rows = [[words.encode(text) for text in picture] for picture in self.texts]
        most, longest = max(map(len, rows), default=0), max((len(row) for picture in rows for row in picture), default=0)
        self.numbers = np.full((len(rows), most, longest), PAD, np.int32)  # (N, K, T)
        for into, picture in zip(self.numbers, rows, strict=True):
            for place, row in enumerate(picture):
                into[place, : len(row)] = row

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def longest(self) -> int:
        """Words of the longest caption, both ends counted."""
        return self.numbers.shape[2]

    @property
    def examples(self) -> tuple[str, ...]:
        """A caption each of the first pictures, at most ``EXAMPLES``."""
        return tuple(picture[0] for picture in self.texts[:EXAMPLES])

    def take(self, indices: np.ndarray) -> dict[str, Any]:
        chosen = self.numbers[indices]
        used = int((chosen != PAD).any((0, 1)).sum())
        return {
            "captions": torch.from_numpy(chosen[..., :used].astype(np.int64)),  # (N, K, T)
            "texts": [self.texts[i] for i in indices],
        }

    def to(self, device: torch.device) -> Captions:
        """The column itself: it is cut on the host, a batch at a time."""
        return self

    def join(self, other: Column) -> Captions:
        assert isinstance(other, Captions) and other.words.vocabulary == self.words.vocabulary
        return Captions([*self.texts, *other.texts], self.words)

    def some(self, indices: np.ndarray) -> Captions:
        """The captions of these pictures."""
        return Captions([self.texts[i] for i in indices], self.words)


class Listed:
    """A field of what has no tensor, a list with an entry an item."""

    def __init__(self, name: str, items: Sequence[Any]) -> None:
        self.name, self.items = name, list(items)

    def __len__(self) -> int:
        return len(self.items)

    def take(self, indices: np.ndarray) -> dict[str, Any]:
        return {self.name: [self.items[i] for i in indices]}

    def to(self, device: torch.device) -> Listed:
        """The column itself."""
        return self

    def join(self, other: Column) -> Listed:
        assert isinstance(other, Listed) and other.name == self.name
        return Listed(self.name, [*self.items, *other.items])

    def some(self, indices: np.ndarray) -> Listed:
        """The entries of these items."""
        return Listed(self.name, [self.items[i] for i in indices])
