"""Cartoon faces whose expression changes while the person stays the same, drawn from the parts in the package python-avatars."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from paperzoo.data.dataset import Dataset, Schema, Split, Values
from paperzoo.data.fetch.prepared import prepared
from paperzoo.data.images import avatars
from paperzoo.data.images.table import AVATARS
from paperzoo.data.video.videos import Reel, Videos

#: the expressions that faces are drawn with: mouth, eyes, and eyebrows, plain and "natural"
LOOKS = {
    "calm": ("serious", "default", "default", "default_natural"),
    "smiling": ("big_smile", "happy", "default", "default_natural"),
    "surprised": ("scream_open", "surprised", "raised_excited", "raised_excited_natural"),
    "angry": ("grimace", "squint", "angry", "angry_natural"),
    "eyes closed": ("serious", "closed", "default", "default_natural"),
    "mouth open": ("default", "default", "default", "default_natural"),
    "mouth round": ("disbelief", "default", "default", "default_natural"),
}

#: motions by label. The first two are each other backwards: only the order of frames tells them apart
MOTIONS = ("smile", "smile fades", "surprise", "anger", "talk")
#: the look of a motion that comes, stays for a while and goes
PASSING = {"surprise": "surprised", "anger": "angry"}

#: people by split; nobody is in two of them
PEOPLE = {"train": 1_000, "validation": 100, "test": 200}

_VERSION = 1  # of the prepared arrays: change it whenever they come out differently


def course(motion: str, frames: int, random: np.random.Generator) -> np.ndarray:
    """How much of each look every frame has: float32 (T, looks), rows sum to 1; at most one look beside the calm one.

    A smile comes after a while, within two to five frames, and stays; one that fades is the same backwards. Surprise and anger come
    and go. Whoever talks opens the mouth, wide and round in turn, and blinks once in between.
    """
    looks, time = list(LOOKS), np.arange(frames)
    share = np.zeros((frames, len(looks)), np.float32)

    def hump(rises: float, rise: float, falls: float, fall: float) -> np.ndarray:
        """From 0 to 1 within ``rise`` frames from ``rises`` on, and back within ``fall`` from ``falls`` on."""
        there: np.ndarray = np.clip((time - rises) / rise, 0, 1) * (1 - np.clip((time - falls) / fall, 0, 1))
        return there

    def between(low: float, high: float) -> float:
        return float(random.uniform(low, high))

    if motion in ("smile", "smile fades"):
        smiling = hump(between(1, 0.5 * frames), between(2, 5), frames, 1)
        share[:, looks.index("smiling")] = smiling if motion == "smile" else smiling[::-1]
    elif motion in PASSING:
        rises = between(0, 0.3 * frames)
        share[:, looks.index(PASSING[motion])] = hump(rises, between(1.5, 3), rises + between(0.35, 0.45) * frames, between(2, 4))
    else:
        start, number = between(0, 2), 0
        while start < frames:
            lasts = between(2, 3.5)
            opened = hump(start, 1, start + lasts - 1, 1)
            share[:, looks.index(("mouth open", "mouth round", "eyes closed")[number % 3])] += opened
            start, number = start + lasts + 0.5, number + 1
        share /= np.maximum(share.sum(1, keepdims=True), 1)
    share[:, 0] = 1 - share[:, 1:].sum(1)
    return share


class Expressing:
    """A video that is made when it is asked for: one person's looks, faded into each other as a motion says.

    Args:
        looks: the person's pictures, uint8 (looks, C, H, W), in the order of ``LOOKS``.
        split, index: when what happens is a pure function of these.
    """

    def __init__(self, looks: np.ndarray, split: int, index: int, motion: str, frames: int) -> None:
        self.looks, self.split, self.index, self.motion, self.frames = looks, split, index, motion, frames

    def __len__(self) -> int:
        return self.frames

    def read(self, start: int, stop: int) -> np.ndarray:
        """Frames ``start`` to ``stop`` without the last, uint8 (T, C, H, W)."""
        random = np.random.Generator(np.random.Philox(key=[self.split, self.index]))
        share = course(self.motion, self.frames, random)[start:stop]
        needed = np.flatnonzero(share.any(0))
        mixed = np.tensordot(share[:, needed], self.looks[needed].astype(np.float32), 1)  # (T, C, H, W)
        return mixed.round().astype(np.uint8)


def avatar_expressions(wheel: Path, image_size: int | None = None, frames: int = 16, people: Sequence[int] | None = None) -> Dataset:
    """Each of 1,300 people smiling, ceasing to smile, surprised, angry and talking: a clip of each, seen from the front.

    ``label`` is the motion (``MOTIONS``), ``content`` the person's number. A person is hair, skin, glasses, beard, eyebrows and
    clothes, drawn evenly and independently with a fixed seed, no two alike; mouth, eyes and eyebrows do what the motion says
    (``course``), each look faded into the next. People of one split are in no other. Framed as the faces of ``avatars``.

    Args:
        wheel: ``python_avatars-1.4.1-py3-none-any.whl``; its drawings are read, nothing of it is run.
        image_size: height and width. Default: 64; faces are drawn at 64 pixels, or at this size if it is larger.
        people: how many in ``train``, ``validation`` and ``test``, if not ``PEOPLE``.

    Raises:
        PaperzooError: no renderer is installed, or the wheel lacks a part.
    """
    size, counts = image_size or 64, list(people or PEOPLE.values())
    drawn = max(64, size)
    total = sum(counts)
    arrays = prepared(f"avatar-expressions-{_VERSION}-{drawn}-{total}", lambda: {"image": draw(wheel, total, drawn)})
    image, splits, first = arrays["image"], {}, 0  # (P, looks, 3, H, W)
    for number, (name, count) in enumerate(zip(PEOPLE, counts, strict=True)):
        person = np.repeat(np.arange(first, first + count), len(MOTIONS))
        label = np.tile(np.arange(len(MOTIONS)), count)
        looks = smaller(image[first : first + count], size)
        reels: list[Reel] = [
            Expressing(looks[who - first], number, i, MOTIONS[motion], frames)
            for i, (who, motion) in enumerate(zip(person, label, strict=True))
        ]
        splits[name] = Split(
            Videos(reels, size, frames), Values("label", torch.from_numpy(label)), Values("content", torch.from_numpy(person))
        )
        first += count
    arguments = {"channels": 3, "image_size": size, "classes": len(MOTIONS), "frames": frames}
    schema = Schema("avatar-expressions", ("video", "label", "content"), arguments, MOTIONS)
    return Dataset(schema, splits, AVATARS.licence, "drawn from the parts of the package python-avatars 1.4.1, with seed 0")


def smaller(image: np.ndarray, size: int) -> np.ndarray:
    """Pictures (..., C, H, W) at ``size``, each pixel the mean of the area that it stands for; as they are if they have that size."""
    if image.shape[-1] == size:
        return image
    pictures = image.reshape(-1, *image.shape[-3:]).transpose(0, 2, 3, 1)  # (N, H, W, C)
    small = [np.asarray(Image.fromarray(one).resize((size, size), Image.Resampling.BOX)) for one in np.ascontiguousarray(pictures)]
    return np.stack(small).transpose(0, 3, 1, 2).reshape(*image.shape[:-2], size, size)


def draw(wheel: Path, people: int, size: int) -> np.ndarray:
    """Each person with each look, uint8 (people, looks, 3, size, size).

    Raises:
        PaperzooError: as ``avatar_expressions``.
    """
    faces = (
        {**person, "mouth": mouth, "eyes": eyes, "brows": natural if bushy else plain}
        for person, bushy in choose(people)
        for mouth, eyes, plain, natural in LOOKS.values()
    )
    image = avatars.faces(wheel, faces, people * len(LOOKS), size)
    return image.reshape(people, len(LOOKS), *image.shape[1:])  # (P looks, C, H, W) -> (P, looks, C, H, W)


def choose(people: int, seed: int = 0) -> list[tuple[dict[str, str], bool]]:
    """The parts of ``people`` different faces, and whether their eyebrows are of the "natural" kind."""
    random, options = np.random.default_rng(seed), avatars.person()
    drawn = random.integers(0, [*map(len, options.values()), 2], (2 * people, len(options) + 1))
    faces: dict[tuple[str | int, ...], tuple[dict[str, str], bool]] = {}
    for row in drawn.tolist():
        chosen = {name: values[i] for (name, values), i in zip(options.items(), row, strict=False)}
        faces.setdefault((*chosen.values(), row[-1]), (chosen, bool(row[-1])))
    return list(faces.values())[:people]
