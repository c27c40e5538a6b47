"""A classifier of drawn digits in a browser: what it answers, and what its layers see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from paperzoo.data.images.centred import SIDE
from paperzoo.tasks.graphs import Graph, Room, noise_of

if TYPE_CHECKING:
    from paperzoo.tasks.classification.contract import Classifier

#: layers that are shown at most
SHOWN = 4


def room(model: Classifier) -> Room | None:
    """Of classifiers of small grey images; of others there is nothing that a visitor could draw."""
    if model.channels != 1 or not SIDE <= model.image_size <= SIDE + 4:
        return None
    layers = shown(model)
    image = f"float32 (N, 1, {model.image_size}, {model.image_size}) in [0, 1], white on black"
    outputs = {"logits": "float32 (N, classes)", **dict.fromkeys(layers, "float32 (N, maps, h, w)")}
    example = noise_of(1, model.image_size, model.image_size)
    graph = Graph(lambda given: tuple(looked(model, given, layers)), example, {"image": image}, outputs)
    return Room("digit", {"look": graph}, {"size": model.image_size, "names": list(model.names), "layers": list(layers)})


def shown(model: Classifier) -> dict[str, nn.Module]:
    """The layers of the network whose output is maps, the first ``SHOWN`` of those that stand in it by name."""
    layers: dict[str, nn.Module] = {}
    network = model.get_submodule("network")
    seen: dict[str, Tensor] = {}
    handles = [part.register_forward_hook(_keeping(seen, name)) for name, part in network.named_children()]
    with torch.no_grad():
        model(torch.zeros(1, model.channels, model.image_size, model.image_size))
    for handle in handles:
        handle.remove()
    for name, output in seen.items():
        if output.ndim == 4 and output.shape[-1] > 1 and len(layers) < SHOWN:
            layers[name] = network.get_submodule(name)
    return layers


def looked(model: Classifier, image: Tensor, layers: dict[str, nn.Module]) -> list[Tensor]:
    """Logits of images (N, 1, S, S), and what comes out of these layers, each (N, maps, h, w)."""
    seen: dict[str, Tensor] = {}
    handles = [layer.register_forward_hook(_keeping(seen, name)) for name, layer in layers.items()]
    try:
        logits = model(image)
    finally:
        for handle in handles:
            handle.remove()
    return [logits, *(seen[name].float() for name in layers)]


def _keeping(seen: dict[str, Tensor], name: str):  # type: ignore[no-untyped-def]
    def keep(layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        seen[name] = output

    return keep
