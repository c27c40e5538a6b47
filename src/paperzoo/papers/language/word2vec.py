"""word2vec: word vectors learnt by predicting neighbours, with no hidden layer (Mikolov et al. 2013, two papers).

Skip-gram takes the vector v of a word and predicts each word in a window around it; CBOW takes the mean of the vectors in
the window and predicts the word in the middle. A softmax over the vocabulary would cost its size at every prediction, so
two cheaper things stand in for it. Negative sampling (Eq. 4 of the second paper) tells word w from k drawn ones,

    log sigma(u_w . v) + sum over k words r drawn from P of log sigma(-u_r . v),        P(r) ~ count(r)^0.75,

and hierarchical softmax (Eq. 3) makes a two-way decision at each node n of the word's path down a Huffman tree,

    log p(w | v) = sum over its nodes of log sigma(s u_n . v),        s = 1 to the left, -1 to the right.

Both are logistic regressions of a few labels, 1 or 0, on u . v, so one ``update`` serves all four models. Read it first,
then ``train``: plain loops that numba compiles. Threads share the vectors without locks, as in the authors' program.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, lru_cache
from heapq import heapify, heappop, heappush
from types import FunctionType, SimpleNamespace
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from annotated_types import Ge, Le
from torch import Tensor

from paperzoo.data import Batch
from paperzoo.errors import PaperzooError
from paperzoo.ranges import Count, NotNegative, Positive, Size, Whole
from paperzoo.records import Recipe, Target
from paperzoo.tasks.embedding import Embedding
from paperzoo.tasks.model import Players


class Tables(NamedTuple):
    """What ``train`` looks up, made once from the counts."""

    place: np.ndarray  # int32: number of a word in the data -> its row, or -1
    keep: np.ndarray  # float64 (V): see keep_probability
    chance: np.ndarray  # float32 (V): see alias_table, also other
    other: np.ndarray  # int32 (V)
    start: np.ndarray  # int64 (V + 1): word w's path from the root is nodes[start[w]:start[w + 1]]
    nodes: np.ndarray  # int32, 0 ... V - 2
    left: np.ndarray  # float32: 1 where the path goes on to the left
    sigmoid: np.ndarray  # float32 (1025)


def advance(state: Any) -> Any:
    """The next state of a 64-bit linear congruential generator (Knuth's MMIX)."""
    return state * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)


def uniform(state: Any) -> Any:
    """A number in [0, 1) from the upper 53 bits, which are the good ones."""
    return (state >> np.uint64(11)) * 2.0**-53


def sigmoid(x: Any, table: np.ndarray) -> Any:
    """Linear interpolation in ``table``, for x held to [-10, 10]."""
    x = x if x < np.float32(9.999) else np.float32(9.999)  # not-a-number goes here too, and so never becomes an index
    x = x if x > np.float32(-10) else np.float32(-10)
    place = (x + np.float32(10)) * np.float32(51.2)
    i = int(place)
    return table[i] + (place - np.float32(i)) * (table[i + 1] - table[i])


# ``input`` holds the v, ``output`` the u. A row of either is a record with the one field ``vector``, whose length is part of its
# type, so that the compiler knows how often a loop over it runs.


def update(
    v: Any, output: Any, rows: np.ndarray, labels: np.ndarray, first: int, last: int, rate: Any, error: Any,
    slope: np.ndarray, table: np.ndarray, watch: bool,
) -> float:  # fmt: skip
    """One step up the gradient of sum over k, from ``first`` to ``last``, of log p(labels[k] | v . output[rows[k]]).

    Changes ``output``; v's own step (D) is left in ``error``. Returns minus that sum, if ``watch``. ``slope`` is room.
    """
    loss, dim = 0.0, len(output[0].vector)
    for k in range(first, last):
        u = output[rows[k]].vector
        x = np.float32(0)
        for d in range(dim):
            x += v[d] * u[d]
        slope[k - first] = rate * (labels[k] - sigmoid(x, table))
        if watch:
            wrong: Any = -x if labels[k] > 0.5 else x
            loss += max(wrong, 0.0) + math.log1p(math.exp(-abs(x)))
    for d in range(dim):
        error[d] = 0
    for k in range(first, last):
        u = output[rows[k]].vector
        g = slope[k - first]
        for d in range(dim):
            old = u[d]
            error[d] += g * old
            u[d] = old + g * v[d]
    return loss


