"""LeNet-5: convolution, subsampling, convolution, subsampling, and the features are learnt (LeCun et al. 1998).

Local receptive fields with shared weights see the same stroke wherever it lies; subsampling forgets where exactly. Two
networks stand here. ``lenet``, which everybody calls LeNet-5 today: ReLU, max pooling, full connections, cross-entropy
over 10 logits; 61,706 parameters. ``lenet:1998``, the one of section II-B: squashing f(a) = 1.7159 tanh(2a/3), trainable
subsampling, a third layer that sees chosen maps only (table I), and Euclidean radial basis functions for output,

    y_i = sum_j (x_j - w_ij)^2        (Eq. 7),

where w_i is a 7x12 picture of the i-th digit: the penalty of class i is how far the 84 features are from that picture.
The criterion of Eq. 9 pulls the right penalty down and, softly, all others up. Read ``LeNet1998.forward`` beside figure 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW

from paperzoo.data import Batch
from paperzoo.errors import PaperzooError
from paperzoo.nn.schedules import one_cycle
from paperzoo.ranges import NotNegative, Size
from paperzoo.records import Recipe, Target
from paperzoo.tasks.classification import Classifier
from paperzoo.tasks.model import Optimizers, Players


class LeNet(nn.Module):
    """Images (N, C, 32, 32) to logits (N, classes), as the name is used today."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(channels, 6, 5)
        self.c3 = nn.Conv2d(6, 16, 5)
        self.c5 = nn.Conv2d(16, 120, 5)
        self.f6 = nn.Linear(120, 84)
        self.output = nn.Linear(84, classes)

    def features(self, image: Tensor) -> Tensor:
        """The input of the last layer, (N, 84)."""
        s2 = F.max_pool2d(self.c1(image).relu(), 2)  # (N, 6, 14, 14)
        s4 = F.max_pool2d(self.c3(s2).relu(), 2)  # (N, 16, 5, 5)
        c5 = self.c5(s4).relu().flatten(1)  # (N, 120)
        f6: Tensor = self.f6(c5).relu()  # (N, 84)
        return f6

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.output(self.features(image))
        return logits


class Subsampling(nn.Module):
    """S2 and S4: each 2x2 block is added up, multiplied by a trainable gain, given a bias and squashed; a pair a map."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.full((maps, 1, 1), 0.25))
        self.bias = nn.Parameter(torch.zeros(maps, 1, 1))

    def forward(self, maps: Tensor) -> Tensor:
        return squash(4 * F.avg_pool2d(maps, 2) * self.gain + self.bias)  # (N, maps, H / 2, W / 2)


# Table I: which of the six maps of S2 each of the sixteen maps of C3 sees.
TABLE_I = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)  # fmt: skip


class PartialConvolution(nn.Module):
    """C3: sixteen 5x5 convolutions, each over the maps that table I gives it; 1,516 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.maps: Sequence[nn.Conv2d] = nn.ModuleList(nn.Conv2d(len(inputs), 1, 5) for inputs in TABLE_I)  # type: ignore[assignment]

    def whole(self) -> Tensor:
        """The weights (16, 6, 5, 5) of one full convolution whose absent connections are zero: one call instead of sixteen."""
        present = torch.cat([conv.weight[0] for conv in self.maps])  # (60, 5, 5)
        place = torch.tensor([6 * index + k for index, inputs in enumerate(TABLE_I) for k in inputs], device=present.device)
        return present.new_zeros(96, 5, 5).index_copy(0, place, present).view(16, 6, 5, 5)

    def forward(self, s2: Tensor) -> Tensor:
        bias = torch.cat([conv.bias for conv in self.maps if conv.bias is not None])
        return F.conv2d(s2, self.whole().to(s2.dtype), bias.to(s2.dtype))


