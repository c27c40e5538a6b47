"""A small world of things that stand above, below and beside each other, and the captions that are true of it.

A caption is one of::

    S R O                  a red square above a blue circle
    S is R O               a red square is above a blue circle
    there is S R O         there is a red square above a blue circle
    a picture of S R O
    R O is S               above a blue circle is a red square

maybe with ``and also T`` behind it. S, O and T are ``a``, a size or none, the colour of a shape, and a noun; R is a relation. Nouns, sizes
and relations have synonyms.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from paperzoo.data.captions.words import tokenise

#: shape -> what it is called; each has one of the colours
SHAPES = {
    "circle": ("circle", "disc"),
    "square": ("square",),
    "triangle": ("triangle",),
    "star": ("star",),
    "heart": ("heart",),
    "cross": ("cross", "plus"),
}

#: other things, in colours of their own, which no caption tells -> what they are called
OBJECTS = {
    "banana": ("banana",),
    "bell": ("bell",),
    "bus": ("bus", "coach"),
    "butterfly": ("butterfly",),
    "cactus": ("cactus",),
    "car": ("car",),
    "fish": ("fish",),
    "key": ("key",),
    "mushroom": ("mushroom", "toadstool"),
    "pizza": ("pizza",),
    "rocket": ("rocket", "spaceship"),
    "snail": ("snail",),
}

NOUNS = {**SHAPES, **OBJECTS}
COLOURS = ("red", "yellow", "green", "blue", "purple", "black")
SIZES = {"large": ("large", "big"), "small": ("small", "little")}
RELATIONS = {
    "above": ("above", "over"),
    "below": ("below", "under"),
    "left": ("to the left of", "left of"),
    "right": ("to the right of", "right of"),
}
CONVERSE = {"above": "below", "below": "above", "left": "right", "right": "left"}

#: how often a caption takes another word than the first for the same
SYNONYM = 0.2
#: form of a sentence -> how often it comes
FORMS = {
    "{s} {r} {o}": 0.45,
    "{s} is {r} {o}": 0.2,
    "there is {s} {r} {o}": 0.2,
    "a picture of {s} {r} {o}": 0.1,
    "{r} {o} is {s}": 0.05,
}
_LIST, _UP_TO = tuple(FORMS), np.cumsum(list(FORMS.values()))[:-1]
_NOUN = {word: noun for noun, words in NOUNS.items() for word in words}
_SIZE = {word: size for size, words in SIZES.items() for word in words}
_RELATION = {tuple(text.split()): relation for relation, texts in RELATIONS.items() for text in texts}

#: captions of a scene, and how many of them name its first thing first
CAPTIONS, FORWARD = 5, 3

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Thing:
    """A thing in a scene.

    Attributes:
        colour: one of ``COLOURS``; ``""`` where it is an object, which has colours of its own.
        size: ``large`` or ``small``.
        box: x0, y0, x1, y1 in pixels of the picture, the last two behind the thing.
    """

    noun: str
    colour: str
    size: str
    box: Box


@dataclass(frozen=True)
class Scene:
    """What a picture shows: no two things of the same noun and colour. Its captions are of the first two, which are the large ones.

    Attributes:
        relation: of the first thing to the second, one of ``RELATIONS``.
    """

    things: tuple[Thing, ...]
    relation: str


@dataclass(frozen=True)
class Phrase:
    """A caption's description of a thing; ``""`` for a size or colour that it omits."""

    noun: str
    colour: str = ""
    size: str = ""

    def fits(self, thing: Thing) -> bool:
        """Whether the description has all required properties of the thing, and no wrong one."""
        return (self.noun, self.colour) == (thing.noun, thing.colour) and self.size in ("", thing.size)


@dataclass(frozen=True)
class Statement:
    """A parsed caption: one thing stands in a relation to another, and there may be a third."""

    subject: Phrase
    relation: str
    object: Phrase
    also: Phrase | None = None


def relation_of(a: Box, b: Box) -> str:
    """The relation of the first box to the second, along the axis on which their centres are farther apart; ``""`` if on neither."""
    x, y = b[0] + b[2] - a[0] - a[2], b[1] + b[3] - a[1] - a[3]
    if abs(x) == abs(y):
        return ""
    if abs(y) > abs(x):
        return "above" if y > 0 else "below"
    return "left" if x > 0 else "right"


# Captions ------------------------------------------------------------------------------------------------------------


def captions(scene: Scene, rng: np.random.Generator) -> tuple[str, ...]:
    """Five different true captions: three of one of the two large things to the other, two of the converse; one may name a small thing."""
    forward = bool(rng.integers(2))
    also = int(rng.integers(CAPTIONS)) if len(scene.things) > 2 else CAPTIONS
    texts: list[str] = []
    while len(texts) < CAPTIONS:
        text = caption(scene, rng, forward == (len(texts) < FORWARD), len(texts) == also)
        if text not in texts:
            texts.append(text)
    return tuple(texts)