def draw(word: int, rows: np.ndarray, chance: np.ndarray, other: np.ndarray, state: Any) -> tuple[int, Any]:
    """Fills ``rows`` with ``word`` and the negatives there is room for; returns how many rows there are, and the state.

    Walker's alias method: a bucket at random, then its own word with probability ``chance``, else its other one.
    """
    rows[0] = word
    count = 1
    for _ in range(len(rows) - 1):
        state = advance(state)
        place = uniform(state) * len(chance)
        bucket = int(place)
        rows[count] = bucket if place - bucket < chance[bucket] else other[bucket]
        count += rows[count] != word
    return count, state


def subsample(
    tokens: np.ndarray, length: int, place: np.ndarray, keep: np.ndarray, sentence: np.ndarray, state: Any
) -> tuple[int, Any]:
    """Writes the rows of the words that stay into ``sentence``; returns how many they are, and the state."""
    count = 0
    for t in range(length):
        row = place[tokens[t]]
        if row >= 0:  # rare words go first, so that windows reach over them
            state = advance(state)
            sentence[count] = row
            count += uniform(state) < keep[row]
    return count, state


def train(
    tokens: np.ndarray, lengths: np.ndarray, first: int, last: int, input: Any, output: Any, tables: Any, window: int,
    negative: int, cbow: bool, divide: bool, rates: tuple[float, float], state: Any,
) -> tuple[float, int]:  # fmt: skip
    """Trains on items ``first`` to ``last`` of tokens (N, T), the rate going from ``rates[0]`` to ``rates[1]``.

    ``negative=0`` means hierarchical softmax. Returns the summed loss of a sample of the predictions, and its size.
    """
    sentence = np.empty(tokens.shape[1], np.int64)
    drawn, first_is_true = np.empty(negative + 1, np.int32), np.zeros(negative + 1, np.float32)
    first_is_true[0] = 1
    slope = np.empty(max(negative + 1, 64), np.float32)  # a path of 64 nodes would need 1e13 words
    room = np.empty(2, input.dtype)
    error, mean = room[0].vector, room[1].vector
    dim, total, sampled = len(input[0].vector), 0.0, 0
    for item in range(first, last):
        rate = np.float32(rates[0] + (rates[1] - rates[0]) * (item - first) / (last - first))
        count, state = subsample(tokens[item], lengths[item], tables.place, tables.keep, sentence, state)
        for i in range(count):
            state = advance(state)
            reach = 1 + int(uniform(state) * window)  # 1 ... window, so near words count for more
            begin, end = max(0, i - reach), min(count, i + reach + 1)
            if end - begin == 1:
                continue
            share = np.float32(1) / np.float32(end - begin - 1)
            if cbow:
                for d in range(dim):
                    mean[d] = 0
                for j in range(begin, end):
                    if j != i:
                        w = input[sentence[j]].vector
                        for d in range(dim):
                            mean[d] += share * w[d]
            for j in range(begin, end):
                if (j == i) != cbow:  # skip-gram predicts every j but i, CBOW only i
                    continue
                v = mean if cbow else input[sentence[i]].vector
                word, watch = sentence[j], i % 64 == 0
                if negative:
                    n, state = draw(word, drawn, tables.chance, tables.other, state)
                    total += update(v, output, drawn, first_is_true, 0, n, rate, error, slope, tables.sigmoid, watch)
                else:
                    a, b = tables.start[word], tables.start[word + 1]
                    total += update(v, output, tables.nodes, tables.left, a, b, rate, error, slope, tables.sigmoid, watch)
                sampled += watch
                if not cbow:
                    for d in range(dim):
                        v[d] += error[d]
            if cbow:
                for d in range(dim):
                    error[d] *= share if divide else np.float32(1)
                for j in range(begin, end):
                    if j != i:
                        w = input[sentence[j]].vector
                        for d in range(dim):
                            w[d] += error[d]
    return total, sampled


