"""Scenes of two shapes: what is drawn is what is told, and pairs that are withheld are withheld."""

from __future__ import annotations

import numpy as np
import pytest

from paperzoo.data.captions import grammar
from paperzoo.data.captions.composed import _withheld
from paperzoo.data.captions.drawing import PAINT
from paperzoo.data.captions.plain import plain_scenes
from paperzoo.data.datasets import dataset
from paperzoo.errors import PaperzooError


def test_captions_are_true_and_colours_lie_where_boxes_are() -> None:
    data = plain_scenes(counts=(40, 10, 10, 10))
    for split in data.splits.values():
        batch = split.batch(range(len(split)))
        for image, texts, scene in zip(batch.image, batch.texts, batch.scene, strict=True):
            assert len(scene.things) == 2 and all(grammar.true(text, scene) for text in texts) and len(set(texts)) == 5
            for thing in scene.things:
                x0, y0, x1, y1 = thing.box
                assert 0 <= x0 < x1 <= 32 and 0 <= y0 < y1 <= 32 and thing.noun in grammar.SHAPES
                middle = image[:, (2 * y0 + y1) // 3 + 1 : (y0 + 2 * y1) // 3, (2 * x0 + x1) // 3 + 1 : (x0 + 2 * x1) // 3]
                assert np.abs(middle.mean((1, 2)).numpy() * 255 - PAINT[thing.colour]).max() < 45


def test_withheld_pairs_are_withheld() -> None:
    data = plain_scenes(counts=(60, 10, 10, 30))
    for name, split in data.splits.items():
        held = [_withheld(s.things[0].noun, s.things[1].noun, s.relation) for s in split.batch(range(len(split))).scene]
        assert all(held) if name == "compositional" else not any(held)


def test_the_listed_set_is_the_same_every_time_and_of_any_size() -> None:
    one, again = (dataset("scenes-plain", image_size=24)["train"].batch(range(5)) for _ in range(2))
    assert one.image.shape == (5, 3, 24, 24) and (one.image == again.image).all() and one.texts == again.texts
    assert not (one.image[0] == one.image[1]).all()
    with pytest.raises(PaperzooError, match="scenes of 8x8 show nothing that could be told: image_size is at least 16"):
        plain_scenes(8)
