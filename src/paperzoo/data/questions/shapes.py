"""Up to three coloured shapes on white, drawn by formula, and balanced questions about them."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch

from paperzoo.data.captions.grammar import Thing
from paperzoo.data.dataset import Dataset, Images
from paperzoo.data.questions.asking import balanced, questions
from paperzoo.data.questions.building import build

SIZE, CELL = 32, 10
NOUNS = ("circle", "square", "triangle")
COLOURS = {"red": (214, 40, 40), "green": (44, 160, 44), "blue": (31, 90, 200), "yellow": (235, 190, 30)}


def shapes_vqa(train: int = 1500, held: int = 300, most: int = 60) -> Dataset:
    """``train`` 1,500 pictures, ``validation`` and ``test`` 300 each; what, what colour, where, how many, yes/no; see ``asking.balanced``.

    Args:
        most: questions that a wording and one of its answers have at most; held-out splits have as many as they yield.
    """
    splits, pictures = {}, {}
    for seed, (split, number) in enumerate({"train": train, "validation": held, "test": held}.items()):
        random = np.random.default_rng(seed)
        scenes = [compose(random) for _ in range(number)]
        pictures[split] = Images(torch.from_numpy(np.stack([paint(things) for things in scenes])))
        candidates = {i: list(questions(things, SIZE, _others(random, things))) for i, things in enumerate(scenes)}
        splits[split] = balanced(candidates, most, seed)
    return build("shapes-vqa", pictures, splits, SIZE, "none needed", "formula")


def compose(random: np.random.Generator) -> list[Thing]:
    """One to three things in different ninths of the picture, no two of the same noun and colour."""
    kinds = list(product(NOUNS, COLOURS))
    count = int(random.integers(1, 4))
    chosen = random.choice(len(kinds), count, replace=False)
    cells = random.choice(9, count, replace=False)
    things = []
    for kind, cell in zip(chosen, cells, strict=True):
        radius = int(random.integers(3, 5))
        x, y = (1 + CELL * int(place) + CELL // 2 + int(random.integers(-1, 2)) for place in (cell % 3, cell // 3))
        noun, colour = kinds[int(kind)]
        things.append(Thing(noun, colour, "small" if radius == 3 else "large", (x - radius, y - radius, x + radius, y + radius)))
    return things


def paint(things: list[Thing]) -> np.ndarray:
    """uint8 (3, 32, 32), with soft borders."""
    y, x = np.mgrid[0:SIZE, 0:SIZE] + 0.5
    image = np.full((3, SIZE, SIZE), 255.0)
    for thing in things:
        radius = (thing.box[2] - thing.box[0]) / 2
        u, v = x - thing.box[0] - radius, y - thing.box[1] - radius
        away = {
            "circle": np.hypot(u, v) - radius,
            "square": np.maximum(np.abs(u), np.abs(v)) - 0.9 * radius,
            "triangle": np.maximum(v - 0.8 * radius, 0.87 * np.abs(u) - 0.5 * v - 0.5 * radius),
        }[thing.noun]
        inside = np.clip(0.5 - away, 0, 1)
        image += inside * (np.array(COLOURS[thing.colour], float)[:, None, None] - image)
    return image.round().astype(np.uint8)


def _others(random: np.random.Generator, things: list[Thing]) -> list[tuple[str, str]]:
    """Colours and nouns to ask after: those of the picture in other pairs, and one at random."""
    mixed = [(a.colour, b.noun) for a, b in product(things, things)]
    return [*mixed, (list(COLOURS)[int(random.integers(len(COLOURS)))], NOUNS[int(random.integers(len(NOUNS)))])]
