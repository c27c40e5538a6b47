"""StyleGAN: styles, noise, mixing and filters by hand, the losses, the two measures of a latent space, and that it learns."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fixtures.training import count, fabric
from PIL import Image
from torch import Tensor

import paperzoo
from paperzoo.data import Batch
from paperzoo.engine import run
from paperzoo.engine.job import resolve
from paperzoo.engine.loop import fit
from paperzoo.errors import PaperzooError
from paperzoo.metrics.path_length import STEP, path_length, way
from paperzoo.metrics.separability import conditional_entropy, separability
from paperzoo.papers.gan.progan import grown
from paperzoo.papers.gan.stylegan import r1
from paperzoo.papers.gan.stylegan_networks import Layer, Mapping, adain, halved, up
from paperzoo.records import Stage

LITTLE: dict[str, Any] = {"image_size": 32, "channels": 2, "latent": 6, "width": 8, "most": 128}


def little(variant: str = "f", **changes: Any) -> Any:
    torch.manual_seed(0)
    return paperzoo.create(f"stylegan:{variant}", **{**LITTLE, **changes})


def loud(model: Any) -> Any:
    """The model with noise that can be seen."""
    for name, parameter in model.generator.named_parameters():
        if name.endswith("strength"):
            torch.nn.init.constant_(parameter, 0.5)
    return model


def test_counts_of_the_configurations() -> None:
    with torch.device("meta"):
        counts = {v: count(paperzoo.create(f"stylegan:{v}").generator) for v in "abcdef"}
    assert counts["f"] == counts["e"] == 26_219_627  # 26.2 million (section 2)
    assert counts["a"] == counts["b"] == 23_079_115  # 23.1 million
    assert counts["e"] - counts["d"] == 2 * (4 * 512 + 256 + 128 + 64 + 32 + 16)  # a weight a channel, two layers a level
    assert counts["c"] - counts["d"] == 512 * 512 * 16 - 512 * 16  # the layer at the bottom, for 4x4 pixels
    depth = Mapping(512, 8)
    assert len(depth.layers) == 8 and all(layer.rate == 0.01 for layer in depth.layers)


def test_a_style_sets_mean_and_deviation_of_each_map() -> None:
    x, style = 3 * torch.randn(4, 5, 8, 8) + 7, torch.randn(4, 10)
    y = adain(x, style)
    assert torch.allclose(y.mean((2, 3)), style[:, 5:], atol=1e-4)
    assert torch.allclose(y.std((2, 3), correction=0), (1 + style[:, :5]).abs(), atol=1e-4)
    plain = (x - x.mean((2, 3), keepdim=True)) / x.std((2, 3), correction=0, keepdim=True)
    assert torch.allclose(adain(x, torch.zeros(4, 10)), plain, atol=1e-4)
    layer = Layer(5, 8, noise=False, style=6)
    assert layer.affine is not None and torch.equal(layer.affine.bias, torch.zeros(10))  # y_s begins at 1, y_b at 0


def test_filters_are_bilinear() -> None:
    x = torch.randn(1, 2, 8, 8)
    three, four = torch.tensor([1, 2, 1.0]) / 4, torch.tensor([1, 3, 3, 1.0]) / 8
    padded = F.pad(F.interpolate(x, scale_factor=2.0), (1, 1, 1, 1), mode="replicate")
    assert torch.allclose(up(x), F.conv2d(padded, (three[:, None] * three).expand(2, 1, 3, 3), groups=2), atol=1e-5)
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    assert torch.allclose(halved(x), F.conv2d(padded, (four[:, None] * four).expand(2, 1, 4, 4), stride=2, groups=2), atol=1e-5)
    constant = torch.full((1, 1, 4, 4), 0.3)
    assert torch.allclose(up(constant), torch.full((1, 1, 8, 8), 0.3)) and torch.allclose(halved(constant), torch.full((1, 1, 2, 2), 0.3))


@pytest.mark.parametrize("variant", ["f", "c", "b"])
@pytest.mark.parametrize("level", [1, 3])
def test_a_level_begins_as_the_one_before_bit_for_bit(level: int, variant: str) -> None:
    model, z, image = little(variant), torch.randn(4, 6), torch.rand(4, 2, 4 * 2**level, 4 * 2**level)
    with torch.no_grad():
        assert torch.equal(model.generator(z, level, 0.0, chance=False)[0], up(model.generator(z, level - 1, chance=False)[0]))
        assert torch.equal(model.critic(image, level, 0.0), model.critic(halved(image), level - 1))
    model.generator(z, level, 1.0)[0].sum().backward()
    assert model.generator.synthesis.to_image[level - 1].weight.grad is None


def test_noise_begins_silent_and_is_then_of_each_pixel_and_picture() -> None:
    model, z = little(), torch.randn(1, 6).expand(3, -1)
    assert torch.allclose(model.generator(z, 3)[0][0], model.generator(z, 3)[0][1], atol=1e-5)  # strength 0
    loud(model)
    drawn = model.generator(z, 3)[0]
    assert not torch.allclose(drawn[0], drawn[1]) and not torch.allclose(drawn, model.generator(z, 3)[0])
    fixed = model.generator(z, 3, chance=False)[0]
    assert torch.allclose(fixed[0], fixed[1], atol=1e-5) and torch.equal(fixed, model.generator(z, 3, chance=False)[0])
    model.average = None
    sample = model.generate(z)
    assert torch.equal(sample, model.generate(z)) and torch.allclose(sample[0], sample[1], atol=1e-5)  # it is its z's alone
    layer = Layer(2, 4, noise=True, style=0)
    assert layer.strength is not None
    torch.nn.init.constant_(layer.strength[1], 2.0)
    seen = []
    layer.bias.register_hook(lambda gradient: None)
    x, noise = torch.ones(1, 2, 4, 4), torch.rand(1, 1, 4, 4)
    seen.append(layer(x, torch.zeros(1, 6), noise))
    assert torch.allclose(seen[0][0, 1] / seen[0][0, 0], 1 + 2 * noise[0, 0], atol=1e-4)  # pixel norm keeps the ratio of maps
    assert little("d").generator.synthesis.layers[0].strength is None


def test_styles_below_a_cut_are_of_one_and_above_of_the_other() -> None:
    model = little()
    z, other, seen = torch.randn(3, 6), torch.randn(3, 6), []
    for layer in model.generator.synthesis.layers:
        layer.affine.register_forward_pre_hook(lambda module, given: seen.append(given[0].detach().clone()))
    cut = torch.tensor([1, 5, 8])
    image, w = model.generator(z, 3, 1.0, other, cut, chance=False)
    second = model.generator.styles(other)
    assert len(seen) == 8 and image.shape == (3, 2, 32, 32)
    for item, at in enumerate(cut):
        for number, style in enumerate(seen[:8]):
            assert torch.equal(style[item], (w if number < at else second)[item])
    model.average = None
    with torch.no_grad():
        for at, alone in ((8, z), (0, other)):
            assert torch.allclose(model.mixed(z, other, at), model.generate(alone), atol=1e-5)
        middle = model.mixed(z, other, 4)
        assert not torch.allclose(middle, model.generate(z)) and not torch.allclose(middle, model.generate(other))
    with pytest.raises(PaperzooError, match="8 layers, 0 to 7"):
        model.mixed(z, other, 9)


def test_how_often_and_where_styles_are_mixed() -> None:
    model = little(mixing=0.9)
    cuts = model.cuts(20_000, 8)
    mixed = cuts < 8
    assert abs(float(mixed.float().mean()) - 0.9) < 0.01 and set(cuts.tolist()) == set(range(1, 9))
    shares = torch.bincount(cuts[mixed], minlength=8)[1:] / mixed.sum()
    assert torch.allclose(shares, torch.full((7,), 1 / 7), atol=0.02)
    assert torch.equal(little("e").cuts(50, 8), torch.full((50,), 8))


def test_the_penalty_by_hand() -> None:
    weight, image = torch.randn(2 * 4 * 4), torch.randn(5, 2, 4, 4, requires_grad=True)
    assert float(r1(image.flatten(1) @ weight, image)) == pytest.approx(float(weight.square().sum()), rel=1e-5)
    steep = image.flatten(1).square().sum(1)  # gradient 2 x
    assert float(r1(steep, image).detach()) == pytest.approx(float(4 * steep.mean()), rel=1e-5)


class Seam(SimpleNamespace):
    """Stands where the engine stands: keeps the losses, moves nothing."""

    def __init__(self) -> None:
        self.losses: dict[str, Tensor] = {}
        one = {n: SimpleNamespace(minimize=lambda loss, n=n: self.losses.update({n: loss})) for n in ("critic", "generator")}
        super().__init__(iteration=10, start=0, stage_steps=40, mean=lambda x: x.detach() + 0, **one)


def test_the_losses_and_the_running_mean_of_styles() -> None:
    model, batch = little(mixing=0.0, gamma=0.0), Batch(image=torch.rand(4, 2, 32, 32))
    model.stage("16 fading")

    def losses(gamma: float) -> dict[str, Tensor]:
        model.gamma = gamma
        torch.manual_seed(1)
        seam = Seam()
        model.step(batch, seam)
        return seam.losses

    before = model.generator.centre.clone()
    plain = losses(0.0)
    torch.manual_seed(1)
    z = model.draw(4)
    w = model.generator.styles(z).detach()
    assert torch.allclose(model.generator.centre, before + 0.005 * (w.mean(0) - before), atol=1e-6)
    fake = model.generator(z, 2, 0.25)[0].detach()
    small = F.avg_pool2d(2 * batch.image - 1, 2)
    real = torch.lerp(up(F.avg_pool2d(small, 2)), small, 0.25).requires_grad_()
    of_real, of_fake = model.critic(real, 2, 0.25), model.critic(fake, 2, 0.25)
    assert float(plain["critic"]) == pytest.approx(float(F.softplus(of_fake).mean() + F.softplus(-of_real).mean()), rel=1e-4)
    assert float(plain["generator"]) == pytest.approx(float(F.softplus(-of_fake).mean()), rel=1e-4)
    penalty = float(r1(of_real, real).detach())
    assert float(losses(10.0)["critic"] - plain["critic"]) == pytest.approx(5 * penalty, rel=1e-3)


def test_truncation_draws_styles_in_and_is_not_in_samples() -> None:
    model = little()
    torch.nn.init.normal_(model.average.network.centre)
    w, centre = torch.randn(3, 6), model.average.network.centre
    assert torch.equal(model.truncated(w, 1.0), centre + (w - centre)) and torch.equal(model.truncated(w, 0.0), centre.expand(3, -1))
    assert torch.allclose(model.truncated(w, 0.7), 0.7 * w + 0.3 * centre, atol=1e-6)
    z = torch.randn(3, 6)
    with torch.no_grad():
        assert torch.equal(model.generate(z), model.of_styles(model.average.network.styles(z)))


def test_samples_between_samples(tmp_path: Path) -> None:
    model = loud(little())
    torch.nn.init.normal_(model.average.network.centre)
    plain, z = model.sample(8), model.latents(8, 0)
    assert torch.equal(plain, model.render(z)) and torch.allclose(model.sample(3), plain[:3], atol=1e-5)
    mixed = model.sample(mix="3,7")
    assert len(mixed) == 9  # of eight layers none to all are the second's
    assert torch.allclose(mixed[0], plain[3], atol=1e-5) and torch.allclose(mixed[8], plain[7], atol=1e-5)
    with torch.no_grad():
        assert torch.allclose(mixed[2], model.mixed(z[3:4], z[7:8], 6)[0], atol=1e-5)  # the second's at the two finest
        middle = (model.drawing.styles(z[3:4]) + model.drawing.styles(z[7:8])) / 2
        walk = model.sample(walk="3,7,3")
        assert len(walk) == 32 and torch.allclose(walk[16], plain[7], atol=1e-5)
        assert torch.allclose(walk[8], model.of_styles(middle)[0], atol=1e-5)
        mean = model.of_styles(model.drawing.centre[None])
    assert torch.allclose(model.sample(2, psi=0), mean.expand(2, -1, -1, -1), atol=1e-5)
    (task,) = model.tasks
    task.write(walk[:, :1], tmp_path / "walk.gif")
    with Image.open(tmp_path / "walk.gif") as film:
        assert (film.format, film.n_frames) == ("GIF", 32)  # type: ignore[attr-defined]


@pytest.mark.parametrize("asked", [{"mix": "3"}, {"mix": "3,x"}, {"walk": "1,1000"}, {"walk": "-1,2"}, {"mix": "1,2", "walk": "1,2"}])
def test_samples_between_none(asked: dict[str, str]) -> None:
    with pytest.raises(PaperzooError, match=r"as 3,7|choose one"):
        little().sample(**asked)
    with pytest.raises(PaperzooError, match="no styles to mix"):
        little("b").sample(mix="1,2")


def test_path_length_of_what_is_known() -> None:
    first, second = torch.randn(4000, 3), torch.randn(4000, 3)
    still = path_length(lambda z: z, lambda x: np.ones((len(x), 2)), first, second, spherical=True)
    assert still == 0
    angle = 0.7  # the features turn by an angle for each unit of the way: squared chord over step squared
    ends = torch.zeros(500, 1), torch.full((500, 1), angle)
    turning = path_length(lambda z: z, lambda x: np.stack([np.cos(x[:, 0]), np.sin(x[:, 0])], 1), *ends, spherical=False)
    assert turning == pytest.approx((2 * math.sin(angle * STEP / 2) / STEP) ** 2, rel=1e-3)
    a, b = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 3.0]])
    half = torch.tensor([[0.5]])
    assert torch.allclose(way(a, b, half, True), torch.full((1, 2), 2**-0.5))
    assert torch.allclose(way(a, b, half, False), torch.tensor([[1.0, 1.5]]))


def test_separability_of_what_is_known() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 3))
    clear, tangled = x[:, :1] > 0, (x[:, :1] > 0) ^ (x[:, 1:2] > 0)
    sure = np.abs(x[:, :1])
    assert separability(x, clear, sure) == pytest.approx(1.0, abs=0.02)
    assert separability(x, tangled, rng.random((4000, 1))) == pytest.approx(2.0, abs=0.05)  # exp(ln 2): a plane says nothing
    both = separability(x, np.hstack([tangled, tangled]), rng.random((4000, 2)))
    assert both == pytest.approx(4.0, abs=0.2)  # entropies add up
    assert separability(x, np.ones((4000, 1), bool), sure) == 1.0
    odd = np.arange(4000)[:, None] % 2 == 1  # the classifier is sure of these alone
    assert separability(x, np.where(odd, clear, tangled), odd.astype(float)) == pytest.approx(1.0, abs=0.05)
    side, seen = np.array([True, True, False, False]), np.array([True, False, True, True])
    assert conditional_entropy(side, seen) == pytest.approx(0.5 * math.log(2))


def test_pictures_of_a_model_that_has_grown_half_way(tmp_path: Path) -> None:
    model = loud(little(average=0.0))
    model.stage("16")
    model.eval()
    with torch.no_grad():
        figures = {name: pictures for name, pictures, _ in model.figures()}
    mixing, columns = figures["mixing"]
    assert mixing.shape == (5 + 9 * 5, 2, 32, 32) and columns == 5
    truncation, psi = figures["truncation"]
    middle = truncation.view(3, psi, -1)[:, psi // 2]
    assert torch.allclose(middle[0], middle[1], atol=1e-6)  # the mean style is that of all
    with_all, none, fine, coarse = figures["noise"][0]
    assert len({float(x.sum()) for x in (with_all, none, fine, coarse)}) == 4
    with pytest.raises(PaperzooError, match="stage"):
        model.stage("64")
    with pytest.raises(PaperzooError, match="without styles"):
        little(depth=0)


@pytest.mark.processor
def test_it_learns_the_digits_and_without_its_critic_does_not(tmp_path: Path) -> None:
    size = {"image_size": 8, "latent": 8, "width": 16, "most": 128, "average": 0.95}

    def gap(steps: int, lr: float) -> float:
        made = resolve("stylegan", "smoke")
        recipe = grown(made.recipe.but(model=size, optimizer={"lr": lr}), Stage("4", steps), Stage("8 fading", steps), Stage("8", steps))
        job = dataclasses.replace(made, recipe=recipe)
        return fit(fabric(), job, run.create(job, tmp_path / str(lr)))["mean image gap"]

    assert gap(110, 5e-3) < 0.18  # of ten seeds the worst has 0.13; without the critic the best has 0.26
    assert gap(8, 0.0) > 0.22
