"""word2vec: word vectors from predicting neighbours, by a log-bilinear model with no hidden layer.

Skip-gram takes the vector v of a word and predicts each word within a window around it; CBOW takes the mean of the
vectors in the window and predicts the word in the middle. A softmax over the vocabulary would cost its size for every
pair, so two cheaper things stand in for it. Negative sampling (Eq. 4 of the second paper) tells the word from k drawn ones:

    log sigma(u_w . v) + sum over k words r drawn from P of log sigma(-u_r . v),    P(r) ~ count(r)^0.75

and hierarchical softmax (Eq. 3) walks down a Huffman tree, with a two-way decision at each node n of the word's path:

    p(w | v) = product over its nodes of sigma(s u_n . v),    s = 1 to the left, -1 to the right

Both are logistic regressions of a few labels (1 or 0) on u . v, so one ``update`` serves all four models. Read ``update``,
then ``train``. They are plain loops that numba compiles; threads share the tables without locks, as the authors' do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, lru_cache
from heapq import heapify, heappop, heappush
from types import FunctionType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from paperzoo.errors import PaperzooError, unknown
from paperzoo.records import Claim, Deviation, Paper, Recipe, Target
from paperzoo.tasks.embedding import Embedding

# ---- The inner loops, compiled by ``kernels``. A row of a table is a record with one field, ``vector``: its length is
# ---- part of its type, so that the compiler knows how often a loop over it runs.


def advance(state: np.uint64) -> np.uint64:
    """The next state of a 64-bit linear congruential generator (Knuth's MMIX)."""
    return state * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)


def uniform(state: np.uint64) -> float:
    """A number in [0, 1) from the upper 53 bits, which are the good ones."""
    return (state >> np.uint64(11)) * 2.0**-53


def sigmoid(x: np.float32, table: np.ndarray) -> np.float32:
    """Linear interpolation in ``table`` (see ``sigmoid_table``); x is held to [-10, 10]. Error below 1e-5 inside."""
    x = x if x < np.float32(9.999) else np.float32(9.999)  # not-a-number goes here too, and so never becomes an index
    x = x if x > np.float32(-10) else np.float32(-10)
    place = (x + np.float32(10)) * np.float32(51.2)
    i = int(place)
    return table[i] + (place - np.float32(i)) * (table[i + 1] - table[i])


def update(
    v: np.ndarray,
    output: np.ndarray,
    rows: np.ndarray,
    labels: np.ndarray,
    first: int,
    last: int,
    rate: np.float32,
    error: np.ndarray,
    slope: np.ndarray,
    table: np.ndarray,
    watch: bool,
) -> float:
    """One step up the gradient of sum_k log p(labels[k] | v . output[rows[k]]), over k from ``first`` to ``last``.

    ``output`` is changed; v is not, its own step (D) is left in ``error``. ``slope`` is room for the k. Returns minus the
    sum before the step if ``watch``, else 0.
    """
    loss, dim = 0.0, len(output[0].vector)
    for k in range(first, last):
        u = output[rows[k]].vector
        x = np.float32(0)
        for d in range(dim):
            x += v[d] * u[d]
        slope[k - first] = rate * (labels[k] - sigmoid(x, table))
        if watch:
            loss += math.log1p(math.exp(-abs(x))) + max(-x if labels[k] > 0.5 else x, 0.0)
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


