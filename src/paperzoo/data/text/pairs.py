"""Co-occurrences as a data set, counted once from text of any size, read twice from the disk and never held whole."""

from __future__ import annotations

import hashlib
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch

from paperzoo.data.dataset import Column, Dataset, Schema, Split
from paperzoo.data.encoding import blocks
from paperzoo.data.fetch.prepared import prepared, writable
from paperzoo.data.fetch.sources import sha256
from paperzoo.data.paths import ordinary, shown
from paperzoo.data.text.cooccurrence import cooccurrences
from paperzoo.data.text.corpus import news, text_files, tokenize
from paperzoo.errors import PaperzooError

#: characters of a text without an empty line that are taken for a text by themselves
_LONGEST = 2**20
#: words handed to the counter at a time
_PART = 2**18
_EMPTY_LINE = re.compile(r"\n\s*\n")


class Whole:
    """Pairs of words as one column, mapped from the disk; asked for all of them, it copies none."""

    def __init__(self, row: np.ndarray, column: np.ndarray, x: np.ndarray) -> None:
        self.fields = {"row": row, "column": column, "x": x}

    def __len__(self) -> int:
        return len(self.fields["row"])

    def take(self, indices: np.ndarray) -> dict[str, Any]:
        whole = len(indices) == len(self) and bool((indices[:-1] < indices[1:]).all())
        return {name: torch.from_numpy(values if whole else values[indices]) for name, values in self.fields.items()}

    def to(self, device: torch.device) -> Whole:
        return self

    def join(self, other: Column) -> Whole:
        raise PaperzooError("co-occurrences of two splits cannot be joined: train on one")


def text_pairs(path: Path) -> Dataset:
    """The co-occurrences of the user's own text: one file, or a folder of ``.txt`` files; an empty line ends a text.

    Raises:
        PaperzooError: a file cannot be read or is empty, see ``encoding.blocks``.
    """
    files = text_files(path)
    try:
        digest = hashlib.sha256("".join(sha256(ordinary(file)) for file in files).encode()).hexdigest()
    except OSError as error:
        raise PaperzooError(f"cannot read {shown(path)}: {error.strerror}") from error
    return pairs(path.stem, digest[:16], lambda: (t for file in files for t in _paragraphs(file)), "the user's own", shown(path))


def lm1b_pairs(path: Path) -> Dataset:
    """The co-occurrences of the one-billion-word benchmark; see ``corpus.lm1b``."""
    folder = "training-monolingual.tokenized.shuffled"
    source = "statmt.org, news crawl of 2011"
    return pairs("lm1b-pairs", "lm1b", lambda: news(path, folder), "Apache-2.0 (Chelba et al. 2013)", source)


def pairs(
    name: str, key: str, texts: Callable[[], Iterable[str]], licence: str, source: str, window: int = 10, least: int = 5,
    memory: int = 2**28, threads: int = 2,
) -> Dataset:  # fmt: skip
    """Words that occur ``least`` times and more, and how often each stands near each other, as ``cooccurrences`` counts it.

    The batch has ``row`` and ``column`` int32 (P) and ``x`` float64 (P). Kept in the cache of prepared data.

    Args:
        key: must change whenever ``texts`` gives other texts.
        texts: called twice; gives the texts one after the other, none of them larger than memory.

    Raises:
        PaperzooError: no two words stand near each other.
    """

    def make() -> dict[str, np.ndarray]:
        counts = Counter(word for text in texts() for word in tokenize(text))
        known = sorted((word for word, count in counts.items() if count >= least), key=lambda word: (-counts[word], word))
        if not known:
            raise PaperzooError(f"{name} has no word that occurs {least} times ({source})")
        numbers = {word: number for number, word in enumerate(known)}
        entries = cooccurrences(_parts(texts(), numbers), len(known), window, True, memory, threads)
        if not len(entries.row):
            raise PaperzooError(f"in {name} no two words that occur {least} times stand near each other ({source})")
        return {**entries._asdict(), "words": np.array(known), "counts": np.array([counts[word] for word in known])}

    arrays = prepared(f"pairs-{key}-{window}-{least}", make)
    words, counts = tuple(map(str, arrays["words"])), tuple(map(int, arrays["counts"]))
    schema = Schema(name, ("row", "column", "x"), {"vocabulary": words, "counts": counts})
    split = Split(Whole(*(writable(arrays[field]) for field in ("row", "column", "x"))))
    return Dataset(schema, {"train": split}, licence, source, pictures=False)


def _parts(texts: Iterable[str], numbers: dict[str, int]) -> Iterator[np.ndarray]:
    part = array("i")
    for text in texts:
        part.extend(numbers[word] for word in tokenize(text) if word in numbers)
        part.append(-1)
        if len(part) > _PART:
            yield np.array(part, np.int32)
            part = array("i")
    yield np.array(part, np.int32)


def _paragraphs(path: Path) -> Iterator[str]:
    """The texts of a file, a megabyte in memory at a time."""
    held, words = "", False
    for block in chain(blocks(path), [""]):
        *texts, held = _EMPTY_LINE.split(held + block)
        if len(held) > _LONGEST or not block:
            cut = len(held) if not block else max(held.rfind(" "), held.rfind("\n")) + 1 or len(held)
            texts, held = [*texts, held[:cut]], held[cut:]
        words = words or any(text.strip() for text in texts)
        yield from texts
    if not words:
        raise PaperzooError(f"{shown(path)} is empty")
