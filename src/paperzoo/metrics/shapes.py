"""Shapes as volumes of occupied voxels: how whole they are, how near to others, and how they cover a set."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def largest_component(volumes: Tensor) -> float:
    """The mean share of a shape's voxels that its largest connected part has, in [0, 1]; an empty shape counts 0.

    Args:
        volumes: (N, 1, D, H, W) of 0 and 1. Voxels that share a corner are connected.
    """
    from scipy.ndimage import label

    shares = []
    for volume in volumes[:, 0].numpy() > 0.5:
        parts, _ = label(volume, np.ones((3, 3, 3)))
        counts = np.bincount(parts.ravel())[1:]
        shares.append(counts.max() / counts.sum() if len(counts) else 0.0)
    return float(np.mean(shares))


def among(iou: Tensor) -> float:
    """The mean intersection over union of two different shapes of a set, from that of all pairs (N, N); lower is more diverse."""
    number = len(iou)
    return float((iou.sum() - iou.diagonal().sum()) / (number * (number - 1)))


def coverage(iou: Tensor) -> tuple[float, float]:
    """Coverage and minimum matching distance (Achlioptas et al. 2018, section 2) with 1 - intersection over union as the distance.

    As many samples as references are compared at a time, and the means over all such groups are returned, for both depend on how
    many samples there are.

    Args:
        iou: (N, M) of N samples and M references, N at least M.

    Returns:
        The share of references that are the nearest one of some sample; and the mean distance of a reference to its nearest sample.
        Samples that are the references themselves give 1 and 0; one that is repeated gives 1 / M.

    Raises:
        ValueError: fewer samples than references.
    """
    number, references = iou.shape
    if number < references:
        raise ValueError(f"{number} samples are fewer than {references} references")
    groups = torch.split(iou[: number // references * references], references)
    covered = [len(set(group.argmax(1).tolist())) / references for group in groups]
    return float(np.mean(covered)), float(np.mean([1 - group.max(0).values.mean().item() for group in groups]))
