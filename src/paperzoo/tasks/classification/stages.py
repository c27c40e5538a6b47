"""What the stages of a convolutional network look for: filters, their answers to one image, and what excites them most."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from paperzoo.tasks.pictures import compact, grid, save

#: patches beside each other that excite one filter
PATCHES = 8


def filters(weight: Tensor, colour: bool, path: Path) -> Path:
    """Filters (K, C, k, k): grey is 0, bright pulls the map up, dark pulls it down; in colour, or the mean over channels."""
    weight = weight if colour else weight.mean(1, keepdim=True)
    return save(compact(grid(0.5 + 0.5 * weight / weight.abs().max().clamp(min=1e-12), columns=8, scale=12)), path)


def maps(image: Tensor, stages: Sequence[Tensor], path: Path) -> Path:
    """An image (1, C, S, S), and a row a stage: some maps (K, H, W), from the stage's least value (black) to its greatest (white)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1 + 0.95 * len(stages)), layout="constrained")
    rows = figure.subplots(len(stages) + 1, 1, squeeze=False)[:, 0]
    rows[0].imshow(grid(image), cmap="gray")
    rows[0].set_title("the image", fontsize=8)
    for number, (axes, some) in enumerate(zip(rows[1:], stages, strict=True), 1):
        scaled = (some - some.min()) / (some.max() - some.min()).clamp(min=1e-12)
        axes.imshow(grid(scaled[:, None], columns=len(some), gap=1), cmap="gray")
        axes.set_title(f"stage {number}: {some.shape[1]}x{some.shape[2]} places", fontsize=8)
    for axes in rows:
        axes.axis("off")
    return save(figure, path)


def fields(stages: Iterable[nn.Module]) -> list[tuple[int, int]]:
    """Of each stage of convolutions and a 2x2 pooling: the side of the square of pixels that a place of its maps sees, and the step, in
    pixels, to the next place's."""
    found, side, step = [], 1, 1
    for stage in stages:
        side += sum(step * (m.kernel_size[0] - 1) for m in stage.modules() if isinstance(m, nn.Conv2d))
        side, step = side + step, 2 * step  # the pooling looks at two places and takes two steps
        found.append((side, step))
    return found


def excited(images: Tensor, stages: Sequence[Tensor], squares: Sequence[tuple[int, int]], path: Path, shown: int = 6) -> Path:
    """A column a stage, a row a filter: the patches of images that it answers most to, the strongest first, one an image.

    Args:
        images: (N, C, S, S) in [0, 1].
        stages: maps (N, K, H, W) of each stage.
        squares: of each stage, as ``fields`` has them.
        shown: filters a stage.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.2 * len(stages), 0.4 * shown + 0.4), layout="constrained")
    columns = figure.subplots(1, len(stages), squeeze=False)[0]
    for number, (axes, some, (side, step)) in enumerate(zip(columns, stages, squares, strict=True), 1):
        patches = [strongest(images, some[:, k], side, step) for k in range(min(shown, some.shape[1]))]  # each (PATCHES, C, side, side)
        sheet = grid(F.interpolate(torch.cat(patches), size=24, mode="nearest"), columns=len(patches[0]))
        axes.imshow(sheet, cmap="gray", interpolation="nearest")
        axes.set_title(f"stage {number}: {side}x{side} pixels", fontsize=8)
        axes.axis("off")
    return save(figure, path, dpi=120, colours=32)


def strongest(images: Tensor, answers: Tensor, side: int, step: int) -> Tensor:
    """Patches (P, C, side, side) of images (N, C, S, S) round the strongest answers (N, H, W), one an image, the strongest first."""
    best, place = answers.flatten(1).max(1)  # (N, H, W) -> (N, H * W) -> (N)
    padded = F.pad(images, (side, side, side, side))
    patches = []
    for item in best.topk(min(PATCHES, len(best))).indices.tolist():
        row, column = divmod(int(place[item]), answers.shape[2])
        # the middle of a place is step * (row + 1/2) in pixels' edges; the patch begins half its side before it, behind the padding
        top, left = (round(step * (at + 0.5) - side / 2) + side for at in (row, column))
        patches.append(padded[item, :, top : top + side, left : left + side])
    return torch.stack(patches)
