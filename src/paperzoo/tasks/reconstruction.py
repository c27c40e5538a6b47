"""Autoencoders: squared error, always beside that of PCA with a code of equal size; reconstructions and maps of codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from paperzoo.data import Batch, Dataset, Split
from paperzoo.errors import PaperzooError
from paperzoo.metrics.iwae import bounds
from paperzoo.metrics.pca import Components, principal_components
from paperzoo.metrics.sharpness import relative_sharpness
from paperzoo.tasks.generation import spread
from paperzoo.tasks.images import read_image
from paperzoo.tasks.model import Model
from paperzoo.tasks.pictures import compact, grid, save
from paperzoo.terminal import plain

#: training items that PCA is fitted on, evenly spaced; and how many numbers they may hold (of 64x64 colour images, 10,922 items)
PCA_ITEMS, PCA_NUMBERS = 20_000, 2**27

#: held-out items on a map
MAPPED = 2000


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

    task = "reconstruction"
    needs: ClassVar[tuple[str, ...]] = ("image",)
    channels: int
    image_size: int

    def encode(self, image: Tensor) -> Tensor:
        """Codes float32 (N, D) of images (N, C, H, W) in [0, 1]; the mean where the code is a distribution."""
        raise TypeError(f"{type(self).__name__} does not say how it encodes")

    def decode(self, code: Tensor) -> Tensor:
        """Images (N, C, H, W) in [0, 1] of codes (N, D); those of a linear decoder may lie a little outside."""
        raise TypeError(f"{type(self).__name__} does not say how it decodes")

    def given(self, batch: Batch) -> tuple[Tensor, ...]:
        """What is encoded, and what encoder and decoder are told besides (a class, say): each (N, ...)."""
        return (batch.image,)

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

    def measure(self, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """``squared error``: the mean over the split of the sum over pixels of squared differences; and PCA's.

        ``pca squared error`` is the same of PCA with as many components as the code has numbers, fitted on at most 20,000
        training items; ``squared error % of pca's`` their ratio, left out where PCA makes no error. For images also
        ``sharpness relative to real``, that of at most 1,000 reconstructions over their originals': see ``metrics/sharpness.py``.
        """
        items = dataset[split]
        first = self.given(items.batch(np.arange(1)))
        pca = self.pca(dataset, self.codes(*first).shape[1])
        own = linear = 0.0
        for indices in items.batches(500):
            x, *told = self.given(items.batch(indices))
            own += float(squared_errors(x.cpu(), self.reconstruct(x, *told)).sum())
            flat = x.cpu().flatten(1)
            linear += float(squared_errors(flat, pca.decode(pca.encode(flat))).sum())
        ratio = {"squared error % of pca's": 100 * own / linear} if linear > 1e-6 * len(items) else {}
        found = {"squared error": own / len(items), "pca squared error": linear / len(items), **ratio}
        real, *told = self.spaced(items, 1000)
        if real.ndim == 4 and min(real.shape[2:]) >= 3 and real.var() > 0:
            found["sharpness relative to real"] = relative_sharpness(self.reconstruct(real, *told), real)
        return found

    def pca(self, dataset: Dataset, components: int) -> Components:
        """Principal components of at most 20,000 training items, evenly spaced."""
        train = dataset["train"]
        numbers = self.given(train.batch(np.arange(1)))[0].numel()
        return principal_components(self.spaced(train, min(PCA_ITEMS, PCA_NUMBERS // numbers))[0].flatten(1), components)

    def spaced(self, items: Split, most: int) -> tuple[Tensor, ...]:
        """``given`` of at most ``most`` items, evenly spaced, on the CPU."""
        chosen = spread(len(items), most)
        found = [self.given(items.batch(chosen[start : start + 1000])) for start in range(0, len(chosen), 1000)]
        return tuple(torch.cat([part.cpu() for part in parts]) for parts in zip(*found, strict=True))

    def rows(self, image: Tensor, *told: Tensor) -> list[Tensor]:
        """What the picture of reconstructions shows of images (N, C, H, W), from top to bottom; each (N, C, H, W)."""
        return [image, self.reconstruct(image, *told)]

    def show(self, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        """Ten held-out images over their reconstructions; where codes have two numbers, a map of 2,000 of them by label."""
        some = self.spaced(dataset[split], 10)
        picture = grid(torch.cat(self.rows(*some)), len(some[0]), scale=max(1, 32 // some[0].shape[-1]))
        paths = [save(compact(picture), folder / f"{stem}-reconstructions.png")]
        if self.codes(*(tensor[:1] for tensor in some)).shape[1] == 2:
            codes = self.codes(*self.spaced(dataset[split], MAPPED))
            paths.append(maps({"codes": codes}, *labels(dataset, split, MAPPED), folder / f"{stem}-map.png"))
        return paths

    def predict(self, input: Any) -> Any:
        """The code and the reconstruction of an image given as path, PIL image or array; of a list of these, a list.

        Raises:
            PaperzooError: the input is no image, or has values out of range.
        """
        if isinstance(input, list | tuple):
            return [self.predict(one) for one in input]
        return self.reconstruction(read_image(input, self.channels, self.image_size, self.prepared))

    def reconstruction(self, *given: Tensor) -> Reconstruction:
        """What ``predict`` answers, for one item (1, ...)."""
        back = self.reconstruct(*given)
        return Reconstruction(back[0], tuple(self.codes(*given)[0].tolist()), float(squared_errors(given[0].cpu(), back)))


class PointAutoencoder(Autoencoder):
    """Encodes points (N, D), of any range, in place of images. Subclasses set ``dimensions``."""

    needs = ("point",)
    dimensions: int

    def given(self, batch: Batch) -> tuple[Tensor, ...]:
        return (batch.point,)

    def show(self, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        """The first two or three coordinates of 500 held-out points, each joined to its reconstruction by a line."""
        from matplotlib.figure import Figure

        (point,) = self.spaced(dataset[split], 500)
        back, axes_shown = self.reconstruct(point), min(3, point.shape[1])
        figure = Figure(figsize=(5, 5), layout="constrained")
        axes = figure.add_subplot(projection="3d") if axes_shown == 3 else figure.add_subplot()
        ends = torch.stack([point, back])[..., :axes_shown]  # (2, N, 2 or 3)
        if axes_shown == 1:
            ends = torch.cat([ends, torch.zeros_like(ends)], 2)
        for pair in ends.unbind(1):
            axes.plot(*pair.T.numpy(), color="0.7", linewidth=0.5)
        for name, some in zip(("points", "reconstructions"), ends, strict=True):
            axes.plot(*some.T.numpy(), ".", markersize=3, label=name)
        axes.legend()
        return [save(figure, folder / f"{stem}-reconstructions.png")]

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

    #: what stands beside "nats" in the metrics' names: of what the likelihood is one
    protocol: str = ""
    #: held-out items that the bounds are measured on, and how many numbers they may hold
    bound_items, bound_numbers = 1000, 2_500_000

    def targets(self, x: Tensor, random: torch.Generator | None = None) -> Tensor:
        """What of the data (N, ...) the model is a model of."""
        return x

    def log_weights(self, samples: int, random: torch.Generator, x: Tensor, *told: Tensor) -> Tensor:
        """``log p(x, z_k) - log q(z_k|x)`` in nats, (samples, N), for samples z_k ~ q of targets (N, ...)."""
        raise TypeError(f"{type(self).__name__} does not say how likely anything is")

    def measure_bounds(self, dataset: Dataset, split: str, samples: int = 100) -> dict[str, float]:
        """``elbo (nats)`` and ``iwae-100 (nats)``, from the same 100 samples of each item, so that the first is never above the
        second; and ``active codes``: dimensions of the code that vary over the data by more than 0.01 (Burda et al. 2015).

        Of at most 1,000 held-out items, evenly spaced; fewer of images of more than 2,500 numbers.
        """
        random, device = torch.Generator().manual_seed(0), next(self.parameters()).device
        given = self.spaced(dataset[split], self.bound_items)
        codes, most = self.codes(*given), max(1, self.bound_numbers // given[0][0].numel())
        chunks = zip(*(torch.split(tensor[:most], 10) for tensor in (self.targets(given[0], random), *given[1:])), strict=True)
        weights = [self.log_weights(samples, random, *(part.to(device) for part in row)).cpu() for row in chunks]
        elbo, iwae = bounds(torch.cat(weights, 1))
        unit = f"nats, {self.protocol}" if self.protocol else "nats"
        return {
            f"elbo ({unit})": float(elbo.mean()),
            f"iwae-{samples} ({unit})": float(iwae.mean()),
            "active codes": int((codes.var(0, correction=0) > 0.01).sum()),
        }


def normal_grid(side: int = 20) -> Tensor:
    """Codes (side^2, 2), row by row, of a grid whose points are equally likely under N(0, I) in each direction."""
    steps = torch.special.ndtri((torch.arange(side) + 0.5) / side)  # the inverse of the normal distribution function
    down, across = torch.meshgrid(-steps, steps, indexing="ij")
    return torch.stack([across, down], -1).view(-1, 2)


def squared_errors(x: Tensor, y: Tensor) -> Tensor:
    """The sum of squared differences of each row: (N) from (N, ...) and (N, ...)."""
    return (x - y).square().flatten(1).sum(1)


def check_range(image: Tensor) -> Tensor:
    """The images as they are; what ``encode`` asks of its input.

    Raises:
        PaperzooError: values outside [0, 1], or none at all.
    """
    if image.ndim != 4 or not image.numel():
        raise PaperzooError(f"images are (N, C, H, W), not {tuple(image.shape)}")
    low, high = image.detach().aminmax()
    if not (low >= 0 and high <= 1):  # so written, not-a-number is refused too
        raise PaperzooError(f"pixel values must lie in [0, 1], not [{float(low):g}, {float(high):g}]: divide bytes by 255")
    return image


def labels(dataset: Dataset, split: str, most: int) -> tuple[Tensor | None, Sequence[str]]:
    """The labels int64 (N) of at most ``most`` items, evenly spaced, and what they are called; none where there are none."""
    if "label" not in dataset.schema.fields:
        return None, ()
    return dataset[split].batch(spread(len(dataset[split]), most)).label.cpu(), dataset.schema.names


def maps(panels: Mapping[str, Tensor], label: Tensor | None, names: Sequence[str], path: Path) -> Path:
    """Codes (N, 2) side by side, a panel for each name, coloured by labels (N) where there are any."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * len(panels) + 1, 5), layout="constrained")
    kinds = [] if label is None else np.unique(label.numpy()).tolist()
    colours, size = colormaps["tab10" if len(kinds) <= 10 else "tab20"], 2 if len(next(iter(panels.values()))) > 1000 else 4
    for column, (title, code) in enumerate(panels.items()):
        axes = figure.add_subplot(1, len(panels), column + 1)
        axes.set(title=title, xticks=[], yticks=[])
        if label is None:
            axes.plot(*code.T.numpy(), ".", markersize=size)
        for index, kind in enumerate(kinds):
            name = plain(names[kind]).replace("$", r"\$") if kind < len(names) else str(kind)  # no formula
            axes.plot(*code[label == kind].T.numpy(), ".", markersize=size, color=colours(index % colours.N), label=name)
    if 0 < len(kinds) <= 20:
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), markerscale=10 / size, frameon=False)
    return save(figure, path, dpi=60 if len(panels) > 2 else 80)
