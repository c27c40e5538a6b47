"""Layers with an equalised learning rate (Karras et al. 2017, section 4.1).

Weights are drawn from N(0, 1) and multiplied by He's constant whenever they are used, not once at the start. An optimiser whose steps
do not depend on the size of a gradient, as Adam's, then moves all weights by the same share of their size, in every layer.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn


class EqualConv2d(nn.Conv2d):
    """A convolution of stride 1 that keeps the size (``kernel`` odd), or leaves no border (``padding`` 0).

    Args:
        gain: of He's constant ``gain / sqrt(fan-in)``; 1 where no rectifier follows.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, padding: int | None = None, gain: float = math.sqrt(2), bias: bool = True
    ) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2 if padding is None else padding, bias=bias)
        self.scale = gain / math.sqrt(self.weight[0].numel())

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class EqualLinear(nn.Linear):
    """A fully connected layer.

    Args:
        gain: as above.
        rate: a further factor on weights and biases, which are drawn that much larger: the layer learns at ``rate`` times the rate.
        start: of the biases.
    """

    def __init__(
        self, inputs: int, outputs: int, bias: bool = True, gain: float = math.sqrt(2), rate: float = 1.0, start: float = 0.0
    ) -> None:
        self.rate, self.start = rate, start
        super().__init__(inputs, outputs, bias)
        self.scale = gain / math.sqrt(inputs) * rate

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, 0.0, 1 / self.rate)
        if self.bias is not None:
            nn.init.constant_(self.bias, self.start / self.rate)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, None if self.bias is None else self.bias * self.rate)
