"""The interface of a volume generator."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from paperzoo.tasks.generation import Sampler, between
from paperzoo.tasks.task import Task
from paperzoo.tasks.volume_generation.task import VolumeGeneration


class VolumeGenerator(Sampler):
    """Generates volumes (N, 1, S, S, S) in [0, 1], of which a voxel above 0.5 is occupied. Latent vectors are uniform in [0, 1].

    Subclasses set ``image_size`` and ``latent``, and define ``generate`` and ``features``.
    """

    tasks: ClassVar[tuple[Task, ...]] = (VolumeGeneration(),)
    prior = "uniform"
    image_size: int

    def draw(self, items: int) -> Tensor:
        """Latent vectors (items, latent) for training, from torch's generator on the model's device."""
        return (super().draw(items) + 1) / 2

    def latents(self, items: int, seed: int) -> Tensor:
        return (super().latents(items, seed) + 1) / 2

    def features(self, volume: Tensor) -> Tensor:
        """The model's features (N, D) of volumes (N, 1, S, S, S), on its device."""
        raise TypeError(f"{type(self).__name__} does not say what it sees in a volume")

    def seen(self, volume: Tensor) -> Tensor:
        """``features`` in eval mode without gradients, 100 volumes at a time; float32 on the CPU."""
        was_training, device = self.training, next(self.parameters()).device
        self.eval()
        with torch.no_grad():
            parts = [self.features(part.to(device)).float().cpu() for part in torch.split(volume, 100)]
        self.train(was_training)
        return torch.cat(parts)

    def walk(self) -> Tensor:
        """Volumes (32, 1, S, S, S): four walks of eight steps, each on the line from one latent vector to another."""
        ends = self.latents(8, 0).view(4, 2, -1)  # (4, 2, latent)
        return self.render(between(ends[:, 0], ends[:, 1], 8, "uniform").flatten(0, 1))

    def arithmetic(self) -> Tensor:
        """Volumes (16, 1, S, S, S): of latent vectors a, b, c and a - b + c, kept within [0, 1], four times."""
        a, b, c = self.latents(12, 1).view(4, 3, -1).unbind(1)
        return self.render(torch.stack([a, b, c, (a - b + c).clamp(0, 1)], 1).flatten(0, 1))
