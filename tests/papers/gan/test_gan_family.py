"""GAN, conditional GAN, AC-GAN and InfoGAN: their losses, what enters which network, and what they learn."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fixtures.training import constant, job, loop
from torch import Tensor, nn

import paperzoo
from paperzoo.papers.gan import acgan, cgan, gan, infogan


@cache
def reader() -> Callable[[Tensor], np.ndarray]:
    """Tells the digit on images of any size; it has seen half of scikit-learn's digits and errs on 2 % of the rest."""
    from sklearn.datasets import load_digits
    from sklearn.svm import SVC

    pixels, label = load_digits(return_X_y=True)
    machine = SVC().fit(pixels[::2] / 16, label[::2])
    assert machine.score(pixels[1::2] / 16, label[1::2]) > 0.97

    def read(image: Tensor) -> np.ndarray:
        small = F.interpolate(image, 8, mode="bilinear", antialias=True)
        found: np.ndarray = machine.predict(small.flatten(1).numpy())
        return found

    return read


def agreement(model: Any, items: int = 500) -> float:
    """Share of samples on which the reader sees the class that was asked for."""
    asked = torch.arange(items) % model.classes
    return float((reader()(model.sample(items, seed=1)) == asked.numpy()).mean())


# ---------------------------------------------------------------- conditional GAN


def test_maxout_is_the_largest_of_its_pieces() -> None:
    layer, x = gan.Maxout(7, 3, 5), torch.randn(4, 7)
    weight, bias = layer.weight.view(3, 5, 7), layer.bias.view(3, 5)
    for n in range(4):
        for unit in range(3):
            assert layer(x)[n, unit].item() == pytest.approx(max((weight[unit] @ x[n] + bias[unit]).tolist()), abs=1e-5)


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


@pytest.mark.processor
def test_cgan_shows_what_was_asked_for_and_a_blind_discriminator_does_not_care(tmp_path: Path) -> None:
    """At this width the agreement is 0.9 to 0.98 on ten seeds; at half of it 0.8 to 0.97, however long it trains."""
    settings = {"steps": 300, "model.width": 16}
    seeing = paperzoo.train("cgan:conv", "smoke", out=tmp_path, overrides=settings)
    blind = paperzoo.train("cgan:conv", "smoke", out=tmp_path, overrides={**settings, "model.blind": True})
    assert agreement(seeing.model) > 0.8
    assert agreement(blind.model) < 0.25
    assert blind.metrics["mean image gap"] < 0.1  # it did learn to draw


# ---------------------------------------------------------------- AC-GAN


def test_acgan_losses_are_those_of_the_paper() -> None:
    real, fake = torch.randn(2, 40, dtype=torch.float64) * 3
    real_logits, fake_logits = torch.randn(2, 40, 6, dtype=torch.float64) * 3
    label, rows = torch.randint(0, 6, (40,)), torch.arange(40)
    s = torch.sigmoid

    def log_p(logits: Tensor) -> Tensor:
        return (logits.exp() / logits.exp().sum(1, keepdim=True))[rows, label].log().mean()

    assert acgan.source_loss(real, fake).item() == pytest.approx(-(s(real).log().mean() + (1 - s(fake)).log().mean()).item())
    assert acgan.class_loss(real_logits, fake_logits, label).item() == pytest.approx(
        -(log_p(real_logits) + log_p(fake_logits)).item()
    )
    assert acgan.generator_loss(fake, fake_logits, label).item() == pytest.approx(
        -(s(fake).log().mean() + log_p(fake_logits)).item()
    )


def test_acgan_has_the_papers_layers() -> None:
    model = paperzoo.create("acgan")
    up = [m for m in model.generator.modules() if isinstance(m, nn.ConvTranspose2d)]
    down = [m for m in model.discriminator.modules() if isinstance(m, nn.Conv2d)]
    assert model.generator.project.weight.shape == (384 * 4 * 4, 110)
    assert [(m.in_channels, m.out_channels, m.kernel_size) for m in up] == [
        (384, 192, (5, 5)), (192, 96, (5, 5)), (96, 3, (5, 5)),
    ]  # fmt: skip
    assert [m.out_channels for m in down] == [16, 32, 64, 128, 256, 512]
    assert [m.stride[0] for m in down] == [2, 1, 2, 1, 2, 1] and {m.kernel_size for m in down} == {(3, 3)}
    assert [type(m).__name__ for m in list(model.discriminator.body)[:5]] == [
        "Conv2d", "LeakyReLU", "Dropout", "Conv2d", "BatchNorm2d",
    ]  # fmt: skip
    assert [m.p for m in model.discriminator.modules() if isinstance(m, nn.Dropout)] == [0.5] * 6
    for module in (*up, *down[1:], model.generator.project, model.discriminator.label):
        assert module.weight.std().item() == pytest.approx(0.02, rel=0.06)


