"""Grids of samples, walks between latent vectors, training images near samples; samples over points."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from paperzoo.data import Dataset
from paperzoo.metrics.nearest import nearest
from paperzoo.tasks.generation.measure import NEIGHBOURS, parts, spread
from paperzoo.tasks.pictures import compact, grid, save, save_frames

if TYPE_CHECKING:
    from paperzoo.tasks.generation.contract import ConditionalGenerator, ImageGenerator, PointGenerator, Sampler


def samples(model: Sampler, folder: Path, stem: str) -> Path:
    """A grid of 100 samples, from the same noise each time."""
    return save(compact(grid(model.sample(100), 10)), folder / f"{stem}-samples.png")


def images(model: ImageGenerator, dataset: Dataset, folder: Path, stem: str) -> list[Path]:
    """A grid of 100 samples, all such grids of the run as an animation, eight walks between two latent vectors each (a
    row a walk), and eight samples with the nearest training image below each."""
    path = samples(model, folder, stem)
    frames = [Image.open(p).convert("RGB") for p in sorted(folder.glob("*-samples.png"))]
    size = min(frame.size for frame in frames)
    frames = [(frame if frame.size == size else frame.resize(size)).convert("P") for frame in frames]
    if len(frames) > 1:
        save_frames(frames, folder / "samples.gif", 400)
    walk = save(compact(grid(model.walk(), 10)), folder / f"{stem}-walk.png")
    fake, items = model.sample(8), dataset["train"]
    chosen = spread(len(items), NEIGHBOURS)
    _, which = nearest(fake.flatten(1), (part.flatten(1) for part in parts(dataset, "train", NEIGHBOURS)))
    beside = torch.cat([fake, items.batch(chosen[which.numpy()]).image.cpu()])  # (16, C, H, W)
    near = save(compact(grid(beside, 8)), folder / f"{stem}-nearest.png")
    return [path, walk, near, *([folder / "samples.gif"] if len(frames) > 1 else [])]


def classes(model: ConditionalGenerator, folder: Path, stem: str) -> Path:
    """A grid with a row a class (the first 20) and the same noise down each column."""
    rows = min(model.classes, 20)
    z = model.latents(10, 0).repeat(rows, 1)  # (rows * 10, latent)
    images = model.render(z, torch.arange(rows).repeat_interleave(10))
    return save(compact(grid(images, 10)), folder / f"{stem}-classes.png")


def points(model: PointGenerator, dataset: Dataset, split: str, folder: Path, stem: str) -> Path:
    """2,000 samples over 2,000 points of the data."""
    from matplotlib.figure import Figure

    real = dataset[split].batch(np.arange(min(2000, len(dataset[split])))).point.cpu().numpy()
    fake = model.sample(2000).numpy()
    figure = Figure(figsize=(4, 4), layout="constrained")
    axes = figure.add_subplot(aspect="equal")
    axes.scatter(fake[:, 0], fake[:, 1], s=2, alpha=0.5, label="samples")
    axes.scatter(real[:, 0], real[:, 1], s=2, alpha=0.5, label="data")
    axes.legend(loc="upper right", markerscale=4)
    return save(figure, folder / f"{stem}-points.png")
