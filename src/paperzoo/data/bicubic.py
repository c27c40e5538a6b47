"""The bicubic resizing that super-resolution is measured with: MATLAB's ``imresize``, as tensors, on any device.

Published figures shrink and enlarge by it. Three things make it differ from what other libraries call bicubic:

- the kernel is Keys' (1981) with a = -0.5, as Pillow's; torch's plain one has -0.75;
- when shrinking, the kernel is widened by the factor, so that what is too fine for the small image is averaged away ("antialiased");
- beyond its border the image goes on mirrored, the last pixel twice ("symmetric"). Pillow, and torch with ``antialias=True``, leave out
  what lies beyond and scale the other weights up: they agree with this inside the image and not within two small pixels of its border.

MATLAB rounds an image of 8 bits to 8 bits again. What the papers do is to keep floating point (the released SRCNN and VDSR shrink and
enlarge an image of doubles), or to store the small image as a file (SRResNet, DIV2K). ``rounded`` does the latter.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from paperzoo.errors import PaperzooError

#: pixels from its centre at which the kernel ends
REACH = 2

#: how much larger an image can be made, or has been before it was shrunk
SCALES = (2, 3, 4)


def kernel(distance: np.ndarray) -> np.ndarray:
    """Keys' cubic with a = -0.5 at these distances, in pixels: 1 at 0, zero at 1 and from 2 on."""
    x = np.abs(distance)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= REACH, far, 0.0))


def weights(scale: Fraction) -> tuple[np.ndarray, np.ndarray]:
    """The taps and weights of the first new pixels of a resized line; after as many as the scale's numerator, the weights repeat.

    Args:
        scale: how much longer the line becomes.

    Returns:
        weights, float64 (L, P), each row with the sum 1, and the old pixels that they belong to, int64 (L, P), of which those
        below 0 lie beyond the line's beginning.
    """
    shrunk = min(1.0, float(scale))
    centre = (np.arange(scale.numerator) + 0.5) / float(scale) - 0.5  # where the new pixels lie, counted in old ones
    first = np.floor(centre - REACH / shrunk).astype(np.int64)
    places = first[:, None] + np.arange(math.ceil(2 * REACH / shrunk) + 2)  # (L, P)
    share = kernel((centre[:, None] - places) * shrunk)
    return share / share.sum(1, keepdims=True), places


def mirrored(places: np.ndarray, length: int) -> np.ndarray:
    """The pixels of a line that stand for places beyond its ends: ... 1 0 | 0 1 2 ... n-1 | n-1 n-2 ..."""
    turned = places % (2 * length)
    return np.where(turned < length, turned, 2 * length - 1 - turned)


def imresize(image: Tensor, scale: int | float | Fraction) -> Tensor:
    """Images at another size, (N, C, ceil(H scale), ceil(W scale)) in float32; not cut to [0, 1], which the kernel's lobes overshoot.

    Args:
        image: float32 (N, C, H, W), or any other number of leading dimensions.
        scale: above 1 enlarges, below 1 shrinks; taken as the nearest fraction with a denominator of at most 1,000.

    Raises:
        PaperzooError: the scale is not positive.
    """
    exact = Fraction(scale).limit_denominator(1000)
    if exact <= 0:
        raise PaperzooError(f"images are resized by a positive scale, not {scale}")
    tall, wide = image.shape[-2:]
    matrix, first, step = _block(exact, image.device)  # (B, K)
    # a product with windows that overlap in memory is one product an image: hence contiguous
    flat = image.reshape(-1, tall, wide)  # (N C, H, W)
    down = _windows(flat, 1, tall, first, step, len(matrix), exact)  # (N C, blocks, W, K)
    flat = (matrix @ down.transpose(2, 3).contiguous()).flatten(1, 2)[:, : math.ceil(tall * exact)]  # (N C, H', W)
    across = _windows(flat, 2, wide, first, step, len(matrix), exact)  # (N C, H', blocks, K)
    flat = (across.contiguous() @ matrix.T).flatten(2)[:, :, : math.ceil(wide * exact)]  # (N C, H', W')
    return flat.reshape(*image.shape[:-2], *flat.shape[-2:])


def _windows(image: Tensor, dimension: int, length: int, first: int, step: int, made: int, scale: Fraction) -> Tensor:
    """The source pixels of each block of ``made`` new pixels, as the last dimension."""
    blocks = -(-math.ceil(length * scale) // made)
    places = mirrored(np.arange(first, first + blocks * step + _block(scale, image.device)[0].shape[1] - step), length)
    padded = image.index_select(dimension, torch.from_numpy(places).to(image.device))
    return padded.unfold(dimension, padded.shape[dimension] - (blocks - 1) * step, step)


@lru_cache(maxsize=64)
def _block(scale: Fraction, device: torch.device) -> tuple[Tensor, int, int]:
    """How a block of new pixels comes from old ones: weights, float32 (B, K); the first old pixel, seen from the beginning of the
    line; and how many old pixels further on the next block begins.

    The weights repeat: with a scale of p / q, every p-th new pixel has the same ones, q old pixels further on. A block is some
    multiple of p, so that a line is a few products of matrices.
    """
    share, places = weights(scale)
    times = max(1, 32 // max(scale.numerator, scale.denominator))
    shifted = np.concatenate([places + k * scale.denominator for k in range(times)])  # (B, P)
    first = int(shifted.min())
    matrix = np.zeros((len(shifted), int(shifted.max()) - first + 1), np.float32)
    matrix[np.arange(len(shifted))[:, None], shifted - first] = np.tile(share, (times, 1))
    return torch.from_numpy(matrix).to(device), first, times * scale.denominator


def check_scale(scale: int, where: str) -> int:
    """The scale, if it is one of ``SCALES``; else ``PaperzooError``, which names ``where``."""
    if scale not in SCALES:
        raise PaperzooError(f"{where}: scale {scale} is not among {', '.join(map(str, SCALES))}")
    return scale


def mod_crop(image: Tensor, scale: int) -> Tensor:
    """The image without its last rows and columns, so that ``scale`` divides both sides: (..., H, W) in any unit."""
    height, width = image.shape[-2:]
    return image[..., : height - height % scale, : width - width % scale]


def shrink(image: Tensor, scale: int, rounded: bool = True) -> Tensor:
    """The small image that super-resolution starts from, in [0, 1].

    Args:
        image: float32 (..., H, W) in [0, 1]; ``scale`` must divide both sides, see ``mod_crop``.
        rounded: to 8 bits, as an image file is.

    Raises:
        PaperzooError: the sides are no multiples of ``scale``.
    """
    if image.shape[-2] % scale or image.shape[-1] % scale:
        raise PaperzooError(f"an image of {image.shape[-2]}x{image.shape[-1]} is no multiple of {scale}: cut it by mod_crop first")
    small = imresize(image, Fraction(1, scale)).clamp(0, 1)
    return eight_bits(small) if rounded else small


def enlarge(image: Tensor, scale: int) -> Tensor:
    """The image enlarged by the kernel alone, which every method is held against; not cut to [0, 1]."""
    return imresize(image, scale)


def eight_bits(image: Tensor) -> Tensor:
    """Values in [0, 1] as a file of 8 bits has them: the nearest multiples of 1/255."""
    return image.clamp(0, 1).mul_(255).round_().div_(255)
