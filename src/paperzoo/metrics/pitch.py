"""How high sounds are: their fundamental frequency by autocorrelation, where they have one."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

#: of the human voice, in Hz
LOW, HIGH = 60.0, 500.0
#: a sound has a pitch where it repeats itself to so large a share
VOICED = 0.5


def pitches(audio: Tensor, rate: int, window: float = 0.05) -> np.ndarray:
    """The fundamental frequency of sounds (N, C, T) where they are loudest, in Hz, float64 (N); not-a-number where they have none.

    Of the loudest window of ``window`` seconds the autocorrelation, by overlap, is looked at for periods of 1/500 to 1/60 s (Boersma
    1993, without windowing and between whole samples by a parabola): the shortest period that comes within a tenth of the best is
    taken, as every multiple of a period is one, too. Below a correlation of one half there is no pitch.
    """
    sound = audio.double().mean(1)  # (N, T)
    longest, shortest = int(rate / LOW), max(2, int(rate / HIGH))
    size = min(sound.shape[1], round(window * rate) + longest)
    step = max(1, size // 8)
    parts = sound.unfold(1, size, step)  # (N, K, size)
    chosen = parts.square().mean(2).argmax(1)
    part = parts[torch.arange(len(sound)), chosen]
    part = part - part.mean(1, keepdim=True)
    head = size - longest  # what is compared with itself, so much later
    if head < 2:
        return np.full(len(sound), np.nan)
    here, there = part[:, :head], part.unfold(1, head, 1)[:, : longest + 1]  # (N, head), (N, longest + 1, head)
    product = torch.einsum("nt,nkt->nk", here, there)
    scale = here.square().sum(1, keepdim=True).sqrt() * there.square().sum(2).sqrt()
    alike = torch.where(scale > 1e-12, product / scale.clamp(min=1e-12), 0.0)  # (N, longest + 1), 1 at 0
    inner = alike[:, 1:-1]
    hill = (inner >= alike[:, :-2]) & (inner > alike[:, 2:])
    hill[:, : shortest - 1] = False
    height = torch.where(hill, inner, -1.0)
    best = height.amax(1, keepdim=True)
    first = (height >= best - 0.1).double().argmax(1) + 1  # the shortest period
    row = torch.arange(len(sound))
    before, at, after = alike[row, first - 1], alike[row, first], alike[row, first + 1]
    bend = before - 2 * at + after
    shift = torch.where(bend < -1e-12, (before - after) / (2 * torch.where(bend < -1e-12, bend, -1.0)), 0.0)
    hertz = rate / (first + shift)
    return np.asarray(torch.where(best[:, 0] >= VOICED, hertz, torch.nan).numpy())
