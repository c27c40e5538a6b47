"""Files of meshes and of voxels: OBJ, OFF, STL, PLY and GLB by trimesh, binvox by its published format."""

from __future__ import annotations

import io
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from paperzoo.data.volumes.voxels import voxelise
from paperzoo.errors import PaperzooError
from paperzoo.files import ordinary
from paperzoo.terminal import plain

#: endings of meshes -> which of their axes is up, unless it is said: that of ModelNet's files, of printers' and of glTF
MESHES = {".off": "z", ".stl": "z", ".obj": "y", ".ply": "y", ".glb": "y"}

#: endings of files of voxels
VOXELS = (".binvox",)

_LARGEST = 2**30  # bytes of a file
_MOST = 1024  # voxels along a side


class Mesh(NamedTuple):
    """Triangles: ``vertices`` float64 (V, 3), ``faces`` int64 (F, 3); ``watertight`` if every edge is shared by two of them."""

    vertices: np.ndarray
    faces: np.ndarray
    watertight: bool


def library() -> Any:
    """The library trimesh; ``PaperzooError`` where it is not installed."""
    try:
        return import_module("trimesh")
    except ImportError as error:
        raise PaperzooError('reading and writing meshes needs trimesh: pip install "paperzoo[volumes]"') from error


def read_volume(path: Path, size: int, up: str = "") -> tuple[np.ndarray, bool]:
    """A file as a volume bool (D, H, W) of side ``size``, and whether it is closed: a mesh that is not may lack its inside.

    Args:
        up: which axis of a mesh is up, ``x``, ``y`` or ``z``; by default as ``MESHES`` says. Files of voxels say it themselves.

    Raises:
        PaperzooError: it is of no kind that is read here, damaged, or empty.
    """
    ordinary(path, "volume")
    suffix = path.suffix.lower()
    if suffix not in (*MESHES, *VOXELS):
        raise PaperzooError(f"{plain(path)} is no {', '.join(s[1:] for s in MESHES)} or binvox file")
    try:
        if path.stat().st_size > _LARGEST:
            raise PaperzooError(f"it has more than {_LARGEST} bytes")
        content = path.read_bytes()
        if suffix in VOXELS:
            return middle(resampled(binvox(content), size)), True
        vertices, faces, watertight = read_mesh(content, suffix)
        return voxelise(upright(vertices, up or MESHES[suffix]), faces, size), watertight
    except OSError as error:
        raise PaperzooError(f"{plain(path)} cannot be read: {error.strerror}") from error
    except PaperzooError as error:
        raise PaperzooError(f"{plain(path)}: {error}") from error


# Meshes --------------------------------------------------------------------------------------------------------------


def read_mesh(content: bytes, suffix: str, closed: bool = True) -> Mesh:
    """All triangles of a file, as it has them; of a scene those of all its meshes, each where it stands.

    Args:
        content: the file's bytes. Files beside it (materials, textures) are not opened.
        suffix: a key of ``MESHES``.
        closed: find out whether the mesh is watertight, which takes as long as reading it; else ``watertight`` is false.

    Raises:
        PaperzooError: it is damaged, of another kind, or has no faces.
    """
    trimesh = library()
    options = {"skip_materials": True} if suffix == ".obj" else {}
    try:
        mesh = trimesh.load_mesh(io.BytesIO(content), file_type=suffix[1:], process=False, **options)
        vertices, faces = np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64)
    except Exception as error:  # its readers raise a dozen kinds
        if b"\0" not in content[:1000] and suffix == ".obj" and b"\nf " not in b"\n" + content:
            raise PaperzooError("it has no faces") from error
        raise PaperzooError(
            f"it cannot be read as {suffix[1:]}: {' '.join(str(error).split()) or type(error).__name__}"
        ) from error
    if faces.ndim != 2 or not len(faces):
        raise PaperzooError("it has no faces")
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise PaperzooError(f"a face names vertex {int(faces.max())} of {len(vertices)}")
    watertight = False
    if closed:
        mesh.merge_vertices(merge_tex=True, merge_norm=True)  # what differs in texture alone is one corner
        watertight = bool(mesh.is_watertight)
    return Mesh(vertices, faces, watertight)


