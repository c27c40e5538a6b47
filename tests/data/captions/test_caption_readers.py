"""Files of captions as they are given out, the user's own, and what is wrong with such files."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures.files import picture, quietly

from paperzoo.data import Dataset, datasets
from paperzoo.data.captions.folder import caption_folder
from paperzoo.data.captions.readers import find, read
from paperzoo.data.captions.words import SPECIAL
from paperzoo.data.datasets import dataset
from paperzoo.data.images import folders
from paperzoo.errors import PaperzooError

WORDS = ("dog", "cat", "cow", "hen")


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    datasets._build.cache_clear()
    yield
    datasets._build.cache_clear()


def texts(i: int, each: int = 2) -> list[str]:
    return [f"A {WORDS[i % 4]} number {i}, seen {('once', 'twice', 'thrice', 'often', 'always')[k]}." for k in range(each)]


def pictures(root: Path, count: int = 20, deep: str = "", first: int = 0) -> Path:
    """Picture i has the red 10 i."""
    for i in range(first, first + count):
        picture(root / deep / f"{i:03d}.png", (10 * i, 0, 100), (12, 12))
    return root


def write(path: Path, *rows: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n", "utf-8")
    return path


def own_csv(root: Path, count: int = 20, name: str = "mine.csv") -> Path:
    write(root / name, "file,caption", *(f'{i:03d}.png,"{text}"' for i in range(count) for text in texts(i)))
    return root


def check(built: Dataset, each: int = 2) -> list[int]:
    """Each picture has its own captions, as text and as numbers; gives the pictures' numbers."""
    found, vocabulary = [], built.schema.arguments["vocabulary"]
    for split in built.splits.values():
        batch = split.batch(range(len(split)))
        assert batch.captions.shape[:2] == (len(split), each)
        for image, rows, own in zip(batch.image, batch.captions.tolist(), batch.texts, strict=True):
            number = round(float(image[0, 0, 0]) * 25.5)
            assert list(own) == texts(number, each)
            known = {word for row in rows for word in (vocabulary[n] for n in row)}
            assert known & {WORDS[number % 4], "<unknown>"} and rows[0][0] == 1 and 2 in rows[0]
            found.append(number)
    return sorted(found)


# Published ----------------------------------------------------------------------------------------------------------


def flickr8k(root: Path, ending: str = ".token.txt") -> Path:
    pictures(root, 18, "Flicker8k_Dataset")
    write(root / f"Flickr8k{ending}", *(f"{i:03d}.png#{k}\t{text}" for i in range(18) for k, text in enumerate(texts(i))))
    for name, chosen in {"train": range(10), "dev": range(10, 13), "test": range(13, 17)}.items():
        write(root / f"Flickr_8k.{name}Images.txt", *(f"{i:03d}.png" for i in chosen))
    return root


def karpathy(path: Path, count: int = 20, filepath: str = "") -> Path:
    parts = ("train", "restval", "val", "test")
    images = [
        {"filename": f"{i:03d}.png", "split": parts[i % 4], "sentences": [{"raw": t, "tokens": []} for t in texts(i)], "imgid": i}
        | ({"filepath": filepath} if filepath else {})
        for i in range(count)
    ]
    return write(path, json.dumps({"images": images, "dataset": "flickr8k"}))


def coco(path: Path, numbers: range, **changes: Any) -> Path:
    whole = {
        "info": {},
        "images": [{"id": 1000 + i, "file_name": f"{i:03d}.png"} for i in numbers],
        "annotations": [{"image_id": 1000 + i, "id": 2 * i, "caption": f"{t}\n"} for k in range(2) for i in numbers for t in [texts(i)[k]]],
        **changes,
    }
    return write(path, json.dumps({key: value for key, value in whole.items() if value is not None}))


