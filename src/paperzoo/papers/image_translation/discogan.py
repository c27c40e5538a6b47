"""DiscoGAN: relations between two domains, found without pairs by asking that each is reached from the other (Kim et al. 2017).

A GAN that is given images of A in place of noise learns some map into B, maybe all of A into a corner of B: nothing ties an answer to
its question. Let a second generator map the answer back, and ask that it finds the question again. With that in one direction G_AB
is one-to-one, but may still leave most of B out; so the paper asks for it in both directions, and a discriminator stands at either
end:

    L_CONST_A = d(G_BA(G_AB(x_A)), x_A)                                                                             (Eq. 3)
    L_GAN_B = -E log D_B(G_AB(x_A))                                                                                 (Eq. 4)
    L_G = (L_GAN_B + L_CONST_A) + (L_GAN_A + L_CONST_B)                                                             (Eqs. 5 and 7)
    L_D_B = -E log D_B(x_B) - E log(1 - D_B(G_AB(x_A))),        L_D = L_D_A + L_D_B                                 (Eqs. 6 and 8)

No term has a weight, and d is the squared error; the authors' code has one for L_CONST, which is ``reconstruct``. What a plain GAN and
one with a single reconstruction lack (figure 2) is seen best in the plane: five modes of A are to reach all ten of B (section 3.1),
which is ``Toy``. Read ``Discovery.step`` first.
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

from paperzoo.data import Batch
from paperzoo.errors import PaperzooError
from paperzoo.nn.schedules import linear_decay
from paperzoo.ranges import Count, NotNegative, Part, Share, Side, Size, Sizeable
from paperzoo.records import Recipe, Target
from paperzoo.tasks.image_translation import ImageTranslator
from paperzoo.tasks.image_translation.traits import TraitTranslation
from paperzoo.tasks.model import Model as Base
from paperzoo.tasks.model import Optimizers, Players
from paperzoo.tasks.point_translation import PointTranslator


class Generator(nn.Module):
    """Images (N, channels, S, S) in [0, 1] to images of the other domain, of the same shape and range; section 2.2.

    4x4 convolutions of stride 2 halve the side until it is 4, with 64-128-256-512 channels; one more may follow, to ``bottleneck``
    numbers. Transposed ones go the same way back. All layers but the first and the last have batch normalisation (section 3.2).
    The sides of an image may be any multiples of S / 4 from S on.
    """

    def __init__(self, image_size: int, channels: int, width: int, bottleneck: int = 0) -> None:
        super().__init__()
        widths = halved(image_size, width)
        now, layers = channels, []
        for level, outputs in enumerate(widths):
            layers += [*convolution(now, outputs, normalised=level > 0), nn.LeakyReLU(0.2)]
            now = outputs
        if bottleneck:
            layers += [*convolution(now, bottleneck, 1, 0), nn.LeakyReLU(0.2)]  # (N, bottleneck, 1, 1)
            layers += [*convolution(bottleneck, now, 1, 0, back=True), nn.ReLU()]
        for outputs in widths[-2::-1]:
            layers += [*convolution(now, outputs, back=True), nn.ReLU()]
            now = outputs
        self.body = nn.Sequential(*layers, *convolution(now, channels, back=True, normalised=False), nn.Sigmoid())
        self.apply(init)

    def forward(self, image: Tensor) -> Tensor:
        answer: Tensor = self.body(image)
        return answer


class Discriminator(nn.Module):
    """Images (N, channels, S, S) in [0, 1] to logits (N): the encoder of a generator, and a 4x4 convolution (section 2.2)."""

    def __init__(self, image_size: int, channels: int, width: int) -> None:
        super().__init__()
        now, layers = channels, []
        for level, outputs in enumerate(halved(image_size, width)):
            layers += [*convolution(now, outputs, normalised=level > 0), nn.LeakyReLU(0.2)]
            now = outputs
        self.body = nn.Sequential(*layers, *convolution(now, 1, 1, 0, normalised=False))
        self.apply(init)

    def forward(self, image: Tensor) -> Tensor:
        logit: Tensor = self.body(image)[:, 0, 0, 0]  # (N, 1, 1, 1) -> (N)
        return logit


def halved(image_size: int, width: int) -> list[int]:
    """The channels of the layers that halve the side down to 4: 64, 128, 256 and 512 for 64 pixels."""
    return [width * min(2**level, 8) for level in range(image_size.bit_length() - 3)]


def convolution(
    inputs: int, outputs: int, stride: int = 2, padding: int = 1, back: bool = False, normalised: bool = True
) -> list[nn.Module]:
    """A 4x4 convolution, or a transposed one, with batch normalisation or else a bias."""
    layer = (nn.ConvTranspose2d if back else nn.Conv2d)(inputs, outputs, 4, stride, padding, bias=not normalised)
    return [layer, *([nn.BatchNorm2d(outputs)] if normalised else [])]


def init(module: nn.Module) -> None:
    """Weights from N(0, 0.02^2), as DCGAN has them."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class ToyNetwork(nn.Module):
    """``depth`` linear layers with a ReLU between them, (N, inputs) to (N, outputs); one output becomes (N). Section 3.1."""

    def __init__(self, inputs: int, outputs: int, width: int, depth: int) -> None:
        super().__init__()
        hidden = [m for level in range(depth - 1) for m in (nn.Linear(width if level else inputs, width), nn.ReLU())]
        self.body = nn.Sequential(*hidden, nn.Linear(width, outputs))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)  # (N, outputs)
        return y[:, 0] if y.shape[1] == 1 else y


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Eq. 6 from logits (N): ``-E log D_B(x_B) - E log(1 - D_B(G_AB(x_A)))``."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(fake: Tensor) -> Tensor:
    """Eq. 4 from logits (N): ``-E log D_B(G_AB(x_A))``."""
    return F.softplus(-fake).mean()


