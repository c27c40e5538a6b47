"""Motion in a clip: differences of successive frames, and displacement of the foreground."""

from __future__ import annotations

import torch
from torch import Tensor


def frame_change(clips: Tensor) -> float:
    """The mean absolute difference of successive frames in percent of the range; 0 for clips that are frozen.

    Args:
        clips: (N, C, T, H, W) in [0, 1], T at least 2.

    Raises:
        ValueError: a single frame.
    """
    if clips.shape[2] < 2:
        raise ValueError("a single frame does not move")
    return 100 * float((clips[:, :, 1:] - clips[:, :, :-1]).abs().mean())


def centres(clips: Tensor, least: float = 0.1) -> Tensor:
    """Where what stands out is in each frame, by first moments: across and down, in shares of the picture's sides, (N, T, 2).

    A pixel counts by how far its colour is from the clip's ground, the median colour of all its pixels, beyond ``least``: exact for
    one thing on a plain ground that covers less than half of the picture. The middle, for frames in which nothing stands out.

    Args:
        clips: (N, C, T, H, W) in [0, 1].
    """
    ground = clips.flatten(2).median(2).values[:, :, None, None, None]  # (N, C, 1, 1, 1)
    mass = ((clips - ground).abs().amax(1) - least).clamp(min=0)  # (N, T, H, W)
    total = mass.sum((2, 3))
    down, across = ((torch.arange(side, device=clips.device) + 0.5) / side for side in clips.shape[-2:])
    places = torch.stack([mass.sum(2) @ across, mass.sum(3) @ down], 2)  # (N, T, 2)
    middle = torch.full_like(places, 0.5)
    return torch.where(total[..., None] > 1e-6, places / total[..., None].clamp(min=1e-6), middle)


def ways(clips: Tensor) -> Tensor:
    """Displacement of the foreground from the first frame to the last, right and down, in shares of the sides: (N, 2)."""
    path = centres(clips)
    return path[:, -1] - path[:, 0]
