"""Samples as text, and a passage coloured by the probability of each token."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import torch.nn.functional as F

from paperzoo.data import Dataset
from paperzoo.data.text.running import END
from paperzoo.tasks.language_model.reading import DARK, Reading, colour
from paperzoo.tasks.pictures import save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from paperzoo.tasks.language_model.contract import LanguageModel, State


def draw(model: LanguageModel, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
    """Two samples as text, and a held-out passage coloured by the probability of each token."""
    folder.mkdir(parents=True, exist_ok=True)
    sample = folder / f"{stem}-sample.txt"
    length = 800 if model.unit == "character" else 150
    cold, warm = (model.sample(1, 0, length=length, temperature=t)[0] for t in (0.7, 1.0))
    sample.write_text(f"temperature 0.7\n\n{cold.strip()}\n\ntemperature 1\n\n{warm.strip()}\n", encoding="utf-8")
    column, device = dataset[split].columns[0], next(model.parameters()).device
    wanted = 1000 if model.unit == "character" else 200
    tokens: list[str] = []
    nats: list[float] = []
    state: State | None = None
    streams = getattr(column, "streams", 1)
    for item in range(streams // 2, len(column), streams):  # one stream, from the midst of the text
        batch = dataset[split].batch([item])
        scores, state = model.read(batch.tokens.to(device), state)
        real = batch.target[0] >= 0
        nats += F.cross_entropy(scores[0].float().cpu()[real], batch.target[0, real], reduction="none").tolist()
        tokens += [model.vocabulary[number] for number in batch.target[0, real].tolist()]
        if len(tokens) >= 2 * wanted:
            break
    last = slice(-wanted, None)  # what comes first is read without knowing much, and not shown if there is enough
    shown = Reading(tuple(tokens[last]), tuple(math.exp(-min(n, 90.0)) for n in nats[last]), model.unit)
    return [sample, save(passage(shown), folder / f"{stem}-passage.png")]


def passage(reading: Reading, width: int = 88, lines: int = 16) -> Figure:
    """A text in a fixed-width font, each token on the colour of its probability, with what the colours mean below."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    pieces: list[tuple[int, int, str, float]] = []  # line, column, text, probability
    line = column = 0
    for token, probability in zip(reading.tokens, reading.probabilities, strict=True):
        shown = {"\n": "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}", END: "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}"}.get(token, token)
        if column + len(shown) > width and column:
            line, column = line + 1, 0
        if line >= lines:
            break
        pieces.append((line, column, shown, probability))
        column += len(shown) + (reading.unit == "word")
        if token in ("\n", END):
            line, column = line + 1, 0
    used = max((piece[0] for piece in pieces), default=0) + 1
    at = 0
    for probability in (1.0, 0.5, 0.2, 0.05, 0.01, math.exp(-DARK)):
        label = f" {probability:.2g} "
        pieces.append((used + 1, at, label, probability))
        at += len(label)
    pieces.append((used + 1, at + 1, "probability of what came, given all before it", 1.0))
    letter, height, rows = 0.0875, 0.2, used + 3  # inches of one letter of 10 points, of one line
    size = (letter * (width + 2), height * rows)
    figure = Figure(figsize=size)
    for row, column, text, probability in pieces:
        x, y = letter * (column + 1) / size[0], 1 - height * (row + 1) / size[1]
        box = (x, y - 0.5 * height / size[1]), letter * len(text) / size[0], height / size[1]
        figure.add_artist(Rectangle(*box, facecolor=colour(probability), edgecolor="none"))
        figure.text(x, y, _printable(text), family="monospace", size=10, parse_math=False, va="center_baseline")
    return figure


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() and ord(c) < 0x2C00 else "\N{WHITE SQUARE}" for c in text)
