"""Which items a step sees: a pure function of (seed, iteration), the same for any number of processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np


class Order:
    """Item numbers of each batch, from an endless stream of epochs.

    Position p of the stream lies in epoch ``p // items``. ``shuffle`` permutes each epoch by a generator keyed with
    (seed, epoch), so that any batch can be found without those before it. A batch may straddle two epochs, and may be
    larger than the data; nothing is dropped.

    Domains that are not paired have a stream each: their lengths differ, their epochs end at different steps, and of each an epoch
    shows every item once. A batch is the next ``batch_size`` positions of every stream, so that what stands together in it is
    drawn independently.

    Args:
        items: number of items; of several domains, the number of each.
        batch_size: ``all`` stands for the items of the largest domain.
    """

    def __init__(
        self, items: int | Sequence[int], batch_size: int | Literal["all"], kind: Literal["shuffle", "sequential"], seed: int
    ) -> None:
        self.lengths = (items,) if isinstance(items, int) else tuple(items)
        if min(self.lengths, default=0) < 1:
            raise ValueError("no items")
        self.items, self.kind, self.seed = max(self.lengths), kind, seed
        self.batch_size = self.items if batch_size == "all" else batch_size
        self._epochs: dict[tuple[int, int], np.ndarray] = {}

    def epoch(self, number: int, domain: int = 0) -> np.ndarray:
        """The order of a domain's items in one of its epochs; int64 (items)."""
        items = self.lengths[domain]
        if self.kind == "sequential":
            return np.arange(items)
        if (domain, number) not in self._epochs:  # two epochs of a domain at most
            self._epochs = {k: v for k, v in self._epochs.items() if k[0] != domain or k[1] == number - 1}
            bits = np.random.Philox(key=[self.seed % 2**64, number], counter=[0, 0, 0, domain])
            self._epochs[domain, number] = np.random.Generator(bits).permutation(items)
        return self._epochs[domain, number]

    def batch(self, iteration: int) -> np.ndarray:
        """The items of one step over all processes; int64 (batch_size), of D domains (batch_size, D)."""
        streams = [self._stream(iteration, domain) for domain in range(len(self.lengths))]
        return streams[0] if len(streams) == 1 else np.stack(streams, 1)

    def _stream(self, iteration: int, domain: int) -> np.ndarray:
        start = iteration * self.batch_size
        stop, parts = start + self.batch_size, []
        while start < stop:
            epoch, offset = divmod(start, self.lengths[domain])
            part = self.epoch(epoch, domain)[offset : offset + stop - start]
            parts.append(part)
            start += len(part)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)
