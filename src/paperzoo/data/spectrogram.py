"""Spectrograms: how much of each pitch a sound has at each time, as a picture of the sound."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

#: from the least to the greatest pitch of a picture that judges see, in Hz: what 4,000 samples a second hold, so that sounds of every
#: rate can be compared
LOW, HIGH = 60.0, 1900.0
#: and the seconds from the beginning that it shows
SECONDS = 0.512
#: decibels from white to black
RANGE = 60.0


def mel(hertz: float) -> float:
    """A frequency in mel: ``2595 log10(1 + f / 700)``, on which equal steps sound alike (O'Shaughnessy 1987)."""
    return 2595 * float(torch.log10(torch.tensor(1 + hertz / 700, dtype=torch.float64)))


@lru_cache(maxsize=16)
def bands(count: int, rate: int, size: int, top: float = HIGH) -> Tensor:
    """Triangular bands that are equally wide in mel and overlap by half, float32 (count, size // 2 + 1) for spectra of ``size`` samples.

    Each sums to 1, so that white noise is as loud in all.
    """
    points = torch.linspace(mel(LOW), mel(min(top, rate / 2)), count + 2, dtype=torch.float64)
    edges = 700 * (10 ** (points / 2595) - 1)  # (count + 2)
    frequency = torch.arange(size // 2 + 1, dtype=torch.float64) * rate / size
    low, middle, high = (edges[i : i + count, None] for i in range(3))
    weight = torch.minimum((frequency - low) / (middle - low), (high - frequency) / (high - middle)).clamp(min=0)
    empty = weight.sum(1) == 0  # a band narrower than a bin takes the nearest one
    nearest = (frequency - middle).abs().argmin(1)
    weight[empty, nearest[empty]] = 1.0
    return (weight / weight.sum(1, keepdim=True)).float()


def mel_power(audio: Tensor, rate: int, size: int = 32, seconds: float = SECONDS, high: float = HIGH) -> Tensor:
    """The power of sounds (N, C, T) in ``size`` bands at ``size`` times, float32 (N, size, size), low bands first; of all channels' mean.

    Windows of four times their distance (Hann), a time in the middle of each. What is shorter than ``seconds`` is followed by silence.
    """
    hop = max(1, round(seconds * rate / size))
    sound = audio.float().mean(1)[:, : hop * size]  # (N, T)
    sound = torch.nn.functional.pad(sound, (0, hop * size - sound.shape[1]))
    window = torch.hann_window(4 * hop, device=sound.device)
    parts = torch.stft(sound, 4 * hop, hop, window=window, pad_mode="constant", return_complex=True)[
        ..., :size
    ]  # (N, F, size)
    power = parts.abs().square() / window.square().sum()
    return bands(size, rate, 4 * hop, high).to(power.device) @ power  # (N, size, size)


def spectrograms(audio: Tensor, rate: int, size: int = 32, seconds: float = SECONDS, high: float = HIGH) -> Tensor:
    """Sounds (N, C, T) as pictures float32 (N, 1, size, size) in [0, 1], whole numbers of 255: the lowest pitch below, time to the right.

    White is the loudest place of the sound itself, black what is 60 decibels below it; a silent sound is black.
    """
    power = mel_power(audio, rate, size, seconds, high)
    loudest = power.amax((1, 2), keepdim=True).clamp(min=1e-10)
    decibels = 10 * torch.log10((power / loudest).clamp(min=10 ** (-RANGE / 10)))
    image = (1 + decibels / RANGE).flip(1)[:, None]  # (N, 1, size, size)
    return (image * 255).round() / 255
