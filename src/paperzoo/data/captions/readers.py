"""Files with the captions of pictures: Flickr8k's and Flickr30k's, COCO's JSON, Karpathy's split JSON, those of birds and flowers by Reed
et al. (2016), CSV, and JSON lines."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paperzoo.data.encoding import as_id, as_json, csv_rows, lines, numbered_lines, read_text
from paperzoo.data.listing import SPLITS
from paperzoo.data.paths import names_in, suffix_of
from paperzoo.errors import PaperzooError, listed, unknown
from paperzoo.terminal import plain

#: what the columns of a table may be called, and the keys of JSON lines
FILE, CAPTION, SPLIT = ("file", "filename", "file_name", "image", "image_name"), ("caption", "comment", "text"), ("split",)

#: split -> what the lists of Flickr8k's pictures are called
FLICKR8K = {
    "train": "Flickr_8k.trainImages.txt",
    "validation": "Flickr_8k.devImages.txt",
    "test": "Flickr_8k.testImages.txt",
}
#: the folder with a file of captions a picture, as they are given out for CUB and Oxford-102; and split -> the list of its classes
BESIDE, CLASSES = "text_c10", {"train": "trainclasses.txt", "validation": "valclasses.txt", "test": "testclasses.txt"}
_KARPATHY = {"train": "train", "restval": "train", "val": "validation", "test": "test"}


@dataclass(frozen=True)
class Told:
    """The captions in a file, and the splits of its pictures.

    Attributes:
        captions: a picture's name, or the end of its path, as the file has it -> its captions; none of them is empty.
        split: the same -> its split, for those that have one; ``""`` for one that stands in no list of splits where there are such.
    """

    captions: Mapping[str, Sequence[str]]
    split: Mapping[str, str]


def read(path: Path) -> Told:
    """The captions of one file, whichever of these kinds it is, by its ending and what it begins with.

    Raises:
        PaperzooError: it cannot be read, is of none of these kinds or has another layout, which is named with the line or key.
    """
    suffix = suffix_of(path)
    if suffix in (".jsonl", ".ndjson"):
        return json_lines(path)
    if suffix == ".json":
        return of_json(path)
    if suffix == ".token" or path.name.endswith(".token.txt"):
        return tokens(path)
    if suffix in (".csv", ".tsv", ".txt"):
        return table(path)
    raise PaperzooError(f"{plain(path)} is no file of captions: that ends in .csv, .tsv, .jsonl, .json, .token or .token.txt")


def find(folder: Path, named: str = "") -> Told:
    """The captions that lie in a folder of pictures, beside them or in ``annotations``.

    Karpathy's ``dataset*.json`` is taken before all, for it has splits, then COCO's ``captions_train*.json`` and ``captions_val*.json``
    together (the latter as ``test``), then Flickr's ``*.token.txt`` and ``*.token`` with the lists of its splits, then a folder
    ``text_c10`` (see ``beside``), and then the one ``.csv``, ``.tsv`` or ``.jsonl``, or a ``captions.txt``.

    Args:
        named: the file to take instead.

    Raises:
        PaperzooError: there is none, or several of the last kind; or see ``read``.
    """
    if named:
        if not (folder / named).is_file():
            raise PaperzooError(f"{plain(folder)} has no file {plain(named)}; it has: {names_in(folder)}")
        return read(folder / named)
    places = [place for place in (folder, folder / "annotations") if place.is_dir()]
    files = [file for place in places for file in sorted(place.iterdir()) if file.is_file() and not file.name.startswith(".")]
    if whole := [file for file in files if re.fullmatch(r"dataset.*\.json", file.name)]:
        return read(whole[0])
    if parts := [file for file in files if re.fullmatch(r"captions_(train|val).*\.json", file.name)]:
        return _together(parts)
    if flickr := [file for file in files if re.search(r"\.token(\.txt)?$", file.name)]:
        annotations, splits = tokens(flickr[0]), flickr8k_splits(folder)
        return Told(annotations.captions, {name: splits.get(name, "") for name in annotations.captions} if splits else {})
    if (folder / BESIDE).is_dir():
        return beside(folder)
    tables = [file for file in files if file.suffix.lower() in (".csv", ".tsv", ".jsonl", ".ndjson") or file.name == "captions.txt"]
    if len(tables) != 1:
        has = f"it has {listed(f.name for f in tables)}: say which by #captions=NAME" if tables else f"it has: {names_in(folder)}"
        raise PaperzooError(f"{plain(folder)} needs one file of captions, .csv or .jsonl with file and caption in each line; {has}")
    return read(tables[0])


def _together(parts: Sequence[Path]) -> Told:
    captions: dict[str, Sequence[str]] = {}
    split = {}
    for part in parts:
        added = of_json(part).captions
        captions.update(added)
        if "train" not in part.name:
            split.update(dict.fromkeys(added, "test"))
    return Told(captions, split)


# Flickr --------------------------------------------------------------------------------------------------------------


def tokens(path: Path) -> Told:
    """``name.jpg#0<tab>caption`` a line, as Flickr8k and Flickr30k are given out.

    Raises:
        PaperzooError: a line of another form, with its number.
    """
    captions: dict[str, list[str]] = defaultdict(list)
    for number, line in numbered_lines(path):
        if not line.strip():
            continue
        name, tab, caption = line.partition("\t")
        picture, sign, place = name.rpartition("#")
        if not (tab and sign and picture and place.strip().isdigit()):
            raise PaperzooError(f"{plain(path)}, line {number}: {plain(line[:60])!r} is no name.jpg#0, a tab and a caption")
        _add(captions, picture, caption)
    return _checked(path, captions, {})


def flickr8k_splits(folder: Path) -> dict[str, str]:
    """Picture -> split, by the three lists of Flickr8k; empty where there is none of them.

    Raises:
        PaperzooError: there are some of them, but not all, or a picture stands in two.
    """
    there = {split: folder / name for split, name in FLICKR8K.items() if (folder / name).is_file()}
    if there and (lacking := [FLICKR8K[split] for split in FLICKR8K if split not in there]):
        raise PaperzooError(f"{plain(folder)} has {listed(p.name for p in there.values())}, but lacks {listed(lacking)}")
    split_of: dict[str, str] = {}
    for split, path in there.items():
        for line in lines(read_text(path)):
            name = line.strip()
            if name and split_of.setdefault(name, split) != split:
                raise PaperzooError(f"{plain(path)}: {plain(name)} stands in {FLICKR8K[split_of[name]]} as well")
    return split_of


# Birds and flowers ---------------------------------------------------------------------------------------------------


def beside(folder: Path) -> Told:
    """A file of captions a picture, a caption a line: ``text_c10/CLASS/NAME.txt`` of ``NAME.jpg``, as Reed et al. (2016) gave them out.

    ``trainclasses.txt``, ``valclasses.txt`` and ``testclasses.txt`` beside it name the classes of each split, a class a line.

    Raises:
        PaperzooError: no file is there, a list of classes lacks or names a class that another has, a class is in no list, or two
            classes have a picture of the same name.
    """
    parts = [(split, folder / name) for split, name in CLASSES.items()]
    if lacking := [path.name for _, path in parts if not path.is_file()]:
        raise PaperzooError(f"{plain(folder)} has {BESIDE}, but lacks the lists of classes {listed(lacking)}; it has: {names_in(folder)}")
    split_of: dict[str, str] = {}
    for split, path in parts:
        for line in lines(read_text(path)):
            name = line.strip()
            if name and split_of.setdefault(name, split) != split:
                raise PaperzooError(f"{plain(path)}: {plain(name)} stands in {CLASSES[split_of[name]]} as well")
    captions: dict[str, list[str]] = {}
    splits: dict[str, str] = {}
    for file in sorted((folder / BESIDE).glob("*/*.txt")):
        kind, picture = file.parent.name, f"{file.stem}.jpg"
        if kind not in split_of:
            raise PaperzooError(f"{plain(folder)}: {BESIDE} has the class {plain(kind)}, which is in none of {listed(CLASSES.values())}")
        if picture in captions:
            raise PaperzooError(f"{plain(folder)}: {BESIDE} has two files {plain(file.name)}, the second in {plain(kind)}")
        captions[picture], splits[picture] = [], split_of[kind]
        for line in lines(read_text(file)):
            _add(captions, picture, line)
    return _checked(folder / BESIDE, captions, splits)


# Tables --------------------------------------------------------------------------------------------------------------

#: a row of Flickr30k's results.csv; in one row of the file that is passed around the second bar is missing
_BARS = re.compile(r"([^|]+)\|\s*\d+\s*\|?\s*(.*)")


def table(path: Path) -> Told:
    """A table with a line of column names, ``file`` and ``caption`` among them (or ``image`` and ``comment``, as Flickr30k's
    ``results.csv`` has them between bars), and maybe ``split``; a caption a row. Commas, semicolons, tabs or bars part the columns.

    Raises:
        PaperzooError: a column is missing (those that there are, are named), or a row is wrong, with its number.
    """
    rows = lines(read_text(path))
    mark = max(",;\t|", key=rows[0].count)
    _, names = next(csv_rows(rows[:1], mark, plain(path), mark != "|"))
    head = [cell.strip().lower() for cell in names]
    file, caption, split = (next((i for i, cell in enumerate(head) if cell in known), None) for known in (FILE, CAPTION, SPLIT))
    if file is None or caption is None:
        lacking = "file" if file is None else "caption"
        raise PaperzooError(f"{plain(path)} has no column {lacking} in its first line; it has {plain(', '.join(head))}")
    captions: dict[str, list[str]] = defaultdict(list)
    splits: dict[str, str] = {}
    if mark == "|" and head[file + 1 : caption] == ["comment_number"]:
        for number, row in enumerate(rows[1:], 2):
            if row.strip():
                bars = _BARS.fullmatch(row.strip())
                if bars is None:
                    raise PaperzooError(f"{plain(path)}, line {number}: {plain(row[:60])!r} is no name| number| caption")
                _add(captions, bars[1].strip(), bars[2])
        return _checked(path, captions, splits)
    table_rows = csv_rows(rows, mark, plain(path), mark != "|")
    next(table_rows)
    for number, cells in table_rows:
        if not any(cell.strip() for cell in cells):
            continue
        where = f"{plain(path)}, line {number}"
        if len(cells) != len(head):
            hint = "; a caption with commas stands in quotation marks" if mark == "," and len(cells) > len(head) else ""
            raise PaperzooError(f"{where} has {len(cells)} columns, not {len(head)}{hint}")
        name = cells[file].strip()
        _add(captions, name, cells[caption])
        if split is not None:
            _into(splits, name, cells[split].strip(), where)
    return _checked(path, captions, splits)


def json_lines(path: Path) -> Told:
    """An object a line, with ``file``, ``caption`` (a string, or a list of strings) and maybe ``split``.

    Raises:
        PaperzooError: a line that is no object or lacks a key, with its number.
    """
    captions: dict[str, list[str]] = defaultdict(list)
    splits: dict[str, str] = {}
    for number, line in numbered_lines(path):
        if not line.strip():
            continue
        where = f"{plain(path)}, line {number}"
        row = as_json(line, where)
        name, text = (_of(row, keys, where) for keys in (FILE, (*CAPTION, "captions")))
        texts = text if isinstance(text, list) else [text]
        if not isinstance(name, str) or not all(isinstance(one, str) for one in texts):
            raise PaperzooError(f"{where}: file is a string, and caption a string or a list of them")
        for one in texts:
            _add(captions, name, one)
        if "split" in row:
            _into(splits, name, str(row["split"]), where)
    return _checked(path, captions, splits)


def _into(splits: dict[str, str], name: str, split: str, where: str) -> None:
    if split.lower() not in SPLITS:
        raise unknown("split", split, SPLITS, f"in {where}")
    if splits.setdefault(name, SPLITS[split.lower()]) != SPLITS[split.lower()]:
        raise PaperzooError(f"{where}: {plain(name)} stands in another split in a line before")


# JSON ----------------------------------------------------------------------------------------------------------------


def of_json(path: Path) -> Told:
    """COCO's annotations of captions (``images`` and ``annotations``), or Karpathy's splits (``images`` with ``sentences``).

    Raises:
        PaperzooError: it is no JSON, or of another layout; the key that is missing is named.
    """
    whole = as_json(read_text(path), plain(path))
    images = _list(whole, "images", plain(path))
    if isinstance(whole, dict) and "annotations" not in whole and images and isinstance(images[0], dict) and "sentences" in images[0]:
        return _karpathy(path, images)
    return _coco(path, images, _list(whole, "annotations", plain(path)))


def _coco(path: Path, images: Sequence[Any], annotations: Sequence[Any]) -> Told:
    captions: dict[str, list[str]] = defaultdict(list)
    name_of: dict[Any, str] = {}
    for number, image in enumerate(images):
        where = f"{plain(path)}, images[{number}]"
        name_of[as_id(_of(image, ("id",), where), where)] = str(_of(image, ("file_name",), where))
    for name in name_of.values():
        captions[name] = []
    for number, row in enumerate(annotations):
        where = f"{plain(path)}, annotations[{number}]"
        image, caption = as_id(_of(row, ("image_id",), where), where, "image_id"), _of(row, ("caption",), where)
        if image not in name_of:
            raise PaperzooError(f"{where} is of image_id {plain(image)}, which no entry of images has")
        _add(captions, name_of[image], str(caption))
    return _checked(path, captions, {})


def _karpathy(path: Path, images: Sequence[Any]) -> Told:
    captions: dict[str, list[str]] = defaultdict(list)
    splits = {}
    for number, image in enumerate(images):
        where = f"{plain(path)}, images[{number}]"
        name, split = str(_of(image, ("filename",), where)), _of(image, ("split",), where)
        if split not in _KARPATHY:
            raise unknown("split", split, _KARPATHY, f"in {where}")
        name = f"{image['filepath']}/{name}" if image.get("filepath") else name
        captions[name] = []
        for place, sentence in enumerate(_list(image, "sentences", where)):
            _add(captions, name, str(_of(sentence, ("raw",), f"{where}, sentences[{place}]")))
        splits[name] = _KARPATHY[split]
    return _checked(path, captions, splits)


def _list(holder: Any, key: str, where: str) -> list[Any]:
    items = _of(holder, (key,), where)
    if not isinstance(items, list):
        raise PaperzooError(f"{where}: {key} is no list")
    return items


def _of(holder: Any, keys: Sequence[str], where: str) -> Any:
    """The first of these keys that an object has."""
    if not isinstance(holder, dict):
        raise PaperzooError(f"{where} is no object with the key {keys[0]!r}")
    for key in keys:
        if key in holder:
            return holder[key]
    raise PaperzooError(f"{where} lacks the key {keys[0]!r}; it has {plain(listed(holder, 8)) or 'none'}")


def _add(captions: dict[str, list[str]], name: str, caption: str) -> None:
    texts = captions[name]
    if caption.strip():
        texts.append(caption.strip())


def _checked(path: Path, captions: Mapping[str, Iterable[str]], split: Mapping[str, str]) -> Told:
    if not any(captions.values()):
        raise PaperzooError(f"{plain(path)} has no captions")
    return Told({name: tuple(texts) for name, texts in captions.items()}, split)
