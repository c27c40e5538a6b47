"""The user's own pictures with boxes, and published sets: VOC, COCO, YOLO and ICDAR."""

from __future__ import annotations

import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image

from paperzoo.data.boxes.anchors import anchors_of
from paperzoo.data.boxes.checks import Said, pixels_taken_for_shares, scaled, shares_taken_for_pixels, sound
from paperzoo.data.boxes.columns import FramedFiles, Marked, Marks, read_framed
from paperzoo.data.boxes.geometry import Letterbox
from paperzoo.data.boxes.readers import Annotated, Mark, of_coco, of_icdar, of_voc, of_yolo, yolo_names
from paperzoo.data.dataset import Column, Dataset, Images, Schema, Split, Values
from paperzoo.data.encoding import blocks
from paperzoo.data.images import folders
from paperzoo.data.images.folders import complain_unread
from paperzoo.data.listing import SPLITS, Item, Skipped, complain, copies, cut, pictures_in, say_copies, some
from paperzoo.data.options import options
from paperzoo.data.paths import below, names_in
from paperzoo.data.pictures import Preparation, formats
from paperzoo.errors import PaperzooError, unknown
from paperzoo.terminal import plain

#: side of the images where nobody asks for another
SIZE = 160
#: what follows ``voc:PATH#``
OPTIONS = {"classes": "the classes to be taken, parted by commas, in the order of their numbers; boxes of others are left out"}


@dataclass(frozen=True)
class Told:
    """Pictures with what is marked in them, by file; in which split each is, where that is said; and the classes' names."""

    marked: dict[Path, Annotated]
    split: dict[Path, str]
    names: tuple[str, ...]
    shares: bool = False


def box_folder(
    path: Path, text: str = "", kind: str = "voc", image_size: int | None = None, channels: int | None = None, strict: bool = False
) -> Dataset:
    """Pictures anywhere below a folder with their boxes: ``image`` (N, C, S, S), ``boxes`` (N, M, 4), ``box_label`` and their kin.

    A picture of any shape lies in the middle of a square, grey around it; ``original`` has its own height and width. A split is a
    folder of that name anywhere on the way to the picture, VOC's ``ImageSets``, or the name of COCO's file; one that is missing is
    cut from ``train`` as those of ``folder:``. What is wrong with boxes is said, see ``checks.sound``.

    Args:
        text: options, see ``OPTIONS``.
        kind: ``voc``, ``coco``, ``yolo`` or ``icdar``, which has ``quads`` too, and the one class ``text``.
        image_size: height and width. Default: 160.
        channels: 1 or 3. Default: 3.
        strict: refuse what would be left out.

    Raises:
        PaperzooError: no annotations, some of another form, a class that is not listed, or nothing left to read.
    """
    chosen = options(text, OPTIONS, plain(path.name))
    classes = tuple(filter(None, (name.strip() for name in chosen.get("classes", "").split(","))))
    size = folders.size_of(image_size or SIZE, channels)
    skipped, said = Skipped(list), Said(list)
    annotations = _READERS[kind](path, skipped, said)
    return _built(path, f"{kind}:{path}", annotations, classes, size, channels or 3, strict, skipped, said, "the user's own")


def published(path: Path, kind: str, licence: str, image_size: int | None = None) -> Dataset:
    """PASCAL VOC (its ``VOCdevkit``), COCO (with ``annotations/instances_*.json``) or ICDAR (``train/``, ``test/``), as published.

    Of VOC 2007 and 2012 ``train`` and ``val`` are trained on, the ``test`` of 2007 is tested on; of COCO ``val2017`` is, whose tests
    have no annotations that are given out. ``validation`` is cut from ``train``.

    Args:
        image_size: height and width. Default: 416, of ICDAR 512.

    Raises:
        PaperzooError: a file is missing, or of another form.
    """
    skipped, said = Skipped(list), Said(list)
    annotations = _READERS[{"pascal-voc": "voc", "coco-boxes": "coco"}.get(kind, "icdar")](path, skipped, said)
    held = {"pascal-voc": {"validation": "train"}, "coco-boxes": {"validation": "test"}}.get(kind, {})
    split_of = {file: held.get(split, split) for file, split in annotations.split.items()}
    annotations = Told(annotations.marked, split_of, annotations.names)
    size = image_size or (512 if kind.startswith("icdar") else 416)
    return _built(path, kind, annotations, (), size, 3, False, skipped, said, licence)


