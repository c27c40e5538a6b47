"""EAT-NAS: Elastic Architecture Transfer for Accelerating Large-scale Neural Architecture Search (Fang et al., 2019).

A search trains thousands of networks, which few can pay for on ImageNet. So search on a small task, and carry the best
*architecture*, not its weights, over to the large one: its neighbours are the first population there (``eat_nas_search``). Both
share one space, elastic in depth and width: seven blocks in MobileNetV2's frame, each of five choices, its primitives:

    kind      sep, a depthwise and a 1x1 convolution; mb3, mb6, MobileNetV2's inverted residual, spread 3- or 6-fold
    kernel    3, 5, 7, of the depthwise convolution            depth    1, 2, 3, 4 layers, the first of which may halve the image
    skip      0, 1: a shortcut round each layer                width    0.5, 1, 1.5, 2 times MobileNetV2's channels there

(3 * 3 * 2 * 4 * 4)^7 = 4e17 networks. As text a block is ``mb6k3s1w1.5d2``, a network seven of them joined by ``_``; ``code`` is
that text, ``eat_nas_search`` how it changes. A child starts from its parent's weights, wherever its layers have a place for them.
Read ``Layer.forward``, ``Network``, then ``share``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from annotated_types import Ge, Le
from torch import Tensor, nn
from torch.optim import SGD

from paperzoo.data import Batch
from paperzoo.errors import PaperzooError
from paperzoo.nn.dropout import Dropout
from paperzoo.nn.pixels import IMAGENET_MEAN, IMAGENET_STD, per_channel
from paperzoo.nn.schedules import cosine
from paperzoo.papers.recognition.eat_nas_search import Block, parsed, written
from paperzoo.ranges import NotNegative, Part, Pixels, Positive, Size, Sizeable, Sizes
from paperzoo.records import Recipe, Target
from paperzoo.tasks.classification import Classifier
from paperzoo.tasks.model import Optimizers, Players


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, relu: bool = True) -> nn.Sequential:
    """Convolution, batch normalisation, and a ReLU if wanted: (N, inputs, H, W) to (N, outputs, H / stride, W / stride), rounded up."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    norm = nn.BatchNorm2d(outputs, eps=2e-5)  # its momentum, 0.9 of the old statistics stay, is torch's own
    return nn.Sequential(conv, norm, *([nn.ReLU()] if relu else []))


#: of MobileNetV2's seven blocks (1801.04381, table 2): channels, and the stride of the first layer
CHANNELS, STRIDES = (16, 24, 32, 64, 96, 160, 320), (1, 2, 2, 2, 1, 2, 1)
#: how many times a layer's depthwise convolution has its inputs' channels
SPREAD = {"sep": 1, "mb3": 3, "mb6": 6}


