"""Mode coverage and sample quality on mixtures of Gaussians, always together: quality alone calls collapse perfect."""

from __future__ import annotations

import numpy as np


def modes(samples: np.ndarray, centres: np.ndarray, deviation: float, share: float = 0.01) -> tuple[int, float]:
    """Modes covered, and the share of high-quality samples.

    Args:
        samples: (N, D).
        centres: (K, D).
        deviation: of each Gaussian; a sample is of high quality within 3 deviations of its nearest centre.
        share: a mode counts as covered if more than this share of all samples are of high quality and nearest to it.

    Returns:
        Covered modes in [0, K] and the share in [0, 1]; real samples in two dimensions give K and about 0.989.
    """
    distance = np.linalg.norm(samples[:, None] - centres[None], axis=-1)  # (N, K)
    nearest, good = distance.argmin(1), distance.min(1) <= 3 * deviation
    counts = np.bincount(nearest[good], minlength=len(centres))
    return int((counts > share * len(samples)).sum()), float(good.mean())
