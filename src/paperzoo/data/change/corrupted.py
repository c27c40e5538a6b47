"""Data whose labels or pixels no longer mean what they meant, as Zhang et al. corrupt them (2016, 1611.03530, section 2.1).

``mnist#labels=1`` has random labels, ``mnist#labels=0.3`` three in ten; ``mnist#pixels=shuffled`` has the pixels of every image in
one other order, ``mnist#pixels=random`` those of each image in an order of its own, ``mnist#pixels=gaussian`` noise instead.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from paperzoo.data.dataset import Dataset, Images, Split, Values
from paperzoo.data.options import options
from paperzoo.errors import PaperzooError, unknown

#: what is done to the pixels, in words
PIXELS = {
    "shuffled": "the pixels of all images in one random order",
    "random": "the pixels of each image in a random order of its own",
    "gaussian": "Gaussian noise of the training pixels' mean and deviation, cut to the range of a pixel",
}
OPTIONS = {
    "labels": "the share of training labels that are drawn anew, above 0 and up to 1, such as labels=0.5",
    "pixels": f"one of {', '.join(PIXELS)}",
    "draw": "another draw, such as draw=1",
}


class Corruption(NamedTuple):
    """The option behind the ``#``: a share of labels, a key of ``PIXELS`` or ``""``, and the number of the draw."""

    labels: float
    pixels: str
    draw: int


def corruption(text: str, where: str) -> Corruption:
    """``labels=0.5&draw=1`` or ``pixels=random`` read and checked.

    Raises:
        PaperzooError: neither labels nor pixels are named, or a value is none that there is.
    """
    chosen = options(text, OPTIONS, where, {"draw": 0})
    if not chosen.keys() & {"labels", "pixels"}:
        raise PaperzooError(f"{where}#{text}: after # comes labels={{share}} or pixels={{{', '.join(PIXELS)}}}, such as {where}#labels=0.5")
    pixels = chosen.get("pixels", "")
    if pixels and pixels not in PIXELS:
        raise unknown("pixels", pixels, PIXELS, f"of {where}")
    try:
        share = float(chosen.get("labels", 0))
    except ValueError:
        share = -1.0
    if not 0 < share <= 1 and "labels" in chosen:
        raise PaperzooError(f"{where}: labels={chosen['labels']} is {OPTIONS['labels']}")
    return Corruption(share, pixels, int(chosen.get("draw", 0)))


def corrupted(dataset: Dataset, text: str) -> Dataset:
    """The data set with what ``text`` says done to it once and for all: no epoch sees other labels or pixels than the first.

    Labels are drawn anew in ``train`` alone; a validation or test label stays what it was. Pixels are changed in every split,
    those of one image in all channels alike, and labels stay with them.

    Raises:
        PaperzooError: as ``corruption``, or there are no labels, or no images in memory.
    """
    share, pixels, draw = corruption(text, dataset.name)
    splits, words = dict(dataset.splits), []
    if share:
        true = _labels(dataset)
        drawn = Values("label", random_labels(true.values, int(dataset.schema.arguments["classes"]), share, draw))
        splits["train"] = Split(*(drawn if c is true else c for c in dataset["train"].columns))
        words.append(f"{100 * share:g} % of the training labels drawn anew")
    if pixels:
        train = _images(dataset, "train").pixels
        for number, (name, split) in enumerate(splits.items()):
            old = _images(dataset, name)
            new = Images(changed(old.pixels, train, pixels, draw, number))
            splits[name] = Split(*(new if c is old else c for c in split.columns))
        words.append(PIXELS[pixels])
    source = f"{dataset.source}; {', '.join(words)} (draw {draw})"
    schema = dataclasses.replace(dataset.schema, name=f"{dataset.name}#{text}")
    return dataclasses.replace(dataset, schema=schema, splits=splits, source=source)


def random_labels(label: Tensor, classes: int, share: float, draw: int = 0) -> Tensor:
    """Labels (N) of which each is, with probability ``share``, one of all ``classes`` with equal chance: maybe the same again.

    A smaller share of the same draw changes some of the labels that a larger one changes, to the same.
    """
    random = np.random.default_rng((draw, 0))
    chance, other = random.random(len(label)), random.integers(classes, size=len(label))
    return torch.where(torch.from_numpy(chance < share), torch.from_numpy(other), label)


def changed(pixels: Tensor, train: Tensor, kind: str, draw: int = 0, split: int = 0) -> Tensor:
    """Pixels uint8 (N, C, H, W), changed as ``PIXELS`` says of ``kind``.

    Args:
        train: the training pixels, whose mean and deviation noise has.
        split: number of the split, so that no two have the same noise or orders.
    """
    count, channels, height, width = pixels.shape
    flat = pixels.reshape(count, channels, height * width).numpy()  # (N, C, H, W) -> (N, C, H * W)
    if kind == "shuffled":
        order = np.random.default_rng((draw, 1)).permutation(height * width)
        flat = flat[:, :, order]
    elif kind == "random":
        random = np.random.default_rng((draw, 2, split))
        flat = np.concatenate([_each_shuffled(part, random) for part in np.split(flat, range(4096, count, 4096))])
    else:
        random, some = np.random.default_rng((draw, 3, split)), train.float()
        noise = random.normal(float(some.mean()), float(some.std()), flat.shape).round()
        flat = noise.clip(0, 255).astype(np.uint8)
    return torch.from_numpy(np.ascontiguousarray(flat)).reshape(pixels.shape)


def _each_shuffled(flat: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Images (N, C, P), the pixels of each in an order of its own, in all channels the same."""
    orders = random.permuted(np.tile(np.arange(flat.shape[2]), (len(flat), 1)), axis=1)  # (N, P)
    return np.take_along_axis(flat, orders[:, None], axis=2)


def _labels(dataset: Dataset) -> Values:
    """The column of training labels."""
    columns = [c for c in dataset["train"].columns if isinstance(c, Values) and c.name == "label"]
    if not columns or "classes" not in dataset.schema.arguments:
        raise PaperzooError(f"{dataset.name} has no labels to draw anew; its fields are {', '.join(dataset.schema.fields)}")
    return columns[0]


def _images(dataset: Dataset, split: str) -> Images:
    """The column of images in memory."""
    columns = [c for c in dataset[split].columns if isinstance(c, Images) and c.name == "image"]
    if not columns:
        has = ", ".join(type(c).__name__ for c in dataset[split].columns)
        raise PaperzooError(f"pixels can be changed of images in memory only; {split} of {dataset.name} has {has}")
    return columns[0]
