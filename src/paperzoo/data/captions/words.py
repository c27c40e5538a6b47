"""The words of captions, and their numbers."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache

from paperzoo.errors import PaperzooError

PAD, START, END, UNKNOWN = 0, 1, 2, 3
#: the first four words of every vocabulary, which no text holds: padding, both ends of a caption, a word that the vocabulary lacks
SPECIAL = ("<pad>", "<start>", "<end>", "<unknown>")

_CLITIC = re.compile(r"(.+?)(n't|'(?:s|re|ve|ll|d|m))")


def tokenise(text: str) -> list[str]:
    """The words of a text in lower case, punctuation off; ``don't`` and ``dog's`` are ``do n't`` and ``dog 's``, as in the Penn Treebank.

    Letters of all scripts are kept, with their marks; a hyphen within a word too.
    """
    words: list[str] = []
    for word in "".join(map(_kept, unicodedata.normalize("NFC", text).lower())).split():
        word = word.strip("-'")
        if parts := _CLITIC.fullmatch(word) if "'" in word else None:
            words += parts.groups()
        elif word:
            words.append(word)
    return words


@cache
def _kept(character: str) -> str:
    if character in "'’":
        return "'"
    return character if character == "-" or unicodedata.category(character)[0] in "LMN" else " "


class Words:
    """Captions to numbers of words and back.

    Args:
        vocabulary: words by number; begins with ``SPECIAL``.

    Raises:
        PaperzooError: it begins with other words, or has one twice.
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self.vocabulary = tuple(vocabulary)
        self.number = {word: number for number, word in enumerate(self.vocabulary)}
        if self.vocabulary[: len(SPECIAL)] != SPECIAL:
            raise PaperzooError(f"a vocabulary of captions begins with {', '.join(SPECIAL)}, not with {', '.join(self.vocabulary[:4])}")
        if len(self.number) < len(self.vocabulary):
            twice = next(word for word, count in Counter(self.vocabulary).items() if count > 1)
            raise PaperzooError(f"the vocabulary has the word {twice!r} twice")

    def __len__(self) -> int:
        return len(self.vocabulary)

    def encode(self, text: str) -> list[int]:
        """The numbers of a caption's words between ``START`` and ``END``; ``UNKNOWN`` for what the vocabulary lacks."""
        return [START, *(self.number.get(word, UNKNOWN) for word in tokenise(text)), END]

    def decode(self, numbers: Iterable[int]) -> str:
        """The words with a blank between them, up to the first ``END``; ``START`` and padding are passed over."""
        words = []
        for number in numbers:
            if number == END:
                break
            if number not in (PAD, START):
                words.append(self.vocabulary[number])
        return " ".join(words)


def learn(texts: Iterable[str], least: int = 1) -> tuple[str, ...]:
    """The vocabulary of captions: ``SPECIAL``, then every word that occurs ``least`` times or more, the commonest first."""
    counts = Counter(word for text in texts for word in tokenise(text))
    return (*SPECIAL, *(word for word, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if count >= least))
