"""DCGAN: an adversarial pair of all-convolutional networks that trains stably (Radford, Metz and Chintala 2015).

A generator turns noise z into an image by a chain of strided transposed convolutions, a discriminator turns an image
into one logit by a mirrored chain of strided convolutions. Section 3 gives the recipe that made it work: no pooling, no
hidden fully connected layers, batch normalisation everywhere but at the generator's output and the discriminator's
input, ReLU in the generator, LeakyReLU in the discriminator, weights from N(0, 0.02^2), Adam with beta1 = 0.5. With
D a logit, sigma the sigmoid, the players minimise

    L_D = -E log sigma(D(x)) - E log(1 - sigma(D(G(z)))),        L_G = -E log sigma(D(G(z))).

Read ``Model.step`` first: the whole method is in its five lines.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

from paperzoo.data import Batch
from paperzoo.nn.average import Average
from paperzoo.nn.schedules import linear_decay
from paperzoo.ranges import NotNegative, Part, Share, Side, Size
from paperzoo.records import Recipe, Target
from paperzoo.tasks.generation import ImageGenerator
from paperzoo.tasks.model import Optimizers, Players


class Generator(nn.Module):
    """Noise (N, latent) to images (N, channels, S, S) in [-1, 1]; figure 1 of the paper.

    A projection to 4x4 with ``width * S / 8`` channels, then transposed 5x5 convolutions that double the side and halve
    the channels: 1024-512-256-128 for S = 64 and width 128.
    """

    def __init__(self, image_size: int, channels: int, latent: int, width: int) -> None:
        super().__init__()
        sides = image_size // 4  # how far 4x4 is from the image
        self.first = width * sides // 2
        self.project = nn.Linear(latent, self.first * 16, bias=False)
        layers: list[nn.Module] = [nn.BatchNorm2d(self.first), nn.ReLU()]
        now = self.first
        while now > width:
            layers += [nn.ConvTranspose2d(now, now // 2, 5, 2, 2, 1, bias=False), nn.BatchNorm2d(now // 2), nn.ReLU()]
            now //= 2
        layers += [nn.ConvTranspose2d(now, channels, 5, 2, 2, 1), nn.Tanh()]
        self.body = nn.Sequential(*layers)
        self.apply(init)

    def forward(self, z: Tensor) -> Tensor:
        h = self.project(z).view(-1, self.first, 4, 4)  # (N, first, 4, 4)
        image: Tensor = self.body(h)  # (N, channels, S, S)
        return image


class Discriminator(nn.Module):
    """Images (N, channels, S, S) in [-1, 1] to logits (N): strided 5x5 convolutions down to 4x4, then one linear unit.

    ``normalise=False`` leaves batch normalisation out, as a critic under a gradient penalty must.
    """

    def __init__(self, image_size: int, channels: int, width: int, normalise: bool = True) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 5, 2, 2), nn.LeakyReLU(0.2)]
        now, side = width, image_size // 2
        while side > 4:
            layers.append(nn.Conv2d(now, now * 2, 5, 2, 2, bias=not normalise))
            layers += [nn.BatchNorm2d(now * 2)] if normalise else []
            layers.append(nn.LeakyReLU(0.2))
            now, side = now * 2, side // 2
        self.body = nn.Sequential(*layers)
        self.score = nn.Linear(now * 16, 1)
        self.apply(init)

    def forward(self, image: Tensor) -> Tensor:
        h = self.body(image)  # (N, width * S / 8, 4, 4)
        logit: Tensor = self.score(h.flatten(1))[:, 0]  # (N)
        return logit


def init(module: nn.Module) -> None:
    """Section 4: all weights from N(0, 0.02^2); a batch norm's scale around 1."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """``-E log sigma(D(x)) - E log(1 - sigma(D(G(z))))`` from logits (N)."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(fake: Tensor) -> Tensor:
    """``-E log sigma(D(G(z)))`` from logits (N): the form with strong gradients early on."""
    return F.softplus(-fake).mean()


