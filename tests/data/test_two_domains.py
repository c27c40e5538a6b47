"""Orders, columns and augmentation of two domains: independent streams where unpaired, one crop and flip where paired."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from paperzoo.data import Batch, Images, Order, Split, Values
from paperzoo.data.augment import AUGMENTATIONS, augmented
from paperzoo.data.change.picture import resized
from paperzoo.data.dataset import Dataset, Schema, Unpaired
from paperzoo.errors import PaperzooError


def numbered(count: int, name: str, first: int = 0, size: int = 4) -> Images:
    """Image i is grey of the value i."""
    values = torch.arange(first, first + count, dtype=torch.uint8)
    return Images(values[:, None, None, None].expand(count, 3, size, size).contiguous(), name)


def test_an_order_of_one_domain_is_what_it_was() -> None:
    for kind in ("shuffle", "sequential"):
        one, several = Order(10, 4, kind, 3), Order((10,), 4, kind, 3)  # type: ignore[arg-type]
        assert all(np.array_equal(one.batch(i), several.batch(i)) for i in range(9))
    random = np.random.Generator(np.random.Philox(key=[3, 0]))
    assert np.array_equal(Order(10, 10, "shuffle", 3).batch(0), random.permutation(10))


def test_each_domain_has_its_own_order_and_length() -> None:
    order = Order((10, 7), 3, "shuffle", 5)
    drawn = np.concatenate([order.batch(i) for i in range(70)])  # (210, 2): 21 epochs of A, 30 of B
    assert drawn.shape == (210, 2)
    for domain, items in enumerate((10, 7)):
        epochs = drawn[:, domain].reshape(-1, items)
        assert (np.sort(epochs, 1) == np.arange(items)).all()  # an epoch shows every item once
        assert len(np.unique(epochs, axis=0)) > 15
    again = Order((10, 7), 3, "shuffle", 5)
    assert np.array_equal(again.batch(41), order.batch(41))  # without those before it
    assert not np.array_equal(Order((10, 7), 3, "shuffle", 6).batch(0), order.batch(0))
    assert Order((10, 7), "all", "shuffle", 0).batch(0).shape == (10, 2)
    with pytest.raises(ValueError):
        Order((10, 0), 3, "shuffle", 5)


def test_what_stands_together_is_drawn_independently() -> None:
    order = Order((8, 8), 8, "shuffle", 0)
    pairs = np.concatenate([order.batch(i) for i in range(2000)])
    counts = np.zeros((8, 8))
    np.add.at(counts, (pairs[:, 0], pairs[:, 1]), 1)
    assert abs(counts / 250 - 1).max() < 0.3  # each pair 250 times; the deviation is 15
    assert not np.array_equal(order.batch(0)[:, 0], order.batch(0)[:, 1])


def test_a_split_of_two_domains() -> None:
    split = Split(Unpaired(numbered(5, "image_a"), numbered(3, "image_b", 100)))
    assert len(split) == 5 and split.lengths == (5, 3) and Split(numbered(5, "image")).lengths == (5,)
    batch = split.batch(np.array([[4, 0], [1, 2]]))
    assert (batch.image_a[:, 0, 0, 0] * 255).tolist() == [4, 1] and (batch.image_b[:, 0, 0, 0] * 255).tolist() == [100, 102]
    assert (split.batch(range(5)).image_b[:, 0, 0, 0] * 255).round().tolist() == [100, 101, 102, 100, 101]  # once more from the beginning
    assert round(float(split[4].image_b.max()) * 255) == 101
    joined = split.columns[0].join(split.columns[0])
    assert isinstance(joined, Unpaired) and joined.lengths == (10, 6)
    assert split.to(torch.device("cpu")).lengths == (5, 3)
    built = Dataset(Schema("x", ("image_a", "image_b"), {"image_size": 4}), {"train": split}, "", "")
    small = resized(built, 2)["train"].batch([0])
    assert small.image_a.shape == small.image_b.shape == (1, 3, 2, 2)
    points = Split(Unpaired(Values("point_a", torch.zeros(4, 2)), Values("point_b", torch.ones(9, 2))))
    assert points.batch(np.array([[3, 8]])).point_b.tolist() == [[1, 1]]


@pytest.mark.parametrize("name", [name for name in AUGMENTATIONS if name not in ("crop224", "crop299")])
def test_a_pair_is_augmented_as_one(name: str) -> None:
    """B is a known function of A, pixel by pixel, and still is after the augmentation."""
    torch.manual_seed(0)
    a = torch.rand(16, 3, 20, 20 if name == "quarter" else 24)

    def other(image: torch.Tensor) -> torch.Tensor:
        return image if name == "colour" else 1 - image[:, [2, 0, 1]]  # what is made brighter is not so when inverted

    batch = augmented(Batch(image_a=a, image_b=other(a), label=torch.arange(16)), name)
    seen = batch.image_a.sum(1, keepdim=True) > 0  # not a black border
    assert torch.allclose(torch.where(seen, other(batch.image_a), batch.image_b), batch.image_b, atol=1e-5)
    assert not torch.equal(batch.image_a, a) and batch.label.tolist() == list(range(16))
    assert batch.image_a.shape == batch.image_b.shape == a.shape


def test_unpaired_images_have_a_chance_each() -> None:
    torch.manual_seed(0)
    a = torch.rand(64, 3, 6, 6)
    batch = augmented(Batch(image_a=a, image_b=a), "flip", paired=False)
    flipped = [(x != a).flatten(1).any(1) for x in (batch.image_a, batch.image_b)]
    assert {(bool(p), bool(q)) for p, q in zip(*flipped, strict=True)} == {(True, True), (True, False), (False, True), (False, False)}
    sizes = augmented(Batch(image_a=a, image_b=torch.rand(64, 1, 9, 9)), "flip", paired=False)
    assert sizes.image_b.shape == (64, 1, 9, 9)


def test_single_images_are_augmented_as_before() -> None:
    a = torch.rand(8, 3, 12, 12)
    for name in ("crop4", "flip", "shift2"):
        torch.manual_seed(1)
        one = AUGMENTATIONS[name](a)
        torch.manual_seed(1)
        assert torch.equal(augmented(Batch(image=a), name).image, one)


def test_pairs_of_different_size_and_batches_without_images_are_refused() -> None:
    with pytest.raises(PaperzooError, match="different size, 8x8 and 9x9"):
        augmented(Batch(image_a=torch.zeros(2, 3, 8, 8), image_b=torch.zeros(2, 3, 9, 9)), "flip")
    with pytest.raises(PaperzooError, match="augment=flip is for images, but the batch has point_a"):
        augmented(Batch(point_a=torch.zeros(2, 2)), "flip")
