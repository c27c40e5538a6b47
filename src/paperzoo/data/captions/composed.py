"""Pictures composed of two to four things on photographs, each with five true captions, and the things and boxes themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from paperzoo.data.captions.columns import Captions, Listed
from paperzoo.data.captions.drawing import Artist, Ground, Grounds
from paperzoo.data.captions.grammar import (
    COLOURS,
    CONVERSE,
    NOUNS,
    OBJECTS,
    RELATIONS,
    SHAPES,
    SIZES,
    Scene,
    Thing,
    captions,
    relation_of,
)
from paperzoo.data.captions.words import Words, learn
from paperzoo.data.crops import Photographs
from paperzoo.data.dataset import Dataset, Images, Schema, Split
from paperzoo.data.fetch.prepared import prepared, writable
from paperzoo.data.fetch.sources import sha256
from paperzoo.data.images.photographs import packed
from paperzoo.errors import PaperzooError

SIZE = 64
SPLITS = ("train", "validation", "test", "compositional")

#: things and places that no picture of ``train``, ``validation`` and ``test`` brings together, and every one of ``compositional``:
#: in those a square never lies above the other large thing, whatever its colour
WITHHELD = frozenset(
    {
        ("square", "above"), ("bell", "above"), ("rocket", "above"), ("heart", "below"), ("cactus", "below"), ("fish", "below"),
        ("triangle", "left"), ("key", "left"), ("pizza", "left"), ("cross", "right"), ("bus", "right"), ("mushroom", "right"),
    }
)  # fmt: skip

#: longer sides as shares of the picture's; between small and large lies what a glance tells apart
SIDES = {"large": (0.36, 0.44), "small": (0.17, 0.21)}

_OBJECT = 1 / 3  # of the things are objects, the others shapes
_SMALL = (0, 0, 1, 2)  # small things in a picture: one of these numbers
_GAP = 0.02  # between two things, as a share of the picture's side
_SHADE = 10  # most that is added to the red, green or blue of a shape, or taken away
_VERSION = 1  # of the prepared arrays: change it whenever they come out differently


@dataclass(frozen=True)
class Drawn:
    """A thing, and how it is drawn: by which vendor, or in which shade of its colour."""

    thing: Thing
    vendor: int
    shade: tuple[int, int, int]


def scenes(
    noto: Path,
    fluent: Path,
    twemoji: Path,
    gcompris: Path,
    lomiri: Path,
    image_size: int | None = None,
    counts: tuple[int, int, int, int] = (8000, 500, 1000, 1000),
) -> Dataset:
    """Two large things and up to two small ones: ``image`` (N, 3, S, S), ``captions`` (N, 5, T), ``texts`` and ``scene``.

    Shapes in six colours and emoji of three vendors lie on parts of photographs, which are another split's in every split; only
    photographs under CC0 or in the public domain are taken. ``compositional`` shares the photographs of ``test``, and each of its
    pictures has a thing where no other split has it, see ``WITHHELD``.

    Args:
        noto, fluent, twemoji: iconify's packages.
        gcompris, lomiri: Debian's packages, see ``images.photographs.photographs``.
        image_size: height and width. Default: 64.
        counts: pictures in each of ``SPLITS``.

    Raises:
        PaperzooError: no renderer is installed, a package is damaged, another, or without a photograph for a split, or the size is too
            small to see anything.
    """
    size, archives, packages = image_size or SIZE, (noto, fluent, twemoji), (gcompris, lomiri)
    if size < 32:
        raise PaperzooError(f"scenes of {size}x{size} show nothing that could be told: image_size is at least 32")
    key = "-".join([str(size), *map(str, counts), *(sha256(path)[:6] for path in (*archives, *packages))])

    def make() -> dict[str, np.ndarray]:
        artist, photographs = Artist(archives, size), free_photographs(*packages)
        grounds = {split: Grounds(photographs["test" if split == "compositional" else split], size) for split in SPLITS}
        return {
            name: array
            for number, (split, count) in enumerate(zip(SPLITS, counts, strict=True))
            for name, array in compose(artist, grounds[split], count, split, number).items()
        }

    arrays = prepared(f"scenes-{_VERSION}-{key}", make)
    shown = {split: as_scenes(arrays[f"{split}-things"]) for split in SPLITS}
    texts = {
        split: [captions(scene, np.random.default_rng((number, index))) for index, scene in enumerate(shown[split])]
        for number, split in enumerate(SPLITS)
    }
    words = Words(learn(text for picture in texts["train"] for text in picture))
    columns = {split: Captions(texts[split], words) for split in SPLITS}
    splits = {
        split: Split(Images(torch.from_numpy(writable(arrays[f"{split}-image"]))), columns[split], Listed("scene", shown[split]))
        for split in SPLITS
    }
    longest = max(column.longest for column in columns.values())
    examples = columns["train"].examples
    arguments = {"channels": 3, "image_size": size, "vocabulary": words.vocabulary, "longest": longest, "examples": examples}
    schema = Schema("scenes", ("image", "captions", "texts", "scene"), arguments)
    source = "drawn with emoji of Noto, Fluent and Twemoji, on photographs of GCompris and Lomiri under CC0 or in the public domain"
    return Dataset(schema, splits, "by part, each permissive", source)


def free_photographs(gcompris: Path, lomiri: Path, of: str = "") -> dict[str, list[np.ndarray]]:
    """Split -> the photographs of ``images.photographs.photographs`` that are under CC0 or in the public domain, uint8 (H, W, 3).

    Args:
        of: only those whose name begins so, such as ``explore_monuments/``.

    Raises:
        PaperzooError: a split has none.
    """
    arrays = packed(gcompris, lomiri)
    whole = Photographs(arrays["pixels"], arrays["sides"])
    free = np.array([re.match(r"CC0|public domain", licence) is not None for licence in arrays["licence"]])
    if of:
        free &= np.char.startswith(arrays["name"], of)
    by_split = {}
    for number, split in enumerate(SPLITS[:3]):
        by_split[split] = [whole[i] for i in np.flatnonzero(free & (arrays["split"] == number)).tolist()]
        if not by_split[split]:
            raise PaperzooError(f"{gcompris.name} and {lomiri.name} have no photographs under CC0 or in the public domain for {split}")
    return by_split


# Pictures ------------------------------------------------------------------------------------------------------------


def compose(artist: Artist, ground: Ground, count: int, split: str, seed: int) -> dict[str, np.ndarray]:
    """``SPLIT-image`` uint8 (N, 3, S, S), and ``SPLIT-things`` int32 (N, 4, 7), see ``as_scenes``."""
    rng = np.random.default_rng(seed)
    image = np.empty((count, 3, artist.size, artist.size), np.uint8)
    things = np.full((count, 2 + max(_SMALL), 7), -1, np.int32)
    for into, row in zip(image, things, strict=True):
        picture = ground(rng)
        for place, drawn in enumerate(plan(artist, rng, split == "compositional")):
            artist.put(picture, drawn.thing, drawn.vendor, drawn.shade)
            row[place] = _as_row(drawn.thing)
        into[:] = np.asarray(picture).transpose(2, 0, 1)  # (H, W, C) -> (C, H, W)
    return {f"{split}-image": image, f"{split}-things": things}


def plan(artist: Artist, rng: np.random.Generator, compositional: bool) -> list[Drawn]:
    """What a picture shows: two large things, either of which may be withheld only if ``compositional``, then the small ones."""
    small = int(rng.choice(_SMALL))
    while True:
        relation = list(RELATIONS)[int(rng.integers(len(RELATIONS)))]
        kinds = _kinds(rng, 2 + small)
        if _withheld(kinds[0][0], kinds[1][0], relation) != compositional:
            continue
        if (placed := _placed(artist, rng, kinds, relation)) is not None:
            return placed


def _kinds(rng: np.random.Generator, number: int) -> list[tuple[str, str]]:
    """Nouns and colours of things, no two alike."""
    kinds: list[tuple[str, str]] = []
    while len(kinds) < number:
        names = list(OBJECTS if rng.random() < _OBJECT else SHAPES)
        noun = names[int(rng.integers(len(names)))]
        kind = (noun, COLOURS[int(rng.integers(len(COLOURS)))] if noun in SHAPES else "")
        if kind not in kinds:
            kinds.append(kind)
    return kinds


def _withheld(first: str, second: str, relation: str) -> bool:
    return (first, relation) in WITHHELD or (second, CONVERSE[relation]) in WITHHELD


def _placed(artist: Artist, rng: np.random.Generator, kinds: list[tuple[str, str]], relation: str) -> list[Drawn] | None:
    """The things at places where they do not touch; ``None`` where chance found none for a small one."""
    sizes = ["large" if place < 2 else "small" for place in range(len(kinds))]
    sides = [rng.uniform(*SIDES[size]) for size in sizes]
    middles = _pair(rng, sides[0], sides[1], relation)
    for side in sides[2:]:
        for _ in range(60):
            x, y = rng.uniform(side / 2 + _GAP, 1 - side / 2 - _GAP, 2)
            if all(max(abs(x - a), abs(y - b)) > (side + other) / 2 + _GAP for (a, b), other in zip(middles, sides, strict=False)):
                middles.append((x, y))
                break
        else:
            return None
    drawn = []
    for (noun, colour), size, side, (x, y) in zip(kinds, sizes, sides, middles, strict=True):
        vendor, shade = int(rng.integers(artist.vendors)), rng.integers(-_SHADE, _SHADE + 1, 3).tolist()
        thing = Thing(noun, colour, size, artist.box(noun, vendor, side, x, y))
        drawn.append(Drawn(thing, vendor, (shade[0], shade[1], shade[2])))
    return drawn


def _pair(rng: np.random.Generator, first: float, second: float, relation: str) -> list[tuple[float, float]]:
    """Middles of two things with these sides: apart along the relation's axis, and across it by half of that at most."""
    apart = (first + second) / 2 + _GAP
    start = rng.uniform(first / 2, 1 - second / 2 - apart)
    end = rng.uniform(start + apart, 1 - second / 2)
    aside = (end - start) / 2
    one = rng.uniform(first / 2, 1 - first / 2)
    other = rng.uniform(max(second / 2, one - aside), min(1 - second / 2, one + aside))
    along = (start, end) if relation in ("above", "left") else (1 - start, 1 - end)
    places = zip((one, other), along, strict=True)
    return [(across, at) if relation in ("above", "below") else (at, across) for across, at in places]


# Numbers -------------------------------------------------------------------------------------------------------------

_NOUNS, _SIZES = tuple(NOUNS), tuple(SIZES)


def _as_row(thing: Thing) -> list[int]:
    """Noun, colour (-1 for none) and size as numbers, then the box."""
    colour = COLOURS.index(thing.colour) if thing.colour else -1
    return [_NOUNS.index(thing.noun), colour, _SIZES.index(thing.size), *thing.box]


def as_scenes(things: np.ndarray) -> list[Scene]:
    """Scenes of the rows int (N, 4, 7) that ``compose`` writes; a row of -1 is no thing."""
    scenes = []
    for rows in things.tolist():
        shown = [_as_thing(row) for row in rows if row[0] >= 0]
        scenes.append(Scene(tuple(shown), relation_of(shown[0].box, shown[1].box)))
    return scenes


def _as_thing(row: list[int]) -> Thing:
    noun, colour, size, *box = row
    return Thing(_NOUNS[noun], COLOURS[colour] if colour >= 0 else "", _SIZES[size], (box[0], box[1], box[2], box[3]))
