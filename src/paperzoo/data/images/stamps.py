"""Mostly photographs, cut out along their outlines, from the stamps of Tux Paint, in twelve classes."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from paperzoo.data.dataset import Dataset, Images, Schema, Split, Values
from paperzoo.data.fetch.deb import deb_files
from paperzoo.data.fetch.prepared import prepared
from paperzoo.data.fetch.sources import sha256
from paperzoo.data.images.table import TUXPAINT
from paperzoo.errors import PaperzooError

SIZE = 96
SPLITS = ("train", "validation", "test")

#: what the labels are called, and the folders of which each is made
CLASSES = {
    "birds": ("animals/birds",),
    "coins": (
        "symbols/money/canadian/coins", "symbols/money/euro/coins", "symbols/money/japanese", "symbols/money/us/coins",
    ),
    "fish and shellfish": ("animals/fish", "animals/shellfish"),
    "flowers": ("plants/flowers",),
    "fruit": ("food/fruit",),
    "insects": ("animals/insects",),
    "instruments": ("hobbies/music",),
    "mammals": ("animals/mammals", "animals/marsupials"),
    "road signs": ("town/roadsigns",),
    "tools": ("household/tools",),
    "vegetables": ("food/vegetables",),
    "vehicles": ("vehicles", "military/vehicles"),
}  # fmt: skip

# drawings and toys; pictures turned left to right that are there unturned as well; wheels without a vehicle
_NOT = ("/cartoon/", "/toys/", "_mirror.", "vehicles/7spoke256.", "vehicles/wheel_tractor.")
FOLDER = "usr/share/tuxpaint/stamps"
_VERSION = 1  # of the prepared arrays: change it whenever they come out differently


def stamps(package: Path, image_size: int | None = None) -> Dataset:
    """Some 280 things and animals in colour on white: ``image`` and ``label`` (N), 9 to 67 a class.

    Whole pictures, put in the middle of a white square. Of each class the first 30 % in the order of their names' SHA-256
    are ``test``, the next tenth ``validation`` (at least one). There are so few that an accuracy is good to some five points.

    Args:
        package: ``tuxpaint-stamps-default``, as Debian packs it.
        image_size: they are kept at 96 pixels, or at this size if it is larger; the caller makes them smaller.

    Raises:
        PaperzooError: another package, or a damaged one.
    """
    size = max(SIZE, image_size or SIZE)
    arrays = prepared(f"stamps-{_VERSION}-{sha256(package)[:8]}-{size}", lambda: _prepare(package, size))
    splits = {}
    for number, name in enumerate(SPLITS):
        chosen = np.flatnonzero(arrays["split"] == number)
        image, label = (torch.from_numpy(arrays[key][chosen]) for key in ("image", "label"))
        splits[name] = Split(Images(image), Values("label", label))
    arguments = {"channels": 3, "image_size": size, "classes": len(CLASSES)}
    schema = Schema("stamps", ("image", "label"), arguments, tuple(CLASSES))
    return Dataset(schema, splits, TUXPAINT.licence, f"stamps of Tux Paint, from {package.name}", pictures=False)


def class_of(name: str) -> int | None:
    """The label of a file by its path below the stamps' folder; ``None`` if it is of no class or no photograph."""
    if any(part in name for part in _NOT):
        return None
    return next((k for k, folders in enumerate(CLASSES.values()) if name.startswith(tuple(f"{f}/" for f in folders))), None)


def _prepare(package: Path, size: int) -> dict[str, np.ndarray]:
    """``image`` (N, C, H, W), ``label``, ``split`` and ``name``, in the order of the names."""
    by_name = {}
    for name, data in deb_files(package, FOLDER, ".png"):
        if (kind := class_of(name)) is not None:
            try:
                by_name[name] = (kind, square(data, size))
            except (OSError, ValueError, SyntaxError) as error:
                raise PaperzooError(f"{name} in {package} is damaged: {error}") from error
    names = sorted(by_name)
    label = np.array([by_name[name][0] for name in names], np.int64)
    if missing := [title for k, title in enumerate(CLASSES) if (label == k).sum() < 3]:
        raise PaperzooError(f"{package} has fewer than three pictures of {', '.join(missing)}: another version of it")
    split = np.zeros(len(names), np.int64)
    for k in range(len(CLASSES)):
        order = sorted(np.flatnonzero(label == k), key=lambda i: hashlib.sha256(names[i].encode()).digest())
        test, validation = (max(1, round(share * len(order))) for share in (0.3, 0.1))
        split[order[:test]], split[order[test : test + validation]] = SPLITS.index("test"), SPLITS.index("validation")
    image = np.stack([by_name[name][1] for name in names])
    return {"image": image, "label": label, "split": split, "name": np.array(names)}


def square(data: bytes, size: int) -> np.ndarray:
    """A picture in the middle of a white square, uint8 (3, size, size).

    Raises:
        OSError, ValueError, SyntaxError: it cannot be read, as Pillow says it.
    """
    with Image.open(io.BytesIO(data)) as opened:
        drawn = opened.convert("RGBA")
    side = max(drawn.size)
    ground = Image.new("RGBA", (side, side), "white")
    ground.alpha_composite(drawn, ((side - drawn.width) // 2, (side - drawn.height) // 2))
    return np.asarray(ground.convert("RGB").resize((size, size), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
