"""Readers of published forms of boxes: VOC's XML, COCO's JSON, YOLO's text, ICDAR's text. One picture's marks in, plain values out.

Boxes come out as left, top, right, bottom in pixels, right and bottom excluded, as they stand in the file: what is wrong with them is
seen and said by ``paperzoo.data.boxes.checks``.
"""

from __future__ import annotations

import csv
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paperzoo.data.encoding import as_id, as_json, lines, read_text
from paperzoo.errors import PaperzooError, listed
from paperzoo.terminal import plain


@dataclass
class Mark:
    """One object as a file has it.

    Attributes:
        box: left, top, right, bottom; of a quadrilateral the box around it.
        name: of its class.
        quad: its corners x, y, where it is a quadrilateral. text: what is written there, as ICDAR says it.
        where: file and place, for messages.
    """

    box: tuple[float, float, float, float]
    name: str
    difficult: bool = False
    crowd: bool = False
    quad: tuple[tuple[float, float], ...] = ()
    text: str = ""
    where: str = ""


@dataclass
class Annotated:
    """A picture by the name that its annotations call it, what is marked in it, and how large they say that it is: width, height."""

    file: str
    marks: list[Mark] = field(default_factory=list)
    size: tuple[int, int] | None = None


def number(text: Any, where: str, quantity: str) -> float:
    """A finite number.

    Raises:
        PaperzooError: it is none.
    """
    try:
        value = float(text)
    except (TypeError, ValueError):
        value = float("nan")
    if isinstance(text, bool) or not abs(value) < 1e9:
        raise PaperzooError(f"{where}: {quantity} is a number, not {plain(str(text)[:40])!r}")
    return value


# VOC -----------------------------------------------------------------------------------------------------------------


def of_voc(path: Path) -> Annotated:
    """PASCAL VOC's XML, one file a picture. Its pixels are counted from 1, so that 1 is taken from left and top.

    Raises:
        PaperzooError: it is no such XML; what is missing is named.
    """
    where, text = plain(path), read_text(path)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise PaperzooError(f"{where} defines entities, which no annotation needs: it is not read")
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise PaperzooError(f"{where} is no XML: {error}") from None
    annotated, size = Annotated((root.findtext("filename") or "").strip()), root.find("size")
    if size is not None and size.findtext("width") and size.findtext("height"):
        wide, tall = (int(number(size.findtext(key), where, key)) for key in ("width", "height"))
        annotated.size = (wide, tall) if wide > 0 and tall > 0 else None
    for place, one in enumerate(root.iter("object"), 1):
        here, box = f"{where}, object {place}", one.find("bndbox")
        name = (one.findtext("name") or "").strip()
        if not name or box is None:
            raise PaperzooError(f"{here} has no {'bndbox' if name else 'name'}")
        x0, y0, x1, y1 = (number(box.findtext(key), here, key) for key in ("xmin", "ymin", "xmax", "ymax"))
        share = max(x0, y0, x1, y1) <= 1  # of the picture's sides, which the checks find: nothing is counted from 1
        corner = (x0, y0) if share else (x0 - 1, y0 - 1)
        annotated.marks.append(Mark((*corner, x1, y1), name, (one.findtext("difficult") or "0").strip() == "1", where=here))
    return annotated


# COCO ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Coco:
    """Pictures, and the names of the categories in the order of their numbers, which need not be contiguous."""

    pictures: list[Annotated]
    names: tuple[str, ...]


