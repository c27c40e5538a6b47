"""Balanced questions about the composed pictures of ``scenes``."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np

from paperzoo.data.captions.columns import Listed
from paperzoo.data.captions.composed import scenes
from paperzoo.data.captions.grammar import COLOURS, OBJECTS, SHAPES, Scene
from paperzoo.data.dataset import Dataset, Images
from paperzoo.data.questions.asking import balanced, questions
from paperzoo.data.questions.building import build


def scenes_vqa(
    noto: Path, fluent: Path, twemoji: Path, gcompris: Path, lomiri: Path, image_size: int | None = None, most: int = 150
) -> Dataset:
    """Questions about the pictures of ``scenes``, with its splits: what, what colour, where, how many, yes/no.

    They are balanced in each split, see ``asking.balanced``.

    Args:
        noto, fluent, twemoji, gcompris, lomiri: see ``captions.composed.scenes``.
        image_size: height and width. Default: 64.
        most: questions that a wording and one of its answers have at most.
    """
    built = scenes(noto, fluent, twemoji, gcompris, lomiri, image_size)
    size, pictures, chosen = int(built.schema.arguments["image_size"]), {}, {}
    for seed, (name, split) in enumerate(built.splits.items()):
        random = np.random.default_rng(seed)
        (pictures[name],) = (column for column in split.columns if isinstance(column, Images))
        (shown,) = (column.items for column in split.columns if isinstance(column, Listed) and column.name == "scene")
        candidates = {i: list(questions(scene.things, size, _others(random, scene))) for i, scene in enumerate(shown)}
        chosen[name] = balanced(candidates, most, seed)
    return build("scenes-vqa", pictures, chosen, size, built.licence, f"{built.source}; questions by formula")


def _others(random: np.random.Generator, scene: Scene) -> list[tuple[str, str]]:
    """Colours and nouns to ask after: the shapes of the picture in other colours of it, a shape and an object at random."""
    shapes = [thing for thing in scene.things if thing.colour]
    mixed = [(a.colour, b.noun) for a, b in product(shapes, shapes)]
    shape, thing = (list(names)[int(random.integers(len(names)))] for names in (SHAPES, OBJECTS))
    return [*mixed, (COLOURS[int(random.integers(len(COLOURS)))], shape), ("", thing)]
