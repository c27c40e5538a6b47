"""Sentences with true and found spans; F1 by type."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from paperzoo.data import Dataset
from paperzoo.metrics.entity_f1 import Score, entity_f1, spans
from paperzoo.tasks.pictures import save
from paperzoo.tasks.tagging.spans import Tagging, colour_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from paperzoo.tasks.tagging.contract import Tagger

#: made up for the picture of the chain
SENTENCES = (
    "Anna Schmidt flew from Berlin to Nairobi with Lufthansa on Monday",
    "watching Game of Thrones on my new iPhone with Sarah in New York",
    "Manchester United beat Arsenal at Old Trafford",
    "going to Starbucks with Michael before the Lakers play in Chicago",
)


def draw(model: Tagger, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
    """Eight sentences with true and found spans, as picture and as HTML fragment; F1 by type."""
    gold, predicted = model.outputs(dataset, split)
    _, by_type = entity_f1([g for _, g in gold], predicted, model.scheme)
    with_spans = [i for i, (_, tags) in enumerate(gold) if spans(tags, model.scheme)][:8] or range(min(8, len(gold)))
    pairs = [(model.tagging(*gold[i]), model.tagging(gold[i][0], predicted[i])) for i in with_spans]
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"{stem}-sentences.html"
    both = [named for pair in pairs for named in zip(("true", "found"), pair, strict=True)]
    rows = [f"<tr><th>{heading}</th><td>{tagging.html()}</td></tr>" for heading, tagging in both]
    page.write_text(f"<table>{''.join(rows)}</table>\n", encoding="utf-8")
    return [
        _picture(pairs, colour_of(model.types), folder / f"{stem}-sentences.png"),
        _bars(by_type, colour_of(model.types), folder / f"{stem}-types.png"),
        page,
    ]


def _picture(pairs: Sequence[tuple[Tagging, Tagging]], colours: Mapping[str, str], path: Path, width: int = 104) -> Path:
    """Sentences in a fixed-width font, true above found, lines broken after ``width`` letters."""
    from matplotlib.figure import Figure

    pieces: list[tuple[int, int, str, str]] = []  # line, column, text, colour
    line = 0
    for pair in pairs:
        for heading, tagging in zip(("true", "found"), pair, strict=True):
            pieces.append((line, 0, heading, ""))
            column = 7
            for text, kind in tagging.pieces():
                text = re.sub(r"[^\u0020-\u2bff]", "\u25a1", text)  # the font has no more
                if column + len(text) > width and column > 7:
                    line, column = line + 1, 7
                pieces.append((line, column, text, colours.get(kind, "")))
                column += len(text) + 1
            line += 1
        line += 1  # an empty line between sentences
    used = [kind for kind in colours if any(s.type == kind for pair in pairs for t in pair for s in t.spans)]
    column = 7
    for kind in used:  # what the colours mean
        pieces.append((line, column, kind, colours[kind]))
        column += len(kind) + 2
    letter, height = 0.0875, 0.2  # inches of one letter of 10 points (7 of 80 pixels), of one line
    size = (letter * (width + 2), height * (line + 2))
    figure = Figure(figsize=size)
    for row, column, text, colour in pieces:
        box = {"facecolor": colour, "edgecolor": "none", "pad": 1.5} if colour else None
        x, y = letter * (column + 1) / size[0], 1 - height * (row + 1) / size[1]
        grey = "#888888" if column == 0 else "black"
        figure.text(x, y, text, family="monospace", size=10, color=grey, bbox=box, parse_math=False, va="center")
    return _save(figure, path)


def transitions(tags: Sequence[str], pair: np.ndarray, taggings: Sequence[Tagging], path: Path) -> Path:
    """Tagged sentences above the scores (K, K) of going from a tag (row) to another (column)."""
    from matplotlib.figure import Figure

    inner = [k for k, tag in enumerate(tags) if tag[0] == "I"]
    outside = tags.index("O")
    of_own = [float(pair[tags.index(f"B-{tags[k][2:]}"), k]) for k in inner]
    told = f"from a B to the I of its kind {np.mean(of_own):+.1f}, from O to an I {pair[outside, inner].mean():+.1f}, on average"
    size = 0.24 * len(tags)
    figure = Figure(figsize=(8.5, 2.0 + 0.3 * len(taggings) + size), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=(0.35 * len(taggings), size + 1))
    figure.suptitle(f"The chain knows which tag may follow which: {told}", fontsize=10)
    colours = colour_of(taggings[0].types)
    for line, tagging in enumerate(taggings):
        column = 0
        for text, kind in tagging.pieces():
            said = f"{text} {kind}" if kind else text
            box = {"facecolor": colours[kind], "edgecolor": "none", "pad": 1.5} if kind else None
            above.text(column, -line, said, family="monospace", size=8, bbox=box, parse_math=False, va="center")
            column += len(said) + 1
    above.set(xlim=(0, 105), ylim=(0.6 - len(taggings), 0.6))
    above.axis("off")
    most = float(np.abs(pair).max())
    image = below.imshow(pair, cmap="RdBu_r", vmin=-most, vmax=most)
    below.set_xticks(range(len(tags)), tags, rotation=90, fontsize=8)
    below.set_yticks(range(len(tags)), tags, fontsize=8)
    below.set(xlabel="to", ylabel="from")
    figure.colorbar(image, ax=below, shrink=0.8).set_label("score: red is sought, blue avoided", fontsize=8)
    return save(figure, path, dpi=160, colours=128)


def _bars(by_type: Mapping[str, Score], colours: Mapping[str, str], path: Path) -> Path:
    """F1 of each type, with the number of true spans behind it."""
    from matplotlib.figure import Figure

    kinds = sorted(by_type, key=lambda kind: by_type[kind].support)  # the most frequent on top
    figure = Figure(figsize=(5.5, 0.8 + 0.3 * max(1, len(kinds))), layout="constrained")
    axes = figure.add_subplot()
    axes.barh(range(len(kinds)), [by_type[k].f1 for k in kinds], color=[colours.get(k, "#d6d6d6") for k in kinds])
    axes.set_yticks(range(len(kinds)), [f"{k} ({by_type[k].support})" for k in kinds])
    axes.set(xlabel="entity F1 %, by type (true spans)", xlim=(0, 100))
    for row, kind in enumerate(kinds):
        axes.text(by_type[kind].f1 + 1, row, f"{by_type[kind].f1:.0f}", va="center", fontsize=8)
    return _save(figure, path)


def _save(figure: Figure, path: Path) -> Path:
    """Few colours make a small file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=80)
    return save(Image.open(buffer).convert("RGB").quantize(64), path)
