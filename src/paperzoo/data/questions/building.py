"""Questions about pictures as a data set: which answers are classes, and which words are known, is read off the training split."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from paperzoo.data.captions.columns import Listed
from paperzoo.data.captions.words import learn, tokenise
from paperzoo.data.dataset import Column, Dataset, Schema, Split, Values
from paperzoo.data.pictures import Preparation
from paperzoo.data.questions.columns import Asked, Shown
from paperzoo.errors import PaperzooError

#: people who answer a question of VQA
PEOPLE = 10
#: fields of every batch
FIELDS = ("image", "question", "length", "texts", "label", "answers", "kind")


class Question(NamedTuple):
    """A question about a picture.

    Attributes:
        picture: its number among the pictures of the split.
        answer: the one that is learnt.
        answers: of ten people, or the true one alone: what an answer is measured by.
        kind: of what kind the question is, such as ``yes/no``.
    """

    picture: int
    text: str
    answer: str
    answers: tuple[str, ...]
    kind: str


def asked(text: str, where: str) -> str:
    """A question as it was asked, if it has a word.

    Raises:
        PaperzooError: it has none.
    """
    if not tokenise(text):
        raise PaperzooError(f"{where} is empty: {text!r} has no word")
    return text


def answered(answers: Sequence[object], where: str) -> tuple[str, ...]:
    """The answers of ten people, or the one that is true.

    Raises:
        PaperzooError: there are neither one nor ten, or one is no text.
    """
    if len(answers) not in (1, PEOPLE):
        raise PaperzooError(f"{where} has {len(answers)} answers, not those of {PEOPLE} people")
    if strange := next((answer for answer in answers if not isinstance(answer, str)), None):
        raise PaperzooError(f"{where} has the answer {strange!r}, which is no text")
    return tuple(map(str, answers))


def build(
    name: str, pictures: Mapping[str, Column], questions: Mapping[str, Sequence[Question]], size: int, licence: str, source: str,
    most: int | None = None, channels: int = 3, showable: bool = True,
) -> Dataset:  # fmt: skip
    """Splits of questions as a data set, see ``FIELDS``.

    Words and answers are those of the split ``train``: no other is looked at. Questions to train on whose answer is none of the ``most``
    commonest are left out, as in Antol et al. 2015; in other splits they stay, with the label -1, and count as not answered.

    Args:
        pictures: of each split.
        questions: the same splits.
        size: side of the pictures.
        most: how many answers are classes; all if there are fewer.

    Raises:
        PaperzooError: there is nothing to train on.
    """
    counts = Counter(question.answer for question in questions["train"])
    if not counts:
        raise PaperzooError(f"{name} has no questions to train on")
    answers = tuple(answer for answer, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most])
    label = {answer: number for number, answer in enumerate(answers)}
    kept = {split: [q for q in chosen if split != "train" or q.answer in label] for split, chosen in questions.items()}
    if left := len(questions["train"]) - len(kept["train"]):
        warnings.warn(
            f"{left} of {len(questions['train'])} questions to train on have an answer that is none of the {len(answers)} commonest: they "
            "are left out",
            stacklevel=3,
        )
    vocabulary = learn(question.text for question in kept["train"])
    splits = {
        split: Split(
            Shown(pictures[split], np.array([q.picture for q in chosen], np.int64)),
            Asked([q.text for q in chosen], vocabulary),
            Values("label", torch.tensor([label.get(q.answer, -1) for q in chosen], dtype=torch.int64)),
            Listed("answers", [q.answers for q in chosen]),
            Listed("kind", [q.kind for q in chosen]),
        )
        for split, chosen in kept.items()
        if chosen
    }
    arguments = {"channels": channels, "image_size": size, "vocabulary": vocabulary, "classes": len(answers)}
    schema = Schema(name, FIELDS, arguments, answers, Preparation(size, size, channels))
    return Dataset(schema, splits, licence, source, pictures=showable)
