"""Reconstructions under their originals, and maps of codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from paperzoo.data import Dataset
from paperzoo.tasks.generation import spread
from paperzoo.tasks.pictures import compact, grid, save
from paperzoo.terminal import plain

if TYPE_CHECKING:
    from paperzoo.tasks.reconstruction.contract import Autoencoder, PointAutoencoder

#: held-out items on a map
MAPPED = 2000


def reconstructions(model: Autoencoder, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
    """Ten held-out images over their reconstructions; where codes have two numbers, a map of 2,000 of them by label."""
    some = model.spaced(dataset[split], 10)
    picture = grid(torch.cat(model.rows(*some)), len(some[0]), scale=max(1, 32 // some[0].shape[-1]))
    paths = [save(compact(picture), folder / f"{stem}-reconstructions.png")]
    if model.codes(*(tensor[:1] for tensor in some)).shape[1] == 2:
        codes = model.codes(*model.spaced(dataset[split], MAPPED))
        paths.append(maps({"codes": codes}, *labels(dataset, split, MAPPED), folder / f"{stem}-map.png"))
    return paths


def points(model: PointAutoencoder, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
    """The first two or three coordinates of 500 held-out points, each joined to its reconstruction by a line."""
    from matplotlib.figure import Figure

    (point,) = model.spaced(dataset[split], 500)
    back, axes_shown = model.reconstruct(point), min(3, point.shape[1])
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.add_subplot(projection="3d") if axes_shown == 3 else figure.add_subplot()
    ends = torch.stack([point, back])[..., :axes_shown]  # (2, N, 2 or 3)
    if axes_shown == 1:
        ends = torch.cat([ends, torch.zeros_like(ends)], 2)
    for pair in ends.unbind(1):
        axes.plot(*pair.T.numpy(), color="0.7", linewidth=0.5)
    for name, some in zip(("points", "reconstructions"), ends, strict=True):
        axes.plot(*some.T.numpy(), ".", markersize=3, label=name)
    axes.legend()
    return [save(figure, folder / f"{stem}-reconstructions.png")]


def maps(panels: Mapping[str, Tensor], label: Tensor | None, names: Sequence[str], path: Path) -> Path:
    """Codes (N, 2) side by side, a panel for each name, coloured by labels (N) where there are any."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * len(panels) + 1, 5), layout="constrained")
    kinds = [] if label is None else np.unique(label.numpy()).tolist()
    colours, size = colormaps["tab10" if len(kinds) <= 10 else "tab20"], 2 if len(next(iter(panels.values()))) > 1000 else 4
    for column, (title, code) in enumerate(panels.items()):
        axes = figure.add_subplot(1, len(panels), column + 1)
        axes.set(title=title, xticks=[], yticks=[])
        if label is None:
            axes.plot(*code.T.numpy(), ".", markersize=size)
        for index, kind in enumerate(kinds):
            name = plain(names[kind]).replace("$", r"\$") if kind < len(names) else str(kind)  # no formula
            axes.plot(*code[label == kind].T.numpy(), ".", markersize=size, color=colours(index % colours.N), label=name)
    if 0 < len(kinds) <= 20:
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), markerscale=10 / size, frameon=False)
    return save(figure, path, dpi=60 if len(panels) > 2 else 80)


def labels(dataset: Dataset, split: str, most: int) -> tuple[Tensor | None, Sequence[str]]:
    """The labels int64 (N) of at most ``most`` items, evenly spaced, and what they are called; none where there are none."""
    if "label" not in dataset.schema.fields:
        return None, ()
    return dataset[split].batch(spread(len(dataset[split]), most)).label.cpu(), dataset.schema.names


def normal_grid(side: int = 20) -> Tensor:
    """Codes (side^2, 2), row by row, of a grid whose points are equally likely under N(0, I) in each direction."""
    steps = torch.special.ndtri((torch.arange(side) + 0.5) / side)  # the inverse of the normal distribution function
    down, across = torch.meshgrid(-steps, steps, indexing="ij")
    return torch.stack([across, down], -1).view(-1, 2)
