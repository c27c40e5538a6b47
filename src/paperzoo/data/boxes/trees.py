"""Trees in aerial photographs, which people have marked: the examples of DeepForest."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from paperzoo.data.boxes.anchors import anchors_of
from paperzoo.data.boxes.columns import Marked, Marks
from paperzoo.data.boxes.geometry import Letterbox, area, letterboxed
from paperzoo.data.boxes.readers import of_voc
from paperzoo.data.boxes.table import DEEPFOREST
from paperzoo.data.dataset import Dataset, Images, Schema, Split, Values
from paperzoo.data.fetch.prepared import prepared
from paperzoo.data.fetch.readers import archive_read
from paperzoo.data.fetch.sources import sha256
from paperzoo.data.pictures import read_rgb
from paperzoo.errors import PaperzooError

#: side of the images; of the parts of the photographs, and how far one is from the next
SIZE, PART, STEP = 160, 400, {"train": 270, "validation": 400, "test": 400}
#: split -> photographs: one place in Yellowstone to train on, another to test on, and two in California and Florida for validation
PHOTOGRAPHS = {
    "train": ("2019_YELL_2_528000_4978000_image_crop2",),
    "validation": ("OSBS_029", "SOAP_061"),
    "test": ("2019_YELL_2_541000_4977000_image_crop",),
}
#: of a tree that a part's border cuts, this share must be in it
SEEN = 0.5
_VERSION = 1  # of the prepared arrays: change it whenever they come out differently


def trees(wheel: Path, image_size: int | None = None) -> Dataset:
    """Parts of four photographs, 400 pixels a side, one class: ``image`` (N, 3, S, S), ``boxes``, ``objects`` and their kin.

    Parts to train on overlap by a third; those of the other splits do not. A tree belongs to a part that shows half of it or more.

    Args:
        wheel: ``deepforest``, as Python's registry hands it out; it is read, never installed.
        image_size: height and width. Default: 160.

    Raises:
        PaperzooError: another package, or a damaged one.
    """
    size = image_size or SIZE
    arrays = prepared(f"trees-{_VERSION}-{sha256(wheel)[:8]}-{size}", lambda: _prepare(wheel, size))
    splits, shapes = {}, np.zeros((0, 2))
    for split in PHOTOGRAPHS:
        boxes = np.split(arrays[f"{split}-boxes"], arrays[f"{split}-count"].cumsum()[:-1])
        image = Images(torch.from_numpy(np.array(arrays[f"{split}-image"])))
        original = Values("original", torch.from_numpy(np.array(arrays[f"{split}-original"])))
        splits[split] = Split(image, Marked([Marks.of(corners) for corners in boxes]), original)
        if split == "train":
            shapes = arrays["train-boxes"][:, 2:] - arrays["train-boxes"][:, :2]
    arguments = {"channels": 3, "image_size": size, "classes": 1, **anchors_of(shapes)}
    fields = ("image", "boxes", "box_label", "difficult", "crowd", "objects", "original")
    return Dataset(Schema("trees", fields, arguments, ("tree",)), splits, DEEPFOREST.licence, f"photographs of NEON in {wheel.name}")


def _prepare(wheel: Path, size: int) -> dict[str, np.ndarray]:
    """Of each split ``image`` (N, 3, S, S), ``original`` (N, 2), ``count`` (N) and flat ``boxes`` (T, 4)."""
    arrays = dict[str, np.ndarray]()
    for split, names in PHOTOGRAPHS.items():
        images, originals, boxes = list[np.ndarray](), list[tuple[int, int]](), list[np.ndarray]()
        for name in names:
            picture, corners = _marked(wheel, name)
            for part, inside in parts(picture, corners, STEP[split]):
                box = Letterbox(part.height, part.width, size, size)
                images.append(letterboxed(part, size, size))
                originals.append((part.height, part.width))
                boxes.append(box.into(inside))
        flat = np.concatenate(boxes).astype(np.float32)
        counts = np.array([len(corners) for corners in boxes], np.int64)
        columns = {"image": np.stack(images), "original": np.array(originals, np.int64), "count": counts, "boxes": flat}
        arrays |= {f"{split}-{key}": array for key, array in columns.items()}
    return arrays


def _marked(wheel: Path, name: str) -> tuple[Image.Image, np.ndarray]:
    """A photograph and its boxes float64 (M, 4)."""
    inside = f"deepforest/data/{name}"
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / f"{name}.xml"
        place.write_bytes(archive_read(wheel, f"{inside}.xml"))
        marks = of_voc(place).marks
    try:
        with Image.open(io.BytesIO(archive_read(wheel, f"{inside}.png"))) as opened:
            picture = read_rgb(opened)
    except OSError as error:
        raise PaperzooError(f"{inside}.png in {wheel} is damaged: {error}") from error
    return picture, np.array([mark.box for mark in marks], np.float64).reshape(-1, 4)


def parts(picture: Image.Image, boxes: np.ndarray, step: int) -> list[tuple[Image.Image, np.ndarray]]:
    """Squares of a picture, and of each the boxes (M, 4) of which it shows ``SEEN`` or more, cut at its border and in its own pixels."""
    squares = []
    for top in _starts(picture.height, step):
        for left in _starts(picture.width, step):
            tall, wide = min(PART, picture.height), min(PART, picture.width)
            shifted = boxes - np.array([left, top, left, top])
            cut = np.clip(shifted, 0, [wide, tall, wide, tall])
            squares.append((picture.crop((left, top, left + wide, top + tall)), cut[area(cut) >= SEEN * area(shifted)]))
    return squares


def _starts(length: int, step: int) -> list[int]:
    """Where squares begin: side by side, as many as there is room for; of those that overlap the last is at the border."""
    last = max(0, length - PART)
    if step >= PART:
        return list(range(0, last + 1, step))
    number = -(-last // step)
    return [round(i * last / number) for i in range(number + 1)] if number else [0]
