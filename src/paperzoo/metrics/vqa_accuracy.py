"""VQA accuracy (Antol et al. 2015, 1505.00468, section 3; its evaluation server): how many of ten people gave this answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations

#: people who answer a question of VQA
PEOPLE = 10
#: so many who agree make an answer wholly right
AGREE = 3

_ARTICLES = frozenset(("a", "an", "the"))
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {word: str(number) for number, word in enumerate(_DIGITS)} | {"none": "0"}
_MARKS = ";/[]\"{}()=+\\_-><@`,?!"
_PERIOD = re.compile(r"\.(?!\d)")  # one that is no decimal point
_THOUSANDS = re.compile(r"\d,\d")
#: as they are written; without the apostrophe they mean the same. Left out are those that are other words without: we're, she'll, its
_CONTRACTIONS = """
ain't aren't can't couldn't didn't doesn't don't hadn't hasn't haven't isn't mightn't mustn't needn't oughtn't shan't shouldn't wasn't
weren't won't wouldn't could've might've must've should've would've not've i'm i've you've we've they've who've what've where've you're
they're who're what're there're why're you'll they'll it'll what'll who'll how'll why'll y'all he'd it'd you'd they'd there'd where'd how'd
who'd he's that's there's what's where's when's who's how's let's o'clock ma'am 'twas couldn't've hadn't've mightn't've shouldn't've
wouldn't've he'd've i'd've it'd've she'd've there'd've they'd've we'd've who'd've you'd've somebody'd somebody'll somebody's someone'd
someone'll someone's something'd something'll
"""


def _shortened() -> dict[str, str]:
    """Each contraction without some of its apostrophes -> as it is written."""
    contractions = {}
    for full in _CONTRACTIONS.split():
        places = [i for i, letter in enumerate(full) if letter == "'"]
        for count in range(1, len(places) + 1):
            for left in combinations(places, count):
                contractions["".join(letter for i, letter in enumerate(full) if i not in left)] = full
    return contractions


_SHORTENED = _shortened()


@lru_cache(maxsize=2**16)
def normalised(answer: str) -> str:
    """An answer as the evaluation compares it: lower case; without articles, full stops and marks; numbers to ten as digits; the
    apostrophes of contractions put in.

    A mark inside a word becomes a blank ("black/white" is two words), but one beside a blank, and all of them where a comma parts
    thousands ("1,000"), are only left out.
    """
    text = answer.replace("\n", " ").replace("\t", " ").strip()
    thousands = _THOUSANDS.search(text) is not None
    clean = text
    for mark in _MARKS:
        alone = f"{mark} " in text or f" {mark}" in text
        clean = clean.replace(mark, "" if alone or thousands else " ")
    words = [_NUMBERS.get(word, word) for word in _PERIOD.sub("", clean).lower().split()]
    return " ".join(_SHORTENED.get(word, word) for word in words if word not in _ARTICLES)


def vqa_accuracy(answer: str, answers: Sequence[str]) -> float:
    """The mean over the ten subsets of nine people of ``min(how many of them gave this answer / 3, 1)``, in [0, 1].

    One person's answer gives 0.3, that of two 0.6, of three 0.9, of four or more 1. Where a question has a single true answer, as in
    data that are made by a program, it is 1 for this and else 0. Both sides are ``normalised``.

    Args:
        answers: of ten people, or the one that is true.

    Raises:
        ValueError: there are neither one nor ten.
    """
    if len(answers) not in (1, PEOPLE):
        raise ValueError(f"VQA accuracy needs {PEOPLE} people's answers, or the one that is true, not {len(answers)}")
    said = normalised(answer)
    agree = sum(normalised(other) == said for other in answers)
    if len(answers) == 1:
        return float(agree)
    without = min((agree - 1) / AGREE, 1.0)  # of the nine that are left when one who agrees is not asked
    whole = min(agree / AGREE, 1.0)
    return (agree * without + (PEOPLE - agree) * whole) / PEOPLE
