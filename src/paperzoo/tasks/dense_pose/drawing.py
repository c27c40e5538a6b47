"""Parts, U and V of bodies as pictures; their isolines; and a texture laid on a body."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
from PIL import Image

from paperzoo.data.bodyparts import PARTS
from paperzoo.errors import PaperzooError

#: colour of each part, uint8 (25, 3); the background is black, left and right of a limb differ in brightness
COLOURS = np.array(
    [(0, 0, 0)] + [[round(255 * c) for c in colorsys.hsv_to_rgb(0.381 * n % 1, 0.8, 0.55 + 0.45 * (n % 2))] for n in range(1, len(PARTS))],
    np.uint8,
)
#: lines of equal U, and of equal V, in each chart
LINES = 6
#: columns and rows of an atlas of textures, part by part from the upper left: U runs to the right, V down
ATLAS = (6, 4)


def parts_picture(part: np.ndarray) -> Image.Image:
    """Parts (H, W) in their colours."""
    return Image.fromarray(COLOURS[part])


def value_picture(values: np.ndarray, part: np.ndarray) -> Image.Image:
    """U or V (H, W) in [0, 1] from dark blue to yellow, black where there is nobody."""
    steps = np.array([(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)], np.float64)
    at = values.clip(0, 1) * (len(steps) - 1)
    colour = np.stack([np.interp(at, np.arange(len(steps)), steps[:, c]) for c in range(3)], -1)
    return Image.fromarray(np.where((part > 0)[..., None], colour, 0).astype(np.uint8))


def isolines(picture: Image.Image, part: np.ndarray, uv: np.ndarray) -> Image.Image:
    """The picture with lines of equal U in orange, of equal V in blue, and borders of parts in white.

    Args:
        part: int (H, W), of the picture's size. uv: (2, H, W).
    """
    pixels = np.asarray(picture.convert("RGB")).copy()
    border, lines = np.zeros(part.shape, bool), [np.zeros(part.shape, bool) for _ in range(2)]
    for axis in (0, 1):
        here, there = ((slice(None),) * axis + (cut,) for cut in (slice(None, -1), slice(1, None)))
        same = part[here] == part[there]
        border[here] |= ~same
        for into, values in zip(lines, uv, strict=True):
            step = np.floor(values * LINES).clip(0, LINES - 1)
            into[here] |= same & (part[here] > 0) & (step[here] != step[there])
    for mask, colour in ((lines[0], (230, 159, 0)), (lines[1], (0, 114, 255)), (border, (255, 255, 255))):
        pixels[mask] = colour
    return Image.fromarray(pixels)


def atlas_of(picture: Image.Image, name: str) -> np.ndarray:
    """Textures uint8 (24, T, T, 3) of a picture in six columns and four rows, as SURREAL's are.

    Raises:
        PaperzooError: it is too small, or its sides are not as 6 to 4.
    """
    columns, rows = ATLAS
    if picture.width * rows != picture.height * columns or picture.width < 6 * 8:
        raise PaperzooError(f"{name} is no atlas of 6 by 4 squares: its sides are {picture.width} x {picture.height} pixels")
    tile = picture.width // columns
    pixels = np.asarray(picture.convert("RGB").resize((columns * tile, rows * tile)))
    squares: np.ndarray = pixels.reshape(rows, tile, columns, tile, 3).swapaxes(1, 2).reshape(-1, tile, tile, 3)
    return squares


def chequered(tile: int = 64) -> np.ndarray:
    """An atlas of our own, uint8 (24, T, T, 3): each part in its colour and a lighter one, chequered, with a rim."""
    at = np.arange(tile) * 6 // tile
    dark = ((at[:, None] + at) % 2).astype(bool)[None, :, :, None]
    colours = COLOURS[1:, None, None].astype(np.float64)
    return np.where(dark, colours, 255 - (255 - colours) * 0.35).astype(np.uint8)


def textured(picture: Image.Image, part: np.ndarray, uv: np.ndarray, atlas: np.ndarray) -> Image.Image:
    """The picture with a texture laid on whom is found, as bright as what was there.

    Args:
        atlas: uint8 (24, T, T, 3), of part 1 first; rows are V, columns U.
    """
    pixels = np.asarray(picture.convert("RGB")).astype(np.float64)
    there, last = part > 0, atlas.shape[1] - 1
    u, v = ((values[there] * last).round().astype(np.int64).clip(0, last) for values in uv)
    colour = atlas[part[there] - 1, v, u].astype(np.float64)
    grey = pixels[there].mean(1, keepdims=True)
    light = (grey / max(1.0, float(grey.mean()) if there.any() else 1.0)).clip(0.6, 1.3)
    pixels[there] = (colour * light).clip(0, 255)
    return Image.fromarray(pixels.round().astype(np.uint8))


def beside(pictures: Sequence[Image.Image], gap: int = 4) -> Image.Image:
    """Pictures of one height beside each other on white."""
    wide = sum(one.width + gap for one in pictures) - gap
    sheet, left = Image.new("RGB", (wide, pictures[0].height), "white"), 0
    for one in pictures:
        sheet.paste(one, (left, 0))
        left += one.width + gap
    return sheet


def below(rows: Sequence[Image.Image], gap: int = 4) -> Image.Image:
    """Pictures of one width below each other on white."""
    sheet, top = Image.new("RGB", (rows[0].width, sum(one.height + gap for one in rows) - gap), "white"), 0
    for one in rows:
        sheet.paste(one, (0, top))
        top += one.height + gap
    return sheet
