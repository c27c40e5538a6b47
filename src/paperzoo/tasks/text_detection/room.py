"""Text in the visitor's picture, found in a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paperzoo.tasks.graphs import Graph, Room, noise_of

if TYPE_CHECKING:
    from paperzoo.tasks.text_detection.contract import TextDetector


def graph(model: TextDetector) -> Graph:
    """Pictures to all that the network says of them, from which words or lines are made outside."""
    shape = (model.channels, model.image_size, model.image_size)
    about = {"image": "float32 (N, {}, {}, {}) in [0, 1]".format(*shape)}
    return Graph(model.answers, noise_of(*shape), about, {"answers": "float32 (N, K, h, w)"})


def room(model: TextDetector) -> Room | None:
    """Of a model whose answers a page knows how to read: ``reading_rules`` say by what numbers."""
    if not (reading := model.reading_rules()):
        return None
    facts = {"size": model.image_size, "channels": model.channels, "threshold": model.threshold}
    return Room("text", {"look": graph(model)}, {**facts, **reading}, "image")