@pytest.mark.parametrize("size", [16, 32, 64])
def test_acgan_sizes_and_its_label_reaches_the_generator(size: int) -> None:
    model = paperzoo.create("acgan", image_size=size, channels=1, classes=4, width=2, latent=6).eval()
    z, label = torch.rand(1, 6).expand(4, -1), torch.arange(4)
    images = model.generate(z, label)
    assert images.shape == (4, 1, size, size) and images.min() >= 0 and images.max() <= 1
    assert all(not torch.equal(images[a], images[b]) for a in range(4) for b in range(a))
    judgement = model.discriminator(images)
    assert judgement.source.shape == (4,) and judgement.label.shape == (4, 4)
    with pytest.raises(paperzoo.PaperzooError, match="multiple of 8"):
        paperzoo.create("acgan", image_size=size + 4)


def test_acgan_heads_give_logits() -> None:
    model = paperzoo.create("acgan", image_size=16, channels=1, width=2).eval()
    image = torch.rand(3, 1, 16, 16)
    before = model.discriminator(image)
    with torch.no_grad():
        model.discriminator.source.bias += 7
        model.discriminator.label.bias += 7 * torch.arange(10)
    after = model.discriminator(image)
    assert torch.allclose(after.source, before.source + 7, atol=1e-5)
    assert torch.allclose(after.label, before.label + 7 * torch.arange(10), atol=1e-5)


def test_acgan_keeps_real_and_fake_apart_and_learns_their_classes(tmp_path: Path) -> None:
    made, asked, judged = loop(job("acgan", "smoke"), tmp_path), [], []
    made.model.generator.register_forward_pre_hook(lambda _, inputs: asked.append(inputs[1].argmax(1)))
    made.model.discriminator.register_forward_pre_hook(lambda _, inputs: judged.append(inputs[0].detach()))
    label = made.split.batch(made.order.batch(0)).label
    made.step()
    assert len(asked) == 1 and torch.equal(asked[0], label)
    assert [len(images) for images in judged] == [32, 32, 32], "batch norm saw real images and fakes together"
    assert torch.equal(judged[1], judged[2]) and not torch.equal(judged[0], judged[1])


