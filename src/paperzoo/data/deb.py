"""Files out of a Debian package, read in Python: an ar archive with a compressed tar archive in it."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import IO

from paperzoo.errors import PaperzooError

GIB = 2**30


def deb_files(path: Path, folder: str, suffix: str = "", limit: int = 2 * GIB) -> Iterator[tuple[str, bytes]]:
    """The regular files below ``folder`` (``usr/share/x``) of a Debian package, in its order; nothing is written or run.

    Args:
        path: a ``.deb`` file, its data packed with xz, gzip, bzip2 or not at all; with zstd from Python 3.14 on.
        suffix: only files whose names end so.
        limit: bytes that the whole package may unpack to.

    Yields:
        a file's path below ``folder``, and its bytes.

    Raises:
        PaperzooError: no such package, a damaged one, one that unpacks to more than ``limit`` bytes, holds a path twice or one
            that leaves its folder, or one without a file below ``folder``.
    """
    seen: set[str] = set()
    try:
        with tarfile.open(fileobj=_Bounded(_data(path), limit, path), mode="r|") as archive:  # type: ignore[call-overload]
            for info in archive:
                name = PurePosixPath(info.name)  # as ./usr/share/x/file
                if name.is_absolute() or ".." in name.parts:
                    raise PaperzooError(f"{path} holds the path {info.name!r}, which leaves its folder: refused")
                if info.isfile() and name.is_relative_to(folder) and name.name.endswith(suffix):
                    if str(name) in seen:
                        raise PaperzooError(f"{path} holds {info.name!r} twice: refused")
                    if info.size > limit:
                        raise PaperzooError(f"{path} unpacks to more bytes than allowed: refused")
                    seen.add(str(name))
                    yield str(name.relative_to(folder)), archive.extractfile(info).read()
    except PaperzooError:
        raise
    except Exception as error:  # tarfile and the decompressors raise a dozen kinds
        raise PaperzooError(f"{path} is damaged: {error}") from error
    if not seen:
        raise PaperzooError(f"{path} has no {suffix or 'files'} below {folder}: another package, or another version of it")


def _data(path: Path) -> IO[bytes]:
    """The package's files as one uncompressed tar archive: the member ``data.tar`` or ``data.tar.*``."""
    opened = {"": lambda file: file, ".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open, ".zst": _zstd}
    members = [(name, place) for name, place in _ar(path) if name.startswith("data.tar") and name[8:] in opened]
    if not members:
        raise PaperzooError(f"{path} is no Debian package: it has no data.tar")
    if len(members) > 1:
        raise PaperzooError(f"{path} is no Debian package: it has {' and '.join(name for name, _ in members)}, where one belongs")
    name, (start, size) = members[0]
    with path.open("rb") as file:
        file.seek(start)
        data = io.BytesIO(file.read(size))
    try:
        return opened[name[8:]](data)  # type: ignore[no-any-return, operator]
    except ImportError as error:
        why = "which only Python 3.14 and later can read. Debian's own file is packed with xz"
        raise PaperzooError(f"{path} is packed with zstd, {why}") from error


def _ar(path: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """Members of an ar archive, with their place and size: after eight bytes of magic, each has a header of 60 bytes and begins
    at an even place."""
    if not path.is_file():
        raise PaperzooError(f"there is no package {path}")
    whole = path.stat().st_size
    with path.open("rb") as archive:
        if archive.read(8) != b"!<arch>\n":
            raise PaperzooError(f"{path} is no Debian package: it is no ar archive")
        while header := archive.read(60):
            name, digits = header[:16].decode("ascii", "replace").strip().rstrip("/"), header[48:58].strip()
            if header[58:] != b"`\n" or not digits.isdigit():
                raise PaperzooError(f"{path} is damaged: it breaks off, or has a header that is none")
            start, size = archive.tell(), int(digits)
            if start + size > whole:
                raise PaperzooError(f"{path} is damaged: {name} has {whole - start} bytes of {size}")
            yield name, (start, size)
            archive.seek(start + size + size % 2)


def _zstd(file: IO[bytes]) -> IO[bytes]:
    opened: IO[bytes] = import_module("compression.zstd").open(file)
    return opened


class _Bounded:
    """Reads from ``stream`` and refuses to go past ``limit`` bytes, so that what it is packed with cannot blow up."""

    def __init__(self, stream: IO[bytes], limit: int, path: Path) -> None:
        self.stream, self.left, self.path = stream, limit, path

    def read(self, size: int) -> bytes:
        part = self.stream.read(size)
        self.left -= len(part)
        if self.left < 0:
            raise PaperzooError(f"{self.path} unpacks to more bytes than allowed: refused")
        return part
