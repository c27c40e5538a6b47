"""The interface of a tagger; spans in a user's sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from paperzoo.data import Batch, Dataset
from paperzoo.data.text.tagging import PAD, UNKNOWN, encode
from paperzoo.errors import PaperzooError
from paperzoo.metrics.entity_f1 import scheme_of, spans
from paperzoo.tasks.model import Model
from paperzoo.tasks.tagging.spans import Span, Tagging
from paperzoo.tasks.tagging.task import EntityTagging
from paperzoo.tasks.task import Task

_TOKEN = re.compile(  # links, names and tags, numbers, U.S., ca|n't, 's, words, and any other character by itself
    r"(?:https?://|www\.)\S+|[@#]\w+|\d+(?:[.,:]\d+)+|(?:[A-Z]\.){2,}|\w+?(?=n't\b)|n't\b|'\w+|\w+(?:-\w+)*|\S"
)


class Tagger(Model):
    """A model that gives every word of a sentence a tag. Subclasses define ``tag``.

    Args:
        vocabulary: what words may be known by, see ``paperzoo.data.text.tagging.forms``; begins with ``<pad>``, ``<unk>``.
        tags: names of the tags, IOB2 or IOBES; begins with ``O``.

    Raises:
        PaperzooError: the vocabulary or the tags begin otherwise or repeat themselves.
    """

    tasks: ClassVar[tuple[Task, ...]] = (EntityTagging(),)

    def __init__(self, vocabulary: Sequence[str], tags: Sequence[str]) -> None:
        super().__init__()
        for kind, names, first in (("vocabulary", vocabulary, (PAD, UNKNOWN)), ("tags", tags, ("O",))):
            if tuple(names[: len(first)]) != first:
                beginning = ", ".join(names[: len(first)]) or "nothing"
                raise PaperzooError(f"{kind} must begin with {', '.join(first)}, not with {beginning}")
            if len(set(names)) < len(names):
                raise PaperzooError(f"{kind} names {next(n for i, n in enumerate(names) if n in names[:i])!r} twice")
        wrong = [tag for tag in tags[1:] if not re.fullmatch(r"[BIES]-\S+", tag)]
        if wrong:
            raise PaperzooError(f"tag {wrong[0]!r} is neither O nor B-, I-, E- or S- with a type")
        self.vocabulary, self.tags, self.scheme = tuple(vocabulary), tuple(tags), scheme_of(tags)
        self.types = tuple(dict.fromkeys(tag[2:] for tag in tags[1:]))
        self._index = {word: number for number, word in enumerate(vocabulary)}

    def tag(self, tokens: Tensor, length: Tensor) -> Tensor:
        """The numbers of the tags, int64 (N, T), for tokens (N, T), of which the first ``length`` (N) are real."""
        raise TypeError(f"{type(self).__name__} does not say how it tags")

    def chain(self) -> tuple[Sequence[str], Tensor] | None:
        """K tags and the scores (K, K) of going from one (row) to another (column), on the CPU; ``None`` without a chain."""
        return None

    def predict(self, input: Any) -> Any:
        """Finds entities in a sentence given as a string (which is cut into words) or as a list of words.

        Returns:
            A ``Tagging``; for a list of sentences a list of them. A list of strings is one sentence if no string has a
            blank in it, else every string is a sentence.

        Raises:
            PaperzooError: the input is neither text nor a list of it.
        """
        if isinstance(input, str):
            return self._taggings([words_of(input)])[0]
        if not isinstance(input, list | tuple):
            raise PaperzooError(f"tagging needs a string, a list of words, or a list of these, not {type(input).__name__}")
        single = bool(input) and all(isinstance(word, str) and not re.search(r"\s", word) for word in input)
        sentences = [input] if single else [words_of(text) if isinstance(text, str) else text for text in input]
        for words in sentences:
            if not isinstance(words, list | tuple):
                raise PaperzooError(f"a sentence must be a string or a list of words, not {words!r}")
            for word in words:
                if not isinstance(word, str) or not word:
                    raise PaperzooError(f"a word must be a string that is not empty, not {word!r}")
        taggings = self._taggings(sentences)
        return taggings[0] if single else taggings

    def outputs(self, dataset: Dataset, split: str) -> tuple[list[tuple[list[str], list[str]]], list[list[str]]]:
        """The words of each sentence with its true tags, and the predicted ones.

        Data with another vocabulary is numbered anew from its words.
        """
        names, same = dataset.schema.arguments["tags"], tuple(dataset.schema.arguments["vocabulary"]) == self.vocabulary
        gold, predicted = [], []
        for indices in dataset[split].batches(200):
            batch: Batch = dataset[split].batch(indices)
            gold += [(w, [names[t] for t in row[: len(w)]]) for w, row in zip(batch.words, batch.tags.tolist(), strict=True)]
            predicted += self._tag(batch.tokens, batch.length) if same else self._tag(*self._padded(batch.words))
        return gold, predicted

    def _padded(self, sentences: Sequence[Sequence[str]]) -> tuple[Tensor, Tensor]:
        rows = [torch.tensor(encode(words, self._index)) for words in sentences]
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), torch.tensor([len(row) for row in rows])

    def _tag(self, tokens: Tensor, length: Tensor) -> list[list[str]]:
        device = next(self.parameters()).device
        numbers = self.tag(tokens.to(device), length.to(device)).tolist()
        return [[self.tags[i] for i in row[:n]] for row, n in zip(numbers, length.tolist(), strict=True)]

    def _taggings(self, sentences: Sequence[Sequence[str]]) -> list[Tagging]:
        all_tags: list[list[str]] = [[] for _ in sentences]
        full = [i for i, words in enumerate(sentences) if words]  # a sentence without words has no tags
        was_training = self.training
        self.eval()
        with torch.no_grad():
            for start in range(0, len(full), 200):
                part = full[start : start + 200]
                for i, tags in zip(part, self._tag(*self._padded([sentences[i] for i in part])), strict=True):
                    all_tags[i] = tags
        self.train(was_training)
        return [self.tagging(words, tags) for words, tags in zip(sentences, all_tags, strict=True)]

    def tagging(self, words: Sequence[str], tags: Sequence[str]) -> Tagging:
        """A sentence of these words with these tags."""
        marked = tuple(Span(" ".join(words[a:b]), kind, a, b) for kind, a, b in spans(tags, self.scheme))
        return Tagging(tuple(words), tuple(tags), marked, self.types)


def words_of(text: str) -> list[str]:
    """A string cut into words as tagged corpora cut them: punctuation and 's apart, links, @names and #tags whole."""
    return _TOKEN.findall(text)
