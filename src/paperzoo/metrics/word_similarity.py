"""Intrinsic evaluation of word vectors: correlation of cosines with human ratings, and analogies by vector differences."""

from __future__ import annotations

import numpy as np

#: analogies answered at once
_CHUNK = 512


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows (V, D) scaled to length 1; a zero row stays zero."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: np.ndarray = vectors / np.maximum(length, np.finfo(np.float32).tiny)
    return scaled


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
    rows, answers = unit(vectors), []
    for start in range(0, len(questions), _CHUNK):
        a, b, c = questions[start : start + _CHUNK].T
        cosines = (rows[b] - rows[a] + rows[c]) @ rows.T  # (Q, V), up to a positive factor
        for word in (a, b, c):
            cosines[np.arange(len(word)), word] = -np.inf
        answers.append(cosines.argmax(1))
    return np.concatenate(answers) if answers else np.zeros(0, np.int64)
