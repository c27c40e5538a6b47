"""VGG: torchvision's keys, dense evaluation, a start that keeps signals alive, published weights."""

from __future__ import annotations

import hashlib
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fixtures.networks import publish, same
from torch import Tensor, nn

import paperzoo
from paperzoo import catalog
from paperzoo.errors import PaperzooError
from paperzoo.papers.recognition import vgg
from paperzoo.papers.recognition.vgg import VARIANTS, Model

PARAMETERS = catalog.paper("vgg").parameters

#: first 16 hex digits of the SHA-256 of the sorted lines "key shape" of the state dicts of torchvision's networks
TORCHVISION = {
    "vgg11": "b11acd4f90d9643f", "vgg11_bn": "56ed5816909a8132", "vgg13": "79ca8fd7a1480aa7", "vgg13_bn": "e4f52ce016e5e82f",
    "vgg16": "ba63c2556d912509", "vgg16_bn": "86bad13b66635552", "vgg19": "393fac8b08b63fbe", "vgg19_bn": "faf0fdbb92f698c6",
}  # fmt: skip

LITTLE = {"width": 0.0625, "channels": 1, "classes": 10, "image_size": 32, "dropout": 0.0, "mean": (0.0,), "std": (1.0,)}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))


@pytest.mark.parametrize("variant", TORCHVISION)
def test_keys_shapes_and_counts_are_those_of_the_published_weights(variant: str) -> None:
    with torch.device("meta"):
        state = Model(**VARIANTS[variant]).network.state_dict()
    listing = "\n".join(sorted(f"{name} {tuple(tensor.shape)}" for name, tensor in state.items()))
    assert hashlib.sha256(listing.encode()).hexdigest()[:16] == TORCHVISION[variant]
    assert PARAMETERS.keys() == VARIANTS.keys() == TORCHVISION.keys() == vgg.FILES.keys()
    # table 2 counts them in millions
    millions = {"vgg11": 133, "vgg13": 133, "vgg16": 138, "vgg19": 144}
    assert round(PARAMETERS[variant] / 1e6) == millions[variant.removesuffix("_bn")]


def test_weighted_layers_and_grids_are_those_of_table_1() -> None:
    for depth in (11, 13, 16, 19):
        with torch.device("meta"):
            network, pooled = Model(depth=depth).network, []
            assert sum(isinstance(m, nn.Conv2d | nn.Linear) for m in network.modules()) == depth
            for module in network.features:
                if isinstance(module, nn.MaxPool2d):
                    module.register_forward_hook(lambda m, i, o, seen=pooled: seen.append(tuple(o.shape[1:])))
            network(torch.empty(1, 3, 224, 224))
        assert pooled == [(64, 112, 112), (128, 56, 56), (256, 28, 28), (512, 14, 14), (512, 7, 7)]


def test_dense_evaluation_is_the_plain_one_at_its_size_and_its_mean_over_windows_beyond() -> None:
    model = Model(**{**LITTLE, "image_size": 64}).double().eval()
    image = torch.rand(2, 1, 64, 64, dtype=torch.float64)
    assert torch.allclose(model.dense(image), model(image), atol=1e-12)
    large = torch.rand(2, 1, 130, 100, dtype=torch.float64)
    features = model.network.features(large)  # (2, 32, 4, 3): six windows of 2x2 less the border
    assert features.shape[2:] == (4, 3)
    windows = [features[:, :, i : i + 2, j : j + 2] for i in range(3) for j in range(2)]
    by_hand = torch.stack([model.network.classifier(window.flatten(1)) for window in windows]).mean(0)
    assert torch.allclose(model.dense(large), by_hand, atol=1e-12)
    with pytest.raises(PaperzooError, match="sees 64x64 pixels, not 130x100; dense"):
        model(large)
    with pytest.raises(PaperzooError, match="at least 64 pixels, not 32"):
        model.dense(large[:, :, :32])


