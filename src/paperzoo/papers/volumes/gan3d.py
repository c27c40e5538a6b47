"""3D-GAN: shapes in space from noise, by an adversarial pair of volumetric networks (Wu et al. 2016).

A generator turns z, uniform in [0, 1]^200, into a cube of voxels by transposed convolutions from one voxel up; a discriminator mirrors
it (section 3.2). With D(x) the probability that x is a real shape, the players have the objective of Eq. 1,

    log D(x) + log(1 - D(G(z))),

D to raise it, G to lower its second half. In space D learns much faster than G. Two things keep the game even: its rate is 1e-5 to G's
0.0025, and it is left as it is after a batch in which it told more than 80 % right. What D learns on the way tells kinds of shapes
apart: its maps of the last layers, max-pooled to 2x2x2, serve a linear classifier (section 4.2).

Read ``Model.step`` first: the gate is its third line.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

from paperzoo.data import Batch
from paperzoo.data.volumes.voxels import VoxelSide
from paperzoo.nn.average import Average
from paperzoo.nn.schedules import linear_decay
from paperzoo.ranges import NotNegative, Part, Share, Size
from paperzoo.records import Recipe, Target
from paperzoo.tasks.model import Optimizers, Players
from paperzoo.tasks.volume_generation import VolumeGenerator


class Generator(nn.Module):
    """Noise (N, latent) to volumes (N, 1, S, S, S) in [0, 1]; figure 1 of the paper.

    A transposed 4x4x4 convolution from one voxel to 4x4x4 with ``width * S / 8`` channels, then others that double the side and halve
    the channels: 512-256-128-64-1 for S = 64 and width 64. The noise is centred first: the layers have no biases, so that three quarters of
    what the first makes of noise around 0.5 would be the same for every z.
    """

    def __init__(self, image_size: int, latent: int, width: int) -> None:
        super().__init__()
        self.latent, now = latent, width * image_size // 8
        layers: list[nn.Module] = [nn.ConvTranspose3d(latent, now, 4, bias=False), nn.BatchNorm3d(now), nn.ReLU()]
        while now > width:
            layers += [nn.ConvTranspose3d(now, now // 2, 4, 2, 1, bias=False), nn.BatchNorm3d(now // 2), nn.ReLU()]
            now //= 2
        layers += [nn.ConvTranspose3d(now, 1, 4, 2, 1, bias=False), nn.Sigmoid()]
        self.body = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        centred = (2 * z - 1).view(-1, self.latent, 1, 1, 1)  # [0, 1] -> [-1, 1]
        volume: Tensor = self.body(centred)  # (N, 1, S, S, S)
        return volume


class Seen(NamedTuple):
    """The discriminator's output for volumes: logits (N) and its feature maps, each (N, C, s, s, s), s from S / 2 to 4."""

    logit: Tensor
    maps: tuple[Tensor, ...]


