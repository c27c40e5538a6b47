"""Meshes and voxels in folders: the user's own, ModelNet's and ShapeNet's."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from paperzoo.data.dataset import Dataset, Schema, Split, Values
from paperzoo.data.fetch.fingerprint import digest, fingerprint
from paperzoo.data.fetch.prepared import prepared, writable
from paperzoo.data.listing import (
    SPLITS,
    Item,
    Skipped,
    below,
    complain,
    copies,
    cut,
    say_copies,
    say_few,
    some,
    some_of_each,
)
from paperzoo.data.options import options
from paperzoo.data.paths import files_below
from paperzoo.data.volumes.columns import Volumes
from paperzoo.data.volumes.readers import MESHES, VOXELS, read_volume
from paperzoo.data.volumes.voxels import POSES, pack, side_of
from paperzoo.errors import PaperzooError
from paperzoo.terminal import plain

#: what follows ``meshes:PATH#``, and the last of it ``volumes:PATH#``
OPTIONS = {
    "up": "which axis of the meshes is up, x, y or z; by default z of .off and .stl, y of the others",
    "poses": "8 to train on each shape in its eight poses, 1 by default",
}

_VERSION = 1  # of the prepared arrays: change it whenever they come out differently


def mesh_folder(
    path: Path, text: str = "", image_size: int | None = None, channels: int | None = None, strict: bool = False
) -> Dataset:
    """Meshes anywhere below a folder, voxelised: ``volume`` (N, 1, S, S, S), and ``label`` (N) where there are class folders.

    The first folder on a file's way is its class, and ``train``, ``validation`` (``val``, ``valid``) or ``test`` as the first or the
    second its split, as ModelNet has them. A split that is missing is cut from ``train``, as those of ``folder:`` are; files of
    equal content stay together. Files that cannot be read, or have no faces, are left out with a warning; that a mesh is not
    watertight is said, for what is open at this scale stays hollow.

    Args:
        text: options, see ``OPTIONS``.
        image_size: the side, 16, 32 or 64. Default: 32.
        channels: volumes have one, whatever is asked for.
        strict: refuse what would be left out.

    Raises:
        PaperzooError: no mesh can be read, an option is wrong, or trimesh is not installed.
    """
    chosen = options(text, OPTIONS, plain(path.name), {"poses": 1})
    if (up := chosen.get("up", "")) not in ("", "x", "y", "z"):
        raise PaperzooError(f"{plain(path.name)}: up is x, y or z, not {up[:20]!r}")
    return _built(
        path, f"meshes:{path}", tuple(MESHES), up, _poses(chosen, path), side_of(image_size), strict, "the user's own"
    )


def volume_folder(
    path: Path, text: str = "", image_size: int | None = None, channels: int | None = None, strict: bool = False
) -> Dataset:
    """Files of voxels anywhere below a folder, else as ``mesh_folder``. One of another side is resampled, and moved to the middle.

    Where a model has both ``NAME.solid.binvox`` and ``NAME.surface.binvox``, as ShapeNet's have, the former is read.

    Raises:
        PaperzooError: no file can be read, or an option is wrong.
    """
    chosen = options(text, {"poses": OPTIONS["poses"]}, plain(path.name), {"poses": 1})
    return _built(path, f"volumes:{path}", VOXELS, "", _poses(chosen, path), side_of(image_size), strict, "the user's own")


def published(path: Path, kind: str, licence: str, image_size: int | None = None) -> Dataset:
    """ModelNet's meshes in its own splits, or ShapeNet's voxels, of which a tenth is cut for ``test`` and a tenth for ``validation``.

    Args:
        path: the folder with the class folders.
        image_size: the side, 16, 32 or 64. Default: 64.

    Raises:
        PaperzooError: it has none of their files.
    """
    endings = VOXELS if kind == "shapenet" else (".off",)
    return _built(path, kind, endings, "", 1, side_of(image_size, 64), False, licence)


def _poses(chosen: dict[str, str], path: Path) -> int:
    if (poses := int(chosen.get("poses", 1))) not in (1, POSES):
        raise PaperzooError(f"{plain(path.name)}: poses is 1 or {POSES}, not {poses}")
    return poses


def _built(
    root: Path, name: str, endings: Sequence[str], up: str, poses: int, size: int, strict: bool, licence: str
) -> Dataset:
    files = [root] if root.is_file() else files_below(root, *endings)
    filled = {
        file.with_name(file.name.replace(".solid.", ".surface.")) for file in files if file.name.endswith(".solid.binvox")
    }
    files = [file for file in files if file not in filled]
    key = f"volumes-{_VERSION}-{size}-{up}-{endings[0][1:]}-{digest(fingerprint(root))}"
    arrays = prepared(key, lambda: _arrays(files, size, up))
    packed, why, closed = writable(arrays["packed"]), arrays["why"], arrays["closed"]
    row = {file: number for number, file in enumerate(files)}
    _complain(root, {file: str(why[number]) for file, number in row.items() if why[number]}, len(files), strict)
    if hollow := [f for f, number in row.items() if not why[number] and not closed[number]]:
        few = some([below(f, root) for f in hollow])
        warning = f"{len(hollow)} of {len(files)} meshes in {plain(root)} are not watertight: {few}"
        warnings.warn(f"{warning}. What is open at {size} voxels stays hollow", stacklevel=4)
    by_split, names = _classes(root, files, strict)
    some_of_each(by_split.get("train", []), names, {file for file, number in row.items() if why[number]}, root, "shape")
    items = {split: [item for item in every if not why[row[item[0]]]] for split, every in by_split.items()}
    groups = copies(file for items_here in items.values() for file, _ in items_here)
    splits = cut(items, root, groups, "shapes")
    say_copies(items, groups, root, stacklevel=4)
    say_few(splits, names, root, stacklevel=4)
    built = {}
    for split, items_here in splits.items():
        turns = poses if split == "train" else 1
        column = Volumes(torch.from_numpy(packed[[row[file] for file, _ in items_here]]), size, turns)
        label = torch.tensor([kind for _, kind in items_here]).repeat_interleave(turns)
        built[split] = Split(column, Values("label", label)) if names else Split(column)
    fields, classes = (("volume", "label"), {"classes": len(names)}) if names else (("volume",), {})
    schema = Schema(name, fields, {"image_size": size, **classes}, names)
    return Dataset(schema, built, licence, f"shapes in {root}", pictures=False)


def _arrays(files: Sequence[Path], size: int, up: str) -> dict[str, np.ndarray]:
    """``packed`` uint8 (N, S^3 / 8); ``closed`` bool (N); and ``why`` a file was not read, empty where it was."""
    packed, closed, why = np.zeros((len(files), size**3 // 8), np.uint8), np.zeros(len(files), bool), [""] * len(files)
    for number, file in enumerate(files):
        try:
            volume, closed[number] = read_volume(file, size, up)
            packed[number] = pack(volume[None])[0]
        except PaperzooError as error:
            if "paperzoo[volumes]" in str(error):
                raise
            why[number] = str(error).removeprefix(f"{plain(file)}: ") or "damaged"
    return {"packed": packed, "closed": closed, "why": np.array(why)}


def _complain(root: Path, bad: dict[Path, str], total: int, strict: bool) -> None:
    if not bad:
        return
    few = "; ".join(f"{plain(below(f, root))} ({plain(why)})" for f, why in list(bad.items())[:3]) + (
        "; ..." if len(bad) > 3 else ""
    )
    message = f"{len(bad)} of {total} shapes in {plain(root)} cannot be read: {few}"
    if strict or len(bad) == total:
        raise PaperzooError(message)
    warnings.warn(f"{message}. They are left out", stacklevel=5)


def _classes(root: Path, files: Sequence[Path], strict: bool) -> tuple[dict[str, list[Item]], tuple[str, ...]]:
    """Each split's files with their labels, and the classes' names; none where there is one class or no folder."""
    shapes: list[tuple[Path, str, str]] = []
    for file in files:
        parts = list(file.relative_to(root).parts[:-1]) if file != root else []
        place = next((i for i, part in enumerate(parts[:2]) if part.lower() in SPLITS), None)
        split = SPLITS[parts.pop(place).lower()] if place is not None else "train"
        shapes.append((file, split, parts[0] if parts else ""))
    names = tuple(sorted({kind for _, _, kind in shapes if kind}))
    skipped = Skipped(list)
    if len(names) < 2:
        names = ()
    else:
        skipped["shapes beside the class folders"] = [file for file, _, kind in shapes if not kind]
        complain(root, skipped, strict, stacklevel=5)
    items: dict[str, list[Item]] = defaultdict(list)
    for file, split, kind in shapes:
        if kind or not names:
            items[split].append((file, names.index(kind) if names else 0))
    return items, names
