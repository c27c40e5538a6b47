"""CFG-GAN on points of the plane (Johnson and Zhang 2018): the method of ``cfggan.py`` where its steps can be watched.

``cfggan:toy``, ``cfggan:toy_icfg``, ``cfggan:toy_cfg`` and ``cfggan:toy_logd`` train it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from paperzoo.data import Batch
from paperzoo.papers.gan.cfggan import CompositeGradient, Method, Scale
from paperzoo.papers.gan.gan import ToyNetwork
from paperzoo.ranges import Count, Positive, Size
from paperzoo.tasks.generation import PointGenerator


class Toy(CompositeGradient, PointGenerator):
    """The method on points, with two small ReLU networks; arguments as in ``cfggan.Model``."""

    def __init__(
        self,
        *,
        dimensions: Size = 2,
        latent: Size = 2,
        width: Size = 128,
        method: Method = "xicfg",
        scale: Scale = "one",
        functional_steps: Count = 100,
        discriminator_steps: Count = 2,
        pool: Size = 1024,
        eta: Positive = 0.02,
        epochs: Count = 20,
    ) -> None:
        super().__init__()
        self.latent, self.approximator = latent, ToyNetwork(latent, dimensions, width)
        self.discriminator = ToyNetwork(dimensions, 1, width)
        self.compose((dimensions,), method, scale, functional_steps, discriminator_steps, pool, eta, epochs)

    def real(self, batch: Batch) -> Tensor:
        """Points (N, D)."""
        points: Tensor = batch.point
        return points

    def output(self, x: Tensor) -> Tensor:
        """Points (N, D)."""
        return x

    def way(self, z: Tensor) -> Tensor:
        return torch.stack(list(self.composition(z)))
