"""Translating points: modes covered and told apart, the way back, and the picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import paperzoo
from paperzoo import PaperzooError
from paperzoo.data import Dataset, Schema
from paperzoo.data.points.synthetic import MODES_A, MODES_B
from paperzoo.tasks.point_translation import PointTranslation, PointTranslator, told_apart

A, B = torch.from_numpy(MODES_A).float(), torch.from_numpy(MODES_B).float()


class Knows(PointTranslator):
    """Translates by a function of the mode of each point, and its place in it."""

    def __init__(self, there: Callable[[Tensor, Tensor], Tensor], back: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self.unused, self.there, self.way = nn.Parameter(torch.zeros(())), there, back

    def translate(self, point: Tensor) -> Tensor:
        mode = torch.cdist(point, A).argmin(1)
        return self.there(mode, point - A[mode])

    def back(self, point: Tensor) -> Tensor | None:
        return self.way(point) if self.way else None


@pytest.fixture(scope="module")
def points() -> Dataset:
    return paperzoo.dataset("modes5>10")


def half(offset: Tensor) -> Tensor:
    return (offset[:, 0] > 0).long()


def test_a_map_that_takes_each_mode_to_two_covers_all_ten(points: Dataset) -> None:
    model = Knows(lambda mode, offset: B[2 * mode + half(offset)] + offset)
    found = model.measure(points, "test")
    assert found["modes"] == 10 and found["modes of A told apart"] == 5
    assert found["high quality %"] > 97 and found["high quality % of real"] == pytest.approx(98.9, abs=0.5)
    assert "reconstruction error" not in found


def test_one_that_takes_all_to_one_place_is_told_from_it(points: Dataset) -> None:
    model = Knows(lambda mode, offset: B[0] + offset, lambda point: A[0].expand(len(point), 2))
    found = model.measure(points, "test")
    assert found["modes"] == 1 and found["modes of A told apart"] == 0 and found["high quality %"] > 97
    a = points["test"].batch(np.arange(10_000)).point_a
    assert found["reconstruction error"] == pytest.approx((a - A[0]).norm(dim=1).mean().item(), rel=1e-5)


def test_points_between_the_modes_are_of_no_quality(points: Dataset) -> None:
    found = Knows(lambda mode, offset: (B[2 * mode] + B[2 * mode + 1]) / 2, lambda point: point).measure(points, "test")
    assert found["modes"] == 0 and found["high quality %"] == 0


def test_the_way_back_begins_where_the_way_there_ends(points: Dataset) -> None:
    model = Knows(lambda mode, offset: B[mode] + offset, lambda point: A[torch.cdist(point, B[:5]).argmin(1)])
    found = model.measure(points, "test")
    assert found["reconstruction error"] == pytest.approx(0.3 * (np.pi / 2) ** 0.5, rel=0.05)  # a Gaussian's mean distance to its centre
    assert found["modes"] == 5 and found["modes of A told apart"] == 5


def test_modes_are_told_apart_if_they_share_none() -> None:
    source = np.repeat([0, 1, 2], 10)
    assert told_apart(source, np.repeat([5, 6, 7], 10)) == 3
    assert told_apart(source, np.repeat([5, 6, 6], 10)) == 1
    stray = np.repeat([5, 6, 7], 10)
    stray[0] = 6  # one of ten is no more than a tenth
    assert told_apart(source, stray) == 3
    stray[1] = 6
    assert told_apart(source, stray) == 1


def test_the_picture_shows_both_planes(points: Dataset, tmp_path: Path) -> None:
    (path,) = Knows(lambda mode, offset: B[mode] + offset).show(points, "test", tmp_path, "final")
    assert path.name == "final-points.png"
    with Image.open(path) as picture:
        array = np.array(picture.convert("RGB")).astype(int)
    coloured = (array.max(2) - array.min(2) > 60).any(0)  # columns with points
    assert coloured[: len(coloured) // 2].any() and coloured[len(coloured) // 2 :].any()


def test_points_whose_modes_nobody_knows_are_refused() -> None:
    task = PointTranslation()
    with pytest.raises(PaperzooError, match="needs data with point_a and point_b"):
        task.check(PointTranslator, Schema("ring8", ("point", "label")))
    with pytest.raises(PaperzooError, match="whose modes are known"):
        task.check(PointTranslator, Schema("mine", ("point_a", "point_b")))
