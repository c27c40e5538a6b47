"""One fold of a few labelled images: ``folder:photos#fold=2/5`` tests on the second fifth of each class, and trains on the rest.

With fewer than a hundred images a tenth of them says next to nothing. Over all folds each image is tested once, by a network that
has not seen it; ``paperzoo train NAME --data folder:photos --folds 5`` trains them all.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re

import numpy as np

from paperzoo.data.change.parts import labels, some
from paperzoo.data.dataset import Dataset, Split
from paperzoo.data.options import options
from paperzoo.errors import PaperzooError

OPTIONS = {"fold": "which part is tested on, of how many, such as fold=2/5"}
#: as many folds as make sense
MOST = 20


def fold(text: str, where: str) -> tuple[int, int]:
    """``fold=2/5`` read and checked: (2, 5).

    Raises:
        PaperzooError: no such pair of whole numbers.
    """
    value = options(text, OPTIONS, where)["fold"]
    match = re.fullmatch(r"([1-9]\d?)/([1-9]\d?)", value, re.ASCII)
    number, parts = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 2 <= parts <= MOST or not 1 <= number <= parts:
        raise PaperzooError(f"{where}: write #fold=1/5 to #fold=5/5, with 2 to {MOST} folds, not #fold={value[:20]}")
    return number, parts


def folds(dataset: Dataset, text: str) -> Dataset:
    """The data set with one fold of all its items, of each class alike, as ``test``, and the rest as ``train``.

    Items of equal pixels stay together, and where they lie does not depend on the splits that there were.

    Raises:
        PaperzooError: as ``fold``; it has no labels, or fewer items of every class than folds.
    """
    number, parts = fold(text, dataset.name)
    whole = dataset.joined("+".join(dataset.splits))
    label = labels(dataset, whole)
    if np.bincount(label).max() < parts:
        raise PaperzooError(f"{dataset.name} has at most {np.bincount(label).max()} images of a class, fewer than {parts} folds")
    content = [hashlib.sha256(whole.batch([i]).image.numpy().tobytes()).hexdigest() for i in range(len(label))]
    place, last = np.zeros(len(label), int), 0
    for k in range(label.max() + 1):
        for digest in sorted({content[i] for i in np.flatnonzero(label == k)}):
            place[[c == digest for c in content]] = last % parts  # from class to class it goes on, so that folds are of one size
            last += 1
    chosen = {"train": np.flatnonzero(place != number - 1), "test": np.flatnonzero(place == number - 1)}
    splits = {name: Split(*(some(column, items) for column in whole.columns)) for name, items in chosen.items()}
    schema = dataclasses.replace(dataset.schema, name=f"{dataset.name}#{text}")
    return dataclasses.replace(dataset, schema=schema, splits=splits, source=f"{dataset.source}; fold {number} of {parts}")
