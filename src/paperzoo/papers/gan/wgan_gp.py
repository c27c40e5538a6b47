"""WGAN-GP: a critic kept Lipschitz by a penalty on its gradient instead of clipped weights (Gulrajani et al. 2017).

A critic f estimates the Wasserstein distance between data and samples if it is 1-Lipschitz. WGAN clips weights for that,
which biases the critic towards simple functions. Here the norm of the critic's gradient is drawn to 1 at random points
x^ = alpha x + (1 - alpha) G(z), one alpha a pair, along the lines where an optimal critic has it (proposition 1):

    L_critic = E f(G(z)) - E f(x) + lambda E (||grad f(x^)||_2 - 1)^2          (Eq. 3),        L_G = -E f(G(z)).

The critic moves ``critic_steps`` times for each step of the generator (algorithm 1). The penalty is a statement about
each input by itself, so the critic must not normalise over the batch. Read ``gradient_penalty`` first, then ``step``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import Adam

from paperzoo.data import Batch
from paperzoo.nn.average import Average
from paperzoo.nn.schedules import linear_decay
from paperzoo.papers.gan.dcgan import Discriminator, Generator
from paperzoo.ranges import Count, NotNegative, Part, Share, Side, Size
from paperzoo.records import Recipe, Target
from paperzoo.tasks.generation import ImageGenerator, PointGenerator, Sampler
from paperzoo.tasks.model import Optimizers, Players


class ToyNetwork(nn.Module):
    """Three hidden ReLU layers; both players of the toy experiments (section 4, figure 1b)."""

    def __init__(self, inputs: int, outputs: int, width: int) -> None:
        super().__init__()
        sizes = [inputs, width, width, width]
        layers = [m for a, b in zip(sizes, sizes[1:], strict=False) for m in (nn.Linear(a, b), nn.ReLU())]
        self.body = nn.Sequential(*layers, nn.Linear(width, outputs))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)  # (N, outputs)
        return y


class ResidualBlock(nn.Module):
    """ReLU, 3x3 convolution, ReLU, 3x3 convolution, beside a shortcut (appendix F).

    Args:
        resample: ``"up"`` doubles the side (nearest) before the first convolution, ``"down"`` halves it (mean) after the second.
        normalise: batch normalisation before each ReLU.
        first: the block sees an image, not features: no ReLU before the first convolution.
    """

    def __init__(
        self, inputs: int, outputs: int, resample: str = "", normalise: bool = False, first: bool = False
    ) -> None:
        super().__init__()

        def active(channels: int) -> list[nn.Module]:
            return [*([nn.BatchNorm2d(channels)] if normalise else []), nn.ReLU()]

        up: list[nn.Module] = [nn.Upsample(scale_factor=2)] if resample == "up" else []
        down: list[nn.Module] = [nn.AvgPool2d(2)] if resample == "down" else []
        bias = not normalise  # the batch norm that follows would take it out again
        self.body = nn.Sequential(
            *([] if first else active(inputs)),
            *up,
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias),
            *active(outputs),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=bias),
            *down,
        )
        change = [nn.Conv2d(inputs, outputs, 1, bias=bias)] if inputs != outputs or resample else []
        self.shortcut = nn.Sequential(*up, *down, *change)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.shortcut(x) + self.body(x)  # (N, outputs, 2 H, 2 W), (N, outputs, H / 2, W / 2) or as it was
        return y


class ResidualGenerator(nn.Module):
    """Noise (N, latent) to images (N, channels, S, S) in [-1, 1]: ``width`` maps of 4x4, then blocks that double the side."""

    def __init__(self, image_size: int, channels: int, latent: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.project = nn.Linear(latent, width * 16)
        doublings = (image_size // 4).bit_length() - 1
        blocks = [ResidualBlock(width, width, "up", normalise=True) for _ in range(doublings)]
        self.body = nn.Sequential(*blocks, nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, channels, 3, padding=1), nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        image: Tensor = self.body(self.project(z).view(-1, self.width, 4, 4))  # (N, channels, S, S)
        return image


class ResidualCritic(nn.Module):
    """Images (N, channels, S, S) in [-1, 1] to values (N): blocks that halve the side down to 8x8, two more, mean pooling."""

    def __init__(self, image_size: int, channels: int, width: int) -> None:
        super().__init__()
        halvings = (image_size // 8).bit_length() - 1
        blocks = [ResidualBlock(width if i else channels, width, "down", first=not i) for i in range(halvings)]
        self.body = nn.Sequential(*blocks, ResidualBlock(width, width), ResidualBlock(width, width), nn.ReLU())
        self.score = nn.Linear(width, 1)

    def forward(self, image: Tensor) -> Tensor:
        h = self.body(image).mean((2, 3))  # (N, width, 8, 8) to (N, width)
        value: Tensor = self.score(h)[:, 0]  # (N)
        return value


def critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """``E f(G(z)) - E f(x)`` from the critic's values (N): minus its estimate of the Wasserstein distance."""
    return fake.mean() - real.mean()


