"""Answers of a dense-pose model, as values and as text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paperzoo.data.listing import some
from paperzoo.terminal import plain


@dataclass(frozen=True)
class Person:
    """Somebody in a picture.

    Attributes:
        box: left, top, right and bottom in pixels of the picture. parts: name of each part that is seen -> its share of the pixels.
    """

    score: float
    box: tuple[float, float, float, float]
    parts: Mapping[str, float]


@dataclass(frozen=True)
class Persons:
    """People in a picture of ``size`` (width, height), the best first, maybe nobody; ``path`` where it was drawn. As text it is JSON."""

    image: str
    size: tuple[int, int]
    found: tuple[Person, ...]
    path: Path | None = None

    def plain(self) -> dict[str, Any]:
        """The answer as plain values."""
        people = [
            {
                "score": round(one.score, 4),
                "box": [round(value, 1) for value in one.box],
                "parts": {name: round(share, 3) for name, share in one.parts.items()},
            }
            for one in self.found
        ]
        where = {"drawn": plain(self.path)} if self.path else {}
        return {"image": plain(self.image), "width": self.size[0], "height": self.size[1], "found": people, **where}

    def __str__(self) -> str:
        return json.dumps(self.plain(), ensure_ascii=False)


@dataclass(frozen=True)
class ManyPersons:
    """The people in a folder's pictures, a line of JSON each; and the files left out, with reasons."""

    each: tuple[Persons, ...]
    skipped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __str__(self) -> str:
        left = [f"left out, {why}: {some(names)} ({len(names)})" for why, names in self.skipped.items()]
        return "\n".join([*map(str, self.each), *left])
