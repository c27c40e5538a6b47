"""Context Encoders: what is missing from a photograph is painted from what surrounds it (Pathak et al. 2016).

An encoder makes a few thousand numbers of an image x whose hole, where the mask M is 1, is filled with one colour; from them F paints
what belongs there. The squared error is least for the mean of all that would do, which is blurred; a discriminator D, which sees
the painted part and not its surroundings, asks for one of them:

    L_rec = || M (x - F((1 - M) x)) ||^2                                                                            (Eq. 1)
    L_adv = max_D E log D(x) + log(1 - D(F((1 - M) x)))                                                             (Eq. 2)
    L     = 0.999 L_rec + 0.001 L_adv                                                                               (Eq. 3)

What is painted reaches 7 pixels beyond the hole, and what is known there counts ten times in L_rec, so that both fit (section 5.1).
The encoder must learn what pictures show: see ``context_encoder_features.py``. Read ``Model.step`` first, then figure 9: (a) is
``StridedContextEncoder``, (b) ``AlexNetContextEncoder`` with its ``ChannelWise`` layer.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

from paperzoo.data import Batch
from paperzoo.data.change.holes import centre_hole, grown, punched, random_blocks, random_regions, weights
from paperzoo.errors import PaperzooError
from paperzoo.nn.schedules import linear_decay
from paperzoo.ranges import Even, NotNegative, Part, Pixels, Share, Size, Whole
from paperzoo.records import Recipe, Stage, Target
from paperzoo.tasks.inpainting import InPainter
from paperzoo.tasks.model import Optimizers, Players


class StridedContextEncoder(nn.Module):
    """Figure 9 (a): images (N, channels, S, S) in [-1, 1] to what belongs into them, (N, channels, side, side), without any pooling.

    Convolutions of stride 2 end at 4x4 places, one more makes ``bottleneck`` numbers of these; transposed ones lead back.
    """

    def __init__(self, image_size: int, side: int, channels: int, width: int, bottleneck: int) -> None:
        super().__init__()
        down, up = widths(image_size, width), [*widths(side, width)[::-1], channels]
        self.encoder = nn.Sequential(*strided(channels, down), nn.Conv2d(down[-1], bottleneck, 4, bias=False))  # (N, bottleneck, 1, 1)
        self.between = nn.Sequential(nn.BatchNorm2d(bottleneck), nn.LeakyReLU(0.2))
        layers: list[nn.Module] = [nn.ConvTranspose2d(bottleneck, up[0], 4, bias=False)]  # (N, up[0], 4, 4)
        for level, (inputs, outputs) in enumerate(pairwise(up), 2):
            layers += [nn.BatchNorm2d(inputs), nn.ReLU(), nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=level == len(up))]
        self.decoder = nn.Sequential(*layers, nn.Tanh())
        self.apply(init)

    def forward(self, image: Tensor) -> Tensor:
        painted: Tensor = self.decoder(self.between(self.encoder(image)))
        return painted


class ChannelWise(nn.Module):
    """A fully connected layer for each of m maps by itself (section 3.1): maps (N, m, n, n) to such, by m n^4 weights, not m^2 n^4."""

    def __init__(self, maps: int, side: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(maps, side**2, side**2))
        self.bias = nn.Parameter(torch.zeros(maps, side**2))
        nn.init.normal_(self.weight, 0.0, (2 / side**2) ** 0.5)  # by what goes into a unit

    def forward(self, x: Tensor) -> Tensor:
        h = x.flatten(2).transpose(0, 1) @ self.weight.transpose(1, 2)  # (m, N, n^2)
        return (h.transpose(0, 1) + self.bias).view(x.shape)  # (N, m, n, n)


class AlexNetContextEncoder(nn.Module):
    """Figure 9 (b): images (N, channels, S, S) in [-1, 1] to such of the same side, by AlexNet up to its last pooling.

    ``width`` is 64 for AlexNet's 96-256-384-384-256 maps; of images of 227 pixels the last are 6x6.
    """

    def __init__(self, image_size: int, channels: int, width: int) -> None:
        super().__init__()
        first, maps, third = 3 * width // 2, 4 * width, 6 * width
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, first, 11, 4), nn.ReLU(), nn.LocalResponseNorm(5), nn.MaxPool2d(3, 2),
            nn.Conv2d(first, maps, 5, padding=2, groups=2), nn.ReLU(), nn.LocalResponseNorm(5), nn.MaxPool2d(3, 2),
            nn.Conv2d(maps, third, 3, padding=1), nn.ReLU(),
            nn.Conv2d(third, third, 3, padding=1, groups=2), nn.ReLU(),
            nn.Conv2d(third, maps, 3, padding=1, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        )  # fmt: skip
        self.between = nn.Sequential(ChannelWise(maps, pooled(image_size)), nn.ReLU(), nn.Conv2d(maps, maps, 1), nn.ReLU())
        up, layers = [maps, 2 * width, width, width, width // 2, channels], list[nn.Module]()
        for inputs, outputs in pairwise(up):
            layers += [nn.ConvTranspose2d(inputs, outputs, 5, 2, 2), nn.ReLU()]  # n to 2 n - 1: 6, 11, 21, 41, 81, 161
        self.decoder = nn.Sequential(*layers[:-1], nn.Tanh())
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        painted = self.decoder(self.between(self.encoder(image)))  # (N, channels, 161, 161)
        return F.interpolate(painted, image.shape[-2:], mode="bilinear", align_corners=False)


class Discriminator(nn.Module):
    """Generated or real content of the hole, (N, channels, side, side) in [-1, 1], to logits (N)."""

    def __init__(self, side: int, channels: int, width: int) -> None:
        super().__init__()
        down = widths(side, width)
        self.body = nn.Sequential(*strided(channels, down), nn.Conv2d(down[-1], 1, 4))
        self.apply(init)

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.body(image)  # (N, 1, 1, 1)
        return logits.flatten()


def widths(side: int, width: int) -> list[int]:
    """Channels of the layers that halve ``side`` down to 4: 64-64-128-256-512 from 128, 64-128-256-512 from 64."""
    levels = side.bit_length() - 3
    return [width * 2 ** max(0, level - max(0, levels - 4)) for level in range(levels)]


def strided(channels: int, outputs: list[int]) -> list[nn.Module]:
    """Convolutions of stride 2, each but the first batch-normalised, with leaky rectifiers."""
    layers: list[nn.Module] = []
    for level, (now, then) in enumerate(pairwise([channels, *outputs])):
        layers += [nn.Conv2d(now, then, 4, 2, 1, bias=not level), *([nn.BatchNorm2d(then)] if level else []), nn.LeakyReLU(0.2)]
    return layers


def pooled(image_size: int) -> int:
    """The side of AlexNet's maps after its last pooling: 6 for 227 pixels."""
    side = (image_size - 11) // 4 + 1
    for _ in range(3):
        side = (side - 3) // 2 + 1
    return side


