"""Autoencoders for reducing dimensions: the linear one is PCA, the deep one is better (Hinton and Salakhutdinov 2006).

An encoder maps x to a code of few numbers, a decoder maps the code back, and both learn from one loss: that the way there
and back changes x as little as possible. If both are linear, with squared error,

    min over W, V, a, b of  E || x - (V (W x + a) + b) ||^2,

nothing is better than the first principal components, and gradient descent finds their *space*: V spans it. Which basis
it takes there is arbitrary, for V R and R^-1 W do the same for every invertible R, so only spaces can be compared (Baldi and
Hornik 1989). The biases centre the data; without them, another space would be best.

With hidden layers (784-1000-500-250-30 and back) the codes lie on a curved surface that follows the data, and the paper's
point is how much smaller the error becomes at equal size of code; with a code of two numbers it is a map of the data.
Read ``Model`` first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

from paperzoo.data import Batch, Dataset
from paperzoo.errors import PaperzooError
from paperzoo.metrics.pca import Components, principal_components, subspace_angle
from paperzoo.nn.schedules import linear_decay
from paperzoo.ranges import NotNegative, Pixels, Share, Size
from paperzoo.records import Recipe, Stage, Target
from paperzoo.tasks.model import Optimizers, Players
from paperzoo.tasks.reconstruction import Autoencoder, PointAutoencoder, check_range


def dense(sizes: Sequence[int]) -> nn.Sequential:
    """Fully connected layers of these sizes with ReLU between them, none after the last; weights by He's rule, biases 0."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip(sizes, sizes[1:], strict=False):
        layer = nn.Linear(inputs, outputs)
        if len(sizes) > 2:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def squared_error(x: Tensor, y: Tensor) -> Tensor:
    """``E ||x - y||^2`` of (N, ...): the sum over all but the batch, the mean over it."""
    return (x - y).square().flatten(1).sum(1).mean()


def cross_entropy(x: Tensor, logits: Tensor) -> Tensor:
    """``-E sum x log p + (1 - x) log(1 - p)`` with p the logistic of the logits, of (N, ...); the paper's note 4."""
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1).mean()


def check_code(code: int, numbers: int) -> None:
    """Raises ``PaperzooError`` unless the code is smaller than the data."""
    if code >= numbers:
        raise PaperzooError(
            f"a code of {code} numbers is not smaller than the {numbers} of the data, which could then be copied through "
            f"it unchanged: nothing would be learnt. Set model.code to at most {numbers - 1}"
        )


def angle(decoder: nn.Sequential, pca: Components) -> dict[str, float]:
    """``subspace angle (degrees)`` between what a linear decoder spans and PCA's space; nothing if PCA's is smaller."""
    columns = next(decoder.parameters()).detach().cpu().T  # the weights of its only layer, (code, pixels)
    return {"subspace angle (degrees)": subspace_angle(columns, pca.axes)} if len(pca.axes) == len(columns) else {}