def upright(vertices: np.ndarray, up: str) -> np.ndarray:
    """Vertices (V, 3) turned so that the axis called ``up`` becomes y; nothing is mirrored."""
    x, y, z = vertices.T
    return np.stack({"x": (-y, x, z), "y": (x, y, z), "z": (x, z, -y)}[up], 1)


# Voxels --------------------------------------------------------------------------------------------------------------


def binvox(content: bytes) -> np.ndarray:
    """Patrick Min's format: a header of text, then pairs of a value and how often it is repeated; bool (D, H, W).

    The file runs through y fastest, then z, then x.

    Raises:
        PaperzooError: it is damaged, not cubic, or empty.
    """
    head, sign, data = content.partition(b"\ndata\n")
    lines = [line.split() for line in head.decode("ascii", "replace").splitlines()]
    if not sign or not lines or lines[0][:1] != ["#binvox"]:
        raise PaperzooError("it is no binvox file: it does not begin with #binvox and a header that ends in data")
    sides = next((line[1:] for line in lines if line[:1] == ["dim"]), [])
    if len(sides) != 3 or not all(side.isdigit() and 0 < len(side) < 6 for side in sides):
        raise PaperzooError("its header has no three dimensions")
    side = int(sides[0])
    if len(set(map(int, sides))) > 1 or not 0 < side <= _MOST:
        raise PaperzooError(f"it has {'x'.join(sides)} voxels: a cube of at most {_MOST} is read")
    if len(data) % 2:
        raise PaperzooError("it breaks off in the middle of a pair")
    value, count = np.frombuffer(data, np.uint8).reshape(-1, 2).T  # (R) each
    if (total := int(count.sum(dtype=np.int64))) != side**3 or (len(value) and value.max() > 1):
        fault = f"{total} voxels of {side**3}" if total != side**3 else f"the value {int(value.max())}, where 0 or 1 belongs"
        raise PaperzooError(f"it is damaged: it has {fault}")
    voxels = np.repeat(value.astype(bool), count).reshape(side, side, side)  # (W, D, H)
    if not voxels.any():
        raise PaperzooError("it is empty")
    return voxels.transpose(1, 2, 0)


def as_binvox(volume: np.ndarray) -> bytes:
    """A volume bool (D, H, W), all of one side, as a binvox file."""
    flat = volume.transpose(2, 0, 1).ravel().astype(np.uint8)  # (W, D, H)
    starts = np.flatnonzero(np.diff(flat, prepend=1 - flat[:1]))
    runs = np.diff(starts, append=len(flat))
    pairs = [
        (flat[start], min(255, run - done)) for start, run in zip(starts, runs, strict=True) for done in range(0, run, 255)
    ]
    head = f"#binvox 1\ndim {' '.join(map(str, volume.shape))}\ntranslate 0 0 0\nscale 1\ndata\n"
    return head.encode() + np.array(pairs, np.uint8).tobytes()


def resampled(voxels: np.ndarray, size: int) -> np.ndarray:
    """A cube of voxels at another side: each voxel occupied that holds an occupied one, or lies in one."""
    side = len(voxels)
    if side <= size:
        place = np.arange(size) * side // size
        return voxels[np.ix_(place, place, place)]
    small = np.zeros((size, size, size), bool)
    small[tuple(np.argwhere(voxels).T * size // side)] = True
    return small


def middle(voxels: np.ndarray) -> np.ndarray:
    """The voxels shifted so that the bounding box of the occupied ones is centred, to half a voxel."""
    moved = voxels
    for axis in range(3):
        occupied = np.flatnonzero(voxels.any(tuple(a for a in range(3) if a != axis)))
        moved = np.roll(moved, (len(voxels) - 1 - int(occupied[0]) - int(occupied[-1])) // 2, axis)
    return moved
