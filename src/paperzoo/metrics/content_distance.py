"""Average content distance: how much of what a clip shows stays the same in all its frames (Tulyakov et al. 2017, section 4).

Each frame is a vector: the mean colour of a picture of shapes, a network's features of a face. A clip's distance is the mean
Euclidean distance over all *pairs* of its frames, not of frames that follow each other: what drifts slowly drifts all the same. A clip
whose frames are all equal has 0, so the figure means nothing without one of motion beside it (``metrics/frame_change.py``).
"""

from __future__ import annotations

import numpy as np


def content_distance(frames: np.ndarray) -> float:
    """The mean over clips of the mean distance over the T (T - 1) / 2 pairs of frames.

    Args:
        frames: vectors (N, T, D), T at least 2.

    Returns:
        At least 0, in the vectors' unit; lower is steadier.

    Raises:
        ValueError: another shape, or fewer than two frames.
    """
    if frames.ndim != 3 or frames.shape[1] < 2:
        raise ValueError(f"vectors (N, T, D) of at least two frames wanted, not {frames.shape}")
    exact = frames.astype(np.float64)
    first, second = np.triu_indices(frames.shape[1], 1)
    pairs = [np.linalg.norm(clip[first] - clip[second], axis=1).mean() for clip in exact]
    return float(np.mean(pairs))


def shuffled(frames: np.ndarray) -> np.ndarray:
    """The same frames (N, T, D) dealt out anew, with a fixed seed: frame t of a clip stays a frame t, mostly of another clip.

    Its content distance is that of a generator that keeps nothing of a clip's content.
    """
    random = np.random.default_rng(0)
    order = np.stack([random.permutation(len(frames)) for _ in range(frames.shape[1])], 1)  # (N, T)
    dealt: np.ndarray = frames[order, np.arange(frames.shape[1])]
    return dealt
