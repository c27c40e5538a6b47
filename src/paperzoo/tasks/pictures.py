"""Small pictures that several tasks draw."""

from __future__ import annotations

import io
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from torch import Tensor

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
    """Writes a picture as PNG, under a temporary name first, and returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.part")
    if isinstance(picture, Image.Image):
        picture.save(scratch, format="PNG", optimize=True)
    else:
        picture.savefig(scratch, format="png", dpi=dpi)
    os.replace(scratch, path)
    return path
