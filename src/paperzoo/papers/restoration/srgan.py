"""SRResNet and SRGAN: a photograph is enlarged fourfold, first with the least error, then so that it looks like one (Ledig et al. 2016).

Many sharp photographs shrink to the same small one. The mean squared error is least for the mean of them all, which is smooth: a
residual network that is trained on it (``srgan:srresnet``) has high PSNR and no texture. The second stage goes on from its weights.
A discriminator D tells restored photographs from real ones, and what is compared of the two are features phi of a network that was
trained to see, which know texture without asking where each hair lies:

    l_MSE = mean (I_HR - G(I_LR))^2                            (Eq. 4)     the first stage
    l_VGG = mean (phi(I_HR) - phi(G(I_LR)))^2                  (Eq. 5)
    l_Gen = sum -log D(G(I_LR))                                (Eq. 6)
    l_SR  = l_VGG + 10^-3 l_Gen                                (Eq. 3)     the second

So PSNR falls and the power of high frequencies rises. Small photographs are in [0, 1], large ones in [-1, 1] (section 3.2). Batch
normalisation restores by running means, not by the photograph's statistics. Read ``SRResNet`` beside figure 4, then ``Model.step``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

from paperzoo.data import Batch, Dataset
from paperzoo.data.bicubic import enlarge
from paperzoo.errors import PaperzooError, unknown
from paperzoo.nn.schedules import steps
from paperzoo.papers.restoration.perceptual import CONTENT, phi
from paperzoo.ranges import NotNegative, Pixels, Share, Size
from paperzoo.records import Recipe, Stage, Target
from paperzoo.tasks.model import Optimizers, Players
from paperzoo.tasks.restoration import SuperResolver
from paperzoo.tasks.restoration.measure import trials


class SRResNet(nn.Module):
    """Small photographs (N, 3, h, w) in [0, 1] to large ones (N, 3, h s, w s) in [-1, 1], not cut to it: G of figure 4."""

    def __init__(self, scale: int, width: int, blocks: int) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(3, width, 9, padding=4), nn.PReLU())
        self.blocks = nn.Sequential(*(Block(width) for _ in range(blocks)))
        self.middle = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width))
        self.larger = nn.Sequential(*(Doubled(width) for _ in range(scale // 2)))
        self.tail = nn.Conv2d(width, 3, 9, padding=4)

    def forward(self, low: Tensor) -> Tensor:
        x = self.head(low)
        x = x + self.middle(self.blocks(x))
        high: Tensor = self.tail(self.larger(x))  # (N, width, h, w) -> (N, width, h s, w s) -> (N, 3, h s, w s)
        return high


class Block(nn.Sequential):
    """Two convolutions of 3x3, normalised, and a shortcut with nothing behind it (figure 4)."""

    def __init__(self, width: int) -> None:
        first, second = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        super().__init__(first, nn.BatchNorm2d(width), nn.PReLU(), second, nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return x + y


class Doubled(nn.Sequential):
    """(N, width, h, w) to (N, width, 2h, 2w): a convolution makes four values a pixel, which the shuffle lays out as 2x2 pixels."""

    def __init__(self, width: int) -> None:
        super().__init__(nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2), nn.PReLU())


class Discriminator(nn.Module):
    """Large photographs (N, 3, S, S) in [-1, 1] to logits (N) of being real: D of figure 4. Each of eight convolutions but the first is
    normalised, every second one halves the side."""

    def __init__(self, image_size: int, width: int, hidden: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1), nn.LeakyReLU(0.2)]
        now, side = width, image_size
        for outputs, stride in ((1, 2), (2, 1), (2, 2), (4, 1), (4, 2), (8, 1), (8, 2)):
            layers += [nn.Conv2d(now, outputs * width, 3, stride, 1), nn.BatchNorm2d(outputs * width), nn.LeakyReLU(0.2)]
            now, side = outputs * width, -(-side // stride)
        self.features = nn.Sequential(*layers)
        self.score = nn.Sequential(nn.Linear(now * side**2, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, 1))

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.score(self.features(image).flatten(1))  # (N, 8 width, S / 16, S / 16) -> (N, 1)
        return logits[:, 0]


def eq4(restored: Tensor, original: Tensor) -> Tensor:
    """Eq. 4 of images, and Eq. 5 of their features: the mean over all numbers of the squared difference."""
    return (original - restored).square().mean()


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """The negative of Eq. 2 from logits (N) each: ``-E log D(real) - E log(1 - D(fake))``."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def eq6(fake: Tensor) -> Tensor:
    """Eq. 6 from logits (N): ``-log D(G(I_LR))``, averaged over a batch."""
    return F.softplus(-fake).mean()


