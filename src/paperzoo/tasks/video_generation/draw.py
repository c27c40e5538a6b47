"""Clips as strips of frames and as animations: samples, and the same motions on other contents and the other way round."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor

from paperzoo.tasks.pictures import captioned, compact, grid, save, save_frames
from paperzoo.terminal import plain

if TYPE_CHECKING:
    from paperzoo.tasks.video_generation.contract import ConditionalVideoGenerator, VideoGenerator

#: milliseconds that a frame of an animation is shown
SHOWN = 120


def evenly(clips: Tensor, most: int = 8) -> Tensor:
    """At most ``most`` frames of each clip (N, C, T, H, W), evenly from first to last: (N, most, C, H, W)."""
    count = clips.shape[2]
    chosen = torch.arange(count) if count <= most else torch.linspace(0, count - 1, most).round().long()
    return clips[:, :, chosen].transpose(1, 2)


def samples(model: VideoGenerator, folder: Path, stem: str) -> Path:
    """Ten clips from the same noise each time, a row a clip."""
    frames = evenly(model.sample(10))
    return save(compact(grid(frames.flatten(0, 1), frames.shape[1], _scale(frames))), folder / f"{stem}-samples.png")


def exchange(model: VideoGenerator, folder: Path, stem: str) -> list[Path]:
    """Every one of four contents with every one of four motions, as an animation; the first two of each as strips of frames.

    Of a model that is told the motion, each column has noise of its own and the motion of its number.
    """
    rows, columns = 4, 4
    z = model.exchanged(model.latents(rows + columns, 1), rows, columns)
    clips = model.render(z, *_asked(model, torch.arange(columns).repeat(rows)))
    said = "one content a row, one motion a column"
    paths = [animate(clips, columns, said, folder / f"{stem}-exchange.gif")]
    some = [0, 1, columns, columns + 1]
    frames = evenly(clips[some])  # two contents, each with the same two motions
    strips = grid(frames.flatten(0, 1), frames.shape[1], _scale(frames))
    picture = captioned(strips, "content 1 with motions 1 and 2, content 2 with the same two")
    return [*paths, save(compact(picture), folder / f"{stem}-exchange.png")]


def motions(model: ConditionalVideoGenerator, folder: Path, stem: str) -> Path:
    """A row a motion (the first 10), all of one content and one noise."""
    rows = min(model.classes, 10)
    clips = model.render(model.latents(1, 2).repeat(rows, 1), torch.arange(rows))
    frames = evenly(clips)
    names = [plain(name) for name in model.names[:rows]] or [str(i) for i in range(rows)]
    picture = captioned(grid(frames.flatten(0, 1), frames.shape[1], _scale(frames)), f"downwards: {', '.join(names)}")
    return save(compact(picture), folder / f"{stem}-motions.png")


def _asked(model: VideoGenerator, number: Tensor) -> Sequence[Tensor]:
    """The motions, for a model that is told them."""
    classes = getattr(model, "classes", 0)
    return [number % classes] if classes else []


def _scale(frames: Tensor) -> int:
    return max(1, 64 // frames.shape[-1])


def tiled(clips: Tensor, columns: int | None = None, scale: int = 1) -> list[Image.Image]:
    """Clips (N, C, T, H, W) side by side, a picture for each moment."""
    return [grid(clips[:, :, t], columns, scale).convert("RGB") for t in range(clips.shape[2])]


def animate(clips: Tensor, columns: int | None, said: str, path: Path) -> Path:
    """Clips side by side, pixel by pixel, as a captioned GIF of 64 colours."""
    return save_frames([captioned(frame, said).quantize(64) for frame in tiled(clips, columns)], path, SHOWN)


def write(clips: Tensor, out: Path) -> str:
    """Clips side by side as an animated GIF and as MP4, at ``out`` with these endings; as one of them alone if ``out`` ends so.

    Returns:
        The paths, one a line.

    Raises:
        PaperzooError: it cannot be written, or PyAV, which writes MP4, is not installed.
    """
    kinds = [out.suffix.lower()] if out.suffix.lower() in (".gif", ".mp4") else [".gif", ".mp4"]
    frames, paths = tiled(clips, scale=_scale(clips)), []
    for kind in kinds:
        target = out.with_suffix(kind) if out.name else out
        if kind == ".gif":
            paths.append(save_frames([frame.quantize(256) for frame in frames], target, SHOWN))
        else:
            paths.append(_mp4(frames, target))
    return "\n".join(plain(path) for path in paths)


def _mp4(frames: Sequence[Image.Image], target: Path) -> Path:
    from fractions import Fraction

    import numpy as np

    from paperzoo.data.video.whole import write_video

    step = Fraction(SHOWN, 1000)
    even = [frame.crop((0, 0, frame.width + frame.width % 2, frame.height + frame.height % 2)) for frame in frames]  # as players want it
    write_video(target, ((np.array(frame), number * step) for number, frame in enumerate(even)), 1 / step)
    return target
