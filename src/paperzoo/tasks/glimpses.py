"""Classifying images in glimpses: the class and the places that were looked at, and pictures of both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from paperzoo.data import Dataset
from paperzoo.tasks.classification import Classification, Classifier, ImageClassification
from paperzoo.tasks.images import read_image
from paperzoo.tasks.pictures import grid, save
from paperzoo.tasks.task import Task


@dataclass(frozen=True)
class Look(Classification):
    """The answer, and where it was found: ``path``, a place (x, y) for each glimpse, each in [-1, 1]."""

    path: tuple[tuple[float, float], ...] = ()


class GlimpseClassification(ImageClassification):
    """Images (N, C, S, S) in [0, 1] to classes, in glimpses. Measured as any classifier."""

    def show(self, model: GlimpseClassifier, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:  # type: ignore[override]
        """A classifier's pictures; the glimpses at twelve images, and those at six of them one by one, with what the retina sees."""
        items, device = dataset[split], next(model.parameters()).device
        image = items.batch(items.batches(12, limit=12)[0]).image.to(device)
        trace = model.look(image, model.chance(len(image), torch.Generator().manual_seed(0), drawn=False))
        place, sensor = trace.place.clamp(-1, 1), model.retina()  # (12, T, 2)
        titles = [model.names[guess] for guess in trace.logits[:, -1].argmax(1).tolist()]
        still = draw_paths(image.cpu(), place.cpu(), titles, sensor.size, folder / f"{stem}-path.png")
        patches = partial(sensor, sensor.integral(image[:6]))
        moving = draw_animation(image[:6], place[:6], sensor.size, sensor.scales, patches, folder / f"{stem}-path.gif")
        return [*super().show(model, dataset, split, folder, stem), still, moving]


class GlimpseClassifier(Classifier):
    """A classifier that sees a square image through a few glimpses. Subclasses define ``look``, ``chance`` and ``retina``."""

    tasks: ClassVar[tuple[Task, ...]] = (GlimpseClassification(),)

    def look(self, image: Tensor, chance: Tensor | None = None) -> Any:
        """T glimpses at images (N, C, S, S) in [0, 1]: at least ``logits`` (N, T, K) after each, and ``place`` (N, T, 2), the middle
        (x, y) of each, within [-1, 1] but for noise.

        Args:
            chance: see ``chance``; without it nothing is drawn, and the first glimpse is at the middle.
        """
        raise TypeError(f"{type(self).__name__} does not say how it looks")

    def chance(self, images: int, random: torch.Generator | None = None, drawn: bool = True) -> Tensor:
        """The noise of T glimpses, (images, T, 2); only the first location is random if not ``drawn``."""
        raise TypeError(f"{type(self).__name__} does not say what is random in its glimpses")

    def retina(self) -> Any:
        """Makes patches (N, C, scales, size, size) of integral images, which its ``integral`` makes of images, and places (N, 2).

        Patch i is ``2^i * size`` pixels wide.
        """
        raise TypeError(f"{type(self).__name__} does not say what its glimpses are taken with")

    def predict(self, input: Any) -> Any:
        """The class of an image given as path, PIL image or array, and the path of the glimpses; of a list, a list.

        Images of other sizes are resized.

        Raises:
            PaperzooError: the input is no image.
        """
        if isinstance(input, list | tuple):
            return [self.predict(one) for one in input]
        with torch.no_grad():
            trace = self.look(read_image(input, self.channels, self.image_size, self.prepared))
        p = trace.logits[0, -1].softmax(0)
        order = p.argsort(descending=True).tolist()
        best = tuple((self.names[i], float(p[i])) for i in order[:5])
        path = tuple((x, y) for x, y in trace.place[0].clamp(-1, 1).tolist())
        return Look(order[0], *best[0], tuple(p.tolist()), best, path)


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
    figure = Figure(figsize=(1.6 * columns, 1.8 * rows + 0.6), layout="constrained")
    figure.suptitle(f"{steps} glimpses, each placed by what the last ones saw; above an image what it was taken for", fontsize=10)
    for number, (picture, where) in enumerate(zip(image, (place + 1) * image.shape[-1] / 2 - 0.5, strict=True)):
        axes = figure.add_subplot(rows, columns, number + 1)
        axes.imshow(grid(picture[None]), cmap="gray", vmin=0, vmax=255)
        axes.plot(*where.T.numpy(), color="0.6", linewidth=1, label="the way between")
        for t, (x, y) in enumerate(where.tolist()):
            colour = colormaps["coolwarm"](t / max(1, steps - 1))
            corner = (x - size / 2, y - size / 2)
            said = {0: "first glimpse", steps - 1: "last glimpse"}.get(t)
            axes.add_patch(Rectangle(corner, size, size, fill=False, edgecolor=colour, linewidth=1 + (t + 1 == steps), label=said))
        axes.set(xlim=(-0.5, picture.shape[-1] - 0.5), ylim=(picture.shape[-2] - 0.5, -0.5))
        axes.set_title(titles[number], fontsize=9)
        axes.axis("off")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    return save(figure, path, dpi=160, colours=64)


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
        below = grid(patches.movedim(2, 0).flatten(0, 1), len(image), scale=4, gap=1)  # a row a scale
        below = below.convert("RGB").resize((whole.width, below.height * whole.width // below.width), Image.Resampling.NEAREST)
        frame = Image.new("RGB", (whole.width, whole.height + gap + below.height), "white")
        frame.paste(whole, (0, 0))
        frame.paste(below, (0, whole.height + gap))
        frames.append(frame.quantize(64))
    path.parent.mkdir(parents=True, exist_ok=True)
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=600, loop=0)
    return path
