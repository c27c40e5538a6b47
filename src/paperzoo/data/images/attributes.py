"""The user's own pictures with a table of attributes, and the attributes that a picture is asked to have.

``attributes`` is float32 (N, A), 1 where a picture has the attribute and else 0, in the order of ``schema.arguments["attributes"]``.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from paperzoo.data.dataset import Column, Dataset, Images, Schema, Split, Values
from paperzoo.data.encoding import csv_rows, lines, read_text
from paperzoo.data.images import folders
from paperzoo.data.images.folders import ImageFiles, complain_unread, is_grey, read_all, size_of
from paperzoo.data.listing import SPLITS, Item, Skipped, complain, copies, cut, pictures_in, say_copies, some
from paperzoo.data.options import options
from paperzoo.data.paths import names_in
from paperzoo.data.pictures import Preparation, as_channels
from paperzoo.errors import PaperzooError, unknown
from paperzoo.terminal import plain

#: what follows ``attributes:PATH#``
OPTIONS = {"attributes": "the columns to take, with commas between them: attributes=Smiling,Eyeglasses"}

CELEBA, PARTITION = "list_attr_celeba.txt", "list_eval_partition.txt"

_VALUES = {"1": 1.0, "0": 0.0, "-1": 0.0}
_PARTS = {"0": "train", "1": "validation", "2": "test"}  # as list_eval_partition.txt numbers them


@dataclass(frozen=True)
class Table:
    """The attributes of each picture.

    Attributes:
        names: of the attributes.
        values: a picture's name as the table has it -> 0 or 1 of each attribute.
        split: the same -> its split, for those that have one.
    """

    names: tuple[str, ...]
    values: Mapping[str, Sequence[float]]
    split: Mapping[str, str]


def attribute_folder(
    path: Path, text: str = "", image_size: int | None = None, channels: int | None = None, strict: bool = False
) -> Dataset:
    """Pictures anywhere below a folder with CelebA's ``list_attr_celeba.txt`` in it, or one ``.csv``: ``image`` and ``attributes``.

    The first column of a ``.csv`` has the pictures' names, or their paths below the folder; its other columns are attributes: 1 if
    the picture has it, 0 or -1 if not. A column ``split`` may say ``train``, ``validation`` or ``test``, as CelebA's
    ``list_eval_partition.txt`` does; a split that is missing is cut from ``train`` as those of ``folder:``. Rows without a picture and
    pictures without a row are left out with a warning.

    Args:
        text: ``attributes=Smiling,Eyeglasses`` takes these columns, in this order. Default: all.
        image_size: height and width. Default: 64.
        channels: 1 or 3. Default: 3, or 1 if all pictures are grey.
        strict: refuse what would be left out.

    Raises:
        PaperzooError: no table, a row that lacks a column, a value that is none of the three, a column that there is not, or nothing
            left to read.
    """
    size = size_of(image_size, channels)
    wanted = options(text, OPTIONS, plain(path.name)).get("attributes", "")
    table = _table(path, [name.strip() for name in wanted.split(",") if name.strip()])
    skipped = Skipped(list)
    row_of = _pictures(path, table, skipped)
    complain(path, skipped, strict)
    lazy = len(row_of) * 3 * size**2 > folders.LARGE
    read, bad = ({}, {}) if lazy else read_all(list(row_of), size)
    if bad:
        complain_unread(path, bad, len(row_of), strict)
    files: dict[str, list[Item]] = defaultdict(list)
    for file, row in row_of.items():
        if file not in bad:
            files[table.split.get(row, "train")].append((file, 0))
    groups = copies(file for items in files.values() for file, _ in items)
    splits = cut(files, path, groups, "pictures")
    say_copies(files, groups, path)
    depth = channels or (1 if read and all(map(is_grey, read.values())) else 3)
    built = {}
    for split, items in splits.items():
        chosen = [file for file, _ in items]
        pixels = [as_channels(read[file], depth) for file in chosen] if read else []
        column: Column = Images(torch.from_numpy(np.stack(pixels))) if pixels else ImageFiles(chosen, size, size, depth)
        values = torch.tensor([table.values[row_of[file]] for file in chosen], dtype=torch.float32)
        built[split] = Split(column, Values("attributes", values))
        if split == "train" and (same := [n for n, v in zip(table.names, values.T, strict=True) if v.min() == v.max()]):
            message = f"all pictures to train on of {plain(path)}, or none, have {some(same, 5)}: nothing can be learnt of that"
            warnings.warn(message, stacklevel=2)
    arguments = {"channels": depth, "image_size": size, "attributes": table.names}
    schema = Schema(f"attributes:{path}", ("image", "attributes"), arguments, picture=Preparation(size, size, depth))
    return Dataset(schema, built, "the user's own", f"pictures in {path}", pictures=False)


def _pictures(root: Path, table: Table, skipped: Skipped) -> dict[Path, str]:
    """Each picture that has a row, in the order of the rows; and the row's name."""
    by_path, by_name = {}, defaultdict(list)
    for file in pictures_in(root, True, skipped):
        by_path[file.relative_to(root).as_posix()] = file
        by_name[file.name].append(file)
    row_of: dict[Path, str] = {}
    for row in table.values:
        fits = [by_path[row]] if row in by_path else by_name.get(row, [])
        if len(fits) > 1:
            places = some([f.relative_to(root).as_posix() for f in fits])
            raise PaperzooError(f"{plain(root)} has {len(fits)} pictures called {plain(row)} ({places}): write their paths into the table")
        if fits:
            row_of[fits[0]] = row
        else:
            skipped["rows of the table without a picture"].append(root / row)
    skipped["pictures without a row in the table"] += [file for file in by_path.values() if file not in row_of]
    if not row_of:
        first = f"the first row is {plain(next(iter(table.values)))}" if table.values else "there are no rows"
        raise PaperzooError(f"no row of the table in {plain(root)} names a picture below it: {first}; it has: {names_in(root)}")
    return row_of


