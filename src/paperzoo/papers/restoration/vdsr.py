"""VDSR: twenty layers learn what the bicubic kernel has left out of a photograph, at several scales at once (Kim et al. 2015).

A photograph enlarged by the bicubic kernel, x, is nearly the sharp one, y. A network of three layers (SRCNN) has to carry x through
to its end, sees 13 pixels, and is trained for one scale. Here twenty layers see 41, and learn the difference r(x) alone (section 3.2):

    f(x) = x + r(x),    1/2 ||y - f(x)||^2    averaged over the training set

So deep a network is trained in hours, not days, by rates a thousand times larger. They would make gradients explode, so each of them
is clipped to [-theta / gamma, theta / gamma], gamma being the present rate: no weight moves by more than theta in a step, and where the
rate has fallen, the gradients that it can bear are let through (``adjustable``). Read ``VDSR`` beside figure 1, then ``Model.step``.
One network learns all scales that its data have: r does not see by how much x was enlarged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from annotated_types import Ge, MinLen
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from paperzoo.data import Batch
from paperzoo.data.bicubic import REACH, enlarge
from paperzoo.errors import PaperzooError
from paperzoo.metrics.restoration import without_border
from paperzoo.nn.schedules import steps
from paperzoo.ranges import NotNegative, Part, Pixels, Positive, Share, Size
from paperzoo.records import Recipe, Target
from paperzoo.tasks.model import Optimizers, Players
from paperzoo.tasks.restoration import SuperResolver


class VDSR(nn.Module):
    """Luminances (N, 1, H, W), enlarged already, to sharp ones of the same shape: figure 1. Zeros are beyond the border (section 3.1)."""

    def __init__(self, depth: int, width: int) -> None:
        super().__init__()
        sides = [1, *[width] * (depth - 1), 1]
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in zip(sides[:-1], sides[1:], strict=True))
        for layer in self.layers:
            assert isinstance(layer, nn.Conv2d) and layer.bias is not None
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # section 4.2
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        *hidden, last = self.layers
        r = x
        for layer in hidden:
            r = layer(r).relu()
        r = last(r)
        return x + r  # type: ignore[no-any-return]


def euclidean(restored: Tensor, original: Tensor) -> Tensor:
    """Section 3.2: half the sum over an image's pixels of squared errors, averaged over the images of two batches (N, ...)."""
    return (restored - original).square().flatten(1).sum(1).mean() / 2


def adjustable(theta: float) -> Callable[..., None]:
    """Section 3.2: called before each step of an optimiser, clips each gradient to [-theta / gamma, theta / gamma] at its rate gamma."""

    def clip(optimizer: Optimizer, *_: Any) -> None:
        for group in optimizer.param_groups:
            if gamma := group["lr"]:
                nn.utils.clip_grad_value_(group["params"], theta / gamma)

    return clip


class Model(SuperResolver):
    """One VDSR for one or several scales.

    Args:
        scales: by how much it enlarges; as many as the data have.
        depth: convolutions, D: it sees 2 D + 1 pixels along each side.
        width: filters of each but the last.
        image_size: side of the squares that it is trained on, at high resolution. As many pixels of them as the kernel sees beyond a
            square, 2 ``scale`` on each side, are not used.

    Raises:
        PaperzooError: squares of which nothing is left.
    """

    def __init__(
        self,
        *,
        scales: Annotated[Sequence[Literal[2, 3, 4]], MinLen(1)] = (2, 3, 4),
        depth: Annotated[Size, Ge(2)] = 20,
        width: Size = 64,
        image_size: Pixels = 60,
    ) -> None:
        super().__init__()
        self.scales = tuple(scales)
        self.network = VDSR(depth, width)
        least = 2 * REACH * (largest := max(self.scales))
        if image_size <= least:
            raise PaperzooError(f"model.image_size is {image_size}, of which nothing is left at x{largest}: it is more than {least}")

    def optimizers(
        self,
        *,
        lr: NotNegative = 0.1,
        momentum: Part = 0.9,
        weight_decay: NotNegative = 1e-4,
        theta: Positive = 1e-4,
        drops: Sequence[Share] = (0.25, 0.5, 0.75),
    ) -> Optimizers:
        """Gradient descent with momentum, and adjustable clipping (section 3.2).

        Args:
            lr: at first; divided by 10 after the shares ``drops`` of the steps: each 20 of 80 epochs.
            theta: by how much a step may move a weight, momentum aside.
        """
        optimizer = SGD(self.network.parameters(), lr, momentum, weight_decay=weight_decay)
        optimizer.register_step_pre_hook(adjustable(theta))
        return {"network": (optimizer, steps(drops))}

    def step(self, batch: Batch, opt: Players) -> None:
        scale = self.scale_of(batch)
        x = enlarge(self.seen(batch.low), scale)  # (N, 1, H, W)
        # the kernel saw a mirror where the photograph goes on beyond the square: such pixels are not those of the whole one
        x, y = (without_border(image, REACH * scale) for image in (x, self.seen(batch.high)))
        opt.network.minimize(euclidean(self.network(x), y))

    def restore(self, image: Tensor, scale: int) -> Tensor:
        restored: Tensor = self.network(enlarge(image, scale))  # (N, 1, h scale, w scale)
        return restored

    def reach(self, scale: int) -> int:
        return REACH - -len(self.network.layers) // scale


VARIANTS: dict[str, dict[str, object]] = {"vdsr": {}}

RECIPES = {
    "paper": Recipe(
        data="291#scale=2,3,4",
        steps=9960,
        batch_size=64,
        model={"image_size": 60},
        augment=("flip",),
        precision="float32",
        targets=tuple(Target(f"psnr x{s} (dB)", at_least=value, claim=f"set5-x{s}") for s, value in ((2, 37.53), (3, 33.66), (4, 31.35))),
        note="80 epochs of some 8,000 squares, as in section 4.2",
    ),
    "small": Recipe(
        data="photographs#scale=2",
        steps=3000,
        batch_size=8,
        model={"image_size": 48, "width": 32},
        targets=(
            Target("gain over bicubic x2 (dB)", at_least=1.2),
            Target("least gain over bicubic x2 (dB)", at_least=0.0),
            Target("psnr x2 (dB)", at_least=0.3, than="srcnn:srcnn:small"),
        ),
        note="half of the filters; theta chosen on validation photographs among 0.00003, 0.0001, 0.0003, 0.001 and 0.003",
    ),
    "smoke": Recipe(
        data="photographs-sklearn#scale=2,3",
        steps=40,
        batch_size=4,
        model={"image_size": 36, "depth": 5, "width": 8},
        precision="float32",
    ),
}

RECIPES |= {
    f"small-x{scale}": RECIPES["small"].but(
        data=f"photographs#scale={scale}",
        targets=(Target(f"psnr x{scale} (dB)", at_least=0, than=f"srcnn:srcnn:small-x{scale}"),),
    )
    for scale in (3, 4)
}

RECIPES["small-scales"] = RECIPES["small"].but(
    data="photographs#scale=2,3,4",
    targets=tuple(Target(f"gain over bicubic x{scale} (dB)", at_least=value) for scale, value in ((2, 0.9), (3, 0.6), (4, 0.4))),
    note="one network for three scales, each of which it sees in a third of the steps",
)
