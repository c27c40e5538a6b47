"""Translations without a network, which every network's are printed beside.

Each is fitted to images (N, 3, H, W) in [0, 1] of both domains and translates such images; see also the unchanged source.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

# Reinhard et al. 2001, Eqs. 4 and 6
_LMS = np.array([[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]])
_LAB = np.diag(1 / np.sqrt([3, 6, 2])) @ np.array([[1, 1, 1], [1, 1, -2], [1, -1, 0]])


@dataclass(frozen=True)
class ColourTransfer:
    """Reinhard, Ashikhmin, Gooch and Shirley 2001: mean and deviation of one domain's colours become those of the other's.

    In the space l-alpha-beta of the paper (logarithms of LMS, Eqs. 4 to 8), not in CIELAB, with the statistics of all images of a domain
    together: those of a single picture would lose which subject it is. Needs no pairs. Colours are taken as linear, as the paper
    takes them, and at least 1/255, for the logarithm of black is infinite.
    """

    source: tuple[np.ndarray, np.ndarray]  # mean and deviation (3)
    target: tuple[np.ndarray, np.ndarray]

    def __call__(self, images: Tensor) -> Tensor:
        """Eqs. 10 and 11; (N, 3, H, W) in [0, 1]."""
        (mean, deviation), (other, spread) = self.source, self.target
        moved = (lab(images) - mean) * (spread / np.maximum(deviation, 1e-9)) + other
        return rgb(moved, images)


def colour_transfer(a: Tensor, b: Tensor) -> ColourTransfer:
    """From domain A to B, (N, 3, H, W) and (M, 3, H, W)."""
    pixels_a, pixels_b = (lab(images).reshape(-1, 3) for images in (a, b))  # (N * H * W, 3)
    return ColourTransfer((pixels_a.mean(0), pixels_a.std(0)), (pixels_b.mean(0), pixels_b.std(0)))


def lab(images: Tensor) -> np.ndarray:
    """Images (N, 3, H, W) as l, alpha and beta, float64 (N, H, W, 3)."""
    pixels = images.double().clamp(min=1 / 255).permute(0, 2, 3, 1).numpy()
    out: np.ndarray = np.log10(pixels @ _LMS.T) @ _LAB.T
    return out


def rgb(values: np.ndarray, like: Tensor) -> Tensor:
    """The inverse of ``lab``, cut to [0, 1]; (N, 3, H, W)."""
    pixels = 10 ** (values @ np.linalg.inv(_LAB).T) @ np.linalg.inv(_LMS).T
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).to(like.dtype).clamp(0, 1)


@dataclass(frozen=True)
class Patches:
    """Each pixel's colour as a linear function of the square of pixels round it; ``weight`` (3, 3, K, K) and ``bias`` (3)."""

    weight: Tensor
    bias: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        """(N, 3, H, W), cut to [0, 1]."""
        pad = self.weight.shape[-1] // 2
        return F.conv2d(_padded(images.float(), pad), self.weight, self.bias).clamp(0, 1)


def affine_colours(a: Tensor, b: Tensor) -> Patches:
    """The affine map of colours with the least squared error over all pixels of pairs, (N, 3, H, W) each."""
    return patch_regression(a, b, side=1, ridge=0.0)


def patch_regression(a: Tensor, b: Tensor, side: int = 5, ridge: float = 1.0) -> Patches:
    """Ridge regression of every pixel of B on the square of ``side`` pixels round it in A, pictures reflected at their borders.

    Minimises ``sum |b - W a - c|^2 + ridge |W|^2`` over all pixels of pairs, (N, 3, H, W) each. Sums are float64, a hundred images at
    a time.

    Raises:
        ValueError: other shapes than each other's, or an even side.
    """
    if a.shape != b.shape or a.ndim != 4 or not side % 2:
        raise ValueError(f"two equal shapes (N, 3, H, W) and an odd side wanted, not {tuple(a.shape)}, {tuple(b.shape)} and {side}")
    size = a.shape[1] * side**2
    gram, cross = torch.zeros(size + 1, size + 1, dtype=torch.float64), torch.zeros(size + 1, b.shape[1], dtype=torch.float64)
    for x, y in zip(torch.split(a, 100), torch.split(b, 100), strict=True):
        rows = F.unfold(_padded(x.double(), side // 2), side).transpose(1, 2).reshape(-1, size)  # (N, K, P) -> (N * P, K)
        rows = torch.cat([rows, rows.new_ones(len(rows), 1)], 1)
        gram += rows.T @ rows
        cross += rows.T @ y.double().permute(0, 2, 3, 1).reshape(-1, b.shape[1])  # (N, C, H, W) -> (N * P, C)
    penalty = torch.full((size + 1,), float(ridge), dtype=torch.float64)
    penalty[-1] = 0  # the constant is free
    solved = torch.linalg.lstsq(gram + penalty.diag(), cross, driver="gelsd").solution  # (K + 1, C); grey images make gram singular
    weight = solved[:-1].T.reshape(b.shape[1], a.shape[1], side, side)
    return Patches(weight.float().contiguous(), solved[-1].float())


def _padded(images: Tensor, pad: int) -> Tensor:
    return F.pad(images, (pad, pad, pad, pad), mode="reflect") if pad else images
