"""Images in folders: the user's own, CIFAR's batches, and ImageNet's class folders."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from paperzoo.data.dataset import Column, Dataset, Images, Schema, Split, Values
from paperzoo.data.readers import cifar_batches
from paperzoo.errors import PaperzooError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
SPLITS = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation", "test": "test"}

#: a file and its label
Item = tuple[Path, int]

#: above this many bytes a folder's images are not kept in memory but decoded as they are asked for
LARGE = 4 * 2**30


# One image -----------------------------------------------------------------------------------------------------------


def read_rgb(path: Path) -> Image.Image:
    """The first frame of an image file as 8-bit RGB, upright by its EXIF tag, transparency on white.

    16-bit greys are divided by 257. 32-bit greys are taken as 0..255, floats as [0, 1], or scaled by their largest value.

    Raises:
        OSError, ValueError: it cannot be read, or has no pixels.
    """
    with Image.open(path) as opened:
        if 0 in opened.size:
            raise ValueError("it has no pixels")
        image = ImageOps.exif_transpose(opened)
        image.load()
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image, np.float32) / 257).round().astype(np.uint8))
    elif image.mode in ("I", "F"):
        array = np.nan_to_num(np.asarray(image, np.float64), posinf=0, neginf=0)
        array /= max(1 if image.mode == "F" else 255, array.max())
        image = Image.fromarray((array.clip(0, 1) * 255).round().astype(np.uint8))
    if image.has_transparency_data:
        ground = Image.new("RGBA", image.size, "white")
        ground.alpha_composite(image.convert("RGBA"))
        image = ground
    return image.convert("RGB")


def read_square(
    path: Path, size: int, crop: int | None = None, filter: Image.Resampling = Image.Resampling.BICUBIC
) -> np.ndarray:
    """The image with its short side resized to ``size`` (antialiased) and the middle ``crop`` cut out; uint8 (3, S, S).

    Args:
        crop: side of the square; default: ``size``.
    """
    image, crop = read_rgb(path), crop or size
    short = min(image.size)
    if max(image.size) > 8 * short:  # what is far from the middle of a very long image is never seen
        image = ImageOps.fit(image, (min(image.width, 8 * short), min(image.height, 8 * short)), Image.Resampling.NEAREST)
    width, height = (max(crop, int(size * side / short)) for side in image.size)
    left, top = round((width - crop) / 2), round((height - crop) / 2)
    image = image.resize((width, height), filter).crop((left, top, left + crop, top + crop))
    return np.array(image).transpose(2, 0, 1)  # (H, W, C) -> (C, H, W)


def _try_square(path: Path, size: int) -> np.ndarray | str:
    try:
        return read_square(path, size)
    except Exception as error:  # Pillow's plug-ins raise a dozen kinds, SyntaxError among them
        return str(error).splitlines()[0].replace(f" {str(path)!r}", "") if str(error) else type(error).__name__


# Many images ---------------------------------------------------------------------------------------------------------


class ImageFiles:
    """A column of image files, decoded as they are asked for; (N, C, S, S) in [0, 1] like ``Images``.

    Args:
        size, crop, filter: see ``read_square``.
    """

    def __init__(
        self, paths: Sequence[Path], size: int, crop: int, channels: int, filter: Image.Resampling = Image.Resampling.BICUBIC
    ) -> None:
        self.paths, self.filter, self.shape = list(paths), filter, (size, crop, channels)
        self.size, self.crop, self.channels = self.shape

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, indices: np.ndarray) -> dict[str, Any]:
        """``image``: the files with these numbers.

        Raises:
            PaperzooError: one of them cannot be read.
        """
        pixels = torch.empty(len(indices), self.channels, self.crop, self.crop)  # (N, C, S, S)
        with ThreadPoolExecutor(_threads()) as pool:
            for row, image in enumerate(pool.map(self._read, (self.paths[i] for i in indices))):
                pixels[row] = image
        return {"image": pixels.div_(255)}

    def _read(self, path: Path) -> Tensor:
        try:
            return torch.from_numpy(_as_channels(read_square(path, self.size, self.crop, self.filter), self.channels))
        except Exception as error:
            raise PaperzooError(f"{path} cannot be read as an image: {error}") from error

    def to(self, device: torch.device) -> ImageFiles:
        """The column itself: it is decoded on the host."""
        return self

    def join(self, other: Column) -> ImageFiles:
        """The files of this column, then those of the other."""
        assert isinstance(other, ImageFiles) and other.shape == self.shape
        return ImageFiles(self.paths + other.paths, *self.shape, self.filter)


def image_folder(path: Path, image_size: int | None = None, channels: int | None = None, strict: bool = False) -> Dataset:
    """The user's own images: one folder a class (its name, sorted, is the label), or all in one folder without labels.

    Files are those whose names end in one of ``SUFFIXES``, in any case; a class folder is searched through and through.
    Each image is turned upright, put on white where it is transparent, resized so that its short side fits and cut to the
    middle square. Folders ``train``, ``validation`` (or ``val``, ``valid``) and ``test`` are taken as the splits. A
    split that has no folder is cut from ``train``: an image belongs to ``test`` or to ``validation`` if the SHA-256 of
    its path below ``path`` says so, a tenth each, so that added images never move those that were there. Where chance
    leaves a cut empty it gets one image (with three images or more), and a class always keeps one to train on. A single
    class folder gives images without labels.

    Args:
        image_size: height and width. Default: 64.
        channels: 1 or 3. Default: 3, or 1 if all images are grey.
        strict: refuse files that cannot be read rather than skip them with a warning.

    Raises:
        PaperzooError: no such folder, no image in it that can be read, an unreadable one and ``strict``, or so few of
            several classes that none can be kept for a split.
    """
    size = 64 if image_size is None else image_size
    if size < 1 or channels not in (None, 1, 3):
        raise PaperzooError(f"images of size {size} with {channels} channels: the size is at least 1, channels are 1 or 3")
    files, names = _files(path)
    total = sum(map(len, files.values()))
    if total * 3 * size**2 > LARGE:
        cut, wanted = _cut(files, path), channels or 3
        lazy = {split: ImageFiles([p for p, _ in items], size, size, wanted) for split, items in cut.items()}
        return _dataset(path, size, wanted, names, lazy, cut)
    read, bad = _read_all([p for items in files.values() for p, _ in items], size)
    if bad:
        _complain(path, bad, total, strict)
    cut = _cut({split: [item for item in items if item[0] in read] for split, items in files.items()}, path)
    wanted = channels or (1 if all(_grey(image) for image in read.values()) else 3)
    pixels = {split: np.stack([_as_channels(read[p], wanted) for p, _ in items]) for split, items in cut.items()}
    columns = {split: Images(torch.from_numpy(array)) for split, array in pixels.items()}
    return _dataset(path, size, wanted, names, columns, cut)


def _dataset(
    path: Path,
    size: int,
    channels: int,
    names: tuple[str, ...],
    images: Mapping[str, Column],
    files: Mapping[str, list[Item]],
) -> Dataset:
    arguments = {"channels": channels, "image_size": size}
    if names:
        schema = Schema(f"folder:{path}", ("image", "label"), {**arguments, "classes": len(names)}, names)
        splits = {s: Split(column, Values("label", torch.tensor([i for _, i in files[s]]))) for s, column in images.items()}
    else:
        schema = Schema(f"folder:{path}", ("image",), arguments)
        splits = {s: Split(column) for s, column in images.items()}
    return Dataset(schema, splits, "the user's own", f"images in {path}", pictures=False)


def _read_all(paths: list[Path], size: int) -> tuple[dict[Path, np.ndarray], dict[Path, str]]:
    """The images that can be read, and why the others cannot."""
    read, bad = {}, {}
    with warnings.catch_warnings(), ThreadPoolExecutor(_threads()) as pool:
        warnings.simplefilter("ignore")  # of Pillow's, on odd metadata
        for path, result in zip(paths, pool.map(partial(_try_square, size=size), paths), strict=True):
            if isinstance(result, str):
                bad[path] = result
            else:
                read[path] = result
    return read, bad


def _complain(folder: Path, bad: Mapping[Path, str], total: int, strict: bool) -> None:
    some = [f"{p.relative_to(folder)} ({why})" for p, why in list(bad.items())[:3]] + ["..."] * (len(bad) > 3)
    said = f"{len(bad)} of {total} images in {folder} cannot be read: {'; '.join(some)}"
    if strict or len(bad) == total:
        raise PaperzooError(said)
    warnings.warn(f"{said}. They are left out", stacklevel=3)


def _grey(image: np.ndarray) -> bool:
    return bool((image[0] == image[1]).all() and (image[0] == image[2]).all())


def _as_channels(image: np.ndarray, channels: int) -> np.ndarray:
    """uint8 (3, H, W) as (C, H, W); grey by the luma of ITU-R 601."""
    return image if channels == 3 else np.array(Image.fromarray(image.transpose(1, 2, 0)).convert("L"))[None]


def _threads() -> int:
    return min(32, 2 * (os.cpu_count() or 1))


# Which file is where -------------------------------------------------------------------------------------------------


def _files(root: Path) -> tuple[dict[str, list[Item]], tuple[str, ...]]:
    """Each split's files with their labels, sorted by path, and the classes' names (none: images without labels)."""
    if not root.is_dir():
        raise PaperzooError(f"{root} is {'a file, not a folder' if root.exists() else 'not there'}")
    folders = _folders(root)
    given = {SPLITS[f.name.lower()]: f for f in folders if f.name.lower() in SPLITS}
    if "train" in given and all(f.name.lower() in SPLITS for f in folders):
        found = {split: _classes(folder) for split, folder in given.items()}
    else:
        found = {"train": _classes(root)}
    if not any(found["train"].values()):
        place = root / "train" if len(found) > 1 else root
        raise PaperzooError(f"{place} has no images ({', '.join(s[1:] for s in SUFFIXES)})")
    names = [name for name in found["train"] if name]  # sorted, as folders are
    for split, classes in found.items():
        if strange := sorted(set(classes) - set(found["train"])):
            what = f"the class {strange[0]}" if strange[0] else "images outside class folders"
            raise PaperzooError(f"{root}/{split} has {what}, which train has not")
    if len(names) == 1:
        warnings.warn(f"{root} has only one class folder, {names[0]}: its images are read without labels", stacklevel=3)
        names = []
    single = [name for name in names if len(found["train"][name]) == 1]
    if "test" not in found and 0 < len(single) < len(names):
        warnings.warn(f"{root} has one image of {', '.join(single)}: it is trained on, its class never tested", stacklevel=3)
    number = {name: index for index, name in enumerate(names)}
    files = {s: [(p, number.get(c, 0)) for c in sorted(found[s]) for p in found[s][c]] for s in found}
    return files, tuple(names)


def _classes(folder: Path) -> dict[str, list[Path]]:
    """Class name -> its files; ``""`` stands for files in no class folder, which count only if there is no class folder."""
    below = {f.name: _images(f, deep=True) for f in _folders(folder)}
    classes = {name: files for name, files in below.items() if files}
    loose = _images(folder, deep=False)
    if classes and (empty := sorted(below.keys() - classes.keys())):
        said = f"{len(empty)} class folders of {folder} have no images and are left out: {', '.join(empty[:3])}"
        warnings.warn(said + (", ..." if len(empty) > 3 else ""), stacklevel=4)
    if classes and loose:
        said = f"{len(loose)} images in {folder} lie beside its class folders and are left out: {loose[0].name}"
        warnings.warn(said + (", ..." if len(loose) > 1 else ""), stacklevel=4)
    return classes or ({"": loose} if loose else {})


def _folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _images(folder: Path, deep: bool) -> list[Path]:
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if deep and not f.startswith("."))
        found += [Path(place, n) for n in sorted(names) if n.lower().endswith(SUFFIXES) and not n.startswith(".")]
    return found


def _cut(files: dict[str, list[Item]], root: Path) -> dict[str, list[Item]]:
    """Cuts the splits that are missing from ``train``, by the hash of each file's path below ``root``."""
    files = {split: items for split, items in files.items() if items}
    if "train" not in files:
        raise PaperzooError(f"{root}: no image to train on can be read")
    missing = [split for split in ("test", "validation") if split not in files]
    every = sorted(files["train"], key=lambda item: _share(item[0], root))
    last = {label: path for path, label in every}  # of each class one image trains, whatever its share
    rest = [(path, label) for path, label in every if last[label] != path]
    if len(rest) < len(missing):
        if len(last) == 1:
            return files
        raise PaperzooError(
            f"{root} has {len(every)} images of {len(last)} classes to train on: too few to keep any for {' or '.join(missing)}"
        )
    for number, split in enumerate(missing, 1):  # shares in [0, 0.1), then [0.1, 0.2)
        count = sum(_share(p, root) < 0.1 * number for p, _ in rest)
        count = min(max(count, 1), len(rest) - len(missing) + number)
        files[split], rest = sorted(rest[:count]), rest[count:]
    return {**files, "train": sorted([*rest, *((path, label) for label, path in last.items())])}


