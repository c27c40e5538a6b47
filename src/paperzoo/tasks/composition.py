"""Generating images in steps, each of which moves what the last one made: how a sample changes from step to step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from paperzoo.data import Dataset
from paperzoo.tasks.generation import ImageGeneration, ImageGenerator
from paperzoo.tasks.pictures import compact, grid, save
from paperzoo.tasks.task import Task


class ComposedGeneration(ImageGeneration):
    """Images (N, C, H, W) in [0, 1], made in steps. Measured as other images are."""

    def show(self, model: ComposedGenerator, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:  # type: ignore[override]
        """Any generator's pictures, and eight samples, a column each: before the first step in the first row, after each step below."""
        z = model.latents(8, 0).to(next(model.parameters()).device)
        way = [model.output(x).float().cpu() for x in model.composition(z)]
        steps = save(compact(grid(torch.cat(way), 8)), folder / f"{stem}-steps.png")
        return [*super().show(model, dataset, split, folder, stem), steps]


class ComposedGenerator(ImageGenerator):
    """Generates images in steps. Subclasses define ``composition`` and ``output``."""

    tasks: ClassVar[tuple[Task, ...]] = (ComposedGeneration(),)

    def composition(self, z: Tensor) -> Iterator[Tensor]:
        """The states of latent vectors (N, latent) before the first step and after each, (N, C, H, W) in the network's range."""
        raise TypeError(f"{type(self).__name__} does not say which steps it takes")

    def output(self, x: Tensor) -> Tensor:
        """Images of the network's range, (N, C, H, W), in [0, 1]."""
        raise TypeError(f"{type(self).__name__} does not say what it puts out")
