"""Data with few labels: every training image is given out with a labelled partner from a small set."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from paperzoo.data.dataset import Column, Dataset, Images, Split, Values
from paperzoo.errors import PaperzooError


class Partnered:
    """For each item the partner's image and class: ``labelled`` float32 (N, C, H, W) in [0, 1] and ``label`` int64 (N).

    Args:
        labelled: the L images that have a label.
        label: int64 (L), their classes.
        partner: int64 (N) in [0, L), which of them goes with each item.
    """

    def __init__(self, labelled: Images, label: Tensor, partner: np.ndarray) -> None:
        self.labelled, self.label, self.partner = labelled, label, partner

    def __len__(self) -> int:
        return len(self.partner)

    def take(self, indices: np.ndarray) -> dict[str, Any]:
        chosen = self.partner[indices]
        return {"labelled": self.labelled.take(chosen)["image"], "label": self.label[torch.from_numpy(chosen)]}

    def to(self, device: torch.device) -> Partnered:
        return Partnered(self.labelled.to(device), self.label, self.partner)  # labels follow with their batch

    def map(self, change: Callable[[Images], Images]) -> Partnered:
        """The column with other images, such as the same at another size."""
        return Partnered(change(self.labelled), self.label, self.partner)

    def join(self, other: Column) -> Partnered:
        raise PaperzooError("a training set with labelled partners cannot be joined with another split")


def semi(dataset: Dataset, per_class: int, seed: int = 0) -> Dataset:
    """The same images, of which only ``per_class`` of each class keep their label.

    ``train`` has the fields ``image`` (N, C, H, W), every training image, whose label is not known, and beside it
    ``labelled`` (N, C, H, W) and ``label`` (N), another image and *its* class. The partners are the labelled images in
    random order over and over, so each serves equally often, give or take one. Other splits are those of ``dataset``.

    The schema's fields are ``image`` and ``labelled``: a classifier that pairs ``image`` with ``label`` is refused rather
    than taught noise.

    Args:
        dataset: its ``train`` has the columns ``Images`` and ``Values("label")``.
        per_class: labelled images of each class.
        seed: chooses the labelled images and the partners.

    Raises:
        PaperzooError: a class has fewer than ``per_class`` images, or ``per_class`` is not positive.
    """
    images, labels = dataset["train"].columns
    assert isinstance(images, Images) and isinstance(labels, Values) and labels.name == "label"
    label = labels.values.cpu().numpy()
    classes, counts = np.unique(label, return_counts=True)
    if not 1 <= per_class <= counts.min():
        raise PaperzooError(
            f"per_class must be from 1 to {counts.min()}, the images of the rarest class of {dataset.name}, not {per_class}"
        )
    random = np.random.default_rng(seed)
    chosen = np.concatenate([random.choice(np.flatnonzero(label == k), per_class, replace=False) for k in classes])
    rounds = -(-len(label) // len(chosen))
    partner = np.concatenate([random.permutation(len(chosen)) for _ in range(rounds)])[: len(label)]
    labelled = Images(images.pixels[torch.from_numpy(chosen)])
    train = Split(images, Partnered(labelled, labels.values[torch.from_numpy(chosen)], partner))
    schema = dataclasses.replace(dataset.schema, name=f"{dataset.name}-{len(chosen)}", fields=("image", "labelled"))
    source = f"{dataset.source}; {per_class} labels a class, chosen with seed {seed}"
    return dataclasses.replace(dataset, schema=schema, splits={**dataset.splits, "train": train}, source=source)
