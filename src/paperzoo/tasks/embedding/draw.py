"""A map of frequent words, and their neighbours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from paperzoo.metrics.word_similarity import unit

if TYPE_CHECKING:
    from paperzoo.tasks.embedding.contract import Embedding


def draw(model: Embedding, folder: Path, stem: str) -> list[Path]:
    """A map of the 300 most frequent words of four letters or more, and the neighbours of 30 of them as text."""
    from matplotlib.figure import Figure
    from sklearn.manifold import TSNE

    shown = [row for row, word in enumerate(model.words) if len(word) > 3][:300]
    if len(shown) < 5:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    near = unit(model.vectors()[shown])
    perplexity = min(15.0, (len(shown) - 1) / 3)
    place = TSNE(2, init="pca", perplexity=perplexity, metric="cosine", random_state=0).fit_transform(near)  # (300, 2)
    figure = Figure(figsize=(9, 9))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.scatter(place[:, 0], place[:, 1], s=2, color="#c03028")
    for (x, y), row in zip(place, shown, strict=True):
        axes.annotate(model.words[row], (x, y), xytext=(2, 1), textcoords="offset points", fontsize=7)
    picture, text = folder / f"{stem}-map.png", folder / f"{stem}-neighbours.txt"
    figure.savefig(picture, dpi=90)
    text.write_text("".join(f"{model.neighbours(model.words[row])}\n" for row in shown[::10]), encoding="utf-8")
    return [picture, text]
