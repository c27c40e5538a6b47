"""Understanding Deep Learning Requires Rethinking Generalization (Zhang, Bengio, Hardt, Recht and Vinyals, 2016).

Draw the labels of CIFAR-10 anew, by chance, once and for all: there is nothing left to learn. The same networks, with the same
optimiser at the same rate, still bring the training error to zero, in not much more time; at test they guess. Whatever bounds the
test error of these networks on true labels, it is not that they could fit nothing else, nor is it the regularisers: without
augmentation and weight decay the training error is zero too, and the test error a few points higher. Corruptions are data sets:

    cifar10#labels=1          random labels                          cifar10#labels=0.5        half of them random
    cifar10#pixels=shuffled   one order of pixels for all images     cifar10#pixels=random     another order for each
    cifar10#pixels=gaussian   noise instead of images

Images are cut to 28x28 and whitened each by itself; the networks are a small Inception, a small AlexNet and perceptrons of one
and three hidden layers (appendix A). Theorem 1, that 2n + d weights suffice to fit any n points in d dimensions, is constructed in
the study ``random_labels``. Read ``SmallInception``, which is figure 3, then ``Model.step``.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from annotated_types import Ge
from torch import Tensor, nn
from torch.optim import SGD

from paperzoo.data import Batch, Dataset
from paperzoo.data.augment import random_crop
from paperzoo.errors import PaperzooError
from paperzoo.nn.schedules import exponential
from paperzoo.ranges import NotNegative, Part, Pixels, Share, Size, Whole
from paperzoo.records import Recipe, Target
from paperzoo.tasks.classification import Classifier
from paperzoo.tasks.model import Optimizers, Players


def whiten(image: Tensor) -> Tensor:
    """Each image (N, C, H, W) less its mean, divided by its deviation, or by 1 / sqrt(C H W) if that is more (appendix A)."""
    deviation, mean = torch.std_mean(image, (1, 2, 3), correction=0, keepdim=True)  # (N, 1, 1, 1)
    return (image - mean) / deviation.clamp(min=image[0].numel() ** -0.5)


def centre(image: Tensor, side: int) -> Tensor:
    """The middle ``side`` x ``side`` pixels of images (N, C, H, W)."""
    top, left = (image.shape[2] - side) // 2, (image.shape[3] - side) // 2
    return image[:, :, top : top + side, left : left + side]


class Conv(nn.Module):
    """Convolution, batch normalisation (with a shift, without a scale) if asked for, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, batch_norm: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=not batch_norm)
        self.norm = nn.BatchNorm2d(outputs) if batch_norm else nn.Identity()
        if isinstance(self.norm, nn.BatchNorm2d):
            self.norm.weight.requires_grad_(False)  # stays 1

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride), rounded up."""
        return self.norm(self.conv(x)).relu()  # type: ignore[no-any-return]


class Inception(nn.Module):
    """A 1x1 and a 3x3 convolution side by side."""

    def __init__(self, inputs: int, ones: int, threes: int, batch_norm: bool) -> None:
        super().__init__()
        self.one, self.three = Conv(inputs, ones, 1, 1, batch_norm), Conv(inputs, threes, 3, 1, batch_norm)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, ones + threes, H, W)."""
        return torch.cat([self.one(x), self.three(x)], 1)


