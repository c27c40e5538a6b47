"""Conditional GANs: their layers, what enters which network, and what they learn."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from fixtures.reader import agreement
from fixtures.training import job, loop
from torch import nn

import paperzoo
from paperzoo.papers.gan import cgan, gan


def test_cgan_has_the_papers_layers() -> None:
    model = paperzoo.create("cgan")
    sizes = {n: tuple(m.weight.shape) for n, m in model.named_modules() if isinstance(m, nn.Linear)}
    assert sizes == {
        "generator.noise": (200, 100),
        "generator.label": (1000, 10),
        "generator.joint": (1200, 1200),
        "generator.output": (784, 1200),
        "discriminator.image": (240 * 5, 784),
        "discriminator.label": (50 * 5, 10),
        "discriminator.joint": (240 * 4, 290),
        "discriminator.score": (1, 240),
    }
    assert {m.p for m in model.modules() if isinstance(m, nn.Dropout)} == {0.5}
    assert model.generator.joint.weight.abs().max().item() == pytest.approx(0.05, rel=0.01)
    with pytest.raises(paperzoo.PaperzooError, match="multiple of 120"):
        paperzoo.create("cgan", width=100)
    with pytest.raises(paperzoo.PaperzooError, match="at least 2"):
        paperzoo.create("cgan:conv", classes=1)


def test_rate_falls_and_momentum_rises_as_in_section_4_1(tmp_path: Path) -> None:
    fall = paperzoo.create("cgan").optimizers()["generator"][1]
    assert 0.1 * fall(0, 1) == 0.1 and 0.1 * fall(10_000, 1) == pytest.approx(0.1 / 1.00004**10_000)
    assert 0.1 * fall(10**6, 1) == pytest.approx(1e-6)
    assert [gan.momentum(i) for i in (0, 62_500, 125_000, 10**6)] == pytest.approx([0.5, 0.6, 0.7, 0.7])
    made = loop(job("cgan", "smoke"), tmp_path)
    made.opt.iteration = 62_500
    made.step()
    for name in ("generator", "discriminator"):
        (group,) = made.opt.optimizers[name].param_groups
        assert group["momentum"] == pytest.approx(0.6) and group["lr"] == pytest.approx(0.1 * fall(62_500, 1))


@pytest.mark.parametrize("name", ["cgan", "cgan:conv"])
def test_label_reaches_both_networks(name: str) -> None:
    model = paperzoo.create(name, image_size=16, channels=3, classes=4, width=120, latent=6).eval()
    z, label = torch.rand(1, 6) * 2 - 1, torch.arange(4)
    images = model.generate(z.expand(4, -1), label)
    assert images.shape == (4, 3, 16, 16) and images.min() >= 0 and images.max() <= 1
    scores = model.discriminator(images[:1].expand(4, -1, -1, -1), cgan.one_hot(label, 4))
    for a in range(4):
        for b in range(a):
            assert not torch.equal(images[a], images[b]), "the generator does not see the label"
            assert scores[a] != scores[b], "the discriminator does not see the label"


@pytest.mark.parametrize("name", ["cgan", "cgan:conv"])
def test_fakes_are_judged_under_the_label_they_were_asked_for(name: str, tmp_path: Path) -> None:
    made, asked, judged = loop(job(name, "smoke"), tmp_path), [], []
    made.model.generator.register_forward_pre_hook(lambda _, inputs: asked.append(inputs[1].clone()))
    made.model.discriminator.register_forward_pre_hook(lambda _, inputs: judged.append(inputs[1].clone()))
    made.step()
    assert len(asked) == 1 and len(judged) == 3 and asked[0].sum() == len(asked[0])
    assert all(torch.equal(y, asked[0]) for y in judged)


def test_blind_discriminator_sees_no_label(tmp_path: Path) -> None:
    made, judged = loop(job("cgan:conv", "smoke", **{"model.blind": True}), tmp_path), []
    made.model.discriminator.register_forward_pre_hook(lambda _, inputs: judged.append(inputs[1].clone()))
    made.step()
    assert len(judged) == 3 and not any(y.any() for y in judged)


def test_cgans_networks_by_hand() -> None:
    torch.manual_seed(0)
    model = paperzoo.create("cgan", image_size=4, classes=3, latent=5, width=120).eval()
    z, y = torch.rand(6, 5) * 2 - 1, F.one_hot(torch.arange(6) % 3, 3).float()
    g, fed = model.generator, []
    g.noise.register_forward_pre_hook(lambda _, inputs: fed.append(inputs[0]))
    found = g(z, y)
    assert torch.allclose(fed[0], (z + 1) / 2, atol=1e-6)  # uniform in [0, 1], section 4.1: z is in [-1, 1] as all noise here
    noise, label = (z + 1) / 2 @ g.noise.weight.T + g.noise.bias, y @ g.label.weight.T + g.label.bias
    h = torch.cat([noise, label], 1).clamp(min=0)
    h = (h @ g.joint.weight.T + g.joint.bias).clamp(min=0)
    expected = 1 / (1 + (-(h @ g.output.weight.T + g.output.bias)).exp())
    assert torch.allclose(found, expected.view(6, 1, 4, 4), atol=1e-6)
    d = model.discriminator
    h = torch.cat([d.image(found.flatten(1)), d.label(y)], 1)
    assert torch.allclose(d(found, y), (d.joint(h) @ d.score.weight.T + d.score.bias)[:, 0], atol=1e-6)


@pytest.mark.processor
def test_cgan_shows_what_was_asked_for_and_a_blind_discriminator_does_not_care(tmp_path: Path) -> None:
    """At this width the agreement is 0.9 to 0.98 on ten seeds; at half of it 0.8 to 0.97, however long it trains."""
    settings = {"steps": 300, "model.width": 16}
    seeing = paperzoo.train("cgan:conv", "smoke", out=tmp_path, overrides=settings)
    blind = paperzoo.train("cgan:conv", "smoke", out=tmp_path, overrides={**settings, "model.blind": True})
    assert agreement(seeing.model) > 0.8
    assert agreement(blind.model) < 0.25
    assert blind.metrics["mean image gap"] < 0.1  # it did learn to draw
