"""ROUGE-L of captions: the longest common subsequence of words (Lin 2004)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from paperzoo.metrics.caption_bleu import check

BETA = 1.2  # how much more recall counts than precision


def rouge_l(found: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """ROUGE-L of a corpus, from 0 to 100: the mean over pictures of F with beta 1.2, of the largest precision and the largest recall
    against any reference, as COCO's evaluation of captions has it.

    Args:
        found: a caption a picture, words with blanks between them.
        references: of each picture its captions, at least one, in the same words.

    Raises:
        ValueError: no captions, not as many as there are lists of references, or a picture without a reference.
    """
    check(found, references)
    scores = []
    for caption, texts in zip(found, references, strict=True):
        words, others = caption.split(), [text.split() for text in texts]
        common = [longest_common(words, other) for other in others]
        precision = max(common) / max(1, len(words))
        recall = max(c / max(1, len(other)) for c, other in zip(common, others, strict=True))
        scores.append((1 + BETA**2) * precision * recall / (recall + BETA**2 * precision) if max(common) else 0.0)
    return 100 * math.fsum(scores) / len(scores)


def longest_common(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest sequence of words that both have in this order, with others between them or not."""
    row = [0] * (len(b) + 1)
    for word in a:
        before = row
        row = [0]
        for place, other in enumerate(b):
            row.append(before[place] + 1 if word == other else max(row[place], before[place + 1]))
    return row[-1]