class Layer(nn.Module):
    """One layer of a block. ``spread`` is missing in ``sep``; ``gather`` ends in a ReLU there, and is linear otherwise.

    A shortcut, if there is one, is the input itself where shapes are equal; elsewhere a 1x1 convolution makes them so.
    """

    def __init__(self, kind: str, inputs: int, outputs: int, kernel: int, stride: int, skip: bool) -> None:
        super().__init__()
        hidden, equal = SPREAD[kind] * inputs, stride == 1 and inputs == outputs
        self.spread = None if kind == "sep" else convolution(inputs, hidden, 1)
        self.depthwise = convolution(hidden, hidden, kernel, stride, groups=hidden)
        self.gather = convolution(hidden, outputs, 1, relu=kind == "sep")
        self.skip = skip
        self.shortcut = convolution(inputs, outputs, 1, stride, relu=False) if skip and not equal else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride), rounded up."""
        h = x if self.spread is None else self.spread(x)
        h = self.gather(self.depthwise(h))
        if not self.skip:
            return h  # type: ignore[no-any-return]
        return h + (x if self.shortcut is None else self.shortcut(x))  # type: ignore[no-any-return]


class Network(nn.Module):
    """The network of a code: a 3x3 convolution, the blocks, a 1x1 convolution, the mean over positions, one linear layer.

    Args:
        channels: of each block, before its own factor; ``strides``: of each block's first layer.
        width: on all channels but those of the last convolution.
        head: channels of the last 1x1 convolution; 0: there is none.
        halvings: how many of the stem and the blocks with stride 2 keep it; the first ones lose it.
    """

    def __init__(
        self, code: Sequence[Block], channels: Sequence[int], strides: Sequence[int], width: float, head: int, halvings: int,
        colours: int, classes: int, dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        skipped = 1 + sum(s > 1 for s in strides) - halvings

        def stride(wanted: int) -> int:
            nonlocal skipped
            skipped -= wanted - 1
            return 1 if skipped >= 0 else wanted

        inputs = max(1, int(32 * width))
        self.stem = convolution(colours, inputs, 3, stride(2))
        self.blocks = nn.ModuleList()
        for block, base, step in zip(code, channels, strides, strict=True):
            outputs, layers = max(1, int(base * block.width * width)), []
            for number in range(block.depth):
                layers.append(Layer(block.kind, inputs, outputs, block.kernel, stride(step) if number == 0 else 1, bool(block.skip)))
                inputs = outputs
            self.blocks.append(nn.Sequential(*layers))
        self.head = convolution(inputs, head, 1) if head else nn.Identity()
        self.classifier = nn.Sequential(Dropout(dropout), nn.Linear(head or inputs, classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        """Normalised images (N, C, H, W) to logits (N, classes)."""
        x = self.stem(image)
        for block in self.blocks:
            x = block(x)
        return self.classifier(self.head(x).mean((2, 3)))  # type: ignore[no-any-return]  # (N, 1280, H', W') -> (N, 1280)


def multiply_adds(model: nn.Module, image: Tensor) -> int:
    """Multiplications, each with its addition, of convolutions and linear layers for the first image of (N, C, H, W).

    On the meta device nothing is computed. What normalises, adds or pools is not counted, as is the custom.
    """
    total = 0

    def add(layer: nn.Module, inputs: Any, output: Tensor) -> None:
        nonlocal total
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        total += output[0].numel() * layer.weight[0].numel()

    handles = [m.register_forward_hook(add) for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    try:
        with torch.no_grad():
            model(image)
    finally:
        for handle in handles:
            handle.remove()
    return total


def overlap(parent: Tensor, child: Tensor) -> None:
    """Copies what two tensors of as many dimensions have in common, in place.

    That is the first entries of the first two dimensions, channels out and in, and the middle of the others, a kernel's sides.
    """
    theirs, ours = [], []
    for place, (a, b) in enumerate(zip(parent.shape, child.shape, strict=True)):
        both = min(a, b)
        before = [(side - both) // 2 if place > 1 else 0 for side in (a, b)]
        theirs.append(slice(before[0], before[0] + both))
        ours.append(slice(before[1], before[1] + both))
    child[tuple(ours)] = parent[tuple(theirs)]


def share(parent: Network, child: Network) -> None:
    """The child starts from the parent's weights and statistics, in place; what the parent has none for stays as it is.

    Stem, head and classifier are matched as they are, layers by their place within their block, if both are separable or both
    inverted residuals. Narrower tensors take the first channels, smaller kernels the middle. A parent with the child's code
    makes the child the same function.
    """
    pairs: list[tuple[nn.Module, nn.Module]] = [(getattr(parent, n), getattr(child, n)) for n in ("stem", "head", "classifier")]
    for ours, theirs in zip(parent.blocks, child.blocks, strict=True):
        assert isinstance(ours, nn.Sequential) and isinstance(theirs, nn.Sequential)
        for a, b in zip(ours, theirs, strict=False):
            assert isinstance(a, Layer) and isinstance(b, Layer)
            if (a.spread is None) == (b.spread is None):
                pairs.append((a, b))
    with torch.no_grad():
        for source, target in pairs:
            state = source.state_dict()
            for name, tensor in target.state_dict().items():
                if name in state:
                    overlap(state[name], tensor)


#: MobileNetV2 itself as near as the space has it: its first block spreads 6-fold instead of not at all
MOBILENET_V2 = written([Block("mb6", 3, 1, 1.0, depth) for depth in (1, 2, 3, 4, 3, 3, 1)])
#: EATNet-A as a third party's table has it, six stages in the channels that are printed there: see the record
EATNET_A: dict[str, object] = {
    "code": "mb6k3s0w1d2_sepk5s0w1d2_mb6k3s0w1d3_mb6k7s0w1d4_mb6k3s0w1d4_mb6k3s0w1d1",
    "stages": (32, 64, 64, 112, 256, 512),
    "strides": (1, 2, 1, 2, 1, 2),
    "head": 0,
    "halvings": 4,
}


class Model(Classifier):
    """A network of the space, trained by SGD.

    Args:
        code: the architecture as text: seven blocks, or as many as ``stages``.
        stages: channels of each block before its factor; ``strides``: of each block's first layer, 1 or 2.
        width: a multiplier on all channels but the head's.
        head: channels of the last 1x1 convolution; 0 leaves it out.
        halvings: how many of the layers with stride 2, the stem's among them, keep it; the first ones lose it.
        image_size: height and width trained on; the network itself takes any.
        dropout: share of the last features dropped in training; smoothing: of the labels.
        mean, std: of the training images, one value or one a channel, in units of [0, 1].

    Raises:
        PaperzooError: an argument is out of range, the code cannot be read, or has another number of blocks.
    """

    def __init__(
        self,
        *,
        code: str = MOBILENET_V2,
        stages: Sizes = CHANNELS,
        strides: Sequence[Annotated[int, Ge(1), Le(2)]] = STRIDES,
        width: Positive = 1.0,
        head: Sizeable = 1280,
        halvings: Annotated[int, Ge(0), Le(8)] = 5,
        channels: Size = 3,
        classes: Size = 1000,
        image_size: Pixels = 224,
        dropout: Part = 0.2,
        smoothing: Part = 0.1,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[Positive] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        self.channels, self.image_size, self.smoothing, self.code = channels, image_size, smoothing, parsed(code)
        if not len(self.code) == len(stages) == len(strides):
            raise PaperzooError(f"code has {len(self.code)} blocks, stages {len(stages)} and strides {len(strides)}: they must be as many")
        if halvings > (there := 1 + sum(s > 1 for s in strides)):
            raise PaperzooError(f"model.halvings must be at most {there}, the stem and the strides of 2, not {halvings}")
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", per_channel("mean of eat_nas", mean, channels))  # (1, C, 1, 1)
        self.register_buffer("std", per_channel("std of eat_nas", std, channels))
        self.network = Network(self.code, stages, strides, width, head, halvings, channels, classes, dropout)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, C, H, W) in [0, 1]."""
        return self.network((image - self.mean) / self.std)  # type: ignore[no-any-return]

    def optimizers(self, *, lr: NotNegative = 0.1, momentum: Part = 0.9, weight_decay: NotNegative = 4e-5) -> Optimizers:
        """SGD with momentum; the rate falls along half a cosine to 0."""
        return {"network": (SGD(self.network.parameters(), lr, momentum, weight_decay=weight_decay), cosine())}

    def step(self, batch: Batch, opt: Players) -> None:
        """One step on the cross-entropy of a batch."""
        opt.network.minimize(F.cross_entropy(self(batch.image), batch.label, label_smoothing=self.smoothing))


