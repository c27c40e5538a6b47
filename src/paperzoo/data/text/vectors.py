"""Files of word vectors: the text and binary formats of word2vec, and GloVe's text, which has no first line."""

from __future__ import annotations

import gzip
import os
import warnings
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain, islice
from pathlib import Path

import numpy as np

from paperzoo.data.encoding import numbered_lines, opened
from paperzoo.data.paths import shown, suffix_of
from paperzoo.errors import PaperzooError

#: no word of a binary file is longer, and no line of a text
_LONGEST, _LONGEST_LINE = 10_000, 2**21
#: lines of a text without a first line of its own that say how long its vectors are
_LOOKED_AT = 1000
#: gzip packs nothing smaller than by this
_MOST_PACKED = 1032


def write_vectors(path: Path, words: Sequence[str], vectors: np.ndarray, binary: bool | None = None, header: bool = True) -> Path:
    """Writes vectors (V, D) of ``words``, under a temporary name first.

    Args:
        binary: word2vec's binary format; default: where the name ends in ``.bin``. Text keeps every float32 exactly.
        header: whether text begins with a line ``V D``, as word2vec's does and GloVe's does not.

    Raises:
        PaperzooError: a word has a blank or a line's end in it or is empty, so that no reader could tell where it ends, or nothing can
            be written.
    """
    if len(words) != len(vectors):
        raise PaperzooError(f"{len(words)} words have {len(vectors)} vectors: each needs one")
    for word in words:
        if not word or any(c in word for c in " \t\r\n"):
            raise PaperzooError(f"the word {word!r} cannot be written: in these formats a blank ends a word")
    binary = path.suffix == ".bin" if binary is None else binary
    rows = np.ascontiguousarray(vectors, "<f4")
    scratch = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with scratch.open("wb") as file:
            if binary or header:
                file.write(f"{len(words)} {rows.shape[1]}\n".encode())
            for word, row in zip(words, rows, strict=True):
                values = row.tobytes() if binary else " ".join(map(repr, row.astype(object))).encode()
                file.write(word.encode() + b" " + values + b"\n")
        os.replace(scratch, path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise PaperzooError(f"cannot write {path}: {error.strerror}") from error
    return path


def read_vectors(path: Path, binary: bool | None = None) -> tuple[tuple[str, ...], np.ndarray]:
    """Words and vectors float32 (V, D), in the order of the file, which may be gzipped.

    In text only blanks and tabs part fields: the last D are the vector, and the word is what stands before (``. . .`` is a word of
    GloVe's). D is what the first line says, or else how many numbers most of the first thousand lines end with. Of a word that
    comes again the first vector is kept, and a warning says how many there were.

    Args:
        binary: default: where the name ends in ``.bin`` or ``.bin.gz``.

    Raises:
        PaperzooError: not there, no ordinary file, empty, bytes that are no text, a first line that does not fit the rest, a line with
            another number of values, or something that is no finite number; with the line, or the number of the word.
    """
    binary = suffix_of(path) == ".bin" if binary is None else binary
    words, rows, places = _binary(path) if binary else _text(path)
    if not np.isfinite(rows).all():
        bad = int(np.argmin(np.isfinite(rows).all(1)))
        raise PaperzooError(f"{shown(path)}, {places(bad)}: the vector of {words[bad]!r} has values that are not finite")
    first = dict(zip(reversed(words), range(len(words) - 1, -1, -1), strict=True))  # of each word the first place
    if len(first) < len(words):
        kept = np.array(sorted(first.values()))
        again = int(np.setdiff1d(np.arange(len(words)), kept)[0])
        note = f"{len(words) - len(kept):,} of {len(words):,} vectors are of a word that came before, {words[again]!r} first"
        warnings.warn(f"{shown(path)}, {places(again)}: {note}; of each word the first vector is kept", stacklevel=2)
        words, rows = [words[row] for row in kept], rows[kept]
    return tuple(words), rows


#: words, vectors float32 (V, D), and where in the file the n-th of them stands
Found = tuple[list[str], np.ndarray, Callable[[int], str]]


def _text(path: Path) -> Found:
    words: list[str] = []
    rows: list[np.ndarray] = []
    places = array("q")
    source = ((number, _fields(line)) for number, line in numbered_lines(path, _LONGEST_LINE))
    head = [(number, fields) for number, fields in islice(source, _LOOKED_AT) if fields]
    promised = None
    if head and head[0][0] == 1 and len(head[0][1]) == 2 and all(f.isascii() and f.isdigit() for f in head[0][1]):
        promised = int(head[0][1][0][:18]), int(head[0][1][1][:18])
        head = head[1:]
    usual = Counter(_values_at_end(fields) for _, fields in head).most_common(1)
    dim = promised[1] if promised else usual[0][0] if usual else 0
    says = "its first line" if promised else "the first vector" if head and _values_at_end(head[0][1]) == dim else "most vectors"
    for number, fields in chain(head, source):
        if not fields:
            continue
        word, values = fields[: len(fields) - dim], fields[len(fields) - dim :]
        if len(fields) <= dim or not dim or (len(word) > 1 and _is_value(word[-1], values)):
            raise PaperzooError(f"{shown(path)}, line {number}: {len(fields) - 1} values, but {says} says {dim or 'none'}")
        try:
            with np.errstate(over="ignore"):  # said below, by its word
                rows.append(np.array(values, np.float32))
        except ValueError as error:
            raise PaperzooError(f"{shown(path)}, line {number}: {error}") from error
        words.append(" ".join(word))
        places.append(number)
    if promised and promised[0] != len(words):
        fault = f"{shown(path)} says that it has {promised[0]} words, but has {len(words)}"
        raise PaperzooError(f"{fault}: cut short, or another file's first line")
    if not words:
        raise PaperzooError(f"{shown(path)} has no vectors")
    return words, np.stack(rows), lambda row: f"line {places[row]}"


def _fields(line: str) -> list[str]:
    fields = line.replace("\t", " ").split(" ")
    return [field for field in fields if field] if "" in fields else fields


def _values_at_end(fields: Sequence[str]) -> int:
    """How many numbers a line ends with, its first field aside, which is of the word."""
    return next((n for n, field in enumerate(reversed(fields[1:])) if not _is_number(field)), len(fields) - 1)


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _is_value(field: str, values: Sequence[str]) -> bool:
    """Whether what stands before the vector is one value more, rather than the end of a word of several (``May 5``)."""
    return _is_number(field) and not (field.isdigit() and all("." in value for value in values))


def _binary(path: Path) -> Found:
    with opened(path) as file:
        first = file.readline(100).split()
        if len(first) != 2 or not all(part.isdigit() for part in first) or not int(first[1]):
            fault = "its first line is not the numbers of words and dimensions"
            raise PaperzooError(f"{shown(path)} is not in word2vec's binary format: {fault}")
        total, dim = map(int, first)
        if not total:
            raise PaperzooError(f"{shown(path)} has no vectors: its first line says that it has 0 words")
        size = path.stat().st_size
        most = size * _MOST_PACKED if isinstance(file, gzip.GzipFile) else size
        if total * (4 * dim + 2) > most:
            raise PaperzooError(f"{shown(path)} says that it has {total} words of {dim} dimensions, but has only {size} bytes")
        words = []
        try:
            rows = np.empty((total, dim), np.float32)
        except MemoryError:
            raise PaperzooError(f"{shown(path)} says that it has {total} words of {dim} dimensions, more than memory holds") from None
        for number in range(total):
            letters = bytearray()
            while (letter := file.read(1)) != b" ":
                if not letter or len(letters) > _LONGEST:
                    fault = f"word {number + 1} of {total} does not end: other dimensions than {dim}, or cut short"
                    raise PaperzooError(f"{shown(path)}: {fault}")
                letters += letter
            content = file.read(4 * dim)
            if len(content) < 4 * dim:
                raise PaperzooError(f"{shown(path)} is cut short: vector {number + 1} of {total} has {len(content)} bytes of {4 * dim}")
            try:
                words.append(letters.lstrip(b"\n").decode())
            except UnicodeDecodeError as error:
                fault = f"word {number + 1} of {total} is not UTF-8: other dimensions than {dim}, or damaged"
                raise PaperzooError(f"{shown(path)}: {fault}") from error
            rows[number] = np.frombuffer(content, "<f4")
        if file.read(2).strip():
            fault = f"goes on after its {total} words: another file's first line, or other dimensions than {dim}"
            raise PaperzooError(f"{shown(path)} {fault}")
    return words, rows, lambda row: f"word {row + 1}"
