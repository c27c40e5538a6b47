"""The interface of a translation model; beam search for a translation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from paperzoo.data.text.bpe import END, PAD, SPECIAL, START, Bpe
from paperzoo.data.text.parallel import buckets, encode, padded
from paperzoo.errors import PaperzooError
from paperzoo.nn.beam import MORE, beam_search
from paperzoo.tasks.model import Model
from paperzoo.tasks.task import Task
from paperzoo.tasks.translation.task import SentenceTranslation


@dataclass(frozen=True)
class Translation:
    """A sentence, what it was translated to, and how.

    Attributes:
        score: log p(Y|X) / lp(Y), by which the search chose.
        pieces: those of source and translation, ends counted.
        attention: float32 (pieces of the translation, pieces of the source): where the last layer looked when it wrote a piece,
            the mean of its heads; rows sum to 1.
        heads: the same by head, (heads, pieces of the translation, pieces of the source).
    """

    source: str
    text: str
    score: float
    pieces: tuple[tuple[str, ...], tuple[str, ...]] = field(default=((), ()), repr=False)
    attention: Tensor = field(default_factory=lambda: torch.empty(0, 0), repr=False, compare=False)
    heads: Tensor = field(default_factory=lambda: torch.empty(0, 0, 0), repr=False, compare=False)

    def __str__(self) -> str:
        return self.text

    def __rich__(self) -> Any:
        """The translation, for a terminal."""
        from rich.text import Text

        return Text(self.text)


class Translator(Model):
    """A model that translates sentences. Subclasses define ``logits`` and ``memory``.

    Args:
        vocabulary, merges: of the encoding of both languages; see ``paperzoo.data.text.bpe.Bpe``.
        languages: codes of source and target.
        positions: pieces in the longest sentence.
        beam, alpha: width and length penalty of the search, see ``paperzoo.nn.beam``.

    Raises:
        PaperzooError: the vocabulary begins otherwise, or a number is out of range.
    """

    tasks: ClassVar[tuple[Task, ...]] = (SentenceTranslation(),)

    def __init__(
        self, vocabulary: Sequence[str], merges: Sequence[str], languages: Sequence[str], positions: int, beam: int, alpha: float
    ) -> None:
        super().__init__()
        if vocabulary and tuple(vocabulary[:3]) != SPECIAL:
            raise PaperzooError(f"vocabulary must begin with {', '.join(SPECIAL)}, not with {', '.join(vocabulary[:3])}")
        if positions < 2 or beam < 1 or alpha < 0:
            raise PaperzooError(f"positions must be at least 2, beam 1 and alpha 0, not {positions}, {beam} and {alpha}")
        if len(languages) != 2:
            raise PaperzooError(f"languages must be two codes, of source and target, not {languages!r}")
        self.vocabulary, self.merges, self.languages = tuple(vocabulary), tuple(merges), (languages[0], languages[1])
        self.longest, self.beam, self.alpha = positions, beam, alpha

    def logits(self, source: Tensor, target: Tensor, memory: Any = None) -> Tensor:
        """Logits float32 (N * beam, T, V) of the token after each of the target's, for source (N, S) and target (N * beam, T).

        Both are int64 and 0 where padded. With a ``memory``, which keeps what was computed, only the target's new tokens are given.
        """
        raise TypeError(f"{type(self).__name__} does not say how it translates")

    def memory(self, cached: bool = True, record: bool = False) -> Any:
        """The decoder's cache: has ``select(sentences, rows)`` and, if it is to ``record``, attention ``weights`` by layer."""
        raise TypeError(f"{type(self).__name__} does not say what a search keeps")

    @cached_property
    def bpe(self) -> Bpe:
        """The encoding, made of vocabulary and merges."""
        if not self.vocabulary:
            raise PaperzooError("this model has no vocabulary, so it can read no text: create it with one, or train it")
        return Bpe(self.vocabulary, self.merges)

    def translate(self, source: Tensor, cached: bool = True, beam: int | None = None) -> tuple[list[list[int]], list[float]]:
        """The best translation found for each row of source int64 (N, S), as tokens without ends, and its score.

        Args:
            cached: keep keys and values of the target so far, rather than compute them again at every step. The same is found.
            beam: width of the search, 1 for greedy; by default the model's own.
        """
        source, beam = source.to(next(self.parameters()).device), self.beam if beam is None else beam
        memory, alone = self.memory(cached), source

        def step(tokens: Tensor, sentences: Tensor, parents: Tensor) -> Tensor:
            nonlocal alone
            memory.select(sentences, parents)
            alone = alone[sentences]
            logits = self.logits(alone, tokens[:, -1:] if cached else tokens, memory)  # (n * beam, T, V)
            return logits[:, -1].log_softmax(1)

        longest = ((source != PAD).sum(1) + MORE).clamp(max=self.longest)
        best = beam_search(step, longest, START, END, beam=beam, alpha=self.alpha, never=(PAD, START))
        return best.tokens, best.score

    def predict(self, input: Any) -> Any:
        """Translates a sentence given as a string, or each of a list of them.

        Returns:
            A ``Translation``, or a list of them. An empty sentence is translated to an empty one.

        Raises:
            PaperzooError: the input is neither, or a sentence has more pieces than the model has positions.
        """
        if isinstance(input, str):
            return self.translations([input])[0]
        if not isinstance(input, list | tuple) or not all(isinstance(text, str) for text in input):
            raise PaperzooError(f"translation needs a string or a list of strings, not {type(input).__name__}")
        return self.translations(input)

    def translations(self, texts: Sequence[str], attention: bool = True) -> list[Translation]:
        """The translations of ``texts``, computed in batches of like length; a blank sentence stays blank."""
        rows = self.numbers(texts)
        answers = [Translation(text, "", 0.0) for text in texts]
        full = [i for i, text in enumerate(texts) if text.strip()]
        lengths = np.array([(len(rows[i]), 0) for i in full], np.int64).reshape(-1, 2)
        was_training = self.training
        self.eval()
        with torch.no_grad():
            for group in buckets(lengths, 2500):
                part = [full[i] for i in group]
                source = padded([rows[i] for i in part])
                tokens, scores = self.translate(source)
                for i, decoded, ids, score in zip(part, self.bpe.decode(tokens), tokens, scores, strict=True):
                    weights = self._attention(rows[i], ids) if attention else torch.empty(0, 0, 0)
                    pieces = self._pieces(rows[i]), self._pieces([*ids, END])
                    answers[i] = Translation(texts[i], decoded, score, pieces, weights.mean(0) if attention else torch.empty(0, 0), weights)
        self.train(was_training)
        return answers

    def numbers(self, texts: Sequence[str], start: bool = False) -> list[np.ndarray]:
        """Sentences as the numbers of their pieces; refuses what is too long."""
        rows = encode(self.bpe, texts, start)
        for text, row in zip(texts, rows, strict=True):
            if len(row) - start > self.longest:
                begin = f"{text[:40]}..." if len(text) > 40 else text
                raise PaperzooError(f"the sentence {begin!r} has {len(row) - start} pieces, more than the model's {self.longest} positions")
        return rows

    def _attention(self, source: np.ndarray, tokens: Sequence[int]) -> Tensor:
        """The last layer's weights (heads, T, S): row t from which piece t was written."""
        memory, device = self.memory(cached=False, record=True), next(self.parameters()).device
        target = torch.tensor([[START, *tokens]], device=device)[:, : self.longest]
        self.logits(torch.from_numpy(source)[None].to(device), target, memory)
        weights: Tensor = memory.weights[-1][0].float().cpu()
        return weights

    def _pieces(self, ids: Sequence[int] | np.ndarray) -> tuple[str, ...]:
        """Pieces as people read them; one that is part of a letter shows as U+FFFD."""
        return tuple(SPECIAL[i] if i < len(SPECIAL) else self.bpe.decode([[int(i)]])[0] for i in ids)
