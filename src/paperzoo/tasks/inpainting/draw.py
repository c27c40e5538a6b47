"""Images with a hole, and what fills it: the biharmonic surface, the model, and what was there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from paperzoo.data import Dataset
from paperzoo.data.change.holes import punched
from paperzoo.tasks.generation import spread
from paperzoo.tasks.inpainting.measure import trial
from paperzoo.tasks.pictures import compact, grid, save

if TYPE_CHECKING:
    from paperzoo.tasks.inpainting.contract import InPainter

#: images in the picture, in two columns of rows, and the least side at which each is shown
SHOWN, SIDE = 12, 128
_GAP, _LINE = 4, 16


def images(model: InPainter, dataset: Dataset, split: str, folder: Path, stem: str) -> Path:
    """Twelve held-out images, a row of four panels each: with its hole in white, with the biharmonic surface, with what the model fills
    in, and as it was; below the panels the PSNR in the hole."""
    tried = trial(model, dataset, split, spread(len(dataset[split]), SHOWN))
    errors, white = tried.errors(), tried.original.new_ones(tried.original.shape[1])
    panels = {
        "with a hole": (punched(tried.original, tried.hole, white), None),
        "biharmonic": (tried.filled["biharmonic"], errors["biharmonic"].psnr),
        "filled": (tried.filled[""], errors[""].psnr),
        "original": (tried.original, None),
    }
    rows = [_row({name: (images[i], None if psnr is None else float(psnr[i])) for name, (images, psnr) in panels.items()})
            for i in range(len(tried.original))]  # fmt: skip
    wide, tall, half = rows[0].width, rows[0].height, -(-len(rows) // 2)
    sheet = Image.new("RGB", (2 * wide + 3 * _GAP if len(rows) > 1 else wide, half * tall), "white")
    for number, row in enumerate(rows):
        sheet.paste(row, (number // half * (wide + 3 * _GAP), number % half * tall))
    return save(compact(sheet), folder / f"{stem}-filled.png")


def _row(panels: dict[str, tuple[Tensor, float | None]]) -> Image.Image:
    side = next(iter(panels.values()))[0].shape[-1]
    times = max(1, SIDE // side)
    row = Image.new("RGB", (len(panels) * (side * times + _GAP), side * times + _LINE + _GAP), "white")
    pen, font = ImageDraw.Draw(row), ImageFont.load_default(11)
    for place, (name, (image, psnr)) in enumerate(panels.items()):
        across = place * (side * times + _GAP)
        row.paste(grid(image[None], 1, times), (across, 0))
        pen.text((across, side * times + 1), name if psnr is None else f"{name}: {psnr:.1f} dB", "black", font)
    return row
