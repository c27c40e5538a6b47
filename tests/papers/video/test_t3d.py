"""T3D: temporal transitions, the order of frames, supervision transfer, and the recipes of all three."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fixtures.training import count, job, loop
from torch import Tensor, nn

import paperzoo
from paperzoo import catalog
from paperzoo.data import Batch
from paperzoo.data.datasets import dataset
from paperzoo.data.video.moving import drift
from paperzoo.engine import precision
from paperzoo.errors import PaperzooError
from paperzoo.papers.video.t3d import BLOCKS, RECIPES, VARIANTS, Model, TemporalTransition, composite
from paperzoo.papers.video.t3d_transfer import Transfer, pairs
from paperzoo.records import Stage

TINY = {"blocks": (1, 1), "growth": 4, "width": 8, "stem": "small", "ttl": 4, "channels": 1, "image_size": 12, "frames": 6}
TEACHER = {"teacher": "resnet:resnet20", "teacher_arguments": {"depth": 8, "width": 4, "channels": 1}, "hidden": (16, 8)}


# The network ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", range(1, 10))
@pytest.mark.parametrize("depths", [(1, 3, 6), (1, 3, 4), (2, 5)])
def test_all_branches_keep_time_and_space(depths: tuple[int, ...], frames: int) -> None:
    transition, x = TemporalTransition(3, 2, depths), torch.randn(2, 3, frames, 5, 4)
    assert [branch(x).shape for branch in transition.branches] == [(2, 2, frames, 5, 4)] * len(depths)
    assert transition(x).shape == (2, 2 * len(depths), -(-frames // 2), 3, 2)


@pytest.mark.parametrize("depth", range(1, 7))
def test_a_branch_looks_at_as_many_frames_as_its_depth(depth: int) -> None:
    """One frame lit in the middle reaches ``depth`` frames, one more before it than behind if that is even."""
    branch, x = composite(1, 1, depth, 3).eval(), torch.zeros(1, 1, 15, 3, 3)
    nn.init.ones_(branch[-1].weight)
    x[:, :, 7] = 1
    lit = branch(x)[0, 0, :, 1, 1].nonzero()[:, 0].tolist()
    assert lit == list(range(7 - depth // 2, 7 + (depth - 1) // 2 + 1))


def test_a_transition_is_what_its_equation_says() -> None:
    transition, x = TemporalTransition(3, 2, (1, 3, 4)).eval().double(), torch.randn(1, 3, 4, 4, 4, dtype=torch.float64)
    parts = []
    for branch, before, after, side in zip(transition.branches, (0, 1, 1), (0, 1, 2), (0, 1, 1), strict=True):
        active = F.pad((x / (1 + branch[0].eps) ** 0.5).relu(), (side,) * 4 + (before, after))  # running moments are 0 and 1
        parts.append(F.conv3d(active, branch[-1].weight))
    joined = torch.cat(parts, 1)
    by_hand = joined.reshape(1, 6, 2, 2, 2, 2, 2, 2).mean((3, 5, 7))  # (N, C, T, 2, H, 2, W, 2)
    assert torch.allclose(transition(x), by_hand)


def test_counts_agree_with_densenet() -> None:
    """Flat networks are DenseNet-BC: with 1,000 classes they have exactly the published 2-D networks' parameters."""
    for depth, parameters in ((121, 7_978_856), (169, 14_149_480)):
        with torch.device("meta"):
            assert count(Model(blocks=BLOCKS[depth], depths=(), flat=True, classes=1000)) == parameters
    assert set(catalog.paper("t3d").parameters) == set(VARIANTS)
    assert count(TemporalTransition(256, 128, (1, 3, 6))) == 3 * 2 * 256 + 128 * 256 * (1 + 9 * 3 + 9 * 6)


def test_sizes_at_the_papers_size() -> None:
    with torch.device("meta"):
        model, seen = Model(), []
        for layer in model.network.layers:
            if isinstance(layer, TemporalTransition):
                layer.register_forward_hook(lambda m, i, o: seen.append(tuple(o.shape)))
        assert model(torch.rand(2, 3, 32, 224, 224)).shape == (2, 101)
    assert seen == [(2, 384, 4, 28, 28), (2, 384, 2, 14, 14), (2, 384, 1, 7, 7)]


