"""A convolutional network: convolution, non-linearity, pooling, flatten, linear. The first lesson; no paper of its own.

A convolution asks the same question at every place of an image: how well does this little pattern fit here? A filter w of
k x k pixels and C channels answers with a map,

    y[i, j] = sum_{c, a, b} w[c, a, b] x[c, i + a, j + b],

and 32 filters make 32 maps. A non-linearity keeps what fits. Pooling keeps the best answer of each 2x2 places, so that the next
filters see twice as far. At last a linear layer weighs all maps, laid out in one row (flatten), into one number a class.

Everything that one wants to try goes by its name in torch:

    paperzoo train cnn --set model.activation=Tanh --set optimizer.name=SGD --set 'optimizer.arguments={"momentum": 0.9}'

``cnn:plain`` has no batch normalisation. ``cnn:linear`` has no non-linearity at all: its three stages are together one linear
map, and it learns no more than one can. Read ``ConvNet``; then look at the pictures of its filters and maps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from paperzoo.data import Batch, Dataset
from paperzoo.errors import PaperzooError, unknown
from paperzoo.nn.schedules import one_cycle
from paperzoo.ranges import NotNegative, Part, Pixels, Size, Sizes
from paperzoo.records import Recipe, Target
from paperzoo.tasks.classification import Classifier
from paperzoo.tasks.classification import stages as draw
from paperzoo.tasks.model import Optimizers, Players


class ConvNet(nn.Module):
    """Stages of convolutions and 2x2 pooling, flatten, dropout, one linear layer.

    Args:
        widths: filters of each stage.
        convolutions: in each stage.
        kernel: side of a filter, odd.
        normalise: whether batch normalisation stands between convolution and non-linearity.
    """

    def __init__(
        self, widths: Sequence[int], convolutions: int, kernel: int, activation: str, pooling: str, normalise: bool,
        dropout: float, channels: int, classes: int, image_size: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.stages, inputs, side = nn.ModuleList(), channels, image_size
        for width in widths:
            layers: list[nn.Module] = []
            for _ in range(convolutions):
                layers.append(nn.Conv2d(inputs, width, kernel, padding=kernel // 2, bias=not normalise))
                layers += [nn.BatchNorm2d(width)] if normalise else []
                layers.append(getattr(nn, activation)())
                inputs = width
            self.stages.append(nn.Sequential(*layers, POOLINGS[pooling](2)))
            side //= 2
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(inputs * side * side, classes)

    def maps(self, image: Tensor) -> list[Tensor]:
        """The feature maps of each stage for images (N, C, S, S): (N, widths[0], S // 2, S // 2), (N, widths[1], S // 4, S // 4), ..."""
        maps = [image]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps[1:]

    def forward(self, image: Tensor) -> Tensor:
        """Images (N, C, S, S) less their mean to outputs (N, classes)."""
        flat = self.maps(image)[-1].flatten(1)  # (N, C, H, W) -> (N, C * H * W)
        return self.output(self.dropout(flat))  # type: ignore[no-any-return]


#: classes of torch.nn that compare outputs with a class (False), or with a vector that is 1 there and 0 elsewhere (True)
LOSSES = {
    "CrossEntropyLoss": False, "MultiMarginLoss": False, "BCEWithLogitsLoss": True, "HuberLoss": True, "L1Loss": True,
    "MSELoss": True, "SmoothL1Loss": True,
}  # fmt: skip

POOLINGS = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}


def loss_of(name: str, output: Tensor, label: Tensor) -> Tensor:
    """The loss of torch.nn called ``name`` for outputs (N, K) and labels (N); a key of ``LOSSES``."""
    target = F.one_hot(label, output.shape[1]).to(output) if LOSSES[name] else label  # (N, K) or (N)
    return getattr(nn, name)()(output, target)  # type: ignore[no-any-return]


