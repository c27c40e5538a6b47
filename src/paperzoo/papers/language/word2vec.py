"""word2vec: word vectors learnt by predicting neighbours, with no hidden layer (Mikolov et al. 2013, two papers).

Skip-gram takes the vector v of a word and predicts each word in a window around it; CBOW takes the mean of the vectors in
the window and predicts the word in the middle. A softmax over the vocabulary would cost its size at every prediction, so
two cheaper things stand in for it. Negative sampling (Eq. 4 of the second paper) tells word w from k drawn ones,

    log sigma(u_w . v) + sum over k words r drawn from P of log sigma(-u_r . v),        P(r) ~ count(r)^0.75,

and hierarchical softmax (Eq. 3) makes a two-way decision at each node n of the word's path down a Huffman tree,

    log p(w | v) = sum over its nodes of log sigma(s u_n . v),        s = 1 to the left, -1 to the right.

Both are logistic regressions of a few labels, 1 or 0, on u . v, so one ``update`` serves all four models. Read it first,
in ``word2vec_loops.py``, then ``train``: plain loops that numba compiles. ``Model.step`` gives each thread a part of the
batch; threads share the vectors without locks, as in the authors' program.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
import torch
from annotated_types import Ge, Le
from torch import Tensor

from paperzoo.data import Batch
from paperzoo.errors import PaperzooError
from paperzoo.papers.language import word2vec_loops as loops
from paperzoo.ranges import Count, NotNegative, Positive, Size, Whole
from paperzoo.records import Recipe, Target
from paperzoo.tasks.embedding import Embedding
from paperzoo.tasks.model import Players


class Model(Embedding):
    """Word vectors, learnt by skip-gram or CBOW.

    Args:
        architecture: ``skip-gram`` or ``cbow``.
        softmax: ``negative`` (sampling) or ``hierarchical``.
        dim: length D of the vectors.
        window: c, the farthest neighbour; each window reaches 1 ... c words to either side, drawn anew.
        negative: words drawn beside each true one (5 to 20 for small data, 2 to 5 for large).
        sample: t of subsampling; 0 keeps every word. ``subsampling``: ``paper`` or ``code``, see the deviations.
        min_count: words that occur less often are dropped before windows are formed.
        lr: first rate; 0.025 for skip-gram and 0.05 for CBOW if not given. It falls linearly to 1e-4 of that.
        divide: CBOW only, see the deviations.
        threads: how many train at once; with 1, equal runs give equal vectors.
        vocabulary, counts: the words that the data's numbers stand for and how often each occurs; from the data.
    """

    def __init__(
        self,
        *,
        architecture: Literal["skip-gram", "cbow"] = "skip-gram",
        softmax: Literal["negative", "hierarchical"] = "negative",
        dim: Size = 300,
        window: Count = 5,
        negative: Size = 5,
        sample: NotNegative = 1e-5,
        subsampling: Literal["paper", "code"] = "paper",
        min_count: Whole = 5,
        lr: Positive | None = None,
        divide: bool = False,
        threads: Annotated[int, Ge(1), Le(1024)] = 2,
        vocabulary: Sequence[str] = (),
        counts: Sequence[Whole] = (),
    ) -> None:
        super().__init__()
        if len(vocabulary) != len(counts):
            raise PaperzooError(f"word2vec got {len(vocabulary)} words but {len(counts)} counts: each word needs its count")
        self.cbow, self.negative = architecture == "cbow", negative if softmax == "negative" else 0
        self.window, self.divide, self.threads, self.lr = window, divide, threads, lr or (0.05 if self.cbow else 0.025)
        self.threshold, self.subsampling = sample, subsampling
        self.counts = np.array(counts, np.int64)
        falling = np.argsort(-self.counts, kind="stable")
        self.kept = falling[self.counts[falling] >= max(min_count, 1)]  # row -> number of the word in the data
        self.words = tuple(vocabulary[int(number)] for number in self.kept)
        rows = len(self.words)
        self.input: Tensor
        self.output: Tensor
        self.register_buffer("input", (torch.rand(rows, dim) - 0.5) / dim)  # (V, D)
        self.register_buffer("output", torch.zeros(rows if self.negative else max(rows - 1, 0), dim))  # of words or nodes

    def vectors(self) -> np.ndarray:
        """The input vectors, float32 (V, D); the output vectors are not used."""
        vectors: np.ndarray = self.input.cpu().numpy()
        return vectors

    @cached_property
    def tables(self) -> loops.Tables:
        """The lookup tables of ``train``."""
        if len(self.words) < 2:
            raise PaperzooError(f"{len(self.words)} words are too few to learn: give more text or a lower model.min_count")
        counts = self.counts[self.kept]
        place = np.full(len(self.counts), -1, np.int32)
        place[self.kept] = np.arange(len(self.kept))
        tree = loops.huffman(np.zeros(0) if self.negative else counts)
        table = (1 / (1 + np.exp(-np.linspace(-10, 10, 1025)))).astype(np.float32)
        keep = loops.keep_probability(counts, self.threshold, self.subsampling)
        return loops.Tables(place, keep, *loops.alias_table(loops.negative_distribution(counts)), *tree, table)

    def step(self, batch: Batch, opt: Players) -> Mapping[str, float]:
        """One batch, split over threads; returns the mean loss of every 64th position."""
        tables, states = self.tables, torch.randint(2**62, (self.threads,)).tolist()
        tokens, lengths = batch.tokens.cpu().numpy(), batch.length.cpu().numpy()  # (N, T), (N)
        vectors = self.input.cpu(), self.output.cpu()  # the very same memory, unless the model lies on a GPU
        words = np.cumsum(lengths)
        cuts = [*np.searchsorted(words, words[-1] * np.arange(self.threads) / self.threads), len(tokens)]
        rates = [self.lr * max(1 - (opt.iteration + i) / opt.total, 1e-4) for i in (0, 1)]
        train = loops.kernels().train
        fixed = (*map(loops.records, vectors), tables, self.window, self.negative, self.cbow, self.divide, tuple(rates))

        def work(part: int) -> tuple[float, int]:
            done: tuple[float, int] = train(tokens, lengths, cuts[part], cuts[part + 1], *fixed, np.uint64(states[part]))
            return done

        with ThreadPoolExecutor(self.threads) as pool:
            total, sampled = np.sum(list(pool.map(work, range(self.threads))), 0)
        if not math.isfinite(total):
            raise PaperzooError(f"the loss is not finite at step {opt.iteration}; a lower model.lr than {self.lr} may help")
        for table, trained in zip((self.input, self.output), vectors, strict=True):
            table.copy_(opt.mean(trained.to(table.device)))  # over processes; with one, what is there already
        return {"loss": float(total / sampled)} if sampled else {}


VARIANTS: dict[str, dict[str, Any]] = {
    "sg-ns": {},
    "sg-hs": {"softmax": "hierarchical"},
    "cbow-ns": {"architecture": "cbow"},
    "cbow-hs": {"architecture": "cbow", "softmax": "hierarchical"},
}

RECIPES = {
    "paper": Recipe(data="lm1b", steps=9_090, batch_size=10_000, note="three epochs of 30.3 million sentences"),
    "small": Recipe(
        data="shakespeare",
        steps=260,
        batch_size=63,
        model={"dim": 64, "sample": 1e-3},
        targets=(Target("WordSim-353 Spearman", at_least=0.3, variants=("sg-ns",)),),
        note="20 epochs of 820 passages of 1,000 words",
    ),
    "small-literature": Recipe(
        data="literature",
        steps=540,
        batch_size=63,
        model={"dim": 100, "sample": 1e-3, "min_count": 10},
        note="10 epochs of 3.4 million words, those that glove's small recipe has",
    ),
    "smoke": Recipe(
        data="grammar",
        steps=30,
        batch_size=1900,
        model={"dim": 32, "sample": 0.0, "threads": 1},
        targets=(Target("analogy %", at_least=90),),
        note="3 epochs of 19,000 sentences",
    ),
}
