"""A generator in a browser: a walk through its latent space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paperzoo.tasks.graphs import Graph, Room

if TYPE_CHECKING:
    from paperzoo.tasks.generation.contract import Sampler


def room(model: Sampler, graph: Graph | None, kind: str = "latent", **facts: Any) -> Room | None:
    """The room of a generator whose graph takes a latent vector, and perhaps a class."""
    if graph is None or not set(graph.inputs) <= {"z", "label"}:
        return None
    latent = model.latents(1, 0)
    low = 0.0 if float(model.latents(64, 0).min()) >= 0 else -1.0  # of a uniform one
    about = {"latent": latent.shape[1], "prior": model.prior, "low": low, "names": _classes(model) if "label" in graph.inputs else []}
    return Room(kind, {"generate": graph}, {**about, **facts})


def _classes(model: Any) -> list[str]:
    return list(model.names) or [str(number) for number in range(model.classes)]
