"""Data made by formula, for exact checks."""

from __future__ import annotations

import numpy as np
import torch

from paperzoo.data.dataset import Dataset, Schema, Split, Values


def ring8(items: int = 50_000, spread: float = 0.02, seed: int = 0) -> Dataset:
    """Eight Gaussians with standard deviation ``spread`` on a circle of radius sqrt(2): ``point`` (N, 2), ``label`` (N).

    The toy set of the WGAN-GP paper's section 4 (radius 2, deviation 0.02, all divided by 1.414).
    """
    splits = {}
    for index, (name, count) in enumerate({"train": items, "test": items // 5}.items()):
        random = np.random.default_rng([seed, index])
        mode = random.integers(0, 8, count)
        angle = 2 * np.pi * mode / 8
        centre = np.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)], 1)  # (N, 2)
        point = (centre + spread / np.sqrt(2) * random.standard_normal((count, 2))).astype(np.float32)
        splits[name] = Split(Values("point", torch.from_numpy(point)), Values("label", torch.from_numpy(mode)))
    schema = Schema("ring8", ("point", "label"), {"dimensions": 2}, tuple(str(i) for i in range(8)))
    return Dataset(schema, splits, licence="none needed", source="formula")
