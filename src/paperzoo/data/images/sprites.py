"""Sprites of The Battle for Wesnoth by the race of the unit, split so that no unit is on both sides."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from paperzoo.data.dataset import Dataset, Images, Schema, Split, Values
from paperzoo.data.fetch.deb import deb_files
from paperzoo.data.fetch.prepared import prepared
from paperzoo.data.fetch.sources import sha256
from paperzoo.data.images.table import WESNOTH
from paperzoo.errors import PaperzooError

SIZE = 72
GROUND = 128  # grey of the ground, of 0..255
SPLITS = ("train", "validation", "test")

#: classes with fewer pictures, or fewer groups of units that look alike, are left out
PICTURES, GROUPS = 60, 4
#: units with two pictures nearer than this belong together: root of the mean squared difference, of 0..255, at 24x24
NEAR = 10

_FOLDER = "usr/share/games/wesnoth/1.16/data/core/images/units"
_VERSION = 1  # of the prepared arrays: change it whenever they come out differently


def sprites(package: Path, image_size: int | None = None) -> Dataset:
    """Fighters of 17 races and guilds in colour on mid-grey: ``image`` and ``label`` (N); the label is the sprite's folder.

    Pictures are the middle 72x72 pixels, on which the game centres a unit; what reaches beyond (a lance, a wing) is cut off.
    Magenta marks where the game puts the player's colour, and is left as it is: most classes have it. Left out are
    pictures of which less than a sixteenth is drawn (shadows, sparks, bodies that fade away), repeated pictures, and
    classes with fewer than 60 pictures or too few different units.

    The frames of a unit's animation are nearly the same picture, so units are split, not frames. A unit is what its files'
    names begin with (``horseman`` of ``horseman-ne-attack3``), joined with those of its class that have a picture nearer
    than ``NEAR``. Of each class the unit with most pictures trains. Of the pictures of the others ``test`` gets up to a
    quarter and ``validation`` up to 15 %: units in the order of their names' SHA-256, as far as they fit, and at least one.

    Args:
        package: ``wesnoth-1.16-data``, as Debian packs it.
        image_size: height and width; smaller ones are averaged over the area, larger ones bicubic. Default: 72.

    Raises:
        PaperzooError: another package, or a damaged one.
    """
    size = image_size or SIZE
    arrays = prepared(f"sprites-{_VERSION}-{sha256(package)[:8]}", lambda: _prepare(package))
    splits = {}
    for number, name in enumerate(SPLITS):
        chosen = np.flatnonzero(arrays["split"] == number)
        image = np.stack([_resized(one, size) for one in arrays["image"][chosen]]).transpose(0, 3, 1, 2)  # (N, C, H, W)
        label = torch.from_numpy(arrays["label"][chosen])
        splits[name] = Split(Images(torch.from_numpy(np.ascontiguousarray(image))), Values("label", label))
    names = tuple(arrays["names"].tolist())
    schema = Schema("sprites", ("image", "label"), {"channels": 3, "image_size": size, "classes": len(names)}, names)
    return Dataset(schema, splits, WESNOTH.licence, f"units of The Battle for Wesnoth, from {package.name}", pictures=False)


def _resized(image: np.ndarray, size: int) -> np.ndarray:
    """uint8 (H, W, C) at another size: each pixel the mean over the area that it covers, or bicubic where it is larger."""
    if size >= SIZE:
        return image if size == SIZE else np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC))
    edge, pixel = np.arange(size)[:, None] * SIZE / size, np.arange(SIZE)
    covered = np.clip(np.minimum(edge + SIZE / size, pixel + 1) - np.maximum(edge, pixel), 0, None) * size / SIZE  # (S, H)
    columns = np.tensordot(covered, image, (1, 0))  # (S, W, C)
    return np.tensordot(covered, columns, (1, 1)).transpose(1, 0, 2).round().astype(np.uint8)  # (S, S, C)


def _prepare(package: Path) -> dict[str, np.ndarray]:
    """Every picture that is kept, in the order of its file's name: ``image`` (N, H, W, C), ``label``, ``split``, ``unit``."""
    by_class: dict[str, dict[str, np.ndarray]] = {}  # class -> file below it -> picture
    seen: set[bytes] = set()
    for name, image in sorted(_pictures(package)):
        kind, _, rest = name.partition("/")
        if rest and image.tobytes() not in seen:
            seen.add(image.tobytes())
            by_class.setdefault(kind, {})[rest] = image
    kept: dict[str, list[np.ndarray]] = {key: [] for key in ("image", "label", "split", "unit")}
    names: list[str] = []
    for kind, files in sorted(by_class.items()):
        image = np.stack(list(files.values()))  # (N, H, W, C)
        unit = alike(image, np.array([unit_of(name) for name in files]))
        if len(image) < PICTURES or len(set(unit)) < GROUPS:
            continue
        kept["image"].append(image)
        kept["label"].append(np.full(len(image), len(names)))
        kept["split"].append(share_out(unit, kind))
        kept["unit"].append(np.array([f"{kind}/{one}" for one in unit]))
        names.append(kind)
    if not names:
        raise PaperzooError(f"{package} has no class with {PICTURES} pictures of {GROUPS} units below {_FOLDER}")
    return {**{key: np.concatenate(values) for key, values in kept.items()}, "names": np.array(names)}


