"""SRCNN: a small photograph is enlarged by the bicubic kernel, and three convolutions make it sharp (Dong et al. 2014).

The method before it cut an image into patches, wrote each as a sparse sum of learnt ones, took the same sum of sharp patches and
averaged where these overlap. All of that is a convolution, a map from features to features, and a convolution (section 3.2):

    F1(Y) = max(0, W1 * Y + B1)        patches                (Eq. 1)
    F2(Y) = max(0, W2 * F1(Y) + B2)    non-linear mapping     (Eq. 2)
    F(Y)  = W3 * F2(Y) + B3            reconstruction         (Eq. 3)

and so it is learnt as one, from the mean squared error to the sharp original X (Eq. 4). ``srcnn`` is 9-1-5, by the sides of its
filters: 8,032 weights; ``srcnn:9-5-5`` maps from 5x5 places at once: 57,184. Read ``SRCNN`` beside figure 2, then ``Model.step``:
Y is the luminance, already as large as X, and nothing is padded, so that no border is learnt that no photograph has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam

from paperzoo.data import Batch
from paperzoo.data.bicubic import REACH, enlarge
from paperzoo.errors import PaperzooError
from paperzoo.metrics.restoration import without_border
from paperzoo.nn.schedules import linear_decay
from paperzoo.ranges import NotNegative, Part, Pixels, Share, Size
from paperzoo.records import Recipe, Target
from paperzoo.tasks.model import Optimizers, Players
from paperzoo.tasks.restoration import SuperResolver


class SRCNN(nn.Module):
    """Luminances (N, 1, H, W), enlarged already, to sharp ones (N, 1, H - 2m, W - 2m) without the margin of m pixels."""

    def __init__(self, f1: int, f2: int, f3: int, n1: int, n2: int, start: Literal["gaussian", "he"]) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, n1, f1)
        self.mapping = nn.Conv2d(n1, n2, f2)
        self.reconstruction = nn.Conv2d(n2, 1, f3)
        self.margin = (f1 + f2 + f3 - 3) // 2
        for layer in (self.patches, self.mapping, self.reconstruction):
            assert layer.bias is not None
            if start == "gaussian":
                nn.init.normal_(layer.weight, 0, 0.001)  # section 3.3
            else:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, y: Tensor) -> Tensor:
        f1 = self.patches(y).relu()  # Eq. 1
        f2 = self.mapping(f1).relu()  # Eq. 2
        f: Tensor = self.reconstruction(f2)  # Eq. 3
        return f


def eq4(restored: Tensor, original: Tensor) -> Tensor:
    """Eq. 4: the sum over an image's pixels of squared errors, averaged over the images of two batches (N, ...)."""
    return (restored - original).square().flatten(1).sum(1).mean()


