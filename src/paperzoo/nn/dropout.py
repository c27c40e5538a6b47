"""Dropout (Srivastava et al. 2014, JMLR 15), with noise that costs little on a CPU."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Dropout(nn.Dropout):
    """In training each element is zero with probability p, and the others are divided by 1 - p; any shape to the same shape.

    torch draws a number for each element, which on a CPU takes longer than the convolution around it. Here each takes 16
    random bits, so p is rounded to a multiple of 2^-16; what is kept is divided by the rounded 1 - p. On other devices it is
    torch's own.
    """

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.p) if self.training else x


def dropout(x: Tensor, p: float) -> Tensor:
    """Dropout in training mode."""
    if x.device.type != "cpu" or p == 0:
        return F.dropout(x, p)
    dropped = round(p * 2**16)
    if dropped == 2**16:
        return torch.zeros_like(x)
    words = torch.empty(math.ceil(x.numel() / 4), dtype=torch.int64).random_(-(2**63), None)  # all 64 bits at random
    kept = words.view(torch.int16)[: x.numel()] >= dropped - 2**15  # (numel)
    strides = torch.empty_like(x).stride()  # those of x if it is dense: channels-last images stay so
    mask = kept.to(x.dtype).mul_(2**16 / (2**16 - dropped)).as_strided(x.shape, strides)
    return x * mask