class Discriminator(nn.Module):
    """Volumes (N, 1, S, S, S) in [0, 1] to ``Seen``: the generator mirrored, with leaky units.

    What sees the volumes themselves is not normalised, and has a bias: without either, a batch of faint shapes would look to it like one of
    solid ones, for all that follows is normalised over the batch.
    """

    def __init__(self, image_size: int, width: int) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        before, now, side = 1, width, image_size
        while side > 4:
            first = not blocks
            layer = nn.Conv3d(before, now, 4, 2, 1, bias=first)
            blocks.append(nn.Sequential(layer, *([] if first else [nn.BatchNorm3d(now)]), nn.LeakyReLU(0.2)))
            before, now, side = now, now * 2, side // 2
        self.blocks = nn.ModuleList(blocks)
        self.score = nn.Conv3d(before, 1, 4)

    def forward(self, volume: Tensor) -> Seen:
        maps, h = [], volume
        for block in self.blocks:
            h = block(h)  # (N, C, s, s, s)
            maps.append(h)
        return Seen(self.score(h).flatten(), tuple(maps))  # (N, 1, 1, 1, 1) -> (N)


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """``-E log D(x) - E log(1 - D(G(z)))`` from logits (N): Eq. 1 with the sign turned."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(fake: Tensor) -> Tensor:
    """``-E log D(G(z))`` from logits (N): instead of ``E log(1 - D(G(z)))``, whose gradient dies where D is sure."""
    return F.softplus(-fake).mean()


def accuracy(real: Tensor, fake: Tensor) -> Tensor:
    """The share of logits (N) each that are on the right side of 0, in [0, 1]."""
    return ((real > 0).float().mean() + (fake < 0).float().mean()) / 2


def pooled(maps: tuple[Tensor, ...]) -> Tensor:
    """The last three maps, each max-pooled to 2x2x2, as vectors (N, D); D = 7,168 at 64 voxels and width 64.

    Of volumes of 64 voxels these are the second, third and fourth layer, and the kernels 8, 4 and 2 (section 4.2).
    """
    return torch.cat([F.max_pool3d(h, h.shape[-1] // 2).flatten(1) for h in maps[-3:]], 1)


class Model(VolumeGenerator):
    """Generator and discriminator.

    Args:
        image_size: side of the volumes.
        latent: dimensions of the noise.
        width: channels of the generator's last hidden layer and of the discriminator's first; 64 in the paper.
        gate: the discriminator's accuracy in the last batch up to which it learns in this one; 1 for no gate.
        average: decay of the weights' moving average that samples are taken from; 0 for none.
    """

    accuracy: Tensor

    def __init__(
        self, *, image_size: VoxelSide = 64, latent: Size = 200, width: Size = 64, gate: Share = 0.8, average: Part = 0.0
    ) -> None:
        super().__init__()
        self.image_size, self.latent, self.gate = image_size, latent, gate
        self.generator = Generator(image_size, latent, width)
        self.discriminator = Discriminator(image_size, width)
        self.average = Average(self.generator, average) if average else None
        self.register_buffer("accuracy", torch.zeros(()))

    def optimizers(
        self, *, lr: NotNegative = 0.0025, lr_discriminator: NotNegative = 1e-5, beta1: Part = 0.5, decay_from: Share = 1.0
    ) -> Optimizers:
        """Adam for both (section 3.2), at constant rates up to ``decay_from`` of all steps, then linearly to zero."""
        fall = linear_decay(decay_from)
        return {
            "discriminator": (Adam(self.discriminator.parameters(), lr_discriminator, (beta1, 0.999)), fall),
            "generator": (Adam(self.generator.parameters(), lr, (beta1, 0.999)), fall),
        }

    def step(self, batch: Batch, opt: Players) -> dict[str, Tensor | float]:
        real: Tensor = batch.volume  # (N, 1, S, S, S)
        fake = self.generator(self.draw(len(real)))
        learns = bool(self.accuracy <= self.gate)
        with torch.set_grad_enabled(learns):
            on_real, on_fake = self.discriminator(real).logit, self.discriminator(fake.detach()).logit
        if learns:
            opt.discriminator.minimize(discriminator_loss(on_real, on_fake))
        self.accuracy.copy_(opt.mean(accuracy(on_real, on_fake)))  # of all processes, so that all decide alike
        opt.generator.minimize(generator_loss(self.discriminator(fake).logit))
        if self.average is not None:
            self.average.update(self.generator)
        return {"accuracy": self.accuracy.clone(), "discriminator learns": float(learns)}

    def generate(self, z: Tensor) -> Tensor:
        network = self.generator if self.average is None else self.average
        volume: Tensor = network(z)
        return volume

    def features(self, volume: Tensor) -> Tensor:
        return pooled(self.discriminator(volume).maps)


VARIANTS: dict[str, dict[str, object]] = {"gan3d": {}}

TARGETS = (
    Target("occupied over data's", at_least=0.8, at_most=1.2),
    Target("largest component", at_least=0.9),
    Target("iou among over data's", at_most=1.5),
)

RECIPES = {
    "paper": Recipe(
        data="shapenet",
        steps=100_000,
        batch_size=100,
        note="the paper trains a model a class, or one on seven classes for the features (section 4.2), and gives no number of steps",
    ),
    "small": Recipe(
        data="furniture",
        steps=2000,
        batch_size=32,
        model={"image_size": 16, "latent": 64, "width": 32, "average": 0.99},
        optimizer={"lr": 1e-3, "lr_discriminator": 2e-4, "decay_from": 0.5},
        targets=TARGETS,
    ),
    "small-long": Recipe(
        data="furniture",
        steps=4000,
        batch_size=32,
        model={"image_size": 32, "latent": 100, "width": 32, "average": 0.995},
        optimizer={"lr": 1e-3, "lr_discriminator": 2e-4, "decay_from": 0.5},
        targets=TARGETS,
    ),
    "smoke": Recipe(
        data="boxes-spheres",
        steps=30,
        batch_size=16,
        model={"image_size": 16, "latent": 16, "width": 4, "average": 0.9},
        optimizer={"lr": 2e-3, "lr_discriminator": 1e-3, "decay_from": 0.5},
        precision="float32",
    ),
}
RECIPES["small-light"] = RECIPES["small"].but(model={"width": 20}, note="half of the weights, so that they ship")
