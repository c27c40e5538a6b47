"""pix2pix: a conditional GAN turns images of one kind into their counterparts of another, learnt from pairs (Isola et al. 2016).

A regression with the L1 loss answers with the median of all images that would do, which is blurred. Here a discriminator D looks
at the input x together with the answer G(x, z) and tells whether the two belong together, so that the loss is learnt; L1 keeps
the answer near its truth y. The discriminator judges patches, for low frequencies are L1's business (section 3.2.2):

    L_cGAN(G, D) = E log D(x, y) + E log(1 - D(x, G(x, z)))                                                         (Eq. 1)
    L_L1(G) = E ||y - G(x, z)||_1                                                                                   (Eq. 3)
    G* = arg min_G max_D L_cGAN(G, D) + lambda L_L1(G)                                                              (Eq. 4)

The only noise z is dropout, which stays on at test time, as do the statistics of the batch (section 3.3). Read ``Model.step``
first, then ``Generator.forward``, where the skips of the U-Net are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

from paperzoo.data import Batch
from paperzoo.errors import PaperzooError
from paperzoo.nn.dropout import Dropout, dropout
from paperzoo.nn.schedules import linear_decay
from paperzoo.ranges import NotNegative, Part, Share, Size
from paperzoo.records import Recipe, Target
from paperzoo.tasks.image_translation import ImageTranslator
from paperzoo.tasks.model import Optimizers, Players


class Generator(nn.Module):
    """Images (N, channels, S, S) in [-1, 1] to their counterparts of the same shape; section 3.2.1, figure 3 and appendix 6.1.1.

    A U-Net: 4x4 convolutions of stride 2 halve the side until it is 1, with 64-128-256-512-512-... channels, transposed ones double
    it again, and each level of the decoder also sees the encoder's level of its size. ``skips=False`` is the paper's
    encoder-decoder. The sides of an image may be any multiples of S, the side that the network is made for.
    """

    def __init__(self, image_size: int, channels: int, width: int, skips: bool = True, normalise: Norm | None = None) -> None:
        super().__init__()
        normalise = normalise or norm
        levels = image_size.bit_length() - 1  # halvings until the side is 1
        widths = [width * min(2**level, 8) for level in range(levels)]
        self.skips = skips
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        for level, outputs in enumerate(widths):
            inputs = widths[level - 1] if level else channels
            normalised = 0 < level < levels - 1
            self.encoder.append(down(inputs, outputs, level == 0, normalise if normalised else None))
        now, noisy = widths[-1], min(3, levels - 4)  # figure 3: the first three of the eight levels
        for level, outputs in enumerate([*widths[-2::-1], channels]):
            self.decoder.append(up(now, outputs, level < noisy, normalise if level < levels - 1 else None))
            now = 2 * outputs if skips else outputs
        self.apply(init)

    def forward(self, image: Tensor) -> Tensor:
        features = [image]
        for layer in self.encoder:
            features.append(layer(features[-1]))  # (N, width, S / 2, S / 2) to (N, 8 width, 1, 1)
        h = features.pop()
        for layer in self.decoder:
            h = layer(h)
            if self.skips and len(features) > 1:
                h = torch.cat([h, features.pop()], 1)
        return h


#: what normalises a layer, by its channels
Norm = Callable[[int], nn.Module]

#: batch normalisation with the statistics of the batch, at test time too (section 3.3); and with those of each image by itself, which is
#: the same where the batch is one image ("instance normalization", section 3.3)
norm: Norm = partial(nn.BatchNorm2d, track_running_stats=False)
alone: Norm = partial(nn.InstanceNorm2d, affine=True)


def down(inputs: int, outputs: int, first: bool, normalise: Norm | None) -> nn.Sequential:
    """A level of the encoder. The first is not normalised (appendix 6.1.1), nor is the last: of one image it would be all zero."""
    layers: list[nn.Module] = [] if first else [nn.LeakyReLU(0.2)]
    layers.append(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=normalise is None))
    return nn.Sequential(*layers, *([normalise(outputs)] if normalise else []))


def up(inputs: int, outputs: int, noisy: bool, normalise: Norm | None) -> nn.Sequential:
    """A level of the decoder; the last, which is not normalised, gives the image."""
    layers: list[nn.Module] = [nn.ReLU(), nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=normalise is None)]
    return nn.Sequential(*layers, normalise(outputs) if normalise else nn.Tanh(), *([Noise(0.5)] if noisy else []))


class Noise(Dropout):
    """Dropout at test time too: the generator's noise z (section 3.3)."""

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.p)


