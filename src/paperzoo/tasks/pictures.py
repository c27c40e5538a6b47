"""Small pictures that several tasks draw."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from torch import Tensor

from paperzoo.files import write

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def grid(images: Tensor, columns: int | None = None, scale: int = 1, gap: int = 2) -> Image.Image:
    """Images (N, C, H, W) in [0, 1] side by side, row by row, on white.

    Args:
        columns: images a row; default: the rounded root of N.
        scale: each pixel becomes a square of this side.
    """
    array = (images.detach().float().cpu().clamp(0, 1).numpy() * 255).round().astype(np.uint8)  # (N, C, H, W)
    if scale > 1:
        array = array.repeat(scale, 2).repeat(scale, 3)
    number, channels, height, width = array.shape
    columns = columns or max(1, round(math.sqrt(number)))
    rows = -(-number // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, channels), 255, np.uint8)
    for index, image in enumerate(array):
        top, left = (index // columns) * (height + gap), (index % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    return Image.fromarray(sheet[..., 0] if channels == 1 else sheet)


def compact(picture: Image.Image, limit: int = 150_000) -> Image.Image:
    """The picture, so changed that as PNG it has at most ``limit`` bytes: with 256 colours, and smaller if that is not enough."""
    small, side = picture, 1
    while _bytes(small) > limit and side <= 16:
        small = (picture.reduce(side) if side > 1 else picture).quantize(256)
        side += 1
    return small


def _bytes(picture: Image.Image) -> int:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return buffer.tell()


def save(picture: Image.Image | Figure, path: Path, dpi: int = 80) -> Path:
    """Writes a picture as PNG and returns its path.

    Raises:
        PaperzooError: it cannot be written, or what is there is no ordinary file; see ``files.write``.
    """
    if isinstance(picture, Image.Image):
        return write(path, lambda file: picture.save(file, format="PNG", optimize=True))
    return write(path, lambda file: picture.savefig(file, format="png", dpi=dpi))


def save_frames(frames: Sequence[Image.Image], path: Path, duration: int) -> Path:
    """Writes frames as a GIF that goes on for ever, each shown for ``duration`` milliseconds."""
    first, *others = frames
    return write(
        path, lambda file: first.save(file, format="GIF", save_all=True, append_images=others, duration=duration, loop=0)
    )
