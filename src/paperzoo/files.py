"""Files that a user names: whether one can be read, and writing one so that nothing else is harmed."""

from __future__ import annotations

import difflib
import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from paperzoo.errors import PaperzooError
from paperzoo.terminal import plain

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISLNK, "a link"),
)


def kind_of(mode: int) -> str:
    """What a thing of this ``st_mode`` is, if it is no ordinary file, else ``""``."""
    return next((kind for test, kind in _KINDS if test(mode)), "")


def path_of(place: str | Path) -> Path:
    """The path that a user typed, with ``~`` as the home folder; one with a ``~`` that is nobody's stays as it is."""
    path = Path(place)
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def exists(place: str | Path) -> bool:
    """Whether something is there; a name that no file system takes is not."""
    try:
        return path_of(place).exists()
    except (OSError, ValueError):
        return False


def is_folder(place: str | Path) -> bool:
    """Whether it is a folder, or a link to one."""
    try:
        return path_of(place).is_dir()
    except (OSError, ValueError):
        return False


def ordinary(place: str | Path, what: str = "file") -> Path:
    """The path of an ordinary file, or of a link to one; nothing is opened, so that a pipe does not block.

    Args:
        what: what it should be, as the error names it.

    Raises:
        PaperzooError: nothing is there, or a folder, a pipe or a device.
    """
    path = path_of(place)
    try:
        kind = kind_of(path.stat().st_mode)
    except FileNotFoundError as error:
        raise PaperzooError(f"there is no {what} {plain(place)!r}") from error
    except (OSError, ValueError) as error:  # too long a name, a zero byte in it, a link to itself, a folder that may not be read
        raise PaperzooError(f"{_short(place)} cannot be read as {_a(what)}: {_why(error)}") from error
    if kind:
        hint = ": name the files in it" if kind == "a folder" else ""
        raise PaperzooError(f"{plain(place)} is {kind}, not {_a(what)}{hint}")
    return path


def write(path: Path, fill: Callable[[IO[bytes]], object] | bytes | str) -> Path:
    """Writes a file under a temporary name beside it and renames it, so that it is whole or as before; its path, with ``~`` read.

    An ordinary file that may be written to is replaced and keeps its permissions. Folders above it are made.

    Args:
        fill: writes the content to the open file; or the content itself, text as UTF-8.

    Raises:
        PaperzooError: what is there is a link, a folder, a pipe, a device, or read-only; or the disk does not take it.
    """
    path = path_of(path)  # no shell reads the ~ of --out=~/a.png
    scratch = path.parent / f".{secrets.token_hex(8)}.part"
    try:
        mode = _replaceable(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666), "wb") as file:
            if isinstance(fill, str):  # half a pair stands for a byte of a file's name that is not UTF-8
                file.write(fill.encode("utf-8", "backslashreplace"))
            elif isinstance(fill, bytes):
                file.write(fill)
            else:
                fill(file)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            scratch.chmod(mode)
        os.replace(scratch, path)
    except (OSError, ValueError) as error:
        raise PaperzooError(f"cannot write {_short(path)}: {_why(error)}") from error
    finally:
        with suppress(OSError, ValueError):
            scratch.unlink(missing_ok=True)
    return path


def _replaceable(path: Path) -> int | None:
    """The permissions of the ordinary file that is there, ``None`` if nothing is.

    Raises:
        PaperzooError: it is not to be replaced.
    """
    if not path.name:
        raise PaperzooError(f"cannot write {plain(path)}: it is a folder; name a file")
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    if kind := kind_of(mode):
        raise PaperzooError(f"cannot write {plain(path)}: it is {kind}, and only an ordinary file is replaced; choose another name")
    if not mode & 0o222 or not os.access(path, os.W_OK):
        raise PaperzooError(f"cannot write {plain(path)}: it is read-only; choose another name, or allow writing to it")
    return stat.S_IMODE(mode)


def _why(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _short(place: str | Path) -> str:
    """A path as text; of one that is too long to be one, its beginning."""
    text = plain(place)
    return text if len(text) <= 300 else f"{text[:100]}..."


def _a(what: str) -> str:
    return f"{'an' if what[0] in 'aeio' else 'a'} {what}"


def nearest_run(path: Path) -> str:
    """The runs beside a path where there is none, as the end of an error's sentence; empty if there are none."""
    runs: list[str] = []
    with suppress(OSError, ValueError):
        runs = sorted(record.parent.name for record in path.parent.glob("*/run.json"))
    near = difflib.get_close_matches(path.name, runs, 3, 0.4) or runs[:3]
    return f"; in {path.parent} there is {', '.join(near)}{', ...' if len(runs) > len(near) else ''}" if near else ""