#: convolutions of stride 2 in a discriminator that judges patches of so many pixels; one of stride 1 and the output follow
STRIDED = {16: 1, 70: 3, 286: 5}


class Discriminator(nn.Module):
    """Images, or pairs of images joined along their channels, (N, channels, H, W) to a map of logits (N, 1, h, w), one a patch.

    A Markovian discriminator, or PatchGAN (section 3.2.2 and appendix 6.1.2): each logit sees a square of ``patch`` pixels.

    Args:
        patch: 1, 16, 70 or 286.
        normalise: what normalises all layers but the first and the last, by its channels.
        bias: whether normalised convolutions have a bias.
    """

    def __init__(
        self, channels: int, width: int, patch: int = 70, normalise: Norm | None = None, bias: bool = False
    ) -> None:
        super().__init__()
        normalise = normalise or norm
        strided, kernel, pad = (STRIDED[patch], 4, 1) if patch > 1 else (0, 1, 0)
        layers: list[nn.Module] = [nn.Conv2d(channels, width, kernel, 2 if strided else 1, pad), nn.LeakyReLU(0.2)]
        now = width
        for level in range(1, max(strided, 1) + 1):
            outputs, stride = width * min(2**level, 8), 2 if level < strided else 1
            layers += [nn.Conv2d(now, outputs, kernel, stride, pad, bias=bias), normalise(outputs), nn.LeakyReLU(0.2)]
            now = outputs
        self.body = nn.Sequential(*layers, nn.Conv2d(now, 1, kernel, 1, pad))
        self.apply(init)

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.body(image)  # (N, 1, h, w)
        return logits


def init(module: nn.Module) -> None:
    """Appendix 6.2: all weights from N(0, 0.02^2); a norm's scale around 1."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d | nn.InstanceNorm2d) and module.affine:
        nn.init.normal_(module.weight, 1.0, 0.02)


def check_patch(patch: int, image_size: int) -> None:
    """Raises ``PaperzooError`` where an image is too small for a discriminator of such patches."""
    if image_size < (least := 2 ** (STRIDED.get(patch, 0) + 2)):
        raise PaperzooError(f"patch {patch} needs images of at least {least} pixels, not {image_size}: the discriminator halves the side")


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """``-L_cGAN`` of Eq. 1 from logits of any shape, halved, which slows D down relative to G (section 3.3)."""
    return (F.softplus(-real).mean() + F.softplus(fake).mean()) / 2


def generator_loss(fake: Tensor) -> Tensor:
    """``-E log D(x, G(x, z))`` from logits, in place of ``E log(1 - D(x, G(x, z)))`` (section 3.3)."""
    return F.softplus(-fake).mean()


def l1(fake: Tensor, truth: Tensor) -> Tensor:
    """Eq. 3: the mean over all numbers of the absolute difference."""
    return (truth - fake).abs().mean()


class Model(ImageTranslator):
    """Generator and discriminator; translates from A to B.

    Args:
        image_size: side of the images, a power of two from 32 to 512.
        channels: of the images.
        width: channels of both networks' first layers.
        weight: lambda, of L1 beside the GAN's loss; 0 leaves L1 out.
        adversarial: whether there is a discriminator.
        conditional: whether it sees the input beside the answer.
        skips: a U-Net; without them an encoder-decoder.
        patch: side of the patches that the discriminator judges.
        statistics: layers are normalised by those of the batch, or of each image as if it were a batch of one. An image is always
            translated as a batch of its own, so that training in batches of several needs the latter.
    """

    alone = True

    def __init__(
        self,
        *,
        image_size: Literal[32, 64, 128, 256, 512] = 256,
        channels: Size = 3,
        width: Size = 64,
        weight: NotNegative = 100.0,
        adversarial: bool = True,
        conditional: bool = True,
        skips: bool = True,
        patch: Literal[1, 16, 70, 286] = 70,
        statistics: Literal["batch", "image"] = "batch",
    ) -> None:
        super().__init__()
        check_patch(patch, image_size)
        if not adversarial and not weight:
            raise PaperzooError("without a discriminator (adversarial) and without L1 (weight) there is no loss")
        self.channels, self.image_size, self.multiple = channels, image_size, image_size
        self.weight, self.conditional = weight, conditional
        normalise, planes = norm if statistics == "batch" else alone, 2 * channels if conditional else channels
        self.generator = Generator(image_size, channels, width, skips, normalise)
        self.discriminator = Discriminator(planes, width, patch, normalise) if adversarial else None

    def optimizers(self, *, lr: NotNegative = 2e-4, beta1: Part = 0.5, decay_from: Share = 1.0) -> Optimizers:
        """Adam for both (section 3.3), at a constant rate up to ``decay_from`` of all steps, then linearly to zero."""
        players = {"discriminator": self.discriminator, "generator": self.generator}
        fall = linear_decay(decay_from)
        return {name: (Adam(one.parameters(), lr, (beta1, 0.999)), fall) for name, one in players.items() if one is not None}

    def step(self, batch: Batch, opt: Players) -> dict[str, Tensor]:
        x, y = 2 * batch.image_a - 1, 2 * batch.image_b - 1  # (N, C, S, S), [0, 1] -> [-1, 1]
        fake = self.generator(x)
        distance = l1(fake, y)
        loss = self.weight * distance
        if self.discriminator is not None:
            real, answer = self.discriminator(self.pair(x, y)), self.discriminator(self.pair(x, fake.detach()))
            opt.discriminator.minimize(discriminator_loss(real, answer))
            loss = loss + generator_loss(self.discriminator(self.pair(x, fake)))  # Eq. 4
        opt.generator.minimize(loss)
        return {"l1": distance.detach()}

    def pair(self, x: Tensor, y: Tensor) -> Tensor:
        """The discriminator's input: input and answer concatenated (N, 2 C, S, S), or the answer alone."""
        return torch.cat([x, y], 1) if self.conditional else y

    def translate(self, image: Tensor, to: str = "b") -> Tensor:
        fake: Tensor = self.generator(2 * image - 1)
        return (fake + 1) / 2


