"""Precision, recall and their harmonic mean of text in pictures, by the protocol of ICDAR 2015's task 4.1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from paperzoo.metrics.polygons import area_of, overlaps, shares

#: share of a found quadrilateral that lies in one which need not be found, from above which on it does not count
IGNORED = 0.5
#: bounds in degrees between which the angle of a text lies, without its direction: level, slanting, steep, standing
ANGLES = (0, 15, 45, 75, 90)


class Said(NamedTuple):
    """The detections in one image: quadrilaterals (D, 4, 2), the best first."""

    quads: np.ndarray


class Real(NamedTuple):
    """The ground truth of one image: quadrilaterals (G, 4, 2), and which of them are "do not care", bool (G)."""

    quads: np.ndarray
    ignored: np.ndarray


class Rates(NamedTuple):
    """Counts over all images, and what follows from them."""

    right: int
    found: int
    real: int

    @property
    def precision(self) -> float:
        """Share of detections that are right; 0 if there are none."""
        return self.right / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        """Share of real texts that are detected; 0 if there are none."""
        return self.right / self.real if self.real else 0.0

    @property
    def hmean(self) -> float:
        """2 P R / (P + R); 0 where both are."""
        return 2 * self.right / (self.found + self.real) if self.right else 0.0


class Matched(NamedTuple):
    """The matching in one image: ``real`` (G), the index of the detection of each real text, ``found`` (D), the index of the real text of
    each detection, -1 for none; and which of them count, bool (G) and (D)."""

    real: np.ndarray
    found: np.ndarray
    real_counts: np.ndarray
    found_counts: np.ndarray


def matched(said: Said, real: Real, overlap: float) -> Matched:
    """One-to-one matching: each real text in order takes the first free detection whose IoU is above ``overlap``.

    Detections that lie by more than half in a "do not care" text do not count.
    """
    found_of, real_of = np.full(len(real.quads), -1), np.full(len(said.quads), -1)
    counts = np.ones(len(said.quads), bool)
    if len(said.quads) and real.ignored.any():
        inside = shares(said.quads, real.quads[real.ignored]) / np.maximum(area_of(said.quads), 1e-12)[:, None]
        counts = ~(inside > IGNORED).any(1)
    shared = overlaps(real.quads, said.quads)
    for g in np.flatnonzero(~real.ignored):
        for d in range(len(said.quads)):
            if counts[d] and real_of[d] < 0 and shared[g, d] > overlap:
                found_of[g], real_of[d] = d, g
                break
    return Matched(found_of, real_of, ~real.ignored, counts)


def rates(said: Sequence[Said], real: Sequence[Real], overlap: float = 0.5) -> Rates:
    """Over all images together, one to one, at an IoU above ``overlap``."""
    pairs = [matched(s, r, overlap) for s, r in zip(said, real, strict=True)]
    return _counted(pairs, [m.found_counts for m in pairs], [m.real_counts for m in pairs])


def rates_by_angle(said: Sequence[Said], real: Sequence[Real], overlap: float = 0.5) -> list[Rates]:
    """The same for texts between each two of ``ANGLES``: a matched detection counts in its text's bin, any other by its own angle."""
    pairs = [matched(s, r, overlap) for s, r in zip(said, real, strict=True)]
    result = []
    for number in range(len(ANGLES) - 1):
        counted_found, counted_real = [], []
        for m, s, r in zip(pairs, said, real, strict=True):
            of_real, of_found = (np.digitize(angle_of(quads), ANGLES[1:-1]) for quads in (r.quads, s.quads))
            right = m.found >= 0
            of_found = np.where(right, of_real[np.maximum(m.found, 0)] if len(of_real) else 0, of_found)
            counted_found.append(m.found_counts & (of_found == number))
            counted_real.append(m.real_counts & (of_real == number))
        result.append(_counted(pairs, counted_found, counted_real))
    return result


def angle_of(quads: np.ndarray) -> np.ndarray:
    """Inclination of quadrilaterals (N, 4, 2), float64 (N) from 0 to 90 degrees: the angle of the longer of their two middle lines."""
    quads = np.asarray(quads, np.float64).reshape(-1, 4, 2)
    along, down = (quads[:, a] + quads[:, b] - quads[:, c] - quads[:, d] for a, b, c, d in ((1, 2, 0, 3), (2, 3, 0, 1)))
    longer = (np.linalg.norm(along, axis=1) >= np.linalg.norm(down, axis=1))[:, None]
    line = np.abs(np.where(longer, along, down))
    return np.asarray(np.degrees(np.arctan2(line[:, 1], line[:, 0])))


def _counted(pairs: Sequence[Matched], found: Sequence[np.ndarray], real: Sequence[np.ndarray]) -> Rates:
    right = sum(int(((m.real >= 0) & there).sum()) for m, there in zip(pairs, real, strict=True))
    return Rates(right, sum(int(counts.sum()) for counts in found), sum(int(counts.sum()) for counts in real))
