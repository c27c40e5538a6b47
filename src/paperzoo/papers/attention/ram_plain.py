"""The two networks that recurrent attention is compared with (Mnih et al. 2014, tables 1 and 2): they see the whole image at once.

Both are trained by cross-entropy alone, with ``ram.py``'s optimiser and falling rate; ``ram:fc`` and ``ram:conv`` train them.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch.nn.functional as F
from annotated_types import Ge
from torch import nn

from paperzoo.data import Batch
from paperzoo.papers.attention.ram import falling, optimizer
from paperzoo.ranges import NotNegative, Pixels, Size
from paperzoo.tasks.classification import Classifier
from paperzoo.tasks.model import Optimizers, Players


class Plain(Classifier):
    """RAM's baseline: a network that sees the whole image at once, trained by cross-entropy alone."""

    def __init__(self, network: nn.Module, channels: int, classes: int, image_size: int) -> None:
        super().__init__()
        self.channels, self.image_size, self.network = channels, image_size, network
        self.names = tuple(str(i) for i in range(classes))

    def optimizers(self, *, name: Literal["SGD", "Adam"] = "SGD", lr: NotNegative = 0.01) -> Optimizers:
        """SGD with momentum 0.9, or Adam; the rate falls linearly to 0."""
        return {"action": (optimizer(name, self.network.parameters(), lr), falling)}

    def step(self, batch: Batch, opt: Players) -> None:
        opt.action.minimize(F.cross_entropy(self(batch.image), batch.label))


class FullyConnected(Plain):
    """Two layers of 256 rectified units."""

    def __init__(self, *, hidden: Size = 256, channels: Size = 1, classes: Size = 10, image_size: Pixels = 28) -> None:
        pixels = channels * image_size**2
        layers = [nn.Flatten(), nn.Linear(pixels, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, classes)]
        super().__init__(nn.Sequential(*layers), channels, classes, image_size)


class Convolutional(Plain):
    """8 filters of 10x10 at stride 5, then 256 rectified units.

    Raises:
        PaperzooError: images smaller than a filter.
    """

    def __init__(
        self,
        *,
        hidden: Size = 256,
        channels: Size = 1,
        classes: Size = 10,
        image_size: Annotated[Pixels, Ge(10)] = 28,
    ) -> None:
        maps = 8 * ((image_size - 10) // 5 + 1) ** 2
        layers = [nn.Conv2d(channels, 8, 10, stride=5), nn.ReLU(), nn.Flatten()]
        layers += [nn.Linear(maps, hidden), nn.ReLU(), nn.Linear(hidden, classes)]
        super().__init__(nn.Sequential(*layers), channels, classes, image_size)
