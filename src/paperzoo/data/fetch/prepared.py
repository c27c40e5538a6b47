"""Data prepared once into arrays on disk, memory-mapped ever after."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from paperzoo.data.fetch.sources import cache, lock
from paperzoo.errors import PaperzooError


def prepared(name: str, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays called ``name`` from the cache, made by ``make`` the first time. A folder appears whole or not at all.

    Args:
        name: must change whenever ``make`` would give other arrays.
    """
    folder = cache() / "prepared" / name
    if not folder.exists():
        with lock(folder):
            if not folder.exists():
                _make(folder, make)
    try:
        return {path.stem: np.load(path, mmap_mode="r", allow_pickle=False) for path in sorted(folder.glob("*.npy"))}
    except (OSError, ValueError, EOFError) as error:
        raise PaperzooError(f"{folder} is damaged ({error}): delete it, and it is prepared again") from error


def writable(mapped: np.ndarray) -> np.ndarray:
    """One of these arrays, its file mapped copy-on-write: torch takes no array that is read-only, and the file must not change."""
    assert isinstance(mapped, np.memmap)
    again: np.ndarray = np.load(str(mapped.filename), mmap_mode="c")
    return again


def _make(folder: Path, make: Callable[[], dict[str, np.ndarray]]) -> None:
    scratch = None
    try:
        scratch = Path(tempfile.mkdtemp(dir=folder.parent))
        for key, array in make().items():
            np.save(scratch / f"{key}.npy", array, allow_pickle=False)
        os.replace(scratch, folder)
    except OSError as error:
        raise PaperzooError(f"cannot write prepared data to {folder.parent}: {error.strerror or error}") from error
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
