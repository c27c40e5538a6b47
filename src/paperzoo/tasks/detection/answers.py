"""Answers of a detector, as values and as text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paperzoo.data.listing import some
from paperzoo.terminal import plain


@dataclass(frozen=True)
class Detection:
    """A thing in a picture.

    Attributes:
        box: left, top, right and bottom in pixels of the picture.
    """

    name: str
    label: int
    score: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Detections:
    """The detections in a picture of ``size`` (width, height), the best first; ``path`` where it was drawn.

    As text it is JSON: of ``coco`` a list in the format of COCO's results, else with names and corners.
    """

    image: str
    size: tuple[int, int]
    found: tuple[Detection, ...]
    path: Path | None = None
    coco: bool = False
    ids: Mapping[int, int] = field(default_factory=dict, repr=False)

    def results(self) -> list[dict[str, Any]]:
        """COCO's result format: left, top, width and height; an image's id is the number that its name ends with, else its name."""
        digits = self.image[len(self.image.rstrip("0123456789")) :]
        image: int | str = int(digits) if digits else self.image
        return [
            {"image_id": image, "category_id": self.ids.get(one.label, one.label + 1), "bbox": _rounded(one.box, corners=False),
             "score": round(one.score, 5)}
            for one in self.found
        ]  # fmt: skip

    def plain(self) -> dict[str, Any]:
        """The answer as plain values."""
        things = [{"name": plain(one.name), "score": round(one.score, 4), "box": _rounded(one.box)} for one in self.found]
        where = {"drawn": plain(self.path)} if self.path else {}
        return {"image": plain(self.image), "width": self.size[0], "height": self.size[1], "found": things, **where}

    def __str__(self) -> str:
        return json.dumps(self.results() if self.coco else self.plain(), ensure_ascii=False)


def _rounded(box: Sequence[float], corners: bool = True) -> list[float]:
    x0, y0, x1, y1 = box
    return [round(value, 2) for value in ((x0, y0, x1, y1) if corners else (x0, y0, x1 - x0, y1 - y0))]


@dataclass(frozen=True)
class ManyDetections:
    """The detections in a folder's pictures, a line of JSON each, or one list in COCO's format; and the files left out, with reasons."""

    each: tuple[Detections, ...]
    skipped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __str__(self) -> str:
        if self.each and self.each[0].coco:
            return json.dumps([row for one in self.each for row in one.results()], ensure_ascii=False)
        left = [f"left out, {why}: {some(names)} ({len(names)})" for why, names in self.skipped.items()]
        return "\n".join([*map(str, self.each), *left])


@dataclass(frozen=True)
class Watched:
    """A processed video: the number of detections of each class over all frames, and the speed.

    Attributes:
        rate: frames a second, reading, detection and, where it was drawn, drawing and writing together.
        path, lines: the drawn video, and a file with a line of JSON a frame.
    """

    frames: int
    rate: float
    found: dict[str, int] = field(default_factory=dict)
    path: Path | None = None
    lines: Path | None = None

    def __str__(self) -> str:
        counts = ", ".join(f"{plain(name)}: {count:,}" for name, count in self.found.items()) or "nothing"
        text = [f"{self.frames:,} frames, {self.rate:.1f} a second; found: {counts}"]
        text += [f"drawn: {plain(self.path)}"] if self.path else []
        return "\n".join([*text, *([f"each frame: {plain(self.lines)}"] if self.lines else [])])
