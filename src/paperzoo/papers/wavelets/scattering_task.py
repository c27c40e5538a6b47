"""Classification by scattering, measured as any other, with pictures of the filters and of the coefficients of an image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from paperzoo.data import Dataset
from paperzoo.tasks.classification import ImageClassification
from paperzoo.tasks.pictures import compact, grid, save

if TYPE_CHECKING:
    from paperzoo.papers.wavelets.scattering import Model, Scattering2D


class ScatteringClassification(ImageClassification):
    """Images (N, C, S, S) in [0, 1] to classes, by scattering coefficients or by pixels."""

    def show(self, model: Model, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:  # type: ignore[override]
        """A classifier's pictures and, unless it sees pixels, the filters and the coefficients of one image."""
        paths = super().show(model, dataset, split, folder, stem)
        if model.wavelets is not None:
            image = dataset[split].batch([0]).image.to(next(model.parameters()).device)
            paths.append(draw_filters(model.wavelets, folder / f"{stem}-filters.png"))
            paths.append(draw_coefficients(model.wavelets, image[:, :1], folder / f"{stem}-coefficients.png"))
        return paths


def draw_filters(transform: Scattering2D, path: Path) -> Path:
    """psi by scale (rows) and angle: the real part above the imaginary one, grey being 0, each to its largest value."""
    rows = []
    for j in range(transform.J):
        psi = torch.fft.fftshift(torch.fft.ifft2(transform.get_buffer(f"psi_{j}_0").cpu()), dim=(1, 2))  # (L, H, W)
        rows += [psi.real, psi.imag]
    filters = torch.cat(rows)[:, None]
    filters = 0.5 + 0.5 * filters / filters.abs().amax((2, 3), keepdim=True).clamp(min=1e-12)
    return save(compact(grid(filters, transform.L, scale=2)), path)


def draw_coefficients(transform: Scattering2D, image: Tensor, path: Path) -> Path:
    """An image (1, 1, H, W), its first-order coefficients by scale and angle, and the second-order ones by both of both."""
    from matplotlib.figure import Figure

    maps, J, L = transform(image)[0, 0].cpu(), transform.J, transform.L  # (P, h, w)
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    axes = figure.subplots(1, 3, width_ratios=(1, 2, 3))
    panels: list[tuple[Tensor, int, str]] = [(image[0].cpu(), 1, "the image")]
    if transform.order:
        panels.append((maps[1 : 1 + J * L], L, "order 1: a row a scale, a column an angle"))
    if len(maps) > 1 + J * L:  # of the first scale only, which has most paths: first angle down, second scale and angle across
        panels.append((maps[1 + J * L :][: L * (J - 1) * L], (J - 1) * L, "order 2: first angle down, second scale and angle across"))
    for place, (part, columns, title) in zip(axes, panels, strict=False):
        shown = part / part.max().clamp(min=1e-12)
        place.imshow(np.asarray(grid(1 - shown[:, None], columns, gap=1)), cmap="gray", vmin=0, vmax=255)
        place.set_title(title, fontsize=8)
    for place in axes:
        place.axis("off")
    return save(figure, path)