class Model(ImageGenerator):
    """Generator and discriminator.

    Args:
        image_size: side of the images, a power of two from 16 to 256.
        channels: of the images.
        latent: dimensions of the noise, uniform in [-1, 1].
        width: channels of the widest image-sized layer; 128 in the paper.
        average: decay of the weights' moving average that samples are taken from; 0 for none.
    """

    prior = "uniform"

    def __init__(
        self, *, image_size: Side = 64, channels: Size = 3, latent: Size = 100, width: Size = 128, average: Part = 0.0
    ) -> None:
        super().__init__()
        self.latent = latent
        self.generator = Generator(image_size, channels, latent, width)
        self.discriminator = Discriminator(image_size, channels, width)
        self.average = Average(self.generator, average) if average else None

    def optimizers(self, *, lr: NotNegative = 2e-4, beta1: Part = 0.5, decay_from: Share = 1.0) -> Optimizers:
        """Adam for both (section 4), at a constant rate up to ``decay_from`` of all steps, then linearly to zero."""
        fall = linear_decay(decay_from)
        return {
            "discriminator": (Adam(self.discriminator.parameters(), lr, (beta1, 0.999)), fall),
            "generator": (Adam(self.generator.parameters(), lr, (beta1, 0.999)), fall),
        }

    def step(self, batch: Batch, opt: Players) -> None:
        real = 2 * batch.image - 1  # (N, C, S, S), [0, 1] -> [-1, 1]
        fake = self.generator(self.draw(len(batch)))
        # real and fake go through the discriminator separately: batch norm must not see both at once
        opt.discriminator.minimize(discriminator_loss(self.discriminator(real), self.discriminator(fake.detach())))
        opt.generator.minimize(generator_loss(self.discriminator(fake)))
        if self.average is not None:
            self.average.update(self.generator)

    def generate(self, z: Tensor) -> Tensor:
        network = self.generator if self.average is None else self.average
        image: Tensor = network(z)
        return (image + 1) / 2


VARIANTS: dict[str, dict[str, object]] = {"dcgan": {}}

RECIPES = {
    "paper": Recipe(
        data="lsun-bedroom", steps=118_000, batch_size=128, note="five epochs of 3 million bedrooms (section 4.1)"
    ),
    "small": Recipe(
        data="mnist",
        steps=5500,
        batch_size=64,
        model={"image_size": 32, "width": 24, "latent": 32, "average": 0.998},
        optimizer={"lr": 1.5e-3, "decay_from": 0.1},
        judge="zoo-digits",
        targets=(
            Target("inception score[zoo-digits]", at_least=8.2),
            Target("fid over floor[zoo-digits]", at_most=47),
            Target("least class share %[zoo-digits]", at_least=5),
        ),
    ),
    "small-long-avatars": Recipe(
        data="avatars",
        steps=2500,
        batch_size=64,
        model={"image_size": 64, "width": 32, "latent": 64, "average": 0.998},
        optimizer={"lr": 1e-3, "decay_from": 0.1},
        judge="zoo-avatars",
        targets=(
            Target("density[zoo-avatars]", at_least=0.7),
            Target("coverage[zoo-avatars]", at_least=0.7),
        ),
    ),
    "small-emoji": Recipe(
        data="emoji",
        steps=5000,
        batch_size=64,
        model={"image_size": 32, "width": 24, "latent": 64, "average": 0.998},
        optimizer={"lr": 1e-3, "decay_from": 0.1},
        judge="zoo-emoji",
    ),
    "smoke": Recipe(
        data="digits",
        steps=60,
        batch_size=32,
        model={"image_size": 16, "width": 8, "latent": 8, "average": 0.9},
        optimizer={"lr": 1e-3, "decay_from": 0.5},
        precision="float32",
    ),
}
