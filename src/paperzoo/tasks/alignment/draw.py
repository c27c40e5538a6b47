"""Pictures with the region of each word, as in the figures of Karpathy and Fei-Fei 2014."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from paperzoo.data import Dataset
from paperzoo.data.captions.words import PAD
from paperzoo.tasks.pictures import save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from paperzoo.tasks.alignment.contract import Aligner

#: x0, y0, x1, y1 in pixels
Box = tuple[float, float, float, float]

#: pictures that are shown, and those in a row
SHOWN, COLUMNS = 8, 4


def draw(model: Aligner, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
    """Eight pictures of the split with the first caption of each: runs of words in the region that they share."""
    from matplotlib.figure import Figure

    items = dataset[split]
    batch = items.batch(np.linspace(0, len(items) - 1, min(len(items), SHOWN)).astype(int))
    sentences = model.sentences(batch.captions)  # (N, K, T)
    rows = -(-len(batch.image) // COLUMNS)
    figure = Figure(figsize=(2.4 * COLUMNS, 2.9 * rows), layout="constrained")
    for place, axes in enumerate(figure.subplots(rows, COLUMNS, squeeze=False).ravel()):
        axes.set_axis_off()
        if place < len(batch.image):
            numbers = sentences[place, :1, : int((sentences[place, 0] != PAD).sum())]  # (1, T)
            words = [model.vocabulary[number] for number in numbers[0].tolist()]
            _, places = model.aligned(batch.image[place : place + 1], numbers)
            put(axes, batch.image[place].cpu(), words, [model.box(one) for one in places])
    folder.mkdir(parents=True, exist_ok=True)
    return [save(figure, folder / f"{stem}-regions.png")]


def regions_of(image: Tensor, words: Sequence[str], boxes: Sequence[Box]) -> Figure:
    """One picture (C, H, W) in [0, 1] with the box of each word."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5.6), layout="constrained")
    axes = figure.subplots()
    axes.set_axis_off()
    put(axes, image, words, boxes)
    return figure


def put(axes: Any, image: Tensor, words: Sequence[str], boxes: Sequence[Box]) -> None:
    """Draws a picture, the boxes of its words, numbered, and below it which run of words each is of."""
    from matplotlib.patches import Rectangle

    shown = image.permute(1, 2, 0)  # (H, W, C)
    side = shown.shape[0]
    axes.imshow(shown[..., 0] if shown.shape[2] == 1 else shown, cmap="gray", vmin=0, vmax=1, extent=(0, shown.shape[1], side, 0))
    numbers: dict[Box, int] = {}
    said = []
    for box, run in runs(words, boxes):
        new = box not in numbers
        number = numbers.setdefault(box, len(numbers) + 1)
        said.append(f"[{number}: {run}]")
        if new:
            x0, y0, x1, y1 = box
            colour = f"C{number - 1}"
            axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=colour, linewidth=2))
            axes.text(x0 + side / 40, y0 + side / 40, str(number), color="white", backgroundcolor=colour, fontsize=7, va="top")
    axes.set_title("\n".join(textwrap.wrap(" ".join(said).replace("$", r"\$"), 34)), fontsize=7)


def runs(words: Sequence[str], boxes: Sequence[Box]) -> list[tuple[Box, str]]:
    """Neighbouring words of the same region, as one."""
    pairs = groupby(zip(boxes, words, strict=True), key=lambda pair: pair[0])
    return [(box, " ".join(word for _, word in run)) for box, run in pairs]
