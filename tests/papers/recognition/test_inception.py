"""Inception v3: torchvision's keys and outputs, the network of published scores, its two regularisers, and the judge."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fixtures.networks import fill, six, waves
from fixtures.training import Taken, count
from torch import nn

import paperzoo
from paperzoo.engine import judge as judges
from paperzoo.papers.recognition import inception
from paperzoo.papers.recognition.inception import VARIANTS, Model

#: first 16 hex digits of the SHA-256 of the sorted lines "key shape" of the state dict, and the logits [0, 0], [0, 1], [0, 2],
#: [1, 5], [1, 500], [1, 999] (float64, eval mode) under ``fill`` for ``waves`` of side 139: of torchvision 0.29.2's
#: inception_v3(), and of the network in pytorch-fid 0.3.0. Both were imported once; the largest difference was 0.0 then
THEIRS = {
    "v3": ("4c9e13f64584de74", [0.055678, 0.008968, 0.194358, -0.138204, -0.001339, 0.246148]),
    "fid": ("760681d791cb624e", [0.064963, 0.005863, 0.197447, -0.138527, 0.001983, 0.235253]),
}
#: the same of torchvision's half-way classifier, for ``waves`` of shape (2, 768, 17, 17)
HALF_WAY = [-0.231563, 0.04312, -0.110098, 0.290251, -0.021925, 0.158941]

LITTLE = {"stem": "small", "width": 0.0625, "channels": 1, "classes": 10, "dropout": 0.0}


@pytest.mark.parametrize("variant", THEIRS)
def test_keys_shapes_and_outputs_are_those_of_the_published_weights(variant: str) -> None:
    network = Model(**VARIANTS[variant]).network.double().eval()
    listing = "\n".join(sorted(f"{name} {tuple(tensor.shape)}" for name, tensor in network.state_dict().items()))
    assert hashlib.sha256(listing.encode()).hexdigest()[:16] == THEIRS[variant][0]
    with torch.no_grad():
        fill(network)
        assert six(network(waves(2, 3, 139, 139))[1]) == pytest.approx(THEIRS[variant][1], abs=1e-5)
        if variant == "v3":
            assert six(network.AuxLogits(waves(2, 768, 17, 17))) == pytest.approx(HALF_WAY, abs=1e-5)


def test_counts_are_those_of_the_papers_network_with_and_without_the_second_classifier() -> None:
    with torch.device("meta"):
        assert count(Model()) == 27_161_264
        assert count(Model(aux=False)) == 23_834_568 < 25e6  # "less than 25 million" (abstract)


def test_grids_are_those_of_table_1() -> None:
    with torch.device("meta"):
        network, seen = Model().network.train(), {}
        for name, module in network.named_children():
            module.register_forward_hook(lambda m, i, o, name=name: seen.update({name: tuple(o.shape[1:])}))
        features, logits, half_way = network(torch.empty(2, 3, 299, 299))
    assert seen["Conv2d_1a_3x3"] == (32, 149, 149) and seen["Conv2d_2b_3x3"] == (64, 147, 147)
    assert seen["Conv2d_4a_3x3"] == (192, 71, 71)
    assert seen["Mixed_5d"] == (288, 35, 35) and seen["Mixed_6e"] == (768, 17, 17) and seen["Mixed_7c"] == (2048, 8, 8)
    assert features.shape == (2, 2048) and logits.shape == half_way[0].shape == (2, 1000)


def test_averages_of_the_2015_network_leave_out_what_is_beyond_the_border() -> None:
    ones = torch.ones(1, 1, 4, 4)
    assert inception.Sizes(1, True).pool(ones).min() == 1
    assert inception.Sizes(1, False).pool(ones)[0, 0, 0, 0].item() == pytest.approx(4 / 9)
    spot = torch.zeros(1, 1, 3, 3)
    spot[0, 0, 1, 1] = 9
    assert (inception.Sizes(1, True).pool(spot, last=True) == 9).all()
    assert (inception.Sizes(1, False).pool(spot, last=True) == 1).all()


def test_the_loss_smooths_labels_and_adds_the_second_classifier() -> None:
    torch.manual_seed(0)
    model, opt = Model(**LITTLE, image_size=35, smoothing=0.1).train(), Taken()
    batch = paperzoo.dataset("digits")["train"].batch(np.arange(8))
    batch.image = F.interpolate(batch.image, 35)
    model.step(batch, opt)
    _, logits, half_way = model.network(2 * batch.image - 1)
    truth = 0.9 * F.one_hot(batch.label, 10) + 0.1 / 10  # q' of section 7
    by_hand = [-(truth * out.log_softmax(1)).sum(1).mean() for out in (logits, *half_way)]
    assert opt.loss.item() == pytest.approx((by_hand[0] + 0.4 * by_hand[1]).item(), rel=1e-5)
    assert torch.autograd.grad(opt.loss, model.network.AuxLogits.fc.weight)[0].abs().sum() > 0
    assert model.eval().network(batch.image)[2] == ()


def test_features_and_head_make_the_logits_but_for_the_bias_of_published_scores() -> None:
    image = torch.rand(3, 1, 20, 20)
    for design, bias in (("v3", 0.0), ("fid", 1.0)):
        model = Model(**LITTLE, aux=False, image_size=20, design=design).eval()
        nn.init.ones_(model.network.fc.bias)
        features = model.features(image)
        assert features.shape == (3, model.network.fc.in_features)
        assert torch.allclose(model.head(features) + bias, model(image), atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"design": "fud"}, "did you mean fid"),
        ({"stem": "little"}, "imagenet, small"),
        ({"image_size": 224}, "needs images of 299 pixels, not 224"),
        ({"image_size": 64, "aux": False}, "at least 75"),
        ({"image_size": 6, "aux": False, "stem": "small"}, "at least 7"),
        ({"width": 0.0}, "must be positive"),
        ({"smoothing": 1.0}, "smoothing must be less than 1"),
    ],
)
def test_arguments_that_make_no_network_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(paperzoo.PaperzooError, match=message), torch.device("meta"):
        paperzoo.create("inception", **arguments)


@pytest.mark.parametrize("arguments", [{"image_size": 75}, {"image_size": 7, "stem": "small"}])
def test_the_smallest_images_go_through(arguments: dict[str, object]) -> None:
    model = Model(**{**LITTLE, "stem": "imagenet", "aux": False, **arguments}).eval()
    side = model.image_size
    assert model(torch.rand(2, 1, side, side)).shape == (2, 10)
    with pytest.raises(RuntimeError):
        model(torch.rand(2, 1, side - 1, side - 1))


@pytest.mark.usefixtures("undrawn")
@pytest.mark.processor
def test_it_learns_the_digits(tmp_path: Path) -> None:
    run = paperzoo.train("inception", "smoke", out=tmp_path, overrides={"steps": 80, "model.width": 0.125})
    assert run.metrics["error %"] < 15  # guessing: 90


def test_published_weights_serve_other_classes_and_a_network_without_the_half_way_classifier(tmp_path: Path) -> None:
    source = Model(width=0.02).network
    torch.save(source.state_dict(), tmp_path / "all.pth")
    without = Model(width=0.02, aux=False, weights=str(tmp_path / "all.pth")).network.state_dict()
    assert all(torch.equal(tensor, source.state_dict()[name]) for name, tensor in without.items())
    with pytest.warns(UserWarning, match=r"AuxLogits.fc.weight.* keep fresh"):
        tuned = Model(width=0.02, classes=3, weights=str(tmp_path / "all.pth"))
    first = next(iter(source.state_dict()))
    assert torch.equal(tuned.network.state_dict()[first], source.state_dict()[first])


# ---------------------------------------------------------------- as a judge


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of weights as published ones lie at their address, its name carrying its hash; of narrow networks."""
    monkeypatch.setattr(inception, "VARIANTS", {**VARIANTS, "fid": {**VARIANTS["fid"], "width": 0.03}})
    plain = tmp_path / "weights.pth"
    torch.manual_seed(1)
    torch.save(Model(**inception.VARIANTS["fid"]).network.state_dict(), plain)
    named = plain.rename(tmp_path / f"pt_inception-2015-12-05-{hashlib.sha256(plain.read_bytes()).hexdigest()[:8]}.pth")
    monkeypatch.setattr(inception, "URLS", {**inception.URLS, "fid": {"fid": named.as_uri()}})
    judges.judge.cache_clear()
    yield named
    judges.judge.cache_clear()


