"""Latent vectors: noise for samples, and ways from one to another."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor


def noise(items: int, latent: int, kind: Literal["normal", "uniform"], seed: int) -> Tensor:
    """Latent vectors, float32 (items, latent), a row a sample: the first rows do not depend on how many are drawn."""
    random = np.random.Generator(np.random.Philox(seed))
    if kind == "normal":
        return torch.from_numpy(random.standard_normal((items, latent), np.float32))
    return torch.from_numpy(random.random((items, latent), np.float32) * 2 - 1)


def between(first: Tensor, second: Tensor, steps: int, kind: Literal["normal", "uniform"]) -> Tensor:
    """Points from each of (N, D) to each of (N, D), both ends included; (N, steps, D).

    On the straight line, but for normal noise along a great circle, as the middle of the line is nearer to zero than any
    noise that the generator has seen.
    """
    share = torch.linspace(0, 1, steps).view(1, -1, 1)
    a, b = first[:, None], second[:, None]  # (N, 1, D)
    angle = torch.nn.functional.cosine_similarity(a, b, dim=2).clamp(-1, 1).acos()[..., None]  # (N, 1, 1)
    line, sine = (1 - share) * a + share * b, angle.sin()
    circle = (((1 - share) * angle).sin() * a + (share * angle).sin() * b) / sine.clamp(min=1e-6)
    return torch.where(sine > 1e-3, circle, line) if kind == "normal" else line
