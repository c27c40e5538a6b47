"""Where the spectrum of a sound has its peak."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def peak_share(audio: Tensor, rate: int, frequencies: Sequence[float], tolerance: float = 1.0) -> tuple[float, np.ndarray]:
    """The share of sounds (N, C, T) of which the strongest bin of the spectrum lies within ``tolerance`` bins of a frequency, and how many
    of the sounds lie nearest to each of them, int64 (K), the others left out.

    The spectrum is that of the whole sound (a bin is rate / T) and of all channels, without its mean.
    """
    power = torch.fft.rfft(audio.double(), dim=2).abs().square().sum(1)  # (N, T / 2 + 1)
    power[:, 0] = 0
    peak = power.argmax(1).numpy().astype(float)  # (N)
    away = np.abs(peak[:, None] - np.asarray(frequencies)[None] * audio.shape[2] / rate)  # (N, K)
    silent = (power.amax(1) <= 0).numpy()
    hit = (away.min(1) <= tolerance) & ~silent
    return float(hit.mean()), np.bincount(away.argmin(1)[hit], minlength=len(frequencies))
