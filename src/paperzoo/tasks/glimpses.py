"""What a classifier that looks at an image in glimpses answers, and pictures of where it looked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw
from torch import Tensor

from paperzoo.tasks.classification import Classification
from paperzoo.tasks.pictures import grid, save


@dataclass(frozen=True)
class Look(Classification):
    """The answer, and where it was found: ``path``, a place (x, y) for each glimpse, each in [-1, 1]."""

    path: tuple[tuple[float, float], ...] = ()


def draw_paths(image: Tensor, place: Tensor, titles: Sequence[str], size: int, path: Path) -> Path:
    """Images, the finest patch of each glimpse on them, and the way between; from blue to red. A PNG at ``path``.

    Args:
        image: (N, C, S, S) in [0, 1].
        place: (N, T, 2) in [-1, 1], the middle (x, y) of each glimpse.
        titles: one an image.
        size: pixels of the finest patch's side.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    columns, steps = min(6, len(image)), place.shape[1]
    rows = -(-len(image) // columns)
    figure = Figure(figsize=(1.6 * columns, 1.8 * rows), layout="constrained")
    for number, (one, where) in enumerate(zip(image, (place + 1) * image.shape[-1] / 2 - 0.5, strict=True)):
        axes = figure.add_subplot(rows, columns, number + 1)
        axes.imshow(grid(one[None]), cmap="gray", vmin=0, vmax=255)
        axes.plot(*where.T.numpy(), color="0.6", linewidth=1)
        for t, (x, y) in enumerate(where.tolist()):
            colour = colormaps["coolwarm"](t / max(1, steps - 1))
            corner = (x - size / 2, y - size / 2)
            axes.add_patch(Rectangle(corner, size, size, fill=False, edgecolor=colour, linewidth=1 + (t + 1 == steps)))
        axes.set(xlim=(-0.5, one.shape[-1] - 0.5), ylim=(one.shape[-2] - 0.5, -0.5))
        axes.set_title(titles[number], fontsize=8)
        axes.axis("off")
    return save(figure, path)


def draw_animation(
    image: Tensor, place: Tensor, size: int, scales: int, retina: Callable[[Tensor], Tensor], path: Path, gap: int = 4
) -> Path:
    """A frame a glimpse: images with the outlines of all patches, and under each what the retina sees there; a GIF at ``path``.

    Args:
        image: (N, C, S, S) in [0, 1].
        place: (N, T, 2) in [-1, 1], the middle (x, y) of each glimpse.
        size, scales: pixels of the finest patch's side, and patches, each twice as wide as the one before.
        retina: from places (N, 2) to the patches there, (N, C, scales, size, size).
        gap: pixels between the images.
    """
    pixels, frames = image.shape[-1], []
    scale = -(-96 // pixels)
    for t in range(place.shape[1]):
        whole = grid(image, len(image), scale=scale, gap=gap).convert("RGB")
        draw = ImageDraw.Draw(whole)
        for number, middle in enumerate(((place[:, t] + 1) * pixels / 2 * scale).tolist()):
            left = number * (pixels * scale + gap)
            for half in (size * 2**i * scale / 2 for i in range(scales)):
                (x0, y0), (x1, y1) = ([min(max(at + d, 0), pixels * scale - 1) for at in middle] for d in (-half, half))
                draw.rectangle([left + x0, y0, left + x1, y1], outline=(255, 80, 60))
        patches = retina(place[:, t])  # (N, C, scales, size, size)
        seen = grid(patches.movedim(2, 0).flatten(0, 1), len(image), scale=4, gap=1)  # a row a scale
        seen = seen.convert("RGB").resize((whole.width, seen.height * whole.width // seen.width), Image.Resampling.NEAREST)
        frame = Image.new("RGB", (whole.width, whole.height + gap + seen.height), "white")
        frame.paste(whole, (0, 0))
        frame.paste(seen, (0, whole.height + gap))
        frames.append(frame.quantize(64))
    path.parent.mkdir(parents=True, exist_ok=True)
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=600, loop=0)
    return path
