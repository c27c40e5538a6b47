"""Parts, U and V at annotated points, geodesic point similarity and average precision over it, on a split."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from paperzoo.data import Dataset
from paperzoo.data.bodies.surface import Surface
from paperzoo.metrics.gps import Scored, average_precision, gps, gpsm

if TYPE_CHECKING:
    from paperzoo.tasks.dense_pose.contract import DensePoser, Found

#: images at a time
PART = 16


class Truth(NamedTuple):
    """The annotations of a person: mask bool (S, S); points (P, 2), x and y in pixels, their parts (P), and U and V (P, 2)."""

    mask: np.ndarray
    points: np.ndarray
    part: np.ndarray
    uv: np.ndarray


class Said(NamedTuple):
    """A model's output at the points of a person: parts (P), 0 for background, and U and V (P, 2)."""

    part: np.ndarray
    uv: np.ndarray


def of_points(model: DensePoser, dataset: Dataset, split: str) -> dict[str, float]:
    """``part accuracy``: the share of all annotated points where the part is right, and ``uv error``: the mean of the errors of U and V
    where it is, both of the found person that covers the annotated one best.

    Where the body's surface is known also ``GPS``, ``GPSm``, the means over people of their best, and ``AP``, the average precision over
    GPS of 0.5 to 0.95, ``AP 50`` and ``AP 75`` and ``AP GPSm``; all from 0 to 1.
    """
    surface = surface_of(dataset, split)
    right, errors = list[np.ndarray](), list[np.ndarray]()
    by_gps, by_gpsm, best, best_m = list[Scored](), list[Scored](), list[float](), list[float]()
    for persons, people in each(model, dataset, split):
        scores = np.array([one.score for one in persons], np.float64)
        similar, overlaps = np.zeros((len(persons), len(people))), np.zeros((len(persons), len(people)))
        for g, true in enumerate(people):
            for d, one in enumerate(persons):
                overlaps[d, g] = overlap(one.part > 0, true.mask)
                if surface is not None:
                    similar[d, g] = similarity(surface, at_points(one, true.points), true)
            said = at_points(persons[int(overlaps[:, g].argmax())], true.points) if persons else Said(0 * true.part, 0 * true.uv)
            same = said.part == true.part
            right.append(same)
            errors.append(np.abs(said.uv - true.uv)[same].ravel())
        both = gpsm(similar, overlaps)
        by_gps.append(Scored(scores, similar))
        by_gpsm.append(Scored(scores, both))
        best += similar.max(0, initial=0).tolist()
        best_m += both.max(0, initial=0).tolist()
    wrong = np.concatenate(errors)
    measured = {"part accuracy": float(np.concatenate(right).mean()), "uv error": float(wrong.mean()) if len(wrong) else float("nan")}
    if surface is None:
        return measured
    ap, apm = average_precision(by_gps), average_precision(by_gpsm)
    return measured | {
        "GPS": float(np.mean(best)), "GPSm": float(np.mean(best_m)), "AP": float(ap.mean()), "AP 50": float(ap[0]), "AP 75": float(ap[5]),
        "AP GPSm": float(apm.mean()),
    }  # fmt: skip


def each(model: DensePoser, dataset: Dataset, split: str) -> list[tuple[list[Found], list[Truth]]]:
    """The people that the model detects in each image, and those annotated; people without points are left out."""
    items, rows = dataset[split], list[tuple[list["Found"], list[Truth]]]()
    for indices in items.batches(PART):
        batch = items.batch(indices)
        for i, persons in enumerate(model.found(batch.image)):
            people = list[Truth]()
            for k in range(int(batch.objects[i])):
                part = batch.point_part[i, k].numpy()
                some = part > 0
                if some.any():
                    points, uv = batch.points[i, k].numpy()[some], batch.point_uv[i, k].numpy()[some]
                    people.append(Truth(batch.person[i].numpy() == k + 1, points, part[some], uv))
            rows.append((persons, people))
    return rows


def at_points(found: Found, points: np.ndarray) -> Said:
    """The output at the pixels in which points lie."""
    tall, wide = found.part.shape
    x, y = np.floor(points).astype(np.int64).T
    x, y = x.clip(0, wide - 1), y.clip(0, tall - 1)
    return Said(found.part[y, x], found.uv[:, y, x].T)


def similarity(surface: Surface, said: Said, true: Truth) -> float:
    """GPS of one person: a point at which nobody is found is endlessly far away."""
    return gps(surface.distances(said.part, said.uv, true.part, true.uv))


def overlap(mask: np.ndarray, true: np.ndarray) -> float:
    """IoU of two masks, 0 if both are empty."""
    return float((mask & true).sum() / max(1, (mask | true).sum()))


def surface_of(dataset: Dataset, split: str) -> Surface | None:
    """The surface that a split's charts are of, where it is known."""
    surface: Surface | None = next((column.surface for column in dataset[split].columns if hasattr(column, "surface")), None)
    return surface

