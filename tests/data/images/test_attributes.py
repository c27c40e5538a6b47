"""Pictures with a table of attributes, what is wrong with such tables, and attributes asked for."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from fixtures.files import picture

from paperzoo.data import Dataset, datasets
from paperzoo.data.datasets import dataset
from paperzoo.data.images import folders
from paperzoo.data.images.attributes import asked, attribute_folder, drawn, exclusive
from paperzoo.data.images.avatars import ATTRIBUTES
from paperzoo.errors import PaperzooError

NAMES = ["Black_Hair", "Blond_Hair", "Smiling"]


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    datasets._build.cache_clear()
    yield
    datasets._build.cache_clear()


def values(i: int) -> list[int]:
    return [i % 2, (i + 1) % 2, int(i % 3 == 0)]


def faces(root: Path, count: int = 20, deep: str = "") -> Path:
    """Picture i has the brightness 10 i."""
    for i in range(count):
        picture(root / deep / f"{i:03d}.png", (10 * i, 0, 100), (12, 12))
    return root


def celeba(root: Path, count: int = 20, low: str = "-1", head: bool = True) -> Path:
    rows = [f"{i:03d}.png  " + " ".join("1" if v else low for v in values(i)) for i in range(count)]
    (root / "list_attr_celeba.txt").write_text("\n".join(([str(count)] if head else []) + [" ".join(NAMES), *rows]) + "\n", "utf-8")
    return root


def table(root: Path, rows: list[str], name: str = "faces.csv") -> Path:
    (root / name).write_text("\n".join(rows) + "\n", "utf-8")
    return root


def check(built: Dataset, wanted: list[int] | None = None) -> list[int]:
    """Each picture has its own attributes; gives the pictures' numbers."""
    found = []
    for split in built.splits.values():
        batch = split.batch(range(len(split)))
        for image, own in zip(batch.image, batch.attributes, strict=True):
            number = round(float(image[0, 0, 0]) * 25.5)
            assert own.tolist() == [values(number)[k] for k in wanted or range(3)]
            found.append(number)
    return sorted(found)


@pytest.mark.parametrize(("low", "head"), [("-1", True), ("0", False)])
def test_the_file_of_celeba(low: str, head: bool, tmp_path: Path) -> None:
    celeba(faces(tmp_path, deep="img_align_celeba"), low=low, head=head)
    built = attribute_folder(tmp_path, image_size=8)
    assert check(built) == list(range(20)) and built.schema.arguments["attributes"] == tuple(NAMES)
    assert built["train"].batch([0]).attributes.dtype == torch.float32 and set(built.splits) == {"train", "validation", "test"}
    (tmp_path / "list_eval_partition.txt").write_text("".join(f"{i:03d}.png {i % 3}\n" for i in range(20)), "utf-8")
    given = attribute_folder(tmp_path, image_size=8)
    assert [len(given[s]) for s in ("train", "validation", "test")] == [7, 7, 6]
    some = attribute_folder(tmp_path, "attributes=Smiling,Black_Hair", 8)
    assert some.schema.arguments["attributes"] == ("Smiling", "Black_Hair") and check(some, [2, 0]) == list(range(20))
    (tmp_path / "list_eval_partition.txt").write_text("000.png 7\n", "utf-8")
    with pytest.raises(PaperzooError, match=r"list_eval_partition.txt: '000.png 7' is no picture and 0, 1 or 2"):
        attribute_folder(tmp_path)


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_table_of_ones_own(mark: str, tmp_path: Path) -> None:
    rows = [mark.join(["file", *NAMES, "split"])]
    parts = {i: ("test" if i < 4 else "val" if i < 7 else "train") for i in range(20)}
    rows += [mark.join([f"pics/{i:03d}.png", *map(str, values(i)), parts[i]]) for i in range(20)]
    table(faces(tmp_path, deep="pics"), rows)
    built = dataset(f"attributes:{tmp_path}", image_size=8)
    assert check(built) == list(range(20)) and [len(built[s]) for s in ("train", "validation", "test")] == [13, 3, 4]
    assert built.schema.arguments["attributes"] == tuple(NAMES)  # the split is none
    with pytest.raises(PaperzooError, match=r"unknown attribute 'smiling' of .*faces.csv: did you mean Smiling"):
        dataset(f"attributes:{tmp_path}#attributes=smiling")


def test_rows_and_pictures_without_each_other_are_said(tmp_path: Path) -> None:
    celeba(faces(tmp_path, 18), 20)
    picture(tmp_path / "more.png")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        built = attribute_folder(tmp_path, image_size=8)
    (text,) = [str(one.message) for one in caught]
    assert "2 rows of the table without a picture: 018.png, 019.png" in text and "1 pictures without a row in the table: more.png" in text
    assert check(built) == list(range(18))
    with pytest.raises(PaperzooError, match="without a picture"):
        attribute_folder(tmp_path, strict=True)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (["file,hat,beard", "000.png,1,0", "001.png,1"], r"line 3 \(001.png\) has 1 columns beside the name, not 2"),
        (["file,hat", "000.png,1", "001.png,yes"], r"line 3 \(001.png\): hat is 'yes', not 1, 0 or -1"),
        (["file,hat", "000.png,2"], "hat is '2'"),
        (["file,hat", "000.png,"], "hat is ''"),
        (["file,hat", "000.png,0.5"], "hat is '0.5'"),
        (["file,hat,hat", "000.png,1,1"], "has two columns hat"),
        (["file,hat", "000.png,1", "000.png,0"], "line 3: 000.png has other attributes than in a line before"),
        (["file,hat", "x.png,1", "y.png,0"], r"no row of the table in .* names a picture below it: the first row is x.png"),
        (["file,hat,split", "000.png,1,tset"], "unknown split 'tset' in .*, line 2: did you mean test"),
        (["file,hat"], "needs a line with the columns' names and a row for each picture"),
    ],
)
def test_tables_that_are_wrong(rows: list[str], says: str, tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match=says):
        attribute_folder(table(faces(tmp_path, 4), rows))


