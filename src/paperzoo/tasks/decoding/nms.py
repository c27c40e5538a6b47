"""Non-maximum suppression: of boxes of one class that overlap, only that with the highest score is kept."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

#: boxes that are compared with others at a time
BLOCK = 64


def nms(boxes: Tensor, scores: Tensor, overlap: float = 0.45, labels: Tensor | None = None) -> Tensor:
    """Numbers int64 (K) of the boxes that are kept, from the highest score down; of equal scores the first comes first.

    A box is suppressed if its IoU with a kept one of a higher score, and of its own class, is above ``overlap``. Boxes without an area
    suppress nothing. The result is that of comparing one by one: nothing is approximated.

    Args:
        boxes: (N, 4), left, top, right, bottom.
        scores: (N).
        labels: int64 (N), classes; default: all boxes are of one.
    """
    order = torch.argsort(scores, descending=True, stable=True).cpu().numpy()
    given = boxes.detach().double().cpu().numpy()[order]
    kinds = None if labels is None else labels.cpu().numpy()[order]
    groups = [np.arange(len(given))] if kinds is None else [np.flatnonzero(kinds == kind) for kind in np.unique(kinds)]
    kept = np.zeros(len(given), bool)
    for group in groups:
        kept[group[_kept(given[group], overlap)]] = True
    return torch.from_numpy(order[kept]).to(boxes.device)


def _kept(boxes: np.ndarray, overlap: float) -> np.ndarray:
    """Which of the boxes (N, 4) float64, the best first, are kept: numbers in ascending order.

    A block of the best that are left is decided, and what it suppresses of the rest leaves. As soon as that is little, what is left
    hardly meets: its pairs are then found by sweeping from left to right, rather than by comparing all with all.
    """
    sides = Sides(*(np.ascontiguousarray(column) for column in boxes.T))
    rest, kept = np.arange(len(boxes)), []
    while len(rest) > BLOCK:
        block, rest = rest[:BLOCK], rest[BLOCK:]
        block = block[_alive(len(block), np.argwhere(np.triu(sides.meet(block, block, overlap), 1)))]
        kept.append(block)
        gone = sides.meet(block, rest, overlap).any(0)
        rest = rest[~gone]
        if gone.sum() < BLOCK:
            break
    kept.append(rest[_alive(len(rest), sides.pairs(rest, overlap))])
    return np.concatenate(kept)


def _alive(number: int, pairs: np.ndarray) -> np.ndarray:
    """Which of ``number`` boxes, the best first, are left if of each pair (P, 2) that meets the first suppresses the second."""
    alive, pairs = np.ones(number, bool), pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    firsts, starts = np.unique(pairs[:, 0], return_index=True)
    ends = np.append(starts, len(pairs))[1:]
    for first, start, end in zip(firsts.tolist(), starts.tolist(), ends.tolist(), strict=True):
        if alive[first]:
            alive[pairs[start:end, 1]] = False
    return alive


class Sides:
    """The sides of boxes, each (N), and which of the boxes overlap."""

    def __init__(self, left: np.ndarray, top: np.ndarray, right: np.ndarray, bottom: np.ndarray) -> None:
        self.left, self.top, self.right, self.bottom = left, top, right, bottom
        self.area = (right - left).clip(min=0) * (bottom - top).clip(min=0)

    def meet(self, a: np.ndarray, b: np.ndarray, overlap: float) -> np.ndarray:
        """Whether the IoU of the boxes with numbers a (A) and b (B) is above ``overlap``: bool (A, B)."""
        both = np.minimum(self.right[a][:, None], self.right[b])
        both -= np.maximum(self.left[a][:, None], self.left[b])
        np.maximum(both, 0, out=both)
        tall = np.minimum(self.bottom[a][:, None], self.bottom[b])
        tall -= np.maximum(self.top[a][:, None], self.top[b])
        both *= np.maximum(tall, 0, out=tall)
        union = np.add(self.area[a][:, None], self.area[b], out=tall)
        union -= both
        union *= overlap
        found: np.ndarray = both > union
        return found

    def pairs(self, some: np.ndarray, overlap: float) -> np.ndarray:
        """Pairs (P, 2) of places in ``some`` (N), the lower first, whose boxes overlap by more than ``overlap``."""
        order = np.argsort(self.left[some], kind="stable")
        numbers = some[order]
        left, found = self.left[numbers], [np.zeros((0, 2), np.int64)]
        for start in range(0, len(some), BLOCK):
            block = np.arange(start, min(start + BLOCK, len(some)))
            end = int(np.searchsorted(left, self.right[numbers[block]].max()))  # further to the right none begins within the block
            among = np.arange(start, max(end, block[-1] + 1))
            i, j = np.nonzero(self.meet(numbers[block], numbers[among], overlap))
            later = j > i
            found.append(np.sort(np.stack([order[block[i[later]]], order[among[j[later]]]], 1), 1))
        return np.concatenate(found)
