"""AC-GAN: the discriminator also names the class, and both players are rewarded when it is right (Odena, Olah and Shlens 2016).

A conditional GAN hands the label to the discriminator. Here it must find the label out: beside the source (real or fake) it
gives a probability for every class. With S the source and C the class,

    L_S = E log P(S = real | X_real) + E log P(S = fake | X_fake)                                                  (Eq. 2)
    L_C = E log P(C = c | X_real)    + E log P(C = c | X_fake)                                                     (Eq. 3)

the discriminator maximises L_S + L_C and the generator L_C - L_S: they fight over the source and agree on the class. Read
``Model.step`` first, then ``class_loss``, which has a term for the real images *and* one for the fakes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

from paperzoo.data import Batch
from paperzoo.nn.average import Average
from paperzoo.nn.dropout import Dropout
from paperzoo.nn.schedules import linear_decay
from paperzoo.ranges import Eighths, NotNegative, Part, Several, Share, Size
from paperzoo.records import Recipe, Target
from paperzoo.tasks.generation import ConditionalGenerator
from paperzoo.tasks.model import Optimizers, Players


class Judgement(NamedTuple):
    """The discriminator's output for N images: logits that they are real (N), and of the classes (N, classes)."""

    source: Tensor
    label: Tensor


class Generator(nn.Module):
    """Noise (N, latent) and one-hot labels (N, classes) to images (N, channels, S, S) in [-1, 1]; table 2 of the appendix.

    A linear layer to ``24 * width`` channels (384) of an eighth of the side, then three transposed 5x5 convolutions, to 192 and 96
    channels and to the image; batch normalisation after the first two.
    """

    def __init__(self, image_size: int, channels: int, classes: int, latent: int, width: int) -> None:
        super().__init__()
        first, self.side = 24 * width, image_size // 8
        self.project = nn.Linear(latent + classes, first * self.side**2)
        self.body = nn.Sequential(
            nn.ReLU(),
            nn.ConvTranspose2d(first, first // 2, 5, 2, 2, 1, bias=False),
            nn.BatchNorm2d(first // 2),
            nn.ReLU(),
            nn.ConvTranspose2d(first // 2, first // 4, 5, 2, 2, 1, bias=False),
            nn.BatchNorm2d(first // 4),
            nn.ReLU(),
            nn.ConvTranspose2d(first // 4, channels, 5, 2, 2, 1),
            nn.Tanh(),
        )
        self.apply(init)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        h = self.project(torch.cat([z, y], 1)).view(len(z), -1, self.side, self.side)  # (N, 24 * width, S / 8, S / 8)
        image: Tensor = self.body(h)  # (N, channels, S, S)
        return image


class Discriminator(nn.Module):
    """Images (N, channels, S, S) in [-1, 1] to a ``Judgement``; table 2 of the appendix.

    Six 3x3 convolutions with strides 2, 1, 2, 1, 2, 1 and ``width`` to ``32 * width`` channels (16 to 512), each with LeakyReLU and
    dropout 0.5, batch normalisation from the second on; then a linear layer with a head for the source and one for the class.
    """

    def __init__(self, image_size: int, channels: int, classes: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, 2, 1), nn.LeakyReLU(0.2), Dropout(0.5)]
        for power, stride in enumerate((1, 2, 1, 2, 1)):
            now = width * 2**power
            layers += [nn.Conv2d(now, 2 * now, 3, stride, 1, bias=False), nn.BatchNorm2d(2 * now)]
            layers += [nn.LeakyReLU(0.2), Dropout(0.5)]
        self.body = nn.Sequential(*layers)
        features = 32 * width * (image_size // 8) ** 2
        self.source, self.label = nn.Linear(features, 1), nn.Linear(features, classes)
        self.apply(init)

    def forward(self, image: Tensor) -> Judgement:
        h = self.body(image).flatten(1)  # (N, 32 * width * (S / 8)^2)
        return Judgement(self.source(h)[:, 0], self.label(h))


def init(module: nn.Module) -> None:
    """All weights from N(0, 0.02^2), all biases zero (appendix)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def source_loss(real: Tensor, fake: Tensor) -> Tensor:
    """``-L_S`` from the source logits (N) of real images and fakes; Eq. 2."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def class_loss(real: Tensor, fake: Tensor, label: Tensor) -> Tensor:
    """``-L_C`` from the class logits (N, classes) of real images and fakes of the same labels (N); Eq. 3."""
    return F.cross_entropy(real, label) + F.cross_entropy(fake, label)


def generator_loss(source: Tensor, logits: Tensor, label: Tensor) -> Tensor:
    """The parts of ``L_S - L_C`` that the generator reaches, from the source logits (N) and class logits (N, classes) of fakes.

    As in all GANs trained in practice, ``E log P(S = fake)`` is replaced by ``-E log P(S = real)``: the same aim with strong
    gradients early on.
    """
    return F.softplus(-source).mean() + F.cross_entropy(logits, label)


class Model(ConditionalGenerator):
    """Generator and discriminator with its auxiliary classifier.

    Args:
        image_size: side of the images, a multiple of 8 from 16.
        channels: of the images.
        classes: number of labels, at least 2.
        latent: dimensions of the noise, uniform in [-1, 1]; the label is added to them.
        width: channels of the discriminator's first convolution; 16 in the paper.
        average: decay of the weights' moving average that samples are taken from; 0 for none.
    """

    prior = "uniform"

    def __init__(
        self,
        *,
        image_size: Eighths = 32,
        channels: Size = 3,
        classes: Several = 10,
        latent: Size = 100,
        width: Size = 16,
        average: Part = 0.0,
    ) -> None:
        super().__init__()
        self.classes, self.latent = classes, latent
        self.generator = Generator(image_size, channels, classes, latent, width)
        self.discriminator = Discriminator(image_size, channels, classes, width)
        self.average = Average(self.generator, average) if average else None

    def optimizers(self, *, lr: NotNegative = 2e-4, beta1: Part = 0.5, decay_from: Share = 1.0) -> Optimizers:
        """Adam for both (appendix), at a constant rate up to ``decay_from`` of all steps, then linearly to zero."""
        fall, both = linear_decay(decay_from), ("discriminator", "generator")
        return {n: (Adam(self.get_submodule(n).parameters(), lr, (beta1, 0.999)), fall) for n in both}

    def step(self, batch: Batch, opt: Players) -> dict[str, Tensor]:
        label = batch.label  # (N)
        image = 2 * batch.image - 1  # (N, C, S, S), [0, 1] -> [-1, 1]
        sample = self.generator(self.draw(len(batch)), self.one_hot(label))
        # real and fake go through the discriminator separately: batch norm must not see both at once
        real, fake = self.discriminator(image), self.discriminator(sample.detach())
        named = class_loss(real.label, fake.label, label)
        opt.discriminator.minimize(source_loss(real.source, fake.source) + named)  # maximises L_S + L_C
        fake = self.discriminator(sample)
        opt.generator.minimize(generator_loss(fake.source, fake.label, label))  # maximises L_C - L_S
        if self.average is not None:
            self.average.update(self.generator)
        return {"class": named.detach()}

    def one_hot(self, label: Tensor) -> Tensor:
        """Labels (N) as float32 rows (N, classes)."""
        return F.one_hot(label, self.classes).float()

    def generate(self, z: Tensor, label: Tensor) -> Tensor:  # type: ignore[override]
        network = self.generator if self.average is None else self.average
        image: Tensor = network(z, self.one_hot(label))
        return (image + 1) / 2


VARIANTS: dict[str, dict[str, object]] = {"acgan": {}}

RECIPES = {
    "paper": Recipe(
        data="cifar10",
        steps=50_000,
        batch_size=100,
        note="steps and batch of the appendix; its table is that of the CIFAR-10 networks",
    ),
    "small": Recipe(
        data="mnist",
        steps=3000,
        batch_size=64,
        model={"image_size": 32, "width": 8, "latent": 32, "average": 0.998},
        optimizer={"lr": 8e-4, "decay_from": 0.5},
        judge="zoo-digits",
        targets=(Target("label agreement %[zoo-digits]", at_least=98),),
    ),
    "small-avatars": Recipe(
        data="avatars",
        steps=3000,
        batch_size=64,
        model={"image_size": 32, "width": 8, "latent": 32, "average": 0.998},
        optimizer={"lr": 8e-4, "decay_from": 0.5},
        judge="zoo-avatars",
    ),
    "smoke": Recipe(
        data="digits",
        steps=60,
        batch_size=32,
        model={"image_size": 16, "width": 4, "latent": 8, "average": 0.9},
        optimizer={"lr": 1e-3, "decay_from": 0.5},
        precision="float32",
    ),
}
