"""ProGAN: generator and critic grow together, from 4x4 pixels to the full size (Karras, Aila, Laine and Lehtinen 2017).

Large pictures are hard to tell from data by anything but their coarse shape, and to draw as well. So both networks begin with 4x4 and
get a new level, of twice the side, again and again (section 2, figure 1). A new level comes in by and by: while alpha goes from 0 to 1,

    G's picture = (1 - alpha) up(toRGB_old(h)) + alpha toRGB_new(block(up(h))),
    D's input   = (1 - alpha) fromRGB_old(down(x)) + alpha down(block(fromRGB_new(x)))            (figure 2),

and real pictures are blended in the same way. Beside growth there are three small things: a map of how much features differ over the
minibatch, which D sees (section 3), weights with an equalised rate (4.1, ``nn/equalized.py``), and each pixel's feature vector normalised
in G (4.2). The losses are WGAN-GP's and a drift term 0.001 E f(x)^2. Read ``Generator.forward``, then ``Model.step``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

from paperzoo.data import Batch, Dataset
from paperzoo.data.images.pyramid import at_side
from paperzoo.errors import unknown
from paperzoo.nn.average import Average
from paperzoo.nn.equalized import EqualConv2d, EqualLinear
from paperzoo.papers.gan.wgan_gp import critic_loss, generator_loss, gradient_penalty
from paperzoo.ranges import NotNegative, Part, Size
from paperzoo.records import Recipe, Stage, Target
from paperzoo.tasks.generation import ImageGenerator
from paperzoo.tasks.model import Optimizers, Players

Side = Literal[8, 16, 32, 64, 128, 256, 512, 1024]


class Generator(nn.Module):
    """Noise (N, latent) to images (N, channels, s, s) about [-1, 1], s = 4 * 2^level; all levels are there from the beginning (table 2).

    Args:
        wide: channels of each level, 4x4 first.
    """

    def __init__(self, wide: list[int], channels: int, latent: int) -> None:
        super().__init__()
        self.project = EqualLinear(latent, wide[0] * 16, bias=False, gain=2**0.5 / 4)  # a 4x4 convolution of one pixel, padded by 3
        self.bias = nn.Parameter(torch.zeros(wide[0], 1, 1))
        self.first = EqualConv2d(wide[0], wide[0], 3)
        self.wider = nn.ModuleList(EqualConv2d(a, b, 3) for a, b in zip(wide, wide[1:], strict=False))
        self.finer = nn.ModuleList(EqualConv2d(b, b, 3) for b in wide[1:])
        self.to_image = nn.ModuleList(EqualConv2d(w, channels, 1, gain=1.0) for w in wide)

    def forward(self, z: Tensor, level: int, alpha: float = 1.0) -> Tensor:
        """``alpha``: the share of the newest level; the older one has no part in the picture, nor in its gradient, once it is 1."""
        h = self.project(pixel_norm(z)).view(len(z), -1, 4, 4) + self.bias  # (N, 16 w) -> (N, w, 4, 4)
        h = before = normed(self.first(normed(h)))
        for wider, finer in zip(self.wider[:level], self.finer[:level], strict=True):
            before = h  # (N, w, s, s)
            h = normed(finer(normed(wider(up(h)))))  # (N, w', 2 s, 2 s)
        image: Tensor = self.to_image[level](h)
        return image if alpha >= 1 or not level else torch.lerp(up(self.to_image[level - 1](before)), image, alpha)


class Critic(nn.Module):
    """Images (N, channels, s, s) to values (N): the generator backwards, and before the last 4x4 the deviation over the minibatch.

    Args:
        halve: (N, C, H, W) -> (N, C, H / 2, W / 2).
    """

    def __init__(self, wide: list[int], channels: int, halve: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self.halve = halve or pooled
        self.from_image = nn.ModuleList(EqualConv2d(channels, w, 1) for w in wide)
        self.finer = nn.ModuleList(EqualConv2d(b, b, 3) for b in wide[1:])
        self.wider = nn.ModuleList(EqualConv2d(b, a, 3) for a, b in zip(wide, wide[1:], strict=False))
        self.last = EqualConv2d(wide[0] + 1, wide[0], 3)
        self.flat = EqualConv2d(wide[0], wide[0], 4, padding=0)
        self.score = EqualLinear(wide[0], 1, gain=1.0)

    def forward(self, image: Tensor, level: int, alpha: float = 1.0) -> Tensor:
        h = rectified(self.from_image[level](image))
        for number in range(level, 0, -1):
            h = rectified(self.wider[number - 1](rectified(self.finer[number - 1](h))))
            h = self.halve(h)  # (N, w', s, s) -> (N, w', s / 2, s / 2)
            if number == level and alpha < 1:
                h = torch.lerp(rectified(self.from_image[level - 1](self.halve(image))), h, alpha)
        h = rectified(self.last(torch.cat([h, deviation(h)], 1)))  # (N, w + 1, 4, 4) -> (N, w, 4, 4)
        value: Tensor = self.score(rectified(self.flat(h)).flatten(1))[:, 0]  # (N, w, 1, 1) -> (N)
        return value


def rectified(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2, everywhere in both networks (appendix A)."""
    return F.leaky_relu(x, 0.2)


