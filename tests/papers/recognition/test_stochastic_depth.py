"""Stochastic depth: how often blocks survive, what a dropped block costs, test against training, and one draw for all."""

from __future__ import annotations

import math
import re
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from fixtures.training import constant
from torch import Tensor, nn

import paperzoo
from paperzoo import catalog
from paperzoo.data import Batch
from paperzoo.engine.players import Players
from paperzoo.errors import PaperzooError
from paperzoo.papers.recognition import resnet
from paperzoo.papers.recognition.stochastic_depth import (
    VARIANTS,
    Model,
    StochasticBlock,
    common_chance,
    survival_probabilities,
)

HERE = torch.device("cpu")


def alone() -> Any:
    """What a step sees of one process."""
    return SimpleNamespace(mean=lambda value: value.clone())


def draws(model: Model, number: int) -> Tensor:
    """b_l of ``number`` mini-batches, (number, L), as ``step`` throws them."""
    seen: list[list[float]] = []
    opt = Players({})
    opt.network = SimpleNamespace(minimize=lambda loss: None)  # type: ignore[assignment]
    model.forward = lambda image, alive: seen.append(alive) or torch.zeros(len(image), 10)  # type: ignore[assignment,method-assign]
    batch = Batch(image=torch.rand(2, 1, 8, 8), label=torch.tensor([1, 2]))
    for _ in range(number):
        model.step(batch, opt)
    return torch.tensor(seen)


def test_every_variant_has_its_count() -> None:
    assert set(catalog.paper("stochastic_depth").parameters) == set(VARIANTS)  # and the contract's tests hold them against the networks
    assert catalog.paper("stochastic_depth").parameters["resnet110"] == catalog.paper("resnet").parameters["resnet110"]


@pytest.mark.parametrize("blocks", [1, 6, 54, 600])
def test_survival_decays_linearly(blocks: int) -> None:
    p = survival_probabilities(blocks)
    assert p[-1] == 0.5 and all(a > b for a, b in zip(p, p[1:], strict=False)) and p[0] == 1 - 0.5 / blocks  # l counts from 1
    assert sum(p) == pytest.approx((3 * blocks - 1) / 4)
    assert survival_probabilities(blocks, 1.0) == [1.0] * blocks
    assert survival_probabilities(blocks, 0.7, "uniform") == [0.7] * blocks


def test_blocks_survive_as_often_as_they_should() -> None:
    torch.manual_seed(0)
    model, number = Model(depth=26, width=1, channels=1), 4000
    alive, p = draws(model, number), torch.tensor(model.p)
    assert alive.shape == (number, 12) and set(alive.unique().tolist()) == {0, 1}  # one coin a block for the whole mini-batch
    assert ((alive.mean(0) - p).abs() <= 3 * (p * (1 - p) / number).sqrt()).all()
    together = torch.corrcoef(alive.T) - torch.eye(12)
    assert together.abs().max() < 5 / math.sqrt(number)  # and each by itself


@pytest.mark.parametrize("processes", [1, 2, 3, 8])
def test_common_chance_is_uniform_whatever_the_number_of_processes(processes: int) -> None:
    """The mean of 2 or more uniform numbers is not uniform; what is made of it must be, or p_l would depend on the machine."""
    torch.manual_seed(0)
    opt: Any = SimpleNamespace(mean=lambda value: torch.stack([value, *(torch.rand_like(value) for _ in range(processes - 1))]).mean(0))
    chance = torch.tensor(common_chance(40_000, opt, HERE))
    assert chance.min() >= 0 and chance.max() < 1
    ranks = (torch.arange(len(chance)) + 0.5) / len(chance)
    assert (chance.sort().values - ranks).abs().max() < 1.63 / math.sqrt(len(chance))  # Kolmogorov and Smirnov, 1 %


def test_constant_depth_is_resnet() -> None:
    torch.manual_seed(0)
    ours, theirs = Model(depth=14, survival=1.0, width=4), resnet.Model(depth=14, width=4)
    theirs.load_state_dict(ours.state_dict())
    image = torch.rand(3, 3, 8, 8)
    assert torch.equal(ours(image, [1.0] * 6), theirs(image))  # in training, all alive
    assert torch.equal(ours.eval()(image), theirs.eval()(image))


def test_a_dropped_block_is_its_shortcut_and_is_not_computed() -> None:
    torch.manual_seed(0)
    model, image = Model(depth=8, width=4, channels=1), torch.rand(3, 1, 8, 8)
    before = {name: value.clone() for name, value in model.network.layer2[0].state_dict().items()}
    out = model(image, [1.0, 0.0, 1.0])
    gradients = torch.autograd.grad(out.sum(), list(model.parameters()), allow_unused=True)
    unreached = {n.split(".")[1] for (n, _), g in zip(model.named_parameters(), gradients, strict=True) if g is None}
    assert unreached == {"layer2"}
    assert all(torch.equal(value, before[name]) for name, value in model.network.layer2[0].state_dict().items())
    block, x = StochasticBlock(4, 4, 1, "A"), torch.rand(3, 4, 5, 5)
    assert torch.equal(block(x, 0.0), x)
    halved = StochasticBlock(4, 8, 2, "A")(x, 0.0)
    assert torch.equal(halved[:, :4], x[:, :, ::2, ::2]) and not halved[:, 4:].any()


