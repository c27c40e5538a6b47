"""Photographs for restoration: out of packages, published sets, and the user's own."""

from __future__ import annotations

import hashlib
import io
import re
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from paperzoo.data.bicubic import shrink
from paperzoo.data.crops import Photographs, Squares, as_images
from paperzoo.data.dataset import Dataset, Schema, Split
from paperzoo.data.fetch.deb import deb_files
from paperzoo.data.fetch.fingerprint import digest, fingerprint
from paperzoo.data.fetch.prepared import prepared
from paperzoo.data.fetch.rcc import rcc_files
from paperzoo.data.fetch.readers import archive_members, archive_read
from paperzoo.data.fetch.sources import sha256
from paperzoo.data.listing import Item, Skipped, below, complain, copies, cut, pictures_in, say_copies, some, split_folders
from paperzoo.data.pictures import Preparation, read_rgb, suffixes
from paperzoo.errors import PaperzooError
from paperzoo.terminal import plain

#: side of the squares that are cut out, where nobody asks for another; 2, 3 and 4 divide it
PATCH = 96

SPLITS = ("train", "validation", "test")

_VERSION = 1  # of the prepared arrays: change it whenever they come out differently


# Sets ----------------------------------------------------------------------------------------------------------------


def flat(pictures: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """Pictures uint8 (H, W, 3) as ``pixels`` and ``sides`` of ``Photographs``, by way of a file, for they may not fit into memory."""
    sides = []
    with tempfile.TemporaryFile() as scratch:
        for picture in pictures:
            sides.append(picture.shape[:2])
            scratch.write(np.ascontiguousarray(picture).data)
        scratch.flush()
        total = scratch.tell()
        pixels = np.memmap(scratch, np.uint8, "r", shape=(total,)) if total else np.zeros(0, np.uint8)
        return {"pixels": pixels, "sides": np.array(sides, np.int64).reshape(-1, 2)}


def squares(
    name: str, splits: Mapping[str, Photographs], side: int, licence: str, source: str, pictures: bool = False
) -> Dataset:
    """A set of photographs, given out as squares of ``side`` pixels: ``train`` at random places, other splits by a grid.

    Raises:
        PaperzooError: a split has no photograph as large as that.
    """
    if side < 1:
        raise PaperzooError(f"squares of {side} pixels cannot be cut out of photographs: image_size is at least 1")
    columns = {split: Squares(photographs, side, split == "train") for split, photographs in splits.items()}
    for split, column in columns.items():
        if not len(column):
            largest = column.all.sides.min(1).max(initial=0)
            fault = f"none of the {len(column.all)} photographs of {split} in {name} has {side}x{side} pixels"
            raise PaperzooError(f"{fault}: image_size is at most {largest} for them")
    picture = Preparation(side, side, 3, ground=(0.0, 1.0))  # the brightness at a photograph's edge says nothing of its ground
    schema = Schema(name, ("image",), {"channels": 3, "image_size": side}, picture=picture)
    return Dataset(schema, {split: Split(column) for split, column in columns.items()}, licence, source, pictures)


@dataclass(frozen=True)
class Credit:
    """Who took a photograph, and under which licence it is given out."""

    author: str
    licence: str

    @property
    def shown(self) -> bool:
        """Whether pictures made from it may be committed beside a credit: it is CC0, CC BY or in the public domain."""
        return re.match(r"CC0|CC-BY-\d|public domain", self.licence) is not None


def credits(text: str) -> dict[str, Credit]:
    """File -> who made it, from paragraphs with ``Files:``, ``Copyright:`` and ``License:``, as Debian and GCompris write them."""
    by_file = {}
    for paragraph in re.split(r"\n\s*\n", text):
        parts: dict[str, list[str]] = defaultdict(list)
        key = ""
        for line in paragraph.splitlines():
            if start := re.match(r"(\w+):", line):
                key, line = start[1], line[start.end() :]
            if line.strip():
                parts[key].append(line.strip())
        if parts["Files"] and parts["License"]:
            licence = re.sub(r"^public domain$", "public domain", parts["License"][0], flags=re.IGNORECASE).replace(" 4.0", "-4.0")
            by_file.update(dict.fromkeys(parts["Files"], Credit(", ".join(parts["Copyright"]), licence)))
    return by_file


#: activities of GCompris -> where their photographs and their README lie below ``resource``
GCOMPRIS = {"erase": "", "explore_monuments": "", "explore_world_animals": "animals/", "explore_farm_animals": "animals/"}

#: what of the wallpapers is a photograph, and not made by a program
LOMIRI = (
    "Bridge_by_Sander_Klootwijk", "Dragonfly_by_Bolly", "Picture_0B_by_freespace", "Picture_1A_by_freespace", "Wine_by_Jakkub_Mede",
    "aitzgorri_by_Aitzol_Berasategi", "friends_by_Aitzol_Berasategi", "life_by_Aitzol_Berasategi",
    "picosdeeuropa_by_Aitzol_Berasategi", "seeding_by_Clements_Engelhardt", "sunset_by_Aitzol_Berasategi",
)  # fmt: skip

#: photographs to test on and to choose settings by
TEST, VALIDATION = 16, 8


def photographs(gcompris: Path, lomiri: Path, image_size: int | None = None) -> Dataset:
    """Wildlife, monuments, farm animals and wallpapers in colour: ``image`` (N, 3, S, S).

    Each is shrunk by a whole number, at least 2, so that its long side has at most some 1,024 pixels: most were packed so tightly that
    their finest detail is gone, and what is left is as sharp as the pictures of the classic sets. Who took each and under which
    licence is read from the packages. Of those under CC0, CC BY or in the public domain, the first 16 in the order of their names'
    SHA-256 are ``test``, the next 8 ``validation``: pictures of these two splits may be shown.

    Args:
        gcompris, lomiri: ``gcompris-qt-data`` and ``lomiri-wallpapers-16.04``, as Debian packs them.
        image_size: side of the squares. Default: 96.

    Raises:
        PaperzooError: another package, or a damaged one.
    """
    arrays = packed(gcompris, lomiri)
    whole = Photographs(arrays["pixels"], arrays["sides"])
    splits = {split: whole.some(np.flatnonzero(arrays["split"] == number)) for number, split in enumerate(SPLITS)}
    source = f"photographs in {gcompris.name} and {lomiri.name}"
    return squares("photographs", splits, image_size or PATCH, "by photograph", source, pictures=True)


def packed(gcompris: Path, lomiri: Path) -> dict[str, np.ndarray]:
    """The photographs of ``photographs`` whole: ``pixels`` and ``sides``, and of each its ``split``, ``name``, ``author`` and ``licence``.

    Raises:
        PaperzooError: another package, or a damaged one.
    """
    return prepared(f"photographs-{_VERSION}-{sha256(gcompris)[:8]}-{sha256(lomiri)[:8]}", partial(_pack, gcompris, lomiri))


def _pack(gcompris: Path, lomiri: Path) -> dict[str, np.ndarray]:
    """``pixels``, ``sides``, ``split``, ``name``, ``author`` and ``licence``, in the order of the names."""
    by_name = {**_of_gcompris(gcompris), **_of_lomiri(lomiri)}
    if lacking := [kind for kind in ("erase", "explore_monuments", "wallpapers") if sum(n.startswith(kind) for n in by_name) < 4]:
        raise PaperzooError(f"{gcompris.name} and {lomiri.name} have no photographs of {', '.join(lacking)}: another version of them")
    names = sorted(by_name)
    shown = sorted((n for n in names if by_name[n][1].shown), key=lambda n: hashlib.sha256(n.encode()).digest())
    split = [1 if n in shown[TEST : TEST + VALIDATION] else 2 if n in shown[:TEST] else 0 for n in names]
    arrays = flat(_shrunk(by_name[name][0], name) for name in names)
    labels = {key: np.array([getattr(by_name[n][1], key) for n in names]) for key in ("author", "licence")}
    return {**arrays, "split": np.array(split), "name": np.array(names), **labels}


def _of_gcompris(package: Path) -> dict[str, tuple[bytes, Credit]]:
    by_name = {}
    for name, data in deb_files(package, "usr/share/gcompris-qt/rcc", ".rcc"):
        activity = name.removesuffix(".rcc")
        if activity not in GCOMPRIS:
            continue
        inside = f"gcompris/src/activities/{activity}/resource/{GCOMPRIS[activity]}"
        files = {n.removeprefix(inside): d for n, d in rcc_files(data, f"{name} in {package.name}") if n.startswith(inside)}
        known = credits(files.get("README", b"").decode("utf-8", "replace"))
        for file, content in files.items():
            if file.endswith(".webp"):
                by_name[f"{activity}/{file}"] = content, known.get(file, Credit("not stated", "not stated"))
    return by_name


def _of_lomiri(package: Path) -> dict[str, tuple[bytes, Credit]]:
    files = dict(deb_files(package, "usr/share"))
    known = credits(files.get("doc/lomiri-wallpapers-16.04/copyright", b"").decode("utf-8", "replace"))
    by_name = {}
    for name in LOMIRI:
        if (content := files.get(f"backgrounds/{name}.jpg")) is not None:
            by_name[f"wallpapers/{name}.jpg"] = content, known.get(f"16.04/{name}.jpg", Credit("not stated", "not stated"))
    return by_name


def _shrunk(data: bytes, name: str) -> np.ndarray:
    """A photograph, uint8 (H, W, 3), at half its size or less."""
    image = _decoded(data, name)
    by = max(2, round(max(image.shape[:2]) / 1024))
    tall, wide = (side - side % by for side in image.shape[:2])
    small: Tensor = shrink(as_images([image[:tall, :wide]]), by)[0]
    return small.mul(255).round().to(torch.uint8).permute(1, 2, 0).numpy()


def _decoded(data: bytes, name: str) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(data)) as opened:
            return np.asarray(read_rgb(opened))
    except Exception as error:  # Pillow's plug-ins raise a dozen kinds
        raise PaperzooError(f"{name} cannot be read as an image: {error}") from error


