"""Questions about things whose place is known, so balanced that whoever sees the question alone can only guess.

For each wording, say ``what color is the star?``, every answer that it has comes equally often: the best that a blind model can do is
1 / k where k answers are asked for, and ``blind`` says what that is over all.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations

import numpy as np

from paperzoo.data.captions.grammar import RELATIONS, Thing, relation_of
from paperzoo.data.questions.building import Question

#: how far, in units of the other axis, a thing must lie off the middle of the picture to be on one side of it
CLEAR = 1.5

Asking = tuple[str, str, str]
"""Kind, question, answer."""


def questions(things: Sequence[Thing], size: int, others: Sequence[tuple[str, str]]) -> Iterator[Asking]:
    """All that is asked about a picture: kind, question and answer; nothing that it leaves open.

    Colours are asked of shapes alone: an object, whose ``colour`` is ``""``, may well be red.

    Args:
        size: the side of the picture.
        others: colours and nouns, as of ``Thing``, that are asked after though they need not be there.
    """
    colours, nouns = Counter(t.colour for t in things), Counter(t.noun for t in things)
    there = {(t.colour, t.noun) for t in things}
    for thing in things:
        if thing.colour and nouns[thing.noun] == 1:
            yield "color", f"what color is the {thing.noun}?", thing.colour
        if thing.colour and colours[thing.colour] == 1:
            yield "what", f"what shape is {thing.colour}?", thing.noun
        if side := side_of(thing, size):
            yield "where", f"where is the {said(thing.colour, thing.noun)}?", side
    yield "how many", "how many things are there?", str(len(things))
    for colour in sorted({colour for colour, _ in [*there, *others] if colour}):
        yield "how many", f"how many shapes are {colour}?", str(colours[colour])
    for colour, noun in sorted(there.union(others)):
        yield "yes/no", f"is there a {said(colour, noun)}?", "yes" if (colour, noun) in there else "no"
    yield from _relations(things, nouns)


def _relations(things: Sequence[Thing], nouns: Mapping[str, int]) -> Iterator[Asking]:
    """The relations of things whose nouns no other thing shares."""
    for a, b in permutations([thing for thing in things if nouns[thing.noun] == 1], 2):
        holds = relation_of(a.box, b.box)
        if not holds:
            continue
        for relation, words in RELATIONS.items():
            yield "yes/no", f"is the {a.noun} {words[0]} the {b.noun}?", "yes" if relation == holds else "no"
        if sum(relation_of(c.box, b.box) in (holds, "") for c in things if c is not b) == 1:
            yield "what", f"what is {RELATIONS[holds][0]} the {b.noun}?", a.noun


def said(colour: str, noun: str) -> str:
    """``red star``, or ``banana``."""
    return f"{colour} {noun}" if colour else noun


def side_of(thing: Thing, size: int) -> str:
    """``left``, ``right``, ``top`` or ``bottom``, where the thing's middle is clearly on that side of the picture's, else ``""``."""
    x, y = thing.box[0] + thing.box[2] - size, thing.box[1] + thing.box[3] - size
    if abs(x) > CLEAR * abs(y):
        return "left" if x < 0 else "right"
    if abs(y) > CLEAR * abs(x):
        return "top" if y < 0 else "bottom"
    return ""


def balanced(by_picture: Mapping[int, Sequence[Asking]], most: int, seed: int) -> list[Question]:
    """A balanced subset of all possible questions about pictures: every answer of a wording is equally frequent.

    A wording keeps those of its answers that leave most questions, at least two; one that always has the same answer is not asked.

    Args:
        by_picture: of each picture, what ``questions`` gives.
        most: questions that a wording and one of its answers have at most.
        seed: by which pictures are chosen.

    Returns:
        Questions in order of their pictures.
    """
    random = np.random.default_rng(seed)
    wordings: dict[tuple[str, str], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for picture, candidates in by_picture.items():
        for kind, text, answer in candidates:
            wordings[kind, text][answer].append(picture)
    chosen: list[Question] = []
    for (kind, text), pictures in sorted(wordings.items()):
        counts = sorted((min(len(same_answer), most) for same_answer in pictures.values()), reverse=True)
        answers = max(range(1, len(counts) + 1), key=lambda k: k * counts[k - 1] if k > 1 else 0)
        if answers < 2:
            continue
        each = counts[answers - 1]
        for answer in sorted(pictures, key=lambda a: (-min(len(pictures[a]), most), a))[:answers]:
            for place in random.permutation(len(pictures[answer]))[:each]:
                chosen.append(Question(pictures[answer][place], text, answer, (answer,), kind))
    return sorted(chosen)


def blind(questions: Sequence[Question]) -> float:
    """The share of these questions that the commonest answer to each wording is right for, in [0, 1]."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for question in questions:
        counts[question.text][question.answer] += 1
    return sum(max(answers.values()) for answers in counts.values()) / sum(answers.total() for answers in counts.values())
