"""BLEU-1 to BLEU-4 of captions against several references each (Papineni et al. 2002)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

LONGEST = 4


def caption_bleu(found: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[float, float, float, float]:
    """BLEU-1, BLEU-2, BLEU-3 and BLEU-4 of a corpus, each from 0 to 100.

    A n-gram counts as often as in that reference of its picture which has it most often. The brevity penalty takes the reference
    nearest in length, of two the shorter. There is no smoothing: without a single common 4-gram BLEU-4 is 0. Equal to sacrebleu with
    the tokenisation ``none`` and to nltk's ``corpus_bleu``.

    Args:
        found: a caption a picture, words with blanks between them.
        references: of each picture its captions, at least one, in the same words.

    Raises:
        ValueError: no captions, not as many as there are lists of references, or a picture without a reference.
    """
    check(found, references)
    common, total, length, nearest = [0] * LONGEST, [0] * LONGEST, 0, 0
    for caption, texts in zip(found, references, strict=True):
        words, others = caption.split(), [text.split() for text in texts]
        length += len(words)
        nearest += min((abs(len(other) - len(words)), len(other)) for other in others)[1]
        for n in range(1, LONGEST + 1):
            most: Counter[tuple[str, ...]] = Counter()
            for other in others:
                most |= ngrams(other, n)
            grams = ngrams(words, n)
            common[n - 1] += (grams & most).total()
            total[n - 1] += grams.total()
    if not common[0]:
        return 0.0, 0.0, 0.0, 0.0
    brevity = min(0.0, 1 - nearest / length)
    logs = [math.log(c / t) if c else -math.inf for c, t in zip(common, total, strict=True)]
    one, two, three, four = (100 * math.exp(brevity + sum(logs[:n]) / n) for n in range(1, LONGEST + 1))
    return one, two, three, four


def ngrams(words: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    """Counts of n-grams of words."""
    return Counter(zip(*(words[i:] for i in range(n)), strict=False))


def check(found: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    """Raises ``ValueError`` unless there are captions, as many lists of references, and none of these is empty."""
    if not found or len(found) != len(references):
        raise ValueError(f"as many captions as lists of references, and at least one: not {len(found)} and {len(references)}")
    if bare := [place for place, texts in enumerate(references) if not texts]:
        raise ValueError(f"{len(bare)} of {len(references)} pictures have no reference, the first is number {bare[0]}")
