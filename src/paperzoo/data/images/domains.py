"""The user's own pictures in two domains: pairs, side by side in one picture or in two folders, and unpaired folders.

``image_a`` is translated from and ``image_b`` to, as in ``paperzoo.data.images.translation``. Every picture is read as those of
``folder:`` are: upright, on white where it is transparent, its middle square at ``image_size``. Both domains have the same number of
channels: 1 only if all pictures of both are grey.
"""

from __future__ import annotations

import dataclasses
import re
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from paperzoo.data.dataset import Column, Dataset, Images, Schema, Split, Unpaired
from paperzoo.data.images import folders
from paperzoo.data.images.folders import ImageFiles, Source, complain_unread, is_grey, read_all, size_of
from paperzoo.data.images.table import FACADES, HORSE2ZEBRA
from paperzoo.data.listing import (
    SPLITS,
    Item,
    Skipped,
    below,
    complain,
    copies,
    cut,
    folders_of,
    pictures_in,
    say_copies,
    some,
    split_folders,
)
from paperzoo.data.options import options
from paperzoo.data.paths import apart, names_in
from paperzoo.data.pictures import Preparation, as_channels, formats
from paperzoo.errors import PaperzooError, unknown
from paperzoo.files import path_of
from paperzoo.terminal import plain

#: what follows ``image-pairs:PATH#``
OPTIONS = {"direction": "AtoB, or BtoA to translate the right half, or folder B, into the other"}
DIRECTIONS = ("AtoB", "BtoA")

_SPLIT_OF_DOMAIN = re.compile(r"(train|validation|valid|val|test)[ _-]?([ab])", re.IGNORECASE)

#: the picture of A and that of B
Pair = tuple[Source, Source]


# Pairs ---------------------------------------------------------------------------------------------------------------


def image_pairs(
    path: Path, text: str = "", image_size: int | None = None, channels: int | None = None, strict: bool = False
) -> Dataset:
    """Pairs of the user's own, in one of three forms, each with or without folders ``train``, ``val`` and ``test``:

    - pictures of two halves, A on the left and B on the right (facades, maps, edges2shoes);
    - ``A/`` and ``B/`` with files of equal names, suffixes aside; the splits may lie in each (``A/train/1.png``);
    - the same within each split (``train/A/1.png``).

    Pictures of one pair may differ in size if their sides have the same ratio: both are resized. Splits that are missing are cut from
    ``train`` by the path of A's picture, as those of ``folder:``; pairs with equal files, in A or in B, stay in one split. What cannot
    be read, is without a partner, has an odd width or halves of another shape is left out with a warning that names it.

    Args:
        text: ``direction=BtoA`` exchanges the domains.
        image_size: height and width. Default: 64.
        channels: 1 or 3. Default: 3, or 1 if all pictures are grey.
        strict: refuse what would be left out.

    Raises:
        PaperzooError: there are fewer than two pairs, none can be read, or something is to be left out and ``strict``.
    """
    size, direction = size_of(image_size, channels), options(text, OPTIONS, plain(path.name)).get("direction", "AtoB")
    if direction not in DIRECTIONS:
        raise unknown("direction", direction, DIRECTIONS, f"of {plain(path)}")
    skipped = Skipped(list)
    by_split = _pairs_of(path, skipped)
    complain(path, skipped, strict, most=5)
    by_file = {_file(a): (a, b) for pairs in by_split.values() for a, b in pairs}
    sources = [source for pair in by_file.values() for source in pair]
    lazy = len(sources) * 3 * size**2 > folders.LARGE
    read, bad = ({}, {}) if lazy else read_all(sources, size)
    bad |= {a: why for a, b in by_file.values() if a not in bad and b not in bad and (why := _shapes(a, b))}
    if bad:
        complain_unread(path, {_file(source): why for source, why in bad.items()}, len(by_file), strict)
    files = {s: [(_file(a), 0) for a, b in pairs if a not in bad and b not in bad] for s, pairs in by_split.items()}
    if sum(map(len, files.values())) < 2:
        raise PaperzooError(f"{plain(path)} has one pair only: one to train on and one to test on are the least")
    groups = _together(copies(dict.fromkeys(map(_file, sources))), by_file)
    splits = cut(files, path, groups, "pairs")
    say_copies(files, groups, path)
    wanted = channels or (1 if read and all(map(is_grey, read.values())) else 3)
    built = {}
    for split, items in splits.items():
        pairs = [by_file[file] if direction == "AtoB" else by_file[file][::-1] for file, _ in items]
        built[split] = Split(*(_column([p[side] for p in pairs], read, size, wanted, f) for side, f in enumerate(_FIELDS)))
    return _dataset(f"image-pairs:{path}", built, size, wanted, ("A", "B") if direction == "AtoB" else ("B", "A"), tuple(built), path)


