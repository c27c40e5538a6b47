"""Holes for in-painting (Pathak et al. 2016, 1604.07379, section 3.3): which pixels are missing, and what each counts in the loss.

What is predicted reaches a little beyond the hole, into pixels that are known and count more, so that both fit (section 5.1): of the
middle square of 64 pixels that figure 9 predicts, the outer 7 on each side are known. ``grown`` makes such a region of a hole.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from paperzoo.data.pictures import read_rgb
from paperzoo.errors import PaperzooError
from paperzoo.terminal import plain

#: pixels along the inside of a predicted region's edge that count ten times, so that what is filled in fits its surroundings
BAND, FACTOR = 7, 10.0

#: cells of the noise that ``random_regions`` makes its shapes of, as a share of the pixels along a side; at least four lie along it
_CELLS = 0.06


def centre_hole(number: int, height: int, width: int) -> Tensor:
    """Masks with 1 in the middle square of half the sides and 0 elsewhere: float32 (N, 1, H, W)."""
    mask = torch.zeros(number, 1, height, width)
    mask[..., height // 4 : height // 4 + height // 2, width // 4 : width // 4 + width // 2] = 1
    return mask


def random_blocks(number: int, height: int, width: int, share: float = 0.25, generator: torch.Generator | None = None) -> Tensor:
    """Masks of several rectangles that may overlap, with about ``share`` of the pixels missing: float32 (N, 1, H, W), 1 in a hole.

    Rectangles have sides from an eighth to a third of the image's and lie anywhere inside; one after another is put down until at
    least ``share`` of the image is covered.

    Args:
        share: above 0 and at most 0.75.
        generator: of chance; default: torch's own.

    Raises:
        PaperzooError: another share, or an image of less than 8 pixels a side.
    """
    _check(share, height, width)
    mask = torch.zeros(number, 1, height, width)
    for one in mask[:, 0]:
        while one.mean() < share:
            draw = torch.rand(4, generator=generator).tolist()
            tall, wide = (side // 8 + int(u * (side // 3 - side // 8 + 1)) for u, side in zip(draw, (height, width), strict=False))
            top, left = int(draw[2] * (height - tall + 1)), int(draw[3] * (width - wide + 1))
            one[top : top + tall, left : left + wide] = 1
    return mask


def random_regions(number: int, height: int, width: int, share: float = 0.25, generator: torch.Generator | None = None) -> Tensor:
    """Masks of arbitrary shapes with ``share`` of the pixels missing: float32 (N, 1, H, W), 1 in a hole.

    They are where noise that varies smoothly is highest.

    Args:
        share: above 0 and at most 0.75.
        generator: of chance; default: torch's own.

    Raises:
        PaperzooError: another share, or an image of less than 8 pixels a side.
    """
    _check(share, height, width)
    cells = [max(4, math.ceil(_CELLS * side)) for side in (height, width)]
    noise = torch.rand(number, 1, *cells, generator=generator)
    smooth = torch.nn.functional.interpolate(noise, (height, width), mode="bicubic")
    lowest = smooth.flatten(1).kthvalue(height * width - round(share * height * width), 1).values  # (N)
    return (smooth > lowest.view(-1, 1, 1, 1)).float()


def _check(share: float, height: int, width: int) -> None:
    if not 0 < share <= 0.75:
        raise PaperzooError(f"a share of {share} of an image cannot be missing: it is above 0 and at most 0.75")
    if min(height, width) < 8:
        raise PaperzooError(f"holes are cut out of images of at least 8x8 pixels, not {height}x{width}")


def grown(mask: Tensor, by: int) -> Tensor:
    """The mask and all pixels within ``by`` of it, along rows, columns and diagonals; (N, 1, H, W)."""
    return torch.nn.functional.max_pool2d(mask, 2 * by + 1, stride=1, padding=by)


def punched(image: Tensor, mask: Tensor, fill: Tensor) -> Tensor:
    """The image with its hole filled by a colour, so that nothing of what was there is left; (N, C, H, W).

    Args:
        image: float32 (N, C, H, W).
        mask: (N, 1, H, W), 1 in the hole.
        fill: (C), such as the mean colour of the training images.
    """
    return torch.where(mask > 0, fill.view(1, -1, 1, 1).to(image), image)


def weights(mask: Tensor, band: int = BAND, factor: float = FACTOR) -> Tensor:
    """The weight of each pixel in the loss: 0 outside the predicted region, 1 inside, ``factor`` within ``band`` pixels of its edge.

    The distance is counted along rows, columns and diagonals. The image's own edge is no edge of a region. (N, 1, H, W).
    """
    return mask * (1 + (factor - 1) * grown(1 - mask, band))


def read_mask(source: Path | Image.Image, height: int, width: int) -> Tensor:
    """A mask that a user painted, white where something is missing: float32 (1, 1, H, W) of 0 and 1.

    Args:
        height, width: of the image that it belongs to.

    Raises:
        PaperzooError: it cannot be read, has another size, or is black or white all over.
    """
    name = plain(source) if isinstance(source, Path) else "the mask"
    try:
        grey = np.asarray(read_rgb(source).convert("L"))
    except Exception as error:  # Pillow's plug-ins raise a dozen kinds
        raise PaperzooError(f"{name} cannot be read as a mask: {error}") from error
    if grey.shape != (height, width):
        size, wanted = (f"{b}x{a}" for a, b in (grey.shape, (height, width)))
        raise PaperzooError(f"{name} is {size} pixels, and the image {wanted}: a mask has the size of its image")
    mask = grey >= 128
    if mask.all() or not mask.any():
        colour, means = ("white", "nothing of the image is left to go by") if mask.all() else ("black", "nothing is missing")
        raise PaperzooError(f"{name} is {colour} all over, so that {means}: paint white what is to be filled in, and the rest black")
    return torch.from_numpy(mask.astype(np.float32))[None, None]
