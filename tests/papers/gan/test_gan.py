"""GAN: the game and its gradients, the networks by hand, and what they learn."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from fixtures.training import job, loop
from torch import nn

import paperzoo
from paperzoo.papers.gan import gan


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


def test_the_first_samples_are_as_bright_as_the_data(tmp_path: Path) -> None:
    """Without it seed 1 of the small recipe drew one shape alone for ever: the discriminator had won by brightness."""
    made = loop(job("gan", "smoke", **{"optimizer.lr": 0.0}), tmp_path)
    output = made.model.generator.body[-2]
    assert not output.bias.any()
    image = made.split.batch(made.order.batch(0)).image  # (N, C, S, S)
    made.step()
    pixels = image.mean(0).flatten().clamp(0.001, 0.999)
    assert torch.allclose(output.bias, torch.log(pixels / (1 - pixels)), atol=1e-5)
    mean = torch.sigmoid(output.bias)
    assert 0.1 < mean.mean() < 0.4 and mean.std() > 0.1  # digits: a pixel of its own brightness each
    with torch.no_grad():
        output.bias.zero_()
    made.step()  # at the first step alone
    assert not output.bias.any()


def test_the_mean_of_the_first_batch_is_that_of_all_processes(tmp_path: Path) -> None:
    made = loop(job("gan", "smoke", **{"optimizer.lr": 0.0}), tmp_path)
    mean, asked = made.opt.mean, []
    made.opt.mean = lambda value: (asked.append(value.clone()), mean(value) * 0 + 0.5)[1]
    made.step()
    assert asked[0].shape == made.model.generator.shape and not made.model.generator.body[-2].bias.any()  # log odds of 0.5


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


def test_maxout_is_the_largest_of_its_pieces() -> None:
    layer, x = gan.Maxout(7, 3, 5), torch.randn(4, 7)
    weight, bias = layer.weight.view(3, 5, 7), layer.bias.view(3, 5)
    for n in range(4):
        for unit in range(3):
            assert layer(x)[n, unit].item() == pytest.approx(max((weight[unit] @ x[n] + bias[unit]).tolist()), abs=1e-5)


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


@pytest.mark.processor
def test_variants_play_their_own_game(tmp_path: Path) -> None:
    # against a discriminator that is sure of itself log-d still learns, Eq. 1 hardly (section 3)
    moved = {}
    for name in ("gan", "gan:minimax"):
        made = loop(job(name, "smoke"), tmp_path)
        with torch.no_grad():
            made.model.discriminator.body[-1].bias -= 8  # sure that all is fake: s = 0.0003
        made.model.generator.begin = lambda mean: None
        before = made.model.generator.body[-2].bias.detach().clone()
        made.step()
        moved[name] = (made.model.generator.body[-2].bias - before).abs().max().item()
    assert moved["gan"] > 100 * moved["gan:minimax"] > 0


@pytest.mark.processor
def test_toy_learns_where_the_points_lie(tmp_path: Path) -> None:
    settings = {"steps": 1500, "model.width": 64, "batch_size": 128}
    learnt = paperzoo.train("gan:toy", "smoke", out=tmp_path, overrides=settings)
    still = {"steps": 10, "optimizer.lr": 0.0}  # its weights stay as they begin, however long it trains
    ablated = paperzoo.train("gan:toy", "smoke", out=tmp_path, overrides={**settings, **still})
    print(learnt.metrics)  # it may cover one mode or several: nothing is demanded of that
    radius = [run.model.sample(1000).norm(dim=1) for run in (learnt, ablated)]
    assert (radius[0] - 2**0.5).abs().mean() < 0.3  # the ring's radius
    assert (radius[1] - 2**0.5).abs().mean() > 0.6
