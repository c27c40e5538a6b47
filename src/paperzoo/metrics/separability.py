"""Linear separability: whether attributes of pictures can be told by a hyperplane of the latent space (Karras et al. 2018, section 4.2)."""

from __future__ import annotations

import numpy as np


def separability(latent: np.ndarray, attributes: np.ndarray, sure: np.ndarray) -> float:
    """``exp(sum_i H(Y_i | X_i))``: X_i on which side of a linear SVM's plane a latent vector lies, Y_i the attribute. 1 is perfect.

    As in the paper the half of the pictures of which a classifier is surest is kept for each attribute. An attribute that all or none of
    these have says nothing, and adds nothing.

    Args:
        latent: (N, D).
        attributes: bool (N, A), as a classifier sees them in the pictures.
        sure: (N, A), how sure it is.
    """
    from sklearn.svm import LinearSVC

    total = 0.0
    for number in range(attributes.shape[1]):
        kept = np.argsort(-sure[:, number], kind="stable")[: len(latent) // 2]
        x, y = latent[kept], attributes[kept, number]
        if y.all() or not y.any():
            continue
        side = LinearSVC(dual=False, random_state=0).fit(x, y).predict(x)
        total += conditional_entropy(side, y)
    return float(np.exp(total))


def conditional_entropy(x: np.ndarray, y: np.ndarray) -> float:
    """H(Y | X) in nats of two arrays of truth values (N)."""
    entropy = 0.0
    for value in (False, True):
        some = y[x == value]
        for share in (some.mean(), 1 - some.mean()) if len(some) else ():
            entropy -= len(some) / len(y) * (share * np.log(share) if share > 0 else 0.0)
    return float(entropy)
