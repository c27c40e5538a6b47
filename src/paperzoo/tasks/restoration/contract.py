"""The interface of a super-resolution model, and enlarging photographs with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from annotated_types import Ge, Le
from PIL import Image
from torch import Tensor

from paperzoo.data import Batch
from paperzoo.data.bicubic import enlarge
from paperzoo.errors import PaperzooError
from paperzoo.files import write
from paperzoo.metrics.restoration import luma, rgb, ycbcr
from paperzoo.tasks.images import new_file, read_whole
from paperzoo.tasks.model import Model
from paperzoo.tasks.restoration.task import SuperResolution
from paperzoo.tasks.restoration.tiles import by_tiles, number
from paperzoo.tasks.several import bar, several
from paperzoo.tasks.task import Task
from paperzoo.terminal import plain


@dataclass(frozen=True)
class Restored:
    """One picture, enlarged: ``image``, of the mode (L, LA, RGB or RGBA) that the picture has; ``path``, where it was written, if so."""

    image: Image.Image = field(repr=False)
    scale: int
    path: Path | None = None

    def __str__(self) -> str:
        wide, tall = self.image.size
        where = f"written to {plain(self.path)}" if self.path else "not written: --out FOLDER writes it"
        return f"{wide // self.scale}x{tall // self.scale} pixels enlarged to {wide}x{tall}, {where}"


class SuperResolver(Model):
    """Enlarges photographs. Subclasses define ``restore`` and ``reach``, and set ``scales``; ``channels`` is 1 for a paper that restores
    the luminance alone, whose colours are enlarged by the bicubic kernel, and 3 for one that restores RGB.
    """

    tasks: ClassVar[tuple[Task, ...]] = (SuperResolution(),)
    channels: Literal[1, 3] = 1
    #: by how much it enlarges
    scales: Sequence[int]

    def restore(self, image: Tensor, scale: int) -> Tensor:
        """Images (N, C, h, w) ``scale`` times as large, (N, C, h scale, w scale).

        Args:
            image: RGB in [0, 1] if ``channels`` is 3; if it is 1, Y of BT.601 over 255, in [16/255, 235/255].
            scale: one of ``scales``.
        """
        raise TypeError(f"{type(self).__name__} does not say how it restores")

    def reach(self, scale: int) -> int:
        """How far the receptive field reaches from a pixel, in pixels of the small image."""
        raise TypeError(f"{type(self).__name__} does not say how far it sees")

    def seen(self, image: Tensor) -> Tensor:
        """The channels of RGB images (N, 3, H, W) in [0, 1] that are restored, RGB or luminance: (N, C, H, W)."""
        return luma(image) if self.channels == 1 else image

    def scale_of(self, batch: Batch) -> int:
        """By how much this batch, of one scale, is to be enlarged.

        Raises:
            PaperzooError: it is not among ``scales``.
        """
        scale: int = batch.high.shape[-1] // batch.low.shape[-1]
        return self.known(scale, "the data are photographs shrunk by it")

    def known(self, scale: int, why: str) -> int:
        """The scale, if it is among ``scales``; else ``PaperzooError``."""
        if scale not in self.scales:
            scales = " and ".join(f"x{one}" for one in self.scales)
            raise PaperzooError(f"this {self.name or type(self).__name__} enlarges by {scales}, not by x{scale}: {why}")
        return scale

    def restored(self, image: Tensor, scale: int) -> Tensor:
        """``restore`` in eval mode without gradients, a part of the image after another; float32 on the CPU."""
        return self._in_parts(image, scale, lambda part: self.restore(part, scale).float().cpu())

    def _in_parts(self, image: Tensor, scale: int, change: Any) -> Tensor:
        was_training, device = self.training, next(self.parameters()).device
        self.eval()
        with torch.no_grad():
            out = by_tiles(image, scale, self.reach(scale), lambda part: change(part.to(device)))
        self.train(was_training)
        return out

    def enlarged(self, picture: Image.Image, scale: int) -> Image.Image:
        """A picture of mode L, LA, RGB or RGBA at ``scale`` times its size; its alpha is enlarged by the bicubic kernel.

        Memory is that of both pictures in 8 bits, and of one part. A bar shows how far it is, on a terminal.
        """
        mode, pixels = picture.mode, np.array(picture, ndmin=3)
        pixels = pixels.transpose(1, 2, 0) if mode == "L" else pixels  # (H, W, C); of mode L numpy puts the new dimension first
        colours = 1 if mode in ("L", "LA") else 3

        def change(part: Tensor, done: Callable[[], None]) -> Tensor:
            image = part.float().div_(255)  # (1, C, h, w)
            colour = image[:, :colours].expand(-1, 3, -1, -1)
            if self.channels == 1:
                planes = ycbcr(colour)
                colour = rgb(torch.cat([self.restore(planes[:, :1], scale), enlarge(planes[:, 1:], scale)], 1))
            else:
                colour = self.restore(colour, scale)
            layers = [colour.mean(1, keepdim=True) if colours == 1 else colour, enlarge(image[:, colours:], scale)]
            done()
            return torch.cat(layers, 1).clamp_(0, 1).mul_(255).round_().to(torch.uint8).cpu()

        image = torch.from_numpy(pixels).permute(2, 0, 1)[None]  # (1, C, H, W)
        with bar("enlarging", number(image, scale)) as done:
            large = self._in_parts(image, scale, lambda part: change(part, done))[0]  # (C, H scale, W scale)
        return Image.fromarray(large[0].numpy() if mode == "L" else large.permute(1, 2, 0).contiguous().numpy(), mode)

    def predict(self, input: Any, scale: Annotated[int, Ge(2), Le(4)] | None = None, out: str = "") -> Any:
        """A photograph given as path, PIL image or array, enlarged; of a list of these, a list. Of a folder all pictures are, of an
        animated GIF and a video all frames, one at a time, written under the same names.

        Args:
            scale: by how much to enlarge, where the model was trained for several; default: the least.
            out: the folder to write to; a single photograph as NAME-x2.png. Nothing that is there is replaced.

        Raises:
            PaperzooError: the input is no image, the model does not enlarge by this scale, or the file cannot be written.
        """
        if isinstance(input, list | tuple):
            return [self.predict(one, scale, out) for one in input]
        scale = min(self.scales) if scale is None else self.known(scale, "it was not trained for it")
        if results := several(input, out, lambda picture: self.enlarged(picture, scale), "enlarging"):
            return results
        path = new_file(input, f"-x{scale}.png", out)
        image = self.enlarged(read_whole(input), scale)
        if path:
            write(path, lambda file: image.save(file, format="PNG"))
        return Restored(image, scale, path)
