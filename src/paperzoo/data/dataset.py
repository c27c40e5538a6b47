"""A data set: splits of columns, with a schema that tasks check and model arguments are filled from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from paperzoo.data.batch import Batch
from paperzoo.data.pictures import Preparation
from paperzoo.errors import PaperzooError, compared, unknown


@dataclass(frozen=True)
class Schema:
    """The schema of a data set: its fields and what models are built from.

    Attributes:
        fields: names of the batch's fields.
        arguments: what a model's constructor may be filled with: ``channels``, ``image_size``, ``classes``,
            ``vocabulary``, ``counts``, ``tags``.
        names: what the labels are called, in order.
        picture: how pictures became its images, so that ``predict`` can do the same with another.
    """

    name: str
    fields: tuple[str, ...]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    picture: Preparation | None = None

    def prepared(self) -> dict[str, Any]:
        """What a saved model keeps of its data, as plain JSON values: how pictures were prepared; of domains or attributes, the name."""
        picture = {"picture": asdict(self.picture)} if self.picture else {}
        named = {"image_a", "attributes"} & set(self.fields) and not {"/", "\\"} & set(self.name)  # no path of the user's
        return {**picture, "data": self.name} if named else picture


class Column(Protocol):
    """One field of a split, or several that belong together."""

    def __len__(self) -> int: ...

    def take(self, indices: np.ndarray) -> dict[str, Any]:
        """The fields of these items, stacked."""

    def to(self, device: torch.device) -> Column:
        """The column on another device, if it is small enough to live there."""

    def join(self, other: Column) -> Column:
        """The items of this column, then those of the other."""


@runtime_checkable
class Parted(Column, Protocol):
    """A column that a part can be taken of."""

    def some(self, indices: np.ndarray) -> Column:
        """The column of these items alone, in this order."""


class Images:
    """Images as uint8 (N, C, H, W), given out as float32 in [0, 1].

    Args:
        name: of the field: ``image``, or of two domains ``image_a`` and ``image_b``.
        files: what the files are called that they were read from, so that a user can find them again; empty where there are none.
    """

    def __init__(self, pixels: Tensor, name: str = "image", files: Sequence[str] = ()) -> None:
        assert pixels.dtype == torch.uint8 and pixels.ndim == 4 and len(files) in (0, len(pixels))
        self.pixels, self.name, self.files = pixels, name, tuple(files)

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, indices: np.ndarray) -> dict[str, Any]:
        index = torch.from_numpy(indices).to(self.pixels.device)
        return {self.name: self.pixels[index].to(torch.float32).div_(255)}  # (N, C, H, W)

    def to(self, device: torch.device) -> Images:
        return Images(self.pixels.to(device), self.name, self.files) if self.pixels.nbytes < 2**30 else self

    def join(self, other: Column) -> Images:
        assert isinstance(other, Images) and other.name == self.name
        files = self.files + other.files if self.files and other.files else ()
        return Images(torch.cat([self.pixels, other.pixels]), self.name, files)

    def some(self, indices: np.ndarray) -> Images:
        return Images(self.pixels[torch.from_numpy(indices)], self.name, [self.files[i] for i in indices] if self.files else ())


class Values:
    """One number or vector an item, such as ``label`` (N) or ``point`` (N, D)."""

    def __init__(self, name: str, values: Tensor) -> None:
        self.name, self.values = name, values

    def __len__(self) -> int:
        return len(self.values)

    def take(self, indices: np.ndarray) -> dict[str, Any]:
        return {self.name: self.values[torch.from_numpy(indices).to(self.values.device)]}

    def to(self, device: torch.device) -> Values:
        return Values(self.name, self.values.to(device))

    def join(self, other: Column) -> Values:
        assert isinstance(other, Values) and other.name == self.name
        return Values(self.name, torch.cat([self.values, other.values]))

    def some(self, indices: np.ndarray) -> Values:
        return Values(self.name, self.values[torch.from_numpy(indices)])


class Sequences:
    """Sequences of different lengths that share their lengths: ``tokens`` and maybe ``tags``, 0 where padded.

    Args:
        offsets: int64 (N + 1); item i is ``values[name][offsets[i]:offsets[i + 1]]``.
        values: each field as one flat array.
        words: optionally the strings themselves, flat.
    """

    def __init__(self, offsets: np.ndarray, values: Mapping[str, np.ndarray], words: Sequence[str] | None = None) -> None:
        self.offsets, self.values, self.words = offsets, dict(values), words

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def take(self, indices: np.ndarray) -> dict[str, Any]:
        starts, ends = self.offsets[indices], self.offsets[indices + 1]
        lengths = ends - starts
        fields: dict[str, Any] = {"length": torch.from_numpy(lengths)}
        for name, flat in self.values.items():
            padded = np.zeros((len(indices), int(lengths.max(initial=0))), np.int64)  # (N, T)
            for row, (a, b) in enumerate(zip(starts, ends, strict=True)):
                padded[row, : b - a] = flat[a:b]
            fields[name] = torch.from_numpy(padded)
        if self.words is not None:
            fields["words"] = [list(self.words[a:b]) for a, b in zip(starts, ends, strict=True)]
        return fields

    def to(self, device: torch.device) -> Sequences:
        return self  # padded on the host, a batch at a time

    def join(self, other: Column) -> Sequences:
        assert isinstance(other, Sequences) and other.values.keys() == self.values.keys()
        values = {k: np.concatenate([v, other.values[k]]) for k, v in self.values.items()}
        words = None if self.words is None or other.words is None else [*self.words, *other.words]
        return Sequences(np.concatenate([self.offsets, other.offsets[1:] + self.offsets[-1]]), values, words)


class Unpaired:
    """Images or points of several domains that are not paired: each domain has fields and a length of its own.

    An epoch lasts as long as the longest domain. Item i is the i-th of every domain, from the beginning again where one is
    shorter; domains of equal length may so be paired, for measuring. Numbers (N, D), as ``Order`` draws them of ``lengths``,
    name an item of each domain.
    """

    def __init__(self, *domains: Column) -> None:
        self.domains = domains

    @property
    def lengths(self) -> tuple[int, ...]:
        """Items of each domain."""
        return tuple(map(len, self.domains))

    def __len__(self) -> int:
        return max(self.lengths)

    def take(self, indices: np.ndarray) -> dict[str, Any]:
        each = indices.T if indices.ndim == 2 else [indices % length for length in self.lengths]
        return {k: v for domain, rows in zip(self.domains, each, strict=True) for k, v in domain.take(np.ascontiguousarray(rows)).items()}

    def to(self, device: torch.device) -> Unpaired:
        return Unpaired(*(domain.to(device) for domain in self.domains))

    def map(self, change: Callable[[Images], Images]) -> Unpaired:
        """The column with other images, such as the same at another size."""
        return Unpaired(*(change(domain) if isinstance(domain, Images) else domain for domain in self.domains))

    def join(self, other: Column) -> Unpaired:
        assert isinstance(other, Unpaired)
        return Unpaired(*(a.join(b) for a, b in zip(self.domains, other.domains, strict=True)))


class Split:
    """Items addressed by number; ``split[i]`` is one item, ``split.batch(indices)`` several."""

    def __init__(self, *columns: Column) -> None:
        self.columns = columns
        lengths = {len(c) for c in columns}
        assert len(lengths) == 1, f"columns of different lengths: {lengths}"

    def __len__(self) -> int:
        return len(self.columns[0])

    @property
    def lengths(self) -> tuple[int, ...]:
        """The numbers of items that an ``Order`` needs: one, or one for each unpaired domain."""
        first = self.columns[0]
        return first.lengths if isinstance(first, Unpaired) else (len(self),)

    @property
    def files(self) -> tuple[str, ...]:
        """What the file of each item is called; empty where items have none."""
        return tuple(getattr(self.columns[0], "files", ()))

    def batch(self, indices: np.ndarray | Sequence[int]) -> Batch:
        """The items with these numbers, in this order; of D domains that are not paired, numbers (N, D) name one of each."""
        chosen = np.asarray(indices, np.int64)
        return Batch(**{k: v for column in self.columns for k, v in column.take(chosen).items()})

    def __getitem__(self, index: int) -> Batch:
        if not -len(self) <= index < len(self):
            raise IndexError(f"item {index} of a split of {len(self)}")
        batch = self.batch([index % len(self)])
        return Batch(**{k: v[0] for k, v in batch.__dict__.items()})

    def batches(self, size: int, limit: int | None = None) -> list[np.ndarray]:
        """Item numbers in order, cut into batches of ``size``; at most ``limit`` items."""
        total = len(self) if limit is None else min(limit, len(self))
        return [np.arange(a, min(a + size, total)) for a in range(0, total, size)]

    def to(self, device: torch.device) -> Split:
        """The split with its small columns on ``device``."""
        return Split(*(c.to(device) for c in self.columns))


@dataclass(frozen=True)
class Dataset:
    """Named splits of the same schema.

    Attributes:
        splits: ``train``, and ``validation`` and ``test`` where there are any.
        licence: under which terms the data may be used.
        source: where it comes from, in words.
    """

    schema: Schema
    splits: Mapping[str, Split]
    licence: str
    source: str
    pictures: bool = True  # whether pictures of it may be committed or printed in docs

    @property
    def name(self) -> str:
        """The name it was asked for by."""
        return self.schema.name

    def __getitem__(self, split: str) -> Split:
        if split not in self.splits:
            raise unknown("split", split, self.splits, f"of {self.name}")
        return self.splits[split]

    def joined(self, names: str) -> Split:
        """The split called ``names``, or several joined by ``+`` (``"train+validation"``)."""
        first, *others = [self[name] for name in names.split("+")]
        for other in others:
            first = Split(*(a.join(b) for a, b in zip(first.columns, other.columns, strict=True)))
        return first

    def named(self, names: Sequence[str]) -> Dataset:
        """The same data with its classes numbered as in ``names``.

        Raises:
            PaperzooError: its classes are others; those that are new and those that are missing are named.
        """
        classes = self.schema.names
        if not names or not classes or tuple(names) == classes:
            return self
        if set(names) != set(classes):
            raise PaperzooError(f"the classes of {self.name} are not those that the model has learnt: {compared(names, classes)}")
        table = torch.tensor([list(names).index(name) for name in classes])

        def renumbered(column: Column) -> Column:
            if hasattr(column, "renumbered"):
                return column.renumbered(table.numpy())  # type: ignore[no-any-return]
            return Values("label", table[column.values]) if isinstance(column, Values) and column.name == "label" else column

        splits = {name: Split(*map(renumbered, split.columns)) for name, split in self.splits.items()}
        return dataclasses.replace(self, splits=splits, schema=dataclasses.replace(self.schema, names=tuple(names)))