def test_flickr8k_with_its_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path))
    root = flickr8k(tmp_path / "sources" / "flickr8k")
    with pytest.warns(UserWarning, match=r"1 pictures in none of the lists of splits: .*017.png. They are left out"):
        built = dataset("flickr8k", image_size=8)
    assert check(built) == list(range(17)) and not built.pictures and "research only" in built.licence
    assert [len(built[s]) for s in ("train", "validation", "test")] == [10, 3, 4]
    counts = {word: sum(t.lower().count(word) for i in range(10) for t in texts(i)) for word in ("dog", "cat", "cow", "often")}
    assert counts == {"dog": 6, "cat": 6, "cow": 4, "often": 0}  # fewer than five times: not in the vocabulary
    assert set(built.schema.arguments["vocabulary"]) == {*SPECIAL, "a", "number", "seen", "once", "twice", "dog", "cat"}
    (root / "Flickr_8k.devImages.txt").unlink()
    with pytest.raises(PaperzooError, match=r"has Flickr_8k.trainImages.txt, Flickr_8k.testImages.txt, but lacks Flickr_8k.devImages.txt"):
        find(root)
    write(root / "Flickr_8k.devImages.txt", "003.png")
    with pytest.raises(PaperzooError, match=r"devImages.txt: 003.png stands in Flickr_8k.trainImages.txt as well"):
        find(root)


def test_flickr30k_in_both_of_its_forms(tmp_path: Path) -> None:
    bars = [f"{i:03d}.png| {k}| {text}" for i in range(20) for k, text in enumerate(texts(i))]
    bars[7] = bars[7].replace("| 1| ", "| 1   ")  # as in a row of the file that is passed around
    results = write(pictures(tmp_path / "a", deep="flickr30k_images") / "results.csv", "image_name| comment_number| comment", *bars)
    marks = write(tmp_path / "b" / "results_20130124.token", *(f"{i:03d}.png#{k}\t{t}" for i in range(20) for k, t in enumerate(texts(i))))
    for file in (results, marks):
        assert {name: list(own) for name, own in read(file).captions.items()} == {f"{i:03d}.png": texts(i) for i in range(20)}
    built = quietly(lambda: caption_folder(tmp_path / "a", image_size=8))
    assert check(built) == list(range(20)) and all(len(built[s]) for s in ("train", "validation", "test"))
    with pytest.raises(PaperzooError, match=r"results.csv, line 2: 'no bars' is no name\| number\| caption"):
        read(write(results, "image_name| comment_number| comment", "no bars"))


@pytest.mark.parametrize("filepath", ["", "val2014"])
def test_karpathys_splits(filepath: str, tmp_path: Path) -> None:
    karpathy(pictures(tmp_path, deep="images/val2014") / "dataset_coco.json", filepath=filepath)
    write(tmp_path / "other.csv", "file,caption", "000.png,not taken")
    built = quietly(lambda: caption_folder(tmp_path, image_size=8))
    assert check(built) == list(range(20)) and [len(built[s]) for s in ("train", "validation", "test")] == [10, 5, 5]


def test_cocos_annotations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path))
    root = tmp_path / "sources" / "coco-captions"
    pictures(pictures(root, 16, "train2014"), 4, "val2014", 16)
    coco(root / "annotations" / "captions_train2014.json", range(16))
    coco(root / "annotations" / "captions_val2014.json", range(16, 20))
    built = quietly(lambda: dataset("coco-captions", image_size=8))
    assert check(built) == list(range(20)) and len(built["test"]) == 4 and len(built["validation"]) in (1, 2)
    assert built.schema.arguments["longest"] == 8 and built.schema.picture is not None and built.schema.picture.side == 8


def birds(root: Path, flat: bool = False) -> Path:
    """20 pictures in ten classes, with four captions each: five classes to train on, two for validation, three for the test."""
    for i in range(20):
        kind = f"{i // 2 + 1:03d}.Bird"
        picture(root / ("jpg" if flat else f"CUB_200_2011/images/{kind}") / f"Bird_{i:04d}.jpg", (10 * i, 0, 100), (12, 12), quality=100)
        write(root / "text_c10" / kind / f"Bird_{i:04d}.txt", *texts(i), *texts(i), "")
    for name, classes in {"train": range(1, 6), "val": range(6, 8), "test": range(8, 11)}.items():
        write(root / f"{name}classes.txt", *(f"{k:03d}.Bird" for k in classes))
    return root


