"""SS-GAN: a discriminator that also tells how far an image was turned forgets less (Chen et al. 2018, CVPR 2019).

Trained against a generator that keeps changing, a discriminator drops features that it does not need at the moment. A second
task that needs no labels holds them: images are turned by 0, 90, 180 and 270 degrees, and a second head Q names the turn r.
The two players do not fight over it. The discriminator learns it on turned *real* images only, and the generator is asked
that its images be as easy to read as real ones (Eq. 2, 3), V being the game, here by its hinge form:

    L_G = V_G - alpha E log Q(r | G(z) turned by r),        L_D = V_D - beta E log Q(r | x turned by r).

The networks are SNGAN's for small images: WGAN-GP's residual blocks, a generator of twice the width, sums in place of means
at the top of the discriminator, and spectral normalisation on its every layer. Read ``turned`` first, then ``Model.step``.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.optim import Adam

from paperzoo.data import Batch, Dataset
from paperzoo.nn.average import Average
from paperzoo.nn.schedules import linear_decay
from paperzoo.papers.gan.wgan_gp import ResidualCritic, ResidualGenerator
from paperzoo.ranges import NotNegative, Part, Share, Side, Size
from paperzoo.records import Recipe, Target
from paperzoo.tasks.generation import ImageGenerator
from paperzoo.tasks.model import Optimizers, Players


class Answer(NamedTuple):
    """The discriminator's outputs: ``logit`` (N) of being real, ``turn`` (N, 4), logits of the rotation."""

    logit: Tensor
    turn: Tensor


class Discriminator(nn.Module):
    """WGAN-GP's residual critic with a sum over places, a second head, and spectral normalisation of every layer.

    Images (N, channels, S, S) in [-1, 1].
    """

    def __init__(self, image_size: int, channels: int, width: int) -> None:
        super().__init__()
        self.body = ResidualCritic(image_size, channels, width).body
        self.score, self.turn = nn.Linear(width, 1), nn.Linear(width, 4)
        for module in list(self.modules()):
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                spectral_norm(module)

    def forward(self, image: Tensor) -> Answer:
        h = self.body(image).sum((2, 3))  # (N, width, 8, 8) to (N, width)
        return Answer(self.score(h)[:, 0], self.turn(h))


