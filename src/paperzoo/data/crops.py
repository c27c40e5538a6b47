"""Columns of photographs of any size: squares cut out of them, or pairs of low and high resolution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor

from paperzoo.data.bicubic import REACH, eight_bits, imresize, mirrored, shrink
from paperzoo.data.dataset import Column
from paperzoo.errors import PaperzooError


class Photographs:
    """Photographs of different sizes, (H, W, 3) each, one behind the other in one array, of which only what is asked for is read.

    Args:
        pixels: uint8, flat.
        sides: int64 (M, 2), height and width of each.
        starts: int64 (M), where in ``pixels`` each begins; default: where the one before it ends.
    """

    def __init__(self, pixels: np.ndarray, sides: np.ndarray, starts: np.ndarray | None = None) -> None:
        assert pixels.dtype == np.uint8 and pixels.ndim == 1 and sides.shape == (len(sides), 2)
        lengths = 3 * sides.prod(1, dtype=np.int64)
        self.pixels, self.sides = pixels, np.asarray(sides, np.int64)
        self.starts = np.cumsum(lengths) - lengths if starts is None else starts

    def __len__(self) -> int:
        return len(self.sides)

    def __getitem__(self, number: int) -> np.ndarray:
        """One picture, uint8 (H, W, 3)."""
        (height, width), start = self.sides[number], self.starts[number]
        return self.pixels[start : start + 3 * height * width].reshape(height, width, 3)

    def window(self, number: int, top: int, left: int, height: int, width: int, ends: tuple[int, int] | None = None) -> np.ndarray:
        """A part of one of them, uint8 (height, width, 3), which goes on mirrored beyond its border.

        Args:
            ends: height and width at which the photograph ends; default: its own.
        """
        tall, wide = ends or tuple(self.sides[number])
        image = self[number]
        if top >= 0 and left >= 0 and top + height <= tall and left + width <= wide:
            return image[top : top + height, left : left + width]
        rows, columns = mirrored(np.arange(top, top + height), tall), mirrored(np.arange(left, left + width), wide)
        mirror: np.ndarray = image[rows[:, None], columns]
        return mirror

    def some(self, numbers: np.ndarray) -> Photographs:
        """The photographs with these numbers."""
        return Photographs(self.pixels, self.sides[numbers], self.starts[numbers])

    def at_least(self, side: int) -> Photographs:
        """The photographs both of whose sides are at least so long."""
        return self.some(np.flatnonzero(self.sides.min(1) >= side)) if len(self) else self

    def join(self, other: Photographs) -> Photographs:
        """These and others of the same array."""
        if other.pixels is not self.pixels:
            raise PaperzooError("photographs of two different sets are not joined")
        return Photographs(self.pixels, np.concatenate([self.sides, other.sides]), np.concatenate([self.starts, other.starts]))


class Squares:
    """``image``, float32 (N, 3, S, S) in [0, 1]: a square of each photograph at a random place, or all squares of a grid.

    Chance comes from torch's default generator. The grid lies in the middle of each photograph, and its squares touch.

    Args:
        photographs: those that are smaller than a square are left out.
        random: an item is a photograph; else it is a square.
    """

    def __init__(self, photographs: Photographs, side: int, random: bool) -> None:
        self.all, self.side, self.random = photographs, side, random
        self.photographs = photographs.at_least(side)
        self.grid = np.array([(n, *corner) for n in range(len(self.photographs)) for corner in self._corners(n)], np.int64).reshape(-1, 3)

    def _corners(self, number: int) -> Iterator[tuple[int, int]]:
        (down, across), (tall, wide) = self.photographs.sides[number] // self.side, self.photographs.sides[number]
        top, left = (tall - down * self.side) // 2, (wide - across * self.side) // 2
        return ((top + i * self.side, left + j * self.side) for i in range(down) for j in range(across))

    def __len__(self) -> int:
        return len(self.photographs) if self.random else len(self.grid)

    def take(self, indices: np.ndarray) -> dict[str, Any]:
        if self.random:
            corners = anywhere(self.photographs.sides[indices] - self.side + 1)
            plan = np.concatenate([indices[:, None], corners], 1)  # (N, 3)
        else:
            plan = self.grid[indices]
        windows = [self.photographs.window(n, top, left, self.side, self.side) for n, top, left in plan]
        return {"image": as_images(windows)}

    def to(self, device: torch.device) -> Squares:
        """The column itself: it is cut on the host."""
        return self

    def join(self, other: Column) -> Squares:
        assert isinstance(other, Squares) and other.side == self.side
        return Squares(self.all.join(other.all), self.side, self.random)


class Pairs:
    """Photographs at low and at high resolution: ``low`` (N, 3, h, w), ``high`` (N, 3, h s, w s), ``scale`` s (N) and ``size`` (N, 2).

    ``high`` is cut so that s divides its sides (from its upper left corner), and shrunk by MATLAB's bicubic, rounded to 8 bits: see
    ``paperzoo.data.bicubic``. With a ``patch``, as in training, both are squares from a random place, the same in both: ``low`` is a
    part of the whole photograph shrunk, near the photograph's border too. All of a batch then have one scale, drawn anew for each
    batch. Without, an item is a whole photograph at one scale; where several are taken at once, the smaller ones have black pixels to
    the right and below, and ``size`` says how high and wide each is in ``high``.

    Args:
        scales: how much smaller ``low`` is.
        patch: side of ``high``; all scales must divide it. Photographs that are smaller are left out.

    Raises:
        PaperzooError: a scale does not divide the patch.
    """

    def __init__(self, photographs: Photographs, scales: Sequence[int], patch: int | None = None) -> None:
        if patch and (odd := [s for s in scales if patch % s]):
            side = patch - patch % odd[0] or odd[0]
            raise PaperzooError(f"squares of {patch}x{patch} cannot be shrunk by {odd[0]}: {side}x{side} can")
        self.all, self.scales, self.patch = photographs, tuple(scales), patch
        self.photographs = photographs.at_least(patch or max(scales))

    def __len__(self) -> int:
        return len(self.photographs) if self.patch else len(self.photographs) * len(self.scales)

    def take(self, indices: np.ndarray) -> dict[str, Any]:
        if self.patch:
            return self._patches(indices, self.scales[int(torch.randint(len(self.scales), ()))])
        numbers, which = np.divmod(indices, len(self.scales))
        scale = np.array(self.scales)[which]
        size = self.photographs.sides[numbers] - self.photographs.sides[numbers] % scale[:, None]  # (N, 2)
        high = torch.zeros(len(indices), 3, *size.max(0, initial=0))
        low = torch.zeros(len(indices), 3, *(size // scale[:, None]).max(0, initial=0))
        for row, (number, s, (tall, wide)) in enumerate(zip(numbers, scale.tolist(), size, strict=True)):
            whole = as_images([self.photographs[number][:tall, :wide]])
            high[row, :, :tall, :wide] = whole[0]
            low[row, :, : tall // s, : wide // s] = shrink(whole, s)[0]
        return {"low": low, "high": high, "scale": torch.from_numpy(scale), "size": torch.from_numpy(size)}

    def _patches(self, indices: np.ndarray, scale: int) -> dict[str, Any]:
        assert self.patch
        inside = self.photographs.sides[indices] // scale  # (N, 2) as the whole photograph has it at low resolution
        corner = scale * anywhere(inside - self.patch // scale + 1)
        around = REACH * scale  # what the kernel sees beyond the square
        side = self.patch + 2 * around
        windows = [
            self.photographs.window(n, top - around, left - around, side, side, (scale * tall, scale * wide))
            for n, (top, left), (tall, wide) in zip(indices, corner, inside, strict=True)
        ]
        wide = as_images(windows)
        low = eight_bits(imresize(wide, Fraction(1, scale)))[..., REACH:-REACH, REACH:-REACH]
        number = len(indices)
        return {
            "low": low,
            "high": wide[..., around:-around, around:-around],
            "scale": torch.full((number,), scale),
            "size": torch.full((number, 2), self.patch),
        }

    def to(self, device: torch.device) -> Pairs:
        """The column itself: it is cut and shrunk on the host."""
        return self

    def join(self, other: Column) -> Pairs:
        assert isinstance(other, Pairs) and other.scales == self.scales
        return Pairs(self.all.join(other.all), self.scales, self.patch)


def anywhere(places: np.ndarray) -> np.ndarray:
    """Whole numbers (N, 2) from 0 up to ``places`` (N, 2) without it, from torch's default generator."""
    share = torch.rand(*places.shape, dtype=torch.float64).numpy()
    corners: np.ndarray = np.minimum((share * places).astype(np.int64), places - 1)
    return corners


def as_images(windows: Sequence[np.ndarray]) -> Tensor:
    """Windows uint8 (H, W, 3) as float32 (N, 3, H, W) in [0, 1]."""
    stacked = torch.from_numpy(np.stack(windows)) if windows else torch.zeros(0, 1, 1, 3)
    return stacked.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format).div_(255)
