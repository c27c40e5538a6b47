"""Pyramids of pictures: levels by hand, what is on disk, mirrored copies, splits, refusals, and a network that grows on one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import paperzoo
from paperzoo.data import datasets
from paperzoo.data.datasets import dataset as load
from paperzoo.data.images.pyramid import Levels, at_side, shrunk
from paperzoo.errors import PaperzooError


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))
    datasets._build.cache_clear()
    yield
    datasets._build.cache_clear()


def pictures(folder: Path, number: int = 30, side: int = 16, seed: int = 0) -> Path:
    random = np.random.default_rng(seed)
    for i in range(number):
        place = folder / f"{i // 10:05}"  # as FFHQ's thousands: no classes
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (side, side, 3), np.uint8)).save(place / f"{i:05}.png")
    return folder


def test_levels_are_means_of_the_pixels_of_the_largest(tmp_path: Path) -> None:
    data = load(f"pyramid:{pictures(tmp_path / 'p')}", image_size=16)
    assert data.schema.fields == ("image",) and sum(map(len, data.splits.values())) == 30
    top = data["train"].batch([3, 0]).image
    assert top.shape == (2, 3, 16, 16)
    for side in (4, 8, 16):
        small = at_side(data, side)["train"].batch([3, 0]).image
        means = torch.nn.functional.avg_pool2d(top.double(), 16 // side)
        assert small.shape == (2, 3, side, side) and (small - means).abs().max() <= 0.5001 / 255


def test_half_a_step_is_rounded_up() -> None:
    assert shrunk(np.array([[[0, 1], [0, 1]]], np.uint8), 1).item() == 1
    blocks = np.arange(16, dtype=np.uint8).reshape(1, 4, 4)
    assert shrunk(blocks, 2).tolist() == [[[3, 5], [11, 13]]]  # means 2.5, 4.5, 10.5, 12.5


def test_the_largest_level_is_what_a_folder_gives_and_a_picture_is_found_where_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    for i in range(20):
        Image.new("RGB", (24, 20), (10 * i, 0, 255 - 10 * i)).save(folder / f"{i}.png")
    mine, plain = load(f"pyramid:{folder}", image_size=16), load(f"folder:{folder}", image_size=16)
    for split in ("train", "validation", "test"):
        every = range(len(plain[split]))
        assert torch.equal(mine[split].batch(every).image, plain[split].batch(every).image)


def test_mirrored_copies_follow_those_to_train_on_only(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "p")
    plain, double = (load(f"pyramid:{folder}{more}", image_size=16) for more in ("", "#mirror=true"))
    number = len(plain["train"])
    assert len(double["train"]) == 2 * number and len(double["test"]) == len(plain["test"])
    first, second = double["train"].batch([2, 2 + number]).image
    assert torch.equal(second, first.flip(2)) and not torch.equal(second, first)
    assert torch.equal(first, plain["train"].batch([2]).image[0])
    assert torch.equal(at_side(double, 4)["train"].batch([2 + number]).image, at_side(plain, 4)["train"].batch([2]).image.flip(3))


def test_it_is_prepared_once_and_mapped_and_a_changed_folder_is_prepared_again(tmp_path: Path, monkeypatch: Any) -> None:
    from paperzoo.data.images import pyramid

    made: list[int] = []
    real = pyramid._levels
    monkeypatch.setattr(pyramid, "_levels", lambda *given: made.append(1) or real(*given))
    folder = pictures(tmp_path / "p")
    for _ in range(2):
        datasets._build.cache_clear()
        column = load(f"pyramid:{folder}", image_size=16)["train"].columns[0]
        assert isinstance(column, Levels) and all(isinstance(level, np.memmap) for level in column.levels.values())
    assert len(made) == 1
    pictures(folder, 3, seed=1)
    datasets._build.cache_clear()
    load(f"pyramid:{folder}", image_size=16)
    assert len(made) == 2


@pytest.mark.parametrize(
    ("asked", "size", "said"),
    [
        ("", 48, "4|8, 16, 32, 64, 128, 256, 512, 1024, and 1 or 3 channels, not 48x48"),
        ("#mirror=perhaps", 16, "mirror"),
        ("#size=3", 16, "option"),
    ],
)
def test_what_is_refused(tmp_path: Path, asked: str, size: int, said: str) -> None:
    with pytest.raises(PaperzooError, match=said):
        load(f"pyramid:{pictures(tmp_path / 'p', 3)}{asked}", image_size=size)


def test_pictures_smaller_than_the_last_level_are_named(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "p", 12)
    Image.new("RGB", (40, 9)).save(folder / "low.png")
    Image.new("RGB", (15, 40)).save(folder / "narrow.png")
    with pytest.raises(PaperzooError, match=r"2 of 14 pictures in .* are smaller than 16x16: low.png, narrow.png; set model.image_size=8"):
        load(f"pyramid:{folder}", image_size=16)
    with pytest.raises(PaperzooError, match="has no pictures"):
        (tmp_path / "none").mkdir()
        load(f"pyramid:{tmp_path / 'none'}", image_size=16)


def test_a_file_that_cannot_be_read_is_left_out_and_said(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "p")
    (folder / "00000" / "00003.png").write_bytes((folder / "00000" / "00003.png").read_bytes()[:90])
    with pytest.warns(UserWarning, match=r"1 of 30 images .*00003.png"):
        data = load(f"pyramid:{folder}", image_size=16)
    assert sum(map(len, data.splits.values())) == 29
    datasets._build.cache_clear()
    with pytest.raises(PaperzooError, match="1 of 30"):  # also when the levels are there already
        load(f"pyramid:{folder}", image_size=16, strict=True)


def test_a_network_that_grows_reads_each_level_at_its_side(tmp_path: Path, monkeypatch: Any) -> None:
    seen: list[tuple[int, int]] = []
    real = Levels.take

    def take(self: Levels, indices: np.ndarray) -> dict[str, Any]:
        seen.append((self.side, len(indices)))
        return real(self, indices)

    folder, stages = pictures(tmp_path / "p", side=16), ["4", "8 fading", "8", "16 fading", "16"]
    small = dict(batch_size=6, judge="", **{"model.image_size": 16, "model.width": 8, "model.most": 64, "model.latent": 4})
    import dataclasses

    from paperzoo import catalog
    from paperzoo.records import Stage

    entry = catalog.load("progan")
    recipe = entry.paper.recipes["smoke"].but(stages=tuple(Stage(name, 2) for name in stages), steps=10)
    monkeypatch.setitem(entry.paper.recipes, "staged", dataclasses.replace(recipe))
    monkeypatch.setattr(Levels, "take", take)
    run = paperzoo.train("progan", recipe="staged", data=f"pyramid:{folder}#mirror=true", out=tmp_path / "runs", overrides=small)
    assert run.metrics
    steps = [side for side, number in seen if number == 6]
    assert [steps.count(side) for side in (4, 8)] == [2, 4] and steps.count(16) >= 4


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="space cannot be asked for here")
def test_a_disk_that_is_too_small_is_said_before_it_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is mapped and has no place on the disk ends the process when it is written to, by SIGBUS."""

    def full(file: int, start: int, length: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(PaperzooError, match=r"tmp has no room for .* MB of pictures: No space left on device; set TMPDIR"):
        load(f"pyramid:{pictures(tmp_path / 'p')}", image_size=16)
    assert not list((tmp_path / "tmp").iterdir()) and not [p for p in (tmp_path / "cache" / "prepared").iterdir() if p.is_dir()]
