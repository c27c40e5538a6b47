"""Detections in the pictures of a folder, and in the frames of a video."""

from __future__ import annotations

import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from paperzoo.data.pictures import read_rgb, suffixes
from paperzoo.data.video.camera import frames
from paperzoo.data.video.whole import Frames, written_as
from paperzoo.files import is_folder, ordinary, path_of
from paperzoo.tasks.detection.answers import ManyDetections, Watched
from paperzoo.tasks.detection.drawing import drawn
from paperzoo.tasks.images import unused
from paperzoo.tasks.several import bar, looked_at, moves, moving
from paperzoo.terminal import plain

if TYPE_CHECKING:
    from paperzoo.tasks.detection.contract import Detector


def folder(model: Detector, source: Any, threshold: float, overlap: float, out: str, coco: bool) -> ManyDetections | None:
    """Detections in all pictures of a folder and its subfolders; ``None`` of anything else. One that cannot be read is named.

    Raises:
        PaperzooError: there is no picture, or none that can be read.
    """
    if not isinstance(source, str | os.PathLike) or not is_folder(os.fspath(source)):
        return None
    return ManyDetections(
        *looked_at(os.fspath(source), lambda path: model.predict(path, threshold=threshold, overlap=overlap, out=out, coco=coco))
    )


def video(model: Detector, source: Any, threshold: float, overlap: float, out: str) -> Watched | None:
    """Detections in the frames of a video or animated GIF, one at a time, so that memory does not grow; ``None`` of anything else.

    Raises:
        PaperzooError: it cannot be read, or not be written.
    """
    if not isinstance(source, str | os.PathLike):
        return None
    path = ordinary(os.fspath(source), "image")
    if not moves(path):
        return None
    counts, frames, began = Counter[str](), 0, time.perf_counter()
    with ExitStack() as stack:
        lines = target = written = None
        if out:
            name = path.name if path.suffix.lower() in suffixes() else written_as(path.name)
            target, lines = unused(path_of(out) / name, out), unused(path_of(out) / f"{path.stem}.jsonl", out)
            lines.parent.mkdir(parents=True, exist_ok=True)
            written = stack.enter_context(lines.open("w", encoding="utf-8"))

        def looked(picture: Image.Image) -> Image.Image:
            nonlocal frames
            whole = read_rgb(picture)
            detections = model.look(whole, threshold, overlap)
            counts.update(one.name for one in detections)
            if written is None:
                frames += 1
                return whole
            things = [{"name": one.name, "score": round(one.score, 4), "box": [round(v, 2) for v in one.box]} for one in detections]
            print(json.dumps({"frame": frames, "found": things}, ensure_ascii=False), file=written)
            frames += 1
            return drawn(whole, [(f"{one.name} {one.score:.2f}", one.label, one.box) for one in detections])

        if target is not None:
            moving(path, target, looked, "looking")
        else:
            _each(path, looked)
    return Watched(frames, frames / (time.perf_counter() - began), dict(counts.most_common()), target, lines)


def webcam(model: Detector, source: Any, threshold: float, overlap: float, seconds: float) -> Watched | None:
    """Detections in the frames of ``webcam:0``, a line of JSON on standard output each, as they come; ``None`` of anything else.

    Raises:
        PaperzooError: there is no such webcam, or it cannot be read.
    """
    if not isinstance(source, str) or not (match := re.fullmatch(r"webcam:(\d{1,2})", source, re.ASCII)):
        return None
    counts, number, began = Counter[str](), 0, time.perf_counter()
    for number, pixels in enumerate(frames(int(match[1]), seconds), 1):
        detections = model.look(Image.fromarray(np.asarray(pixels)), threshold, overlap)
        counts.update(one.name for one in detections)
        things = [{"name": plain(one.name), "score": round(one.score, 4), "box": [round(v, 2) for v in one.box]} for one in detections]
        print(json.dumps({"frame": number - 1, "found": things}, ensure_ascii=False), flush=True)
    return Watched(number, number / (time.perf_counter() - began), dict(counts.most_common()))


def _each(path: Path, look: Callable[[Image.Image], object]) -> None:
    """Looks at each frame of a video or an animated GIF."""
    if path.suffix.lower() not in suffixes():
        clip = Frames(path)
        with bar("looking", clip.expected) as done:
            for pixels, _ in clip:
                look(Image.fromarray(np.asarray(pixels)))
                done()
        return
    with Image.open(path) as opened:
        for number in range(getattr(opened, "n_frames", 1)):
            opened.seek(number)
            look(opened.copy())
