"""WGAN-GP: its losses, its penalty, its residual networks, and what it learns."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import paperzoo
from paperzoo.papers.gan import wgan_gp


def linear_critic(weight: Tensor):
    return lambda x: (x.flatten(1) * weight).sum(1)


@pytest.mark.parametrize("shape", [(2,), (3, 8, 8), (1, 28, 28), (4, 5, 6, 7)])
def test_penalty_is_exact_for_a_linear_critic(shape: tuple[int, ...]) -> None:
    weight = torch.randn(math.prod(shape), dtype=torch.float64)
    real, fake = torch.randn(2, 6, *shape, dtype=torch.float64)
    penalty = wgan_gp.gradient_penalty(linear_critic(weight), real, fake, torch.rand(6, dtype=torch.float64))
    assert penalty.item() == pytest.approx((weight.norm().item() - 1) ** 2)


@pytest.mark.parametrize("norm", [0.0, 0.5, 1.0, 3.0])
def test_penalty_has_two_sides(norm: float) -> None:  # "(two-sided penalty)", section 4: towards 1, from below too
    weight = torch.zeros(12, dtype=torch.float64)
    weight[3] = norm
    real, fake = torch.randn(2, 6, 12, dtype=torch.float64)
    penalty = wgan_gp.gradient_penalty(linear_critic(weight), real, fake, torch.rand(6, dtype=torch.float64))
    assert penalty.item() == pytest.approx((norm - 1) ** 2, abs=1e-12)


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


def test_residual_networks_are_those_of_the_paper() -> None:
    model = paperzoo.create("wgan_gp:resnet")
    assert isinstance(model, wgan_gp.Model)
    generator = [m for m in model.generator.body if isinstance(m, wgan_gp.ResidualBlock)]
    sides, h = [], torch.rand(1, 128, 4, 4)
    for block in generator:
        h = block.eval()(h)
        sides.append(tuple(h.shape[1:]))
    assert sides == [(128, 8, 8), (128, 16, 16), (128, 32, 32)]
    critic, sides, h = [m for m in model.critic.body if isinstance(m, wgan_gp.ResidualBlock)], [], torch.rand(1, 3, 32, 32)
    for block in critic:
        h = block(h)
        sides.append(tuple(h.shape[1:]))
    assert sides == [(128, 16, 16), (128, 8, 8), (128, 8, 8), (128, 8, 8)]
    assert sum(isinstance(m, nn.BatchNorm2d) for m in model.generator.modules()) == 7
    assert not any(isinstance(m, nn.BatchNorm2d) for m in model.critic.modules())
    assert not isinstance(critic[0].body[0], nn.ReLU) and isinstance(critic[1].body[0], nn.ReLU)


@pytest.mark.parametrize("size", [16, 64])
def test_residual_networks_grow_with_the_image(size: int) -> None:
    model = paperzoo.create("wgan_gp:resnet", image_size=size, width=4, latent=6)
    images = model.generator(torch.randn(2, 6))
    assert images.shape == (2, 3, size, size) and images.abs().max() <= 1
    assert model.critic.body(images).shape == (2, 4, 8, 8) and model.critic(images).shape == (2,)


def test_residual_block_with_silent_convolutions_is_its_shortcut() -> None:
    x = torch.rand(2, 4, 6, 6)
    for resample, expected in (("", x), ("up", x.repeat_interleave(2, 2).repeat_interleave(2, 3)), ("down", F.avg_pool2d(x, 2))):
        block = wgan_gp.ResidualBlock(4, 4, resample)
        for module in block.body:
            if isinstance(module, nn.Conv2d):
                nn.init.zeros_(module.weight)
                nn.init.zeros_(module.bias)
        if len(block.shortcut):
            change = [m for m in block.shortcut if isinstance(m, nn.Conv2d)]
            nn.init.dirac_(change[0].weight)
            nn.init.zeros_(change[0].bias)
        assert torch.allclose(block(x), expected, atol=1e-6)