class Downsample(nn.Module):
    """A 3x3 convolution and a 3x3 max pooling of stride 2 side by side."""

    def __init__(self, inputs: int, outputs: int, batch_norm: bool) -> None:
        super().__init__()
        self.three = Conv(inputs, outputs, 3, 2, batch_norm)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs + inputs, H / 2, W / 2), rounded up."""
        return torch.cat([self.three(x), F.max_pool2d(x, 3, 2, padding=1)], 1)


#: figure 3: of each Inception module the channels of 1x1 and 3x3, of each downsampling those of its convolution
FIGURE_3 = ((32, 32), (32, 48), 80, (112, 48), (96, 64), (80, 80), (48, 96), 96, (176, 160), (176, 160))


class SmallInception(nn.Sequential):
    """Figure 3: images (N, channels, S, S) to logits (N, classes).

    Args:
        width: factor on every number of channels.
    """

    def __init__(self, channels: int, classes: int, width: float, batch_norm: bool, dropout: float) -> None:
        maps = round(width * 96)
        layers: list[nn.Module] = [Conv(channels, maps, 3, 1, batch_norm)]
        for module in FIGURE_3:
            if isinstance(module, tuple):
                ones, threes = (round(width * n) for n in module)
                layers.append(Inception(maps, ones, threes, batch_norm))
                maps = ones + threes
            else:
                layers.append(Downsample(maps, round(width * module), batch_norm))
                maps += round(width * module)
        mean = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())  # (N, maps, S / 4, S / 4) -> (N, maps)
        super().__init__(*layers, mean, nn.Dropout(dropout), nn.Linear(maps, classes))


def small_alexnet(channels: int, classes: int, size: int, width: float, dropout: float) -> nn.Sequential:
    """Two modules of convolution, pooling and normalisation, and three linear layers, for images (N, channels, size, size)."""
    maps, first, second = (round(width * n) for n in (64, 384, 192))
    side = -(-size // 4)  # halved twice, rounded up
    layers: list[nn.Module] = []
    for inputs in (channels, maps):
        layers += [nn.Conv2d(inputs, maps, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)]
        layers.append(nn.LocalResponseNorm(9, alpha=1e-3, beta=0.75, k=1.0))
    layers += [nn.Flatten(), nn.Linear(maps * side**2, first), nn.ReLU()]  # (N, maps, side, side) -> (N, maps * side * side)
    layers += [nn.Dropout(dropout), nn.Linear(first, second), nn.ReLU(), nn.Dropout(dropout), nn.Linear(second, classes)]
    return nn.Sequential(*layers)


def perceptron(inputs: int, classes: int, hidden: int, layers: int, dropout: float) -> nn.Sequential:
    """``layers`` hidden layers of ``hidden`` units for images of ``inputs`` numbers."""
    stack: list[nn.Module] = [nn.Flatten()]  # (N, C, H, W) -> (N, C * H * W)
    for layer in range(layers):
        stack += [nn.Linear(hidden if layer else inputs, hidden), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*stack, nn.Linear(hidden, classes))



class Model(Classifier):
    """One of the paper's networks on whitened images, and stochastic gradient descent with momentum.

    Args:
        design: ``"inception"``, ``"alexnet"`` or ``"mlp"``.
        batch_norm: batch normalisation in the small Inception; the others have none.
        layers: hidden layers of the ``mlp``.
        width: factor on every hidden layer's channels or units; the paper's networks have 1.
        image_size: side of the images.
        crop: side of the middle square that the network sees.
        random_crop: in training the square is anywhere: the paper's augmentation.
        dropout: share of hidden units dropped in front of fully connected layers.

    Raises:
        PaperzooError: an unknown design, or a value out of range.
    """

    def __init__(
        self,
        *,
        design: Literal["inception", "alexnet", "mlp"] = "inception",
        batch_norm: bool = True,
        layers: Size = 1,
        width: Annotated[float, Ge(0.02)] = 1.0,
        channels: Size = 3,
        classes: Size = 10,
        image_size: Pixels = 32,
        crop: Size = 28,
        random_crop: bool = False,
        dropout: Part = 0.0,
    ) -> None:
        super().__init__()
        if crop > image_size:
            raise PaperzooError(f"crop of rethinking is {crop}, but the images are {image_size}x{image_size}: at most {image_size}")
        self.channels, self.image_size, self.crop, self.random_crop = channels, image_size, crop, random_crop
        self.rate = 0.1 if design == "inception" else 0.01  # appendix A
        self.network: nn.Sequential
        if design == "inception":
            self.network = SmallInception(channels, classes, width, batch_norm, dropout)
        elif design == "alexnet":
            self.network = small_alexnet(channels, classes, crop, width, dropout)
        else:
            self.network = perceptron(channels * crop**2, classes, round(width * 512), layers, dropout)
        for module in self.network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self._last().weight, std=0.01)  # no class is preferred at first

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, C, S, S) in [0, 1], of which the middle is seen."""
        return self.network(whiten(centre(image, self.crop)))  # type: ignore[no-any-return]

    def optimizers(
        self,
        *,
        lr: NotNegative = 0.0,
        momentum: Part = 0.9,
        weight_decay: NotNegative = 0.0,
        decay: Share = 0.95,
        epochs: Whole = 64,
    ) -> Optimizers:
        """SGD on everything but the fixed scales.

        Args:
            lr: the first rate; 0 stands for the paper's, 0.1 for the small Inception and 0.01 for the others.
            decay, epochs: the rate is multiplied by ``decay`` after each of the ``epochs`` equal parts of the run (appendix A).
        """
        trained = [p for p in self.network.parameters() if p.requires_grad]
        return {"network": (SGD(trained, lr or self.rate, momentum, weight_decay=weight_decay), exponential(decay, epochs))}

    def step(self, batch: Batch, opt: Players) -> dict[str, Tensor]:
        """One step on the cross-entropy of a batch; reports how many of it were wrong before the step."""
        image = random_crop(batch.image, self.crop, self.crop) if self.random_crop else batch.image
        logits = self(image)
        opt.network.minimize(F.cross_entropy(logits, batch.label))
        return {"batch error %": 100 * (logits.argmax(1) != batch.label).float().mean()}

    def measure(self, dataset: Dataset, split: str, judge: object = None) -> dict[str, float]:
        """Any classifier's metrics, and ``training error %``: of the labels trained on, whatever they are, without crops or dropout."""
        metrics = super().measure(dataset, split, judge)
        training = metrics if split == "train" else super().measure(dataset, "train")
        return {**metrics, "training error %": training["error %"]}


