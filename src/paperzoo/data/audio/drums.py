"""Drums: one-shots out of packages of Debian, each kit under its own licence, sorted by what their names say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from paperzoo.data.audio.sounds import Sounds, prepare, read
from paperzoo.data.dataset import Dataset, Schema, Split, Values
from paperzoo.data.fetch.deb import deb_files
from paperzoo.data.fetch.prepared import prepared
from paperzoo.data.fetch.sources import sha256
from paperzoo.data.images.emoji import share_of
from paperzoo.errors import PaperzooError

#: classes and the words of a name that tell them; the first that fits counts
CLASSES = {
    "clap": r"clap|snap",
    "hi-hat": r"hi-?hat|hat|chh|ohh|\bhh|^hh|^ho_|openhat|cymbal_(closed|pedal)",
    "snare": r"snare|^sn|_sn|^sd_|^rs_|^sr_|rim|stick|\bsn\b",
    "kick": r"kick|bass ?drum|drum_bass|^bd|_bd|_k_\d|zome$",
    "tom": r"(?<!cus)tom|^t[12]_|^ft_",
    "cymbal": r"cymbal|crash|ride|splash|china|^cc_|^rc_|^cra_|paistebell",
    "percussion": (
        r"cowbell|conga|bongo|shaker|maraca|tambourine|clave|agogo|wood|cajon|djembe|sangban|dununba|kenkeni|tabla|^perc|triangle|"
        r"waterglass|^bell|_cb\b|blip|bong|click"
    ),
}
#: kits of ``hydrogen-drumkits`` that may be shown: CC0 and CC BY 3.0
FREE_KITS = ("Audiophob", "rumpf_kit_z01_h2")
#: what is no drum
LEFT_OUT = r"loop|emptysample|guit|ambi|mehackit|robot|^bass_|guitarstrums"

_KITS, _SAMPLES = "usr/share/hydrogen/data/drumkits", "usr/share/sonic-pi/samples"
_VERSION = 1  # of the prepared arrays: change it whenever they come out differently


def drums(*packages: Path, free: bool = False, rate: int = 16_000, length: int = 16_384) -> Dataset:
    """``audio`` (N, 1, ``length``) and ``label``, one of seven kinds of drum, by the name of the file or of the instrument it is for.

    A sound begins with its stroke, is as loud as all others (peak 0.9), is followed by silence, and fades out where it is longer. Sounds
    of no name that tells, 112 of the rumpf kit among them, are left out. Strokes on one instrument of a kit lie in one split: ``test``
    has the tenth of the instruments whose SHA-256 is lowest, ``validation`` the next.

    Args:
        packages: ``sonic-pi-samples``, ``hydrogen-drumkits`` and, but for ``free``, ``hydrogen-data``, as Debian packs them.
        free: of ``hydrogen-drumkits`` only the kits that are CC0 or CC BY, of which samples may be shown.

    Raises:
        PaperzooError: another package, or a damaged one.
    """
    key = "-".join(sha256(package)[:8] for package in packages)
    arrays = prepared(f"drums-{_VERSION}-{key}-{free}-{rate}-{length}", lambda: _prepare(packages, free, rate, length))
    audio, label, share = arrays["audio"], np.asarray(arrays["label"]), np.asarray(arrays["share"])
    place = {"train": share >= 0.2, "validation": (share >= 0.1) & (share < 0.2), "test": share < 0.1}
    splits = {}
    for split, chosen in place.items():
        if not chosen.any():
            raise PaperzooError(f"{', '.join(p.name for p in packages)} have no drums for {split}: other versions of them")
        splits[split] = Split(Sounds(torch.from_numpy(audio[chosen])), Values("label", torch.from_numpy(label[chosen])))
    arguments = {"channels": 1, "rate": rate, "length": length, "classes": len(CLASSES)}
    schema = Schema("drums", ("audio", "label"), arguments, tuple(CLASSES))
    return Dataset(schema, splits, "", f"drum sounds of {', '.join(p.name for p in packages)}", pictures=free)


def kind_of(name: str) -> int | None:
    """The class (its place in ``CLASSES``) that a file's or instrument's name tells; ``None`` if it tells none, or no drum."""
    lower = name.lower().replace("hihat", "hi-hat")
    if re.search(LEFT_OUT, lower):
        return None
    return next((number for number, words in enumerate(CLASSES.values()) if re.search(words, lower)), None)


def instrument(kit: str, name: str) -> str:
    """The instrument of a stroke: its kit and name, without velocity and take number."""
    stem = re.sub(r"[-_ ]*(hardest|hard|med|softest|soft|normal)?[-_ ]*\d*$", "", name.lower())
    return f"{kit}/{stem}"


def _prepare(packages: tuple[Path, ...], free: bool, rate: int, length: int) -> dict[str, np.ndarray]:
    """``audio`` int16 (N, 1, T), ``label`` and the ``share`` that says the split, sorted by kit and name."""
    clips, labels, shares = [], [], []
    for kit, file, name, data in sorted(_strokes(packages, free), key=lambda stroke: stroke[:2]):
        label = kind_of(name)
        if label is None:
            continue
        sound, file_rate = read(data, f"{file} of the kit {kit}")
        clip = prepare(sound, file_rate, rate, length)
        if clip is not None:
            clips.append(clip)
            labels.append(label)
            shares.append(share_of(instrument(kit, name)))
    if not clips:
        raise PaperzooError(
            f"{', '.join(p.name for p in packages)} have no drums: other packages, or other versions of them"
        )
    return {"audio": np.stack(clips), "label": np.array(labels, np.int64), "share": np.array(shares)}


def _strokes(packages: tuple[Path, ...], free: bool) -> Iterator[tuple[str, str, str, bytes]]:
    """Kit, file, the name that tells what it is, and the file's bytes."""
    for file, data in deb_files(packages[0], _SAMPLES, ".flac"):
        yield "sonic-pi", file, file.removesuffix(".flac"), data
    for package in packages[1:]:
        names: dict[tuple[str, str], str] = {}
        sounds: list[tuple[str, str, bytes]] = []
        for place, data in deb_files(package, _KITS):
            kit, _, file = place.partition("/")
            if file == "drumkit.xml":
                names |= {(kit, stroke): title for stroke, title in _titles(data)}
            elif file.lower().endswith((".wav", ".flac")) and (not free or kit in FREE_KITS):
                sounds.append((kit, file, data))
        for kit, file, data in sounds:
            title = names.get((kit, file), "")
            yield kit, file, title if kind_of(title) is not None else Path(file).stem, data


def _titles(xml: bytes) -> Iterator[tuple[str, str]]:
    """File and instrument of each stroke in a kit's list, read by its tags alone."""
    for part in xml.decode("utf-8", "replace").split("<instrument>")[1:]:
        name = re.search(r"<name>(.*?)</name>", part)
        for file in re.findall(r"<filename>(.*?)</filename>", part):
            if name and not name[1].startswith("Sample:"):
                yield file, name[1]
