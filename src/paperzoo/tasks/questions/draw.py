"""Pictures with questions and what was answered; accuracy by kind of question."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paperzoo.data import Dataset
from paperzoo.tasks.pictures import grid, save
from paperzoo.tasks.questions.measure import outputs, priors
from paperzoo.terminal import plain

if TYPE_CHECKING:
    from paperzoo.tasks.questions.contract import Answerer

#: pictures in a row of the sheet, answers that are listed below each
ACROSS, LISTED = 6, 3


def draw(model: Answerer, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
    """Six questions from all over the split, and the six that were answered wrongly with most confidence; accuracy by kind."""
    found, names = outputs(model, dataset, split), dataset.schema.names
    p = found.logits.softmax(1).numpy()
    score = found.scores([names[i] for i in p.argmax(1)])
    some = np.unique(np.linspace(0, len(score) - 1, ACROSS).astype(int))
    wrong = np.flatnonzero(score == 0)
    worst = wrong[np.argsort(-p[wrong].max(1), kind="stable")][:ACROSS]
    sheet = _sheet(dataset, split, p, [("asked anywhere", some), ("wrong, and surest", worst)], folder / f"{stem}-answers.png")
    everywhere, by_kind = priors(dataset)
    prior = found.scores([by_kind.get(kind, everywhere) for kind in found.kind])
    return [sheet, _by_kind(score, prior, np.array(found.kind), folder / f"{stem}-kinds.png")]


def _sheet(dataset: Dataset, split: str, p: np.ndarray, rows: list[tuple[str, np.ndarray]], path: Path) -> Path:
    from matplotlib.figure import Figure

    names, rows = dataset.schema.names, [(title, items) for title, items in rows if len(items)]
    figure = Figure(figsize=(2 * ACROSS, 3.1 * len(rows)), layout="constrained")
    for row, (title, items) in enumerate(rows):
        batch = dataset[split].batch(items)
        for column, item in enumerate(items):
            axes = figure.add_subplot(len(rows), ACROSS, row * ACROSS + column + 1)
            picture = np.asarray(grid(batch.image[column : column + 1]))
            axes.imshow(picture, cmap="gray" if batch.image.shape[1] == 1 else None, interpolation="nearest")
            best = np.argsort(-p[item], kind="stable")[:LISTED]
            said = "\n".join(f"{plain(names[i])} {p[item, i]:.0%}" for i in best)
            asked = "\n".join(textwrap.wrap(plain(batch.texts[column][0]), 26))
            true = " / ".join(dict.fromkeys(map(plain, batch.answers[column])))
            axes.set_title(f"{asked}\n[{textwrap.shorten(true, 26)}]", fontsize=8, parse_math=False)
            axes.set_xlabel(said, fontsize=8, parse_math=False)
            axes.set(xticks=[], yticks=[])
            if not column:
                axes.set_ylabel(title, fontsize=8)
    return save(figure, path)


def _by_kind(score: np.ndarray, prior: np.ndarray, kinds: np.ndarray, path: Path) -> Path:
    """Accuracy (N) of the model and of the commonest answer, means over the questions of each kind (N)."""
    from matplotlib.figure import Figure

    shown = sorted(set(kinds.tolist()), key=lambda kind: -int((kinds == kind).sum()))[:20]
    figure = Figure(figsize=(5, 0.6 + 0.4 * len(shown)), layout="constrained")
    axes = figure.add_subplot()
    place = np.arange(len(shown))
    axes.barh(place - 0.2, [100 * score[kinds == kind].mean() for kind in shown], 0.4, label="model")
    axes.barh(place + 0.2, [100 * prior[kinds == kind].mean() for kind in shown], 0.4, color="lightgray", label="commonest answer")
    axes.set_yticks(place, [f"{plain(kind)} ({int((kinds == kind).sum())})" for kind in shown], parse_math=False)
    axes.invert_yaxis()
    axes.set(xlim=(0, 100), xlabel="accuracy %")
    axes.legend(fontsize=8)
    return save(figure, path)
