"""Errors in the hole, of a model and of what fills holes without one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from paperzoo.data import Dataset
from paperzoo.data.change.holes import punched
from paperzoo.metrics.inpainting import InHole, biharmonic, in_hole, surround_fill
from paperzoo.tasks.generation import spread

if TYPE_CHECKING:
    from paperzoo.tasks.inpainting.contract import InPainter

#: images of a split that are measured at most
ITEMS = 400


class Trial(NamedTuple):
    """Images (N, C, H, W), their holes (N, 1, H, W), and how each way fills them, by its name, the model's first."""

    original: Tensor
    hole: Tensor
    filled: dict[str, Tensor]

    def errors(self) -> dict[str, InHole]:
        """The metrics of each way of filling."""
        return {name: in_hole(image, self.original, self.hole) for name, image in self.filled.items()}


def trial(model: InPainter, dataset: Dataset, split: str, items: np.ndarray) -> Trial:
    """Images of a split with holes as the model is trained on, the same at each call."""
    original = dataset[split].batch(items).image.cpu()
    hole = model.holes(len(items), torch.Generator().manual_seed(0))
    return Trial(original, hole, {
        "": model.filled(original, hole),
        "biharmonic": biharmonic(original, hole),
        "surround fill": surround_fill(original, hole),
        "mean fill": punched(original, hole, model.fill.cpu()),
    })  # fmt: skip


def of_images(model: InPainter, dataset: Dataset, split: str) -> dict[str, float]:
    """Means over at most 400 images of a split, evenly spaced.

    ``psnr in the hole (dB)``, ``l1 in the hole %`` and ``l2 in the hole %`` of what the model fills in; the same, by their names, of the
    biharmonic surface, of the mean of each image's known pixels (``surround fill``) and of the one mean colour that the model finds in its
    holes (``mean fill``); and by how much the model's PSNR is above that of each.
    """
    metrics: dict[str, float] = {}
    for name, error in trial(model, dataset, split, spread(len(dataset[split]), ITEMS)).errors().items():
        before = f"{name} " if name else ""
        metrics[f"{before}psnr in the hole (dB)"] = float(error.psnr.mean())
        metrics[f"{before}l1 in the hole %"] = float(error.l1.mean())
        metrics[f"{before}l2 in the hole %"] = float(error.l2.mean())
        if name:
            metrics[f"gain over {name} (dB)"] = metrics["psnr in the hole (dB)"] - metrics[f"{before}psnr in the hole (dB)"]
    return metrics
