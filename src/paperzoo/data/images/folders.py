"""Images in folders: the user's own, CIFAR's batches, and ImageNet's class folders."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from paperzoo.data.dataset import Column, Dataset, Images, Schema, Split, Values
from paperzoo.data.fetch.readers import cifar_batches
from paperzoo.data.listing import (
    Item,
    Skipped,
    below,
    class_name,
    complain,
    copies,
    cut,
    folders_of,
    pictures_in,
    say_copies,
    say_few,
    some,
    some_of_each,
    split_folders,
)
from paperzoo.data.pictures import Preparation, as_channels, read_rgb, read_square, suffixes
from paperzoo.errors import PaperzooError
from paperzoo.terminal import plain

__all__ = ["ImageFiles", "cifar", "image_folder", "imagenet_folder", "read_rgb", "read_square"]

#: above this many bytes a folder's images are not kept in memory but decoded as they are asked for
LARGE = 4 * 2**30


#: what an image is made of: a file, or the left (0) or right (1) half of one
Source = Path | tuple[Path, int]
SourceKind = TypeVar("SourceKind", Path, Source)


def read_image(source: Source, size: int, crop: int | None = None, filter: Image.Resampling = Image.Resampling.BICUBIC) -> np.ndarray:
    """``read_square`` of a file, or of a half of it; uint8 (3, S, S).

    Raises:
        OSError, ValueError: it cannot be read, has no pixels, or an odd width and so no halves.
    """
    return read_square(source if isinstance(source, Path) else half_of(read_rgb(source[0]), source[1]), size, crop, filter)


def half_of(image: Image.Image, right: int) -> Image.Image:
    """The left or right half of a picture.

    Raises:
        ValueError: its width is odd.
    """
    middle, odd = divmod(image.width, 2)
    if odd or not middle:
        raise ValueError(f"its width of {image.width} pixels has no two equal halves")
    return image.crop((right * middle, 0, (right + 1) * middle, image.height))


def _tried(source: Source, size: int) -> np.ndarray | str:
    try:
        return read_image(source, size)
    except Exception as error:  # Pillow's plug-ins raise a dozen kinds, SyntaxError among them
        return reason(error, source if isinstance(source, Path) else source[0])


def reason(error: Exception, path: Path) -> str:
    """Why a file could not be read, in a line and without its path."""
    return str(error).splitlines()[0].replace(f" {str(path)!r}", "") if str(error) else type(error).__name__


# Many images ---------------------------------------------------------------------------------------------------------


class ImageFiles:
    """A column of image files, decoded as they are asked for; (N, C, S, S) in [0, 1] like ``Images``.

    Args:
        paths: the files, or halves of files.
        size, crop, filter: see ``read_square``.
        name: of the field, as of ``Images``.
    """

    def __init__(
        self,
        paths: Sequence[Source],
        size: int,
        crop: int,
        channels: int,
        filter: Image.Resampling = Image.Resampling.BICUBIC,
        name: str = "image",
    ) -> None:
        self.paths, self.filter, self.shape, self.name = list(paths), filter, (size, crop, channels), name
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
        return {self.name: pixels.div_(255)}

    def _read(self, source: Source) -> Tensor:
        try:
            return torch.from_numpy(as_channels(read_image(source, self.size, self.crop, self.filter), self.channels))
        except Exception as error:
            path = source if isinstance(source, Path) else source[0]
            raise PaperzooError(f"{path} cannot be read as an image: {error}") from error

    @property
    def files(self) -> tuple[str, ...]:
        """As of ``Images``; a file by its name and its folder's."""
        return tuple("/".join((source if isinstance(source, Path) else source[0]).parts[-2:]) for source in self.paths)

    def to(self, device: torch.device) -> ImageFiles:
        """The column itself: it is decoded on the host."""
        return self

    def join(self, other: Column) -> ImageFiles:
        """The files of this column, then those of the other."""
        assert isinstance(other, ImageFiles) and (other.shape, other.name) == (self.shape, self.name)
        return ImageFiles(self.paths + other.paths, *self.shape, self.filter, self.name)

    def some(self, indices: np.ndarray) -> ImageFiles:
        """The files with these numbers."""
        return ImageFiles([self.paths[i] for i in indices], *self.shape, self.filter, self.name)


