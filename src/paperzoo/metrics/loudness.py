"""When sounds are loud: the onset, where a sound reaches its loudest, in time."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def onsets(audio: Tensor, rate: int, window: float = 0.005, share: float = 0.5) -> np.ndarray:
    """When sounds (N, C, T) first reach ``share`` of their greatest loudness, in seconds from their beginning, float64 (N).

    Loudness is the root mean square over all channels, in windows of ``window`` seconds that follow each other. A silent sound has its
    onset at 0.
    """
    step = max(1, round(window * rate))
    sound = audio.double()
    sound = torch.nn.functional.pad(sound, (0, -sound.shape[2] % step))
    loud = sound.unfold(2, step, step).square().mean((1, 3)).sqrt()  # (N, T / step)
    reached = loud >= share * loud.amax(1, keepdim=True)
    return np.asarray(reached.double().argmax(1).numpy() * step / rate)