class Model(SuperResolver):
    """SRResNet, and for SRGAN a discriminator beside it. Of a recipe's stages, ``mse`` trains by Eq. 4, ``adversarial`` by Eq. 3; where
    there are none, SRResNet is trained by the former, SRGAN by the latter.

    Args:
        scale: by how much it enlarges; the paper's is 4.
        width, blocks: filters, and residual blocks, of the generator.
        image_size: side of the squares that it is trained on, at high resolution.
        adversarial: whether there is a discriminator.
        critic_width, hidden: filters of the discriminator's first layer, and units before its last.
        content: what is compared in the second stage: features of ``CONTENT``, or ``pixels`` (the paper's SRGAN-MSE).
        weights: of the network of these features: ``imagenet``, or a file.
        weight: of l_Gen.
        skip: ``bicubic`` adds what the kernel makes of the small photograph, from which a last layer of zeros begins.
    """

    channels = 3

    def __init__(
        self,
        *,
        scale: Literal[2, 4] = 4,
        width: Size = 64,
        blocks: Size = 16,
        image_size: Pixels = 96,
        adversarial: bool = True,
        critic_width: Size = 64,
        hidden: Size = 1024,
        content: Literal["pixels", "vgg22", "vgg54", "mobilenet"] = "vgg54",
        weights: str = "imagenet",
        weight: NotNegative = 1e-3,
        skip: Literal["none", "bicubic"] = "none",
    ) -> None:
        super().__init__()
        self.scales, self.skip = (scale,), skip == "bicubic"
        self.content, self.weights, self.weight = content, weights, weight
        self.now = "adversarial" if adversarial else "mse"
        self.generator = SRResNet(scale, width, blocks)
        self.discriminator = Discriminator(image_size, critic_width, hidden) if adversarial else None
        if self.skip:
            for parameter in self.generator.tail.parameters():
                nn.init.zeros_(parameter)

    def stage(self, name: str) -> None:
        """``mse`` or ``adversarial``."""
        if name not in (known := ("mse", "adversarial")):
            raise unknown("stage", name, known, "of srgan")
        if name == "adversarial" and self.discriminator is None:
            raise PaperzooError("srgan:srresnet has no discriminator (adversarial), so that no stage is adversarial")
        self.now = name
        if name == "adversarial":
            self.features()  # what cannot be had is said before a training begins

    def features(self) -> Callable[[Tensor], Tensor]:
        """The representation of images in [0, 1] in which the content loss is taken: phi, or the images themselves in [-1, 1]."""
        return phi(self.content, self.weights) if self.content in CONTENT else lambda image: 2 * image - 1

    def optimizers(self, *, lr: NotNegative = 1e-4, drops: Sequence[Share] = ()) -> Optimizers:
        """Adam for both (section 3.2); the rate is divided by 10 after the shares ``drops`` of the stage's steps."""
        players = {"generator": self.generator, "discriminator": self.discriminator}
        return {name: (Adam(one.parameters(), lr), steps(drops)) for name, one in players.items() if one is not None}

    def step(self, batch: Batch, opt: Players) -> dict[str, Tensor]:
        scale = self.scale_of(batch)
        original, restored = 2 * batch.high - 1, self.generate(batch.low, scale)  # (N, 3, S, S)
        error = eq4(restored, original)
        if self.now == "mse":
            opt.generator.minimize(error)
            return {}
        assert self.discriminator is not None
        real, fake = self.discriminator(original), self.discriminator(restored.detach())
        opt.discriminator.minimize(discriminator_loss(real, fake))
        features = self.features()
        content = eq4(features((restored + 1) / 2), features(batch.high))
        opt.generator.minimize(content + self.weight * eq6(self.discriminator(restored)))  # Eq. 3
        return {"mse": error.detach(), f"content[{CONTENT.get(self.content, 'pixels')}]": content.detach()}

    def generate(self, low: Tensor, scale: int) -> Tensor:
        """Small photographs (N, 3, h, w) in [0, 1], large (N, 3, h s, w s) in [-1, 1]."""
        high: Tensor = self.generator(low)
        return high + (2 * enlarge(low, scale) - 1) if self.skip else high

    def restore(self, image: Tensor, scale: int) -> Tensor:
        return (self.generate(image, scale) + 1) / 2

    def reach(self, scale: int) -> int:
        convolutions = 4 + 2 * len(self.generator.blocks) + 1  # head, blocks and middle see so far
        finer = sum(0.5**level for level in range(scale // 2)) + 4 / scale  # those that work at a higher resolution
        return convolutions + math.ceil(finer)

    def lean(self) -> tuple[dict[str, Any], Mapping[str, Tensor]]:
        """Without the discriminator, which only training needs."""
        arguments, state = super().lean()
        return {**arguments, "adversarial": False}, {k: v for k, v in state.items() if not k.startswith("discriminator.")}

    def measure(self, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """The task's figures; of SRGAN the distance of features, too, under the name of the network that they are of."""
        metrics = super().measure(dataset, split, judge)
        if self.discriminator is not None and self.content in CONTENT:
            features, (scale,) = self.features(), self.scales
            apart: dict[str, list[float]] = {"": [], "bicubic ": []}
            for one in trials(self, dataset, split, np.arange(len(dataset[split]))):
                for name, image in (("", one.restored), ("bicubic ", one.bicubic)):
                    apart[name].append(float(eq4(features(image.clamp(0, 1)), features(one.original))))
            for name, values in apart.items():
                metrics[f"{name}feature distance[{CONTENT[self.content]}] x{scale}"] = float(np.mean(values))
        return metrics


VARIANTS: dict[str, dict[str, object]] = {
    "srgan": {},
    "srresnet": {"adversarial": False},
    "bicubic_skip": {"skip": "bicubic"},
    "srresnet_bicubic_skip": {"skip": "bicubic", "adversarial": False},
}

_FINE = "high frequencies x4 relative to original"

#: a generator and a discriminator of a fraction of the weights
_LITTLE = {"image_size": 64, "width": 32, "blocks": 4, "critic_width": 16, "hidden": 128, "content": "mobilenet"}

RECIPES = {
    "paper": Recipe(
        data="div2k#scale=4",
        steps=1_200_000,
        batch_size=16,
        model={"image_size": 96},
        stages=(Stage("mse", 1_000_000), Stage("adversarial", 200_000, optimizer={"drops": (0.5,)})),
        variants=("srgan",),
        note="the second stage: 10^5 steps at 10^-4, as many at 10^-5 (section 3.2)",
    ),
    "paper-srresnet": Recipe(
        data="div2k#scale=4",
        steps=1_000_000,
        batch_size=16,
        model={"image_size": 96},
        variants=("srresnet",),
    ),
    "small": Recipe(
        data="photographs#scale=4",
        steps=1600,
        batch_size=8,
        model=_LITTLE,
        optimizer={"lr": 1e-3, "drops": (0.7, 0.9)},
        stages=(Stage("mse", 1200), Stage("adversarial", 400, optimizer={"lr": 5e-4, "drops": (0.7,)})),
        variants=("srgan", "bicubic_skip"),
        targets=(
            Target("psnr x4 (dB)", at_most=0, than="srresnet_bicubic_skip:small-srresnet", variants=("bicubic_skip",)),
            Target(_FINE, at_least=0, than="srresnet_bicubic_skip:small-srresnet", variants=("bicubic_skip",)),
            Target("psnr x4 (dB)", at_most=0, than="srresnet:small-srresnet", variants=("srgan",)),
            Target(_FINE, at_least=0, than="srresnet:small-srresnet", variants=("srgan",)),
        ),
        note="a fraction of the weights, and features of MobileNetV2; with the same seed the first stage is small-srresnet bit for bit",
    ),
    "small-srresnet": Recipe(
        data="photographs#scale=4",
        steps=1200,
        batch_size=8,
        model=_LITTLE,
        optimizer={"lr": 1e-3, "drops": (0.7, 0.9)},
        variants=("srresnet", "srresnet_bicubic_skip"),
        targets=(Target("gain over bicubic x4 (dB)", at_least=0.3, variants=("srresnet_bicubic_skip",)),),
        note="the first stage of small, alone",
    ),
    "small-long": Recipe(
        data="photographs#scale=4",
        steps=8000,
        batch_size=8,
        model={"image_size": 64},
        optimizer={"lr": 5e-4, "drops": (0.7, 0.9)},
        variants=("srresnet",),
        targets=(Target("gain over bicubic x4 (dB)", at_least=0.0),),
        note="the paper's network, without a skip, for half an hour: whether it finds by itself what the kernel does",
    ),
    "smoke": Recipe(
        data="photographs-sklearn#scale=4",
        steps=16,
        batch_size=4,
        model={"image_size": 32, "width": 8, "blocks": 2, "critic_width": 4, "hidden": 16, "content": "pixels"},
        optimizer={"lr": 1e-3},
        precision="float32",
        variants=("srgan", "bicubic_skip"),
    ),
}

RECIPES["smoke-srresnet"] = RECIPES["smoke"].but(variants=("srresnet", "srresnet_bicubic_skip"))
