"""Average precision as COCO measures it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from paperzoo.metrics.voc_ap import Found, Truth, overlaps

#: IoU from which on a box is right: 0.5, 0.55, ..., 0.95
OVERLAPS = np.linspace(0.5, 0.95, 10)
#: recalls at which precision is read
RECALLS = np.linspace(0, 1, 101)
#: areas in pixels between which an object counts: all, small, medium, large
AREAS = ((0.0, 1e10), (0.0, 32.0**2), (32.0**2, 96.0**2), (96.0**2, 1e10))


class Precision(NamedTuple):
    """Average precision float64 (T, K, A) by overlap, class and area, and the recall that is reached, of the same shape; NaN where
    there is nothing to be found."""

    precision: np.ndarray
    recall: np.ndarray

    def mean(self, area: int = 0, overlap: int | None = None) -> float:
        """AP over classes, and over overlaps unless one is named by its place; NaN if nothing is there to be found."""
        chosen = self.precision[:, :, area] if overlap is None else self.precision[overlap, :, area]
        return float(np.nanmean(chosen)) if not np.isnan(chosen).all() else float("nan")


def coco_ap(
    found: Sequence[Found], truth: Sequence[Truth], classes: int, areas: Sequence[tuple[float, float]] = AREAS, most: int = 100,
    thresholds: np.ndarray = OVERLAPS,
) -> Precision:  # fmt: skip
    """Precision by COCO's protocol: 101 recalls, at most ``most`` boxes of an image and class, crowds by the share that lies in them.

    The area of a truth is that of its box. A truth outside the range of areas, a crowd and a difficult object are ignored: to find
    them is neither right nor wrong; nor is a box outside the range that is right of nothing.
    """
    shape = (len(thresholds), classes, len(areas))
    precision, recall = np.full(shape, np.nan), np.full(shape, np.nan)
    for label in range(classes):
        images = [_of_image(f, t, label, most) for f, t in zip(found, truth, strict=True)]
        images = [image for image in images if len(image.scores) or len(image.sizes)]
        scores = np.concatenate([image.scores for image in images]) if images else np.zeros(0)
        order = np.argsort(-scores, kind="mergesort")
        for number, bounds in enumerate(areas):
            parts = [_matched(image, bounds, thresholds) for image in images]
            total = sum(part[2] for part in parts)
            if not total:
                continue
            right, counts = (np.concatenate([part[i] for part in parts], 1)[:, order] for i in (0, 1))
            hits, misses = (right & counts).cumsum(1), (~right & counts).cumsum(1)
            for t, (hit, miss) in enumerate(zip(hits, misses, strict=True)):
                recalls = hit / total
                envelope = np.maximum.accumulate((hit / (hit + miss + np.spacing(1)))[::-1])[::-1]
                places = np.searchsorted(recalls, RECALLS, side="left")
                precision[t, label, number] = np.append(envelope, 0.0)[places].mean()
                recall[t, label, number] = recalls[-1] if len(recalls) else 0.0
    return Precision(precision, recall)


class _Image(NamedTuple):
    scores: np.ndarray
    areas: np.ndarray  # of what was found
    shares: np.ndarray  # (D, G)
    sizes: np.ndarray  # of the truths
    crowd: np.ndarray
    ignored: np.ndarray


def _of_image(found: Found, truth: Truth, label: int, most: int) -> _Image:
    detected, of_class = found.labels == label, truth.labels == label
    order = np.argsort(-found.scores[detected], kind="mergesort")[:most]
    boxes, truths, crowd = (np.asarray(x, np.float64) for x in (found.boxes[detected][order], truth.boxes[of_class], truth.crowd[of_class]))
    areas, sizes = ((x[:, 2:] - x[:, :2]).prod(1) for x in (boxes, truths))
    ignored = truth.crowd[of_class] | truth.difficult[of_class]
    return _Image(found.scores[detected][order], areas, overlaps(boxes, truths, crowd > 0), sizes, crowd > 0, ignored)


def _matched(image: _Image, bounds: tuple[float, float], thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Masks of true positives and of detections that count, bool (T, D), and the number of truths that count.

    Each box, the best first, takes the truth that it overlaps most of those that are free and count; only if there is none, one that
    is ignored. Of equal overlaps the last is taken.
    """
    low, high = bounds
    ignored = image.ignored | (image.sizes < low) | (image.sizes > high)
    number, outside = len(image.scores), (image.areas < low) | (image.areas > high)
    right = np.zeros((len(thresholds), number), bool)
    counts = np.broadcast_to(~outside, right.shape).copy()
    if number and len(ignored):
        free = np.ones((len(thresholds), len(ignored)), bool)
        least = np.minimum(thresholds, 1 - 1e-10)[:, None]
        for place, shares in enumerate(image.shares):
            if shares.max() < least[0, 0]:
                continue
            able = (shares >= least) & (free | image.crowd)
            able &= np.where((able & ~ignored).any(1, keepdims=True), ~ignored, ignored)
            value = np.where(able, shares, -1.0)[:, ::-1]
            chosen = value.shape[1] - 1 - value.argmax(1)  # the last of equals
            hit = np.flatnonzero(able.any(1))
            right[hit, place] = True
            counts[hit, place] = ~ignored[chosen[hit]]
            free[hit, chosen[hit]] = False
    return right, counts, int((~ignored).sum())
