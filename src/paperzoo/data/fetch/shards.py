"""Data larger than memory: rows of one size in Arrow files that are mapped into memory, and checked row by row whenever they are read.

A folder of shards has ``about.json`` (how many rows, of which type and shape, how many to a shard), and for each shard a file of Arrow's
IPC format, ``00003.arrow``, with the columns ``row`` (bytes) and ``crc`` (CRC-32 of these bytes). Beside it ``00003.json`` says its
length, its SHA-256, and which of its rows stand for what could not be read, and why; it is written last, so that a shard that has it
is whole. So shards can be made by several processes, and those that are there need not be made again.
"""

from __future__ import annotations

import json
import math
import mmap
import multiprocessing
import os
import shutil
import signal
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from paperzoo.data.fetch.sources import cache, lock, sha256
from paperzoo.errors import PaperzooError
from paperzoo.files import write

#: bytes of rows in a shard, and of those that are put together before they are written
SHARD, BLOCK = 2**30, 2**24
#: after so many rows the pages that they came from are given back: what is mapped counts as memory of the process, and a page that is
#: touched may bring its neighbours, 2 MB in all
LET_GO = 64
#: seconds that a worker has to end when its parent has
PATIENCE = 60
#: shards that are open at a time: each holds a file descriptor
OPEN = 512

MENDED = "delete it, and paperzoo data prepare makes this shard again, and no other"

#: rows in order; text stands for one that cannot be read, and says why
Rows = Iterable["np.ndarray | str"]


