"""BERT of which nothing hangs on chance: every seventh word is hidden, and an item is always the same."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import torch

from paperzoo.data import Batch, Dataset, Split
from paperzoo.data.text.sentences import Segments
from paperzoo.papers.language import bert
from paperzoo.records import Paper
from paperzoo.tasks.pretraining import Masked

PAPER = Paper(name="plain_bert", title="A test", authors="-", year=2026, task="pre-training", kind="method")


class Fixed(Segments):
    def draw(self, indices: np.ndarray) -> tuple[np.ndarray, ...]:
        rows = []
        for index in indices:
            torch.manual_seed(int(index))
            rows.append(super().draw(np.array([index])))
        return tuple(map(np.concatenate, zip(*rows, strict=True)))


class Model(bert.Model):
    def reading(self, data: Dataset) -> Dataset:
        splits = {}
        for name, split in data.splits.items():
            (column,) = (copy.copy(column) for column in split.columns)
            column.__class__ = Fixed
            splits[name] = Split(column)
        return dataclasses.replace(data, splits=splits)

    def mask(self, batch: Batch) -> Masked:
        pad, _, first, separator, hidden = self.special
        words = (batch.tokens != pad) & (batch.tokens != first) & (batch.tokens != separator)
        chosen = words & ((batch.tokens + torch.arange(batch.tokens.shape[1])) % 7 == 0)
        return Masked(batch.tokens.masked_fill(chosen, hidden), chosen)


VARIANTS = {"plain_bert": {}}
RECIPES = {"smoke": bert.RECIPES["smoke"].but(variants=("plain_bert",))}
