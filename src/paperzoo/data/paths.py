"""Paths that a user names: what stands there is looked at before it is opened, for a pipe or a device would never end."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from paperzoo.errors import PaperzooError
from paperzoo.files import exists, kind_of, path_of


def apart(text: str) -> list[str]:
    """The two paths of ``A,B``, or the one. A path that is there may have a comma of its own."""
    if "," not in text or exists(text):
        return [text]
    cuts = [[text[:place], text[place + 1 :]] for place, character in enumerate(text) if character == ","]
    return next((cut for cut in cuts if all(map(exists, cut))), cuts[0])


class Missing(PaperzooError):
    """Nothing is there."""


def shown(path: str | Path) -> str:
    """A path as text that every encoding takes: bytes that are not UTF-8, and characters that are not printed, as escapes.

    Of one that no file system would take for its length, the beginning.
    """
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return text if len(text) <= 400 else f"{text[:60]}..."


def ordinary(place: str | Path, folders: bool = False) -> Path:
    """The path of an ordinary file, or of a link to one. Nothing is opened.

    Args:
        folders: a folder will do as well.

    Raises:
        PaperzooError: nothing is there (``Missing``); it is a pipe, a socket, a device or a folder; the name is too long; links lead in a
            circle; or a folder on the way may not be entered.
    """
    path = path_of(place)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise Missing(f"cannot read {shown(place)}: {_why(error)}") from None
    except (OSError, ValueError) as error:
        raise PaperzooError(f"cannot read {shown(place)}: {_why(error)}") from None
    if stat.S_ISREG(mode) or (folders and stat.S_ISDIR(mode)):
        return path
    kind = kind_of(mode) or "no ordinary file"
    hint = "name a file in it" if kind == "a folder" else "write what it gives into a file, and name that"
    raise PaperzooError(f"cannot read {shown(place)}: it is {kind}; {hint}")


def _why(error: OSError | ValueError) -> str:
    if not isinstance(error, OSError):
        return "no path has a zero byte in it"
    if error.errno == errno.ENAMETOOLONG:
        return "the name is too long (255 bytes at most, and 4095 for the whole path)"
    if error.errno == errno.ELOOP:
        return "it is a link that leads in a circle"
    return error.strerror or str(error)


def below(folder: Path, *endings: str) -> Iterator[Path]:
    """The files of a folder and its subfolders, however deep, whose names end so, in whatever case.

    Names that begin with a dot are left out, and links to folders are not followed.

    Raises:
        PaperzooError: a subfolder may not be read.
    """
    left = [folder]
    while left:
        here = left.pop()
        try:
            with os.scandir(here) as entries:
                content = [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            raise PaperzooError(f"cannot read the folder {shown(here)}: {_why(error)}") from None
        left += [Path(path) for path, is_folder in content if is_folder]
        yield from (Path(path) for path, is_folder in content if not is_folder and path.lower().endswith(endings))


def files_below(folder: Path, *endings: str) -> list[Path]:
    """``below`` in order of the paths; raises ``PaperzooError`` if there is no such file."""
    files = sorted(below(folder, *endings))
    if not files:
        raise PaperzooError(f"the folder {shown(folder)} has no {endings[0]} files")
    return files


def names_in(folder: Path, most: int = 10) -> str:
    """Some names of what is in a folder, for an error that says what was found instead."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        return _why(error)
    return ", ".join([*map(shown, names[:most]), *["..."] * (len(names) > most)]) or "nothing"


def first_of(folder: Path, names: Sequence[str]) -> Path | None:
    """The first of these files that a folder has, as it is or gzipped (``train.txt.gz``)."""
    return next((folder / n for name in names for n in (name, f"{name}.gz") if exists(folder / n)), None)


def suffix_of(path: Path) -> str:
    """The ending of a name in lower case, that of ``.gz`` aside: ``.tsv`` of ``a.TSV.gz``."""
    return (Path(path.stem) if path.suffix.lower() == ".gz" else path).suffix.lower()
