"""Recurrent attention: what a glimpse sees, whose gradient goes where, and that looking at the right place helps."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

import paperzoo
from paperzoo.data import Batch
from paperzoo.engine.players import Players, optimizers
from paperzoo.errors import PaperzooError
from paperzoo.papers.attention import ram

SMALL: dict[str, Any] = {"size": 4, "scales": 2, "glimpses": 3, "hidden": 16, "part": 8, "image_size": 16}
COLOURED: dict[str, Any] = {**SMALL, "scales": 1, "image_size": 20, "channels": 4, "classes": 4}


def retina(image: Tensor, place: Tensor, size: int, scales: int) -> Tensor:
    """One image (C, S, S), one place: crop what is there from a black surrounding, then average pool."""
    pixels, found = image.shape[-1], []
    for i in range(scales):
        width = size * 2**i
        padded = F.pad(image, (4 * width,) * 4)
        left, top = (int(np.floor((float(at) + 1) * pixels / 2 - width / 2 + 0.5)) + 4 * width for at in place)
        found.append(F.avg_pool2d(padded[:, top : top + width, left : left + width], 2**i))
    return torch.stack(found, 1)  # (C, k, g, g)


@pytest.mark.parametrize(("pixels", "channels", "size", "scales"), [(28, 1, 8, 1), (60, 1, 12, 3), (17, 3, 3, 3), (8, 1, 8, 2)])
def test_glimpse_is_crop_and_average_pool(pixels: int, channels: int, size: int, scales: int) -> None:
    torch.manual_seed(0)
    image = torch.arange(40 * channels * pixels**2, dtype=torch.float64).view(40, channels, pixels, pixels)
    place = torch.cat([2 * torch.rand(34, 2) - 1, torch.tensor([[-1, -1], [1, 1], [-1, 1], [0, 0], [0.5, -0.25], [1, 0]])]).double()
    sensor, expected = ram.GlimpseSensor(size, scales), [retina(a, b, size, scales) for a, b in zip(image, place, strict=True)]
    assert torch.allclose(sensor(sensor.integral(image), place), torch.stack(expected), rtol=1e-12)
    photograph = torch.rand(34, channels, pixels, pixels)
    expected = [retina(a, b, size, scales) for a, b in zip(photograph, place, strict=False)]
    assert torch.allclose(sensor(sensor.integral(photograph), place[:34]).float(), torch.stack(expected), atol=1e-6)


def test_upper_left_is_upper_left() -> None:
    image = torch.zeros(1, 1, 8, 8)
    image[0, 0, 1, 6] = 1  # in the upper right quarter
    for place, seen in (((0.5, -0.5), True), ((-0.5, 0.5), False), ((0.5, 0.5), False), ((-0.5, -0.5), False)):
        sensor = ram.GlimpseSensor(4, 1)
        assert bool(sensor(sensor.integral(image), torch.tensor([place])).any()) is seen, place


def test_gradient_of_reinforce_is_exact() -> None:
    torch.manual_seed(0)
    place, mean = torch.randn(2, 5, 3, 2, dtype=torch.float64)
    returns, baseline = torch.rand(2, 5, 3, dtype=torch.float64)
    mean.requires_grad_(), baseline.requires_grad_()
    ram.reinforce(place, mean, returns, baseline, 0.3).backward()
    expected = -(returns - baseline).detach()[..., None] * (place - mean.detach()) / 0.3**2 / 5
    assert torch.allclose(mean.grad, expected, rtol=1e-12) and baseline.grad is None
    density = torch.distributions.Normal(mean, 0.3).log_prob(place).sum(-1)
    assert torch.allclose(ram.log_density(place, mean, 0.3), density)


def test_returns_and_losses_against_their_definitions() -> None:
    torch.manual_seed(0)
    right, logits, label = (torch.rand(6, 5) > 0.5).float(), torch.randn(6, 5, 4), torch.arange(6) % 4
    by_hand = [[sum(0.8 ** (s - t) * float(r[s]) for s in range(t, 5)) for t in range(1, 5)] for r in right]
    assert torch.allclose(ram.discounted_reward(right, 0.8), torch.tensor(by_hand))
    assert torch.equal(ram.discounted_reward(right, 0.0), right[:, 1:])
    assert torch.equal(ram.last_reward(right), right[:, [4, 4, 4, 4]])
    minus_log = -logits.log_softmax(2)[torch.arange(6), :, label]  # (6, 5)
    assert torch.allclose(ram.last_cross_entropy(logits, label), minus_log[:, -1].mean())
    assert torch.allclose(ram.each_cross_entropy(logits, label), minus_log.mean())
    trace = ram.Trace(logits, logits[:, 0], torch.randn(6, 5, 2), torch.randn(6, 4, 2), torch.rand(6, 4))
    parts = [ram.hybrid(trace, label, 0.2, weights, 0.8) for weights in ram.REWARDS.values()]
    mixed = ram.hybrid(trace, label, 0.2, (0.2, 0.3, 0.5), 0.8)
    assert torch.allclose(mixed.action, 0.2 * parts[0].action + 0.3 * parts[1].action + 0.5 * parts[2].action)
    assert torch.allclose(mixed.location, 0.2 * parts[0].location + 0.3 * parts[1].location + 0.5 * parts[2].location)
    assert parts[0].location != parts[1].location and parts[0].action != parts[2].action


def check_gradients(module: ModuleType) -> None:
    """Whose gradient goes where; holds of the right version only."""
    torch.manual_seed(0)
    model = module.Model(**SMALL)
    image, label, chance = torch.rand(8, 1, 16, 16), torch.arange(8), model.chance(8)
    trace = model.look(image, chance)
    losses = module.hybrid(trace, label, model.std, model.weights)._asdict()
    net, moved = model.network, {}
    parts = {"glimpse": net.glimpse, "core": net.core, "action": net.action, "location": net.location, "baseline": net.baseline}
    for name, loss in losses.items():
        reached = {}
        for part, layer in parts.items():
            weights = list(layer.parameters())
            found = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True) if loss.requires_grad else [None]
            reached[part] = any(g is not None and bool(g.any()) for g in found)
        moved[name] = {part for part, yes in reached.items() if yes}
    assert moved == {"action": {"glimpse", "core", "action"}, "location": {"location"}, "baseline": {"baseline"}}
    chance[:, 2] += 1  # the last place is another one
    later = model.look(image, chance)
    assert not torch.equal(later.logits[:, 2], trace.logits[:, 2]) and torch.equal(later.logits[:, :2], trace.logits[:, :2])
    assert torch.equal(later.baseline, trace.baseline), "a baseline knows the place it judges"


def test_each_loss_reaches_its_own_part_and_no_other() -> None:
    check_gradients(ram)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("(mean[-1][:, 0] + chance[:, t + 1]).detach()", "mean[-1][:, 0] + chance[:, t + 1]"),  # location learns by backprop
        ("self.location(known).float()[:, None]", "self.location(known).float()[:, None].detach()"),  # it never learns
        ("state[0] if self.joint else state[0].detach()", "state[0]"),  # REINFORCE trains the core too
        ("(returns - baseline).detach()", "(returns - baseline)"),  # the advantage trains the baseline
        ("before = h[:, :-1].detach()", "before = h[:, 1:].detach()"),  # the baseline has seen the glimpse
    ],
)
def test_known_errors_are_rejected(right: str, wrong: str) -> None:
    source = inspect.getsource(ram)
    assert source.count(right) == 1
    module = ModuleType("paperzoo_wrong_ram")
    import sys

    sys.modules[module.__name__] = module  # dataclasses look their module up
    try:
        exec(compile(source.replace(right, wrong), "wrong", "exec"), module.__dict__)
        if not wrong.endswith(".float()[:, None].detach()"):  # it trains, and nobody would notice
            fit(module.Model(**COLOURED), 2)
        with pytest.raises(AssertionError):
            check_gradients(module)
    finally:
        del sys.modules[module.__name__]


def coloured(number: int) -> tuple[Tensor, Tensor]:
    """20x20 images of four channels with a 4x4 square on the right, above the middle; the class is the channel it is in."""
    label, side = torch.randint(4, (number,)), torch.arange(4)
    image = torch.zeros(number, 4, 20, 20)
    image[torch.arange(number)[:, None, None], label[:, None, None], 3 + side[:, None], 13 + side] = 1
    return image, label


def fit(model: Any, steps: int, lr: float = 3e-3) -> float:
    """Trains on coloured squares; returns the share of right answers, looked at as in a measurement."""
    opt = Players(model.optimizers(name="Adam", lr=lr))
    opt.total = opt.stage_steps = steps
    for opt.iteration in range(steps):
        image, label = coloured(64)
        model.step(Batch(image=image, label=label), opt)
    assert all(bool(loss.isfinite()) for _, _, loss in opt.losses)
    image, label = coloured(1000)
    with torch.no_grad():
        logits = model.look(image, model.chance(1000, torch.Generator().manual_seed(0), drawn=False)).logits
    return float((logits[:, -1].argmax(1) == label).float().mean())


@pytest.mark.processor
def test_learns_where_to_look() -> None:
    shares = {}
    for random in (False, True):
        torch.manual_seed(0)
        model = ram.Model(**{**COLOURED, "hidden": 32, "part": 16, "glimpses": 2}, std=0.3, random=random)
        shares[random] = fit(model, 200, 5e-3)
    assert shares[False] > 0.9, shares
    assert shares[True] < 0.6, shares  # the same network at random places


KINDS = [{"core": "lstm"}, {"reward": "discounted"}, {"reward": "cross_entropy_each"}, {"reward": "mix"}, {"joint": 0.1}, {"glimpses": 1}]


@pytest.mark.parametrize("changes", KINDS)
def test_every_kind_takes_steps(changes: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = ram.Model(**{**COLOURED, **changes})
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    fit(model, 3)
    still = {n.split(".", 1)[1] for n, p in model.named_parameters() if torch.equal(p, before[n])}
    alone = {"core.from_state.weight", "location.weight", "location.bias", "baseline.weight", "baseline.bias"}
    assert still == (alone if changes == {"glimpses": 1} else set())  # one glimpse: no state before it, no place to choose


def test_nothing_is_drawn_when_it_is_used() -> None:
    for random in (False, True):
        model, image = ram.Model(**SMALL, random=random).eval(), torch.rand(5, 1, 16, 16)
        first, again = model.look(image), model.look(image)
        assert torch.equal(first.place, again.place) and not first.place[:, 0].any()  # begins in the middle
        assert torch.allclose(model(image[3:4]), model(image)[3:4], atol=1e-6)
        assert torch.allclose(model.head(model.features(image)), model(image), atol=1e-6)
    assert torch.equal(first.place[0], first.place[4]) and first.place[0, 1].any()  # random places: the same for every image
    chance = model.chance(4000, torch.Generator().manual_seed(0))
    assert chance.abs().max() <= 1 and abs(float(chance.mean())) < 0.02 and abs(float(chance.std()) - 3**-0.5) < 0.01
    noise = ram.Model(**SMALL).chance(4000)[:, 1:]
    assert abs(float(noise.std()) - 0.11) < 0.005 and abs(float(noise.mean())) < 0.005


def test_the_eye_does_not_leave_the_image() -> None:
    model, image = ram.Model(**SMALL), torch.rand(2, 1, 16, 16)
    chance = torch.zeros(2, 3, 2)
    chance[:, 1] = 7
    far = model.look(image, chance)
    chance[:, 1] = 1 - far.mean[:, 0].detach()  # the corner itself
    corner = model.look(image, chance)
    assert (far.place[:, 1] > 5).all() and torch.allclose(far.logits[:, 1], corner.logits[:, 1], atol=1e-6)


def test_pictures_path_and_answer(tmp_path: Path) -> None:
    run = paperzoo.train("ram", "smoke", out=tmp_path, overrides={"steps": 4})
    made = {path.name: path for path in run.figures}
    assert {"final-path.png", "final-path.gif", "final-confusion.png"} <= set(made)
    assert all(path.stat().st_size < 150_000 for path in made.values())
    with Image.open(made["final-path.gif"]) as moving:
        assert moving.n_frames == 3
    assert paperzoo.evaluate(run.directory) == run.metrics  # the first places are the same in every measurement
    array = np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)
    one, two = run.model.predict([array, np.zeros((20, 30), np.uint8)])  # of different sizes
    assert len(one.path) == 3 and one.path[0] == (0, 0) and all(-1 <= v <= 1 for place in one.path for v in place)
    assert sum(two.probabilities) == pytest.approx(1, abs=1e-5) and one == run.model.predict(array)


@pytest.mark.parametrize(("name", "size"), [("fc", 60), ("fc", 100), ("conv", 28), ("conv", 60), ("conv", 100)])
def test_the_networks_it_is_compared_with(name: str, size: int) -> None:
    with torch.device("meta"):
        model = paperzoo.create(f"ram:{name}", image_size=size)
    expected = {"fc": size**2 * 256 + 256, "conv": 8 * 100 + 8 + 8 * ((size - 10) // 5 + 1) ** 2 * 256 + 256}[name]
    expected += (256 * 256 + 256 if name == "fc" else 0) + 256 * 10 + 10
    assert sum(p.numel() for p in model.parameters()) == expected
    assert model(torch.rand(2, 1, size, size, device="meta")).shape == (2, 10)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"size": 30}, "a glimpse of 30x30 is larger than an image of 28x28"),
        ({"glimpses": 0}, "model.glimpses must be at least 1, not 0"),
        ({"scales": 0}, "model.scales must be at least 1"),
        ({"core": "gru"}, "unknown model.core 'gru'"),
        ({"reward": "disounted"}, "did you mean discounted"),
        ({"std": 0.0}, "model.std must be positive"),
        ({"mix": (1, 2)}, "mix of ram is three weights"),
    ],
)
def test_arguments(arguments: dict[str, Any], says: str) -> None:
    with torch.device("meta"), pytest.raises(PaperzooError, match=re.escape(says)):
        paperzoo.create("ram", **arguments)


def test_images_of_another_size_are_named() -> None:
    model = ram.Model(**SMALL)
    for wrong in (torch.rand(2, 1, 28, 28), torch.rand(2, 3, 16, 16), torch.rand(1, 16, 16)):
        with pytest.raises(PaperzooError, match=re.escape("looks at images (N, 1, 16, 16), not " + str(tuple(wrong.shape)))):
            model(wrong)
    with pytest.raises(PaperzooError, match="image_size must be at least 10, not 8"):
        paperzoo.create("ram:conv", image_size=8)
    with pytest.raises(PaperzooError, match=r"unknown optimizer\.name 'adam': did you mean Adam"):
        optimizers(model, {"name": "adam"})


def test_chance_is_a_uniform_place_and_then_noise_of_the_papers_deviation() -> None:
    torch.manual_seed(0)
    model = paperzoo.create("ram", std=0.11)
    first, rest = (part.flatten() for part in model.chance(5000).split([1, model.network.glimpses - 1], 1))
    assert first.abs().max() <= 1 and float(first.var()) == pytest.approx(1 / 3, rel=0.05) and abs(float(first.mean())) < 0.03
    assert float(rest.std()) == pytest.approx(0.11, rel=0.02) and abs(float(rest.mean())) < 0.002
    assert float(rest.pow(4).mean() / rest.square().mean() ** 2) == pytest.approx(3, rel=0.1)  # normal
    assert not model.chance(3, torch.Generator().manual_seed(0), drawn=False)[:, 1:].any()  # in use it goes to the mean
