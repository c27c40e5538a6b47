"""A body's surface in charts: each triangle's part with U and V at its corners, and how far places of it lie apart on the surface."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from paperzoo.data.bodies.geodesics import on_mesh
from paperzoo.data.bodies.model import MEAN, NAMES, Body
from paperzoo.data.bodyparts import PARTS
from paperzoo.errors import PaperzooError
from paperzoo.terminal import plain

#: vertices that distances are kept of; others have those of the nearest of them
LANDMARKS = 800
#: metres within which a straight line stands for the way on the surface
NEAR = 0.12


@dataclass(frozen=True)
class Surface:
    """Places on a surface, and the ways between them.

    Attributes:
        part: int64 (C), of each corner of a triangle the part that the triangle is of, from 1; uv: float32 (C, 2), U and V in [0, 1].
        place: float32 (C, 3), where it lies, in metres.
        landmark: int64 (C), the landmark near it; apart: float32 (L, L), geodesic distances of landmarks in metres.
    """

    part: np.ndarray
    uv: np.ndarray
    place: np.ndarray
    landmark: np.ndarray
    apart: np.ndarray

    @cached_property
    def trees(self) -> dict[int, tuple[np.ndarray, Any]]:
        """Part -> its corners, int64, and a tree that finds the nearest of them by U and V."""
        from scipy.spatial import cKDTree

        each = {int(number): np.flatnonzero(self.part == number) for number in np.unique(self.part)}
        return {number: (corners, cKDTree(self.uv[corners])) for number, corners in each.items()}

    def corners(self, part: np.ndarray, uv: np.ndarray) -> np.ndarray:
        """The nearest corner in the charts, int64 (P), of parts (P) from 1 and their U and V (P, 2); -1 of a part the surface lacks."""
        nearest = np.full(len(part), -1)
        for number in np.unique(part).tolist():
            if number in self.trees:
                corners, tree = self.trees[number]
                nearest[part == number] = corners[tree.query(uv[part == number])[1]]
        return nearest

    def distances(self, part: np.ndarray, uv: np.ndarray, true_part: np.ndarray, true_uv: np.ndarray) -> np.ndarray:
        """Geodesic distances float64 (P) in metres between places; infinite where one is background or of no chart."""
        a, b = self.corners(part, uv), self.corners(true_part, true_uv)
        far = self.apart[self.landmark[a], self.landmark[b]].astype(np.float64)
        straight = np.linalg.norm(self.place[a].astype(np.float64) - self.place[b], axis=1)
        distances: np.ndarray = np.where((straight < NEAR) & (far < 3 * NEAR), straight, far)
        distances[(a < 0) | (b < 0)] = np.inf
        return distances


def surface_of(vertices: np.ndarray, faces: np.ndarray, part: np.ndarray, uv: np.ndarray, polygons: np.ndarray | None = None) -> Surface:
    """The surface of a mesh.

    Args:
        vertices: (V, 3) in metres. faces: int (F, 3). part: int (F), from 1. uv: (F, 3, 2).
        polygons: the same faces as quadrilaterals, along which ways are fewer and as short.
    """
    chosen = _spread(vertices, LANDMARKS)
    ways = on_mesh(vertices, faces if polygons is None else polygons, chosen)  # (L, V)
    near, vertex = ways.argmin(0), faces.reshape(-1)
    return Surface(
        np.repeat(part, 3), uv.reshape(-1, 2).astype(np.float32), vertices[vertex].astype(np.float32), near[vertex], ways[:, chosen]
    )


def read(path: Path) -> Surface:
    """The surface of a .npz with the five arrays of ``Surface``.

    Raises:
        PaperzooError: the file is damaged, or lacks an array, or one is of another shape.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            surface = Surface(*(file[name] for name in ("part", "uv", "place", "landmark", "apart")))
        shapes = tuple(array.shape for array in (surface.uv, surface.place, surface.landmark, surface.apart))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise PaperzooError(f"{plain(path)} is no surface with part, uv, place, landmark and apart: {plain(str(error))}") from None
    number, marks = len(surface.part), len(surface.apart)
    if shapes != ((number, 2), (number, 3), (number,), (marks, marks)):
        raise PaperzooError(f"{plain(path)}: part has {number} corners, uv, place, landmark and apart are {shapes}")
    return surface


def _spread(vertices: np.ndarray, number: int) -> np.ndarray:
    """Vertices that lie far apart: each the farthest from those before, int64 (number)."""
    if len(vertices) <= number:
        return np.arange(len(vertices))
    chosen, away = [0], np.full(len(vertices), np.inf)
    while len(chosen) < number:
        away = np.minimum(away, ((vertices - vertices[chosen[-1]]) ** 2).sum(1))
        chosen.append(int(away.argmax()))
    return np.array(chosen)


# The charts of MakeHuman's body ----------------------------------------------------------------------------------------

