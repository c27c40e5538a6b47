"""A map of frequent words in colours of their groups, arrows from word to word that should be alike, and neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paperzoo.metrics.word_similarity import analogies, unit
from paperzoo.tasks.pictures import save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from paperzoo.tasks.embedding.contract import Embedding

#: the same step of meaning, from the first word to the second
PAIRS = (
    ("man", "woman"), ("king", "queen"), ("father", "mother"), ("brother", "sister"), ("son", "daughter"), ("husband", "wife"),
    ("lord", "lady"), ("he", "she"), ("prince", "princess"), ("boy", "girl"), ("uncle", "aunt"), ("master", "mistress"),
)  # fmt: skip
#: colours of the map
GROUPS = 10


def draw(model: Embedding, folder: Path, stem: str) -> list[Path]:
    """A map of the 300 most frequent words of four letters or more, arrows along ``PAIRS``, and the neighbours of 30 words as text."""
    from matplotlib.figure import Figure
    from sklearn.cluster import KMeans
    from sklearn.manifold import TSNE

    shown = [row for row, word in enumerate(model.words) if len(word) > 3][:300]
    if len(shown) < 5:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    vectors = unit(model.vectors()[:30_000])  # (V, D)
    near = vectors[shown]
    perplexity = min(15.0, (len(shown) - 1) / 3)
    place = TSNE(2, init="pca", perplexity=perplexity, metric="cosine", random_state=0).fit_transform(near)  # (300, 2)
    group = KMeans(min(GROUPS, len(shown)), n_init=4, random_state=0).fit_predict(near)
    pairs = rows_of(model.words, PAIRS)
    figure = Figure(figsize=(14, 8.5) if len(pairs) > 2 else (9, 9), layout="constrained")
    left, *right = figure.subplots(1, 2, width_ratios=(9, 5)) if len(pairs) > 2 else [figure.subplots()]
    left.set_title(f"The {len(shown)} most frequent words of four letters or more; a colour a group of like vectors", fontsize=11)
    _map(left, place, group, [model.words[row] for row in shown])
    for axes in right:
        _arrows(axes, vectors, pairs, model.words)
    picture, text = folder / f"{stem}-map.png", folder / f"{stem}-neighbours.txt"
    save(figure, picture, dpi=120, colours=64)
    text.write_text("".join(f"{model.neighbours(model.words[row])}\n" for row in shown[::10]), encoding="utf-8")
    return [picture, text]


def rows_of(words: Sequence[str], pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    """The pairs whose words are both known, as row numbers (P, 2)."""
    index = {word: row for row, word in enumerate(words[:30_000])}
    return np.array([(index[a], index[b]) for a, b in pairs if a in index and b in index], np.int64).reshape(-1, 2)


def alike(vectors: np.ndarray, pairs: np.ndarray) -> float:
    """Of all "a is to b as c is to ?" with two of the pairs (P, 2), the share that vectors (V, D) answer right."""
    questions = np.array([(*p, *q) for p in pairs.tolist() for q in pairs.tolist() if p != q])  # (P (P - 1), 4)
    return float((analogies(vectors, questions[:, :3]) == questions[:, 3]).mean())


def plane(vectors: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """The words of pairs on a plane (P, 2, 2): across, the direction in which they differ most; up, the mean of the pairs' differences.

    Args:
        vectors: (V, D), of length 1.
        pairs: (P, 2), rows of it.
    """
    both = vectors[pairs]  # (P, 2, D)
    up = (both[:, 1] - both[:, 0]).mean(0)
    up = up / np.linalg.norm(up)
    flat = (both - both.mean((0, 1))).reshape(-1, both.shape[-1])
    across = np.linalg.svd(flat - np.outer(flat @ up, up), full_matrices=False)[2][0]
    return np.stack([both @ across, both @ up], -1)


def _map(axes: Axes, place: np.ndarray, group: np.ndarray, words: Sequence[str]) -> None:
    """Words at their places (N, 2), in the colours of their groups (N); where two would cover each other, the more frequent one."""
    axes.set_axis_off()
    axes.scatter(place[:, 0], place[:, 1], s=5, c=group, cmap="tab10", vmin=0, vmax=9)
    width, height = np.ptp(place, 0)
    axes.set_xlim(place[:, 0].min() - 0.02 * width, place[:, 0].max() + 0.08 * width)
    axes.set_ylim(place[:, 1].min() - 0.02 * height, place[:, 1].max() + 0.03 * height)
    taken: list[tuple[float, float, float]] = []
    for (x, y), number, word in zip(place, group, words, strict=True):
        end = x + 0.013 * width * len(word)
        if all(abs(y - other) > 0.017 * height or x > last or end < first for first, last, other in taken):
            taken.append((x, end, y))
            axes.annotate(word, (x, y), xytext=(3, 1), textcoords="offset points", fontsize=9, color=f"C{number % 10}")


def _arrows(axes: Axes, vectors: np.ndarray, pairs: np.ndarray, words: Sequence[str]) -> None:
    """An arrow from the first word of each pair to the second."""
    ends = plane(vectors, pairs)
    axes.plot(*ends.reshape(-1, 2).T, ".", color="#888888", markersize=3)
    for (first, second), (tail, head) in zip(pairs, ends, strict=True):
        axes.annotate("", head, tail, arrowprops={"arrowstyle": "->", "color": "#888888"})
        axes.text(tail[0], tail[1], words[first], fontsize=9, ha="center", va="top", color="C0")
        axes.text(head[0], head[1], words[second], fontsize=9, ha="center", va="bottom", color="C3")
    axes.set(xlabel="across: where these words differ most", ylabel="up: the mean difference of the pairs")
    axes.margins(0.12)
    right = 100 * alike(vectors, pairs)
    axes.set_title(f"The same step, from word to word:\n{right:.0f} % of the analogies between pairs are right", fontsize=11)
