"""PSNR and SSIM as published figures of super-resolution have them: on the luminance, without the border, in 8 bits.

The whole protocol, from a photograph to a figure:

1. cut the photograph so that the scale s divides its sides (``mod_crop``), and shrink it by MATLAB's ``imresize`` (``shrink``);
   SRCNN and VDSR keep that in floating point, SRResNet and SRGAN start from a file of 8 bits;
2. restore it; what the kernel alone gives is ``enlarge``. The first three are in ``paperzoo.data.bicubic``;
3. round to 8 bits, take Y of BT.601, whose range is 16 to 235, round that to 8 bits as MATLAB's ``rgb2ycbcr`` does of such images;
4. cut a border off: s pixels, of SRGAN 4 at any scale;
5. PSNR with a peak of 255; SSIM under a Gaussian window of deviation 1.5 and side 11.

In RGB instead, figures are one to three dB lower, and with another bicubic they move by as much.
"""

from __future__ import annotations

import torch
from torch import Tensor

from paperzoo.data.bicubic import eight_bits
from paperzoo.metrics.psnr import psnr
from paperzoo.metrics.ssim import ssim

#: rows Y, Cb and Cr of ITU-R BT.601 for R, G and B in [0, 1], and what is added; in units of 1/255
_MATRIX = ((65.481, 128.553, 24.966), (-37.797, -74.203, 112.0), (112.0, -93.786, -18.214))
_OFFSET = (16.0, 128.0, 128.0)


def luma(image: Tensor) -> Tensor:
    """Y of BT.601 of RGB images, as a share of 255: from 16/255 for black to 235/255 for white.

    Args:
        image: float32 (N, 3, H, W) in [0, 1]. An image of one channel is taken to be Y already.

    Returns:
        float32 (N, 1, H, W).

    Raises:
        ValueError: neither one channel nor three.
    """
    if image.shape[-3] == 1:
        return image
    return _mixed(image, image.new_tensor(_MATRIX[:1]) / 255).add_(_OFFSET[0] / 255)


def ycbcr(image: Tensor) -> Tensor:
    """RGB in [0, 1] as Y in [16, 235], Cb and Cr in [16, 240], each over 255; float32 (N, 3, H, W)."""
    return _mixed(image, image.new_tensor(_MATRIX) / 255) + image.new_tensor(_OFFSET).div(255).view(3, 1, 1)


def rgb(image: Tensor) -> Tensor:
    """The inverse of ``ycbcr``, float32 (N, 3, H, W); not cut to [0, 1]."""
    inverse = torch.linalg.inv(torch.tensor(_MATRIX, dtype=torch.float64) / 255).to(image)
    return _mixed(image - image.new_tensor(_OFFSET).div(255).view(3, 1, 1), inverse)


def _mixed(image: Tensor, matrix: Tensor) -> Tensor:
    """Channels (..., C, H, W) as sums of channels, by a matrix (K, C)."""
    if image.shape[-3] != matrix.shape[1]:
        raise ValueError(f"images of one channel or three wanted, not {tuple(image.shape)}")
    mixed: Tensor = matrix @ image.flatten(-2)
    return mixed.view(*mixed.shape[:-1], *image.shape[-2:])  # (..., K, H, W)


def without_border(image: Tensor, border: int) -> Tensor:
    """Images (..., H, W) without ``border`` pixels on each side.

    Raises:
        ValueError: nothing is left.
    """
    height, width = image.shape[-2:]
    if min(height, width) <= 2 * border:
        raise ValueError(f"images of {height}x{width} have nothing inside a border of {border} pixels")
    return image[..., border : height - border, border : width - border]


def measured(image: Tensor, border: int) -> Tensor:
    """The part of images (N, C, H, W) in [0, 1] that is compared: Y in 8 bits without the border, (N, 1, H', W')."""
    parts = torch.split(without_border(image, border), 64, -2)  # a few rows at a time stay in the processor's cache
    return torch.cat([eight_bits(luma(eight_bits(part))) for part in parts], -2)


def psnr_y(restored: Tensor, original: Tensor, border: int) -> Tensor:
    """PSNR in dB of each image, float64 (N); infinite where they are equal.

    Args:
        restored, original: float32 (N, C, H, W) in [0, 1], of three channels or of Y alone.
        border: pixels to leave out on each side: the scale, of SRGAN 4.

    Raises:
        ValueError: other shapes than each other's, or nothing inside the border.
    """
    return psnr(measured(restored, border), measured(original, border))


def ssim_y(restored: Tensor, original: Tensor, border: int) -> Tensor:
    """SSIM of each image, float32 (N); arguments and errors as of ``psnr_y``."""
    return ssim(measured(restored, border), measured(original, border))
