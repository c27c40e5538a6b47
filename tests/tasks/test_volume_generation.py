"""Generating volumes: what is measured, beside its controls; views; meshes and pages that are written."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image
from torch import Tensor

import paperzoo
from paperzoo.data import Dataset, Split
from paperzoo.data.volumes.columns import Volumes
from paperzoo.data.volumes.synthetic import boxes_spheres
from paperzoo.data.volumes.voxels import pack
from paperzoo.errors import PaperzooError
from paperzoo.metrics.shapes import among, coverage, largest_component
from paperzoo.tasks.volume_generation import draw, measure
from paperzoo.tasks.volume_generation.files import mesh, page, write_shapes
from paperzoo.tasks.volume_generation.view import axes, view


class Fixed:
    """Stands for a model: draws what it is told, and sees what it is told."""

    def __init__(self, volumes: Tensor, features: Any = None) -> None:
        self.volumes, self.seen = volumes, features or (lambda volume: volume.flatten(1))

    def sample(self, items: int, seed: int = 0) -> Tensor:
        return self.volumes[torch.arange(items) % len(self.volumes)]


@pytest.fixture(scope="module")
def shapes() -> Dataset:
    return boxes_spheres(16, (300, 40, 60))


def measured(volumes: Tensor, data: Dataset, features: Any = None) -> dict[str, float]:
    return measure.of_volumes(Fixed(volumes, features), data, "test")  # type: ignore[arg-type]


# Metrics -------------------------------------------------------------------------------------------------------------


def test_components_are_joined_by_corners() -> None:
    volumes = torch.zeros(4, 1, 16, 16, 16)
    volumes[0, 0, :4, :4, :4] = 1
    volumes[1, 0, 0, 0, 0] = volumes[1, 0, 1, 1, 1] = 1  # by a corner
    volumes[2, 0, 0, 0, 0:3] = volumes[2, 0, 8, 8, 8] = 1  # three and one
    assert [largest_component(volumes[i : i + 1]) for i in range(4)] == [1, 1, 0.75, 0]
    assert largest_component(volumes) == pytest.approx(2.75 / 4)


def test_coverage_and_distance_by_hand() -> None:
    near = torch.tensor([[0.9, 0.1, 0.2], [0.8, 0.3, 0.1], [0.2, 0.1, 0.4]])
    assert coverage(near) == (pytest.approx(2 / 3), pytest.approx(1 - (0.9 + 0.3 + 0.4) / 3))
    assert coverage(torch.eye(5)) == (1, 0)
    assert coverage(torch.tensor([[1.0, 0.2, 0.2]]).repeat(3, 1))[0] == pytest.approx(1 / 3)
    assert coverage(torch.cat([torch.eye(4), torch.eye(4)])) == (1, 0)  # of groups as many as there are references
    assert coverage(torch.cat([torch.eye(4), torch.zeros(4, 4), torch.zeros(3, 4)])) == (pytest.approx(0.625), pytest.approx(0.5))
    with pytest.raises(ValueError, match="fewer"):
        coverage(torch.eye(4)[:3])


def test_iou_among_leaves_a_shape_and_itself_out() -> None:
    assert among(torch.tensor([[1.0, 0.2], [0.4, 1.0]])) == pytest.approx(0.3)
    assert among(torch.ones(5, 5)) == 1 and among(torch.eye(5)) == 0


# Measuring -----------------------------------------------------------------------------------------------------------


def test_training_shapes_themselves_score_as_data(shapes: Dataset) -> None:
    real = measure.volumes(shapes, "train", measure.SAMPLES)
    found = measured(real, shapes)
    assert found["occupied over data's"] == pytest.approx(1) and found["iou among over data's"] == pytest.approx(1)
    for name in ("nearest iou", "iou among samples", "coverage %", "minimum matching distance", "largest component"):
        assert found[name] == pytest.approx(found[f"{name} of data"])
    held = measured(measure.volumes(shapes, "test", 60), shapes)
    assert held["nearest iou"] == 1 and held["coverage %"] > 90 and held["minimum matching distance"] == 0


def test_each_control_wins_one_half_and_loses_the_other(shapes: Dataset) -> None:
    found = measured(measure.volumes(shapes, "train", 256), shapes)
    assert found["nearest iou of mean shape"] > found["nearest iou of data"]  # it is near to all of them
    assert found["iou among samples of mean shape"] == 1 and found["coverage % of mean shape"] < 5
    assert found["iou among samples of noise"] < 1.3 * found["iou among samples of data"]  # never the same
    assert found["nearest iou of noise"] < 0.6 * found["nearest iou of data"]


def test_a_collapsed_generator_is_found_by_its_diversity(shapes: Dataset) -> None:
    one = measured(measure.volumes(shapes, "test", 1), shapes)
    assert one["nearest iou"] == 1 and one["iou among samples"] == 1 and one["coverage %"] == pytest.approx(100 / 60)
    assert one["iou among over data's"] > 3


def test_nothing_at_all_is_measured_too(shapes: Dataset) -> None:
    found = measured(torch.full((1, 1, 16, 16, 16), 0.5), shapes)  # at the threshold: not occupied
    assert found["occupied share %"] == 0 and found["largest component"] == 0 and found["nearest iou"] == 0
    full = measured(torch.full((1, 1, 16, 16, 16), 0.51), shapes)
    assert full["occupied share %"] == 100 and full["largest component"] == 1


def test_controls_have_as_many_voxels_as_the_data(shapes: Dataset) -> None:
    real = measure.volumes(shapes, "train", 300)
    mean, noise = measure.controls(real)
    assert mean.shape == noise.shape == (measure.SAMPLES, 1, 16, 16, 16)
    assert mean.mean().item() == pytest.approx(real.mean().item(), rel=0.05) and torch.equal(mean[0], mean[-1])
    assert torch.allclose(noise.mean(0), real.mean(0), atol=0.15) and not torch.equal(noise[0], noise[1])


def test_few_labels_are_ten_of_each_class_and_none_of_no_class(shapes: Dataset) -> None:
    asked: list[int] = []

    def told(volume: Tensor) -> Tensor:  # the label itself, which is what a box occupies of the box around it
        asked.append(len(volume))
        inside = volume.flatten(2).sum(2)[:, 0]
        around = torch.stack([(one[0].amax(tuple(a for a in range(3) if a != k)) > 0).sum() for one in volume for k in range(3)])
        return (inside / around.view(-1, 3).prod(1))[:, None].repeat(1, 3)

    found = measured(measure.volumes(shapes, "train", 256), shapes, told)
    assert found["svm on features %"] > 95 > found["svm on voxels %"] and asked == [60] + [20] * measure.DRAWS
    assert found["largest class %"] == pytest.approx(100 * max(np.bincount(shapes["test"].batch(range(60)).label)) / 60)
    packed = torch.from_numpy(pack(np.ones((70, 16, 16, 16), bool)))
    unlabelled = Dataset(
        paperzoo.data.Schema("x", ("volume",), {"image_size": 16}),
        {name: Split(Volumes(packed, 16)) for name in ("train", "test")}, "", "",
    )  # fmt: skip
    assert not any("svm" in name for name in measured(torch.ones(1, 1, 16, 16, 16), unlabelled))


# Views ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turn", [0, 30, 145, 290])
def test_the_axes_of_a_view_are_orthonormal_and_up_is_up(turn: float) -> None:
    right, up, forward = axes(turn)
    frame = np.stack([right, up, forward])
    assert np.allclose(frame @ frame.T, np.eye(3)) and up[1] > 0.8 and right[1] == 0 and forward[1] < 0


def test_a_view_shows_what_is_nearest_and_the_tops_brightest() -> None:
    volume = np.zeros((16, 16, 16), bool)
    assert np.asarray(view(volume)).min() == 255
    volume[6:10, 6:10, 6:10] = True
    picture = np.asarray(view(volume, 45, 96)).astype(int)
    shown = picture[(picture < 250).any(2)]
    assert len(np.unique(shown.sum(1) // 40)) >= 3  # three faces of three shades
    rows, columns = np.nonzero((picture < 250).any(2))
    assert abs(columns.mean() - 47.5) < 1 and abs(rows.mean() - 47.5) < 3
    assert picture[rows.min() + 4, 47].sum() > picture[rows.max() - 4, 44].sum()  # the top before the sides
    front = np.zeros((16, 16, 16), bool)
    front[15], front[0, 8, 8] = True, True  # a wall before a voxel, seen from the depth axis's end
    hidden = front.copy()
    hidden[0, 8, 8] = False
    assert np.array_equal(np.asarray(view(front, 0)), np.asarray(view(hidden, 0)))
    assert not np.array_equal(np.asarray(view(front, 180)), np.asarray(view(hidden, 180)))


def test_a_turn_moves_what_stands_to_the_side() -> None:
    volume = np.zeros((16, 16, 16), bool)
    volume[7:9, 7:9, 13:15] = True  # at the right end of the width
    centre = lambda turn: np.nonzero((np.asarray(view(volume, turn)) < 250).any(2))[1].mean()  # noqa: E731
    assert centre(0) > 60 and centre(180) < 36 and abs(centre(90) - 47.5) < 3 and abs(centre(360) - centre(0)) < 1e-6


# Files ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def two() -> Tensor:
    volumes = torch.zeros(2, 1, 16, 16, 16)
    volumes[0, 0, 2:6, 3:13, 4:9] = 1  # depth 4, height 10, width 5
    volumes[1, 0, :, 8:10, :] = 1
    return volumes


def test_a_mesh_is_closed_upright_and_as_large_as_its_voxels(two: Tensor) -> None:
    shape = mesh(two[0, 0].numpy())
    assert shape.is_watertight and shape.volume > 0  # its faces look outwards
    assert shape.volume == pytest.approx(4 * 10 * 5 / 16**3, rel=0.07)  # its edges are cut
    assert (shape.extents * 16).round(3).tolist() == [5, 10, 4]  # x, y, z
    middle = np.array([(4 + 8) / 2, (3 + 12) / 2, (2 + 5) / 2]) - 7.5
    assert np.allclose(shape.bounds.mean(0) * 16, middle)
    with pytest.raises(PaperzooError, match="sample 3 is empty"):
        mesh(np.zeros((16, 16, 16)), 3)


@pytest.mark.parametrize("suffix", [".obj", ".stl", ".ply", ".glb", ".off"])
def test_meshes_are_written_as_their_ending_says(suffix: str, two: Tensor, tmp_path: Path) -> None:
    said = write_shapes(two[:1], tmp_path / f"chair{suffix}")
    assert said == str(tmp_path / f"chair{suffix}")
    read = trimesh.load_mesh(said)
    assert read.volume == pytest.approx(mesh(two[0, 0].numpy()).volume, rel=1e-3)
    both = write_shapes(two, tmp_path / f"both{suffix}")
    assert "2 shapes side by side" in both and trimesh.load_mesh(tmp_path / f"both{suffix}").volume > 1.2 * read.volume


def test_a_folder_has_a_file_a_shape_and_nothing_is_half_written(two: Tensor, tmp_path: Path) -> None:
    assert write_shapes(two, tmp_path / "chairs").endswith("(2 files)")
    assert sorted(p.name for p in (tmp_path / "chairs").iterdir()) == ["000.obj", "001.obj"]
    two[1] = 0
    with pytest.raises(PaperzooError, match="sample 1 is empty"):
        write_shapes(two, tmp_path / "others")
    assert not (tmp_path / "others").exists()
    with pytest.raises(PaperzooError, match=r"not as \.docx"):
        write_shapes(two, tmp_path / "a.docx")
    with pytest.raises(PaperzooError, match="too many to turn"):
        write_shapes(two.repeat(40, 1, 1, 1, 1), tmp_path / "a.gif")


def test_pictures_animations_and_pages(two: Tensor, tmp_path: Path) -> None:
    write_shapes(two, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as still:
        assert still.size == (256, 128)
    write_shapes(two, tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as moving:
        assert moving.n_frames == draw.FRAMES and moving.size == (256, 128)
    write_shapes(two, tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text()
    assert "default-src 'none'" in text and not re.search(r"https?://|src=", text)  # nothing from anywhere
    bits = json.loads(re.search(r'atob\((".*?")\)', text)[1])  # type: ignore[index]
    import base64

    found = np.unpackbits(np.frombuffer(base64.b64decode(bits), np.uint8)).reshape(2, 16, 16, 16)
    assert (found == two[:, 0].numpy()).all() and "const S = 16, N = 2" in page(two)


def test_what_a_report_holds_turns_without_a_script(two: Tensor, tmp_path: Path) -> None:
    text = draw.turned_by_hand(two, tmp_path / "t.html").read_text()
    assert "<script" not in text and text.count("<i style") == draw.FRAMES and text.count("data:image/png") == 1
    assert len(text) < 60_000


def test_all_pictures_are_drawn_and_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draw, "FRAMES", 3)
    monkeypatch.setattr(draw, "TURNING", 2)
    model = paperzoo.create("gan3d", image_size=16, width=2, latent=3)
    paths = model.show(boxes_spheres(16, (300, 40, 60)), "test", tmp_path, "final")
    assert {p.name for p in paths} == {
        "final-samples.png", "final-walk.png", "final-arithmetic.png", "final-nearest.png", "final-turning.html", "turning.gif",
    }  # fmt: skip
    assert all(p.stat().st_size < 50_000 for p in paths if p.suffix == ".png")  # even of noise, which is as large as it gets
