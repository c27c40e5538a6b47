"""Named augmentations of image batches, float (N, C, H, W) in [0, 1], on whatever device they lie.

Chance is drawn from torch's default generator on the CPU, so that every device sees the same crops. ``augmented`` is for whole
batches: a pair is cut and mirrored as one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from paperzoo.data.bodyparts import with_people
from paperzoo.data.marks import colour, quarter, with_marks, zoom
from paperzoo.errors import PaperzooError

if TYPE_CHECKING:
    from paperzoo.data.batch import Batch


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


def jitter(image: Tensor) -> Tensor:
    """Enlarged to 286/256 of its sides, bilinear, and a random window of its own size (pix2pix, section 6.2: 256 to 286 pixels)."""
    height, width = image.shape[2:]
    larger = (round(height * 286 / 256), round(width * 286 / 256))
    return random_crop(F.interpolate(image, larger, mode="bilinear", antialias=True), height, width)


AUGMENTATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "crop4": partial(pad_and_crop, pad=4),
    "shift2": partial(pad_and_crop, pad=2),
    "flip": flip,
    "crop224": partial(random_crop, height=224, width=224),
    "crop299": partial(random_crop, height=299, width=299),
    "jitter": jitter,
    "zoom": zoom,
    "quarter": quarter,
    "colour": colour,
}

#: fields that are augmented
IMAGES = ("image", "image_a", "image_b")


def augmented(batch: Batch, name: str, paired: bool = True) -> Batch:
    """The batch with its images augmented: the same crop and flip for ``image_a`` and ``image_b`` of an item, if they are ``paired``.

    ``low`` and ``high`` are cut to squares already; they are mirrored as one. Boxes, quadrilaterals and
    points of bodies move with their images.

    Args:
        name: a key of ``AUGMENTATIONS``.
        paired: whether the domains belong together; if not, each has a chance of its own.

    Raises:
        PaperzooError: there are no images, or the augmentation does not fit them.
    """
    if "point_part" in vars(batch):
        return with_people(batch, name)
    if "objects" in vars(batch):
        return with_marks(batch, name)
    if "high" in vars(batch) and name == "flip":
        before = torch.get_rng_state()
        low = flip(batch.low)
        torch.set_rng_state(before)
        return type(batch)(**{**vars(batch), "low": low, "high": flip(batch.high)})
    change, fields = AUGMENTATIONS[name], [field for field in IMAGES if field in vars(batch)]
    if not fields:
        raise PaperzooError(f"augment={name} is for images, but the batch has {', '.join(vars(batch))}")
    values = [getattr(batch, field) for field in fields]
    if paired and len({value.shape[2:] for value in values}) == 1:
        channels = [value.shape[1] for value in values]
        whole = change(torch.cat(values, 1) if len(values) > 1 else values[0])  # (N, C_A + C_B, H, W): one chance for all channels
        changed = list(torch.split(whole, channels, 1))
    elif paired:
        sizes = " and ".join("x".join(map(str, value.shape[2:])) for value in values)
        raise PaperzooError(f"augment={name}: the images of a pair are of different size, {sizes}, and cannot be cut as one")
    else:
        changed = [change(value) for value in values]
    return type(batch)(**{**vars(batch), **dict(zip(fields, changed, strict=True))})
