"""Files of word vectors: the text and binary formats of word2vec, and GloVe's text, which has no first line."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np

from paperzoo.errors import PaperzooError

#: no word is longer
_LONGEST = 10_000


def write_vectors(path: Path, words: Sequence[str], vectors: np.ndarray, binary: bool | None = None, header: bool = True) -> Path:
    """Writes vectors (V, D) of ``words``, under a temporary name first.

    Args:
        binary: word2vec's binary format; default: where the name ends in ``.bin``. Text keeps every float32 exactly.
        header: whether text begins with a line ``V D``, as word2vec's does and GloVe's does not.

    Raises:
        PaperzooError: a word has a blank in it or is empty, so that no reader could tell where it ends, or nothing can be written.
    """
    if len(words) != len(vectors):
        raise PaperzooError(f"{len(words)} words have {len(vectors)} vectors: each needs one")
    for word in words:
        if not word or word.split() != [word]:
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
    """Words and vectors float32 (V, D), in the order of the file.

    Args:
        binary: default: where the name ends in ``.bin``.

    Raises:
        PaperzooError: not there, empty, not UTF-8, with a first line that does not fit the rest, a line with another number of
            values, something that is no number, or a word that comes twice; the line or word is named.
    """
    binary = path.suffix == ".bin" if binary is None else binary
    try:
        with path.open("rb") as file:
            words, rows = _binary(file, path) if binary else _text(file, path)
    except OSError as error:
        raise PaperzooError(f"cannot read {path}: {error.strerror}") from error
    if len(set(words)) < len(words):
        seen: set[str] = set()
        twice = next(word for word in words if word in seen or seen.add(word))  # type: ignore[func-returns-value]
        raise PaperzooError(f"{path} has the word {twice!r} twice")
    if not np.isfinite(rows).all():
        raise PaperzooError(f"{path}: the vector of {words[int(np.argmin(np.isfinite(rows).all(1)))]!r} has values that are not finite")
    return tuple(words), rows


def _text(file: IO[bytes], path: Path) -> tuple[list[str], np.ndarray]:
    words: list[str] = []
    rows: list[np.ndarray] = []
    promised: tuple[int, int] | None = None
    for number, line in enumerate(file, 1):
        try:
            word, *values = line.decode("utf-8-sig" if number == 1 else "utf-8").split()
        except UnicodeDecodeError as error:
            raise PaperzooError(f"{path}, line {number}, is not UTF-8: byte {line[error.start]:#04x}") from error
        except ValueError:
            continue  # an empty line
        if number == 1 and len(values) == 1 and word.isdigit() and values[0].isdigit():
            promised = int(word), int(values[0])
            continue
        dim = promised[1] if promised else len(rows[0]) if rows else len(values)
        if len(values) != dim or not dim:
            where = "its first line" if promised else "the first vector"
            raise PaperzooError(f"{path}, line {number}: {len(values)} values, but {where} says {dim or 'none'}")
        try:
            rows.append(np.array(values, np.float32))
        except ValueError as error:
            raise PaperzooError(f"{path}, line {number}: {error}") from error
        words.append(word)
    if promised and promised[0] != len(words):
        raise PaperzooError(f"{path} says that it has {promised[0]} words, but has {len(words)}: cut short, or another file's first line")
    if not words:
        raise PaperzooError(f"{path} has no vectors")
    return words, np.stack(rows)


def _binary(file: IO[bytes], path: Path) -> tuple[list[str], np.ndarray]:
    first = file.readline(100).split()
    if len(first) != 2 or not all(part.isdigit() for part in first) or not int(first[1]):
        raise PaperzooError(f"{path} is not in word2vec's binary format: its first line is not the numbers of words and dimensions")
    total, dim = map(int, first)
    left = path.stat().st_size
    if total * (4 * dim + 2) > left:
        raise PaperzooError(f"{path} says that it has {total} words of {dim} dimensions, but has only {left} bytes")
    words, rows = [], np.empty((total, dim), np.float32)
    for number in range(total):
        letters = bytearray()
        while (letter := file.read(1)) != b" ":
            if not letter or len(letters) > _LONGEST:
                raise PaperzooError(f"{path}: word {number + 1} of {total} does not end: other dimensions than {dim}, or cut short")
            letters += letter
        content = file.read(4 * dim)
        if len(content) < 4 * dim:
            raise PaperzooError(f"{path} is cut short: vector {number + 1} of {total} has {len(content)} bytes of {4 * dim}")
        try:
            words.append(letters.lstrip(b"\n").decode())
        except UnicodeDecodeError as error:
            raise PaperzooError(f"{path}: word {number + 1} of {total} is not UTF-8: other dimensions than {dim}, or damaged") from error
        rows[number] = np.frombuffer(content, "<f4")
    if file.read(2).strip():
        raise PaperzooError(f"{path} goes on after its {total} words: another file's first line, or other dimensions than {dim}")
    return words, rows