@pytest.mark.parametrize("name", ["cub-captions", "oxford-102-captions"])
def test_birds_and_flowers_of_classes_never_seen(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path))
    birds(tmp_path / "sources" / name, flat=name.startswith("oxford"))
    built = quietly(lambda: dataset(name, image_size=8))
    assert [len(built[s]) for s in ("train", "validation", "test")] == [10, 4, 6] and not built.pictures
    for split, numbers in (("train", range(10)), ("validation", range(10, 14)), ("test", range(14, 20))):
        batch = built[split].batch(range(len(numbers)))
        assert [list(own) for own in batch.texts] == [[*texts(i), *texts(i)] for i in numbers]
        assert [round(float(x) * 25.5) for x in batch.image[:, 0].mean((1, 2))] == list(numbers)
        assert batch.captions.shape[:2] == (len(numbers), 4)


def test_captions_beside_pictures_that_are_wrong(tmp_path: Path) -> None:
    root = birds(tmp_path)
    write(root / "valclasses.txt", "006.Bird", "005.Bird")
    with pytest.raises(PaperzooError, match=r"valclasses.txt: 005.Bird stands in trainclasses.txt as well"):
        find(root)
    write(root / "valclasses.txt", "006.Bird")
    with pytest.raises(PaperzooError, match=r"text_c10 has the class 007.Bird, which is in none of trainclasses.txt, valclasses.txt"):
        find(root)
    write(root / "valclasses.txt", "006.Bird", "007.Bird")
    write(root / "text_c10" / "010.Bird" / "Bird_0000.txt", "again")
    with pytest.raises(PaperzooError, match=r"two files Bird_0000.txt, the second in 010.Bird"):
        find(root)
    (root / "testclasses.txt").unlink()
    with pytest.raises(PaperzooError, match=r"has text_c10, but lacks the lists of classes testclasses.txt; it has: .*trainclasses.txt"):
        find(root)
    write(tmp_path / "none" / "text_c10" / "note.txt", "nothing")
    for name in ("train", "val", "test"):
        write(tmp_path / "none" / f"{name}classes.txt", f"{name}.Bird")
    with pytest.raises(PaperzooError, match="text_c10 has no captions"):
        find(tmp_path / "none")


# The user's own ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_a_table_of_ones_own(mark: str, tmp_path: Path) -> None:
    parts = {i: ("test" if i < 4 else "val" if i < 7 else "train") for i in range(20)}
    quoted = '"{}"' if mark == "," else "{}"
    rows = [mark.join((f"pics/{i:03d}.png", quoted.format(t), parts[i])) for i in range(20) for t in texts(i)]
    write(pictures(tmp_path, deep="pics") / "mine.csv", mark.join(("File", "Caption", "Split")), *rows)
    built = quietly(lambda: dataset(f"captions:{tmp_path}", image_size=8))
    assert check(built) == list(range(20)) and [len(built[s]) for s in ("train", "validation", "test")] == [13, 3, 4]
    assert "thrice" not in built.schema.arguments["vocabulary"] and "hen" in built.schema.arguments["vocabulary"]


def test_json_lines_with_one_caption_or_several(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"file": f"{i:03d}.png", "caption": texts(i)} for i in range(10)]
    rows += [{"file": f"{i:03d}.png", "caption": t, "split": "test"} for i in range(10, 20) for t in texts(i)]
    write(pictures(tmp_path) / "mine.jsonl", *map(json.dumps, rows))
    built = quietly(lambda: caption_folder(tmp_path, image_size=8))
    assert check(built) == list(range(20)) and len(built["test"]) == 10 and len(built["train"]) + len(built["validation"]) == 10


def test_splits_are_by_picture_and_the_vocabulary_is_that_of_training(tmp_path: Path) -> None:
    root = own_csv(pictures(tmp_path, 25), 25)
    built = quietly(lambda: caption_folder(root, image_size=8))
    assert check(built) == list(range(25))
    seen = {t for split in ("train",) for own in built[split].batch(range(len(built[split]))).texts for t in own}
    numbers = {word for text in seen for word in text.lower().replace(",", "").replace(".", "").split()}
    assert set(built.schema.arguments["vocabulary"]) == {*SPECIAL, *numbers}
    assert built.schema.arguments["examples"] == tuple(own[0] for own in built["train"].batch(range(16)).texts)
    few = quietly(lambda: caption_folder(root, "least=3", image_size=8))
    assert set(few.schema.arguments["vocabulary"]) == {*SPECIAL, "a", "number", "seen", "once", "twice", *WORDS}
    assert int((few["train"].batch([0, 1]).captions == 3).sum()) == 4  # the picture's number, in each of four captions


