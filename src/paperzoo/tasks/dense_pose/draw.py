"""Held-out pictures with parts, U and V, annotated and found, and with a texture laid on whom the model finds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from paperzoo.data import Batch, Dataset
from paperzoo.tasks.dense_pose import drawing
from paperzoo.tasks.generation import spread
from paperzoo.tasks.pictures import compact, save

if TYPE_CHECKING:
    from paperzoo.tasks.dense_pose.contract import DensePoser

#: pictures that are shown, and the least side at which each is
SHOWN, SIDE = 6, 128


def pictures(model: DensePoser, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
    """``-parts``: a row a picture: it, what is annotated, then the parts, U and V that are found. ``-texture``: isolines and a texture."""
    from paperzoo.tasks.dense_pose.contract import merged

    batch, rows, laid = dataset[split].batch(spread(len(dataset[split]), SHOWN)), list[Image.Image](), list[Image.Image]()
    atlas = drawing.chequered()
    for i, found in enumerate(model.found(batch.image)):
        pixels = (batch.image[i].mul(255).round().byte().numpy()).transpose(1, 2, 0)
        picture = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels.repeat(3, 2))
        part, uv = merged(found, picture.height, picture.width)
        true = drawing.parts_picture(batch.parts[i].numpy()) if "parts" in vars(batch) else dotted(batch, i)
        maps = [drawing.parts_picture(part), *(drawing.value_picture(values, part) for values in uv)]
        rows.append(drawing.beside([large(one) for one in (picture, true, *maps)]))
        by = max(1, 256 // picture.width)
        whole, wide = picture.resize((by * picture.width, by * picture.height), Image.Resampling.BICUBIC), (by, by)
        part_l, uv_l = np.kron(part, np.ones(wide, np.int64)), np.stack([np.kron(values, np.ones(wide)) for values in uv])
        laid.append(drawing.beside([drawing.isolines(whole, part_l, uv_l), drawing.textured(whole, part_l, uv_l, atlas)]))
    return [
        save(compact(drawing.below(rows)), folder / f"{stem}-parts.png"),
        save(compact(drawing.below([drawing.beside(laid[i : i + 2]) for i in range(0, len(laid) - 1, 2)])), folder / f"{stem}-texture.png"),
    ]


def large(picture: Image.Image) -> Image.Image:
    """A picture at ``SIDE`` pixels or more, its pixels kept as squares."""
    by = max(1, SIDE // picture.width)
    return picture.resize((by * picture.width, by * picture.height), Image.Resampling.NEAREST)


def dotted(batch: Batch, item: int) -> Image.Image:
    """What is annotated of one picture where there are points alone: each in the colour of its part."""
    pixels = np.zeros((*batch.image.shape[2:], 3), np.uint8)
    part, at = batch.point_part[item].numpy(), np.floor(batch.points[item].numpy()).astype(np.int64)
    some = part > 0
    x, y = at[some].T
    pixels[y.clip(0, pixels.shape[0] - 1), x.clip(0, pixels.shape[1] - 1)] = drawing.COLOURS[part[some]]
    return Image.fromarray(pixels)