# The ten targets of the output layer, 12 rows of 7 bits each, in hex.
GLYPHS = (
    "1c 36 63 63 63 63 63 63 63 63 36 1c", "0c 1c 3c 6c 0c 0c 0c 0c 0c 0c 0c 7f", "3e 63 03 03 06 0c 18 30 60 60 60 7f",
    "7f 03 06 0c 1e 07 03 03 03 03 63 3e", "06 0e 1e 36 66 66 7f 06 06 06 06 06", "7f 60 60 60 7e 63 03 03 03 03 63 3e",
    "1e 30 60 60 6e 73 63 63 63 63 33 1e", "7f 03 03 06 06 0c 0c 18 18 30 30 30", "3e 63 63 63 36 1c 36 63 63 63 63 3e",
    "3c 66 63 63 63 67 3b 03 03 03 06 3c",
)  # fmt: skip


class LeNet1998(nn.Module):
    """Images (N, 1, 32, 32) to penalties (N, 10): squared distances to the ten digit pictures. 60,000 parameters."""

    targets: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.c1, self.s2 = nn.Conv2d(1, 6, 5), Subsampling(6)
        self.c3, self.s4 = PartialConvolution(), Subsampling(16)
        self.c5, self.f6 = nn.Conv2d(16, 120, 5), nn.Linear(120, 84)
        bits = [[int(b) for row in glyph.split() for b in f"{int(row, 16):07b}"] for glyph in GLYPHS]
        self.register_buffer("targets", 2 * torch.tensor(bits, dtype=torch.float32) - 1)  # (10, 84), -1 or +1
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):  # section II-B: uniform in +-2.4 / fan-in
                fan_in = module.weight[0].numel()
                nn.init.uniform_(module.weight, -2.4 / fan_in, 2.4 / fan_in)
                assert module.bias is not None
                nn.init.uniform_(module.bias, -2.4 / fan_in, 2.4 / fan_in)

    def features(self, image: Tensor) -> Tensor:
        """F6, squashed, (N, 84)."""
        s2 = self.s2(squash(self.c1(image)))  # (N, 6, 14, 14)
        s4 = self.s4(squash(self.c3(s2)))  # (N, 16, 5, 5)
        c5 = squash(self.c5(s4)).flatten(1)  # (N, 120)
        return squash(self.f6(c5))  # (N, 84)

    def forward(self, image: Tensor) -> Tensor:
        return rbf(self.features(image).float(), self.targets)


def squash(a: Tensor) -> Tensor:
    """``1.7159 tanh(2a/3)``: squash(1) = 1 and squash(-1) = -1 (appendix A)."""
    return 1.7159 * torch.tanh(a * (2 / 3))


def rbf(features: Tensor, targets: Tensor) -> Tensor:
    """Eq. 7: squared distances (N, K) of features (N, D) to targets (K, D)."""
    return (features[:, None] - targets[None]).square().sum(2)


def eq9(penalties: Tensor, label: Tensor, j: float = 0.1) -> Tensor:
    """Eq. 9, the maximum a posteriori criterion: ``y_D + log(exp(-j) + sum_i exp(-y_i))``, mean over the batch.

    Args:
        penalties: (N, K), not negative.
        label: (N), the right classes D.
        j: positive; penalties far above it are left alone, so that nothing is pushed away for ever.
    """
    right = penalties.gather(1, label[:, None])[:, 0]  # (N)
    rubbish = penalties.new_full((len(penalties), 1), j)
    return (right + torch.logsumexp(-torch.cat([penalties, rubbish], 1), 1)).mean()


