"""How often words stand near each other, counted over texts of any size in memory of a fixed size.

Each thread adds what it meets into a hash table. When a table is full, its pairs are sorted and written to disk as a run; in the
end all runs are merged, a block of each at a time. A neighbour at distance d counts 1/d, and all sums are kept as whole numbers of
1/lcm(1, ..., window): so they are exact, and the same whatever the memory, the number of threads and the order of the texts.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from paperzoo.errors import PaperzooError

#: bytes that a place in a table takes: key and sum, and what sorting it needs when the table is written out
_PLACE = 64
#: share of a table that is filled
_FILL = 0.7
#: bytes that an entry takes while runs are merged: as read, joined, in order, summed and as written
_ENTRY = 96
#: at most so many runs are merged at once, and of each at least so many entries held
_RUNS, _BLOCK = 64, 256
#: beyond this many units a distance is rounded (windows of more than 22 words)
_FINEST = 2**32


class Pairs(NamedTuple):
    """Words i <= j that stand near each other, in order of (i, j), and X_ij = X_ji; maybe in a temporary file, mapped."""

    row: np.ndarray  # int32 (P): i
    column: np.ndarray  # int32 (P): j
    x: np.ndarray  # float64 (P): X_ij, above 0


def cooccurrences(
    texts: Iterable[np.ndarray], words: int, window: int = 10, distance: bool = True, memory: int = 2**28, threads: int = 2,
    folder: Path | None = None,
) -> Pairs:  # fmt: skip
    """Counts, for each word, its neighbours up to ``window`` words to either side.

    Args:
        texts: numbers of words in 0 ... ``words`` - 1 as they follow each other; -1 ends a text, as the end of each array does.
            They are taken from the iterable a few at a time.
        distance: whether a neighbour at distance d counts 1/d rather than 1.
        memory: bytes for tables and merging; what is more goes to disk. The texts, and 24 bytes for each pair found if they fit
            into it, come on top.
        folder: where temporary files are made; default: where the system has them.

    Raises:
        PaperzooError: ``window`` or ``memory`` is too small, there are more words than the keys can number, the disk is full, or
            numba is not installed.
    """
    if window < 1 or threads < 1:
        raise PaperzooError(f"window and threads must be at least 1, not {window} and {threads}")
    if not 0 < words < 2**31:
        raise PaperzooError(f"co-occurrences need from 1 to {2**31 - 1} words, not {words}")
    places = 2 ** int(math.log2(max(1, memory // (threads * _PLACE))))
    if places < 1024:
        raise PaperzooError(f"memory must be at least {1024 * _PLACE * threads} bytes for {threads} threads, not {memory}")
    unit = min(math.lcm(*range(1, window + 1)), _FINEST) if distance else 1
    weights = np.array([0, *(round(unit / d) if distance else 1 for d in range(1, window + 1))], np.int64)
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix="paperzoo-") as scratch:
            tables = [Table(places, Path(scratch) / f"{thread}") for thread in range(threads)]
            source = iter(texts)
            with ThreadPoolExecutor(threads) as pool:
                while part := list(islice(source, threads)):
                    list(pool.map(lambda table, text: table.add(text, words, weights), tables, part))
            for table in tables:
                table.spill()
            runs = [run for table in tables for run in table.runs]
            del tables
            return _merged(runs, words, unit, memory, Path(scratch), folder)
    except OSError as error:
        raise PaperzooError(f"cannot write co-occurrences to {folder or tempfile.gettempdir()}: {error.strerror}") from error


class Table:
    """Sums by key in memory (open addressing, the next place if one is taken), and the sorted runs written so far."""

    def __init__(self, places: int, stem: Path) -> None:
        self.keys, self.sums, self.used = np.full(places, -1, np.int64), np.zeros(places, np.int64), 0
        self.stem = stem
        self.runs: list[Path] = []

    def add(self, text: np.ndarray, words: int, weights: np.ndarray) -> None:
        """Counts the pairs of ``text``, writing the table out whenever it is full."""
        at, text = 0, np.ascontiguousarray(text, np.int32)
        if len(text) and not -1 <= text.min() <= text.max() < words:
            raise PaperzooError(f"words must be numbered from 0 to {words - 1}, or -1, not {text.min()} to {text.max()}")
        full = min(int(_FILL * len(self.keys)), len(self.keys) - len(weights))
        while at < len(text):
            at, self.used = _kernel()(text, at, self.keys, self.sums, self.used, full, words, weights)
            if at < len(text):
                self.spill()

    def spill(self) -> None:
        """Writes what is in the table, sorted by key, and empties it."""
        if self.used:
            taken = np.flatnonzero(self.keys >= 0)
            taken = taken[np.argsort(self.keys[taken])]
            run = self.stem.with_name(f"{self.stem.name}-{len(self.runs)}")
            _write(run, [(self.keys[taken], self.sums[taken])])
            self.runs.append(run)
            self.keys.fill(-1)
            self.sums.fill(0)
            self.used = 0


def count(
    text: np.ndarray, at: int, keys: np.ndarray, sums: np.ndarray, used: int, full: int, words: int, weights: np.ndarray
) -> tuple[int, int]:
    """Counts pairs from position ``at`` until the text ends or ``used`` exceeds ``full``; returns where it stopped, and ``used``.

    The key of words i <= j is i ``words`` + j. A word beside itself is its own neighbour twice, once from either side.
    """
    mask, window = len(keys) - 1, len(weights) - 1
    while at < len(text) and used <= full:
        new = text[at]
        if new >= 0:
            for d in range(1, window + 1):
                if at - d < 0 or text[at - d] < 0:
                    break
                old = text[at - d]
                low, high = np.int64(min(old, new)), np.int64(max(old, new))
                key = low * words + high
                place = (np.uint64(key) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(20)) & np.uint64(mask)
                while keys[place] != key:
                    if keys[place] < 0:
                        keys[place] = key
                        used += 1
                        break
                    place = (place + np.uint64(1)) & np.uint64(mask)
                sums[place] += weights[d] if low != high else 2 * weights[d]
        at += 1
    return at, used


@lru_cache(maxsize=1)
def _kernel() -> Any:
    """``count``, compiled at the first call; numba keeps the machine code on disk for the next process."""
    try:
        import numba
    except ImportError as error:
        raise PaperzooError('counting co-occurrences needs numba: pip install "paperzoo[text]"') from error
    try:
        return numba.njit(cache=True, nogil=True)(count)
    except RuntimeError:  # nowhere to write: neither beside this file nor in the user's cache
        return numba.njit(nogil=True)(count)


def _write(path: Path, blocks: Iterable[tuple[np.ndarray, np.ndarray]]) -> int:
    """Blocks of keys and sums into one file, key and sum by turns; returns how many they are."""
    total = 0
    with path.open("wb") as file:
        for keys, sums in blocks:
            np.stack([keys, sums], 1).tofile(file)
            total += len(keys)
    return total


def _merged(runs: list[Path], words: int, unit: int, memory: int, scratch: Path, folder: Path | None) -> Pairs:
    """All runs as one, in memory if ``memory`` holds it, else in a file without a name."""
    if not runs:
        return Pairs(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0))
    step, most = 0, max(2, min(_RUNS, memory // (_ENTRY * _BLOCK)))
    while len(runs) > 1:
        target, part, runs = scratch / f"merged-{step}", runs[:most], runs[most:]
        _write(target, _merge(part, max(_BLOCK, memory // (_ENTRY * len(part)))))
        for run in part:
            run.unlink()
        runs.append(target)
        step += 1
    merged, rows = runs[0], runs[0].stat().st_size // 16
    kinds = (np.int32, np.int32, np.float64)
    if rows * 16 <= memory:
        arrays = [np.empty(rows, kind) for kind in kinds]
    else:  # the file has no name and lasts as long as the mapping
        arrays = []
        for kind in kinds:
            with tempfile.TemporaryFile(dir=folder) as file:
                arrays.append(np.memmap(file, kind, "w+", shape=(rows,)))
    block = max(_BLOCK, memory // _ENTRY)
    for begin in range(0, rows, block):
        end = min(rows, begin + block)
        keys, sums = np.fromfile(merged, np.int64, 2 * (end - begin), offset=16 * begin).reshape(-1, 2).T
        arrays[0][begin:end], arrays[1][begin:end] = np.divmod(keys, words)
        arrays[2][begin:end] = sums / unit
    return Pairs(*arrays)


def _merge(runs: list[Path], block: int) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """Sums of equal keys over sorted runs, in order of key, holding at most ``block`` entries of each run at a time."""
    size = [run.stat().st_size // 16 for run in runs]
    read, held = [0] * len(runs), [np.empty((0, 2), np.int64)] * len(runs)
    while True:
        for i, run in enumerate(runs):
            if not len(held[i]) and read[i] < size[i]:
                n = min(block, size[i] - read[i])
                held[i] = np.fromfile(run, np.int64, 2 * n, offset=16 * read[i]).reshape(-1, 2)
                read[i] += n
        # up to the least of the last keys held, nothing can come any more from a run that goes on
        bounds = [part[-1, 0] for i, part in enumerate(held) if len(part) and read[i] < size[i]]
        cuts = [int(np.searchsorted(part[:, 0], min(bounds), "right")) if bounds else len(part) for part in held]
        taken = np.concatenate([part[:cut] for part, cut in zip(held, cuts, strict=True)])
        held = [part[cut:] for part, cut in zip(held, cuts, strict=True)]
        if not len(taken):
            return
        taken = taken[np.argsort(taken[:, 0], kind="stable")]
        first = np.flatnonzero(np.diff(taken[:, 0], prepend=-1))
        yield taken[first, 0], np.add.reduceat(taken[:, 1], first)
