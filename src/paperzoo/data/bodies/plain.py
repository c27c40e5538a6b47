"""A cylinder for a body, with a front, a back and a head in two halves, on grey: what tests train on, and what is known in closed form."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from paperzoo.data.bodies.columns import Points
from paperzoo.data.bodies.geodesics import on_cylinder
from paperzoo.data.bodies.people import annotated, built
from paperzoo.data.bodies.poses import about
from paperzoo.data.bodies.raster import rasterised
from paperzoo.data.bodies.surface import Surface
from paperzoo.data.dataset import Dataset

SIZE, COUNTS = 64, {"train": 120, "validation": 20, "test": 20}
#: metres; how many columns and rows of quadrilaterals; from which row on, counted from below, it is the head
RADIUS, HEIGHT, AROUND, ROWS, HEAD = 0.3, 1.6, 32, 16, 12
_BACK, _FRONT, _RIGHT, _LEFT = 1, 2, 23, 24


class Cylinder:
    """The mesh: ``vertices`` (V, 3) in metres, ``faces`` (F, 3), each one's ``part`` (F) and ``uv`` (F, 3, 2), angles and heights (V, 2).

    The front is at positive z, the left at positive x. Of the body U runs over a half from right to left, at the back from left to
    right; of a half of the head from the front to the back. V runs downwards.
    """

    def __init__(self) -> None:
        rows, columns = np.meshgrid(np.arange(ROWS + 1), np.arange(AROUND), indexing="ij")
        angle, height = 2 * np.pi * columns.ravel() / AROUND, HEIGHT * rows.ravel() / ROWS  # angle from the front to the left
        self.angles = np.stack([angle, height], 1)
        self.vertices = np.stack([RADIUS * np.sin(angle), height, RADIUS * np.cos(angle)], 1)
        r, c = (x.ravel() for x in np.meshgrid(np.arange(ROWS), np.arange(AROUND), indexing="ij"))
        low, low2 = r * AROUND + c, r * AROUND + (c + 1) % AROUND
        quads = np.stack([low, low2, low2 + AROUND, low + AROUND], 1)
        self.faces = quads[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3)
        turn = np.stack([c, c + 1, c + 1, c], 1)[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3) / AROUND  # in turns, 0 to 1
        high = self.angles[self.faces, 1] / HEIGHT
        middle, head = turn.mean(1), r.repeat(2) >= HEAD
        front = (middle < 0.25) | (middle > 0.75)
        self.part = np.where(head, np.where(middle < 0.5, _LEFT, _RIGHT), np.where(front, _FRONT, _BACK))
        u = np.where(front[:, None], 2 * ((turn + 0.25) % 1), 2 * (turn - 0.25))
        u = np.where((front & (middle > 0.5))[:, None] & (turn == 1.0), 0.5, u)
        u = np.where(head[:, None], np.where((middle < 0.5)[:, None], 2 * turn, 2 * (1 - turn)), u)
        edge = HEAD / ROWS
        v = np.where(head[:, None], (1 - high) / (1 - edge), (edge - high) / edge)
        self.uv = np.stack([u, v], 2).clip(0, 1)

    def surface(self) -> Surface:
        """Its surface with all its vertices as landmarks, and distances in closed form."""
        apart = on_cylinder(self.angles[:, None], self.angles[None], RADIUS).astype(np.float32)
        corner = self.faces.ravel()
        uv = self.uv.reshape(-1, 2).astype(np.float32)
        return Surface(self.part.repeat(3), uv, self.vertices[corner].astype(np.float32), corner, apart)


@lru_cache(maxsize=1)
def cylinder() -> Cylinder:
    """The mesh, made once."""
    return Cylinder()


def plain_people(image_size: int | None = None) -> Dataset:
    """One cylinder in each picture, turned anyhow: fields as of ``people.drawn_people``.

    Args:
        image_size: height and width. Default: 64.
    """
    size, arrays, mesh = image_size or SIZE, dict[str, np.ndarray](), cylinder()
    for number, (split, count) in enumerate(COUNTS.items()):
        rng = np.random.default_rng(number)
        image, uv = np.empty((count, 3, size, size), np.uint8), np.empty((count, 2, size, size), np.uint8)
        part, people = np.empty((count, size, size), np.uint8), list[Points]()
        for item in range(count):
            turn = about(np.eye(3)[2], float(rng.normal(0, 10))) @ about(np.eye(3)[1], float(rng.uniform(-180, 180)))
            points = (mesh.vertices - [0, HEIGHT / 2, 0]) @ turn.T * [1, -1, -1] * 0.48 * size + [size / 2, size / 2, 0]
            raster = rasterised(points, mesh.faces, size, size)
            there = raster.face >= 0
            visible = np.where(there, mesh.part[raster.face], 0)
            maps = np.einsum("hwc,hwck->hwk", raster.weights, mesh.uv[raster.face])
            colour = np.array([0, 0, 0])[:, None, None] + rng.integers(100, 140) + rng.integers(-10, 10, (3, size, size))
            colour = np.where(there, np.stack([255 * maps[..., 0], 255 * maps[..., 1], 10.0 * visible]), colour)
            image[item], part[item] = colour.clip(0, 255), visible
            uv[item] = (255 * maps).round().transpose(2, 0, 1)
            people.append(annotated(visible, maps, rng, 0.0))
        flat = {
            "boxes": np.stack([one.box for one in people]), "points": np.array([len(one.part) for one in people]),
            "count": np.ones(count, np.int64), "place": np.concatenate([one.place for one in people]),
            "point-part": np.concatenate([one.part for one in people]), "point-uv": np.concatenate([one.uv for one in people]),
        }  # fmt: skip
        whole = {"image": image, "part": part, "person": (part > 0).astype(np.uint8), "uv": uv, **flat}
        arrays |= {f"{split}-{name}": array for name, array in whole.items()}
    return built("people-plain", arrays, size, mesh.surface(), "drawn by formula")
