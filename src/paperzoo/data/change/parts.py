"""Parts of a labelled data set: a few training images of each class, or some of its classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from paperzoo.data.dataset import Column, Dataset, Parted, Split, Values
from paperzoo.errors import PaperzooError


def few(dataset: Dataset, per_class: int, seed: int = 0) -> Dataset:
    """The data set with ``per_class`` training images of each class, or all of a class that has no more.

    The same ``seed`` draws the same images, and a larger ``per_class`` adds to them, so that a learning curve grows along
    one draw. The other splits stay as they are.

    Args:
        dataset: its ``train`` has a column ``label``.

    Raises:
        PaperzooError: it has no labels, ``per_class`` is not positive, or no class has more than ``per_class`` images.
    """
    label = labels(dataset, dataset["train"])
    counts = np.bincount(label)
    if not 1 <= per_class < counts.max():
        raise PaperzooError(
            f"{per_class} images a class of {dataset.name}: give 1 to {counts.max() - 1}, for its largest class has {counts.max()}"
        )
    draws = [np.random.default_rng((seed, k)).permutation(np.flatnonzero(label == k)) for k in range(len(counts))]
    chosen = np.sort(np.concatenate([draw[:per_class] for draw in draws]))
    train = Split(*(some(column, chosen) for column in dataset["train"].columns))
    source = f"{dataset.source}; {per_class} images a class to train on, chosen with seed {seed}"
    if short := sum(0 < count < per_class for count in counts):
        source += f" ({short} of {len(counts)} classes have fewer)"
    return Dataset(dataset.schema, {**dataset.splits, "train": train}, dataset.licence, source, dataset.pictures)


def only(dataset: Dataset, classes: Sequence[int]) -> Dataset:
    """The items of these classes in every split, with the labels 0, 1, ... in the order of ``classes``.

    Raises:
        PaperzooError: it has no labels.
    """
    splits = {}
    for name, split in dataset.splits.items():
        label = labels(dataset, split)
        chosen = np.flatnonzero(np.isin(label, classes))
        new = torch.tensor([list(classes).index(k) for k in label[chosen].tolist()], dtype=torch.int64)
        columns = (some(c, chosen) for c in split.columns)
        splits[name] = Split(*(Values("label", new) if _is_label(c) else c for c in columns))
    names = tuple(dataset.schema.names[k] for k in classes)
    arguments = {**dataset.schema.arguments, "classes": len(classes)}
    schema = dataclasses.replace(dataset.schema, arguments=arguments, names=names)
    return Dataset(schema, splits, dataset.licence, f"{dataset.source}; only {', '.join(names)}", dataset.pictures)


def _is_label(column: Column) -> bool:
    return isinstance(column, Values) and column.name == "label"


def labels(dataset: Dataset, split: Split) -> np.ndarray:
    """The labels int64 (N) of a split; ``PaperzooError`` if it has none."""
    columns = [c.values for c in split.columns if isinstance(c, Values) and c.name == "label"]
    if not columns:
        raise PaperzooError(f"{dataset.name} has no labels to choose by; its fields are {', '.join(dataset.schema.fields)}")
    return columns[0].cpu().numpy()


def some(column: Column, chosen: np.ndarray) -> Column:
    """The items of a column with these numbers; ``PaperzooError`` if it cannot be parted."""
    if isinstance(column, Parted):
        return column.some(chosen)
    raise PaperzooError(f"a part cannot be taken of a column of {type(column).__name__}: only of images and values")
