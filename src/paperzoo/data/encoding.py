"""Text files as characters, one reader for all: strict about what bytes mean, and about what ends a line.

A file is UTF-8, or says at its beginning (by a byte order mark) that it is UTF-16 or UTF-32; it may be gzipped. Bytes that are no
characters are never replaced: the error names file, byte and line. Lines end at line feeds and nowhere else, for characters that
Unicode counts as ends of lines (U+2028, U+0085, form feeds) stand inside of sentences and of words.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from paperzoo.data.paths import ordinary, shown
from paperzoo.errors import PaperzooError

_BLOCK = 2**20
#: longer lines are no lines of a table; they come of files of another kind
_LONGEST = 2**24
#: what is larger unpacked, and more than so many times larger than packed, is no text
_UNPACKED, _RATIO = 2**28, 200
#: UTF-32 first, whose mark begins with that of UTF-16
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
#: what else a file may be, by its first bytes
_OTHERS = {
    b"PK\x03\x04": "a zip archive, as spreadsheets (.xlsx, .ods) are too",
    b"\xd0\xcf\x11\xe0": "an old Office document (.xls, .doc)",
    b"PAR1": "a parquet file",
    b"ARROW1": "a feather file",
    b"\x89HDF": "an HDF5 file",
    b"\xfd7zXZ": "packed with xz",
    b"BZh": "packed with bzip2",
    b"\x28\xb5\x2f\xfd": "packed with zstd",
    b"\x1f\x8b": "packed with gzip",
    b"7z\xbc\xaf": "a 7z archive",
    b"%PDF": "a PDF document",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
}
_SEVERAL_BYTES = re.compile(rb"[\xc2-\xf4][\x80-\xbf]")  # what UTF-8 has, and text of one byte a character hardly ever
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a]")


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of an ordinary file, unpacked if it is gzipped.

    Raises:
        PaperzooError: it cannot be read, see ``paths.ordinary``; or what is packed is damaged.
    """
    ordinary(path)
    packed = False
    try:
        with path.open("rb") as file:
            packed = file.peek(2)[:2] == b"\x1f\x8b"
            yield gzip.GzipFile(fileobj=file) if packed else file  # type: ignore[misc]
    except (OSError, EOFError, zlib.error) as error:
        if packed and not getattr(error, "errno", None):
            raise PaperzooError(f"{shown(path)} is damaged: it cannot be unpacked ({error})") from error
        raise PaperzooError(f"cannot read {shown(path)}: {getattr(error, 'strerror', None) or error}") from error


def blocks(path: Path) -> Iterator[str]:
    """The text of a file of any size, a part of it in memory at a time.

    Raises:
        PaperzooError: see ``opened``; bytes that are no characters; or it unpacks to what is no text.
    """
    with opened(path) as file:
        packed, size = isinstance(file, gzip.GzipFile), path.stat().st_size
        seen = 0

        def read(count: int) -> bytes:
            nonlocal seen
            block = file.read(count)
            seen += len(block)
            if packed and seen > max(_UNPACKED, _RATIO * size):
                raise PaperzooError(f"{shown(path)} has {size:,} bytes and unpacks to more than {seen:,}: refused, for it is no text")
            return block

        yield from _decoded(read, shown(path))


def read_text(path: Path) -> str:
    """The whole text of a file, its lines ended by line feeds.

    Raises:
        PaperzooError: see ``blocks``; or it is empty.
    """
    text = "".join(blocks(path))
    if not text.strip():
        raise PaperzooError(f"{shown(path)} is empty")
    return text.replace("\r\n", "\n") if "\n" in text else text.replace("\r", "\n")


def chunks(path: Path) -> Iterator[str]:
    """What ``read_text`` gives, of a file of any size, a part of it in memory at a time.

    Raises:
        PaperzooError: see ``read_text``.
    """
    end = "\r\n" if any("\n" in block for block in blocks(path)) else "\r"
    held, empty = "", True
    for block in blocks(path):
        text = held + block
        held = "\r" if end == "\r\n" and text.endswith("\r") else ""
        text = text.removesuffix(held).replace(end, "\n")
        empty = empty and not text.strip()
        yield text
    yield held
    if empty and not held.strip():
        raise PaperzooError(f"{shown(path)} is empty")


def decode(content: bytes, where: str) -> str:
    """Bytes as text, see the module; raises ``PaperzooError`` that names ``where``, the first wrong byte, its offset and line."""
    return "".join(_decoded(io.BytesIO(content).read, where))


def lines(text: str) -> list[str]:
    """The lines of a text, without their ends: LF, CR LF, or CR in a text that has no LF. An empty last line is none."""
    parts = [line.removesuffix("\r") for line in text.split("\n")] if "\n" in text else text.split("\r")
    return parts if parts[-1] else parts[:-1]


def numbered_lines(path: Path, longest: int = _LONGEST) -> Iterator[tuple[int, str]]:
    """The lines of a file of any size with their numbers, from 1, as ``lines`` cuts them.

    Raises:
        PaperzooError: see ``blocks``; or a line has more than ``longest`` characters.
    """
    held, number, end = "", 0, ""
    for block in blocks(path):
        end = end or ("\n" if "\n" in block else "\r" if "\r" in block[:-1] else "")
        *whole, held = (held + block).split(end) if end else [held + block]
        for line in whole:
            number += 1
            yield number, line.removesuffix("\r")
        if len(held) > longest:
            raise PaperzooError(f"{shown(path)}, line {number + 1}, has more than {longest:,} characters: no file of this kind")
    if held := held.removesuffix("\r"):
        yield number + 1, held


