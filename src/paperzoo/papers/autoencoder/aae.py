"""Adversarial autoencoder: a code made to follow any distribution that can be sampled from (Makhzani et al. 2015).

A variational autoencoder holds its code to a prior by a divergence that must have a formula. Here a discriminator does it: it
learns to tell codes q(z|x) of images from samples of the prior p(z), and the encoder learns to deceive it, so that in the end the
codes of all data together, the aggregated posterior, follow the prior, whatever its shape. Each batch has two phases (section 2):

    reconstruction    min over encoder, decoder:  1/2 ||x - Dec(Enc(x))||^2
    regularisation    min over discriminator:     -E log D(z ~ p(z)) - E log(1 - D(Enc(x)))
                      min over encoder:           -E log D(Enc(x)).

If the discriminator is given a label beside the code, each class is held to a part of the prior of its own (figure 3; ``Map``).
Read ``Model.step`` first. Class and style apart, from few labels or none: ``aae_factored.py``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from paperzoo.data import Batch, Dataset, Schema
from paperzoo.errors import PaperzooError
from paperzoo.metrics.mmd import mmd_test
from paperzoo.nn.schedules import Schedule, steps
from paperzoo.ranges import NotNegative, Pixels, Positive, Share, Size
from paperzoo.records import Recipe, Target
from paperzoo.tasks.generation import ImageGenerator, noise
from paperzoo.tasks.model import Optimizers, Players
from paperzoo.tasks.reconstruction import Autoencoder, check_range


def dense(inputs: int, width: int, outputs: int) -> nn.Sequential:
    """Two hidden layers of ReLU units and linear outputs (appendix)."""
    return nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, outputs))


class Encoder(nn.Module):
    """Images (N, C, S, S) to linear codes (N, latent), without chance: q(z|x) is a point (section 2.1)."""

    def __init__(self, pixels: int, width: int, latent: int) -> None:
        super().__init__()
        self.body = dense(pixels, width, latent)

    def forward(self, image: Tensor) -> Tensor:
        code: Tensor = self.body(image.flatten(1))  # (N, C * S * S) -> (N, latent)
        return code


class Decoder(nn.Module):
    """Codes (N, latent) to images (N, C, S, S) in [0, 1]."""

    def __init__(self, latent: int, width: int, channels: int, image_size: int) -> None:
        super().__init__()
        self.shape = (channels, image_size, image_size)
        self.body = dense(latent, width, channels * image_size**2)

    def forward(self, code: Tensor) -> Tensor:
        image: Tensor = self.body(code).sigmoid().view(-1, *self.shape)  # (N, C * S * S) -> (N, C, S, S)
        return image


class Discriminator(nn.Module):
    """Vectors (N, inputs), codes and one-hot labels if there are any, to logits (N) that they come from the prior."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.body = dense(inputs, width, 1)

    def forward(self, *parts: Tensor) -> Tensor:
        logit: Tensor = self.body(torch.cat(parts, 1))[:, 0]  # (N, inputs) -> (N)
        return logit


def reconstruction_loss(reconstruction: Tensor, image: Tensor) -> Tensor:
    """Half the squared error, summed over pixels, mean over images (N, C, S, S)."""
    return 0.5 * (reconstruction - image).square().flatten(1).sum(1).mean()


def discriminator_loss(prior: Tensor, code: Tensor) -> Tensor:
    """``-E log D(z) - E log(1 - D(Enc(x)))`` from logits (N)."""
    return F.softplus(-prior).mean() + F.softplus(code).mean()


def generator_loss(code: Tensor) -> Tensor:
    """``-E log D(Enc(x))`` from logits (N)."""
    return F.softplus(-code).mean()


