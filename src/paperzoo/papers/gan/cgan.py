"""Conditional GAN: both players are told what the image should show (Mirza and Osindero 2014).

An ordinary GAN cannot be asked for a seven. Here the label y enters both networks: the generator makes an image from noise
and y, and the discriminator judges whether an image is real *for this y*, so that a perfect two under the label seven is as
much a fake as a blot:

    min_G max_D  E log D(x | y) + E log(1 - D(G(z | y) | y))                                                       (Eq. 2)

The label must reach the discriminator. If only the generator sees it nothing ties it to the image, and the generator learns to
ignore it: ``blind=True`` is that experiment. Read ``ConditionalGAN.step`` first, then the two discriminators.
"""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from annotated_types import Ge, MultipleOf
from torch import Tensor, nn
from torch.optim import SGD, Adam

from paperzoo.data import Batch
from paperzoo.nn.average import Average
from paperzoo.nn.dropout import Dropout
from paperzoo.nn.schedules import linear_decay
from paperzoo.papers.gan import dcgan
from paperzoo.papers.gan.gan import Maxout, discriminator_loss, exponential_decay, generator_loss, set_momentum, uniform
from paperzoo.ranges import NotNegative, Part, Pixels, Several, Share, Side, Size
from paperzoo.records import Recipe, Target
from paperzoo.tasks.generation import ConditionalGenerator
from paperzoo.tasks.model import Optimizers, Players


