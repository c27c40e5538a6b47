"""Small pictures that several tasks draw."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from paperzoo.errors import PaperzooError
from paperzoo.files import write
from paperzoo.terminal import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure


#: height of a line of caption, in pixels
LINE = 14
#: endings of pictures of other kinds than are written here
OTHERS = (".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".svg", ".pdf", ".avif")


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


def table(rows: Mapping[str, Tensor], columns: Sequence[str], path: Path) -> Path:
    """Images (len(columns), C, H, W) of each row side by side, under the columns' names and beside the rows' own; about 150 kB at most."""
    from matplotlib.figure import Figure

    height, width = next(iter(rows.values())).shape[2:]
    across, down = len(columns) * (width + 2), len(rows) * (height + 2)
    scale = 0.45 / height  # inches a pixel
    figure = Figure(figsize=(scale * across + 1.2, scale * down + 0.3), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(grid(torch.cat(list(rows.values())), len(columns)), cmap="gray", interpolation="nearest")
    axes.set_xticks([(width + 2) * at + width / 2 for at in range(len(columns))], [plain(name) for name in columns], fontsize=8)
    axes.set_yticks([(height + 2) * at + height / 2 for at in range(len(rows))], [plain(name) for name in rows], fontsize=8)
    axes.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    axes.set_frame_on(False)
    return save(figure, path, dpi=160, colours=256)


def captioned(picture: Image.Image, said: str) -> Image.Image:
    """The picture in colour with a line of text below it."""
    sheet = Image.new("RGB", (max(picture.width, 6 * len(said) + 8), picture.height + LINE), "white")
    sheet.paste(picture.convert("RGB"), (0, 0))
    ImageDraw.Draw(sheet).text((4, picture.height + 1), said, fill="black")
    return sheet


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


def save(picture: Image.Image | Figure, path: Path, dpi: int = 80, colours: int = 0) -> Path:
    """Writes a picture as PNG and returns its path.

    Args:
        dpi: dots an inch of a figure.
        colours: that a figure keeps, at most 256, so that its file is small; 0: all.

    Raises:
        PaperzooError: it cannot be written, or what is there is no ordinary file; see ``files.write``.
    """
    if path.suffix.lower() in OTHERS:
        raise PaperzooError(f"pictures are written as PNG: name a file that ends in .png, not {plain(path.suffix)}")
    if isinstance(picture, Image.Image):
        return write(path, lambda file: picture.save(file, format="PNG", optimize=True))
    if not colours:
        return write(path, lambda file: picture.savefig(file, format="png", dpi=dpi))
    buffer = io.BytesIO()
    picture.savefig(buffer, format="png", dpi=dpi)
    return save(Image.open(buffer).convert("RGB").quantize(colours, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE), path)


def save_frames(frames: Sequence[Image.Image], path: Path, duration: int) -> Path:
    """Writes frames as a GIF that goes on for ever, each shown for ``duration`` milliseconds."""
    first, *others = frames
    return write(
        path, lambda file: first.save(file, format="GIF", save_all=True, append_images=others, duration=duration, loop=0)
    )


def slider(left: Image.Image, right: Image.Image, said: tuple[str, str], path: Path) -> Path:
    """Writes two pictures of one size as a fragment of a report's page: one lies on the other, and its right edge can be dragged.

    It needs no script, which a report refuses to run: the browser itself lets the edge be dragged.

    Args:
        said: what each shows, in words.

    Raises:
        ValueError: two sizes.
        PaperzooError: as ``save``.
    """
    if left.size != right.size:
        raise ValueError(f"two pictures of one size wanted, not {left.size} and {right.size}")
    width, height = left.size
    size = f'width="{width}" height="{height}" style="max-width:none"'
    shown = [f'<img src="{_uri(image)}" alt="{html.escape(name)}" {size}>' for image, name in zip((left, right), said, strict=True)]
    over = f"position:absolute;top:0;left:0;width:{width // 2}px;min-width:16px;max-width:{width}px;height:{height}px"
    fragment = (
        f'<figure><div style="position:relative;width:{width}px;height:{height}px">{shown[1]}'
        f'<div style="{over};overflow:hidden;resize:horizontal;border-right:2px solid #d33">{shown[0]}</div></div>'
        f"<figcaption>left {html.escape(said[0])}, right {html.escape(said[1])}: drag the corner below the line</figcaption></figure>\n"
    )
    return write(path, fragment)


def _uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
