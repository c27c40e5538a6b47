"""CFG-GAN: its functional step on Gaussians, what it is composed of, a GAN as its special case, and the ring."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fixtures.training import job, loop
from torch import Tensor, nn

import paperzoo
from paperzoo.data import Batch
from paperzoo.engine.players import Players
from paperzoo.papers.gan import cfggan, cfggan_networks, cfggan_toy
from paperzoo.papers.gan.gan import ToyNetwork, generator_loss
from paperzoo.tasks.generation.way import draw_way


def log_ratio(mean: float, deviation: float) -> Any:
    """The best discriminator of N(0, 1) from N(mean, deviation^2): log p* - log p, for (N, 1)."""
    return lambda x: (-0.5 * x**2 + 0.5 * ((x - mean) / deviation) ** 2 + math.log(deviation))[:, 0]


def divergence(mean: float, deviation: float) -> float:
    """KL(N(0, 1) || N(mean, deviation^2))."""
    return math.log(deviation) + (1 + mean**2) / (2 * deviation**2) - 0.5


# ---------------------------------------------------------------- the functional step


def test_step_contracts_the_mean_of_a_gaussian_by_one_minus_eta() -> None:
    x = torch.randn(1000, 1, dtype=torch.float64)
    x = (x - x.mean()) / x.std(correction=0) + 2.0  # mean 2, variance 1, exactly
    eta, mean = 0.3, 2.0
    for _ in range(5):
        before = divergence(mean, 1.0)
        x = cfggan.functional_step(x, log_ratio(mean, 1.0), eta)
        mean *= 1 - eta
        assert x.mean().item() == pytest.approx(mean, abs=1e-6)
        assert x.var(correction=0).item() == pytest.approx(1.0, abs=1e-6)
        assert divergence(mean, 1.0) == pytest.approx((1 - eta) ** 2 * before)
    moved = cfggan.functional_step(x, log_ratio(mean, 1.0), -eta)  # down the gradient: away from the data
    assert moved.mean().item() == pytest.approx(mean * (1 + eta), abs=1e-6)


def test_step_moves_the_variance_as_the_log_ratio_says_and_the_divergence_falls() -> None:
    x = torch.randn(1000, 1, dtype=torch.float64)
    x = (x - x.mean()) / x.std(correction=0)
    for eta, mean, deviation in ((0.1, 1.0, 2.0), (0.1, -0.5, 0.7), (0.05, 0.0, 3.0)):
        moved = cfggan.functional_step(mean + deviation * x, log_ratio(mean, deviation), eta)
        # grad log(p* / p) = -x + (x - mean) / deviation^2, linear in x
        new = deviation * (1 + eta * (1 / deviation**2 - 1))
        assert moved.mean().item() == pytest.approx((1 - eta) * mean, abs=1e-6)
        assert moved.std(correction=0).item() == pytest.approx(new, abs=1e-6)
        assert divergence((1 - eta) * mean, new) < divergence(mean, deviation)


def test_scales_are_those_of_the_games_and_rows_move_by_themselves() -> None:
    x, weight = torch.randn(6, 3, 4, 4, dtype=torch.float64), torch.randn(48, dtype=torch.float64)

    def discriminator(x: Tensor) -> Tensor:
        return (x.flatten(1).square() * weight).sum(1)

    d = discriminator(x)
    s = {"one": torch.ones(6), "log-d": 1 - torch.sigmoid(d), "minimax": torch.sigmoid(d)}
    for scale, share in s.items():
        moved = cfggan.functional_step(x, discriminator, 0.2, scale)
        expected = x + 0.2 * share.view(6, 1, 1, 1) * 2 * weight.view(3, 4, 4) * x
        assert torch.allclose(moved, expected)
        assert torch.allclose(moved[2:3], cfggan.functional_step(x[2:3], discriminator, 0.2, scale))


# ---------------------------------------------------------------- a GAN as the case T = 1


def flat(loss: Tensor, network: nn.Module) -> Tensor:
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(network.parameters()), retain_graph=True)])


@pytest.mark.parametrize("game", ["log-d", "minimax"])
@pytest.mark.parametrize("eta", [1e-3, 0.7])
def test_regression_on_one_functional_step_has_the_gradient_of_the_game(game: str, eta: float) -> None:
    torch.manual_seed(1)
    network, discriminator = ToyNetwork(3, 5, 16).double(), ToyNetwork(5, 1, 16).double()
    for p in (*network.parameters(), *discriminator.parameters()):
        nn.init.normal_(p, 0, 0.5)  # logits that differ, so that s does
    made = network(torch.randn(40, 3, dtype=torch.float64))
    played = flat(generator_loss(discriminator(made), game), network)
    fitted = {
        scale: flat(cfggan.regression_loss(made, cfggan.functional_step(made.detach(), discriminator, eta, scale)), network)
        for scale in ("one", game)
    }
    assert torch.allclose(fitted[game], eta * played, atol=1e-12)
    assert F.cosine_similarity(fitted[game], played, dim=0) > 1 - 1e-5
    assert F.cosine_similarity(fitted["one"], played, dim=0) < 0.999  # only with the game's own s
    z = torch.randn(1, 3, dtype=torch.float64)  # s0 > 0 is one number here, and any s gives the same direction
    one = network(z)
    fitted_one = flat(cfggan.regression_loss(one, cfggan.functional_step(one.detach(), discriminator, eta)), network)
    played_one = flat(generator_loss(discriminator(one), game), network)
    assert F.cosine_similarity(fitted_one, played_one, dim=0) > 1 - 1e-5


def test_rounds_of_one_functional_step_are_the_game_with_the_log_d_trick() -> None:
    torch.manual_seed(0)
    eta, rate, size = 1e-2, 0.3, 32
    common = {"width": 16, "scale": "log-d", "functional_steps": 1, "discriminator_steps": 1, "pool": size, "eta": eta, "epochs": 1}
    round_, game = cfggan_toy.Toy(**common).double(), cfggan_toy.Toy(**{**common, "method": "log-d"}).double()
    weights = {n: v for n, v in round_.state_dict().items() if n.startswith(("approximator", "discriminator"))}
    game.load_state_dict(weights, strict=False)
    players = []
    for model, factor in ((round_, 1 / eta), (game, 1.0)):
        sgd = {"discriminator": torch.optim.SGD(model.discriminator.parameters(), rate)}
        sgd["approximator"] = torch.optim.SGD(model.approximator.parameters(), rate * factor)
        players.append(Players(sgd))
        players[-1].total = 10
    with torch.no_grad():  # as begin() would in the middle of a run: a pool that is where G~ puts it
        round_.pool.copy_(round_.approximator(round_.noise.normal_()))
    before = game.approximator.body[0].weight.detach().clone()
    points, noise = torch.randn(8, size, 2, dtype=torch.float64), torch.randn(9, size, 2, dtype=torch.float64)
    for i in range(8):
        for model, opt in zip((round_, game), players, strict=True):
            opt.iteration = i + 1  # 0 would fit G~ to a random map first
            model.draw = lambda items, i=i, model=model: noise[i]
            model.step(Batch(point=points[i]), opt)
    opt, round_.draw = players[0], lambda items: noise[8]
    opt.iteration = 9
    round_.begin(size, opt)  # the fit of the last round
    for name, value in game.state_dict().items():
        if name in weights:
            assert torch.allclose(value, round_.state_dict()[name], atol=1e-9), name
    assert (game.approximator.body[0].weight - before).abs().max() > 1e-4


# ---------------------------------------------------------------- pool, composition, approximator


@pytest.mark.parametrize(("name", "recipe"), [("cfggan", "smoke"), ("cfggan:nobn", "smoke"), ("cfggan:toy_cfg", "smoke-cfg")])
def test_pool_is_where_the_composition_takes_its_noise(name: str, recipe: str, tmp_path: Path) -> None:
    chosen = job("cfggan", recipe, **{"model.normalise": False}) if name.endswith("nobn") else job(name, recipe)
    made = loop(chosen, tmp_path)
    model: Any = made.model
    taken, ways = [], []
    for _ in range(11):
        made.step()
        taken.append(int(model.taken))
        model.eval()
        with torch.no_grad():
            ways.append(list(model.composition(model.noise)))
        model.train()
        assert torch.allclose(ways[-1][-1], model.pool, atol=1e-4)
        assert (model.render(model.noise) - model.output(model.pool)).abs().max() < 1e-4  # what samples are made of
    steps = [(i % 4) + 1 for i in range(11)] if recipe == "smoke" else [(i + 1) // 3 for i in range(11)]
    assert taken == steps and [len(way) for way in ways] == [t + 1 for t in steps]
    assert not torch.equal(ways[-1][-1], ways[-1][0]), "the functional steps move nothing"


@pytest.mark.processor
def test_pool_starts_anew_from_the_fitted_approximator(tmp_path: Path) -> None:
    made = loop(job("cfggan:toy", "smoke-toy", **{"model.epochs": 30, "model.eta": 0.5}), tmp_path)
    model: Any = made.model
    for _ in range(15):
        made.step()
    noise, moved = model.noise.clone(), model.pool.clone()
    start = next(model.composition(noise))
    before = cfggan.regression_loss(start, moved).item()
    made.step()  # the first of the next round
    assert not torch.equal(noise, model.noise) and int(model.taken) == 0
    assert torch.allclose(model.approximator(model.noise), model.pool)
    after = cfggan.regression_loss(model.approximator(noise), moved).item()
    assert before > 1e-4 and after < 0.3 * before, (before, after)


def test_first_approximator_is_a_random_linear_map() -> None:
    torch.manual_seed(0)
    z = torch.randn(200, 6)
    x = cfggan.random_map(z, torch.Size((200, 3, 4, 4)))
    assert x.shape == (200, 3, 4, 4) and x.abs().max().item() == pytest.approx(1)
    assert torch.linalg.lstsq(z, x.flatten(1)).solution.shape == (6, 48)
    assert torch.allclose(z @ torch.linalg.lstsq(z, x.flatten(1)).solution, x.flatten(1), atol=1e-5)


def test_rate_falls_when_the_loss_of_a_fit_rises_and_is_as_before_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    model, rates = cfggan_toy.Toy(width=8, pool=64, epochs=7), []
    model.pool.normal_()
    opt = Players(model.optimizers())
    opt.total, schedule = 10, model.optimizers()["approximator"][1]
    level = iter([5.0, 4.0, 6.0, 3.0, 7.0, 8.0, 9.0])

    def loss(made: Tensor, target: Tensor) -> Tensor:
        rates.append(schedule(0, 10))
        return 0 * made.sum() + next(level)

    monkeypatch.setattr(cfggan, "regression_loss", loss)
    model.fit(64, opt)
    assert rates == pytest.approx([1, 1, 1, 0.1, 0.1, 0.01, 0.001]) and model.rate == 1.0


def test_cfg_solves_for_each_discriminator_from_the_start_and_icfg_goes_on(tmp_path: Path) -> None:
    begins: dict[str, list[Tensor]] = {}
    for method in ("cfg", "icfg"):
        made = loop(job("cfggan:toy_cfg", "smoke-cfg", **{"model.method": method}), tmp_path)
        model: Any = made.model
        first, seen = cfggan_networks.weights_of(model.discriminator), begins.setdefault(method, [])
        model.discriminator.register_forward_pre_hook(lambda net, _, seen=seen: seen.append(cfggan_networks.weights_of(net)))
        for step in range(6):
            del seen[:]
            made.step()
            begins[f"{method} {step}"] = [seen[0]]
    assert torch.equal(begins["cfg 0"][0], first) and torch.equal(begins["cfg 3"][0], first)
    assert not torch.equal(begins["cfg 4"][0], first) and not torch.equal(begins["icfg 3"][0], first)


def test_evaluations_are_counted(tmp_path: Path) -> None:
    made = loop(job("cfggan", "smoke"), tmp_path)  # T = 4, U = 1, pool 64, batch 32, 2 epochs
    for _ in range(6):
        made.step()
    # two rounds begun: 2 x 64 examples fitted to and 64 drawn; six steps of the discriminator, six functional ones
    assert made.model.evaluations.tolist() == [2 * (2 * 64 + 64), 6 * 2 * 32 + 6 * 64]
    game = loop(job("cfggan:logd", "smoke"), tmp_path)
    game.step()
    assert game.model.evaluations.tolist() == [32, 96]
    measured = game.model.measure(game.data, "test")
    assert measured["generator evaluations"] == 32 and measured["discriminator evaluations"] == 96


# ---------------------------------------------------------------- networks, settings, learning


def test_networks_have_the_papers_layers() -> None:
    def shapes(network: nn.Module) -> list[tuple[int, ...]]:
        kinds = nn.Conv2d | nn.ConvTranspose2d | nn.Linear
        return [tuple(m.weight.shape) for m in network.modules() if isinstance(m, kinds)]

    model = paperzoo.create("cfggan")
    assert shapes(model.approximator) == [
        (128 * 16, 100), (128, 64, 5, 5), (64, 64, 1, 1), (64, 32, 5, 5), (32, 32, 1, 1), (32, 1, 5, 5),
    ]  # fmt: skip
    assert shapes(model.discriminator) == [
        (32, 1, 5, 5), (64, 32, 5, 5), (64, 64, 1, 1), (128, 64, 5, 5), (128, 128, 1, 1), (1, 128 * 16),
    ]  # fmt: skip
    assert sum(isinstance(m, nn.BatchNorm2d) for m in model.approximator.modules()) == 4
    for name, size in (("cfggan", 64), ("cfggan:nobn", 16), ("cfggan:fc", 32), ("cfggan:resnet", 32)):
        model = paperzoo.create(name, image_size=size, channels=3, width=8, latent=5, functional_steps=2).eval()
        if name != "cfggan":
            assert not any(isinstance(m, nn.BatchNorm2d) for m in model.discriminator.modules())
        images = model.approximator(torch.randn(2, 5))
        assert images.shape == (2, 3, size, size) and images.abs().max() <= 1 and model.discriminator(images).shape == (2,)
    assert shapes(paperzoo.create("cfggan:fc").approximator) == [(512, 100), (512, 512), (1024, 512)]
    assert not any(isinstance(m, nn.BatchNorm2d) for m in paperzoo.create("cfggan:nobn").modules())


def test_what_cannot_be_is_said(tmp_path: Path) -> None:
    wrong = {
        "functional_steps must be at least 1, not 0": {"functional_steps": 0},
        "discriminator_steps must be at least 1": {"discriminator_steps": 0},
        "epochs must be at least 1": {"epochs": -1},
        "pool must be at least 1": {"pool": 0},
        "eta must be positive, not 0": {"eta": 0.0},
        "eta must be positive, not -0.5": {"eta": -0.5},
        "eta must be finite, not nan": {"eta": math.nan},
        "did you mean xicfg": {"method": "xcfg"},
        "unknown model.scale 'two'": {"scale": "two"},
        "did you mean dcganx": {"network": "dcgan"},
        "image_size must be one of 16, 32, 64, 128, 256, not 20": {"image_size": 20},
    }
    for message, arguments in wrong.items():
        with pytest.raises(paperzoo.PaperzooError, match=message):
            paperzoo.create("cfggan", **arguments)
    with pytest.raises(paperzoo.PaperzooError, match="pool of 16 examples is smaller than a batch of 32"):
        paperzoo.train("cfggan", "smoke", out=tmp_path, overrides={"model.pool": 16})
    with pytest.raises(paperzoo.PaperzooError, match="cfg ends after 20 functional steps of 3"):
        paperzoo.train("cfggan:toy_cfg", "smoke-cfg", out=tmp_path, overrides={"steps": 61})


def shares(point: Tensor) -> np.ndarray:
    """Of points (N, 2), how many lie within 0.2 of each of the ring's eight modes."""
    angle = torch.arange(8) * math.pi / 4
    near = torch.cdist(point, 2**0.5 * torch.stack([angle.cos(), angle.sin()], 1)).min(1)
    return np.bincount(near.indices[near.values < 0.2].numpy(), minlength=8) / len(point)