class Model(Autoencoder):
    """Fully connected encoder and decoder, mirror images of each other; the code is linear.

    Args:
        image_size, channels: of the images.
        code: numbers a code; fewer than the image has.
        hidden: units of the encoder's hidden layers. Without any, all is linear, and trained by squared error; with some,
            the decoder ends in a logistic, and is trained by cross-entropy.
    """

    def __init__(self, *, image_size: Pixels = 28, channels: Size = 1, code: Size = 32, hidden: Sequence[Size] = ()) -> None:
        super().__init__()
        self.image_size, self.channels, self.code, self.linear = image_size, channels, code, not hidden
        check_code(code, channels * image_size**2)
        sizes = [channels * image_size**2, *hidden, code]
        self.encoder, self.decoder = dense(sizes), dense(sizes[::-1])

    def optimizers(self, *, lr: NotNegative = 1e-3, decay_from: Share = 0.3) -> Optimizers:
        """Adam for both networks, at a constant rate up to ``decay_from`` of all steps, then linearly to zero."""
        adam = Adam([*self.encoder.parameters(), *self.decoder.parameters()], lr)
        return {"autoencoder": (adam, linear_decay(decay_from))}

    def step(self, batch: Batch, opt: Players) -> None:
        opt.autoencoder.minimize(self.loss(batch.image))

    def loss(self, image: Tensor) -> Tensor:
        """The loss of images (N, C, H, W), in squared grey levels or nats an image."""
        x = image.flatten(1)  # (N, C * H * W)
        output = self.decoder(self.encoder(x))
        return squared_error(x, output) if self.linear else cross_entropy(x, output)

    def encode(self, image: Tensor) -> Tensor:
        code: Tensor = self.encoder(check_range(image).flatten(1))  # (N, code)
        return code

    def decode(self, code: Tensor) -> Tensor:
        output: Tensor = self.decoder(code)
        return (output if self.linear else output.sigmoid()).view(-1, self.channels, self.image_size, self.image_size)

    def pca(self, dataset: Dataset, components: int) -> Components:
        """Principal components of all training images: the paper compares with these, to two decimals."""
        train = dataset["train"]
        return principal_components(self.spaced(train, len(train))[0].flatten(1), components)

    def measure(self, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """Any autoencoder's metrics; of a linear one also the largest principal angle to PCA's space."""
        metrics = super().measure(dataset, split)
        return metrics | angle(self.decoder, self.pca(dataset, self.code)) if self.linear else metrics


class Points(PointAutoencoder):
    """Linear encoder and decoder of points (N, dimensions); arguments as in ``Model``."""

    def __init__(self, *, dimensions: Size = 3, code: Size = 2) -> None:
        super().__init__()
        check_code(code, dimensions)
        self.dimensions, self.code = dimensions, code
        self.encoder, self.decoder = dense([dimensions, code]), dense([code, dimensions])

    def optimizers(self, *, lr: NotNegative = 1e-3, decay_from: Share = 0.3) -> Optimizers:
        """Adam for both networks, at a constant rate up to ``decay_from`` of all steps, then linearly to zero."""
        return {"autoencoder": (Adam(self.parameters(), lr), linear_decay(decay_from))}

    def step(self, batch: Batch, opt: Players) -> None:
        opt.autoencoder.minimize(squared_error(batch.point, self.decoder(self.encoder(batch.point))))

    def encode(self, image: Tensor) -> Tensor:
        code: Tensor = self.encoder(image)  # (N, code)
        return code

    def decode(self, code: Tensor) -> Tensor:
        point: Tensor = self.decoder(code)  # (N, dimensions)
        return point

    def measure(self, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """Any autoencoder's metrics, and the largest principal angle to PCA's space."""
        return super().measure(dataset, split) | angle(self.decoder, self.pca(dataset, self.code))


DEEP = [1000, 500, 250]

VARIANTS: dict[str, dict[str, Any]] = {
    "linear": {},
    "points": {"class": "Points"},
    "deep": {"hidden": DEEP, "code": 30},
    "map": {"class": "linear_autoencoder_map.Map"},
    "pretrained": {"class": "linear_autoencoder_pretrained.Model"},
    "logistic-pca": {"class": "linear_autoencoder_pretrained.LogisticPCA"},
}


def _pretrained(machine: int, rest: int) -> tuple[Stage, ...]:
    """So many steps for each of four machines, at a hundredth of the rate for the last, whose hidden units are linear, and for all."""
    rates = {1: 0.1, 2: 0.1, 3: 0.1, 4: 0.001}
    machines = (Stage(f"layer {number}", machine, batch_size=100, optimizer={"lr": lr}) for number, lr in rates.items())
    return (*machines, Stage("all", rest))


RECIPES = {
    "paper": Recipe(
        data="mnist",
        steps=12_000,
        batch_size=1000,
        train_on="train+validation",
        optimizer={"decay_from": 0.5},
        targets=(
            Target("squared error", at_most=3.0, claim="deep", variants=("deep",)),
            Target("pca squared error", at_most=13.87, claim="pca", variants=("deep",)),
        ),
        variants=("deep", "map"),
        note="200 epochs over all 60,000 training images, of ReLU units without pre-training",
    ),
    "paper-pretrained": Recipe(
        data="mnist",
        steps=4 * 30_000 + 12_000,
        batch_size=1000,
        train_on="train+validation",
        optimizer={"decay_from": 0.5},
        stages=_pretrained(30_000, 12_000),
        targets=(Target("squared error", at_most=3.0, claim="deep"), Target("pca squared error", at_most=13.87, claim="pca")),
        variants=("pretrained",),
        note="50 epochs a machine, then 200 epochs for all layers at once",
    ),
    "small-pretrained": Recipe(
        data="mnist",
        steps=4 * 1200 + 2400,
        batch_size=256,
        optimizer={"lr": 1e-3, "decay_from": 0.3},
        stages=_pretrained(1200, 2400),
        targets=(Target("squared error", at_most=0, than="pretrained:small-random"),),
        variants=("pretrained",),
        note="two and a half epochs a machine",
    ),
    "paper-linear": Recipe(
        data="mnist",
        steps=24_000,
        batch_size=128,
        train_on="train+validation",
        model={"code": 30},
        optimizer={"lr": 4e-3, "decay_from": 0.3},
        precision="float32",
        variants=("linear",),
        note="PCA with 30 components, which is what the paper compares with, found by gradient descent",
    ),
    "small": Recipe(
        data="mnist",
        steps=16_000,
        batch_size=128,
        optimizer={"lr": 4e-3, "decay_from": 0.3},
        precision="float32",
        targets=(Target("squared error % of pca's", at_most=100.2),),
        variants=("linear",),
    ),
    "small-mnist-5k": Recipe(
        data="mnist-5k",
        steps=16_000,
        batch_size=128,
        optimizer={"lr": 4e-3, "decay_from": 0.3},
        precision="float32",
        targets=(Target("squared error % of pca's", at_most=100.2),),
        variants=("linear",),
    ),
    "small-points": Recipe(
        data="plane3d",
        steps=6000,
        batch_size=128,
        optimizer={"lr": 2e-2, "decay_from": 0.3},
        precision="float32",
        targets=(Target("squared error % of pca's", at_most=100.2), Target("subspace angle (degrees)", at_most=2)),
        variants=("points",),
    ),
    "small-deep": Recipe(
        data="mnist",
        steps=2400,
        batch_size=256,
        optimizer={"lr": 1e-3, "decay_from": 0.3},
        targets=(Target("squared error % of pca's", at_most=50),),
        variants=("deep",),
    ),
    "small-map": Recipe(
        data="mnist",
        steps=2400,
        batch_size=256,
        optimizer={"lr": 1e-3, "decay_from": 0.3},
        targets=(Target("squared error % of pca's", at_most=85),),
        variants=("map",),
    ),
    "smoke": Recipe(
        data="digits",
        steps=60,
        batch_size=32,
        model={"code": 4},
        optimizer={"lr": 1e-2},
        precision="float32",
        variants=("linear",),
    ),
    "smoke-points": Recipe(
        data="ring8",
        steps=60,
        batch_size=32,
        model={"code": 1},
        optimizer={"lr": 1e-2},
        precision="float32",
        variants=("points",),
    ),
    "smoke-deep": Recipe(
        data="digits",
        steps=60,
        batch_size=32,
        model={"code": 4, "hidden": [32, 16]},
        precision="float32",
        variants=("deep",),
    ),
    "smoke-map": Recipe(
        data="digits", steps=60, batch_size=32, model={"hidden": [32, 16]}, precision="float32", variants=("map",)
    ),
}
RECIPES |= {
    "paper-logistic": RECIPES["small"].but(
        steps=24_000,
        train_on="train+validation",
        targets=(Target("squared error", at_most=8.01, claim="logistic-pca"),),
        variants=("logistic-pca",),
    ),
    "small-random": RECIPES["small-pretrained"].but(
        steps=2400, stages=(), targets=(), note="beside small-pretrained: the same from random weights"
    ),
    "smoke-pretrained": RECIPES["smoke-deep"].but(optimizer={"lr": 1e-2}, variants=("pretrained",)),
    "smoke-logistic": RECIPES["smoke"].but(variants=("logistic-pca",)),
}
