"""Composed scenes: boxes are around what is seen, no subject lies in two splits; and parts of photographs keep what they show."""

from __future__ import annotations

import numpy as np
from PIL import Image

from paperzoo.data.boxes.composed import CLASSES, SEEN, scene, subjects, subjects_of
from paperzoo.data.boxes.table import SIX
from paperzoo.data.boxes.trees import PART, parts


def test_no_subject_lies_in_two_splits_or_two_classes() -> None:
    split = subjects_of(list(CLASSES))
    assert not split["train"] & split["test"] and not split["train"] & split["validation"] and not split["validation"] & split["test"]
    every = [code for codes in CLASSES.values() for code in codes.split()]
    assert len(CLASSES) == 12 and len(every) == len(set(every)) and set(SIX) < set(CLASSES) and len(SIX) == 6
    for name in CLASSES:
        own = subjects(name)
        assert len(own["test"]) >= 3 and len(own["validation"]) >= 1 and len(own["train"]) >= 7


def test_a_box_is_around_what_is_seen_of_a_thing_and_most_of_it_is_seen() -> None:
    """Things are plain colours, a class each, on black: what is seen of each can be counted."""
    stamps = [[Image.new("RGBA", (60, 40), colour)] for colour in ((255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255))]
    grounds, rng, seen_twice = [Image.new("RGB", (200, 150), "black")], np.random.default_rng(0), 0
    for _ in range(60):
        picture, marks = scene(stamps, grounds, 96, rng)
        labels = [label for label, _ in marks]
        assert 1 <= len(marks) <= 5 and picture.shape == (96, 96, 3)
        for label, box in marks:
            if labels.count(label) > 1:
                continue  # two of one colour cannot be told apart here
            other = [k for k in range(3) if k != label]
            mask = (picture[..., label] > 60) & (picture[..., other].max(2) < 40)
            rows, columns = np.nonzero(mask)
            found = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
            assert np.abs(found - box).max() <= 2
            assert (box >= 0).all() and (box <= 96).all()
            seen_twice += 1
    assert seen_twice > 60 and 0 < SEEN < 1


def test_parts_of_a_photograph_hold_the_boxes_of_which_they_show_half() -> None:
    picture = Image.new("RGB", (PART * 2 + 30, PART + 10))
    boxes = np.array([[10.0, 10, 50, 50], [380, 100, 420, 140], [390, 200, 440, 220], [PART * 2 - 5, 5, PART * 2 + 25, 25]])
    first, second = (own for _, own in parts(picture, boxes, PART))
    assert first.tolist() == [[10, 10, 50, 50], [380, 100, 400, 140]]
    assert second.tolist() == [[0, 100, 20, 140], [0, 200, 40, 220]]
    lapping = parts(picture, boxes, 270)
    assert len(lapping) == 3 * 2 and all(part.size == (PART, PART) for part, _ in lapping)