def init(module: nn.Module) -> None:
    """As DCGAN's, which the networks of figure 9 (a) follow: weights from N(0, 0.02^2), a norm's scale around 1."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


def eq1(painted: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Eq. 1: of each image (N, C, H, W) the mean squared error where ``weight`` (N, 1, H, W) is not zero, times it; their mean."""
    errors = (weight * (truth - painted).square()).flatten(1).sum(1)
    return (errors / ((weight > 0).flatten(1).sum(1) * truth.shape[1])).mean()


def eq2(real: Tensor, fake: Tensor) -> Tensor:
    """The discriminator's loss, of logits (N): ``-log D(x) - log(1 - D(F((1 - M) x)))``."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def fooled(fake: Tensor) -> Tensor:
    """The generator's non-saturating loss in place of Eq. 2, of logits (N): ``-log D(F((1 - M) x))``, as DCGAN has it."""
    return F.softplus(-fake).mean()


#: the constant mean colour in a hole, in units of 1/255: ImageNet's, in RGB
MEAN = (123.0, 117.0, 104.0)

Masks = Literal["centre", "blocks", "regions"]


class Model(InPainter):
    """A context encoder and, if there is one, its discriminator.

    Args:
        image_size: side of the images; without AlexNet a power of two from 16 to 512.
        design: figure 9 (a) or (b).
        masks: the middle, a quarter of the image in rectangles, or in arbitrary shapes, drawn anew for each image.
        width: channels of the first layers of both networks; AlexNet's maps are multiples of it.
        bottleneck: numbers between encoder and decoder of figure 9 (a).
        overlap: by how many known pixels, on each side, what is predicted is larger than the hole.
        weight: of L_rec; that of L_adv is what is missing from 1.
        adversarial: whether there is a discriminator.

    Raises:
        PaperzooError: images that the network cannot halve, or of whose middle the overlap leaves nothing.
    """

    def __init__(
        self,
        *,
        image_size: Pixels = 128,
        channels: Literal[1, 3] = 3,
        design: Literal["strided", "alexnet"] = "strided",
        masks: Masks = "centre",
        width: Even = 64,
        bottleneck: Size = 4000,
        overlap: Whole = 7,
        weight: Share = 0.999,
        adversarial: bool = True,
    ) -> None:
        super().__init__()
        check_size(image_size, design)
        quarter = 0 if design == "alexnet" or masks != "centre" else image_size // 4
        if masks == "centre" and 4 * overlap >= image_size:
            raise PaperzooError(f"model.overlap is {overlap}, which leaves no hole: of {image_size} pixels it is less than a quarter")
        self.channels, self.image_size, self.masks, self.overlap, self.weight = channels, image_size, masks, overlap, weight
        self.cut = slice(quarter, image_size - quarter)  # the rows and columns that are predicted
        side = image_size - 2 * quarter
        self.middle = side - 2 * overlap if quarter else 0
        colour = torch.tensor(MEAN) / 255
        self.register_buffer("fill", colour if channels == 3 else colour.mean(0, keepdim=True), persistent=False)
        self.generator = (
            AlexNetContextEncoder(image_size, channels, width)
            if design == "alexnet"
            else StridedContextEncoder(image_size, side, channels, width, bottleneck)
        )
        self.discriminator = Discriminator(side, channels, width) if adversarial else None

    def optimizers(
        self, *, lr: NotNegative = 2e-4, slower: NotNegative = 0.1, beta1: Part = 0.5, decay_from: Share = 1.0
    ) -> Optimizers:
        """Adam for both (section 5.1), at a constant rate up to ``decay_from`` of all steps, then linearly to zero.

        Args:
            lr: the context encoder's rate.
            slower: the discriminator's in units of it.
        """
        fall = linear_decay(decay_from)
        optimizers: Optimizers = {"generator": (Adam(self.generator.parameters(), lr, (beta1, 0.999)), fall)}
        if self.discriminator is None:
            return optimizers
        return {"discriminator": (Adam(self.discriminator.parameters(), lr * slower, (beta1, 0.999)), fall), **optimizers}

    def step(self, batch: Batch, opt: Players) -> dict[str, Tensor]:
        hole = self.holes(len(batch.image)).to(batch.image.device)
        region = grown(hole, self.overlap)
        painted = self.generator(2 * punched(batch.image, hole, self.fill) - 1)  # [0, 1] -> [-1, 1]
        truth, where = self.cropped(2 * batch.image - 1), self.cropped(region)
        distance = eq1(painted, truth, self.cropped(weights(region, self.overlap)))
        loss = self.weight * distance
        if self.discriminator is not None:
            patch = torch.where(where > 0, painted, truth)  # of the middle, all of it is painted
            opt.discriminator.minimize(eq2(self.discriminator(truth), self.discriminator(patch.detach())))
            loss = loss + (1 - self.weight) * fooled(self.discriminator(patch))  # Eq. 3
        opt.generator.minimize(loss)
        return {"l2": distance.detach()}

    def holes(self, number: int, generator: torch.Generator | None = None) -> Tensor:
        side = self.image_size
        if self.masks == "centre":
            return 1 - grown(1 - centre_hole(number, side, side), self.overlap)
        return (random_blocks if self.masks == "blocks" else random_regions)(number, side, side, generator=generator)

    def cropped(self, image: Tensor) -> Tensor:
        """The predicted part (N, C, side, side) of images (N, C, S, S)."""
        return image[..., self.cut, self.cut]

    def paint(self, image: Tensor, hole: Tensor) -> Tensor:
        painted = self.generator(2 * image - 1)
        return F.pad((painted + 1) / 2, [self.cut.start] * 4)  # (N, C, S, S)

    def features(self, image: Tensor) -> Tensor:
        """The encoder's features (N, D) of whole images (N, C, S, S) in [0, 1]."""
        code: Tensor = self.generator.get_submodule("encoder")(2 * image - 1)
        return code.flatten(1)


