"""Questions about known things are true, leave nothing open, and tell a blind model nothing."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from fixtures.scenes import small_scenes

from paperzoo.data.captions.columns import Listed
from paperzoo.data.captions.grammar import Thing, relation_of
from paperzoo.data.datasets import dataset
from paperzoo.data.questions import composed
from paperzoo.data.questions.asking import balanced, blind, questions, side_of
from paperzoo.data.questions.building import Question
from paperzoo.data.questions.columns import unseen
from paperzoo.data.questions.shapes import COLOURS, compose, paint


def thing(noun: str, colour: str, x: int, y: int) -> Thing:
    """Of 4x4 pixels around (x, y)."""
    return Thing(noun, colour, "small", (x - 2, y - 2, x + 2, y + 2))


RED, BLUE, BUS = thing("star", "red", 5, 16), thing("heart", "blue", 25, 16), thing("bus", "", 16, 5)


def test_what_is_asked_about_three_things_by_hand() -> None:
    found = list(questions([RED, BLUE, BUS], 32, [("red", "heart"), ("", "snail")]))
    assert len(set(found)) == len(found)
    answers = {text: answer for _, text, answer in found}
    assert answers["what color is the star?"] == "red" and "what color is the bus?" not in answers
    assert answers["what shape is blue?"] == "heart" and answers["how many things are there?"] == "3"
    assert answers["how many shapes are red?"] == "1"
    sides = {"red star": "left", "blue heart": "right", "bus": "top"}
    assert {one: answers[f"where is the {one}?"] for one in sides} == sides
    assert (answers["is there a red star?"], answers["is there a red heart?"], answers["is there a bus?"]) == ("yes", "no", "yes")
    assert answers["is there a snail?"] == "no"
    assert (answers["is the star to the left of the heart?"], answers["is the star to the right of the heart?"]) == ("yes", "no")
    assert answers["is the heart above the star?"] == "no" and answers["what is to the left of the heart?"] == "star"


def test_what_is_left_open_is_not_asked() -> None:
    found = list(questions([RED, thing("star", "blue", 25, 25), thing("heart", "blue", 25, 5)], 32, []))
    answers = {text: answer for _, text, answer in found}
    assert "what color is the star?" not in answers, "there are two"
    assert "what shape is blue?" not in answers and answers["what shape is red?"] == "star" and answers["how many shapes are blue?"] == "2"
    assert not any("the star" in text and "heart" in text for text in answers), "which star?"
    assert "where is the blue star?" not in answers, "in a corner"
    one = list(questions([RED, thing("heart", "blue", 15, 26)], 32, []))
    assert not any(text.endswith("of the heart?") or "above" in text for _, text, _ in one if text.startswith("is the")), "on a diagonal"


def test_where_a_thing_lies() -> None:
    for (x, y), side in {(3, 16): "left", (29, 18): "right", (16, 2): "top", (15, 30): "bottom", (5, 5): "", (16, 16): ""}.items():
        assert side_of(thing("star", "red", x, y), 32) == side


def test_every_answer_to_a_wording_comes_equally_often() -> None:
    asked = {i: [("yes/no", "is it?", "yes" if i % 10 else "no"), ("number", "how many?", str(min(i % 7, 4)))] for i in range(100)}
    asked[0] += [("what", "always the same?", "yes")]
    chosen = balanced(asked, 20, seed=3)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for question in chosen:
        counts[question.text][question.answer] += 1
        assert question.answers == (question.answer,) and (question.kind, question.text, question.answer) in asked[question.picture]
    assert counts == {"is it?": {"yes": 10, "no": 10}, "how many?": dict.fromkeys("01234", 14)}
    assert len({(q.picture, q.text) for q in chosen}) == len(chosen), "none twice"
    assert chosen == balanced(asked, 20, seed=3) != balanced(asked, 20, seed=4)
    assert blind(chosen) == pytest.approx((10 + 14) / (20 + 70))


def test_answers_that_would_leave_few_questions_are_not_asked_for() -> None:
    asked = {i: [("what", "what is it?", "abc"[min(i // 30, 2)])] for i in range(61)}  # 30, 30, 1
    assert Counter(q.answer for q in balanced(asked, 100, 0)) == {"a": 30, "b": 30}


def test_the_blind_guess_of_a_set_is_its_wordings_prior() -> None:
    built = dataset("shapes-vqa")
    for split in ("train", "validation", "test"):
        asked = unseen(built[split])
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for (text,), (answer,) in zip(asked.texts, asked.answers, strict=True):
            counts[text][answer] += 1
        assert all(len(set(own.values())) == 1 and len(own) > 1 for own in counts.values())
        expected = sum(own.total() / len(own) for own in counts.values()) / len(asked)
        every = [Question(0, text, answer, (answer,), "") for (text,), (answer,) in zip(asked.texts, asked.answers, strict=True)]
        assert blind(every) == pytest.approx(expected) and expected < 0.5
        assert set(asked.kind) == {"what", "color", "where", "how many", "yes/no"} and int(asked.label.min()) >= 0


def test_shapes_are_drawn_where_and_as_they_are_said_to_be() -> None:
    random = np.random.default_rng(5)
    for _ in range(60):
        things = compose(random)
        image = paint(things)
        assert 1 <= len(things) <= 3 and len({(t.noun, t.colour) for t in things}) == len(things)
        ground = np.ones((32, 32), bool)
        for one in things:
            x0, y0, x1, y1 = one.box
            assert min(x0, y0) >= 0 and max(x1, y1) <= 32
            assert image[:, (y0 + y1) // 2, (x0 + x1) // 2].tolist() == list(COLOURS[one.colour])
            ground[max(0, y0 - 1) : y1 + 1, max(0, x0 - 1) : x1 + 1] = False
            share = (image[:, y0:y1, x0:x1] != 255).any(0).mean()
            assert {"square": share > 0.9, "circle": 0.6 < share <= 0.95, "triangle": share < 0.75}[one.noun], (one, share)
        assert (image[:, ground] == 255).all()


def test_questions_about_scenes_are_true_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenes = small_scenes(tmp_path, monkeypatch, (200, 40, 60, 60))
    monkeypatch.setattr(composed, "scenes", lambda *paths: scenes)
    built = composed.scenes_vqa(*[tmp_path] * 5)
    assert set(built.splits) == {"train", "validation", "test", "compositional"} and built.schema.arguments["image_size"] == 64
    for split in built.splits:
        (shown,) = (c.items for c in scenes[split].columns if isinstance(c, Listed) and c.name == "scene")
        which, asked = built[split].columns[0].which, unseen(built[split])
        assert np.array_equal(built[split].batch([7]).image, scenes[split].batch([which[7]]).image)
        for place, (text,), (answer,) in zip(which, asked.texts, asked.answers, strict=True):
            assert answer == looked_up(shown[place].things, text), text


def looked_up(things: tuple[Thing, ...], text: str) -> str:
    """The answer, found in another way than by which it was asked."""
    words = text.removesuffix("?").split()
    told = {f"{t.colour} {t.noun}".strip(): t for t in things}
    by_noun = {t.noun: t for t in things}
    if text.startswith("what color"):
        return by_noun[words[-1]].colour
    if text == "how many things are there?":
        return str(len(things))
    if text.startswith("how many"):
        return str(sum(t.colour == words[-1] for t in things))
    if text.startswith("is there a "):
        return "yes" if " ".join(words[3:]) in told else "no"
    if text.startswith("where"):
        one = told[" ".join(words[3:])].box
        x, y = (one[0] + one[2]) / 2 - 32, (one[1] + one[3]) / 2 - 32
        return ("left" if x < 0 else "right") if abs(x) > abs(y) else "top" if y < 0 else "bottom"
    if text.startswith("what shape"):
        return next(t.noun for t in things if t.colour == words[-1])
    word = next(w for w in ("above", "below", "left", "right") if w in words)
    if text.startswith("is the"):
        return "yes" if relation_of(by_noun[words[2]].box, by_noun[words[-1]].box) == word else "no"
    return next(t.noun for t in things if relation_of(t.box, by_noun[words[-1]].box) == word)
