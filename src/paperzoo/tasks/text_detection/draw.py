"""Held-out pictures with the text that the model finds in them, and what is written there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from PIL import Image

from paperzoo.data import Dataset
from paperzoo.tasks.generation import spread
from paperzoo.tasks.pictures import compact, save
from paperzoo.tasks.text_detection.drawing import drawn, linked

if TYPE_CHECKING:
    from paperzoo.tasks.text_detection.contract import TextDetector

#: pictures that are shown, those in a row, and the least side at which each is
SHOWN, COLUMNS, SIDE = 12, 4, 224
_GAP = 4


def pictures(model: TextDetector, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
    """Twelve pictures of the split, evenly spaced, with what is found, in orange, above what there is, in green."""
    batch = dataset[split].batch(spread(len(dataset[split]), SHOWN))
    images, sheet = as_pictures(batch.image), []
    times = max(1, SIDE // max(images[0].size))
    for i, (image, own) in enumerate(zip(images, model.found(batch.image), strict=True)):
        true = drawn(image, [("", quad) for quad in batch.quads[i, : int(batch.objects[i])].tolist()], times, "#009e73")
        sheet.append(drawn(true, [("", times * quad) for quad in own.quads]))
    return [save(compact(tiled(sheet)), folder / f"{stem}-text.png")]


def parts(model: TextDetector, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
    """Four pictures of the split with the strips that the model's lines are made of, what links them, and the lines."""
    batch = dataset[split].batch(spread(len(dataset[split]), COLUMNS))
    images = as_pictures(batch.image)
    times = max(1, SIDE // max(images[0].size))
    sheet = [linked(image, *made, times) for image, made in zip(images, model.made_of(batch.image), strict=True)]
    return [save(compact(tiled(sheet), 60_000), folder / f"{stem}-strips.png")]


def as_pictures(image: torch.Tensor) -> list[Image.Image]:
    """Images (N, C, H, W) in [0, 1] as pictures."""
    array = image.cpu().mul(255).round().byte().numpy()
    return [Image.fromarray(each.transpose(1, 2, 0) if each.shape[0] == 3 else each[0]) for each in array]


def tiled(sheet: list[Image.Image]) -> Image.Image:
    """Pictures of one size in rows, on white."""
    wide, tall = sheet[0].width + _GAP, sheet[0].height + _GAP
    whole = Image.new("RGB", (min(COLUMNS, len(sheet)) * wide - _GAP, -(-len(sheet) // COLUMNS) * tall - _GAP), "white")
    for place, image in enumerate(sheet):
        whole.paste(image, (place % COLUMNS * wide, place // COLUMNS * tall))
    return whole
