"""How well cosines between word vectors agree with people, and whether differences of vectors solve analogies."""

from __future__ import annotations

import numpy as np

#: analogies answered at once
_CHUNK = 512


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows (V, D) scaled to length 1; a zero row stays zero."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: np.ndarray = vectors / np.maximum(length, np.finfo(np.float32).tiny)
    return scaled


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1 of (N) values; equal ones share the mean of theirs."""
    _, which, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)  # the highest rank of each distinct value
    shared: np.ndarray = (last - (count - 1) / 2)[which]
    return shared


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's rank correlation of (N) and (N): the correlation of their ranks, in [-1, 1].

    Not-a-number if N < 2 or either is constant.
    """
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"two equally long vectors wanted, not {x.shape} and {y.shape}")
    a, b = ranks(x), ranks(y)
    a, b = a - a.mean() if len(a) else a, b - b.mean() if len(b) else b
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale else float("nan")


def pair_cosines(vectors: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Cosines of the rows named by ``pairs`` (P, 2); (P) in [-1, 1]."""
    rows = unit(vectors)
    cosines: np.ndarray = np.einsum("pd,pd->p", rows[pairs[:, 0]], rows[pairs[:, 1]])
    return cosines


def analogies(vectors: np.ndarray, questions: np.ndarray) -> np.ndarray:
    """The answers to "a is to b as c is to ?", for questions (Q, 3) of row numbers; int64 (Q).

    The answer is the row nearest, by cosine, to b - a + c of the unit vectors, *other than a, b and c*: without that, b or
    c is nearest almost always. Pass the most frequent rows only, for so are published figures made (30,000 words).
    """
    rows, found = unit(vectors), []
    for start in range(0, len(questions), _CHUNK):
        a, b, c = questions[start : start + _CHUNK].T
        cosines = (rows[b] - rows[a] + rows[c]) @ rows.T  # (Q, V), up to a positive factor
        for asked in (a, b, c):
            cosines[np.arange(len(asked)), asked] = -np.inf
        found.append(cosines.argmax(1))
    return np.concatenate(found) if found else np.zeros(0, np.int64)
