"""A drawing or a picture of the visitor's, translated in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from torch import Tensor, nn

from paperzoo.tasks.graphs import Graph, Room, noise_of

if TYPE_CHECKING:
    from paperzoo.tasks.image_translation.contract import ImageTranslator


def room(model: ImageTranslator) -> Room | None:
    """Of a translator of pictures of one size, by themselves: the same drawing gives the same picture, so dropout's noise is left out."""
    size = getattr(model, "image_size", 0)
    if not size:
        return None
    data = str(model.prepared.get("data", ""))

    def to(domain: str) -> Graph:
        def call(image: Tensor) -> Tensor:
            with undropped(model):
                return model.translate(image, domain)

        about = f"float32 (N, {model.channels}, {size}, {size}) in [0, 1]"
        return Graph(call, noise_of(model.channels, size, size), {"image": about}, {"translated": "the same shape"})

    facts = {"size": size, "channels": model.channels, "domains": list(model.domains), "edges": data.startswith("edges>")}
    return Room("translate", {domain: to(domain) for domain in model.domains}, facts, "image_a")


@contextmanager
def undropped(model: nn.Module) -> Iterator[None]:
    """Within it nothing is dropped, not even by layers that drop at test time too."""
    kept = [(layer, layer.p) for layer in model.modules() if isinstance(getattr(layer, "p", None), float)]
    for layer, _ in kept:
        layer.p = 0.0  # type: ignore[assignment]
    try:
        yield
    finally:
        for layer, share in kept:
            layer.p = share
