"""Which items a step sees: a pure function of (seed, iteration), the same for any number of processes."""

from __future__ import annotations

from typing import Literal

import numpy as np


class Order:
    """Item numbers of each batch, from an endless stream of epochs.

    Position p of the stream lies in epoch ``p // items``. ``shuffle`` permutes each epoch by a generator keyed with
    (seed, epoch), so that any batch can be found without those before it. A batch may straddle two epochs, and may be
    larger than the data; nothing is dropped.
    """

    def __init__(
        self, items: int, batch_size: int | Literal["all"], kind: Literal["shuffle", "sequential"], seed: int
    ) -> None:
        if items < 1:
            raise ValueError("no items")
        self.items, self.kind, self.seed = items, kind, seed
        self.batch_size = items if batch_size == "all" else batch_size
        self._epochs: dict[int, np.ndarray] = {}

    def epoch(self, number: int) -> np.ndarray:
        """The order of the items in one epoch; int64 (items)."""
        if self.kind == "sequential":
            return np.arange(self.items)
        if number not in self._epochs:
            self._epochs = {k: v for k, v in self._epochs.items() if k == number - 1}  # two epochs at most
            random = np.random.Generator(np.random.Philox(key=[self.seed % 2**64, number]))
            self._epochs[number] = random.permutation(self.items)
        return self._epochs[number]

    def batch(self, iteration: int) -> np.ndarray:
        """The items of one step over all processes; int64 (batch_size)."""
        start = iteration * self.batch_size
        stop, parts = start + self.batch_size, []
        while start < stop:
            epoch, offset = divmod(start, self.items)
            part = self.epoch(epoch)[offset : offset + stop - start]
            parts.append(part)
            start += len(part)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)