#: bone -> limb; the neck is the head's
_LIMBS = {
    "root": "torso", "spine04": "torso", "spine02": "torso", "neck01": "head", "head": "head", "upperarm01": "upper arm",
    "lowerarm01": "lower arm", "wrist": "hand", "upperleg01": "upper leg", "lowerleg01": "lower leg", "foot": "foot",
}  # fmt: skip
#: limb -> bones whose joints its axis runs through, from where V is 0
_AXES = {"upper arm": ("upperarm01", "lowerarm01"), "lower arm": ("lowerarm01", "wrist"), "upper leg": ("upperleg01", "lowerleg01"),
         "lower leg": ("lowerleg01", "foot")}  # fmt: skip


def charts(body: Body) -> tuple[np.ndarray, np.ndarray]:
    """Each triangle's part, int64 (F), and U and V at its corners, float64 (F, 3, 2) in [0, 1].

    V runs along the limb, U around it: over half a turn where front and back, or left and right, are parts of their own, over a whole
    one at hands, with the seam at the thumb, and feet, with the seam under the sole. Charts of the right are mirror images of those
    of the left.
    """
    vertices = body.shaped(MEAN)
    at = dict(zip(NAMES, vertices[body.joints].mean(1), strict=True))
    faces, quads = body.faces, body.quads
    bone = body.weights[quads].sum(1).argmax(1).repeat(2)  # (F), triangles of a quadrilateral alike
    limb = np.array([_LIMBS[name.partition(".")[0]] for name in NAMES])[bone]
    middle = vertices[quads].mean(1).repeat(2, 0)  # (F, 3)
    right = middle[:, 0] < 0
    corner = vertices[faces] * np.where(right, -1.0, 1.0)[:, None, None] ** np.array([1, 0, 0])  # (F, 3, 3), on the left
    middle = middle * np.where(right, -1.0, 1.0)[:, None] ** np.array([1, 0, 0])
    part, uv = np.zeros(len(faces), np.int64), np.zeros((len(faces), 3, 2))
    for name in dict.fromkeys(_LIMBS.values()):
        on_limb = limb == name
        along, front = np.array([0.0, -1, 0]), np.array([0.0, 0, 1])
        if name in _AXES:
            first, last = (at[f"{bone}.L"] for bone in _AXES[name])
            along = last - first
        elif name == "hand":
            along = middle[on_limb].mean(0) - at["wrist.L"]
        elif name == "foot":
            along, front = np.array([0.0, 0, 1]), np.array([0.0, -1, 0])
        along = along / np.linalg.norm(along)
        front = front - (front @ along) * along
        front = front / np.linalg.norm(front)
        aside = np.cross(front, along)
        aside *= np.sign(aside[0]) or 1.0  # outwards on the left
        centre = corner[on_limb].reshape(-1, 3).mean(0) * ([0, 1, 1] if name in ("torso", "head") else [1, 1, 1])

        def angle(points: np.ndarray) -> np.ndarray:
            """From the front outwards, in turns from -0.5 to 0.5."""
            away = points - centre  # noqa: B023
            turns: np.ndarray = np.arctan2(away @ aside, away @ front) / (2 * np.pi)  # noqa: B023
            return turns

        turn = angle(middle[on_limb])
        around = turn[:, None] + (angle(corner[on_limb]) - turn[:, None] + 0.5) % 1 - 0.5  # corners beside their middle
        height = corner[on_limb] @ along
        v = (height - height.min()) / (height.max() - height.min())
        side = np.where(right[on_limb], "right", "left")
        if name == "head":
            labels, u = np.char.add(side, " head"), 2 * around
        elif name in ("hand", "foot"):
            labels, u = np.char.add(side, f" {name}"), _whole(turn, around)
        else:
            back = np.abs(turn) > 0.25
            face = np.where(back, ", back", ", front")
            labels = np.char.add(name, face) if name == "torso" else np.char.add(np.char.add(side, f" {name}"), face)
            u = np.where(back[:, None], 2 * ((around % 1) - 0.25), 2 * (around + 0.25))
            if name == "torso":  # one chart over both sides: U runs from the right of the front to its left
                u = np.where(right[on_limb][:, None], 1 - u, u)
        part[on_limb] = [PARTS.index(label) for label in labels.tolist()]
        uv[on_limb] = np.stack([u, v], 2).clip(0, 1)
    return part, uv


def _whole(turn: np.ndarray, around: np.ndarray) -> np.ndarray:
    """Turns from -0.5 to 0.5 as U over a whole turn that begins at the front; corners stay beside the middle of their triangle."""
    return around + (turn < 0)[:, None]


def body_surface(body: Body) -> dict[str, np.ndarray]:
    """The arrays of the body's ``Surface`` by name."""
    part, uv = charts(body)
    vertices = body.shaped(MEAN)[: body.skin]
    return dict(vars(surface_of(vertices, body.faces, part, uv, body.quads)))
