"""Poses, looks and views of bodies by chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paperzoo.data.bodies.model import LEVELS, NAMES, Shape

#: joint -> least and greatest turn in degrees about x (ahead and down), y (left) and z (sideways, outward); of the left where there are two
_RANGES = {
    "root": ((0, 0), (0, 0), (0, 0)), "spine04": ((-12, 20), (-18, 18), (-10, 10)), "spine02": ((-8, 15), (-15, 15), (-8, 8)),
    "neck01": ((-12, 15), (-20, 20), (-8, 8)), "head": ((-15, 15), (-25, 25), (-10, 10)),
    "upperarm01": ((-35, 35), (-70, 25), (-40, 75)), "wrist": ((-25, 25), (-20, 20), (-35, 35)),
    "upperleg01": ((-75, 25), (-15, 15), (-4, 28)), "foot": ((-20, 25), (-10, 10), (-8, 8)),
}  # fmt: skip
#: elbows and knees turn about one axis, in degrees
_ELBOW, _KNEE = (0, 125), (0, 85)
#: how far a body leans towards the camera, and sideways, in degrees
LEAN, TILT = 18.0, 12.0

_SKINS = np.array([[255, 224, 196], [241, 194, 155], [224, 172, 120], [198, 134, 80], [141, 85, 46], [92, 56, 34]], np.float64)
_HAIRS = np.array([[25, 20, 18], [60, 38, 22], [110, 72, 40], [190, 150, 90], [150, 60, 30], [170, 170, 170]], np.float64)


def about(axis: np.ndarray, degrees: float) -> np.ndarray:
    """The rotation (3, 3) about an axis, counter-clockwise seen from its tip (Rodrigues)."""
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn = np.deg2rad(degrees)
    rotation: np.ndarray = np.eye(3) + np.sin(turn) * cross + (1 - np.cos(turn)) * cross @ cross
    return rotation


def euler(x: float, y: float, z: float) -> np.ndarray:
    """The rotation about x, then y, then z, in degrees."""
    rotation: np.ndarray = about(np.eye(3)[2], z) @ about(np.eye(3)[1], y) @ about(np.eye(3)[0], x)
    return rotation


def pose(rng: np.random.Generator) -> np.ndarray:
    """Rotations (17, 3, 3) of ``model.BONES``: two of three poses are calm, the others use the whole range of the joints."""
    calm = 0.5 if rng.random() < 2 / 3 else 1.0
    rotations = np.empty((len(NAMES), 3, 3))
    for number, name in enumerate(NAMES):
        bone, _, side = name.partition(".")
        mirror = -1.0 if side == "R" else 1.0
        if bone == "lowerarm01":  # towards the front; the forearm's own direction at rest is outward and down
            axis = np.cross([0.55 * mirror, -0.6, 0.6], [0, 0.25, 1.0])
            rotations[number] = about(axis, float(rng.uniform(*_ELBOW)) * calm * rng.random())
        elif bone == "lowerleg01":
            rotations[number] = euler(float(rng.uniform(*_KNEE)) * calm * rng.random(), 0, 0)
        else:
            x, y, z = (calm * float(rng.uniform(*bounds)) for bounds in _RANGES[bone])
            if bone == "upperarm01" and calm < 1:
                z -= 25.0  # arms hang down
            rotations[number] = euler(x, mirror * y, mirror * z)
    return rotations


def view(rng: np.random.Generator) -> np.ndarray:
    """The body's orientation to the camera, a rotation (3, 3): any yaw, mostly facing it, with a small tilt."""
    yaw = float(rng.uniform(-180, 180) if rng.random() < 0.7 else rng.normal(0, 40))
    lean, tilt = float(rng.uniform(-LEAN, LEAN)), float(rng.normal(0, TILT / 2))
    rotation: np.ndarray = about(np.eye(3)[2], tilt) @ about(np.eye(3)[0], lean) @ about(np.eye(3)[1], yaw)
    return rotation


def shape(rng: np.random.Generator) -> Shape:
    """A random body shape."""
    man = float(rng.beta(0.4, 0.4))
    old = float(rng.uniform(0, 1))
    age = np.array([0.6 * float(rng.random()), 0, 0]) if rng.random() < 0.15 else np.array([0, 0, 0.8 * old])
    age[1] = 1 - age.sum()
    return Shape(np.array([1 - man, man]), age, rng.dirichlet(np.full(3, 0.5)), _level(rng), _level(rng))


def _level(rng: np.random.Generator) -> np.ndarray:
    """Shares of the least, the average and the most: between two neighbours."""
    at = float(rng.uniform(0, len(LEVELS) - 1))
    shares: np.ndarray = np.maximum(0, 1 - np.abs(np.arange(len(LEVELS)) - at))
    return shares


@dataclass(frozen=True)
class Look:
    """Clothing and its colours, each float64 (3) in 0 to 255.

    Attributes:
        sleeves, legs: how many of the two halves of arms and legs are dressed. stripes: of the shirt, along V, none at 0; second: their
            colour. bald: whether there is no hair.
    """

    skin: np.ndarray
    hair: np.ndarray
    shirt: np.ndarray
    second: np.ndarray
    trousers: np.ndarray
    shoes: np.ndarray
    sleeves: int
    legs: int
    stripes: float
    bald: bool


def look(rng: np.random.Generator, skin: int) -> Look:
    """Clothes by chance; ``skin`` is the number of a skin's colour."""

    def colour() -> np.ndarray:
        grey, strength = float(rng.uniform(30, 225)), float(rng.uniform(0, 90))
        return np.asarray(np.clip(grey + strength * rng.uniform(-1, 1, 3), 0, 255))

    stripes = float(rng.integers(4, 11)) if rng.random() < 0.4 else 0.0
    return Look(
        np.clip(_SKINS[skin % len(_SKINS)] + rng.normal(0, 6, 3), 0, 255), _HAIRS[int(rng.integers(len(_HAIRS)))] + rng.normal(0, 5, 3),
        colour(), colour(), colour(), colour(), int(rng.integers(0, 3)), int(rng.integers(1, 3)), stripes, bool(rng.random() < 0.1),
    )  # fmt: skip
