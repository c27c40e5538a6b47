"""InfoGAN: part of the noise is a code that can be read back from the image, found without any label (Chen et al. 2016).

The noise of a GAN is a tangle: no single number of it means anything. Here the generator gets, beside noise z, a code c: one of
ten categories and two numbers. It is asked to keep the mutual information I(c; G(z, c)) high, so that the code must show in the
image. A network Q that guesses the code from the image gives a lower bound of it,

    L_I(G, Q) = E log Q(c | G(z, c)) + H(c)  <=  I(c; G(z, c)),                                              (Eq. 4 and 5)
    min_{G, Q} max_D  V(D, G) - lambda L_I(G, Q).                                                                  (Eq. 6)

Q is the discriminator with another head. Its gradient goes on into the generator, and Q learns from fakes alone, whose codes are
known. Read ``Model.step`` first, then ``information_loss``.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from annotated_types import Ge, MultipleOf
from torch import Tensor, nn
from torch.optim import Adam

from paperzoo.data import Batch, Dataset
from paperzoo.errors import PaperzooError
from paperzoo.metrics.matching import matched_error, purity
from paperzoo.nn.average import Average
from paperzoo.nn.schedules import linear_decay
from paperzoo.papers.gan.dcgan import discriminator_loss, generator_loss, init
from paperzoo.ranges import NotNegative, Part, Pixels, Several, Share, Size, Sizeable
from paperzoo.records import Recipe, Target
from paperzoo.tasks.generation import ImageGenerator, noise
from paperzoo.tasks.model import Optimizers, Players
from paperzoo.tasks.pictures import grid, save


class Judgement(NamedTuple):
    """The outputs of the discriminator and of Q for N images.

    ``source`` (N): logits that they are real. ``code`` (N, categories): logits of the categorical code. ``mean`` and
    ``log_deviation`` (N, continuous): of Q's Gaussians for the uniform codes.
    """

    source: Tensor
    code: Tensor
    mean: Tensor
    log_deviation: Tensor


class Generator(nn.Module):
    """Noise and codes (N, latent) to images (N, channels, S, S) in [0, 1]; appendix C.1.

    Fully connected layers of 1024 and of 128 channels at a quarter of the side, then transposed 4x4 convolutions to 64 channels
    and to the image; batch normalisation and ReLU after all but the last.
    """

    def __init__(self, image_size: int, channels: int, latent: int, width: int) -> None:
        super().__init__()
        self.side = image_size // 4
        self.dense = nn.Sequential(
            nn.Linear(latent, 16 * width, bias=False),
            nn.BatchNorm1d(16 * width),
            nn.ReLU(),
            nn.Linear(16 * width, 2 * width * self.side**2, bias=False),
            nn.BatchNorm1d(2 * width * self.side**2),
            nn.ReLU(),
        )
        self.body = nn.Sequential(
            nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.ConvTranspose2d(width, channels, 4, 2, 1),
            nn.Sigmoid(),
        )
        self.apply(init)

    def forward(self, z: Tensor) -> Tensor:
        h = self.dense(z).view(len(z), -1, self.side, self.side)  # (N, 2 * width, S / 4, S / 4)
        image: Tensor = self.body(h)  # (N, channels, S, S)
        return image


class Discriminator(nn.Module):
    """D and Q: images (N, channels, S, S) in [0, 1] to a ``Judgement``; appendix C.1.

    4x4 convolutions of 64 and 128 channels and a fully connected layer of 1024, shared; one unit for D, 128 units and the codes'
    parameters for Q.
    """

    def __init__(self, image_size: int, channels: int, categories: int, continuous: int, width: int) -> None:
        super().__init__()
        self.parts = [categories, continuous, continuous]
        self.trunk = nn.Sequential(
            nn.Conv2d(channels, width, 4, 2, 1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(0.1),
            nn.Flatten(),
            nn.Linear(2 * width * (image_size // 4) ** 2, 16 * width, bias=False),
            nn.BatchNorm1d(16 * width),
            nn.LeakyReLU(0.1),
        )
        self.source = nn.Linear(16 * width, 1)
        self.q = nn.Sequential(
            nn.Linear(16 * width, 2 * width, bias=False),
            nn.BatchNorm1d(2 * width),
            nn.LeakyReLU(0.1),
            nn.Linear(2 * width, sum(self.parts)),
        )
        self.apply(init)

    def forward(self, image: Tensor) -> Judgement:
        h = self.trunk(image)  # (N, 16 * width)
        code, mean, log_deviation = torch.split(self.q(h), self.parts, 1)
        return Judgement(self.source(h)[:, 0], code, mean, log_deviation)


def categorical_loss(logits: Tensor, code: Tensor) -> Tensor:
    """``-E log Q(c | x)`` of the categorical code (N), from logits (N, categories); ``H(c)`` less this is L_I (Eq. 5)."""
    return F.cross_entropy(logits, code)


def continuous_loss(mean: Tensor, log_deviation: Tensor, code: Tensor) -> Tensor:
    """``-E log Q(c | x)`` of independent continuous codes (N, K) under Q's Gaussians, in nats, summed over the codes."""
    z = (code - mean) / log_deviation.exp()
    return (0.5 * z.square() + log_deviation + 0.5 * math.log(2 * math.pi)).sum(1).mean()


