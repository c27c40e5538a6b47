"""Dense pose: what is measured, drawn, laid on bodies and said; and pictures and textures that are not what they should be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from paperzoo.data.bodies.plain import plain_people
from paperzoo.errors import PaperzooError
from paperzoo.tasks.dense_pose import DensePoser, Found, drawing, measure
from paperzoo.tasks.dense_pose.contract import merged


class Bright(DensePoser):
    """Takes what is brighter than half for a person: the torso's back on the left, its front on the right, U and V by place."""

    def __init__(self, image_size: int = 64) -> None:
        super().__init__(3, image_size)
        self.network = nn.Conv2d(1, 1, 1)  # for its device

    def answers(self, image: Tensor) -> Tensor:
        return image.mean(1, keepdim=True)

    def people(self, image: Tensor) -> list[list[Found]]:
        rows = []
        for own in self.answers(image)[:, 0]:
            bright = (own > 0.75).cpu().numpy()
            if not bright.any():
                rows.append(list[Found]())
                continue
            y, x = np.nonzero(bright)
            box = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1], np.float32)
            across = np.arange(bright.shape[1]) / bright.shape[1]
            part = np.where(across < 0.5, 1, 2) * bright
            uv = np.stack([np.tile(across, (len(bright), 1)), np.tile(across, (len(bright), 1)).T]).astype(np.float32)
            rows.append([Found(0.9, box, part, uv)])
        return rows


def picture(wide: int = 80, tall: int = 40) -> Image.Image:
    pixels = np.full((tall, wide, 3), 40, np.uint8)
    pixels[10:30, 20:60] = 250
    return Image.fromarray(pixels)


def test_what_is_found_comes_back_in_the_pictures_own_pixels(tmp_path: Path) -> None:
    picture().save(tmp_path / "one.png")
    said = Bright().predict(tmp_path / "one.png", out=str(tmp_path / "drawn"))
    assert said.size == (80, 40) and said.path == tmp_path / "drawn" / "one-pose.png"
    (one,) = said.found
    assert np.allclose(one.box, [20, 10, 60, 30], atol=1.3)
    assert list(one.parts) == ["torso, back", "torso, front"] and sum(one.parts.values()) == pytest.approx(1)
    assert json.loads(str(said))["found"][0]["score"] == 0.9
    drawn = Image.open(said.path)
    assert drawn.height == 5 * 40 and drawn.width == 3 * 5 * 80 + 8
    (found,) = Bright().look(picture())
    assert found.part.shape == (40, 80) and found.part[20, 30] == 1 and found.part[20, 50] == 2 and found.part[5, 5] == 0
    assert not found.part[:8].any() and found.uv.shape == (2, 40, 80)


def test_nobody_in_the_picture_is_an_answer(tmp_path: Path) -> None:
    Image.new("RGB", (50, 50), (20, 20, 20)).save(tmp_path / "empty.png")
    said = Bright().predict(tmp_path / "empty.png", out=str(tmp_path / "drawn"))
    assert said.found == () and json.loads(str(said))["found"] == [] and said.path is not None and said.path.exists()


def test_a_folders_pictures_are_read_and_what_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    picture().save(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "b.png").write_bytes(b"no picture")
    lines = str(Bright().predict(tmp_path / "in")).splitlines()
    assert json.loads(lines[0])["image"] == "a" and "b.png" in lines[1]
    with pytest.raises(PaperzooError, match="no pictures"):
        (tmp_path / "none").mkdir()
        Bright().predict(tmp_path / "none")


def test_textures_of_another_shape_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    Image.new("RGB", (100, 50)).save(tmp_path / "atlas.png")
    with pytest.raises(PaperzooError, match="no atlas of 6 by 4 squares"):
        Bright().predict(picture(), texture=str(tmp_path / "atlas.png"), out=str(tmp_path / "drawn"))
    with pytest.raises(PaperzooError, match="multiple of 32, such as 96, not 100"):
        Bright(100)
    assert not (tmp_path / "drawn").exists()