def of_coco(path: Path) -> Coco:
    """COCO's ``instances_*.json``: pictures without annotations are kept, ``iscrowd`` is; outlines and areas are not read.

    Raises:
        PaperzooError: it is no JSON, or of another layout; an annotation is of a picture or a category that is not listed.
    """
    where = plain(path)
    whole = as_json(read_text(path), where)
    categories = _list(whole, "categories", where)
    title: dict[Any, str] = {}
    for i, row in enumerate(categories):
        here = f"{where}, categories[{i}]"
        key, name = as_id(_of(row, "id", here), here), str(_of(row, "name", here))
        if key in title or name in title.values():
            raise PaperzooError(f"{here} has the {f'id {key}' if key in title else f'name {plain(name)}'} of another before it")
        title[key] = name
    by_id: dict[Any, Annotated] = {}
    for i, row in enumerate(_list(whole, "images", where)):
        here = f"{where}, images[{i}]"
        key, wide, tall = as_id(_of(row, "id", here), here), row.get("width"), row.get("height")
        if key in by_id:
            raise PaperzooError(f"{here} has the id {plain(key)} of another before it")
        size = (int(number(wide, here, "width")), int(number(tall, here, "height"))) if wide and tall else None
        by_id[key] = Annotated(str(_of(row, "file_name", here)), [], size)
    for i, row in enumerate(_list(whole, "annotations", where)):
        here = f"{where}, annotations[{i}]"
        image, category = (as_id(_of(row, key, here), here, key) for key in ("image_id", "category_id"))
        box = _of(row, "bbox", here)
        if image not in by_id:
            raise PaperzooError(f"{here} is of image_id {plain(image)}, which no entry of images has")
        if category not in title:
            raise PaperzooError(f"{here} is of category_id {plain(category)}, which no entry of categories has")
        if not isinstance(box, list) or len(box) != 4:
            raise PaperzooError(f"{here}: bbox is left, top, width and height")
        x, y, wide, tall = (number(value, here, "bbox") for value in box)
        crowd = row.get("iscrowd", 0) in (1, True)
        by_id[image].marks.append(Mark((x, y, x + wide, y + tall), title[category], crowd=crowd, where=here))
    return Coco(list(by_id.values()), tuple(title[key] for key in sorted(title, key=lambda key: (str(type(key)), key))))


def _list(holder: Any, key: str, where: str) -> list[Any]:
    items = _of(holder, key, where)
    if not isinstance(items, list):
        raise PaperzooError(f"{where}: {key} is no list")
    return items


def _of(holder: Any, key: str, where: str) -> Any:
    if not isinstance(holder, dict):
        raise PaperzooError(f"{where} is no object with the key {key!r}")
    if key not in holder:
        raise PaperzooError(f"{where} lacks the key {key!r}; it has {plain(listed(holder, 8)) or 'none'}")
    return holder[key]


# YOLO ----------------------------------------------------------------------------------------------------------------


def of_yolo(path: Path, names: Sequence[str]) -> Annotated:
    """Darknet's labels, a line each: class, middle x and y, width and height, as shares of the picture's sides.

    Boxes come out as shares too: who knows the picture makes pixels of them.

    Args:
        names: of the classes, by number; none if there is no list of them: then they are called by their numbers.

    Raises:
        PaperzooError: a line of other form, or of a class that is not in the list.
    """
    annotated = Annotated(path.stem)
    for row, line in enumerate(_rows(path), 1):
        parts, here = line.split(), f"{plain(path)}, line {row}"
        if not parts:
            continue
        if len(parts) != 5:
            raise PaperzooError(f"{here} has {len(parts)} numbers, where class, x, y, width and height belong")
        if not re.fullmatch(r"\d{1,6}", parts[0]):
            raise PaperzooError(f"{here}: a class is a whole number from 0 on, not {plain(parts[0][:40])!r}")
        label = int(parts[0])
        if names and label >= len(names):
            raise PaperzooError(f"{here}: there is no class {label}; the list of names has {len(names)}, from 0 on")
        x, y, wide, tall = (number(text, here, side) for text, side in zip(parts[1:], ("x", "y", "width", "height"), strict=True))
        box = (x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2)
        annotated.marks.append(Mark(box, names[label] if names else str(label), where=here))
    return annotated


