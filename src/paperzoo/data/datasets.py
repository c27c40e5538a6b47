"""The data sets by name. ``dataset("mnist")`` is all that a recipe knows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from paperzoo.data import names
from paperzoo.data.audio import table as audio
from paperzoo.data.bodies import table as bodies
from paperzoo.data.boxes import table as boxes
from paperzoo.data.captions import table as captions
from paperzoo.data.fetch import weights
from paperzoo.data.images import table as images
from paperzoo.data.names import DataName
from paperzoo.data.paths import Missing, below, ordinary, shown
from paperzoo.data.points import table as points
from paperzoo.data.questions import table as questions
from paperzoo.data.series import table as series
from paperzoo.data.text import table as text
from paperzoo.data.video import table as video
from paperzoo.data.volumes import table as volumes
from paperzoo.errors import PaperzooError, unknown
from paperzoo.files import exists, is_folder, path_of

if TYPE_CHECKING:
    from pathlib import Path

    from paperzoo.data.dataset import Dataset
    from paperzoo.data.entry import Entry, Own
    from paperzoo.data.fetch.sources import Source

_TABLES = (images, points, video, audio, volumes, series, text, captions, questions, boxes, bodies)

DATASETS: dict[str, Entry] = {name: entry for table in _TABLES for name, entry in table.DATASETS.items()}

#: the user's own data: prefix -> what follows the colon, and what builds it
OWN: dict[str, Own] = {
    kind: own
    for table in (images, text, video, volumes, series, captions, questions, boxes, audio, bodies)
    for kind, own in table.OWN.items()
}


#: first option of what stands behind a # -> the module of ``data/change`` whose function of its name does it, and who reads it first
CHANGES = {
    **dict.fromkeys(("labels", "pixels", "draw"), ("corrupted", "corruption")),
    "scale": ("scaled", "scales"),
    **dict.fromkeys(("features", "grid"), ("encoded", "encoder")),
    "spectrogram": ("heard", "spectrogram"),
    "fold": ("folds", "fold"),
}

#: kind of the user's own data -> how its files end
KINDS = {
    "series": (".csv", ".tsv", ".parquet"), "text": (".txt",), "conll": (".conll",), "videos": (".gif", ".mp4", ".avi", ".mov"),
    "meshes": (".off", ".obj", ".stl", ".ply", ".glb"), "volumes": (".binvox",),
}  # fmt: skip

#: the longest side that images are asked for, as in ``ranges.Pixels``
MOST_PIXELS = 4096
#: a folder that has one of these below it is one of pictures
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")


def parse(name: str) -> DataName:
    """A data name taken apart; see ``paperzoo.data.names``."""
    return names.parse(name, OWN)


def sources() -> dict[str, Source]:
    """Every file that a data set is made from, and published weights that are packed for a registry, by the file's name."""
    rows = [source for entry in DATASETS.values() for source in entry.sources]
    return {source.name: source for source in [*rows, *weights.PACKED]}


def dataset(name: str, image_size: int | None = None, channels: int | None = None, strict: bool = False) -> Dataset:
    """A data set by name, or the user's own by ``folder:PATH``, ``text:PATH``, ``conll:PATH`` or ``videos:PATH``.

    ``NAME@20`` has only 20 training images of each class (all of a class that has fewer), ``NAME@20:1`` another draw of
    20, and so on; the draw of ``NAME@20`` is 0. The 5 images of ``NAME@5:1`` are among the 20 of ``NAME@20:1``.

    ``NAME#labels=0.5`` has half of its training labels drawn anew, ``NAME#pixels=random`` pixels out of order; see
    ``paperzoo.data.change.corrupted``. Images are resized before their pixels are changed. ``photographs#scale=3`` has
    photographs at low and high resolution, see ``paperzoo.data.change.scaled``, and ``NAME#features=mobilenet`` what a frozen encoder
    makes of its images, see ``paperzoo.data.change.encoded``; ``spoken-digits#spectrogram=32`` has pictures of sounds, see
    ``paperzoo.data.change.heard``.

    Args:
        image_size: height and width wanted. Images of fixed size are padded with black if they are smaller by at most
            a fifth, else resized; a folder's are resized and cropped. Default: as they are (a folder: 64).
        channels: 1 or 3 for a folder's images. Default: 3, or 1 if all are grey.
        strict: refuse a folder with unreadable files rather than skipping them.

    Raises:
        PaperzooError: the name is unknown, its files cannot be had or read, or no image can be of that size.
    """
    check_name(name)
    if image_size is not None and not 1 <= image_size <= MOST_PIXELS:
        raise PaperzooError(f"image_size must be from 1 to {MOST_PIXELS:,} pixels, not {image_size:,}")
    return _dataset(parse(name), image_size, channels, strict)


def check_name(name: str) -> None:
    """Raises ``PaperzooError`` if ``dataset`` could not know this name; reads nothing but whether a path exists."""
    parsed = parse(name)
    if parsed.unread is not None:
        of = f"{parsed.base}@20, {parsed.base}@20:1"
        raise PaperzooError(f"--data {parsed.whole}: after @ comes the number of images a class, and maybe which draw: {of}")
    if parsed.kind:
        for place in parsed.places:
            try:
                ordinary(place, folders=True)
            except Missing as error:
                raise PaperzooError(f"--data {shown(parsed.stem)}: there is no {shown(place)}") from error
    elif parsed.base not in DATASETS:
        if parsed.base and exists(parsed.base):
            raise _own_place(parsed.base)
        raise unknown("data set", parsed.base, [*DATASETS, *(f"{k}:PATH" for k in OWN)])
    if parsed.change is not None:
        first = parsed.change.partition("=")[0]
        if first and first not in CHANGES:
            raise unknown("option", first, CHANGES, f"of {parsed.whole}")
        _change(*CHANGES.get(first, CHANGES["labels"]))(parsed.change, parsed.whole)


