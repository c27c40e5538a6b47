"""GAN: two networks play a game whose only fair end is that samples cannot be told from data (Goodfellow et al. 2014).

A generator G turns noise into samples; a discriminator D gives the probability that what it sees is data. D is trained to be
right, G to make it wrong:

    min_G max_D V(D, G) = E log D(x) + E log(1 - D(G(z))).                                                         (Eq. 1)

For a fixed G the best D is p_data / (p_data + p_g) (proposition 1), so its logit is log p_data - log p_g; then V is a divergence
between the two densities, least at p_g = p_data, where it is -log 4 (theorem 1). Early on D is sure of itself and log(1 - D(G(z)))
is flat, so section 3 trains G to maximise log D(G(z)) instead: the same fixed point with strong gradients. That is the default;
``gan:minimax`` is Eq. 1 to the letter. Read ``generator_loss`` first, then ``Game.step``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from annotated_types import Ge, MultipleOf
from torch import Tensor, nn
from torch.optim import SGD, Adam
from torch.optim.optimizer import Optimizer

from paperzoo.data import Batch
from paperzoo.nn.average import Average
from paperzoo.nn.dropout import Dropout
from paperzoo.nn.schedules import Schedule
from paperzoo.ranges import NotNegative, Part, Pixels, Size
from paperzoo.records import Recipe, Target
from paperzoo.tasks.generation import ImageGenerator, PointGenerator, Sampler
from paperzoo.tasks.model import Optimizers, Players


class Maxout(nn.Linear):
    """(N, inputs) to (N, units): each unit is the largest of ``pieces`` linear functions (Goodfellow et al. 2013)."""

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__(inputs, units * pieces)
        self.units, self.pieces = units, pieces

    def forward(self, x: Tensor) -> Tensor:
        pieces: Tensor = super().forward(x).view(-1, self.units, self.pieces)  # (N, units, pieces)
        return pieces.amax(2)  # (N, units)


class Generator(nn.Module):
    """Noise (N, latent) to images (N, channels, S, S) in [0, 1]: two ReLU layers, then a sigmoid."""

    def __init__(self, image_size: int, channels: int, latent: int, width: int) -> None:
        super().__init__()
        self.shape = (channels, image_size, image_size)
        self.body = nn.Sequential(
            nn.Linear(latent, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, channels * image_size**2),
            nn.Sigmoid(),
        )
        uniform(self, 0.05)

    @torch.no_grad()
    def begin(self, mean: Tensor) -> None:
        """Sets the biases of the outputs to the log odds of pixels (C, S, S) in [0, 1]: the first samples are as bright as the data."""
        pixels = mean.flatten().clamp(1e-3, 1 - 1e-3)
        output: nn.Linear = self.body[-2]  # type: ignore[assignment]
        output.bias.copy_(torch.logit(pixels))

    def forward(self, z: Tensor) -> Tensor:
        image: Tensor = self.body(z).view(-1, *self.shape)  # (N, C, S, S)
        return image


class Discriminator(nn.Module):
    """Images (N, channels, S, S) in [0, 1] to logits (N): two maxout layers with dropout."""

    def __init__(self, image_size: int, channels: int, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Flatten(),
            Dropout(0.2),
            Maxout(channels * image_size**2, width // 5, 5),
            Dropout(0.5),
            Maxout(width // 5, width // 5, 5),
            Dropout(0.5),
            nn.Linear(width // 5, 1),
        )
        uniform(self, 0.005)

    def forward(self, image: Tensor) -> Tensor:
        logit: Tensor = self.body(image)[:, 0]  # (N)
        return logit


class ToyNetwork(nn.Module):
    """Two hidden ReLU layers, (N, inputs) to (N, outputs); one output becomes (N)."""

    def __init__(self, inputs: int, outputs: int, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, outputs)
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)  # (N, outputs)
        return y[:, 0] if y.shape[1] == 1 else y


def uniform(network: nn.Module, reach: float) -> None:
    """Weights from U(-reach, reach), biases zero."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.uniform_(module.weight, -reach, reach)
            nn.init.zeros_(module.bias)


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """``-V(D, G)`` from logits (N), Eq. 1: the sum of two cross-entropies, 1.386 where D knows nothing."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(fake: Tensor, loss: str = "log-d") -> Tensor:
    """From logits (N), with s = sigma(logit): ``-E log s`` (``"log-d"``, section 3) or ``E log(1 - s)`` (``"minimax"``, Eq. 1).

    The gradients for a logit are -(1 - s) and -s: the first is large where D is sure that the sample is fake (s near 0), where the
    second vanishes.
    """
    return F.softplus(-fake).mean() if loss == "log-d" else -F.softplus(fake).mean()


def momentum(iteration: int) -> float:
    """0.5 at first, rising linearly to 0.7."""
    return 0.5 + 0.2 * min(1.0, iteration / 125_000)


def set_momentum(players: Mapping[str, Optimizer], iteration: int) -> None:
    """Gives all optimisers the momentum of this iteration."""
    for player in players.values():
        for group in player.param_groups:
            group["momentum"] = momentum(iteration)


def exponential_decay(base: float, lr: float) -> Schedule:
    """Factor ``base^-t`` for the rate ``lr``, which never falls below a millionth of 1."""
    return lambda iteration, total: max(float(base**-iteration), 1e-6 / lr if lr else 0.0)


class Game(Sampler):
    """The method itself, for any two networks."""

    prior = "uniform"
    generator: nn.Module
    discriminator: nn.Module
    average: Average | None
    loss: str

    def real(self, batch: Batch) -> Tensor:
        """The batch as the networks see it."""
        raise TypeError(f"{type(self).__name__} does not say what is real")

    def step(self, batch: Batch, opt: Players) -> None:
        real = self.real(batch)
        fake = self.generator(self.draw(len(batch)))
        # algorithm 1 with k = 1
        opt.discriminator.minimize(discriminator_loss(self.discriminator(real), self.discriminator(fake.detach())))
        opt.generator.minimize(generator_loss(self.discriminator(fake), self.loss))
        if self.average is not None:
            self.average.update(self.generator)

    def generate(self, z: Tensor) -> Tensor:
        sample: Tensor = (self.generator if self.average is None else self.average)(z)
        return sample


class Model(Game, ImageGenerator):
    """The fully connected networks for MNIST.

    Args:
        image_size: side of the images.
        latent: dimensions of the noise, uniform in [-1, 1].
        width: units of the generator's hidden layers, a multiple of 5; the discriminator has a fifth, of five pieces each.
        loss: ``log-d`` or ``minimax``, see ``generator_loss``.
        average: decay of the weights' moving average that samples are taken from; 0 for none.
    """

    generator: Generator

    def __init__(
        self,
        *,
        image_size: Pixels = 28,
        channels: Size = 1,
        latent: Size = 100,
        width: Annotated[Size, Ge(5), MultipleOf(5)] = 1200,
        loss: Literal["log-d", "minimax"] = "log-d",
        average: Part = 0.0,
    ) -> None:
        super().__init__()
        self.latent, self.loss = latent, loss
        self.generator = Generator(image_size, channels, latent, width)
        self.discriminator = Discriminator(image_size, channels, width)
        self.average = Average(self.generator, average) if average else None

    def optimizers(self, *, lr: NotNegative = 0.1) -> Optimizers:
        """SGD with momentum for both; the rate is divided by 1.000004 at each step, down to a millionth of 1."""
        self._players = {n: SGD(self.get_submodule(n).parameters(), lr, 0.5) for n in ("discriminator", "generator")}
        fall = exponential_decay(1.000004, lr)
        return {n: (optimizer, fall) for n, optimizer in self._players.items()}

    def step(self, batch: Batch, opt: Players) -> None:
        if opt.iteration == 0:  # nothing has moved yet
            self.generator.begin(opt.mean(batch.image.mean(0)))
        set_momentum(self._players, opt.iteration)
        super().step(batch, opt)

    def real(self, batch: Batch) -> Tensor:
        """Images (N, C, S, S) in [0, 1]."""
        image: Tensor = batch.image
        return image


class Toy(Game, PointGenerator):
    """The game for points; arguments as in ``Model``."""

    def __init__(
        self,
        *,
        dimensions: Size = 2,
        latent: Size = 2,
        width: Size = 128,
        loss: Literal["log-d", "minimax"] = "log-d",
    ) -> None:
        super().__init__()
        self.latent, self.loss, self.average = latent, loss, None
        self.generator = ToyNetwork(latent, dimensions, width)
        self.discriminator = ToyNetwork(dimensions, 1, width)

    def optimizers(self, *, lr: NotNegative = 1e-3, beta1: Part = 0.5) -> Optimizers:
        """Adam for both."""
        return {n: Adam(self.get_submodule(n).parameters(), lr, (beta1, 0.999)) for n in ("discriminator", "generator")}

    def real(self, batch: Batch) -> Tensor:
        """Points (N, D)."""
        points: Tensor = batch.point
        return points


VARIANTS: dict[str, dict[str, object]] = {"gan": {}, "minimax": {"loss": "minimax"}, "toy": {"class": "Toy"}}

RECIPES = {
    "paper": Recipe(
        data="mnist",
        steps=300_000,
        batch_size=100,
        precision="float32",
        variants=("gan", "minimax"),
        note="sizes and rates of the published code; neither it nor the paper gives a number of steps: 600 passes over 50,000 images",
    ),
    "small": Recipe(
        data="mnist",
        steps=7500,
        batch_size=100,
        model={"average": 0.998},
        precision="float32",
        judge="zoo-digits",
        targets=(
            Target("least class share %[zoo-digits]", at_least=5, variants=("gan",)),
            Target("inception score[zoo-digits]", at_least=0, than="minimax:small", variants=("gan",)),
        ),
        variants=("gan", "minimax"),
        note="the same networks and rates for fewer steps; in bfloat16 the discriminator ran away from the generator (seed 0). Targets set "
        "after the first run: of every class a twentieth, as of the other GANs here; and better than by Eq. 1 to the letter, as section "
        "3 has it",
    ),
    "small-toy": Recipe(data="ring8", steps=8000, batch_size=256, precision="float32", variants=("toy",)),
    "smoke": Recipe(
        data="digits",
        steps=60,
        batch_size=32,
        model={"width": 80, "latent": 8, "average": 0.9},
        precision="float32",
        variants=("gan", "minimax"),
    ),
    "smoke-toy": Recipe(data="ring8", steps=60, batch_size=64, model={"width": 32}, precision="float32", variants=("toy",)),
}
