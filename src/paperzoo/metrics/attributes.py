"""Attributes of images: directions in a code along which one attribute changes, and what a judge sees change."""

from __future__ import annotations

import numpy as np


def attribute_vectors(codes: np.ndarray, attributes: np.ndarray) -> np.ndarray:
    """For each attribute the mean code with it less the mean code without it (Larsen et al. 2016, section 4.2); (K, D).

    Args:
        codes: (N, D).
        attributes: (N, K) in {0, 1}.

    Returns:
        Rows of not-a-number for attributes that all or none of the N have.
    """
    has = np.asarray(attributes, np.float64)  # (N, K)
    codes = np.asarray(codes, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (has.T @ codes) / has.sum(0)[:, None] - ((1 - has).T @ codes) / (1 - has).sum(0)[:, None]  # type: ignore[no-any-return]


def readable(label: np.ndarray, attributes: np.ndarray, classes: int) -> np.ndarray:
    """The attributes that a class determines: float (classes, K), 0 or 1 where all items of the class agree.

    Not-a-number where they do not, or where the class has no items: from the class alone such an attribute cannot be read.

    Args:
        label: whole numbers in [0, classes), (N).
        attributes: (N, K) in {0, 1}.
    """
    one_hot = np.eye(classes)[label]  # (N, classes)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (one_hot.T @ attributes) / one_hot.sum(0)[:, None]  # (classes, K)
    return np.where((mean == 0) | (mean == 1), mean, np.nan)


def exclusive(attributes: np.ndarray) -> np.ndarray:
    """Groups of attributes of which an item has exactly one, such as colours of the hair: a group's number each, int64 (K).

    Attributes are of one group if no item has two of them and each item one; all others form a group each.

    Args:
        attributes: (N, K) in {0, 1}.
    """
    has = np.asarray(attributes, np.int64)
    together = has.T @ has  # (K, K), how many have both
    group = np.arange(has.shape[1])
    for first in range(has.shape[1]):
        members = [first]
        for other in range(first + 1, has.shape[1]):
            if group[other] == other and has[:, other].any() and not together[other, members].any():
                members.append(other)
        if group[first] == first and len(members) > 1 and (has[:, members].sum(1) == 1).all():
            group[members] = first
    return group


def changed(truth: np.ndarray, seen: np.ndarray, attribute: int, group: np.ndarray) -> tuple[float, float]:
    """Of edits that flip one attribute: percent of images where it is flipped, and percent of other traits that changed, too.

    A trait is a group of ``exclusive``; the flipped attribute's own group is not among the others. Attributes that cannot be
    read, with not-a-number in ``seen``, are left out.

    Args:
        truth: the attributes before, (N, K) in {0, 1}.
        seen: those read off the changed images, (N, K).
        attribute: the flipped one; it must be readable.
        group: the group of each attribute, (K).

    Returns:
        Both in [0, 100]; the second is not-a-number if there are no other traits.
    """
    flipped = seen[:, attribute] == 1 - truth[:, attribute]
    legible = ~np.isnan(seen).any(0)  # (K)
    others = [np.flatnonzero(legible & (group == g)) for g in np.unique(group) if g != group[attribute]]
    wrong = [(seen[:, columns] != truth[:, columns]).any(1) for columns in others if len(columns)]
    return 100 * float(flipped.mean()), 100 * float(np.mean(wrong)) if wrong else float("nan")
