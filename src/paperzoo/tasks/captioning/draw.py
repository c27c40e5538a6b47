"""Pictures with their captions, and where the model looked for each word."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paperzoo.data import Dataset
from paperzoo.data.captions import grammar
from paperzoo.tasks.captioning.maps import maps
from paperzoo.tasks.pictures import save

if TYPE_CHECKING:
    from paperzoo.tasks.captioning.contract import Captioner

#: pictures that are shown with their captions, those in a row, and those of which attention is drawn
SHOWN, COLUMNS, ATTENDED = 12, 4, 3


def draw(model: Captioner, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
    """Twelve pictures of the split with the captions that the model writes, marked as true or not where it is known what they show;
    and of three, with a model of attention, where it looked for each word.
    """
    from matplotlib.figure import Figure

    items = dataset[split]
    batch = items.batch(np.linspace(0, len(items) - 1, min(len(items), SHOWN)).astype(int))
    captions, scenes = model.captions(batch.image), getattr(batch, "scene", None)
    image = batch.image.cpu()
    rows = -(-len(captions) // COLUMNS)
    figure = Figure(figsize=(2.4 * COLUMNS, 2.5 * rows), layout="constrained")
    for place, axes in enumerate(figure.subplots(rows, COLUMNS, squeeze=False).ravel()):
        axes.set_axis_off()
        if place < len(captions):
            shown = image[place].permute(1, 2, 0)  # (H, W, C)
            axes.imshow(shown[..., 0] if shown.shape[2] == 1 else shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            text = captions[place].text
            mark = "" if scenes is None else "\n(true)" if grammar.true(text, scenes[place]) else "\n(not true)"
            axes.set_title("\n".join(textwrap.wrap(text.replace("$", r"\$"), 32)) + mark, fontsize=7)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [save(figure, folder / f"{stem}-captions.png")]
    for place in range(min(ATTENDED, len(captions)) if model.grid[0] else 0):
        drawn = maps(image[place], captions[place].words, captions[place].attention)
        paths.append(save(drawn, folder / f"{stem}-attention-{place + 1}.png"))
    return paths
