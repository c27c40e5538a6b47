"""SGAN: a discriminator that names the class of what is real learns from images without labels (Odena 2016).

The discriminator answers with K + 1 classes: the K of the data, and *fake*. Few images have a label; all the others still
say "one of the K", and generated ones say "none". Fixing the last logit at 0 loses nothing, since a softmax does not notice
a constant, and gives with Z(x) = sum_k exp l_k(x), as Salimans et al. put it (2016, section 5),

    D(x) = Z(x) / (Z(x) + 1),        L_D = -E log p(y|x) - E log D(x) - E log(1 - D(G(z))).

Both terms of D come from lse = log Z: log D = lse - softplus(lse), log(1 - D) = -softplus(lse), which cannot overflow.

``feature_matching`` is the second paper's semi-supervised model: the generator no longer fools the discriminator but makes
the mean of its features that of real data, ||E f(x) - E f(G(z))||^2. Its samples look worse and its classifier is better.
Read ``discriminator_loss`` first, then ``Model.step``.
"""

from __future__ import annotations

from typing import NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

from paperzoo.data import Batch
from paperzoo.errors import PaperzooError
from paperzoo.nn.schedules import linear_decay
from paperzoo.papers.gan import dcgan
from paperzoo.ranges import NotNegative, Part, Pixels, Several, Share, Side, Size
from paperzoo.records import Recipe, Target
from paperzoo.tasks.classification import Classifier
from paperzoo.tasks.generation import ImageGenerator
from paperzoo.tasks.model import Optimizers, Players
from paperzoo.tasks.task import Task


class Answer(NamedTuple):
    """The discriminator's outputs: ``logits`` (N, K) of the real classes, and ``features`` (N, D), its last hidden layer."""

    logits: Tensor
    features: Tensor


class ConvDiscriminator(nn.Module):
    """DCGAN's discriminator with K outputs in place of one."""

    def __init__(self, image_size: int, channels: int, width: int, classes: int) -> None:
        super().__init__()
        self.body = dcgan.Discriminator(image_size, channels, width).body
        self.output = nn.Linear(width * image_size * 2, classes)  # width * S / 8 maps of 4x4
        dcgan.init(self.output)

    def forward(self, image: Tensor) -> Answer:
        h = self.body(image).flatten(1)  # (N, width * S / 8, 4, 4) to (N, 2 * width * S)
        return Answer(self.output(h), h)


class Noise(nn.Module):
    """Gaussian noise of a given deviation added while training."""

    def __init__(self, deviation: float) -> None:
        super().__init__()
        self.deviation = deviation

    def forward(self, x: Tensor) -> Tensor:
        return x + self.deviation * torch.randn_like(x) if self.training else x


class DenseDiscriminator(nn.Module):
    """1000-500-250-250-250 ReLU units, noise of 0.3 on the input and 0.5 on each hidden layer (1606.03498, section 6.1)."""

    def __init__(self, image_size: int, channels: int, width: int, classes: int) -> None:
        super().__init__()
        sizes = [channels * image_size**2, 4 * width, 2 * width, width, width, width]
        layers: list[nn.Module] = [nn.Flatten(), Noise(0.3)]
        for a, b in zip(sizes, sizes[1:], strict=False):
            layers += [nn.Linear(a, b), nn.ReLU(), Noise(0.5)]
        self.body, self.noise = nn.Sequential(*layers[:-1]), Noise(0.5)
        self.output = nn.Linear(width, classes)

    def forward(self, image: Tensor) -> Answer:
        h = self.body(image)  # (N, width); features are matched before their noise
        return Answer(self.output(self.noise(h)), h)


class DenseGenerator(nn.Module):
    """Noise (N, latent) to images in [-1, 1] by two hidden softplus layers with batch normalisation (1606.03498)."""

    def __init__(self, image_size: int, channels: int, latent: int, width: int) -> None:
        super().__init__()
        hidden, self.shape = 2 * width, (channels, image_size, image_size)
        layers: list[nn.Module] = []
        for inputs in (latent, hidden):
            layers += [nn.Linear(inputs, hidden, bias=False), nn.BatchNorm1d(hidden), nn.Softplus()]
        self.body = nn.Sequential(*layers, nn.Linear(hidden, channels * image_size**2), nn.Sigmoid())

    def forward(self, z: Tensor) -> Tensor:
        image: Tensor = self.body(z)
        return 2 * image.view(-1, *self.shape) - 1  # (N, C, S, S)


