"""The interface of an image classifier, and requirements on its network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from paperzoo.data import Dataset
from paperzoo.data.pictures import Preparation
from paperzoo.tasks.classification.maps import activation_maps
from paperzoo.tasks.classification.task import ImageClassification
from paperzoo.tasks.images import read_image
from paperzoo.tasks.model import Model
from paperzoo.tasks.task import Task
from paperzoo.terminal import plain


@dataclass(frozen=True)
class Classification:
    """A classifier's answer for one image.

    Attributes:
        label, name, probability: of the likeliest class.
        best: names and probabilities of the five likeliest classes, by falling probability.
        probabilities: of all classes, in their order.
    """

    label: int
    name: str
    probability: float
    probabilities: tuple[float, ...] = field(repr=False)
    best: tuple[tuple[str, float], ...] = ()

    def __str__(self) -> str:
        return ", ".join(f"{plain(name)} ({p:.1%})" for name, p in self.best or [(self.name, self.probability)])


class Classifier(Model):
    """A model whose ``forward`` gives logits (N, classes) for images (N, C, H, W) in [0, 1].

    Subclasses set ``channels``, ``image_size`` and ``names``; ``short_side`` where pictures are first resized to it, and the
    middle square of ``image_size`` is then cut out, as published networks are used.
    """

    tasks: ClassVar[tuple[Task, ...]] = (ImageClassification(),)
    channels: int
    image_size: int
    names: tuple[str, ...] = ()
    short_side: int = 0

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, classes); those of a network that answers with distances are the distances with their sign turned."""
        network = self.get_submodule("network")
        logits: Tensor = network(image)
        return logits

    def features(self, image: Tensor) -> Tensor:
        """The input of the last linear layer, (N, D), for images (N, C, H, W) in [0, 1]."""
        inputs: list[Tensor] = []
        handle = self._last().register_forward_pre_hook(lambda layer, given: inputs.append(given[0]))
        try:
            self(image)
        finally:
            handle.remove()
        return inputs[-1]

    def head(self, features: Tensor) -> Tensor:
        """Logits (N, classes) from ``features``."""
        logits: Tensor = self._last()(features)
        return logits

    def _last(self) -> nn.Linear:
        return [module for module in self.modules() if isinstance(module, nn.Linear)][-1]

    def activation_maps(self, image: Tensor) -> Tensor | None:
        """Where in images (N, C, H, W) in [0, 1] each class is seen: see ``maps.activation_maps``."""
        return activation_maps(self, image)

    def first_layers(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor] | None:
        """The first layer's filters (K, C, k, k), and what it (N, K, H, W) and the next (N, K, h, w) make of images, to be drawn; none by
        default."""
        return None

    def predict(self, input: Any) -> Any:
        """The class of an image given as path, PIL image or array; of a list of these, a list of classes.

        Raises:
            PaperzooError: the input is no image.
        """
        if isinstance(input, list | tuple):
            return [self.predict(one) for one in input]
        with torch.no_grad():
            published = Preparation(self.short_side, self.image_size, self.channels, "bilinear") if self.short_side else None
            image = read_image(input, self.channels, self.image_size, self.prepared or published)
            p = self(image).softmax(1)[0]
        named = [self.names[i] if i < len(self.names) else str(i) for i in range(len(p))]
        order = p.argsort(descending=True).tolist()[:5]
        best = tuple((named[i], float(p[i])) for i in order)
        return Classification(order[0], *best[0], tuple(p.tolist()), best)

    def outputs(self, dataset: Dataset, split: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Logits (n, classes) and labels (n) of a split, 500 items at a time; what measuring and drawing look at."""
        items, device = dataset[split], next(self.parameters()).device
        for indices in items.batches(500):
            batch = items.batch(indices).to(device)
            yield self(batch.image).detach(), batch.label