def test_a_row_of_celeba_that_is_wrong(tmp_path: Path) -> None:
    celeba(faces(tmp_path, 4), 4)
    file = tmp_path / "list_attr_celeba.txt"
    whole = file.read_text("utf-8")
    file.write_text(whole.replace("002.png  -1 1 -1", "002.png  -1 1"), "utf-8")
    with pytest.raises(PaperzooError, match=r"line 5 \(002.png\) has 2 columns beside the name, not 3"):
        attribute_folder(tmp_path)
    file.write_text(whole.replace("002.png  -1 1 -1", "002.png  -1 1 3"), "utf-8")
    with pytest.raises(PaperzooError, match=r"line 5 \(002.png\): Smiling is '3', not 1, 0 or -1"):
        attribute_folder(tmp_path)


def test_no_table_or_two(tmp_path: Path) -> None:
    faces(tmp_path, 2)
    with pytest.raises(PaperzooError, match=r"needs list_attr_celeba.txt or one .csv .*; it has neither: 000.png, 001.png"):
        attribute_folder(tmp_path)
    for name in ("a.csv", "b.csv"):
        table(tmp_path, ["file,hat", "000.png,1"], name)
    with pytest.raises(PaperzooError, match=r"it has a.csv, b.csv"):
        attribute_folder(tmp_path)


def test_one_name_in_two_folders(tmp_path: Path) -> None:
    for folder in "xy":
        picture(tmp_path / folder / "1.png")
    table(tmp_path, ["file,hat", "1.png,1"])
    with pytest.raises(PaperzooError, match=r"2 pictures called 1.png \(x/1.png, y/1.png\): write their paths"):
        attribute_folder(tmp_path)


def test_an_attribute_that_nothing_can_be_learnt_of(tmp_path: Path) -> None:
    table(faces(tmp_path, 6), ["file,hat,odd", *(f"{i:03d}.png,1,{i % 2}" for i in range(6))])
    with pytest.warns(UserWarning, match="have hat: nothing can be learnt of that"):
        attribute_folder(tmp_path)


def test_large_tables_are_decoded_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    celeba(faces(tmp_path))
    kept = attribute_folder(tmp_path, image_size=8)
    monkeypatch.setattr(folders, "LARGE", 100)
    lazy = attribute_folder(tmp_path, image_size=8)
    assert type(lazy["train"].columns[0]).__name__ == "ImageFiles" and check(lazy) == check(kept)
    assert torch.equal(lazy["train"].batch([1, 0]).image, kept["train"].batch([1, 0]).image)


# What is asked for ---------------------------------------------------------------------------------------------------


def test_colours_of_one_thing_exclude_each_other() -> None:
    assert exclusive(ATTRIBUTES) == [(0, 1, 2, 3)]
    assert exclusive(["Smiling", "Black_Hair", "Male", "Blond_Hair", "Wavy_Hair", "red shape"]) == [(1, 3)]


def test_what_is_asked_for() -> None:
    before = torch.tensor([[1.0, 0, 0], [0, 1, 1]])
    target = asked(before, NAMES, {"Blond_Hair": 1})
    assert target.tolist() == [[0, 1, 0], [0, 1, 1]] and before[0, 0] == 1  # no longer black; the rest as it was
    assert asked(before, NAMES, {"Black_Hair": 0, "Smiling": 1}).tolist() == [[0, 0, 1], [0, 1, 1]]
    assert asked(before, NAMES, {"Blond_Hair": 1, "Black_Hair": 0, "Smiling": 0}).tolist() == [[0, 1, 0], [0, 1, 0]]
    with pytest.raises(PaperzooError, match="Black_Hair and Blond_Hair exclude each other: ask for one of them"):
        asked(before, NAMES, {"Blond_Hair": 1, "Black_Hair": 1})
    with pytest.raises(PaperzooError, match="unknown attribute 'smile': did you mean Smiling"):
        asked(before, NAMES, {"smile": 1})
    with pytest.raises(PaperzooError, match="Smiling is 0 or 1, not 2"):
        asked(before, NAMES, {"Smiling": 2})


def test_targets_that_are_drawn_are_combinations_that_occur() -> None:
    torch.manual_seed(0)
    attributes = torch.tensor([values(i) for i in range(64)]).float()
    target = drawn(attributes)
    assert torch.equal(target.sort(0).values, attributes.sort(0).values) and target[:, :2].sum(1).eq(1).all()
    assert not torch.equal(target, attributes)