@pytest.mark.processor
def test_particles_find_all_eight_modes_and_without_steps_of_their_own_none(tmp_path: Path) -> None:
    """Ten seeds: a mode has at least 9.3 % of the particles, and within 0.2 of one are at least 99.9 % of samples. Not more: by the
    metric ``modes``, which counts points within three deviations, of 0.02 each, 6 to 8 are found, for a clump may lie beside its mode.
    """
    settings = {"model.width": 64, "model.pool": 1024}
    found = paperzoo.train("cfggan:toy_icfg", "small", out=tmp_path, overrides=settings)
    model: Any = found.model
    for point in (model.pool, model.sample(2000)):  # new noise goes the same way
        assert shares(point).min() > 0.05 and shares(point).sum() >= 0.99
    assert found.metrics["within 0.2 %"] >= 99
    last = [line["loss"]["discriminator"] for line in found.lines if "loss" in line][-5:]
    assert np.mean(last) == pytest.approx(2 * math.log(2), abs=0.02)  # nothing tells them apart any more
    idle = paperzoo.train("cfggan:toy_icfg", "small", out=tmp_path, overrides={**settings, "steps": 300, "model.eta": 1e-9})
    assert shares(idle.model.sample(2000)).sum() < 0.5 and idle.metrics["modes"] == 0


