"""GloVe: word vectors whose products are the logarithms of how often words stand together (Pennington, Socher, Manning 2014).

What tells ice from steam is not how often either stands near solid, but the ratio: solid is 9 times as likely beside ice, gas 12
times less, and water equally likely beside both (table 1). Ratios become differences of vectors if products are logarithms. So
the whole text is read once, for the matrix X of how often word j stands near word i (a neighbour at distance d counts 1/d), and
each word gets two vectors and two biases, fitted by weighted least squares over the entries that are not zero (Eq. 8):

    J = sum over i, j of f(X_ij) (w_i . w~_j + b_i + b~_j - log X_ij)^2,        f(x) = min(1, (x / x_max)^alpha).

f keeps the many pairs seen once from drowning the rest, and the few seen a hundred thousand times from ruling. AdaGrad gives each
number a rate of its own. X is symmetric, so w and w~ differ by chance alone, and their sum is used (section 4.2). Read
``weighting``, then ``train``: plain loops that numba compiles. The counting is in ``paperzoo/data/text/cooccurrence.py``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from types import FunctionType
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Ge, Le
from torch import Tensor

from paperzoo.data import Batch, Schema
from paperzoo.data.text.cooccurrence import Pairs, cooccurrences
from paperzoo.errors import PaperzooError
from paperzoo.ranges import Count, NotNegative, Positive, Size, Whole
from paperzoo.records import Recipe, Target
from paperzoo.tasks.embedding import Embedding
from paperzoo.tasks.model import Players


def weighting(count: Any, x_max: float, alpha: float) -> Any:
    """f of Eq. 9; ``x_max=0`` is f = 1 throughout."""
    return (count / x_max) ** alpha if count < x_max else 1.0


def update(
    i: int, j: int, target: Any, weight: Any, rate: Any, word: np.ndarray, context: np.ndarray, word_squares: np.ndarray,
    context_squares: np.ndarray,
) -> float:  # fmt: skip
    """One AdaGrad step on f (w_i . w~_j + b_i + b~_j - log X)^2 / 2; returns f (...)^2 before it.

    The last column of ``word`` and ``context`` (V, D + 1) are the biases; the squares are of the same shape.
    """
    w, c, w_squares, c_squares = word[i], context[j], word_squares[i], context_squares[j]
    dim = len(w) - 1
    product = np.float32(0)
    for d in range(dim):
        product += w[d] * c[d]
    wrong = product + w[dim] + c[dim] - target
    slope = rate * weight * wrong
    for d in range(dim):
        to_w, to_c = slope * c[d], slope * w[d]
        w[d] -= to_w / math.sqrt(w_squares[d])
        c[d] -= to_c / math.sqrt(c_squares[d])
        w_squares[d] += to_w * to_w
        c_squares[d] += to_c * to_c
    w[dim] -= slope / math.sqrt(w_squares[dim])
    c[dim] -= slope / math.sqrt(c_squares[dim])
    w_squares[dim] += slope * slope
    c_squares[dim] += slope * slope
    return float(weight * wrong * wrong)


def train(
    order: np.ndarray, row: np.ndarray, column: np.ndarray, count: np.ndarray, word: np.ndarray, context: np.ndarray,
    word_squares: np.ndarray, context_squares: np.ndarray, rate: float, x_max: float, alpha: float, logarithm: bool,
) -> float:  # fmt: skip
    """A pass over the pairs ``order``, each both ways; returns the sum of the losses."""
    total = 0.0
    for k in order:
        i, j, x = row[k], column[k], count[k]
        weight, target = np.float32(weighting(x, x_max, alpha)), np.float32(math.log(x) if logarithm else x)
        total += update(i, j, target, weight, np.float32(rate), word, context, word_squares, context_squares)
        if i != j:
            total += update(j, i, target, weight, np.float32(rate), word, context, word_squares, context_squares)
    return total


@lru_cache(maxsize=1)
def kernel() -> Any:
    """``train``, compiled at the first call; numba keeps the machine code on disk for the next process."""
    try:
        import numba
    except ImportError as error:
        raise PaperzooError('glove needs numba to compile its loops: pip install "paperzoo[text]"') from error
    options: Any = {"nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz", "arcp"}}
    # the loops call each other by name: compiled copies do so among themselves, and those of this module stay plain
    space = dict(globals())
    for plain in (weighting, update, train):
        copy = FunctionType(plain.__code__, space, plain.__name__)
        try:
            space[plain.__name__] = numba.njit(cache=True, **options)(copy)
        except RuntimeError:  # nowhere to write: neither beside this file nor in the user's cache
            space[plain.__name__] = numba.njit(**options)(copy)
    return space["train"]


class Model(Embedding):
    """Word vectors, fitted to the logarithms of co-occurrences.

    A step is one pass over all pairs, so every batch is all of the data (``batch_size="all"``). Text is counted at the first step;
    what is too large to be one batch is counted before, from the disk: ``--data cooccurrences:PATH``.

    Args:
        dim: length D of the vectors.
        window: the farthest neighbour, to either side.
        x_max, alpha: of f; ``x_max=0`` weighs all pairs alike.
        distance: whether a neighbour at distance d counts 1/d rather than 1.
        logarithm: whether log X is fitted rather than X, to show what becomes of it.
        lr: the initial rate of AdaGrad.
        min_count: words that occur less often are dropped before windows are formed.
        threads: how many count and train at once; with 1, equal runs give equal vectors.
        memory: megabytes for counting; what is more goes to disk.
        vocabulary, counts: the words that the data's numbers stand for and how often each occurs; from the data.
    """

    def __init__(
        self,
        *,
        dim: Size = 300,
        window: Count = 10,
        x_max: NotNegative = 100.0,
        alpha: NotNegative = 0.75,
        distance: bool = True,
        logarithm: bool = True,
        lr: Positive = 0.05,
        min_count: Whole = 5,
        threads: Annotated[int, Ge(1), Le(1024)] = 2,
        memory: Count = 256,
        vocabulary: Sequence[str] = (),
        counts: Sequence[Whole] = (),
    ) -> None:
        super().__init__()
        if len(vocabulary) != len(counts):
            raise PaperzooError(f"glove got {len(vocabulary)} words but {len(counts)} counts: each word needs its count")
        self.window, self.distance, self.threads, self.memory, self.lr = window, distance, threads, memory, lr
        self.x_max, self.alpha, self.logarithm = x_max, alpha, logarithm
        self.counts = np.array(counts, np.int64)
        falling = np.argsort(-self.counts, kind="stable")
        self.kept = falling[self.counts[falling] >= max(min_count, 1)]  # row -> number of the word in the data
        self.words = tuple(vocabulary[int(number)] for number in self.kept)
        shape = (len(self.words), dim + 1)  # w and b, w~ and b~
        self.word: Tensor
        self.context: Tensor
        for name in ("word", "context"):
            self.register_buffer(name, (torch.rand(shape) - 0.5) / dim)
            self.register_buffer(f"{name}_squares", torch.ones(shape))
        self._pairs: Pairs | None = None

    @classmethod
    def check(cls, schema: Schema) -> None:
        """Raises ``PaperzooError`` unless data of this schema is text, or co-occurrences, and knows its words and counts."""
        super().check(dataclasses.replace(schema, fields=("tokens",)) if "x" in schema.fields else schema)

    def vectors(self) -> np.ndarray:
        """w + w~, float32 (V, D)."""
        vectors: np.ndarray = (self.word + self.context)[:, :-1].cpu().numpy()
        return vectors

    def pairs(self, batch: Batch) -> Pairs:
        """X of the whole text, counted once; or the batch itself, if the data was counted before.

        Raises:
            PaperzooError: the batch is only a part of the text, or too few words are left.
        """
        if hasattr(batch, "row"):
            counted = Pairs(*(part.cpu().numpy() for part in (batch.row, batch.column, batch.x)))
            if len(counted.row) and len(self.words) < len(self.counts):
                raise PaperzooError("this data was counted with all of its words: model.min_count must be 1, or as it was counted")
            return counted
        if self._pairs is None:
            if int(batch.length.sum()) < self.counts.sum():
                raise PaperzooError(
                    f"glove counts the whole text before it learns, but a batch has {int(batch.length.sum())} of its "
                    f"{self.counts.sum()} words: --set batch_size=all, in one process"
                )
            if len(self.words) < 2:
                raise PaperzooError(f"{len(self.words)} words are too few to learn: give more text or a lower model.min_count")
            counted = cooccurrences(
                self._texts(batch), len(self.words), self.window, self.distance, self.memory * 2**20, self.threads
            )
            if not len(counted.row):
                raise PaperzooError("no two words of this text stand near each other: give more text or a lower model.min_count")
            self._pairs = counted
        return self._pairs

    def _texts(self, batch: Batch) -> Iterator[np.ndarray]:
        """Rows of the words that are kept, some hundred texts at a time, with -1 after each."""
        place = np.full(len(self.counts), -2, np.int32)
        place[self.kept] = np.arange(len(self.kept))
        tokens, lengths = batch.tokens.cpu().numpy(), batch.length.cpu().numpy()  # (N, T), (N)
        for begin in range(0, len(tokens), 200):
            part, length = tokens[begin : begin + 200], lengths[begin : begin + 200, None]
            rows = np.where(np.arange(part.shape[1]) < length, place[part], -2)
            rows = np.pad(rows, ((0, 0), (0, 1)), constant_values=-1)  # (200, T + 1)
            yield rows[rows > -2]

    def step(self, batch: Batch, opt: Players) -> Mapping[str, float]:
        """One pass over all pairs in a new order; returns J divided by the number of ordered pairs."""
        pairs = self.pairs(batch)
        random = np.random.default_rng(int(torch.randint(2**62, ())))
        order = random.permutation(len(pairs.row))
        names = ("word", "context", "word_squares", "context_squares")
        tables = [getattr(self, name).cpu() for name in names]  # the very same memory, unless the model lies on a GPU
        arrays, fixed = [table.numpy() for table in tables], (self.lr, self.x_max, self.alpha, self.logarithm)
        run = kernel()
        with ThreadPoolExecutor(self.threads) as pool:
            parts = pool.map(lambda part: run(part, *pairs, *arrays, *fixed), np.array_split(order, self.threads))
            total = sum(parts)
        if not math.isfinite(total):
            raise PaperzooError(f"the loss is not finite at step {opt.iteration}; a lower model.lr than {self.lr} may help")
        for name, trained in zip(names, tables, strict=True):
            getattr(self, name).copy_(trained)
        return {"loss": total / (2 * len(order) - int((pairs.row == pairs.column).sum()))}


VARIANTS: dict[str, dict[str, Any]] = {"glove": {}}

RECIPES = {
    "paper": Recipe(
        data="lm1b-pairs",
        steps=100,
        batch_size="all",
        order="sequential",
        note="100 passes for 300 dimensions (section 4.2); words that occur five times and more",
    ),
    "small": Recipe(
        data="literature",
        steps=25,
        batch_size="all",
        order="sequential",
        model={"dim": 100, "x_max": 10.0, "min_count": 10},
        targets=(
            Target("WordSim-353 Spearman", at_least=0.3),
            Target("WordSim-353 Spearman", at_least=0, than="word2vec:sg-ns:small-literature"),
        ),
        note="25 passes over the pairs of 3.4 million words. Targets set after the first run: what word2vec's small recipe promises, "
        "and better than word2vec on the same words, as the paper has it",
    ),
    "smoke": Recipe(
        data="ratios",
        steps=40,
        batch_size="all",
        order="sequential",
        model={"dim": 32, "x_max": 20.0, "lr": 0.1, "threads": 1, "memory": 16},
        targets=(Target("analogy %", at_least=90),),
        note="11,400 made-up sentences",
    ),
}
