"""Vectors for words: neighbours, analogies, agreement with people, a map."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from paperzoo.data import Dataset, Schema
from paperzoo.data.text.corpus import Corpus
from paperzoo.data.text.vectors import read_vectors, write_vectors
from paperzoo.errors import PaperzooError
from paperzoo.metrics.rank_correlation import spearman
from paperzoo.metrics.word_similarity import analogies, pair_cosines, unit
from paperzoo.tasks.model import Model

#: analogies are asked among this many of the most frequent words, as in word2vec's own evaluation
RESTRICT = 30_000

#: of fewer pairs or questions no figure is given
LEAST = 30

Question = tuple[str, str, str, str]


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

    task = "embedding"
    needs = ("tokens",)

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
        asked = [self._row(word) for word in (a, b, c)]
        rows = unit(self.vectors())
        target = rows[asked[1]] - rows[asked[0]] + rows[asked[2]]
        cosines = rows @ (target / max(float(np.linalg.norm(target)), 1e-12))
        return self._nearest(f"{a.lower()} : {b.lower()} :: {c.lower()} : ?", cosines, asked, n)

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

    def measure(self, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """Agreement of the vectors with people, whatever the split.

        Pairs and questions with a word that has no vector are passed over; fewer than 30 give no figure.

        ``WordSim-353 Spearman`` and ``SimLex-999 Spearman``: rank correlation of cosines with people's scores (relatedness;
        similarity proper), each with the share of pairs ``covered %``. ``Google analogy %``: of the questions whose four
        words are among the 30,000 most frequent, those answered right, also by kind (``semantic``, ``syntactic``), with the
        share ``covered %``. ``analogy %``: the same of the data's own questions, if it has any.
        """
        figures = self._against_people()
        if isinstance(dataset, Corpus) and dataset.questions:
            right = self._right(dataset.questions)
            covered = 100 * len(right) / len(dataset.questions)
            figures = {"analogy %": _percent(right), "analogy covered %": covered, **figures}
        return {name: value for name, value in figures.items() if not np.isnan(value)}

    def show(self, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        """A map of the 300 most frequent words of four letters or more, and the neighbours of 30 of them as text."""
        from matplotlib.figure import Figure
        from sklearn.manifold import TSNE

        shown = [row for row, word in enumerate(self.words) if len(word) > 3][:300]
        if len(shown) < 5:
            return []
        folder.mkdir(parents=True, exist_ok=True)
        near = unit(self.vectors()[shown])
        perplexity = min(15.0, (len(shown) - 1) / 3)
        place = TSNE(2, init="pca", perplexity=perplexity, metric="cosine", random_state=0).fit_transform(near)  # (300, 2)
        figure = Figure(figsize=(9, 9))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.scatter(place[:, 0], place[:, 1], s=2, color="#c03028")
        for (x, y), row in zip(place, shown, strict=True):
            axes.annotate(self.words[row], (x, y), xytext=(2, 1), textcoords="offset points", fontsize=7)
        picture, text = folder / f"{stem}-map.png", folder / f"{stem}-neighbours.txt"
        figure.savefig(picture, dpi=90)
        text.write_text("".join(f"{self.neighbours(self.words[row])}\n" for row in shown[::10]), encoding="utf-8")
        return [picture, text]

    @classmethod
    def check(cls, schema: Schema) -> None:
        """Raises ``PaperzooError`` unless data of this schema has tokens, and knows its words and their counts."""
        super().check(schema)
        for name in ("vocabulary", "counts"):
            if name not in schema.arguments:
                raise PaperzooError(f"{cls.task} needs data that knows its {name}, but {schema.name} does not")

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

    def _against_people(self) -> dict[str, float]:
        """``measure`` on the sets that lie inside gensim; where gensim is not installed, nothing and a warning."""
        package = find_spec("gensim")  # only looked for: importing it takes seconds
        if package is None or not package.submodule_search_locations:
            warnings.warn(
                "WordSim-353, SimLex-999 and the Google analogies are not measured: they lie inside gensim, which is not "
                'installed (pip install "paperzoo[text]")',
                stacklevel=3,
            )
            return {}
        folder = Path(package.submodule_search_locations[0]) / "test" / "test_data"
        index, figures = {word: row for row, word in enumerate(self.words)}, {}
        for name, file in (("WordSim-353", "wordsim353.tsv"), ("SimLex-999", "simlex999.txt")):
            scored = _scored(folder / file)
            known = [(index[a], index[b], score) for a, b, score in scored if a in index and b in index]
            pairs = np.array([pair[:2] for pair in known], np.int64).reshape(-1, 2)
            people = np.array([score for _, _, score in known])
            agreement = spearman(pair_cosines(self.vectors(), pairs), people)
            figures[f"{name} Spearman"] = agreement if len(known) >= LEAST else float("nan")
            figures[f"{name} covered %"] = 100 * len(known) / len(scored)
        semantic, syntactic = _google(folder / "questions-words.txt")
        right = [self._right(kind) for kind in (semantic, syntactic)]
        figures["Google analogy %"] = _percent(np.concatenate(right))
        figures["Google analogy semantic %"], figures["Google analogy syntactic %"] = map(_percent, right)
        figures["Google analogy covered %"] = 100 * sum(map(len, right)) / len(semantic + syntactic)
        return figures

    def _right(self, questions: Iterable[Question]) -> np.ndarray:
        """Whether each question that can be asked is answered right; bool (Q)."""
        index = {word: row for row, word in enumerate(self.words[:RESTRICT])}
        known = [[index[word] for word in question] for question in questions if all(word in index for word in question)]
        rows = np.array(known, np.int64).reshape(-1, 4)
        right: np.ndarray = analogies(self.vectors()[:RESTRICT], rows[:, :3]) == rows[:, 3]
        return right


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


def _percent(right: np.ndarray) -> float:
    return 100 * float(right.mean()) if len(right) >= LEAST else float("nan")


def _scored(path: Path) -> list[tuple[str, str, float]]:
    """Lines of two words and a score, by tabs; ``#`` begins a comment."""
    lines = (line.split("\t") for line in path.read_text(encoding="utf-8").lower().splitlines() if line and line[0] != "#")
    return [(a, b, float(score)) for a, b, score in lines]


def _google(path: Path) -> tuple[list[Question], list[Question]]:
    """The questions of ``questions-words.txt``: semantic, and syntactic (the sections whose name begins with gram)."""
    kinds: tuple[list[Question], list[Question]] = ([], [])
    kind = 0
    for line in path.read_text(encoding="utf-8").lower().splitlines():
        if line.startswith(":"):
            kind = int(line.split()[1].startswith("gram"))
        elif line:
            a, b, c, d = line.split()
            kinds[kind].append((a, b, c, d))
    return kinds