def held_out(package: Path, folder: str, files: Sequence[str], kind: str, image_size: int | None = None) -> Dataset:
    """Photographs to test on alone, whole, out of a Debian package; the split ``test``.

    Args:
        folder, files: where in the package they lie.
        kind: what the set is called.

    Raises:
        PaperzooError: another package, or a damaged one.
    """

    def make() -> dict[str, np.ndarray]:
        contents = {n: d for n, d in deb_files(package, folder) if n in files}
        if lacking := [n for n in files if n not in contents]:
            raise PaperzooError(f"{package} lacks {some(lacking)}: another version of it")
        return flat(_decoded(contents[n], n) for n in files)

    arrays = prepared(f"{kind}-{_VERSION}-{sha256(package)[:8]}", make)
    splits = {"test": Photographs(arrays["pixels"], arrays["sides"])}
    return squares(kind, splits, image_size or PATCH, "by photograph", f"photographs in {package.name}", kind == "photographs-skimage")


def inside(image_size: int | None = None) -> Dataset:
    """The two photographs inside scikit-learn, a Chinese temple and a flower, in eight parts each, 213x160 pixels.

    Of either photograph the six parts to the left are ``train``, the upper right one ``validation`` and the lower right one ``test``.

    Args:
        image_size: side of the squares. Default: 96.
    """
    from sklearn.datasets import load_sample_images

    parts = [
        picture[tall * i // 2 :, wide * j // 4 :][: tall // 2, : wide // 4]
        for picture in load_sample_images().images
        for tall, wide in [picture.shape[:2]]
        for j in range(4)
        for i in range(2)
    ]
    arrays, place = flat(parts), np.arange(len(parts)) % 8
    whole = Photographs(arrays["pixels"], arrays["sides"])
    cuts = {"train": place < 6, "validation": place == 6, "test": place == 7}
    splits = {split: whole.some(np.flatnonzero(chosen)) for split, chosen in cuts.items()}
    licence = "CC BY 2.0 (danielbuechele and vultilion, of flickr)"
    return squares("photographs-sklearn", splits, image_size or PATCH, licence, "inside scikit-learn", pictures=True)


# Published sets ------------------------------------------------------------------------------------------------------


def published(*places: Path, kind: str, parts: Mapping[str, Sequence[str]], image_size: int | None = None) -> Dataset:
    """T91, BSD200, DIV2K, Set5, Set14, BSD100 and Urban100, from their archives or from folders that hold the same.

    A set is the pictures in a folder of its name (``Set5/baby.png``). Where it lies there at several scales, as in
    ``Set5/image_SRF_2/img_001_SRF_2_HR.png``, the largest of high resolution is taken, of which the others are parts.

    Args:
        places: archives or folders; each is searched for each of the sets.
        parts: split -> names of the sets that it is made of.

    Raises:
        PaperzooError: a set is in none of them, or a picture cannot be read.
    """
    splits = {}
    for split, names in parts.items():
        key = "-".join([*names, *(_key(place) for place in places)])
        arrays = prepared(f"published-{_VERSION}-{key}", partial(_published, places, names))
        splits[split] = Photographs(arrays["pixels"], arrays["sides"])
    return squares(kind, splits, image_size or PATCH, "research only", f"pictures of {some([p.name for p in places])}")


def _key(place: Path) -> str:
    return digest(fingerprint(place)) if place.is_dir() else sha256(place)[:16]


def _published(places: Sequence[Path], names: Sequence[str]) -> dict[str, np.ndarray]:
    chosen = []
    for name in names:
        pictures = next((pictures for place in places if (pictures := _of_set(place, name))), None)
        if not pictures:
            raise PaperzooError(f"there is no folder {name} with pictures in {', '.join(map(str, places))}")
        chosen += pictures
    return flat(_largest(options) for options in chosen)


def _of_set(place: Path, name: str) -> list[list[tuple[Path, str]]]:
    """For each picture of a set the files that hold it, at one scale or at several."""
    paths = [p.relative_to(place).as_posix() for p in place.rglob("*")] if place.is_dir() else [*archive_members(place)]
    if place.is_dir() and place.name.lower() == name.lower():
        paths = [f"{name}/{path}" for path in paths]
        place = place.parent
    together: dict[str, list[tuple[Path, str]]] = defaultdict(list)
    for path in sorted(paths):
        parts = PurePosixPath(path)
        if name.lower() not in [p.lower() for p in parts.parts[:-1]] or parts.suffix.lower() not in suffixes() or parts.name[0] == ".":
            continue
        stem, mark = scale_of(parts.stem)
        if not mark.endswith("LR"):
            together[stem].append((place, path))
    return list(together.values())


def _largest(options: Sequence[tuple[Path, str]]) -> np.ndarray:
    read = [_decoded((p / n).read_bytes() if p.is_dir() else archive_read(p, n), f"{n} in {p}") for p, n in options]
    return max(read, key=lambda image: image.size)


# The user's own ------------------------------------------------------------------------------------------------------

_SCALED = re.compile(r"(.*?\d|.*?(?=[ _-]))[ _-]?(x[2348]|SRF_[2348](?:_[HL]R)?|[HL]R)", re.IGNORECASE)


def scale_of(stem: str) -> tuple[str, str]:
    """A file's name as the picture's, and what says at which scale it is: ``0001x2`` is ``0001`` and ``X2``; mostly that is nothing."""
    match = _SCALED.fullmatch(stem)
    return (match[1], match[2].upper()) if match else (stem, "")


def photos(path: Path, image_size: int | None = None, channels: int | None = None, strict: bool = False) -> Dataset:
    """The user's own photographs, all that lie below a folder, at any size: ``image`` (N, 3, S, S), squares cut out of them.

    They are read as any pictures are: upright, in 8 bits, on white where they are transparent, greys in three equal channels. Folders
    ``train``, ``validation`` and ``test`` are the splits; those that are missing are cut from ``train``, about a tenth each, as of
    ``folder:``. They are decoded once, into the cache.

    Args:
        image_size: side of the squares. Default: 96. Photographs that are smaller are not trained on, which is said.
        strict: refuse files that cannot be read rather than skip them with a warning.

    Raises:
        PaperzooError: nothing that can be read, all too small, or the same pictures at several scales.
    """
    if channels not in (None, 3):
        raise PaperzooError(f"photos:{path} has 3 channels, not {channels}: what needs the luminance alone takes it from them")
    side, skipped = image_size or PATCH, Skipped(list)
    folder_of = split_folders(path)
    files = {split: [(p, 0) for p in pictures_in(folder, True, skipped, (path,))] for split, folder in folder_of.items()}
    complain(path, skipped, strict)
    _one_scale([p for items in files.values() for p, _ in items], path)
    arrays = prepared(f"photos-{_VERSION}-{digest(fingerprint(path))}", partial(_decode, path, files))
    place = {path / name: number for number, name in enumerate(arrays["name"].tolist())}
    if bad := [(path / name, why) for name, why in zip(arrays["bad"].tolist(), arrays["why"].tolist(), strict=True)]:
        few = [f"{plain(below(p, path))} ({plain(why)})" for p, why in bad[:3]] + ["..."] * (len(bad) > 3)
        message = f"{len(bad)} of {len(bad) + len(place)} photographs in {plain(path)} cannot be read: {'; '.join(few)}"
        if strict or not place:
            raise PaperzooError(message)
        warnings.warn(f"{message}. They are left out", stacklevel=2)
    read: dict[str, list[Item]] = {split: [item for item in items if item[0] in place] for split, items in files.items()}
    groups = copies(p for items in read.values() for p, _ in items)
    cuts = cut(read, path, groups, "photographs")
    say_copies(read, groups, path)
    whole = Photographs(arrays["pixels"], arrays["sides"])
    small = [p for p, _ in cuts["train"] if whole.sides[place[p]].min() < side]
    if small and len(small) < len(cuts["train"]):
        message = f"{len(small)} of {len(cuts['train'])} photographs to train on in {plain(path)} are smaller than {side}x{side}"
        warnings.warn(f"{message} and left out: {some([below(p, path) for p in small])}", stacklevel=2)
    splits = {split: whole.some(np.array([place[p] for p, _ in items], np.int64)) for split, items in cuts.items()}
    return squares(f"photos:{path}", splits, side, "the user's own", f"photographs in {path}")


def _one_scale(files: Sequence[Path], root: Path) -> None:
    marks: dict[str, dict[str, Path]] = defaultdict(dict)
    for file in files:
        stem, mark = scale_of(file.stem)
        marks[stem][mark] = file
    for scales in marks.values():
        if len(scales) > 1:
            a, b = list(scales.values())[:2]
            fault = f"{plain(root)} holds the same picture at several scales, {plain(below(a, root))} and {plain(below(b, root))}"
            raise PaperzooError(f"{fault}: keep those of the highest resolution alone, for the others are made of them")


def _decode(root: Path, files: Mapping[str, Sequence[Item]]) -> dict[str, np.ndarray]:
    """``pixels`` and ``sides`` of what can be read, with its ``name`` below the folder; of the others ``bad``, the name, and ``why``."""
    names, bad = [], []

    def read() -> Iterator[np.ndarray]:
        for path in sorted({p for items in files.values() for p, _ in items}):
            try:
                image = np.asarray(read_rgb(path))
            except Exception as error:  # Pillow's plug-ins raise a dozen kinds, SyntaxError among them
                bad.append((below(path, root), (str(error).splitlines() or [type(error).__name__])[0]))
                continue
            names.append(below(path, root))
            yield image

    arrays = flat(read())
    text = {"name": names, "bad": [name for name, _ in bad], "why": [why for _, why in bad]}
    return {**arrays, **{key: np.array(values, np.str_) for key, values in text.items()}}