# Which picture has which boxes ---------------------------------------------------------------------------------------


def _by_stem(root: Path, skipped: Skipped) -> dict[str, list[Path]]:
    files = defaultdict[str, list[Path]](list)
    for file in pictures_in(root, True, skipped):
        files[file.stem].append(file)
    return files


def _beside(stems: Mapping[str, Sequence[Path]], stem: str, annotation: Path, root: Path) -> Path | None:
    """The picture that a file of annotations is of: the one of its name; of several the one whose folders differ least from its own."""
    same = stems.get(stem, ())
    if len(same) < 2:
        return same[0] if same else None
    folders = set(annotation.relative_to(root).parts[:-1])
    apart = [len(folders ^ set(file.relative_to(root).parts[:-1])) for file in same]
    near = [file for file, number in zip(same, apart, strict=True) if number == min(apart)]
    if len(near) > 1:
        where = some([file.relative_to(root).as_posix() for file in near])
        raise PaperzooError(f"{plain(annotation)} may be of several pictures, {where}: give them names of their own")
    return near[0]


def _split_of(file: Path, root: Path) -> str:
    """The split that a folder on the way to a file names, such as ``val`` or ``val2017``, or nothing."""
    return _named(file.relative_to(root).parts[:-1])


def _named(words: Sequence[str]) -> str:
    """The split that the first of these words that names one does; the number of a year behind it is passed over."""
    plain_words = (re.sub(r"(?<=[a-z])\d{4}$", "", word.lower()) for word in words)
    return next((SPLITS[word] for word in plain_words if word in SPLITS), "")


def _each_file(
    root: Path, ending: str, read: Callable[[Path], Annotated], stem: Callable[[Path, Annotated], str], skipped: Skipped
) -> Told:
    stems = _by_stem(root, skipped)
    marked: dict[Path, Annotated] = {}
    for path in sorted(below(root, ending)):
        if path.name in ("classes.txt",) or "ImageSets" in path.parts:
            continue
        one = read(path)
        if (file := _beside(stems, stem(path, one), path, root)) is None:
            skipped["annotations of pictures that are not there"].append(path)
        elif file in marked:
            raise PaperzooError(f"{plain(path)} is of {plain(file.name)}, of which other annotations are")
        else:
            marked[file] = one
    if not marked:
        raise PaperzooError(f"{plain(root)} has no {ending} file of a picture below it; it has: {names_in(root)}")
    return Told(marked, {file: split for file in marked if (split := _split_of(file, root))}, ())


def _voc(root: Path, skipped: Skipped, said: Said) -> Told:
    annotations = _each_file(root, ".xml", of_voc, lambda path, _: path.stem, skipped)
    lists = dict[tuple[Path, str], str]()  # which picture is in which split, of the year that the list is of
    for path in sorted(root.rglob("ImageSets/Main/*.txt")):
        if path.stem in SPLITS:
            lists |= {(path.parents[2], name): SPLITS[path.stem] for name in "".join(blocks(path)).split()}
    split = dict(annotations.split)
    for file in annotations.marked:
        for place in file.parents:
            if (place, file.stem) in lists:
                split[file] = lists[place, file.stem]
                break
    if lists:
        left = [file for file in annotations.marked if file not in split]
        skipped["pictures in none of the lists of splits"] += left
        annotations = Told({file: one for file, one in annotations.marked.items() if file in split}, split, ())
    _without(root, annotations, skipped)
    return Told(annotations.marked, split, _gathered(annotations.marked), _guessed(root, annotations.marked, said))


_OTHERS = ("captions_", "person_keypoints_", "panoptic_", "stuff_")  # what else COCO gives out