def optimizer_names() -> list[str]:
    """Optimisers of torch.optim that need nothing but gradients and take weights of any shape."""
    special = ("LBFGS", "Muon", "Optimizer", "SparseAdam")  # asks for the loss again; matrices only; the base; sparse gradients
    classes = {n: c for n, c in vars(torch.optim).items() if isinstance(c, type) and issubclass(c, Optimizer)}
    return sorted(classes.keys() - set(special))


#: classes of torch.nn that change each number by itself and need no argument
Activation = Literal[
    "CELU", "ELU", "GELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "Identity", "LeakyReLU", "LogSigmoid", "Mish",
    "PReLU", "RReLU", "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid", "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink",
]  # fmt: skip
Loss = Literal[
    "CrossEntropyLoss", "MultiMarginLoss", "BCEWithLogitsLoss", "HuberLoss", "L1Loss", "MSELoss", "SmoothL1Loss",
]  # fmt: skip


class Model(Classifier):
    """The network and its settings by name.

    Args:
        widths: filters of each stage; every stage halves the side.
        convolutions: in each stage.
        kernel: side of a filter, odd.
        activation: as torch.nn calls it.
        pooling: ``"max"`` or ``"average"``.
        normalise: batch normalisation after each convolution.
        dropout: share of the flattened features dropped in training.
        loss: one of ``LOSSES``, as torch.nn calls it.
        image_size: side of the images; the linear layer fits no other.
        mean: of the training images, one value or one a channel, in units of [0, 1].

    Raises:
        PaperzooError: an unknown name, or a value out of range.
    """

    def __init__(
        self,
        *,
        widths: Sizes = (32, 64, 128),
        convolutions: Size = 1,
        kernel: Size = 3,
        activation: Activation = "ReLU",
        pooling: Literal["max", "average"] = "max",
        normalise: bool = True,
        dropout: Part = 0.0,
        loss: Loss = "CrossEntropyLoss",
        channels: Size = 1,
        classes: Size = 10,
        image_size: Pixels = 28,
        mean: Sequence[float] = (0.0,),
    ) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise PaperzooError(f"kernel of cnn must be odd, or no pixel is in its middle; it is {kernel}")
        if image_size >> len(widths) < 1:
            raise PaperzooError(f"images of {image_size} pixels vanish in {len(widths)} stages of cnn that halve them: set model.widths")
        if len(mean) not in (1, channels):
            raise PaperzooError(f"mean of cnn has one value or one for each of {channels} channels, not {len(mean)}")
        self.channels, self.image_size, self.loss = channels, image_size, loss
        self.mean: Tensor
        self.register_buffer("mean", torch.tensor(mean).reshape(1, -1, 1, 1))  # (1, C, 1, 1)
        self.network = ConvNet(
            widths, convolutions, kernel, activation, pooling, normalise, dropout, channels, classes, image_size
        )

    def forward(self, image: Tensor) -> Tensor:
        """Outputs (N, classes), the largest at the likeliest class, for images (N, C, S, S) in [0, 1]."""
        return self.network(image - self.mean)  # type: ignore[no-any-return]

    def optimizers(
        self,
        *,
        name: str = "AdamW",
        lr: NotNegative = 6e-3,
        arguments: Mapping[str, object] | None = None,
        rise: Part = 0.25,
    ) -> Optimizers:
        """One optimiser for all parameters.

        Args:
            name: as torch.optim calls it.
            lr: the highest rate.
            arguments: what else it takes, such as ``{"momentum": 0.9}``.
            rise: the share of the steps in which the rate rises linearly; then it falls along a cosine to 0.

        Raises:
            PaperzooError: an unknown name, or arguments that this optimiser does not take.
        """
        if name not in (legal := optimizer_names()):
            raise unknown("optimizer", name, legal, "of cnn")
        if not isinstance(arguments or {}, Mapping):
            raise PaperzooError(f'optimizer.arguments of cnn is written {{"momentum": 0.9}}, not {arguments!r}')
        try:
            return {"network": (getattr(torch.optim, name)(self.network.parameters(), lr=lr, **(arguments or {})), one_cycle(rise))}
        except (TypeError, ValueError) as error:
            settings = ", ".join(f"{key}={value}" for key, value in {"lr": lr, **(arguments or {})}.items())
            raise PaperzooError(f"torch.optim.{name} does not take {settings}: {error}") from error

    def step(self, batch: Batch, opt: Players) -> None:
        """One step on a batch."""
        opt.network.minimize(loss_of(self.loss, self(batch.image), batch.label))

    def show(self, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        """The task's pictures, the filters of the first layer, what each stage makes of one image, and what excites its filters most."""
        assert isinstance(self.network, ConvNet)
        paths, items = super().show(dataset, split, folder, stem), dataset[split]
        image = items.batch(range(min(1000, len(items)))).image.to(self.mean.device)
        stages = [stage.float() for stage in self.network.maps(image - self.mean)]  # each (N, K, H, W)
        weight = next(m.weight for m in self.modules() if isinstance(m, nn.Conv2d)).detach().float()  # (K, C, k, k)
        return [
            *paths,
            draw.filters(weight, self.channels == 3, folder / f"{stem}-filters.png"),
            draw.maps(image[:1], [stage[0, :12] for stage in stages], folder / f"{stem}-maps.png"),
            draw.excited(image, stages, draw.fields(self.network.stages), folder / f"{stem}-excited.png"),
        ]


_DEEP = {"widths": (64, 128, 256), "convolutions": 2}
VARIANTS: dict[str, dict[str, object]] = {
    "cnn": {},
    "plain": {"normalise": False},
    "linear": {"normalise": False, "activation": "Identity", "pooling": "average"},
    "deep": _DEEP,
}

_PHOTOGRAPHS = {"name": "SGD", "lr": 0.1, "arguments": {"momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}}

RECIPES = {
    "paper-fashion-mnist": Recipe(
        data="fashion-mnist",
        steps=7030,
        batch_size=256,
        train_on="train+validation",
        augment=("shift2", "flip"),
        variants=("cnn", "plain", "linear"),
        note="30 passes; no paper stands behind this or the two recipes below: they are common settings",
    ),
    "paper-cifar10": Recipe(
        data="cifar10",
        steps=11_720,
        batch_size=128,
        train_on="train+validation",
        augment=("crop4", "flip"),
        model={"mean": (0.4914, 0.4822, 0.4465), "dropout": 0.2},
        optimizer=_PHOTOGRAPHS,
        variants=("deep",),
        note="30 passes",
    ),
    "paper-cifar100": Recipe(
        data="cifar100",
        steps=23_440,
        batch_size=128,
        train_on="train+validation",
        augment=("crop4", "flip"),
        model={"mean": (0.5071, 0.4866, 0.4409), "dropout": 0.2},
        optimizer=_PHOTOGRAPHS,
        variants=("deep",),
        note="60 passes",
    ),
    "small": Recipe(
        data="mnist",
        steps=1640,
        batch_size=256,
        train_on="train+validation",
        augment=("shift2",),
        variants=("cnn", "plain", "linear"),
        targets=(Target("error %", at_most=0.6, variants=("cnn",)),),
        note="7 passes",
    ),
    "small-sprites": Recipe(
        data="sprites",
        steps=800,
        batch_size=64,
        augment=("crop4", "flip"),
        model={"image_size": 32},
        variants=("cnn",),
        note="fantasy figures by race, in colour; the same batches as resnet's small-sprites",
    ),
    "small-sounds": Recipe(
        data="spoken-digits-4k#spectrogram=32",
        steps=900,
        batch_size=64,
        augment=("shift2",),
        model={"image_size": 32, "dropout": 0.3},
        variants=("cnn",),
        targets=(Target("error %", at_most=2),),
        note="the judge zoo-sounds: which digit a synthetic voice says that it was not trained on",
    ),
    "smoke": Recipe(data="digits", steps=60, batch_size=64, model={"widths": (8, 16, 32), "channels": 1, "image_size": 8}),
}
