"""The grammar of composed pictures: what is written is read back, what is true is true, and nothing else is."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from paperzoo.data.captions.grammar import (
    COLOURS,
    CONVERSE,
    FORMS,
    NOUNS,
    OBJECTS,
    RELATIONS,
    SHAPES,
    SIZES,
    Phrase,
    Scene,
    Statement,
    Thing,
    caption,
    captions,
    nouns,
    parse,
    relation_of,
    true,
)
from paperzoo.data.captions.words import tokenise

SQUARE = Thing("square", "red", "large", (10, 2, 30, 22))
CAR = Thing("car", "", "large", (12, 30, 36, 44))
STAR = Thing("star", "blue", "small", (52, 20, 62, 30))
SCENE = Scene((SQUARE, CAR, STAR), "above")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a red square above a car", Statement(Phrase("square", "red"), "above", Phrase("car"))),
        ("A big red square is over a car.", Statement(Phrase("square", "red", "large"), "above", Phrase("car"))),
        ("there is a car under a red square", Statement(Phrase("car"), "below", Phrase("square", "red"))),
        ("a picture of a blue disc left of a green plus", Statement(Phrase("circle", "blue"), "left", Phrase("cross", "green"))),
        ("to the right of a coach is a toadstool", Statement(Phrase("mushroom"), "right", Phrase("bus"))),
        (
            "a spaceship to the left of a square and also a little red heart",
            Statement(Phrase("rocket"), "left", Phrase("square"), Phrase("heart", "red", "small")),
        ),
    ],
)
def test_what_a_caption_says(text: str, said: Statement) -> None:
    assert parse(text) == said


@pytest.mark.parametrize(
    "text",
    [
        "", "a", "a red", "a red square", "a red square above", "a red square above a", "red square above a car",
        "a red square above car", "a square red above a car", "a red red square above a car", "a red dog above a car",
        "a red square beside a car", "a red square to left of a car", "a red square above a car a car",
        "a red square above a car and a star", "a red square above a car and also", "a red square above a car and also a star a star",
        "there is a red square is above a car", "a picture of above a car is a red square", "above a car a red square",
        "above a car is a red square above a car", "there a red square above a car", "the red square above a car",
    ],
)  # fmt: skip
def test_what_is_no_caption(text: str) -> None:
    assert parse(text) is None and not true(text, SCENE)


@pytest.mark.parametrize(
    "text",
    [
        "a red square above a car", "a car below a red square", "there is a large red square over a big car", "a car left of a blue star",
        "above a car is a red square", "a red square above a car and also a small blue star", "a blue star to the right of a red square",
    ],
)  # fmt: skip
def test_what_is_true_of_a_scene(text: str) -> None:
    assert true(text, SCENE)


@pytest.mark.parametrize(
    "text",
    [
        "a red square below a car", "a car above a red square", "below a car is a red square",  # the relation
        "a blue square above a car", "a square above a car", "a red car below a red square",  # the colour
        "a red circle above a car", "a red square above a bus", "a red square above a red square",  # the thing
        "a small red square above a car", "a red square above a little car", "a large blue star right of a red square",  # the size
        "a red square above a car and also a small red star", "a red square above a car and also a big blue star",  # the third
        "a red square above a car and also a red square", "a blue star above a car",
    ],
)  # fmt: skip
def test_what_is_not_true_of_it(text: str) -> None:
    assert parse(text) is not None and not true(text, SCENE)


def test_relations_go_by_the_middles_along_the_longer_way() -> None:
    middle = (20, 20, 30, 30)
    for box, relation in (((21, 0, 29, 8), "below"), ((22, 50, 30, 58), "above"), ((0, 21, 8, 29), "right"), ((50, 18, 58, 28), "left")):
        assert relation_of(middle, box) == relation and relation_of(box, middle) == CONVERSE[relation]
    assert relation_of(middle, (30, 30, 40, 40)) == "" == relation_of(middle, middle)
    assert relation_of((0, 0, 40, 10), (15, 20, 25, 22)) == "above"  # by the middles, not the corners


def scene_of(rng: np.random.Generator, small: int) -> Scene:
    kinds = [(n, c) for n in SHAPES for c in COLOURS] + [(n, "") for n in OBJECTS]
    chosen = [kinds[i] for i in rng.permutation(len(kinds))[: 2 + small]]
    boxes = [(2, 2, 26, 26), (4, 36, 28, 60), (50, 10, 60, 20), (50, 40, 60, 50)]
    return Scene(
        tuple(Thing(n, c, "large" if i < 2 else "small", boxes[i]) for i, (n, c) in enumerate(chosen)), relation_of(boxes[0], boxes[1])
    )


def test_five_different_true_captions_of_both_directions() -> None:
    rng, forms, ahead, said = np.random.default_rng(0), Counter(), Counter(), Counter()  # type: ignore[var-annotated]
    for number in range(400):
        scene = scene_of(rng, number % 3)
        texts = captions(scene, rng)
        assert len(set(texts)) == 5 and all(true(text, scene) for text in texts)
        statements = [parse(text) for text in texts]
        first = [s is not None and s.subject.fits(scene.things[0]) for s in statements]
        assert sorted((sum(first), 5 - sum(first))) == [2, 3] and first[0] == first[1] == first[2] != first[3] == first[4]
        ahead[first[0]] += 1
        assert sum(s is not None and s.also is not None for s in statements) == (number % 3 > 0)
        forms.update(" ".join(tokenise(text)[:2]) for text in texts)
        said.update(word for text in texts for word in tokenise(text))
        for said_of in statements:
            assert said_of is not None and all(any(p.fits(t) for t in scene.things[:2]) for p in (said_of.subject, said_of.object))
            assert bool(said_of.subject.size) == bool(said_of.object.size) and not (said_of.subject.size and said_of.also is None)
    assert 140 < ahead[True] < 260  # of 400, evenly
    every = {word for words in (*NOUNS.values(), *SIZES.values()) for word in words} | set(COLOURS)
    assert every | {"above", "over", "below", "under"} <= set(said)
    assert said["circle"] > 2 * said["disc"] > 0 and forms["there is"] > 200 and forms["a picture"] > 80


def test_the_same_chance_gives_the_same_captions() -> None:
    assert captions(SCENE, np.random.default_rng(5)) == captions(SCENE, np.random.default_rng(5))
    assert captions(SCENE, np.random.default_rng(5)) != captions(SCENE, np.random.default_rng(6))
    assert {parse(caption(SCENE, np.random.default_rng(k), forward=False)) for k in range(30)} == {
        Statement(Phrase("car"), "below", Phrase("square", "red"))
    }
    third = parse(caption(SCENE, np.random.default_rng(0), also=True))
    assert third is not None and third.also == Phrase("star", "blue", "small")


def test_nouns_and_their_places() -> None:
    assert nouns("there is a red disc above a big coach") == [(4, "circle"), (8, "bus")]
    assert nouns("A car, left of a snail and also a small red plus") == [(1, "car"), (5, "snail"), (11, "cross")]
    assert nouns("nothing") == []


def test_no_word_has_two_meanings() -> None:
    words = [w for group in (NOUNS, SIZES) for names in group.values() for w in names] + list(COLOURS)
    words += list({w for texts in RELATIONS.values() for text in texts for w in text.split()})
    assert len(words) == len(set(words)) and not {"a", "is", "there", "picture", "also", "and"} & set(words)
    assert sum(FORMS.values()) == pytest.approx(1)