def log_real(logits: Tensor) -> Tensor:
    """``log D(x)`` (N) from logits (N, K): that a softmax over the K and a last logit 0 gives none of its mass to the last."""
    lse = logits.logsumexp(1)
    return lse - F.softplus(lse)


def log_fake(logits: Tensor) -> Tensor:
    """``log(1 - D(x))`` (N) from logits (N, K): the mass of the last class."""
    return -F.softplus(logits.logsumexp(1))


def discriminator_loss(labelled: Tensor, label: Tensor, real: Tensor, fake: Tensor) -> Tensor:
    """``-E log p(y|x) - E log D(x) - E log(1 - D(G(z)))`` from logits (N, K); the classes' probabilities are given *real*."""
    return F.cross_entropy(labelled, label) - log_real(real).mean() - log_fake(fake).mean()


def generator_loss(fake: Tensor) -> Tensor:
    """``-E log D(G(z))`` from logits (N, K)."""
    return -log_real(fake).mean()


def feature_matching_loss(real: Tensor, fake: Tensor) -> Tensor:
    """``||E f(x) - E f(G(z))||^2`` from features (N, D); no gradient flows to the real ones (1606.03498, section 3.1)."""
    return (real.detach().mean(0) - fake.mean(0)).square().sum()


class Model(Classifier, ImageGenerator):
    """Generator and discriminator; the discriminator is the classifier.

    Args:
        image_size: side of the images; a power of two from 16 to 256 for the convolutional networks.
        channels: of the images.
        classes: K.
        latent: dimensions of the noise, uniform in [-1, 1].
        width: channels of the widest image-sized layer of DCGAN's networks; of the dense ones, the smallest hidden layer
            (250 in the paper).
        dense: the fully connected networks of 1606.03498 instead of DCGAN's.
        feature_matching: the generator's loss is that of 1606.03498.
        supervised: train the discriminator on the labelled images alone, as a classifier to compare with.
    """

    needs = ("image", "labelled")
    prior = "uniform"

    def __init__(
        self,
        *,
        image_size: Pixels = 32,
        channels: Size = 1,
        classes: Several = 10,
        latent: Size = 100,
        width: Size = 64,
        dense: bool = False,
        feature_matching: bool = False,
        supervised: bool = False,
    ) -> None:
        super().__init__()
        if not dense and image_size not in (sides := get_args(Side)):
            raise PaperzooError(f"image_size of a convolutional sgan must be one of {', '.join(map(str, sides))}, not {image_size}")
        self.channels, self.image_size, self.latent = channels, image_size, latent
        self.feature_matching, self.supervised = feature_matching, supervised
        self.generator = (DenseGenerator if dense else dcgan.Generator)(image_size, channels, latent, width)
        self.discriminator = (DenseDiscriminator if dense else ConvDiscriminator)(image_size, channels, width, classes)

    def optimizers(self, *, lr: NotNegative = 2e-4, beta1: Part = 0.5, decay_from: Share = 1.0) -> Optimizers:
        """Adam for both, at a constant rate up to ``decay_from`` of all steps, then linearly to zero."""
        fall = linear_decay(decay_from)
        return {
            "discriminator": (Adam(self.discriminator.parameters(), lr, (beta1, 0.999)), fall),
            "generator": (Adam(self.generator.parameters(), lr, (beta1, 0.999)), fall),
        }

    def step(self, batch: Batch, opt: Players) -> None:
        labelled, real = 2 * batch.labelled - 1, 2 * batch.image - 1  # (N, C, S, S), [0, 1] -> [-1, 1]
        if self.supervised:
            opt.discriminator.minimize(F.cross_entropy(self.discriminator(labelled).logits, batch.label))
            return
        fake = self.generator(self.draw(len(batch)))
        opt.discriminator.minimize(
            discriminator_loss(
                self.discriminator(labelled).logits,
                batch.label,
                self.discriminator(real).logits,
                self.discriminator(fake.detach()).logits,
            )
        )
        judged = self.discriminator(fake)
        if self.feature_matching:
            with torch.no_grad():
                target = self.discriminator(real).features
            opt.generator.minimize(feature_matching_loss(target, judged.features))
        else:
            opt.generator.minimize(generator_loss(judged.logits))

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, K) of the real classes for images (N, C, S, S) in [0, 1]."""
        logits: Tensor = self.discriminator(2 * image - 1).logits
        return logits

    def generate(self, z: Tensor) -> Tensor:
        image: Tensor = self.generator(z)
        return (image + 1) / 2

    def active(self) -> tuple[Task, ...]:
        """There is no use in the samples of a generator that is not trained."""
        return self.tasks[:1] if self.supervised else self.tasks


VARIANTS: dict[str, dict[str, object]] = {
    "sgan": {},
    "feature_matching": {"dense": True, "feature_matching": True, "width": 250, "image_size": 28},
}

RECIPES = {
    "paper": Recipe(
        data="mnist-100",
        steps=40_000,
        batch_size=100,
        model={"image_size": 32},
        variants=("sgan",),
        targets=(Target("error %", at_most=7.2, claim="sgan-100-labels"),),
        note="the paper gives neither length nor batch: 80 epochs of the unlabelled images",
    ),
    "paper-feature_matching": Recipe(
        data="mnist-100",
        steps=150_000,
        batch_size=100,
        optimizer={"lr": 1e-3},
        variants=("feature_matching",),
        targets=(Target("error %", at_most=0.995, claim="feature_matching-100-labels"),),
        note="300 epochs of the unlabelled images (1606.03498, authors' code)",
    ),
    "small": Recipe(
        data="mnist-100",
        steps=3000,
        batch_size=50,
        model={"image_size": 32, "width": 24, "latent": 32},
        optimizer={"lr": 4e-4, "decay_from": 0.5},
        judge="zoo-digits",
        targets=(Target("error %", at_most=8),),
        variants=("sgan",),
    ),
    "small-feature_matching": Recipe(
        data="mnist-100",
        steps=8200,
        batch_size=100,
        optimizer={"lr": 1e-3, "decay_from": 0.67},
        targets=(Target("error %", at_most=8),),
        variants=("feature_matching",),
    ),
    "small-supervised": Recipe(
        data="mnist-100",
        steps=2000,
        batch_size=100,
        model={"supervised": True},
        optimizer={"lr": 3e-4, "decay_from": 0.67},
        variants=("feature_matching",),
        note="to compare with: the labelled hundred alone; the rate is the best of 0.0003, 0.001 and 0.003 on the first draw",
    ),
    "small-supervised_conv": Recipe(
        data="mnist-100",
        steps=1000,
        batch_size=50,
        model={"image_size": 32, "width": 24, "latent": 32, "supervised": True},
        optimizer={"lr": 4e-4, "decay_from": 0.5},
        variants=("sgan",),
        note="to compare with: the labelled hundred alone",
    ),
    "smoke": Recipe(
        data="digits-100",
        steps=60,
        batch_size=32,
        model={"image_size": 16, "width": 8, "latent": 8},
        optimizer={"lr": 1e-3, "decay_from": 0.5},
        precision="float32",
        variants=("sgan",),
    ),
    "smoke-feature_matching": Recipe(
        data="digits-100",
        steps=60,
        batch_size=32,
        model={"image_size": 8, "width": 16, "latent": 8},
        optimizer={"lr": 1e-3, "decay_from": 0.5},
        precision="float32",
        variants=("feature_matching",),
    ),
}
RECIPES = {  # two more draws of the hundred labels
    **RECIPES,
    **{
        f"{name}-{draw}": Recipe(**{**vars(RECIPES[name]), "data": f"mnist-100-{draw}"})
        for name in ("small", "small-feature_matching", "small-supervised", "small-supervised_conv")
        for draw in "bc"
    },
}
