"""Non-maximum suppression: of boxes of one class that overlap, only that with the highest score is kept."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

#: boxes that are compared with all others at a time, the part of these that has to leave for it to be worth it, and pairs held at once
BLOCK, WORTH, HELD = 64, 0.1, 2_000_000
#: groups of widths between a box and the widest that can overlap it enough, and the least step between two groups (logarithm)
GROUPS, STEP = 3, 0.2
#: what rounding may take away from a bound
SLACK = 1 + 1e-6


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
    ordered = boxes.detach().double().cpu().numpy()[order]
    kinds = np.zeros(len(order), np.int64) if labels is None else np.unique(labels.cpu().numpy()[order], return_inverse=True)[1]
    kept = Ranked(ordered, kinds).kept(overlap)
    return torch.from_numpy(order[kept]).to(boxes.device)


class Ranked:
    """Boxes (N, 4) float64, the best first, with their classes int64 (N) from 0."""

    def __init__(self, boxes: np.ndarray, kinds: np.ndarray) -> None:
        boxes = np.where(np.isfinite(boxes).all(1, keepdims=True), boxes, 0)  # without an end there is no area to compare
        self.left, self.top, self.right, self.bottom = (np.ascontiguousarray(side) for side in boxes.T)
        self.kinds, self.area = kinds, (self.right - self.left).clip(min=0) * (self.bottom - self.top).clip(min=0)

    def kept(self, overlap: float) -> np.ndarray:
        """Numbers of the boxes that are kept, in ascending order.

        A block of the best that are left is decided, and what it suppresses of the rest leaves. As soon as that is little, what is left
        hardly meets: the pairs that do are then found by where the boxes lie, rather than by comparing all with all.
        """
        rest, kept = np.arange(len(self.area)), []
        while len(rest) > BLOCK:
            block, rest = rest[:BLOCK], rest[BLOCK:]
            block = block[_alive(len(block), np.argwhere(np.triu(self.meet(block[:, None], block[None], overlap), 1)))]
            kept.append(block)
            gone = self.meet(block[:, None], rest[None], overlap).any(0)
            rest = rest[~gone]
            if gone.mean() < WORTH:
                break
        kept.append(rest[_alive(len(rest), self.pairs(rest, overlap))])
        return np.concatenate(kept)

    def meet(self, a: np.ndarray, b: np.ndarray, overlap: float) -> np.ndarray:
        """Whether boxes with numbers a and b, of shapes that broadcast, are of one class with an IoU above ``overlap``."""
        both = np.minimum(self.right[a], self.right[b])
        both -= np.maximum(self.left[a], self.left[b])
        np.maximum(both, 0, out=both)
        tall = np.minimum(self.bottom[a], self.bottom[b])
        tall -= np.maximum(self.top[a], self.top[b])
        both *= np.maximum(tall, 0, out=tall)
        union = np.add(self.area[a], self.area[b], out=tall)
        union -= both
        union *= overlap
        above: np.ndarray = (both > union) & (self.kinds[a] == self.kinds[b])
        return above

    def pairs(self, some: np.ndarray, overlap: float) -> np.ndarray:
        """Pairs (P, 2) of places in ``some`` (N), the lower first, whose boxes are of one class and overlap by more than ``overlap``.

        With an IoU above t, neither width is below t times the other, nor are the heights; and the centres are nearer than (1 - t) times
        the larger width. So boxes are sorted into groups of widths and these into columns, and each box looks into its own column and
        those beside it, up and down as far as its height allows.
        """
        real = np.flatnonzero(self.area[some] > 0)  # others overlap nothing
        if overlap >= 1 or not len(real):
            return np.zeros((0, 2), np.int64)
        numbers, least = some[real], max(overlap, 1e-30)
        width, height = (self.right - self.left)[numbers], (self.bottom - self.top)[numbers]
        x, y = self.left[numbers] + width / 2, self.top[numbers] + height / 2
        x, y = x - x.min(), y - y.min()
        apart = -np.log(least) * SLACK  # of the logarithms of two widths
        step = max(apart / GROUPS, STEP)
        group, up = (np.log(width / width.min()) / step).astype(np.int64), int(np.ceil(apart / step))
        reach = SLACK * np.minimum((height + height.max()) / 2, height * max(1 - least, 0.5 / least - 0.5)) + 1e-6 * y.max()
        span = 2 * (y.max() + reach.max() + 1)  # a column and the gap after it, on one line of numbers
        order = np.argsort(group, kind="stable")
        bounds = np.searchsorted(group[order], np.arange(group.max() + up + 2))
        pairs = [np.zeros((0, 2), np.int64)]
        for band in np.unique(group):
            a, b = order[bounds[band] : bounds[band + 1]], order[bounds[band] : bounds[band + up + 1]]
            column = max((1 - overlap) * width[b].max() * SLACK, x.max() / 1000)  # no finer: numbers on the line have 53 bits
            line = self.kinds[numbers[b]] * 1003 + np.floor(x[b] / column) + 1
            at = line * span + y[b]
            by_line = np.argsort(at)
            b, targets, at = b[by_line], np.add.outer([-span, 0, span], at[: len(a)]), at[by_line]  # b begins with a
            starts, ends = np.searchsorted(at, targets - reach[a]).ravel(), np.searchsorted(at, targets + reach[a]).ravel()
            total = np.cumsum(ends - starts)
            for some_of in np.split(np.arange(len(total)), np.searchsorted(total, np.arange(HELD, total[-1], HELD))):
                number = (ends - starts)[some_of]
                i = np.repeat(a[some_of % len(a)], number)
                j = b[np.arange(len(i)) + np.repeat(starts[some_of] - (np.cumsum(number) - number), number)]
                near = np.flatnonzero((np.abs(x[i] - x[j]) <= column) & ((group[j] > band) | (i < j)))
                i, j = i[near], j[near]
                over = self.meet(numbers[i], numbers[j], overlap)
                pairs.append(np.sort(real[np.stack([i[over], j[over]], 1)], 1))
        return np.concatenate(pairs)


def _alive(number: int, pairs: np.ndarray) -> np.ndarray:
    """Which of ``number`` boxes, the best first, are left if of each pair (P, 2) that meets the first suppresses the second."""
    alive, pairs = np.ones(number, bool), pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    firsts, starts = np.unique(pairs[:, 0], return_index=True)
    ends = np.append(starts, len(pairs))[1:]
    for first, start, end in zip(firsts.tolist(), starts.tolist(), ends.tolist(), strict=True):
        if alive[first]:
            alive[pairs[start:end, 1]] = False
    return alive
