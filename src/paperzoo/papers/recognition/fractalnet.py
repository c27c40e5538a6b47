"""FractalNet: Ultra-Deep Neural Networks without Residuals (Larsson, Maire and Shakhnarovich, 2016).

Deep networks without a single shortcut, by repeating one rule. A fractal of one column is a convolution; one of C + 1 columns
is the fractal of C columns twice in a row, beside one convolution, joined by the mean:

    f_1(z) = conv(z),        f_{C+1}(z) = [(f_C o f_C)(z)] (+) [conv(z)]                                        (section 2)

So column c has 2^(c-1) convolutions between a block's two ends, and columns meet wherever they end in the same row; joins that
touch are one join of all. Five blocks, each followed by pooling, make the network; with C = 3 its longest way is 20 layers.

Drop-path keeps the columns from leaning on one another. Half of the mini-batches are *local*: each join drops each input with
15 %, but never all. The other half are *global*: one column, drawn anew, is the whole network. So every column alone becomes a
network that works, and the deepest one, cut out, is a plain network of 20 layers that could not have been trained so well.

Read ``joins`` (who meets where), then ``FractalBlock.forward``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from annotated_types import Ge, Le
from torch import Tensor, nn
from torch.optim import SGD

from paperzoo.data import Batch, Dataset
from paperzoo.errors import PaperzooError
from paperzoo.nn.dropout import Dropout
from paperzoo.ranges import NotNegative, Part, Pixels, Share, Size
from paperzoo.records import Recipe, Target
from paperzoo.tasks.classification import Classifier
from paperzoo.tasks.model import Optimizers, Players


def joins(columns: int) -> list[list[int]]:
    """The columns joined in each of the 2^(C-1) rows: the columns c (from 0) whose convolutions, 2^(C-1-c) rows high, end there."""
    rows = 2 ** (columns - 1)
    return [[c for c in range(columns) if row % (rows >> c) == 0] for row in range(1, rows + 1)]


#: of each block, of each row: the columns whose outputs the join takes in
Paths = Sequence[Sequence[Sequence[int]]]


def one_column(column: int, columns: int, blocks: int) -> list[list[list[int]]]:
    """The paths of a network that is one column (from 0, the deepest last) in each of its blocks."""
    return [[[c for c in ends if c == column] for ends in joins(columns)]] * blocks


def draw_paths(chance: Sequence[float], columns: int, blocks: int, local_drop: float, global_share: float) -> Paths:
    """The paths of one mini-batch (section 3).

    Args:
        chance: uniform numbers in [0, 1): one that says global or local, one for the column, one for each input of each join.
        local_drop: how often an input of a join is dropped. Where all would be, one, any of them, stays.
        global_share: of the mini-batches that are one column.
    """
    kind, which, *others = chance
    if kind < global_share:
        return one_column(int(which * columns), columns, blocks)
    numbers = iter(others)

    def survivors(ends: Sequence[int]) -> list[int]:
        luck = {c: next(numbers) for c in ends}
        return [c for c in ends if luck[c] >= local_drop] or [max(ends, key=luck.__getitem__)]

    return [[survivors(ends) for ends in joins(columns)] for _ in range(blocks)]


def join(outputs: Sequence[Tensor]) -> Tensor:
    """The mean, element by element, of those inputs that are there; all (N, C, H, W)."""
    return outputs[0] if len(outputs) == 1 else torch.stack(list(outputs)).mean(0)


class Conv(nn.Module):
    """3x3 convolution, dropout, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.dropout = Dropout(dropout)
        self.bn = nn.BatchNorm2d(outputs)
        nn.init.xavier_normal_(self.conv.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W)."""
        return F.relu(self.bn(self.dropout(self.conv(x))))


class FractalBlock(nn.Module):
    """f_C, with 2x2 pooling before its last join, which is where the paper moves it."""

    def __init__(self, inputs: int, outputs: int, columns: int, dropout: float) -> None:
        super().__init__()
        self.rows = 2 ** (columns - 1)
        self.columns = nn.ModuleList(
            nn.ModuleList(Conv(outputs if index else inputs, outputs, dropout) for index in range(2**c)) for c in range(columns)
        )

    def forward(self, x: Tensor, paths: Sequence[Sequence[int]]) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / 2, W / 2), rounded up.

        Args:
            paths: of each row, the columns that its join takes in. What no join asks for is not computed.
        """
        wanted = {self.rows}  # rows whose join is asked for, from the last one back
        for row in range(self.rows, 0, -1):
            if row in wanted:
                wanted |= {row - (self.rows >> c) for c in paths[row - 1]}
        joined = {0: x}
        for row in sorted(wanted - {0}):
            outputs = []
            for c in paths[row - 1]:
                height = self.rows >> c  # rows that a convolution of this column spans
                layers = self.columns[c]
                assert isinstance(layers, nn.ModuleList)
                y = layers[row // height - 1](joined[row - height])
                outputs.append(F.max_pool2d(y, 2, ceil_mode=True) if row == self.rows else y)
            joined[row] = join(outputs)
        return joined[self.rows]


class FractalNet(nn.Module):
    """Blocks of w, 2w, 4w, 8w, 8w, ... channels with dropout rising from 0, the mean of what is left, one linear layer."""

    def __init__(self, columns: int, blocks: int, width: int, dropout: float, channels: int, classes: int) -> None:
        super().__init__()
        widths = [channels, *(width * min(2**b, 8) for b in range(blocks))]
        rates = [dropout * b / max(1, blocks - 1) for b in range(blocks)]  # 0, 10, 20, 30, 40 %
        self.blocks = nn.ModuleList(
            FractalBlock(before, after, columns, rate) for before, after, rate in zip(widths, widths[1:], rates, strict=False)
        )
        self.output = nn.Linear(widths[-1], classes)
        nn.init.xavier_normal_(self.output.weight)
        nn.init.zeros_(self.output.bias)
        self.whole = [joins(columns)] * blocks

    def forward(self, image: Tensor, paths: Paths | None = None) -> Tensor:
        """Images less their mean (N, C, H, W) to logits (N, classes), through all paths or those given."""
        x = image
        for block, live in zip(self.blocks, paths or self.whole, strict=True):
            x = block(x, live)
        return self.output(x.mean((2, 3)))  # type: ignore[no-any-return]  # (N, C, H, W) -> (N, C)


def halvings(iteration: int, total: int) -> float:
    """Divided by 10 whenever what remains of the training has halved: after 1/2, 3/4, 7/8, ... of the steps (section 4)."""
    return float(0.1 ** ((total // (total - iteration)).bit_length() - 1))  # floor(log2(total / remaining))


def common_chance(numbers: int, opt: Players, device: torch.device) -> list[float]:
    """Uniform numbers in [0, 1), the same on every process, so that a mini-batch has one draw however many share it.

    The mean over processes of numbers in [0, 1) is not uniform, but its digits after the first few are.
    """
    return (opt.mean(torch.rand(numbers).to(device)) * 256 % 1).tolist()


class Model(Classifier):
    """A fractal network, drop-path, and stochastic gradient descent.

    Args:
        columns: C, from 1 (a plain network) to 6; ``blocks * 2^(C-1)`` layers deep.
        blocks: fractals in a row, each ending in a pooling.
        width: channels of the first block; 64 in the paper.
        dropout: rate of the last block; it rises in equal steps from 0 in the first.
        local_drop: how often a join drops an input, in local mini-batches.
        global_share: of the mini-batches that train one column alone; the others are local.
        image_size: height and width trained on; the network itself takes any.
        mean: of the training images, one value or one a channel, in units of [0, 1].

    Raises:
        PaperzooError: an argument is out of range.
    """

    def __init__(
        self,
        *,
        columns: Annotated[int, Ge(1), Le(6)] = 3,
        blocks: Size = 5,
        width: Size = 64,
        dropout: Part = 0.4,
        local_drop: Part = 0.15,
        global_share: Share = 0.5,
        channels: Size = 3,
        classes: Size = 10,
        image_size: Pixels = 32,
        mean: Sequence[float] = (0.0,),
    ) -> None:
        super().__init__()
        if len(mean) not in (1, channels):
            raise PaperzooError(f"mean of fractalnet has one value or one for each of {channels} channels, not {len(mean)}")
        self.columns, self.blocks, self.channels, self.image_size = columns, blocks, channels, image_size
        self.local_drop, self.global_share = local_drop, global_share
        self.mean: Tensor
        self.register_buffer("mean", torch.tensor(mean).reshape(1, -1, 1, 1))  # (1, C, 1, 1)
        self.network = FractalNet(columns, blocks, width, dropout, channels, classes)

    def forward(self, image: Tensor, column: int | None = None) -> Tensor:
        """Logits (N, classes) of images (N, C, H, W) in [0, 1]; of one column alone if ``column`` (1 to C, the deepest) is given.

        Raises:
            PaperzooError: there is no such column.
        """
        if column is not None and not 1 <= column <= self.columns:
            raise PaperzooError(f"fractalnet has columns 1 to {self.columns}, the last the deepest, but no column {column}")
        paths = None if column is None else one_column(column - 1, self.columns, self.blocks)
        return self.network(image - self.mean, paths)  # type: ignore[no-any-return]

    def optimizers(self, *, lr: NotNegative = 0.02, momentum: Part = 0.9) -> Optimizers:
        """SGD on all parameters (section 4)."""
        return {"network": (SGD(self.network.parameters(), lr, momentum), halvings)}

    def step(self, batch: Batch, opt: Players) -> None:
        """Draws the paths of the mini-batch, and takes one step on the cross-entropy."""
        inputs = sum(map(len, joins(self.columns))) * self.blocks
        chance = common_chance(2 + inputs, opt, batch.image.device)
        paths = draw_paths(chance, self.columns, self.blocks, self.local_drop, self.global_share)
        opt.network.minimize(F.cross_entropy(self.network(batch.image - self.mean, paths), batch.label))

    def measure(self, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """``error %`` and ``loss`` of the whole network, and ``deepest column error %`` of its last column alone."""
        metrics, wrong, items = super().measure(dataset, split, judge), 0, dataset[split]
        for indices in items.batches(500):
            batch = items.batch(indices).to(self.mean.device)
            wrong += int((self(batch.image, column=self.columns).argmax(1) != batch.label).sum())
        return {**metrics, "deepest column error %": 100 * wrong / len(items)}


VARIANTS: dict[str, dict[str, object]] = {
    "fractal20": {},
    "fractal40": {"columns": 4},
    "undropped": {"dropout": 0.0, "local_drop": 0.0, "global_share": 0.0},
}

RECIPES = {
    "paper": Recipe(
        data="cifar10",
        steps=200_000,
        batch_size=100,
        train_on="train+validation",
        augment=("crop4", "flip"),
        model={"mean": (0.4914, 0.4822, 0.4465)},
        targets=(
            Target("error %", at_most=4.60, claim="fractal20-cifar10-augmented", variants=("fractal20",)),
            Target("error %", at_most=5.22, claim="undropped-cifar10-augmented", variants=("undropped",)),
        ),
        note="400 epochs of 50,000 images",
    ),
    "small": Recipe(
        data="mnist-5k",
        steps=800,
        batch_size=64,
        augment=("shift2",),
        model={"width": 16, "dropout": 0.0},
        optimizer={"lr": 0.05},
        targets=(Target("error %", at_most=2, variants=("fractal20",)),),
        note="5,000 digits at 28x28, a quarter of the width; compare the deepest column of fractal20 and of undropped",
    ),
    "small-long": Recipe(
        data="mnist-5k",
        steps=1600,
        batch_size=64,
        augment=("shift2",),
        model={"width": 16, "dropout": 0.1, "global_share": 0.25},
        optimizer={"lr": 0.05},
        targets=(Target("error %", at_most=2, variants=("fractal20",)),),
        variants=("fractal20",),
        note="twice the steps, and every fourth batch global rather than every second",
    ),
    "small-sprites": Recipe(
        data="sprites",
        steps=800,
        batch_size=64,
        augment=("crop4", "flip"),
        model={"image_size": 32, "width": 16, "dropout": 0.0},
        optimizer={"lr": 0.05},
        variants=("fractal20", "undropped"),
        note="fantasy figures by race, in colour",
    ),
    "smoke": Recipe(
        data="digits",
        steps=60,
        model={"blocks": 3, "width": 8, "dropout": 0.1, "channels": 1, "image_size": 8},
        optimizer={"lr": 0.05},
    ),
}