def _share(path: Path, root: Path) -> float:
    digest = hashlib.sha256(path.relative_to(root).as_posix().encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


# Published sets ------------------------------------------------------------------------------------------------------


def cifar(path: Path, classes: Literal[10, 100] = 10) -> Dataset:
    """CIFAR-10 or CIFAR-100 from its archive or folder: ``train`` 45,000, ``validation`` (the last 5,000 of the training
    files), ``test`` 10,000; colour 32x32. CIFAR-100 has its fine labels.

    Raises:
        PaperzooError: missing, damaged, or another format.
    """
    found, names = cifar_batches(path, classes)
    image, label = found["train"]
    keep = len(label) - len(label) // 10
    parts = {"train": (image[:keep], label[:keep]), "validation": (image[keep:], label[keep:]), "test": found["test"]}
    splits = {s: Split(Images(torch.from_numpy(x)), Values("label", torch.from_numpy(y))) for s, (x, y) in parts.items()}
    schema = Schema(f"cifar{classes}", ("image", "label"), {"channels": 3, "image_size": 32, "classes": classes}, names)
    licence = "no licence stated; for research, cite Krizhevsky 2009"
    return Dataset(schema, splits, licence, f"CIFAR-{classes}", pictures=False)


def imagenet_folder(path: Path, image_size: int = 224) -> Dataset:
    """ImageNet as ``train/<class>/*`` and ``val/<class>/*``, decoded as it is asked for; its validation images are ``test``.

    The short side is resized to 8/7 of ``image_size`` (256 for 224), bilinear and antialiased. ``test`` gives the middle
    square of ``image_size``; ``train`` the whole middle square of 256, from which the augmentation ``crop224`` takes a
    random window (Krizhevsky 2012). Classes are numbered by sorted folder name, as published weights have them.

    Raises:
        PaperzooError: a folder is missing, has no images, or the two have other classes.
    """
    found: dict[str, dict[str, list[Path]]] = {}
    for split in ("train", "val"):
        if not (path / split).is_dir():
            raise PaperzooError(f"{path} has no folder {split}: ImageNet is train/ and val/, each with one folder a class")
        found[split] = _classes(path / split)
        if not found[split] or "" in found[split]:
            raise PaperzooError(f"{path / split} has no class folders with images; sort its images into one folder a class")
    names = tuple(sorted(found["train"]))
    if odd := sorted(set(names) ^ set(found["val"])):
        raise PaperzooError(f"{path}: {len(odd)} classes are only in train or only in val, the first is {odd[0]}")
    resized = round(image_size * 8 / 7)
    splits = {}
    for split, folder, crop in (("train", "train", resized), ("test", "val", image_size)):
        items = [(p, label) for label, name in enumerate(names) for p in found[folder][name]]
        column = ImageFiles([p for p, _ in items], resized, crop, 3, Image.Resampling.BILINEAR)
        splits[split] = Split(column, Values("label", torch.tensor([label for _, label in items])))
    schema = Schema("imagenet", ("image", "label"), {"channels": 3, "image_size": image_size, "classes": len(names)}, names)
    return Dataset(schema, splits, "ImageNet terms: research only", f"images in {path}", pictures=False)
