"""Captions as words, and words as numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from paperzoo.data.captions.columns import Captions, Listed
from paperzoo.data.captions.words import END, PAD, SPECIAL, START, UNKNOWN, Words, learn, tokenise
from paperzoo.errors import PaperzooError


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A man, in a T-shirt; rides (quickly) .", "a man in a t-shirt rides quickly"),
        ("Two dogs don’t see the dog's ball", "two dogs do n't see the dog 's ball"),
        ("they're 'here' -- 3 of them!", "they 're here 3 of them"),
        ("Uma rodela de LARANJA, à mesa", "uma rodela de laranja à mesa"),
        ("कुत्ता दौड़ता है", "कुत्ता दौड़ता है"),
        (" . , ! ", ""),
    ],
)
def test_words_without_punctuation_in_lower_case(text: str, words: str) -> None:
    import unicodedata

    assert " ".join(tokenise(text)) == unicodedata.normalize("NFC", words)


def test_a_vocabulary_counts_and_begins_with_four_words_of_its_own() -> None:
    texts = ["a dog", "A dog runs", "a cat."]
    assert learn(texts) == (*SPECIAL, "a", "dog", "cat", "runs") and learn(texts, least=2) == (*SPECIAL, "a", "dog")
    assert tuple(map(SPECIAL.index, ("<pad>", "<start>", "<end>", "<unknown>"))) == (PAD, START, END, UNKNOWN)


def test_words_to_numbers_and_back() -> None:
    words = Words((*SPECIAL, "a", "dog", "runs"))
    assert words.encode("A dog, sleeps") == [1, 4, 5, 3, 2]
    assert words.decode([1, 4, 5, 6, 2, 5, 0]) == "a dog runs" and words.decode([4, 3, 0, 0]) == "a <unknown>"
    assert len(words) == 7
    with pytest.raises(PaperzooError, match="begins with <pad>, <start>, <end>, <unknown>, not with a, b"):
        Words(("a", "b"))
    with pytest.raises(PaperzooError, match="'dog' twice"):
        Words((*SPECIAL, "dog", "cat", "dog"))


def test_captions_are_padded_to_the_longest_of_the_batch() -> None:
    words = Words((*SPECIAL, "a", "b"))
    column = Captions([("a b a b", "b"), ("a",), ("b", "a b")], words)
    assert len(column) == 3 and column.longest == 6
    taken = column.take(np.array([2, 1]))
    assert taken["captions"].tolist() == [[[1, 5, 2, 0], [1, 4, 5, 2]], [[1, 4, 2, 0], [0, 0, 0, 0]]]
    assert taken["captions"].dtype == torch.int64 and taken["texts"] == [("b", "a b"), ("a",)]
    assert column.take(np.array([0]))["captions"].shape == (1, 2, 6)
    both = column.join(column.some(np.array([1])))
    assert len(both) == 4 and both.take(np.array([3]))["texts"] == [("a",)]


def test_lists_are_taken_in_order() -> None:
    column = Listed("scene", ["x", "y", "z"])
    assert column.take(np.array([2, 0, 2])) == {"scene": ["z", "x", "z"]}
    assert column.join(column.some(np.array([1]))).take(np.array([3, 0])) == {"scene": ["y", "x"]}
