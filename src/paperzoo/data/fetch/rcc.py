"""Files out of a Qt resource file (``.rcc``), as Qt's ``rcc`` writes it: a tree of names, and each file's bytes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from paperzoo.errors import PaperzooError

_PACKED, _FOLDER, _ZSTD = 1, 2, 4  # flags of a node


def rcc_files(data: bytes, what: str, limit: int = 2**28) -> Iterator[tuple[str, bytes]]:
    """Each file's path and bytes, in the order of the tree.

    Args:
        data: the resource file, of format 1, 2 or 3.
        what: its name, for errors.
        limit: bytes that one file may unpack to.

    Raises:
        PaperzooError: no resource file, a damaged one, or a file packed with zstd or of more than ``limit`` bytes.
    """
    if data[:4] != b"qres":
        raise PaperzooError(f"{what} is no Qt resource file: it begins with {data[:4].hex(' ') or 'nothing'}")
    try:
        version, tree, contents, names = struct.unpack(">4I", data[4:20])
        size = 14 if version < 2 else 22  # from format 2 on with the time of change
        left, seen = [(0, "")], set()
        while left:
            number, folder = left.pop()
            if number in seen:
                raise PaperzooError(f"{what} is damaged: its tree of names is a circle")
            seen.add(number)
            place, flags, first, second = struct.unpack_from(">IH2I", data, tree + number * size)
            name = _name(data, names + place) if number else ""
            path = f"{folder}/{name}".lstrip("/")
            if flags & _FOLDER:
                left += [(child, path) for child in reversed(range(second, second + min(first, len(data))))]
                continue
            if flags & _ZSTD:
                raise PaperzooError(f"{path} in {what} is packed with zstd, which is not read here")
            yield path, _content(data, contents + second, bool(flags & _PACKED), limit)
    except (struct.error, UnicodeDecodeError, zlib.error) as error:
        raise PaperzooError(f"{what} is damaged: {error}") from error


def _name(data: bytes, place: int) -> str:
    (length,) = struct.unpack_from(">H", data, place)  # then a hash of 4 bytes
    return data[place + 6 : place + 6 + 2 * length].decode("utf-16-be")


def _content(data: bytes, place: int, packed: bool, limit: int) -> bytes:
    (length,) = struct.unpack_from(">I", data, place)
    content = data[place + 4 : place + 4 + length]
    if len(content) < length:
        raise struct.error(f"{len(content)} bytes of {length}")
    if not packed:
        return content
    opened = zlib.decompressobj()
    whole = opened.decompress(content[4:], limit)  # the first four bytes say how long it becomes
    if not opened.eof:
        raise zlib.error("it breaks off, or unpacks to more bytes than allowed")
    return whole
