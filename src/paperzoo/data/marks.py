"""Annotations in pictures: areas of boxes, and augmentations that transform pictures and annotations together.

Chance is drawn from torch's default generator on the CPU, as in ``paperzoo.data.augment``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from paperzoo.errors import PaperzooError

if TYPE_CHECKING:
    from paperzoo.data.batch import Batch

Numbers = TypeVar("Numbers", np.ndarray, Tensor)

#: least and largest factor of ``zoom``; its two sides differ by at most the third; most shift, as a share of a side
ZOOM, STRETCH, SHIFT = (0.7, 1.4), 1.15, 0.2
#: an object of which less than this share is left in the picture is no longer marked
LEFT = 0.3
#: how often ``quarter`` turns a picture
QUARTER = 1 / 6
#: most factor by which ``colour`` changes brightness and saturation, or its inverse (darknet's exposure and saturation)
SHADE = 1.5


def clipped(boxes: Numbers, tall: float, wide: float) -> Numbers:
    """Boxes (..., 4) cut at the border of a picture."""
    cut = boxes.copy() if isinstance(boxes, np.ndarray) else boxes.clone()
    cut[..., 0::2] = cut[..., 0::2].clip(0, wide)
    cut[..., 1::2] = cut[..., 1::2].clip(0, tall)
    return cut


def area(boxes: Numbers) -> Numbers:
    """Areas (...) of boxes (..., 4); 0 where right is not beyond left, or bottom not below top."""
    size: Numbers = (boxes[..., 2] - boxes[..., 0]).clip(min=0) * (boxes[..., 3] - boxes[..., 1]).clip(min=0)
    return size


def zoom(image: Tensor) -> Tensor:
    """Each image (N, C, H, W) enlarged or shrunk by a factor of its own, a little stretched and shifted; grey where nothing lies."""
    return sampled(image, *drawn(len(image)))


def drawn(number: int) -> tuple[Tensor, Tensor]:
    """Chance of ``zoom``: factors (N, 2) across and down, and shifts (N, 2) right and down as shares of the image's sides."""
    low, high = (torch.tensor(bound).log() for bound in ZOOM)
    factor = (low + (high - low) * torch.rand(number, 1)).exp()
    stretch = torch.tensor(STRETCH).log() * (2 * torch.rand(number, 1) - 1) / 2
    factor = factor * torch.cat([stretch.exp(), (-stretch).exp()], 1)
    return factor, SHIFT * (2 * torch.rand(number, 2) - 1)


