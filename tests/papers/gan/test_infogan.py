"""InfoGAN: its losses and layers, where its codes come from, whom the information reaches, and what it learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.training import constant, job, loop
from torch import nn

import paperzoo
from paperzoo.papers.gan import infogan


def test_infogan_losses_are_log_likelihoods() -> None:
    logits, category = torch.randn(30, 5, dtype=torch.float64) * 3, torch.randint(0, 5, (30,))
    p = logits.exp() / logits.exp().sum(1, keepdim=True)
    assert infogan.categorical_loss(logits, category).item() == pytest.approx(
        -p[torch.arange(30), category].log().mean().item()
    )
    mean, log_deviation, code = torch.randn(3, 30, 2, dtype=torch.float64)
    gauss = torch.distributions.Normal(mean, log_deviation.exp())
    expected = -gauss.log_prob(code).sum(1).mean()
    assert infogan.continuous_loss(mean, log_deviation, code).item() == pytest.approx(expected.item())
    # Q that knows nothing: cross-entropy H(c), a bound of 0 nats; Q that knows all: a bound of H(c) = log 10
    assert infogan.categorical_loss(torch.zeros(8, 10), torch.arange(8)).item() == pytest.approx(np.log(10))
    assert infogan.categorical_loss(100 * torch.eye(10), torch.arange(10)).item() == pytest.approx(0, abs=1e-6)


def test_information_is_of_the_codes_that_the_generator_was_given() -> None:
    torch.manual_seed(0)
    model = paperzoo.create("infogan", width=2, noise=3, categories=4, continuous=2, discrete_weight=1.0, continuous_weight=0.1)
    z = model.draw(50)
    numbers, one, codes = z[:, :3], z[:, 3:7], z[:, 7:]
    assert torch.equal(one.sum(1), torch.ones(50)) and numbers.shape[1] == 3
    knows = infogan.Judgement(torch.zeros(50), 50 * one, codes, torch.full((50, 2), -1.0))  # all codes, with a deviation of 1/e
    nats = 2 * (-1 + 0.5 * np.log(2 * np.pi))
    assert model.information_loss(knows, z).item() == pytest.approx(0.1 * nats, abs=1e-5)
    guesses = knows._replace(code=torch.zeros(50, 4), mean=torch.zeros(50, 2), log_deviation=torch.zeros(50, 2))
    expected = np.log(4) + 0.1 * (0.5 * codes.square().sum(1).mean().item() + np.log(2 * np.pi))
    assert model.information_loss(guesses, z).item() == pytest.approx(expected, rel=1e-5)


def test_infogan_has_the_papers_layers() -> None:
    model = paperzoo.create("infogan")
    shapes = {
        n: tuple(m.weight.shape)
        for n, m in model.named_modules()
        if isinstance(m, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)
    }
    assert shapes == {
        "generator.dense.0": (1024, 74),
        "generator.dense.3": (7 * 7 * 128, 1024),
        "generator.body.0": (128, 64, 4, 4),
        "generator.body.3": (64, 1, 4, 4),
        "discriminator.trunk.0": (64, 1, 4, 4),
        "discriminator.trunk.2": (128, 64, 4, 4),
        "discriminator.trunk.6": (1024, 128 * 7 * 7),
        "discriminator.source": (1, 1024),
        "discriminator.q.0": (128, 1024),
        "discriminator.q.3": (10 + 2 + 2, 128),
    }
    optimizers = constant(model.optimizers())
    assert [optimizers[n].param_groups[0]["lr"] for n in ("discriminator", "generator")] == [2e-4, 1e-3]
    owned = [p for o in optimizers.values() for g in o.param_groups for p in g["params"]]
    assert len({id(p) for p in owned}) == len(owned) == len(list(model.parameters()))
    with pytest.raises(paperzoo.PaperzooError, match="multiple of 4"):
        paperzoo.create("infogan", image_size=30)


def test_infogan_codes_come_from_their_priors() -> None:
    model = paperzoo.create("infogan", width=2, noise=3)
    torch.manual_seed(0)
    z = model.draw(20_000)
    numbers, one = torch.cat([z[:, :3], z[:, 13:]], 1), z[:, 3:13]
    assert torch.equal(one.sum(1), torch.ones(len(z))) and torch.equal(one.amax(1), torch.ones(len(z)))
    assert (one.mean(0) - 0.1).abs().max() < 0.01 and torch.equal(model.category(z), one.argmax(1))
    assert numbers.abs().max() <= 1, "the continuous codes are not uniform in [-1, 1]"
    assert numbers.mean(0).abs().max() < 0.02 and (numbers.var(0) - 1 / 3).abs().max() < 0.01
    fixed = model.latents(25, seed=3)
    assert torch.equal(fixed[:7], model.latents(7, seed=3)) and not torch.equal(fixed, model.latents(25, seed=4))
    assert torch.equal(model.category(fixed), torch.arange(25) % 10)
    assert fixed[:, [0, 1, 2, 13, 14]].abs().max() <= 1


def test_information_reaches_generator_trunk_and_q_and_real_images_do_not_teach_q(tmp_path: Path) -> None:
    # with the game switched off only the information is left: it must move all three, and none by way of the real images
    patch = pytest.MonkeyPatch()
    patch.setattr(infogan, "discriminator_loss", lambda real, fake: 0 * real.sum())
    patch.setattr(infogan, "generator_loss", lambda fake: 0 * fake.sum())
    try:
        ends = []
        for blank in (False, True):
            made = loop(job("infogan", "smoke"), tmp_path)
            before = {n: p.detach().clone() for n, p in made.model.named_parameters() if p.requires_grad}
            if blank:  # other real images
                right = made.split.batch
                made.split.batch = lambda indices, right=right: right(np.zeros_like(indices))
            made.step()
            ends.append({n: p.detach().clone() for n, p in made.model.named_parameters() if n in before})
        for part in (
            "generator.dense.0",
            "generator.body.0",
            "discriminator.trunk.0",
            "discriminator.q.0",
            "discriminator.q.3",
        ):
            name = f"{part}.weight"
            assert not torch.equal(before[name], ends[0][name]), f"the information does not reach {part}"
        assert torch.equal(before["discriminator.source.weight"], ends[0]["discriminator.source.weight"])
        assert all(torch.equal(ends[0][n], ends[1][n]) for n in before), "real images moved something"
    finally:
        patch.undo()


@pytest.mark.processor
def test_infogan_codes_can_be_read_back_and_without_the_information_cannot(tmp_path: Path) -> None:
    settings = {"steps": 400}
    told = paperzoo.train("infogan", "smoke", out=tmp_path, overrides=settings)
    without = {"model.discrete_weight": 0.0, "model.continuous_weight": 0.0}
    untold = paperzoo.train("infogan", "smoke", out=tmp_path, overrides={**settings, **without})
    assert told.metrics["code recovered %"] > 95 and untold.metrics["code recovered %"] < 60
    assert told.metrics["mean image gap"] < 0.15
    assert 0 <= told.metrics["matched class error %"] < 85
    bound = [line["loss"]["information"] for line in told.lines if "loss" in line][-1]
    assert 2 < bound <= np.log(10)


def test_infogan_draws_a_row_a_category_and_a_column_a_value(tmp_path: Path) -> None:
    from PIL import Image

    model = paperzoo.create("infogan", image_size=8, width=2, noise=3)
    data = paperzoo.dataset("digits")
    paths = model.show(data, "test", tmp_path, "x")
    codes = [p for p in paths if "code" in p.name]
    assert [p.name for p in codes] == ["x-code1.png", "x-code2.png"]
    assert Image.open(codes[0]).size == (10 * 10 - 2, 10 * 10 - 2)  # ten categories, ten values, 8 pixels and a gap of 2
