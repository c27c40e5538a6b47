"""A table of faces: each attribute changed by itself, and every combination of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor

from paperzoo.data import Dataset
from paperzoo.tasks.attribute_translation.asking import kinds, one_changed, several_changed, together
from paperzoo.tasks.image_translation.measure import spread
from paperzoo.tasks.pictures import compact, grid, save

if TYPE_CHECKING:
    from paperzoo.tasks.attribute_translation.contract import AttributeTranslator

#: faces in a picture
SHOWN = 8


def changed(model: AttributeTranslator, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
    """A row a face: the held-out image, each attribute changed by itself, then every combination of them."""
    batch = dataset[split].batch(spread(len(dataset[split]), SHOWN))
    image, before = batch.image.cpu(), model.has(batch).cpu()
    units = kinds(model.attributes)
    columns = [image]
    for k in range(len(model.attributes)):
        columns.append(model.edited(image, one_changed(before, model.attributes, k)))
    for some in together(units):
        columns.append(model.edited(image, several_changed(before, some)))
    return [save(compact(table(torch.stack(columns, 1))), folder / f"{stem}-attributes.png")]


def table(faces: Tensor, scale: int = 1) -> Image.Image:
    """Pictures (N, columns, C, H, W) of N faces, a row each, ``scale`` times as large."""
    return grid(faces.flatten(0, 1), faces.shape[1], scale)  # (N, columns, C, H, W) -> (N * columns, C, H, W)
