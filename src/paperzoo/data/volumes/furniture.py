"""Furniture and other things of a home: the 820 meshes of Sweet Home 3D's libraries, as voxels, with classes by name."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from paperzoo.data.dataset import Dataset, Schema, Split, Values
from paperzoo.data.fetch.deb import deb_files
from paperzoo.data.fetch.prepared import prepared, writable
from paperzoo.data.fetch.sources import sha256
from paperzoo.data.volumes.columns import Volumes
from paperzoo.data.volumes.readers import read_mesh
from paperzoo.data.volumes.voxels import POSES, iou, pack, side_of, unpack, voxelise
from paperzoo.errors import PaperzooError

#: class -> what its things are called; the first that fits
CLASSES = {
    "chair": r"(?<!wheel)chair(?! ottoman)|^class seat$",
    "stool": r"stool|bench|ottoman|^puff$|^wood bank$|^little bank$",
    "sofa": r"sofa|couch|futon$",
    "table": r"\b(table|desk)\b(?! lamp| fan| tennis bat)",
    "bed": r"\bbed$|^crib$",
    "cabinet": r"cabinet|cupboard|wardrobe|bookcase|shelves|dresser|drawers|locker|^chest$",
    "lamp": r"lamp|lantern|chandelier|\blight\b",
    "opening": r"\bdoor$|door with|window(?! blind| shutter)",
    "plant": r"plant|tree|palm|pine|bush|hedge|cypress|ficus|yucca|cactus|bamboo|poplar|acacia|maple|beech|blossom|orchids|tulips|lily"
    r"|spathiphyllum|flowers",
    "person": r"\b(fe)?male$|\bboy$|\bgirl$|^mannequin",
}

#: those of ``chairs``
SEATS = ("chair", "stool", "sofa")

_FOLDER = "usr/share/sweethome3d/furniture"
_CATALOGUE = "PluginFurnitureCatalog.properties"
_ALIKE = 0.85  # intersection over union at 16 voxels, in the best pose: the same thing in two versions
_SHARE = 0.1  # of the shapes of each class, for test and for validation
_VERSION = 1  # of the prepared arrays: change it whenever they come out differently


class Thing(NamedTuple):
    """A row of a catalogue: the library's file, the thing's name, where its mesh lies in it, and a rotation (3, 3)."""

    library: str
    name: str
    model: str
    rotation: np.ndarray

    @property
    def key(self) -> str:
        """The key that decides the split: library and mesh."""
        return f"{self.library}{self.model}"


def class_of(name: str) -> int:
    """The number of the class that a thing's name means; -1 for none."""
    return next((number for number, words in enumerate(CLASSES.values()) if re.search(words, name.lower())), -1)


def furniture(deb: Path, image_size: int | None = None, kinds: Sequence[str] = (), poses: int = POSES) -> Dataset:
    """All 820 things, or those of some classes: ``volume`` (N, 1, S, S, S) and ``label`` (N), -1 for things of no class.

    Every mesh is voxelised by ``voxels.voxelise``; most are not closed, and what is open at this scale stays a shell. In ``train``
    each is there in its eight poses, in ``validation`` and ``test`` as it stands. A tenth of each class's meshes is in either of
    these; meshes that are the same at 16 voxels but for an intersection over union of 0.85, in whatever pose, stay in one split.

    Args:
        deb: the Debian package ``sweethome3d-furniture``.
        image_size: the side, 16, 32 or 64. Default: 32.
        kinds: classes of ``CLASSES``; all things by default.
        poses: of each shape to train on.

    Raises:
        PaperzooError: the package is damaged or another, trimesh is not installed, or the side is another.
    """
    size = side_of(image_size)
    arrays = prepared(f"furniture-{_VERSION}-{size}-{sha256(deb)[:8]}", lambda: _arrays(deb, size))
    label, split = arrays["label"], arrays["split"]
    wanted = [list(CLASSES).index(kind) for kind in kinds]
    new = np.full(len(CLASSES) + 1, -1)  # the last for things of no class
    new[wanted or np.arange(len(CLASSES))] = np.arange(len(wanted or CLASSES))
    splits = {}
    for number, name in enumerate(("train", "validation", "test")):
        chosen = np.flatnonzero((split == number) & (np.isin(label, wanted) | (not kinds)))
        turns = poses if name == "train" else 1
        packed = torch.from_numpy(writable(arrays["packed"])[chosen])
        labels = torch.from_numpy(new[label[chosen]].repeat(turns))
        splits[name] = Split(Volumes(packed, size, turns), Values("label", labels))
    names = tuple(kinds or CLASSES)
    schema = Schema("furniture", ("volume", "label"), {"image_size": size, "classes": len(names)}, names)
    source = "furniture of Sweet Home 3D by Scopia, Kator & Legaz, Reallusion and contributors of Blend Swap, as voxels"
    return Dataset(schema, splits, "", source)


