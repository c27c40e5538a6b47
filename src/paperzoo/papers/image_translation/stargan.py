"""StarGAN: one generator for all attributes of a picture, told by a label which of them to show (Choi et al. 2018, CVPR).

Translating among k domains with a network for each pair takes k (k - 1) of them. Here the wanted attributes c are given to one
generator G beside the picture x, and the discriminator D says of a picture not only how real it looks (D_src) but also which
attributes it has (D_cls). D learns them from real pictures with their own attributes c', G is to make pictures in which D finds those
that were asked for; and what G changes, it must be able to change back, given the attributes that the picture had:

    L_cls^r = E -log D_cls(c' | x),        L_cls^f = E -log D_cls(c | G(x, c))                                  (Eqs. 2 and 3)
    L_rec = E ||x - G(G(x, c), c')||_1                                                                              (Eq. 4)
    L_D = -L_adv + lambda_cls L_cls^r,     L_G = L_adv + lambda_cls L_cls^f + lambda_rec L_rec                  (Eqs. 5 and 6)
    L_adv = E D_src(x) - E D_src(G(x, c)) - lambda_gp E (||grad D_src(x^)||_2 - 1)^2                                 (Eq. 8)

D moves five times for each step of G. Read ``Model.step`` first, then ``Generator.forward``, where the label is joined to the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import torch
import torch.nn.functional as F
from annotated_types import Ge, Le, MultipleOf
from torch import Tensor, nn
from torch.optim import Adam

from paperzoo.data import Batch
from paperzoo.data.images.attributes import drawn, exclusive
from paperzoo.errors import PaperzooError, unknown
from paperzoo.nn.schedules import linear_decay
from paperzoo.papers.gan.wgan_gp import critic_loss, generator_loss, gradient_penalty
from paperzoo.ranges import Count, NotNegative, Part, Pixels, Share, Size
from paperzoo.records import Recipe, Target
from paperzoo.tasks.attribute_translation import AttributeTranslator
from paperzoo.tasks.model import Optimizers, Players


class Generator(nn.Module):
    """Images (N, channels, H, W) in [-1, 1] and attributes (N, A) in {0, 1} to images of the same shape; table 4.

    Two convolutions of stride 2, ``blocks`` residual blocks, two transposed convolutions; instance normalisation after all of them
    but the last. H and W are multiples of 4.
    """

    def __init__(self, channels: int, attributes: int, width: int, blocks: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *convolution(channels + attributes, width, 7),  # (N, width, H, W)
            *convolution(width, 2 * width, 4, 2),
            *convolution(2 * width, 4 * width, 4, 2),  # (N, 4 width, H / 4, W / 4)
            *(Block(4 * width) for _ in range(blocks)),
            *expansion(4 * width, 2 * width),
            *expansion(2 * width, width),  # (N, width, H, W)
            nn.Conv2d(width, channels, 7, padding=3, bias=False),
            nn.Tanh(),
        )

    def forward(self, image: Tensor, attributes: Tensor) -> Tensor:
        planes = attributes[:, :, None, None].expand(-1, -1, *image.shape[2:])  # (N, A) -> (N, A, H, W)
        answer: Tensor = self.body(torch.cat([image, planes.to(image.dtype)], 1))
        return answer


class Block(nn.Module):
    """Two 3x3 convolutions beside the identity (N, channels, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*convolution(channels, channels, 3), *convolution(channels, channels, 3)[:-1])

    def forward(self, h: Tensor) -> Tensor:
        change: Tensor = self.body(h)
        return h + change


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """A convolution, instance normalisation with scale and shift, ReLU."""
    padding = (kernel - 1) // 2
    return [nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False), nn.InstanceNorm2d(outputs, affine=True), nn.ReLU()]


def expansion(inputs: int, outputs: int) -> list[nn.Module]:
    """A transposed convolution that doubles the side, instance normalisation with scale and shift, ReLU."""
    return [nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False), nn.InstanceNorm2d(outputs, affine=True), nn.ReLU()]