def turned(image: Tensor) -> tuple[Tensor, Tensor]:
    """The first quarter of a batch (N, C, S, S) in all four directions, and their turns in quarters of a circle.

    Returns:
        (4 (N // 4), C, S, S), those turned by 0 first, then by 90, 180 and 270 degrees; int64 of the same length in 0..3.
    """
    quarter = image[: len(image) // 4]
    turns = torch.arange(4, device=image.device).repeat_interleave(len(quarter))
    return torch.cat([quarter.rot90(k, (2, 3)) for k in range(4)]), turns


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """The hinge form ``E max(0, 1 - D(x)) + E max(0, 1 + D(G(z)))`` from logits (N)."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def generator_loss(fake: Tensor) -> Tensor:
    """``-E D(G(z))`` from logits (N)."""
    return -fake.mean()


class Model(ImageGenerator):
    """Generator, and a discriminator with two heads.

    Args:
        image_size: side of the images, a power of two from 16 to 256; 32 in SNGAN's smallest networks.
        channels: of the images.
        latent: dimensions of the noise, standard normal.
        width: channels of the discriminator's layers; the generator's have twice as many.
        rotation: teach and use the second head; without it this is SNGAN.
        alpha: weight of the rotation loss on generated images, for the generator.
        beta: weight of the rotation loss on real images, for the discriminator.
        average: decay of the weights' moving average that samples are taken from; 0 for none.
    """

    def __init__(
        self,
        *,
        image_size: Side = 32,
        channels: Size = 3,
        latent: Size = 128,
        width: Size = 128,
        rotation: bool = True,
        alpha: NotNegative = 0.2,
        beta: NotNegative = 1.0,
        average: Part = 0.0,
    ) -> None:
        super().__init__()
        self.latent, self.rotation, self.alpha, self.beta = latent, rotation, alpha, beta
        self.generator = ResidualGenerator(image_size, channels, latent, 2 * width)
        self.discriminator = Discriminator(image_size, channels, width)
        self.average = Average(self.generator, average) if average else None

    def optimizers(
        self, *, lr: NotNegative = 2e-4, beta1: Part = 0.0, beta2: Part = 0.9, decay_from: Share = 1.0
    ) -> Optimizers:
        """Adam for both (section 4), at a constant rate up to ``decay_from`` of all steps, then linearly to zero."""
        fall = linear_decay(decay_from)
        return {
            "discriminator": (Adam(self.discriminator.parameters(), lr, (beta1, beta2)), fall),
            "generator": (Adam(self.generator.parameters(), lr, (beta1, beta2)), fall),
        }

    def step(self, batch: Batch, opt: Players) -> dict[str, Tensor]:
        real = 2 * batch.image - 1  # (N, C, S, S), [0, 1] -> [-1, 1]
        fake = self.generator(self.draw(len(batch)))
        loss = discriminator_loss(self.discriminator(real).logit, self.discriminator(fake.detach()).logit)
        logs = {}
        if self.rotation:  # on real images only: the two players agree on what a turn is (Eq. 3)
            image, turn = turned(real)
            guess = self.discriminator(image).turn
            loss = loss + self.beta * F.cross_entropy(guess, turn)
            logs["rotation accuracy"] = (guess.argmax(1) == turn).float().mean()
        opt.discriminator.minimize(loss)
        loss = generator_loss(self.discriminator(fake).logit)
        if self.rotation:  # Eq. 2
            image, turn = turned(fake)
            loss = loss + self.alpha * F.cross_entropy(self.discriminator(image).turn, turn)
        opt.generator.minimize(loss)
        if self.average is not None:
            self.average.update(self.generator)
        return logs

    def generate(self, z: Tensor) -> Tensor:
        network = self.generator if self.average is None else self.average
        image: Tensor = network(z)
        return (image + 1) / 2

    def measure(self, dataset: Dataset, split: str, judge: object = None) -> dict[str, float]:
        """The scores of every image generator, and with ``rotation`` the ``rotation accuracy %`` on the split."""
        metrics = super().measure(dataset, split, judge)
        return {**metrics, "rotation accuracy %": self.rotation_accuracy(dataset, split)} if self.rotation else metrics

    def rotation_accuracy(self, dataset: Dataset, split: str) -> float:
        """Accuracy of the rotation head in percent, on at most 10,000 real images in all four rotations; 25 is chance."""
        items, device = dataset[split], next(self.parameters()).device
        right = total = 0
        for indices in items.batches(500, limit=10_000):
            real = 2 * items.batch(indices).to(device).image - 1  # (N, C, S, S)
            for k in range(4):
                right += int((self.discriminator(real.rot90(k, (2, 3))).turn.argmax(1) == k).sum())
                total += len(indices)
        return 100 * right / total


VARIANTS: dict[str, dict[str, object]] = {"ssgan": {}}

RECIPES = {
    "paper": Recipe(
        data="cifar10", steps=100_000, batch_size=64, note="one step of the discriminator for each of the generator"
    ),
    "small": Recipe(
        data="avatars",
        steps=2500,
        batch_size=32,
        model={"image_size": 32, "width": 24, "latent": 64, "average": 0.99},
        optimizer={"lr": 4e-4, "decay_from": 0.5},
        judge="zoo-avatars",
        targets=(Target("fid[zoo-avatars]", at_most=0, than="ssgan:small-plain"),),
        note="the paper's claim, that the rotation task betters FID; set after the first run",
    ),
    "small-plain": Recipe(
        data="avatars",
        steps=2500,
        batch_size=32,
        model={"image_size": 32, "width": 24, "latent": 64, "average": 0.99, "rotation": False},
        optimizer={"lr": 4e-4, "decay_from": 0.5},
        judge="zoo-avatars",
        note="to compare with: the same without the rotation task",
    ),
    "small-emoji": Recipe(
        data="emoji",
        steps=2500,
        batch_size=32,
        model={"image_size": 32, "width": 24, "latent": 64, "average": 0.99},
        optimizer={"lr": 4e-4, "decay_from": 0.5},
        judge="zoo-emoji",
        targets=(Target("fid[zoo-emoji]", at_most=0, than="ssgan:small-emoji-plain"),),
        note="the paper's claim, that the rotation task betters FID; set after the first run",
    ),
    "small-emoji-plain": Recipe(
        data="emoji",
        steps=2500,
        batch_size=32,
        model={"image_size": 32, "width": 24, "latent": 64, "average": 0.99, "rotation": False},
        optimizer={"lr": 4e-4, "decay_from": 0.5},
        judge="zoo-emoji",
        note="to compare with: the same without the rotation task",
    ),
    "smoke": Recipe(
        data="digits",
        steps=40,
        batch_size=16,
        model={"image_size": 16, "width": 8, "latent": 8, "average": 0.9},
        optimizer={"lr": 1e-3},
        precision="float32",
    ),
}
