"""Agreement of vectors with people: similarity of pairs, analogies."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paperzoo.data import Dataset
from paperzoo.data.text.corpus import Corpus
from paperzoo.metrics.rank_correlation import spearman
from paperzoo.metrics.word_similarity import analogies, pair_cosines

if TYPE_CHECKING:
    from paperzoo.tasks.embedding.contract import Embedding

#: analogies are asked among this many of the most frequent words, as in word2vec's own evaluation
RESTRICT = 30_000

#: of fewer pairs or questions no figure is given
LEAST = 30

Question = tuple[str, str, str, str]


def agreement(model: Embedding, dataset: Dataset) -> dict[str, float]:
    """Agreement of the vectors with people.

    Pairs and questions with a word that has no vector are passed over; fewer than 30 give no figure.

    ``WordSim-353 Spearman`` and ``SimLex-999 Spearman``: rank correlation of cosines with people's scores (relatedness;
    similarity proper), each with the share of pairs ``covered %``. ``Google analogy %``: of the questions whose four
    words are among the 30,000 most frequent, those answered right, also by kind (``semantic``, ``syntactic``), with the
    share ``covered %``. ``analogy %``: the same of the data's own questions, if it has any.
    """
    figures = against_people(model)
    if isinstance(dataset, Corpus) and dataset.questions:
        right = answered(model, dataset.questions)
        covered = 100 * len(right) / len(dataset.questions)
        figures = {"analogy %": _percent(right), "analogy covered %": covered, **figures}
    return {name: value for name, value in figures.items() if not np.isnan(value)}


def against_people(model: Embedding) -> dict[str, float]:
    """The figures on the sets that lie inside gensim; where gensim is not installed, nothing and a warning."""
    package = find_spec("gensim")  # only looked for: importing it takes seconds
    if package is None or not package.submodule_search_locations:
        warnings.warn(
            "WordSim-353, SimLex-999 and the Google analogies are not measured: they lie inside gensim, which is not "
            'installed (pip install "paperzoo[text]")',
            stacklevel=5,
        )
        return {}
    folder = Path(package.submodule_search_locations[0]) / "test" / "test_data"
    index, figures = {word: row for row, word in enumerate(model.words)}, {}
    for name, file in (("WordSim-353", "wordsim353.tsv"), ("SimLex-999", "simlex999.txt")):
        scored = _scored(folder / file)
        known = [(index[a], index[b], score) for a, b, score in scored if a in index and b in index]
        pairs = np.array([pair[:2] for pair in known], np.int64).reshape(-1, 2)
        people = np.array([score for _, _, score in known])
        agreement = spearman(pair_cosines(model.vectors(), pairs), people)
        figures[f"{name} Spearman"] = agreement if len(known) >= LEAST else float("nan")
        figures[f"{name} covered %"] = 100 * len(known) / len(scored)
    semantic, syntactic = _google(folder / "questions-words.txt")
    right = [answered(model, kind) for kind in (semantic, syntactic)]
    figures["Google analogy %"] = _percent(np.concatenate(right))
    figures["Google analogy semantic %"], figures["Google analogy syntactic %"] = map(_percent, right)
    figures["Google analogy covered %"] = 100 * sum(map(len, right)) / len(semantic + syntactic)
    return figures


def answered(model: Embedding, questions: Iterable[Question]) -> np.ndarray:
    """Whether each question that can be asked is answered right; bool (Q)."""
    index = {word: row for row, word in enumerate(model.words[:RESTRICT])}
    known = [[index[word] for word in question] for question in questions if all(word in index for word in question)]
    rows = np.array(known, np.int64).reshape(-1, 4)
    right: np.ndarray = analogies(model.vectors()[:RESTRICT], rows[:, :3]) == rows[:, 3]
    return right


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
