"""The interface of an in-painting model, and filling holes in photographs with it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from paperzoo.data.bicubic import mirrored
from paperzoo.data.change.holes import punched, read_mask
from paperzoo.errors import PaperzooError
from paperzoo.files import ordinary, write
from paperzoo.tasks.images import new_file, read_whole
from paperzoo.tasks.inpainting.task import Inpainting
from paperzoo.tasks.model import Model
from paperzoo.tasks.several import several
from paperzoo.tasks.task import Task
from paperzoo.terminal import plain


@dataclass(frozen=True)
class Inpainted:
    """A picture whose hole is filled: ``image``, of the mode (L, LA, RGB or RGBA) that the picture has; ``missing``, the share of its
    pixels that the hole had; ``path``, where it was written, if so."""

    image: Image.Image = field(repr=False)
    missing: float
    path: Path | None = None

    def __str__(self) -> str:
        wide, tall = self.image.size
        where = f"written to {plain(self.path)}" if self.path else "not written: --out FOLDER writes it"
        return f"{wide}x{tall} pixels, {100 * self.missing:.3g} % of them filled in, {where}"


class InPainter(Model):
    """Fills holes in images (N, C, S, S) in [0, 1]. Subclasses define ``holes`` and ``paint``.

    Attributes:
        channels, image_size: of the images.
        fill: (C) in [0, 1], the colour that the network finds in a hole; a buffer.
        middle: the side of the square in the middle that it fills, and none but it; 0 if it fills holes of any shape anywhere.
    """

    tasks: ClassVar[tuple[Task, ...]] = (Inpainting(),)
    channels: int
    image_size: int
    fill: Tensor
    middle: int = 0

    def holes(self, number: int, generator: torch.Generator | None = None) -> Tensor:
        """Holes as it is trained on, float32 (N, 1, S, S) on the CPU, 1 where pixels are missing; chance is torch's own by default."""
        raise TypeError(f"{type(self).__name__} does not say which holes it is trained on")

    def paint(self, image: Tensor, hole: Tensor) -> Tensor:
        """The predicted content of the holes (N, 1, S, S) of images (N, C, S, S), which have ``fill`` there: (N, C, S, S) in [0, 1].

        What it says of pixels outside the holes is not used.
        """
        raise TypeError(f"{type(self).__name__} does not say how it paints")

    def filled(self, image: Tensor, hole: Tensor) -> Tensor:
        """Images whose holes are filled, in eval mode without gradients; float32 (N, C, S, S) on the CPU. Known pixels stay as they are.

        What the images have in their holes changes nothing.
        """
        was_training, device = self.training, next(self.parameters()).device
        self.eval()
        parts = []
        with torch.no_grad():
            for pixels, missing in zip(torch.split(image, 32), torch.split(hole, 32), strict=True):
                pixels, missing = pixels.to(device), missing.to(device)
                painted = self.paint(punched(pixels, missing, self.fill), missing).float().clamp(0, 1)
                parts.append(torch.where(missing > 0, painted, pixels).cpu())
        self.train(was_training)
        return torch.cat(parts)

    def repaired(self, picture: Image.Image, hole: Tensor) -> Image.Image:
        """A picture of mode L, LA, RGB or RGBA, of any size, whose hole (1, 1, H, W) is filled. Its known pixels and its alpha stay.

        The network sees a square of the picture around the hole, resized to the side that it was trained at; what it fills in is resized
        back, so that a large hole is filled by something coarse. Where the square reaches beyond the picture, that goes on mirrored. Of
        a model that fills the middle alone the middle covers the whole hole, and known pixels of the middle are unknown to it. Several
        holes are seen in one square.
        """
        array = np.array(picture, ndmin=3)
        array = array.transpose(1, 2, 0) if picture.mode == "L" else array  # (H, W, C); of mode L numpy puts the new dimension first
        colours, (tall, wide) = 1 if picture.mode in ("L", "LA") else 3, array.shape[:2]
        top, left, side = window(hole, self.image_size, self.middle)
        rows, columns = (mirrored(np.arange(at, at + side), length) for at, length in ((top, tall), (left, wide)))
        pixels = torch.from_numpy(array[rows[:, None], columns, :colours]).permute(2, 0, 1)[None].float().div_(255)
        missing = hole[..., rows, :][..., columns]  # (1, 1, side, side)
        # nothing of the hole may be left when a resized pixel is made of several
        pixels = pixels.mean(1, keepdim=True) if self.channels == 1 else pixels.expand(-1, self.channels, -1, -1)
        punched_square = resized(punched(pixels, missing, self.fill.cpu()), self.image_size)
        where = self.holes(1) if self.middle else F.adaptive_max_pool2d(missing, self.image_size)
        painted = resized(self.filled(punched_square, where), side)  # (1, C, side, side)
        painted = painted.mean(1, keepdim=True) if colours == 1 else painted.expand(-1, colours, -1, -1)
        values = painted[0].permute(1, 2, 0).mul(255).round().to(torch.uint8).numpy()  # (side, side, C)
        y, x = slice(max(top, 0), min(top + side, tall)), slice(max(left, 0), min(left + side, wide))
        inside, out = hole[0, 0, y, x].numpy() > 0, array.copy()
        out[y, x, :colours][inside] = values[y.start - top : y.stop - top, x.start - left : x.stop - left][inside]
        return Image.fromarray(out[..., 0] if picture.mode == "L" else out, picture.mode)

    def predict(self, input: Any, mask: str | Image.Image = "", out: str = "") -> Any:
        """A photograph of any size, given as path, PIL image or array, with its hole filled; of a list of these, a list. Of a folder all
        pictures are filled, of an animated GIF and a video all frames, one at a time, with one mask, and written under the same names.

        Args:
            mask: a picture of the same size, white where something is missing; default: the middle is.
            out: the folder to write to; a single photograph as NAME-filled.png. Nothing that is there is replaced.

        Raises:
            PaperzooError: the input is no image; the mask is none, has another size, or is black or white all over; or the file cannot
                be written.
        """
        if isinstance(input, list | tuple):
            return [self.predict(one, mask, out) for one in input]

        @lru_cache(maxsize=1)  # frames are all of one size
        def hole_of(wide: int, tall: int) -> Tensor:
            if isinstance(mask, str | os.PathLike) and not os.fspath(mask):
                return self.usual(tall, wide)
            source = ordinary(os.fspath(mask), "mask") if isinstance(mask, str | os.PathLike) else mask
            return read_mask(source if isinstance(source, Path | Image.Image) else read_whole(source), tall, wide)

        if results := several(input, out, lambda picture: self.repaired(picture, hole_of(*picture.size)), "filling"):
            return results
        path = new_file(input, "-filled.png", out)
        picture = read_whole(input)
        hole = hole_of(*picture.size)
        image = self.repaired(picture, hole)
        if path:
            write(path, lambda file: image.save(file, format="PNG"))
        return Inpainted(image, float(hole.mean()), path)

    def usual(self, height: int, width: int) -> Tensor:
        """The hole of a picture for which no mask is given: a square in the middle, as large as the shorter side allows, at most half of
        it; float32 (1, 1, H, W)."""
        short = min(height, width)
        side = max(1, covered(short, self.image_size, self.middle) if self.middle else short // 2)
        if side >= max(height, width):
            raise PaperzooError(f"a picture of {width}x{height} pixels is too small for a hole with something around it")
        mask, top, left = torch.zeros(1, 1, height, width), (height - side) // 2, (width - side) // 2
        mask[..., top : top + side, left : left + side] = 1
        return mask


def window(hole: Tensor, size: int, middle: int) -> tuple[int, int, int]:
    """Top, left and side of the square of a picture that is shown to a network in order to fill a hole (1, 1, H, W).

    It is as large as what the network was trained on, or as the picture's shorter side, where that is less, unless the hole needs a
    larger one.

    Args:
        size: side of the images that the network was trained on.
        middle: side of the middle of such an image where the hole must lie; 0 if it may lie anywhere. Then the square lies within the
            picture, if it can, and the hole takes half of its side at most, where the picture is large enough.
    """
    tall, wide = hole.shape[2:]
    spans = [(int(at.min()), int(at.max()) + 1) for at in (hole[0, 0].any(axis).nonzero()[:, 0] for axis in (1, 0))]
    longest = max(end - start for start, end in spans)
    side = min(size, tall, wide)
    if middle:
        while covered(side, size, middle) < longest:
            side += 1
    else:
        side = max(side, min(2 * longest, tall, wide), longest)
    corners = []
    for (start, end), length in zip(spans, (tall, wide), strict=True):
        at = (start + end - side) // 2
        corners.append(at if middle or side > length else min(max(at, 0), length - side))
    return corners[0], corners[1], side


def covered(side: int, size: int, middle: int) -> int:
    """The longest hole that the middle of a square of ``side`` pixels covers when it is resized to ``size``."""
    return middle if side == size else side * middle // size - 2  # a pixel on either side is only partly the middle's


def resized(image: Tensor, side: int) -> Tensor:
    """Images (N, C, S, S) in [0, 1] at another side, by an antialiased bicubic kernel, cut to [0, 1]; of the same side as they are."""
    if image.shape[-1] == side:
        return image
    return F.interpolate(image, (side, side), mode="bicubic", antialias=True).clamp(0, 1)
