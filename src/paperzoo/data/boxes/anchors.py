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


def kmeans(shapes: np.ndarray, number: int, seed: int = 0, starts: int = 5, rounds: int = 300) -> np.ndarray:
    """``number`` anchors (K, 2), from the smallest area to the largest, of the shapes (N, 2) of boxes.

    Each start begins with shapes drawn so that each is likely to be far from those before it. As the distance is not Euclidean a mean
    can be worse than what it replaces: the best anchors of all rounds of all starts are kept.

    Raises:
        ValueError: no shapes, or one without extent.
    """
    shapes = np.asarray(shapes, np.float64)
    if not len(shapes) or not (shapes > 0).all():
        raise ValueError("anchors are made of boxes with a width and a height")
    rng = np.random.default_rng(seed)
    best, value = shapes[:0], -1.0
    for _ in range(starts):
        anchors, nearest = shapes[_spread(shapes, number, rng)], np.full(len(shapes), -1)
        for _ in range(rounds):
            overlap = shape_iou(shapes, anchors)
            if (mean := float(overlap.max(1).mean())) > value:
                best, value = anchors, mean
            now = overlap.argmax(1)
            if (now == nearest).all():
                break
            nearest = now
            anchors = np.stack([shapes[now == k].mean(0) if (now == k).any() else anchors[k] for k in range(number)])
    ordered: np.ndarray = best[best.prod(1).argsort(kind="stable")]
    return ordered


def _spread(shapes: np.ndarray, number: int, rng: np.random.Generator) -> list[int]:
    chosen = [int(rng.integers(len(shapes)))]
    while len(chosen) < number:
        far = (1 - shape_iou(shapes, shapes[chosen]).max(1)).clip(min=0) ** 2
        chosen.append(int(rng.choice(len(shapes), p=far / far.sum() if far.sum() > 0 else None)))
    return chosen


#: how many anchors a data set offers, for networks of one scale and of three
NUMBERS = (5, 9)


def anchors_of(shapes: np.ndarray) -> dict[str, tuple[tuple[float, float], ...]]:
    """``anchors5`` and ``anchors9``, which a detector's constructor is filled with, of widths and heights (N, 2) in pixels of the images;
    empty if none has an extent."""
    shapes = np.asarray(shapes, np.float64)
    shapes = shapes[(shapes >= 1).all(1)]
    if not len(shapes):
        return {}
    by_number = {f"anchors{number}": kmeans(shapes, number).round(2).tolist() for number in NUMBERS}
    return {name: tuple((wide, tall) for wide, tall in anchors) for name, anchors in by_number.items()}