class Model(ImageGenerator):
    """Generator, and discriminator with Q.

    A latent vector is ``noise`` numbers, one-hot category and ``continuous`` codes in this order; numbers are uniform in [-1, 1].

    Args:
        image_size: side of the images, a multiple of 4.
        channels: of the images.
        noise: dimensions of the incompressible noise.
        categories: values of the categorical code, at least 2.
        continuous: number of uniform codes, may be 0.
        discrete_weight, continuous_weight: lambda of Eq. 6 for the two kinds of code.
        width: channels of the first convolution; 64 in the paper.
        average: decay of the weights' moving average that samples are taken from; 0 for none.
    """

    prior = "uniform"

    def __init__(
        self,
        *,
        image_size: Annotated[Pixels, Ge(8), MultipleOf(4)] = 28,
        channels: Size = 1,
        noise: Size = 62,
        categories: Several = 10,
        continuous: Sizeable = 2,
        discrete_weight: NotNegative = 1.0,
        continuous_weight: NotNegative = 0.1,
        width: Size = 64,
        average: Part = 0.0,
    ) -> None:
        super().__init__()
        self.noise, self.categories, self.continuous = noise, categories, continuous
        self.latent = noise + categories + continuous
        self.discrete_weight, self.continuous_weight = discrete_weight, continuous_weight
        self.generator = Generator(image_size, channels, self.latent, width)
        self.discriminator = Discriminator(image_size, channels, categories, continuous, width)
        self.average = Average(self.generator, average) if average else None

    def optimizers(
        self, *, lr_d: NotNegative = 2e-4, lr_g: NotNegative = 1e-3, beta1: Part = 0.5, decay_from: Share = 1.0
    ) -> Optimizers:
        """Adam at 0.0002 for D with the layers it shares with Q, at 0.001 for G with those of Q alone (appendix C).

        The rates are constant up to ``decay_from`` of all steps, then fall linearly to zero.
        """
        fall = linear_decay(decay_from)
        shared = [*self.discriminator.trunk.parameters(), *self.discriminator.source.parameters()]
        return {
            "discriminator": (Adam(shared, lr_d, (beta1, 0.999)), fall),
            "generator": (Adam([*self.generator.parameters(), *self.discriminator.q.parameters()], lr_g, (beta1, 0.999)), fall),
        }

    def step(self, batch: Batch, opt: Players) -> dict[str, Tensor]:
        z = self.draw(len(batch))
        fake = self.generator(z)
        # real and fake go through the discriminator separately: batch norm must not see both at once; Q learns from fakes only
        real, judged = self.discriminator(batch.image), self.discriminator(fake.detach())
        opt.discriminator.minimize(discriminator_loss(real.source, judged.source) + self.information_loss(judged, z))
        judged = self.discriminator(fake)
        opt.generator.minimize(generator_loss(judged.source) + self.information_loss(judged, z))  # Eq. 6
        if self.average is not None:
            self.average.update(self.generator)
        bound = math.log(self.categories) - categorical_loss(judged.code.detach(), self.category(z))
        return {"information": bound}  # nats of log(categories), of the categorical code

    def information_loss(self, judged: Judgement, z: Tensor) -> Tensor:
        """``-lambda L_I`` less the codes' constant entropy, for fakes made from z (N, latent)."""
        continuous = z[:, self.noise + self.categories :]  # (N, continuous)
        discrete = self.discrete_weight * categorical_loss(judged.code, self.category(z))
        return discrete + self.continuous_weight * continuous_loss(judged.mean, judged.log_deviation, continuous)

    def category(self, z: Tensor) -> Tensor:
        """The categorical codes (N) in latent vectors (N, latent)."""
        return z[:, self.noise : self.noise + self.categories].argmax(1)

    def draw(self, items: int) -> Tensor:
        device = next(self.parameters()).device
        numbers = torch.rand(items, self.noise + self.continuous, device=device) * 2 - 1
        return self.latent_of(numbers, torch.randint(self.categories, (items,), device=device))

    def latents(self, items: int, seed: int) -> Tensor:
        """Latent vectors for sampling; sample i has category ``i % categories``."""
        if items < 1:
            raise PaperzooError(f"cannot draw {items} samples: ask for at least 1")
        numbers = noise(items, self.noise + self.continuous, "uniform", seed)
        return self.latent_of(numbers, torch.arange(items) % self.categories)

    def latent_of(self, numbers: Tensor, category: Tensor) -> Tensor:
        """Latent vectors from noise and continuous codes (N, noise + continuous) and categories (N)."""
        one_hot = F.one_hot(category, self.categories).to(numbers.dtype)
        return torch.cat([numbers[:, : self.noise], one_hot, numbers[:, self.noise :]], 1)  # (N, latent)

    def generate(self, z: Tensor) -> Tensor:
        network = self.generator if self.average is None else self.average
        image: Tensor = network(z)
        return image

    def read(self, image: Tensor) -> np.ndarray:
        """The category that Q reads from images (N, C, S, S) in [0, 1], int64 (N)."""
        device = next(self.parameters()).device
        parts = [self.discriminator(part.to(device)).code.argmax(1).cpu() for part in torch.split(image, 500)]
        return torch.cat(parts).numpy()

    def measure(self, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """Any generator's metrics; then how well the categorical code stands for classes.

        ``code recovered %``: samples whose code Q reads back. ``purity %[judge]``: samples that the judge takes for the class
        that is most frequent under their code. ``matched class error %``: Q as a classifier of the split's real images, with
        codes matched to labels in the best way.
        """
        metrics = super().measure(dataset, split, judge)
        z = self.latents(10_000 if judge else 1000, 0)
        fake, code = self.render(z), self.category(z).numpy()
        metrics["code recovered %"] = 100 * float((self.read(fake) == code).mean())
        if judge is not None:
            metrics[f"purity %[{judge.name}]"] = purity(code, judge(fake)[0].argmax(1))
        if "label" in dataset.schema.fields:
            batches = [dataset[split].batch(indices) for indices in dataset[split].batches(500)]
            codes = np.concatenate([self.read(batch.image) for batch in batches])
            labels = np.concatenate([batch.label.cpu().numpy() for batch in batches])
            metrics["matched class error %"] = matched_error(codes, labels)
        return metrics

    def show(self, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        """Any generator's figures, and for each continuous code a grid with a row a category and the code from -2 to 2 along it.

        The range is that of the paper's figure 2: twice what the generator was trained on.
        """
        rows, columns = min(self.categories, 20), 10
        paths = super().show(dataset, split, folder, stem)
        for index in range(self.continuous):
            z = self.latents(1, 0).repeat(rows * columns, 1)  # (rows * columns, latent), all of one noise
            z[:, self.noise :] = 0
            z[torch.arange(len(z)), self.noise + torch.arange(rows).repeat_interleave(columns)] = 1
            z[:, self.noise + self.categories + index] = torch.linspace(-2, 2, columns).repeat(rows)
            paths.append(save(grid(self.render(z), columns), folder / f"{stem}-code{index + 1}.png"))
        return paths


VARIANTS: dict[str, dict[str, object]] = {"infogan": {}}

RECIPES = {
    "paper": Recipe(
        data="mnist",
        steps=25_000,
        batch_size=128,
        judge="zoo-digits",
        targets=(Target("matched class error %", at_most=5, claim="matched-class-error"),),
        note="the paper gives no number of steps; half as many passes again as the authors' code makes",
    ),
    "small": Recipe(
        data="mnist",
        steps=5000,
        batch_size=64,
        model={"width": 32, "average": 0.998},
        optimizer={"decay_from": 0.5},
        judge="zoo-digits",
        targets=(
            Target("code recovered %", at_least=95),
            Target("purity %[zoo-digits]", at_least=45),
        ),
    ),
    "smoke": Recipe(
        data="digits",
        steps=60,
        batch_size=32,
        model={"width": 8, "noise": 8, "average": 0.9},
        optimizer={"lr_d": 1e-3, "lr_g": 2e-3, "decay_from": 0.5},
        precision="float32",
    ),
}
