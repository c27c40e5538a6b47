"""DensePose-COCO's annotations, and one's own in the same form: points with part, U and V, and masks of 14 parts, run-length encoded."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch

from paperzoo.data.bodies.columns import People, Points
from paperzoo.data.bodies.surface import read
from paperzoo.data.bodyparts import PARTS
from paperzoo.data.boxes.columns import FramedFiles
from paperzoo.data.boxes.geometry import Letterbox
from paperzoo.data.boxes.readers import number
from paperzoo.data.dataset import Column, Dataset, Schema, Split
from paperzoo.data.encoding import as_id, as_json, read_text
from paperzoo.data.images.folders import size_of
from paperzoo.data.listing import SPLITS, Item, Skipped, complain, copies, cut, pictures_in, say_copies
from paperzoo.data.paths import below, names_in
from paperzoo.data.pictures import Preparation
from paperzoo.errors import PaperzooError
from paperzoo.terminal import plain

#: side of the images where nobody asks for another
SIZE = 256
#: masks of a person, and the side of the square that each is stretched to
MASKS, SQUARE = 14, 256
#: words in a file's name that say its split, beside those of all folders; of COCO's validation the larger part is trained on
_WORDS = {**SPLITS, "valminusminival": "train", "minival": "test"}


@dataclass(frozen=True)
class Annotated:
    """A person as a file has it: box left, top, right, bottom; points x, y in pixels (P, 2); parts (P); U and V (P, 2); 14 masks, each
    run-length encoded or empty."""

    box: np.ndarray
    place: np.ndarray
    part: np.ndarray
    uv: np.ndarray
    masks: tuple[str, ...]


@dataclass(frozen=True)
class Picture:
    """A picture by the name that a file calls it, its width and height, and its people."""

    file: str
    size: tuple[int, int]
    people: list[Annotated]


def densepose_folder(path: Path, image_size: int | None = None, channels: int | None = None, strict: bool = False) -> Dataset:
    """Pictures anywhere below a folder with the people that its .json files annotate: fields as of ``people.drawn_people``, without
    ``parts`` and ``uv``, which nobody annotates.

    A split is named by the file, ``my_train.json``; one that is missing is cut from ``train`` as those of ``folder:``. Pictures whose
    people have no points are left out. With a ``surface.npz``, see ``surface.read``, GPS is measured, too.

    Args:
        image_size: height and width of the squares that pictures are put into. Default: 256.
        channels: 1 or 3. Default: 3.
        strict: refuse what would be left out.

    Raises:
        PaperzooError: no annotations, or some of another form; a part above 24, U or V outside [0, 1], lists of different lengths.
    """
    return _built(path, f"densepose:{path}", size_of(image_size or SIZE, channels), channels or 3, strict, "the user's own")


def published(path: Path, licence: str, image_size: int | None = None) -> Dataset:
    """DensePose-COCO as published, with COCO's photographs of 2014; ``validation`` is cut from ``train``, ``minival`` tested on.

    Raises:
        PaperzooError: as of ``densepose_folder``.
    """
    return _built(path, "densepose-coco", image_size or 512, 3, False, licence)


# Files ---------------------------------------------------------------------------------------------------------------


def of_densepose(path: Path) -> list[Picture]:
    """DensePose-COCO's .json: pictures with the people who have points.

    Raises:
        PaperzooError: see ``densepose_folder``.
    """
    where = plain(path)
    try:
        whole = as_json(read_text(path), where)
        images, annotations = whole["images"], whole["annotations"]
        size = {row["id"]: (str(row["file_name"]), (int(row["width"]), int(row["height"]))) for row in images}
    except ValueError as error:
        raise PaperzooError(f"{where}: {error}") from None
    except (KeyError, TypeError) as error:
        raise PaperzooError(f"{where} lacks the key {plain(str(error))} of COCO's annotations, or has another value there") from None
    people = defaultdict[Any, list[Annotated]](list)
    for i, row in enumerate(annotations):
        here = f"{where}, annotations[{i}]"
        if not isinstance(row, dict) or "dp_x" not in row:
            continue  # of the 100 people of a photograph those that nobody has marked
        if as_id(row.get("image_id"), here, "image_id") not in size:
            raise PaperzooError(f"{here} is of image_id {plain(str(row.get('image_id')))}, which no entry of images has")
        people[row["image_id"]].append(_person(row, here))
    return [Picture(file, sides, people[key]) for key, (file, sides) in size.items() if key in people]


def _person(row: Mapping[str, Any], here: str) -> Annotated:
    box = row.get("bbox")
    if not isinstance(box, list) or len(box) != 4:
        raise PaperzooError(f"{here}: bbox is left, top, width and height")
    x, y, wide, tall = (number(value, here, "bbox") for value in box)
    lists = {}
    for key in ("dp_x", "dp_y", "dp_I", "dp_U", "dp_V"):
        if not isinstance(row.get(key), list) or len(row[key]) != len(row["dp_x"]):
            raise PaperzooError(f"{here}: {key} is no list as long as dp_x, {len(row['dp_x'])} numbers")
        lists[key] = np.array([number(value, here, key) for value in row[key]], np.float64)
    part = lists["dp_I"].astype(np.int64)
    if len(wrong := part[(part < 1) | (part >= len(PARTS)) | (part != lists["dp_I"])]):
        raise PaperzooError(f"{here}: dp_I has the part {wrong[0]}, but parts are whole numbers from 1 to {len(PARTS) - 1}")
    uv = np.stack([lists["dp_U"], lists["dp_V"]], 1)
    if len(out := uv[(uv < 0) | (uv > 1)]):
        raise PaperzooError(f"{here}: dp_U or dp_V is {out[0]:g}, outside of [0, 1]")
    masks = row.get("dp_masks", [])
    if not isinstance(masks, list) or len(masks) not in (0, MASKS):
        raise PaperzooError(f"{here}: dp_masks are {MASKS} masks, not {len(masks) if isinstance(masks, list) else plain(str(masks)[:20])}")
    counts = tuple(_counts(mask, f"{here}, dp_masks[{k}]") for k, mask in enumerate(masks))
    place = np.stack([x + lists["dp_x"] / 255 * wide, y + lists["dp_y"] / 255 * tall], 1)
    return Annotated(np.array([x, y, x + wide, y + tall]), place, part, uv, counts or ("",) * MASKS)


def _counts(mask: Any, here: str) -> str:
    if not mask:
        return ""
    if not isinstance(mask, dict) or mask.get("size") != [SQUARE, SQUARE] or not isinstance(mask.get("counts"), str):
        raise PaperzooError(f"{here} is no run-length encoded mask of {SQUARE}x{SQUARE}")
    rle(mask["counts"], here)  # so that a damaged one is found now
    return str(mask["counts"])


def rle(counts: str, here: str = "a mask", side: int = SQUARE) -> np.ndarray:
    """COCO's compressed run-length encoding as bool (side, side): runs of none and some in turn, column by column.

    Raises:
        PaperzooError: the runs do not fill the square.
    """
    runs, value, shift = list[int](), 0, 0
    for letter in counts:
        bits = ord(letter) - 48
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            value -= (1 << shift) if bits & 16 else 0  # the sign of what is the difference to the run before last
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    if sum(runs) != side * side or min(runs, default=0) < 0:
        raise PaperzooError(f"{here}: its runs are of {sum(runs)} pixels, not of {side * side}")
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return flat.reshape(side, side).T


# The set -------------------------------------------------------------------------------------------------------------


class FramedSegments:
    """``segments`` and ``person`` (N, S, S) of masks that are decoded when they are asked for, in the frames of ``letterboxed``."""

    def __init__(self, pictures: Sequence[Picture], size: int) -> None:
        self.pictures, self.size = list(pictures), size

    def __len__(self) -> int:
        return len(self.pictures)

    def take(self, indices: np.ndarray) -> dict[str, Any]:
        segments = np.zeros((len(indices), self.size, self.size), np.int64)
        person = np.zeros_like(segments)
        for row, index in enumerate(indices):
            one = self.pictures[index]
            frame = Letterbox(one.size[1], one.size[0], self.size, self.size)
            for k, who in enumerate(one.people):
                paint(segments[row], person[row], frame.into(who.box), who.masks, k + 1)
        return {"segments": torch.from_numpy(segments), "person": torch.from_numpy(person)}

    def to(self, device: torch.device) -> FramedSegments:
        """The column itself: masks are decoded on the host."""
        return self

    def join(self, other: Column) -> FramedSegments:
        assert isinstance(other, FramedSegments) and other.size == self.size
        return FramedSegments([*self.pictures, *other.pictures], self.size)

    def some(self, indices: np.ndarray) -> FramedSegments:
        """The masks of these items."""
        return FramedSegments([self.pictures[i] for i in indices], self.size)


def paint(segments: np.ndarray, person: np.ndarray, box: np.ndarray, masks: Sequence[str], who: int) -> None:
    """Paints a person's masks, each stretched over the box (4), into maps (S, S)."""
    x0, y0, x1, y1 = box
    rows = np.arange(max(0, int(np.floor(y0))), min(len(person), int(np.ceil(y1))))
    columns = np.arange(max(0, int(np.floor(x0))), min(person.shape[1], int(np.ceil(x1))))
    if not len(rows) or not len(columns):
        return
    down = np.floor((rows + 0.5 - y0) / (y1 - y0) * SQUARE).astype(np.int64)
    across = np.floor((columns + 0.5 - x0) / (x1 - x0) * SQUARE).astype(np.int64)
    within = ((down >= 0) & (down < SQUARE))[:, None] & ((across >= 0) & (across < SQUARE))
    for part, counts in enumerate(masks, 1):
        if counts:
            there = within & rle(counts)[np.ix_(down.clip(0, SQUARE - 1), across.clip(0, SQUARE - 1))]
            at = np.ix_(rows, columns)
            segments[at] = np.where(there, part, segments[at])
            person[at] = np.where(there, who, person[at])