VARIANTS: dict[str, dict[str, object]] = {
    "l1_cgan": {},
    "l1": {"adversarial": False},
    "cgan": {"weight": 0.0},
    "unconditional": {"conditional": False},
    "no_skips": {"skips": False},
    "patch1": {"patch": 1},
    "patch16": {"patch": 16},
    "patch286": {"patch": 286},
}

RECIPES = {
    "paper": Recipe(
        data="facades",
        steps=80_000,
        batch_size=1,
        augment=("jitter", "flip"),
        note="200 epochs of the 400 facades (appendix 6.2)",
    ),
    "small": Recipe(
        data="edges>emoji-twemoji",
        steps=2500,
        batch_size=8,
        model={"image_size": 64, "width": 16, "statistics": "image"},
        optimizer={"lr": 1e-3, "decay_from": 0.3},
        augment=("flip",),
        variants=("l1_cgan", "l1", "cgan", "unconditional", "no_skips", "patch1", "patch16"),
        targets=(
            Target("psnr above baselines (dB)", at_least=2, variants=("l1_cgan",)),
            Target("ssim above baselines", at_least=0.05, variants=("l1_cgan",)),
            Target("sharpness relative to truth", at_least=0.4, variants=("l1_cgan",)),
            Target("l1 error", at_most=0, than="l1_cgan:small", variants=("l1",)),
            Target("sharpness relative to truth", at_most=0, than="l1_cgan:small", variants=("l1",)),
            Target("psnr (dB)", at_most=0, than="l1_cgan:small", variants=("no_skips",)),
        ),
    ),
    "small-vendor": Recipe(
        data="emoji-pairs:noto>twemoji",
        steps=2500,
        batch_size=8,
        model={"image_size": 64, "width": 16, "statistics": "image"},
        optimizer={"lr": 1e-3, "decay_from": 0.3},
        augment=("flip",),
        variants=("l1_cgan", "l1"),
        targets=(Target("l1 error below baselines %", at_least=10),),
        note="the drawings of two vendors agree in what they show, not in where its parts lie",
    ),
    "smoke": Recipe(
        data="edges>shapes",
        steps=40,
        batch_size=4,
        model={"image_size": 32, "width": 4, "patch": 16, "statistics": "image"},
        optimizer={"lr": 1e-3, "decay_from": 0.5},
        augment=("flip",),
        precision="float32",
    ),
}
RECIPES["small-light"] = RECIPES["small"].but(
    model={"width": 7}, variants=("l1_cgan",),
    targets=(Target("psnr above baselines (dB)", at_least=1.5), Target("sharpness relative to truth", at_least=0.4)),
    note="a fifth of the weights, so that they ship",
)  # fmt: skip