@pytest.mark.processor
def test_digits_are_learnt_and_not_without_functional_steps(tmp_path: Path) -> None:
    settings = {"steps": 400, "model.width": 16}
    learnt = paperzoo.train("cfggan", "smoke", out=tmp_path, overrides=settings)
    idle = paperzoo.train("cfggan", "smoke", out=tmp_path, overrides={**settings, "model.eta": 1e-9, "steps": 40})
    assert learnt.metrics["mean image gap"] < 0.1 < 0.2 < idle.metrics["mean image gap"]
    assert (learnt.directory / "figures" / "final-steps.png").is_file()


def test_the_way_of_points_is_drawn_from_the_approximators_answer_to_the_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Any] = []
    monkeypatch.setattr("paperzoo.tasks.generation.way.save", lambda figure, path, **_: figures.append(figure) or path)
    way = torch.tensor([[[0.0, 0.0], [1.0, 0.0]], [[0.0, 0.5], [1.0, 0.0]], [[0.0, 1.0], [1.0, 2.0]]])  # (steps + 1, N, 2)
    draw_way(way, torch.tensor([[0.0, 1.0], [1.0, 2.0]]), tmp_path / "a.png")
    left, right = figures[0].axes
    assert "2 functional steps move a sample by 1.5" in figures[0].get_suptitle()
    assert left.lines[0].get_xydata().tolist() == [[0, 1], [1, 2]]
    first, second, before, after = (line.get_xydata().tolist() for line in right.lines)
    assert first == way[:, 0].tolist() and second == way[:, 1].tolist() and before == way[0].tolist() and after == way[-1].tolist()
