"""The interface of a generative model, and helpers for its steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from paperzoo.errors import PaperzooError, unknown
from paperzoo.tasks.generation.latent import between, noise
from paperzoo.tasks.generation.task import ConditionalGeneration, ImageGeneration, PointGeneration
from paperzoo.tasks.model import Model
from paperzoo.tasks.task import Task


class Sampler(Model):
    """A model that turns latent vectors into samples. Subclasses set ``latent`` and ``prior`` and define ``generate``."""

    latent: int
    prior: Literal["normal", "uniform"] = "normal"

    def generate(self, z: Tensor) -> Tensor:
        """Samples for latent vectors (N, latent), in the task's range."""
        raise TypeError(f"{type(self).__name__} does not say how it generates")

    def settled(self) -> Callable[..., Tensor]:
        """``generate`` as a function of its tensors alone, which can be traced: what a model's state says of it is read here, once."""
        return self.generate

    def draw(self, items: int) -> Tensor:
        """Latent vectors (items, latent) for training, from torch's generator on the model's device."""
        device = next(self.parameters()).device
        shape = (items, self.latent)
        return torch.randn(shape, device=device) if self.prior == "normal" else torch.rand(shape, device=device) * 2 - 1

    def latents(self, items: int, seed: int) -> Tensor:
        """Latent vectors (items, latent) for sampling, on the CPU; row i must not depend on ``items``.

        A model whose latent vector has parts of its own (codes, say) overrides this.

        Raises:
            PaperzooError: fewer than one asked for, or a seed below 0.
        """
        if items < 1:
            raise PaperzooError(f"cannot draw {items} samples: ask for at least 1")
        if seed < 0:
            raise PaperzooError(f"the seed is a whole number from 0, not {seed}")
        return noise(items, self.latent, self.prior, seed)

    def sample(self, items: int = 16, seed: int = 0) -> Tensor:
        """``items`` samples on the CPU, float32. Each has noise of its own: the first 4 of 16 are the 4 of 4.

        Raises:
            PaperzooError: fewer than one sample asked for.
        """
        return self.render(self.latents(items, seed))

    def render(self, *given: Tensor) -> Tensor:
        """``generate(*given)`` in eval mode without gradients, 250 rows at a time; float32 on the CPU."""
        was_training, device = self.training, next(self.parameters()).device
        self.eval()  # batch statistics would tie samples to each other
        with torch.no_grad():
            chunks = zip(*(torch.split(tensor, 250) for tensor in given), strict=True)
            parts = [self.generate(*(chunk.to(device) for chunk in row)).float().cpu() for row in chunks]
        self.train(was_training)
        return torch.cat(parts)


class ImageGenerator(Sampler):
    """Generates images (N, C, H, W) in [0, 1]."""

    tasks: ClassVar[tuple[Task, ...]] = (ImageGeneration(),)

    def lean(self) -> tuple[dict[str, Any], Mapping[str, Tensor]]:
        """The averaged generator in place of the last one, where there is an average: it is what samples come from."""
        arguments, state = super().lean()
        mark = "average.network."
        averaged = {f"generator.{k.removeprefix(mark)}": v for k, v in state.items() if k.startswith(mark)}
        if not averaged:
            return arguments, state
        return {**arguments, "average": 0.0}, {**{k: v for k, v in state.items() if not k.startswith("average.")}, **averaged}

    def walk(self) -> Tensor:
        """Samples (80, C, H, W): eight walks of ten steps, each from one latent vector to another."""
        return self.render(self._paths())

    def _paths(self) -> Tensor:
        ends = self.latents(16, 0).view(8, 2, -1)  # (8, 2, latent)
        return between(ends[:, 0], ends[:, 1], 10, self.prior).flatten(0, 1)  # (80, latent)


class OfClasses(Sampler):
    """A sampler that is asked for a class. Subclasses set ``classes``."""

    classes: int
    #: what the data call the classes
    names: tuple[str, ...] = ()

    def named(self, label: str | None) -> int | None:
        """The number of the class that a user names: by its name, or by its number where names are no numbers.

        Raises:
            PaperzooError: there is no such class.
        """
        if label is None or label in self.names:
            return None if label is None else self.names.index(label)
        numbers = all(name.lstrip("-").replace(".", "", 1).isdigit() for name in self.names)
        if label.isascii() and label.isdigit() and len(label) < 10 and (not self.names or not numbers) and int(label) < self.classes:
            return int(label)
        counted = (*map(str, range(self.classes)),)
        if (self.names or counted) == counted:
            raise PaperzooError(f"label {label!r} is no class of {self.name}: its classes are 0 to {self.classes - 1}")
        raise unknown("label", label, self.names, f"of {self.name}")

    def labels(self, items: int, label: int | str | Sequence[int] | None = None) -> Tensor:
        """The classes of ``items`` samples, int64 (items): 0, 1, 2 and so on in turn, or the one asked for, or one each.

        Raises:
            PaperzooError: a class out of range, or not one for each sample.
        """
        if isinstance(label, str):
            label = self.named(label)
        single = isinstance(label, int | np.integer)
        named = [label] * items if single else list(range(items)) if label is None else list(label)  # type: ignore[arg-type]
        if len(named) != items:
            raise PaperzooError(f"{len(named)} labels were given for {items} samples: give one, or one for each")
        whole = [int(value) for value in named]  # type: ignore[arg-type]
        for value, number in zip(named, whole, strict=True):
            if label is not None and (value != number or not 0 <= number < self.classes):
                raise PaperzooError(f"label {value!r} is no class of {self.name}: its classes are 0 to {self.classes - 1}")
        return torch.tensor(whole) % self.classes


class ConditionalGenerator(ImageGenerator, OfClasses):
    """Generates images of a class that is asked for. Subclasses set ``classes`` and define ``generate(z, label)``."""

    tasks: ClassVar[tuple[Task, ...]] = (ConditionalGeneration(),)

    def generate(self, z: Tensor, label: Tensor) -> Tensor:  # type: ignore[override]  # what it needs besides the noise
        """Images (N, C, H, W) in [0, 1] for latent vectors (N, latent) and classes int64 (N)."""
        raise TypeError(f"{type(self).__name__} does not say how it generates")

    def sample(self, items: int = 16, seed: int = 0, label: int | str | Sequence[int] | None = None) -> Tensor:
        """``items`` images on the CPU, float32; sample i is of class ``i % classes`` unless ``label`` says otherwise.

        Args:
            label: the class of all samples, by number or name, or a sequence with one for each. Noise i is the same whatever the class.

        Raises:
            PaperzooError: fewer than one sample asked for, or a label that is no class.
        """
        return self.render(self.latents(items, seed), self.labels(items, label))

    def walk(self) -> Tensor:
        """Any generator's walks, each within one class."""
        return self.render(self._paths(), (torch.arange(8) % self.classes).repeat_interleave(10))


class PointGenerator(Sampler):
    """Generates points (N, D)."""

    tasks: ClassVar[tuple[Task, ...]] = (PointGeneration(),)

    def way(self, z: Tensor) -> Tensor | None:
        """Where latent vectors (N, latent) are after each step (steps + 1, N, D), of a generator that goes by steps; ``None`` of others."""
        return None