def draw(word: int, rows: np.ndarray, chance: np.ndarray, other: np.ndarray, state: np.uint64) -> tuple[int, np.uint64]:
    """Fills ``rows`` with ``word`` and as many negatives as there is room for; one that is the word itself is left out.

    Walker's alias method: a bucket at random, then its own word with probability ``chance`` or its other one.
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
    tokens: np.ndarray, length: int, place: np.ndarray, keep: np.ndarray, sentence: np.ndarray, state: np.uint64
) -> tuple[int, np.uint64]:
    """Writes the rows of the words that stay into ``sentence``; their number and the next state."""
    count = 0
    for t in range(length):
        row = place[tokens[t]]
        if row >= 0:
            state = advance(state)
            sentence[count] = row
            count += uniform(state) < keep[row]
    return count, state


def train(
    tokens: np.ndarray,
    lengths: np.ndarray,
    first: int,
    last: int,
    input: np.ndarray,
    output: np.ndarray,
    tables: Any,
    window: int,
    negative: int,
    cbow: bool,
    divide: bool,
    rates: tuple[float, float],
    state: np.uint64,
    room: np.ndarray,
) -> tuple[float, int]:
    """Trains on items ``first`` to ``last``, with a rate going linearly from ``rates[0]`` to ``rates[1]``.

    Returns the summed loss before their update of a sample of the predictions, and how many these were.
    """
    sentence = np.empty(tokens.shape[1], np.int64)
    drawn = np.empty(negative + 1, np.int32)
    first_is_true = np.zeros(negative + 1, np.float32)
    first_is_true[0] = 1
    slope = np.empty(max(negative + 1, 64), np.float32)
    error, mean = room[0].vector, room[1].vector
    dim = len(error)
    total, sampled = 0.0, 0

    for item in range(first, last):
        rate = np.float32(rates[0] + (rates[1] - rates[0]) * (item - first) / (last - first))
        count, state = subsample(tokens[item], lengths[item], tables.place, tables.keep, sentence, state)
        for i in range(count):
            state = advance(state)
            reach = 1 + int(uniform(state) * window)  # 1 ... window: near words are used more often
            begin, end = max(0, i - reach), min(count, i + reach + 1)
            if end - begin < 2:
                continue
            if cbow:
                share = np.float32(1) / np.float32(end - begin - 1)
                for d in range(dim):
                    mean[d] = 0
                for j in range(begin, end):
                    if j != i:
                        w = input[sentence[j]].vector
                        for d in range(dim):
                            mean[d] += w[d]
                for d in range(dim):
                    mean[d] *= share
            for j in range(begin, end):
                if (j == i) != cbow:  # skip-gram predicts each neighbour j, CBOW only i
                    continue
                v = mean if cbow else input[sentence[i]].vector
                word = sentence[j]
                watch = i % 64 == 0
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
                if divide:
                    for d in range(dim):
                        error[d] *= share
                for j in range(begin, end):
                    if j != i:
                        w = input[sentence[j]].vector
                        for d in range(dim):
                            w[d] += error[d]
    return total, sampled


@lru_cache(maxsize=1)
def kernels() -> SimpleNamespace:
    """The functions above, compiled when first called; numba keeps the machine code on disk for the next process."""
    try:
        import numba
    except ImportError as error:
        raise PaperzooError('word2vec compiles its inner loop: pip install "paperzoo[embedding]" (numba)') from error
    # Sums may be reordered into vector instructions; not-a-number keeps its meaning, or a diverged run would crash.
    jit = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
    space = dict(globals())  # the compiled functions call each other, while this module keeps the plain ones
    for plain in (advance, uniform, sigmoid, update, draw, subsample, train):
        copy = FunctionType(plain.__code__, space, plain.__name__)
        space[plain.__name__] = jit(copy)
    return SimpleNamespace(**{f.__name__: space[f.__name__] for f in (update, draw, subsample, train)})


# ---- What the loops look up, made once from the counts.


def sigmoid_table() -> np.ndarray:
    """sigma at 1,025 equally spaced points of [-10, 10]; float32."""
    return (1 / (1 + np.exp(-np.linspace(-10, 10, 1025)))).astype(np.float32)


def negative_distribution(counts: np.ndarray) -> np.ndarray:
    """P(r) ~ count(r)^0.75, section 2.2 of the second paper; (V) summing to 1."""
    weight = counts.astype(np.float64) ** 0.75
    return weight / weight.sum()


def alias_table(chances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Walker's tables for drawing from ``chances`` in constant time: float32 (V) and int32 (V), see ``draw``."""
    level, other = chances * len(chances), np.arange(len(chances), dtype=np.int32)
    poor, rich = list(np.flatnonzero(level < 1)), list(np.flatnonzero(level >= 1))
    while poor and rich:
        taker, giver = poor.pop(), rich[-1]
        other[taker] = giver
        level[giver] -= 1 - level[taker]
        if level[giver] < 1:
            poor.append(rich.pop())
    level[[*poor, *rich]] = 1  # what rounding left over
    return level.astype(np.float32), other


