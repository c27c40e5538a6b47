"""Perceptual path length: how much a picture changes along a short way in the latent space (Karras et al. 2018, section 4.1)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

#: the length of the way, as a share of that between two latent vectors
STEP = 1e-2


def path_length(
    draw: Callable[[Tensor], Tensor],
    features: Callable[[Tensor], np.ndarray],
    first: Tensor,
    second: Tensor,
    spherical: bool,
    seed: int = 0,
) -> float:
    """``E d(G(a), G(b)) / eps^2``: squared distance of the unit features of two pictures, whose latent vectors lie at t and t + eps between
    two ends, t uniform in [0, 1]. Of the paper's 100,000 pairs the lowest and highest hundredth are left out.

    Args:
        draw: latent vectors (N, D) to pictures, each by itself.
        features: pictures to (N, F); the paper's are VGG-16's, weighed by LPIPS.
        first, second: (N, D), the ends.
        spherical: along a great circle, as is right of Z; else on the line, as of W.
    """
    share = torch.from_numpy(np.random.default_rng(seed).random((len(first), 1), np.float32))
    near, far = (way(first, second, share + step, spherical) for step in (0.0, STEP))
    apart = (unit(features(draw(near))) - unit(features(draw(far)))) / STEP
    squared = np.square(apart).sum(1)
    low, high = np.quantile(squared, (0.01, 0.99), method="nearest")
    return float(squared[(low <= squared) & (squared <= high)].mean())


def way(first: Tensor, second: Tensor, share: Tensor, spherical: bool) -> Tensor:
    """Points (N, D) at ``share`` (N, 1) from each first to each second: on the line, or along the great circle of the unit sphere."""
    if not spherical:
        return first + share * (second - first)
    a, b = (torch.nn.functional.normalize(end, dim=1) for end in (first, second))
    turn = torch.nn.functional.normalize(b - (a * b).sum(1, keepdim=True) * a, dim=1)
    angle = share * (a * b).sum(1, keepdim=True).clamp(-1, 1).acos()
    return torch.nn.functional.normalize(a * angle.cos() + turn * angle.sin(), dim=1)


def unit(features: np.ndarray) -> np.ndarray:
    """Rows (N, F) of length 1."""
    rows = np.asarray(features, np.float64)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)  # type: ignore[no-any-return]
