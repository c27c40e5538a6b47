"""BLEU with several references, CIDEr-D, ROUGE-L and retrieval: closed forms, cases by hand, and other implementations."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest

from paperzoo.metrics.caption_bleu import caption_bleu
from paperzoo.metrics.cider import cider, ciders
from paperzoo.metrics.recall_at import recall_at
from paperzoo.metrics.rouge_l import longest_common, rouge_l

METRICS = (caption_bleu, cider, rouge_l)


def corpus(pictures: int, seed: int = 0, words: int = 9) -> tuple[list[str], list[list[str]]]:
    """Captions with one to five references of few words, so that many n-grams are common."""
    rng = np.random.default_rng(seed)

    def text() -> str:
        return " ".join(rng.choice(list("abcdefghi")[:words], rng.integers(3, 12)))

    found, references = [], []
    for _ in range(pictures):
        references.append([text() for _ in range(rng.integers(1, 6))])
        found.append(references[-1][0].replace("a", "b") if rng.random() < 0.5 else text())
    return found, references


# BLEU ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_bleu_is_that_of_sacrebleu(seed: int) -> None:
    BLEU = pytest.importorskip("sacrebleu").BLEU
    found, references = corpus(100, seed)
    if seed == 3:
        found = [" ".join(text.split()[:3] + text.split()[-1:]) for text in found]  # short ones, for the penalty
    streams = [[own[i] if i < len(own) else None for own in references] for i in range(5)]
    own = caption_bleu(found, references)
    for n in range(1, 5):
        metric = BLEU(tokenize="none", smooth_method="none", max_ngram_order=n, force=True)
        assert own[n - 1] == pytest.approx(metric.corpus_score(found, streams).score, rel=1e-9)


def test_bleu_by_the_formula_of_nltk() -> None:
    """``corpus_bleu``: a fraction for each n over the corpus, weights 1 / n, and the penalty by the closest lengths."""
    found, references = corpus(100, 7)
    found = [" ".join(text.split()[:4]) for text in found]
    own = caption_bleu(found, references)
    fractions, length, closest = [], 0, 0
    for n in range(1, 5):
        above, below = 0, 0
        for text, texts in zip(found, references, strict=True):
            mine, theirs = text.split(), [t.split() for t in texts]
            counts = Counter(tuple(mine[i : i + n]) for i in range(len(mine) - n + 1))
            for gram, count in counts.items():
                most = max(sum(tuple(t[i : i + n]) == gram for i in range(len(t) - n + 1)) for t in theirs)
                above += min(count, most)
            below += max(0, len(mine) - n + 1)
            if n == 1:
                length += len(mine)
                closest += min((len(t) for t in theirs), key=lambda size: (abs(size - len(mine)), size))
        fractions.append(Fraction(above, below))
        penalty = 1 if length > closest else math.exp(1 - closest / length)
        wanted = penalty * math.exp(math.fsum(math.log(f) / n for f in fractions))
        assert own[n - 1] == pytest.approx(100 * wanted) and penalty < 1


def test_bleu_of_known_captions() -> None:
    assert caption_bleu(["a b c d", "e f g h i"], [["x", "a b c d"], ["e f g h i"]]) == pytest.approx((100,) * 4)
    assert caption_bleu(["the the the"], [["the cat", "the the dog"]])[0] == pytest.approx(100 * 2 / 3)  # clipped by the best reference
    assert caption_bleu(["x y"], [["a b"]]) == (0, 0, 0, 0) == caption_bleu([""], [["a b"]])
    one, two, three, four = caption_bleu(["a b x"], [["a b c"]])
    assert (one, two, three, four) == pytest.approx((100 * 2 / 3, 100 * math.sqrt(2 / 3 * 1 / 2), 0, 0))
    short = caption_bleu(["a b"], [["a b c d", "a b c d e f"]])
    assert short[0] == pytest.approx(100 * math.exp(1 - 4 / 2))  # the nearest reference has four words
    assert caption_bleu(["a b c"], [["a b", "a b c d"]])[0] == pytest.approx(100)  # of two as near the shorter: no penalty
    corpus_score = caption_bleu(["a b", "x y z w"], [["a b"], ["p q r s"]])[0]
    assert corpus_score == pytest.approx(100 * 2 / 6)  # of the corpus, no mean of sentences


# CIDEr-D -------------------------------------------------------------------------------------------------------------


def slow_cider(found: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """By the equations, over one vector a text with all n-grams of the corpus in order."""
    texts = [*found, *(t for own in references for t in own)]
    total = []
    for n in range(1, 5):

        def cut(text: str, n: int = n) -> list[tuple[str, ...]]:
            words = text.split()
            return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]

        grams = sorted({g for t in texts for g in cut(t)})
        has = np.array([[any(g in cut(t) for t in own) for g in grams] for own in references]).reshape(len(references), -1)
        idf = np.log(len(found)) - np.log(np.maximum(1, has.sum(0)))

        def vector(text: str, grams: list[tuple[str, ...]] = grams, idf: np.ndarray = idf) -> np.ndarray:
            own = cut(text)
            return np.array([own.count(g) for g in grams]) * idf

        for text, own in zip(found, references, strict=True):
            each = []
            for other in own:
                a, b = vector(text), vector(other)
                norm = np.linalg.norm(a) * np.linalg.norm(b)
                penalty = np.exp(-((len(text.split()) - len(other.split())) ** 2) / (2 * 6**2))
                each.append(penalty * np.minimum(a, b) @ b / norm if norm else 0.0)
            total.append(10 * np.mean(each))
    return float(np.mean(total))


@pytest.mark.parametrize("seed", range(3))
def test_cider_by_its_equations(seed: int) -> None:
    found, references = corpus(25, seed, 9)
    assert 0.3 < cider(found, references) == pytest.approx(slow_cider(found, references))


def test_cider_of_known_captions() -> None:
    references = [["a b c d e"], ["f g h i j"]]
    assert cider(["a b c d e", "f g h i j"], references) == pytest.approx(10)
    assert cider(["f g h i j", "a b c d e"], references) == 0
    # a caption one word longer; every n-gram is in one of two pictures or in none: all weigh log 2
    lengths = [(5 - n, 6 - n) for n in range(4)]  # n-grams of the reference, and of the caption
    cosines = [a / math.sqrt(a * b) for a, b in lengths]
    first, second = ciders(["a b c d e x", "nothing"], references)
    assert first == pytest.approx(10 * math.exp(-1 / 72) * sum(cosines) / 4) and second == 0
    # repeated words do not help: a word counts at most as often as in the reference, and makes the caption's vector longer
    (once, _), (thrice, _) = ciders(["a b", "f"], references), ciders(["a a a b", "f"], references)
    assert thrice < once
    half = ciders(["a b c d e", "f g h i j"], [["a b c d e", "v w x y z"], ["f g h i j"]])
    assert half == pytest.approx([5, 10])  # the mean over references, not the best
    # what all pictures have says nothing
    assert cider(["a b c d", "a b c d"], [["a b c d"], ["a b c d"]]) == 0
    common = ciders(["a dog runs fast", "a cat"], [["a dog runs fast"], ["a cat sits there"]])
    assert common[0] == pytest.approx(10)


# ROUGE-L -------------------------------------------------------------------------------------------------------------


def test_longest_common_subsequence_by_trying_all() -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        a, b = ([str(w) for w in rng.choice(list("abc"), rng.integers(0, 8))] for _ in range(2))
        every = {c for k in range(len(a) + 1) for c in combinations(a, k)} & {c for k in range(len(b) + 1) for c in combinations(b, k)}
        assert longest_common(a, b) == max(map(len, every))


def test_rouge_l_of_known_captions() -> None:
    def f(precision: float, recall: float) -> float:
        return 100 * (1 + 1.44) * precision * recall / (recall + 1.44 * precision)

    assert rouge_l(["a b c"], [["a b c"]]) == pytest.approx(100) and rouge_l(["a b"], [["c d"]]) == 0 == rouge_l([""], [["c d"]])
    assert rouge_l(["a x b"], [["a b c d"]]) == pytest.approx(f(2 / 3, 2 / 4))
    assert rouge_l(["a b c d"], [["a y b"]]) == pytest.approx(f(2 / 4, 2 / 3))  # recall counts more
    assert rouge_l(["a x b"], [["a b c d"]]) < rouge_l(["a b c d"], [["a x b"]])
    assert rouge_l(["a b c d"], [["a b c x y z", "d"]]) == pytest.approx(f(3 / 4, 1))  # each the largest of all references
    assert rouge_l(["a b", "x"], [["a b"], ["y"]]) == pytest.approx(50)


@pytest.mark.parametrize("metric", METRICS)
def test_captions_that_cannot_be_measured(metric) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="not 0 and 0"):
        metric([], [])
    with pytest.raises(ValueError, match="not 1 and 2"):
        metric(["a"], [["a"], ["b"]])
    with pytest.raises(ValueError, match="1 of 2 pictures have no reference, the first is number 1"):
        metric(["a", "b"], [["a"], []])


# Retrieval -----------------------------------------------------------------------------------------------------------


def test_recall_of_a_case_by_hand() -> None:
    scores = np.array([[9, 1, 5, 2.0], [8, 7, 6, 3.0]])  # captions 0 and 1 are of picture 0, captions 2 and 3 of picture 1
    captions, pictures = recall_at(scores, np.array([0, 0, 1, 1]))
    assert captions.recall == {1: 50, 5: 100, 10: 100} and captions.median == 2  # ranks 1 and 3
    assert pictures.recall == {1: 75, 5: 100, 10: 100} and pictures.median == 1  # ranks 1, 2, 1, 1


def test_recall_against_sorting() -> None:
    rng = np.random.default_rng(0)
    picture = rng.permutation(np.repeat(np.arange(20), 3))
    scores = rng.standard_normal((20, 60)) + 1.5 * (picture == np.arange(20)[:, None])
    captions, pictures = recall_at(scores, picture)
    ranks = [min(np.flatnonzero(picture[np.argsort(-row)] == n)) + 1 for n, row in enumerate(scores)]
    back = [np.flatnonzero(np.argsort(-column) == picture[m])[0] + 1 for m, column in enumerate(scores.T)]
    for found, wanted in ((captions, np.array(ranks)), (pictures, np.array(back))):
        assert found.median == np.median(wanted)
        assert found.recall == pytest.approx({k: 100 * (wanted <= k).mean() for k in (1, 5, 10)})
    assert 5 < captions.recall[1] < 95 and captions.recall[1] != pictures.recall[1]


def test_scores_that_say_nothing_find_nothing() -> None:
    picture = np.repeat(np.arange(50), 5)
    for found in recall_at(np.ones((50, 250)), picture):
        assert found.recall == {1: 0, 5: 0, 10: 0} and found.median >= 50
    perfect = (picture == np.arange(50)[:, None]).astype(float)
    for found in recall_at(perfect, picture):
        assert found.recall == {1: 100, 5: 100, 10: 100} and found.median == 1


@pytest.mark.parametrize(
    ("scores", "picture", "fault"),
    [
        (np.ones((2, 3)), np.array([0, 1]), "a picture for each of M captions"),
        (np.ones(3), np.array([0, 1, 1]), "wanted, not"),
        (np.array([[1, np.nan], [1, 1]]), np.array([0, 1]), "1 of 4 scores are no numbers"),
        (np.ones((2, 2)), np.array([0, 0]), "every picture has at least one caption"),
        (np.ones((2, 3)), np.array([0, 1, 2]), "every caption one of these pictures"),
    ],
)
def test_scores_of_other_shapes(scores: np.ndarray, picture: np.ndarray, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        recall_at(scores, picture)
