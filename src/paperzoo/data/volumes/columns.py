"""A column of volumes, kept as bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from paperzoo.data.dataset import Column
from paperzoo.data.volumes.voxels import posed, unpack


class Volumes:
    """Volumes of one side as bits, given out as ``volume`` float32 (N, 1, D, H, W) of 0 and 1.

    Args:
        packed: uint8 (M, S^3 / 8), see ``voxels.pack``.
        poses: 8 for each of them in all its poses, one after another: item 8 i + k is shape i in pose k.
        items: those of the M times ``poses`` items that the column has, int64; all by default.
    """

    def __init__(self, packed: Tensor, size: int, poses: int = 1, items: Tensor | None = None) -> None:
        assert packed.dtype == torch.uint8 and packed.shape[1] * 8 == size**3
        self.packed, self.size, self.poses = packed, size, poses
        self.items = torch.arange(len(packed) * poses, device=packed.device) if items is None else items

    def __len__(self) -> int:
        return len(self.items)

    def take(self, indices: np.ndarray) -> dict[str, Any]:
        item = self.items[torch.from_numpy(indices).to(self.items.device)]
        volume = unpack(self.packed[item // self.poses], self.size)  # (N, 1, S, S, S)
        for pose in range(1, self.poses):
            rows = (item % self.poses == pose).nonzero()[:, 0]
            volume[rows] = posed(volume[rows], pose)
        return {"volume": volume}

    def to(self, device: torch.device) -> Volumes:
        small = self.packed.nbytes < 2**30
        return Volumes(self.packed.to(device), self.size, self.poses, self.items.to(device)) if small else self

    def join(self, other: Column) -> Volumes:
        assert isinstance(other, Volumes) and other.size == self.size
        most = max(self.poses, other.poses)
        mine, theirs = (one.items // one.poses * most + one.items % one.poses for one in (self, other))
        items = torch.cat([mine, theirs + len(self.packed) * most])
        return Volumes(torch.cat([self.packed, other.packed]), self.size, most, items)

    def some(self, indices: np.ndarray) -> Volumes:
        return Volumes(self.packed, self.size, self.poses, self.items[torch.from_numpy(indices)])