VARIANTS: dict[str, dict[str, object]] = {"mobilenetv2": {}, "a": EATNET_A}

#: a quarter of the channels, for little images; ``paperzoo study eat_nas`` searches among networks of an eighth
LITTLE: dict[str, object] = {
    "width": 0.25, "head": 64, "channels": 1, "classes": 10, "dropout": 0.0, "smoothing": 0.0, "mean": (0.0,), "std": (1.0,),
}  # fmt: skip

RECIPES = {
    "paper": Recipe(
        data="imagenet",
        steps=500_000,
        batch_size=512,
        augment=("crop224", "flip"),
        note="200 epochs; not run here: ImageNet cannot be fetched without registration",
    ),
    "small": Recipe(
        data="mnist-5k",
        steps=600,
        batch_size=64,
        augment=("shift2",),
        model={**LITTLE, "image_size": 16, "halvings": 2},
        variants=("mobilenetv2",),
        targets=(Target("error %", at_most=3.0),),
        note="5,000 digits at 16x16; a single network of the space, not a search",
    ),
    "smoke": Recipe(
        data="digits",
        steps=20,
        batch_size=32,
        model={**LITTLE, "image_size": 8, "halvings": 1, "code": "_".join(["mb3k3s1w1d1", "sepk5s1w0.5d1", *["mb3k3s1w0.5d1"] * 5])},
        precision="float32",
        variants=("mobilenetv2",),
    ),
}
