"""Convolutional autoencoder: features of images learnt without labels, a layer at a time or all at once (Masci et al. 2011).

A layer of the encoder is a convolution, a tanh and, in all but the last, a pooling that keeps the largest of each 2x2. Its
decoder is another convolution; the two learn that decoding gives back what went in, E = 1/2n sum (x - y)^2 (Eq. 3). Without
the pooling a layer with more maps than its input has channels could learn to copy; keeping one value of four makes codes sparse,
and takes the place of a penalty. Stacked, each layer learns on the pooled output of the one below, and the encoder is then the
first part of a classifier, or a set of features.

The denoising autoencoder (Vincent et al. 2008) is given a corrupted image and must answer with the clean one, so that copying
is of no use at all. Read ``Encoder`` first, then ``Model.step``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

from paperzoo.data import Batch, Dataset
from paperzoo.errors import PaperzooError, unknown
from paperzoo.nn.schedules import linear_decay
from paperzoo.ranges import NotNegative, Part, Pixels, Share, Size, Sizes
from paperzoo.records import Recipe, Stage, Target
from paperzoo.tasks.model import Optimizers, Players
from paperzoo.tasks.reconstruction import Autoencoder, check_range, squared_errors


class Encoder(nn.Module):
    """Images (N, channels, S, S) to codes (N, code): for each of ``maps`` a convolution with tanh, then a linear layer.

    Kernels are 5x5, but 3x3 in the last convolution; all but the last are followed by a pooling that halves the side.
    ``first`` and ``last`` select some of the layers, as a slice: what enters and what leaves is then (N, C, H, W) in between.
    """

    def __init__(self, image_size: int, channels: int, maps: Sequence[int], code: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for index, (inputs, outputs) in enumerate(pairwise([channels, *maps])):
            top = index == len(maps) - 1
            convolution = nn.Conv2d(inputs, outputs, 3 if top else 5, padding="same")
            self.layers.append(nn.Sequential(convolution, nn.Tanh(), nn.Identity() if top else nn.MaxPool2d(2)))
        numbers = maps[-1] * (image_size >> len(maps) - 1) ** 2
        self.layers.append(nn.Sequential(nn.Flatten(), nn.Linear(numbers, code)))

    def forward(self, x: Tensor, first: int = 0, last: int | None = None) -> Tensor:
        for layer in self.layers[first:last]:
            x = layer(x)
        return x


class Decoder(nn.Module):
    """The encoder's mirror image, codes (N, code) to images (N, channels, S, S); ``layers[i]`` undoes the encoder's ``layers[i]``."""

    def __init__(self, image_size: int, channels: int, maps: Sequence[int], code: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for index, (outputs, inputs) in enumerate(pairwise([channels, *maps])):
            top = index == len(maps) - 1
            convolution = nn.Conv2d(inputs, outputs, 3 if top else 5, padding="same")
            larger = nn.Identity() if top else nn.Upsample(scale_factor=2)
            self.layers.append(nn.Sequential(larger, convolution, nn.Tanh() if index else nn.Sigmoid()))
        shape = (maps[-1], image_size >> len(maps) - 1, image_size >> len(maps) - 1)
        self.layers.append(nn.Sequential(nn.Linear(code, math.prod(shape)), nn.Unflatten(1, shape), nn.Tanh()))

    def forward(self, x: Tensor, first: int = 0, last: int | None = None) -> Tensor:
        for layer in reversed(self.layers[first:last]):
            x = layer(x)
        return x


def loss(clean: Tensor, back: Tensor) -> Tensor:
    """``1/2n sum ||x - y||^2`` over n items (N, ...): Eq. 3."""
    return 0.5 * squared_errors(clean, back).mean()


class Model(Autoencoder):
    """A stack of convolutional layers and a fully connected one.

    A recipe with stages called ``layer 1``, ``layer 2`` and so on trains one layer in each on the output of those below, which
    stay as they are; in any other stage, and without stages, all learn at once.

    Args:
        image_size: side of the images; each of ``maps`` but the last halves it.
        channels: of the images.
        maps: channels of the convolutions, from the image up.
        code: numbers a code.
        noise: standard deviation of Gaussian noise on what is encoded in training, cut off at 0 and 1.
        dropped: share of pixels set to 0 in what is encoded in training.
    """

    def __init__(
        self,
        *,
        image_size: Pixels = 28,
        channels: Size = 1,
        maps: Sizes = (100, 150, 200),
        code: Size = 300,
        noise: NotNegative = 0.0,
        dropped: Part = 0.0,
    ) -> None:
        super().__init__()
        parts = 2 ** (len(maps) - 1)
        if image_size < parts or image_size % parts:
            raise PaperzooError(f"image_size {image_size} is not a multiple of {parts}: all of the {len(maps)} maps but one halve it")
        self.image_size, self.channels, self.noise, self.dropped = image_size, channels, noise, dropped
        self.encoder = Encoder(image_size, channels, maps, code)
        self.decoder = Decoder(image_size, channels, maps, code)
        self.learning: int | None = None  # the one layer that learns, from 0

    def optimizers(self, *, lr: NotNegative = 1e-3, decay_from: Share = 0.5) -> Optimizers:
        """Adam for both networks, at a constant rate up to ``decay_from`` of a stage's steps, then linearly to zero."""
        return {"autoencoder": (Adam(self.parameters(), lr), linear_decay(decay_from))}

    def stage(self, name: str) -> None:
        known = {f"layer {number + 1}": number for number in range(len(self.encoder.layers))}
        if name not in (*known, "all"):
            raise unknown("stage", name, [*known, "all"], f"of {self.name}")
        self.learning = known.get(name)

    def step(self, batch: Batch, opt: Players) -> None:
        clean, corrupted = batch.image, self.corrupt(batch.image)
        if self.learning is None:
            opt.autoencoder.minimize(loss(clean, self.decoder(self.encoder(corrupted))))
            return
        k = self.learning
        with torch.no_grad():  # the layers below
            clean, corrupted = self.encoder(clean, 0, k), self.encoder(corrupted, 0, k)  # (N, C, H, W)
        opt.autoencoder.minimize(loss(clean, self.decoder(self.encoder(corrupted, k, k + 1), k, k + 1)))

    def corrupt(self, image: Tensor, random: torch.Generator | None = None) -> Tensor:
        """The images with noise and without the dropped pixels, in [0, 1]; as they are if there is to be neither."""
        if self.noise:
            image = (image + self.noise * torch.randn(image.shape, generator=random, device=image.device)).clamp(0, 1)
        if self.dropped:
            image = image * (torch.rand(image.shape, generator=random, device=image.device) >= self.dropped)
        return image

    def encode(self, image: Tensor) -> Tensor:
        code: Tensor = self.encoder(check_range(image))
        return code

    def decode(self, code: Tensor) -> Tensor:
        image: Tensor = self.decoder(code)
        return image

    def measure(self, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """Any autoencoder's metrics; of a denoising one also errors of corrupted images against the clean ones.

        ``corrupted squared error`` before, ``restored squared error`` after, and ``pca restored squared error`` by PCA.
        """
        metrics, items = super().measure(dataset, split), dataset[split]
        if not (self.noise or self.dropped):
            return metrics
        random, pca = torch.Generator().manual_seed(0), None
        total = torch.zeros(3)
        for indices in items.batches(500):
            clean = items.batch(indices).image.cpu()
            corrupted = self.corrupt(clean, random)
            flat = corrupted.flatten(1)
            pca = pca or self.pca(dataset, self.codes(corrupted[:1]).shape[1])
            answers = (corrupted, self.reconstruct(corrupted), pca.decode(pca.encode(flat)).view_as(clean))
            total += torch.stack([squared_errors(clean, answer).sum() for answer in answers])
        names = ("corrupted squared error", "restored squared error", "pca restored squared error")
        return metrics | dict(zip(names, (total / len(items)).tolist(), strict=True))

    def rows(self, image: Tensor, *told: Tensor) -> list[Tensor]:
        if not (self.noise or self.dropped):
            return super().rows(image)
        corrupted = self.corrupt(image, torch.Generator().manual_seed(0))
        return [image, corrupted, self.reconstruct(corrupted)]


VARIANTS: dict[str, dict[str, Any]] = {"conv_autoencoder": {}, "denoising": {"dropped": 0.3}}

RECIPES = {
    "paper": Recipe(
        data="mnist",
        steps=80_000,
        batch_size=64,
        stages=tuple(Stage(f"layer {number}", 20_000) for number in (1, 2, 3, 4)),
        note="layer by layer; the paper gives no number of steps: 25 epochs a layer",
    ),
    "small": Recipe(
        data="mnist",
        steps=1600,
        batch_size=128,
        model={"maps": [16, 32, 32], "code": 32},
        optimizer={"lr": 2e-3},
        targets=(Target("squared error % of pca's", at_most=50),),
        variants=("conv_autoencoder",),
    ),
    "small-stacked": Recipe(
        data="mnist",
        steps=1600,
        batch_size=128,
        model={"maps": [16, 32, 32], "code": 32},
        optimizer={"lr": 2e-3},
        stages=(*(Stage(f"layer {number}", 200) for number in (1, 2, 3, 4)), Stage("all", 800)),
        variants=("conv_autoencoder",),
        note="half of the steps layer by layer, then all layers at once: beside small, what the first half is worth",
    ),
    "small-denoising": Recipe(
        data="mnist",
        steps=1600,
        batch_size=128,
        model={"maps": [16, 32, 32], "code": 32},
        optimizer={"lr": 2e-3},
        targets=(Target("restored squared error", at_most=10),),
        variants=("denoising",),
    ),
    "smoke": Recipe(
        data="digits",
        steps=60,
        batch_size=32,
        model={"maps": [8, 8], "code": 8},
        optimizer={"lr": 5e-3},
        precision="float32",
        variants=("conv_autoencoder",),
    ),
    "smoke-denoising": Recipe(
        data="digits",
        steps=60,
        batch_size=32,
        model={"maps": [8, 8], "code": 8},
        optimizer={"lr": 5e-3},
        precision="float32",
        variants=("denoising",),
    ),
}
