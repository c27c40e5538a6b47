"""Procedural objects that ship with a physics simulator."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch

from paperzoo.data.dataset import Dataset, Schema, Split
from paperzoo.data.fetch.prepared import prepared, writable
from paperzoo.data.fetch.readers import archive_files
from paperzoo.data.fetch.sources import sha256
from paperzoo.data.volumes.columns import Volumes
from paperzoo.data.volumes.furniture import alike, parted
from paperzoo.data.volumes.readers import read_mesh, upright
from paperzoo.data.volumes.voxels import POSES, pack, side_of, voxelise
from paperzoo.errors import PaperzooError

_ALIKE = 0.95  # intersection over union at 16 voxels of shapes that stay in one split
_SHARE = 0.1
_VERSION = 1  # of the prepared arrays: change it whenever they come out differently


def random_objects(package: Path, image_size: int | None = None, poses: int = POSES) -> Dataset:
    """The meshes of PyBullet's ``random_urdfs``, 977 of 999 watertight: ``volume`` (N, 1, S, S, S). Their z is up.

    As of ``furniture``, each is there in eight poses to train on; a tenth is for validation, a tenth to test.

    Args:
        package: the source distribution of PyBullet.
        image_size: the side, 16, 32 or 64. Default: 32.
        poses: of each shape to train on.

    Raises:
        PaperzooError: the package is damaged or another, trimesh is not installed, or the side is another.
    """
    size = side_of(image_size)
    arrays = prepared(f"random-objects-{_VERSION}-{size}-{sha256(package)[:8]}", lambda: _arrays(package, size))
    packed, split = writable(arrays["packed"]), arrays["split"]
    splits = {
        name: Split(Volumes(torch.from_numpy(packed[split == number]), size, 1 if number else poses))
        for number, name in enumerate(("train", "validation", "test"))
    }
    schema = Schema("random-objects", ("volume",), {"image_size": size})
    return Dataset(schema, splits, "", "procedural objects of PyBullet, as voxels")


def _arrays(package: Path, size: int) -> dict[str, np.ndarray]:
    files = {}
    for name, content in archive_files(package, ".obj"):
        if match := re.search(r"pybullet_data/random_urdfs/(\d{3})/\1\.obj$", name):
            files[match[1]] = content
    if not files:
        raise PaperzooError(f"{package} has no random_urdfs: another package, or another version of it")
    meshes = {key: read_mesh(content, ".obj", closed=False) for key, content in sorted(files.items())}
    meshes = {
        key: mesh for key, mesh in meshes.items() if np.isfinite(mesh.vertices).all()
    }  # no. 168 has no coordinates at all
    packed, small = (
        pack(np.stack([voxelise(upright(m.vertices, "z"), m.faces, side) for m in meshes.values()])) for side in (size, 16)
    )
    split = parted(list(meshes), alike(small, 16, _ALIKE), np.zeros(len(meshes), np.int64), _SHARE)
    return {"packed": packed, "split": split}
