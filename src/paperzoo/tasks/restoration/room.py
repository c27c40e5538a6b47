"""Super-resolution in a browser: a part of the visitor's photograph, enlarged by the kernel and by the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paperzoo.tasks.graphs import Graph, Room, noise_of

if TYPE_CHECKING:
    from paperzoo.tasks.restoration.contract import SuperResolver

#: side of the part, in pixels of the small picture
PART = 64


def room(model: SuperResolver) -> Room:
    """By the least scale that the model knows, of parts of ``PART`` pixels."""
    about = "Y of BT.601 over 255" if model.channels == 1 else "RGB in [0, 1]"
    inputs = {"low": f"float32 (N, {model.channels}, {PART}, {PART}), {about}"}

    def by(scale: int) -> Graph:
        return Graph(
            lambda low: model.restore(low, scale), noise_of(model.channels, PART, PART), inputs, {"high": f"{scale} times as large"}
        )

    scales = sorted(model.scales)[:1]
    facts = {"channels": model.channels, "scales": scales, "part": PART}
    return Room("enlarge", {f"x{scale}": by(scale) for scale in scales}, facts, "low")
