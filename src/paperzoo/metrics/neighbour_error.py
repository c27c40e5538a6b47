"""Nearest-neighbour error: does a code, or a map, keep items of one class together?"""

from __future__ import annotations

import torch
from torch import Tensor

from paperzoo.metrics.density_coverage import squared_distances


def neighbour_error(code: Tensor, label: Tensor) -> float:
    """Percent of items whose nearest other item, by codes (N, D), is of another class; labels int64 (N).

    Leave-one-out, Euclidean, the first of equally near ones. With codes that say nothing it is what guessing by class
    frequency gives: 90 for ten equal classes.

    Raises:
        ValueError: fewer than two items, or not a label each.
    """
    if code.ndim != 2 or len(code) < 2 or label.shape != (len(code),):
        raise ValueError(f"need codes (N, D) and labels (N) with N above 1, got {tuple(code.shape)} and {tuple(label.shape)}")
    centred = code.double() - code.double().mean(0)  # near zero the squares that the distances are made of lose least
    distance = squared_distances(centred, centred).fill_diagonal_(torch.inf)  # (N, N)
    return 100 * float((label[distance.argmin(1)] != label).double().mean())
