"""Cross-validation from the command line."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paperzoo.engine.run import open_run
from paperzoo.errors import PaperzooError
from paperzoo.report.folds import of_folds, train_folds


@pytest.mark.filterwarnings("ignore")
def test_all_images_are_counted_once_and_a_class_that_is_plain_to_see_is_learnt(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for k, name in enumerate(("dark", "light")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(9):
            Image.fromarray(random.integers(0, 60, (8, 8), np.uint8) + 180 * k).save(tmp_path / "photos" / name / f"{i}.png")
    data, few = f"folder:{tmp_path / 'photos'}", {"steps": 25, "batch_size": 8}
    call = ("lenet", "smoke", data, None, 0, tmp_path / "runs", 1, few, ())
    runs = train_folds(3, *call)
    text = of_folds(runs, tmp_path)
    assert "of 18 wrong in 3 folds" in text and int(text.split()[0]) <= 4
    assert [line.split()[:2] for line in text.splitlines() if line.startswith(("dark ", "light "))] == [["dark", "9"], ["light", "9"]]
    unsure = text.partition("least sure of")[2].splitlines()[1:11]
    assert len(unsure) == 10 and all(re.fullmatch(r"(dark|light)/\d\.png +\1 +(dark|light) +\d+%", line) for line in unsure), text
    assert list(tmp_path.glob("folds-*.png"))
    assert [open_run(r.directory).directory for r in train_folds(3, *call)] == [r.directory for r in runs]  # found again
    assert list(runs[0].directory.glob("figures/final-least-sure.png"))


@pytest.mark.parametrize(
    ("name", "data", "parts", "message"),
    [
        ("dcgan", "digits", 5, "--folds is for classifiers; dcgan is a model for image generation"),
        ("lenet", "digits", 1, "--folds is a whole number from 2 to 20"),
        ("lenet", "digits#labels=0.5", 5, "leave out what stands behind the #"),
    ],
)
def test_folds_that_cannot_be_are_refused_before_any_training(name: str, data: str, parts: int, message: str, tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match=message):
        train_folds(parts, name, "smoke", data, None, 0, tmp_path / "runs", 1, {}, ())
    assert not (tmp_path / "runs").exists()
