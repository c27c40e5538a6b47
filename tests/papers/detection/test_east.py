"""EAST against its paper: sizes, geometry and its inverse, which pixels learn what, losses in closed form, and that it learns."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import shapely
import torch
from fixtures.detectors import Fixed, first, learnt
from torch import Tensor, nn

import paperzoo
from paperzoo.data import Batch
from paperzoo.data.boxes.text_plain import plain_text
from paperzoo.errors import PaperzooError
from paperzoo.papers.detection import east
from paperzoo.papers.detection.east import Model, balanced, box_loss, dice, places, quad_loss, shrunk, targets
from paperzoo.papers.detection.east_geometry import clockwise, inside, rotated_boxes, smallest_boxes
from paperzoo.papers.detection.trunks import CReLU, PVANet
from paperzoo.tasks.text_detection.measure import harmonic

TINY: dict[str, Any] = {"stem": "pvanet", "width": 0.0625, "branch": 0.25, "blocks": (1, 1, 1, 1), "image_size": 96}


def rectangle(x: float, y: float, wide: float, tall: float, degrees: float) -> Tensor:
    """Corners (4, 2), clockwise from the upper left, of a rectangle about (x, y) that is turned clockwise; by hand."""
    turn = math.radians(degrees)
    found = []
    for a, b in ((-wide, -tall), (wide, -tall), (wide, tall), (-wide, tall)):
        found.append((x + a / 2 * math.cos(turn) - b / 2 * math.sin(turn), y + a / 2 * math.sin(turn) + b / 2 * math.cos(turn)))
    return torch.tensor(found, dtype=torch.float64)


# Networks ------------------------------------------------------------------------------------------------------------


def test_trunks_have_the_parameters_and_maps_of_their_papers() -> None:
    with torch.device("meta"):
        vgg, pva, twice = (Model(stem=stem).network for stem in ("vgg16", "pvanet", "pvanet2x"))
        for network in (vgg, pva, twice):
            *_, coarse = maps = network.trunk(torch.rand(1, 3, 64, 96, device="meta"))
            assert [tuple(m.shape[2:]) for m in maps] == [(16, 24), (8, 12), (4, 6), (2, 3)] and coarse.shape[1] == network.trunk.sizes[3]
            assert network(torch.rand(1, 3, 64, 96, device="meta")).shape == (1, 6, 16, 24)
    assert sum(p.numel() for p in vgg.trunk.parameters()) == 14_714_688 and vgg.trunk.sizes == [128, 256, 512, 512]
    assert pva.trunk.sizes == [64, 128, 256, 384] and twice.trunk.sizes == [128, 256, 512, 768]
    assert [len(stage) for stage in pva.trunk.stages] == [3, 4, 4, 4]
    assert [merge[1][0].out_channels for merge in vgg.merge] == [128, 64, 32] and vgg.last[0].out_channels == 32
    assert [merge[0][0].kernel_size for merge in vgg.merge] == [(1, 1)] * 3 and [m[1][0].kernel_size for m in vgg.merge] == [(3, 3)] * 3
    assert not any(isinstance(m, nn.BatchNorm2d) for m in vgg.trunk.modules())


def test_crelu_is_a_response_and_its_negative() -> None:
    layer = CReLU(3, 8, 3).eval()
    x = torch.randn(2, 3, 6, 6)
    out, plain = layer(x), layer.conv(x) / math.sqrt(1 + 1e-5)
    assert layer.conv.out_channels == 4 and torch.allclose(out[:, :4], plain.relu(), atol=1e-6)
    assert torch.allclose(out[:, 4:], (-plain).relu(), atol=1e-6)


def test_heads_and_sides_that_are_not_square() -> None:
    for head, numbers in (("rbox", 6), ("quad", 9)):
        model = Model(**TINY, head=head).eval()
        with torch.no_grad():
            assert model.answers(torch.rand(2, 3, 64, 128)).shape == (2, numbers, 16, 32)
    answers = Model(**TINY).eval().answers(100 * torch.randn(1, 3, 64, 64)).detach()
    assert (answers[:, 1:5] > 0).all() and answers[:, 5].abs().max() <= math.pi / 4


# Geometry ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("degrees", [0.0, 10, -10, 44, -44, 30.5])
def test_a_turned_rectangle_is_encoded_and_decoded_to_itself(degrees: float) -> None:
    quad = rectangle(50, 40, 60, 24, degrees)
    truth = targets(quad[None, None], torch.ones(1, 1).bool(), torch.zeros(1, 1).bool(), (20, 26), True)
    at = places(20, 26, quad)
    rows, columns = truth.text[0].nonzero(as_tuple=True)
    assert len(rows) > 8
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        told = truth.geometry[0, :, row, column]
        assert float(told[4]) == pytest.approx(math.radians(degrees), abs=1e-9) and (told[:4] > 0).all()
        assert told[0] + told[2] == pytest.approx(24) and told[1] + told[3] == pytest.approx(60)
        assert torch.allclose(rotated_boxes(told[:4], told[4], at[:, row, column]), quad, atol=1e-4)
    told = targets(quad[None, None], torch.ones(1, 1).bool(), torch.zeros(1, 1).bool(), (20, 26), False).geometry[0]
    assert torch.allclose(told[:, rows[0], columns[0]].view(4, 2) + at[:, rows[0], columns[0]], quad, atol=1e-9)


@pytest.mark.parametrize("degrees", [60.0, 90, 135, 180, -100])
def test_steep_rectangles_are_the_same_box_with_another_first_corner(degrees: float) -> None:
    quad = rectangle(50, 50, 60, 24, degrees)
    box, angle = smallest_boxes(quad)
    assert abs(float(angle)) <= math.pi / 4 + 1e-9
    assert any(torch.allclose(box.roll(i, 0), quad, atol=1e-6) for i in range(4))
    turned = (degrees + 45) % 90 - 45
    assert float(angle) == pytest.approx(math.radians(turned), abs=1e-6) or abs(turned) == 45
    truth = targets(quad[None, None], torch.ones(1, 1).bool(), torch.zeros(1, 1).bool(), (25, 25), True)
    row, column = (int(v[0]) for v in truth.text[0].nonzero(as_tuple=True))
    found = rotated_boxes(truth.geometry[0, :4, row, column], truth.geometry[0, 4, row, column], places(25, 25, quad)[:, row, column])
    assert torch.allclose(found, box, atol=1e-4)


def test_what_the_model_answers_for_a_rectangle_is_read_as_that_rectangle() -> None:
    """The network's raw numbers are set by hand, by the inverse of what ``answers`` does to them."""
    model = Model(**TINY).eval()
    quad = rectangle(50, 40, 60, 24, 20)
    truth = targets(quad[None, None], torch.ones(1, 1).bool(), torch.zeros(1, 1).bool(), (24, 24), True)
    distances = truth.geometry[:, :4].clamp(min=1)
    raw = torch.cat([20 * (2 * truth.text - 1)[:, None], (distances / 16).log(), torch.atanh(truth.geometry[:, 4:] / (math.pi / 4))], 1)
    model.network.forward = lambda image: raw.float()  # type: ignore[method-assign, assignment]
    (found,) = model.read(model.answers(torch.rand(1, 3, 96, 96)), 0.5)
    assert len(found.quads) == 1 and np.abs(found.quads[0] - quad.numpy()).max() < 1e-3 and found.scores[0] > 0.99
    model.votes = 10_000
    assert len(model.read(model.answers(torch.rand(1, 3, 96, 96)), 0.5)[0].quads) == 0
    quads = Model(**TINY, head="quad").eval()
    truth = targets(quad[None, None], torch.ones(1, 1).bool(), torch.zeros(1, 1).bool(), (24, 24), False)
    raw = torch.cat([20 * (2 * truth.text - 1)[:, None], truth.geometry / 32], 1)
    quads.network.forward = lambda image: raw.float()  # type: ignore[method-assign, assignment]
    (found,) = quads.read(quads.answers(torch.rand(1, 3, 96, 96)), 0.5)
    assert len(found.quads) == 1 and np.abs(found.quads[0] - quad.numpy()).max() < 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_the_smallest_box_is_that_of_shapely(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(20):
        quad = rectangle(50, 50, rng.uniform(20, 60), rng.uniform(8, 20), rng.uniform(-180, 180))
        quad = quad + torch.from_numpy(rng.normal(0, 2, (4, 2)))
        box, _ = smallest_boxes(quad)
        shape = shapely.Polygon(quad.numpy())
        assert shapely.Polygon(box.numpy()).area == pytest.approx(shapely.minimum_rotated_rectangle(shape).area, rel=1e-6)
        assert shapely.Polygon(box.numpy()).buffer(1e-6).contains(shape)
    flat = torch.tensor([[0.0, 0], [0, 0], [40, 0], [40, 10]], dtype=torch.float64)  # two corners in one place
    assert torch.isfinite(smallest_boxes(flat)[0]).all()


def test_texts_shrink_by_three_tenths_of_their_shorter_sides() -> None:
    quad = rectangle(50, 50, 60, 20, 0)  # 20 high: six off each end of every side
    assert torch.allclose(shrunk(quad), rectangle(50, 50, 48, 8, 0))
    turned = rectangle(50, 50, 60, 20, 33)
    assert torch.allclose(shrunk(turned), rectangle(50, 50, 48, 8, 33))
    assert torch.allclose(shrunk(turned.roll(1, 0)), rectangle(50, 50, 48, 8, 33).roll(1, 0))
    uneven = torch.tensor([[0.0, 0], [100, 0], [100, 40], [0, 20]], dtype=torch.float64)
    found = shrunk(uneven)
    assert shapely.Polygon(uneven.numpy()).contains(shapely.Polygon(found.numpy()))
    assert found[:2, 0].tolist() == pytest.approx([6, 88], abs=0.3)  # of either end its own shorter side


def test_points_inside_are_those_of_shapely_and_either_direction_is_taken() -> None:
    rng, at = np.random.default_rng(0), places(20, 24, torch.zeros(1, dtype=torch.float64))
    for _ in range(10):
        quad = rectangle(*rng.uniform(20, 70, 2), *rng.uniform(10, 50, 2), rng.uniform(-180, 180))
        points = shapely.points(at.permute(1, 2, 0).numpy())
        assert np.array_equal(inside(quad[None, None], at)[0, 0].numpy(), shapely.contains(shapely.Polygon(quad.numpy()), points))
        assert torch.equal(clockwise(quad), quad) and torch.equal(clockwise(quad[[0, 3, 2, 1]]), quad)
    assert at[:, 0, 0].tolist() == [2, 2] and at[:, 3, 5].tolist() == [22, 14]  # x and y of row 3, column 5


def test_who_learns_what() -> None:
    quads = torch.stack([rectangle(24, 24, 32, 24, 0), rectangle(70, 70, 40, 24, 0), rectangle(24, 70, 32, 24, 0), torch.zeros(4, 2)])[None]
    real, ignored = torch.tensor([[True, True, False, False]]), torch.tensor([[False, False, True, False]])
    truth = targets(quads, real, ignored, (24, 24), True)
    at = places(24, 24, quads)
    first, second, third = (inside(quads[:, i : i + 1], at)[0, 0] for i in range(3))
    text = truth.text[0].bool()
    assert text[first].any() and text[second].any() and not text[third].any() and not text[~(first | second)].any()
    assert truth.counts[0][third].max() == 0 and truth.counts[0][~third].min() == 1
    assert text.sum() < (first | second).sum() / 2  # the middles alone
    middle = text & first
    assert (truth.pixels[0][middle] == middle.sum()).all() and (truth.short[0][middle] == 24).all()
    assert (truth.geometry[0, 1] + truth.geometry[0, 3])[text & second] == pytest.approx(40)
    over = targets(quads[:, [0, 0]], torch.ones(1, 2).bool(), torch.zeros(1, 2).bool(), (24, 24), True)
    assert torch.equal(over.text, targets(quads[:, :1], torch.ones(1, 1).bool(), torch.zeros(1, 1).bool(), (24, 24), True).text)
    reversed_ = targets(quads[:, :, [0, 3, 2, 1]], real, ignored, (24, 24), True)
    assert torch.equal(reversed_.text, truth.text) and torch.equal(reversed_.counts, truth.counts)
    both = targets(quads[:, [0, 0]], torch.tensor([[True, False]]), torch.tensor([[False, True]]), (24, 24), True)
    assert both.counts[both.text > 0].min() == 1  # what is to be found counts


# Losses --------------------------------------------------------------------------------------------------------------


def test_balanced_cross_entropy_is_equation_5() -> None:
    rng = np.random.default_rng(0)
    logit, text = rng.normal(0, 2, (2, 5, 6)), (rng.random((2, 5, 6)) < 0.2).astype(float)
    beta, y = 1 - text.mean(), 1 / (1 + np.exp(-logit))
    by_hand = -beta * text * np.log(y) - (1 - beta) * (1 - text) * np.log(1 - y)
    counts = torch.ones(2, 5, 6, dtype=torch.float64)
    found = balanced(torch.from_numpy(logit), torch.from_numpy(text), counts, torch.tensor(text.mean()))
    assert np.allclose(found.numpy(), by_hand)
    counts[0] = 0
    found = balanced(torch.from_numpy(logit), torch.from_numpy(text), counts, torch.tensor(text.mean()))
    assert not found[0].any() and found[1].numpy() == pytest.approx(by_hand[1])


def test_dice_is_twice_the_shared_over_both() -> None:
    rng = np.random.default_rng(0)
    score, text = (torch.from_numpy(1.0 * x) for x in (rng.random((3, 4, 4)), rng.random((3, 4, 4)) < 0.4))
    counts = torch.ones(3, 4, 4)
    counts[1, :2] = 0
    found = dice(score, text, counts.double())
    for i in range(3):
        s, t = (x[i][counts[i] > 0].numpy() for x in (score, text))
        assert float(found[i]) == pytest.approx(1 - 2 * (s * t).sum() / (s.sum() + t.sum()), abs=1e-5)
    assert float(dice(text, text, torch.ones(3, 4, 4)).abs().max()) < 1e-4


def test_the_loss_of_boxes_is_the_logarithm_of_their_overlap() -> None:
    rng = np.random.default_rng(0)
    said, true = rng.uniform(1, 30, (30, 4)), rng.uniform(1, 30, (30, 4))
    found = box_loss(torch.from_numpy(said), torch.from_numpy(true))
    for i in range(30):
        a, b = (shapely.box(-left, -top, right, bottom) for top, right, bottom, left in (said[i], true[i]))
        assert float(found[i]) == pytest.approx(-math.log(a.intersection(b).area / a.union(b).area))
    same = box_loss(torch.from_numpy(said), torch.from_numpy(said))
    assert same.abs().max() < 1e-12
    half = torch.tensor([[1.0, 2, 1, 2]])
    assert float(box_loss(half, 2 * half)) == pytest.approx(math.log(4))


def test_the_loss_of_corners_takes_the_first_corner_that_fits() -> None:
    true = rectangle(0, 0, 40, 10, 20)[None]
    for start in range(4):
        assert float(quad_loss(true.roll(start, 1), true, torch.tensor([10.0]))) == 0
    off = true + torch.tensor([0.5, 3.0])  # 0.125 and 2.5 by smooth L1, of four corners
    assert float(quad_loss(off, true, torch.tensor([10.0]))) == pytest.approx(4 * (0.125 + 2.5) / 80, rel=1e-6)
    assert float(quad_loss(off, true, torch.tensor([20.0]))) == pytest.approx(4 * (0.125 + 2.5) / 160, rel=1e-6)


def batch_of(quads: Tensor, difficult: list[bool]) -> Batch:
    number = len(difficult)
    return Batch(image=torch.rand(1, 3, 96, 96), quads=quads[None].float(), difficult=torch.tensor([difficult or [False]]),
                 objects=torch.tensor([number]))  # fmt: skip


@pytest.mark.parametrize("score_loss", ["balanced", "dice"])
@pytest.mark.parametrize("alike", ["pixels", "texts"])
def test_a_step_is_the_sum_of_its_parts(score_loss: str, alike: str) -> None:
    torch.manual_seed(0)
    model = Model(**TINY, score_loss=score_loss, alike=alike, angle=7.0, geometry=3.0).eval()
    quads = torch.stack([rectangle(30, 24, 44, 20, 10), rectangle(60, 66, 60, 30, -20), rectangle(20, 76, 16, 14, 0)])
    batch, opt = batch_of(quads, [False, False, True]), Fixed()
    logs = model.step(batch, opt)
    answers = model.answers(batch.image).detach()
    truth = targets(batch.quads, torch.tensor([[True, True, False]]), torch.tensor([[False, False, True]]), (24, 24), True)
    text, counts = truth.text[0].bool(), truth.counts[0].bool()
    logit = answers[0, 0]
    if score_loss == "dice":
        y = logit.sigmoid()
        score = 1 - 2 * y[text].sum() / (y[counts].sum() + text.sum())
    else:
        beta = 1 - text.sum() / counts.sum()
        each = torch.where(text, -beta * logit.sigmoid().log(), -(1 - beta) * (1 - logit.sigmoid()).log())
        score = each[counts].mean()
    losses, turns, owner = [], [], (truth.pixels[0][text])
    for row, column in text.nonzero().tolist():
        said, true = answers[0, 1:, row, column], truth.geometry[0, :, row, column]
        losses.append(box_loss(said[None, :4], true[None, :4])[0])
        turns.append(1 - (said[4] - true[4]).cos())
    weight = torch.ones(len(losses)) if alike == "pixels" else 1 / owner
    place, turn = ((weight * torch.stack(x)).sum() / weight.sum() for x in (losses, turns))
    assert float(logs["score"]) == pytest.approx(float(score), rel=1e-4)
    assert float(logs["place"]) == pytest.approx(float(place), rel=1e-4) and float(logs["turn"]) == pytest.approx(float(turn), rel=1e-4)
    assert float(opt.losses[0].detach()) == pytest.approx(float(score + 3 * (place + 7 * turn)), rel=1e-4)
    assert len(set(owner.tolist())) == 2 and (alike == "pixels" or float(weight.sum()) == pytest.approx(2))


def test_pictures_without_text_or_with_do_not_care_alone_are_learnt_from() -> None:
    for head in ("rbox", "quad"):
        model = Model(**TINY, head=head)
        for quads, difficult in ((rectangle(40, 40, 40, 20, 0)[None], [True]), (torch.zeros(1, 4, 2), [])):
            opt = Fixed()
            logs = model.step(batch_of(quads, difficult), opt)
            assert float(logs["place"]) == float(logs["turn"]) == 0 and torch.isfinite(opt.losses[0])
            assert all(torch.isfinite(g).all() for g in torch.autograd.grad(opt.losses[0], [*model.network.score.parameters()]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 100}, "image_size must be a multiple of 32, such as 96, not 100"),
        ({"weights": "imagenet"}, "weights=imagenet are of vgg16; pvanet has none"),
        ({"blocks": (1, 1, 1)}, "blocks are the numbers of PVANet's four later stages, not 3"),
        ({"stem": "resnet"}, "stem"),
        ({"width": 0.0}, "width must be positive"),
    ],
)
def test_arguments_that_cannot_be(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(PaperzooError, match=message):
        paperzoo.create("east", **{**TINY, **arguments})


def test_width_two_is_pvanet2x_and_sizes_are_even() -> None:
    with torch.device("meta"):
        a, b = Model(stem="pvanet", width=2.0), Model(stem="pvanet2x")
    assert [p.shape for p in a.network.trunk.parameters()] == [p.shape for p in b.network.trunk.parameters()]
    for width in (0.05, 0.11, 0.3):
        assert all(size % 2 == 0 for size in PVANet(3, width).sizes)


# Learning ------------------------------------------------------------------------------------------------------------


@pytest.mark.processor
@pytest.mark.parametrize("head", ["rbox", "quad"])
def test_it_learns_four_pictures_by_heart_and_not_without_turned_boxes(head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    data, tiny = first(plain_text(), 4), {**TINY, "width": 0.125, "branch": 0.5, "threshold": 0.5}
    model = learnt(Model(**tiny, head=head, score_loss="dice", alike="texts"), data, 150, lr=1e-2, warmup=10)
    found = harmonic(model, data, "test")
    assert found["hmean"] > 0.7
    if head == "rbox":
        with monkeypatch.context() as patch:
            patch.setattr(east, "rotated_boxes", lambda d, angle, at: rotated_boxes(d, 0 * angle, at))  # level boxes
            level = harmonic(model, data, "test")
        assert level["hmean at 0.7"] <= found["hmean at 0.7"] - 0.2