def test_only_a_flat_network_forgets_the_order_of_frames() -> None:
    video, order = torch.rand(2, 1, 6, 12, 12), torch.tensor([3, 0, 5, 2, 4, 1])
    flat = Model(**TINY | {"depths": (), "flat": True}).double()
    for mode in (True, False):  # batch statistics are those of a set of frames, too
        flat.train(mode)
        assert torch.allclose(flat(video.double()), flat(video[:, :, order].double()))
    by_frame = torch.stack([flat(video[:, :, t : t + 1].double()) for t in range(6)]).mean(0)
    assert torch.allclose(flat(video.double()), by_frame)  # the answers of single frames, averaged
    for arguments in ({}, {"depths": ()}):
        deep = Model(**TINY | arguments).eval()
        assert (deep(video) - deep(video[:, :, order])).abs().max() > 1e-3


def test_no_clip_depends_on_another_and_every_pixel_counts() -> None:
    torch.manual_seed(0)
    model = Model(**TINY, classes=3).eval()
    video = torch.rand(4, 1, 6, 12, 12, requires_grad=True)
    (gradient,) = torch.autograd.grad(model(video)[1].square().sum(), video)
    assert not gradient[[0, 2, 3]].any() and gradient[1].any()
    (gradient,) = torch.autograd.grad(model(video).square().sum(), video)
    assert (gradient != 0).any(0).all()


@pytest.mark.processor
def test_gradients_are_right_in_any_precision() -> None:
    """Three frames deep over two frames, bf16 gives gradients of whatever lay in memory on processors that have it."""
    video = torch.rand(8, 1, 4, 20, 20)
    gradients = []
    for kind in ("float32", "bf16", "bf16"):
        torch.manual_seed(0)
        model = Model(**TINY)
        precision.prepare(model, kind, torch.device("cpu"))
        rubbish = [torch.full((1 << 14,), float("nan")) for _ in range(20)]
        del rubbish
        gradients.append(torch.autograd.grad(model(video).square().sum(), list(model.parameters())))
    for exact, first, again in zip(*gradients, strict=True):
        assert torch.equal(first, again) and (first - exact).norm() <= 0.05 * exact.norm()


