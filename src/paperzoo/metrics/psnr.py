"""Peak signal-to-noise ratio: how near an image is to another, pixel by pixel."""

from __future__ import annotations

import torch
from torch import Tensor


def psnr(first: Tensor, second: Tensor) -> Tensor:
    """``10 log10(1 / MSE)`` in dB of image i of ``first`` and image i of ``second``, float64 (N); infinite for equal images.

    The squared error is averaged over channels and pixels of one image. It rewards blur: of two translations the mean of both
    scores higher than either.

    Args:
        first, second: (N, C, H, W) in [0, 1].

    Raises:
        ValueError: other shapes than each other's, or not four dimensions.
    """
    if first.shape != second.shape or first.ndim != 4:
        raise ValueError(f"two equal shapes (N, C, H, W) wanted, not {tuple(first.shape)} and {tuple(second.shape)}")
    return -10 * torch.log10((first.double() - second.double()).square().flatten(1).mean(1))
