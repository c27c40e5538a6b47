"""DensePose's fully convolutional system: sizes, losses by hand, whose gradient goes where, what a teacher paints, and that it learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fixtures.detectors import Fixed, first
from torch import Tensor, nn

from paperzoo.data import Batch
from paperzoo.data.bodies.plain import plain_people
from paperzoo.data.bodyparts import COARSE
from paperzoo.engine.players import Players, optimizers
from paperzoo.errors import PaperzooError
from paperzoo.papers.detection import densepose
from paperzoo.papers.detection.densepose import Model, answers_of, at_points, cells, chart_error, painted, part_error
from paperzoo.tasks.dense_pose.measure import of_points

TINY: dict[str, Any] = {"blocks": (1, 1, 1, 1), "bottleneck": False, "width": 8, "stride": 4, "image_size": 64}


class Named(Fixed):
    """Keeps the losses by player."""

    def minimize(self, **losses: Tensor) -> None:  # type: ignore[override]
        self.by = losses


# Network -------------------------------------------------------------------------------------------------------------


def test_dilation_keeps_the_resolution_and_the_parameters_of_resnet_101() -> None:
    with torch.device("meta"):
        network = Model().network
        assert network(torch.rand(1, 3, 64, 96, device="meta")).shape == (1, 88, 8, 12)
        assert Model(**TINY).network(torch.rand(1, 3, 64, 96, device="meta")).shape == (1, 88, 16, 24)
    trunk = sum(p.numel() for p in network.trunk.parameters())
    assert trunk == 44_549_160 - 2_049_000 and network.maps.weight.shape == (88, 2048, 1, 1)  # ResNet-101 without its last layer
    holes: dict[str, set[int]] = {f"layer{k}": set() for k in range(1, 5)}
    for name, found in holes.items():
        convolutions = [m for m in network.trunk.get_submodule(name).modules() if isinstance(m, nn.Conv2d)]
        found.update(m.dilation[0] for m in convolutions if m.kernel_size == (3, 3))
    assert holes == {"layer1": {1}, "layer2": {1}, "layer3": {2}, "layer4": {4}}
    with pytest.raises(PaperzooError, match="four stages"):
        Model(blocks=(1, 2, 3))


def test_answers_are_fifteen_twenty_five_and_twice_twenty_four_maps() -> None:
    maps = torch.arange(88.0)[None, :, None, None]
    segments, parts, uv = answers_of(maps)
    assert segments.flatten().tolist() == list(range(15)) and parts.flatten().tolist() == list(range(15, 40))
    assert uv[0, 0].flatten().tolist() == list(range(40, 64)) and uv[0, 1].flatten().tolist() == list(range(64, 88))


# Losses --------------------------------------------------------------------------------------------------------------


def test_values_at_points_are_those_of_the_enlarged_map() -> None:
    maps = torch.randn(2, 3, 8, 10, dtype=torch.float64)
    large = F.interpolate(maps, (32, 40), mode="bilinear", align_corners=False)
    points = torch.tensor([[[2.5, 30.5], [39.5, 0.5]], [[17.5, 11.5], [0.5, 31.5]]], dtype=torch.float64)  # x, y in the middles of pixels
    found = at_points(maps, points, 32, 40)
    for n in range(2):
        for q, (x, y) in enumerate(points[n].floor().long().tolist()):
            assert torch.allclose(found[n, :, q], large[n, :, y, x])


def test_a_cell_has_the_label_in_its_middle() -> None:
    values = torch.arange(64).view(1, 8, 8)
    assert cells(values, 2, 2).tolist() == [[[18, 22], [50, 54]]]


def test_charts_learn_of_the_true_part_alone() -> None:
    uv = torch.rand(2, 2, 24, 5, dtype=torch.float64, requires_grad=True)
    part = torch.tensor([[3, 0, 24, 3, 1], [0, 0, 7, 7, 7]])
    true = torch.rand(2, 2, 5, dtype=torch.float64)
    error = chart_error(uv, part, true, 0.1)
    for n in range(2):
        for q in range(5):
            k, expected = int(part[n, q]) - 1, 0.0
            if k >= 0:
                for axis in range(2):
                    d = abs(float(uv.detach()[n, axis, k, q]) - float(true[n, axis, q]))
                    expected += 0.5 * d * d / 0.1 if d < 0.1 else d - 0.05
            assert float(error.detach()[n, q]) == pytest.approx(expected)
    (grad,) = torch.autograd.grad(error.sum(), uv)
    own = F.one_hot(part, 25)[..., 1:].permute(0, 2, 1).bool()[:, None].expand(-1, 2, -1, -1)
    assert (grad[~own] == 0).all() and (grad[own] != 0).all()


def test_parts_learn_where_they_are_known_alone() -> None:
    logits = torch.randn(1, 25, 3, requires_grad=True)
    error = part_error(logits, torch.tensor([[4, -1, 0]]))
    values = error.detach()[0].tolist()
    assert values[0] == pytest.approx(float(-logits.detach().log_softmax(1)[0, 4, 0])) and values[1] == 0
    (grad,) = torch.autograd.grad(error.sum(), logits)
    assert (grad[0, :, 1] == 0).all() and (grad[0, :, [0, 2]] != 0).all()


def test_a_teacher_paints_everywhere_and_only_what_the_mask_allows() -> None:
    maps = torch.randn(2, 88, 6, 6)
    segments = torch.randint(0, 15, (2, 6, 6))
    part, uv = painted(answers_of(maps), segments)
    assert (torch.from_numpy(COARSE)[part] == segments).all()
    found = answers_of(maps)
    for n, y, x in [(0, 0, 0), (1, 3, 4), (1, 5, 5), (0, 2, 1)]:
        if not segments[n, y, x]:
            continue
        able = [k for k in range(1, 25) if COARSE[k] == int(segments[n, y, x])]
        best = max(able, key=lambda k: float(found.parts[n, k, y, x]))
        assert int(part[n, y, x]) == best and torch.equal(uv[n, :, y, x], found.uv[n, :, best - 1, y, x].clamp(0, 1))


def batch_of(number: int) -> Batch:
    return plain_people(64)["train"].batch(range(number))


def test_losses_of_a_step_by_hand() -> None:
    model, batch = Model(**TINY, mask=2.0, part=0.3, chart=20.0).eval(), batch_of(2)
    opt = Named()
    model.step(batch, opt)  # type: ignore[arg-type]
    maps = model.answers(batch.image).detach()
    large = answers_of(F.interpolate(maps, (64, 64), mode="bilinear", align_corners=False))
    found = answers_of(maps)
    segments = batch.segments[:, 2::4, 2::4]
    mask = F.cross_entropy(found.segments, segments)
    parts, charts, count = 0.0, 0.0, 0
    for n in range(2):
        for q in range(batch.point_part.shape[2]):
            if (k := int(batch.point_part[n, 0, q])) > 0:
                x, y = batch.points[n, 0, q].floor().long().tolist()
                parts += float(-large.parts[n, :, y, x].log_softmax(0)[k])
                charts += float(F.smooth_l1_loss(large.uv[n, :, k - 1, y, x], batch.point_uv[n, 0, q], reduction="sum"))
                count += 1
    empty = -found.parts.log_softmax(1)[:, 0][segments == 0].mean()
    expected = 2 * float(mask) + 0.3 * (parts / count + float(empty)) + 20 * charts / count
    assert float(opt.by["network"].detach()) == pytest.approx(expected, rel=1e-4)


def gradients(loss: Tensor, model: nn.Module) -> set[str]:
    names, parameters = zip(*model.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    return {name.partition(".")[0] for name, grad in zip(names, found, strict=True) if grad is not None and bool((grad != 0).any())}


def test_teacher_and_student_learn_in_turn_and_the_students_loss_does_not_reach_the_teacher() -> None:
    model, batch, opt = Model(**TINY, teacher=True), batch_of(2), Named()
    for stage, players in (("", {"teacher", "network"}), ("teacher", {"teacher"}), ("student", {"network"})):
        if stage:
            model.stage(stage)
        model.step(batch, opt)  # type: ignore[arg-type]
        assert set(opt.by) == players
        assert all(gradients(loss, model) == {player} for player, loss in opt.by.items())
        assert model.teacher is not None and model.teacher.training
    with pytest.raises(PaperzooError, match="stage"):
        model.stage("pupil")


def test_the_teacher_does_not_see_the_background() -> None:
    model, batch = Model(**TINY, teacher=True), batch_of(2)
    seen = model.seen(batch)
    there = (batch.parts > 0)[:, None].expand_as(seen)
    assert (seen[~there] == 0).all() and torch.equal(seen[there], batch.image[there])


# Reading -------------------------------------------------------------------------------------------------------------


class Told(Model):
    """Says what the truth of a batch is."""

    def __init__(self, batch: Batch) -> None:
        super().__init__(**TINY)
        maps = torch.zeros(len(batch), 88, 64, 64)
        maps[:, :15].scatter_(1, batch.segments[:, None], 9.0)
        maps[:, 15:40].scatter_(1, batch.parts[:, None], 9.0)
        maps[:, 40:] = batch.uv[:, :, None].expand(-1, -1, 24, -1, -1).flatten(1, 2)
        self.told = maps

    def answers(self, image: Tensor) -> Tensor:
        return self.told[: len(image)]


def test_the_truth_is_measured_as_right_and_a_mirrored_one_is_not() -> None:
    data = first(plain_people(64), 4)
    batch = data["test"].batch(range(4))
    right = of_points(Told(batch), data, "test")
    assert right["part accuracy"] == 1 and right["uv error"] < 2 / 255
    assert right["GPS"] > 0.999 and right["AP"] == pytest.approx(1) and right["GPSm"] > 0.999
    swapped = Told(Batch(**{**vars(batch), "parts": torch.where(batch.parts == 1, 2, torch.where(batch.parts == 2, 1, batch.parts))}))
    wrong = of_points(swapped, data, "test")
    assert wrong["part accuracy"] < 0.6 and wrong["GPS"] < 0.7


def test_where_nobody_is_nobody_is_found() -> None:
    batch = batch_of(1)
    nobody = Batch(**{**vars(batch), "parts": 0 * batch.parts})  # whatever the masks say
    model = Told(nobody)
    assert model.found(nobody.image) == [[]]
    measured = of_points(model, first(plain_people(64), 1), "test")
    assert measured["part accuracy"] == 0 and measured["AP"] == 0 and np.isnan(measured["uv error"])


# Learning ------------------------------------------------------------------------------------------------------------


def learnt(wrong: bool) -> dict[str, float]:
    """A small network after some steps on 32 cylinders, or on the same parts at any of their points."""
    torch.manual_seed(0)
    data = first(plain_people(64), 32)
    model = Model(**{**TINY, "width": 12}, part=1.0, mask=1.0, beta=0.1)
    opt = Players(optimizers(model, {"name": "AdamW", "lr": 6e-3, "warmup": 5, "fall": True}))
    opt.total = opt.stage_steps = 70
    batch = data["train"].batch(range(32))
    model.train()
    for opt.iteration in range(70):
        own = np.arange(8) + 8 * (opt.iteration % 4)
        part = Batch(**{name: value[own] for name, value in vars(batch).items()})
        if wrong:
            mixed = torch.stack([of[torch.randperm(len(of))] for of in part.point_part[:, 0]])[:, None]
            part = Batch(**{**vars(part), "point_part": mixed * (part.point_part > 0)})
        model.step(part, opt)
    return of_points(model.eval(), data, "test")


@pytest.mark.processor
def test_it_learns_and_not_from_parts_out_of_place() -> None:
    right, wrong = learnt(False), learnt(True)
    assert right["part accuracy"] > wrong["part accuracy"] + 0.15 and right["GPS"] > wrong["GPS"] + 0.1
    assert right["part accuracy"] > 0.5
    assert densepose.RECIPES["small"].targets[0].at_least == 0.90