def test_rates() -> None:
    factor = Model(**TINY).optimizers()["network"][1]
    assert [factor(epoch, 150) for epoch in (0, 29, 30, 60, 149)] == pytest.approx([1, 1, 0.1, 0.01, 1e-4])
    group = Model(**TINY).optimizers()["network"][0].param_groups[0]
    assert (group["lr"], group["momentum"], group["weight_decay"], group["nesterov"]) == (0.1, 0.9, 1e-4, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"stem": "papier"}, "did you mean paper"),
        ({"flat": True}, "set model.depths=()"),
        ({"frames": 0}, "model.frames must be at least 1, not 0"),
        ({"growth": 0}, "model.growth must be at least 1"),
        ({"blocks": ()}, "model.blocks must be a list of at least 1"),
        ({"depths": ((1, 0),)}, "model.depths must be a list of numbers, each a list of numbers, each at least 1"),
    ],
)
def test_arguments(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(PaperzooError, match=re.escape(says)):
        paperzoo.create("t3d", **TINY | arguments)


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipes_build_their_models(recipe: str) -> None:
    variant = (RECIPES[recipe].variants)[0]
    assert job(f"t3d:{variant}", recipe).recipe.data == RECIPES[recipe].data
    entry = catalog.load(f"t3d:{variant}")
    without = {k: v for k, v in RECIPES[recipe].model.items() if k != "weights"}  # published ones would be fetched
    with torch.device("meta"):
        catalog.build(entry, {**entry.arguments, **without})


# Learning ------------------------------------------------------------------------------------------------------------


def squares(number: int) -> tuple[Tensor, Tensor]:
    """A bright square on a torus, moving right or left by a pixel a frame: (N, 1, 6, 12, 12), and which (N)."""
    label = torch.arange(number) % 2
    starts = torch.randint(12, (number, 2)).tolist()
    square = np.full((3, 3), 255, np.uint8)
    clips = [drift(square, (x, y), (1 - 2 * int(k), 0), 6, 12) for (x, y), k in zip(starts, label, strict=True)]
    return torch.from_numpy(np.stack(clips))[:, None] / 255, label


@pytest.mark.processor
@pytest.mark.parametrize(("arguments", "frames", "learns"), [({}, 6, True), ({"depths": (), "flat": True}, 6, False), ({}, 1, False)])
def test_a_moving_square(arguments: dict[str, object], frames: int, learns: bool) -> None:
    """T3D tells left from right; frame by frame, or of a single frame, nobody can."""
    torch.manual_seed(0)
    model = Model(**TINY | arguments | {"frames": frames}, classes=2)
    optimizer = model.optimizers(lr=0.05)["network"][0]
    for _ in range(60):
        video, label = squares(32)
        loss = F.cross_entropy(model(model.clip(video)), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    video, label = squares(288)
    with torch.no_grad():
        right = (model.eval()(model.clip(video)).argmax(1) == label).float().mean().item()
    assert right >= 0.95 if learns else 0.4 < right < 0.6, right


# Supervision transfer ------------------------------------------------------------------------------------------------


def test_pairs() -> None:
    stills, clips = torch.arange(3.0)[:, None], 10 + torch.arange(3.0)[:, None]
    both, match = pairs(stills, clips, 1)
    assert both.tolist() == [[0, 10], [1, 11], [2, 12], [2, 10], [0, 11], [1, 12]] and match.tolist() == [1, 1, 1, 0, 0, 0]


def test_the_frozen_network_stays_bit_equal_and_the_stages_train_their_parts(tmp_path: Path) -> None:
    stages = (Stage("match", 5), Stage("classify", 5))
    resolved = job("t3d:transfer", "smoke")
    made = loop(replace(resolved, recipe=replace(resolved.recipe, steps=10, stages=stages)), tmp_path)
    model = made.model
    assert isinstance(model, Transfer)

    def moved() -> set[str]:
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        for _ in range(5):
            made.step()
        return {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}

    body, head, matcher = ({n for n in model.state_dict() if n.startswith(p)} for p in ("network.l", "network.c", "matcher."))
    assert moved() == body | matcher  # no label was looked at
    made.begin(stages[1], 5)
    assert moved() == body | head
    assert model.train().network.training and not model.teacher.training


def test_the_teacher_sees_the_frames_of_the_clip() -> None:
    model = Transfer(**TINY, **TEACHER, stills=3)
    video = torch.rand(2, 1, 6, 12, 12)
    by_hand = torch.stack([model.teacher.features(video[:, :, t]) for t in (1, 3, 5)]).mean(0)
    assert torch.allclose(model.glance(video), by_hand, atol=1e-6)
    assert model.glance(video[:, :, :1]).shape == by_hand.shape  # no more stills than frames


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"teacher": "dcgan", "teacher_arguments": {}}, "dcgan is for image generation"),
        ({"teacher_arguments": {"channels": 2}}, "resnet:resnet20 sees 2 channels and t3d:transfer 1"),
        ({"stills": 0}, "stills must be at least 1"),
        ({"hidden": ()}, "hidden must be a list of at least 1"),
    ],
)
def test_what_cannot_be_transferred_from(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(PaperzooError, match=says):
        paperzoo.create("t3d:transfer", **{**TINY, **TEACHER, **arguments})


def test_stages_and_batches_that_cannot_be() -> None:
    model = Transfer(**TINY, **TEACHER)
    with pytest.raises(PaperzooError, match="unknown stage 'clasify' of t3d:transfer: did you mean classify"):
        model.stage("clasify")
    with pytest.raises(PaperzooError, match="at least two videos"):
        model.step(Batch(video=torch.rand(1, 1, 6, 12, 12)), SimpleNamespace())


# A run ---------------------------------------------------------------------------------------------------------------


@pytest.mark.processor
def test_smoke(tmp_path: Path) -> None:
    run = paperzoo.train("t3d", "smoke", out=tmp_path)
    assert run.metrics["clip error %"] < 50 and run.metrics["video error %"] < 50  # 75 by guessing
    assert {p.name for p in (run.directory / "figures").iterdir()} == {"final-confusion.png", "final-mistakes.png", "final-frames.png"}
    test = dataset("moving-digits-8x8")["test"]
    said = run.model.predict(test[3].video[0])
    with torch.no_grad():
        p = run.model(test.batch([3]).video).softmax(1)[0]
    assert said.clips == 1 and said.probabilities == pytest.approx(p.tolist(), abs=1e-4) and said.label == int(p.argmax())
    assert said.name == ("right", "left", "down", "up")[said.label]  # the saved model knows what its data calls the classes