def caption(scene: Scene, rng: np.random.Generator, forward: bool = True, also: bool = False) -> str:
    """A true caption.

    Args:
        forward: of the first thing to the second, not the converse.
        also: whether it names a small thing as well, and maybe calls the others large.
    """
    first, second = scene.things[:2]
    s, r, o = (first, scene.relation, second) if forward else (second, CONVERSE[scene.relation], first)
    form = _LIST[int(np.searchsorted(_UP_TO, rng.random(), side="right"))]
    sized = also and rng.random() < 0.5  # that a thing is large is seen beside a small one
    text = form.format(s=_phrase(s, rng, sized), r=_word(RELATIONS[r], rng), o=_phrase(o, rng, sized))
    if also:
        third = scene.things[2 + int(rng.integers(len(scene.things) - 2))]
        text += f" and also {_phrase(third, rng, sized=True)}"
    return text


def _phrase(thing: Thing, rng: np.random.Generator, sized: bool) -> str:
    size = _word(SIZES[thing.size], rng) if sized else ""
    return " ".join(filter(None, ("a", size, thing.colour, _word(NOUNS[thing.noun], rng))))


def _word(words: Sequence[str], rng: np.random.Generator) -> str:
    return words[-1] if len(words) > 1 and rng.random() < SYNONYM else words[0]


# Truth ---------------------------------------------------------------------------------------------------------------


def parse(caption: str) -> Statement | None:
    """The caption parsed; ``None`` if it is not in this grammar."""
    words = tuple(tokenise(caption))
    for head, copula in ((("there", "is"), False), (("a", "picture", "of"), False), ((), True)):
        if words[: len(head)] == head and (statement := _sentence(words[len(head) :], copula)):
            return statement
    return _inverted(words)


def _sentence(words: tuple[str, ...], copula: bool) -> Statement | None:
    """``S R O``, and where a ``copula`` may stand ``S is R O``."""
    for subject, rest in _phrases(words):
        rest = rest[1:] if copula and rest[:1] == ("is",) else rest
        for relation, behind in _relations(rest):
            for object, end in _phrases(behind):
                if (also := _also(end)) is not None:
                    return Statement(subject, relation, object, *also)
    return None


def _inverted(words: tuple[str, ...]) -> Statement | None:
    """``R O is S``."""
    for relation, behind in _relations(words):
        for object, rest in _phrases(behind):
            for subject, end in _phrases(rest[1:]) if rest[:1] == ("is",) else ():
                if (also := _also(end)) is not None:
                    return Statement(subject, relation, object, *also)
    return None


def _also(words: tuple[str, ...]) -> tuple[()] | tuple[Phrase] | None:
    """The thing behind ``and also``, nothing at the end of the caption, ``None`` for anything else."""
    if not words:
        return ()
    third = next(_phrases(words[2:]), None) if words[:2] == ("and", "also") else None
    return (third[0],) if third and not third[1] else None


def _phrases(words: tuple[str, ...]) -> Iterator[tuple[Phrase, tuple[str, ...]]]:
    """The phrase that the words begin with, if they do, and what follows it."""
    if words[:1] != ("a",):
        return
    rest, size, colour = words[1:], "", ""
    if rest and rest[0] in _SIZE:
        size, rest = _SIZE[rest[0]], rest[1:]
    if rest and rest[0] in COLOURS:
        colour, rest = rest[0], rest[1:]
    if rest and rest[0] in _NOUN:
        yield Phrase(_NOUN[rest[0]], colour, size), rest[1:]


def _relations(words: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for text, relation in _RELATION.items():
        if words[: len(text)] == text:
            yield relation, words[len(text) :]


def true(caption: str, scene: Scene) -> bool:
    """Whether a caption is exactly true: it parses, names two things of the scene with the colours that shapes have and the relation in
    which they stand, and whatever else it says holds as well.
    """
    said = parse(caption)
    if said is None:
        return False
    return any(
        said.subject.fits(a)
        and said.object.fits(b)
        and relation_of(a.box, b.box) == said.relation
        and (said.also is None or any(said.also.fits(c) for c in scene.things if c not in (a, b)))
        for a, b in permutations(scene.things, 2)
    )


def nouns(caption: str) -> list[tuple[int, str]]:
    """The nouns of a caption, each with its place among the words of ``tokenise``, and as ``NOUNS`` has them, not their synonyms."""
    return [(place, _NOUN[word]) for place, word in enumerate(tokenise(caption)) if word in _NOUN]
