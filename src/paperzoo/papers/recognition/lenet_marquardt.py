"""How LeNet-5 was trained in 1998: one digit at a time, each weight at a rate of its own (LeCun et al. 1998, appendix C).

The stochastic diagonal Levenberg-Marquardt method divides a global rate eta by how sharply the criterion bends along each weight,

    w_k <- w_k - eta / (mu + h_kk) dE/dw_k,        h_kk = mean over digits of the sum over the places that share w_k of d2E/du_ij2,

with second derivatives propagated backwards like first ones, through squares and without the terms that may be negative (Gauss-Newton):

    d2E/du_ij2 = d2E/da_i2 x_j^2,    d2E/dx_j2 = sum_i d2E/da_i2 u_ij^2,    d2E/da_i2 = f'(a_i)^2 d2E/dx_i2.    (appendix C)

They are taken anew for every 500 digits. Read ``Model.step`` first, then ``curvature``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_input, conv2d_weight
from torch.optim import Optimizer

from paperzoo.data import Batch
from paperzoo.errors import PaperzooError
from paperzoo.papers.recognition import lenet
from paperzoo.ranges import Count, Positive, Size
from paperzoo.tasks.model import Optimizers, Players

#: eta in each of the 20 passes over the data (section III-B)
RATES = (*[5e-4] * 2, *[2e-4] * 3, *[1e-4] * 3, *[5e-5] * 4, *[1e-5] * 8)


#: units of F6, over which Eq. 9 is averaged here: added up, it is so steep beside mu that the first digits saturate all units
UNITS = 84


class Marquardt(Optimizer):
    """Gradient descent whose rate is divided by ``mu + h`` for every weight; ``h`` is 0 until it is told by ``tell``."""

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, mu: float) -> None:
        super().__init__(parameters, {"lr": lr, "mu": mu})
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter]["h"] = torch.zeros_like(parameter)

    def tell(self, parameter: Tensor, h: Tensor) -> None:
        """The second derivatives of one parameter, of its shape."""
        self.state[parameter]["h"].copy_(h)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.addcdiv_(parameter.grad, group["mu"] + self.state[parameter]["h"], value=-group["lr"])


class Model(lenet.Model):
    """The network of 1998 and its training.

    Args:
        every: calls of ``step`` a pass: 120 of 500 digits each.
        image_size, channels, classes: as of ``lenet.Model``.
    """

    def __init__(
        self, *, every: Count = 120, image_size: Literal[32] = 32, channels: Size = 1, classes: Size = 10
    ) -> None:
        super().__init__(original=True, image_size=image_size, channels=channels, classes=classes)
        self.every = every

    def optimizers(self, *, scale: Positive = 1.0, mu: Positive = 0.02) -> Optimizers:  # type: ignore[override]
        """The rates of ``RATES``, by passes of ``every`` steps, times ``scale``."""

        def rate(step: int, total: int) -> float:
            return RATES[min(step // self.every, len(RATES) - 1)] / RATES[0]

        return {"network": (Marquardt(self.network.parameters(), scale * RATES[0], mu), rate)}

    def step(self, batch: Batch, opt: Players) -> None:
        """One digit of the batch after the other, each of which moves the weights; of several processes, one digit of each."""
        image, optimizer = self.scale(batch.image), opt.optimizers["network"]
        assert isinstance(optimizer, Marquardt)
        for parameter, h in zip(self.network.parameters(), curvature(self.network, image, batch.label), strict=True):
            optimizer.tell(parameter, opt.mean(h / UNITS))
        for i in range(len(image)):
            opt.network.minimize(lenet.eq9(self.network(image[i : i + 1]), batch.label[i : i + 1]) / UNITS)


@torch.no_grad()
def curvature(network: nn.Module, image: Tensor, label: Tensor, j: float = 0.1) -> list[Tensor]:
    """``h_kk`` of every parameter, in the order of ``network.parameters()``, over images (N, 1, 32, 32) with classes (N).

    Args:
        j: as of ``lenet.eq9``.
    """
    if not isinstance(network, lenet.LeNet1998):
        raise PaperzooError("second derivatives are known of the network of 1998 only")
    net, items = network, len(image)
    weight3 = net.c3.whole()  # (16, 6, 5, 5), with zeros where table I has no connection
    a1 = net.c1(image)
    x1 = lenet.squash(a1)
    sum2 = 4 * F.avg_pool2d(x1, 2)
    a2 = sum2 * net.s2.gain + net.s2.bias
    x2 = lenet.squash(a2)
    a3 = net.c3(x2)
    x3 = lenet.squash(a3)
    sum4 = 4 * F.avg_pool2d(x3, 2)
    a4 = sum4 * net.s4.gain + net.s4.bias
    x4 = lenet.squash(a4)
    a5 = net.c5(x4)
    x5 = lenet.squash(a5)
    a6 = net.f6(x5.flatten(1))
    h = of_output(lenet.squash(a6), net.targets, j)  # (N, 84)

    h = h * slope(a6).square()
    f6 = (h.T @ x5.flatten(1).square() / items, h.mean(0))
    h = (h @ net.f6.weight.square()).view_as(a5) * slope(a5).square()
    c5 = _convolution(x4, h, net.c5.weight)
    h = _back(x4, h, net.c5.weight) * slope(a4).square()
    s4 = ((h * sum4.square()).sum((2, 3)).mean(0)[:, None, None], h.sum((2, 3)).mean(0)[:, None, None])
    h = F.interpolate(h * net.s4.gain.square(), scale_factor=2) * slope(a3).square()
    c3 = _convolution(x2, h, weight3)
    h = _back(x2, h, weight3) * slope(a2).square()
    s2 = ((h * sum2.square()).sum((2, 3)).mean(0)[:, None, None], h.sum((2, 3)).mean(0)[:, None, None])
    h = F.interpolate(h * net.s2.gain.square(), scale_factor=2) * slope(a1).square()
    c1 = _convolution(image, h, net.c1.weight)
    third = [bend for k, inputs in enumerate(lenet.TABLE_I) for bend in (c3[0][k : k + 1, list(inputs)], c3[1][k : k + 1])]
    return [*c1, *s2, *third, *s4, *c5, *f6]


def of_output(features: Tensor, targets: Tensor, j: float) -> Tensor:
    """d2E/dx2 of Eq. 9 for F6's units x (N, 84), without its mixed terms: ``2 (1 - sum_i p_i) + 4 sum_i p_i (1 - p_i) (x - w_i)^2``.

    ``p_i``: exp(-y_i) over their sum and exp(-j); the right class's y_D itself adds 2 to all.
    """
    away = features[:, None] - targets  # (N, 10, 84)
    y = away.square().sum(2)
    rubbish = y.new_full((len(y), 1), j)
    p = torch.cat([-y, -rubbish], 1).softmax(1)[:, :-1]  # (N, 10)
    return 2 * (1 - p.sum(1, keepdim=True)) + 4 * ((p * (1 - p))[:, :, None] * away.square()).sum(1)


def slope(a: Tensor) -> Tensor:
    """The derivative of ``squash``."""
    return 1.7159 * 2 / 3 * (1 - torch.tanh(a * (2 / 3)).square())


def _convolution(x: Tensor, h: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """``h_kk`` of weights and biases, from inputs and from d2E/da2 (N, maps, H, W)."""
    return conv2d_weight(x.square(), weight.shape, h) / len(x), h.sum((2, 3)).mean(0)  # type: ignore[no-untyped-call]


def _back(x: Tensor, h: Tensor, weight: Tensor) -> Tensor:
    """d2E/dx2 of a convolution's inputs x."""
    return conv2d_input(x.shape, weight.square(), h)  # type: ignore[no-untyped-call,no-any-return]
