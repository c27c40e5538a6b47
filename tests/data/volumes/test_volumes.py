"""Volumes: voxelising, bits, poses, readers of meshes and voxels, and folders of them; what is damaged is named."""

from __future__ import annotations

import builtins
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh

from paperzoo.data.datasets import dataset
from paperzoo.data.volumes import readers
from paperzoo.data.volumes.columns import Volumes
from paperzoo.data.volumes.furniture import CLASSES, alike, class_of, parted
from paperzoo.data.volumes.readers import as_binvox, binvox, middle, read_mesh, read_volume, resampled, upright
from paperzoo.data.volumes.synthetic import boxes_spheres
from paperzoo.data.volumes.voxels import POSES, iou, pack, posed, unpack, voxelise
from paperzoo.errors import PaperzooError


def box(x: float, y: float, z: float) -> trimesh.Trimesh:
    return trimesh.creation.box((x, y, z))


def exported(mesh: trimesh.Trimesh, suffix: str) -> bytes:
    content = mesh.export(file_type=suffix[1:])
    return content.encode() if isinstance(content, str) else content


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))


# Voxelising ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [16, 32])
@pytest.mark.parametrize("unit", [1.0, 1000.0, 1e-4])  # metres, millimetres, what a program makes of inches
def test_boxes_have_their_exact_voxels_in_any_unit(size: int, unit: float) -> None:
    whole = size - 1  # from the first voxel's centre to the last one's
    mesh = box(unit * whole, unit * (size // 2 - 1), unit * (size // 4 - 1)).apply_translation((7 * unit, -3 * unit, unit))
    volume = voxelise(mesh.vertices, mesh.faces, size)
    expected = np.zeros((size, size, size), bool)  # depth, height, width
    expected[3 * size // 8 : 5 * size // 8, size // 4 : 3 * size // 4] = True
    assert (volume == expected).all()


def test_a_ball_is_what_meets_it() -> None:
    mesh = trimesh.creation.icosphere(6)
    place = np.maximum(np.abs(np.arange(32) - 15.5) - 0.5, 0) ** 2  # of the nearest point of each voxel, squared
    expected = place[:, None, None] + place[:, None] + place <= 15.5**2
    volume = voxelise(mesh.vertices, mesh.faces, 32)
    assert (volume & expected).sum() / (volume | expected).sum() > 0.99  # grazed corners aside
    assert volume.sum() == pytest.approx(4 / 3 * np.pi * 16**3, rel=0.05)


def test_what_is_closed_is_filled_and_what_is_open_is_not() -> None:
    mesh = box(1, 1, 1)
    assert voxelise(mesh.vertices, mesh.faces, 16).all()
    up = mesh.face_normals[:, 1] > 0.5
    shell = voxelise(mesh.vertices, mesh.faces[~up], 16)  # without its lid
    assert not shell[1:-1, 1:, 1:-1].any() and shell[:, 0].all() and shell[0].all()
    assert shell.sum() == 16**3 - 14 * 15 * 14


def test_axes_are_depth_height_and_width() -> None:
    mesh = trimesh.util.concatenate([box(1, 1, 1), box(0.2, 0.2, 0.2).apply_translation((0.4, 0.9, 0.1))])
    volume = voxelise(mesh.vertices, mesh.faces, 16)
    d, w = np.argwhere(volume[:, 14]).mean(0)  # of the small box on top
    assert w > 9 and 7.5 < d < 9.5 and volume[:, 14].sum() < 30


def test_symmetric_things_are_symmetric_voxels() -> None:
    for width in (*np.linspace(0.1, 1, 23), *np.arange(1, 15) / 15):  # of the latter some end right between two voxels
        volume = voxelise((m := box(width, 1, 0.37)).vertices, m.faces, 16)
        assert (volume == volume[:, :, ::-1]).all() and (volume == volume[::-1]).all() and (volume == volume[:, ::-1]).all()


def test_a_million_faces_are_the_shape_that_few_are() -> None:
    ball = trimesh.creation.icosphere(4)
    coarse = voxelise(ball.vertices, ball.faces, 16)
    parts = np.repeat(ball.faces, 200, 0)
    assert len(parts) > 1_000_000 and (voxelise(ball.vertices, parts, 16) == coarse).all()


@pytest.mark.parametrize(
    ("vertices", "faces", "message"),
    [
        (np.zeros((3, 3)), np.zeros((0, 3), int), "no faces"),
        (np.zeros((3, 3)), [[0, 1, 2]], "at one place"),
        ([[0, 0, 0], [1, 0, 0], [0, np.nan, 0]], [[0, 1, 2]], "not finite"),
    ],
)
def test_what_has_no_voxels_is_refused(vertices: Any, faces: Any, message: str) -> None:
    with pytest.raises(PaperzooError, match=message):
        voxelise(np.asarray(vertices), np.asarray(faces), 16)


# Bits and poses ------------------------------------------------------------------------------------------------------


def test_bits_come_back_as_they_were() -> None:
    volumes = np.random.default_rng(0).random((5, 16, 16, 16)) < 0.3
    packed = pack(volumes)
    assert packed.dtype == np.uint8 and packed.shape == (5, 512)
    assert packed.nbytes * 8 == volumes.size  # one bit a voxel
    back = unpack(torch.from_numpy(packed), 16)
    assert back.dtype == torch.float32 and back.shape == (5, 1, 16, 16, 16) and (back[:, 0].numpy() == volumes).all()


def test_poses_are_the_eight_of_an_upright_thing() -> None:
    shape = torch.zeros(16, 16, 16)
    shape[3, 5, 9] = shape[4, 5, 9] = shape[4, 5, 11] = 1
    found = {tuple(map(tuple, posed(shape, pose).nonzero().tolist())) for pose in range(POSES)}
    assert len(found) == 8 and all(h == 5 for places in found for _, h, _ in places)
    assert torch.equal(posed(shape, 0), shape) and torch.equal(posed(posed(shape, 1), 3), shape)
    assert torch.equal(posed(posed(shape, 4), 4), shape)


def test_iou_is_that_of_sets_and_of_the_best_pose() -> None:
    random = torch.Generator().manual_seed(0)
    a, b = ((torch.rand(n, 1, 16, 16, 16, generator=random) < 0.2).float() for n in (3, 4))
    a[0], b[0] = 0, 0
    found = iou(a, b)
    for i in range(3):
        for j in range(4):
            both, either = (a[i] * b[j]).sum(), ((a[i] + b[j]) > 0).sum()
            assert found[i, j] == pytest.approx(float(both / either) if either else 1.0)
    turned = torch.stack([posed(one, pose) for one, pose in zip(b[1:], (2, 5, 7), strict=True)])
    assert torch.allclose(iou(b[1:], turned, POSES).diagonal(), torch.ones(3)) and iou(b[1:], turned).max() < 0.5


def test_a_column_gives_every_pose_of_every_shape() -> None:
    volumes = np.random.default_rng(0).random((3, 16, 16, 16)) < 0.3
    column = Volumes(torch.from_numpy(pack(volumes)), 16, POSES)
    assert len(column) == 24
    given = column.take(np.arange(24))["volume"]
    for item in range(24):
        assert torch.equal(given[item, 0], posed(torch.from_numpy(volumes[item // 8]).float(), item % 8))
    chosen = np.array([17, 3, 3, 8])
    assert torch.equal(column.take(chosen)["volume"], given[chosen])
    assert torch.equal(column.some(chosen).take(np.array([2, 0]))["volume"], given[[3, 17]])
    plain = Volumes(column.packed[:2], 16)
    joined = column.join(plain)
    assert len(joined) == 26 and torch.equal(joined.take(np.array([25, 9]))["volume"], given[[8, 9]])
    assert len(plain.join(column)) == 26 and torch.equal(plain.join(column).take(np.array([1, 2, 25]))["volume"], given[[8, 0, 23]])


# Files ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", readers.MESHES)
def test_every_kind_of_mesh_is_the_same_volume(suffix: str, tmp_path: Path) -> None:
    mesh = trimesh.util.concatenate([box(15, 3, 7), box(3, 8, 3).apply_translation((4, 5, 0))])
    x, y, z = mesh.vertices.T
    corners = np.stack([x, -z, y], 1) if readers.MESHES[suffix] == "z" else mesh.vertices
    path = tmp_path / f"a{suffix.upper()}"
    path.write_bytes(exported(trimesh.Trimesh(corners, mesh.faces), suffix))
    volume, closed = read_volume(path, 16)
    assert closed and (volume == voxelise(mesh.vertices, mesh.faces, 16)).all()
    turned, _ = read_volume(path, 16, "x")
    assert (turned != volume).any()


def test_off_as_modelnet_writes_it() -> None:
    corners = "\n".join(f"{x} {y} {z}" for x in (0, 1) for y in (0, 1) for z in (0, 1))
    mesh = read_mesh(f"OFF8 1 0\n{corners}\n4 0 1 3 2\n".encode(), ".off")  # the counts on the first line, a face of four corners
    assert mesh.vertices.shape == (8, 3) and len(mesh.faces) == 2 and not mesh.watertight


@pytest.mark.parametrize("up", ["x", "y", "z"])
def test_upright_turns_and_mirrors_nothing(up: str) -> None:
    matrix = upright(np.eye(3), up).T  # of column vectors
    assert np.linalg.det(matrix) == pytest.approx(1) and (matrix @ np.eye(3)["xyz".index(up)] == [0, 1, 0]).all()


def test_an_open_mesh_is_not_watertight_and_split_corners_do_not_matter() -> None:
    assert read_mesh(exported(box(1, 2, 3), ".stl"), ".stl").watertight  # whose triangles share no corner
    lid = box(1, 2, 3)
    lid.update_faces(np.arange(12) > 1)
    assert not read_mesh(exported(lid, ".obj"), ".obj").watertight


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.obj", b"v 0 0 0\nv 1 1 1\n", "no faces"),
        ("a.obj", b"", "no faces"),
        ("a.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", "cannot be read as obj"),
        ("a.off", b"OFF\n3 0 0\n0 0 0\n0 0 1\n0 1 0\n", "no faces"),
        ("a.ply", b"nothing", "cannot be read as ply"),
        ("a.glb", b"nothing", "cannot be read as glb"),
        ("a.txt", b"nothing", "no off, stl, obj, ply, glb or binvox"),
        ("a.binvox", b"#binvox 1\ndim 4 4 4\ndata\n\x01\x40\x00", "breaks off in the middle of a pair"),
        ("a.binvox", b"#binvox 1\ndim 4 4 4\ndata\n\x01\x3f", "63 voxels of 64"),
        ("a.binvox", b"#binvox 1\ndim 4 4 4\ndata\n\x01\x41", "65 voxels of 64"),
        ("a.binvox", b"#binvox 1\ndim 4 4 4\ndata\n\x02\x40", "the value 2"),
        ("a.binvox", b"#binvox 1\ndim 4 4 4\ndata\n\x00\x40", "is empty"),
        ("a.binvox", b"#binvox 1\ndim 4 4 5\ndata\n\x01\x50", "4x4x5 voxels"),
        ("a.binvox", b"#binvox 1\ndim 4 x 4\ndata\n\x01\x40", "three dimensions"),
        ("a.binvox", b"#binvox 1\ndim 99999 99999 99999\ndata\n\x01\x40", "at most 1024"),
        ("a.binvox", b"PNG", "no binvox file"),
    ],
)
def test_what_is_damaged_is_named(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PaperzooError, match=message) as caught:
        read_volume(tmp_path / name, 16)
    assert name in str(caught.value)


def test_binvox_runs_through_y_then_z_then_x() -> None:
    volume = np.random.default_rng(0).random((8, 8, 8)) < 0.4
    volume[0] = True  # and a run of more than 255 where it can be had
    assert (binvox(as_binvox(volume)) == volume).all()
    assert (binvox(as_binvox(np.ones((16, 16, 16), bool)))).all()
    one = np.zeros((4, 4, 4), bool)
    one[1, 2, 3] = True  # depth 1, height 2, width 3
    content = as_binvox(one).partition(b"data\n")[2]
    before = sum(content[1::2][: list(content[::2]).index(1)])
    assert before == 3 * 16 + 1 * 4 + 2


def test_voxels_of_another_side_keep_what_is_thin() -> None:
    thin = np.zeros((32, 32, 32), bool)
    thin[:, 5, 7] = True
    half = resampled(thin, 16)
    assert half[:, 2, 3].all() and half.sum() == 16
    assert resampled(half, 32).sum() == 16 * 8 and (resampled(resampled(half, 32), 16) == half).all()
    assert (middle(half)[:, 7, 7]).all() or (middle(half)[:, 7:9, 7:9]).any()
    assert np.argwhere(middle(half)).mean(0) == pytest.approx([7.5, 7.5, 7.5], abs=0.5)


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "import_module", lambda name: builtins.__import__("no_such_module"))
    with pytest.raises(PaperzooError, match=r'pip install "paperzoo\[volumes\]"'):
        read_mesh(b"", ".obj")


# Sets ----------------------------------------------------------------------------------------------------------------


def test_boxes_and_balls_occupy_alike_and_no_voxel_tells_them_apart() -> None:
    train = boxes_spheres()["train"].batch(np.arange(1000))
    shares = [float(train.volume[train.label == kind].mean()) for kind in (0, 1)]
    assert max(shares) < 2.2 * min(shares)
    means = [train.volume[train.label == kind].mean(0) for kind in (0, 1)]
    single = 0.5 + (means[0] - means[1]).abs().max() / 2  # the accuracy of the best voxel
    assert single < 0.7


def folder_of(root: Path, kinds: dict[str, int], suffix: str = ".off") -> Path:
    for kind, count in kinds.items():
        (root / kind).mkdir(parents=True)
        for number in range(count):
            side = 2 + number + 20 * (list(kinds).index(kind))
            (root / kind / f"{number:02d}{suffix}").write_bytes(exported(box(side, 7, 9), suffix))
    return root


def test_a_folder_of_classes_as_modelnet_has_it(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "m", {"bed/train": 11, "bed/test": 3, "sofa/train": 11, "sofa/test": 2})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        built = dataset(f"meshes:{root}", image_size=16)
    assert built.schema.names == ("bed", "sofa") and built.schema.arguments == {"image_size": 16, "classes": 2}
    assert len(built["test"]) == 5 and len(built["train"]) + len(built["validation"]) == 22
    assert sorted(built["test"].batch(range(5)).label.tolist()) == [0, 0, 0, 1, 1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        posed8 = dataset(f"meshes:{root}#poses=8", image_size=32)
    assert len(posed8["train"]) == 8 * len(built["train"]) and len(posed8["test"]) == 5
    assert posed8["train"].batch([0]).volume.shape == (1, 1, 32, 32, 32)


def test_what_is_wrong_in_a_folder_is_said(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "m", {"": 12})
    (root / "bad.off").write_text("OFF\n3 0 0\n0 0 0\n0 0 1\n0 1 0\n")
    (root / "open.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    with pytest.warns(UserWarning) as told:
        built = dataset(f"meshes:{root}", image_size=16)
    text = " ".join(str(one.message) for one in told)
    assert "1 of 14 shapes" in text and "bad.off (it has no faces)" in text
    assert "1 of 14 meshes" in text and "not watertight: open.obj" in text
    assert sum(len(split) for split in built.splits.values()) == 13 and built.schema.fields == ("volume",)
    with pytest.raises(PaperzooError, match="no faces"):
        dataset(f"meshes:{root}", image_size=16, strict=True)


def test_shapenet_is_read_from_its_solid_voxels(tmp_path: Path) -> None:
    for kind in ("0269", "0300"):
        for number in range(12):
            place = tmp_path / "s" / kind / f"{number:03d}" / "models"
            place.mkdir(parents=True)
            solid = np.zeros((16, 16, 16), bool)
            solid[2 : 5 + number, 3:9, 4 : 8 + (kind == "0300")] = True
            (place / "model_normalized.solid.binvox").write_bytes(as_binvox(solid))
            (place / "model_normalized.surface.binvox").write_bytes(as_binvox(~solid))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        built = dataset(f"volumes:{tmp_path / 's'}", image_size=16)
    assert built.schema.names == ("0269", "0300") and sum(map(len, built.splits.values())) == 24
    assert float(built["train"].batch([0]).volume.mean()) < 0.2


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("#up=w", 16, "up is x, y or z"),
        ("#poses=3", 16, "poses is 1 or 8"),
        ("#side=3", 16, "unknown option 'side'"),
        ("", 48, "16, 32 or 64 voxels, not 48"),
    ],
)
def test_options_that_cannot_be_are_refused(name: str, size: int, message: str, tmp_path: Path) -> None:
    root = folder_of(tmp_path / "m", {"": 3})
    with pytest.raises(PaperzooError, match=message):
        dataset(f"meshes:{root}{name}", image_size=size)


# Furniture -----------------------------------------------------------------------------------------------------------


def test_names_mean_their_classes() -> None:
    asked = {
        "Armchair": "chair", "Chair with cushion": "chair", "Bar stool": "stool", "Piano bench": "stool", "Armchair ottoman": "stool",
        "Corner sofa": "sofa", "Coffee table": "table", "Desk": "table", "Bunk bed": "bed", "Drawers cabinet": "cabinet",
        "Desk lamp": "lamp", "Garage door": "opening", "Turn window": "opening", "Palm tree": "plant", "Sitting female": "person",
    }  # fmt: skip
    assert {name: list(CLASSES)[class_of(name)] for name in asked} == asked
    for name in ("Wheelchair", "Table fan", "Seat Leon", "Bedside", "Window blind", "Table tennis bat", "Tablet"):
        assert class_of(name) == -1, name


def test_shapes_that_are_alike_stay_in_one_split() -> None:
    random = np.random.default_rng(0)
    volumes = random.random((40, 16, 16, 16)) < 0.2
    volumes[7] = posed(torch.from_numpy(volumes[3]), 6).numpy()  # the same, mirrored and turned
    volumes[9] = volumes[7].copy()
    volumes[9, 0, 0] = True  # nearly the same as the second
    leader = alike(pack(volumes), 16, 0.85)
    assert leader[7] == leader[9] == 3 and len(set(leader.tolist())) == 38
    split = parted([f"m{i}" for i in range(40)], leader, np.arange(40) % 2, 0.1)
    assert len({split[3], split[7], split[9]}) == 1
    for kind in (0, 1):
        assert [(split[np.arange(40) % 2 == kind] == number).sum() for number in (1, 2)] == [2, 2]
    few = parted(["a", "b", "c", "d"], np.arange(4), np.zeros(4, int), 0.1)
    assert not few.any()  # a class of four is trained on alone
