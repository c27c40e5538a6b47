"""A person drawn: the posed body as pixels with colour and light, and with the part, U and V of what is seen at each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from paperzoo.data.bodies.model import MEAN, Body
from paperzoo.data.bodies.poses import Look
from paperzoo.data.bodies.raster import normals, rasterised
from paperzoo.data.bodyparts import PARTS

#: samples along each side of a pixel that colours are the mean of; odd, so that one lies in its middle
FINE = 3


class Figure(NamedTuple):
    """A person in a picture of S x S pixels.

    Attributes:
        colour: float64 (S, S, 3), 0 to 255; alpha: float64 (S, S), how much of the pixel is the person's.
        part: int64 (S, S), of the pixel's middle, 0 where there is nobody; uv: float64 (S, S, 2).
    """

    colour: np.ndarray
    alpha: np.ndarray
    part: np.ndarray
    uv: np.ndarray


@dataclass(frozen=True)
class Artist:
    """The constants of all drawings: the body, its charts, and which of its triangles are hair and eyes.

    Attributes:
        part: int64 (F), from 1; uv: float64 (F, 3, 2). hair, eyes: bool (F).
    """

    body: Body
    part: np.ndarray
    uv: np.ndarray
    hair: np.ndarray
    eyes: np.ndarray

    @classmethod
    def of(cls, body: Body, part: np.ndarray, uv: np.ndarray) -> Artist:
        """The artist of a body with these charts; ``part`` and ``uv`` a row a corner are taken, too."""
        faces = body.faces
        part, uv = part.reshape(len(faces), -1)[:, 0], uv.reshape(len(faces), 3, 2)
        middle = body.shaped(MEAN)[faces].mean(1)
        head = np.isin(part, [PARTS.index("right head"), PARTS.index("left head")])
        skull = middle[head]
        low, high = skull[:, 1].min(), skull[:, 1].max()
        height, back = (middle[:, 1] - low) / (high - low), middle[:, 2] < skull[:, 2].mean() - 0.01
        hair = head & ((back & (height > 0.3)) | (height > 0.85))
        eye = np.array([np.abs(middle[:, 0]) - 0.032, middle[:, 1] - low - 0.58 * (high - low)])
        return cls(body, part, uv, hair, head & ~back & (np.hypot(*eye) < 0.01))

    def draw(self, skin: np.ndarray, look: Look, size: int, light: np.ndarray) -> Figure:
        """A body of which each vertex (S, 3) has x right, y down in pixels, and depth.

        Args:
            light: unit vector (3) towards the light; y is down there, and what is ahead of the picture has negative z.
        """
        faces = self.body.faces
        raster = rasterised(skin * [FINE, FINE, 1], faces, FINE * size, FINE * size)
        there = raster.face >= 0
        face, weights = raster.face[there], raster.weights[there]
        uv = np.einsum("pc,pck->pk", weights, self.uv[face])
        towards = (weights * (normals(skin, faces) @ light)[faces[face]]).sum(1)
        shade = 0.55 + 0.45 * towards.clip(-0.3, 1)
        fine = np.zeros((*there.shape, 4))
        fine[there] = np.concatenate([self._colours(look, face, uv) * shade[:, None], np.ones((len(face), 1))], 1)
        mean = np.add.reduce([fine[i::FINE, j::FINE] for i in range(FINE) for j in range(FINE)]) / FINE**2  # (S, S, 4)
        alpha = mean[..., 3]
        colour = (mean[..., :3] / np.maximum(alpha, 1e-6)[..., None]).clip(0, 255)
        middle, part, maps = raster.face[1::FINE, 1::FINE], np.zeros((size, size), np.int64), np.zeros((*there.shape, 2))
        maps[there] = uv
        part[middle >= 0] = self.part[middle[middle >= 0]]
        return Figure(colour, alpha, part, maps[1::FINE, 1::FINE].clip(0, 1))

    def _colours(self, look: Look, face: np.ndarray, uv: np.ndarray) -> np.ndarray:
        table = np.empty((len(PARTS), 3))
        for number, name in enumerate(PARTS):
            shirt = name.startswith("torso") or ("upper arm" in name and look.sleeves > 0) or ("lower arm" in name and look.sleeves > 1)
            trousers = "upper leg" in name or ("lower leg" in name and look.legs > 1)
            table[number] = look.shirt if shirt else look.trousers if trousers else look.shoes if "foot" in name else look.skin
        part = self.part[face]
        colour: np.ndarray = table[part]
        if look.stripes:
            shirt = (table[part] == look.shirt).all(1)
            lit = shirt & (np.sin(2 * np.pi * look.stripes * uv[:, 1] * np.where(part < 3, 1.0, 0.5)) > 0)
            colour[lit] = look.second
        colour[part < 3] = np.where((uv[part < 3, 1] > 0.78)[:, None], look.trousers, colour[part < 3])
        if not look.bald:
            colour[self.hair[face]] = look.hair
        colour[self.eyes[face]] = 25.0
        return colour
