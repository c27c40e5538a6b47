"""CIDEr-D: agreement of captions with what most people say of a picture (Vedantam, Zitnick and Parikh 2015)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from paperzoo.metrics.caption_bleu import check, ngrams

LONGEST = 4
SIGMA = 6.0  # of the penalty for captions of another length, in words

Vector = Mapping[tuple[str, ...], float]


def cider(found: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """CIDEr-D of a corpus, from 0 to 10; papers print ten or a hundred times as much.

    Each n-gram, n = 1 to 4, weighs by how often it is in a caption and by the logarithm of the share of pictures whose references have
    it. A caption is compared with each of its references by the cosine of these weights, clipped at the reference's, times
    ``exp(-d^2 / 72)`` for d words of difference; the mean is taken over references, n and pictures. With a single picture
    nothing is rare, and all is 0.

    Args:
        found: a caption a picture, words with blanks between them.
        references: of each picture its captions, at least one, in the same words.

    Raises:
        ValueError: no captions, not as many as there are lists of references, or a picture without a reference.
    """
    return math.fsum(scores := ciders(found, references)) / len(scores)


def ciders(found: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """CIDEr-D of each caption; see ``cider``."""
    check(found, references)
    counted = [[_counts(text) for text in texts] for texts in references]
    pictures: Counter[tuple[str, ...]] = Counter()  # how many have the n-gram in a reference
    for reference_counts in counted:
        pictures.update({gram for counts in reference_counts for each in counts for gram in each})
    weight = {gram: math.log(len(found) / count) for gram, count in pictures.items()}
    rarest = math.log(len(found))  # of what no reference has
    scores = []
    for caption, reference_counts in zip(found, counted, strict=True):
        candidate = [_weighed(counts, weight, rarest) for counts in _counts(caption)]
        length = len(caption.split())
        total = 0.0
        for counts in reference_counts:
            away = max(0, length - 1) - counts[1].total()  # the published code measures a caption by its pairs of words
            near = sum(_cosine(a, _weighed(b, weight, rarest)) for a, b in zip(candidate, counts, strict=True)) / LONGEST
            total += near * math.exp(-(away**2) / (2 * SIGMA**2))
        scores.append(10 * total / len(reference_counts))
    return scores


def _counts(text: str) -> list[Counter[tuple[str, ...]]]:
    words = text.split()
    return [ngrams(words, n) for n in range(1, LONGEST + 1)]


def _weighed(counts: Mapping[tuple[str, ...], int], weight: Vector, rarest: float) -> dict[tuple[str, ...], float]:
    return {gram: count * weight.get(gram, rarest) for gram, count in counts.items()}


def _cosine(own: Vector, reference: Vector) -> float:
    """Cosine of two vectors, the first clipped at the second within the product; 0 where either has no length."""
    length = math.sqrt(sum(v * v for v in own.values()) * sum(v * v for v in reference.values()))
    if not length:
        return 0.0
    return sum(min(value, reference[gram]) * reference[gram] for gram, value in own.items() if gram in reference) / length
