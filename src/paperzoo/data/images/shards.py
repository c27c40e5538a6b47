"""Image files prepared once in shards (``paperzoo data prepare``), so that a batch of them is read and not decoded."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from paperzoo.data.dataset import Column, Dataset, Parted, Split, Unpaired
from paperzoo.data.fetch import shards
from paperzoo.data.fetch.shards import Layout, Shards
from paperzoo.data.images.folders import ImageFiles, Source, read_image, reason
from paperzoo.data.pictures import as_channels
from paperzoo.errors import PaperzooError, listed
from paperzoo.terminal import plain

_VERSION = 1  # of the rows: change it whenever they come out differently


class ImageShards:
    """A column of images in shards, given out as ``ImageFiles`` gives out the files that they were made of.

    Args:
        stores: shards, each (M, C, S, S), uint8.
        rows: int64 (N), which of all their rows, the first store's before the next one's.
    """

    def __init__(self, stores: Sequence[Shards], rows: np.ndarray, name: str = "image") -> None:
        self.stores, self.rows, self.name = tuple(stores), rows, name
        self.ends = np.cumsum([len(store) for store in self.stores])

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: np.ndarray) -> dict[str, Any]:
        """The images with these numbers, float32 (N, C, S, S) in [0, 1].

        Raises:
            PaperzooError: a shard is damaged.
        """
        rows = self.rows[indices]
        pixels = np.empty((len(rows), *self.stores[0].layout.shape), np.uint8)  # (N, C, S, S)
        which = np.searchsorted(self.ends, rows, "right")
        for number in np.unique(which).tolist():
            store, chosen = self.stores[number], which == number
            pixels[chosen] = store.take(rows[chosen] - (self.ends[number] - len(store)))
        return {self.name: torch.from_numpy(pixels).to(torch.float32).div_(255)}

    def to(self, device: torch.device) -> ImageShards:
        """The column itself: it is read on the host."""
        return self

    def join(self, other: Column) -> ImageShards:
        """The images of this column, then those of the other."""
        assert isinstance(other, ImageShards) and other.name == self.name
        assert other.stores[0].layout.shape == self.stores[0].layout.shape
        return ImageShards(self.stores + other.stores, np.concatenate([self.rows, other.rows + self.ends[-1]]), self.name)

    def some(self, indices: np.ndarray) -> ImageShards:
        """The images with these numbers."""
        return ImageShards(self.stores, self.rows[indices], self.name)


def name_of(column: ImageFiles) -> str:
    """What the shards of these files are called: it changes with any file's path, length or time, and with how they are prepared.

    Raises:
        PaperzooError: a file cannot be looked at.
    """
    digest = hashlib.sha256(json.dumps([_VERSION, *column.shape, column.filter]).encode())
    seen: dict[Path, bytes] = {}
    for source in column.paths:
        path, half = (source, "") if isinstance(source, Path) else source
        if path not in seen:
            seen.clear()  # both halves of a file come one after the other, where they are asked for together
            try:
                status = path.stat()
            except OSError as error:
                raise PaperzooError(f"{plain(path)} cannot be read: {error.strerror}") from error
            seen[path] = f"\n{path.absolute()}\t{status.st_size}\t{status.st_mtime_ns}".encode("utf-8", "surrogateescape")
        digest.update(seen[path] + f"\t{half}".encode())
    return f"images-{digest.hexdigest()[:16]}"


def prepare(built: Dataset, workers: int, say: Callable[[str], object] = print) -> int:
    """Prepares every column of ``built`` whose files are decoded as they are asked for; how many there were.

    Raises:
        PaperzooError: see ``fetch.shards.prepare``.
    """
    columns = [(split, column) for split, items in built.splits.items() for column in _files(items)]
    for split, column in columns:
        layout = Layout.of(len(column), "uint8", (column.channels, column.crop, column.crop))
        how = (column.size, column.crop, column.channels, column.filter)
        told = partial(_told, say, f"{plain(built.name)}, {split}")
        name = name_of(column)
        shards.prepare(name, layout, lambda a, b, paths=column.paths, how=how: partial(_rows, paths[a:b], *how), workers, told)  # type: ignore[misc]
    return len(columns)


def _told(say: Callable[[str], object], before: str, words: str) -> None:
    say(f"{before}: {words}")


def _files(items: Split) -> list[ImageFiles]:
    columns = [each for column in items.columns for each in (column.domains if isinstance(column, Unpaired) else (column,))]
    return [column for column in columns if isinstance(column, ImageFiles)]


def _rows(sources: Sequence[Source], size: int, crop: int, channels: int, filter: Image.Resampling) -> Iterator[np.ndarray | str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow's, on odd metadata
        for source in sources:
            try:
                yield as_channels(read_image(source, size, crop, filter), channels)
            except Exception as error:  # Pillow's plug-ins raise a dozen kinds
                yield reason(error, source if isinstance(source, Path) else source[0])


def with_shards(built: Dataset) -> Dataset:
    """With each column of files that is prepared read from its shards, and what could not be read left out with a warning.

    Raises:
        PaperzooError: a shard is damaged; or something could not be read, and stands beside what no part can be taken of.
    """
    splits = {name: _in_shards(items, f"{plain(built.name)}, {name}") for name, items in built.splits.items()}
    return dataclasses.replace(built, splits=splits)


def _in_shards(items: Split, where: str) -> Split:
    if not _files(items):
        return items
    columns: list[Column] = []
    bad: dict[tuple[int, int], str] = {}
    for column in items.columns:
        if isinstance(column, Unpaired):
            domains = [_stored(domain) for domain in column.domains]
            for number, (domain, unread) in enumerate(domains):
                bad |= {(number, row): why for row, why in unread.items()}
                if unread:
                    domains[number] = (domain.some(_others(len(domain), unread)), {})  # type: ignore[attr-defined]
            columns.append(Unpaired(*(domain for domain, _ in domains)))
            continue
        stored, unread = _stored(column)
        columns.append(stored)
        bad |= {(-1, row): why for row, why in unread.items()}
    if bad:
        warnings.warn(f"{where}: {len(bad)} images cannot be read ({listed(sorted(set(bad.values())))}). They are left out", stacklevel=4)
    if alone := [row for domain, row in bad if domain < 0]:
        if not all(isinstance(column, Parted) for column in columns):
            raise PaperzooError(f"{where}: {len(alone)} images cannot be read, and stand beside captions or boxes: take them out")
        columns = [column.some(_others(len(column), alone)) for column in columns if isinstance(column, Parted)]
    return Split(*columns)


def _others(count: int, without: Sequence[int] | dict[int, str]) -> np.ndarray:
    return np.setdiff1d(np.arange(count), np.array(list(without), np.int64))


def _stored(column: Column) -> tuple[Column, dict[int, str]]:
    """The column, read from its shards if they are all there, and which of its files could not be read: row -> file and why."""
    if not isinstance(column, ImageFiles) or (store := shards.opened(name_of(column))) is None:
        return column, {}
    unread = {row: f"{plain(_named(column.paths[row]))}: {plain(why)}" for row, why in store.unread.items()}
    return ImageShards([store], np.arange(len(column)), column.name), unread


def _named(source: Source) -> str:
    return source.name if isinstance(source, Path) else f"{source[0].name}, {'right' if source[1] else 'left'} half"
