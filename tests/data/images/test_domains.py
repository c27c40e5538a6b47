"""The user's own pictures in two domains: layouts, splits, and what is wrong with them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.files import picture
from PIL import Image

from paperzoo.data import Dataset, datasets
from paperzoo.data.datasets import absolute, check_name, dataset, parse
from paperzoo.data.fetch.fingerprint import fingerprint
from paperzoo.data.images import folders
from paperzoo.data.images.domains import image_pairs, unpaired_images
from paperzoo.errors import PaperzooError


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    datasets._build.cache_clear()
    yield
    datasets._build.cache_clear()


def colour(i: int, domain: int) -> tuple[int, int, int]:
    return (10 * i, 200 * domain, 100)


def halves(path: Path, i: int, size: tuple[int, int] = (24, 12), **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", size, colour(i, 0))
    image.paste(colour(i, 1), (size[0] // 2, 0, size[0], size[1]))
    image.save(path, **options)
    return path


def two_folders(a: Path, b: Path, numbers: Any = range(12), ending: str = "png") -> None:
    for i in numbers:
        picture(a / f"{i}.png", colour(i, 0), (12, 12))
        picture(b / f"{i}.{ending}", colour(i, 1), (12, 12))


def numbers(split: Any, field: str = "image_a") -> list[int]:
    batch = split.batch(range(len(split)))
    return (getattr(batch, field)[:, 0].mean((1, 2)) * 25.5).round().int().tolist()


def check(built: Dataset, turned: bool = False) -> list[int]:
    """Every pair is one; gives all numbers."""
    found = []
    for split in built.splits.values():
        batch = split.batch(range(len(split)))
        a, b = (batch.image_b, batch.image_a) if turned else (batch.image_a, batch.image_b)
        assert a[:, 1].eq(0).all() and b[:, 1].mul(255).round().eq(200).all()
        assert numbers(split) == numbers(split, "image_b")
        found += numbers(split)
    return sorted(found)


def said(make: Any) -> tuple[Any, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        built = make()
    return built, [str(one.message) for one in caught]


# Pairs ---------------------------------------------------------------------------------------------------------------


def test_side_by_side(tmp_path: Path) -> None:
    for i in range(20):
        halves(tmp_path / f"{i}.png", i)
    built, warned = said(lambda: image_pairs(tmp_path, image_size=8))
    assert check(built) == list(range(20)) and set(built.splits) == {"train", "validation", "test"} and not warned
    assert built["train"][0].image_a.shape == (3, 8, 8) and built.schema.picture is not None
    turned = image_pairs(tmp_path, "direction=BtoA", image_size=8)
    assert check(turned, turned=True) == list(range(20)) and turned.schema.arguments["domains"] == ("B", "A")
    with pytest.raises(PaperzooError, match=r"unknown direction 'btoa' of .*: did you mean BtoA"):
        image_pairs(tmp_path, "direction=btoa")


def test_given_splits_stay(tmp_path: Path) -> None:
    for split, items in {"train": range(8), "val": range(8, 11), "test": range(11, 15)}.items():
        for i in items:
            halves(tmp_path / split / f"{i}.png", i)
    built = image_pairs(tmp_path, image_size=8)
    check(built)
    assert [sorted(numbers(built[s])) for s in ("train", "validation", "test")] == [[*range(8)], [8, 9, 10], [11, 12, 13, 14]]


def test_folders_a_and_b(tmp_path: Path) -> None:
    two_folders(tmp_path / "one" / "A", tmp_path / "one" / "B", ending="bmp")  # suffixes may differ
    assert check(image_pairs(tmp_path / "one", image_size=8)) == list(range(12))
    for split, items in {"train": range(6), "test": range(6, 9)}.items():
        two_folders(tmp_path / "two" / "A" / split, tmp_path / "two" / "B" / split, items)
        two_folders(tmp_path / "three" / split / "a", tmp_path / "three" / split / "b", items)
    for name in ("two", "three"):
        built = image_pairs(tmp_path / name, image_size=8)
        check(built)
        assert sorted(numbers(built["test"])) == [6, 7, 8] and len(built["train"]) + len(built["validation"]) == 6


def test_partners_that_are_missing_are_named(tmp_path: Path) -> None:
    two_folders(tmp_path / "A", tmp_path / "B")
    for i in range(7):
        picture(tmp_path / "A" / f"only{i}.png")
    picture(tmp_path / "B" / "other.png")
    built, warned = said(lambda: image_pairs(tmp_path, image_size=8))
    (text,) = warned
    five = ", ".join(f"A/only{i}.png" for i in range(5))
    assert f"7 pictures without a partner of the same name in B: {five}, ..." in text
    assert "1 pictures without a partner of the same name in A: B/other.png" in text and check(built) == list(range(12))
    with pytest.raises(PaperzooError, match="without a partner"):
        image_pairs(tmp_path, strict=True)


def test_no_partner_at_all(tmp_path: Path) -> None:
    picture(tmp_path / "A" / "x.png")
    picture(tmp_path / "B" / "y.png")
    with pytest.raises(PaperzooError, match=r"no picture in .*A has the name of one in .*B: they are x and y"):
        image_pairs(tmp_path)
    (tmp_path / "A" / "x.png").unlink()
    with pytest.raises(PaperzooError, match="domain A is empty"):
        image_pairs(tmp_path)
    with pytest.raises(PaperzooError, match="has no pictures of two halves, and no folders A and B"):
        (tmp_path / "none").mkdir()
        image_pairs(tmp_path / "none")
    picture(tmp_path / "half" / "A" / "x.png")
    with pytest.raises(PaperzooError, match="has a folder A without its B"):
        image_pairs(tmp_path / "half")
    two_folders(tmp_path / "twice" / "A", tmp_path / "twice" / "B")
    picture(tmp_path / "twice" / "A" / "3.bmp")
    with pytest.raises(PaperzooError, match=r"has 3.bmp and 3.png: which of them"):
        image_pairs(tmp_path / "twice")


def test_halves_of_other_shapes_and_odd_widths_are_left_out_by_name(tmp_path: Path) -> None:
    two_folders(tmp_path / "two" / "A", tmp_path / "two" / "B")
    picture(tmp_path / "two" / "A" / "3.png", colour(3, 0), (30, 12))
    picture(tmp_path / "two" / "A" / "4.png", colour(4, 0), (36, 36))  # larger, of the same shape
    built, (text,) = said(lambda: image_pairs(tmp_path / "two", image_size=8))
    assert "A/3.png (it has 30x12 pixels, but its partner 12x12, another shape)" in text and "1 of 12" in text
    assert check(built) == [i for i in range(12) if i != 3]
    for i in range(8):
        halves(tmp_path / "one" / f"{i}.png", i)
    halves(tmp_path / "one" / "8.png", 8, (25, 12))
    built, (text,) = said(lambda: image_pairs(tmp_path / "one", image_size=8))
    assert "1 of 9 images" in text and "8.png (its width of 25 pixels has no two equal halves)" in text
    assert check(built) == list(range(8))
    with pytest.raises(PaperzooError, match="no two equal halves"):
        image_pairs(tmp_path / "one", strict=True)
    for i in range(8):
        halves(tmp_path / "one" / f"{i}.png", i, (25, 12))
    with pytest.raises(PaperzooError, match="9 of 9 images"):
        image_pairs(tmp_path / "one")


def test_a_turned_picture_fits_its_partner(tmp_path: Path) -> None:
    two_folders(tmp_path / "A", tmp_path / "B")
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    Image.new("RGB", (20, 10), (30, 0, 100)).save(tmp_path / "A" / "3.png", exif=exif)
    picture(tmp_path / "B" / "3.png", colour(3, 1), (10, 20))
    built, warned = said(lambda: image_pairs(tmp_path, image_size=8))
    assert not warned and check(built) == list(range(12))


def test_grey_colour_and_alpha(tmp_path: Path) -> None:
    two_folders(tmp_path / "A", tmp_path / "B")
    picture(tmp_path / "A" / "5.png", 0, (12, 12), "L")
    picture(tmp_path / "A" / "6.png", (60, 0, 100, 0), (12, 12), "RGBA")
    built = image_pairs(tmp_path, image_size=8)
    assert built.schema.arguments["channels"] == 3
    every = [built[s][i] for s in built.splits for i in range(len(built[s]))]
    assert sum(bool(item.image_a.eq(1).all()) for item in every) == 1  # transparent: on white
    assert sum(bool(item.image_a.eq(0).all()) for item in every) == 1
    for i in range(8):
        picture(tmp_path / "grey" / f"{i}.png", 10 * i, (24, 12), "L")
    assert image_pairs(tmp_path / "grey").schema.arguments["channels"] == 1
    assert image_pairs(tmp_path / "grey", channels=3)["train"][0].image_b.shape == (3, 64, 64)


def test_equal_files_stay_in_one_split(tmp_path: Path) -> None:
    for i in range(60):
        picture(tmp_path / "A" / f"{i:02d}.png", (4 * i, 0, 100), (12, 12))
        picture(tmp_path / "B" / f"{i:02d}.png", (4 * (i // 3), 200, 100), (12, 12))  # three of one B
    built, warned = said(lambda: image_pairs(tmp_path, image_size=8))
    assert any("copies" in text or "different ones" in text for text in warned)
    of = [set((s.batch(range(len(s))).image_b[:, 0, 0, 0] * 255 / 4).round().int().tolist()) for s in built.splits.values()]
    assert not of[0] & of[1] and not of[0] & of[2] and not of[1] & of[2] and sum(map(len, of)) == 20


def test_one_pair_is_too_few(tmp_path: Path) -> None:
    halves(tmp_path / "1.png", 1)
    with pytest.raises(PaperzooError, match="has one pair only"):
        image_pairs(tmp_path)


def test_large_sets_are_decoded_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(12):
        halves(tmp_path / "pairs" / f"{i}.png", i)
    two_folders(tmp_path / "A", tmp_path / "B")
    kept = [image_pairs(tmp_path / "pairs", image_size=8), unpaired_images(Path(f"{tmp_path}/A,{tmp_path}/B"), 8)]
    monkeypatch.setattr(folders, "LARGE", 100)
    lazy = [image_pairs(tmp_path / "pairs", image_size=8), unpaired_images(Path(f"{tmp_path}/A,{tmp_path}/B"), 8)]
    for one, other in zip(kept, lazy, strict=True):
        for split in one.splits:
            a, b = (d[split].batch(range(len(d[split]))) for d in (one, other))
            assert torch.equal(a.image_a, b.image_a) and torch.equal(a.image_b, b.image_b)
    assert type(lazy[0]["train"].columns[0]).__name__ == "ImageFiles"


def test_pairs_is_read_by_what_lies_there(tmp_path: Path) -> None:
    for i in range(8):
        halves(tmp_path / "mine" / f"{i}.png", i)
    built = dataset(f"pairs:{tmp_path}/mine", image_size=8)
    assert built.schema.fields == ("image_a", "image_b") and built.name == f"pairs:{tmp_path}/mine"
    turned = dataset(f"pairs:{tmp_path}/mine#direction=BtoA", image_size=8)
    assert torch.equal(turned["train"][0].image_b, built["train"][0].image_a)
    (tmp_path / "text").mkdir()
    for language in ("pt", "en"):
        (tmp_path / "text" / f"train.{language}").write_text("\n".join(f"{language} word{i} here" for i in range(200)), "utf-8")
    assert dataset(f"pairs:{tmp_path}/text#source=pt&target=en").schema.fields[0] == "source"
    two_folders(tmp_path / "u" / "trainA", tmp_path / "u" / "trainB")
    with pytest.raises(PaperzooError, match="two domains without pairs: --data 'unpaired:"):
        dataset(f"pairs:{tmp_path}/u")


# Unpaired ------------------------------------------------------------------------------------------------------------


def kinds(root: Path, name: str, count: int, domain: int) -> None:
    for i in range(count):
        picture(root / name / f"{i}.png", colour(i, domain), (12 + 2 * domain, 12))


def test_two_folders_of_ones_own(tmp_path: Path) -> None:
    kinds(tmp_path, "cats", 20, 0)
    kinds(tmp_path, "dogs", 12, 1)
    name = f"unpaired:{tmp_path}/cats,{tmp_path}/dogs"
    built = dataset(name, image_size=8)
    assert built.schema.arguments["domains"] == ("cats", "dogs") and built.schema.arguments["paired"] == ()
    lengths = np.array([split.lengths for split in built.splits.values()])
    assert lengths.sum(0).tolist() == [20, 12] and set(built.splits) == {"train", "validation", "test"}
    batch = built["train"].batch(np.array([[0, 1], [2, 0]]))
    assert batch.image_a[:, 1].eq(0).all() and batch.image_b[:, 1].mul(255).round().eq(200).all()
    assert parse(name).places == (f"{tmp_path}/cats", f"{tmp_path}/dogs") and parse(name).short == "unpaired:cats,dogs"


def test_two_places_in_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    kinds(tmp_path, "a,b", 3, 0)
    kinds(tmp_path, "c@2", 3, 1)
    assert parse("unpaired:a,b,c@2").places == ("a,b", "c@2") and parse("unpaired:a,b").places == ("a,b",)
    assert absolute("unpaired:a,b,c@2") == f"unpaired:{tmp_path}/a,b,{tmp_path}/c@2"
    assert absolute("unpaired:x,~/y").endswith(f"{Path('~/y').expanduser()}")
    own = parse(absolute("unpaired:a,b,c@2")).path
    assert own is not None and sorted(fingerprint(own)) == [f"{d}/{i}.png" for d in "AB" for i in range(3)]
    before = fingerprint(own)
    picture(tmp_path / "c@2" / "0.png", (1, 2, 3))
    assert {k for k, v in fingerprint(own).items() if before[k] != v} == {"B/0.png"}
    with pytest.raises(PaperzooError, match="there is no nothing"):
        check_name("unpaired:c@2,nothing")
    assert parse("folder:a,b").places == ("a,b",) and parse("mnist").places == ()
    assert parse("unpaired:cats,dogs").slug == "unpaired-cats-dogs" and parse("emoji-pairs:noto>twemoji").slug == "emoji-pairs-noto-twemoji"


def test_one_folder_of_two_domains(tmp_path: Path) -> None:
    for name, count, domain in (("trainA", 9, 0), ("trainB", 7, 1), ("testA", 3, 0), ("testB", 2, 1)):
        kinds(tmp_path / "horses", name, count, domain)
    built = unpaired_images(tmp_path / "horses", 8)
    assert built["test"].lengths == (3, 2)
    assert [sum(x) for x in zip(built["train"].lengths, built["validation"].lengths, strict=True)] == [9, 7]
    for root in ("A/B", "split"):
        for i, domain in enumerate("AB"):
            kinds(tmp_path / "x", domain, 6 + i, i)
            kinds(tmp_path / "split" / "train", domain, 6 + i, i)
        found = unpaired_images(tmp_path / ("x" if root == "A/B" else "split"), 8)
        assert np.array([s.lengths for s in found.splits.values()]).sum(0).tolist() == [6, 7]


def test_domains_that_are_empty_or_have_one_picture(tmp_path: Path) -> None:
    kinds(tmp_path, "cats", 5, 0)
    (tmp_path / "dogs").mkdir()
    both = Path(f"{tmp_path}/cats,{tmp_path}/dogs")
    with pytest.raises(PaperzooError, match=r"domain dogs is empty: .*dogs has no pictures"):
        unpaired_images(both)
    kinds(tmp_path, "dogs", 1, 1)
    with pytest.raises(PaperzooError, match="domain dogs has one picture only"):
        unpaired_images(both)
    kinds(tmp_path / "h", "trainA", 5, 0)
    with pytest.raises(PaperzooError, match=r"has no trainB: it takes trainA and trainB .*; it has: trainA"):
        unpaired_images(tmp_path / "h")
    with pytest.raises(PaperzooError, match="does not hold two domains"):
        unpaired_images(tmp_path / "cats")


def test_what_unpaired_folders_leave_out_is_said(tmp_path: Path) -> None:
    kinds(tmp_path, "cats", 20, 0)
    kinds(tmp_path, "dogs", 20, 1)
    (tmp_path / "dogs" / "3.png").write_text("no picture")
    (tmp_path / "cats" / "raw.heic").touch()
    (tmp_path / "dogs" / "cat.png").write_bytes((tmp_path / "cats" / "7.png").read_bytes())
    both = Path(f"{tmp_path}/cats,{tmp_path}/dogs")
    built, warned = said(lambda: unpaired_images(both, 8))
    assert any("raw.heic" in text for text in warned) and any("1 of 41 images" in text and "3.png" in text for text in warned)
    assert any("1 pictures are the same in both domains (7.png and cat.png)" in text for text in warned)
    assert np.array([s.lengths for s in built.splits.values()]).sum(0).tolist() == [20, 20]
    with pytest.raises(PaperzooError, match=r"raw.heic"):
        unpaired_images(both, strict=True)


def test_the_papers_own_sets_are_read_from_their_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path))
    for split, items, first in (("train", 4, 0), ("val", 2, 100), ("test", 2, 150)):
        for index in range(items):
            both = np.concatenate([np.full((8, 8, 3), 200, np.uint8), np.full((8, 8, 3), first + 10 * index, np.uint8)], 1)
            place = tmp_path / "sources" / "facades" / split / f"{split}{index}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(both).save(place)
    built = dataset("facades", image_size=8)
    assert {name: len(split) for name, split in built.splits.items()} == {"train": 4, "validation": 2, "test": 2}
    assert built.schema.arguments["domains"] == ("labels", "facades") and built.name == "facades"
    batch = built["train"].batch(range(4))
    assert (batch.image_b * 255 == 200).all() and (batch.image_a * 255).amax((1, 2, 3)).tolist() == [0, 10, 20, 30]  # labels lie right
    for domain, level in (("A", 50), ("B", 90)):
        for index in range(3 if domain == "A" else 5):
            place = tmp_path / "sources" / "horse2zebra" / f"train{domain}" / f"{index}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((8, 8, 3), level + index, np.uint8)).save(place)
    built = dataset("horse2zebra", image_size=8)
    assert built.schema.arguments["domains"] == ("horses", "zebras") and not built.schema.arguments["paired"]
    assert (built["train"].batch(range(2)).image_b * 255 >= 90).all()
