"""The user's own sounds: a folder of them, in class folders or not."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from paperzoo.data.audio.sounds import (
    ENDINGS,
    PEAK,
    RATES,
    SILENCE,
    Sounds,
    fitted,
    levelled,
    library,
    mixed,
    read,
    resampled,
    trimmed,
    whole,
    windows,
)
from paperzoo.data.dataset import Dataset, Schema, Split, Values
from paperzoo.data.fetch.fingerprint import digest, fingerprint
from paperzoo.data.fetch.prepared import prepared, writable
from paperzoo.data.listing import (
    Item,
    Skipped,
    class_name,
    complain,
    copies,
    cut,
    entries,
    folders_of,
    say_copies,
    say_few,
    some_of_each,
    split_folders,
)
from paperzoo.data.options import options
from paperzoo.errors import PaperzooError
from paperzoo.files import kind_of
from paperzoo.terminal import plain

#: what follows ``sounds:PATH#``
OPTIONS = {
    "rate": "samples a second, 16000 by default",
    "length": "samples of a window, 16384 by default",
    "channels": "1 by default, or 2 for stereo",
    "peak": "the greatest amplitude of each sound in hundredths, 90 by default; 0 leaves sounds as loud as they are",
}
LEAST = {"rate": 1000, "length": 64, "channels": 1, "peak": 0}
RATE, LENGTH = 16_000, 16_384
#: more samples a second than any recording has
FASTEST = RATES[1]
_VERSION = 2  # of the prepared arrays: change it whenever they come out differently


def sound_folder(path: Path, text: str = "", strict: bool = False) -> Dataset:
    """Sounds anywhere below a folder, its folders the classes if there are two or more: ``audio`` (N, C, T), and ``label``.

    Every sound is mixed to ``channels``, resampled once to ``rate``, its silence at both ends left out (what is 40 dB below its peak), its
    peak brought to 0.9, and cut into windows of ``length`` that follow each other; what is left at its end is filled up with silence if it
    is at least half a window, and so is a sound that is shorter than one. Windows that are silent are left out. What comes out is kept in
    the cache until a file or an option changes.

    Folders ``train``, ``validation`` and ``test`` are taken as the splits; one that is missing is cut from ``train`` as those of
    ``folder:``, by file, so that windows of one recording and equal files stay together.

    Args:
        text: options, see ``OPTIONS``.
        strict: refuse what cannot be read or is silent rather than leave it out with a warning.

    Raises:
        PaperzooError: no such folder, no sounds in it, an option out of range, or too few sounds to keep any for a test.
    """
    chosen = {k: int(v) for k, v in options(text, OPTIONS, plain(path.name), LEAST).items()}
    rate, length = chosen.get("rate", RATE), chosen.get("length", LENGTH)
    channels, peak = chosen.get("channels", 1), chosen.get("peak", round(100 * PEAK)) / 100
    if rate > FASTEST or length > 2**24 or channels > 2 or peak > 1:
        most = f"rate is at most {FASTEST:,}, length {2**24:,}, channels 2 and peak 100"
        raise PaperzooError(f"{plain(path.name)}: {most}")
    library()
    by_split, names = _files(path, strict)
    files = [file for items in by_split.values() for file, _ in items]
    arrays = keep(path, files, rate, length, channels, peak, True)
    bad = {files[int(number)]: str(why) for number, why in zip(arrays["bad"], arrays["why"], strict=True)}
    _complain_unread(path, bad, len(files), strict)
    some_of_each(by_split["train"], names, bad, path, "sound")
    kept = {split: [item for item in items if item[0] not in bad] for split, items in by_split.items()}
    groups = copies(file for items in kept.values() for file, _ in items)
    splits = cut(kept, path, groups, "sounds")
    say_copies(kept, groups, path, stacklevel=4)
    say_few(splits, names, path, stacklevel=4)
    audio, of = writable(arrays["audio"]), np.asarray(arrays["file"])
    number, built = {file: i for i, file in enumerate(files)}, {}
    for split, items in splits.items():
        rows = [np.flatnonzero(of == number[file]) for file, _ in items]
        label = np.repeat([label for _, label in items], [len(row) for row in rows]).astype(np.int64)
        samples = Sounds(torch.from_numpy(audio[np.concatenate(rows)]))
        built[split] = Split(samples, *([Values("label", torch.from_numpy(label))] if names else []))
    arguments = {"channels": channels, "rate": rate, "length": length, **({"classes": len(names)} if names else {})}
    schema = Schema(f"sounds:{path}", ("audio", *(["label"] if names else [])), arguments, names)
    return Dataset(schema, built, "the user's own", f"sounds in {path}", pictures=False)


def keep(
    root: Path, files: Sequence[Path], rate: int, length: int, channels: int, peak: float, cutting: bool
) -> Mapping[str, np.ndarray]:
    """The windows of these files, kept in the cache: ``audio`` int16 (N, C, T), ``file`` (N) the number of each window's, and ``bad`` and
    ``why``, the numbers of those that cannot be used and the reasons.

    Args:
        cutting: leave out silence, and cut into windows; else the beginning of each as it is.
    """
    contents = digest({k: v for k, v in fingerprint(root).items() if k.lower().endswith(ENDINGS)})
    listed = hashlib.sha256(
        "\n".join(file.relative_to(root).as_posix() for file in files).encode("utf-8", "surrogateescape")
    ).hexdigest()[:8]
    name = f"sounds-{_VERSION}-{contents}-{listed}-{rate}-{length}-{channels}-{peak:g}-{cutting}"
    return prepared(
        name,
        lambda: _read_all(files, partial(_windows, rate=rate, length=length, channels=channels, peak=peak, cutting=cutting)),
    )


def _read_all(files: Sequence[Path], made: partial[list[np.ndarray] | str]) -> dict[str, np.ndarray]:
    audio, of, bad, why = [], [], [], []
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for number, result in enumerate(pool.map(made, files)):
            if isinstance(result, str):
                bad.append(number)
                why.append(result)
            else:
                audio += result
                of += [number] * len(result)
    shape = (0, int(made.keywords["channels"]), int(made.keywords["length"]))
    return {
        "audio": np.stack(audio) if audio else np.zeros(shape, np.int16),
        "file": np.array(of, np.int64),
        "bad": np.array(bad, np.int64),
        "why": np.array(why, np.str_),
    }


def _windows(file: Path, rate: int, length: int, channels: int, peak: float, cutting: bool) -> list[np.ndarray] | str:
    """A file's windows, int16 (C, T) each; or why it has none."""
    try:
        sound, file_rate = read(file, file.name)
        sound = resampled(mixed(sound, channels), file_rate, rate)
    except PaperzooError as error:
        return str(error)
    if not cutting:
        return [whole(fitted(levelled(sound, peak), length, rate))]
    loud = trimmed(sound)
    if not loud.shape[1]:
        return f"{plain(file.name)} is silent"
    loud = levelled(loud, peak)
    limit = np.abs(loud).max() * 10 ** (-SILENCE / 20)
    return [whole(part) for part in windows(loud, length) if np.abs(part).max() > limit]