def yolo_names(root: Path) -> tuple[str, ...]:
    """The names of a YOLO folder's classes: ``classes.txt`` or a ``.names`` file, a name a line, or ``names`` of a ``data.yaml``.

    Raises:
        PaperzooError: there are several such files, or the yaml is of another form.
    """
    files = sorted({*root.glob("classes.txt"), *root.glob("*.names"), *root.glob("data.y*ml")})
    if len(files) > 1:
        raise PaperzooError(f"{plain(root)} has several lists of names, {', '.join(plain(f.name) for f in files)}: keep one")
    if not files:
        return ()
    text = read_text(files[0])
    if files[0].suffix in (".yaml", ".yml"):
        return _yaml_names(text, files[0])
    return tuple(line.strip() for line in lines(text) if line.strip())


def _yaml_names(text: str, path: Path) -> tuple[str, ...]:
    """``names: [a, b]``, or a list of dashes, or of numbers, below ``names:``; no other yaml is read."""
    match = re.search(r"^names:[ \t]*(.*(?:\n[ \t]*(?:-|\d+:).*)*)", text, re.M)
    body = match[1].strip() if match else ""
    if body.startswith("["):
        rows = next(csv.reader([body.strip("[] \n")], skipinitialspace=True, quotechar="'" if "'" in body else '"'), [])
    else:
        rows = [re.sub(r"^(?:-|\d+:)[ \t]*", "", line.strip()) for line in body.splitlines() if line.strip()]
    names = tuple(row.strip().strip("'\"") for row in rows)
    if not names or not all(names):
        raise PaperzooError(f"{plain(path)} has no list of names that could be read: write a classes.txt, a name a line")
    return names


# ICDAR ---------------------------------------------------------------------------------------------------------------

#: what is written where something stands that need not be read
DO_NOT_CARE = "###"
#: what marked text is called as a class
TEXT = "text"


def of_icdar(path: Path) -> Annotated:
    """ICDAR 2013's and 2015's ground truth, a line each: four numbers, or eight, then what is written there; with BOM or without.

    Four numbers are left, top, right and bottom, parted by blanks or commas, the text in quotes (2013); eight are the corners,
    clockwise (2015), and the text, which may hold commas, is ``###`` where it need not be found.

    Raises:
        PaperzooError: a line of another form.
    """
    annotated = Annotated(re.sub(r"^gt_", "", path.stem))
    for row, line in enumerate(_rows(path), 1):
        here = f"{plain(path)}, line {row}"
        if not line.strip():
            continue
        sign = r"\s*[+-]?\d+(?:\.\d+)?\s*"
        eight = re.fullmatch(rf"({sign}(?:,{sign}){{7}})(?:,(.*))?", line)
        four = eight or re.fullmatch(rf"({sign}(?:,{sign}){{3}})(?:,(.*))?", line)
        four = four or re.fullmatch(r"(\s*[+-]?\d+(?:\.\d+)?(?:\s+[+-]?\d+(?:\.\d+)?){3})(?:\s+(.*))?", line)
        if not four:
            raise PaperzooError(f"{here} is neither left, top, right, bottom nor four corners, and a text: {plain(line[:60])}")
        values, text = [float(part) for part in re.split(r"[,\s]+", four[1].strip())], (four[2] or "").strip()
        text = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
        if eight:
            quad = tuple(zip(values[::2], values[1::2], strict=True))
        else:
            x0, y0, x1, y1 = values
            quad = ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
        xs, ys = [x for x, _ in quad], [y for _, y in quad]
        annotated.marks.append(Mark((min(xs), min(ys), max(xs), max(ys)), TEXT, text == DO_NOT_CARE, quad=quad, text=text, where=here))
    return annotated


def _rows(path: Path) -> list[str]:
    """The lines of a file, which may be empty: then there is nothing in the picture."""
    return lines(read_text(path).removeprefix("\ufeff")) if path.stat().st_size else []


