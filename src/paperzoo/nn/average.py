"""An exponential moving average of a network's weights, for sampling."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn


class Average(nn.Module):
    """Keeps ``decay * average + (1 - decay) * weights`` of a network, its floating-point buffers included.

    Early on the decay is at most ``(1 + t) / (10 + t)`` after t updates, or the average would remember the initial weights.
    The average is state like any other: it is saved with the model. Calling it calls the averaged network.
    """

    updates: torch.Tensor

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__()
        self.network, self.decay = copy.deepcopy(network).requires_grad_(False), decay
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Takes in the present weights; call it after the optimiser's step."""
        self.updates += 1
        t = self.updates.item()
        rate = 1 - min(self.decay, (1 + t) / (10 + t))
        mine, theirs = self.network.state_dict(), network.state_dict()
        for name, value in mine.items():
            if value.is_floating_point():
                value.lerp_(theirs[name], rate)
            else:
                value.copy_(theirs[name])

    def forward(self, *inputs: Any) -> Any:
        """The averaged network's answer."""
        return self.network(*inputs)