#: the data: true and random labels
TRUE, RANDOM = "cifar10", "cifar10#labels=1"
#: table 1, error in %: on test images with and without weight decay and random crops; on training images with random labels
TABLE_1: dict[str, dict[str, float]] = {
    "": {"inception": 14.25, "inception-nobn": 18.00, "alexnet": 23.93, "mlp3x512": 47.61, "mlp1x512": 49.49},
    "-decay": {"inception": 13.97, "inception-nobn": 17.00, "alexnet": 22.64, "mlp3x512": 46.65, "mlp1x512": 49.61},
    "-crop": {"inception": 10.69, "alexnet": 20.34},
    "-crop-decay": {"inception": 10.95, "alexnet": 18.78},
    "-random-training": {"inception": 0.0, "inception-nobn": 0.0, "alexnet": 0.18, "mlp3x512": 0.0, "mlp1x512": 0.66},
}

VARIANTS: dict[str, dict[str, object]] = {
    "inception": {},
    "inception-nobn": {"batch_norm": False},
    "alexnet": {"design": "alexnet"},
    "mlp3x512": {"design": "mlp", "layers": 3},
    "mlp1x512": {"design": "mlp"},
}


def _promised(row: str, metric: str = "error %") -> tuple[Target, ...]:
    """A row of table 1 as targets."""
    return tuple(
        Target(metric, at_most=error, claim=f"{name}{row}", variants=(name,)) for name, error in TABLE_1[row].items()
    )


_CROPPED = ("inception", "alexnet")  # those that table 1 has with random crops
_FITTED = Target("training error %", at_most=0.5)
#: for digits: suffix of the recipe, variants, width, rate, images a step and epochs to fit 500 random labels
_SMALL = (
    ("", ("inception",), 0.25, 0.1, 50, 40),
    ("-nobn", ("inception-nobn",), 0.25, 0.02, 50, 80),
    ("-alexnet", ("alexnet",), 0.5, 0.005, 25, 60),
    ("-mlp", ("mlp3x512", "mlp1x512"), 1.0, 0.03, 25, 60),
)

RECIPES = {
    "paper": Recipe(
        data=TRUE, steps=64 * 391, batch_size=128, train_on="train+validation", variants=tuple(VARIANTS), targets=_promised("")
    ),
    "paper-random": Recipe(
        data=RANDOM,
        steps=64 * 352,
        batch_size=128,
        variants=tuple(VARIANTS),
        targets=_promised("-random-training", "training error %"),
        note="45,000 random labels",
    ),
    **{
        f"small{suffix}": Recipe(
            data="mnist-5k",
            steps=20 * 50,
            batch_size=100,
            model={"image_size": 28, "crop": 24, "width": width},
            optimizer={"lr": rate, "epochs": 20},
            variants=variants,
            targets=(_FITTED,),
            note="5,000 digits with their labels, cut to 24x24; narrower networks, the perceptrons as wide as the paper's",
        )
        for suffix, variants, width, rate, _, _ in _SMALL
    },
    **{
        f"small-random{suffix}": Recipe(
            data="mnist-5k@50#labels=1",
            steps=epochs * 500 // batch,
            batch_size=batch,
            model={"image_size": 14, "crop": 12, "width": width},
            optimizer={"lr": rate, "decay": 0.97, "epochs": epochs},
            variants=variants,
            targets=(_FITTED, Target("error %", at_least=87, at_most=93)),
            note="500 digits with random labels: fitted all the same, and chance at test; see the study random_labels",
        )
        for suffix, variants, width, rate, batch, epochs in _SMALL
    },
    "smoke": Recipe(data="digits", steps=24, model={"channels": 1, "image_size": 8, "crop": 8, "width": 0.125}),
}
RECIPES = {
    **RECIPES,
    "paper-decay": RECIPES["paper"].but(optimizer={"weight_decay": 5e-4}, targets=_promised("-decay")),
    "paper-crop": RECIPES["paper"].but(model={"random_crop": True}, variants=_CROPPED, targets=_promised("-crop")),
    "paper-crop-decay": RECIPES["paper"].but(
        model={"random_crop": True}, optimizer={"weight_decay": 5e-4}, variants=_CROPPED, targets=_promised("-crop-decay")
    ),
    "smoke-alexnet": RECIPES["smoke"].but(variants=("alexnet",)),
    "smoke-mlp": RECIPES["smoke"].but(variants=("mlp3x512",)),
}
