"""Folds of few images: each tested once, of each class alike, copies together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import paperzoo
from paperzoo.data.change.folds import fold
from paperzoo.errors import PaperzooError


def folder(tmp_path: Path, counts: tuple[int, ...] = (11, 7), copies: int = 0) -> str:
    random = np.random.default_rng(0)
    for k, count in enumerate(counts):
        (tmp_path / "photos" / f"kind{k}").mkdir(parents=True)
        for i in range(count):
            pixels = random.integers(0, 256, (8, 8), np.uint8) // 4 + 100 * k
            for copy in range(1 + (copies if not i else 0)):
                Image.fromarray(pixels).save(tmp_path / "photos" / f"kind{k}" / f"{i}-{copy}.png")
    return f"folder:{tmp_path / 'photos'}"


def rows(dataset: paperzoo.data.Dataset, split: str) -> list[bytes]:
    images = dataset[split].batch(range(len(dataset[split]))).image
    return [image.numpy().tobytes() for image in images]


@pytest.mark.filterwarnings("ignore")
def test_each_image_is_tested_once_and_never_by_what_it_was_trained_on(tmp_path: Path) -> None:
    name, tested, labels = folder(tmp_path), [], []
    for number in range(1, 6):
        one = paperzoo.dataset(f"{name}#fold={number}/5")
        assert set(one.splits) == {"train", "test"} and not set(rows(one, "train")) & set(rows(one, "test"))
        assert len(one["train"]) + len(one["test"]) == 18 and 3 <= len(one["test"]) <= 4
        tested += rows(one, "test")
        for image, file in zip(one["test"].batch(range(len(one["test"]))).image, one["test"].files, strict=True):
            pixels = torch.from_numpy(np.array(Image.open(tmp_path / "photos" / file))).float()
            assert float((255 * image.mean() - pixels.mean()).abs()) < 3  # enlarged from it
        labels.append(torch.bincount(one["test"].batch(range(len(one["test"]))).label, minlength=2))
    assert len(set(tested)) == len(tested) == 18
    assert all(2 <= count[0] <= 3 and 1 <= count[1] <= 2 for count in labels)


@pytest.mark.filterwarnings("ignore")
def test_copies_of_an_image_lie_in_one_fold(tmp_path: Path) -> None:
    name = folder(tmp_path, copies=3)
    for number in range(1, 4):
        one = paperzoo.dataset(f"{name}#fold={number}/3")
        assert not set(rows(one, "train")) & set(rows(one, "test"))


@pytest.mark.parametrize("text", ["fold=0/5", "fold=6/5", "fold=1/1", "fold=1/21", "fold=2", "fold=a/b", "fold=-1/5"])
def test_folds_that_there_are_not_are_refused(text: str) -> None:
    with pytest.raises(PaperzooError, match="write #fold=1/5 to #fold=5/5"):
        fold(text, "photos")
    assert fold("fold=2/5", "photos") == (2, 5)


@pytest.mark.filterwarnings("ignore")
def test_too_few_images_of_every_class_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match="at most 4 images of a class, fewer than 5 folds"):
        paperzoo.dataset(f"{folder(tmp_path, (4, 3))}#fold=1/5")
