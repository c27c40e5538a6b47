"""SRCNN: its layers, its loss and rates, what it is trained on, and that it begins where the bicubic kernel ends."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fixtures.photographs import rectangles, shrunk, squares_of_a_step, taught
from fixtures.training import constant
from torch import Tensor, nn

import paperzoo
from paperzoo.data import Batch
from paperzoo.data.bicubic import enlarge
from paperzoo.papers.restoration import srcnn


def delta(model: Any) -> Any:
    """Kernels that are one at their middle: one map has Y and one -Y, so that what the rectifier takes from one is in the other."""
    network = model.network
    with torch.no_grad():
        for layer in network.children():
            layer.weight.zero_()
        for layer, pairs in ((network.patches, ((0, 0, 1), (1, 0, -1))), (network.mapping, ((0, 0, 1), (1, 1, 1))),
                             (network.reconstruction, ((0, 0, 1), (0, 1, -1)))):  # fmt: skip
            middle = layer.kernel_size[0] // 2
            for output, given, sign in pairs:
                layer.weight[output, given, middle, middle] = sign
    return model


def lively(**arguments: Any) -> Any:
    """A model whose weights are large enough for its answer to depend on all that it sees."""
    torch.manual_seed(0)
    model = paperzoo.create("srcnn", **arguments).eval()
    for layer in model.network.children():
        nn.init.kaiming_normal_(layer.weight)
        nn.init.normal_(layer.bias, 0, 0.1)
    return model


def images(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


# Network and loss ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "weights"), [("srcnn", [5184, 2048, 800]), ("srcnn:9-5-5", [5184, 51_200, 800])])
def test_weights_are_as_many_as_section_4_says(name: str, weights: list[int]) -> None:
    network = paperzoo.create(name).network
    layers = [network.patches, network.mapping, network.reconstruction]
    assert [layer.weight.numel() for layer in layers] == weights and [layer.bias.numel() for layer in layers] == [64, 32, 1]
    assert sum(weights) == {"srcnn": 8032, "srcnn:9-5-5": 57_184}[name]


@pytest.mark.parametrize("kernels", ["9-1-5", "9-5-5", "11-1-7"])
def test_the_network_by_hand(kernels: str) -> None:
    model = lively(kernels=kernels, n1=5, n2=4).double()
    y, layers = images(2, 1, 25, 23).double(), list(model.network.children())
    maps = y
    for at, layer in enumerate(layers):
        side = layer.kernel_size[0]
        patches = F.unfold(maps, side)  # (N, C side^2, places)
        sums = layer.weight.flatten(1) @ patches + layer.bias[:, None]  # (N, K, places)
        maps = sums.view(2, -1, maps.shape[2] - side + 1, maps.shape[3] - side + 1)
        maps = maps.clamp(min=0) if at < 2 else maps
    found = model.network(y)
    assert torch.allclose(found, maps, atol=1e-10) and (found < 0).any()  # Eq. 3 has no rectifier
    assert found.shape[2:] == (25 - 2 * model.network.margin, 23 - 2 * model.network.margin)


def test_eq4_sums_over_pixels_and_averages_over_images() -> None:
    a, b = images(3, 1, 4, 5), images(3, 1, 4, 5).flip(0)
    assert srcnn.eq4(a, b).item() == pytest.approx(np.square(a.numpy() - b.numpy()).sum() / 3, rel=1e-5)


def test_biases_begin_at_zero() -> None:  # the weights: tests/contract/test_constants.py
    for start in ("gaussian", "he"):
        assert not any(layer.bias.any() for layer in paperzoo.create("srcnn", start=start).network.children())


@pytest.mark.parametrize("name", ["srcnn", "srcnn:9-5-5"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_kernels_of_one_give_the_bicubic_bit_for_bit(name: str, scale: int) -> None:
    image = images(2, 1, 14, 19) * 2 - 0.5  # beyond what a luminance can be
    assert torch.equal(delta(paperzoo.create(name, scale=scale)).restore(image, scale), enlarge(image, scale))


@pytest.mark.parametrize("name", ["srcnn", "srcnn:9-5-5"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_reach_is_how_far_it_sees(name: str, scale: int) -> None:
    model, image = lively(scale=scale, **paperzoo.paper("srcnn").variants[name.partition(":")[2] or "srcnn"]), images(1, 1, 25, 25)
    image.requires_grad_()
    out = model.restore(image, scale)
    seen: set[int] = set()
    for phase in range(scale):  # of the pixels that one pixel becomes
        (gradient,) = torch.autograd.grad(out[0, 0, scale * 12 + phase, scale * 12 + phase], image, retain_graph=True)
        seen |= set(gradient[0, 0].any(1).nonzero()[:, 0].tolist())
    reach = model.reach(scale)
    assert 12 - min(seen) <= reach and max(seen) - 12 <= reach and max(12 - min(seen), max(seen) - 12) >= reach - 1


def test_beyond_the_border_the_last_pixel_goes_on() -> None:
    model, image = lively(scale=2), images(1, 1, 9, 11)
    y = np.pad(enlarge(image, 2).numpy(), ((0, 0), (0, 0), (6, 6), (6, 6)), "edge")
    with torch.no_grad():
        assert torch.allclose(model.restore(image, 2), model.network(torch.from_numpy(y)), atol=1e-6)


@pytest.mark.parametrize(("tall", "wide"), [(90, 61), (7, 130)])
def test_parts_are_the_whole_to_1e_5(tall: int, wide: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paperzoo.tasks.restoration.tiles.TILE", 70)
    for scale in (2, 3):
        model, image = lively(scale=scale), images(1, 1, tall, wide)
        with torch.no_grad():
            assert (model.restored(image, scale) - model.restore(image, scale)).abs().max() < 1e-5


# Training ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["sgd", "adam"])
def test_the_last_layer_learns_at_a_tenth_of_the_rate(method: str) -> None:
    model = paperzoo.create("srcnn")
    recipes = [r for r in srcnn.RECIPES.values() if r.optimizer.get("method", "sgd") == method]
    assert recipes
    for recipe in recipes:
        (optimizer,) = constant(model.optimizers(**recipe.optimizer)).values()
        of = {id(p): group for group in optimizer.param_groups for p in group["params"]}
        rates = {name: of[id(p)]["lr"] for name, p in model.named_parameters()}
        last = {rates.pop("network.reconstruction.weight"), rates.pop("network.reconstruction.bias")}
        assert len(set(rates.values())) == 1 == len(last) and last.pop() == pytest.approx(rates.popitem()[1] / 10)
    if method == "sgd":  # Eq. 5, section 3.3
        (optimizer,) = constant(model.optimizers()).values()
        assert type(optimizer) is torch.optim.SGD and [g["lr"] for g in optimizer.param_groups] == [1e-4, 1e-5]
        assert all(g["momentum"] == 0.9 and not g["weight_decay"] and not g["nesterov"] for g in optimizer.param_groups)


@pytest.mark.parametrize(("name", "scale", "side"), [("srcnn", 3, 45), ("srcnn", 2, 48), ("srcnn:9-5-5", 4, 52)])
def test_a_step_sees_the_photograph_as_it_is_when_it_is_whole(name: str, scale: int, side: int) -> None:
    """Squares of luminance cut out of the whole photograph enlarged, and of the original what lies inside the margin."""
    model = paperzoo.create(name, scale=scale, image_size=side)
    squares, clean, margin = squares_of_a_step(model, scale, side), side - 4 * scale, model.network.margin
    assert squares.given.shape == (4, 1, clean, clean) and squares.restored.shape[2:] == (clean - 2 * margin,) * 2
    if scale == 3:
        assert clean == 33  # the paper's sub-images
    off = (squares.given - squares.large).abs()
    assert off.max() < 0.02 and off.mean() < 1e-4  # a few pixels are rounded otherwise
    x = squares.original[..., margin:-margin, margin:-margin]
    assert squares.loss == pytest.approx(float((squares.restored - x).square().sum()) / 4, rel=1e-4)


@pytest.mark.processor
def test_learns_what_the_kernel_lost_and_not_from_other_pictures() -> None:
    """From kernels of one, beside which the other maps begin as those of He et al.; of pairs that are none it learns to blur."""
    data, gains = shrunk(rectangles(32, 0), rectangles(4, 1), [2], 48), []
    for wrong in (False, True):
        torch.manual_seed(0)
        model = delta(paperzoo.create("srcnn", scale=2, n1=24, n2=12, image_size=48))
        for layer in (model.network.patches, model.network.mapping):
            nn.init.kaiming_normal_(layer.weight.data[2:])
        taught(model, model.optimizers(method="adam", lr=2e-3, last=2e-3, decay_from=0.3), data, 250, wrong)
        gains.append(model.eval().measure(data, "test")["gain over bicubic x2 (dB)"])
    assert gains[0] > 0.1 and gains[1] < -5, gains


# Bad input -----------------------------------------------------------------------------------------------------------


def test_what_cannot_be_is_named() -> None:
    with pytest.raises(paperzoo.PaperzooError, match=r"model.image_size is 24, of which 9-1-5 leaves nothing at x3: it is more than 24"):
        paperzoo.create("srcnn", image_size=24)
    with pytest.raises(paperzoo.PaperzooError, match=r"it is more than 28"):
        paperzoo.create("srcnn:9-5-5", image_size=28)
    assert paperzoo.create("srcnn", image_size=25).scales == (3,)
    for arguments, message in (({"scale": 5}, "model.scale must be one of 2, 3, 4"), ({"kernels": "9-1-6"}, "did you mean 9-1-5")):
        with pytest.raises(paperzoo.PaperzooError, match=message):
            paperzoo.create("srcnn", **arguments)
    batch = Batch(low=images(1, 3, 24, 24), high=images(1, 3, 48, 48))
    with pytest.raises(paperzoo.PaperzooError, match=r"this srcnn enlarges by x3, not by x2: the data are photographs shrunk by it"):
        paperzoo.create("srcnn").step(batch, SimpleNamespace())
    with pytest.raises(paperzoo.PaperzooError, match="super-resolution needs data with low and high and scale and size"):
        paperzoo.train("srcnn", "smoke", data="digits")


def test_the_data_say_by_how_much_to_enlarge() -> None:
    from paperzoo.engine.job import resolve

    for data, scales in (("photographs-sklearn#scale=2", (2,)), ("photographs-sklearn#scale=4", (4,))):
        job = resolve("srcnn", "smoke", data=data)
        assert job.build(job.dataset()).scales == scales