class Critique(NamedTuple):
    """The discriminator's outputs: a realness ``score`` per patch (N, 1, h, w); the logits of the ``attributes`` (N, A)."""

    score: Tensor
    attributes: Tensor


class Discriminator(nn.Module):
    """Images (N, channels, S, S) in [-1, 1] to a ``Critique``; table 5. Not normalised, as its gradient is penalised image by image."""

    def __init__(self, image_size: int, channels: int, attributes: int, width: int, layers: int) -> None:
        super().__init__()
        widths = [channels, *(width * 2**level for level in range(layers))]
        halvings = [nn.Conv2d(a, b, 4, 2, 1) for a, b in zip(widths, widths[1:], strict=False)]
        self.body = nn.Sequential(*(module for one in halvings for module in (one, nn.LeakyReLU(0.01))))  # (N, 2048, S / 64, S / 64)
        self.score = nn.Conv2d(widths[-1], 1, 3, padding=1, bias=False)
        self.attributes = nn.Conv2d(widths[-1], attributes, image_size // 2**layers, bias=False)

    def forward(self, image: Tensor) -> Critique:
        h = self.body(image)
        return Critique(self.score(h), self.attributes(h)[:, :, 0, 0])  # (N, A, 1, 1) -> (N, A)


def attribute_loss(logits: Tensor, attributes: Tensor) -> Tensor:
    """Eqs. 2 and 3: ``-log D_cls(c | x)``, which of A yes-or-no attributes is a sum over them; a mean over the batch (N, A)."""
    return F.binary_cross_entropy_with_logits(logits, attributes, reduction="none").sum(1).mean()


def reconstruction_loss(back: Tensor, image: Tensor) -> Tensor:
    """Eq. 4: the mean over all numbers of the absolute difference."""
    return (image - back).abs().mean()


class Model(AttributeTranslator):
    """Generator and discriminator.

    Args:
        image_size: side of the images, a multiple of 4 and of what the discriminator's layers halve.
        channels: of the images.
        width: channels of the generator's first layer; ``critic_width`` of the discriminator's.
        blocks: residual blocks of the generator.
        layers: convolutions of the discriminator, each of which halves the side.
        classify: lambda_cls, of the attributes; ``reconstruct``: lambda_rec; ``penalty``: lambda_gp.
        critic_steps: the discriminator's steps for each of the generator.
        attributes: what the columns of the data's attributes are called; from the data.
        chosen: those of them that are learnt, in order; all if there are none.
    """

    multiple, least = 4, 8

    def __init__(
        self,
        *,
        image_size: Annotated[Pixels, Ge(8), MultipleOf(4)] = 128,
        channels: Size = 3,
        width: Size = 64,
        critic_width: Size = 64,
        blocks: Annotated[int, Ge(0), Le(100)] = 6,
        layers: Annotated[int, Ge(1), Le(10)] = 6,
        classify: NotNegative = 1.0,
        reconstruct: NotNegative = 10.0,
        penalty: NotNegative = 10.0,
        critic_steps: Count = 5,
        attributes: Sequence[str] = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young"),
        chosen: Sequence[str] = (),
    ) -> None:
        super().__init__()
        if image_size % 2**layers:
            raise PaperzooError(f"{layers} halvings of the side: image_size must be a multiple of {2**layers}, not {image_size}")
        for name in chosen:
            if name not in attributes:
                raise unknown("attribute", name, attributes, "of the data")
        self.attributes = tuple(chosen or attributes)
        self.columns = [list(attributes).index(name) for name in self.attributes]
        self.channels, self.image_size = channels, image_size
        self.classify, self.reconstruct, self.penalty, self.critic_steps = classify, reconstruct, penalty, critic_steps
        self.generator = Generator(channels, len(self.attributes), width, blocks)
        self.discriminator = Discriminator(image_size, channels, len(self.attributes), critic_width, layers)

    def optimizers(self, *, lr: NotNegative = 1e-4, beta1: Part = 0.5, decay_from: Share = 0.5) -> Optimizers:
        """Adam for both (section 4.3), at a constant rate for the share ``decay_from`` of the steps, then linearly to zero."""
        fall = linear_decay(decay_from)
        return {name: (Adam(one.parameters(), lr, (beta1, 0.999)), fall) for name, one in self.named_children()}

    def step(self, batch: Batch, opt: Players) -> dict[str, Tensor]:
        x, had = 2 * batch.image - 1, self.has(batch)  # (N, C, S, S), [0, 1] -> [-1, 1]; (N, A)
        target = drawn(had)
        with torch.no_grad():
            fake = self.generator(x, target)
        real, judged = self.discriminator(x), self.discriminator(fake)
        distance = -critic_loss(real.score, judged.score)
        penalty = gradient_penalty(lambda image: self.discriminator(image).score, x, fake, torch.rand(len(x), device=x.device))
        known = attribute_loss(real.attributes, had)
        opt.discriminator.minimize(self.penalty * penalty - distance + self.classify * known)  # Eqs. 5 and 8
        noted = {"distance": distance.detach(), "known": known.detach()}
        if opt.iteration % self.critic_steps == self.critic_steps - 1:
            fake = self.generator(x, target)
            judged = self.discriminator(fake)
            noted["shown"] = attribute_loss(judged.attributes, target)
            noted["rec"] = reconstruction_loss(self.generator(fake, had), x)
            loss = generator_loss(judged.score) + self.classify * noted["shown"] + self.reconstruct * noted["rec"]
            opt.generator.minimize(loss)  # Eq. 6
        return {name: value.detach() for name, value in noted.items()}

    def edit(self, image: Tensor, attributes: Tensor) -> Tensor:
        answer: Tensor = self.generator(2 * image - 1, attributes)
        return (answer + 1) / 2

    def seen(self, image: Tensor) -> Tensor:
        """By the discriminator, at the size that it has learnt; of attributes that exclude each other the likeliest."""
        size = (self.image_size, self.image_size)
        if image.shape[2:] != size:
            image = F.interpolate(image, size, mode="bilinear", antialias=True)
        logits = self.discriminator(2 * image - 1).attributes
        attributes: Tensor = logits > 0
        for group in map(list, exclusive(self.attributes)):
            attributes[:, group] &= logits[:, group] == logits[:, group].amax(1, keepdim=True)
        return attributes.to(image.dtype)


VARIANTS: dict[str, dict[str, object]] = {"stargan": {}}

SEEN = ("black hair", "brown hair", "blonde hair", "red hair", "glasses", "beard")

RECIPES = {
    "paper": Recipe(
        data="celeba",
        steps=250_000,
        batch_size=16,
        model={"chosen": ("Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young")},
        augment=("flip",),
        note="20 epochs of the 200,599 images that are not held out, the rate falling over the last ten (section 4.3)",
    ),
    "small": Recipe(
        data="avatars",
        steps=3600,
        batch_size=16,
        model={"image_size": 64, "width": 12, "critic_width": 8, "blocks": 3, "layers": 5, "chosen": SEEN},
        optimizer={"lr": 1e-3},
        augment=("flip",),
        judge="zoo-avatars",
        targets=(
            Target("there %[zoo-avatars]", at_least=90),
            Target("others kept %[zoo-avatars]", at_least=90),
        ),
    ),
    "smoke": Recipe(
        data="shapes",
        steps=40,
        batch_size=8,
        model={"image_size": 32, "width": 4, "critic_width": 4, "blocks": 1, "layers": 3, "critic_steps": 2},
        optimizer={"lr": 1e-3},
        augment=("flip",),
        precision="float32",
    ),
}