@lru_cache(maxsize=1)
def kernels() -> SimpleNamespace:
    """The functions above, compiled at their first call. numba keeps the machine code on disk for the next process."""
    try:
        import numba
    except ImportError as error:
        raise PaperzooError('word2vec needs numba to compile its loops: pip install "paperzoo[text]"') from error
    # Sums may be reordered into vector instructions; not-a-number keeps its meaning (see sigmoid).
    options: Any = {"nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}
    space = dict(globals())  # the compiled functions call each other, while the ones of this module stay plain
    for plain in (advance, uniform, sigmoid, update, draw, subsample, train):
        copy = FunctionType(plain.__code__, space, plain.__name__)
        try:
            space[plain.__name__] = numba.njit(cache=True, **options)(copy)
        except RuntimeError:  # nowhere to write: neither beside this file nor in the user's cache
            space[plain.__name__] = numba.njit(**options)(copy)
    return SimpleNamespace(**space)


# ---- What the loops look up.


def negative_distribution(counts: np.ndarray) -> np.ndarray:
    """P(r) ~ count(r)^0.75 (section 2.2); (V) with sum 1."""
    weight: np.ndarray = counts.astype(np.float64) ** 0.75
    return weight / weight.sum()  # type: ignore[no-any-return]


def alias_table(chances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Walker's tables for drawing from ``chances`` (V) in constant time: every bucket holds one word, or parts of two."""
    level, other = chances * len(chances), np.arange(len(chances), dtype=np.int32)
    poor, rich = list(np.flatnonzero(level < 1)), list(np.flatnonzero(level >= 1))
    while poor and rich:
        taker, giver = poor.pop(), rich[-1]
        other[taker] = giver
        level[giver] -= 1 - level[taker]
        if level[giver] < 1:
            poor.append(rich.pop())
    level[[*poor, *rich]] = 1  # rounding
    return level.astype(np.float32), other


def keep_probability(counts: np.ndarray, sample: float, formula: str = "paper") -> np.ndarray:
    """The share of a word's occurrences to be used, from its frequency f (Eq. 5 with t = ``sample``); (V) in [0, 1]."""
    if not sample:
        return np.ones(len(counts))
    ratio = sample * counts.sum() / counts
    kept: np.ndarray = np.minimum(1, np.sqrt(ratio) + (ratio if formula == "code" else 0))
    return kept


def huffman(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``start``, ``nodes`` and ``left`` of ``Tables``: the two lightest nodes are joined until one is left."""
    words = len(counts)
    heap = [(int(count), word) for word, count in enumerate(counts)]  # equal weights: the older node first
    heapify(heap)
    parent, left = [-1] * (2 * words - 1), [0] * (2 * words - 1)
    for node in range(words, 2 * words - 1):
        (lightest, one), (light, two) = heappop(heap), heappop(heap)
        parent[one] = parent[two] = node
        left[one] = 1
        heappush(heap, (lightest + light, node))
    start, nodes, lefts = [0], [], []
    for word in range(words):
        node, path = word, []
        while parent[node] >= 0:  # up to the root
            path.append((parent[node] - words, left[node]))
            node = parent[node]
        nodes += [above for above, _ in reversed(path)]
        lefts += [side for _, side in reversed(path)]
        start.append(len(nodes))
    return np.array(start, np.int64), np.array(nodes, np.int32), np.array(lefts, np.float32)


def records(table: Tensor) -> np.ndarray:
    """A table (V, D) as ``train`` wants it: V records over the same memory."""
    return table.numpy().view(np.dtype([("vector", np.float32, (table.shape[1],))]))[:, 0]



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
    def tables(self) -> Tables:
        """What ``train`` looks up."""
        if len(self.words) < 2:
            raise PaperzooError(f"{len(self.words)} words are too few to learn: give more text or a lower model.min_count")
        counts = self.counts[self.kept]
        place = np.full(len(self.counts), -1, np.int32)
        place[self.kept] = np.arange(len(self.kept))
        tree = huffman(np.zeros(0) if self.negative else counts)
        table = (1 / (1 + np.exp(-np.linspace(-10, 10, 1025)))).astype(np.float32)
        keep = keep_probability(counts, self.threshold, self.subsampling)
        return Tables(place, keep, *alias_table(negative_distribution(counts)), *tree, table)

    def step(self, batch: Batch, opt: Players) -> Mapping[str, float]:
        """One batch, cut into a part a thread; returns the mean loss of every 64th position."""
        tables, states = self.tables, torch.randint(2**62, (self.threads,)).tolist()
        tokens, lengths = batch.tokens.cpu().numpy(), batch.length.cpu().numpy()  # (N, T), (N)
        vectors = self.input.cpu(), self.output.cpu()  # the very same memory, unless the model lies on a GPU
        words = np.cumsum(lengths)
        cuts = [*np.searchsorted(words, words[-1] * np.arange(self.threads) / self.threads), len(tokens)]
        rates = [self.lr * max(1 - (opt.iteration + i) / opt.total, 1e-4) for i in (0, 1)]
        train = kernels().train
        fixed = (*map(records, vectors), tables, self.window, self.negative, self.cbow, self.divide, tuple(rates))

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