def _own_place(place: str) -> PaperzooError:
    """The error for a path in place of a data set's name."""
    folder, suffix = is_folder(place), path_of(place).suffix.lower()
    kind = "folder" if folder else next((kind for kind, ends in KINDS.items() if suffix in ends), "")
    write = f"--data {kind or 'KIND'}:{shown(place)}" + ("" if kind else f", where KIND is one of {', '.join(OWN)}")
    return PaperzooError(f"{shown(place)} is a {'folder' if folder else 'file'} of your own, not a listed data set: write {write}")


def absolute(name: str) -> str:
    """The name with the path of the user's own data made absolute, so that it means the same from every folder."""
    return parse(name).absolute


def own_path(name: str) -> Path | None:
    """Where the user's own data of this name lie; ``None`` for a listed data set."""
    return parse(name).path


def listed(name: str) -> Entry | None:
    """The row of ``DATASETS`` that a name such as ``sprites@20:1`` or ``mnist#labels=1`` is made from; ``None`` for one's own data."""
    parsed = parse(name)
    return None if parsed.kind else DATASETS.get(parsed.base)


def _dataset(name: DataName, image_size: int | None, channels: int | None, strict: bool) -> Dataset:
    if name.change is not None:
        return _changed(name, image_size, channels, strict)
    built = _build(name, image_size, channels, strict)
    size = built.schema.arguments.get("image_size")
    if image_size in (None, size) or size is None:
        return built
    from paperzoo.data.change.picture import resized

    return resized(built, int(image_size or 0))


@lru_cache(maxsize=4)
def _changed(name: DataName, image_size: int | None, channels: int | None, strict: bool) -> Dataset:
    change = name.change or ""
    module = CHANGES[change.partition("=")[0]][0]
    return _change(module, module)(_dataset(name.unchanged(), image_size, channels, strict), change)  # type: ignore[no-any-return]


def _change(module: str, function: str) -> Callable[..., Any]:
    return getattr(import_module(f"paperzoo.data.change.{module}"), function)  # type: ignore[no-any-return]


@lru_cache(maxsize=4)
def _build(name: DataName, image_size: int | None, channels: int | None, strict: bool) -> Dataset:
    if name.few:
        from paperzoo.data.change.parts import few

        part = few(_build(name.entire(), image_size, channels, strict), *name.few)
        return dataclasses.replace(part, schema=dataclasses.replace(part.schema, name=name.text))
    from paperzoo.data.change.picture import with_picture
    from paperzoo.data.images.shards import with_shards

    built = with_shards(_unprepared(name, image_size, channels, strict))
    return with_picture(built)


def prepare(name: str, image_size: int | None = None, channels: int | None = None, workers: int = 1) -> int:
    """Prepares a data set that is larger than memory in shards on disk: ``dataset`` reads them from then on.

    Pictures are prepared as ``images.shards`` has it, running text as ``text.streams``.

    Returns:
        How many columns were prepared; 0 for data that are kept in memory, or prepared when they are first asked for.

    Raises:
        PaperzooError: as ``dataset``; or see ``fetch.shards.prepare``.
    """
    from paperzoo.data.images import shards

    check_name(name)
    if workers < 1:
        raise PaperzooError(f"--workers must be at least 1, not {workers}")
    whole = parse(name).entire()
    own = OWN[_read_as(whole, whole.path)] if whole.path else None
    if own and own.prepare:
        done = int(getattr(import_module(f"paperzoo.data.{own.prepare.rpartition('.')[0]}"), own.prepare.rpartition(".")[2])(
            whole.path, print, **own.arguments))  # fmt: skip
    else:
        done = shards.prepare(_unprepared(whole, image_size, channels, False), workers)
    _build.cache_clear()
    _changed.cache_clear()
    return done


def _unprepared(name: DataName, image_size: int | None, channels: int | None, strict: bool) -> Dataset:
    """What a row's function builds, under its name and licence."""
    if path := name.path:
        kind = OWN[_read_as(name, path)]
        sizes = {"image_size": image_size, "channels": channels} if kind.sized else {}
        refuse = {"strict": strict} if kind.strict else {}
        built = _function(kind.build)(path, *([name.options] if kind.options else []), **kind.arguments, **sizes, **refuse)
        licence = built.licence
    else:
        entry = DATASETS[name.base]
        size = {"image_size": image_size} if entry.sized and image_size else {}
        built = _function(entry.build)(*(source.fetch() for source in entry.sources), **entry.arguments, **size)
        licence = entry.licence or built.licence
    return dataclasses.replace(built, schema=dataclasses.replace(built.schema, name=name.text), licence=licence)


def _function(build: str) -> Callable[..., Dataset]:
    module, _, function = build.rpartition(".")
    builder: Callable[..., Dataset] = getattr(import_module(f"paperzoo.data.{module}"), function)
    return builder


def _read_as(name: DataName, path: Path) -> str:
    """The kind by what lies there: a folder of text only is ``text``, and pairs that are pictures are ``image-pairs``."""
    if path.is_dir() and name.kind == "folder" and _only_text(path):
        return "text"
    if path.is_dir() and name.kind == "pairs" and any(below(path, *PICTURES)):
        return "image-pairs"
    return name.kind


def _only_text(folder: Path) -> bool:
    return any(folder.glob("*.txt")) and not any(below(folder, ".png", ".jpg", ".jpeg"))