def pixel_norm(x: Tensor) -> Tensor:
    """``b = a / sqrt(mean_j a_j^2 + 1e-8)`` over the channels of each pixel (section 4.2), (N, C) or (N, C, H, W)."""
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


def normed(x: Tensor) -> Tensor:
    """The activation and normalisation after each convolution of the generator but the last."""
    return pixel_norm(rectified(x))


def up(x: Tensor) -> Tensor:
    """Every pixel four times, (N, C, H, W) -> (N, C, 2 H, 2 W)."""
    return F.interpolate(x, scale_factor=2.0)


def pooled(x: Tensor) -> Tensor:
    """Means of two by two pixels, (N, C, H, W) -> (N, C, H / 2, W / 2)."""
    return F.avg_pool2d(x, 2)


def deviation(h: Tensor) -> Tensor:
    """The deviation of each feature at each place over the minibatch, and its mean over all as a map (N, 1, H, W); section 3."""
    spread = (h.float().var(0, correction=0) + 1e-8).sqrt().mean()
    return spread.to(h.dtype).expand(len(h), 1, *h.shape[2:])


def channels_of(sides: Sequence[int], width: int, most: int) -> list[int]:
    """Channels of each level: ``width``, but no more than ``most`` channels by the side; 512 up to 32x32, 16 at 1024x1024 (table 2)."""
    return [max(1, min(width, most // side)) for side in sides]


def shrunk(image: Tensor, side: int, alpha: float, double: Callable[[Tensor], Tensor] = up) -> Tensor:
    """Real pictures (N, C, S, S) at a level's side, means of their pixels; while it comes in blended with those of the level before."""
    small = F.avg_pool2d(image, image.shape[3] // side)
    return small if alpha >= 1 else torch.lerp(double(pooled(small)), small, alpha)


class Growing(ImageGenerator):
    """Progressive growing of any two networks: a recipe's stages are called ``4``, ``8 fading``, ``8``, ``16 fading`` and so on up to
    the side of the pictures; without stages all levels learn at once, from the beginning."""

    level: Tensor
    alpha: Tensor
    generator: nn.Module
    critic: nn.Module
    average: Average | None

    def __init__(self, image_size: int) -> None:
        super().__init__()
        self.image_size, self.fading = image_size, False
        self.sides = [4 * 2**level for level in range((image_size // 4).bit_length())]
        self.register_buffer("level", torch.tensor(len(self.sides) - 1))
        self.register_buffer("alpha", torch.ones(()))

    def stage(self, name: str) -> None:
        known = {f"{side}{fading}": level for level, side in enumerate(self.sides) for fading in ("", " fading") if level or not fading}
        if name not in known:
            raise unknown("stage", name, known, f"of {self.name}")
        self.level.fill_(known[name])
        self.fading = name.endswith("fading")

    def reading(self, data: Dataset) -> Dataset:
        """Of pictures at several sides (``pyramid:FOLDER``) those of the level that comes in."""
        return at_side(data, self.sides[int(self.level)])

    def optimizers(self, *, lr: NotNegative = 1e-3, beta2: Part = 0.99) -> Optimizers:
        """Adam for both at a constant rate, without momentum (appendix A)."""
        networks = {"critic": self.critic, "generator": self.generator}
        return {name: Adam(network.parameters(), lr, (0.0, beta2)) for name, network in networks.items()}

    def grown(self, opt: Players) -> tuple[int, float]:
        """The level that a step learns, and alpha, its share: 0 at the first step in which it comes in."""
        self.alpha.fill_((opt.iteration - opt.start) / opt.stage_steps if self.fading else 1.0)
        return int(self.level), float(self.alpha)

    def shown(self, image: Tensor) -> Tensor:
        """From a level's side and about [-1, 1] to the full side, by repeating pixels, and [0, 1]."""
        return (F.interpolate(image.float(), self.image_size) / 2 + 0.5).clamp(0, 1)

    def generate(self, z: Tensor) -> Tensor:
        """Pictures (N, C, S, S) in [0, 1], of the present level."""
        return self.settled()(z)


class Model(Growing):
    """Both networks, and how far they have grown.

    Args:
        image_size: side of the pictures.
        latent: dimensions of the noise, which is put on a sphere.
        width: channels at the coarse levels. most: channels times side at the fine ones.
        penalty: lambda of the gradient penalty. drift: epsilon of E f(x)^2, which keeps the critic's values near 0 (appendix A).
        average: decay of the weights' moving average that samples are taken from (section 5); 0 for none.
    """

    def __init__(
        self, *, image_size: Side = 1024, channels: Size = 3, latent: Size = 512, width: Size = 512, most: Size = 16_384,
        penalty: NotNegative = 10.0, drift: NotNegative = 1e-3, average: Part = 0.999,
    ) -> None:  # fmt: skip
        super().__init__(image_size)
        wide = channels_of(self.sides, width, most)
        self.latent, self.penalty, self.drift = latent, penalty, drift
        self.generator, self.critic = Generator(wide, channels, latent), Critic(wide, channels)
        self.average = Average(self.generator, average) if average else None

    def step(self, batch: Batch, opt: Players) -> dict[str, Tensor]:
        level, alpha = self.grown(opt)
        real = shrunk(2 * batch.image - 1, self.sides[level], alpha)

        def critic(image: Tensor) -> Tensor:
            value: Tensor = self.critic(image, level, alpha)
            return value

        fake = self.generator(self.draw(len(real)), level, alpha)
        of_real, of_fake = critic(real), critic(fake.detach())
        penalty = gradient_penalty(critic, real, fake, torch.rand(len(real), device=real.device))
        opt.critic.minimize(critic_loss(of_real, of_fake) + self.penalty * penalty + self.drift * of_real.square().mean())
        opt.generator.minimize(generator_loss(critic(fake)))
        if self.average is not None:
            self.average.update(self.generator)
        return {"distance": (of_real.mean() - of_fake.mean()).detach(), "side": torch.tensor(float(self.sides[level]))}

    def settled(self) -> Callable[..., Tensor]:
        network, level, alpha = self.average or self.generator, int(self.level), float(self.alpha)
        return lambda z: self.shown(network(z, level, alpha))


def growing(to: int, images: int, batch: Mapping[int, int]) -> tuple[Stage, ...]:
    """Stages from 4x4 to ``to``: so many images while a level comes in, as many once it is there; batches by side."""
    stages, side = [Stage("4", images // batch[4], batch_size=batch[4])], 8
    while side <= to:
        stages += [Stage(f"{side}{kind}", images // batch[side], batch_size=batch[side]) for kind in (" fading", "")]
        side *= 2
    return tuple(stages)


def grown(recipe: Recipe, *stages: Stage) -> Recipe:
    """The recipe with stages, whose steps are added up."""
    return recipe.but(stages=stages, steps=sum(stage.steps for stage in stages))


VARIANTS: dict[str, dict[str, object]] = {"progan": {}}

_PAPER = {4: 16, 8: 16, 16: 16, 32: 16, 64: 16, 128: 16, 256: 14, 512: 6, 1024: 3}
_SMALL = Recipe(
    data="avatars", steps=0, batch_size=32, model={"image_size": 64, "latent": 64, "width": 128, "most": 512, "average": 0.99},
    judge="zoo-avatars", optimizer={"lr": 1e-2},
    targets=(Target("fid over floor[zoo-avatars]", at_most=0, than="dcgan:dcgan:small-long-avatars"),),
)  # fmt: skip
_STAGES = (
    Stage("4", 100), Stage("8 fading", 100), Stage("8", 150), Stage("16 fading", 150), Stage("16", 250),
    *(Stage(name, steps, batch_size=16) for name, steps in (("32 fading", 250), ("32", 400), ("64 fading", 350), ("64", 700))),
)  # fmt: skip

_EMOJI = _SMALL.but(
    data="emoji", model={"image_size": 32}, judge="zoo-emoji",
    targets=(Target("fid over floor[zoo-emoji]", at_most=0, than="dcgan:dcgan:small-emoji"),),
)  # fmt: skip

RECIPES = {
    "paper": grown(
        Recipe(data="lsun-bedroom", steps=0, batch_size=16, model={"image_size": 256}, note="800,000 images a stage (section 5)"),
        *growing(256, 800_000, _PAPER),
    ),
    "small": grown(_SMALL, *_STAGES),
    "small-emoji": grown(_EMOJI, *_STAGES[:5], Stage("32 fading", 700, batch_size=16), Stage("32", 1400, batch_size=16)),
    "small-long": grown(_SMALL, *(dataclasses.replace(stage, steps=8 * stage.steps) for stage in _STAGES)),
    "small-whole": _SMALL.but(steps=1300, batch_size=16, targets=(), note="beside small: all levels at once, for about as long"),
    "smoke": Recipe(
        data="digits", steps=24, batch_size=16, model={"image_size": 16, "latent": 8, "width": 8, "most": 128, "average": 0.9},
        precision="float32", optimizer={"lr": 5e-3},
    ),
}  # fmt: skip
