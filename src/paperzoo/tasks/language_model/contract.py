"""The interface of a language model; samples and readings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from annotated_types import Ge, Le
from torch import Tensor

from paperzoo.data.text.running import END, UNKNOWN, pieces
from paperzoo.errors import PaperzooError
from paperzoo.tasks.language_model.reading import Reading
from paperzoo.tasks.language_model.task import LanguageModelling
from paperzoo.tasks.model import Model
from paperzoo.tasks.task import Task

#: what a recurrent network carries from one token to the next; each tensor (layers, N, H)
State = tuple[Tensor, ...]

#: tokens of a sample at most
LONGEST = 1_000_000


class LanguageModel(Model):
    """A model that predicts the next token of a text. Subclasses define ``read``.

    Args:
        vocabulary: the tokens; number 0 is ``<unk>``.
        unit: what a token is, ``character`` or ``word``.

    Raises:
        PaperzooError: the vocabulary begins otherwise or repeats itself, or the unit is another.
    """

    tasks: ClassVar[tuple[Task, ...]] = (LanguageModelling(),)

    def __init__(self, vocabulary: Sequence[str], unit: str) -> None:
        super().__init__()
        if not vocabulary or vocabulary[0] != UNKNOWN:
            raise PaperzooError(f"vocabulary must begin with {UNKNOWN}, not with {vocabulary[0] if vocabulary else 'nothing'!r}")
        if unit not in ("character", "word"):
            raise PaperzooError(f"unit must be character or word, not {unit!r}")
        self.vocabulary, self.unit = tuple(vocabulary), unit
        self._number = {token: number for number, token in enumerate(vocabulary)}
        if len(self._number) < len(vocabulary):
            raise PaperzooError(f"vocabulary names {next(t for i, t in enumerate(vocabulary) if t in vocabulary[:i])!r} twice")

    def read(self, tokens: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Scores (N, T, V) of what follows each of tokens int64 (N, T), and the state after the last, to go on from.

        ``None`` is the state before any text.
        """
        raise TypeError(f"{type(self).__name__} does not say how it reads")

    def sample(
        self, items: int = 1, seed: int = 0, prompt: str = "", length: Annotated[int, Ge(1), Le(LONGEST)] = 500,
        temperature: Annotated[float, Ge(0)] = 1.0, top_k: Annotated[int, Ge(0)] = 0,
    ) -> list[str]:  # fmt: skip
        """``items`` continuations of ``prompt``, each with it in front. Each has chance of its own: the first 2 of 5 are the 2 of 2.

        Args:
            prompt: what the text begins with; without one, the first line of a text.
            length: tokens to be drawn, at most a million.
            temperature: scores are divided by it: below 1 likelier tokens gain, and at 0 the likeliest is always taken.
            top_k: draw among this many of the likeliest only; 0: among all. ``<unk>`` is never drawn.

        Raises:
            PaperzooError: a number out of range, or a prompt that the model cannot read.
        """
        if items < 1 or not 1 <= length <= LONGEST:
            raise PaperzooError(f"cannot draw {items} samples of {length} {self.unit}s: ask for 1 to {LONGEST:,}, and at least 1 sample")
        if not temperature >= 0 or not math.isfinite(temperature) or top_k < 0:
            raise PaperzooError(f"temperature and top_k must not be negative, but are {temperature} and {top_k}")
        began = self.encode(prompt) if prompt else []
        first = self._number.get("\n" if self.unit == "character" else END)
        tokens = torch.tensor([[*([] if first is None else [first]), *began] or [min(1, len(self.vocabulary) - 1)]])
        chance = torch.stack([torch.rand(length, generator=torch.Generator().manual_seed(s)) for s in _seeds(seed, items)])  # (N, T)
        device, was_training = next(self.parameters()).device, self.training
        self.eval()
        with torch.no_grad():
            scores, state = self.read(tokens.expand(items, -1).to(device), None)
            drawn = []
            for step in chance.unbind(1):
                drawn.append(choose(scores[:, -1].cpu(), step, temperature, top_k))
                scores, state = self.read(drawn[-1][:, None].to(device), state)
        self.train(was_training)
        return [self.decode([*began, *row]) for row in torch.stack(drawn, 1).tolist()]

    def predict(self, input: Any) -> Any:
        """The conditional probability of each token of a text.

        Returns:
            A ``Reading``; for a list of texts a list of them.

        Raises:
            PaperzooError: no text, or one that the model cannot read.
        """
        if isinstance(input, list | tuple):
            return [self.predict(one) for one in input]
        if not isinstance(input, str) or not input.strip():
            raise PaperzooError(f"a language model needs a text, or a list of texts, not {input!r}")
        numbers = self.encode(input)
        first = self._number.get("\n" if self.unit == "character" else END, 0)
        tokens, device, was_training = torch.tensor([[first, *numbers]]), next(self.parameters()).device, self.training
        self.eval()
        with torch.no_grad():
            state: State | None = None
            parts = []
            for piece in torch.split(tokens[:, :-1], 1000, 1):
                scores, state = self.read(piece.to(device), state)
                parts.append(scores[0].float().log_softmax(1).cpu())
        self.train(was_training)
        probability = torch.cat(parts).gather(1, tokens[0, 1:, None])[:, 0].exp().clamp(min=1e-45)  # (T)
        return Reading(tuple(self.vocabulary[n] for n in numbers), tuple(probability.tolist()), self.unit)

    def encode(self, text: str) -> list[int]:
        """A text as numbers. Unknown words are ``<unk>``.

        Raises:
            PaperzooError: a character is not in the vocabulary, or no word is.
        """
        if self.unit == "character":
            if unknown := [character for character in text if character not in self._number]:
                known = "".join(sorted(c for c in self.vocabulary[1:] if c.isprintable()))
                raise PaperzooError(f"this model has never seen the character {unknown[0]!r}; it knows {known}")
            return [self._number[character] for character in text]
        words = [w for word in text.split() for w in ([word] if word in self._number else pieces(word).split())]
        numbers = [self._number.get(word, 0) for word in words]
        if words and not any(numbers):
            known = " ".join(self.vocabulary[1:9])
            raise PaperzooError(f"this model knows none of the words of {' '.join(words[:8])!r}; it knows {known} ...")
        return numbers

    def decode(self, numbers: Iterable[int]) -> str:
        """Numbers as text."""
        tokens = [self.vocabulary[number] for number in numbers]
        if self.unit == "character":
            return "".join(tokens)
        return " ".join("\n" if token == END else token for token in tokens).replace(" \n ", "\n").replace(" \n", "\n")


def choose(scores: Tensor, chance: Tensor, temperature: float, top_k: int) -> Tensor:
    """Tokens (N) drawn by ``chance`` (N) in [0, 1) from scores (N, V), number 0 left out; see ``LanguageModel.sample``."""
    scores = scores.float().clone()
    if scores.shape[1] > 1:
        scores[:, 0] = -math.inf
    if temperature == 0:
        return scores.argmax(1)
    scores /= temperature
    if 0 < top_k < scores.shape[1]:
        scores = scores.masked_fill(scores < scores.topk(top_k).values[:, -1:], -math.inf)
    ladder = scores.softmax(1).double().cumsum(1)  # (N, V)
    return torch.searchsorted(ladder, chance.double()[:, None] * ladder[:, -1:], right=True)[:, 0].clamp(max=scores.shape[1] - 1)


def _seeds(seed: int, items: int) -> list[int]:
    return np.random.SeedSequence(seed).generate_state(items, np.uint64).astype(np.int64).__abs__().tolist()  # type: ignore[no-any-return]
