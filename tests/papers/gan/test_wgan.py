"""WGAN: its losses, its box and its rounds, and its estimate beside exact distances."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.training import constant, job, loop
from torch import Tensor, nn

import paperzoo
from paperzoo.data import Batch, Dataset, Schema, Split
from paperzoo.data.dataset import Values
from paperzoo.engine.players import Players
from paperzoo.papers.gan import wgan


def test_wgan_losses_are_linear_in_the_critics_values() -> None:
    real, fake = torch.randn(2, 30, dtype=torch.float64) * 10
    assert wgan.critic_loss(real, fake).item() == pytest.approx((fake.mean() - real.mean()).item())
    assert wgan.generator_loss(fake).item() == pytest.approx(-fake.mean().item())


def test_every_weight_lies_in_the_box_after_every_step(tmp_path: Path) -> None:
    made = loop(job("wgan", "smoke", **{"model.bound": 0.02}), tmp_path)
    for _ in range(12):
        made.step()
        largest = max(p.abs().max().item() for p in made.model.critic.parameters())
        assert 0.01 < largest <= torch.tensor(0.02).item()
    variance = [m.running_var for m in made.model.critic.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(v.max() > 0.02 for v in variance)  # statistics are no weights


def test_optimisers_have_no_momentum() -> None:
    optimizers = constant(paperzoo.create("wgan", image_size=16, width=2).optimizers())
    for optimizer in optimizers.values():
        assert isinstance(optimizer, torch.optim.RMSprop)
        assert optimizer.defaults["momentum"] == 0 and optimizer.defaults["lr"] == 5e-5


@pytest.mark.parametrize("settings", [(5, 100, 25, 500), (2, 5, 2, 4), (3, 3, 0, 7), (1, 4, 3, 4)])
def test_rounds_of_the_critic_are_those_of_the_authors_loop(settings: tuple[int, int, int, int]) -> None:
    critic_steps, burst, warm_up, period = settings
    expected: list[bool] = []
    generation = 0
    while len(expected) < 12_000:
        rounds = burst if generation < warm_up or generation % period == 0 else critic_steps
        expected += [False] * (rounds - 1) + [True]
        generation += 1
    assert [wgan.generator_moves(i, *settings) for i in range(len(expected))] == expected


def test_the_papers_recipe_gives_the_generator_200_000_steps() -> None:
    rounds = [100 if g < 25 or g % 500 == 0 else 5 for g in range(200_000)]
    assert sum(rounds) == wgan.RECIPES["paper"].steps


def train_critic(
    bound: float, draw: Callable[[], Tensor], steps: int, still: bool, dimensions: int = 1
) -> tuple[wgan.Toy, list[float]]:
    """A toy after steps of its own whose generator never moves; and the estimate at each."""
    torch.manual_seed(1)
    model = paperzoo.create(
        "wgan:toy", dimensions=dimensions, latent=1, width=128, bound=bound, critic_steps=10**6, burst=10**6, warm_up=0, period=1
    )
    assert isinstance(model, wgan.Toy)
    if still:  # all samples at 0
        nn.init.zeros_(model.generator.body[-1].weight)
        nn.init.zeros_(model.generator.body[-1].bias)
    opt = Players(constant(model.optimizers(lr=5e-4)))
    estimates = []
    for _ in range(steps):
        estimates.append(model.step(Batch(point=draw()), opt)["distance"].item())
        opt.iteration += 1
    return model, estimates


@pytest.mark.parametrize("theta", [0.25, 0.5, -1.0])
def test_estimate_over_its_lipschitz_constant_is_the_distance_of_two_points(theta: float) -> None:
    # Example 1: W1 = |theta|; the largest slope of f between the points is its Lipschitz constant. Beyond |theta| = 1 the
    # box is felt: a unit with weight -c and bias c is dead there.
    model, estimates = train_critic(0.01, lambda: torch.full((16, 1), theta), 200, still=True)
    x = torch.linspace(0, theta, 200)[:, None].requires_grad_()
    (slope,) = torch.autograd.grad(model.critic(x).sum(), x)
    assert estimates[-1] / slope.abs().max().item() == pytest.approx(abs(theta), rel=0.03)


def test_estimate_goes_with_the_exact_distance_over_shifts_of_a_gaussian() -> None:
    # The box is the same for every shift and so is K: a correlation asks for no units.
    exact, estimates = [], []
    for shift in np.linspace(0.25, 4, 8):
        model, found = train_critic(0.05, lambda shift=shift: torch.randn(128, 1) + shift, 150, still=False)
        estimates.append(np.mean(found[-20:]))
        with torch.no_grad():
            fake = model.generator(model.draw(20_000))[:, 0].sort().values
        real = (torch.randn(20_000) + shift).sort().values
        exact.append(float((real - fake).abs().mean()))  # W1 in one dimension couples equal ranks
    assert np.corrcoef(exact, estimates)[0, 1] >= 0.98


def test_estimate_goes_with_the_exact_distance_of_a_point_from_gaussians_of_the_plane() -> None:
    exact, estimates = [], []
    for distance in np.linspace(0.25, 4, 8):
        centre = distance * torch.tensor([0.8, -0.6])
        # a wide box: with 0.05 the slope falls off with the distance, and the correlation is 0.94
        _, found = train_critic(0.2, lambda centre=centre: 0.3 * torch.randn(128, 2) + centre, 150, still=True, dimensions=2)
        estimates.append(np.mean(found[-20:]))
        exact.append(float((0.3 * torch.randn(20_000, 2) + centre).norm(dim=1).mean()))  # all mass of the other lies at 0
    assert np.corrcoef(exact, estimates)[0, 1] >= 0.98


def gaussian(dimensions: int) -> Dataset:
    random = np.random.default_rng(0)
    point = torch.from_numpy((random.standard_normal((2000, dimensions)) * 0.3 + 1.5).astype(np.float32))
    split = Split(Values("point", point), Values("label", torch.zeros(2000, dtype=torch.int64)))
    return Dataset(Schema("gaussian", ("point", "label"), {"dimensions": dimensions}, ("0",)), {"train": split}, "", "")


@pytest.mark.processor
@pytest.mark.parametrize("dimensions", [1, 2])
def test_wgan_learns_where_the_data_lie_and_the_distance_falls(dimensions: int) -> None:
    torch.manual_seed(0)
    data = gaussian(dimensions)
    settings = {"latent": 2, "width": 32, "bound": 0.1, "critic_steps": 5, "burst": 20, "warm_up": 2}
    far = {}
    for name, lr in (("learns", 2e-3), ("ablated", 0.0)):
        model = paperzoo.create("wgan:toy", dimensions=dimensions, **settings)
        assert isinstance(model, wgan.Toy)
        optimizers = constant(model.optimizers(lr=2e-3))
        optimizers["generator"].param_groups[0]["lr"] = lr
        opt = Players(optimizers)
        opt.total, distances = 800, []
        for i in range(opt.total):
            batch = data["train"].batch(np.arange(64) + (64 * i) % 1900)
            distances.append(model.step(batch, opt)["distance"].item())
            opt.iteration += 1
        far[name] = float((model.sample(500).mean(0) - 1.5).norm())
        if name == "learns":
            assert np.mean(distances[-50:]) < 0.3 * np.mean(distances[20:60])
            model.eval()
            with torch.no_grad():
                assert model.estimate(data, "train") == pytest.approx(np.mean(distances[-50:]), abs=0.3 * distances[40])
    assert far["learns"] < 0.3 < 1 < far["ablated"]


def test_measure_every_writes_estimate_and_scores_side_by_side(tmp_path: Path) -> None:
    run = paperzoo.train("wgan", "smoke", out=tmp_path, overrides={"steps": 12, "measure_every": 4})
    rows = [line["measured"] for line in run.lines if "measured" in line]
    assert len(rows) == 3
    for row in rows:
        assert {"critic estimate (test)", "mean image gap (test)"} <= set(row)
    assert len({row["critic estimate (test)"] for row in rows}) == 3


def test_the_estimate_normalises_each_batch_by_itself_as_training_does() -> None:
    # A critic that is a batch norm and a linear unit: normalised by its own statistics every batch has mean 0, so that the
    # values of real images and of samples have one mean and the estimate is 0, however far apart they lie.
    class Critic(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.score = nn.BatchNorm1d(2), nn.Linear(2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.score(self.norm(x))

    torch.manual_seed(0)
    model = paperzoo.create("wgan:toy", width=8)
    assert isinstance(model, wgan.Toy)
    model.critic = Critic()
    nn.init.constant_(model.critic.score.weight, 3.0)
    split = Split(Values("point", torch.randn(700, 2) + 5), Values("label", torch.zeros(700, dtype=torch.int64)))
    data = Dataset(Schema("far", ("point", "label"), {"dimensions": 2}, ("0",)), {"test": split}, "", "")
    state = {k: v.clone() for k, v in model.critic.state_dict().items()}
    model.eval()
    with torch.no_grad():
        assert model.estimate(data, "test") == pytest.approx(0, abs=1e-4)
        assert model.critic(split.batch(np.arange(500)).point).mean() > 20  # with the running statistics, 0 and 1 at first
    assert not model.critic.training and all(torch.equal(v, state[k]) for k, v in model.critic.state_dict().items())


def test_the_estimate_is_the_mean_gap_over_all_items_of_a_split() -> None:
    torch.manual_seed(0)
    model = paperzoo.create("wgan:toy", width=8)
    assert isinstance(model, wgan.Toy)
    split = Split(Values("point", torch.randn(700, 2) + torch.arange(700)[:, None] / 100), Values("label", torch.zeros(700).long()))
    data = Dataset(Schema("drift", ("point", "label"), {"dimensions": 2}, ("0",)), {"test": split}, "", "")
    with torch.no_grad():
        real = model.critic(split.batch(np.arange(700)).point).mean()
        fake = model.critic(model.generator(model.latents(700, seed=0))).mean()
        assert model.estimate(data, "test") == pytest.approx(float(real - fake), rel=1e-4)
