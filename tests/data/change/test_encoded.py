"""Features of a frozen encoder: what it says, computed once, and kept by the hash of its weights and of the images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import paperzoo
from paperzoo.data import Images, Split
from paperzoo.data.change.encoded import encoded
from paperzoo.data.datasets import dataset
from paperzoo.pretrained import frozen


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def encoder() -> frozen.Frozen:
    torch.manual_seed(0)
    model = paperzoo.create("mobilenet:v2", width=0.1, image_size=64, classes=7)
    for layer in model.modules():  # statistics that are not those of a fresh network, so that the mode shows
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.2)
    return frozen.Frozen("small", model.train())


def test_features_are_the_last_layers_and_the_maps_mean(encoder: frozen.Frozen) -> None:
    images = torch.rand(3, 3, 40, 40)
    pooled, grid = encoder(images)
    assert not encoder.model.training and not pooled.requires_grad
    resized = torch.nn.functional.interpolate(images, (64, 64), mode="bilinear", antialias=True)
    assert torch.equal(pooled, encoder.model.features(resized).detach())
    assert grid.shape == (3, 1280, 2, 2)
    assert torch.allclose(grid.mean((2, 3)), pooled, atol=1e-5)
    grey = torch.rand(2, 1, 64, 64)
    assert torch.equal(encoder(grey)[0], encoder(grey.repeat(1, 3, 1, 1))[0])
    assert torch.allclose(encoder(resized[:1])[0], pooled[:1], atol=1e-5)  # by statistics of its own, not the batch's


def test_they_are_computed_once_for_each_encoder_and_set(encoder: frozen.Frozen, cache: Path) -> None:
    plain = dataset("digits")
    built = encoded(plain, "grid=small", encoder)
    items = np.array([5, 0, 5])
    batch, image = built["test"].batch(items), plain["test"].batch(items).image
    pooled, grid = encoder(image)
    # a step of float16 at 6 is 0.004
    assert torch.allclose(batch.features, pooled, atol=1e-5) and torch.allclose(batch.grid, grid.half().float(), atol=4e-3)
    assert torch.equal(batch.image, image) and torch.equal(batch.label, plain["test"].batch(items).label)
    assert built.schema.arguments["features_size"] == pooled.shape[1] and built.schema.arguments["grid_size"] == grid.shape[1]
    assert built.schema.fields == ("image", "label", "features", "grid") and encoder.digest in built.source

    class Again:
        digest = encoder.digest

        def __call__(self, images: torch.Tensor) -> Any:
            raise AssertionError("it was computed before")

    assert torch.equal(encoded(plain, "grid=small", Again())["test"].batch(items).features, batch.features)
    with torch.no_grad():
        next(encoder.model.parameters()).add_(0.01)
    other = frozen.Frozen("small", encoder.model)
    assert other.digest != encoder.digest
    assert not torch.equal(encoded(plain, "grid=small", other)["test"].batch(items).features, batch.features)
    images = Images(255 - plain["test"].columns[0].pixels)  # type: ignore[attr-defined]
    negative = type(plain)(plain.schema, {"test": Split(images)}, "", "")
    assert torch.allclose(encoded(negative, "features=small", encoder)["test"].batch(items).features, encoder(1 - image)[0], atol=1e-4)


def test_a_part_and_a_union_keep_their_features(encoder: frozen.Frozen, cache: Path) -> None:
    built = encoded(dataset("digits"), "features=small", encoder)
    column = built["train"].columns[-1]
    some = column.some(np.array([3, 1]))  # type: ignore[attr-defined]
    joined = some.join(column)
    assert len(joined) == 2 + len(column)
    assert torch.equal(joined.take(np.array([0, 1]))["features"], column.take(np.array([3, 1]))["features"])


def test_what_cannot_be_is_named(encoder: frozen.Frozen, cache: Path) -> None:
    for name, message in (
        ("digits#features=mobilnet", "did you mean mobilenet"), ("digits#features=mobilenet&grid=mobilenet", "not both"),
        ("digits#features", "write #features=..., once"), ("digits#feature=mobilenet", "did you mean features"),
    ):  # fmt: skip
        with pytest.raises(paperzoo.PaperzooError, match=message):
            dataset(name)
    with pytest.raises(paperzoo.PaperzooError, match="of images in memory only; train of ring8 has Values"):
        encoded(dataset("ring8"), "features=small", encoder)
