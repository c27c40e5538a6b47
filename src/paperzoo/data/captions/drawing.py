"""Shapes and emoji drawn on parts of photographs, at any size."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from paperzoo.data.captions.grammar import OBJECTS, SHAPES, Box, Thing
from paperzoo.data.images.emoji import documents
from paperzoo.data.images.svg import cutout, require_renderer
from paperzoo.errors import PaperzooError

PAINT: dict[str, tuple[int, int, int]] = {
    "red": (214, 32, 36), "yellow": (248, 208, 24), "green": (36, 152, 52), "blue": (28, 84, 210), "purple": (142, 44, 168),
    "black": (20, 20, 22),
}  # fmt: skip
OUTLINE = (40, 40, 44)

#: an object of the grammar -> the code points of its emoji
CODES = {
    "banana": "1f34c", "bell": "1f514", "bus": "1f68c", "butterfly": "1f98b", "cactus": "1f335", "car": "1f697", "fish": "1f41f",
    "key": "1f511", "mushroom": "1f344", "pizza": "1f355", "rocket": "1f680", "snail": "1f40c",
}  # fmt: skip

FINE = 4  # shapes are drawn so many times as large, and shrunk

Point = tuple[float, float]


def _star() -> list[Point]:
    spokes = [(1.0 if k % 2 == 0 else 0.42, math.pi * (k / 5 - 0.5)) for k in range(10)]
    return [(r * math.cos(a), r * math.sin(a)) for r, a in spokes]


def _heart() -> list[Point]:
    turns = [2 * math.pi * k / 60 for k in range(60)]
    return [(16 * math.sin(t) ** 3, -13 * math.cos(t) + 5 * math.cos(2 * t) + 2 * math.cos(3 * t) + math.cos(4 * t)) for t in turns]


def _fitted(points: Sequence[Point]) -> list[Point]:
    """An outline stretched to the unit square."""
    array = np.array(points)
    low, high = array.min(0), array.max(0)
    return [(float(x), float(y)) for x, y in (array - low) / (high - low)]


#: the outline of each shape in the unit square, y downwards
OUTLINES: dict[str, list[Point]] = {
    "circle": _fitted([(math.cos(2 * math.pi * k / 72), math.sin(2 * math.pi * k / 72)) for k in range(72)]),
    "square": [(0, 0), (1, 0), (1, 1), (0, 1)],
    "triangle": [(0.5, 0), (1, 1), (0, 1)],
    "star": _fitted(_star()),
    "heart": _fitted(_heart()),
    "cross": [
        (x / 3, y / 3) for x, y in ((1, 0), (2, 0), (2, 1), (3, 1), (3, 2), (2, 2), (2, 3), (1, 3), (1, 2), (0, 2), (0, 1), (1, 1))
    ],
}


class Artist:
    """Draws things of the grammar.

    Args:
        archives: iconify's packages of emoji; each object is drawn by any of their vendors.
        size: side of the pictures, in pixels.

    Raises:
        PaperzooError: no renderer is installed, or a package is damaged or lacks an emoji.
    """

    def __init__(self, archives: Sequence[Path], size: int) -> None:
        require_renderer()
        self.size, self.vendors = size, len(archives)
        self.cutouts = {noun: [self._cutout(documents(a, [code])[code], size, a, noun) for a in archives] for noun, code in CODES.items()}

    @staticmethod
    def _cutout(svg: str, size: int, archive: Path, noun: str) -> Image.Image:
        try:
            return cutout(svg, 2 * size)
        except ValueError as error:
            raise PaperzooError(f"the {noun} of {archive} cannot be drawn: {error}") from error

    def box(self, noun: str, vendor: int, side: float, x: float, y: float) -> Box:
        """Where a thing lies.

        Args:
            vendor: whose emoji; of a shape any.
            side: the longer side of its box, as a share of the picture's.
            x, y: the box's middle, 0 to 1 from the upper left corner.
        """
        wide, tall = (1, 1) if noun in SHAPES else self.cutouts[noun][vendor].size
        width, height = (max(1, round(side * self.size * length / max(wide, tall))) for length in (wide, tall))
        x0, y0 = round(x * self.size - width / 2), round(y * self.size - height / 2)
        return x0, y0, x0 + width, y0 + height

    def put(self, picture: Image.Image, thing: Thing, vendor: int = 0, shade: tuple[int, int, int] = (0, 0, 0)) -> None:
        """Draws a thing into an RGB picture of ``size`` pixels a side.

        Args:
            vendor: of an object, whose emoji.
            shade: added to a shape's colour.
        """
        x0, y0, x1, y1 = thing.box
        if thing.noun in OBJECTS:
            drawn = self.cutouts[thing.noun][vendor].resize((x1 - x0, y1 - y0), Image.Resampling.BICUBIC)
        else:
            paint = [min(255, max(0, a + b)) for a, b in zip(PAINT[thing.colour], shade, strict=True)]
            drawn = self._shape(thing.noun, x1 - x0, y1 - y0, paint)
        picture.paste(drawn, (x0, y0), drawn)

    def _shape(self, noun: str, width: int, height: int, paint: Sequence[int]) -> Image.Image:
        wide, tall = FINE * width, FINE * height
        drawn = Image.new("RGBA", (wide, tall), (*OUTLINE, 0))
        outline = [(x * (wide - 1), y * (tall - 1)) for x, y in OUTLINES[noun]]
        ImageDraw.Draw(drawn).polygon(outline, fill=(*paint, 255), outline=(*OUTLINE, 255), width=max(FINE, FINE * self.size // 64))
        return drawn.resize((width, height), Image.Resampling.BOX)


class Grounds:
    """Parts of photographs to draw on: slightly blurred, paler and of little contrast, so that what lies on them is seen.

    Args:
        photographs: uint8 (H, W, 3) each.
        size: side of the parts, in pixels.
    """

    def __init__(self, photographs: Sequence[np.ndarray], size: int) -> None:
        assert photographs
        self.size, self.photographs = size, [_short(Image.fromarray(np.asarray(p)), 2 * size) for p in photographs]

    def __call__(self, rng: np.random.Generator) -> Image.Image:
        """A square of one of them, of 0.4 to 1 of its short side, maybe turned left to right; RGB."""
        photograph = self.photographs[int(rng.integers(len(self.photographs)))]
        side = int(rng.uniform(0.4, 1) * min(photograph.size))
        left, top = (int(rng.integers(length - side + 1)) for length in photograph.size)
        part = photograph.resize((self.size, self.size), Image.Resampling.BICUBIC, (left, top, left + side, top + side), 2)
        if rng.integers(2):
            part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        part = part.filter(ImageFilter.GaussianBlur(self.size / 64))
        pixels = np.asarray(part, np.float32)
        grey = pixels.mean(2, keepdims=True)
        pale = 110 + 0.5 * (grey + 0.6 * (pixels - grey))  # 110 to 237.5
        return Image.fromarray(pale.round().clip(0, 255).astype(np.uint8))


def _short(photograph: Image.Image, short: int) -> Image.Image:
    """A photograph with its short side of at most ``short`` pixels, for the parts are no finer than that."""
    by = short / min(photograph.size)
    wide, tall = (max(short, round(by * side)) for side in photograph.size)
    return photograph.resize((wide, tall), Image.Resampling.BICUBIC, reducing_gap=3) if by < 1 else photograph


#: what draws a picture's ground
Ground = Callable[[np.random.Generator], Image.Image]