def test_the_judge_of_published_scores_has_the_published_weights(published: Path) -> None:
    judge = judges.judge("inception")
    state = torch.load(published, weights_only=True)
    assert all(torch.equal(state[name], tensor) for name, tensor in judge.model.network.state_dict().items())
    assert not judge.standardise and not judge.model.training and judges.JUDGES["inception"].fits("cifar10")
    image = torch.rand(3, 3, 32, 32)
    p, features = judge(image)
    large = F.interpolate(image, 299, mode="bilinear", align_corners=False)  # as pytorch-fid does
    with torch.no_grad():
        assert np.allclose(features, judge.model.features(large).numpy(), atol=1e-5)
    assert p.shape == (3, 1008) and np.allclose(p.sum(1), 1, atol=1e-5)


def test_a_judge_refuses_images_of_other_colours(published: Path) -> None:
    with pytest.raises(paperzoo.PaperzooError, match=r"inception cannot judge images with 1 channel: it sees 3.*cifar10"):
        judges.judge("inception")(torch.rand(2, 1, 32, 32))
    with pytest.raises(paperzoo.PaperzooError, match=r"zoo-digits cannot judge images with 3 channels: it sees 1.*mnist"):
        judges.judge("zoo-digits")(torch.rand(2, 3, 32, 32))


def test_what_cannot_be_done_leaves_no_directory(tmp_path: Path) -> None:
    with pytest.raises(paperzoo.PaperzooError, match="zoo-avatars cannot judge images with 1 channel"):
        paperzoo.train("dcgan", "smoke", out=tmp_path / "runs", overrides={"judge": "zoo-avatars"})
    with pytest.raises(paperzoo.PaperzooError, match="batch_size 32 cannot be shared by 3 processes"):
        paperzoo.train("dcgan", "smoke", out=tmp_path / "runs", devices=3)
    assert not (tmp_path / "runs").exists()
