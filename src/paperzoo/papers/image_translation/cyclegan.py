"""CycleGAN: translating between two kinds of images that nobody has paired, by going there and back (Zhu et al. 2017, ICCV).

Two generators, G from domain X to Y and F from Y to X, each have an adversary in the domain that they translate to. That alone
would let G map all of X onto any images of Y whatever; so an image that is translated and translated back shall be what it was,
in both directions. With the least-squares form of the GAN's loss (section 4), which is steadier than Eq. 1, the players minimise

    L_G = E (D_Y(G(x)) - 1)^2 + E (D_X(F(y)) - 1)^2 + lambda L_cyc                                                  (Eq. 3)
    L_cyc = E ||F(G(x)) - x||_1 + E ||G(F(y)) - y||_1                                                               (Eq. 2)
    L_D = 1/2 (E (D_Y(y) - 1)^2 + E D_Y(G(x))^2)        and the same of D_X.

The discriminators, pix2pix's of 70x70 patches, are shown a history of translations, not the last ones alone. Read ``Model.step``
first, then ``Pool``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Le, MultipleOf
from torch import Tensor, nn
from torch.optim import Adam

from paperzoo.data import Batch
from paperzoo.nn.schedules import linear_decay
from paperzoo.papers.image_translation.pix2pix import Discriminator, check_patch, l1
from paperzoo.ranges import NotNegative, Part, Pixels, Share, Size
from paperzoo.records import Recipe, Target
from paperzoo.tasks.image_translation import ImageTranslator
from paperzoo.tasks.model import Optimizers, Players


class Generator(nn.Module):
    """Images (N, channels, H, W) in [-1, 1] to images of the other domain, of the same shape; H and W are multiples of 4 from 8.

    Appendix 7.2: c7s1-64, d128, d256, nine blocks R256 (six for images of 128 pixels), u128, u64, c7s1-3. Reflection padding, and
    instance normalisation after every convolution but the last.
    """

    def __init__(self, channels: int, width: int, blocks: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *convolution(channels, width, 7),  # (N, width, H, W)
            *convolution(width, 2 * width, 3, stride=2),
            *convolution(2 * width, 4 * width, 3, stride=2),  # (N, 4 width, H / 4, W / 4)
            *(Block(4 * width) for _ in range(blocks)),
            *expansion(4 * width, 2 * width),
            *expansion(2 * width, width),  # (N, width, H, W)
            nn.Conv2d(width, channels, 7, padding=3, padding_mode="reflect"),
            nn.Tanh(),
        )
        self.apply(init)

    def forward(self, image: Tensor) -> Tensor:
        answer: Tensor = self.body(image)
        return answer


class Block(nn.Module):
    """Rk: two 3x3 convolutions beside the identity (N, k, H, W), without a rectifier after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*convolution(channels, channels, 3), *convolution(channels, channels, 3)[:-1])

    def forward(self, h: Tensor) -> Tensor:
        change: Tensor = self.body(h)
        return h + change


#: each channel of each image by its own mean and deviation over the places, with nothing learnt
norm = partial(nn.InstanceNorm2d, affine=False)


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """c7s1-k, or dk with stride 2."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, padding_mode="reflect")
    return [layer, norm(outputs), nn.ReLU()]


def expansion(inputs: int, outputs: int) -> list[nn.Module]:
    """uk: a 3x3 convolution of stride 1/2."""
    return [nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, 1), norm(outputs), nn.ReLU()]


def init(module: nn.Module) -> None:
    """Section 4: all weights from N(0, 0.02^2)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        nn.init.zeros_(module.bias)  # type: ignore[arg-type]


