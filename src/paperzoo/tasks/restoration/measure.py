"""PSNR, SSIM and fine detail of restored photographs beside the bicubic kernel's, by the protocol of ``paperzoo.metrics.restoration``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from torch import Tensor

from paperzoo.data import Dataset
from paperzoo.data.bicubic import enlarge
from paperzoo.errors import PaperzooError
from paperzoo.metrics.restoration import measured, psnr_y, ssim_y
from paperzoo.metrics.spectrum import power_above

if TYPE_CHECKING:
    from paperzoo.tasks.restoration.contract import SuperResolver


class Trial(NamedTuple):
    """One photograph: the original in RGB (1, 3, H, W), and the restorations of the shrunk one, (1, C, H, W)."""

    scale: int
    original: Tensor
    bicubic: Tensor
    restored: Tensor

    def scores(self) -> dict[str, float]:
        """PSNR in dB and SSIM on the luminance without ``scale`` pixels at the border, and how much PSNR is above the kernel's."""
        fair = {name: (image.clamp(0, 1), self.original, self.scale) for name, image in (("", self.restored), ("bicubic ", self.bicubic))}
        psnr = {name: float(psnr_y(*pair)) for name, pair in fair.items()}
        ssim = {name: float(ssim_y(*pair)) for name, pair in fair.items()}
        return {**{f"{n}psnr": v for n, v in psnr.items()}, **{f"{n}ssim": v for n, v in ssim.items()}, "gain": psnr[""] - psnr["bicubic "]}

    def fine(self) -> dict[str, float]:
        """The power of the luminance at frequencies that the small photograph cannot hold, which are those above 1 / (2 ``scale``)."""
        images = {"": self.restored, "bicubic ": self.bicubic, "original ": self.original}
        return {name: float(power_above(measured(image, self.scale), 0.5 / self.scale)) for name, image in images.items()}


def of_photographs(model: SuperResolver, dataset: Dataset, split: str) -> dict[str, float]:
    """For each scale of the data, means over the photographs of a split.

    ``psnr x2 (dB)`` and ``ssim x2`` of what the model restores, ``bicubic psnr x2 (dB)`` and ``bicubic ssim x2`` of what the kernel
    alone gives, ``gain over bicubic x2 (dB)`` their difference in PSNR, and ``least gain over bicubic x2 (dB)`` that of the photograph
    which gains least. ``high frequencies x2 relative to original`` is the power above 1/4 cycle a pixel (above 1 / (2 s) at xs) of all
    restored photographs together over that of the originals: 1 where there is as much fine detail, or noise; ``bicubic high
    frequencies x2 relative to original`` that of the kernel.
    """
    by_scale: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for one in trials(model, dataset, split, np.arange(len(dataset[split]))):
        for name, value in one.scores().items():
            by_scale[one.scale][name].append(value)
        for name, value in one.fine().items():
            by_scale[one.scale][f"{name}fine"].append(value)
    named = {}
    for scale, scores in sorted(by_scale.items()):
        for prefix in ("", "bicubic "):
            named[f"{prefix}psnr x{scale} (dB)"] = float(np.mean(scores[f"{prefix}psnr"]))
            named[f"{prefix}ssim x{scale}"] = float(np.mean(scores[f"{prefix}ssim"]))
            original = max(1e-12, sum(scores["original fine"]))
            named[f"{prefix}high frequencies x{scale} relative to original"] = sum(scores[f"{prefix}fine"]) / original
        named[f"gain over bicubic x{scale} (dB)"] = float(np.mean(scores["gain"]))
        named[f"least gain over bicubic x{scale} (dB)"] = float(np.min(scores["gain"]))
    return named


def trials(model: SuperResolver, dataset: Dataset, split: str, items: np.ndarray) -> Iterator[Trial]:
    """The photographs of a split with these numbers, one at a time, for they differ in size.

    Raises:
        PaperzooError: one so small that nothing is left inside the border, or a scale that the model does not have.
    """
    for item in items:
        batch = dataset[split].batch([item])
        scale, low = model.scale_of(batch), model.seen(batch.low)
        tall, wide = batch.high.shape[-2:]
        if min(tall, wide) <= 2 * scale:
            said = f"photograph {item} of {split} in {dataset.name} has {wide}x{tall} pixels"
            raise PaperzooError(f"{said}: without a border of {scale} pixels nothing is left to measure")
        yield Trial(scale, batch.high.cpu(), enlarge(low, scale).cpu(), model.restored(low, scale))