def keep_probability(counts: np.ndarray, sample: float, formula: str = "paper") -> np.ndarray:
    """The share of a word's occurrences that are used, from its frequency f (Eq. 5, where t is ``sample``); (V) in [0, 1].

    ``"paper"``: sqrt(t / f). ``"code"``: sqrt(t / f) + t / f, as in the authors' program. With ``sample=0`` all are kept.
    """
    if not sample:
        return np.ones(len(counts))
    ratio = sample * counts.sum() / counts
    return np.minimum(1, np.sqrt(ratio) + (ratio if formula == "code" else 0))


class Huffman(NamedTuple):
    """The paths of V words from the root: word w takes ``nodes[start[w]:start[w + 1]]``, ``left`` being 1 for left."""

    start: np.ndarray  # int64 (V + 1)
    nodes: np.ndarray  # int32, 0 ... V - 2
    left: np.ndarray  # float32


def huffman(counts: np.ndarray) -> Huffman:
    """The binary tree with the shortest expected path: the two lightest nodes are joined until one is left."""
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
    return Huffman(np.array(start, np.int64), np.array(nodes, np.int32), np.array(lefts, np.float32))


class Tables(NamedTuple):
    """All that ``train`` looks up."""

    place: np.ndarray  # int32: number of a word in the data -> row, or -1
    keep: np.ndarray  # float64 (V)
    chance: np.ndarray  # float32 (V), and
    other: np.ndarray  # int32 (V): see alias_table
    start: np.ndarray  # see Huffman
    nodes: np.ndarray
    left: np.ndarray
    sigmoid: np.ndarray


def records(table: Tensor) -> np.ndarray:
    """A table (V, D) in the shape ``train`` wants: V records over the same memory."""
    return table.numpy().view(np.dtype([("vector", np.float32, (table.shape[1],))]))[:, 0]