def spread(deviation: float | None) -> float:
    """How much 19 layers change a signal's size; ``deviation``: of all weights, instead of the start that VGG has."""
    torch.manual_seed(0)
    network = Model(depth=19, width=0.25, channels=3, classes=10, image_size=32).network.eval()
    if deviation:
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.normal_(module.weight, std=deviation)
    image = torch.randn(8, 3, 32, 32)
    return network(image).std().item()


def test_signals_keep_their_size_through_nineteen_layers() -> None:
    weight = Model(depth=11, width=0.25).network.features[16].weight
    assert weight.std().item() == pytest.approx(math.sqrt(2 / (9 * 128)), rel=0.02)
    assert 0.1 < spread(None) < 10
    assert spread(0.01) < 1e-10  # one small deviation for all layers, as before
    assert spread(0.1) > 100  # variance 0.01, as printed


def test_optimiser_and_rates_are_those_of_section_3() -> None:
    model = Model(**LITTLE)
    group = model.optimizers()["network"][0].param_groups[0]
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.01, 0.9, 5e-4)
    factor = model.optimizers()["network"][1]
    at = {0: 1, 49: 1, 50: 0.1, 74: 0.1, 75: 0.01, 89: 0.01, 90: 0.001, 99: 0.001}
    assert {i: factor(i, 100) for i in at} == pytest.approx(at)
    assert abs(vgg.RECIPES["paper"].steps * 256 / 1_281_167 - 74) < 0.5  # epochs


def test_colours_are_normalised_by_channel() -> None:
    model = Model(**{**LITTLE, "channels": 3, "mean": (0.1, 0.2, 0.3), "std": (0.5, 1.0, 2.0)}).eval()
    image = torch.rand(2, 3, 32, 32)
    by_hand = torch.stack([(image[:, 0] - 0.1) / 0.5, image[:, 1] - 0.2, (image[:, 2] - 0.3) / 2], 1)
    assert torch.allclose(model(image), model.network(by_hand), atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"depth": 12}, "model.depth must be one of 11, 13, 16, 19, not 12"),
        ({"image_size": 31}, "at least 32"),
        ({"width": 0.001}, "width of vgg"),
        ({"dropout": 1.0}, "model.dropout must be less than 1, not 1.0"),
        ({"mean": (0.1, 0.2)}, "mean of vgg has one value or one for each of 3 channels, not 2"),
        ({"std": (0.0,)}, "model.std must be a list of numbers, each positive"),
        ({"weights": "imagnet"}, "did you mean imagenet"),
    ],
)
def test_arguments_that_make_no_network_are_refused(arguments: dict[str, object], says: str) -> None:
    with torch.device("meta"), pytest.raises(PaperzooError, match=re.escape(says)):
        paperzoo.create("vgg", **arguments)


