"""Widths and heights that stand for the boxes of a data set: k-means by 1 - IoU (Redmon and Farhadi 2016, section 2)."""

from __future__ import annotations

import numpy as np


def shape_iou(shapes: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """IoU (N, K) of boxes with one common corner.

    Args:
        shapes: widths and heights (N, 2), positive; anchors: (K, 2).
    """
    both = np.minimum(shapes[:, None], anchors).prod(2)
    shares: np.ndarray = both / (shapes.prod(1)[:, None] + anchors.prod(1) - both)
    return shares


def mean_iou(shapes: np.ndarray, anchors: np.ndarray) -> float:
    """The mean over shapes (N, 2) of the IoU with the nearest anchor (K, 2)."""
    return float(shape_iou(shapes, anchors).max(1).mean())


def kmeans(shapes: np.ndarray, number: int, seed: int = 0, rounds: int = 300) -> np.ndarray:
    """``number`` anchors (K, 2), from the smallest area to the largest, of the shapes (N, 2) of boxes.

    It begins with shapes drawn so that each is likely to be far from those before it. As the distance is not Euclidean a mean can be
    worse than what it replaces: the best anchors of all rounds are kept.

    Raises:
        ValueError: no shapes, or one without extent.
    """
    shapes = np.asarray(shapes, np.float64)
    if not len(shapes) or not (shapes > 0).all():
        raise ValueError("anchors are made of boxes with a width and a height")
    rng = np.random.default_rng(seed)
    chosen = [int(rng.integers(len(shapes)))]
    while len(chosen) < number:
        far = (1 - shape_iou(shapes, shapes[chosen]).max(1)).clip(min=0) ** 2
        even = np.full(len(shapes), 1 / len(shapes))
        chosen.append(int(rng.choice(len(shapes), p=far / far.sum() if far.sum() > 0 else even)))
    anchors, best, value, nearest = shapes[chosen], shapes[chosen], -1.0, None
    for _ in range(rounds):
        overlap = shape_iou(shapes, anchors)
        now = overlap.argmax(1)
        if (mean := float(overlap.max(1).mean())) > value:
            best, value = anchors, mean
        if nearest is not None and (now == nearest).all():
            break
        nearest = now
        anchors = np.stack([shapes[now == k].mean(0) if (now == k).any() else anchors[k] for k in range(number)])
    ordered: np.ndarray = best[best.prod(1).argsort(kind="stable")]
    return ordered