class Model(Classifier):
    """One of the two networks, by ``original``.

    Args:
        original: the network of 1998 instead of today's.
        channels: of the images; 1 for the original.
        classes: number of classes; 10 for the original.
    """

    def __init__(
        self,
        *,
        original: bool = False,
        image_size: Literal[32] = 32,
        channels: Size = 1,
        classes: Size = 10,
    ) -> None:
        super().__init__()
        if original and (channels, classes) != (1, 10):
            raise PaperzooError(f"lenet:1998 needs channels=1 and classes=10, not {channels} and {classes}; lenet takes any")
        self.original, self.image_size, self.channels = original, image_size, channels
        self.names = tuple(str(i) for i in range(classes))
        self.network = LeNet1998() if original else LeNet(channels, classes)

    def optimizers(self, *, lr: NotNegative = 4e-3, weight_decay: NotNegative = 0.02) -> Optimizers:
        """AdamW; the rate rises over the first quarter of the steps, then falls along a cosine."""
        return {"network": (AdamW(self.network.parameters(), lr, weight_decay=weight_decay), one_cycle(0.25))}

    def step(self, batch: Batch, opt: Players) -> None:
        output = self.network(self.scale(batch.image))
        loss = eq9(output, batch.label) if self.original else F.cross_entropy(output, batch.label)
        opt.network.minimize(loss)

    def scale(self, image: Tensor) -> Tensor:
        """[0, 1] to -0.1 (background) .. 1.175 (ink), so that the mean is about 0 and the variance about 1 (section II-B)."""
        return image * 1.275 - 0.1

    def first_layers(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return first_layers(self.network, self.scale(image))

    def forward(self, image: Tensor) -> Tensor:
        output: Tensor = self.network(self.scale(image))
        return -output if self.original else output  # a penalty is the less likely the larger

    def features(self, image: Tensor) -> Tensor:
        """The 84 features under the output, (N, 84), for images in [0, 1]."""
        assert isinstance(self.network, LeNet | LeNet1998)
        return self.network.features(self.scale(image))

    def head(self, features: Tensor) -> Tensor:
        """Logits from ``features``."""
        if isinstance(self.network, LeNet1998):
            return -rbf(features, self.network.targets)
        assert isinstance(self.network, LeNet)
        logits: Tensor = self.network.output(features)
        return logits


def first_layers(network: nn.Module, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The filters of C1 (6, C, 5, 5), and what C1 (N, 6, 28, 28) and S2 (N, 6, 14, 14) make of scaled images (N, C, 32, 32)."""
    if isinstance(network, LeNet1998):
        maps = squash(network.c1(image))
        return network.c1.weight, maps, network.s2(maps)
    assert isinstance(network, LeNet)
    maps = network.c1(image).relu()
    return network.c1.weight, maps, F.max_pool2d(maps, 2)


VARIANTS: dict[str, dict[str, object]] = {"lenet": {}, "1998": {"original": True}, "1998-marquardt": {"class": "lenet_marquardt.Model"}}

RECIPES = {
    "paper": Recipe(
        data="mnist",
        steps=2400,
        batch_size=500,
        train_on="train+validation",
        model={"image_size": 32},
        precision="float32",
        targets=(Target("error %", at_most=1.05, claim="1998"),),
        variants=("1998-marquardt",),
        note="20 passes over all 60,000 digits, one at a time, 500 a step; the target is the claim and its deviation",
    ),
    "paper-adamw": Recipe(
        data="mnist",
        steps=9380,
        batch_size=128,
        train_on="train+validation",
        model={"image_size": 32},
        optimizer={"lr": 0.02},
        precision="float32",
        targets=(Target("error %", at_most=1.05, claim="1998"),),
        variants=("1998",),
        note="as many passes with an optimiser of today; it stays held to the paper's figure",
    ),
    "small": Recipe(
        data="mnist",
        steps=6250,
        batch_size=128,
        train_on="train+validation",
        model={"image_size": 32},
        precision="float32",
        targets=(Target("error %", at_most=0.9),),
        variants=("lenet",),
        note="13 passes",
    ),
    "small-1998": Recipe(
        data="mnist",
        steps=5600,
        batch_size=128,
        train_on="train+validation",
        model={"image_size": 32},
        optimizer={"lr": 0.02},
        precision="float32",
        targets=(Target("error %", at_most=0.9),),
        variants=("1998",),
        note="12 passes; the rate was chosen on validation data among 0.001, 0.01, 0.02 and 0.04",
    ),
    "smoke": Recipe(
        data="digits",
        steps=40,
        batch_size=64,
        model={"image_size": 32},
        precision="float32",
        variants=("lenet", "1998"),
    ),
    "smoke-marquardt": Recipe(
        data="digits", steps=12, batch_size=16, model={"image_size": 32, "every": 4}, optimizer={"scale": 10.0}, precision="float32",
        variants=("1998-marquardt",),
    ),
}
