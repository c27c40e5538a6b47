"""A drawing or a picture of the visitor's, translated in a browser."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from torch import Tensor, nn

from paperzoo.tasks.graphs import Graph, Room, noise_of

if TYPE_CHECKING:
    from paperzoo.tasks.image_translation.contract import ImageTranslator


def graph(model: ImageTranslator, domains: Sequence[str] = ()) -> Graph | None:
    """Images of one size to each of the domains; the same image gives the same answer, so dropout's noise is left out.

    Of a translator that is trained on no size of its own there is none.
    """
    size, domains = getattr(model, "image_size", 0), domains or model.domains
    if not size:
        return None

    def call(image: Tensor) -> tuple[Tensor, ...]:
        with undropped(model):
            return tuple(model.translate(image, domain) for domain in domains)

    about = f"float32 (N, {model.channels}, {size}, {size}) in [0, 1]"
    alone = "; give one at a time: the network's statistics are those of what it is given" if model.alone else ""
    names = {"translated" if len(domains) == 1 else f"to_{domain}": "the same shape" for domain in domains}
    return Graph(call, noise_of(model.channels, size, size), {"image": about + alone}, names)


def room(model: ImageTranslator) -> Room | None:
    """Of a translator of pictures of one size, by themselves."""
    graphs = {domain: made for domain in model.domains if (made := graph(model, [domain]))}
    data = str(model.prepared.get("data", ""))
    facts = {"size": getattr(model, "image_size", 0), "channels": model.channels, "domains": list(model.domains)}
    return Room("translate", graphs, {**facts, "edges": data.startswith("edges>")}, "image_a") if graphs else None


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