class Generator(nn.Module):
    """Noise (N, latent) in [-1, 1] and one-hot labels (N, classes) to images (N, channels, S, S) in [0, 1]; section 4.1.

    200 hidden units for the noise and 1000 for the label, 1200 where both are joined.
    """

    def __init__(self, image_size: int, channels: int, classes: int, latent: int, width: int) -> None:
        super().__init__()
        self.shape = (channels, image_size, image_size)
        self.noise = nn.Linear(latent, width // 6)
        self.label = nn.Linear(classes, width * 5 // 6)
        self.joint = nn.Linear(width, width)
        self.output = nn.Linear(width, channels * image_size**2)
        self.dropout = Dropout(0.5)
        uniform(self, 0.05)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        z = (z + 1) / 2  # the paper's noise is uniform in the unit hypercube
        h = self.dropout(torch.cat([self.noise(z), self.label(y)], 1).relu())  # (N, width)
        h = self.dropout(self.joint(h).relu())
        image: Tensor = self.output(h).sigmoid().view(-1, *self.shape)  # (N, C, S, S)
        return image


class Discriminator(nn.Module):
    """Images (N, channels, S, S) in [0, 1] and one-hot labels (N, classes) to logits (N); section 4.1.

    Maxout layers: 240 units of 5 pieces for the image, 50 of 5 for the label, 240 of 4 for both.
    """

    def __init__(self, image_size: int, channels: int, classes: int, width: int) -> None:
        super().__init__()
        self.image = Maxout(channels * image_size**2, width // 5, 5)
        self.label = Maxout(classes, width // 24, 5)
        self.joint = Maxout(width // 5 + width // 24, width // 5, 4)
        self.score = nn.Linear(width // 5, 1)
        self.dropout = Dropout(0.5)
        uniform(self, 0.005)

    def forward(self, image: Tensor, y: Tensor) -> Tensor:
        h = self.dropout(torch.cat([self.image(image.flatten(1)), self.label(y)], 1))  # (N, 290 for the paper's width)
        h = self.dropout(self.joint(h))
        logit: Tensor = self.score(h)[:, 0]  # (N)
        return logit


class ConvolutionalGenerator(dcgan.Generator):
    """DCGAN's generator over noise and one-hot label: (N, latent), (N, classes) to (N, channels, S, S) in [-1, 1]."""

    def __init__(self, image_size: int, channels: int, classes: int, latent: int, width: int) -> None:
        super().__init__(image_size, channels, latent + classes, width)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(torch.cat([z, y], 1))


class ConvolutionalDiscriminator(dcgan.Discriminator):
    """DCGAN's discriminator over the image and a plane for each class: (N, channels, S, S), (N, classes) to logits (N)."""

    def __init__(self, image_size: int, channels: int, classes: int, width: int) -> None:
        super().__init__(image_size, channels + classes, width)

    def forward(self, image: Tensor, y: Tensor) -> Tensor:  # type: ignore[override]
        planes = y[:, :, None, None].expand(-1, -1, *image.shape[2:])  # (N, classes, S, S)
        return super().forward(torch.cat([image, planes], 1))


def one_hot(label: Tensor, classes: int) -> Tensor:
    """Labels (N) from 0 to classes - 1 as float32 rows (N, classes)."""
    return F.one_hot(label, classes).float()


class ConditionalGAN(ConditionalGenerator):
    """The method itself, for any two networks."""

    prior = "uniform"
    generator: nn.Module
    discriminator: nn.Module
    average: Average | None
    blind: bool
    low: float  # black on the networks' scale; white is 1

    def step(self, batch: Batch, opt: Players) -> None:
        real = self.low + (1 - self.low) * batch.image  # (N, C, S, S), [0, 1] -> [low, 1]
        y = one_hot(batch.label, self.classes)  # (N, classes)
        fake = self.generator(self.draw(len(batch)), y)
        condition = torch.zeros_like(y) if self.blind else y  # fakes are judged under the label they were asked for
        opt.discriminator.minimize(
            discriminator_loss(self.discriminator(real, condition), self.discriminator(fake.detach(), condition))  # Eq. 2
        )
        opt.generator.minimize(generator_loss(self.discriminator(fake, condition)))
        if self.average is not None:
            self.average.update(self.generator)

    def generate(self, z: Tensor, label: Tensor) -> Tensor:  # type: ignore[override]
        network = self.generator if self.average is None else self.average
        image: Tensor = network(z, one_hot(label, self.classes))
        return (image - self.low) / (1 - self.low)


class Model(ConditionalGAN):
    """The paper's fully connected networks.

    Args:
        image_size: side of the images.
        classes: number of labels, at least 2.
        latent: dimensions of the noise, uniform in [0, 1] as the generator sees it.
        width: units of the generator's joint layer, a multiple of 120; the other layers keep their proportion to it.
        blind: the discriminator does not see the label.
        average: decay of the weights' moving average that samples are taken from; 0 for none.
    """

    low = 0.0

    def __init__(
        self,
        *,
        image_size: Pixels = 28,
        channels: Size = 1,
        classes: Several = 10,
        latent: Size = 100,
        width: Annotated[Size, Ge(120), MultipleOf(120)] = 1200,
        blind: bool = False,
        average: Part = 0.0,
    ) -> None:
        super().__init__()
        self.classes, self.latent, self.blind = classes, latent, blind
        self.generator = Generator(image_size, channels, classes, latent, width)
        self.discriminator = Discriminator(image_size, channels, classes, width)
        self.average = Average(self.generator, average) if average else None

    def optimizers(self, *, lr: NotNegative = 0.1) -> Optimizers:
        """SGD with momentum for both; the rate is divided by 1.00004 at each step, down to a millionth of 1 (section 4.1)."""
        self._players = {n: SGD(self.get_submodule(n).parameters(), lr, 0.5) for n in ("discriminator", "generator")}
        fall = exponential_decay(1.00004, lr)
        return {n: (optimizer, fall) for n, optimizer in self._players.items()}

    def step(self, batch: Batch, opt: Players) -> None:
        set_momentum(self._players, opt.iteration)  # 0.5, rising to 0.7 (section 4.1)
        super().step(batch, opt)


class Convolutional(ConditionalGAN):
    """DCGAN's networks, conditioned. Arguments as in ``Model``; ``image_size`` is a power of two from 16 to 256, and ``width``
    the channels of the widest image-sized layer.
    """

    low = -1.0

    def __init__(
        self,
        *,
        image_size: Side = 64,
        channels: Size = 3,
        classes: Several = 10,
        latent: Size = 100,
        width: Size = 128,
        blind: bool = False,
        average: Part = 0.0,
    ) -> None:
        super().__init__()
        self.classes, self.latent, self.blind = classes, latent, blind
        self.generator = ConvolutionalGenerator(image_size, channels, classes, latent, width)
        self.discriminator = ConvolutionalDiscriminator(image_size, channels, classes, width)
        self.average = Average(self.generator, average) if average else None

    def optimizers(self, *, lr: NotNegative = 2e-4, beta1: Part = 0.5, decay_from: Share = 1.0) -> Optimizers:
        """Adam for both, as for DCGAN, at a constant rate up to ``decay_from`` of all steps, then linearly to zero."""
        fall, both = linear_decay(decay_from), ("discriminator", "generator")
        return {n: (Adam(self.get_submodule(n).parameters(), lr, (beta1, 0.999)), fall) for n in both}


VARIANTS: dict[str, dict[str, object]] = {"cgan": {}, "conv": {"class": "Convolutional"}}

RECIPES = {
    "paper": Recipe(
        data="mnist",
        steps=300_000,
        batch_size=100,
        train_on="train+validation",
        precision="float32",
        variants=("cgan",),
        note="sizes, optimiser and schedule of section 4.1; 500 passes",
    ),
    "small": Recipe(
        data="mnist",
        steps=6000,
        batch_size=64,
        model={"image_size": 32, "width": 32, "latent": 64, "average": 0.998},
        optimizer={"lr": 4e-4, "decay_from": 0.5},
        judge="zoo-digits",
        targets=(Target("label agreement %[zoo-digits]", at_least=98),),
        variants=("conv",),
    ),
    "small-avatars": Recipe(
        data="avatars",
        steps=4000,
        batch_size=64,
        model={"image_size": 32, "width": 32, "latent": 64, "average": 0.998},
        optimizer={"lr": 4e-4, "decay_from": 0.5},
        judge="zoo-avatars",
        variants=("conv",),
    ),
    "small-mlp": Recipe(
        data="mnist",
        steps=10_000,
        batch_size=100,
        model={"average": 0.998},
        judge="zoo-digits",
        variants=("cgan",),
        note="the paper's networks and rates, for fewer steps",
    ),
    "smoke": Recipe(
        data="digits",
        steps=60,
        batch_size=32,
        model={"width": 120, "latent": 8, "average": 0.9},
        precision="float32",
        variants=("cgan",),
    ),
    "smoke-conv": Recipe(
        data="digits",
        steps=60,
        batch_size=32,
        model={"image_size": 16, "width": 8, "latent": 8, "average": 0.9},
        optimizer={"lr": 1e-3, "decay_from": 0.5},
        precision="float32",
        variants=("conv",),
    ),
}
RECIPES["small-light"] = RECIPES["small-avatars"].but(
    model={"width": 26}, targets=(Target("label agreement %[zoo-avatars]", at_least=90),),
    note="two thirds of the weights, so that they ship",
)  # fmt: skip