def _coco(root: Path, skipped: Skipped, said: Said) -> Told:
    by_name = defaultdict[str, list[Path]](list)
    for file in pictures_in(root, True, skipped):
        by_name[file.name].append(file)
    files = sorted(path for path in below(root, ".json") if not path.name.startswith(_OTHERS))
    if not files:
        raise PaperzooError(f"{plain(root)} has no .json of COCO's annotations below it; it has: {names_in(root)}")
    marked, split, names = dict[Path, Annotated](), dict[Path, str](), tuple[str, ...]()
    for path in files:
        annotations = of_coco(path)
        names += tuple(name for name in annotations.names if name not in names)
        here = _named([*path.stem.split("_"), path.parent.name])
        for one in annotations.pictures:
            same = by_name.get(PurePosixPath(one.file).name, [])
            fits = [file for file in same if f"/{file.relative_to(root).as_posix()}".endswith(f"/{one.file}")]
            matches = [file for file in fits if here and _split_of(file, root) == here] or fits
            if not matches:
                skipped["pictures that annotations name and that are not there"].append(root / one.file)
            elif len(matches) > 1:
                raise PaperzooError(f"{plain(path)}: {plain(one.file)} may be {some([f.relative_to(root).as_posix() for f in matches])}")
            elif matches[0] in marked:
                raise PaperzooError(f"{plain(path)} has {plain(one.file)}, which stands in another file too, or twice")
            else:
                marked[matches[0]] = one
                split |= {matches[0]: here} if here else {}
    if not marked:
        raise PaperzooError(f"no picture that the annotations in {plain(root)} name is below it; it has: {names_in(root)}")
    told_all = Told(marked, split, names)
    _without(root, told_all, skipped)
    return Told(marked, split, names, _guessed(root, marked, said))


def _yolo(root: Path, skipped: Skipped, said: Said) -> Told:
    names = yolo_names(root)
    annotations = _each_file(root, ".txt", lambda path: of_yolo(path, names), lambda path, _: path.stem, skipped)
    empty = [file for files in _by_stem(root, Skipped(list)).values() for file in files if file not in annotations.marked]
    if empty:
        said["pictures without a file of labels, taken as pictures of nothing"] += [file.name for file in empty]
    marked = {**annotations.marked, **{file: Annotated(file.name) for file in empty}}
    pixels = pixels_taken_for_shares(list(marked.values()))
    if pixels:
        said["labels in pixels, where shares of the picture's sides belong: taken as pixels"].append(plain(root))
    labels = names or tuple(sorted(_gathered(marked), key=int))
    return Told(marked, {file: split for file in marked if (split := _split_of(file, root))}, labels, shares=not pixels)


def _icdar(root: Path, skipped: Skipped, said: Said) -> Told:
    annotations = _each_file(root, ".txt", of_icdar, lambda _, one: one.file, skipped)
    _without(root, annotations, skipped)
    return Told(annotations.marked, annotations.split, ("text",))


_READERS = {"voc": _voc, "coco": _coco, "yolo": _yolo, "icdar": _icdar}


def _without(root: Path, annotations: Told, skipped: Skipped) -> None:
    left = {path for files in skipped.values() for path in files}
    every = [file for files in _by_stem(root, Skipped(list)).values() for file in files]
    known = annotations.marked.keys() | left
    skipped["pictures without annotations"] += [file for file in every if file not in known]


def _gathered(marked: Mapping[Path, Annotated]) -> tuple[str, ...]:
    """The names of all classes, by the alphabet."""
    return tuple(sorted({mark.name for one in marked.values() for mark in one.marks}))


def _guessed(root: Path, marked: Mapping[Path, Annotated], said: Said) -> bool:
    """Whether boxes are relative where pixels are expected; this is reported."""
    if shares := shares_taken_for_pixels(list(marked.values())):
        said["boxes in shares of the picture's sides, where pixels belong: taken as shares"].append(plain(root))
    return shares


# The set -------------------------------------------------------------------------------------------------------------


