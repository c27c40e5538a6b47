"""Pictures reduced to their edges: black lines on white."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

#: a pixel is part of a line where Pillow's FIND_EDGES, of the strongest channel, is above this, of 255
STRENGTH = 64


def edges(image: np.ndarray, smooth: float = 0.0, strength: int = STRENGTH) -> np.ndarray:
    """Edges of an image uint8 (3, H, W): 0 on a line, 255 elsewhere, the same in three channels; uint8 (3, H, W).

    Pillow's ``FIND_EDGES``, which is eight times a pixel less its eight neighbours, cut off at 0 and 255, in whole numbers: every
    processor draws the same lines. It is 0 where a surface is even or shaded evenly, and does not tell how strong an edge is beyond
    ``strength``, so that little of the colours shows.

    Args:
        smooth: radius in pixels of the blur before; photographs need some.
    """
    padded = Image.fromarray(np.pad(image, ((0, 0), (2, 2), (2, 2)), "edge").transpose(1, 2, 0))  # Pillow leaves the border as it is
    if smooth:
        padded = padded.filter(ImageFilter.GaussianBlur(smooth))
    response = np.asarray(padded.filter(ImageFilter.FIND_EDGES))[2:-2, 2:-2].max(2)  # (H, W)
    return np.repeat(np.where(response > strength, 0, 255).astype(np.uint8)[None], 3, 0)