def test_equal_files_stay_in_one_split(tmp_path: Path) -> None:
    root = own_csv(pictures(tmp_path, 24), 24)
    for i in range(0, 24, 2):
        (root / f"{i + 1:03d}.png").write_bytes((root / f"{i:03d}.png").read_bytes())
    with pytest.warns(UserWarning, match="the 24 files of .* hold 12 different ones; copies"):
        built = caption_folder(root, image_size=8)
    shades = [{round(float(x) * 25.5) for x in built[s].batch(range(len(built[s]))).image[:, 0, 0, 0]} for s in built.splits]
    assert sum(map(len, shades)) == 12 and sum(len(built[s]) for s in built.splits) == 24


def test_large_sets_are_decoded_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = own_csv(pictures(tmp_path))
    kept = caption_folder(root, image_size=8)
    monkeypatch.setattr(folders, "LARGE", 100)
    lazy = caption_folder(root, image_size=8)
    assert type(lazy["train"].columns[0]).__name__ == "ImageFiles" and check(lazy) == check(kept)
    assert torch.equal(lazy["train"].batch([1, 0]).image, kept["train"].batch([1, 0]).image)


def test_what_is_left_out_is_counted_and_named(tmp_path: Path) -> None:
    root = own_csv(pictures(tmp_path, 20), 22)
    picture(root / "bare.png", (7, 7, 7))
    with (root / "mine.csv").open("a") as file:
        file.write(f'003.png,"{"very " * 60}long"\n004.png,\n')
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        built = caption_folder(root, image_size=8)
    (said,) = [str(one.message) for one in caught]
    assert "2 pictures that captions name and that are not there: 020.png, 021.png" in said
    assert "1 pictures without a caption: bare.png" in said and "1 captions of more than 50 words: 003.png" in said
    assert check(built) == list(range(20)) and built.schema.arguments["longest"] == 8
    with pytest.raises(PaperzooError, match="2 pictures that captions name and that are not there"):
        caption_folder(root, image_size=8, strict=True)
    (root / "bare.png").unlink()
    own_csv(root, 20)
    assert check(quietly(lambda: caption_folder(root, "longest=6", image_size=8))) == list(range(20))  # each has six words
    with pytest.raises(PaperzooError, match="has no caption of 1 to 5 words"):
        caption_folder(root, "longest=5", image_size=8)
    write(root / "mine.csv", "file,caption", "000.png,a dog", "001.png,a dog that is far too long", "002.png,...")
    with pytest.warns(UserWarning, match=r"1 captions of more than 4 words: 001.png") as said_of:
        built = caption_folder(root, "longest=4", image_size=8)
    assert "18 pictures without a caption: 003.png" in str(said_of[0].message) and [len(split) for split in built.splits.values()] == [1]


