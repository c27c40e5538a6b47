"""Geodesic point similarity, and average precision over it (Guler, Neverova and Kokkinos 2018, section 2.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

#: metres: a point that lies as far away as this on the surface counts exp(-1/2)
KAPPA = 0.255
#: similarities from which on a person is right: 0.5, 0.55, ..., 0.95
SIMILAR = np.linspace(0.5, 0.95, 10)
#: recalls at which precision is read
RECALLS = np.linspace(0, 1, 101)


def gps(distances: np.ndarray, kappa: float = KAPPA) -> float:
    """GPS of one person: the mean of exp(-g^2 / 2 kappa^2) over geodesic distances g (P) in metres, infinite where nothing is found.

    NaN if there are no points. At g = 0.30 m everywhere it is 0.5006.
    """
    with np.errstate(over="ignore"):
        return float(np.exp(-(distances.astype(np.float64) ** 2) / (2 * kappa**2)).mean()) if len(distances) else float("nan")


def gpsm(similarity: np.ndarray, overlap: np.ndarray) -> np.ndarray:
    """GPSm (...): the geometric mean of GPS and of the IoU of the two masks, which punishes what is found beside the person, too."""
    mean: np.ndarray = np.sqrt(similarity * overlap)
    return mean


class Scored(NamedTuple):
    """The detections in an image of G people: scores (D), and geodesic point similarity to each person, float64 (D, G)."""

    scores: np.ndarray
    similar: np.ndarray


def average_precision(images: Sequence[Scored], thresholds: np.ndarray = SIMILAR) -> np.ndarray:
    """AP at each threshold, float64 (T): precision at 101 recalls, the best score first; NaN if nobody is there.

    Each takes the person that it is most similar to of those that are free, if it is similar enough.
    """
    total = sum(image.similar.shape[1] for image in images)
    scores = np.concatenate([image.scores for image in images]) if images else np.zeros(0)
    order, precisions = np.argsort(-scores, kind="mergesort"), np.full(len(thresholds), np.nan)
    if not total:
        return precisions
    for number, least in enumerate(thresholds):
        right = np.concatenate([_right(image, least) for image in images])[order]
        hits = right.cumsum()
        precision = np.maximum.accumulate((hits / np.arange(1, len(hits) + 1))[::-1])[::-1]
        places = np.searchsorted(hits / total, RECALLS, side="left")
        precisions[number] = np.append(precision, 0.0)[places].mean()
    return precisions


def _right(image: Scored, least: float) -> np.ndarray:
    """A mask of true positives, bool (D), in the order of the detections."""
    right, free = np.zeros(len(image.scores), bool), np.ones(image.similar.shape[1], bool)
    for place in np.argsort(-image.scores, kind="mergesort"):
        similarities = np.where(free, image.similar[place], -1.0)
        if len(similarities) and similarities.max() >= least:
            right[place], free[int(similarities.argmax())] = True, False
    return right
