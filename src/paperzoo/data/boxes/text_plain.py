"""Made-up words in Pillow's own font on grey, turned or level: what tests train on."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from PIL import ImageFont

from paperzoo.data.boxes.columns import Marked, Marks
from paperzoo.data.boxes.geometry import around
from paperzoo.data.boxes.lettering import FINE, Lie, Page, composed, written
from paperzoo.data.dataset import Dataset, Images, Schema, Split

SIZE, COUNTS = 96, {"train": 96, "validation": 24, "test": 24}
#: heights of letters as shares of the picture's side; most turn of a word in degrees; letters of a word, words of a line
HEIGHTS, TURN, LETTERS, WORDS = (0.16, 0.3), 40.0, (3, 5), 2
ALPHABET = "abcdeghklmnoprstuvwxyzABCDEFGHKLMNPRSTUVWXYZ"


def plain_text(unit: Literal["words", "lines"] = "words", image_size: int | None = None) -> Dataset:
    """One or two words, each turned, or level lines of one or two words: ``image`` (N, 3, S, S), ``quads`` and their kin.

    Args:
        unit: ``words``, turned up to 40 degrees, or ``lines``, all level.
        image_size: height and width. Default: 96.
    """
    size, splits = image_size or SIZE, {}

    def compose(rng: np.random.Generator) -> Page:
        grey = rng.uniform(90, 160, 3) + rng.uniform(-8, 8, (size, size, 3))
        page = Page(grey.astype(np.float32))
        for _ in range(int(rng.integers(1, 3))):
            lie = Lie(size * float(rng.uniform(*HEIGHTS)), float(rng.uniform(-TURN, TURN)) if unit == "words" else 0.0)
            font = ImageFont.load_default(max(6, round(FINE * lie.height)))
            assert isinstance(font, ImageFont.FreeTypeFont)
            for _ in range(6):
                texts = [_word(rng) for _ in range(1 if unit == "words" else int(rng.integers(1, WORDS + 1)))]
                line = written(texts, font)
                if line is not None and page.lay(line, lie, rng, 0):
                    break
        return page

    for number, (split, count) in enumerate(COUNTS.items()):
        arrays = composed(compose, split, count, number)
        quads = np.split(arrays[f"{split}-{unit}"], arrays[f"{split}-{unit}-count"].cumsum()[:-1])
        marks = [Marks.of(around(corners), quads=corners) for corners in quads]
        splits[split] = Split(Images(torch.from_numpy(arrays[f"{split}-image"])), Marked(marks))
    fields = ("image", "boxes", "box_label", "difficult", "crowd", "objects", "quads")
    name = "text-plain" if unit == "words" else "lines-plain"
    return Dataset(Schema(name, fields, {"channels": 3, "image_size": size}, ("text",)), splits, "MIT", "drawn by formula")


def _word(rng: np.random.Generator) -> str:
    return "".join(rng.choice(list(ALPHABET), int(rng.integers(LETTERS[0], LETTERS[1] + 1))))
