"""Questions in files: VQA v1 and v2, CLEVR, and the user's own."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from paperzoo.data.dataset import Column, Dataset, Images
from paperzoo.data.encoding import as_json, csv_rows, lines, read_text
from paperzoo.data.images import folders
from paperzoo.data.images.folders import ImageFiles, complain_unread, is_grey, read_all, size_of
from paperzoo.data.listing import SPLITS, Item, Skipped, complain, copies, cut, pictures_in, say_copies, some
from paperzoo.data.paths import first_of, names_in, shown
from paperzoo.data.pictures import as_channels
from paperzoo.data.questions.building import Question, answered, asked, build
from paperzoo.errors import PaperzooError, unknown
from paperzoo.terminal import plain

#: answers that are classes for VQA (section 4 of Antol et al. 2015)
MOST = 1000
#: share of the published training pictures that is for validation, by a hash of their number
HELD = 0.1


class Row(NamedTuple):
    """A question as a file has it; the picture by its name."""

    picture: str
    text: str
    answer: str
    answers: tuple[str, ...]
    kind: str


# VQA -----------------------------------------------------------------------------------------------------------------


def vqa(path: Path, version: int = 1, image_size: int | None = None) -> Dataset:
    """VQA's open-ended questions about photographs of COCO, each answered by ten people.

    ``train`` and ``validation`` are the published training pictures, one in ten for validation with all its questions; ``test`` is
    ``val2014``, for the answers of the test pictures are not given out. What is learnt is ``multiple_choice_answer``, the commonest of
    the ten, if it is one of the 1,000 commonest. The kind of a question is its ``answer_type``: yes/no, number or other.

    Args:
        path: a folder with ``OpenEnded_mscoco_train2014_questions.json``, ``mscoco_train2014_annotations.json``, those of ``val2014``
            (version 2: ``v2_`` before each name), and the folders ``train2014`` and ``val2014`` of pictures.
        image_size: side of the pictures. Default: 224.

    Raises:
        PaperzooError: a file is missing or has another layout, where the key that it lacks is named; a question is empty; or its answers
            are not ten.
    """
    prefix, rows = "v2_" if version == 2 else "", {}
    for part in ("train2014", "val2014"):
        asking = _json(path, [f"{prefix}OpenEnded_mscoco_{part}_questions.json"])
        replies = _json(path, [f"{prefix}mscoco_{part}_annotations.json"])
        rows[part] = list(vqa_rows(*asking, *replies, part))
    name = "vqa2" if version == 2 else "vqa"
    return _published(name, path, rows["train2014"], rows["val2014"], image_size or 224, MOST, "VQA, pictures of COCO")


def vqa_rows(asking: str, questions: Any, replies: str, annotations: Any, part: str) -> Iterator[Row]:
    """The questions of one part with their answers.

    Args:
        asking, replies: what the two files are called, for errors.
        part: ``train2014`` or ``val2014``, the folder of its pictures and part of their names.
    """
    said = {_of(a, "question_id", replies, n): (n, a) for n, a in enumerate(_list(annotations, "annotations", replies))}
    texts = _list(questions, "questions", asking)
    if len(said) != len(texts):
        raise PaperzooError(f"{asking} has {len(texts)} questions, and {replies} the answers to {len(said)}")
    for place, question in enumerate(texts):
        number = _of(question, "question_id", asking, place)
        if number not in said:
            raise PaperzooError(f"{replies} has no answers to question {number} of {asking}")
        at, annotation = said[number]
        replied = [_of(a, "answer", replies, at) for a in _of(annotation, "answers", replies, at, list)]
        ten = answered(replied, f"{replies}: question {number}")
        if len(ten) == 1:
            raise PaperzooError(f"{replies}: question {number} has 1 answer, not those of 10 people")
        answer = str(_of(annotation, "multiple_choice_answer", replies, at))
        image = _of(question, "image_id", asking, place, int)
        text = asked(str(_of(question, "question", asking, place)), f"{asking}: question {number}")
        kind = str(_of(annotation, "answer_type", replies, at))
        yield Row(f"{part}/COCO_{part}_{image:012d}.jpg", text, answer, ten, kind)


# CLEVR ---------------------------------------------------------------------------------------------------------------


def clevr(path: Path, image_size: int | None = None) -> Dataset:
    """CLEVR's questions about composed objects: ``train`` and ``validation`` are its training pictures, ``test`` its validation pictures.

    The kind of a question is the last function of its program: ``exist``, ``count``, ``query_color`` and so on.

    Args:
        path: a folder with ``questions/CLEVR_train_questions.json``, that of ``val``, and the folders ``images/train`` and ``images/val``;
            or one with the folder ``CLEVR_v1.0``, which has them.
        image_size: side of the pictures, of which the middle square is seen. Default: 224.

    Raises:
        PaperzooError: as ``vqa``.
    """
    root = path / "CLEVR_v1.0" if (path / "CLEVR_v1.0").is_dir() else path
    rows = {}
    for part in ("train", "val"):
        name, content = _json(root, [f"questions/CLEVR_{part}_questions.json"])
        rows[part] = list(clevr_rows(name, content, part))
    return _published("clevr", root, rows["train"], rows["val"], image_size or 224, None, "CLEVR")


def clevr_rows(name: str, content: Any, part: str) -> Iterator[Row]:
    """The questions of one part; ``name`` is what the file is called, for errors."""
    for place, question in enumerate(_list(content, "questions", name)):
        text = asked(str(_of(question, "question", name, place)), f"{name}: question {place}")
        answer = str(_of(question, "answer", name, place))
        program = _of(question, "program", name, place, list)
        if not program:
            raise PaperzooError(f"{name}: question {place} has an empty program")
        kind = program[-1].get("function", program[-1].get("type", "")) if isinstance(program[-1], dict) else ""
        picture = str(_of(question, "image_filename", name, place))
        yield Row(f"images/{part}/{picture}", text, answer, (answer,), str(kind) or "other")


# Both ----------------------------------------------------------------------------------------------------------------


def _json(folder: Path, names: Sequence[str]) -> tuple[str, Any]:
    """The name of a JSON file, which may be gzipped, and its content."""
    path = first_of(folder, names)
    if path is None:
        raise PaperzooError(f"{shown(folder)} has no {names[0]}; it has: {names_in(folder)}")
    return shown(path), as_json(read_text(path), shown(path))


def _list(content: Any, key: str, name: str) -> list[Any]:
    """The list under a key of the whole file."""
    if not isinstance(content, dict) or key not in content:
        has = f"its keys are {some(sorted(content), 6)}" if isinstance(content, dict) else f"it is a {type(content).__name__}"
        raise PaperzooError(f"{name} is another JSON: it has no {key!r} at its top; {has}")
    items = content[key]
    if not isinstance(items, list):
        raise PaperzooError(f"{name}: {key!r} is a {type(items).__name__}, not a list")
    return items


def _of(entry: Any, key: str, name: str, place: int, kind: type = object) -> Any:
    """A value of the entry at ``place``."""
    if not isinstance(entry, dict) or key not in entry:
        has = f"it has {some(sorted(entry), 8)}" if isinstance(entry, dict) else f"it is a {type(entry).__name__}"
        raise PaperzooError(f"{name}: entry {place} has no {key!r}; {has}")
    if not isinstance(entry[key], kind):
        raise PaperzooError(f"{name}: {key!r} of entry {place} is {entry[key]!r:.60}, which is no {kind.__name__}")
    return entry[key]


def _published(
    name: str, root: Path, train: Sequence[Row], test: Sequence[Row], size: int, most: int | None, source: str
) -> Dataset:
    """Pictures are decoded as they are asked for."""
    rows = {
        "train": [row for row in train if _share(row.picture) >= HELD],
        "validation": [row for row in train if _share(row.picture) < HELD],
        "test": list(test),
    }
    pictures, questions = {}, {}
    for split, of_split in rows.items():
        place = {picture: i for i, picture in enumerate(dict.fromkeys(row.picture for row in of_split))}
        pictures[split] = ImageFiles([root / picture for picture in place], size, size, 3)
        questions[split] = [Question(place[row.picture], *row[1:]) for row in of_split]
    return build(name, pictures, questions, size, "", source, most, showable=False)


def _share(picture: str) -> float:
    return int.from_bytes(hashlib.sha256(Path(picture).name.encode()).digest()[:8], "big") / 2**64


# The user's own ------------------------------------------------------------------------------------------------------


def own(path: Path, image_size: int | None = None, channels: int | None = None, strict: bool = False) -> Dataset:
    """Pictures anywhere below a folder with a table of questions in it: one ``.csv`` or ``.jsonl`` with ``file``, ``question``, ``answer``.

    ``file`` is a picture's name, or its path below the folder. A line of ``.jsonl`` is an object with these keys, whose ``answer`` may be a
    list of ten people's answers; the commonest is learnt. ``kind`` may say what kind of question it is (else it is told by the answer:
    yes/no, number, other) and ``split`` may be ``train``, ``validation`` or ``test``; a split that is missing is cut from ``train`` by
    picture, as those of ``folder:``. Rows without a picture and pictures without a row are left out with a warning.

    Args:
        image_size: height and width. Default: 64.
        channels: 1 or 3. Default: 3, or 1 if all pictures are grey.
        strict: refuse what would be left out.

    Raises:
        PaperzooError: no table, a column or key that is missing, an empty question, answers that are neither one nor ten, two splits for
            one picture, or nothing left to read.
    """
    size = size_of(image_size, channels)
    rows = [*table(path)]
    skipped = Skipped(list)
    place = _pictures(path, [row for row, _ in rows], skipped)
    complain(path, skipped, strict)
    lazy = len(set(place.values())) * 3 * size**2 > folders.LARGE
    read, bad = ({}, {}) if lazy else read_all(sorted(set(place.values())), size)
    if bad:
        complain_unread(path, bad, len(set(place.values())), strict)
    files = _by_split(path, rows, {name: file for name, file in place.items() if file not in bad})
    groups = copies(file for items in files.values() for file, _ in items)
    splits = cut(files, path, groups, "pictures")
    say_copies(files, groups, path)
    depth = channels or (1 if read and all(map(is_grey, read.values())) else 3)
    asking = defaultdict(list)
    for row, _ in rows:
        if row.picture in place:
            asking[place[row.picture]].append(row)
    pictures: dict[str, Column] = {}
    questions = {}
    for split, items in splits.items():
        chosen = [file for file, _ in items]
        pixels = [as_channels(read[file], depth) for file in chosen] if read else []
        pictures[split] = Images(torch.from_numpy(np.stack(pixels))) if pixels else ImageFiles(chosen, size, size, depth)
        questions[split] = [Question(i, *row[1:]) for i, file in enumerate(chosen) for row in asking[file]]
    name, source = f"questions:{path}", f"pictures and questions in {path}"
    return build(name, pictures, questions, size, "the user's own", source, channels=depth, showable=False)


def table(root: Path) -> Iterator[tuple[Row, str]]:
    """The rows of the table in a folder, each with its split, or ``""``.

    Raises:
        PaperzooError: as ``own``.
    """
    tables = sorted(p for ending in ("*.csv", "*.jsonl") for p in root.glob(ending) if p.is_file()) if root.is_dir() else []
    if len(tables) != 1:
        has = f"has {some([p.name for p in tables])}" if tables else f"has neither: {names_in(root)}"
        raise PaperzooError(f"{plain(root)} needs one .csv or .jsonl with file, question and answer in every row; it {has}")
    read = _csv if tables[0].suffix == ".csv" else _jsonl
    any_row = False
    for number, values in read(tables[0]):
        any_row, where = True, f"{plain(tables[0])}, line {number}"
        cell = values["answer"] if isinstance(values["answer"], list) else [values["answer"]]
        answers = answered(cell, where)
        (answer, _), *_ = Counter(answers).most_common(1)
        if not answer.strip():
            raise PaperzooError(f"{where}: the answer is empty")
        split = str(values.get("split") or "").lower()
        if split and split not in SPLITS:
            raise unknown("split", split, SPLITS, f"in {where}")
        kind = str(values.get("kind") or kind_of(answer))
        yield Row(str(values["file"]), asked(str(values["question"]), where), answer, answers, kind), SPLITS.get(split, "")
    if not any_row:
        raise PaperzooError(f"{plain(tables[0])} has no rows")


def kind_of(answer: str) -> str:
    """``yes/no``, ``number`` or ``other``, as VQA calls the types of its answers."""
    word = answer.strip().lower()
    return "yes/no" if word in ("yes", "no") else "number" if word.replace(".", "", 1).isdigit() else "other"


_KEYS = ("file", "question", "answer")


def _csv(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    text = lines(read_text(path))
    mark = max(",;\t", key=(text or [""])[0].count)
    rows = ((n, [cell.strip() for cell in cells]) for n, cells in csv_rows(text, mark, plain(path)) if any(cells))
    _, head = next(rows, (0, []))
    names = [name.lower() for name in head]
    if missing := [key for key in _KEYS if key not in names]:
        raise PaperzooError(f"{plain(path)} has no column {missing[0]!r}; its first line has {some(head, 8)}")
    for number, cells in rows:
        if len(cells) != len(names):
            raise PaperzooError(f"{plain(path)}, line {number}, has {len(cells)} columns, not {len(names)}")
        yield number, dict(zip(names, cells, strict=True))


def _jsonl(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(lines(read_text(path)), 1):
        if not line.strip():
            continue
        values = as_json(line, f"{plain(path)}, line {number},")
        for key in _KEYS:
            _of(values, key, plain(path), number)
        yield number, values


def _pictures(root: Path, rows: Sequence[Row], skipped: Skipped) -> dict[str, Path]:
    """The file of each picture that the rows name and that is there."""
    by_path, by_name = {}, defaultdict(list)
    for file in pictures_in(root, True, skipped):
        by_path[file.relative_to(root).as_posix()] = file
        by_name[file.name].append(file)
    file_of: dict[str, Path] = {}
    for picture in dict.fromkeys(row.picture for row in rows):
        fits = [by_path[picture]] if picture in by_path else by_name.get(picture, [])
        if len(fits) > 1:
            places = some([f.relative_to(root).as_posix() for f in fits])
            several = f"{plain(root)} has {len(fits)} pictures called {plain(picture)} ({places})"
            raise PaperzooError(f"{several}: write their paths into the table")
        if fits:
            file_of[picture] = fits[0]
        else:
            skipped["names of pictures in the table that are not there"].append(root / picture)
    used = set(file_of.values())
    skipped["pictures without a row in the table"] += [file for file in by_path.values() if file not in used]
    if not file_of:
        raise PaperzooError(f"no row of the table in {plain(root)} names a picture below it: the first names {plain(rows[0].picture)}")
    return file_of


def _by_split(root: Path, rows: Sequence[tuple[Row, str]], place: Mapping[str, Path]) -> dict[str, list[Item]]:
    """The pictures of each split that the rows name; all of a picture's questions are in one."""
    split_of: dict[Path, str] = {}
    for row, split in rows:
        if row.picture not in place:
            continue
        file, split = place[row.picture], split or "train"
        if split_of.setdefault(file, split) != split:
            raise PaperzooError(f"the table in {plain(root)} has {plain(row.picture)} in two splits, {split_of[file]} and {split}")
    files: dict[str, list[Item]] = defaultdict(list)
    for file, split in split_of.items():
        files[split].append((file, 0))
    return files