class Model(SuperResolver):
    """SRCNN for one scale.

    Args:
        scale: by how much it enlarges.
        kernels: sides of the three layers' filters.
        n1, n2: filters of the first and of the second layer.
        start: initial weights: the paper's, from N(0, 0.001^2), or those of He et al. 2015, which begin hundreds of times larger.
        image_size: side of the squares that it is trained on, at high resolution. As many pixels of them as the kernel sees beyond a
            square, 2 ``scale`` on each side, are not used, and the network's margin has no counterpart in what comes out: squares of
            45 pixels at x3 are the paper's sub-images of 33.

    Raises:
        PaperzooError: squares of which nothing is left.
    """

    def __init__(
        self,
        *,
        scale: Literal[2, 3, 4] = 3,
        kernels: Literal["9-1-5", "9-3-5", "9-5-5", "11-1-7"] = "9-1-5",
        n1: Size = 64,
        n2: Size = 32,
        start: Literal["gaussian", "he"] = "gaussian",
        image_size: Pixels = 45,
    ) -> None:
        super().__init__()
        self.scales = (scale,)
        f1, f2, f3 = map(int, kernels.split("-"))
        self.network = SRCNN(f1, f2, f3, n1, n2, start)
        least = 2 * (REACH * scale + self.network.margin)
        if image_size <= least:
            raise PaperzooError(f"model.image_size is {image_size}, of which {kernels} leaves nothing at x{scale}: it is more than {least}")

    def optimizers(
        self,
        *,
        method: Literal["sgd", "adam"] = "sgd",
        lr: NotNegative = 1e-4,
        last: NotNegative = 1e-5,
        momentum: Part = 0.9,
        decay_from: Share = 1.0,
    ) -> Optimizers:
        """Eq. 5: gradient descent with momentum.

        Args:
            lr: the rate of the first two layers.
            last: that of the last layer: smaller ones there are what lets it converge (section 3.3).
            momentum: of ``sgd``; ``adam`` has its usual moments, 0.9 and 0.999.
            decay_from: after this share of the steps the rates fall linearly to zero; at 1 they do not.
        """
        network = self.network
        groups: list[Mapping[str, Any]] = [
            {"params": [*network.patches.parameters(), *network.mapping.parameters()], "lr": lr},
            {"params": [*network.reconstruction.parameters()], "lr": last},
        ]
        made = SGD(groups, lr, momentum) if method == "sgd" else Adam(groups, lr)  # type: ignore[arg-type]
        return {"network": (made, linear_decay(decay_from))}

    def step(self, batch: Batch, opt: Players) -> None:
        scale = self.scale_of(batch)
        y = enlarge(self.seen(batch.low), scale)  # (N, 1, H, W)
        # the kernel saw a mirror where the photograph goes on beyond the square: such pixels are not those of the whole one
        y, x = (without_border(image, REACH * scale) for image in (y, self.seen(batch.high)))
        opt.network.minimize(eq4(self.network(y), without_border(x, self.network.margin)))

    def restore(self, image: Tensor, scale: int) -> Tensor:
        y = F.pad(enlarge(image, scale), [self.network.margin] * 4, mode="replicate")  # (N, 1, h scale + 2m, w scale + 2m)
        restored: Tensor = self.network(y)
        return restored

    def reach(self, scale: int) -> int:
        return REACH - -self.network.margin // scale


VARIANTS = {"srcnn": {}, "9-5-5": {"kernels": "9-5-5"}}

RECIPES = {
    "paper": Recipe(
        data="t91#scale=3",
        steps=6_250_000,
        batch_size=128,
        model={"image_size": 45},
        precision="float32",
        targets=(Target("psnr x3 (dB)", at_least=32.39, claim="set5-x3-t91", variants=("srcnn",)),),
        note="8 x 10^8 sub-images, as in section 4.1",
    ),
    "small": Recipe(
        data="photographs#scale=2",
        steps=6000,
        batch_size=8,
        model={"image_size": 48, "start": "he"},
        optimizer={"method": "adam", "lr": 4e-3, "last": 4e-4, "decay_from": 0.3},
        precision="float32",
        targets=(Target("gain over bicubic x2 (dB)", at_least=0.7), Target("least gain over bicubic x2 (dB)", at_least=0.0)),
        variants=("srcnn",),
        note="rates chosen on validation photographs among 0.001, 0.002, 0.004 and 0.008, the last layer's a tenth of them",
    ),
    "smoke": Recipe(
        data="photographs-sklearn#scale=2",
        steps=40,
        batch_size=8,
        model={"image_size": 40, "start": "he"},
        optimizer={"method": "adam", "lr": 4e-3, "last": 4e-4},
        precision="float32",
    ),
}

RECIPES |= {
    f"small-x{scale}": RECIPES["small"].but(
        data=f"photographs#scale={scale}",
        model={"image_size": side},
        targets=(Target(f"gain over bicubic x{scale} (dB)", at_least=0.3),),
    )
    for scale, side in ((3, 48), (4, 60))
}
