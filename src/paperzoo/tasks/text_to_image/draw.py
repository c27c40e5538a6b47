"""Sentences and what is drawn of them, from one sentence to another, and one word changed under the same noise."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from paperzoo.data import Dataset
from paperzoo.tasks.generation.measure import spread
from paperzoo.tasks.pictures import grid, save
from paperzoo.terminal import plain

if TYPE_CHECKING:
    from paperzoo.tasks.text_to_image.contract import SentenceGenerator

ACROSS = 6
#: walks from one sentence to another, and pictures of each
WALKS, STEPS = 3, 7


def sentences(model: SentenceGenerator, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
    """Six sentences with the pictures that they were written for, stage I and stage II below; and walks between two sentences each."""
    batch = dataset[split].batch(spread(len(dataset[split]), ACROSS))
    texts = [own[0] for own in batch.texts]
    with torch.no_grad():
        phi = model.embed(batch.captions[:, 0].to(model.reached.device)).float().cpu()
    sizes = model.every_size(model.latents(len(phi), 0), phi)
    rows = [("a real picture", batch.image.cpu()), ("stage I", sizes[0]), ("stage II", sizes[-1])]
    figure = _figure(len(texts), 3.6 / 3 + 4.2)
    for row, (title, images) in enumerate(rows):
        for column, text in enumerate(texts):
            axes = _picture(figure, 3, len(texts), row * len(texts) + column, images[column])
            if not row:
                axes.set_title("\n".join(textwrap.wrap(plain(text), 24)), fontsize=7, parse_math=False)
            if not column:
                axes.set_ylabel(title, fontsize=8)
    told = save(figure, folder / f"{stem}-sentences.png")
    return [told, _walks(model, texts, phi, folder / f"{stem}-between.png")]


def _walks(model: SentenceGenerator, texts: list[str], phi: Tensor, path: Path) -> Path:
    walks = min(WALKS, len(texts) // 2)
    figure = _figure(STEPS, 1.6 * walks)
    share = torch.linspace(0, 1, STEPS)[:, None]
    for row in range(walks):
        first, last = phi[2 * row], phi[2 * row + 1]
        noise = model.latents(walks, 0)[row : row + 1].repeat(STEPS, 1)
        images = model.every_size(noise, (1 - share) * first + share * last)[-1]
        for column in range(STEPS):
            axes = _picture(figure, walks, STEPS, row * STEPS + column, images[column])
            if column in (0, STEPS - 1):
                text = texts[2 * row + (column > 0)]
                axes.set_title("\n".join(textwrap.wrap(plain(text), 26)), fontsize=6, parse_math=False)
    return save(figure, path)


def _figure(columns: int, height: float):  # type: ignore[no-untyped-def]
    from matplotlib.figure import Figure

    return Figure(figsize=(1.5 * columns, height), layout="constrained")


def _picture(figure, rows: int, columns: int, place: int, image: Tensor):  # type: ignore[no-untyped-def]
    axes = figure.add_subplot(rows, columns, place + 1)
    shown = np.asarray(grid(image[None]))
    axes.imshow(shown, cmap="gray" if shown.ndim == 2 else None, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    return axes
