"""Grids of shapes, walks and sums of latent vectors, training shapes near samples; shapes that turn."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from torch import Tensor

from paperzoo.data import Dataset
from paperzoo.data.volumes.voxels import POSES, iou, posed
from paperzoo.files import write
from paperzoo.tasks.pictures import compact, save, save_frames
from paperzoo.tasks.volume_generation.measure import volumes
from paperzoo.tasks.volume_generation.view import occupied, sheet, view

if TYPE_CHECKING:
    from paperzoo.tasks.volume_generation.contract import VolumeGenerator

#: frames of a whole turn, and shapes that turn
FRAMES, TURNING = 24, 6
#: most bytes of a picture, so that a paper's lie within what the evidence may have
_LIMIT = 45_000


def samples(model: VolumeGenerator, folder: Path, stem: str) -> Path:
    """A grid of 32 samples, from the same noise each time."""
    shapes = occupied(model.sample(32))
    rows = [[view(shape) for shape in shapes[start : start + 8]] for start in range(0, 32, 8)]
    return save(compact(sheet(rows), _LIMIT), folder / f"{stem}-samples.png")


def shapes(model: VolumeGenerator, dataset: Dataset, folder: Path, stem: str) -> list[Path]:
    """A grid of samples; four walks between two latent vectors each; four times a - b + c; eight samples above the nearest of 2,000
    training shapes in its best pose; six samples that turn, as an animation, and for the report under the pointer."""
    return [
        samples(model, folder, stem),
        save(compact(row(model.walk(), 8), _LIMIT), folder / f"{stem}-walk.png"),
        arithmetic(model, folder / f"{stem}-arithmetic.png"),
        nearest(model, dataset, folder / f"{stem}-nearest.png"),
        save_frames(turning(model.sample(TURNING)), folder / "turning.gif", 120),
        turned_by_hand(model.sample(TURNING), folder / f"{stem}-turning.html"),
    ]


def row(shapes: Tensor, columns: int = 0, side: int = 96) -> Image.Image:
    """Volumes (N, 1, S, S, S) side by side."""
    pictures = [view(shape, side=side) for shape in occupied(shapes)]
    columns = columns or len(pictures)
    return sheet([pictures[start : start + columns] for start in range(0, len(pictures), columns)])


def arithmetic(model: VolumeGenerator, path: Path) -> Path:
    """Sums of latent vectors, a row each."""
    pictures = [view(shape) for shape in occupied(model.arithmetic())]
    rows = [pictures[start : start + 4] for start in range(0, len(pictures), 4)]
    return save(compact(sheet(rows, [["a", "b", "c", "a - b + c"]] * len(rows)), _LIMIT), path)


def nearest(model: VolumeGenerator, dataset: Dataset, path: Path) -> Path:
    """Eight samples, and below each the training shape of the greatest intersection over union, with that."""
    fake, real = (model.sample(8) > 0.5).float(), volumes(dataset, "train", 2000)
    overlap, which = iou(fake, real, POSES).max(1)
    beside = []
    for shape, number in zip(fake, which.tolist(), strict=True):
        turned = [posed(real[number : number + 1], pose) for pose in range(POSES)]
        beside.append(max(turned, key=lambda one, shape=shape: float(iou(shape[None], one)[0, 0])))  # type: ignore[misc]
    rows = [[view(shape) for shape in occupied(fake)], [view(occupied(shape)[0]) for shape in beside]]
    captions = [["sample"] * 8, [f"IoU {value:.2f}" for value in overlap.tolist()]]
    return save(compact(sheet(rows, captions), _LIMIT), path)


def turning(shapes: Tensor, side: int = 96) -> list[Image.Image]:
    """A whole turn of volumes (N, 1, S, S, S) beside each other, at most eight a row, in the colours of one palette."""
    found = occupied(shapes)
    frames = []
    for frame in range(FRAMES):
        pictures = [view(shape, 30 + 360 * frame / FRAMES, side) for shape in found]
        frames.append(sheet([pictures[start : start + 8] for start in range(0, len(pictures), 8)]))
    palette = frames[0].quantize(16)
    return [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]


def turned_by_hand(shapes: Tensor, path: Path) -> Path:
    """Writes a fragment of a report's page in which volumes turn as the pointer moves over them from left to right.

    It needs no script, which a report refuses to run: all views lie in one picture, and the part that the pointer is in shows its own.
    """
    frames = turning(shapes)
    width, height = frames[0].size
    film = Image.new("P", (width, height * FRAMES))
    film.putpalette(frames[0].getpalette() or [])
    for number, frame in enumerate(frames):
        film.paste(frame, (0, number * height))
    content = io.BytesIO()
    film.save(content, format="PNG", optimize=True)
    picture = f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
    part = width / FRAMES
    views = "".join(
        f'<i style="left:{number * part:.2f}px;--at:{-number * height}px;--back:{-number * part:.2f}px"></i>' for number in range(FRAMES)
    )
    style = (
        f".turning{{position:relative;width:{width}px;height:{height}px;background:var(--film)}}"
        f".turning i{{position:absolute;top:0;bottom:0;width:{part:.2f}px}}"
        ".turning i:hover::after{content:'';position:absolute;pointer-events:none;top:0;left:var(--back);"
        f"width:{width}px;height:{height}px;background:var(--film) 0 var(--at)}}"
    )
    fragment = (
        f"<style>{style}</style>\n"
        f'<figure><div class="turning" role="img" aria-label="samples that turn" style="--film:url({picture})">{views}</div>'
        "<figcaption>samples: move the pointer over them, and they turn</figcaption></figure>\n"
    )
    return write(path, fragment)