def test_published_weights_load_and_files_that_are_not_them_are_refused(
    tmp_path: Path, cache: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    little = {**LITTLE, "depth": 11}
    source = Model(**little)
    url = publish(source.network, tmp_path, "vgg11")
    monkeypatch.setattr(vgg, "URL", url.rpartition("/")[0] + "/{}.pth")
    monkeypatch.setitem(vgg.FILES, "vgg11", url.rpartition("/")[2].removesuffix(".pth"))
    assert same(Model(**little, weights="imagenet").network, source.network)
    with pytest.warns(UserWarning, match=r"classifier.6.weight, classifier.6.bias keep fresh"):
        tuned = Model(**{**little, "classes": 3}, weights="imagenet")
    assert torch.equal(tuned.network.classifier[3].weight, source.network.classifier[3].weight)
    file = Path(url.removeprefix("file://"))
    with pytest.raises(PaperzooError, match=r"another network: it lacks features.2.weight, .*; it has also features.3.weight"):
        Model(**{**little, "depth": 13}, weights=str(file))
    with pytest.raises(PaperzooError, match=r"has classifier.0.weight \(256, 32\) instead of \(256, 128\)"):
        Model(**{**little, "image_size": 64}, weights=str(file))
    state = torch.load(file, weights_only=True)
    torch.save({k: v + 1 for k, v in state.items()}, file)  # sound, but no longer what its name says
    with pytest.raises(PaperzooError, match=r"vgg11-[0-9a-f]{8}.pth has SHA-256 .*damaged, or another file"):
        Model(**little, weights=str(file))


def digits_loss(deviation: float | None, batch_norm: bool) -> float:
    """Mean loss over the last of 50 steps of 11 layers on the digits; ``deviation``: of all weights, see ``spread``."""
    digits = paperzoo.dataset("digits")["train"].batch(np.arange(1000))
    images: Tensor = F.interpolate(digits.image, 32, mode="bilinear")
    torch.manual_seed(0)
    model = Model(**{**LITTLE, "depth": 11, "width": 0.125, "batch_norm": batch_norm})
    if deviation:
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.normal_(module.weight, std=deviation)
    optimizer, losses = model.optimizers()["network"][0], []
    for _ in range(50):
        items = torch.randint(len(images), (32,))
        loss = F.cross_entropy(model(images[items]), digits.label[items])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return float(np.mean(losses[-10:]))


@pytest.mark.processor
def test_it_learns_the_digits_and_from_one_small_deviation_it_does_not() -> None:
    assert digits_loss(None, batch_norm=True) < 0.5
    assert digits_loss(0.01, batch_norm=False) > 2.25  # guessing: log 10 = 2.30


def test_a_border_pixel_sees_zeros_beyond_the_border() -> None:
    network = Model(depth=11, **LITTLE).network
    first = network.features[0]
    nn.init.ones_(first.weight)
    nn.init.constant_(first.bias, 0.5)
    found = first(torch.ones(1, 1, 32, 32))[0, 0]
    assert found[0, 0] == found[0, -1] == found[-1, 0] == found[-1, -1] == 4.5  # a corner: 2x2 of the window's pixels are there
    assert (found[0, 1:-1] == 6.5).all() and (found[1:-1, -1] == 6.5).all() and (found[1:-1, 1:-1] == 9.5).all()


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_network_by_hand(batch_norm: bool) -> None:
    torch.manual_seed(0)
    model = Model(depth=11, batch_norm=batch_norm, **{**LITTLE, "image_size": 64, "mean": (0.2,), "std": (0.5,)}).double().eval()
    for bn in model.modules():
        if isinstance(bn, nn.BatchNorm2d):
            nn.init.normal_(bn.running_mean, 0, 0.1)
            nn.init.uniform_(bn.running_var, 0.5, 2)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
            nn.init.normal_(module.bias, 0, 0.1)
    image = torch.rand(2, 1, 64, 64, dtype=torch.float64)
    convolutions, norms, linear = ([m for m in model.modules() if isinstance(m, k)] for k in (nn.Conv2d, nn.BatchNorm2d, nn.Linear))
    h = (image - 0.2) / 0.5
    for count in (1, 1, 2, 2, 2):  # table 1, column A
        for _ in range(count):
            conv = convolutions.pop(0)
            h = F.conv2d(F.pad(h, (1, 1, 1, 1)), conv.weight, conv.bias)
            if batch_norm:
                bn = norms.pop(0)
                mean, var, scale, shift = (v.view(1, -1, 1, 1) for v in (bn.running_mean, bn.running_var, bn.weight, bn.bias))
                h = (h - mean) / (var + 1e-5).sqrt() * scale + shift
            h = h.clamp(min=0)
        h = torch.stack([h[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)]).amax(0)
    assert not convolutions and h.shape[2:] == (2, 2)
    h = h.flatten(1)
    for layer in linear[:2]:
        h = (h @ layer.weight.T + layer.bias).clamp(min=0)
    assert torch.allclose(model(image), h @ linear[2].weight.T + linear[2].bias, atol=1e-6)