def mixture(normal: Tensor, label: Tensor, classes: int) -> Tensor:
    """Points (N, 2) of Gaussians in a ring, long outwards, from (N, 3) normal numbers; component k lies at 2 pi k / classes.

    Args:
        label: int64 (N), the component; ``classes`` for any, which the last number then decides.
    """
    component = torch.where(label < classes, label, (position(normal) * classes).long())
    angle = 2 * math.pi * component / classes
    out, across = 3 + normal[:, 0], 0.25 * normal[:, 1]
    return torch.stack([out * angle.cos() - across * angle.sin(), out * angle.sin() + across * angle.cos()], 1)


def swiss_roll(normal: Tensor, label: Tensor, classes: int) -> Tensor:
    """Points (N, 2) along a spiral of two turns, evenly along its length, from (N, 3) normal numbers.

    Args:
        label: int64 (N), which of ``classes`` equal stretches, from the inside; ``classes`` for any.
    """
    whole = position(normal)
    along = torch.where(label < classes, (label + whole) / classes, whole)
    angle = 4 * math.pi * along.sqrt()  # length grows with the square of the angle, but for the innermost part
    radius = 5 * along.sqrt()
    return torch.stack([radius * angle.cos(), radius * angle.sin()], 1) + 0.15 * normal[:, :2]


def position(normal: Tensor) -> Tensor:
    """The last of the normal numbers (N, D + 1) as one that is uniform in [0, 1), (N)."""
    uniform: Tensor = torch.special.ndtr(normal[:, -1]).clamp(max=1 - 1e-6)
    return uniform


Prior = Literal["gaussian", "mixture", "swiss_roll"]
PRIORS: tuple[str, ...] = get_args(Prior)