@pytest.mark.processor
def test_acgan_shows_what_was_asked_for_and_without_the_class_loss_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At this width the agreement is 0.96 to 1 on ten seeds; at half of it 0.52 and 0.9 on two."""
    settings = {"steps": 200, "optimizer.lr": 2e-3, "model.width": 8}
    whole = paperzoo.train("acgan", "smoke", out=tmp_path, overrides=settings)
    assert agreement(whole.model) > 0.8
    monkeypatch.setattr(acgan, "class_loss", lambda real, fake, label: 0 * real.sum())
    monkeypatch.setattr(acgan, "generator_loss", lambda source, logits, label: F.softplus(-source).mean())
    ablated = paperzoo.train("acgan", "smoke", out=tmp_path, overrides={**settings, "steps": 100})
    assert agreement(ablated.model) < 0.25


# ---------------------------------------------------------------- InfoGAN


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


# ---------------------------------------------------------------- GAN


def test_gan_losses_are_the_game() -> None:
    real, fake = torch.randn(2, 50, dtype=torch.float64) * 4
    s = torch.sigmoid
    value = s(real).log().mean() + (1 - s(fake)).log().mean()  # V(D, G), Eq. 1
    assert gan.discriminator_loss(real, fake).item() == pytest.approx(-value.item())
    assert gan.generator_loss(fake, "minimax").item() == pytest.approx((1 - s(fake)).log().mean().item())
    assert gan.generator_loss(fake).item() == pytest.approx(-s(fake).log().mean().item())
    zero = torch.zeros(4)
    assert gan.discriminator_loss(zero, zero).item() == pytest.approx(1.386, abs=1e-3)  # theorem 1: -V = log 4
    huge = torch.tensor([1e4, -1e4])
    assert all(torch.isfinite(gan.generator_loss(huge, loss)) for loss in ("log-d", "minimax"))


def test_generator_gradients_are_minus_s_and_minus_one_minus_s() -> None:
    for loss, expected in (("minimax", lambda s: -s), ("log-d", lambda s: s - 1)):
        logit = torch.linspace(-6, 6, 13, dtype=torch.float64, requires_grad=True)
        gan.generator_loss(logit, loss).backward()
        assert torch.allclose(logit.grad * len(logit), expected(torch.sigmoid(logit.detach()))), loss


@pytest.mark.processor
def test_discriminator_alone_finds_the_log_ratio_of_the_densities() -> None:
    # proposition 1 for N(0, 1) against N(m, 1): log p - log q = -m x + m^2 / 2
    m = 1.0
    torch.manual_seed(0)
    line = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(line.parameters(), 0.5)
    for step in range(600):
        optimizer.param_groups[0]["lr"] = 0.5 / (1 + step / 50)
        loss = gan.discriminator_loss(line(torch.randn(1024, 1)), line(torch.randn(1024, 1) + m))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert line.weight.item() == pytest.approx(-m, rel=0.1) and line.bias.item() == pytest.approx(m**2 / 2, rel=0.1)


def test_gan_has_the_layers_of_the_published_code() -> None:
    model = paperzoo.create("gan")
    sizes = [tuple(m.weight.shape) for m in model.modules() if isinstance(m, nn.Linear)]
    assert sizes == [(1200, 100), (1200, 1200), (784, 1200), (240 * 5, 784), (240 * 5, 240), (1, 240)]
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [0.2, 0.5, 0.5]
    fall = model.optimizers()["discriminator"][1]
    assert fall(100_000, 1) == pytest.approx(1.000004**-100_000) and 0.1 * fall(10**8, 1) == pytest.approx(1e-6)
    with pytest.raises(paperzoo.PaperzooError, match="minimax"):
        paperzoo.create("gan", loss="minmax")


@pytest.mark.processor
def test_variants_play_their_own_game(tmp_path: Path) -> None:
    # against a discriminator that is sure of itself log-d still learns, Eq. 1 hardly (section 3)
    moved = {}
    for name in ("gan", "gan:minimax"):
        made = loop(job(name, "smoke"), tmp_path)
        with torch.no_grad():
            made.model.discriminator.body[-1].bias -= 8  # sure that all is fake: s = 0.0003
        before = made.model.generator.body[-2].bias.detach().clone()
        made.step()
        moved[name] = (made.model.generator.body[-2].bias - before).abs().max().item()
    assert moved["gan"] > 100 * moved["gan:minimax"] > 0


@pytest.mark.processor
def test_toy_learns_where_the_points_lie(tmp_path: Path) -> None:
    settings = {"steps": 1500, "model.width": 64, "batch_size": 128}
    learnt = paperzoo.train("gan:toy", "smoke", out=tmp_path, overrides=settings)
    ablated = paperzoo.train("gan:toy", "smoke", out=tmp_path, overrides={**settings, "optimizer.lr": 0.0})
    print(learnt.metrics)  # it may cover one mode or several: nothing is demanded of that
    radius = [run.model.sample(1000).norm(dim=1) for run in (learnt, ablated)]
    assert (radius[0] - 2**0.5).abs().mean() < 0.3  # the ring's radius
    assert (radius[1] - 2**0.5).abs().mean() > 0.6


# ---------------------------------------------------------------- by hand


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


def test_gans_networks_by_hand() -> None:
    torch.manual_seed(0)
    model = paperzoo.create("gan", image_size=4, latent=5, width=20).eval()
    z, layers = torch.rand(6, 5) * 2 - 1, [m for m in model.generator.body if isinstance(m, nn.Linear)]
    h = z
    for layer in layers[:-1]:
        h = (h @ layer.weight.T + layer.bias).clamp(min=0)
    image = 1 / (1 + (-(h @ layers[-1].weight.T + layers[-1].bias)).exp())
    assert torch.allclose(model.generator(z), image.view(6, 1, 4, 4), atol=1e-6)
    first, second, last = (m for m in model.discriminator.body if isinstance(m, nn.Linear))
    expected = second(first(image)) @ last.weight.T + last.bias
    assert torch.allclose(model.discriminator(image.view(6, 1, 4, 4)), expected[:, 0], atol=1e-6)


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
