"""Nearest neighbours in a training set: has a generator learnt, or learnt by heart?"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from paperzoo.metrics.density_coverage import squared_distances


def nearest(queries: Tensor, references: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """The Euclidean distance of each query to its nearest reference, float32 (N), and that one's number, int64 (N).

    Args:
        queries: (N, D).
        references: (M, D) each, in parts; numbers go on from part to part. The first of equally near ones is named.

    Raises:
        ValueError: no references.
    """
    best, which, passed = torch.full((len(queries),), torch.inf), torch.zeros(len(queries), dtype=torch.int64), 0
    for part in references:
        index = squared_distances(queries, part).argmin(1)  # (N)
        distance = (queries - part[index]).norm(dim=1)  # anew, as the product of matrices is not exact for near copies
        nearer = distance < best
        best, which = torch.where(nearer, distance, best), torch.where(nearer, index + passed, which)
        passed += len(part)
    if not passed:
        raise ValueError("there is nothing to be near to")
    return best, which


def share_below(distances: Tensor, real: Tensor, percentile: float = 1) -> float:
    """Percent of ``distances`` (N) that are below the given percentile of ``real`` (M).

    With distances to a training set, of samples and of real images that were held back, real images would give
    ``percentile`` itself. Copies of training images have distance 0 and give 100; but so do samples that are simpler than
    real images are (blurred, say), as they are near to everything: a high figure is a reason to look at the neighbours.
    """
    return 100 * float((distances < float(np.percentile(real.numpy(), percentile))).float().mean())
