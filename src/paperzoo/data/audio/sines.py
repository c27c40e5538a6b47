"""Sums of sines: sounds of which it is known where their spectrum has its peak."""

from __future__ import annotations

import numpy as np
import torch

from paperzoo.data.audio.sounds import Sounds, whole
from paperzoo.data.dataset import Dataset, Schema, Split, Values

#: in bins of the spectrum of a clip; a share of 24 in 513 would be met by chance
BINS = (12, 20, 32, 48, 68, 92, 120, 152)
RATE, LENGTH = 8192, 1024
ITEMS = {"train": 4096, "validation": 512, "test": 512}


def sine_mixtures() -> Dataset:
    """``audio`` (N, 1, 1024) and ``label``: a sine of one of eight frequencies (the class) and a weaker one of twice that, by formula.

    The first has an amplitude between 0.4 and 0.6 and the second between 0.1 and 0.3; their phases are drawn from all. The spectrum of a
    clip so has its peak at the class's frequency, ``frequencies`` of the schema, in Hz. Every clip is a pure function of its split and
    number.
    """
    splits = {}
    for number, (split, items) in enumerate(ITEMS.items()):
        random = np.random.Generator(np.random.Philox(key=[number, 0]))
        label = np.arange(items) % len(BINS)
        phase, loud = random.uniform(0, 2 * np.pi, (2, items, 1)), random.uniform((0.4, 0.1), (0.6, 0.3), (items, 2))
        turn = 2 * np.pi * np.array(BINS)[label][:, None] * np.arange(LENGTH) / LENGTH  # (N, T)
        sound = loud[:, :1] * np.sin(turn + phase[0]) + loud[:, 1:] * np.sin(2 * turn + phase[1])
        splits[split] = Split(Sounds(torch.from_numpy(whole(sound[:, None]))), Values("label", torch.from_numpy(label)))
    frequencies = tuple(float(b) * RATE / LENGTH for b in BINS)
    arguments = {"channels": 1, "rate": RATE, "length": LENGTH, "classes": len(BINS), "frequencies": frequencies}
    schema = Schema("sine-mixtures", ("audio", "label"), arguments, tuple(f"{f:g} Hz" for f in frequencies))
    return Dataset(schema, splits, "MIT", "sums of sines, made by formula")
