"""CTPN against its paper: sizes, anchors, strips and what they learn, the loss, a recurrence along rows alone, and that it learns."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.detectors import Fixed, elsewhere, first, learnt
from PIL import Image
from torch import Tensor

import paperzoo
from paperzoo.data import Batch, Split
from paperzoo.data.boxes.text_plain import plain_text
from paperzoo.errors import PaperzooError
from paperzoo.papers.detection.ctpn import HEIGHTS, Model, ctpn_loss, drawn, strips_of, targets
from paperzoo.tasks.text_detection.measure import harmonic

TINY: dict[str, Any] = {"width": 0.0625, "batch_norm": True, "recurrent": 8, "image_size": 96}
TEN = torch.tensor(HEIGHTS)


def flags(*values: bool) -> Tensor:
    return torch.tensor([list(values)])


# Network -------------------------------------------------------------------------------------------------------------


def test_the_network_has_the_layers_of_the_paper() -> None:
    with torch.device("meta"):
        network = Model().network
        assert network(torch.rand(1, 3, 64, 96, device="meta")).shape == (1, 40, 4, 6)
    assert sum(p.numel() for p in network.trunk.parameters()) == 14_714_688
    lstm = network.recurrent
    assert (lstm.input_size, lstm.hidden_size, lstm.bidirectional) == (9 * 512, 128, True)
    assert (network.hidden.in_features, network.hidden.out_features, network.outputs.out_features) == (256, 512, 40)


def test_heights_are_those_of_the_paper() -> None:
    assert [round(h) for h in HEIGHTS] == [11, 16, 22, 32, 46, 65, 93, 134, 191, 273] and len(HEIGHTS) == 10


def test_windows_are_read_along_rows_and_not_along_columns() -> None:
    """Rows of the last map may change places (but for what windows of 3x3 see of their neighbours): windows of one row are set by hand."""
    network = Model(**TINY).eval().network
    maps = torch.zeros(1, 32, 9, 12)
    maps[0, :, 1], maps[0, :, 4], maps[0, :, 7] = torch.randn(3, 32, 12)  # two rows of nothing between each two
    network.trunk.forward = lambda image: [maps]  # type: ignore[method-assign, assignment]
    with torch.no_grad():
        found = network(torch.zeros(1, 3, 144, 192))
        order = [6, 7, 8, 0, 1, 2, 3, 4, 5]
        maps = maps[:, :, order]
        assert torch.allclose(network(torch.zeros(1, 3, 144, 192)), found[:, :, order], atol=1e-5)
        turned = maps.clone()
        turned[:, :, 1] = turned[:, :, 1].roll(3, 1)
        maps = turned
        other = network(torch.zeros(1, 3, 144, 192))
    assert not torch.allclose(other[:, :, 0:3], found[:, :, 6:9], atol=1e-3)
    assert torch.allclose(other[:, :, 3:], found[:, :, order][:, :, 3:], atol=1e-5)


@pytest.mark.parametrize("recurrent", [8, 0])
def test_a_window_is_seen_all_along_its_row_in_both_ways_and_only_there(recurrent: int) -> None:
    network = Model(**{**TINY, "recurrent": recurrent}).eval().network
    maps = torch.randn(1, 32, 7, 12, requires_grad=True)
    network.trunk.forward = lambda image: [maps]  # type: ignore[method-assign, assignment]
    (gradient,) = torch.autograd.grad(network(torch.zeros(1, 3, 112, 192))[0, :, 3, 5].sum(), maps)
    touched = gradient[0].abs().amax(0) > 0
    assert touched[2:5, 4:7].all() and not touched[:2].any() and not touched[5:].any()
    assert bool(touched[3].all()) == bool(recurrent) and (recurrent or touched.sum() == 9)


# Who learns what -----------------------------------------------------------------------------------------------------


def test_lines_are_cut_into_strips_on_the_grid() -> None:
    boxes = torch.tensor([[[20.0, 10, 75, 30], [3, 40, 9, 50], [0, 0, 0, 0]]])
    ends, there = strips_of(boxes, 6)
    assert there[0, 0].tolist() == [False, True, True, True, True, False]  # 12 of 16, whole, whole, 11 of 16
    assert there[0, 1].tolist() == [True] + [False] * 5 and not there[0, 2].any()  # the column that holds most, though under half
    assert ends[0, 0, 2].tolist() == [10, 30]
    few = strips_of(torch.tensor([[[20.0, 10, 70, 30]]]), 6)[1]
    assert few[0, 0].tolist() == [False, True, True, True, False, False]  # 6 of 16 is not enough


def test_anchors_learn_what_overlaps_by_more_than_seven_tenths_or_most() -> None:
    boxes = torch.tensor([[[16.0, 30, 64, 46], [70, 2, 90, 80]]])
    truth = targets(boxes, flags(True, True), flags(False, False), TEN, (6, 6))
    shares, between = np.zeros((2, 10, 6, 6)), 0
    for number, (_, top, _, bottom) in enumerate(boxes[0].tolist()):
        for k, tall in enumerate(HEIGHTS):
            for row in range(6):
                both = max(0, min(16 * row + 8 + tall / 2, bottom) - max(16 * row + 8 - tall / 2, top))
                shares[number, k, row] = strips_of(boxes, 6)[1][0, number].numpy() * both / (tall + bottom - top - both)
    for k, row, column in np.ndindex(10, 6, 6):
        own = shares[:, k, row, column]
        greatest = ((own > 0) & (own >= shares[..., column].max((1, 2)) - 1e-6)).any()
        expected = 1 if own.max() > 0.7 or greatest else 0 if own.max() < 0.5 else -1
        assert int(truth.label[0, k, row, column]) == expected
        between += expected == -1
    assert between > 0
    text = truth.label[0] == 1
    assert text[:, :, 1:4].any((0, 1)).all() and text[:, :, 4:].any((0, 1)).all() and not text[:, :, 0].any()
    alone = targets(torch.tensor([[[16.0, 4, 64, 9]]]), flags(True), flags(False), TEN, (6, 6))  # five pixels high: none fits
    assert (alone.label[0] == 1).sum() == 3 and (alone.label[0, 0, 0, 1:4] == 1).all()
    skipped = targets(boxes, flags(True, False), flags(False, True), TEN, (6, 6))
    unread = skipped.label[0, :, :, 4:]
    assert not (unread == 1).any() and (unread[..., 0] == -1).any() and (unread[..., 1] == -1).any()


def test_what_is_encoded_is_decoded_to_itself() -> None:
    boxes = torch.tensor([[[21.0, 30, 75, 49]]])
    truth = targets(boxes, flags(True), flags(False), TEN, (6, 6))
    model = Model(**TINY, overlap=0.0).eval()
    chosen = truth.label == 1
    answers = torch.stack([20 * (2.0 * chosen - 1), truth.v[..., 0], truth.v[..., 1], truth.o], 1)  # (N, 4, k, h, w)
    (strips,) = model.strips(answers.flatten(1, 2), 0.5)
    assert sorted(strips.column.tolist()) == [1, 2, 3, 4]
    assert np.allclose(strips.top, 30, atol=1e-4) and np.allclose(strips.bottom, 49, atol=1e-4)
    sides = dict(zip(strips.column.tolist(), strips.side.tolist(), strict=True))
    assert sides[1] == pytest.approx(21, abs=1e-4) and sides[4] == pytest.approx(75, abs=1e-4)
    (found,) = model.read(answers.flatten(1, 2), 0.5)
    assert np.abs(found.quads[0] - [[21, 30], [75, 30], [75, 49], [21, 49]]).max() < 1e-3 and len(found.quads) == 1
    (coarse,) = Model(**TINY, overlap=0.0, refine=False).eval().read(answers.flatten(1, 2), 0.5)
    assert coarse.quads[0][:, 0].tolist() == [16, 80, 80, 16]
    assert float(truth.v[0, 2, 2, 2, 0]) == pytest.approx((39.5 - 40) / HEIGHTS[2]) and chosen[0, 2, 2, 2]
    assert float(truth.v[0, 2, 2, 2, 1]) == pytest.approx(math.log(19 / HEIGHTS[2]))
    assert float(truth.o[0, 2, 2, 1]) == pytest.approx((21 - 24) / 16) and float(truth.o[0, 2, 2, 4]) == pytest.approx((75 - 72) / 16)


def test_ends_are_learnt_within_two_columns_of_them() -> None:
    truth = targets(torch.tensor([[[0.0, 30, 160, 46]]]), flags(True), flags(False), TEN, (4, 10))
    learns = truth.side[0].any((0, 1))
    assert learns.tolist() == [True, True] + [False] * 6 + [True, True] and not (truth.side & (truth.label != 1)).any()


def test_half_of_what_is_drawn_is_text_where_there_is_enough() -> None:
    torch.manual_seed(0)
    label = torch.full((3, 4, 8, 8), -1)
    label[:, :2] = 0
    label[0, 2], label[1, 2, 0, :5] = 1, 1
    for _ in range(5):
        chosen = drawn(label, 40)
        assert not chosen[label == -1].any() and chosen.flatten(1).sum(1).tolist() == [40, 40, 40]
        assert [(chosen[i] & (label[i] == 1)).sum().item() for i in range(3)] == [20, 5, 0]
    few = torch.full((1, 1, 2, 8), -1)
    few[0, 0, 0, :6] = 0
    assert drawn(few, 40).sum() == 6
    often = torch.stack([drawn(label, 40) for _ in range(200)]).float().mean(0)
    assert often[0, 2].min() > 0.15 and often[0, 2].max() < 0.5  # 20 of 64 each


# Loss ----------------------------------------------------------------------------------------------------------------


def test_the_loss_is_equation_5() -> None:
    torch.manual_seed(0)
    boxes = torch.tensor([[[16.0, 30, 64, 46]], [[30, 60, 90, 90]]])
    truth = targets(boxes, torch.ones(2, 1).bool(), torch.zeros(2, 1).bool(), TEN, (6, 6))
    answers, chosen = torch.randn(2, 4, 10, 6, 6), drawn(truth.label, 30)
    counts = torch.tensor([11.0, 5, 3])
    found = ctpn_loss(answers, truth, chosen, counts)
    sums = [0.0, 0.0, 0.0]
    for n, k, row, column in chosen.nonzero().tolist():
        place = (n, k, row, column)
        p = float(answers[n, 0, k, row, column].sigmoid())
        text = int(truth.label[place]) == 1
        sums[0] -= math.log(p if text else 1 - p)
        if text:
            for i in range(2):
                e = abs(float(answers[n, 1 + i, k, row, column] - truth.v[place][i]))
                sums[1] += 0.5 * e * e if e < 1 else e - 0.5
        if truth.side[place]:
            e = abs(float(answers[n, 3, k, row, column] - truth.o[place]))
            sums[2] += 0.5 * e * e if e < 1 else e - 0.5
    assert [float(x) for x in found] == pytest.approx([s / c for s, c in zip(sums, counts.tolist(), strict=True)], rel=1e-4)
    assert min(sums) > 0


def batch_of(boxes: Any, difficult: list[bool]) -> Batch:
    marks = torch.tensor(boxes, dtype=torch.float32).view(1, -1, 4)
    return Batch(image=torch.rand(1, 3, 96, 96), boxes=marks, difficult=torch.tensor([difficult or [False]]),
                 objects=torch.tensor([len(difficult)]))  # fmt: skip


def test_a_step_weighs_its_parts() -> None:
    torch.manual_seed(0)
    model = Model(**TINY, height=3.0, side=5.0).eval()
    opt = Fixed()
    logs = model.step(batch_of([[16, 30, 64, 46], [60, 70, 90, 90]], [False, True]), opt)
    assert float(opt.losses[0].detach()) == pytest.approx(float(logs["score"] + 3 * logs["height"] + 5 * logs["side"]), rel=1e-5)
    assert min(float(v) for v in logs.values()) > 0
    for boxes, difficult in (([[60, 70, 90, 90]], [True]), ([[0, 0, 0, 0]], [])):
        logs = model.step(batch_of(boxes, difficult), opt)
        assert float(logs["height"]) == float(logs["side"]) == 0 and torch.isfinite(opt.losses[-1])


def test_strips_links_and_lines_are_drawn(tmp_path: Path) -> None:
    boxes = torch.tensor([[[21.0, 30, 75, 49]]] * 4)
    truth = targets(boxes, torch.ones(4, 1).bool(), torch.zeros(4, 1).bool(), TEN, (6, 6))
    answers = torch.stack([20 * (2.0 * (truth.label == 1) - 1), truth.v[..., 0], truth.v[..., 1], truth.o], 1).flatten(1, 2)
    model = Model(**TINY, overlap=0.0).eval()
    model.network.forward = lambda image: answers[: len(image)]  # type: ignore[method-assign, assignment]
    strips, ends, lines = model.made_of(torch.zeros(4, 3, 96, 96))[0]
    assert sorted(strip[0] for strip in strips) == [16, 32, 48, 64] and len(lines) == 1
    assert sorted((a[0], b[0]) for a, b in ends) == [(24, 40), (40, 56), (56, 72)] and ends[0][0][1] == pytest.approx(39.5, abs=1e-3)
    one = Split(*(column.some(np.arange(4)) for column in plain_text("lines")["train"].columns))  # type: ignore[attr-defined]
    data = dataclasses.replace(plain_text("lines"), splits={"test": one})
    model.network.forward = lambda image: answers[:1].expand(len(image), -1, -1, -1)  # type: ignore[method-assign, assignment]
    paths = model.show(data, "test", tmp_path, "x")
    assert [path.name for path in paths] == ["x-text.png", "x-strips.png"]
    with Image.open(paths[1]) as shown:
        colours = {colour for _, colour in shown.convert("RGB").getcolors(10**6) or []}
    near = [min(sum(abs(a - b) for a, b in zip(c, want, strict=True)) for c in colours) for want in ((86, 180, 233), (230, 159, 0))]
    assert max(near) < 30  # blue and orange, but for the palette


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"image_size": 100}, "image_size must be a multiple of 16, such as 96, not 100"), ({"recurrent": -1}, "recurrent")],
)
def test_arguments_that_cannot_be(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(PaperzooError, match=message):
        paperzoo.create("ctpn", **{**TINY, **arguments})


# Learning ------------------------------------------------------------------------------------------------------------


@pytest.mark.processor
def test_it_learns_four_pictures_and_which_lines_are_of_which_picture() -> None:
    torch.manual_seed(0)
    data = first(plain_text("lines"), 4)
    model = learnt(Model(**TINY, threshold=0.5, least=0.5), data, 120, lr=5e-3, warmup=10)
    # of ten seeds 0.47 to 0.93 of their own lines, and none of other pictures'
    assert harmonic(model, data, "test")["hmean"] > 0.3 and harmonic(model, elsewhere(data), "test")["hmean"] < 0.1
