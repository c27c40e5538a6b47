"""Large pictures in parts: what a network makes of a whole picture, in memory that does not grow with it."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

#: side of a part, in pixels of what comes out
TILE = 384


def number(image: Tensor, scale: int) -> int:
    """The number of tiles that ``by_tiles`` cuts an image (N, C, h, w) into."""
    side = max(1, TILE // scale)
    tall, wide = image.shape[-2:]
    return -(-tall // side) * -(-wide // side)


def by_tiles(image: Tensor, scale: int, reach: int, change: Callable[[Tensor], Tensor]) -> Tensor:
    """``change(image)``, computed of one part of the image after another and put together.

    Each part is given with the pixels around it, so that the whole is what ``change`` makes of the image at once, up to the order in
    which a library adds up. Where the image ends the part ends, so that what ``change`` does at a border is done there alone.

    Args:
        image: (N, C, h, w), of any type.
        scale: how many pixels of what comes out one pixel is, along each side.
        reach: how far from a pixel lie those that decide what becomes of it.
        change: (N, C, h', w') to (N, K, scale h', scale w'), for any h' and w'; on whatever device and of whatever type it likes.

    Returns:
        (N, K, scale h, scale w), of the type and on the device of what ``change`` answers.
    """
    tall, wide = image.shape[-2:]
    side, out = max(1, TILE // scale), None
    for top in range(0, tall, side):
        for left in range(0, wide, side):
            above, before = min(reach, top), min(reach, left)
            down, across = min(side, tall - top), min(side, wide - left)
            part = change(image[..., top - above : top + down + reach, left - before : left + across + reach])
            rows, columns = (slice(scale * a, scale * (a + b)) for a, b in ((above, down), (before, across)))
            if out is None:
                out = part.new_empty(*part.shape[:-2], scale * tall, scale * wide)
            out[..., scale * top : scale * (top + down), scale * left : scale * (left + across)] = part[..., rows, columns]
    assert out is not None, "an image has pixels"
    return out
