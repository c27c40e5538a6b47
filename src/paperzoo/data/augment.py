"""Named augmentations of image batches, float (N, C, H, W) in [0, 1], on whatever device they lie.

Chance is drawn from torch's default generator on the CPU, so that every device sees the same crops.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from paperzoo.errors import PaperzooError


def random_crop(image: Tensor, height: int, width: int) -> Tensor:
    """A window (N, C, height, width) at a place of its own for each image.

    Raises:
        PaperzooError: the images are smaller than the window.
    """
    number, _, tall, wide = image.shape
    if tall < height or wide < width:
        raise PaperzooError(f"images of {tall}x{wide} are too small for a crop of {height}x{width}")
    place = torch.stack([torch.randint(tall - height + 1, (number,)), torch.randint(wide - width + 1, (number,))])
    top, left = place.to(image.device, non_blocking=True)
    rows = top[:, None] + torch.arange(height, device=image.device)  # (N, height)
    columns = left[:, None] + torch.arange(width, device=image.device)  # (N, width)
    items = torch.arange(number, device=image.device)
    pixels = image.permute(0, 2, 3, 1)[items[:, None, None], rows[:, :, None], columns[:, None, :]]  # (N, height, width, C)
    return pixels.permute(0, 3, 1, 2)  # (N, C, height, width), channels last in memory


def pad_and_crop(image: Tensor, pad: int) -> Tensor:
    """A random window of the image's own size after ``pad`` black pixels on each side: a shift of at most ``pad``."""
    return random_crop(F.pad(image, (pad, pad, pad, pad)), *image.shape[2:])


def flip(image: Tensor) -> Tensor:
    """Each image mirrored left to right, or not, with equal chance."""
    mirrored = torch.randint(2, (len(image), 1, 1, 1)).bool().to(image.device, non_blocking=True)
    return torch.where(mirrored, image.flip(3), image)


AUGMENTATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "crop4": partial(pad_and_crop, pad=4),
    "shift2": partial(pad_and_crop, pad=2),
    "flip": flip,
    "crop224": partial(random_crop, height=224, width=224),
    "crop299": partial(random_crop, height=299, width=299),
}