class Pool(nn.Module):
    """The last translations that a discriminator may be shown again, after Shrivastava et al. (section 4): 50 of them.

    Until it is full every image goes into the pool and is shown. Then for each new one a coin is tossed: it is shown and forgotten, or
    it takes the place of one in the pool, which is shown instead.
    """

    images: Tensor
    held: Tensor

    def __init__(self, size: int, channels: int, side: int) -> None:
        super().__init__()
        self.register_buffer("images", torch.zeros(size, channels, side, side))
        self.register_buffer("held", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def forward(self, new: Tensor) -> Tensor:
        """The history buffer's batch in place of new images (N, C, S, S): a new tensor, of which about half is old."""
        size, held, shown = len(self.images), int(self.held), new.clone()
        if held < size:
            some = shown[: size - held]
            self.images[held : held + len(some)] = some
            self.held += len(some)
            return shown
        swapped = (torch.rand(len(new)) < 0.5).nonzero()[:size, 0]
        place = torch.randperm(size)[: len(swapped)]  # no two take the same
        shown[swapped] = self.images[place]
        self.images[place] = new[swapped]
        return shown


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """``(E (D(y) - 1)^2 + E D(G(x))^2) / 2`` from scores of any shape; section 4, halved to slow D down."""
    return ((real - 1).square().mean() + fake.square().mean()) / 2


def generator_loss(fake: Tensor) -> Tensor:
    """``E (D(G(x)) - 1)^2`` from scores; section 4."""
    return (fake - 1).square().mean()


class Model(ImageTranslator):
    """Two generators, two discriminators, two pools. A is the paper's X, B its Y.

    Args:
        image_size: side of the images that it is trained on, a multiple of 4 from 32.
        channels: of the images of both domains.
        width: channels of the generators' first layer; ``critic_width`` of the discriminators'.
        blocks: residual blocks of a generator; the paper has 9, and 6 for images of 128 pixels.
        cycle: lambda, of the cycle's loss; 0 leaves it out.
        identity: how much a generator shall leave images of its target domain as they are, in lambdas; 0.5 for paintings (section 5.2).
        pool: translations kept for each discriminator; 0 for none.
        patch: side of the patches that a discriminator judges.
    """

    domains = ("b", "a")
    multiple, least = 4, 8

    def __init__(
        self,
        *,
        image_size: Annotated[Pixels, Ge(32), MultipleOf(4)] = 256,
        channels: Size = 3,
        width: Size = 64,
        critic_width: Size = 64,
        blocks: Annotated[int, Ge(0), Le(100)] = 9,
        cycle: NotNegative = 10.0,
        identity: NotNegative = 0.0,
        pool: Annotated[int, Ge(0), Le(1000)] = 50,
        patch: Literal[1, 16, 70, 286] = 70,
    ) -> None:
        super().__init__()
        check_patch(patch, image_size)
        self.channels, self.image_size, self.cycle, self.identity = channels, image_size, cycle, identity
        self.g, self.f = Generator(channels, width, blocks), Generator(channels, width, blocks)
        self.d_y, self.d_x = (Discriminator(channels, critic_width, patch, norm, bias=True) for _ in range(2))
        self.pool_y, self.pool_x = (Pool(pool, channels, image_size) if pool else nn.Identity() for _ in range(2))

    def optimizers(self, *, lr: NotNegative = 2e-4, beta1: Part = 0.5, decay_from: Share = 0.5) -> Optimizers:
        """Adam (section 4), at a constant rate for the share ``decay_from`` of the steps, then linearly to zero."""
        fall = linear_decay(decay_from)
        players = {"generators": (self.g, self.f), "discriminators": (self.d_y, self.d_x)}
        return {k: (Adam([p for one in two for p in one.parameters()], lr, (beta1, 0.999)), fall) for k, two in players.items()}

    def step(self, batch: Batch, opt: Players) -> dict[str, Tensor]:
        x, y = 2 * batch.image_a - 1, 2 * batch.image_b - 1  # (N, C, S, S), [0, 1] -> [-1, 1]
        fake_y, fake_x = self.g(x), self.f(y)
        loss = generator_loss(self.d_y(fake_y)) + generator_loss(self.d_x(fake_x))
        noted = {}
        if self.cycle:
            noted["cycle"] = l1(self.f(fake_y), x) + l1(self.g(fake_x), y)  # Eq. 2
            loss = loss + self.cycle * noted["cycle"]  # Eq. 3
        if self.identity:
            noted["identity"] = l1(self.g(y), y) + l1(self.f(x), x)  # section 5.2
            loss = loss + self.cycle * self.identity * noted["identity"]
        opt.generators.minimize(loss)
        old_y, old_x = self.pool_y(fake_y.detach()), self.pool_x(fake_x.detach())
        judged_y, judged_x = discriminator_loss(self.d_y(y), self.d_y(old_y)), discriminator_loss(self.d_x(x), self.d_x(old_x))
        opt.discriminators.minimize(judged_y + judged_x)
        return {name: value.detach() for name, value in noted.items()}

    def translate(self, image: Tensor, to: str = "b") -> Tensor:
        answer: Tensor = (self.g if to == "b" else self.f)(2 * image - 1)
        return (answer + 1) / 2

    def lean(self) -> tuple[dict[str, Any], Mapping[str, Tensor]]:
        """Without the pools, which only training needs."""
        arguments, state = super().lean()
        return {**arguments, "pool": 0}, {k: v for k, v in state.items() if not k.startswith("pool_")}


VARIANTS: dict[str, dict[str, object]] = {
    "nine_blocks": {},
    "six_blocks": {"blocks": 6, "image_size": 128},
    "no_cycle": {"cycle": 0.0},
    "identity": {"identity": 0.5},
}

RECIPES = {
    "paper": Recipe(
        data="horse2zebra",
        steps=266_800,
        batch_size=1,
        augment=("jitter", "flip"),
        note="200 epochs of the larger domain, 1,334 zebras; the rate falls over the second half (section 4)",
    ),
    "small": Recipe(
        data="emoji-unpaired:noto>twemoji",
        steps=1500,
        batch_size=2,
        model={"image_size": 64, "width": 16, "critic_width": 16, "blocks": 3, "identity": 0.5},
        optimizer={"lr": 5e-4},
        augment=("flip",),
        judge="zoo-vendor",
        variants=("nine_blocks", "no_cycle"),
        targets=(
            Target("style %[zoo-vendor]", at_least=80, variants=("nine_blocks",)),
            Target("identity top-1 above reinhard %[zoo-vendor]", at_least=5, variants=("nine_blocks",)),
            Target("identity top-5 above reinhard %[zoo-vendor]", at_least=5, variants=("nine_blocks",)),
            Target("psnr (dB)", at_most=-2, than="nine_blocks:small", variants=("no_cycle",)),
        ),
        note="lambda weighs the identity loss, too, so that without the cycle there is neither",
    ),
    "smoke": Recipe(
        data="shapes-unpaired",
        steps=40,
        batch_size=4,
        model={"image_size": 32, "width": 4, "critic_width": 4, "blocks": 1, "patch": 16, "pool": 8},
        optimizer={"lr": 1e-3},
        augment=("flip",),
        precision="float32",
    ),
}

RECIPES["small-colours"] = RECIPES["small"].but(
    model={"identity": 0.0},
    variants=("nine_blocks",),
    targets=(Target("identity top-1 %[zoo-vendor]", at_most=0, than="nine_blocks:small"),),
    note="without the identity loss nothing forbids that all colours are exchanged, there and back (section 5.2, figure 9)",
)
