"""WGAN: the discriminator becomes a critic whose loss is a distance (Arjovsky, Chintala and Bottou 2017).

Two distributions that hardly overlap are as far apart as can be for the Jensen-Shannon divergence, wherever they lie, so a
perfect discriminator teaches nothing. The earth mover's distance W1 still falls as they draw near (example 1). By
Kantorovich and Rubinstein's duality it is a maximum over 1-Lipschitz functions f, here over networks whose weights are
clipped to [-c, c], which are K-Lipschitz for some K:

    K W1(P, P_theta) >= max_f E f(x) - E f(g(z))          (Eq. 2, 3),        L_generator = -E f(g(z)).

There is no logarithm and no sigmoid, and the critic may be trained as far as it goes: five steps for one of the generator,
a hundred while the generator is new and at every 500th. The optimiser has no momentum, as the loss is not stationary
(section 4). What the critic maximises is logged at every step as ``distance``: it is the paper's promise that this number
falls as samples get better. Read ``critic_loss`` first, then ``WeightClippedGAN.step``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import RMSprop

from paperzoo.data import Batch, Dataset
from paperzoo.errors import PaperzooError
from paperzoo.metrics.rank_correlation import spearman
from paperzoo.nn.schedules import linear_decay
from paperzoo.papers.gan.dcgan import Discriminator, Generator
from paperzoo.ranges import Count, NotNegative, Positive, Share, Side, Size, Whole
from paperzoo.records import Recipe, Target
from paperzoo.tasks.generation import ImageGenerator, PointGenerator, Sampler, noise
from paperzoo.tasks.model import Optimizers, Players


class ToyNetwork(nn.Module):
    """Four hidden ReLU layers, as the paper's fully connected generator (figure 3); both players of the toy."""

    def __init__(self, inputs: int, outputs: int, width: int) -> None:
        super().__init__()
        sizes = [inputs, width, width, width, width]
        layers = [m for a, b in zip(sizes, sizes[1:], strict=False) for m in (nn.Linear(a, b), nn.ReLU())]
        self.body = nn.Sequential(*layers, nn.Linear(width, outputs))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)  # (N, outputs)
        return y


def critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """``E f(g(z)) - E f(x)`` from the critic's values (N): minus its estimate of K W1 (Eq. 3)."""
    return fake.mean() - real.mean()


def generator_loss(fake: Tensor) -> Tensor:
    """``-E f(g(z))`` from the critic's values (N)."""
    return -fake.mean()


@torch.no_grad()
def clip(network: nn.Module, bound: float) -> None:
    """Puts every parameter back into [-bound, bound] (algorithm 1, line 7); buffers, such as batch statistics, stay."""
    for parameter in network.parameters():
        parameter.clamp_(-bound, bound)


def generator_moves(iteration: int, critic_steps: int, burst: int, warm_up: int, period: int) -> bool:
    """Whether the critic's step number ``iteration`` (from 0) is the last before a step of the generator.

    The generator's step number g (from 0) comes after ``burst`` critic steps if ``g < warm_up`` or ``g`` is a multiple of
    ``period``, and after ``critic_steps`` otherwise (authors' code: 100, 25, 500 and 5).
    """
    if iteration < warm_up * burst:
        return iteration % burst == burst - 1
    iteration -= warm_up * burst
    ordinary = (max(period - warm_up, 0)) * critic_steps  # up to the generator's step number ``period``
    if iteration < ordinary:
        return iteration % critic_steps == critic_steps - 1
    place = (iteration - ordinary) % (burst + (period - 1) * critic_steps)
    return place == burst - 1 or (place >= burst and (place - burst) % critic_steps == critic_steps - 1)


class WeightClippedGAN(Sampler):
    """The method itself, for any two networks."""

    generator: nn.Module
    critic: nn.Module

    def configure(self, bound: float, critic_steps: int, burst: int, warm_up: int, period: int) -> None:
        """Keeps the settings of algorithm 1.

        Raises:
            PaperzooError: a count or the bound is out of range.
        """
        if period <= warm_up:
            raise PaperzooError(f"period must be more than warm_up, which is {warm_up}, not {period}")
        self.bound, self.rounds = bound, (critic_steps, burst, warm_up, period)

    def optimizers(self, *, lr: NotNegative = 5e-5, decay_from: Share = 1.0) -> Optimizers:
        """RMSProp for both, without momentum (algorithm 1), at a constant rate up to ``decay_from`` of all steps, then linearly to zero."""
        fall = linear_decay(decay_from)
        return {
            "critic": (RMSprop(self.critic.parameters(), lr), fall),
            "generator": (RMSprop(self.generator.parameters(), lr), fall),
        }

    def real(self, batch: Batch) -> Tensor:
        """The batch in the networks' range."""
        raise TypeError(f"{type(self).__name__} does not say what is real")

    def step(self, batch: Batch, opt: Players) -> dict[str, Tensor]:
        real = self.real(batch)
        with torch.no_grad():
            fake = self.generator(self.draw(len(real)))
        loss = critic_loss(self.critic(real), self.critic(fake))
        opt.critic.minimize(loss)
        clip(self.critic, self.bound)  # after the step, or the critic that is used next lies outside
        if generator_moves(opt.iteration, *self.rounds):
            opt.generator.minimize(generator_loss(self.critic(self.generator(self.draw(len(real))))))
        return {"distance": -loss}

    def estimate(self, dataset: Dataset, split: str) -> float:
        """The critic's estimate ``E f(x) - E f(g(z))`` over at most 10,000 items of a split and as many samples.

        It is in units of W1 times the critic's Lipschitz constant K, which no one knows: compare it within a run.
        """
        items, device = dataset[split], next(self.parameters()).device
        critic = deepcopy(self.critic).train()  # as it was trained: each batch normalised by itself
        total = min(10_000, len(items))
        z = noise(total, self.latent, self.prior, seed=0).to(device)
        gap = 0.0
        for indices in items.batches(500, limit=total):
            real, fake = self.real(items.batch(indices).to(device)), self.generator(z[indices])
            gap -= float(critic_loss(critic(real), critic(fake))) * len(indices)
        return gap / total