def check_size(image_size: int, design: str) -> None:
    """Raises ``PaperzooError`` for a side that the network cannot have."""
    if design == "alexnet":
        if pooled(image_size) < 1:
            raise PaperzooError(f"model.image_size is {image_size}, of which AlexNet's poolings leave nothing: it is at least 67")
    elif image_size not in (legal := [2**n for n in range(4, 10)]):
        near = min(legal, key=lambda one: abs(one - image_size))
        raise PaperzooError(f"model.image_size is {image_size}, and each layer halves it, down to 4: it is a power of two, such as {near}")


VARIANTS: dict[str, dict[str, object]] = {
    "centre": {},
    "l2": {"adversarial": False},
    "random": {"masks": "blocks"},
    "alexnet": {"design": "alexnet", "masks": "regions", "image_size": 227, "adversarial": False},
    "features": {"class": "context_encoder_features.Features"},
}

_SMALL = {"image_size": 64, "width": 32, "bottleneck": 512, "overlap": 4}

RECIPES = {
    "paper": Recipe(
        data="imagenet",
        steps=116_500,
        batch_size=64,
        model={"image_size": 128},
        variants=("centre", "l2", "random"),
        note="500 epochs of 14,900 photographs, as the authors' program; --data photos:FOLDER for those of Paris StreetView",
    ),
    "paper-alexnet": Recipe(data="imagenet", steps=100_000, batch_size=64, model={"image_size": 227}, variants=("alexnet",)),
    "small": Recipe(
        data="photographs",
        steps=2000,
        batch_size=16,
        model=_SMALL,
        optimizer={"lr": 2e-3, "decay_from": 0.3},
        augment=("flip",),
        variants=("centre", "l2"),
        targets=(Target("gain over mean fill (dB)", at_least=2), Target("gain over biharmonic (dB)", at_least=0)),
        note="the rate is that of the authors' program",
    ),
    "smoke": Recipe(
        data="photographs-sklearn",
        steps=40,
        batch_size=8,
        model={"image_size": 32, "width": 8, "bottleneck": 32, "overlap": 2},
        optimizer={"lr": 1e-3},
        augment=("flip",),
        variants=("centre", "l2", "random"),
        precision="float32",
    ),
    "smoke-features": Recipe(
        data="digits",
        steps=20,
        batch_size=32,
        model={"image_size": 16, "width": 8, "bottleneck": 32, "overlap": 1},
        optimizer={"lr": 1e-3},
        variants=("features",),
        precision="float32",
    ),
}

RECIPES |= {
    "smoke-alexnet": RECIPES["smoke"].but(model={"image_size": 99, "width": 4, "overlap": 3}, variants=("alexnet",)),
    "small-random": RECIPES["small"].but(
        steps=1500, variants=("random",), note="rectangles anywhere, a quarter of the image; the network paints all of it"
    ),
    "small-features": RECIPES["small"].but(
        data="stamps",
        steps=2001,
        batch_size="all",
        augment=(),
        stages=(Stage("fill", 2000, data="photographs", batch_size=16), Stage("classify", 1)),
        variants=("features",),
        targets=(Target("error %", at_most=0, than="features:small-features-random"),),
        note="holes in photographs without labels, then a logistic regression on 167 cut-out photographs of 12 classes",
    ),
}
RECIPES["small-features-random"] = RECIPES["small-features"].but(
    steps=1, stages=(Stage("classify", 1),), targets=(), note="the same with random weights"
)