class Model(Embedding):
    """Word vectors learnt by skip-gram or CBOW.

    Args:
        architecture: ``"skip-gram"`` or ``"cbow"``.
        softmax: ``"negative"`` (sampling) or ``"hierarchical"``.
        dim: length D of the vectors.
        window: c; each word's window is drawn from 1 ... c words to either side.
        negative: words drawn beside each true one (5-20 for small data, 2-5 for large).
        sample: threshold t of subsampling; 0 keeps every word. ``subsampling``: ``"paper"`` or ``"code"``, see
            ``keep_probability``.
        min_count: words that occur less often are dropped before windows are formed.
        lr: first learning rate; default 0.025 for skip-gram and 0.05 for CBOW. It falls linearly to 1e-4 of that.
        divide: CBOW only: whether a window's n words get 1/n of the gradient of their mean each, as calculus has it, or
            all of it, as in the authors' program.
        threads: how many train at once, on shared tables without locks; with 1, equal runs give equal vectors.
        vocabulary, counts: the words that the data's numbers stand for, and how often each occurs; from the data.
    """

    def __init__(
        self,
        *,
        architecture: str = "skip-gram",
        softmax: str = "negative",
        dim: int = 300,
        window: int = 5,
        negative: int = 5,
        sample: float = 1e-5,
        subsampling: str = "paper",
        min_count: int = 5,
        lr: float | None = None,
        divide: bool = False,
        threads: int = 2,
        vocabulary: Sequence[str] = (),
        counts: Sequence[int] = (),
    ) -> None:
        super().__init__()
        choices = {"architecture": ("skip-gram", "cbow"), "softmax": ("negative", "hierarchical"), "subsampling": ("paper", "code")}
        given = {"architecture": architecture, "softmax": softmax, "subsampling": subsampling}
        for name, value in given.items():
            if value not in choices[name]:
                raise unknown(name, value, choices[name], "of word2vec")
        for name, number, least in (("dim", dim, 1), ("window", window, 1), ("negative", negative, 1), ("threads", threads, 1)):
            if number < least:
                raise PaperzooError(f"word2vec's {name} must be at least {least}, not {number}")
        if sample < 0 or (lr is not None and not lr > 0):
            raise PaperzooError(f"word2vec's sample must not be negative and lr must be positive, not {sample} and {lr}")
        if len(vocabulary) != len(counts):
            raise PaperzooError(f"word2vec got {len(vocabulary)} words but {len(counts)} counts: each word needs its count")
        self.cbow, self.negative = architecture == "cbow", negative if softmax == "negative" else 0
        self.window, self.sample, self.subsampling, self.divide, self.threads = window, sample, subsampling, divide, threads
        self.lr = lr if lr is not None else 0.05 if self.cbow else 0.025
        self.counts = np.array(counts, np.int64)
        self.kept = np.flatnonzero(self.counts >= max(min_count, 1))  # row -> number of the word in the data
        self.words = tuple(vocabulary[i] for i in self.kept)
        rows = len(self.words)
        self.input: Tensor
        self.output: Tensor
        self.register_buffer("input", (torch.rand(rows, dim) - 0.5) / dim)  # (V, D), the vectors
        self.register_buffer("output", torch.zeros(rows if self.negative else max(rows - 1, 0), dim))  # words or inner nodes

    def vectors(self) -> np.ndarray:
        return self.input.detach().cpu().numpy()

    @cached_property
    def tables(self) -> Tables:
        if len(self.words) < 2:
            raise PaperzooError(f"word2vec has {len(self.words)} words to learn: give it more text, or a lower model.min_count")
        counts = self.counts[self.kept]
        place = np.full(len(self.counts), -1, np.int32)
        place[self.kept] = np.arange(len(self.kept))
        keep = keep_probability(counts, self.sample, self.subsampling)
        tree = Huffman(*(np.zeros(0, t) for t in (np.int64, np.int32, np.float32))) if self.negative else huffman(counts)
        return Tables(place, keep, *alias_table(negative_distribution(counts)), *tree, sigmoid_table())

    def step(self, batch: Any, opt: Any) -> Mapping[str, float]:
        tables, seed = self.tables, int(torch.randint(2**62, ()))
        tokens, lengths = (t.cpu().numpy() for t in (batch.tokens, batch.length))  # (N, T), (N)
        both = [t.cpu().contiguous() for t in (self.input, self.output)]  # the tables themselves, or copies of a GPU's
        cuts = np.searchsorted(np.cumsum(lengths), lengths.sum() * np.arange(1, self.threads) / self.threads)
        bounds = np.array([0, *cuts, len(tokens)])
        rates = [self.lr * max(1 - (opt.iteration + i) / opt.total, 1e-4) for i in (0, 1)]

        def work(part: int) -> tuple[float, int]:
            return kernels().train(  # type: ignore[no-any-return]
                tokens, lengths, bounds[part], bounds[part + 1], *map(records, both), tables, self.window, self.negative,
                self.cbow, self.divide, tuple(rates), np.uint64(seed + part), records(torch.empty(2, both[0].shape[1])),
            )  # fmt: skip

        with ThreadPoolExecutor(self.threads) as pool:
            sums = np.array(list(pool.map(work, range(self.threads))))  # (threads, 2)
        for table, new in zip((self.input, self.output), both, strict=True):
            if table.device != new.device:
                table.copy_(new)
        total, sampled = sums.sum(0)
        return {"loss": float(total / sampled)} if sampled else {}
