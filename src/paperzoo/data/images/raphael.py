"""Paintings that are genuine, or not, or maybe: numbered scans in a folder, and a table that says which is which.

The layout of a set of 28 scans of drawings and paintings by Raphael, by others, and of disputed ones, that is handed on for
teaching and not published: each file has a number of its own in its name (``7.tif``, ``raphael-07.jpeg``), and ``labels.csv``
beside them has the columns ``number`` and ``label``, a row an image.
"""

from __future__ import annotations

import csv
import io
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from paperzoo.data.encoding import blocks
from paperzoo.data.images.folders import read_rgb
from paperzoo.data.paths import ordinary
from paperzoo.errors import PaperzooError, unknown
from paperzoo.files import exists

#: what a painting may be called in the table
LABELS = ("genuine", "not", "maybe")

SUFFIXES = (".jpg", ".jpeg", ".tif", ".tiff")


@dataclass(frozen=True)
class Paintings:
    """All of a folder, by number.

    Attributes:
        numbers: as in the files' names, rising.
        labels: one of ``LABELS`` for each.
        images: uint8 (3, H, W) each, the short side as long as was asked for.
    """

    numbers: tuple[int, ...]
    labels: tuple[str, ...]
    images: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return len(self.numbers)


def raphael(folder: Path, labels: Path | None = None, short_side: int = 512) -> Paintings:
    """Reads every numbered image of a folder, of whatever size, and its label.

    Grey and RGB, 8 and 16 bits, jpeg and tiff: all become 8-bit RGB, upright. Other files in the folder do not matter.

    Args:
        labels: the table, in UTF-8, parted by commas, semicolons or tabs; further columns do not matter. Default:
            ``labels.csv`` in ``folder``.
        short_side: to which images are resized, antialiased, their proportions kept; a smaller one is enlarged.

    Raises:
        PaperzooError: no folder or table, a column missing, a number that is none or stands twice, an unknown label, an image
            without a row or a row without an image, or an image that cannot be read.
    """
    if short_side < 1:
        raise PaperzooError(f"the short side of a painting must be at least 1 pixel, not {short_side}")
    files, rows = _files(folder), _table(labels or folder / "labels.csv")
    where = labels or folder / "labels.csv"
    if odd := sorted(rows.keys() - files.keys()):
        raise PaperzooError(f"{where} has number {odd[0]}, and {folder} no image of that number{_and_more(odd)}")
    if odd := sorted(files.keys() - rows.keys()):
        raise PaperzooError(f"{files[odd[0]]} has no row in {where}: number {odd[0]} is missing there{_and_more(odd)}")
    numbers = sorted(rows)
    return Paintings(tuple(numbers), tuple(rows[n] for n in numbers), tuple(_read(files[n], short_side) for n in numbers))


def _files(folder: Path) -> dict[int, Path]:
    """Number -> file."""
    if not folder.is_dir():
        raise PaperzooError(f"{folder} is {'a file, not a folder' if folder.exists() else 'not there'}")
    files: dict[int, Path] = {}
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")):
        digits = re.findall(r"\d+", path.stem, re.ASCII)
        if len(digits) != 1:
            raise PaperzooError(f"{path} has {len(digits)} numbers in its name: a painting has just one, as in 07.tif")
        if other := files.get(int(digits[0])):
            raise PaperzooError(f"{other} and {path} have the same number, {int(digits[0])}")
        files[int(digits[0])] = path
    if not files:
        raise PaperzooError(f"{folder} has no images ({', '.join(s[1:] for s in SUFFIXES)})")
    return files


def _table(path: Path) -> dict[int, str]:
    """Number -> label."""
    if not exists(path):
        raise PaperzooError(f"{path} is not there: a table with the columns number and label says what each image is")
    text = "".join(blocks(path))
    header = text.partition("\n")[0].rstrip("\r")
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count))
    try:
        columns, rows = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}, [(row, reader.line_num) for row in reader]
    except csv.Error as error:
        raise PaperzooError(f"{path}, line {reader.line_num}, cannot be read as a table: {error}") from error
    if missing := [name for name in ("number", "label") if name not in columns]:
        raise PaperzooError(f"{path} has no column {' and no column '.join(missing)}: its first line is {header!r}")
    labels: dict[int, str] = {}
    for row, line in rows:
        place, number = f"{path}, line {line}", (row[columns["number"]] or "").strip()
        if not re.fullmatch(r"\d{1,18}", number, re.ASCII):
            raise PaperzooError(f"{place}: the number is {number!r}, not a whole one")
        label = (row[columns["label"]] or "").strip().lower()
        if label not in LABELS:
            raise unknown("label", label, LABELS, f"in {place}")
        if int(number) in labels:
            raise PaperzooError(f"{place}: number {int(number)} stands there for the second time")
        labels[int(number)] = label
    return labels


def _read(path: Path, short_side: int) -> np.ndarray:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow's, on odd metadata and large scans
            image = read_rgb(ordinary(path))
    except Exception as error:  # Pillow's plug-ins raise a dozen kinds, SyntaxError among them
        raise PaperzooError(f"{path} cannot be read as an image: {error}") from error
    scale = short_side / min(image.size)
    width, height = (max(short_side, round(side * scale)) for side in image.size)
    return np.array(image.resize((width, height), Image.Resampling.BICUBIC)).transpose(2, 0, 1)  # (H, W, C) -> (C, H, W)


def _and_more(odd: list[int]) -> str:
    return f" (nor {', '.join(map(str, odd[1:4]))}{', ...' if len(odd) > 4 else ''})" if len(odd) > 1 else ""
