"""DCGAN: its losses, its layers, and what it learns."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

import paperzoo
from paperzoo.papers.gan import dcgan


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