def _pairs_of(root: Path, skipped: Skipped) -> dict[str, list[Pair]]:
    """Each split's pairs, by the name of A's picture."""
    inside = {f.name.upper(): f for f in folders_of(root)}
    if {"TRAINA", "TRAINB"} <= inside.keys():
        raise PaperzooError(f"{plain(root)} has trainA and trainB, two domains without pairs: --data 'unpaired:{plain(root)}'")
    if {"A", "B"} <= inside.keys():
        a, b = (split_folders(inside[domain]) for domain in "AB")
        return {split: _by_name(a.get(split), b.get(split), root, skipped) for split in dict.fromkeys([*a, *b])}
    by_split = {}
    for split, folder in split_folders(root).items():
        here = {f.name.upper(): f for f in folders_of(folder)}
        if {"A", "B"} & here.keys():
            by_split[split] = _by_name(here.get("A"), here.get("B"), root, skipped)
        else:
            by_split[split] = [((file, 0), (file, 1)) for file in pictures_in(folder, True, skipped, (root,))]
    if not any(by_split.values()):
        raise PaperzooError(f"{plain(root)} has no pictures of two halves, and no folders A and B; it has: {names_in(root)}")
    return by_split


def _by_name(a: Path | None, b: Path | None, root: Path, skipped: Skipped) -> list[Pair]:
    """Pictures of two folders whose paths in them are the same but for the suffix.

    Raises:
        PaperzooError: a folder is missing, no two names are the same, or a folder has one name with two suffixes.
    """
    known = []
    for domain, folder in (("A", a), ("B", b)):
        if folder is None:
            raise PaperzooError(f"{plain(root)} has a folder {'B' if domain == 'A' else 'A'} without its {domain}")
        names: dict[str, Path] = {}
        for file in pictures_in(folder, True, skipped, (root,)):
            name = file.relative_to(folder).with_suffix("").as_posix()
            if name in names:
                both = f"{names[name].name} and {file.name}"
                raise PaperzooError(f"{plain(folder)} has {plain(both)}: which of them is the other folder's {plain(name)}?")
            names[name] = file
        if not names:
            raise PaperzooError(f"domain {domain} is empty: {plain(folder)} has no pictures")
        known.append(names)
    of_a, of_b = known
    if not of_a.keys() & of_b.keys():
        names_of = f"{some(list(of_a), 5)} and {some(list(of_b), 5)}"
        raise PaperzooError(f"no picture in {plain(a or root)} has the name of one in {plain(b or root)}: they are {names_of}")
    for mine, yours, where in ((of_a, of_b, "B"), (of_b, of_a, "A")):
        if alone := [mine[name] for name in mine if name not in yours]:
            skipped[f"pictures without a partner of the same name in {where}"] += alone
    return [(file, of_b[name]) for name, file in of_a.items() if name in of_b]


def _file(source: Source) -> Path:
    return source if isinstance(source, Path) else source[0]


def _shapes(a: Source, b: Source) -> str:
    """Why a pair's picture sizes do not match; empty if their aspect ratios agree, to a pixel."""
    if not (isinstance(a, Path) and isinstance(b, Path)):
        return ""
    try:
        (width, height), (wide, high) = _size(a), _size(b)
    except Exception:  # the reader reports why it cannot be read
        return ""
    same = abs(width * high - wide * height) <= max(width, height, wide, high)
    return "" if same else f"it has {width}x{height} pixels, but its partner {wide}x{high}, another shape"