def distance(back: Tensor, x: Tensor) -> Tensor:
    """d of Eq. 3: the mean over all numbers of the squared error."""
    return (back - x).square().mean()


class Discovery(Base):
    """The method itself, for whatever the networks work on.

    ``g_ba`` is there if something is to be reconstructed, ``d_a`` if both directions are trained.
    """

    g_ab: nn.Module
    d_b: nn.Module
    g_ba: nn.Module | None
    d_a: nn.Module | None
    interval: int = 1
    reconstruct: float = 1.0

    def optimizers(
        self, *, lr: NotNegative = 2e-4, beta1: Part = 0.5, weight_decay: NotNegative = 1e-4, decay_from: Share = 1.0
    ) -> Optimizers:
        """Adam with L2 decay of the weights (section 3.2), at a constant rate up to ``decay_from`` of all steps, then to zero."""
        fall = linear_decay(decay_from)
        players = {"generators": (self.g_ab, self.g_ba), "discriminators": (self.d_b, self.d_a)}
        owned = {k: [p for one in two if one is not None for p in one.parameters()] for k, two in players.items()}
        return {k: (Adam(each, lr, (beta1, 0.999), weight_decay=weight_decay), fall) for k, each in owned.items()}

    def both(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The batch's images of A and of B, scaled for the networks."""
        raise TypeError(f"{type(self).__name__} does not say what its domains are")

    def step(self, batch: Batch, opt: Players) -> dict[str, Tensor]:
        a, b = self.both(batch)
        noted = {}
        ab = self.g_ab(a)  # Eq. 1
        fake_b = self.d_b(ab)
        losses = {"generators": generator_loss(fake_b)}
        if self.g_ba is not None:
            noted["const_a"] = distance(self.g_ba(ab), a)  # Eqs. 2 and 3
            losses["generators"] = losses["generators"] + self.reconstruct * noted["const_a"]  # Eq. 5
        if opt.iteration % self.interval == 0:
            losses["discriminators"] = discriminator_loss(self.d_b(b), fake_b)
        if self.g_ba is not None and self.d_a is not None:
            ba = self.g_ba(b)
            fake_a = self.d_a(ba)
            noted["const_b"] = distance(self.g_ab(ba), b)
            losses["generators"] = losses["generators"] + generator_loss(fake_a) + self.reconstruct * noted["const_b"]  # Eq. 7
            if "discriminators" in losses:
                losses["discriminators"] = losses["discriminators"] + discriminator_loss(self.d_a(a), fake_a)  # Eq. 8
        opt.minimize(**losses)
        return {name: value.detach() for name, value in noted.items()}


class Model(Discovery, ImageTranslator):
    """The convolutional networks for images.

    Args:
        image_size: side of the images, a power of two from 16 to 256; 64 in the paper.
        channels: of the images of both domains.
        width: channels of the first layers.
        critic_width: those of the discriminators, if they are to be others.
        bottleneck: numbers that a fifth layer of the generators leaves of an image; 0 for four layers.
        game: the paper's model; ``gan``, which translates from A to B and reconstructs nothing (figure 2a); or ``reconstruction``, where
            G_BA reconstructs A and nobody asks how it translates B (figure 2b).
        interval: the discriminators step once in so many steps of the generators.
        reconstruct: the weight of L_CONST_A and L_CONST_B beside the game.
    """

    tasks = (TraitTranslation(),)

    def __init__(
        self,
        *,
        image_size: Side = 64,
        channels: Size = 3,
        width: Size = 64,
        critic_width: Sizeable = 0,
        bottleneck: Sizeable = 0,
        game: Literal["discogan", "reconstruction", "gan"] = "discogan",
        interval: Count = 1,
        reconstruct: NotNegative = 1.0,
    ) -> None:
        super().__init__()
        self.interval, self.reconstruct = interval, reconstruct
        self.channels, self.image_size, self.multiple, self.least = channels, image_size, image_size // 4, image_size
        self.domains = ("b",) if game == "gan" else ("b", "a")  # type: ignore[misc]  # there may be no way back
        self.g_ab = Generator(image_size, channels, width, bottleneck)
        self.g_ba = Generator(image_size, channels, width, bottleneck) if game != "gan" else None
        self.d_b = Discriminator(image_size, channels, critic_width or width)
        self.d_a = Discriminator(image_size, channels, critic_width or width) if game == "discogan" else None

    def step(self, batch: Batch, opt: Players) -> dict[str, Tensor]:
        if len(batch) < 2:
            raise PaperzooError("batch normalisation needs at least two images a batch: --set batch_size=2 or more")
        return super().step(batch, opt)

    def both(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Images (N, C, S, S) in [0, 1]."""
        return batch.image_a, batch.image_b

    def translate(self, image: Tensor, to: str = "b") -> Tensor:
        network = self.g_ba if to == "a" and self.g_ba is not None else self.g_ab
        answer: Tensor = network(image)
        return answer


class Toy(Discovery, PointTranslator):
    """The paper's networks for points of the plane; section 3.1. ``game`` as in ``Model``."""

    def __init__(
        self, *, dimensions: Size = 2, width: Size = 128, game: Literal["discogan", "reconstruction", "gan"] = "discogan"
    ) -> None:
        super().__init__()
        self.g_ab = ToyNetwork(dimensions, dimensions, width, 3)
        self.g_ba = ToyNetwork(dimensions, dimensions, width, 3) if game != "gan" else None
        self.d_b = ToyNetwork(dimensions, 1, width, 5)
        self.d_a = ToyNetwork(dimensions, 1, width, 5) if game == "discogan" else None

    def both(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Points (N, D) of either domain."""
        return batch.point_a, batch.point_b

    def translate(self, point: Tensor) -> Tensor:
        answer: Tensor = self.g_ab(point)
        return answer

    def back(self, point: Tensor) -> Tensor | None:
        return None if self.g_ba is None else self.g_ba(point)


VARIANTS: dict[str, dict[str, object]] = {
    "discogan": {},
    "reconstruction": {"game": "reconstruction"},
    "gan": {"game": "gan"},
    "five_layers": {"bottleneck": 100},
    "toy": {"class": "Toy"},
    "toy_reconstruction": {"class": "Toy", "game": "reconstruction"},
    "toy_gan": {"class": "Toy", "game": "gan"},
}
IMAGES, POINTS = ("discogan", "reconstruction", "gan", "five_layers"), ("toy", "toy_reconstruction", "toy_gan")

RECIPES = {
    "paper": Recipe(
        data="avatars-unpaired:black>blonde",
        steps=100_000,
        batch_size=200,
        variants=IMAGES,
        note="the sizes and settings of section 3.2; the paper names no number of steps for images, and CelebA parted by hair colour is "
        "not listed here: --data unpaired:BLACK,BLOND",
    ),
    "small": Recipe(
        data="avatars-unpaired:black>blonde",
        steps=2000,
        batch_size=16,
        model={"width": 16, "interval": 3},
        optimizer={"lr": 5e-4, "decay_from": 0.5},
        augment=("flip",),
        judge="zoo-avatars",
        targets=(
            Target("style %[zoo-avatars]", at_least=90, variants=("discogan",)),
            Target("others kept %[zoo-avatars]", at_least=90, variants=("discogan",)),
        ),
        variants=("discogan", "reconstruction", "gan"),
    ),
    "small-toy": Recipe(
        data="modes5>10",
        steps=10_000,
        batch_size=100,
        model={"width": 64},
        optimizer={"lr": 1e-3, "weight_decay": 0.0, "decay_from": 0.5},
        precision="float32",
        targets=(
            Target("modes", at_least=9, variants=("toy",)),
            Target("modes", at_most=0, than="toy:small-toy", variants=("toy_reconstruction", "toy_gan")),
        ),
        variants=POINTS,
        note="the paper trains for 50,000 steps and gives neither rate nor batch nor decay of the weights for points",
    ),
    "smoke": Recipe(
        data="shapes-unpaired",
        steps=40,
        batch_size=8,
        model={"image_size": 32, "width": 4},
        optimizer={"lr": 1e-3, "decay_from": 0.5},
        augment=("flip",),
        precision="float32",
        variants=IMAGES,
    ),
    "smoke-toy": Recipe(data="modes5>10", steps=60, batch_size=64, model={"width": 32}, precision="float32", variants=POINTS),
}
