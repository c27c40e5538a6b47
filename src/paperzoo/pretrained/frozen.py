"""Published classifiers as frozen encoders of images: what their last linear layer sees, and their last map of features."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paperzoo import catalog
from paperzoo.errors import unknown

#: name -> a classifier of the catalogue, and which of its published weights
ENCODERS = {
    "mobilenet": ("mobilenet:v2", "imagenet"),
    "resnet50": ("resnet:resnet50", "imagenet"),
    "vgg16": ("vgg:vgg16", "imagenet"),
}


class Frozen:
    """A classifier that answers with features, in eval mode and without gradients.

    Args:
        name: what it is called in a data set's name.
        model: a classifier with ``features``, ``channels`` and ``image_size``.

    Attributes:
        digest: first 12 hex digits of the SHA-256 of its weights, by which what it has computed is kept.
    """

    def __init__(self, name: str, model: Any) -> None:
        self.name, self.model = name, model.eval()
        state = hashlib.sha256()
        for key, tensor in sorted(model.state_dict().items()):
            state.update(f"{key}{tuple(tensor.shape)}{tensor.dtype}".encode())
            state.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        self.digest = state.hexdigest()[:12]

    @torch.no_grad()
    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features (N, D) and the last feature map (N, K, h, w) of images (N, C, H, W) in [0, 1], resized to the encoder's side.

        Grey images are shown in three equal channels. The map is the last output of four dimensions with more than one place.
        """
        if images.shape[1] != self.model.channels:
            images = images.expand(-1, self.model.channels, -1, -1)
        if images.shape[-2:] != (self.model.image_size,) * 2:
            images = F.interpolate(images, (self.model.image_size,) * 2, mode="bilinear", antialias=True)
        maps: list[Tensor] = []

        def note(layer: nn.Module, given: Any, answer: Any) -> None:
            if torch.is_tensor(answer) and answer.ndim == 4 and answer[0, 0].numel() > 1:
                maps[:] = [answer]

        handles = [layer.register_forward_hook(note) for layer in self.model.modules()]
        try:
            features = self.model.features(images)
        finally:
            for handle in handles:
                handle.remove()
        return features.float(), maps[0].float()


@cache
def frozen(name: str) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """The encoder of this name, a ``Frozen``; its weights are fetched the first time.

    Raises:
        PaperzooError: there is none, or its weights cannot be had.
    """
    if name not in ENCODERS:
        raise unknown("encoder", name, ENCODERS)
    paper, weights = ENCODERS[name]
    return Frozen(name, catalog.create(paper, weights=weights))