class Adversarial(Autoencoder, ImageGenerator):
    """The base of all variants: an optimiser for each phase, and codes compared with the prior.

    Subclasses have ``decoder``, say in ``players`` which networks each optimiser moves, and define ``encode``.
    """

    def players(self) -> dict[str, list[nn.Module]]:
        """The networks that the optimisers ``autoencoder``, ``generator``, maybe ``classifier``, and those of discriminators move."""
        raise TypeError(f"{type(self).__name__} does not say who plays")

    def optimizers(
        self,
        *,
        lr: NotNegative = 0.01,
        lr_discriminator: NotNegative = 0.1,
        lr_generator: NotNegative = 0.1,
        lr_classifier: NotNegative = 0.1,
        adam: bool = False,
        drops: Sequence[Share] = (),
    ) -> Optimizers:
        """One optimiser for each phase with its own learning rate, ``lr`` that of the reconstruction.

        Gradient descent, with momentum 0.9 for reconstruction and classification (appendix), or Adam. ``drops`` are the shares of
        the steps after which all rates are divided by 10.
        """
        rates = {"autoencoder": (lr, 0.9), "generator": (lr_generator, 0.0), "classifier": (lr_classifier, 0.9)}
        optimizers: dict[str, tuple[Optimizer, Schedule]] = {}
        for name, networks in self.players().items():
            rate, momentum = rates.get(name, (lr_discriminator, 0.0))
            parameters = [p for network in networks for p in network.parameters()]
            optimizers[name] = Adam(parameters, rate, (0.5, 0.999)) if adam else SGD(parameters, rate, momentum), steps(drops)
        return optimizers

    def decode(self, code: Tensor) -> Tensor:
        image: Tensor = self.get_submodule("decoder")(code)
        return image

    def generate(self, z: Tensor) -> Tensor:
        return self.decode(z)

    def held(self, code: Tensor) -> Tensor:
        """The part of codes (N, latent) that the two-sample test compares."""
        return code

    def measure(self, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """The metrics of its tasks, and whether held-out codes can be told apart from samples of the prior.

        ``mmd`` is the squared discrepancy between the codes of at most 1,000 held-out images and as many samples of the prior,
        ``mmd p-value`` that of a permutation test; see ``metrics/mmd.py``. Left out for fewer than 20 images.
        """
        metrics = super().measure(dataset, split, judge)
        if len(dataset[split]) >= 20:
            codes = self.codes(*self.spaced(dataset[split], 1000))
            prior = self.latents(len(codes), seed=1)
            metrics["mmd"], metrics["mmd p-value"] = mmd_test(self.held(codes).numpy(), self.held(prior).numpy())
        return metrics


class Model(Adversarial):
    """Encoder, decoder and discriminator.

    Args:
        image_size, channels: of the images.
        latent: dimensions of the code; 2 for priors other than the Gaussian.
        prior: ``"gaussian"``, ``"mixture"`` of ``classes`` Gaussians, or ``"swiss_roll"``.
        deviation: of the Gaussian prior in each direction.
        classes: components of the mixture, or stretches of the roll; the labels, where the discriminator is told them.
        width: units of each hidden layer.
    """

    labels: ClassVar[bool] = False  # whether the discriminator sees labels

    def __init__(
        self,
        *,
        image_size: Pixels = 28,
        channels: Size = 1,
        latent: Size = 8,
        prior: Prior = "gaussian",
        deviation: Positive = 5.0,
        classes: Size = 10,
        width: Size = 1000,
    ) -> None:
        super().__init__()
        if prior != "gaussian" and latent != 2:
            raise PaperzooError(f"the prior {prior!r} lies in the plane: latent must be 2, not {latent}")
        if self.labels and prior == "gaussian":
            raise PaperzooError(f"the prior 'gaussian' has no parts to hold classes to: choose {' or '.join(PRIORS[1:])}")
        self.image_size, self.channels, self.latent = image_size, channels, latent
        self.imposed, self.deviation, self.classes = prior, deviation, classes
        self.prior = "normal" if prior == "gaussian" else "uniform"  # whether walks go along great circles or straight
        self.encoder = Encoder(channels * image_size**2, width, latent)
        self.decoder = Decoder(latent, width, channels, image_size)
        self.discriminator = Discriminator(latent + (classes + 1 if self.labels else 0), width)

    def players(self) -> dict[str, list[nn.Module]]:
        return {
            "autoencoder": [self.encoder, self.decoder],
            "discriminator": [self.discriminator],
            "generator": [self.encoder],
        }

    def step(self, batch: Batch, opt: Players) -> None:
        opt.autoencoder.minimize(reconstruction_loss(self.decoder(self.encoder(batch.image)), batch.image))
        image, label = self.told(batch)
        code = self.encoder(image)
        prior = self.impose(torch.randn(len(image), self.latent + 1, device=image.device), label)
        # the label switches the discriminator to one part of the prior, the extra class for images without one to all of it (figure 3)
        beside = [F.one_hot(label, self.classes + 1).float()] if self.labels else []  # (N, classes + 1)
        opt.discriminator.minimize(
            discriminator_loss(self.discriminator(prior, *beside), self.discriminator(code.detach(), *beside))
        )
        opt.generator.minimize(generator_loss(self.discriminator(code, *beside)))

    def told(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The images whose codes are held to the prior, (M, C, S, S), and their classes int64 (M); ``classes`` where not known."""
        unknown_class = torch.full((len(batch),), self.classes, device=batch.image.device)
        if not self.labels:
            return batch.image, unknown_class
        if not hasattr(batch, "labelled"):
            return batch.image, batch.label
        return torch.cat([batch.image, batch.labelled]), torch.cat([unknown_class, batch.label])  # (2N, ...), (2N)

    def impose(self, normal: Tensor, label: Tensor) -> Tensor:
        """Samples of the prior (N, latent), given the class (``classes`` for any), from normal numbers (N, latent + 1)."""
        if self.imposed == "gaussian":
            return self.deviation * normal[:, :-1]
        return (mixture if self.imposed == "mixture" else swiss_roll)(normal, label, self.classes)

    def draw(self, items: int) -> Tensor:
        normal = torch.randn(items, self.latent + 1, device=next(self.parameters()).device)
        return self.impose(normal, torch.full((items,), self.classes, device=normal.device))

    def latents(self, items: int, seed: int) -> Tensor:
        if items < 1:
            raise PaperzooError(f"cannot draw {items} samples: ask for at least 1")
        return self.impose(noise(items, self.latent + 1, "normal", seed), torch.full((items,), self.classes))

    def encode(self, image: Tensor) -> Tensor:
        code: Tensor = self.encoder(check_range(image))
        return code


class Map(Model):
    """The code in the plane, each class in a part of its own: the discriminator is told labels (section 2.3)."""

    labels = True

    @classmethod
    def check(cls, schema: Schema) -> None:
        """Raises ``PaperzooError`` unless images of this schema have labels, all or some of them."""
        super().check(schema)
        if not {"label", "labelled"} & set(schema.fields):
            raise PaperzooError(
                f"aae:map needs data with labels, but {schema.name} has only {', '.join(schema.fields)}; aae does without, also "
                f"with --set model.prior=mixture --set model.latent=2"
            )


VARIANTS: dict[str, dict[str, object]] = {
    "aae": {},
    "map": {"class": "Map", "prior": "mixture", "latent": 2},
    "semi": {"class": "aae_factored.Semi"},
    "clusters": {"class": "aae_factored.Clusters"},
}

_PAPER: dict[str, Any] = {"batch_size": 100, "steps": 550_000, "optimizer": {"drops": (50 / 1100, 1000 / 1100)}}  # 1,100 epochs
_ADAM = {"adam": True, "lr": 1e-3, "lr_discriminator": 1e-3, "lr_generator": 1e-3, "drops": (0.5, 0.8)}

RECIPES = {
    "paper": Recipe(data="mnist", variants=("aae", "map"), judge="zoo-digits", **_PAPER),
    "paper-semi": Recipe(
        data="mnist-100", variants=("semi",), judge="zoo-digits",
        targets=(Target("error %", at_most=1.9, claim="semi-100-labels"),), **_PAPER,
    ),
    "paper-clusters": Recipe(
        data="mnist", variants=("clusters",), judge="zoo-digits",
        targets=(Target("cluster error %", at_most=9.55, claim="clusters-16"),), **_PAPER,
    ),
    "small": Recipe(
        data="mnist", steps=6000, batch_size=100, model={"width": 500}, optimizer=_ADAM, judge="zoo-digits", variants=("aae",),
        targets=(Target("mmd p-value", at_least=0.01),),
    ),
    "smoke": Recipe(
        data="digits", steps=40, batch_size=50, model={"width": 64}, optimizer=_ADAM, precision="float32",
        variants=("aae", "map", "clusters"),
    ),
}  # fmt: skip
RECIPES |= {
    "small-alone": RECIPES["small"].but(
        optimizer={"lr_generator": 0.0}, targets=(Target("mmd p-value", at_most=0.01),),
        note="the encoder minds no adversary: must fail the test",
    ),
    "small-map": RECIPES["small"].but(variants=("map",)),
    "small-roll": RECIPES["small"].but(model={"prior": "swiss_roll"}, variants=("map",)),
    "small-semi": RECIPES["small"].but(
        data="mnist-100", optimizer={"lr_classifier": 1e-3}, variants=("semi",), targets=(Target("error %", at_most=10),)
    ),
    "small-semi-1000": RECIPES["small"].but(
        data="mnist-1000", optimizer={"lr_classifier": 1e-3}, variants=("semi",), targets=(Target("error %", at_most=5),)
    ),
    "small-clusters": RECIPES["small"].but(
        model={"noise": 0.3}, variants=("clusters",), targets=(Target("cluster error %", at_most=30),)
    ),
    "smoke-semi": RECIPES["smoke"].but(data="digits-100", optimizer={"lr_classifier": 1e-3}, variants=("semi",)),
}  # fmt: skip
