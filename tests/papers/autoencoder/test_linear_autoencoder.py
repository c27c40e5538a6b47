"""The linear and the deep autoencoder: what they must equal, and what they must beat."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.training import degenerate, digits, fit, train_images
from torch import nn

import paperzoo
from paperzoo import PaperzooError
from paperzoo.data import Dataset, Schema, Split, Values
from paperzoo.papers.autoencoder import linear_autoencoder, linear_autoencoder_map


@pytest.mark.processor
def test_the_linear_autoencoder_finds_pcas_space_and_error_whatever_its_basis() -> None:
    torch.manual_seed(0)
    model = fit(linear_autoencoder.Model(image_size=8, code=5), "image", train_images(), 2500, lr=3e-2)
    found = model.measure(digits(), "test")
    assert found["squared error % of pca's"] == pytest.approx(100, abs=0.2)
    assert found["subspace angle (degrees)"] < 4
    pca = model.pca(digits(), 5)
    assert (nn.functional.cosine_similarity(model.decoder[0].weight.T, pca.axes).abs() < 0.99).any()  # not PCA's axes


@pytest.mark.processor
def test_without_biases_on_data_that_are_not_centred_the_space_is_another() -> None:
    torch.manual_seed(0)
    model = linear_autoencoder.Model(image_size=8, code=5)
    for network in (model.encoder, model.decoder):
        nn.init.zeros_(network[0].bias)
        network[0].bias.requires_grad_(False)
    found = fit(model, "image", train_images(), 2500, lr=3e-2).measure(digits(), "test")
    assert found["squared error % of pca's"] > 102
    assert found["subspace angle (degrees)"] > 4


@pytest.mark.processor
def test_points_near_a_plane_are_laid_on_it(tmp_path: Path) -> None:
    torch.manual_seed(0)
    axes = torch.linalg.qr(torch.randn(3, 3)).Q
    point = torch.randn(3000, 3) * torch.tensor([2.0, 1.0, 0.3]) @ axes.T + torch.tensor([1.0, -2.0, 3.0])
    model = fit(linear_autoencoder.Points(), "point", point[:2000], 1500, 200, lr=3e-2)
    data = Dataset(Schema("plane", ("point",), {"dimensions": 3}), {"train": Split(Values("point", point[:2000])),
                   "test": Split(Values("point", point[2000:]))}, "", "")  # fmt: skip
    found = model.measure(data, "test")
    assert found["squared error"] == pytest.approx(0.09, rel=0.1)  # the variance across the plane
    assert found["squared error % of pca's"] == pytest.approx(100, abs=0.5) and found["subspace angle (degrees)"] < 0.5
    normal = torch.linalg.svd(model.decoder[0].weight.detach())[0][:, 2]
    assert abs(float(normal @ axes[:, 2])) == pytest.approx(1, abs=1e-3)
    assert [path.name for path in model.show(data, "test", tmp_path, "final")] == ["final-reconstructions.png"]


@pytest.mark.processor
def test_a_deep_map_keeps_digits_apart_better_than_pca_and_the_linear_one_does_not(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = fit(linear_autoencoder_map.Map(image_size=8, hidden=[64, 32]), "image", train_images(), 1600, lr=3e-3, lr_linear=3e-2)
    found = model.measure(digits(), "test")
    assert found["linear squared error"] == pytest.approx(found["pca squared error"], rel=0.02)
    assert found["squared error"] < 0.8 * found["pca squared error"]
    assert found["neighbour error %"] < found["pca neighbour error %"] - 5
    assert found["linear neighbour error %"] > found["neighbour error %"] + 5
    names = [path.name for path in model.show(digits(), "test", tmp_path, "final")]
    assert names == ["final-reconstructions.png", "final-map.png"]
    assert (tmp_path / "final-map.png").stat().st_size < 150_000


def test_codes_that_could_copy_the_data_are_refused() -> None:
    for code in (64, 65):
        with pytest.raises(PaperzooError, match=r"copied through it unchanged.*at most 63"):
            paperzoo.create("linear_autoencoder", image_size=8, code=code)
    with pytest.raises(PaperzooError, match="not smaller than the 2 of the data"):
        linear_autoencoder.Points(dimensions=2)
    for wrong in ({"code": 0}, {"hidden": [10, 0]}):
        with pytest.raises(PaperzooError, match="at least 1, not"):
            paperzoo.create("linear_autoencoder", **wrong)
    with pytest.raises(PaperzooError, match="hidden must be a list of at least 1"):
        paperzoo.create("linear_autoencoder:map", hidden=[])


def test_constant_images_and_a_single_one_train_and_are_measured(tmp_path: Path) -> None:
    for data in degenerate():
        image = data["train"].batch(np.arange(len(data["train"]))).image
        for model in (linear_autoencoder.Model(image_size=8, code=5), linear_autoencoder_map.Map(image_size=8, hidden=[8])):
            fit(model, "image", image, 3)
            found = model.measure(data, "test")
            assert all(np.isfinite(value) for value in found.values())
            assert model.show(data, "test", tmp_path, "final")
