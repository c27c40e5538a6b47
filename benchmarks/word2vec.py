"""Words a second and quality beside gensim's Word2Vec, on the same text, vocabulary and settings, in one process.

    python benchmarks/word2vec.py [--quick] [--json] [--text FILE]

Both train with 2 threads on vectors of 100 numbers, windows of 1 to 5 words, 5 negatives, subsampling at 1e-3 by the formula
of the authors' program, words that occur 5 times or more, the same number of epochs. Reading the text, counting words,
building trees and tables, starting up and compiling are outside of the timing. Rounds of the two take turns, each round
in another order; a ratio is the median of the rounds' ratios, so that whatever else the machine does hits both.

Quality, as means over the seeds: the rank correlation between the cosines that the two give to all pairs of the 500 most
frequent words, the same between two seeds of gensim (which no other program can be expected to exceed), and Spearman's
correlation with people on WordSim-353. For hierarchical softmax gensim is given our Huffman tree, for words of equal count
may take different places in a tree, and their neighbours depend on it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gensim.models import Word2Vec

import paperzoo
from paperzoo.data import Dataset
from paperzoo.data.text.corpus import text_file
from paperzoo.metrics.rank_correlation import spearman
from paperzoo.metrics.word_similarity import unit
from paperzoo.papers.language import word2vec, word2vec_loops
from paperzoo.tasks.embedding import Embedding

VARIANTS = ("sg-ns", "cbow-ns", "cbow-hs", "sg-hs")
DIM, WINDOW, NEGATIVE, SAMPLE, MIN_COUNT, THREADS, CHUNK = 100, 5, 5, 1e-3, 5, 2, 64


class Counter:
    """What ``step`` needs of the engine."""

    def __init__(self, total: int) -> None:
        self.iteration, self.total = 0, total

    def mean(self, value: torch.Tensor) -> torch.Tensor:
        return value


class Ours:
    """paperzoo's model and its training."""

    def __init__(self, variant: str, data: Dataset, seed: int) -> None:
        self.split, self.rate = data["train"], 0.025 if variant.startswith("sg") else 0.05
        torch.manual_seed(seed)
        settings = {"dim": DIM, "window": WINDOW, "negative": NEGATIVE, "sample": SAMPLE, "min_count": MIN_COUNT}
        given = {**settings, "subsampling": "code", "threads": THREADS, **word2vec.VARIANTS[variant]}
        known = data.schema.arguments
        self.model = word2vec.Model(**given, vocabulary=known["vocabulary"], counts=known["counts"])
        self.words, _ = self.model.words, self.model.tables

    def train(self, epochs: int) -> float:
        """Trains and returns the seconds."""
        items = len(self.split)
        opt: Any = Counter(-(-items * epochs // CHUNK))
        began = time.perf_counter()
        while opt.iteration < opt.total:
            first = opt.iteration * CHUNK
            self.model.step(self.split.batch(np.arange(first, min(first + CHUNK, items * epochs)) % items), opt)
            opt.iteration += 1
        return time.perf_counter() - began

    def vectors(self) -> np.ndarray:
        return self.model.vectors()


class Gensim:
    """gensim's, with the same words in the same order."""

    def __init__(self, variant: str, data: Dataset, seed: int) -> None:
        column: Any = data["train"].columns[0]
        spelling = np.array(data.schema.arguments["vocabulary"], object)
        flat = spelling[column.values["tokens"]]
        self.text = [list(flat[a:b]) for a, b in pairwise(column.offsets)]
        self.rate = 0.025 if variant.startswith("sg") else 0.05
        tree = variant.endswith("hs")
        self.model = Word2Vec(
            vector_size=DIM, window=WINDOW, min_count=MIN_COUNT, workers=THREADS, sg=int(variant.startswith("sg")),
            hs=int(tree), negative=0 if tree else NEGATIVE, sample=SAMPLE, alpha=self.rate, min_alpha=self.rate * 1e-4, seed=seed,
        )  # fmt: skip
        known = zip(spelling, data.schema.arguments["counts"], strict=True)
        self.model.build_vocab_from_freq({word: count for word, count in known if count >= MIN_COUNT})
        self.words = tuple(self.model.wv.index_to_key)
        if tree:
            start, nodes, left = word2vec_loops.huffman(
                np.array([self.model.wv.get_vecattr(word, "count") for word in self.words])
            )
            for row, (a, b) in enumerate(pairwise(start)):
                self.model.wv.expandos["point"][row] = nodes[a:b].astype(np.uint32)
                self.model.wv.expandos["code"][row] = (1 - left[a:b]).astype(np.uint8)

    def train(self, epochs: int) -> float:
        """Trains and returns the seconds."""
        began = time.perf_counter()
        self.model.train(self.text, total_examples=len(self.text), epochs=epochs)
        return time.perf_counter() - began

    def vectors(self) -> np.ndarray:
        vectors: np.ndarray = self.model.wv.vectors
        return vectors


class Frozen(Embedding):
    """Vectors from anywhere, to be measured."""

    def __init__(self, words: tuple[str, ...], table: np.ndarray) -> None:
        super().__init__()
        self.words, self.table = words, table

    def vectors(self) -> np.ndarray:
        return self.table


MAKERS: dict[str, Any] = {"ours": Ours, "gensim": Gensim}


def speed(variant: str, data: Dataset, rounds: int) -> dict[str, float]:
    """Median words a second of both, and the median of their ratio over the rounds, with its extremes."""
    words = int(data["train"].columns[0].offsets[-1])  # type: ignore[attr-defined]
    Ours(variant, data, 0).train(1)  # compiles
    seconds: dict[str, list[float]] = {"ours": [], "gensim": []}
    for number in range(rounds):
        for name in ("ours", "gensim") if number % 2 else ("gensim", "ours"):
            seconds[name].append(MAKERS[name](variant, data, number).train(1))
    ratios = [g / o for o, g in zip(seconds["ours"], seconds["gensim"], strict=True)]
    rates = {f"{name} words/s": words / statistics.median(taken) for name, taken in seconds.items()}
    return {**rates, "ratio": statistics.median(ratios), "lowest ratio": min(ratios), "highest ratio": max(ratios)}


def quality(variant: str, data: Dataset, seeds: int, epochs: int) -> dict[str, float]:
    """See the docstring of the file."""
    frequent = data.schema.arguments["vocabulary"][2:502]
    cosines: dict[str, list[np.ndarray]] = {"ours": [], "gensim": []}
    people: dict[str, list[float]] = {"ours": [], "gensim": []}
    for seed in range(1, seeds + 1):
        for name in cosines:
            made = MAKERS[name](variant, data, seed)
            made.train(epochs)
            rows = unit(made.vectors()[[made.words.index(word) for word in frequent]])
            cosines[name].append((rows @ rows.T)[np.triu_indices(len(frequent), 1)])
            people[name].append(
                Frozen(made.words, made.vectors()).measure(data, "train").get("WordSim-353 Spearman", float("nan"))
            )
    own = [spearman(a, b) for i, a in enumerate(cosines["gensim"]) for b in cosines["gensim"][:i]]
    return {
        "ours ~ gensim": statistics.mean(spearman(a, b) for a in cosines["ours"] for b in cosines["gensim"]),
        "gensim ~ gensim": statistics.mean(own) if own else float("nan"),
        "ours WordSim-353": statistics.mean(people["ours"]),
        "gensim WordSim-353": statistics.mean(people["gensim"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds and epochs, quality of one variant")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--text", type=Path, help="a text file or a folder of them; default: Shakespeare")
    options = parser.parse_args()
    data = text_file(options.text) if options.text else paperzoo.dataset("shakespeare")
    rounds, epochs, seeds = (5, 3, 2) if options.quick else (9, 5, 3)
    found: dict[str, dict[str, float]] = {}
    for variant in VARIANTS[:3] if options.quick else VARIANTS:
        found[variant] = speed(variant, data, rounds)
        if variant == "sg-ns" or not options.quick:
            found[variant] |= quality(variant, data, seeds, epochs)
    if options.json:
        print(
            json.dumps({"text": data.name, "rounds": rounds, "epochs": epochs, "seeds": seeds, "variants": found}, indent=1)
        )
        return
    for variant, figures in found.items():
        print(
            f"{variant:8}"
            + "  ".join(f"{name} {value:,.0f}" if value > 100 else f"{name} {value:.3f}" for name, value in figures.items())
        )


if __name__ == "__main__":
    main()
