"""A digit that somebody has drawn, made into what MNIST's are: 20x20 pixels at most, its centre of mass in the middle of 28x28.

The gallery has the same in JavaScript (``report/site/centred.js``), and a test holds both together.
"""

from __future__ import annotations

import numpy as np

#: sides of the box that a digit fills, and of the image
BOX, SIDE = 20, 28
#: how much ink a pixel has that belongs to the digit
LEAST = 0.1


def shares(before: int, after: int) -> np.ndarray:
    """How much each of ``before`` pixels of a line counts in each of ``after``: float64 (after, before), by the area that they share."""
    edges = np.arange(after + 1) * before / after
    low, high = edges[:-1, None], edges[1:, None]
    place = np.arange(before)[None]
    weights: np.ndarray = np.clip(np.minimum(high, place + 1) - np.maximum(low, place), 0, None) * after / before
    return weights


def centred(ink: np.ndarray) -> np.ndarray:
    """A drawing, ink on an empty ground, as MNIST's digits were prepared (LeCun et al. 1998, section III-A).

    Args:
        ink: (H, W) in [0, 1].

    Returns:
        float64 (28, 28) in [0, 1]; zeros where nothing is drawn.
    """
    image = np.zeros((SIDE, SIDE))
    rows, columns = (np.flatnonzero((ink > LEAST).any(axis)) for axis in (1, 0))
    if not len(rows):
        return image
    digit = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float64)
    longer = max(digit.shape)
    tall, wide = (max(1, int(np.floor(side * BOX / longer + 0.5))) for side in digit.shape)
    small = shares(digit.shape[0], tall) @ digit @ shares(digit.shape[1], wide).T  # (tall, wide)
    top, left = (
        int(np.clip(np.floor(SIDE / 2 - (small.sum(1 - axis) @ (np.arange(side) + 0.5)) / small.sum() + 0.5), 0, SIDE - side))
        for axis, side in enumerate((tall, wide))
    )
    image[top : top + tall, left : left + wide] = small
    return image
