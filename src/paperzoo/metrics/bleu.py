"""BLEU (Papineni et al. 2002) of a corpus, by sacrebleu, with the signature that says how it was counted (Post 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from paperzoo.errors import PaperzooError


@dataclass(frozen=True)
class Bleu:
    """A score from 0 to 100, and sacrebleu's signature: references, case, tokenisation, smoothing, version."""

    score: float
    signature: str

    def __str__(self) -> str:
        return f"BLEU {self.score:.1f} ({self.signature})"


def bleu(found: Sequence[str], references: Sequence[str], tokenize: str = "13a") -> Bleu:
    """Clipped precision of 1- to 4-grams over the whole corpus, their geometric mean, times the brevity penalty.

    Args:
        found, references: sentences as people read them, not cut into pieces, one reference each; case counts.
        tokenize: sacrebleu's name of the tokenisation, ``13a`` (as WMT counts) by default; ``none`` cuts at blanks.

    Raises:
        PaperzooError: sacrebleu is not installed, there are no sentences, or not as many as references.
    """
    try:
        from sacrebleu.metrics.bleu import BLEU
    except ImportError:
        raise PaperzooError('BLEU needs sacrebleu: pip install sacrebleu') from None
    if not found or len(found) != len(references):
        raise PaperzooError(f"BLEU needs as many sentences as references and at least one, not {len(found)} and {len(references)}")
    metric = BLEU(tokenize=tokenize)
    score = float(metric.corpus_score(list(found), [list(references)]).score)
    return Bleu(score, str(metric.get_signature()))