def image_folder(path: Path, image_size: int | None = None, channels: int | None = None, strict: bool = False) -> Dataset:
    """The user's own images: one folder a class (its name, sorted, is the label), or all in one folder without labels.

    All that the installed Pillow reads are taken, whatever the case of their suffix (see ``listing.pictures_in``); a class
    folder is searched through and through, and what is left out is said. Names of classes that are all numbers sort as
    numbers. Each image is turned upright, put on white where it is transparent, resized so that its short side fits and
    cut to the middle square (see ``pictures.read_square``). Folders ``train``, ``validation`` (or ``val``, ``valid``) and
    ``test`` are taken as the splits. A split that has no folder is cut from ``train``, about a tenth of each class, by the
    SHA-256 of each path below ``path``, so that added images hardly ever move those that were there (see ``listing.cut``
    for the rule); files of equal content stay together. A single class folder gives images without labels.

    Args:
        image_size: height and width. Default: 64.
        channels: 1 or 3. Default: 3, or 1 if all images are grey.
        strict: refuse files that cannot be read rather than skip them with a warning.

    Raises:
        PaperzooError: no such folder, no image in it that can be read, an unreadable one and ``strict``, or so few of
            several classes that none can be kept for a split.
    """
    size = size_of(image_size, channels)
    files, names = _files(path, strict)
    total = sum(map(len, files.values()))
    if total * 3 * size**2 > LARGE:
        splits, wanted = _cut(files, path, names), channels or 3
        lazy = {split: ImageFiles([p for p, _ in items], size, size, wanted) for split, items in splits.items()}
        return _dataset(path, size, wanted, names, lazy, splits)
    read, bad = read_all([p for items in files.values() for p, _ in items], size)
    if bad:
        complain_unread(path, bad, total, strict)
        some_of_each(files["train"], names, bad, path)
    splits = _cut({split: [item for item in items if item[0] in read] for split, items in files.items()}, path, names)
    wanted = channels or (1 if all(is_grey(image) for image in read.values()) else 3)
    pixels = {split: np.stack([as_channels(read[p], wanted) for p, _ in items]) for split, items in splits.items()}
    columns = {
        split: Images(torch.from_numpy(array), files=["/".join(file.parts[-2:]) for file, _ in splits[split]])
        for split, array in pixels.items()
    }
    return _dataset(path, size, wanted, names, columns, splits)


def size_of(image_size: int | None, channels: int | None) -> int:
    """The side of images, 64 where none is asked for; raises ``PaperzooError`` if that, or the number of channels, cannot be."""
    size = 64 if image_size is None else image_size
    if size < 1 or channels not in (None, 1, 3):
        raise PaperzooError(f"images of size {size} with {channels} channels: the size is at least 1, channels are 1 or 3")
    return size


def _cut(files: dict[str, list[Item]], root: Path, names: Sequence[str] = ()) -> dict[str, list[Item]]:
    """All splits, with warnings of copies and of classes with few test images."""
    groups = copies(path for items in files.values() for path, _ in items)
    splits = cut(files, root, groups)
    say_copies(files, groups, root, stacklevel=5)
    say_few(splits, names, root, stacklevel=5)
    return splits


def _dataset(
    path: Path,
    size: int,
    channels: int,
    names: tuple[str, ...],
    images: Mapping[str, Column],
    files: Mapping[str, list[Item]],
) -> Dataset:
    arguments, picture = {"channels": channels, "image_size": size}, Preparation(size, size, channels)
    if names:
        schema = Schema(f"folder:{path}", ("image", "label"), {**arguments, "classes": len(names)}, names, picture)
        splits = {s: Split(column, Values("label", torch.tensor([i for _, i in files[s]]))) for s, column in images.items()}
    else:
        schema = Schema(f"folder:{path}", ("image",), arguments, picture=picture)
        splits = {s: Split(column) for s, column in images.items()}
    return Dataset(schema, splits, "the user's own", f"images in {path}", pictures=False)


def read_all(paths: Sequence[SourceKind], size: int) -> tuple[dict[SourceKind, np.ndarray], dict[SourceKind, str]]:
    """The images that can be read, and why the others cannot."""
    read, bad = {}, {}
    with warnings.catch_warnings(), ThreadPoolExecutor(_threads()) as pool:
        warnings.simplefilter("ignore")  # of Pillow's, on odd metadata
        for path, result in zip(paths, pool.map(partial(_tried, size=size), paths), strict=True):
            if isinstance(result, str):
                bad[path] = result
            else:
                read[path] = result
    return read, bad


def complain_unread(folder: Path, bad: Mapping[Path, str], total: int, strict: bool) -> None:
    """Says which images are left out, and why.

    Raises:
        PaperzooError: all are, or ``strict``.
    """
    few = [f"{plain(below(p, folder))} ({plain(why)})" for p, why in list(bad.items())[:3]] + ["..."] * (len(bad) > 3)
    message = f"{len(bad)} of {total} images in {plain(folder)} cannot be read: {'; '.join(few)}"
    if strict or len(bad) == total:
        raise PaperzooError(message)
    warnings.warn(f"{message}. They are left out", stacklevel=3)


def is_grey(image: np.ndarray) -> bool:
    """Whether the three channels of (3, H, W) are equal."""
    return bool((image[0] == image[1]).all() and (image[0] == image[2]).all())


def _threads() -> int:
    return min(32, 2 * (os.cpu_count() or 1))


# Which file is where -------------------------------------------------------------------------------------------------


