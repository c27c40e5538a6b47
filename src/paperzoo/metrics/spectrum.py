"""At which frequencies the power of an image lies: the radial power spectrum, and how much of it is finer than a given frequency.

Frequencies are in cycles a pixel, up to 1/2 along each side. An image that was shrunk by s has lost what is above 1 / (2 s), so what a
restored one has there was put in by the method: detail, or noise, which the spectrum does not tell apart. Images are not periodic, and
the jump from one border to the other would fill the high frequencies: the mean is taken off, and a Hann window fades the borders out.
"""

from __future__ import annotations

import torch
from torch import Tensor


def power_spectrum(images: Tensor) -> tuple[Tensor, Tensor]:
    """Of images (N, 1, H, W) the frequency of each component, float64 (H, W), and its power, float64 (N, H, W).

    White noise has its variance at every frequency, but for the lowest, whatever the size.

    Raises:
        ValueError: images of more channels than one.
    """
    if images.ndim != 4 or images.shape[1] != 1:
        raise ValueError(f"images of one channel wanted, not {tuple(images.shape)}")
    sides = images.shape[-2:]
    down, across = (torch.hann_window(side + 2, periodic=False, dtype=torch.float64, device=images.device)[1:-1] for side in sides)
    window, exact = torch.outer(down, across), images[:, 0].double()  # (H, W), (N, H, W)
    mean = (exact * window).sum((1, 2), keepdim=True) / window.sum()
    power = torch.fft.fft2((exact - mean) * window).abs().square() / window.square().sum()
    rows, columns = (torch.fft.fftfreq(side, dtype=torch.float64, device=images.device) for side in sides)
    return torch.hypot(rows[:, None], columns[None]), power


def radial_power(images: Tensor, bins: int = 48) -> tuple[Tensor, Tensor]:
    """The mean power on rings of equal width around frequency 0: the rings' frequencies (B), and power float64 (N, B).

    Args:
        images: (N, 1, H, W).
        bins: rings up to a frequency of 1/2. A ring in which an image of this size has no component is not-a-number.
    """
    frequency, power = power_spectrum(images)
    ring = (frequency.flatten() * 2 * bins).long()  # (H W); those of the corners lie beyond the last ring
    inside = ring < bins
    count = torch.bincount(ring[inside], minlength=bins)
    summed = power.new_zeros(len(images), bins).index_add_(1, ring[inside], power.flatten(1)[:, inside])
    return (torch.arange(bins, device=images.device) + 0.5) / (2 * bins), summed / count


def power_above(images: Tensor, frequency: float) -> Tensor:
    """The variance of images (N, 1, H, W) in components above a frequency, in cycles a pixel; float64 (N)."""
    frequencies, power = power_spectrum(images)
    return power[:, frequencies > frequency].sum(1) / frequencies.numel()
