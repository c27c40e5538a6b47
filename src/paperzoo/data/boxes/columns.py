"""Columns of a split: what is marked in pictures, and pictures of any shape in frames of one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from paperzoo.data.boxes.geometry import letterboxed
from paperzoo.data.dataset import Column
from paperzoo.data.pictures import as_channels, read_rgb
from paperzoo.errors import PaperzooError
from paperzoo.terminal import plain


@dataclass(frozen=True)
class Marks:
    """The annotations of one picture, M objects; fields as in ``paperzoo.data.fields``.

    Attributes:
        boxes: float32 (M, 4); label: int64 (M); difficult, crowd: bool (M); quads: float32 (M, 4, 2) where there are such.
    """

    boxes: np.ndarray
    label: np.ndarray
    difficult: np.ndarray
    crowd: np.ndarray
    quads: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    @classmethod
    def of(
        cls, boxes: Any, label: Any = None, difficult: Any = None, crowd: Any = None, quads: Any = None
    ) -> Marks:
        """Marks of lists; labels are 0 and flags false where they are left out."""
        array = np.asarray(boxes, np.float32).reshape(-1, 4)
        number = len(array)

        def flags(values: Any) -> np.ndarray:
            return np.zeros(number, bool) if values is None else np.asarray(values, bool).reshape(number)

        labels = np.zeros(number, np.int64) if label is None else np.asarray(label, np.int64).reshape(number)
        corners = None if quads is None else np.asarray(quads, np.float32).reshape(number, 4, 2)
        return cls(array, labels, flags(difficult), flags(crowd), corners)


class Marked:
    """``boxes`` (N, M, 4), ``box_label``, ``difficult`` and ``crowd`` (N, M), ``objects`` (N), and ``quads`` (N, M, 4, 2) if all have them.

    M is the most objects that an image of the batch has, at least 1, so that no field is empty.
    """

    def __init__(self, marks: Sequence[Marks]) -> None:
        self.marks = list(marks)
        self.quads = bool(self.marks) and all(one.quads is not None for one in self.marks)

    def __len__(self) -> int:
        return len(self.marks)

    def take(self, indices: np.ndarray) -> dict[str, Any]:
        rows = [self.marks[i] for i in indices]
        number, most = len(rows), max([1, *map(len, rows)])
        fields: dict[str, np.ndarray] = {
            "boxes": np.zeros((number, most, 4), np.float32),
            "box_label": np.full((number, most), -1, np.int64),
            "difficult": np.zeros((number, most), bool),
            "crowd": np.zeros((number, most), bool),
        }
        if self.quads:
            fields["quads"] = np.zeros((number, most, 4, 2), np.float32)
        for row, marks in enumerate(rows):
            for name, into in fields.items():
                into[row, : len(marks)] = marks.label if name == "box_label" else getattr(marks, name)
        count = torch.tensor([len(marks) for marks in rows], dtype=torch.int64)
        return {**{name: torch.from_numpy(value) for name, value in fields.items()}, "objects": count}

    def to(self, device: torch.device) -> Marked:
        """The column itself: it is padded on the host, a batch at a time."""
        return self

    def join(self, other: Column) -> Marked:
        assert isinstance(other, Marked)
        return Marked([*self.marks, *other.marks])

    def some(self, indices: np.ndarray) -> Marked:
        """The marks of these items."""
        return Marked([self.marks[i] for i in indices])

    def renumbered(self, table: np.ndarray) -> Marked:
        """The same with class k called ``table[k]``."""
        return Marked([dataclasses.replace(one, label=table[one.label]) for one in self.marks])


class FramedFiles:
    """``image`` (N, C, tall, wide) of files of any shape, each read when it is asked for, and put into a frame by ``letterboxed``."""

    def __init__(self, files: Sequence[Path], tall: int, wide: int, channels: int) -> None:
        self.files, self.tall, self.wide, self.channels = list(files), tall, wide, channels

    def __len__(self) -> int:
        return len(self.files)

    def take(self, indices: np.ndarray) -> dict[str, Any]:
        pixels = np.zeros((len(indices), self.channels, self.tall, self.wide), np.uint8)
        for into, index in zip(pixels, indices, strict=True):
            into[:] = read_framed(self.files[index], self.tall, self.wide, self.channels)
        return {"image": torch.from_numpy(pixels).to(torch.float32).div_(255)}

    def to(self, device: torch.device) -> FramedFiles:
        """The column itself: files are read on the host."""
        return self

    def join(self, other: Column) -> FramedFiles:
        assert isinstance(other, FramedFiles) and (other.tall, other.wide, other.channels) == (self.tall, self.wide, self.channels)
        return FramedFiles([*self.files, *other.files], self.tall, self.wide, self.channels)

    def some(self, indices: np.ndarray) -> FramedFiles:
        """The files of these items."""
        return FramedFiles([self.files[i] for i in indices], self.tall, self.wide, self.channels)


def read_framed(file: Path, tall: int, wide: int, channels: int) -> np.ndarray:
    """A picture in a frame, uint8 (C, tall, wide).

    Raises:
        PaperzooError: it cannot be read.
    """
    try:
        return as_channels(letterboxed(read_rgb(file), tall, wide), channels)
    except Exception as error:  # Pillow's plug-ins raise a dozen kinds
        raise PaperzooError(f"{plain(file)} cannot be read as an image: {plain(str(error)) or type(error).__name__}") from error