def chairs(deb: Path, image_size: int | None = None, poses: int = POSES) -> Dataset:
    """The chairs, stools and sofas of ``furniture``, in the same splits.

    Raises:
        PaperzooError: as ``furniture``.
    """
    return furniture(deb, image_size, SEATS, poses)


def things(archive: zipfile.ZipFile, library: str) -> list[Thing]:
    """What the catalogue of a library lists, in its order.

    Raises:
        PaperzooError: it lists nothing.
    """
    text = archive.read(_CATALOGUE).decode("latin1")
    rows: dict[int, dict[str, str]] = defaultdict(dict)
    for key, number, value in re.findall(r"(?m)^(\w+)#(\d+)=(.*)$", text):
        rows[int(number)][key] = value.strip()
    catalogue = []
    for _, row in sorted(rows.items()):
        rotation = np.array(row.get("modelRotation", "1 0 0 0 1 0 0 0 1").split(), np.float64).reshape(3, 3)
        catalogue.append(Thing(library, row["name"], row["model"], rotation))
    if not catalogue:
        raise PaperzooError(f"{library} lists no furniture: another package, or another version of it")
    return catalogue


def _read(deb: Path) -> Iterator[tuple[Thing, zipfile.ZipFile]]:
    try:
        for file, content in deb_files(deb, _FOLDER, ".sh3f"):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                for thing in things(archive, file):
                    yield thing, archive
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise PaperzooError(f"{deb} is damaged, or another package: {error}") from error


def _arrays(deb: Path, size: int) -> dict[str, np.ndarray]:
    """``packed`` uint8 (N, S^3 / 8), ``label`` and ``split`` int64 (N), and ``name``."""
    kept, volumes, small = [], [], []
    for thing, archive in _read(deb):
        vertices, faces, _ = read_mesh(archive.read(thing.model.lstrip("/")), ".obj", closed=False)
        turned = vertices @ thing.rotation.T
        kept.append(thing)
        volumes.append(pack(voxelise(turned, faces, size)[None])[0])
        small.append(pack(voxelise(turned, faces, 16)[None])[0])  # the split is the same at every size
    label = np.array([class_of(thing.name) for thing in kept])
    leader = alike(np.stack(small), 16, _ALIKE)
    split = parted([thing.key for thing in kept], leader, label, _SHARE)
    names = np.array([thing.name for thing in kept])
    return {"packed": np.stack(volumes), "label": label, "split": split, "name": names}


# Splits --------------------------------------------------------------------------------------------------------------


def alike(packed: np.ndarray, size: int, least: float) -> np.ndarray:
    """For each of the shapes uint8 (N, S^3 / 8) the first of those that are like it, directly or by others between; int64 (N).

    Args:
        least: intersection over union of two shapes that are alike, the second in its best pose.
    """
    volume = unpack(torch.from_numpy(packed), size)
    near = (iou(volume, volume, POSES) >= least).numpy()
    leader = np.arange(len(packed))
    for i in range(len(packed)):
        for j in np.flatnonzero(near[i, :i] | near[:i, i]):
            a, b = leader[i], leader[j]
            leader[leader == max(a, b)] = min(a, b)
    return leader


def parted(keys: Sequence[str], leader: np.ndarray, label: np.ndarray, share: float) -> np.ndarray:
    """0 to train on, 1 for validation, 2 to test, int64 (N): a share of each class's shapes for either, none of a class of fewer than 5.

    Groups of shapes that are alike are taken in the order of the SHA-256 of their first one's key, while they fit.

    Args:
        keys: what names each shape for ever.
        leader: the first of each shape's group.
        label: the class of each; that of the first counts for its group.
    """
    split = np.zeros(len(keys), np.int64)
    for kind in np.unique(label):
        heads = [i for i in np.unique(leader) if label[i] == kind]
        heads.sort(key=lambda i: hashlib.sha256(keys[i].encode()).digest())
        members = {i: np.flatnonzero(leader == i) for i in heads}
        total = sum(map(len, members.values()))
        each = max(1, round(share * total)) if total >= 5 else 0
        for number in (2, 1):
            left = each
            for head in heads:
                if len(members[head]) <= left and not split[members[head]].any():
                    split[members[head]] = number
                    left -= len(members[head])
    return split
