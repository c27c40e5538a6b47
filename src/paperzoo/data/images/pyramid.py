"""Pictures at every side from 4 pixels to the largest, prepared once on disk: for networks that grow (Karras et al. 2017, section 3).

A network that learns pictures of 8x8 pixels need not read those of 1024x1024 and shrink them each time. Each level holds the means of the
pixels of the largest, is memory-mapped, and is read as far as a batch asks for it.
"""

from __future__ import annotations

import dataclasses
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from paperzoo.data.dataset import Column, Dataset, Schema, Split
from paperzoo.data.fetch.fingerprint import digest, fingerprint
from paperzoo.data.fetch.prepared import prepared
from paperzoo.data.images.folders import complain_unread, reason
from paperzoo.data.listing import Item, Skipped, below, complain, copies, cut, pictures_in, say_copies, some, split_folders
from paperzoo.data.options import options
from paperzoo.data.pictures import Preparation, as_channels, read_square
from paperzoo.errors import PaperzooError, unknown
from paperzoo.terminal import plain

OPTIONS = {"mirror": "true, and each picture to train on comes a second time as in a mirror; or false"}
#: sides that the largest level may have
SIDES = tuple(4 * 2**level for level in range(1, 9))
#: pictures that are in memory while they are prepared
AT_ONCE = 128

_VERSION = 1  # of the prepared arrays: change it whenever they come out differently


class Levels:
    """A column ``image`` that has its pictures at several sides, and gives them out at one of them, float32 (N, C, s, s) in [0, 1].

    Args:
        levels: side -> pictures uint8 (M, C, s, s), mapped from disk.
        rows: int64 (N), which of them; ``~row`` is that picture as in a mirror.
        side: that which is given out.
    """

    def __init__(self, levels: Mapping[int, np.ndarray], rows: np.ndarray, side: int) -> None:
        self.levels, self.rows, self.side = levels, rows, side

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: np.ndarray) -> dict[str, Any]:
        """``image``: the pictures with these numbers."""
        rows = self.rows[indices]
        pixels = torch.from_numpy(self.levels[self.side][np.where(rows < 0, ~rows, rows)]).to(torch.float32).div_(255)  # (N, C, s, s)
        mirrored = torch.from_numpy(rows < 0)[:, None, None, None]
        return {"image": torch.where(mirrored, pixels.flip(3), pixels)}

    def at(self, side: int) -> Levels:
        """The same pictures at another side."""
        if side not in self.levels:
            raise unknown("side", str(side), map(str, self.levels), "of these pictures")
        return Levels(self.levels, self.rows, side)

    def to(self, device: torch.device) -> Levels:
        """The column itself: it is read on the host."""
        return self

    def join(self, other: Column) -> Levels:
        """The pictures of this column, then those of the other, which is of the same levels."""
        assert isinstance(other, Levels) and other.levels is self.levels and other.side == self.side
        return Levels(self.levels, np.concatenate([self.rows, other.rows]), self.side)

    def some(self, indices: np.ndarray) -> Levels:
        """The pictures with these numbers."""
        return Levels(self.levels, self.rows[indices], self.side)


def at_side(data: Dataset, side: int) -> Dataset:
    """The data with the pictures of a pyramid at this side; others are as they are."""

    def turned(column: Column) -> Column:
        return column.at(side) if isinstance(column, Levels) else column

    return dataclasses.replace(data, splits={name: Split(*map(turned, split.columns)) for name, split in data.splits.items()})


