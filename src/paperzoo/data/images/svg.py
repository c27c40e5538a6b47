"""Drawings as pixels: SVG text in, arrays out."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from paperzoo.errors import PaperzooError


def require_renderer() -> None:
    """Raises ``PaperzooError`` naming the extra, before anything is fetched or read, if SVG cannot be drawn here."""
    try:
        import resvg_py  # noqa: F401
    except ImportError as error:
        raise PaperzooError('drawings are rendered by resvg: pip install "paperzoo[svg]"') from error


def cutout(svg: str, size: int) -> Image.Image:
    """What a drawing shows, without the empty border around it: RGBA, clear where nothing is drawn.

    Args:
        svg: as of ``render``.
        size: of the square that the whole drawing is fitted into.

    Raises:
        ValueError: it is no SVG, has no extent, or shows nothing.
    """
    import resvg_py

    drawn = resvg_py.svg_to_bytes(svg_string=svg, width=size, height=size, skip_system_fonts=True)
    with Image.open(io.BytesIO(drawn)) as opened:
        image = opened.convert("RGBA")
    box = image.getchannel("A").getbbox()
    if box is None:
        raise ValueError("the drawing shows nothing")
    return image.crop(box)


def render(svg: str, size: int, background: str = "white") -> np.ndarray:
    """A drawing, fitted into a square and centred on plain ``background``; uint8 (3, size, size).

    Args:
        svg: text of an SVG document without links to other files.

    Raises:
        ValueError: it is no SVG, or has no extent.
    """
    import resvg_py

    drawn = resvg_py.svg_to_bytes(svg_string=svg, width=size, height=size, background=background, skip_system_fonts=True)
    with Image.open(io.BytesIO(drawn)) as opened:
        image = opened.convert("RGB")
    if image.size != (size, size):  # not a square: it was fitted into one, and is put in its middle
        ground = Image.new("RGB", (size, size), background)
        ground.paste(image, ((size - image.width) // 2, (size - image.height) // 2))
        image = ground
    return np.array(image).transpose(2, 0, 1)  # (H, W, C) -> (C, H, W)