class Model(WeightClippedGAN, ImageGenerator):
    """DCGAN's generator, and its discriminator as the critic.

    Args:
        image_size: side of the images, a power of two from 16 to 256.
        latent: dimensions of the noise, standard normal.
        width: channels of the widest image-sized layer.
        normalise: batch normalisation in the critic.
        bound: c of algorithm 1; every weight of the critic lies in [-c, c].
        critic_steps: the critic's steps for each of the generator; ``burst`` of them before each of the generator's first
            ``warm_up`` steps and before every step whose number is a multiple of ``period``.
    """

    def __init__(
        self,
        *,
        image_size: Side = 64,
        channels: Size = 3,
        latent: Size = 100,
        width: Size = 128,
        normalise: bool = True,
        bound: Positive = 0.01,
        critic_steps: Count = 5,
        burst: Count = 100,
        warm_up: Whole = 25,
        period: Count = 500,
    ) -> None:
        super().__init__()
        self.configure(bound, critic_steps, burst, warm_up, period)
        self.latent = latent
        self.generator = Generator(image_size, channels, latent, width)
        self.critic = Discriminator(image_size, channels, width, normalise)

    def real(self, batch: Batch) -> Tensor:
        """[0, 1] to [-1, 1], (N, C, S, S)."""
        image: Tensor = batch.image
        return 2 * image - 1

    def generate(self, z: Tensor) -> Tensor:
        image: Tensor = self.generator(z)
        return (image + 1) / 2

    def measure(self, dataset: Dataset, split: str, judge: object = None) -> dict[str, float]:
        """The scores of every image generator, and ``critic estimate`` on the split."""
        return {**super().measure(dataset, split, judge), "critic estimate": self.estimate(dataset, split)}

    def history(self, measured: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """Spearman's correlation of ``critic estimate`` with FID over a run measured at ten checkpoints or more."""
        pairs = [(row["critic estimate"], v) for row in measured for k, v in row.items() if k.startswith("fid[")]
        if len(pairs) < 10:
            return {}
        estimate, distance = np.array(pairs).T
        return {"rank correlation of estimate and fid": spearman(estimate, distance)}


class Toy(WeightClippedGAN, PointGenerator):
    """Two small fully connected networks for points (N, ``dimensions``); arguments as in ``Model``."""

    def __init__(
        self,
        *,
        dimensions: Size = 2,
        latent: Size = 2,
        width: Size = 512,
        bound: Positive = 0.01,
        critic_steps: Count = 5,
        burst: Count = 100,
        warm_up: Whole = 25,
        period: Count = 500,
    ) -> None:
        super().__init__()
        self.configure(bound, critic_steps, burst, warm_up, period)
        self.latent = latent
        self.generator = ToyNetwork(latent, dimensions, width)
        self.critic = ToyNetwork(dimensions, 1, width)

    def real(self, batch: Batch) -> Tensor:
        """The points as they are, (N, D)."""
        points: Tensor = batch.point
        return points

    def generate(self, z: Tensor) -> Tensor:
        points: Tensor = self.generator(z)
        return points

    def measure(self, dataset: Dataset, split: str, judge: object = None) -> dict[str, float]:
        """The scores of every point generator, and ``critic estimate`` on the split."""
        return {**super().measure(dataset, split, judge), "critic estimate": self.estimate(dataset, split)}


VARIANTS: dict[str, dict[str, object]] = {"wgan": {}, "toy": {"class": "Toy"}}

RECIPES = {
    "paper": Recipe(
        data="lsun-bedroom",
        steps=1_040_280,
        batch_size=64,
        variants=("wgan",),
        note="200,000 steps of the generator, a round number: the paper gives no length; five or a hundred of the critic for each",
    ),
    "small": Recipe(
        data="mnist",
        steps=6000,
        batch_size=64,
        model={"image_size": 32, "width": 24, "latent": 32, "burst": 20, "warm_up": 10},
        optimizer={"lr": 5e-4},
        judge="zoo-digits",
        targets=(
            Target("least class share %[zoo-digits]", at_least=5),
            Target("rank correlation of estimate and fid", at_least=0.8),
        ),
        variants=("wgan",),
    ),
    "small-toy": Recipe(
        data="ring8",
        steps=12_000,
        batch_size=64,
        model={"burst": 20, "warm_up": 10},
        optimizer={"lr": 2e-4, "decay_from": 0.5},
        precision="float32",
        targets=(Target("modes", at_least=8),),
        variants=("toy",),
    ),
    "smoke": Recipe(
        data="digits",
        steps=60,
        batch_size=32,
        model={"image_size": 16, "width": 8, "latent": 8, "critic_steps": 2, "burst": 5, "warm_up": 2, "period": 4},
        optimizer={"lr": 1e-3},
        precision="float32",
        variants=("wgan",),
    ),
    "smoke-toy": Recipe(
        data="ring8",
        steps=60,
        batch_size=64,
        model={"width": 32, "critic_steps": 2, "burst": 5, "warm_up": 2, "period": 4},
        optimizer={"lr": 1e-3},
        precision="float32",
        variants=("toy",),
    ),
}