def sampled(image: Tensor, factor: Tensor, shift: Tensor) -> Tensor:
    """Images enlarged by ``factor`` about their middle, then moved by ``shift`` of their sides; bilinear."""
    number = len(image)
    theta = torch.zeros(number, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = 1 / factor[:, 0], 1 / factor[:, 1]
    theta[:, :, 2] = -2 * shift / factor  # the grid lies in [-1, 1], so that a side is 2 long
    grid = F.affine_grid(theta.to(image), list(image.shape), align_corners=False)
    return F.grid_sample(image - 0.5, grid, padding_mode="zeros", align_corners=False) + 0.5


def moved(points: Tensor, factor: Tensor, shift: Tensor, tall: int, wide: int) -> Tensor:
    """Boxes (N, M, 4), or corners (N, M, K * 2), where ``sampled`` puts what lies at them."""
    side = torch.tensor([wide, tall], dtype=points.dtype, device=points.device)
    pairs = points.reshape(*points.shape[:-1], -1, 2)  # (N, M, K * 2) -> (N, M, K, 2), x and y
    view = (len(points), *[1] * (pairs.ndim - 2), 2)
    by, right = factor.to(points).view(view), (shift.to(points) * side).view(view)
    placed: Tensor = (pairs - side / 2) * by + side / 2 + right
    return placed.flatten(-2)


def colour(image: Tensor) -> Tensor:
    """Each image (N, C, H, W) brighter or darker, and more or less colourful, by factors of its own."""
    shade = torch.tensor(SHADE).log() * (2 * torch.rand(2, len(image), 1, 1, 1) - 1)
    bright, strong = shade.exp().to(image.device, non_blocking=True)
    grey = image.mean(1, keepdim=True)
    changed: Tensor = (grey + strong * (image - grey)) * bright
    return changed.clamp(0, 1)


def flipped(batch: Batch) -> Batch:
    """Each image and its marks mirrored left to right, or not, with equal chance."""
    mirrored = torch.randint(2, (len(batch),)).bool().to(batch.image.device, non_blocking=True)
    image = torch.where(mirrored[:, None, None, None], batch.image.flip(3), batch.image)
    wide = image.shape[3]
    fields = {"image": image}
    real = _real(batch)
    if "boxes" in vars(batch):
        x0, y0, x1, y1 = batch.boxes.unbind(2)
        other = torch.stack([wide - x1, y0, wide - x0, y1], 2)
        fields["boxes"] = torch.where((mirrored[:, None] & real)[..., None], other, batch.boxes)
    if "quads" in vars(batch):
        other = torch.stack([wide - batch.quads[..., 0], batch.quads[..., 1]], 3)[:, :, [1, 0, 3, 2]]  # clockwise again
        fields["quads"] = torch.where((mirrored[:, None] & real)[..., None, None], other, batch.quads)
    return type(batch)(**{**vars(batch), **fields})


def quarter(image: Tensor) -> Tensor:
    """Each square image (N, C, S, S) turned by a quarter to the right, or not, at a chance of ``QUARTER``."""
    return torch.where(_turned(image)[:, None, None, None], image.rot90(-1, (2, 3)), image)


def _turned(image: Tensor) -> Tensor:
    """Which images a quarter turns, bool (N).

    Raises:
        PaperzooError: they are not square.
    """
    tall, wide = image.shape[2:]
    if tall != wide:
        raise PaperzooError(f"augment=quarter turns square pictures, not those of {tall}x{wide}")
    return (torch.rand(len(image)) < QUARTER).to(image.device, non_blocking=True)


def quartered(batch: Batch) -> Batch:
    """``quarter`` of the images, and of what is marked in them."""
    turned, wide, real = _turned(batch.image), batch.image.shape[3], _real(batch)
    fields = {"image": torch.where(turned[:, None, None, None], batch.image.rot90(-1, (2, 3)), batch.image)}
    if "boxes" in vars(batch):
        x0, y0, x1, y1 = batch.boxes.unbind(2)
        other = torch.stack([wide - y1, x0, wide - y0, x1], 2)
        fields["boxes"] = torch.where((turned[:, None] & real)[..., None], other, batch.boxes)
    if "quads" in vars(batch):
        other = torch.stack([wide - batch.quads[..., 1], batch.quads[..., 0]], 3)  # still clockwise from where reading begins
        fields["quads"] = torch.where((turned[:, None] & real)[..., None, None], other, batch.quads)
    return type(batch)(**{**vars(batch), **fields})


def zoomed(batch: Batch) -> Batch:
    """``zoom`` of the images, and of what is marked in them. Boxes are cut at the border; what has all but left is not marked any more."""
    factor, shift = drawn(len(batch))
    image, (tall, wide) = sampled(batch.image, factor, shift), batch.image.shape[2:]
    fields, real = {"image": image}, _real(batch)
    outline = None
    if "quads" in vars(batch):
        fields["quads"] = moved(batch.quads.flatten(2), factor, shift, tall, wide).view_as(batch.quads)
        outline = torch.cat([fields["quads"].amin(2), fields["quads"].amax(2)], 2)
    if "boxes" in vars(batch):
        outline = moved(batch.boxes, factor, shift, tall, wide)
        fields["boxes"] = clipped(outline, tall, wide)
    assert outline is not None
    kept = real & (area(clipped(outline, tall, wide)) > LEFT * area(outline))
    return packed(type(batch)(**{**vars(batch), **fields}), kept)


def packed(batch: Batch, kept: Tensor) -> Batch:
    """The batch with only those objects marked that ``kept`` (N, M) says, in the order they had, then padding."""
    order = (~kept).int().argsort(dim=1, stable=True)  # those that are kept first
    count = kept.sum(1)
    behind = torch.arange(kept.shape[1], device=kept.device) >= count[:, None]
    fields: dict[str, Tensor] = {}
    for name, empty in EMPTY.items():
        if name in vars(batch):
            value = getattr(batch, name)
            index = order.view(*order.shape, *[1] * (value.ndim - 2)).expand_as(value)
            rest = behind.view(*behind.shape, *[1] * (value.ndim - 2))
            fields[name] = value.gather(1, index).masked_fill(rest, empty)
    return type(batch)(**{**vars(batch), **fields, "objects": count})


#: fields of the objects of an image, and what stands where there is none
EMPTY = {"boxes": 0.0, "quads": 0.0, "box_label": -1, "difficult": False, "crowd": False}


def _real(batch: Batch) -> Tensor:
    """The padding mask: bool (N, M), true where a row is an object."""
    marks = batch.boxes if "boxes" in vars(batch) else batch.quads
    real: Tensor = torch.arange(marks.shape[1], device=marks.device) < batch.objects[:, None]
    return real


def _coloured(batch: Batch) -> Batch:
    return type(batch)(**{**vars(batch), "image": colour(batch.image)})


CHANGES: dict[str, Callable[[Batch], Batch]] = {"flip": flipped, "quarter": quartered, "zoom": zoomed, "colour": _coloured}


def with_marks(batch: Batch, name: str) -> Batch:
    """A batch with marked objects, augmented.

    Raises:
        PaperzooError: the augmentation moves pixels, and does not say where boxes go.
    """
    if name not in CHANGES:
        raise PaperzooError(f"augment={name} would not move the boxes of a picture with it: choose of {', '.join(CHANGES)}")
    return CHANGES[name](batch)