# What is wrong -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "rows", "says"),
    [
        ("a.csv", ["file,words", "1.png,x"], r"a.csv has no column caption in its first line; it has file, words"),
        ("a.csv", ["picture,caption", "1.png,x"], "has no column file in its first line; it has picture, caption"),
        ("a.csv", ["file,caption", "1.png,a dog, a cat"], r"line 2 has 3 columns, not 2; a caption with commas stands in quotation marks"),
        ("a.csv", ["file,caption", "1.png,x", "2.png"], "line 3 has 1 columns, not 2"),
        ("a.csv", ["file,caption", "1.png, "], "a.csv has no captions"),
        ("a.csv", ["file,caption,split", "1.png,x,tset"], "unknown split 'tset' in .*a.csv, line 2: did you mean test"),
        ("a.csv", ["file,caption,split", "1.png,x,test", "1.png,y,train"], "line 3: 1.png stands in another split in a line before"),
        ("a.jsonl", ['{"file": "1.png", "caption": "x"}', "{nothing"], "a.jsonl, line 2 is no JSON"),
        ("a.jsonl", ['{"file": "1.png", "words": "x"}'], "line 1 lacks the key 'caption'; it has file, words"),
        ("a.jsonl", ['{"caption": "x"}'], "line 1 lacks the key 'file'; it has caption"),
        ("a.jsonl", ['["1.png", "x"]'], "line 1 is no object with the key 'file'"),
        ("a.jsonl", ['{"file": "1.png", "caption": 3}'], "line 1: file is a string, and caption a string or a list"),
        ("a.token", ["1.png#0\tx", "1.png x"], "a.token, line 2: '1.png x' is no name.jpg#0, a tab and a caption"),
        ("a.token.txt", ["1.png\tx"], "line 1: .* is no name.jpg#0"),
        ("a.json", ["[]"], "a.json is no object with the key 'images'"),
        ("a.json", ['{"pictures": []}'], "a.json lacks the key 'images'; it has pictures"),
        ("a.json", ['{"images": [{"id": 1}]}'], "a.json lacks the key 'annotations'; it has images"),
        ("a.json", ['{"images": [{"id": 1}], "annotations": []}'], r"images\[0\] lacks the key 'file_name'; it has id"),
        ("a.json", ['{"images": {}, "annotations": []}'], "a.json: images is no list"),
        ("a.json", ['{"images": [], "annotations": [{"image_id": 1, "caption": "x"}]}'], r"annotations\[0\] is of image_id 1, which no"),
        ("a.json", ['{"images": [{"id": 1, "file_name": "x"}], "annotations": [{"image_id": 1}]}'], r"tions\[0\] lacks the key 'caption'"),
        ("a.json", ['{"images": [{"sentences": [], "filename": "x"}]}'], r"images\[0\] lacks the key 'split'; it has sentences, filename"),
        ("a.json", ['{"images": [{"sentences": [{}], "filename": "x", "split": "val"}]}'], r"ces\[0\] lacks the key 'raw'; it has none"),
        ("a.json", ['{"images": [{"sentences": [], "filename": "x", "split": "tain"}]}'], r"unknown split 'tain' in .*images\[0\]"),
        ("a.json", ["{"], "a.json is no JSON"),
        ("a.xml", ["<x/>"], r"a.xml is no file of captions: that ends in .csv, .tsv, .jsonl"),
    ],
)
def test_files_that_are_wrong(name: str, rows: list[str], says: str, tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match=says):
        read(write(tmp_path / name, *rows))


def test_folders_that_are_wrong(tmp_path: Path) -> None:
    root = pictures(tmp_path / "x", 3)
    with pytest.raises(PaperzooError, match=r"needs one file of captions, .*; it has: 000.png, 001.png, 002.png"):
        caption_folder(root)
    own_csv(root, 3)
    own_csv(root, 3, "other.csv")
    with pytest.raises(PaperzooError, match=r"it has mine.csv, other.csv: say which by #captions=NAME"):
        caption_folder(root)
    assert check(caption_folder(root, "captions=other.csv", image_size=8)) == [0, 1, 2]
    with pytest.raises(PaperzooError, match=r"has no file more.csv; it has: 000.png"):
        caption_folder(root, "captions=more.csv")
    with pytest.raises(PaperzooError, match="unknown option 'leest' of x: did you mean least"):
        caption_folder(root, "leest=2")
    (root / "other.csv").unlink()
    write(root / "mine.csv", "file,caption", "a.png,x", "b.png,y")
    with pytest.raises(PaperzooError, match=r"no caption in .* is of a picture below it: the first is of a.png"):
        caption_folder(root)


def test_names_that_mean_two_pictures_or_the_same(tmp_path: Path) -> None:
    pictures(pictures(tmp_path, 2, "a"), 2, "b")
    write(tmp_path / "mine.csv", "file,caption", "a/000.png,x", "001.png,y")
    with pytest.raises(PaperzooError, match=r"2 pictures called 001.png \(a/001.png, b/001.png\): write their paths to the captions"):
        caption_folder(tmp_path)
    write(tmp_path / "mine.csv", "file,caption", "a/000.png,x", "b/000.png,y")
    with pytest.warns(UserWarning, match=r"2 pictures without a caption: a/001.png, b/001.png"):
        built = caption_folder(tmp_path, image_size=8)
    assert {t for s in built.splits for (t,) in built[s].batch(range(len(built[s]))).texts} == {"x", "y"}
    (tmp_path / "b" / "000.png").unlink()
    write(tmp_path / "mine.csv", "file,caption", "a/000.png,x", "000.png,y")
    with pytest.raises(PaperzooError, match=r"the captions name a/000.png in two ways, a/000.png and 000.png"):
        caption_folder(tmp_path)
