"""The interface of word vectors; neighbours and analogies."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from paperzoo.data.text.vectors import read_vectors, write_vectors
from paperzoo.errors import PaperzooError
from paperzoo.metrics.word_similarity import unit
from paperzoo.tasks.embedding.task import WordEmbedding
from paperzoo.tasks.model import Model
from paperzoo.tasks.task import Task


@dataclass(frozen=True)
class Neighbours:
    """Words near a query (a word, or ``a : b :: c : ?``), nearest first, with their cosines in [-1, 1]."""

    query: str
    words: tuple[str, ...]
    cosines: tuple[float, ...]

    def __str__(self) -> str:
        near = ", ".join(f"{word} {cosine:.2f}" for word, cosine in zip(self.words, self.cosines, strict=True))
        return f"{self.query}: {near}"


class Embedding(Model):
    """A model that gives every word a vector. Subclasses define ``vectors`` and ``words``."""

    tasks: ClassVar[tuple[Task, ...]] = (WordEmbedding(),)

    #: the words of the vectors, the most frequent first
    words: tuple[str, ...] = ()

    def vectors(self) -> np.ndarray:
        """The vectors of ``words``, float32 (V, D)."""
        raise TypeError(f"{type(self).__name__} does not say what its vectors are")

    def save_vectors(self, path: str | Path, binary: bool | None = None, header: bool = True) -> Path:
        """Writes the vectors for other programs; see ``paperzoo.data.text.vectors.write_vectors``."""
        return write_vectors(Path(path), self.words, self.vectors(), binary, header)

    def keyed_vectors(self) -> Any:
        """The vectors as gensim's ``KeyedVectors``.

        Raises:
            PaperzooError: gensim is not installed.
        """
        try:
            from gensim.models import KeyedVectors
        except ImportError as error:
            raise PaperzooError('KeyedVectors are gensim\'s: pip install "paperzoo[text]"') from error
        keyed = KeyedVectors(self.vectors().shape[1])
        keyed.add_vectors(list(self.words), self.vectors())
        return keyed

    def neighbours(self, word: str, n: int = 10) -> Neighbours:
        """The ``n`` words with the largest cosine to ``word``, itself left out.

        Raises:
            PaperzooError: the word is not among ``words``.
        """
        row = self._row(word)
        rows = unit(self.vectors())
        return self._nearest(word.lower(), rows @ rows[row], [row], n)

    def analogy(self, a: str, b: str, c: str, n: int = 10) -> Neighbours:
        """Words d such that a is to b as c is to d: the largest cosines to b - a + c; a, b and c are left out.

        Raises:
            PaperzooError: one of the words is not among ``words``.
        """
        query = [self._row(word) for word in (a, b, c)]
        rows = unit(self.vectors())
        target = rows[query[1]] - rows[query[0]] + rows[query[2]]
        cosines = rows @ (target / max(float(np.linalg.norm(target)), 1e-12))
        return self._nearest(f"{a.lower()} : {b.lower()} :: {c.lower()} : ?", cosines, query, n)

    def predict(self, input: Any) -> Any:
        """Neighbours of a word, or the answers to an analogy given as three words in one string (``"king queen man"``).

        Returns:
            ``Neighbours``; for a list of strings a list of them.

        Raises:
            PaperzooError: a word is unknown (the nearest in spelling are named), or the input is something else.
        """
        if isinstance(input, list | tuple):
            return [self.predict(one) for one in input]
        words = input.split() if isinstance(input, str) else []
        if len(words) == 1:
            return self.neighbours(words[0])
        if len(words) == 3:
            return self.analogy(words[0], words[1], words[2])
        raise PaperzooError(f'an embedding needs a word, three words ("king queen man"), or a list of these, not {input!r}')

    def _row(self, word: str) -> int:
        try:
            return self.words.index(word.lower())
        except ValueError:
            close = difflib.get_close_matches(word.lower(), self.words, n=3)
            hint = f"did you mean {' or '.join(close)}?" if close else f"none of {len(self.words)} words is spelt like it"
            raise PaperzooError(f"this embedding has no word {word!r}: {hint}") from None

    def _nearest(self, query: str, cosines: np.ndarray, without: Sequence[int], n: int) -> Neighbours:
        if n < 1:
            raise PaperzooError(f"the number of neighbours must be at least 1, not {n}")
        cosines = cosines.copy()
        cosines[list(without)] = -np.inf
        rows = np.argsort(-cosines, kind="stable")[: min(n, len(cosines) - len(set(without)))]
        return Neighbours(query, tuple(self.words[r] for r in rows), tuple(float(cosines[r]) for r in rows))


class Vectors(Embedding):
    """Vectors from elsewhere, to be asked and measured as if they had been trained here."""

    def __init__(self, words: Sequence[str], vectors: np.ndarray) -> None:
        super().__init__()
        self.words, self._vectors = tuple(words), vectors

    def vectors(self) -> np.ndarray:
        """The vectors of ``words``, float32 (V, D)."""
        return self._vectors


def load_vectors(source: Any, binary: bool | None = None) -> Vectors:
    """Vectors from a file (word2vec's text or binary format, or GloVe's text) or from gensim's ``KeyedVectors``.

    Raises:
        PaperzooError: see ``paperzoo.data.text.vectors.read_vectors``.
    """
    if hasattr(source, "index_to_key"):
        return Vectors(source.index_to_key, np.array(source.vectors, np.float32))
    return Vectors(*read_vectors(Path(source), binary))
