"""Average precision as the PASCAL VOC development kit measures it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Found(NamedTuple):
    """The detections in one image: boxes (D, 4), scores (D), and classes int (D)."""

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


class Truth(NamedTuple):
    """The ground truth of one image: boxes (G, 4), classes int (G), and flags ``difficult`` and ``crowd``, bool (G)."""

    boxes: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray
    crowd: np.ndarray


def overlaps(a: np.ndarray, b: np.ndarray, crowd: np.ndarray | None = None) -> np.ndarray:
    """IoU (D, G) in float64 of boxes a (D, 4) with b (G, 4); with a crowd, the share of a that lies in b."""
    a, b = np.asarray(a, np.float64)[:, None], np.asarray(b, np.float64)[None]
    both = (np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])).clip(min=0).prod(2)
    area, other_area = ((x[..., 2:] - x[..., :2]).clip(min=0).prod(2) for x in (a, b))
    whole = area + other_area - both if crowd is None else np.where(crowd[None], area, area + other_area - both)
    shares: np.ndarray = np.divide(both, whole, out=np.zeros_like(both), where=whole > 0)
    return shares


def voc_ap(found: Sequence[Found], truth: Sequence[Truth], classes: int, overlap: float = 0.5, eleven: bool = False) -> np.ndarray:
    """AP of each class, float64 (classes); NaN for one of which nothing is there to be found.

    The best first, a box is right if the truth that it overlaps most, of its class and image, overlaps it by more than ``overlap`` and
    was not found before; a second box for the same truth is wrong. Difficult truths count neither as found nor as missed.

    Args:
        eleven: mean precision at the recalls 0, 0.1, ..., 1, as up to VOC 2009; else the area below the whole curve, as from 2010 on.
            They differ by a point or two and do not belong into one column.
    """
    return np.array([_of_class(found, truth, k, overlap, eleven) for k in range(classes)])


def _of_class(found: Sequence[Found], truth: Sequence[Truth], label: int, overlap: float, eleven: bool) -> float:
    rows = [(score, image, place) for image, detections in enumerate(found) for place, score in enumerate(detections.scores)
            if detections.labels[place] == label]  # fmt: skip
    wanted = [objects.labels == label for objects in truth]
    total = sum(int((chosen & ~(real.difficult | real.crowd)).sum()) for chosen, real in zip(wanted, truth, strict=True))
    if not total:
        return float("nan")
    taken = [np.zeros(int(chosen.sum()), bool) for chosen in wanted]
    right, wrong = np.zeros(len(rows)), np.zeros(len(rows))
    rows.sort(key=lambda row: -row[0])  # stable: of equal scores the first comes first
    for rank, (_, image, place) in enumerate(rows):
        objects, chosen = truth[image], wanted[image]
        shares = overlaps(found[image].boxes[place : place + 1], objects.boxes[chosen])[0]
        best = int(shares.argmax()) if len(shares) else -1
        if best < 0 or shares[best] <= overlap:
            wrong[rank] = 1
        elif not (objects.difficult | objects.crowd)[chosen][best]:
            right[rank], wrong[rank] = (0, 1) if taken[image][best] else (1, 0)
            taken[image][best] = True
    hits = right.cumsum()
    recall, precision = hits / total, hits / np.maximum(hits + wrong.cumsum(), 1)
    if eleven:
        return float(np.mean([precision[recall >= level].max(initial=0) for level in np.arange(11) / 10]))
    recall, envelope = np.concatenate([[0], recall]), np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall) * envelope).sum())
