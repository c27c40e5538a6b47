"""Where a model looked for each word, as in figure 2 of Xu et al. 2015."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: small pictures in a row; the least that is left of a place that is not looked at
COLUMNS, DARK = 7, 0.25


def lit(image: Tensor, attention: Tensor) -> Tensor:
    """The picture (C, H, W) in [0, 1] for each word, (T, C, H, W): bright where it was looked at, attention (T, h, w) being smoothed.

    The brightest place of each map is as bright as the picture.
    """
    smooth = F.interpolate(attention[:, None], image.shape[1:], mode="bicubic", align_corners=False).clamp(min=0)  # (T, 1, H, W)
    share = smooth / smooth.amax((2, 3), keepdim=True).clamp(min=1e-12)
    return image * (DARK + (1 - DARK) * share)


def maps(image: Tensor, words: Sequence[str], attention: Tensor) -> Figure:
    """The picture, then for each word where the model looked.

    Args:
        image: (C, H, W) in [0, 1]; attention: (words, h, w).
    """
    from matplotlib.figure import Figure

    pictures = [image, *lit(image, attention)] if len(words) else [image]
    rows = -(-len(pictures) // COLUMNS)
    columns = min(COLUMNS, len(pictures))
    figure = Figure(figsize=(1.4 * columns, 1.6 * rows), layout="constrained")
    for place, axes in enumerate(figure.subplots(rows, columns, squeeze=False).ravel()):
        axes.set_axis_off()
        if place < len(pictures):
            shown = pictures[place].permute(1, 2, 0).clamp(0, 1)  # (H, W, C)
            axes.imshow(shown[..., 0] if shown.shape[2] == 1 else shown, cmap="gray", vmin=0, vmax=1)
            axes.set_title(words[place - 1].replace("$", r"\$") if place else "", fontsize=9)
    return figure


def mass(attention: Tensor, box: Sequence[float], size: tuple[int, int]) -> tuple[float, float]:
    """The share of a map's attention that lies in a box, and that of the picture's area which it covers.

    Args:
        attention: (h, w), spread evenly within each place.
        box: x0, y0, x1, y1 in pixels of a picture whose height and width are ``size``.
    """
    x0, y0, x1, y1 = box
    rows, columns = (_covered(low, high, side, places) for low, high, side, places in zip(
        (y0, x0), (y1, x1), size, attention.shape, strict=True
    ))  # fmt: skip
    inside = float((attention * (rows[:, None] * columns)).sum() / attention.sum())
    return inside, float(rows.mean() * columns.mean())


def _covered(low: float, high: float, side: int, places: int) -> Tensor:
    """The share of each of ``places`` equal parts of a side that lies between two of its pixels."""
    edges = torch.linspace(0, side, places + 1)
    return (edges[1:].clamp(max=high) - edges[:-1].clamp(min=low)).clamp(min=0) / (side / places)