def test_expected_training_output_is_the_test_output_of_a_linear_block() -> None:
    """Eq. 2 against Eq. 5: where no ReLU cuts anything, p_l f(x) + x is the mean of f(x) + x and x, in the proportion p_l."""
    torch.manual_seed(0)
    for model in (Model(depth=8, width=4, channels=1), Model(depth=8, width=4, channels=1, survival=0.2)):
        model.double().eval()
        network = model.network
        for block in (network.layer1[0], network.layer2[0], network.layer3[0]):
            block.conv1.weight.data.abs_()  # positive all the way: each ReLU is the identity
            block.conv2.weight.data.abs_()
        network.conv1.weight.data.abs_()
        image = torch.rand(2, 1, 8, 8, dtype=torch.float64)
        expected = torch.zeros(2, 10, dtype=torch.float64)
        for a in (0.0, 1.0):
            for b in (0.0, 1.0):
                for c in (0.0, 1.0):
                    chance = math.prod(p if one else 1 - p for p, one in zip(model.p, (a, b, c), strict=True))
                    expected += chance * model(image, [a, b, c])
        assert torch.allclose(model(image), expected, atol=1e-10)


def test_a_step_moves_the_living_and_leaves_the_dead() -> None:
    torch.manual_seed(0)
    model = Model(depth=8, width=2, channels=1, survival=0.01, decay="uniform")  # all dead, nearly always
    opt = Players(constant(model.optimizers()))
    batch = Batch(image=torch.rand(8, 1, 8, 8), label=torch.arange(8))
    before = {n: p.clone() for n, p in model.named_parameters()}
    logged = model.step(batch, opt)
    assert logged == {"blocks alive": 0.0}
    moved = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    assert moved == {n for n in before if "layer" not in n}  # not even weight decay touches a block that was not there
    model.network.p = model.p = [1.0] * 3
    model.step(batch, opt)  # a block that is late to be drawn begins like any other
    moved = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    assert moved == set(before)


def test_rates() -> None:
    factor = Model(depth=8).optimizers()["network"][1]
    assert [factor(i, 400) for i in (0, 199, 200, 299, 300, 399)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    assert Model(depth=8).optimizers(warm_up=0.02)["network"][1](7, 400) == 0.1
    group = Model(depth=8).optimizers()["network"][0].param_groups[0]
    assert (group["lr"], group["momentum"], group["weight_decay"], group["nesterov"]) == (0.1, 0.9, 1e-4, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"depth": 111}, "6n + 2"),
        ({"survival": 0.0}, "model.survival must be positive"),
        ({"survival": 1.5}, "model.survival must be at most 1"),
        ({"decay": "linaer"}, "did you mean linear"),
        ({"classes": 0}, "model.classes must be at least 1"),
        ({"std": (0.0,)}, "model.std must be a list of numbers, each positive"),
        ({"mean": (0.1, 0.2)}, "mean of stochastic_depth"),
    ],
)
def test_arguments(arguments: dict[str, Any], says: str) -> None:
    with torch.device("meta"), pytest.raises(PaperzooError, match=re.escape(says)):
        paperzoo.create("stochastic_depth", **arguments)


@pytest.mark.processor
def test_learns_and_needs_its_weights_at_test() -> None:
    """A trained network with all blocks at full weight has seen no such sums in training: it is worse than by Eq. 5."""
    from sklearn.datasets import load_digits

    data = load_digits()
    image, label = torch.tensor(data.images, dtype=torch.float32)[:, None] / 16, torch.tensor(data.target)  # (N, 1, 8, 8)
    torch.manual_seed(0)
    model = Model(depth=26, width=8, channels=1)
    opt = Players(model.optimizers(lr=0.05))
    opt.total = opt.stage_steps = 150
    for opt.iteration in range(150):
        items = torch.randint(1400, (64,))
        model.step(Batch(image=image[items], label=label[items]), opt)
    model.eval()
    with torch.no_grad():
        right = model(image[1400:])
        wrong = model(image[1400:], [1.0] * len(model.p))
    assert (right.argmax(1) != label[1400:]).float().mean() < 0.2
    assert F.cross_entropy(wrong, label[1400:]) > 1.25 * F.cross_entropy(right, label[1400:])


def test_blocks_are_those_of_resnet() -> None:
    network = Model(depth=8).network
    assert isinstance(network, resnet.ResNet)
    assert all(isinstance(network.get_submodule(f"layer{i}.0"), resnet.BasicBlock) for i in (1, 2, 3))
    assert not [m for m in network.modules() if isinstance(m, nn.Dropout)]
