"""Whether sounds have their power at the same frequencies: how far two mean spectra are apart."""

from __future__ import annotations

import numpy as np


def spectral_envelope_distance(one: np.ndarray, other: np.ndarray) -> float:
    """The root mean square difference in decibels of the mean power of two sets of sounds, over bands and, where given, times.

    Each mean is brought to the same total first, so that what is compared is the shape, not the loudness. What is 60 dB below the greater
    mean's peak counts as if it was there.

    Args:
        one, other: power (N, ...) and (M, ...), as many bands and times in both.

    Raises:
        ValueError: other bands, or nothing to compare.
    """
    if one.shape[1:] != other.shape[1:] or not len(one) or not len(other):
        raise ValueError(f"power in the same bands wanted, not {one.shape} and {other.shape}")
    means = [np.asarray(power, np.float64).mean(0) for power in (one, other)]
    means = [mean / max(mean.sum(), 1e-30) for mean in means]
    floor = max(mean.max() for mean in means) * 1e-6
    a, b = (10 * np.log10(np.maximum(mean, max(floor, 1e-30))) for mean in means)
    return float(np.sqrt(np.mean((a - b) ** 2)))