def _built(
    root: Path, name: str, annotations: Told, classes: Sequence[str], size: int, channels: int, strict: bool, skipped: Skipped, said: Said,
    licence: str,
) -> Dataset:  # fmt: skip
    names = tuple(classes) or annotations.names
    for one in classes:
        if one not in annotations.names:
            raise unknown("class", one, annotations.names, f"of {plain(root)}")
    complain(root, skipped, strict, stacklevel=4)
    sides, bad = _sides(list(annotations.marked))
    lazy = len(sides) * 3 * size**2 > folders.LARGE
    read, worse = ({}, {}) if lazy else _read(list(sides), size, channels)
    sides = {file: side for file, side in sides.items() if file not in worse}
    if bad := {**bad, **worse}:
        complain_unread(root, bad, len(annotations.marked), strict)
    marked = {file: one for file, one in annotations.marked.items() if file in sides}
    marks = {file: _checked(one, annotations, names, sides[file], said) for file, one in marked.items()}
    _say(root, said)
    files: dict[str, list[Item]] = defaultdict(list)
    for file in marks:
        files[annotations.split.get(file, "train")].append((file, 0))
    groups = copies(file for items in files.values() for file, _ in items)
    splits = cut(files, root, groups, "pictures")
    say_copies(files, groups, root, stacklevel=4)
    quads, built, shapes = False, {}, [np.zeros((0, 2))]
    for split, items in splits.items():
        chosen = [file for file, _ in items]
        framed = [_framed(marks[file], sides[file], size, names) for file in chosen]
        image: Column = FramedFiles(chosen, size, size, channels)
        if not lazy:
            image = Images(torch.from_numpy(np.stack([read[file] for file in chosen])))
        column = Marked(framed)
        original = Values("original", torch.tensor([[sides[file][1], sides[file][0]] for file in chosen]))
        built[split], quads = Split(image, column, original), quads or column.quads
        if split == "train":
            shapes += [each.boxes[~each.crowd, 2:] - each.boxes[~each.crowd, :2] for each in framed]
    arguments = {"channels": channels, "image_size": size, "classes": len(names), **anchors_of(np.concatenate(shapes))}
    fields = ("image", "boxes", "box_label", "difficult", "crowd", "objects", *(["quads"] if quads else []), "original")
    schema = Schema(name, fields, arguments, names, Preparation(size, size, channels, ground=(0.0, 1.0)))
    return Dataset(schema, built, licence, f"pictures in {root}", pictures=False)


def _sides(files: Sequence[Path]) -> tuple[dict[Path, tuple[int, int]], dict[Path, str]]:
    """Width and height of each picture, upright, and why others cannot be read; only what stands at a file's beginning is read."""
    sides, bad = {}, {}
    for file in files:
        try:
            with warnings.catch_warnings(), Image.open(file, formats=formats()) as opened:
                warnings.simplefilter("ignore")  # of Pillow's, on odd metadata
                turned = opened.getexif().get(0x0112, 1) in (5, 6, 7, 8)
                sides[file] = (opened.height, opened.width) if turned else opened.size
        except Exception as error:  # Pillow's plug-ins raise a dozen kinds
            bad[file] = str(error) or type(error).__name__
    return sides, bad


def _read(files: Sequence[Path], size: int, channels: int) -> tuple[dict[Path, np.ndarray], dict[Path, str]]:
    """The pictures in their frames, uint8 (C, S, S), and why others cannot be read."""
    read, bad = {}, {}
    for file in files:
        try:
            read[file] = read_framed(file, size, size, channels)
        except PaperzooError as error:
            bad[file] = str(error).partition(": ")[2]
    return read, bad


def _checked(one: Annotated, annotations: Told, names: Sequence[str], side: tuple[int, int], said: Said) -> list[Mark]:
    wide, tall = side
    marks = [scaled(mark, wide, tall) for mark in one.marks] if annotations.shares else one.marks
    if not annotations.shares and one.size and one.size != side:
        said["pictures of another size than their annotations say, whose boxes were scaled"].append(one.file)
        marks = [scaled(mark, wide / one.size[0], tall / one.size[1]) for mark in marks]
    kept = []
    for mark in sound(marks, wide, tall, said):
        if mark.name in names:
            kept.append(mark)
        else:
            said["boxes of classes that were not asked for, left out"].append(mark.name)
    return kept


def _framed(marks: Sequence[Mark], side: tuple[int, int], size: int, names: Sequence[str]) -> Marks:
    """Marks in pixels of the square that the picture is put into."""
    box = Letterbox(side[1], side[0], size, size)
    boxes = box.into(np.array([mark.box for mark in marks], np.float64).reshape(-1, 4))
    quads = None
    if all(mark.quad for mark in marks) and any(name == "text" for name in names):
        quads = box.into(np.array([mark.quad for mark in marks], np.float64).reshape(-1, 4, 2))
    labels = [names.index(mark.name) for mark in marks]
    return Marks.of(boxes, labels, [mark.difficult for mark in marks], [mark.crowd for mark in marks], quads)


def _say(root: Path, said: Said) -> None:
    parts = [f"{len(places)} {fault} ({_most(places)})" for fault, places in said.items() if places]
    if parts:
        warnings.warn(f"in {plain(root)} there are {'; '.join(parts)}", stacklevel=5)


def _most(places: Sequence[str]) -> str:
    return some(list(Counter(places)))