def _size(path: Path) -> tuple[int, int]:
    """Width and height of a picture when it is upright."""
    with Image.open(path, formats=formats()) as opened:
        turned = opened.getexif().get(0x0112, 1) >= 5
        return (opened.height, opened.width) if turned else opened.size


def _together(groups: Iterable[Sequence[Path]], by_file: Mapping[Path, Pair]) -> list[list[Path]]:
    """Pairs, each by the file of its A, that have equal files in A or in B, or are linked by others that do."""
    of_b = {_file(b): a for a, (_, b) in by_file.items()}
    leader: dict[Path, Path] = {}

    def first(file: Path) -> Path:
        while (above := leader.get(file, file)) != file:
            file = above
        return file

    for group in groups:
        members = [file if file in by_file else of_b[file] for file in group]
        for member in members[1:]:
            leader[first(member)] = first(members[0])
    linked: dict[Path, list[Path]] = defaultdict(list)
    for file in by_file:
        linked[first(file)].append(file)
    return [files for files in linked.values() if len(files) > 1]


# Unpaired ------------------------------------------------------------------------------------------------------------


def unpaired_images(path: Path, image_size: int | None = None, channels: int | None = None, strict: bool = False) -> Dataset:
    """Pictures of two kinds of the user's own: two folders, or one with ``trainA``, ``trainB`` and maybe ``testA``, ``testB``.

    Two folders are given as ``FOLDER_A,FOLDER_B``. One folder may also hold ``A/`` and ``B/``. Each folder is searched through and
    through, and may have folders ``train``, ``val`` and ``test``. A split that is missing is cut from ``train``, for each domain by
    itself, as those of ``folder:``. No split is paired.

    Args, Raises: as ``image_pairs``; a domain has at least two pictures.
    """
    size, skipped = size_of(image_size, channels), Skipped(list)
    places = [path_of(place) for place in apart(str(path))]
    names = ("A", "B") if len(places) == 1 or places[0].name == places[1].name else (places[0].name, places[1].name)
    folders_by_domain = _domains_of(places[0]) if len(places) == 1 else [split_folders(place) for place in places]
    roots = [places[0], places[-1]]
    items_by_domain: list[dict[str, list[Item]]] = []
    for domain, folders_by_split, root in zip(names, folders_by_domain, roots, strict=True):
        items_by_domain.append(
            {split: [(p, 0) for p in pictures_in(place, True, skipped, (root,))] for split, place in folders_by_split.items()}
        )
        if not items_by_domain[-1].get("train"):
            place = folders_by_split.get("train", root)
            raise PaperzooError(f"domain {plain(domain)} is empty: {plain(place)} has no pictures")
    complain(path, skipped, strict)
    every: list[Source] = [file for by_split in items_by_domain for items in by_split.values() for file, _ in items]
    lazy = len(every) * 3 * size**2 > folders.LARGE
    read, bad = ({}, {}) if lazy else read_all(every, size)
    if bad:
        complain_unread(path, {_file(source): why for source, why in bad.items()}, len(every), strict)
    groups = copies(map(_file, every))
    cuts = []
    for side, root in enumerate(roots):
        files = {split: [item for item in items if item[0] not in bad] for split, items in items_by_domain[side].items()}
        mine = {file for items in files.values() for file, _ in items}
        alike = [same for group in groups if len(same := [file for file in group if file in mine]) > 1]
        if sum(map(len, files.values())) < 2:
            raise PaperzooError(f"domain {plain(names[side])} has one picture only: one to train on and one to test on are the least")
        say_copies(files, alike, root)
        cuts.append(cut(files, root, alike, "pictures"))
    _say_shared(groups, cuts, roots)
    wanted = channels or (1 if read and all(map(is_grey, read.values())) else 3)
    built = {}
    for split in ("train", "validation", "test"):
        if all(split in by_split for by_split in cuts):
            columns = [
                _column([file for file, _ in by_split[split]], read, size, wanted, field)
                for by_split, field in zip(cuts, _FIELDS, strict=True)
            ]
            built[split] = Split(Unpaired(*columns))
    return _dataset(f"unpaired:{path}", built, size, wanted, names, (), path)


