"""Sharpness: how much of an image lies in its finest detail, held against real images."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def laplacian_variance(images: Tensor) -> Tensor:
    """Variance over an image of its discrete Laplacian, (N), for images (N, C, H, W) in [0, 1]; H and W at least 3.

    The Laplacian is ``4 v - (left + right + above + below)``, without a border, of grey values: BT.601 for three channels,
    else the mean of the channels. Blur makes the variance fall; noise makes it rise, as it knows no edge from a speckle.

    Raises:
        ValueError: images too small.
    """
    if images.ndim != 4 or min(images.shape[2:]) < 3:
        raise ValueError(f"need images (N, C, H, W) of at least 3x3, got {tuple(images.shape)}")
    channels = images.shape[1]
    share = torch.tensor([0.299, 0.587, 0.114] if channels == 3 else [1 / channels] * channels, device=images.device)
    grey = torch.einsum("nchw,c->nhw", images.float(), share)[:, None]  # (N, 1, H, W)
    stencil = torch.tensor([[0.0, -1, 0], [-1, 4, -1], [0, -1, 0]], device=images.device)
    return F.conv2d(grey, stencil[None, None]).flatten(1).var(1, unbiased=False)


def relative_sharpness(images: Tensor, real: Tensor) -> float:
    """The mean ``laplacian_variance`` of images over that of real ones, (N, C, H, W) and (M, C, H, W).

    1 if they are as sharp as the real ones, below 1 if they are blurred, above 1 if they are speckled; not-a-number if the
    real ones are without any detail.
    """
    return float(laplacian_variance(images).mean() / laplacian_variance(real).mean().clamp(min=1e-12)) if real.var() > 0 else float("nan")