def _complain_unread(root: Path, bad: Mapping[Path, str], total: int, strict: bool) -> None:
    if not bad:
        return
    message = f"{len(bad)} of {total} sounds in {plain(root)} cannot be used: {'; '.join(list(bad.values())[:3])}{'; ...' * (len(bad) > 3)}"
    if strict or len(bad) == total:
        raise PaperzooError(message)
    warnings.warn(f"{message}. They are left out", stacklevel=3)


def _files(root: Path, strict: bool) -> tuple[dict[str, list[Item]], tuple[str, ...]]:
    """Each split's sounds with their labels, sorted by path, and the classes' names (none: sounds without labels)."""
    skipped = Skipped(list)
    by_split: dict[str, dict[str, list[Path]]] = {}
    for split, folder in split_folders(root).items():
        classes = {class_name(f): _walk(f, skipped) for f in folders_of(folder)}
        classes = {name: files for name, files in classes.items() if files}
        loose = _walk(folder, skipped, deep=False)
        if classes and loose:
            skipped["sounds beside the class folders"] += loose
        by_split[split] = classes or {"": loose}
    complain(root, skipped, strict, stacklevel=4)
    names = tuple(name for name in by_split["train"] if name)
    if not any(by_split["train"].values()):
        raise PaperzooError(f"{plain(root)} has no sounds ({', '.join(ending[1:] for ending in ENDINGS[:5])} and others)")
    for split, classes in by_split.items():
        if strange := sorted(set(classes) - set(by_split["train"])):
            extra = f"the class {plain(strange[0])}" if strange[0] else "sounds in no class folder"
            raise PaperzooError(f"{split} of {plain(root)} has {extra}, which train has not")
    number = {name: i for i, name in enumerate(names)} if len(names) > 1 else defaultdict(int)
    files = {s: [(p, number[c] if c else 0) for c in classes for p in classes[c]] for s, classes in by_split.items()}
    return files, names if len(names) > 1 else ()


def _walk(folder: Path, skipped: Skipped, deep: Literal[True, False] = True) -> list[Path]:
    """The sounds of a folder by name, and of those in it if ``deep``; links to folders are not followed, pipes never opened."""
    files: list[Path] = []
    for path in entries(folder):
        try:
            kind = kind_of(path.stat().st_mode)
        except OSError:
            skipped["links to nothing, or files that may not be read"].append(path)
            continue
        if kind == "a folder":
            files += _walk(path, skipped) if deep and not path.is_symlink() else []
        elif kind:
            skipped["pipes, devices or sockets, which are never opened"].append(path)
        elif path.suffix.lower() in ENDINGS:
            files.append(path)
    return files
