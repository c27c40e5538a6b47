"""DensePose-RCNN: its sizes, what its heads learn in a region, and that it finds and reads people."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fixtures.detectors import Fixed, first
from torch import nn

from paperzoo.data import Batch
from paperzoo.data.bodies.plain import plain_people
from paperzoo.engine.players import Players, optimizers
from paperzoo.errors import PaperzooError
from paperzoo.papers.detection.densepose_rcnn import Head, Model, Regions, pasted, points_in, segments_in
from paperzoo.tasks.dense_pose.measure import of_points

TINY: dict[str, Any] = {
    "blocks": (1, 1, 1, 1), "bottleneck": False, "trunk": 8, "width": 16, "hidden": 32, "layers": 2, "head": 24, "anchor": 16.0,
    "whole": 64.0, "proposals": 30, "regions": 16, "image_size": 64, "mask": 1.0, "part": 1.0, "beta": 0.1,
}  # fmt: skip


def test_the_head_has_eight_convolutions_of_512_channels_and_says_88_maps_of_56_by_56() -> None:
    with torch.device("meta"):
        model = Model(cascade=True)
        convolutions = [m for m in model.head.body if isinstance(m, nn.Conv2d)]
        assert [m.out_channels for m in convolutions] == [512] * 8 and convolutions[0].in_channels == 256
        assert all(m.kernel_size == (3, 3) for m in convolutions) and model.head.maps.kernel_size == (4, 4)
        assert model.head(torch.rand(3, 256, 14, 14, device="meta")).shape == (3, 88, 56, 56)
        assert isinstance(model.second, Head) and model.second.body[0].in_channels == 256 + 88  # type: ignore[union-attr]
        maps = model.pyramid(torch.rand(1, 3, 128, 192, device="meta"))
        assert [tuple(m.shape[1:]) for m in maps] == [(256, 32, 48), (256, 16, 24), (256, 8, 12), (256, 4, 6), (256, 2, 3)]
        assert model.proposer(maps).shape == (1, 3 * (32 * 48 + 16 * 24 + 8 * 12 + 4 * 6 + 2 * 3), 5)
    with pytest.raises(PaperzooError, match="four stages"):
        Model(blocks=(1,))


def test_a_regions_targets_are_those_of_its_own_person() -> None:
    segments, person = torch.zeros(1, 80, 80, dtype=torch.int64), torch.zeros(1, 80, 80, dtype=torch.int64)
    segments[0, 10:66, 10:66], person[0, 10:66, 10:38], person[0, 10:66, 38:66] = 5, 1, 2
    boxes = torch.tensor([[10.0, 10, 66, 66], [10, 10, 66, 66]])
    found = segments_in(segments, person, boxes, torch.tensor([0, 0]), torch.tensor([0, 1]))
    left, right = found[:, :, :28], found[:, :, 28:]
    assert (left[0] == 5).all() and (right[0] == 0).all() and (right[1] == 5).all() and (left[1] == 0).all()


def test_points_lie_in_a_region_where_they_lie_in_its_box() -> None:
    points = torch.tensor([[[20.0, 30.0], [10.0, 10.0], [70.0, 20.0], [0.0, 0.0]]])
    part, places, inside = points_in(points, torch.tensor([[3, 4, 5, 0]]), torch.tensor([[10.0, 10, 38, 66]]))
    assert part.tolist() == [[3, 4, 0, 0]] and inside.tolist() == [[True, True, False, False]]
    assert places[0, 0].tolist() == [20.0, 20.0] and places[0, 1].tolist() == [0.0, 0.0]


def test_what_is_said_of_a_box_is_pasted_there_also_at_the_border() -> None:
    said = torch.zeros(88, 56, 56)
    said[7, :, :28], said[0, :, 28:] = 9.0, 9.0  # left half some part of the mask, right half none
    said[15 + 12], said[40 + 11], said[64 + 11] = 9.0, 0.25, 0.75
    found = pasted(said, torch.tensor([4.0, 6.0, 24.0, 46.0]), 0.8, 64, 64)
    assert (found.part[6:46, 4:13] == 12).all() and (found.part[:, 15:] == 0).all() and (found.part[:6] == 0).all()
    there = found.part > 0
    assert np.allclose(found.uv[0][there], 0.25) and np.allclose(found.uv[1][there], 0.75) and (found.uv[:, ~there] == 0).all()
    edge = pasted(said, torch.tensor([50.5, 50.5, 64.0, 64.0]), 0.8, 64, 64)
    assert edge.part.shape == (64, 64) and (edge.part[50:, 50:54] == 12).all()


def batch_of(number: int) -> Batch:
    return plain_people(64)["train"].batch(range(number))


def test_dense_heads_learn_the_true_parts_charts_alone_and_both_of_a_cascade_do() -> None:
    torch.manual_seed(0)
    model, batch = Model(**{**TINY, "mask": 0.0}, cascade=True).eval(), batch_of(2)
    maps = model.pyramid(batch.image)
    regions = Regions(batch.boxes[:, 0], torch.arange(2), torch.zeros(2, dtype=torch.int64))
    loss = model._dense(maps, regions, batch, Fixed())  # type: ignore[arg-type]
    assert model.second is not None
    rows = [40 + k for k in range(48)]
    seen = {int(k) for k in batch.point_part.unique() if k}
    for head in (model.head, model.second):
        (grad,) = torch.autograd.grad(loss, head.maps.weight, retain_graph=True)
        learning = {(row - 40) % 24 + 1 for row in rows if bool((grad[:, row] != 0).any())}
        reached = seen if head is model.second else learning & seen  # what the first says reaches the second's loss, too
        assert learning >= reached and (head is model.head or learning == seen)


def test_a_picture_without_people_teaches_only_that_there_are_none() -> None:
    model, batch = Model(**TINY), batch_of(2)
    nobody = Batch(**{**vars(batch), "objects": 0 * batch.objects, "point_part": 0 * batch.point_part, "segments": 0 * batch.segments,
                      "person": 0 * batch.person})  # fmt: skip
    opt = Fixed()
    said = model.step(nobody, opt)  # type: ignore[arg-type]
    assert float(said["dense"]) == 0 and torch.isfinite(opt.losses[0])
    grads = torch.autograd.grad(opt.losses[0], [model.head.maps.weight, model.judge.both.weight], allow_unused=True)
    assert (grads[0] is None or not bool(grads[0].any())) and grads[1] is not None and bool(grads[1].any())


@pytest.mark.processor
def test_it_finds_and_reads_eight_people() -> None:
    torch.manual_seed(0)
    data = first(plain_people(64), 8)
    model = Model(**TINY)
    opt = Players(optimizers(model, {"name": "AdamW", "lr": 4e-3, "warmup": 10, "fall": True}))
    opt.total = opt.stage_steps = 80  # ten seeds: 67 to 84 % of the points, AP 0.84 to 1
    batch = data["train"].batch(range(8))
    before = of_points(model.eval(), data, "test")
    model.train()
    for opt.iteration in range(80):
        model.step(batch, opt)
    after = of_points(model.eval(), data, "test")
    assert after["part accuracy"] > 0.5 and after["AP 50"] > 0.5 and before["part accuracy"] < 0.2
