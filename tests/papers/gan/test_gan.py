"""DCGAN and WGAN-GP: their losses, their penalty, and what they learn."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import paperzoo
from paperzoo.papers.gan import dcgan, wgan_gp

# ---------------------------------------------------------------- DCGAN


def test_dcgan_losses_are_the_cross_entropies_of_the_paper() -> None:
    real, fake = torch.randn(50, dtype=torch.float64) * 5, torch.randn(50, dtype=torch.float64) * 5
    s = torch.sigmoid
    assert dcgan.discriminator_loss(real, fake).item() == pytest.approx(
        (-s(real).log().mean() - (1 - s(fake)).log().mean()).item()
    )
    assert dcgan.generator_loss(fake).item() == pytest.approx(-s(fake).log().mean().item())
    zero = torch.zeros(1)
    assert dcgan.discriminator_loss(zero, zero).item() == pytest.approx(2 * math.log(2))  # neither side knows
    huge = torch.tensor([1e4, -1e4])
    assert torch.isfinite(dcgan.discriminator_loss(huge, huge)) and torch.isfinite(dcgan.generator_loss(huge))


def test_generator_loss_gradient_is_minus_one_minus_s() -> None:
    logit = torch.linspace(-4, 4, 9, dtype=torch.float64, requires_grad=True)
    dcgan.generator_loss(logit).backward()
    assert torch.allclose(logit.grad * len(logit), -(1 - torch.sigmoid(logit.detach())))


def test_dcgan_has_the_papers_layers() -> None:
    model = paperzoo.create("dcgan")
    up = [m for m in model.generator.modules() if isinstance(m, nn.ConvTranspose2d)]
    down = [m for m in model.discriminator.modules() if isinstance(m, nn.Conv2d)]
    assert [(m.in_channels, m.out_channels, m.kernel_size) for m in up] == [
        (1024, 512, (5, 5)), (512, 256, (5, 5)), (256, 128, (5, 5)), (128, 3, (5, 5)),
    ]  # fmt: skip
    assert [m.out_channels for m in down] == [128, 256, 512, 1024]
    assert not any(isinstance(m, nn.BatchNorm2d) for m in list(model.discriminator.body)[:2])  # none on the input layer
    assert not any(isinstance(m, nn.BatchNorm2d) for m in list(model.generator.body)[-2:])  # nor at the output
    for module in (*up, *down, model.generator.project):
        assert module.weight.std().item() == pytest.approx(0.02, rel=0.05)
    images = model.generator(torch.randn(2, 100))
    assert images.shape == (2, 3, 64, 64) and images.abs().max() <= 1
    assert model.discriminator(images).shape == (2,)


@pytest.mark.parametrize("size", [16, 32, 128])
def test_dcgan_grows_with_the_image(size: int) -> None:
    model = paperzoo.create("dcgan", image_size=size, width=4, channels=1)
    assert model.generator(torch.randn(2, 100)).shape == (2, 1, size, size)
    with pytest.raises(paperzoo.PaperzooError, match="16, 32, 64, 128, 256"):
        paperzoo.create("dcgan", image_size=size + 1)


@pytest.mark.processor
def test_dcgan_learns_the_digits_and_does_not_without_its_adversary(tmp_path: Path) -> None:
    settings = {"steps": 250, "model.width": 16, "optimizer.lr": 2e-3, "model.image_size": 16}
    run = paperzoo.train("dcgan", "smoke", out=tmp_path, overrides=settings)
    ablated = paperzoo.train("dcgan", "smoke", out=tmp_path, overrides={**settings, "optimizer.lr": 0.0})
    assert run.metrics["mean image gap"] < 0.1
    assert ablated.metrics["mean image gap"] > 0.2
    last = [line["loss"] for line in run.lines if "loss" in line][-5:]
    assert all(line["discriminator"] > 0.05 and line["generator"] < 8 for line in last), "one player has won outright"


def test_average_follows_the_weights_and_warms_up() -> None:
    from paperzoo.nn.average import Average

    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    average = Average(network, 0.9)
    nn.init.ones_(network.weight)
    value = 0.0
    for t in range(1, 200):
        average.update(network)
        decay = min(0.9, (1 + t) / (10 + t))
        value = decay * value + (1 - decay)
        assert average.network.weight.item() == pytest.approx(value, rel=1e-5)
    assert not any(p.requires_grad for p in average.parameters())


# ---------------------------------------------------------------- WGAN-GP


def linear_critic(weight: Tensor):
    return lambda x: (x.flatten(1) * weight).sum(1)


@pytest.mark.parametrize("shape", [(2,), (3, 8, 8), (1, 28, 28), (4, 5, 6, 7)])
def test_penalty_is_exact_for_a_linear_critic(shape: tuple[int, ...]) -> None:
    weight = torch.randn(math.prod(shape), dtype=torch.float64)
    real, fake = torch.randn(2, 6, *shape, dtype=torch.float64)
    penalty = wgan_gp.gradient_penalty(linear_critic(weight), real, fake, torch.rand(6, dtype=torch.float64))
    assert penalty.item() == pytest.approx((weight.norm().item() - 1) ** 2)


def test_penalty_looks_at_one_point_a_pair_on_the_line_between() -> None:
    real, fake = torch.randn(2, 5, 3, 4, 4, dtype=torch.float64)
    alpha = torch.tensor([0.0, 1.0, 0.5, 0.25, 0.8], dtype=torch.float64)
    penalty = wgan_gp.gradient_penalty(
        lambda x: 0.5 * x.flatten(1).square().sum(1), real, fake, alpha
    )  # its gradient is x itself
    between = alpha.view(-1, 1, 1, 1) * real + (1 - alpha.view(-1, 1, 1, 1)) * fake
    expected = (between.flatten(1).norm(dim=1) - 1).square().mean()
    assert penalty.item() == pytest.approx(expected.item())


def test_penalty_reaches_the_critic_and_nothing_else() -> None:
    weight = torch.randn(12, dtype=torch.float64, requires_grad=True)
    real, fake = (torch.randn(4, 3, 2, 2, dtype=torch.float64, requires_grad=True) for _ in range(2))
    wgan_gp.gradient_penalty(linear_critic(weight), real, fake, torch.rand(4, dtype=torch.float64)).backward()
    norm = weight.detach().norm()
    assert torch.allclose(weight.grad, 2 * (norm - 1) * weight.detach() / norm)
    assert real.grad is None and fake.grad is None


def test_wasserstein_losses_are_linear_in_the_critics_values() -> None:
    real, fake = torch.randn(2, 30, dtype=torch.float64) * 10
    assert wgan_gp.critic_loss(real, fake).item() == pytest.approx((fake.mean() - real.mean()).item())
    assert wgan_gp.generator_loss(fake).item() == pytest.approx(-fake.mean().item())


@pytest.mark.processor
def test_critic_estimates_the_distance_between_two_points() -> None:
    # Data at 2, samples at 0: W1 = 2. A slope g costs lambda (g - 1)^2 and brings 2 g, so the best is g = 1 + 2 / (2 lambda),
    # and with lambda = 10 the estimate must settle at 2.2.
    torch.manual_seed(0)
    critic = wgan_gp.ToyNetwork(1, 1, 32)
    optimizer = torch.optim.Adam(critic.parameters(), 2e-3, (0.5, 0.9))
    real, fake = torch.full((64, 1), 2.0), torch.zeros(64, 1)
    for _ in range(500):
        penalty = wgan_gp.gradient_penalty(critic, real, fake, torch.rand(64))
        loss = wgan_gp.critic_loss(critic(real), critic(fake)) + 10 * penalty
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert -wgan_gp.critic_loss(critic(real), critic(fake)).item() == pytest.approx(2.2, rel=0.05)


def test_critic_has_no_batch_norm_and_the_generator_moves_every_fifth_step(tmp_path: Path) -> None:
    from fixtures.training import job, loop

    made = loop(job("wgan_gp", "smoke"), tmp_path)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in made.model.critic.modules())
    moved = []
    for _ in range(10):
        before = made.model.generator.project.weight.detach().clone()
        made.step()
        moved.append(not torch.equal(before, made.model.generator.project.weight))
    assert moved == [False] * 4 + [True] + [False] * 4 + [True]


@pytest.mark.processor
def test_toy_learns_the_ring_and_without_the_penalty_its_estimate_is_no_distance(tmp_path: Path) -> None:
    settings = {"steps": 1500, "model.width": 96, "optimizer.lr": 1e-3, "batch_size": 128}
    learnt = paperzoo.train("wgan_gp:toy", "smoke", out=tmp_path, overrides=settings)
    ablated = paperzoo.train("wgan_gp:toy", "smoke", out=tmp_path, overrides={**settings, "model.penalty": 0.0})
    points = learnt.model.sample(2000).numpy()
    angle = np.histogram(np.arctan2(points[:, 1], points[:, 0]), bins=8, range=(-np.pi, np.pi))[0]
    assert (angle > 0.02 * len(points)).all()
    assert learnt.metrics["within 0.2 %"] > 25
    distances = [[line["loss"]["distance"] for line in run.lines if "loss" in line][-1] for run in (learnt, ablated)]
    assert distances[0] < 3 < 100 < distances[1]  # no two points of the ring are further apart than 2.83


@pytest.mark.parametrize("norm", [0.0, 0.5, 1.0, 3.0])
def test_penalty_has_two_sides(norm: float) -> None:  # "(two-sided penalty)", section 4: towards 1, from below too
    weight = torch.zeros(12, dtype=torch.float64)
    weight[3] = norm
    real, fake = torch.randn(2, 6, 12, dtype=torch.float64)
    penalty = wgan_gp.gradient_penalty(linear_critic(weight), real, fake, torch.rand(6, dtype=torch.float64))
    assert penalty.item() == pytest.approx((norm - 1) ** 2, abs=1e-12)