def _table(root: Path, wanted: Sequence[str]) -> Table:
    if (root / CELEBA).is_file():
        return celeba_table(root / CELEBA, root / PARTITION, wanted)
    tables = sorted(p for p in root.glob("*.csv") if p.is_file()) if root.is_dir() else []
    if len(tables) != 1:
        has = f"has {some([p.name for p in tables])}" if tables else f"has neither: {names_in(root)}"
        raise PaperzooError(f"{plain(root)} needs {CELEBA} or one .csv with a row for each picture; it {has}")
    return csv_table(tables[0], wanted)


def celeba_table(path: Path, partition: Path, wanted: Sequence[str] = ()) -> Table:
    """CelebA's file: the number of rows, the attributes' names, then of each picture its name and 1 or -1 for every attribute.

    Args:
        partition: ``list_eval_partition.txt``, which need not be there.
        wanted: attributes to take; all if there are none.

    Raises:
        PaperzooError: a row lacks a value, a value is none of 1, -1 and 0, or an attribute that is wanted is not there.
    """
    rows = [(number, line.split()) for number, line in enumerate(lines(read_text(path)), 1) if line.strip()]
    if rows and len(rows[0][1]) == 1 and rows[0][1][0].isdigit():
        rows = rows[1:]
    if len(rows) < 2:
        raise PaperzooError(f"{plain(path)} has no rows")
    names, split = rows[0][1], {}
    if partition.is_file():
        for line in lines(read_text(partition)):
            if cells := line.split():
                if len(cells) != 2 or cells[1] not in _PARTS:
                    raise PaperzooError(f"{plain(partition)}: {plain(line.strip())!r} is no picture and 0, 1 or 2")
                split[cells[0]] = _PARTS[cells[1]]
    return _checked(path, names, [(n, cells[0], cells[1:]) for n, cells in rows[1:]], split, wanted)


