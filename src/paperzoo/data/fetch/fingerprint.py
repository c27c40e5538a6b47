"""Which files a run was trained on, so that a later change can be noticed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from paperzoo.data.paths import apart
from paperzoo.errors import listed
from paperzoo.files import path_of

#: beyond so many bytes in all, files are compared by size and both their ends, not by all of their content
LARGE = 2**30
#: files listed by name; of more there is only the number
LISTED = 50_000

#: relative path -> size and content, as text
Files = dict[str, str]


def fingerprint(path: Path) -> Files:
    """Every ordinary file below a folder (or the file itself), with its size and a hash of its content.

    Hidden files are left out, and so are runs that lie below the folder: they are no data. Of two folders, ``A,B``, the names of
    files begin with ``A/`` and ``B/``.
    """
    if len(places := apart(str(path))) > 1:
        return {f"{domain}/{k}": v for domain, place in zip("AB", places, strict=True) for k, v in fingerprint(path_of(place)).items()}
    files = [path] if path.is_file() else _below(path)
    sizes = {file: file.stat().st_size for file in files}
    whole = sum(sizes.values()) <= LARGE
    root = path.parent if path.is_file() else path
    return {file.relative_to(root).as_posix(): f"{size} {_content(file, size, whole)}" for file, size in sizes.items()}


def _below(root: Path) -> list[Path]:
    paths: list[Path] = []
    for place, folders, names in os.walk(root):
        if "run.json" in names:
            folders.clear()
            continue
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        paths += [Path(place, n) for n in sorted(names) if not n.startswith(".") and Path(place, n).is_file()]
    return paths


def _content(file: Path, size: int, whole: bool) -> str:
    total, end = hashlib.sha256(), 2**16
    with file.open("rb") as opened:
        if whole or size <= 2 * end:
            for part in iter(lambda: opened.read(2**20), b""):
                total.update(part)
        else:
            total.update(opened.read(end))
            opened.seek(-end, os.SEEK_END)
            total.update(opened.read(end))
    return total.hexdigest()[:16]


def digest(files: Mapping[str, str]) -> str:
    """One hash over all files."""
    return hashlib.sha256("\n".join(f"{k} {v}" for k, v in sorted(files.items())).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def difference(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """The differences in words; empty if there are none."""
    kinds = {
        "new": sorted(now.keys() - before.keys()),
        "missing": sorted(before.keys() - now.keys()),
        "changed": sorted(k for k in before.keys() & now.keys() if before[k] != now[k]),
    }
    return ", ".join(
        f"{len(names)} {'file' if len(names) == 1 else 'files'} {kind} ({listed(names)})"
        for kind, names in kinds.items()
        if names
    )
