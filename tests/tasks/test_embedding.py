"""The map of words: which pairs are known, how many analogies hold, and where arrows lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from paperzoo.metrics.word_similarity import unit
from paperzoo.tasks.embedding import draw

WORDS = ("king", "queen", "man", "woman", "father", "mother", "stone")


def stepping(step: float) -> np.ndarray:
    """Vectors (7, 8) in which the second word of each pair is the first and the same step; the last word is neither."""
    vectors = np.eye(7, 8)
    for first in (0, 2, 4):
        vectors[first + 1] = vectors[first] + step * np.eye(8)[7]
    return vectors


def test_pairs_are_rows_where_both_words_are_known() -> None:
    assert draw.rows_of(WORDS, (("man", "woman"), ("boy", "girl"), ("king", "queen"))).tolist() == [[2, 3], [0, 1]]
    assert draw.rows_of((), draw.PAIRS).shape == (0, 2)


def test_the_share_of_analogies_that_hold() -> None:
    pairs = np.array([[0, 1], [2, 3], [4, 5]])
    vectors = stepping(1.0)
    assert draw.alike(vectors, pairs) == 1
    vectors[5] = np.eye(7, 8)[6]  # mother is where stone is: every question that she is the answer to or is asked with fails, or ties
    assert draw.alike(vectors, pairs) < 0.7


def test_equal_steps_are_equal_arrows_upwards() -> None:
    pairs = np.array([[0, 1], [2, 3], [4, 5]])
    ends = draw.plane(stepping(0.5), pairs)  # (3, 2, 2)
    assert np.allclose(ends[:, 1] - ends[:, 0], [0, 0.5], atol=1e-9)
    assert len({round(x, 6) for x in ends[:, 0, 0]}) >= 2  # told apart across


def test_a_map_with_arrows_names_no_word_over_another(monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    axes = Figure(figsize=(9, 8)).subplots()
    place = np.array([[0.0, 0.0], [0.01, 0.0], [1.0, 1.0], [0.5, 0.5]])
    draw._map(axes, place, np.array([0, 0, 1, 2]), ["often", "covered", "far", "away"])
    assert [text.get_text() for text in axes.texts] == ["often", "far", "away"]
    other: Any = Figure().subplots()
    draw._arrows(other, unit(stepping(1.0)), np.array([[0, 1], [2, 3], [4, 5]]), WORDS)
    assert {text.get_text() for text in other.texts} >= set(WORDS[:6]) and "100 % of the analogies" in other.get_title()