@dataclass(frozen=True)
class Layout:
    """What ``about.json`` says of a folder of shards."""

    rows: int
    dtype: str
    shape: tuple[int, ...]
    rows_per_shard: int
    rows_per_block: int

    @classmethod
    def of(cls, rows: int, dtype: str, shape: tuple[int, ...]) -> Layout:
        """The layout of so many rows, in shards of ``SHARD`` bytes."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        return cls(rows, dtype, shape, max(1, SHARD // size), max(1, BLOCK // size))

    @property
    def size(self) -> int:
        """Bytes of a row."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def shards(self) -> int:
        """How many there are."""
        return -(-self.rows // self.rows_per_shard)

    def bounds(self, number: int) -> tuple[int, int]:
        """The rows of a shard, from and to."""
        return number * self.rows_per_shard, min(self.rows, (number + 1) * self.rows_per_shard)


class Damaged(PaperzooError):
    """A shard is not as it was written."""


class _Open(NamedTuple):
    mapped: mmap.mmap
    blocks: list[tuple[np.ndarray, np.ndarray]]  # rows uint8 (B, size), their CRC-32 uint32 (B)


class Shards:
    """The rows of a folder of shards, from disk as they are asked for.

    Attributes:
        unread: number of each row that stands for what could not be read -> why.

    Raises:
        PaperzooError: pyarrow is not installed, or a shard has another length than when it was written; see also ``take``.
    """

    def __init__(self, folder: Path, layout: Layout) -> None:
        _arrow()
        self.folder, self.layout = folder, layout
        self._open: dict[int, _Open] = {}
        self._touched: list[mmap.mmap] = []
        self.unread: dict[int, str] = {}
        for number in range(layout.shards):
            self.unread |= {int(row): why for row, why in _said(folder, number)["unread"].items()}

    def __len__(self) -> int:
        return self.layout.rows

    def take(self, rows: np.ndarray) -> np.ndarray:
        """The rows with these numbers; (N, *shape).

        Raises:
            Damaged: one of them is not as it was written, or its shard cannot be read at all.
        """
        layout = self.layout
        taken = np.empty((len(rows), layout.size), np.uint8)
        for into, row in zip(taken, rows.tolist(), strict=True):
            number, inside = divmod(row, layout.rows_per_shard)
            block, place = divmod(inside, layout.rows_per_block)
            shard = self._opened(number)
            values, checks = shard.blocks[block]
            into[:] = values[place]
            if zlib.crc32(into.data) != checks[place]:
                raise Damaged(f"{_path(self.folder, number)} is damaged: row {inside} is not as it was written; {MENDED}")
            self._touched.append(shard.mapped)
            if len(self._touched) >= LET_GO:
                self._let_go()
        self._let_go()
        return taken.view(layout.dtype).reshape(len(rows), *layout.shape)  # (N, bytes) -> (N, *shape)

    def _let_go(self) -> None:
        for mapped in {id(each): each for each in self._touched}.values() if hasattr(mmap, "MADV_DONTNEED") else ():
            mapped.madvise(mmap.MADV_DONTNEED)
        self._touched.clear()

    def _opened(self, number: int) -> _Open:
        if number not in self._open:
            while len(self._open) >= OPEN:
                self._open.pop(next(iter(self._open)))
            self._open[number] = self._map(number)
        return self._open[number]

    def _map(self, number: int) -> _Open:
        import pyarrow as pa

        path, (start, stop) = _path(self.folder, number), self.layout.bounds(number)
        try:
            with path.open("rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            reader = pa.ipc.open_file(pa.py_buffer(mapped))
            batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
            blocks = []
            for batch, at in zip(batches, range(start, stop, self.layout.rows_per_block), strict=True):
                batch.validate()
                count = min(self.layout.rows_per_block, stop - at)
                values = np.frombuffer(batch.column("row").buffers()[1], np.uint8, count * self.layout.size)
                checks = np.frombuffer(batch.column("crc").buffers()[1], np.uint32, count)
                blocks.append((values.reshape(count, self.layout.size), checks))  # (B * size) -> (B, size)
        except (OSError, ValueError, LookupError, TypeError, AttributeError, MemoryError, pa.ArrowException) as error:
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise Damaged(f"{path} is damaged ({why}): {MENDED}") from error
        return _Open(mapped, blocks)


def opened(name: str) -> Shards | None:
    """The shards called ``name`` in the cache; ``None`` if they were not prepared, or not all of them.

    Raises:
        PaperzooError: see ``Shards``.
    """
    folder = folder_of(name)
    layout = _layout(folder)
    return None if layout is None or missing(folder, layout, strict=True) else Shards(folder, layout)


def folder_of(name: str) -> Path:
    """Where the shards called ``name`` lie."""
    return cache() / "prepared" / name


def missing(folder: Path, layout: Layout, strict: bool = False) -> list[int]:
    """The numbers of the shards that are still to be made.

    Raises:
        Damaged: one has another length than when it was written, and ``strict``.
    """
    numbers = []
    for number in range(layout.shards):
        path = _path(folder, number)
        try:
            length, expected = path.stat().st_size, _said(folder, number)["bytes"]
        except FileNotFoundError:
            numbers.append(number)
            continue
        if length != expected:
            if strict:
                raise Damaged(f"{path} is damaged: it has {length:,} bytes, not {expected:,}; {MENDED}")
            numbers.append(number)
    return numbers


def prepare(
    name: str, layout: Layout, rows: Callable[[int, int], Callable[[], Rows]], workers: int = 1, say: Callable[[str], object] = print
) -> None:
    """Makes those shards called ``name`` that are not there, each in a process of its own, ``workers`` at a time.

    Killed at any instant, the same call goes on, and a shard that was whole is not made again. The processes end with this one.

    Args:
        name: must change whenever the rows would be others.
        rows: of the first and the last row's number, gives what makes these rows: a function that another process can be handed.
        say: is told what is made, and after each shard how many are there.

    Raises:
        PaperzooError: pyarrow is not installed; there is no room; a process has died.
    """
    _arrow()
    folder = folder_of(name)
    with lock(folder):
        there = _layout(folder)
        if there is not None and replace(there, rows_per_shard=layout.rows_per_shard, rows_per_block=layout.rows_per_block) == layout:
            layout = there  # of an earlier version, perhaps, whose shards had another length
        else:
            shutil.rmtree(folder, ignore_errors=True)
            write(folder / "about.json", json.dumps(asdict(layout)))
        for part in folder.glob(".*.part"):  # of a process that was killed
            part.unlink(missing_ok=True)
        todo = missing(folder, layout)
        needed = sum(stop - start for start, stop in map(layout.bounds, todo)) * layout.size
        free = shutil.disk_usage(folder).free
        if needed > free:
            short = f"{folder.parent} has {free / 1e9:,.1f} GB free, and {needed / 1e9:,.1f} GB are still to be written"
            raise PaperzooError(f"{short}: set PAPERZOO_DATA to a folder that has room")
        done = layout.shards - len(todo)
        say(f"{layout.rows:,} rows of {layout.size:,} bytes, {done} of {layout.shards} shards are there, {needed / 1e9:,.1f} GB to write")
        jobs = [partial(make, folder, layout, number, rows(*layout.bounds(number))) for number in todo]
        for _ in _each(jobs, min(workers, len(jobs))):
            done += 1
            say(f"{done} of {layout.shards} shards")


def make(folder: Path, layout: Layout, number: int, rows: Callable[[], Rows]) -> None:
    """Writes one shard, and last what is said of it."""
    unread: dict[int, str] = {}
    start, stop = layout.bounds(number)
    path = write(_path(folder, number), partial(_fill, layout, rows, start, stop, unread))
    said = {"bytes": path.stat().st_size, "sha256": sha256(path), "unread": unread}
    write(path.with_suffix(".json"), json.dumps(said))


def _fill(layout: Layout, rows: Callable[[], Rows], start: int, stop: int, unread: dict[int, str], file: IO[bytes]) -> None:
    import pyarrow as pa

    schema = pa.schema([("row", pa.binary(layout.size)), ("crc", pa.uint32())])
    given, at = iter(rows()), start
    with pa.ipc.new_file(file, schema) as out:
        while block := list(islice(given, layout.rows_per_block)):
            whole = np.zeros((len(block), layout.size), np.uint8)
            for into, row in zip(whole, block, strict=True):
                if isinstance(row, str):
                    unread[at] = row
                else:
                    into[:] = np.ascontiguousarray(row, layout.dtype).reshape(-1).view(np.uint8)  # (*shape) -> (bytes)
                at += 1
            crc = np.array([zlib.crc32(row.data) for row in whole], np.uint32)
            values = pa.FixedSizeBinaryArray.from_buffers(pa.binary(layout.size), len(whole), [None, pa.py_buffer(whole)])
            out.write_batch(pa.record_batch([values, pa.array(crc)], schema=schema))
    assert at == stop, f"{at - start} rows in a shard of {stop - start}"


def verify() -> Iterator[tuple[str, str]]:
    """Each folder of shards in the cache, and what is wrong with it: empty, or a sentence that names the first damaged shard."""
    for about in sorted((cache() / "prepared").glob("*/about.json")):
        folder, wrong = about.parent, ""
        layout = _layout(folder)
        try:
            for number in range(layout.shards if layout else 0):
                with suppress(FileNotFoundError):  # not made yet
                    if sha256(_path(folder, number)) != _said(folder, number)["sha256"] and not wrong:
                        wrong = f"{_path(folder, number)} is damaged: {MENDED}"
        except PaperzooError as error:
            wrong = str(error)
        yield folder.name, wrong


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number:05d}.arrow"


def _said(folder: Path, number: int) -> Mapping[str, Any]:
    """What stands beside a shard.

    Raises:
        FileNotFoundError: nothing.
        Damaged: it cannot be read.
    """
    path = _path(folder, number).with_suffix(".json")
    try:
        said = json.loads(path.read_text("utf-8"))
        assert isinstance(said["bytes"], int) and isinstance(said["unread"], dict) and isinstance(said["sha256"], str)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, TypeError, KeyError, AssertionError) as error:
        raise Damaged(f"{path} is damaged: {MENDED}") from error
    return said  # type: ignore[no-any-return]


def _layout(folder: Path) -> Layout | None:
    try:
        said = json.loads((folder / "about.json").read_text("utf-8"))
        return Layout(**{**said, "shape": tuple(said["shape"])})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise Damaged(f"{folder} is damaged: delete it, and paperzoo data prepare makes it again") from error


def _arrow() -> None:
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise PaperzooError('data that were prepared in shards are read by pyarrow: pip install "paperzoo[tables]"') from error


def _each(jobs: Sequence[Callable[[], None]], workers: int) -> Iterator[None]:
    """Does each job, in processes that end when this one does, however it ends."""
    if workers <= 1:
        for job in jobs:
            yield job()
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=end_with_parent) as pool:
        futures = [pool.submit(job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise PaperzooError("a process that prepared a shard has died, out of memory perhaps: the same command goes on") from error
        finally:
            pool.shutdown(cancel_futures=True)


def end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever. It is told to end, as a training does after its step; if it does not
    in time, it is ended."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(PATIENCE)
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
