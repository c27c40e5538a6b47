"""Rethinking generalization: the paper's networks and counts, whitening, and data whose labels or pixels are corrupted once for all."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.files import class_folders
from fixtures.training import count
from torch import nn

import paperzoo
from paperzoo import catalog
from paperzoo.data import Batch, Dataset
from paperzoo.data.change import corrupted
from paperzoo.data.dataset import Images, Split, Values
from paperzoo.data.datasets import check_name, dataset
from paperzoo.data.images import digits
from paperzoo.errors import PaperzooError
from paperzoo.papers.recognition import rethinking
from paperzoo.papers.recognition.rethinking import RECIPES, VARIANTS, Conv, Model, whiten

PARAMETERS = catalog.paper("rethinking").parameters

LITTLE = {"channels": 1, "image_size": 8, "crop": 8}


# --- networks ----------------------------------------------------------------------------------------------------------


def test_counts_are_table_1s_from_its_layers() -> None:
    figure = [(3, 96, 9)]  # inputs, outputs, taps of each convolution of figure 3
    maps = 96
    for ones, threes in ((32, 32), (32, 48)):
        figure += [(maps, ones, 1), (maps, threes, 9)]
        maps = ones + threes
    figure.append((maps, 80, 9))
    maps += 80
    for ones, threes in ((112, 48), (96, 64), (80, 80), (48, 96)):
        figure += [(maps, ones, 1), (maps, threes, 9)]
        maps = ones + threes
    figure.append((maps, 96, 9))
    maps += 96
    for ones, threes in ((176, 160), (176, 160)):
        figure += [(maps, ones, 1), (maps, threes, 9)]
        maps = ones + threes
    by_hand = sum(a * b * taps + b for a, b, taps in figure) + maps * 10 + 10
    assert by_hand == PARAMETERS["inception"] == PARAMETERS["inception-nobn"] == 1_649_402
    assert PARAMETERS["mlp1x512"] == 3 * 28 * 28 * 512 + 512 + 5130 == 1_209_866
    assert PARAMETERS["mlp3x512"] - PARAMETERS["mlp1x512"] == 2 * (512 * 512 + 512)
    assert PARAMETERS["alexnet"] == 1_387_786 and PARAMETERS.keys() == VARIANTS.keys()
    assert count(Model(image_size=32, crop=32, design="mlp")) != PARAMETERS["mlp1x512"]  # the count of 32x32 is another


def test_maps_halve_twice_and_modules_stand_side_by_side() -> None:
    with torch.device("meta"):
        network, sizes = Model().network, []
        for module in list(network)[:-3]:
            module.register_forward_hook(lambda m, i, o, seen=sizes: seen.append(tuple(o.shape[1:])))
        assert network(torch.empty(2, 3, 28, 28)).shape == (2, 10)
    channels = (96, 64, 80, 160, 160, 160, 160, 144, 240, 336, 336)
    sides = (28,) * 3 + (14,) * 5 + (7,) * 3
    assert sizes == [(c, s, s) for c, s in zip(channels, sides, strict=True)]


def test_shift_without_scale_and_the_bias_are_the_same_thing() -> None:
    torch.manual_seed(0)
    normal, plain = Conv(3, 5, 3), Conv(3, 5, 3, batch_norm=False)
    assert count(normal) == count(plain) == 3 * 5 * 9 + 5 and normal.conv.bias is None
    x = torch.randn(4, 3, 6, 6)
    nn.init.constant_(normal.norm.bias, 0.5)
    y = normal.conv(x)
    by_hand = ((y - y.mean((0, 2, 3), keepdim=True)) / (y.var((0, 2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt() + 0.5).relu()
    assert torch.allclose(normal(x), by_hand, atol=1e-5)
    trained = {id(p) for g in Model(**LITTLE).optimizers()["network"][0].param_groups for p in g["params"]}
    assert len(trained) == len([p for p in Model(**LITTLE).parameters() if p.requires_grad])


def test_whitening_is_tensorflows() -> None:
    image = torch.rand(3, 3, 5, 5) * torch.tensor([1.0, 0.5, 0.1])[:, None, None]  # channels differ, and keep their difference
    image[2] = 0.7  # constant: no division by nothing
    found = whiten(image)
    by_hand = torch.stack([(one - one.mean()) / one.std(correction=0) for one in image[:2]])
    assert torch.allclose(found[:2], by_hand, atol=1e-5) and found[2].abs().max() < 1e-5
    faint = torch.zeros(1, 1, 4, 4)
    faint[0, 0, 0, 0] = 0.1  # deviation 0.0242 is less than 1 / sqrt(16)
    assert math.isclose(whiten(faint)[0, 0, 0, 0].item(), 4 * (0.1 - 0.1 / 16), rel_tol=1e-5)


def test_the_middle_is_seen_and_crops_are_for_training_alone() -> None:
    torch.manual_seed(0)
    model = Model(channels=1, image_size=10, crop=6, design="mlp", width=0.125, random_crop=True).eval()
    image = torch.rand(2, 1, 10, 10)
    other = image.clone()
    other[:, :, :2], other[:, :, :, 8:] = 0, 1
    assert torch.equal(model(image), model(other)) and torch.allclose(model(image), model(image[:, :, 2:8, 2:8]))
    seen: list[torch.Tensor] = []
    model.network.register_forward_pre_hook(lambda m, given: seen.append(given[0]))

    class Opt:
        class network:
            minimize = staticmethod(lambda loss: None)

    for _ in range(20):
        model.train().step(Batch(image=image, label=torch.tensor([0, 1])), Opt())  # type: ignore[arg-type]
    windows = whiten(torch.stack([image[0, :, a : a + 6, b : b + 6] for a in range(5) for b in range(5)]))
    nearest = torch.stack([(windows - view[0]).abs().amax((1, 2, 3)) for view in seen])  # (20, 25)
    assert nearest.amin(1).max() < 1e-6 and len(set(nearest.argmin(1).tolist())) > 5


def test_rates_are_the_papers() -> None:
    rates = {name: Model(**{**VARIANTS[name], "width": 0.1}).optimizers()["network"][0].param_groups[0]["lr"] for name in VARIANTS}
    assert rates == {"inception": 0.1, "inception-nobn": 0.1, "alexnet": 0.01, "mlp3x512": 0.01, "mlp1x512": 0.01}
    factor, steps = Model(**LITTLE).optimizers()["network"][1], RECIPES["paper"].steps
    epoch = steps // 64
    assert abs(epoch * 128 - 50_000) < 128 and abs(RECIPES["paper-random"].steps // 64 * 128 - 45_000) < 128
    assert [factor(i, steps) for i in (0, epoch - 1, epoch, 10 * epoch)] == pytest.approx([1, 1, 0.95, 0.95**10])


# --- corrupted data ----------------------------------------------------------------------------------------------------


def test_labels_are_drawn_once_with_the_given_chance_and_only_those_of_training() -> None:
    label = torch.arange(10).repeat(2000)
    half, whole = corrupted.random_labels(label, 10, 0.5), corrupted.random_labels(label, 10, 1.0)
    for found, share in ((half, 0.5), (whole, 1.0)):
        assert abs(float((found != label).float().mean()) - 0.9 * share) < 0.015  # one draw in ten is what it was
    assert torch.bincount(whole).sub(2000).abs().max() < 200 and abs(np.corrcoef(whole, label)[0, 1]) < 0.03
    assert torch.equal(half[half != label], whole[half != label])  # the smaller share is part of the larger
    assert torch.equal(whole, corrupted.random_labels(label, 10, 1.0))  # again the same: no epoch has labels of its own
    assert not torch.equal(whole, corrupted.random_labels(label, 10, 1.0, draw=1))
    clean, noisy = dataset("digits"), dataset("digits#labels=1")
    every = range(len(clean["train"]))
    assert noisy["test"] is clean["test"] and noisy.schema.arguments == clean.schema.arguments and noisy.name == "digits#labels=1"
    assert torch.equal(clean["train"].batch(every).image, noisy["train"].batch(every).image)
    assert (clean["train"].batch(every).label != noisy["train"].batch(every).label).float().mean() > 0.8


def coded() -> Dataset:
    """Images whose pixels say where they stand, in two channels that go together."""
    place = torch.arange(36, dtype=torch.uint8).reshape(1, 1, 6, 6)
    image = torch.cat([place, 100 + place], 1).expand(40, 2, 6, 6).clone()
    label = torch.arange(40) % 10
    splits = {"train": Split(Images(image), Values("label", label)), "test": Split(Images(image[:20]), Values("label", label[:20]))}
    return Dataset(digits._schema("coded", 6), splits, "", "")


def test_pixels_go_where_the_paper_sends_them() -> None:
    every = np.arange(20)
    found = {kind: corrupted.corrupted(coded(), f"pixels={kind}") for kind in corrupted.PIXELS}
    for kind in ("shuffled", "random"):
        parts = [(255 * found[kind][split].batch(every).image).round().flatten(2) for split in ("train", "test")]
        for part in parts:
            assert torch.equal(part.sort(2).values[:, 0], torch.arange(36.0).expand(20, 36))  # nothing lost, nothing new
            assert torch.equal(part[:, 1], 100 + part[:, 0])  # channels go together
        orders = {tuple(row.tolist()) for part in parts for row in part[:, 0]}
        assert len(orders) == (1 if kind == "shuffled" else 40) and tuple(range(36)) not in orders
    black, train = torch.zeros(500, 3, 20, 20, dtype=torch.uint8), torch.tensor([90, 130]).byte().repeat(500)
    noise = corrupted.changed(black, train, "gaussian").float()
    assert abs(noise.mean().item() - 110) < 0.5 and abs(noise.std().item() - 20) < 0.5
    assert torch.equal(found["gaussian"]["train"].batch(every).label, coded()["train"].batch(every).label)
    small = dataset("digits#pixels=random", image_size=12)["train"][0].image  # resized first: its pixels are those of a digit
    assert torch.equal(small.flatten().sort().values, dataset("digits", image_size=12)["train"][0].image.flatten().sort().values)


def test_names_are_read_and_wrong_ones_named(tmp_path: Path) -> None:
    both = dataset("digits@20:1#labels=0.5&pixels=shuffled&draw=2")
    assert len(both["train"]) == 200 and "50 % of the training labels drawn anew, the pixels of all images" in both.source
    for name, says in {
        "digits#": r"after # comes labels=\{share\} or pixels=\{shuffled, random, gaussian\}, such as digits#labels=0.5",
        "digits#draw=1": "after # comes labels",
        "digits#labels=0": r"digits: labels=0 is the share of .* above 0 and up to 1",
        "digits#labels=1.5": "labels=1.5 is the share",
        "digits#labels=nan": "labels=nan is the share",
        "digits#labels=all": "labels=all is the share",
        "digits#pixels=shufled": "unknown pixels 'shufled' of digits: did you mean shuffled",
        "digits#label=1": "unknown option 'label' of digits: did you mean labels",
        "digits#labels=1&draw=-1": "draw is a whole number from 0",
        "digitz#labels=1": "unknown data set 'digitz': did you mean digits",
    }.items():
        with pytest.raises(PaperzooError, match=says):
            check_name(name)
    with pytest.raises(PaperzooError, match="ring8 has no labels to draw anew; its fields are point"):
        dataset("ring8#labels=1")
    with pytest.raises(PaperzooError, match="pixels can be changed of images in memory only; train of ring8 has Values"):
        dataset("ring8#pixels=random")
    folder = class_folders(tmp_path / "me#labels=1")
    whole = dataset(f"folder:{folder}", image_size=8)  # that is its name
    drawn = dataset(f"folder:{folder}#labels=1", image_size=8)
    labels = [d["train"].batch(range(len(d["train"]))).label for d in (whole, drawn)]
    assert not torch.equal(*labels)


# --- learning ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("undrawn")
@pytest.mark.processor
@pytest.mark.parametrize("wrong", [False, True], ids=["drawn once", "drawn anew in each step"])
def test_random_labels_are_fitted_and_labels_that_change_are_not(wrong: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if wrong:  # the ablation: nothing to remember
        step = Model.step

        def anew(self: Model, batch: Batch, opt: object) -> object:
            batch.label = torch.randint(10, batch.label.shape)
            return step(self, batch, opt)  # type: ignore[arg-type]

        monkeypatch.setattr(rethinking.Model, "step", anew)
    overrides = {"data": "digits@20#labels=1", "steps": 400, "batch_size": 50, "model.width": 1.0, "optimizer.lr": 0.05}
    run = paperzoo.train("rethinking:mlp3x512", "smoke-mlp", out=tmp_path, overrides=overrides)
    assert run.metrics["error %"] > 75  # chance at test, either way
    training = run.metrics["training error %"]
    assert training > 60 if wrong else training == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"design": "inceptoin"}, "unknown model.design 'inceptoin': did you mean inception"),
        ({"crop": 33}, "crop of rethinking is 33, but the images are 32x32: at most 32"),
        ({"width": 0.0}, "model.width must be at least 0.02, not 0.0"),
        ({"dropout": 1.0}, "model.dropout must be less than 1"),
        ({"layers": 0, "design": "mlp"}, "model.layers must be at least 1, not 0"),
    ],
)
def test_bad_input_is_named(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(PaperzooError, match=says):
        paperzoo.create("rethinking", **arguments)


def test_what_a_corrupted_name_is_made_from_and_who_may_judge_it() -> None:
    from paperzoo.data.datasets import DATASETS, listed
    from paperzoo.engine.judge import JUDGES

    assert listed("mnist-5k@50:2#labels=1&draw=2") is DATASETS["mnist-5k"] and listed("folder:a@b#labels=1") is None
    digits = next(judge for judge in JUDGES.values() if "mnist" in judge.data)
    assert digits.fits("mnist@20:1") and digits.fits("mnist#labels=0.5")
    assert not digits.fits("mnist#pixels=random") and not digits.fits("mnist@20#pixels=gaussian&draw=1")
