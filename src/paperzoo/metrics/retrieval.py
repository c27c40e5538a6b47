"""Retrieval: is a query's true twin among the nearest of a gallery?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def retrieval(queries: np.ndarray, gallery: np.ndarray, most: Sequence[int] = (1, 5)) -> dict[int, float]:
    """Percent of queries whose twin, the item of the same number, is among the k nearest of the gallery; for each k of ``most``.

    Near is what has a large cosine. A twin that ties with others is counted behind them, so that features which say nothing find
    nothing. Chance is ``100 k / N``.

    Args:
        queries, gallery: features (N, D); one without length is as near to all.

    Raises:
        ValueError: other shapes than each other's, or not two dimensions.
    """
    if queries.shape != gallery.shape or queries.ndim != 2:
        raise ValueError(f"two equal shapes (N, D) wanted, not {queries.shape} and {gallery.shape}")
    near = _unit(queries) @ _unit(gallery).T  # (N, N)
    before = (near >= np.diagonal(near)[:, None] - 1e-12).sum(1) - 1  # itself not counted
    return {k: 100 * float((before < k).mean()) for k in most}


def _unit(features: np.ndarray) -> np.ndarray:
    array = np.asarray(features, np.float64)
    unit: np.ndarray = array / np.maximum(np.linalg.norm(array, axis=1, keepdims=True), 1e-300)
    return unit