def as_json(text: str, where: str) -> Any:
    """The content of a JSON text.

    Raises:
        PaperzooError: it is none, is nested too deeply, or holds half of a character (an escape that stands alone), which nothing prints.
    """
    try:
        content = json.loads(text)
        if "\\ud" in text.lower():
            json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise PaperzooError(f"{where} holds half of a character, \\u{ord(error.object[error.start]):x}, without the other half") from None
    except (ValueError, RecursionError) as error:
        raise PaperzooError(f"{where} is no JSON: {error}") from None
    return content


def as_id(value: Any, where: str, key: str = "id") -> str | int:
    """What stands under a key by which others refer to it; raises ``PaperzooError`` if that is neither text nor a whole number."""
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise PaperzooError(f"{where}: {key} is a whole number or a string, not {json.dumps(value)[:40]}")
    return value


def csv_rows(text: Sequence[str], mark: str, where: str, quoted: bool = True) -> Iterator[tuple[int, list[str]]]:
    """The rows of a table by its lines, and the number of the line that each ends in.

    Args:
        mark: what parts the cells.
        quoted: whether a cell may stand in quotation marks, and then hold ``mark``.

    Raises:
        PaperzooError: a quotation mark that is not closed, or comes in the middle; a cell of more than 131,072 characters.
    """
    reader = csv.reader(text, delimiter=mark, strict=True, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)
    began = 1
    try:
        for cells in reader:
            yield reader.line_num, cells
            began = reader.line_num + 1
    except csv.Error as error:
        why = "a quotation mark is not closed" if "unexpected end" in str(error) else str(error)
        raise PaperzooError(f"{where}, line {began}, is no row of a table: {why}") from None


def lines_with_ends(path: Path) -> Iterator[str]:
    """The lines of a file of any size with what ends each, LF, CR LF or CR: as ``csv`` wants them.

    Raises:
        PaperzooError: see ``blocks``; or a line is longer than those of a table.
    """
    held = ""
    for block in blocks(path):
        text = held + block
        end = max(text.rfind("\n"), text.rfind("\r", 0, -1)) + 1  # to a CR at the end of a block an LF may belong
        yield from io.StringIO(text[:end], newline="")
        held = text[end:]
        if len(held) > _LONGEST:
            raise PaperzooError(f"{shown(path)} has a line of more than {_LONGEST:,} characters: no file of this kind")
    yield from io.StringIO(held, newline="")


def _decoded(read: Callable[[int], bytes], where: str) -> Iterator[str]:
    block = read(_BLOCK)
    mark, name = next(((mark, name) for mark, name in _MARKS if block.startswith(mark)), (b"", "utf-8"))
    if not mark:
        _check_zeros(block, where)
    decoder = codecs.getincrementaldecoder(name)()
    first, before, line, block = block[:8], len(mark), 1, block[len(mark) :]
    recent, ascii_only = b"", True
    while True:
        pending = len(decoder.getstate()[0])
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            line += error.object[: error.start].decode(name).count("\n")
            fault = f"{where} is not {name.upper()}: byte {error.object[error.start]:#04x} at offset {before - pending + error.start}"
            around = recent[: max(0, len(recent) - pending)]
            hint = _hint(around + error.object, len(around) + error.start, name, first, ascii_only, error.reason)
            raise PaperzooError(f"{fault} (line {line}); {hint}") from None
        yield text
        recent, ascii_only = block[-64:], ascii_only and text.isascii()
        if not block:
            return
        before, line = before + len(block), line + text.count("\n")
        block = read(_BLOCK)


def _check_zeros(block: bytes, where: str) -> None:
    """Letters of UTF-16 are UTF-8 too, with a zero byte beside each; no text has so many of them."""
    if len(block) < 4:
        return
    even, odd = (2 * part.count(0) > len(part) for part in (block[::2], block[1::2]))
    if (even or odd) and (kind := _kind(block)):
        raise PaperzooError(f"{where} is no text: it is {kind}")
    if even and odd:
        raise PaperzooError(f"{where} is no text: most of its first {len(block):,} bytes are zero")
    if even or odd:
        name = "UTF-16LE" if odd else "UTF-16BE"
        raise PaperzooError(f"{where} looks like {name} without a byte order mark: convert it (iconv -f {name} -t UTF-8 OLD > NEW)")


def _kind(first: bytes) -> str:
    """What a file is that begins so, if it is known for it; else ``""``."""
    return next((kind for begin, kind in _OTHERS.items() if first.startswith(begin)), "")


def _hint(content: bytes, at: int, name: str, first: bytes, ascii_only: bool, reason: str) -> str:
    """A guess at a file's format, from its first bytes and those around the offset ``at`` of the decoding error."""
    if kind := _kind(first):
        return f"it is {kind}"
    if name == "utf-8" and ascii_only and not _SEVERAL_BYTES.search(content) and not _CONTROL.search(content):
        begin = max(content.rfind(blank, 0, at) for blank in b" \t\r\n,;") + 1
        ends = [end for blank in b" \t\r\n,;" if (end := content.find(blank, at)) >= 0]
        word = content[max(begin, at - 20) : min([*ends, at + 20, len(content)])]
        try:
            guess = f"if {word.decode('cp1252')!r} is right there, it is Windows-1252"
            return f"{guess}: convert it (iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW)"
        except UnicodeDecodeError:
            pass  # a byte that Windows-1252 has not either
    if reason == "unexpected end of data" or "truncated" in reason:
        return "it ends in the middle of a character, as a file does that was cut short"
    return "save it in UTF-8 and try again"
