"""The interface of a model for visual question answering, and its use."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from paperzoo.data.captions.words import SPECIAL, UNKNOWN, Words, tokenise
from paperzoo.errors import PaperzooError
from paperzoo.tasks.images import read_image
from paperzoo.tasks.model import Model
from paperzoo.tasks.questions.task import QuestionAnswering
from paperzoo.tasks.task import Task
from paperzoo.terminal import plain

#: answers that a reply lists
BEST = 5


@dataclass(frozen=True)
class Reply:
    """A model's answer to a question about a picture.

    Attributes:
        answer, probability: the likeliest.
        best: the five likeliest answers and their probabilities, by falling probability.
        unknown: words of the question that the model does not know, each with the nearest that it knows, or ``""``.
        probabilities: of all answers, in their order.
    """

    question: str
    answer: str
    probability: float
    best: tuple[tuple[str, float], ...] = ()
    unknown: tuple[tuple[str, str], ...] = ()
    probabilities: tuple[float, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        answers = ", ".join(f"{plain(name)} ({p:.1%})" for name, p in self.best)
        return f"{answers}\n{_not_known(self.unknown)}: the answer may mean little" if self.unknown else answers


class Answerer(Model):
    """A model whose ``forward`` gives logits (N, classes) of answers for pictures and questions. Subclasses define it.

    Args:
        vocabulary: the words of questions by number; begins with ``captions.words.SPECIAL``.
        classes: number of answers; what they are called is ``names``, from the data.
        channels, image_size: of the pictures.

    Raises:
        PaperzooError: the vocabulary begins otherwise, or has a word twice.
    """

    tasks: ClassVar[tuple[Task, ...]] = (QuestionAnswering(),)

    def __init__(self, vocabulary: Sequence[str], classes: int, channels: int, image_size: int) -> None:
        super().__init__()
        self.vocabulary, self.channels, self.image_size = tuple(vocabulary), channels, image_size
        self.names: tuple[str, ...] = tuple(map(str, range(classes)))
        if vocabulary:
            Words(vocabulary)

    def forward(self, image: Tensor, question: Tensor, length: Tensor) -> Tensor:
        """Logits float32 (N, classes) for pictures (N, C, S, S) in [0, 1] and questions int64 (N, T) of ``length`` (N) words."""
        raise TypeError(f"{type(self).__name__} does not say how it answers")

    @cached_property
    def words(self) -> Words:
        """Words and their numbers."""
        if not self.vocabulary:
            raise PaperzooError("this model has no vocabulary, so it can read no question: create it with one, or train it")
        return Words(self.vocabulary)

    def read(self, text: str) -> tuple[Tensor, tuple[tuple[str, str], ...]]:
        """A question as int64 (1, T), and its words that are not known, each with the nearest that is, or ``""``.

        Raises:
            PaperzooError: it has no words, or none that is known.
        """
        words = tokenise(text)
        if not words:
            raise PaperzooError(f"the question {text!r} has no word: ask something, as in --prompt 'how many things are there?'")
        numbers = [self.words.number.get(word, UNKNOWN) for word in words]
        known = self.vocabulary[len(SPECIAL) :]
        strange = [word for word, number in zip(words, numbers, strict=True) if number == UNKNOWN]
        unknown = tuple((word, next(iter(difflib.get_close_matches(word, known, 1)), "")) for word in dict.fromkeys(strange))
        if len(strange) == len(words):
            raise PaperzooError(f"no word of the question {text!r} is known to this model: {_not_known(unknown)}; it knows {_some(known)}")
        return torch.tensor([numbers], device=next(self.parameters()).device), unknown

    def predict(self, input: Any, prompt: str = "") -> Any:
        """Answers a question about a picture given as path, PIL image or array; about each of a list of these, a list of replies.

        Words of the question that the model does not know are read as one word that stands for all of them, and named in the reply.

        Args:
            prompt: the question, as in --prompt "how many things are there?"

        Returns:
            A ``Reply``.

        Raises:
            PaperzooError: the input is no picture; or the question is empty, or has none but unknown words.
        """
        if isinstance(input, list | tuple):
            return [self.predict(one, prompt) for one in input]
        question, unknown = self.read(prompt)
        image = read_image(input, self.channels, self.image_size, self.prepared).to(question.device)
        was_training = self.training
        self.eval()
        with torch.no_grad():
            p = self(image, question, torch.tensor([question.shape[1]])).softmax(1)[0].cpu()
        self.train(was_training)
        order = p.argsort(descending=True).tolist()[:BEST]
        best = tuple((self.names[i] if i < len(self.names) else str(i), float(p[i])) for i in order)
        return Reply(prompt, *best[0], best, unknown, tuple(p.tolist()))


def _not_known(unknown: Sequence[tuple[str, str]]) -> str:
    """``the model does not know 'colour' (nearest: color)``."""
    return "the model does not know " + ", ".join(repr(word) + (f" (nearest: {near})" if near else "") for word, near in unknown)


def _some(known: Sequence[str], most: int = 8) -> str:
    return ", ".join(known[:most]) + (f" and {len(known) - most} more" if len(known) > most else "")
