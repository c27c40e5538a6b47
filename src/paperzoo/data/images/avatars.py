"""Cartoon faces whose attributes are known exactly, drawn from the parts in the package python-avatars."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from itertools import product
from pathlib import Path
from xml.etree import ElementTree
from zipfile import BadZipFile, ZipFile

import numpy as np
import torch

from paperzoo.data.dataset import Dataset, Images, Schema, Split, Values
from paperzoo.data.fetch.prepared import prepared
from paperzoo.data.images.svg import render, require_renderer
from paperzoo.data.images.table import AVATARS
from paperzoo.errors import PaperzooError

HAIR_COLOURS = {"black": "#231f20", "brown": "#6b3e26", "blonde": "#e0b860", "red": "#c93305"}

#: columns of ``attributes``, in order; each is 0 or 1
ATTRIBUTES = (*(f"{c} hair" for c in HAIR_COLOURS), "glasses", "beard", "smile", "long hair", "dark skin")

#: what the labels are called: 4 x hair colour + 2 x glasses + beard
NAMES = tuple(
    f"{colour} hair{glasses}{beard}" for colour, glasses, beard in product(HAIR_COLOURS, ("", ", glasses"), ("", ", beard"))
)

# What a face is made of. Each list has its halves (without, with) the attribute that it decides; "" draws nothing.
# Styles that hide the hair, the eyes or the mouth are left out, so that an attribute that holds can be seen.
_SHORT = ("caesar", "short_curly", "short_flat", "short_round", "short_waved")
_LONG = ("bob", "curly", "mia_wallace", "straight_1", "straight_strand")
_SKINS = ("#ffdbb4", "#edb98a", "#d08b5b", "#ae5d29")  # two light, two dark
_MOUTHS = ("serious", "sad", "disbelief", "smile", "big_smile", "twinkle")  # three that smile not, three that do
_GLASSES = ("", "", "prescription_02", "round")
_BEARDS = ("", "", "beard_light", "beard_medium")
_EYES = ("default", "happy", "side", "squint")
_BROWS = ("default", "default_natural", "flat_natural", "raised_excited")
_CLOTHES = ("blazer_shirt", "collar_sweater", "hoodie", "overall", "shirt_crew_neck", "shirt_v_neck")
_FABRICS = ("#3c4f5c", "#5199e4", "#a7ffc4", "#ff5c5c", "#ffffb1", "#ffffff")

Choices = tuple[tuple[str, ...], ...]
#: colour and style of the hair, skin, mouth, glasses, beard, eyes, brows, clothes and their colour
CHOICES: Choices = (tuple(HAIR_COLOURS), _SHORT + _LONG, _SKINS, _MOUTHS, _GLASSES, _BEARDS, _EYES, _BROWS, _CLOTHES, _FABRICS)
_NAMED = ("hair", "style", "skin", "mouth", "glasses", "beard", "eyes", "brows", "clothes", "fabric")

_BACKGROUND = "#dfe9f2"
_WINDOW = "26 6 212 212"  # of the parts' 264 x 280: head and shoulders
_SLOTS = ("Clothing", "Mouth", "Nose", "Eyes", "Eyebrow", "Top", "Facial-Hair", "Accessory")  # ids of empty groups
_COLOURED = ("Skin-Color", "Hair-Color", "Facial-Hair-Color", "Fabric-Color")  # ids of what takes a colour


def avatars(wheel: Path, image_size: int | None = None, train: int = 12_000, test: int = 2_000) -> Dataset:
    """Faces on a plain light ground, no two alike: ``image``, ``label`` (N) and ``attributes`` float32 (N, 9) in {0, 1}.

    All parts are drawn independently and evenly from lists of this file, with a fixed seed: half of the faces have
    glasses, half a beard, half smile, a quarter have red hair. ``ATTRIBUTES`` and ``NAMES`` say what the numbers mean.

    Args:
        wheel: ``python_avatars-1.4.1-py3-none-any.whl``; its drawings are read, nothing of it is run.
        image_size: faces are drawn at 64 pixels, or at this size if it is larger; the caller makes them smaller.

    Raises:
        PaperzooError: no renderer is installed, or the wheel lacks a part.
    """
    size = max(64, image_size or 64)
    arrays = prepared(f"avatars-1-{size}-{train}-{test}", lambda: draw(wheel, choose(train + test), size))
    attributes, label = describe(arrays["parts"])
    splits = {}
    for name, items in {"train": slice(0, train), "test": slice(train, None)}.items():
        splits[name] = Split(
            Images(torch.from_numpy(np.array(arrays["image"][items]))),
            Values("label", torch.from_numpy(label[items])),
            Values("attributes", torch.from_numpy(attributes[items])),
        )
    arguments = {"channels": 3, "image_size": size, "classes": len(NAMES), "attributes": ATTRIBUTES}
    schema = Schema("avatars", ("image", "label", "attributes"), arguments, NAMES)
    return Dataset(schema, splits, AVATARS.licence, "drawn from the parts of the package python-avatars 1.4.1, with seed 0")


def choose(number: int, seed: int = 0, choices: Choices = CHOICES) -> np.ndarray:
    """The parts of ``number`` different faces: int64 (number, 10), each column an index into one list of parts."""
    random = np.random.default_rng(seed)
    drawn = random.integers(0, [len(options) for options in choices], (2 * number, len(choices)))
    same = [np.array([options.index(option) for option in options]) for options in choices]  # "" may stand there twice: the first counts
    drawn = np.stack([first[column] for first, column in zip(same, drawn.T, strict=True)], 1)
    _, firsts = np.unique(drawn, axis=0, return_index=True)  # where each face comes up for the first time
    return drawn[np.sort(firsts)[:number]]


def describe(parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``attributes`` float32 (N, 9) and ``label`` int64 (N) of the parts that ``choose`` gives."""
    colour = parts[:, 0].astype(np.int64)
    second_half = parts >= np.array([len(options) // 2 for options in CHOICES])  # (N, 10)
    long, dark, smile, glasses, beard = second_half[:, 1:6].T
    coloured = colour[:, None] == np.arange(len(HAIR_COLOURS))  # (N, 4)
    attributes = np.concatenate([coloured, np.stack([glasses, beard, smile, long, dark], 1)], 1)
    return attributes.astype(np.float32), 4 * colour + 2 * glasses + beard


def changes(attribute: str, other: str = "") -> tuple[int, tuple[list[int], list[int]]]:
    """Which column of ``choose`` decides an attribute, and its values without and with it; for a hair colour, of ``other`` and of it."""
    if other:
        colours = list(HAIR_COLOURS)
        return 0, ([colours.index(other)], [colours.index(attribute)])
    column, options = {"glasses": (4, _GLASSES), "beard": (5, _BEARDS), "smile": (3, _MOUTHS)}[attribute]
    half = len(options) // 2
    same = [options.index(option) for option in options]  # "" may stand there twice: the first counts
    return column, (same[:half], same[half:])


def draw(wheel: Path, parts: np.ndarray, size: int, choices: Choices = CHOICES) -> dict[str, np.ndarray]:
    """``image`` uint8 (N, 3, size, size) of the parts that ``choose`` gives, and ``parts`` themselves.

    Raises:
        PaperzooError: no renderer is installed, or the wheel lacks a part.
    """
    chosen = ({name: options[i] for name, options, i in zip(_NAMED, choices, row, strict=True)} for row in parts)
    return {"image": faces(wheel, chosen, len(parts), size), "parts": parts}


def faces(wheel: Path, chosen: Iterable[Mapping[str, str]], number: int, size: int) -> np.ndarray:
    """``number`` faces by the parts of each (``_NAMED`` has their names), uint8 (number, 3, size, size).

    Raises:
        PaperzooError: no renderer is installed, or the wheel lacks a part.
    """
    require_renderer()
    try:
        with ZipFile(wheel) as archive:
            part = cache(lambda path, colour="": _part(archive, path, colour))
            image = np.empty((number, 3, size, size), np.uint8)
            for into, names in zip(image, chosen, strict=True):
                into[:] = render(_face(part, **names), size, _BACKGROUND)
    except (OSError, BadZipFile, KeyError, ElementTree.ParseError) as error:
        raise PaperzooError(f"{wheel} does not hold the drawings of python-avatars 1.4.1: {error}") from error
    return image


def person() -> dict[str, tuple[str, ...]]:
    """The parts of a face without its expression: all but mouth, eyes and eyebrows."""
    return {name: options for name, options in zip(_NAMED, CHOICES, strict=True) if name not in ("mouth", "eyes", "brows")}


def _face(
    part: Callable[..., str], hair: str, style: str, skin: str, mouth: str, glasses: str, beard: str, eyes: str, brows: str,
    clothes: str, fabric: str,
) -> str:  # fmt: skip
    """One SVG document. A beard and glasses belong to the hair's drawing, for long hair falls over them."""
    colour = HAIR_COLOURS[hair]
    content = {
        "Clothing": part(f"clothes/{clothes}", fabric),
        "Mouth": part(f"mouth/{mouth}"),
        "Nose": part("nose/default"),
        "Eyes": part(f"eyes/{eyes}"),
        "Eyebrow": part(f"eyebrows/{brows}"),
        "Top": part(f"top/hair/{style}", colour),
        "Facial-Hair": part(f"facial_hair/{beard}", colour) if beard else "",
        "Accessory": part(f"accessories/{glasses}") if glasses else "",
    }
    face = part("styles/transparent", skin)
    for slot in _SLOTS:
        face = face.replace(f"[{slot}]", content[slot])
    namespaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<svg {namespaces} viewBox="{_WINDOW}">{face}</svg>'


def _part(archive: ZipFile, path: str, colour: str) -> str:
    """The content of one part's ``svg`` element: coloured, with ``[Name]`` in each empty group that takes other parts.

    Every part calls its masks ``mask-2`` and its paths ``path-1``. Here their ids begin with the part's own path, or a
    face would be cut by the masks of its clothes.
    """
    root = ElementTree.fromstring(archive.read(f"python_avatars/avatar_parts/{path}.svg"))
    for element in root.iter():
        name = element.get("id", "")
        if name in _COLOURED:
            element.set("fill", colour)
        if name in _SLOTS and element.tag.endswith("}g") and not len(element):
            element.text = f"[{name}]"
        for key, value in element.items():
            renamed = re.sub(r"url\(#", f"url(#{path}/", value)
            if key == "id" or (key.endswith("href") and value.startswith("#")):
                renamed = value.replace(value.lstrip("#"), f"{path}/{value.lstrip('#')}")
            element.set(key, renamed)
    return "".join(ElementTree.tostring(child, "unicode") for child in root)