def pyramid(path: Path, text: str, image_size: int | None = None, channels: int | None = None, strict: bool = False) -> Dataset:
    """All pictures below a folder, at all sides from 4 to ``image_size``; folders in it are no classes.

    Each is turned upright, put on white where it is transparent, resized so that its short side fits and cut to the middle square;
    smaller levels are means of its pixels. Splits are cut as those of ``folder:``. Both time and disk grow with the number of pictures,
    memory does not.

    Args:
        text: ``mirror=true``, see ``OPTIONS``.
        image_size: the largest side, a power of two from 8 to 1024. Default: 64.
        channels: 1 or 3. Default: 3.
        strict: refuse files that cannot be read rather than skip them with a warning.

    Raises:
        PaperzooError: another side or number of channels, no picture that can be read, or pictures smaller than the largest level.
    """
    side, mirror = image_size or 64, options(text, OPTIONS, plain(path.name)).get("mirror", "false")
    if side not in SIDES or channels not in (None, 1, 3):
        wrong = f"{side}x{side} pixels" if side not in SIDES else f"{channels} channels"
        raise PaperzooError(f"a pyramid's largest level has a side of {', '.join(map(str, SIDES))}, and 1 or 3 channels, not {wrong}")
    if mirror not in ("true", "false"):
        raise unknown("mirror", mirror, ("true", "false"), f"of {plain(path)}")
    skipped, wanted = Skipped(list), channels or 3
    files = {s: [(p, 0) for p in pictures_in(f, True, skipped, (path,))] for s, f in split_folders(path).items()}
    complain(path, skipped, strict)
    names = [p for items in files.values() for p, _ in items]
    if not names:
        raise PaperzooError(f"{plain(path)} has no pictures")
    _refuse_small(names, side, path)
    key = f"pyramid-{_VERSION}-{side}-{wanted}-{digest(fingerprint(path))}"
    arrays = prepared(key, partial(_levels, names, side, wanted))
    if bad := {name: str(why) for name, why in zip(names, arrays["why"], strict=True) if why}:
        complain_unread(path, bad, len(names), strict)
    row = {name: number for number, name in enumerate(names)}
    good: dict[str, list[Item]] = {s: [item for item in items if item[0] not in bad] for s, items in files.items()}
    groups = copies(p for items in good.values() for p, _ in items)
    splits = cut(good, path, groups, "pictures")
    say_copies(good, groups, path)
    levels = {int(name): array for name, array in arrays.items() if name.isdigit()}
    columns = {}
    for split, items in splits.items():
        rows = np.array([row[p] for p, _ in items], np.int64)
        columns[split] = Levels(levels, np.concatenate([rows, ~rows]) if mirror == "true" and split == "train" else rows, side)
    schema = Schema(f"pyramid:{path}", ("image",), {"channels": wanted, "image_size": side}, picture=Preparation(side, side, wanted))
    return Dataset(schema, {s: Split(c) for s, c in columns.items()}, "the user's own", f"pictures in {path}", pictures=False)


def _refuse_small(paths: Sequence[Path], side: int, root: Path) -> None:
    """Raises ``PaperzooError`` if there are pictures smaller than the largest level, and names them."""
    with ThreadPoolExecutor() as pool:
        shorts = list(pool.map(_short, paths))
    small = [p for p, short in zip(paths, shorts, strict=True) if short < side]
    if small:
        fits = max((each for each in SIDES if each <= min(short for short in shorts)), default=None)
        way = f"set model.image_size={fits}, or leave them out" if fits else "leave them out"
        few = some([below(p, root) for p in small])
        raise PaperzooError(f"{len(small)} of {len(paths)} pictures in {plain(root)} are smaller than {side}x{side}: {few}; {way}")


def _short(path: Path) -> float:
    """The shorter side of a picture, as its file says; without an end if it cannot be read, which is said later."""
    try:
        with Image.open(path) as image:
            return min(image.size)
    except Exception:  # Pillow's plug-ins raise a dozen kinds
        return float("inf")


def _levels(paths: Sequence[Path], side: int, channels: int) -> dict[str, np.ndarray]:
    """``4``, ``8``, ... uint8 (M, C, s, s), by way of files, for they may not fit into memory; ``why``: (M), why one could not be read."""
    sides, why = [4, *(each for each in SIDES if each <= side)], [""] * len(paths)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch, ThreadPoolExecutor() as pool:
        shapes = {each: (len(paths), channels, each, each) for each in sides}
        arrays = {each: _reserved(Path(scratch, f"{each}.npy"), shape) for each, shape in shapes.items()}
        for start in range(0, len(paths), AT_ONCE):
            part = paths[start : start + AT_ONCE]
            for row, tried in enumerate(pool.map(partial(_tried, side=side, channels=channels), part), start):
                if isinstance(tried, str):
                    why[row] = tried
                    continue
                for each, array in arrays.items():
                    array[row] = shrunk(tried, each)
        return {"why": np.array(why), **{str(each): array for each, array in arrays.items()}}


def _reserved(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """A new array on disk, all of whose bytes are there: to write to one that is mapped and has none would kill the process.

    Raises:
        PaperzooError: the disk is too small for it.
    """
    try:
        array = np.lib.format.open_memmap(path, "w+", np.uint8, shape)
        if hasattr(os, "posix_fallocate"):
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        short = f"{path.parents[1]} has no room for {math.prod(shape) / 1e6:,.1f} MB of pictures: {error.strerror or error}"
        raise PaperzooError(f"{short}; set TMPDIR to a folder that has") from error
    made: np.ndarray = array
    return made


def _tried(path: Path, side: int, channels: int) -> np.ndarray | str:
    try:
        return as_channels(read_square(path, side), channels)
    except Exception as error:  # Pillow's plug-ins raise a dozen kinds, SyntaxError among them
        return reason(error, path)


def shrunk(picture: np.ndarray, side: int) -> np.ndarray:
    """A picture uint8 (C, S, S) as means of its pixels, rounded, uint8 (C, side, side)."""
    block = picture.shape[1] // side
    means = picture.reshape(len(picture), side, block, side, block).mean((2, 4))  # (C, S, S) -> (C, side, side)
    rounded: np.ndarray = np.floor(means + 0.5).astype(np.uint8)
    return rounded
