"""GoogLeNet: its table 1, torchvision's keys and outputs, its half-way classifiers, and the names that it had before."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fixtures.networks import fill, six, waves
from fixtures.training import Taken, count
from torch import nn

import paperzoo
from paperzoo import catalog, results
from paperzoo.engine.job import resolve
from paperzoo.papers.recognition import googlenet
from paperzoo.papers.recognition.googlenet import VARIANTS, Model
from paperzoo.report.page import measured_rows

LITTLE = {"stem": "small", "width": 0.0625, "channels": 1, "classes": 10, "dropout": 0.0}


def test_keys_shapes_and_outputs_of_v1_bn_are_those_of_the_published_weights() -> None:
    """Of torchvision's googlenet, written down from its repository and run once: the first 16 hex digits of the SHA-256 of the sorted
    lines "key shape" of its state dict, and ``six`` logits (float64, eval mode) under ``fill`` for ``waves`` of side 96; those of its
    first half-way classifier for (2, 512, 14, 14)."""
    network = Model(**VARIANTS["v1_bn"]).network.double().eval()
    listing = "\n".join(sorted(f"{name} {tuple(tensor.shape)}" for name, tensor in network.state_dict().items()))
    assert hashlib.sha256(listing.encode()).hexdigest()[:16] == "de3745733576b3b1"
    with torch.no_grad():
        fill(network)
        whole = [0.050575, 0.148324, -0.151856, 0.042427, 0.244093, 0.042406]
        assert six(network(waves(2, 3, 96, 96))[1]) == pytest.approx(whole, abs=1e-5)
        half_way = [-0.24565, -0.007092, -0.1011, -0.161844, 0.024129, 0.151353]
        assert six(network.aux1(waves(2, 512, 14, 14))) == pytest.approx(half_way, abs=1e-5)


def test_has_the_parameters_of_its_table_1() -> None:
    def block(inputs: int, one: int, r3: int, three: int, r5: int, five: int, pool: int) -> int:
        weights = inputs * (one + r3 + r5 + pool) + 9 * r3 * three + 25 * r5 * five
        return weights + one + r3 + three + r5 + five + pool

    inputs, blocks = 192, 0
    for row in googlenet.V1.values():
        blocks += block(inputs, *row)
        inputs = row[0] + row[2] + row[4] + row[5]
    stem = (49 * 3 + 1) * 64 + (64 + 1) * 64 + (9 * 64 + 1) * 192
    half_way = sum((c + 1) * 128 + (16 * 128 + 1) * 1024 + (1024 + 1) * 1000 for c in (512, 528))
    with torch.device("meta"):
        assert count(Model(aux=False)) == stem + blocks + (1024 + 1) * 1000 == 6_998_552
        assert count(Model()) == 6_998_552 + half_way == 13_378_280
    assert block(192, *googlenet.V1["3a"]) // 1024 == 159  # "159K", table 1


def test_grids_windows_and_normalisation_are_the_papers() -> None:
    with torch.device("meta"):
        network, seen = Model().network.train(), {}
        for name, module in network.named_children():
            module.register_forward_hook(lambda m, i, o, name=name: seen.update({name: tuple(o.shape[1:])}))
        features, _, half_way = network(torch.empty(2, 3, 224, 224))
    assert seen["conv1"] == (64, 112, 112) and seen["conv3"] == (192, 56, 56) and seen["inception3a"] == (256, 28, 28)
    assert seen["inception3b"] == (480, 28, 28) and seen["inception4e"] == (832, 14, 14) and seen["inception5b"] == (1024, 7, 7)
    assert features.shape == (2, 1024) and [h.shape for h in half_way] == [(2, 1000)] * 2
    assert not any(isinstance(m, nn.BatchNorm2d) for m in network.modules())
    block = googlenet.InceptionV1(2, (1, 1, 1, 1, 1, 1), norm=False)
    for p in block.parameters():
        nn.init.constant_(p, float(p.ndim > 1))  # weights 1, biases 0
    spot = torch.zeros(1, 2, 9, 9)
    spot[0, 0, 4, 4] = 1  # what each of the four sees of one bright pixel: 1x1, 3x3, 5x5, 3x3
    assert [(path > 0).sum().item() for path in block(spot)[0]] == [1, 9, 25, 9]
    x = 9 * torch.rand(1, 7, 2, 2)
    squares = x.square()[0, :, 0, 0]
    by_hand = [x[0, c, 0, 0] / (1 + 1e-4 / 5 * squares[max(0, c - 2) : c + 3].sum()) ** 0.75 for c in range(7)]
    assert torch.allclose(network.response_norm(x)[0, :, 0, 0], torch.stack(by_hand), rtol=1e-6)


def test_adds_three_tenths_of_each_half_way_loss() -> None:
    torch.manual_seed(0)
    model, opt = Model(**LITTLE, image_size=28).train(), Taken()
    batch = paperzoo.dataset("digits")["train"].batch(np.arange(8))
    batch.image = F.interpolate(batch.image, 28)
    torch.manual_seed(1)
    model.step(batch, opt)
    torch.manual_seed(1)  # the half-way classifiers drop 70 %
    _, logits, (first, second) = model.network(2 * batch.image - 1)
    last, early, later = (F.cross_entropy(out, batch.label) for out in (logits, first, second))
    assert opt.loss.item() == pytest.approx((last + 0.3 * (early + later)).item(), rel=1e-5)
    reached = torch.autograd.grad(0.3 * early, list(model.parameters()), allow_unused=True)
    names = {n.split(".")[1] for (n, _), g in zip(model.named_parameters(), reached, strict=True) if g is not None}
    assert names == {"conv1", "inception3a", "inception3b", "inception4a", "aux1"}
    assert isinstance(model.optimizers()["network"][0], torch.optim.SGD)


def test_published_weights_serve_other_classes_and_a_network_without_half_way_classifiers(tmp_path: Path) -> None:
    arguments = {**VARIANTS["v1_bn"], "width": 0.02}
    source = Model(**arguments).network
    torch.save(source.state_dict(), tmp_path / "all.pth")
    without = Model(**arguments, aux=False, weights=str(tmp_path / "all.pth")).network.state_dict()
    assert all(torch.equal(tensor, source.state_dict()[name]) for name, tensor in without.items())
    with pytest.warns(UserWarning, match=r"aux1.fc2.weight.* keep fresh"):
        tuned = Model(**arguments, classes=3, weights=str(tmp_path / "all.pth"))
    first = next(iter(source.state_dict()))
    assert torch.equal(tuned.network.state_dict()[first], source.state_dict()[first])
    with pytest.raises(paperzoo.PaperzooError, match=r"another network: it lacks conv1.conv.bias.*also conv1.bn.weight"):
        Model(width=0.02, weights=str(tmp_path / "all.pth"))  # v1_bn's


@pytest.mark.parametrize("arguments", [{"image_size": 31}, {"image_size": 4, "stem": "small"}])
def test_the_smallest_images_go_through_v1(arguments: dict[str, object]) -> None:
    model = Model(**{**LITTLE, "stem": "imagenet", "aux": False, **arguments}).eval()
    side = model.image_size
    assert model(torch.rand(2, 1, side, side)).shape == (2, 10)
    with pytest.raises(RuntimeError):
        model(torch.rand(2, 1, side - 1, side - 1))


@pytest.mark.usefixtures("undrawn")
@pytest.mark.processor
def test_learns_the_digits(tmp_path: Path) -> None:
    coarse = {"model.image_size": 8, "model.aux": False, "model.width": 0.25, "batch_size": 32, "steps": 100}
    run = paperzoo.train("googlenet", "smoke", out=tmp_path, overrides=coarse)
    assert run.metrics["error %"] < 40  # guessing: 90


def test_features_and_head_make_the_logits() -> None:
    model, image = Model(**LITTLE, aux=False, image_size=20).eval(), torch.rand(3, 1, 20, 20)
    nn.init.ones_(model.network.fc.bias)
    assert model.features(image).shape == (3, model.network.fc.in_features)
    assert torch.allclose(model.head(model.features(image)), model(image), atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"design": "v3"}, "unknown model.design 'v3'"),
        ({"image_size": 299}, "needs? images of 224 pixels, not 299"),
        ({"image_size": 32, "stem": "small"}, "needs? images of 28 pixels, not 32"),
        ({"image_size": 30, "aux": False}, "at least 31"),
        ({"image_size": 3, "aux": False, "stem": "small"}, "at least 4"),
        ({"weights": "imagenet"}, "unknown weights 'imagenet'"),  # torchvision's are of v1_bn
    ],
)
def test_arguments_that_make_no_network_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(paperzoo.PaperzooError, match=message), torch.device("meta"):
        paperzoo.create("googlenet", **arguments)


@pytest.mark.usefixtures("undrawn")
def test_the_names_of_before_go_on_working(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for former, today in catalog.FORMER.items():
        assert catalog.load(former).name == catalog.load(today).name
        assert former.partition(":")[2] not in catalog.paper("inception").variants
    for former, today in catalog.FORMER_RECIPES["googlenet"].items():
        job = resolve("inception:v1", former)
        assert (job.recipe_name, job.recipe) == (today, catalog.paper("googlenet").recipes[today])
    entry = catalog.load("inception:v1")
    assert measured_rows(entry, "small-v1", "mnist-5k", {"error %": 2.0})[0]["target"] == "at most 2.5"
    # a run as it was saved: its weights name the former paper and hold the arguments of the former class
    kept = {"design": "v1", "dropout": 0.0, "smoothing": 0.0, "stem": "small", "aux": True, "width": 0.125, "image_size": 28}
    run = paperzoo.train("inception:v1", "smoke-v1", out=tmp_path, overrides={"steps": 2})
    assert run.model.arguments.items() >= kept.items() - {("design", "v1"), ("smoothing", 0.0)}
    old = paperzoo.create("inception:v1", **{**kept, "channels": 1, "classes": 10})
    old.load_state_dict(run.model.state_dict())
    image = torch.rand(2, 1, 28, 28)
    with torch.no_grad():
        assert torch.equal(old.eval()(image), paperzoo.load(run.directory)(image))
    monkeypatch.setattr(results, "folder", lambda: tmp_path / "results")
    done = paperzoo.train("inception:v1", "smoke-v1", out=tmp_path)
    info = {**done.info, "name": "inception:v1", "paper": "inception", "recipe_name": "smoke-v1"}
    (done.directory / "run.json").write_text(json.dumps(info))
    assert results.add(done.directory) == tmp_path / "results" / "googlenet" / "v1-smoke-digits.json"
