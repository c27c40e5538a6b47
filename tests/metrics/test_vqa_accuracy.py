"""VQA accuracy: by its definition over subsets, by hand, and what counts as the same answer."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest

from paperzoo.metrics.vqa_accuracy import normalised, vqa_accuracy


def slow(answer: str, answers: list[str]) -> float:
    """The definition: every nine of the ten."""
    scores = [min(sum(other == answer for other in nine) / 3, 1) for nine in combinations(answers, 9)]
    assert len(scores) == 10
    return sum(scores) / 10


@pytest.mark.parametrize(("agree", "score"), [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (9, 1.0), (10, 1.0)])
def test_so_many_of_ten_who_agree(agree: int, score: float) -> None:
    answers = ["red"] * agree + [f"other {i}" for i in range(10 - agree)]
    assert vqa_accuracy("red", answers) == pytest.approx(score) == slow("red", answers)


def test_equal_to_the_mean_over_all_subsets() -> None:
    random = np.random.default_rng(0)
    for _ in range(300):
        answers = [f"answer{i}" for i in random.integers(0, 4, 10)]
        assert vqa_accuracy("answer0", answers) == pytest.approx(slow("answer0", answers), abs=1e-12)


def test_one_true_answer_is_right_or_wrong() -> None:
    assert vqa_accuracy("a circle", ("Circle",)) == 1.0 and vqa_accuracy("square", ("circle",)) == 0.0


@pytest.mark.parametrize("count", [0, 2, 9, 11])
def test_ten_answers_that_are_not_ten(count: int) -> None:
    with pytest.raises(ValueError, match=f"10 people's answers.*not {count}"):
        vqa_accuracy("red", ["red"] * count)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("The Dog", "dog"),
        ("a an the", ""),
        ("Two", "2"),
        ("none", "0"),
        ("ten o clock", "10 o clock"),
        ("someone", "someone"),
        ("yes.", "yes"),
        ("3.5", "3.5"),
        (".5", ".5"),
        ("1,000", "1000"),
        ("red, white", "red white"),
        ("red,white", "red white"),
        ("black/white", "black white"),
        ("black/ white", "black white"),
        ("t-shirt", "t shirt"),
        ("what?!", "what"),
        ("dont know", "don't know"),
        ("Isnt", "isn't"),
        ("couldnt've", "couldn't've"),
        ("couldn'tve", "couldn't've"),
        ("well", "well"),
        ("its", "its"),
        ("new\nline\ttab", "new line tab"),
        ("  two   dogs ", "2 dogs"),
    ],
)
def test_what_counts_as_the_same_answer(said: str, meant: str) -> None:
    assert normalised(said) == meant
    assert normalised(meant) == meant, "twice is as good as once"


def test_answers_of_people_are_normalised_as_the_models_are() -> None:
    assert vqa_accuracy("2", ["two"] * 4 + ["three"] * 6) == 1.0
    assert vqa_accuracy("two", ["2", "Two", "a two."] + ["3"] * 7) == pytest.approx(0.9)


def test_marks_by_the_rule_written_another_way() -> None:
    """A mark goes if it has a blank beside it or the text has thousands, else becomes a blank; checked letter by letter."""
    random = np.random.default_rng(1)
    letters = list("ab ,;-/?1")
    for _ in range(500):
        text = "".join(random.choice(letters, 7)).strip()
        thousands = bool(re.search(r"\d,\d", text))
        out = ""
        for letter in text:
            beside = f"{letter} " in text or f" {letter}" in text
            out += letter if letter in "ab 1" else "" if beside or thousands else " "
        assert normalised(text) == " ".join(word for word in out.split() if word != "a"), text
