"""The interface of an autoencoder, and analyses of its codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from paperzoo.data import Batch, Dataset, Split
from paperzoo.errors import PaperzooError
from paperzoo.metrics.pca import Components, principal_components
from paperzoo.tasks.generation import spread
from paperzoo.tasks.images import read_image
from paperzoo.tasks.model import Model
from paperzoo.tasks.reconstruction.measure import squared_errors
from paperzoo.tasks.reconstruction.task import ImageReconstruction, Likelihood, PointReconstruction
from paperzoo.tasks.task import Task

#: training items that PCA is fitted on, evenly spaced; and how many numbers they may hold (of 64x64 colour images, 10,922 items)
PCA_ITEMS, PCA_NUMBERS = 20_000, 2**27


@dataclass(frozen=True)
class Reconstruction:
    """One input, encoded and decoded: ``image`` (C, H, W), or a point (D); the ``code``; the sum of squared differences."""

    image: Tensor = field(repr=False)
    code: tuple[float, ...]
    squared_error: float

    def __str__(self) -> str:
        shown = ", ".join(f"{number:.3g}" for number in self.code[:10])
        return f"squared error {self.squared_error:.4g}; code of {len(self.code)}: {shown}{', ...' if len(self.code) > 10 else ''}"


class Autoencoder(Model):
    """Encodes images (N, C, H, W) in [0, 1] and decodes them. Subclasses define ``encode`` and ``decode``, and set ``channels``
    and ``image_size`` if users' images are to be understood by ``predict``.
    """

    tasks: ClassVar[tuple[Task, ...]] = (ImageReconstruction(),)
    channels: int
    image_size: int

    def encode(self, image: Tensor) -> Tensor:
        """Codes float32 (N, D) of images (N, C, H, W) in [0, 1]; the mean where the code is a distribution."""
        raise TypeError(f"{type(self).__name__} does not say how it encodes")

    def decode(self, code: Tensor) -> Tensor:
        """Images (N, C, H, W) in [0, 1] of codes (N, D); those of a linear decoder may lie a little outside."""
        raise TypeError(f"{type(self).__name__} does not say how it decodes")

    def given(self, batch: Batch) -> tuple[Tensor, ...]:
        """The batch's inputs, and the conditions that encoder and decoder take besides (a class, say): each (N, ...)."""
        return (batch.image,)

    def told_example(self, items: int) -> tuple[Tensor, ...]:
        """Examples of such conditions for ``items`` inputs: as ``given`` without its first."""
        return ()

    def features(self, image: Tensor) -> Tensor:
        """The codes, (N, D), as features for something else."""
        return self.encode(image)

    def codes(self, *given: Tensor) -> Tensor:
        """``encode(*given)`` in eval mode without gradients, 250 at a time; (N, D) on the CPU."""
        return self._apart(lambda *part: self.encode(*part), *given)

    def reconstruct(self, *given: Tensor) -> Tensor:
        """``decode(encode(image))`` in eval mode without gradients, 250 at a time; as large as what is given, on the CPU.

        Raises:
            PaperzooError: values outside [0, 1].
        """
        return self._apart(lambda *part: self.decode(self.encode(*part), *part[1:]), *given)

    def _apart(self, function: Callable[..., Tensor], *given: Tensor) -> Tensor:
        was_training, device = self.training, next(self.parameters()).device
        self.eval()
        with torch.no_grad():
            chunks = zip(*(torch.split(tensor, 250) for tensor in given), strict=True)
            parts = [function(*(part.to(device) for part in row)).float().cpu() for row in chunks]
        self.train(was_training)
        return torch.cat(parts)

    def pca(self, dataset: Dataset, components: int) -> Components:
        """Principal components of at most 20,000 training items, evenly spaced."""
        train = dataset["train"]
        numbers = self.given(train.batch(np.arange(1)))[0].numel()
        return principal_components(self.spaced(train, min(PCA_ITEMS, PCA_NUMBERS // numbers))[0].flatten(1), components)

    def spaced(self, items: Split, most: int) -> tuple[Tensor, ...]:
        """``given`` of at most ``most`` items, evenly spaced, on the CPU."""
        chosen = spread(len(items), most)
        batches = [self.given(items.batch(chosen[start : start + 1000])) for start in range(0, len(chosen), 1000)]
        return tuple(torch.cat([part.cpu() for part in parts]) for parts in zip(*batches, strict=True))

    def rows(self, image: Tensor, *told: Tensor) -> list[Tensor]:
        """The rows of the picture of reconstructions for images (N, C, H, W), from top to bottom; each (N, C, H, W)."""
        return [image, self.reconstruct(image, *told)]

    def predict(self, input: Any) -> Any:
        """The code and the reconstruction of an image given as path, PIL image or array; of a list of these, a list.

        Raises:
            PaperzooError: the input is no image, or has values out of range.
        """
        if isinstance(input, list | tuple):
            return [self.predict(one) for one in input]
        return self.reconstruction(read_image(input, self.channels, self.image_size, self.prepared))

    def reconstruction(self, *given: Tensor) -> Reconstruction:
        """The answer of ``predict``, for one item (1, ...)."""
        back = self.reconstruct(*given)
        return Reconstruction(back[0], tuple(self.codes(*given)[0].tolist()), float(squared_errors(given[0].cpu(), back)))


class PointAutoencoder(Autoencoder):
    """Encodes points (N, D), of any range, in place of images. Subclasses set ``dimensions``."""

    tasks: ClassVar[tuple[Task, ...]] = (PointReconstruction(),)
    dimensions: int

    def given(self, batch: Batch) -> tuple[Tensor, ...]:
        return (batch.point,)

    def predict(self, input: Any) -> Any:
        """The code and the reconstruction of a point given as D numbers; of an array (N, D), a list.

        Raises:
            PaperzooError: not D finite numbers.
        """
        try:
            point = torch.as_tensor(np.asarray(input, np.float32))
        except (ValueError, TypeError) as error:
            raise PaperzooError(f"a point is {self.dimensions} numbers, not {input!r}") from error
        if point.ndim == 2:
            return [self.predict(one) for one in point]
        if point.shape != (self.dimensions,) or not torch.isfinite(point).all():
            raise PaperzooError(f"a point is {self.dimensions} finite numbers, not {input!r}")
        return self.reconstruction(point[None])


class LikelihoodAutoencoder(Autoencoder):
    """An autoencoder that is a model of the data's likelihood, ``p(x) = E_p(z) p(x|z)``. Subclasses define ``log_weights``."""

    tasks: ClassVar[tuple[Task, ...]] = (ImageReconstruction(), Likelihood())
    #: stands beside "nats" in the metrics' names: which data the likelihood is of
    protocol: str = ""
    #: held-out items that the bounds are measured on, and how many numbers they may hold
    bound_items, bound_numbers = 1000, 2_500_000

    def targets(self, x: Tensor, random: torch.Generator | None = None) -> Tensor:
        """The data (N, ...) in the form whose likelihood the model states (binarised, say)."""
        return x

    def log_weights(self, samples: int, random: torch.Generator, x: Tensor, *told: Tensor) -> Tensor:
        """``log p(x, z_k) - log q(z_k|x)`` in nats, (samples, N), for samples z_k ~ q of targets (N, ...)."""
        raise TypeError(f"{type(self).__name__} does not say how likely anything is")


def check_range(image: Tensor) -> Tensor:
    """The images unchanged, if they are in the range that ``encode`` requires.

    Raises:
        PaperzooError: values outside [0, 1], or none at all.
    """
    if image.ndim != 4 or not image.numel():
        raise PaperzooError(f"images are (N, C, H, W), not {tuple(image.shape)}")
    low, high = image.detach().aminmax()
    if not (low >= 0 and high <= 1):  # so written, not-a-number is refused too
        raise PaperzooError(f"pixel values must lie in [0, 1], not [{float(low):g}, {float(high):g}]: divide bytes by 255")
    return image
