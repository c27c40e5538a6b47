"""Columns of questions: pictures that several questions share, and the questions' words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from paperzoo.data.batch import Batch
from paperzoo.data.captions.words import PAD, UNKNOWN, Words, tokenise
from paperzoo.data.dataset import Column, Images, Split


class Shown:
    """``image``: the picture of each question, kept once however many are asked about it.

    Args:
        pictures: ``Images``, or files that are decoded when they are asked for.
        which: int64 (N), number of the question's picture.
    """

    def __init__(self, pictures: Column, which: np.ndarray) -> None:
        self.pictures, self.which = pictures, which

    def __len__(self) -> int:
        return len(self.which)

    def take(self, indices: np.ndarray) -> dict[str, Any]:
        return self.pictures.take(self.which[indices])

    def to(self, device: torch.device) -> Shown:
        return Shown(self.pictures.to(device), self.which)

    def join(self, other: Column) -> Shown:
        assert isinstance(other, Shown)
        return Shown(self.pictures.join(other.pictures), np.concatenate([self.which, other.which + len(self.pictures)]))

    def some(self, indices: np.ndarray) -> Shown:
        """The pictures of these questions."""
        return Shown(self.pictures, self.which[indices])

    def map(self, change: Callable[[Images], Images]) -> Shown:
        """The column with other pictures, such as the same at another size; files stay, for they are read at the size wanted."""
        return Shown(change(self.pictures), self.which) if isinstance(self.pictures, Images) else self


class Asked:
    """``question`` int64 (N, T), ``length`` and ``texts`` of questions, of which each different one is kept once.

    Args:
        texts: the questions as they were asked, none of them without words.
        vocabulary: words by number, see ``paperzoo.data.captions.words``.
    """

    def __init__(self, texts: Sequence[str], vocabulary: Sequence[str]) -> None:
        number = Words(vocabulary).number
        place = {text: i for i, text in enumerate(dict.fromkeys(texts))}
        rows = [[number.get(word, UNKNOWN) for word in tokenise(text)] for text in place]
        self.texts, self.vocabulary = list(place), tuple(vocabulary)
        self.which = np.array([place[text] for text in texts], np.int64)
        self.length = torch.tensor([len(row) for row in rows], dtype=torch.int64)  # (U)
        self.words = torch.full((len(rows), max(map(len, rows), default=0)), PAD)  # (U, T)
        for into, row in zip(self.words, rows, strict=True):
            into[: len(row)] = torch.tensor(row)

    def __len__(self) -> int:
        return len(self.which)

    def take(self, indices: np.ndarray) -> dict[str, Any]:
        chosen = self.which[indices]
        length: Tensor = self.length[chosen]
        used = int(length.max()) if len(length) else 0
        return {"question": self.words[chosen, :used], "length": length, "texts": [(self.texts[i],) for i in chosen]}

    def to(self, device: torch.device) -> Asked:
        """The column itself: it is cut on the host, a batch at a time."""
        return self

    def join(self, other: Column) -> Asked:
        assert isinstance(other, Asked) and other.vocabulary == self.vocabulary
        return Asked([*self.all(), *other.all()], self.vocabulary)

    def some(self, indices: np.ndarray) -> Asked:
        """These questions."""
        return Asked([self.texts[self.which[i]] for i in indices], self.vocabulary)

    def all(self) -> list[str]:
        """The text of every question, in order."""
        return [self.texts[i] for i in self.which]


def unseen(split: Split) -> Batch:
    """All fields of a split but its pictures, which need not be decoded for that."""
    every = np.arange(len(split))
    fields = [column.take(every) for column in split.columns if not isinstance(column, Shown | Images)]
    return Batch(**{name: value for one in fields for name, value in one.items()})