def generator_loss(fake: Tensor) -> Tensor:
    """``-E f(G(z))`` from the critic's values (N)."""
    return -fake.mean()


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, alpha: Tensor) -> Tensor:
    """``E (||grad f(x^)||_2 - 1)^2`` at ``x^ = alpha x + (1 - alpha) G(z)``; the penalty of Eq. 3 without lambda.

    Args:
        critic: maps (N, ...) to values (N) or (N, 1), each depending on its own input only.
        real, fake: (N, ...), any shape; no gradient flows to what made them.
        alpha: (N) in [0, 1], one a pair.
    """
    share = alpha.view(-1, *[1] * (real.ndim - 1))  # (N, 1, ...)
    between = (share * real.detach() + (1 - share) * fake.detach()).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)  # (N, ...)
    norm: Tensor = torch.linalg.vector_norm(gradient.flatten(1), dim=1)  # over all but the batch: (N)
    return (norm - 1).square().mean()


class WassersteinGAN(Sampler):
    """The method itself, for any two networks."""

    generator: nn.Module
    critic: nn.Module
    average: Average | None
    penalty: float
    critic_steps: int

    def optimizers(
        self, *, lr: NotNegative = 1e-4, beta1: Part = 0.0, beta2: Part = 0.9, decay_from: Share = 1.0
    ) -> Optimizers:
        """Adam for both (algorithm 1), at a constant rate up to ``decay_from`` of all steps, then linearly to zero."""
        fall = linear_decay(decay_from)
        return {
            "critic": (Adam(self.critic.parameters(), lr, (beta1, beta2)), fall),
            "generator": (Adam(self.generator.parameters(), lr, (beta1, beta2)), fall),
        }

    def real(self, batch: Batch) -> Tensor:
        """The batch in the networks' range."""
        raise TypeError(f"{type(self).__name__} does not say what is real")

    def step(self, batch: Batch, opt: Players) -> dict[str, Tensor]:
        real = self.real(batch)
        with torch.no_grad():
            fake = self.generator(self.draw(len(real)))
        distance = -critic_loss(self.critic(real), self.critic(fake))
        alpha = torch.rand(len(real), device=real.device)
        opt.critic.minimize(self.penalty * gradient_penalty(self.critic, real, fake, alpha) - distance)
        if opt.iteration % self.critic_steps == self.critic_steps - 1:
            opt.generator.minimize(generator_loss(self.critic(self.generator(self.draw(len(real))))))
            if self.average is not None:
                self.average.update(self.generator)
        return {"distance": distance}


class Model(WassersteinGAN, ImageGenerator):
    """DCGAN's networks, the critic without batch normalisation; or the residual networks of appendix F.

    Args:
        image_size: side of the images, a power of two from 16 to 256.
        latent: dimensions of the noise, standard normal.
        width: channels of the widest image-sized layer.
        penalty: lambda of Eq. 3.
        critic_steps: the critic's steps for each of the generator.
        residual: the residual networks instead of DCGAN's; every layer has ``width`` channels.
        average: decay of the weights' moving average that samples are taken from; 0 for none.
    """

    def __init__(
        self,
        *,
        image_size: Side = 64,
        channels: Size = 3,
        latent: Size = 128,
        width: Size = 128,
        penalty: NotNegative = 10.0,
        critic_steps: Count = 5,
        residual: bool = False,
        average: Part = 0.0,
    ) -> None:
        super().__init__()
        self.latent, self.penalty, self.critic_steps = latent, penalty, critic_steps
        self.generator = (ResidualGenerator if residual else Generator)(image_size, channels, latent, width)
        self.critic = (
            ResidualCritic(image_size, channels, width)
            if residual
            else Discriminator(image_size, channels, width, normalise=False)
        )
        for (
            module
        ) in self.critic.modules():  # without batch norm to rescale it, N(0, 0.02^2) would leave the signal to die out
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, 0.2)
        self.average = Average(self.generator, average) if average else None

    def real(self, batch: Batch) -> Tensor:
        """[0, 1] to [-1, 1], (N, C, S, S)."""
        image: Tensor = batch.image
        return 2 * image - 1

    def generate(self, z: Tensor) -> Tensor:
        network = self.generator if self.average is None else self.average
        image: Tensor = network(z)
        return (image + 1) / 2


