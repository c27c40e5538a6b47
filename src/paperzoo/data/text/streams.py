"""Running text that is larger than memory: its tokens in shards (``paperzoo data prepare``), numbered as those of a shorter text are.

The text is read three times, a part at a time: how long it is, for the splits; how often each token occurs; and the tokens. What the
first two found is kept, so that the third goes on where it was killed.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import numpy as np

from paperzoo.data.encoding import chunks, read_text
from paperzoo.data.fetch import shards
from paperzoo.data.fetch.shards import Layout, Shards
from paperzoo.data.fetch.sources import cache, lock
from paperzoo.data.paths import shown
from paperzoo.data.text import running
from paperzoo.data.text.corpus import text_files
from paperzoo.data.text.running import END, Text, bounds, codes, cut, dataset_of, numbered, pieces, vocabulary
from paperzoo.errors import PaperzooError
from paperzoo.files import write

#: files of more bytes than this in all are not read into memory once they are prepared
LARGE = 2**28
#: tokens in a row of a shard
ROW = 4096

_VERSION = 1  # of the tokens: change it whenever they come out differently


class Tokens:
    """The tokens of a text in shards, as an array that is read where it is asked for; the last row is filled with 0.

    Args:
        parts: shards, each int32 (M, ROW), and how many tokens they have.
    """

    def __init__(self, parts: Sequence[tuple[Shards, int]]) -> None:
        self.parts = tuple(parts)
        self.ends = np.cumsum([length for _, length in self.parts])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, at: np.ndarray) -> np.ndarray:
        """The tokens at these places, int64 of any shape; int32 of the same shape.

        Raises:
            PaperzooError: a shard is damaged.
        """
        found = np.empty(at.shape, np.int32)
        which = np.searchsorted(self.ends, at, "right")
        for number in np.unique(which).tolist():
            (store, length), chosen = self.parts[number], which == number
            row, place = np.divmod(at[chosen] - (self.ends[number] - length), ROW)
            rows, inverse = np.unique(row, return_inverse=True)
            found[chosen] = store.take(rows)[inverse.reshape(row.shape), place]
        return found

    def join(self, other: Tokens) -> Tokens:
        """These tokens, then those of the other."""
        return Tokens(self.parts + other.parts)


def stored(path: Path, unit: str) -> Text | None:
    """The data set of a text that was prepared; ``None`` if it was not, not all of it, or is small.

    Raises:
        PaperzooError: a shard is damaged.
    """
    files = text_files(path)
    if sum(file.stat().st_size for file in files) <= LARGE:
        return None
    name = _name(files, unit)
    if (found := _found(name)) is None:
        return None
    flat = {}
    for split, length in found["lengths"].items():
        if (store := shards.opened(f"{name}-{split}")) is None:
            return None
        flat[split] = Tokens([(store, length)])
    counts = np.array(found["counts"], np.int64)
    return dataset_of(path.stem, flat, counts, found["vocabulary"], unit, "the user's own", shown(path))


def own(path: Path, unit: str) -> Text:
    """One file, or the ``.txt`` files of a folder one after the other: 90 % to train on, then 5 % and 5 % held out.

    A text that was prepared in shards is read from them.

    Raises:
        PaperzooError: a file cannot be read or is empty, see ``encoding.read_text``; or fewer than 200 characters in all.
    """
    if (kept := stored(path, unit)) is not None:
        return kept
    whole = "\n".join(map(read_text, text_files(path)))
    if len(whole) < 200:
        raise PaperzooError(f"{shown(path)} has {len(whole)} characters, too few to train on and to hold some out: at least 200 are needed")
    parts = cut(whole if unit == "character" else pieces(whole))
    return running.text(path.stem, parts, unit, "the user's own", shown(path), pictures=False)


def prepare(path: Path, say: Callable[[str], object], unit: str) -> int:
    """Puts the tokens of a text in shards, one of each split or more; how many splits there are, 0 for a text that is small.

    Raises:
        PaperzooError: a file cannot be read or is empty; or see ``fetch.shards.prepare``.
    """
    files = text_files(path)
    if sum(file.stat().st_size for file in files) <= LARGE:
        return 0
    name = _name(files, unit)
    if (found := _found(name)) is None:
        say(f"{shown(path)}: counting its {unit}s")
        found = _count(files, unit)
        with lock(_about(name)):
            write(_about(name), json.dumps(found))
    numbers = {token: number for number, token in enumerate(found["vocabulary"])}
    table = numbered(numbers) if unit == "character" else None
    for split, group in groupby(_parts(files, unit, found["characters"]), key=lambda part: part[0]):
        texts = (text for _, text in group)
        once = _Once(
            (table[codes(text)] for text in texts)
            if table is not None
            else (np.array([numbers.get(word, 0) for word in words], np.int32) for words in _words(texts))
        )
        layout = Layout.of(-(-found["lengths"][split] // ROW), "int32", (ROW,))
        shards.prepare(f"{name}-{split}", layout, partial(_part, once), 1, partial(_told, say, split))
    return len(found["lengths"])


def _part(once: _Once, start: int, stop: int) -> Callable[[], Iterator[np.ndarray]]:
    return partial(once.rows, start, stop)


def _told(say: Callable[[str], object], split: str, words: str) -> None:
    say(f"{split}: {words}")


class _Once:
    """Rows of tokens that come one after the other, and not again: those between two shards that are asked for are passed over."""

    def __init__(self, encoded: Iterable[np.ndarray]) -> None:
        self.encoded, self.held, self.at = iter(encoded), np.zeros(0, np.int32), 0  # the first token held is number ``at``

    def rows(self, start: int, stop: int) -> Iterator[np.ndarray]:
        for row in range(start, stop):
            held = [self.held]
            count = len(self.held)
            while self.at + count < (row + 1) * ROW and (more := next(self.encoded, None)) is not None:
                if self.at + count <= row * ROW:  # nothing of what is held is wanted
                    self.at, held, count = self.at + count, [], 0
                held.append(more)
                count += len(more)
            whole = np.concatenate([*held, np.zeros(0, np.int32)])[row * ROW - self.at :]
            self.held, self.at = whole[ROW:], (row + 1) * ROW
            yield np.concatenate([whole[:ROW], np.zeros(max(0, ROW - len(whole)), np.int32)])


def _count(files: Sequence[Path], unit: str) -> dict[str, Any]:
    """Characters in all, tokens of each split, vocabulary, and how often each of it occurs in the training split."""
    characters = sum(map(len, _text(files, unit)))
    counted: Counter[str] = Counter()
    lengths: dict[str, int] = {}
    for split, group in groupby(_parts(files, unit, characters), key=lambda part: part[0]):
        texts, length = (text for _, text in group), 0
        if unit == "character":
            total = np.zeros(0, np.int64)
            for text in texts:
                length += len(text)
                found = np.bincount(codes(text))
                total = np.pad(total, (0, max(0, len(found) - len(total))))
                total[: len(found)] += found
            if split == "train":
                counted = Counter({chr(code): int(total[code]) for code in np.flatnonzero(total)})
        else:
            for words in _words(texts):
                length += len(words)
                if split == "train":
                    counted.update(words)
        lengths[split] = length
    numbers = vocabulary(counted, unit)
    counts = [counted[token] if number else 0 for token, number in numbers.items()]
    counts[0] = lengths["train"] - sum(counts)
    return {"characters": characters, "lengths": lengths, "vocabulary": list(numbers), "counts": counts}


def _text(files: Sequence[Path], unit: str) -> Iterator[str]:
    """What ``own`` cuts into splits, in parts."""
    whole = chain.from_iterable(chain(["\n"] if number else [], chunks(file)) for number, file in enumerate(files))
    if unit == "character":
        yield from whole
        return
    first = True
    for some in _lines(whole):
        yield ("" if first else "\n") + pieces("\n".join(some) + "\n")
        first = False


def _lines(texts: Iterable[str]) -> Iterator[list[str]]:
    """The lines of a text in parts, without the last if it is empty."""
    held = ""
    for text in texts:
        *whole, held = (held + text).split("\n")
        if whole:
            yield whole
    if held:
        yield [held]


def _words(texts: Iterable[str]) -> Iterator[list[str]]:
    """``running.words_of`` of a text in parts."""
    for some in _lines(texts):
        yield [word for line in some for word in (*line.split(), END)]


def _parts(files: Sequence[Path], unit: str, characters: int) -> Iterator[tuple[str, str]]:
    """Each split's text in parts, the splits one after the other."""
    ends = dict(zip(("train", "validation", "test"), (*bounds(characters), characters), strict=True))
    at = 0
    for text in _text(files, unit):
        for split, end in ends.items():
            if part := text[: max(0, end - at)]:
                yield split, part
                at, text = at + len(part), text[len(part) :]


def _about(name: str) -> Path:
    return cache() / "prepared" / f"{name}.json"


def _found(name: str) -> dict[str, Any] | None:
    """What ``_count`` found earlier."""
    try:
        return json.loads(_about(name).read_text("utf-8"))  # type: ignore[no-any-return]
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise PaperzooError(f"{_about(name)} is damaged: delete it, and paperzoo data prepare makes it again") from error


def _name(files: Sequence[Path], unit: str) -> str:
    """What the shards are called: it changes with any file's path, length or time."""
    digest = hashlib.sha256(f"{_VERSION} {unit}".encode())
    for file in files:
        status = file.stat()
        digest.update(f"\n{file.absolute()}\t{status.st_size}\t{status.st_mtime_ns}".encode("utf-8", "surrogateescape"))
    return f"text-{digest.hexdigest()[:16]}"
