"""VDSR: its layers, its loss, clipping and rates, what it is trained on, and that it begins where the bicubic kernel ends."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fixtures.photographs import rectangles, shrunk, squares_of_a_step, taught
from torch import Tensor, nn

import paperzoo
from paperzoo.data import Batch
from paperzoo.data.bicubic import enlarge
from paperzoo.engine.job import resolve
from paperzoo.engine.players import Players
from paperzoo.papers.restoration import vdsr


def images(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


def lively(**arguments: Any) -> Any:
    """A model with biases, so that its answer depends on all that it has."""
    torch.manual_seed(0)
    model = paperzoo.create("vdsr", **arguments).eval()
    for layer in model.network.layers:
        nn.init.normal_(layer.bias, 0, 0.1)
    return model


# Network and loss ----------------------------------------------------------------------------------------------------


def test_weights_are_as_many_as_section_3_1_says() -> None:
    layers = paperzoo.create("vdsr").network.layers
    assert len(layers) == 20 and sum(layer.weight.numel() for layer in layers) == 664_704
    assert [layer.weight.numel() for layer in layers] == [576, *[36_864] * 18, 576]
    assert [layer.bias.numel() for layer in layers] == [64] * 19 + [1] and not any(layer.bias.any() for layer in layers)


def test_the_network_by_hand() -> None:
    model = lively(depth=4, width=3).double()
    x = images(2, 1, 9, 11).double()
    maps = x
    for at, layer in enumerate(model.network.layers):
        patches = F.unfold(F.pad(maps, [1] * 4), 3)  # (N, 9 C, places)
        maps = (layer.weight.flatten(1) @ patches + layer.bias[:, None]).view(2, -1, 9, 11)
        maps = maps.clamp(min=0) if at < 3 else maps
    assert torch.allclose(model.network(x), x + maps, atol=1e-10) and (maps < 0).any()  # the last has no rectifier


def test_loss_is_half_the_sum_over_pixels_averaged_over_images() -> None:
    a, b = images(3, 1, 4, 5), images(3, 1, 4, 5).flip(0)
    assert vdsr.euclidean(a, b).item() == pytest.approx(np.square(a.numpy() - b.numpy()).sum() / 6, rel=1e-5)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_last_layer_of_zeros_gives_the_bicubic_bit_for_bit(scale: int) -> None:
    model, image = lively(), images(2, 1, 14, 19) * 2 - 0.5  # beyond what a luminance can be
    assert not torch.equal(model.restore(image, scale), enlarge(image, scale))
    nn.init.zeros_(model.network.layers[-1].weight)
    nn.init.zeros_(model.network.layers[-1].bias)
    assert torch.equal(model.restore(image, scale), enlarge(image, scale))


@pytest.mark.parametrize("depth", [3, 20])
def test_it_sees_2d_plus_1_pixels(depth: int) -> None:
    """Section 3.1: (2 D + 1)^2 pixels, 41^2 of twenty layers."""
    model, x = paperzoo.create("vdsr", depth=depth, width=4).double(), images(1, 1, 51, 51).double().requires_grad_()
    for layer in model.network.layers:
        layer.weight.data.abs_()  # so that no rectifier is shut
    (gradient,) = torch.autograd.grad(model.network(x)[0, 0, 25, 25], x)
    for seen in (gradient[0, 0].any(1), gradient[0, 0].any(0)):
        assert seen.nonzero()[:, 0].tolist() == list(range(25 - depth, 25 + depth + 1))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_reach_is_how_far_it_sees(scale: int) -> None:
    model, image = paperzoo.create("vdsr", depth=9, width=4), images(1, 1, 25, 25)
    for layer in model.network.layers:
        layer.weight.data.abs_()
    image.requires_grad_()
    out = model.restore(image, scale)
    seen: set[int] = set()
    for phase in range(scale):  # of the pixels that one pixel becomes
        (gradient,) = torch.autograd.grad(out[0, 0, scale * 12 + phase, scale * 12 + phase], image, retain_graph=True)
        seen |= set(gradient[0, 0].any(1).nonzero()[:, 0].tolist())
    farthest, reach = max(12 - min(seen), max(seen) - 12), model.reach(scale)
    assert reach - 1 <= farthest <= reach
    assert [paperzoo.create("vdsr", width=1).reach(s) for s in (2, 3, 4)] == [12, 9, 7]


@pytest.mark.parametrize(("tall", "wide"), [(90, 61), (7, 130)])
def test_parts_are_the_whole_to_1e_5(tall: int, wide: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paperzoo.tasks.restoration.tiles.TILE", 70)
    model, image = lively(depth=6, width=5), images(1, 1, tall, wide)
    for scale in (2, 3):
        with torch.no_grad():
            assert (model.restored(image, scale) - model.restore(image, scale)).abs().max() < 1e-5


# Training ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("iteration", [0, 30, 99])
def test_each_gradient_is_clipped_by_theta_over_the_present_rate(iteration: int) -> None:
    """Where it is beyond the bound, the weight moves by theta at whatever rate; where it is not, by the rate times the gradient."""
    model = paperzoo.create("vdsr", depth=2, width=3)
    opt = Players(model.optimizers(momentum=0.0, weight_decay=0.0, theta=0.01))
    opt.total, opt.stage_steps, opt.iteration = 100, 100, iteration
    rate = 0.1 * 0.1 ** (iteration // 25)
    weight, before = model.network.layers[0].weight, model.network.layers[0].weight.detach().clone()
    slope = torch.tensor([5e5, -5e5, 0.03, -0.02, 0.5, 0.0]).repeat(5)[:27].view_as(weight)
    opt.network.minimize((slope * weight).sum())
    bound = 0.01 / rate
    assert bound == pytest.approx({0: 0.1, 30: 1.0, 99: 100.0}[iteration])
    assert torch.allclose(before - weight, rate * slope.clamp(-bound, bound), atol=1e-7)
    assert (before - weight).abs().max().item() == pytest.approx(0.01, rel=1e-4)
    assert torch.allclose((before - weight).view(-1)[2], torch.tensor(0.03 * rate), atol=1e-7)  # one large gradient shrinks no other


def test_what_is_told_reaches_the_clipping() -> None:
    for lr, theta in ((0.1, 1e-3), (0.5, 2.0), (0.0, 1.0)):
        model = paperzoo.create("vdsr", depth=2, width=1)
        (optimizer, _) = model.optimizers(lr=lr, theta=theta)["network"]
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, 1e9)
        optimizer.step()
        for parameter in model.parameters():
            assert parameter.grad is not None
            assert torch.allclose(parameter.grad, torch.tensor(theta / lr if lr else 1e9))


@pytest.mark.parametrize(("scale", "clean"), [(2, 52), (3, 48), (4, 44)])
def test_a_step_sees_the_photograph_as_it_is_when_it_is_whole(scale: int, clean: int) -> None:
    """Squares of luminance cut out of the whole photograph enlarged, and of the original the same ones."""
    squares = squares_of_a_step(paperzoo.create("vdsr", depth=3, width=4), scale, 60)
    assert squares.given.shape == squares.restored.shape == (4, 1, clean, clean)  # 41 pixels and more
    off = (squares.given - squares.large).abs()
    assert off.max() < 0.02 and off.mean() < 1e-4  # a few pixels are rounded otherwise
    assert squares.loss == pytest.approx(float((squares.restored - squares.original).square().sum()) / 8, rel=1e-4)


@pytest.mark.processor
def test_one_network_learns_two_scales_and_not_from_other_pictures() -> None:
    data, gains = shrunk(rectangles(32, 0), rectangles(4, 1), [2, 4], 48), []
    for wrong in (False, True):
        torch.manual_seed(0)
        model = paperzoo.create("vdsr", scales=(2, 4), depth=5, width=12, image_size=48)
        taught(model, model.optimizers(), data, 60 if wrong else 300, wrong)
        found = model.eval().measure(data, "test")
        gains.append([found[f"gain over bicubic x{scale} (dB)"] for scale in (2, 4)])
    assert min(gains[0]) > 0.1 and max(gains[1]) < -1, gains


# Bad input and recipes -----------------------------------------------------------------------------------------------


def test_what_cannot_be_is_named() -> None:
    with pytest.raises(paperzoo.PaperzooError, match=r"model.image_size is 16, of which nothing is left at x4: it is more than 16"):
        paperzoo.create("vdsr", image_size=16)
    assert paperzoo.create("vdsr", image_size=17, depth=2).scales == (2, 3, 4)
    for arguments, message in (
        ({"scales": (2, 5)}, "model.scales must be"), ({"scales": ()}, "model.scales must be"), ({"depth": 1}, "at least 2"),
    ):  # fmt: skip
        with pytest.raises(paperzoo.PaperzooError, match=message):
            paperzoo.create("vdsr", **arguments)
    batch = Batch(low=images(1, 3, 24, 24), high=images(1, 3, 48, 48))
    with pytest.raises(paperzoo.PaperzooError, match=r"this vdsr enlarges by x3 and x4, not by x2: the data are photographs shrunk by it"):
        paperzoo.create("vdsr", scales=(3, 4), depth=2).step(batch, SimpleNamespace())
    with pytest.raises(paperzoo.PaperzooError, match="super-resolution needs data with low and high and scale and size"):
        paperzoo.train("vdsr", "smoke", data="digits")


def test_the_data_say_which_scales_it_learns() -> None:
    for data, scales in (("photographs-sklearn#scale=2", (2,)), ("photographs-sklearn#scale=4,3", (3, 4))):
        job = resolve("vdsr", "smoke", data=data, overrides={"model.image_size": 48})
        assert job.build(job.dataset()).scales == scales


def test_a_user_chooses_among_the_scales() -> None:
    picture = (images(20, 30, 3).numpy() * 255).astype(np.uint8)
    model = lively(depth=3, width=4)
    assert [model.predict(picture, scale=s).image.size for s in (2, 3, 4)] == [(60, 40), (90, 60), (120, 80)]
    assert model.predict(picture).image.size == (60, 40)