def _built(root: Path, name: str, size: int, channels: int, strict: bool, licence: str) -> Dataset:
    skipped = Skipped(list)
    by_name = defaultdict[str, list[Path]](list)
    for file in pictures_in(root, True, skipped):
        by_name[file.name].append(file)
    annotations = sorted(below(root, ".json"))
    if not annotations:
        raise PaperzooError(f"{plain(root)} has no .json of DensePose's annotations below it; it has: {names_in(root)}")
    marked, files = dict[Path, Picture](), defaultdict[str, list[Item]](list)
    for path in annotations:
        split = next((_WORDS[word] for word in re.split(r"[^a-z]+", path.stem.lower()) if word in _WORDS), "train")
        for one in of_densepose(path):
            matches = by_name.get(PurePosixPath(one.file).name, [])
            if not matches:
                skipped["pictures that annotations name and that are not there"].append(root / one.file)
            elif len(matches) > 1 or matches[0] in marked:
                raise PaperzooError(f"{plain(path)}: {plain(one.file)} is there, or annotated, more than once")
            else:
                marked[matches[0]] = one
                files[split].append((matches[0], 0))
    left = {path for paths in skipped.values() for path in paths}
    skipped["pictures without annotated people"] += [f for same in by_name.values() for f in same if f not in marked and f not in left]
    if not marked:
        raise PaperzooError(f"no picture below {plain(root)} has a person with dp_x, dp_y, dp_I, dp_U and dp_V in its annotations")
    complain(root, skipped, strict, stacklevel=4)
    groups = copies(file for items in files.values() for file, _ in items)
    splits = cut(files, root, groups, "pictures")
    say_copies(files, groups, root, stacklevel=4)
    built, surface = {}, read(root / "surface.npz") if (root / "surface.npz").exists() else None
    for split, items in splits.items():
        chosen = [file for file, _ in items]
        annotated = [marked[file] for file in chosen]
        people = People([[_framed(who, one, size) for who in one.people] for one in annotated], surface)
        built[split] = Split(FramedFiles(chosen, size, size, channels), FramedSegments(annotated, size), people)
    fields = ("image", "segments", "person", "boxes", "objects", "points", "point_part", "point_uv")
    arguments = {"channels": channels, "image_size": size}
    schema = Schema(name, fields, arguments, (), Preparation(size, size, channels, ground=(0.0, 1.0)))
    return Dataset(schema, built, licence, f"pictures in {root}", pictures=False)


def _framed(who: Annotated, picture: Picture, size: int) -> Points:
    """A person in pixels of the square that the picture is put into."""
    frame = Letterbox(picture.size[1], picture.size[0], size, size)
    box = np.clip(frame.into(who.box), 0, size).astype(np.float32)
    return Points(box, frame.into(who.place).astype(np.float32), who.part, who.uv.astype(np.float32))