class Toy(WassersteinGAN, PointGenerator):
    """Two small fully connected networks for points; arguments as in ``Model``."""

    def __init__(
        self,
        *,
        dimensions: Size = 2,
        latent: Size = 2,
        width: Size = 512,
        penalty: NotNegative = 0.1,
        critic_steps: Count = 5,
    ) -> None:
        super().__init__()
        self.latent, self.penalty, self.critic_steps, self.average = latent, penalty, critic_steps, None
        self.generator = ToyNetwork(latent, dimensions, width)
        self.critic = ToyNetwork(dimensions, 1, width)

    def real(self, batch: Batch) -> Tensor:
        """The points as they are, (N, D)."""
        points: Tensor = batch.point
        return points

    def generate(self, z: Tensor) -> Tensor:
        points: Tensor = self.generator(z)
        return points


VARIANTS: dict[str, dict[str, object]] = {
    "wgan_gp": {},
    "toy": {"class": "Toy"},
    "resnet": {"residual": True, "image_size": 32},
}

RECIPES = {
    "paper": Recipe(
        data="lsun-bedroom",
        steps=1_000_000,
        batch_size=64,
        variants=("wgan_gp",),
        note="200,000 steps of the generator (section 5.1); five of the critic for each",
    ),
    "small": Recipe(
        data="mnist",
        steps=6000,
        batch_size=64,
        model={"image_size": 32, "width": 24, "latent": 32, "average": 0.99},
        optimizer={"lr": 5e-4, "beta1": 0.0, "decay_from": 0.5},
        judge="zoo-digits",
        targets=(Target("least class share %[zoo-digits]", at_least=5),),
        variants=("wgan_gp",),
    ),
    "small-avatars": Recipe(
        data="avatars",
        steps=5000,
        batch_size=64,
        model={"image_size": 32, "width": 24, "latent": 64, "average": 0.99},
        optimizer={"lr": 1e-4, "beta1": 0.0, "decay_from": 0.5},
        judge="zoo-avatars",
        variants=("wgan_gp",),
    ),
    "small-emoji": Recipe(
        data="emoji",
        steps=5000,
        batch_size=64,
        model={"image_size": 32, "width": 24, "latent": 64, "average": 0.99},
        optimizer={"lr": 1e-4, "beta1": 0.0, "decay_from": 0.5},
        judge="zoo-emoji",
        variants=("wgan_gp",),
    ),
    "small-toy": Recipe(
        data="ring8",
        steps=12_000,
        batch_size=64,
        optimizer={"beta1": 0.5, "decay_from": 0.5},
        precision="float32",
        targets=(Target("modes", at_least=8),),
        variants=("toy",),
    ),
    "paper-resnet": Recipe(
        data="cifar10",
        steps=500_000,
        batch_size=64,
        optimizer={"lr": 2e-4, "decay_from": 0.0},
        variants=("resnet",),
        note="100,000 steps of the generator at a rate that falls linearly to zero (appendix F)",
    ),
    "small-resnet": Recipe(
        data="avatars",
        steps=3000,
        batch_size=32,
        model={"width": 32, "average": 0.99},
        optimizer={"lr": 4e-4, "decay_from": 0.5},
        judge="zoo-avatars",
        variants=("resnet",),
    ),
    "smoke": Recipe(
        data="digits",
        steps=60,
        batch_size=32,
        model={"image_size": 16, "width": 8, "latent": 8, "average": 0.9},
        optimizer={"lr": 1e-3},
        precision="float32",
        variants=("wgan_gp",),
    ),
    "smoke-toy": Recipe(data="ring8", steps=60, batch_size=64, model={"width": 32}, precision="float32", variants=("toy",)),
    "smoke-resnet": Recipe(
        data="digits",
        steps=60,
        batch_size=16,
        model={"image_size": 16, "width": 8, "latent": 8, "average": 0.9},
        optimizer={"lr": 1e-3},
        precision="float32",
        variants=("resnet",),
    ),
}
