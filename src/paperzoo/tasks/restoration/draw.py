"""Photographs beside what was made of them: the bicubic kernel, the model, the original, of each the part with most detail; spectra."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from paperzoo.data import Dataset
from paperzoo.data.bicubic import enlarge, imresize
from paperzoo.metrics.restoration import luma, measured, rgb, ycbcr
from paperzoo.metrics.spectrum import radial_power
from paperzoo.tasks.generation import spread
from paperzoo.tasks.pictures import compact, grid, save, slider
from paperzoo.tasks.restoration.measure import Trial, trials

if TYPE_CHECKING:
    from paperzoo.tasks.restoration.contract import SuperResolver

#: photographs in the picture, side of the part that is shown enlarged, and how much that is enlarged; side of what lies under the slider
SHOWN, DETAIL, TIMES, UNDER = 3, 64, 3, 256
_GAP, _LINE = 6, 16


def draw(model: SuperResolver, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
    """Three photographs, their power spectra, and for the report a part of the first under a slider."""
    items = spread(len(dataset[split]), SHOWN)
    tried, small = list(trials(model, dataset, split, items)), _small(dataset, split, items)
    pictures = [photographs(tried, small, folder / f"{stem}-restored.png"), spectra(tried, folder / f"{stem}-spectrum.png")]
    return [*pictures, _slider(tried[0], small[0], folder / f"{stem}-slider.html")]


def photographs(tried: Sequence[Trial], small: Sequence[Tensor], path: Path) -> Path:
    """Photographs, a row each: the original with a frame around the part of 64x64 pixels with most detail, then that part as the
    bicubic kernel, the model and the original have it, with PSNR and SSIM of the whole photograph below."""
    rows = [_row(one, low) for one, low in zip(tried, small, strict=True)]
    sheet = Image.new("RGB", (max(row.width for row in rows), sum(row.height for row in rows)), "white")
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    return save(compact(sheet), path)


def spectra(tried: Sequence[Trial], path: Path) -> Path:
    """The radial power spectra of the same photographs, one panel each; right of the dotted line is what the small one cannot hold."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.2 * len(tried), 2.6), layout="constrained")
    for one, axes in zip(tried, figure.subplots(1, len(tried), sharey=True, squeeze=False)[0], strict=True):
        images = {"original": one.original, f"bicubic x{one.scale}": one.bicubic, "restored": one.restored}
        for (name, image), colour in zip(images.items(), ("black", "C1", "C0"), strict=True):
            frequency, power = radial_power(measured(image, one.scale).cpu())
            axes.plot(frequency, power[0], color=colour, linewidth=1, label=name)
        axes.axvline(0.5 / one.scale, color="grey", linestyle=":", linewidth=1)
        axes.set_yscale("log")
        axes.set_xlabel("cycles a pixel")
        axes.legend(fontsize=7)
    return save(figure, path)


def _slider(one: Trial, low: Tensor, path: Path) -> Path:
    side = min(UNDER, *one.original.shape[-2:])
    top, left = most_detail(one.original, side)
    parts = [in_colour(image, low, one.scale)[..., top : top + side, left : left + side] for image in (one.bicubic, one.restored)]
    kernel, restored = (grid(part, 1, 2) for part in parts)
    return slider(kernel, restored, (f"bicubic x{one.scale}", "restored"), path)


def _small(dataset: Dataset, split: str, items: object) -> list[Tensor]:
    return [dataset[split].batch([item]).low.cpu() for item in items]  # type: ignore[attr-defined]


def _row(one: Trial, low: Tensor) -> Image.Image:
    scores, side = one.scores(), TIMES * min(DETAIL, *one.original.shape[-2:])
    top, left = most_detail(one.original, side // TIMES)
    panels = {
        f"bicubic x{one.scale}": (in_colour(one.bicubic, low, one.scale), scores["bicubic psnr"], scores["bicubic ssim"]),
        "restored": (in_colour(one.restored, low, one.scale), scores["psnr"], scores["ssim"]),
        "original": (one.original, None, None),
    }
    whole, share = _overview(one.original, side)
    frame = [round(share * at) for at in (left, top, left + side // TIMES, top + side // TIMES)]
    ImageDraw.Draw(whole).rectangle(frame, outline="red", width=2)
    row = Image.new("RGB", (whole.width + len(panels) * (side + _GAP), side + 2 * _LINE + _GAP), "white")
    row.paste(whole, (0, 0))
    pen, font = ImageDraw.Draw(row), ImageFont.load_default(12)
    for place, (name, (image, psnr, ssim)) in enumerate(panels.items()):
        across = whole.width + _GAP + place * (side + _GAP)
        part = image[..., top : top + side // TIMES, left : left + side // TIMES]
        row.paste(grid(part, 1, TIMES), (across, 0))
        said = [name] if psnr is None else [name, f"{psnr:.2f} dB, SSIM {ssim:.4f}"]
        for line, text in enumerate(said):
            pen.text((across, side + 2 + line * _LINE), text, "black", font)
    return row


def _overview(image: Tensor, side: int) -> tuple[Image.Image, float]:
    """A photograph (1, 3, H, W) at this height, at most twice as wide, and how much smaller it is than it was."""
    share = min(1.0, side / image.shape[-2], 2 * side / image.shape[-1])
    return grid(imresize(image, share).clamp(0, 1), 1), share


def in_colour(image: Tensor, low: Tensor, scale: int) -> Tensor:
    """A luminance (1, 1, H, W) with the colours of the small photograph (1, 3, h, w), enlarged; RGB stays as it is. (1, 3, H, W)."""
    if image.shape[1] == 3:
        return image.clamp(0, 1)
    return rgb(torch.cat([image, enlarge(ycbcr(low)[:, 1:], scale)], 1)).clamp(0, 1)


def most_detail(image: Tensor, side: int) -> tuple[int, int]:
    """The upper left corner of the square of a photograph (1, 3, H, W) whose luminance has most power above its low frequencies."""
    y = luma(image)
    fine = (y - F.avg_pool2d(y, 5, 1, 2, count_include_pad=False)).square()  # (1, 1, H, W)
    power = F.avg_pool2d(fine, side, max(1, side // 4))[0, 0]
    row, column = divmod(int(power.argmax()), power.shape[1])
    return row * max(1, side // 4), column * max(1, side // 4)
