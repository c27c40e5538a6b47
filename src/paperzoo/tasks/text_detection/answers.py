"""Answers of a text detector, as values and as text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paperzoo.data.listing import some
from paperzoo.terminal import plain


@dataclass(frozen=True)
class Text:
    """Something written in a picture.

    Attributes:
        quad: its corners x, y in pixels of the picture, clockwise.
    """

    score: float
    quad: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Texts:
    """The texts in a picture of ``size`` (width, height), the best first; ``path`` where it was drawn. As text it is JSON."""

    image: str
    size: tuple[int, int]
    found: tuple[Text, ...]
    path: Path | None = None

    def plain(self) -> dict[str, Any]:
        """The answer as plain values."""
        texts = [{"score": round(one.score, 4), "quad": [[round(x, 2), round(y, 2)] for x, y in one.quad]} for one in self.found]
        where = {"drawn": plain(self.path)} if self.path else {}
        return {"image": plain(self.image), "width": self.size[0], "height": self.size[1], "found": texts, **where}

    def __str__(self) -> str:
        return json.dumps(self.plain(), ensure_ascii=False)


@dataclass(frozen=True)
class ManyTexts:
    """The texts in a folder's pictures, a line of JSON each; and the files left out, with reasons."""

    each: tuple[Texts, ...]
    skipped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __str__(self) -> str:
        left = [f"left out, {why}: {some(names)} ({len(names)})" for why, names in self.skipped.items()]
        return "\n".join([*map(str, self.each), *left])
