"""Error of a filled hole against the original, and two baselines: the mean colour, and a biharmonic surface."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class InHole(NamedTuple):
    """Errors of each image in its hole, float64 (N): PSNR in dB, at most ``MOST``; L1 and L2 in percent of the range and its square."""

    psnr: Tensor
    l1: Tensor
    l2: Tensor


#: the greatest PSNR that an image counts with: a hole that is filled without error has an infinite one
MOST = 60.0


def in_hole(filled: Tensor, original: Tensor, hole: Tensor) -> InHole:
    """Errors over the pixels of the hole alone: what lies around it is copied, and would make any figure look good.

    Args:
        filled, original: (N, C, H, W) in [0, 1].
        hole: (N, 1, H, W), 1 where pixels are missing.

    Raises:
        ValueError: shapes that do not belong together, or an image without a hole.
    """
    if filled.shape != original.shape or hole.shape != (len(filled), 1, *filled.shape[2:]):
        raise ValueError(f"images {tuple(filled.shape)}, {tuple(original.shape)} and holes {tuple(hole.shape)} do not belong together")
    count = hole.double().sum((1, 2, 3)) * filled.shape[1]
    if not count.all():
        raise ValueError("an image without a hole has no error in it")
    apart = (filled.double() - original.double()) * hole
    l1, l2 = apart.abs().sum((1, 2, 3)) / count, apart.square().sum((1, 2, 3)) / count
    return InHole((-10 * torch.log10(l2)).clamp(max=MOST), 100 * l1, 100 * l2)


def surround_fill(image: Tensor, hole: Tensor) -> Tensor:
    """Each image's hole filled with the mean colour of the image's other pixels; (N, C, H, W)."""
    known = 1 - hole
    mean = (image * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True)
    return torch.where(hole > 0, mean, image)


def biharmonic(image: Tensor, hole: Tensor) -> Tensor:
    """Each image's hole filled by the surface that solves the biharmonic equation, as scikit-image's ``inpaint_biharmonic`` does.

    In the hole the Laplacian of the Laplacian is zero in every channel; around it the pixels are what they are. The Laplacian is the
    five-point one, and beyond the image's edge its pixels are repeated, so that both are sums of a product: with L = D'D of the
    differences D between neighbours, the pixels u of the hole solve (L L u) = 0 there. Like there, the answer is cut to the range of the
    known pixels, channel by channel.

    Args:
        image: (N, C, H, W), of at least 2x2 pixels, some of which must be known.
        hole: (N, 1, H, W), 1 where pixels are missing.

    Returns:
        (N, C, H, W), of the images' type.
    """
    from scipy.sparse import diags, identity, kron
    from scipy.sparse.linalg import splu

    height, width = image.shape[2:]
    lines = [diags([1 + (np.arange(n) % (n - 1) > 0), -np.ones(n - 1), -np.ones(n - 1)], [0, 1, -1]) for n in (height, width)]
    laplacian = kron(lines[0], identity(width)) + kron(identity(height), lines[1])
    operator = (laplacian @ laplacian).tocsr()
    out, masks = image.double().flatten(2).clone(), hole.flatten(1) > 0  # (N, C, H W), (N, H W)
    kinds, of = torch.unique(masks, dim=0, return_inverse=True)
    for kind, mask in enumerate(kinds):
        items, inside = (of == kind).nonzero()[:, 0], mask.nonzero()[:, 0].numpy()
        known = out[items][..., ~mask]  # (n, C, K)
        rows = operator[inside]
        right = -rows[:, (~mask).numpy()] @ known.flatten(0, 1).T.numpy()  # (missing, n C)
        solution = torch.from_numpy(splu(rows[:, inside].tocsc()).solve(right)).T.reshape(len(items), -1, len(inside))  # (n, C, missing)
        low, high = known.amin(2, keepdim=True), known.amax(2, keepdim=True)
        part = out[items]
        part[..., mask] = solution.clamp(low, high)
        out[items] = part
    return out.view(image.shape).to(image.dtype)
