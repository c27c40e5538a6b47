"""The loops of word2vec, compiled by numba, and the tables that they look up (Mikolov et al. 2013, two papers).

Every prediction is a few logistic regressions of labels 1 or 0 on u . v: of the true word and of those drawn beside it,
or of the nodes on its path down the tree. ``update`` is one step of gradient ascent on all of them,

    u <- u + rate (label - sigma(u . v)) v,        v <- v + rate sum over u of (label - sigma(u . v)) u,

and ``train`` takes it for every window of the text. The functions after ``kernels`` make the tables: the distribution of
negatives, the share of each word's occurrences that is used, the Huffman tree. Read ``update``, then ``train``.
"""

from __future__ import annotations

import math
from functools import lru_cache
from heapq import heapify, heappop, heappush
from types import FunctionType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from paperzoo.errors import PaperzooError


class Tables(NamedTuple):
    """The lookup tables of ``train``, made once from the counts."""

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
