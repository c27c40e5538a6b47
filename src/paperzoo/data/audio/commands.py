"""Speech Commands, and its ten digits as SC09 has them, from folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from paperzoo.data.audio.folder import keep
from paperzoo.data.audio.sounds import Sounds
from paperzoo.data.audio.speech import WORDS
from paperzoo.data.dataset import Dataset, Schema, Split, Values
from paperzoo.data.encoding import decode
from paperzoo.data.fetch.prepared import writable
from paperzoo.data.paths import below, names_in
from paperzoo.errors import PaperzooError
from paperzoo.terminal import plain

RATE, LENGTH = 16_000, 16_384
LISTS = {"validation": "validation_list.txt", "test": "testing_list.txt"}
#: folders of SC09 as WaveGAN's authors gave it out, whose files are named ``Zero_ab12_nohash_0.wav``
FOLDERS = {"train": "train", "validation": "valid", "test": "test"}


def speech_commands(path: Path, name: str = "speech-commands") -> Dataset:
    """``audio`` (N, 1, 16384) and ``label``: a second of one speaker's word and silence behind it, as it was recorded.

    The splits are those of the published lists, ``validation_list.txt`` and ``testing_list.txt``, which keep every speaker in one; or the
    folders ``train``, ``valid`` and ``test``. Neither loudness nor silence is changed; recordings of noise are left out.

    Args:
        path: Speech Commands' folder, one folder a word; or that of SC09.
        name: ``sc09`` for the ten digits alone.

    Raises:
        PaperzooError: a list is missing or names a file that is not there, or a file cannot be read.
    """
    wanted = WORDS if name == "sc09" else None
    recordings = _in_folders(path) if (path / "train").is_dir() else _in_lists(path)
    words = wanted or tuple(sorted({word for items in recordings.values() for _, word in items}))
    kept = {
        split: [(file, words.index(word)) for file, word in items if word in words] for split, items in recordings.items()
    }
    if missing := [split for split, items in kept.items() if not items]:
        raise PaperzooError(f"{plain(path)} has no recordings for {missing[0]}; it has: {names_in(path)}")
    files = [file for items in kept.values() for file, _ in items]
    arrays = keep(path, files, RATE, LENGTH, 1, 0.0, False)
    if arrays["why"].size:
        raise PaperzooError(f"{plain(files[int(arrays['bad'][0])])} cannot be used: {arrays['why'][0]}")
    audio, splits, start = writable(arrays["audio"]), {}, 0
    for split, items in kept.items():
        samples = Sounds(torch.from_numpy(audio[start : start + len(items)]))
        splits[split] = Split(samples, Values("label", torch.from_numpy(np.array([label for _, label in items], np.int64))))
        start += len(items)
    arguments = {"channels": 1, "rate": RATE, "length": LENGTH, "classes": len(words)}
    return Dataset(Schema(name, ("audio", "label"), arguments, words), splits, "", f"recordings in {path}", pictures=False)


def _in_lists(path: Path) -> dict[str, list[tuple[Path, str]]]:
    """Each split's recordings and their words, sorted by path."""
    named: dict[str, set[str]] = {}
    for split, file in LISTS.items():
        if not (path / file).is_file():
            raise PaperzooError(f"{plain(path)} has no {file}, which says what belongs to {split}; it has: {names_in(path)}")
        named[split] = set(decode((path / file).read_bytes(), plain(path / file)).split())
    inside = (file for file in below(path, ".wav") if file.parent.parent == path and not file.parent.name.startswith("_"))
    files = {file.relative_to(path).as_posix(): file for file in inside}
    for split, listed in named.items():
        if lost := sorted(entry for entry in listed if entry not in files):
            raise PaperzooError(
                f"{LISTS[split]} of {plain(path)} names {plain(lost[0])}, which is not there ({len(lost)} are not)"
            )
    place = {entry: split for split, listed in named.items() for entry in listed}
    recordings: dict[str, list[tuple[Path, str]]] = {"train": [], "validation": [], "test": []}
    for entry, recording in sorted(files.items()):
        recordings[place.get(entry, "train")].append((recording, recording.parent.name))
    return recordings


def _in_folders(path: Path) -> dict[str, list[tuple[Path, str]]]:
    recordings = {}
    for split, folder in FOLDERS.items():
        if not (path / folder).is_dir():
            raise PaperzooError(f"{plain(path)} has train/ and no {folder}/: SC09 has train/, valid/ and test/")
        recordings[split] = [(file, file.name.partition("_")[0].lower()) for file in sorted(below(path / folder, ".wav"))]
    return recordings
