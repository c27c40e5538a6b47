"""Coloured shapes that move across or down, made by formula: the data of MoCoGAN's section 4 (Tulyakov et al. 2017), made again."""

from __future__ import annotations

import colorsys

import numpy as np
import torch

from paperzoo.data.dataset import Dataset, Schema, Split, Values
from paperzoo.data.video.videos import Reel, Videos
from paperzoo.errors import PaperzooError

#: the motions by label, and the shapes by ``content``
WAYS, SHAPES = ("horizontal", "vertical"), ("circle", "square")

#: clips by split; 4,000 in the paper
ITEMS = {"train": 4_000, "validation": 500, "test": 500}

#: the least side at which a shape keeps its form
LEAST = 16


def bezier(points: np.ndarray, frames: int) -> np.ndarray:
    """Points of the curve with control points (4, D), at ``frames`` equal steps of its parameter from 0 to 1: (frames, D)."""
    t = np.linspace(0, 1, frames)[:, None]
    weights = np.concatenate([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3], 1)  # (T, 4)
    curve: np.ndarray = weights @ points
    return curve


def covered(shape: str, centre: np.ndarray, radius: float, size: int) -> np.ndarray:
    """How much of each pixel a shape covers in each frame, in [0, 1]: (T, size, size).

    Args:
        centre: across and down, in pixels from the left upper corner: (T, 2).
        radius: of the circle, half the side of the square.
    """
    pixel = np.arange(size) + 0.5
    across, down = (abs(pixel - centre[:, axis, None]) for axis in (0, 1))  # (T, size)
    if shape == "square":  # exact: the part of the pixel's side within the square's
        inside = [np.clip(radius + 0.5 - apart, 0, 1) for apart in (across, down)]
        both: np.ndarray = inside[1][:, :, None] * inside[0][:, None]
        return both
    disc: np.ndarray = np.clip(radius + 0.5 - np.hypot(across[:, None], down[:, :, None]), 0, 1)
    return disc


class Travelling:
    """A video that is made when it is asked for: a pure function of its split's number, its own, its motion and its shape.

    The shape goes from near one side to near the other along a cubic Bezier curve, always onward, now fast and now slow, and
    sways a little across. Colour, size and shape are the same in all frames, and all of it is always within the picture.
    """

    def __init__(self, split: int, index: int, way: int, shape: int, frames: int, size: int) -> None:
        self.split, self.index, self.way, self.shape, self.frames, self.size = split, index, way, shape, frames, size

    def __len__(self) -> int:
        return self.frames

    def drawn(self) -> tuple[np.ndarray, float, np.ndarray]:
        """Centres (T, 2) and radius in pixels, and the colour (3) in [0, 1]."""
        random = np.random.Generator(np.random.Philox(key=[self.split, self.index]))
        radius = self.size * random.uniform(0.1, 0.2)
        colour = colorsys.hsv_to_rgb(random.random(), random.uniform(0.5, 1), random.uniform(0.7, 1))
        low, high = radius + 0.5, self.size - radius - 0.5  # where centres may be
        start, first, second, end = random.uniform([0, 0, 0, 0.85], [0.15, 1, 1, 1])
        along = low + (high - low) * np.array([start, *np.clip(sorted((first, second)), start, end), end])  # never back
        sway = random.uniform(0.15, 0.85) + random.uniform(-0.15, 0.15, 4)
        across = low + (high - low) * sway
        path = bezier(np.stack([along, across] if self.way == 0 else [across, along], 1), self.frames)
        return path, radius, np.array(colour)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Frames ``start`` to ``stop`` without the last, uint8 (T, 3, size, size)."""
        path, radius, colour = self.drawn()
        mask = covered(SHAPES[self.shape], path[start:stop], radius, self.size)  # (T, H, W)
        video: np.ndarray = (255 * mask[:, None] * colour[:, None, None]).round().astype(np.uint8)
        return video


def shape_motion(image_size: int = 64, frames: int = 16) -> Dataset:
    """Circles and squares of any size and colour on black that go from left to right or from top to bottom: see ``Travelling``.

    ``label`` is the motion (``WAYS``), ``content`` the shape (``SHAPES``); all four kinds are equally frequent.

    Raises:
        PaperzooError: ``image_size`` is too small to tell shapes apart.
    """
    if image_size < LEAST:
        raise PaperzooError(f"image_size of shape-motion must be at least {LEAST}, not {image_size}")
    splits = {}
    for number, (name, count) in enumerate(ITEMS.items()):
        label, content = np.arange(count) % 2, np.arange(count) // 2 % 2
        kinds = enumerate(zip(label.tolist(), content.tolist(), strict=True))
        reels: list[Reel] = [Travelling(number, i, way, shape, frames, image_size) for i, (way, shape) in kinds]
        splits[name] = Split(
            Videos(reels, image_size, frames),
            Values("label", torch.from_numpy(label)),
            Values("content", torch.from_numpy(content)),
        )
    arguments = {"channels": 3, "image_size": image_size, "classes": len(WAYS), "frames": frames}
    schema = Schema("shape-motion", ("video", "label", "content"), arguments, WAYS)
    return Dataset(schema, splits, "MIT", "made by formula, after section 4 of arXiv 1707.04993")
