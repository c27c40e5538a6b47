"""VAE: a latent-variable model and its approximate posterior, trained as one autoencoder (Kingma and Welling 2013).

Images are thought to come from a code z ~ N(0, I) by a decoder p(x|z). What the code of a given image may have been, the
posterior, has no formula; an encoder answers with a diagonal Gaussian q(z|x) = N(mu, sigma^2) instead, and both learn from one
lower bound on log p(x) (Eqs. 3 and 10), a sum over the dimensions of code and image:

    L(x) = -KL(q(z|x) || p(z)) + E_q log p(x|z),
    -KL = 1/2 sum_j (1 + log sigma_j^2 - mu_j^2 - sigma_j^2)      (appendix B).

The expectation is one sample, z = mu + sigma * epsilon with epsilon ~ N(0, I), through which gradients flow: the
reparameterisation trick (section 2.4). Read ``kl_divergence``, ``draw`` and ``Variational.step`` first; then
``vae_linear.py``, where all is known, and ``vae_conditional.py``.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adagrad, Adam

from paperzoo.data import Batch, Dataset
from paperzoo.errors import PaperzooError
from paperzoo.nn.schedules import linear_decay
from paperzoo.ranges import NotNegative, Pixels, Share, Size
from paperzoo.records import Recipe, Target
from paperzoo.tasks.generation import ImageGenerator
from paperzoo.tasks.model import Optimizers, Players
from paperzoo.tasks.pictures import compact, grid, save
from paperzoo.tasks.reconstruction import LikelihoodAutoencoder, check_range, normal_grid


class Gaussian(NamedTuple):
    """A diagonal normal distribution for each item: ``mean`` and ``log_variance``, each (N, D)."""

    mean: Tensor
    log_variance: Tensor


def kl_divergence(q: Gaussian) -> Tensor:
    """``KL(q || N(0, I))`` of each item in nats, summed over the dimensions: (N). Appendix B."""
    return 0.5 * (q.mean.square() + q.log_variance.exp() - 1 - q.log_variance).sum(1)


def draw(q: Gaussian, epsilon: Tensor) -> Tensor:
    """``mu + sigma * epsilon``: samples of q for standard normal epsilon (..., N, D), with gradients to mu and sigma."""
    return q.mean + (q.log_variance / 2).exp() * epsilon


def log_normal(x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """The log-density of independent normal numbers in nats, summed over the last dimension: (...) from (..., D)."""
    terms = (x - mean).square() / log_variance.exp() + log_variance + math.log(2 * math.pi)
    return -0.5 * terms.sum(-1)


def log_bernoulli(x: Tensor, logits: Tensor) -> Tensor:
    """``sum x log p + (1 - x) log(1 - p)`` with p the sigmoid of the logits, in nats: (N) from (N, ...)."""
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)


class DenseEncoder(nn.Module):
    """Images (N, C, S, S) and conditions ``told`` (N, T) to q(z|x), by one hidden tanh layer (appendix C.2)."""

    def __init__(self, pixels: int, told: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(pixels + told, hidden), nn.Tanh(), nn.Linear(hidden, 2 * latent))
        self.apply(init)

    def forward(self, image: Tensor, told: Tensor) -> Gaussian:
        return Gaussian(*self.body(torch.cat([image.flatten(1), told], 1)).chunk(2, 1))


class DenseDecoder(nn.Module):
    """Codes (N, latent) and conditions ``told`` (N, T) to the parameters of p(x|z), (N, C, S, S), by one hidden tanh layer."""

    def __init__(self, shape: tuple[int, int, int], told: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.shape = shape
        self.body = nn.Sequential(nn.Linear(latent + told, hidden), nn.Tanh(), nn.Linear(hidden, math.prod(shape)))
        self.apply(init)

    def forward(self, z: Tensor, told: Tensor) -> Tensor:
        h: Tensor = self.body(torch.cat([z, told], 1))
        return h.view(-1, *self.shape)  # (N, C, S, S)


def init(module: nn.Module) -> None:
    """Section 5: weights from N(0, 0.01); biases 0."""
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.1)
        nn.init.zeros_(module.bias)


class ConvEncoder(nn.Module):
    """Images (N, C, S, S) and conditions ``told`` (N, T) to q(z|x): 4x4 convolutions that halve the side, down to 4x4, and one layer.

    The first has ``width`` channels, each other twice as many as that before. Each condition becomes a constant plane.
    """

    def __init__(self, image_size: int, channels: int, told: int, width: int, latent: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        now, after = channels + told, width
        for _ in range((image_size // 4).bit_length() - 1):
            layers += [nn.Conv2d(now, after, 4, 2, 1), nn.ReLU()]
            now, after = after, 2 * after
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(now * 16, 2 * latent))

    def forward(self, image: Tensor, told: Tensor) -> Gaussian:
        planes = told[:, :, None, None].expand(-1, -1, *image.shape[2:])  # (N, T, S, S)
        return Gaussian(*self.body(torch.cat([image, planes], 1)).chunk(2, 1))


class ConvDecoder(nn.Module):
    """The encoder's mirror image: codes (N, latent) and conditions ``told`` (N, T) to the parameters of p(x|z), (N, channels, S, S)."""

    def __init__(self, image_size: int, channels: int, told: int, width: int, latent: int) -> None:
        super().__init__()
        doublings = (image_size // 4).bit_length() - 1
        self.first = width * 2 ** (doublings - 1)
        self.project = nn.Linear(latent + told, self.first * 16)
        layers: list[nn.Module] = [nn.ReLU()]
        now = self.first
        while now > width:
            layers += [nn.ConvTranspose2d(now, now // 2, 4, 2, 1), nn.ReLU()]
            now //= 2
        self.body = nn.Sequential(*layers, nn.ConvTranspose2d(now, channels, 4, 2, 1))

    def forward(self, z: Tensor, told: Tensor) -> Tensor:
        h = self.project(torch.cat([z, told], 1)).view(-1, self.first, 4, 4)  # (N, first, 4, 4)
        image: Tensor = self.body(h)  # (N, channels, S, S)
        return image


class Variational(LikelihoodAutoencoder):
    """The method itself. Subclasses define ``posterior`` and ``log_likelihood``; ``told`` are conditions of both."""

    def posterior(self, x: Tensor, *told: Tensor) -> Gaussian:
        """q(z|x) of items (N, ...)."""
        raise TypeError(f"{type(self).__name__} does not say what its posterior is")

    def log_likelihood(self, x: Tensor, z: Tensor, *told: Tensor) -> Tensor:
        """``log p(x|z)`` in nats (N) of items (N, ...) and codes (N, D)."""
        raise TypeError(f"{type(self).__name__} does not say what its likelihood is")

    def optimizers(
        self,
        *,
        lr: NotNegative = 0.02,
        method: Literal["adagrad", "adam"] = "adagrad",
        weight_decay: NotNegative = 0.0,
        decay_from: Share = 1.0,
    ) -> Optimizers:
        """Adagrad (section 5) or Adam, for both networks; the rate falls linearly to zero from ``decay_from`` of all steps on.

        Raises:
            PaperzooError: any other ``method``.
        """
        methods = {"adagrad": Adagrad, "adam": Adam}
        return {"vae": (methods[method](self.parameters(), lr, weight_decay=weight_decay), linear_decay(decay_from))}

    def step(self, batch: Batch, opt: Players) -> dict[str, Tensor]:
        inputs, *conditions = self.given(batch)
        x = self.targets(inputs)
        q = self.posterior(x, *conditions)
        z = draw(q, torch.randn_like(q.mean))
        kl, likelihood = kl_divergence(q), self.log_likelihood(x, z, *conditions)  # (N) each, in nats
        opt.vae.minimize((kl - likelihood).mean())  # minus Eq. 10, with one sample an item (L = 1)
        return {"kl": kl.mean(), "reconstruction": -likelihood.mean()}

    def log_weights(self, samples: int, random: torch.Generator, x: Tensor, *told: Tensor) -> Tensor:
        q = self.posterior(x, *told)
        z = draw(q, torch.randn(samples, *q.mean.shape, generator=random).to(q.mean))  # (K, N, D)
        again, *told_again = (t.repeat(samples, *[1] * (t.ndim - 1)) for t in (x, *told))  # (K * N, ...)
        likelihood = self.log_likelihood(again, z.flatten(0, 1), *told_again).view(samples, -1)  # (K, N)
        return likelihood + log_normal(z, torch.zeros_like(z), torch.zeros_like(z)) - log_normal(z, *q)


#: How a Bernoulli likelihood gets its targets, and what the metrics call it. A bound in nats says something only with its protocol:
#: grey levels in [0, 1] as targets of a Bernoulli likelihood, as by ``none``, give no likelihood that can be compared with one of
#: binary images.
BINARISE = {"none": "real-valued", "threshold": "thresholded", "sample": "binarised"}

#: the least deviation of the Gaussian decoder's pixels
LEAST = 0.05


class VAE(Variational, ImageGenerator):
    """The base of the models of images. Both networks take ``classes`` numbers as condition: none, or a class as one-hot vector.

    Samples, and reconstructions, are the means of p(x|z).
    """

    classes: int = 0

    def __init__(
        self, classes: int, image_size: int, channels: int, latent: int, hidden: int, width: int, conv: bool, likelihood: str,
        binarise: str,
    ) -> None:  # fmt: skip
        super().__init__()
        if likelihood == "gaussian" and binarise != "none":
            raise PaperzooError(f"model.binarise={binarise} makes binary images, which a Gaussian likelihood is not for")
        if conv and image_size not in (8, 16, 32, 64, 128, 256):
            raise PaperzooError(f"image_size {image_size} is not one of 8, 16, 32, 64, 128, 256 (each layer halves the side)")
        self.image_size, self.channels, self.classes, self.latent = image_size, channels, classes, latent
        self.likelihood, self.binarise = likelihood, binarise
        self.protocol = "density" if likelihood == "gaussian" else BINARISE[binarise]
        outputs = channels * (2 if likelihood == "gaussian" else 1)
        self.encoder: nn.Module
        self.decoder: nn.Module
        if conv:
            self.encoder = ConvEncoder(image_size, channels, classes, width, latent)
            self.decoder = ConvDecoder(image_size, outputs, classes, width, latent)
        else:
            self.encoder = DenseEncoder(channels * image_size**2, classes, hidden, latent)
            self.decoder = DenseDecoder((outputs, image_size, image_size), classes, hidden, latent)

    def told(self, items: Tensor, *label: Tensor) -> Tensor:
        """The condition of both networks from labels (N): float32 (N, classes)."""
        return F.one_hot(label[0], self.classes).to(items) if label else items.new_zeros(len(items), 0)

    def posterior(self, x: Tensor, *told: Tensor) -> Gaussian:
        q: Gaussian = self.encoder(x, self.told(x, *told))
        return q

    def log_likelihood(self, x: Tensor, z: Tensor, *told: Tensor) -> Tensor:
        output = self.decoder(z, self.told(z, *told))
        if self.likelihood == "bernoulli":
            return log_bernoulli(x, output)
        mean, spread = output.flatten(1).chunk(2, 1)  # (N, C * S * S) each
        floor = torch.full_like(spread, 2 * math.log(LEAST))
        return log_normal(x.flatten(1), mean.sigmoid(), torch.logaddexp(spread, floor))  # variance: exp(spread) + LEAST^2

    def targets(self, x: Tensor, random: torch.Generator | None = None) -> Tensor:
        """The images, black and white ones made of them by a threshold, or ones drawn with the grey level as probability."""
        if self.binarise == "sample":
            return torch.bernoulli(x, generator=random)
        return (x > 0.5).to(x) if self.binarise == "threshold" else x

    def encode(self, image: Tensor, *label: Tensor) -> Tensor:
        """The means of q(z|x), (N, latent), of images (N, C, S, S) in [0, 1]; made binary first if that is by a threshold."""
        x = check_range(image)
        return self.posterior(self.targets(x) if self.binarise == "threshold" else x, *label).mean

    def decode(self, code: Tensor, *label: Tensor) -> Tensor:
        """The means of p(x|z), (N, C, S, S) in [0, 1]."""
        output: Tensor = self.decoder(code, self.told(code, *label))
        return output[:, : self.channels].sigmoid()

    def generate(self, z: Tensor, *label: Tensor) -> Tensor:
        return self.decode(z, *label)

    def show(self, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        """The figures of its tasks; for codes of two numbers also the manifold (figure 4 of the paper)."""
        paths = super().show(dataset, split, folder, stem)
        if self.latent == 2 and not self.classes:
            paths.append(save(compact(grid(self.render(normal_grid()), 20, gap=0)), folder / f"{stem}-manifold.png"))
        return paths


class Model(VAE):
    """The paper's networks, or convolutional ones.

    Args:
        image_size: side of the images; a power of two from 8 to 256 for the convolutional networks.
        channels: of the images.
        latent: dimensions of the code.
        hidden: tanh units of the fully connected networks.
        width: channels of the largest layer of the convolutional networks.
        conv: convolutional networks.
        likelihood: p(x|z), ``"bernoulli"`` or ``"gaussian"``: of each pixel on its own, with a variance of its own.
        binarise: ``"none"``, ``"threshold"`` at 0.5, or ``"sample"``: anew at each step, with the grey level as probability.
    """

    def __init__(
        self,
        *,
        image_size: Pixels = 28,
        channels: Size = 1,
        latent: Size = 20,
        hidden: Size = 500,
        width: Size = 32,
        conv: bool = False,
        likelihood: Literal["bernoulli", "gaussian"] = "bernoulli",
        binarise: Literal["none", "threshold", "sample"] = "none",
    ) -> None:
        super().__init__(0, image_size, channels, latent, hidden, width, conv, likelihood, binarise)


VARIANTS: dict[str, dict[str, Any]] = {
    "vae": {},
    "conv": {"conv": True, "image_size": 32},
    "conditional": {"class": "vae_conditional.Conditional"},
    "gaussian": {"likelihood": "gaussian", "hidden": 200},
    "linear": {"class": "vae_linear.Linear"},
}

_ADAM = {"lr": 4e-3, "method": "adam", "decay_from": 0.5}
_SMALL = Recipe("mnist", 8000, 128, optimizer=_ADAM, precision="float32", judge="zoo-digits")
_SMOKE = Recipe("digits", 60, 32, model={"latent": 2, "hidden": 32}, optimizer={"lr": 0.05}, precision="float32")
RECIPES = {
    "paper": Recipe(
        "mnist", 1_000_000, 100, "train+validation", optimizer={"weight_decay": 1 / 60_000}, precision="float32",
        variants=("vae",), note="figure 2: until 100 million images were seen",
    ),
    "small": _SMALL.but(variants=("vae",), targets=(Target("elbo (nats, real-valued)", at_least=-104),)),
    "small-avatars": Recipe(
        "avatars", 4000, 64, model={"image_size": 32, "width": 16, "latent": 64}, optimizer={**_ADAM, "lr": 1e-3},
        judge="zoo-avatars", variants=("conv",),
    ),
    "small-linear": Recipe(
        "factors8", 6000, 256, optimizer={"lr": 1e-2, "method": "adam", "decay_from": 0.3}, precision="float32",
        variants=("linear",), targets=(Target("elbo below ppca (nats)", at_least=-0.01, at_most=0.01),),
    ),
    "smoke": _SMOKE.but(variants=("vae",)),
    "smoke-conv": Recipe(
        "digits", 60, 32, model={"image_size": 16, "latent": 8, "width": 8, "binarise": "sample"},
        optimizer={**_ADAM, "lr": 2e-3}, precision="float32", variants=("conv",),
    ),
    "smoke-linear": Recipe(
        "ring8", 60, model={"latent": 1}, optimizer={"lr": 1e-2, "method": "adam"}, precision="float32", variants=("linear",)
    ),
    "small-binarised": _SMALL.but(model={"binarise": "sample"}, variants=("vae",)),
    "small-manifold": _SMALL.but(model={"latent": 2}, variants=("vae",)),
    "small-gaussian": _SMALL.but(variants=("gaussian",)),
    "small-conditional": _SMALL.but(
        variants=("conditional",), targets=(Target("label agreement %[zoo-digits]", at_least=90),)
    ),
    "small-conv": _SMALL.but(steps=4000, model={"width": 16}, optimizer={"lr": 2e-3}, precision="auto", variants=("conv",)),
    "smoke-conditional": _SMOKE.but(model={"latent": 8, "hidden": 32}, variants=("conditional",)),
    "smoke-gaussian": _SMOKE.but(variants=("gaussian",)),
}  # fmt: skip
