"""Images with what a frozen encoder makes of them, computed once and kept by its hash: ``stamps#features=mobilenet``.

``#features=NAME`` adds ``features`` (N, D), what the encoder's last linear layer sees; ``#grid=NAME`` its last feature map ``grid``
(N, K, h, w) as well, kept in half precision; ``features_size`` and ``grid_size`` of the schema are D and K. The encoders are those of
``paperzoo.pretrained.frozen``.
"""

from __future__ import annotations

import dataclasses
import hashlib
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import torch

from paperzoo.data.dataset import Column, Dataset, Images, Split
from paperzoo.data.fetch.prepared import prepared
from paperzoo.data.options import options
from paperzoo.errors import PaperzooError

OPTIONS = {
    "features": "a frozen encoder, such as features=mobilenet",
    "grid": "a frozen encoder whose last feature map is kept as well, such as grid=mobilenet",
}
#: images that are encoded at a time
PART = 50


class Mapped:
    """An array (N, ...) that may lie on disk, given out as float32 tensors."""

    def __init__(self, name: str, values: np.ndarray) -> None:
        self.name, self.values = name, values

    def __len__(self) -> int:
        return len(self.values)

    def take(self, indices: np.ndarray) -> dict[str, Any]:
        return {self.name: torch.from_numpy(self.values[indices].astype(np.float32))}

    def to(self, device: torch.device) -> Mapped:
        return self

    def join(self, other: Column) -> Mapped:
        assert isinstance(other, Mapped) and other.name == self.name
        return Mapped(self.name, np.concatenate([self.values, other.values]))

    def some(self, indices: np.ndarray) -> Mapped:
        return Mapped(self.name, self.values[indices])


def encoder(text: str, where: str) -> tuple[str, bool]:
    """``features=NAME`` or ``grid=NAME`` read and checked: the name, and whether the map is wanted.

    Raises:
        PaperzooError: both are named, or another option.
    """
    named = options(text, OPTIONS, where)
    if len(named) != 1:
        raise PaperzooError(f"{where}: write #features=NAME or #grid=NAME, not both")
    ((option, name),) = named.items()
    return name, option == "grid"


def encoded(dataset: Dataset, text: str, encode: Any = None) -> Dataset:
    """The data set with ``features``, and ``grid`` if that is asked for, beside its fields.

    Args:
        encode: a ``paperzoo.pretrained.frozen.Frozen``; default: the one that is named.

    Raises:
        PaperzooError: as ``encoder``; there is no such encoder, or no images in memory.
    """
    name, whole = encoder(text, dataset.name)
    if encode is None:  # by name, as builders are: networks stand above the data
        encode = import_module("paperzoo.pretrained.frozen").frozen(name)
    splits, sizes = {}, dict[str, int]()
    for split_name, split in dataset.splits.items():
        pixels = _images(dataset, split_name).pixels
        key = hashlib.sha256(f"{tuple(pixels.shape)}".encode() + pixels.contiguous().numpy().tobytes()).hexdigest()[:16]
        kept = f"features-1-{name}-{encode.digest}-{key}-{'grid' if whole else 'pooled'}"
        arrays = prepared(kept, partial(_encode, pixels, encode, whole))
        splits[split_name] = Split(*split.columns, *(Mapped(field, array) for field, array in sorted(arrays.items())))
        sizes = {f"{field}_size": array.shape[1] for field, array in arrays.items()}
    fields = (*dataset.schema.fields, "features", *(["grid"] if whole else []))
    arguments = {**dataset.schema.arguments, **sizes}
    schema = dataclasses.replace(dataset.schema, name=f"{dataset.name}#{text}", fields=fields, arguments=arguments)
    return dataclasses.replace(dataset, schema=schema, splits=splits, source=f"{dataset.source}; features by {name} ({encode.digest})")


def _encode(pixels: torch.Tensor, encode: Any, whole: bool) -> dict[str, np.ndarray]:
    features, grids = [], []
    for part in torch.split(pixels, PART):
        pooled, grid = encode(part.float() / 255)
        features.append(pooled.numpy())
        if whole:
            grids.append(grid.half().numpy())
    return {"features": np.concatenate(features), **({"grid": np.concatenate(grids)} if whole else {})}


def _images(dataset: Dataset, split: str) -> Images:
    columns = [c for c in dataset[split].columns if isinstance(c, Images) and c.name == "image"]
    if not columns:
        has = ", ".join(type(c).__name__ for c in dataset[split].columns)
        raise PaperzooError(f"features are kept of images in memory only; {split} of {dataset.name} has {has}")
    return columns[0]