def _files(root: Path, strict: bool = False) -> tuple[dict[str, list[Item]], tuple[str, ...]]:
    """Each split's files with their labels, sorted by path, and the classes' names (none: images without labels)."""
    folder_of, skipped = split_folders(root), Skipped(list)
    by_split = {split: _classes(folder, skipped, root) for split, folder in folder_of.items()}
    complain(root, skipped, strict, stacklevel=5)
    if not any(by_split["train"].values()):
        raise PaperzooError(f"{plain(folder_of['train'])} has no images ({', '.join(s[1:] for s in suffixes()[:8])} and others)")
    names = [name for name in by_split["train"] if name]  # in order, as folders are
    for split, classes in by_split.items():
        if strange := sorted(set(classes) - set(by_split["train"])):
            extra = f"the class {plain(strange[0])}" if strange[0] else "images outside class folders"
            raise PaperzooError(f"{plain(folder_of[split])} has {extra}, which train has not")
    if len(names) == 1:
        holder, inner = folder_of["train"], [folder_of["train"] / names[0]]
        for _ in range(4):  # an archive is often unpacked into a folder in a folder
            holder, inner = (inner[0], folders_of(inner[0])) if len(inner) == 1 else (holder, inner)
        found = f"; if {some([f.name for f in inner])} are classes, give their folder, {plain(holder)}"
        hint = found if len(inner) > 1 else ""
        message = f"{plain(root)} has only one class folder, {plain(names[0])}: its images are read without labels{hint}"
        warnings.warn(message, stacklevel=4)
        names = []
    single = [name for name in names if len(by_split["train"][name]) == 1]
    if "test" not in by_split and 0 < len(single) < len(names):
        message = f"{plain(root)} has one image of {some(single)}: it is trained on, its class never tested"
        warnings.warn(message, stacklevel=4)
    number = {name: index for index, name in enumerate(names)}
    files = {s: [(p, number.get(c, 0)) for c in by_split["train"] for p in by_split[s].get(c, ())] for s in by_split}
    return files, tuple(names)


def _classes(folder: Path, skipped: Skipped, root: Path) -> dict[str, list[Path]]:
    """Class name -> its files; ``""`` stands for files in no class folder, which count only if there is no class folder."""
    below = {class_name(f): pictures_in(f, True, skipped, (root, folder)) for f in folders_of(folder)}
    classes = {name: files for name, files in below.items() if files}
    loose = pictures_in(folder, False, skipped)
    if classes and (empty := [name for name in below if name not in classes]):
        fault = f"{len(empty)} class folders of {plain(folder)} have no images and are left out: {some(empty)}"
        warnings.warn(fault, stacklevel=5)
    if classes and loose:
        fault = f"{len(loose)} images in {plain(folder)} lie beside its class folders and are left out: {some([p.name for p in loose], 1)}"
        warnings.warn(fault, stacklevel=5)
    return classes or ({"": loose} if loose else {})


# Published sets ------------------------------------------------------------------------------------------------------


def cifar(path: Path, classes: Literal[10, 100] = 10) -> Dataset:
    """CIFAR-10 or CIFAR-100 from its archive or folder: ``train`` 45,000, ``validation`` (the last 5,000 of the training
    files), ``test`` 10,000; colour 32x32. CIFAR-100 has its fine labels.

    Raises:
        PaperzooError: missing, damaged, or another format.
    """
    raw, names = cifar_batches(path, classes)
    image, label = raw["train"]
    keep = len(label) - len(label) // 10
    parts = {"train": (image[:keep], label[:keep]), "validation": (image[keep:], label[keep:]), "test": raw["test"]}
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
    by_split: dict[str, dict[str, list[Path]]] = {}
    skipped = Skipped(list)
    for split in ("train", "val"):
        if not (path / split).is_dir():
            raise PaperzooError(f"{path} has no folder {split}: ImageNet is train/ and val/, each with one folder a class")
        by_split[split] = _classes(path / split, skipped, path)
        if not by_split[split] or "" in by_split[split]:
            raise PaperzooError(f"{path / split} has no class folders with images; sort its images into one folder a class")
    complain(path, skipped, strict=False)
    names = tuple(sorted(by_split["train"]))
    if odd := sorted(set(names) ^ set(by_split["val"])):
        raise PaperzooError(f"{path}: {len(odd)} classes are only in train or only in val, the first is {odd[0]}")
    resized = round(image_size * 8 / 7)
    splits = {}
    for split, folder, crop in (("train", "train", resized), ("test", "val", image_size)):
        items = [(p, label) for label, name in enumerate(names) for p in by_split[folder][name]]
        column = ImageFiles([p for p, _ in items], resized, crop, 3, Image.Resampling.BILINEAR)
        splits[split] = Split(column, Values("label", torch.tensor([label for _, label in items])))
    arguments = {"channels": 3, "image_size": image_size, "classes": len(names)}
    schema = Schema("imagenet", ("image", "label"), arguments, names, Preparation(resized, image_size, 3, "bilinear"))
    return Dataset(schema, splits, "ImageNet terms: research only", f"images in {path}", pictures=False)
