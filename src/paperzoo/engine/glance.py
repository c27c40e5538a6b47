"""A run at a glance, as a notebook shows it: figures, the curve of the losses, pictures and animations in one column."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

#: pixels that the column is wide at most
WIDTH = 720


def html(name: str, directory: Path, metrics: Mapping[str, float], lines: Iterable[Mapping[str, Any]], figures: Iterable[Path]) -> str:
    """One column of HTML that needs no other file.

    Args:
        lines: of ``metrics.jsonl``.
        figures: of the run; shown are those drawn at its end, and animations.
    """
    rows = "".join(f'<tr><td style="text-align: left">{escape(k)}</td><td>{v:.4g}</td></tr>' for k, v in metrics.items())
    parts = [f"<p><b>{escape(name)}</b>, <code>{escape(str(directory))}</code></p>", f"<table>{rows}</table>" if rows else ""]
    if drawn := curve(lines):
        parts.append(_figure(drawn, "png", "losses over the steps"))
    for path in figures:
        final = path.stem.startswith("final")
        if final or path.suffix == ".gif":
            caption = path.stem.removeprefix("final-").replace("-", " ") + ("" if final else " over the training")
            parts.append(_figure(path.read_bytes(), path.suffix[1:], caption))
    return f'<div style="max-width: {WIDTH}px">{"".join(parts)}</div>'


def curve(lines: Iterable[Mapping[str, Any]]) -> bytes:
    """The losses over the steps as a PNG; nothing where none was logged."""
    from matplotlib.figure import Figure

    losses: dict[str, list[tuple[int, float]]] = {}
    for line in lines:
        for name, value in line.get("loss", {}).items():
            if math.isfinite(value):
                losses.setdefault(name, []).append((line["step"], value))
    if not losses:
        return b""
    figure = Figure(figsize=(6, 2.6), layout="constrained")
    axes = figure.add_subplot()
    for name, points in losses.items():
        axes.plot(*zip(*points, strict=True), label=name, linewidth=1)
    axes.set_xlabel("step")
    axes.legend(fontsize=8)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=120)
    return drawn.getvalue()


def _figure(content: bytes, kind: str, caption: str) -> str:
    source = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    shown = f'<img style="max-width: 100%; min-width: 40%; image-rendering: auto" src="{source}" alt="{escape(caption)}">'
    return f'<figure style="margin: 1em 0">{shown}<figcaption>{escape(caption)}</figcaption></figure>'