def csv_table(path: Path, wanted: Sequence[str] = ()) -> Table:
    """A table with commas, semicolons or tabs: a picture's name, then its attributes, and maybe a column ``split``.

    Args, Raises: as ``celeba_table``.
    """
    text = lines(read_text(path))
    mark = max(",;\t", key=(text or [""])[0].count)
    rows = [(n, [cell.strip() for cell in cells]) for n, cells in csv_rows(text, mark, plain(path)) if any(cells)]
    if len(rows) < 2 or len(rows[0][1]) < 2:
        raise PaperzooError(f"{plain(path)} needs a line with the columns' names and a row for each picture")
    head, split, body = rows[0][1], {}, []
    at = next((i for i, name in enumerate(head) if i and name.lower() == "split"), None)
    for number, cells in rows[1:]:
        if len(cells) != len(head):
            raise PaperzooError(_lacks(path, number, cells[0], len(cells) - 1, len(head) - 1))
        if at is not None:
            if cells[at].lower() not in SPLITS:
                raise unknown("split", cells[at], SPLITS, f"in {plain(path)}, line {number}")
            split[cells[0]] = SPLITS[cells[at].lower()]
        body.append((number, cells[0], [c for i, c in enumerate(cells) if i and i != at]))
    return _checked(path, [n for i, n in enumerate(head) if i and i != at], body, split, wanted)


def _lacks(path: Path, number: int, name: str, has: int, needs: int) -> str:
    return f"{plain(path)}, line {number} ({plain(name)}) has {has} columns beside the name, not {needs}"


def _checked(
    path: Path, names: Sequence[str], rows: Sequence[tuple[int, str, list[str]]], split: Mapping[str, str], wanted: Sequence[str]
) -> Table:
    for name in wanted:
        if name not in names:
            raise unknown("attribute", name, names, f"of {plain(path)}")
    if twice := [name for name in names if names.count(name) > 1]:
        raise PaperzooError(f"{plain(path)} has two columns {plain(twice[0])}")
    columns = [names.index(name) for name in wanted or names]
    values: dict[str, list[float]] = {}
    for number, picture, cells in rows:
        if len(cells) != len(names):
            raise PaperzooError(_lacks(path, number, picture, len(cells), len(names)))
        if odd := [(names[k], cells[k]) for k in columns if cells[k] not in _VALUES]:
            fault = f"{plain(odd[0][0])} is {plain(odd[0][1])!r}, not 1, 0 or -1"
            raise PaperzooError(f"{plain(path)}, line {number} ({plain(picture)}): {fault}; #attributes=NAME,NAME takes some columns only")
        row = [_VALUES[cells[k]] for k in columns]
        if values.setdefault(picture, row) != row:
            raise PaperzooError(f"{plain(path)}, line {number}: {plain(picture)} has other attributes than in a line before")
    return Table(tuple(names[k] for k in columns), values, split)


# What is asked for ---------------------------------------------------------------------------------------------------

_COLOURS = {"black", "blond", "blonde", "blue", "brown", "gray", "green", "grey", "red", "white", "yellow"}


def exclusive(names: Sequence[str]) -> list[tuple[int, ...]]:
    """Groups of attributes of which a picture has at most one: colours of the same thing, ``black hair`` and ``Blond_Hair``."""
    groups: dict[str, list[int]] = defaultdict(list)
    for place, name in enumerate(names):
        colour, _, thing = name.lower().replace("_", " ").partition(" ")
        if colour in _COLOURS and thing:
            groups[thing].append(place)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def drawn(attributes: Tensor) -> Tensor:
    """Targets to train on: the attributes (N, A) of the batch in another order, so that every one is a combination that occurs.

    Chance is drawn from torch's default generator on the CPU.
    """
    return attributes[torch.randperm(len(attributes)).to(attributes.device)]


def asked(attributes: Tensor, names: Sequence[str], changes: Mapping[str, int]) -> Tensor:
    """The attributes (N, A) with those in ``changes`` set to 0 or 1.

    Where an attribute of an exclusive group is set, the others of its group are taken away: hair that is to be blonde is no longer
    black.

    Raises:
        PaperzooError: an attribute that there is not, a value other than 0 and 1, or two of one group asked for at once.
    """
    target, groups = attributes.clone(), exclusive(names)
    for name, value in changes.items():
        if name not in names:
            raise unknown("attribute", name, names)
        if value not in (0, 1):
            raise PaperzooError(f"the attribute {plain(name)} is 0 or 1, not {value!r}")
    for group in groups:
        on = [names[k] for k in group if changes.get(names[k]) == 1]
        if len(on) > 1:
            raise PaperzooError(f"{plain(on[0])} and {plain(on[1])} exclude each other: ask for one of them")
        if on:
            target[:, list(group)] = 0
    for name, value in changes.items():
        target[:, list(names).index(name)] = value
    return target
