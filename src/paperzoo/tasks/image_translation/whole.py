"""Pictures of any size: reflected at their borders up to what the network takes, and in tiles where they are large."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from paperzoo.tasks.image_translation.contract import ImageTranslator

#: pixels that are translated at once, for which the widest network here takes about 1.5 GB; the side of the tiles that a larger picture
#: is cut into, or the multiple of the network's below it; and by how much neighbours overlap
WHOLE, TILE, OVERLAP = 2**20, 512, 128


def whole(model: ImageTranslator, pixels: Tensor, to: str, seed: int = 0) -> Tensor:
    """A picture uint8 (C, H, W) of any size, translated: uint8 (C, H, W).

    It is reflected at its borders, evenly on both sides, until its sides are what the network takes, and cut back. One of more than
    ``WHOLE`` pixels is translated in tiles, blended where they overlap. A network that normalises by a picture's own mean and
    deviation then takes those of the tile, so that the tones of tiles differ a little.
    """
    height, width = pixels.shape[1:]
    rows, columns = reflected(height, model.multiple, model.least), reflected(width, model.multiple, model.least)
    padded = pixels[:, rows][:, :, columns]  # (C, H', W')
    top, left = (len(rows) - height) // 2, (len(columns) - width) // 2
    inside = (slice(None), slice(top, top + height), slice(left, left + width))
    if len(rows) * len(columns) <= WHOLE:
        return _bytes(_once(model, padded, to, seed))[inside]
    side = max(1, TILE // model.multiple) * model.multiple
    total, weight = torch.zeros(padded.shape), torch.zeros(padded.shape[1:])
    for down, one in _tiles(len(rows), side):
        for across, other in _tiles(len(columns), side):
            share = one[:, None] * other  # (h, w)
            total[:, down, across] += _once(model, padded[:, down, across], to, seed) * share
            weight[down, across] += share
    return _bytes(total.div_(weight))[inside]


def reflected(side: int, multiple: int, least: int) -> np.ndarray:
    """Which rows of a picture stand in the padded one; int64, as many as the next multiple, the border itself not repeated."""
    missing = -(-max(side, least) // multiple) * multiple - side
    before = missing // 2
    return np.pad(np.arange(side), (before, missing - before), "reflect")


def _tiles(side: int, tile: int) -> list[tuple[slice, Tensor]]:
    """Where tiles lie along one side, evenly spread, and the weight of each of their rows, which falls towards both ends."""
    tile = min(tile, side)
    number = 1 if tile == side else -(-(side - OVERLAP) // (tile - OVERLAP))
    place = torch.arange(tile)
    ramp = (torch.minimum(place, place.flip(0)) + 1).clamp(max=OVERLAP) / OVERLAP
    starts = np.linspace(0, side - tile, number).round().astype(int)
    return [(slice(start, start + tile), ramp) for start in starts.tolist()]


def _once(model: ImageTranslator, pixels: Tensor, to: str, seed: int) -> Tensor:
    return model.translated(pixels[None].float().div_(255), to, seed)[0]


def _bytes(image: Tensor) -> Tensor:
    return image.clamp(0, 1).mul_(255).round_().to(torch.uint8)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Within it torch's chance is that of ``seed``; afterwards it is as if nothing had been drawn."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