def test_an_atlas_is_cut_part_by_part_and_laid_where_u_and_v_say() -> None:
    tile = 8
    pixels = np.zeros((4 * tile, 6 * tile, 3), np.uint8)
    for k in range(24):
        pixels[k // 6 * tile : (k // 6 + 1) * tile, k % 6 * tile : (k % 6 + 1) * tile, 0] = 10 * k
    pixels[:tile, tile : 2 * tile, 1] = np.arange(tile)[:, None] * 30  # of part 2 green grows with V
    atlas = drawing.atlas_of(Image.fromarray(pixels), "it")
    assert atlas.shape == (24, 8, 8, 3) and all((atlas[k, :, :, 0] == 10 * k).all() for k in range(24))
    part = np.array([[2, 2, 0, 24]])
    uv = np.array([[[0.0, 1.0, 0, 0.5]], [[0.0, 1.0, 0, 0.5]]])
    grey = Image.fromarray(np.full((1, 4, 3), 100, np.uint8))
    found = np.asarray(drawing.textured(grey, part, uv, atlas))
    assert found[0].tolist() == [[10, 0, 0], [10, 210, 0], [100, 100, 100], [230, 0, 0]]
    assert drawing.chequered().shape == (24, 64, 64, 3)


def test_isolines_lie_where_a_chart_crosses_a_step_and_borders_where_parts_meet() -> None:
    part = np.ones((12, 24), np.int64)
    part[:, 12:] = 2
    uv = np.stack([np.tile((np.arange(24) % 12 + 0.5) / 12, (12, 1)), np.full((12, 24), 0.5)])
    found = np.asarray(drawing.isolines(Image.new("RGB", (24, 12)), part, uv))
    orange, white = (found == [230, 159, 0]).all(2), (found == 255).all(2)
    assert np.flatnonzero(orange[0]).tolist() == [1, 3, 5, 7, 9, 13, 15, 17, 19, 21] and np.flatnonzero(white[0]).tolist() == [11]
    assert not (found == [0, 114, 255]).all(2).any()  # V is the same everywhere


def test_maps_of_several_people_are_laid_with_the_best_on_top() -> None:
    one, other = np.zeros((4, 4), np.int64), np.zeros((4, 4), np.int64)
    one[:2], other[1:] = 3, 5
    people = [Found(0.9, np.zeros(4), one, np.full((2, 4, 4), 0.1)), Found(0.5, np.zeros(4), other, np.full((2, 4, 4), 0.9))]
    part, uv = merged(people, 4, 4)
    assert part[:, 0].tolist() == [3, 3, 5, 5] and np.allclose(uv[0, :, 0], [0.1, 0.1, 0.9, 0.9])


def test_answers_are_read_at_the_pixels_of_points() -> None:
    part = np.arange(16).reshape(4, 4)
    found = Found(1.0, np.zeros(4), part, np.stack([part / 16, part / 32]))
    said = measure.at_points(found, np.array([[0.5, 0.5], [3.5, 1.5], [4.0, 4.0]]))
    assert said.part.tolist() == [0, 7, 15] and np.allclose(said.uv, [[0, 0], [7 / 16, 7 / 32], [15 / 16, 15 / 32]])


def test_pictures_of_a_run_are_drawn(tmp_path: Path) -> None:
    model = Bright()
    files = model.show(plain_people(64), "test", tmp_path, "x")
    assert [file.name for file in files] == ["x-parts.png", "x-texture.png"]
    wide, tall = Image.open(files[0]).size
    assert (wide, tall) == (5 * 128 + 16, 6 * 128 + 20)
    measured = model.measure(plain_people(64), "test")
    assert set(measured) >= {"part accuracy", "uv error", "GPS", "AP"} and 0 <= measured["GPS"] <= 1
    assert torch.equal(model.answers(torch.ones(1, 3, 64, 64)), torch.ones(1, 1, 64, 64))
