"""Source, translation and truth, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor

from paperzoo.data import Dataset
from paperzoo.tasks.image_translation.measure import spread
from paperzoo.tasks.pictures import compact, grid, save, slider

if TYPE_CHECKING:
    from paperzoo.tasks.image_translation.contract import ImageTranslator

#: held-out images in a picture, and those under the slider, side by side, each at least so many pixels wide
SHOWN, UNDER, WIDE = 12, 4, 160


def translations(model: ImageTranslator, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
    """Twelve held-out images, a column each: source, translation and, where the split is paired, the truth, from top to bottom.

    Where there is a way back also the translation translated back; and a second picture begins with the images of domain B. Four of
    them lie under a slider, for the report: the source on its left, the translation on its right.
    """
    batch = dataset[split].batch(spread(len(dataset[split]), SHOWN))
    ways = {"b": (batch.image_a.cpu(), batch.image_b.cpu()), "a": (batch.image_b.cpu(), batch.image_a.cpu())}
    paired, paths = split in dataset.schema.arguments["paired"], []
    for to in model.domains:
        source, truth = ways[to]
        rows = [source, model.translated(source, to), *([truth] if paired else [])]
        if len(model.domains) > 1:
            rows.append(model.translated(rows[1], "a" if to == "b" else "b"))
        paths.append(save(compact(table(rows)), folder / f"{stem}-translations{'' if to == 'b' else '-back'}.png"))
    source = ways["b"][0][:: SHOWN // UNDER]
    both = [grid(images, len(images), max(1, WIDE // images.shape[-1])) for images in (source, model.translated(source))]
    paths.append(slider(both[0], both[1], ("source", "translation"), folder / f"{stem}-slider.html"))
    return paths


def table(rows: list[Tensor]) -> Image.Image:
    """Rows of images (N, C, H, W), one below the other."""
    return grid(torch.cat(rows), len(rows[0]), scale=max(1, 64 // rows[0].shape[-1]))
