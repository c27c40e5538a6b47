"""Entity F1 as the CoNLL shared tasks count it: a span is right if its first word, its last word and its type are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from paperzoo.errors import PaperzooError

Scheme = Literal["IOB2", "IOBES"]


@dataclass(frozen=True)
class Score:
    """Precision, recall and F1 in percent; ``support`` counts the true spans. 0 where there is nothing to divide by."""

    precision: float
    recall: float
    f1: float
    support: int


def scheme_of(tags: Iterable[str]) -> Scheme:
    """IOBES (B- I- E- of a span, S- alone) if any tag of the *tag set* is an E- or S-, else IOB2 (B-, then I-)."""
    return "IOBES" if any(tag[0] in "ES" for tag in tags) else "IOB2"


def spans(tags: Sequence[str], scheme: Scheme = "IOB2") -> list[tuple[str, int, int]]:
    """The spans of one sentence as (type, first word, one past the last word), read strictly.

    An I- that continues nothing makes no span; in IOBES a B- that no E- closes makes none.
    """
    triples, start = [], 0
    while start < len(tags):
        end = start + 1
        if tags[start][0] == "B":
            while end < len(tags) and follows(tags[end - 1], tags[end], scheme) and tags[end][0] in "IE":
                end += 1
        closed = tags[end - 1][0] in "ES" if scheme == "IOBES" else True
        if tags[start][0] in "BS" and closed:
            triples.append((tags[start][2:], start, end))
        start = end
    return triples


def follows(before: str, tag: str, scheme: Scheme = "IOB2") -> bool:
    """Whether ``tag`` may stand right after ``before``; "O" stands for both ends of a sentence."""
    going = tag[0] in "IE"  # goes on with what is before
    if scheme == "IOB2":
        return not going or (before[0] in "BI" and before[2:] == tag[2:])
    return going == (before[0] in "BI") and (not going or before[2:] == tag[2:])


def illegal(tags: Sequence[str], scheme: Scheme = "IOB2") -> int:
    """How many transitions of one sentence, with its two ends, no correct tagging has."""
    return sum(not follows(a, b, scheme) for a, b in zip(["O", *tags], [*tags, "O"], strict=True))


def entity_f1(
    gold: Sequence[Sequence[str]], found: Sequence[Sequence[str]], scheme: Scheme = "IOB2"
) -> tuple[Score, Mapping[str, Score]]:
    """Micro-averaged score over all spans of all sentences, and the score of each type, by seqeval in strict mode.

    Args:
        gold, found: tags by sentence, without padding; both of the same lengths.

    Raises:
        PaperzooError: seqeval is not installed.
    """
    try:
        from seqeval.metrics import classification_report
        from seqeval.scheme import IOB2, IOBES
    except ImportError:
        raise PaperzooError('entity F1 needs seqeval: pip install "paperzoo[text]"') from None
    nothing = Score(0.0, 0.0, 0.0, 0)
    if not any(spans(tags, scheme) for tags in (*gold, *found)):  # seqeval cannot average over no types
        return nothing, {}
    report = classification_report(
        [list(tags) for tags in gold],
        [list(tags) for tags in found],
        output_dict=True,
        mode="strict",
        scheme=IOB2 if scheme == "IOB2" else IOBES,
        zero_division=0,
    )
    scores = {
        name: Score(100 * float(r["precision"]), 100 * float(r["recall"]), 100 * float(r["f1-score"]), int(r["support"]))
        for name, r in report.items()
    }
    return scores.get("micro avg", nothing), {name: s for name, s in scores.items() if not name.endswith(" avg")}