def _pictures(package: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Each sprite's path and its middle on grey, uint8 (H, W, C), unless there is hardly anything to see."""
    for name, data in deb_files(package, _FOLDER, ".png"):
        middle = middle_of(name, data, package)
        if np.asarray(middle)[..., 3].sum() >= 255 * SIZE**2 / 16:
            yield name, on_grey(middle)


def middle_of(name: str, data: bytes, package: Path) -> Image.Image:
    """A sprite's middle 72x72 pixels, on which the game centres a unit, as RGBA."""
    try:
        with Image.open(io.BytesIO(data)) as opened:
            drawn = opened.convert("RGBA")
    except (OSError, ValueError, SyntaxError) as error:
        raise PaperzooError(f"{name} in {package} is damaged: {error}") from error
    middle = Image.new("RGBA", (SIZE, SIZE))
    middle.paste(drawn, ((SIZE - drawn.width) // 2, (SIZE - drawn.height) // 2))
    return middle


def on_grey(middle: Image.Image) -> np.ndarray:
    """RGBA as uint8 (H, W, C) before mid-grey."""
    ground = Image.new("RGBA", middle.size, (GROUND, GROUND, GROUND))
    return np.asarray(Image.alpha_composite(ground, middle).convert("RGB"))


def unit_of(name: str) -> str:
    """The unit that a file of a class shows: the first word of its folder's name, or of its own if it lies in none."""
    return re.split(r"[-+_.\d]", name)[0] if "/" not in name else re.split(r"[-+_\d]", name.partition("/")[0])[0]


def alike(image: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Units (N) of the images (N, H, W, C) of a class, where units with near pictures now bear the name of the first."""
    blocks = image.reshape(len(image), 24, SIZE // 24, 24, SIZE // 24, 3).astype(np.float64)
    small = blocks.mean((2, 4)).round().reshape(len(image), -1)  # whole numbers, so that the products below are exact
    square = (small**2).sum(1)
    near = square[:, None] + square - 2 * small @ small.T < NEAR**2 * small.shape[1]  # (N, N)
    group = {name: name for name in unit.tolist()}
    for a, b in np.argwhere(near & (unit[:, None] != unit)):
        first, second = sorted((group[unit[a]], group[unit[b]]))
        group = {name: first if now == second else now for name, now in group.items()}
    return np.array([group[name] for name in unit.tolist()])


def share_out(unit: np.ndarray, kind: str, test: float = 0.25, validation: float = 0.15) -> np.ndarray:
    """The split of each picture (N) of a class, as its number in ``SPLITS``; the pictures of a unit stay together."""
    units, counts = np.unique(unit, return_counts=True)
    size = dict(zip(units.tolist(), counts.tolist(), strict=True))
    largest = max(size, key=lambda one: (size[one], one))
    free = sorted(size.keys() - {largest}, key=lambda one: hashlib.sha256(f"{kind}/{one}".encode()).digest())
    shared, split = len(unit) - size[largest], dict.fromkeys(size, SPLITS.index("train"))
    for name, share in (("test", test), ("validation", validation)):
        taken: list[str] = []
        for one in free:
            if sum(size[other] for other in (*taken, one)) <= share * shared:
                taken.append(one)
        taken = taken or [min(free, key=lambda one: (size[one], one))]
        split |= dict.fromkeys(taken, SPLITS.index(name))
        free = [one for one in free if one not in taken]
    return np.array([split[one] for one in unit.tolist()])