def _domains_of(root: Path) -> list[dict[str, Path]]:
    """Split -> folder, of A and of B.

    Raises:
        PaperzooError: the folder has another form.
    """
    by_domain: dict[str, dict[str, Path]] = {"A": {}, "B": {}}
    inside = folders_of(root)
    for folder in inside:
        if match := _SPLIT_OF_DOMAIN.fullmatch(folder.name):
            by_domain[match[2].upper()][SPLITS[match[1].lower()]] = folder
    here = {f.name.upper(): f for f in inside}
    if {"A", "B"} <= here.keys():
        return [split_folders(here[domain]) for domain in "AB"]
    for split, folder in split_folders(root).items():
        for domain in folders_of(folder):
            if domain.name.upper() in by_domain and folder != root:
                by_domain[domain.name.upper()][split] = domain
    if missing := [domain for domain, by_split in by_domain.items() if "train" not in by_split]:
        forms = "trainA and trainB (and maybe testA and testB), or A and B, or two folders: 'unpaired:CATS,DOGS'"
        lacks = f"has no train{missing[0]}" if len(missing) == 1 else "does not hold two domains"
        raise PaperzooError(f"{plain(root)} {lacks}: it takes {forms}; it has: {names_in(root)}")
    return [by_domain["A"], by_domain["B"]]


def _say_shared(groups: Iterable[Sequence[Path]], cuts: Sequence[Mapping[str, Sequence[Item]]], roots: Sequence[Path]) -> None:
    """Warns of equal pictures that are in both domains."""
    in_a, in_b = ({file for items in by_split.values() for file, _ in items} for by_split in cuts)
    both = [(next(f for f in g if f in in_a), next(f for f in g if f in in_b)) for g in groups if in_a & {*g} and in_b & {*g}]
    if both:
        named = some([f"{below(a, roots[0])} and {below(b, roots[1])}" for a, b in both])
        warnings.warn(f"{len(both)} pictures are the same in both domains ({named})", stacklevel=3)


def facades(path: Path, image_size: int | None = None) -> Dataset:
    """Pix2pix's facades: labels are translated from and photographs to. 256 pixels unless another side is asked for."""
    return _named("facades", image_pairs(path, "direction=BtoA", image_size or 256, 3), FACADES.licence, ("labels", "facades"))


def horse2zebra(path: Path, image_size: int | None = None) -> Dataset:
    """CycleGAN's horses and zebras, of which none are paired. 256 pixels unless another side is asked for."""
    return _named("horse2zebra", unpaired_images(path, image_size or 256, 3), HORSE2ZEBRA.licence, ("horses", "zebras"))


def _named(name: str, built: Dataset, licence: str, domains: tuple[str, str]) -> Dataset:
    schema = dataclasses.replace(built.schema, name=name, arguments={**built.schema.arguments, "domains": domains})
    return dataclasses.replace(built, schema=schema, licence=licence)


# Both ----------------------------------------------------------------------------------------------------------------

_FIELDS = ("image_a", "image_b")


def _column(sources: Sequence[Source], read: Mapping[Source, np.ndarray], size: int, channels: int, name: str) -> Column:
    """The pixels, if they were read into memory; else, for large sets, a column that reads the files when they are asked for."""
    if not read:
        return ImageFiles(sources, size, size, channels, name=name)
    return Images(torch.from_numpy(np.stack([as_channels(read[source], channels) for source in sources])), name)


def _dataset(
    name: str, splits: dict[str, Split], size: int, channels: int, domains: tuple[str, str], paired: tuple[str, ...], path: Path
) -> Dataset:
    arguments = {"channels": channels, "image_size": size, "domains": domains, "paired": paired}
    schema = Schema(name, _FIELDS, arguments, picture=Preparation(size, size, channels))
    return Dataset(schema, splits, "the user's own", f"pictures in {path}", pictures=False)
