"""Words and lines of text on photographs, turned, seen from the side and blurred; and horizontal lines in several scripts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image

from paperzoo.data.boxes.columns import Marked, Marks
from paperzoo.data.boxes.composed import ground
from paperzoo.data.boxes.geometry import around
from paperzoo.data.boxes.lettering import FINE, LANGUAGES, Compose, Face, Lie, Page, composed, faces, names, words, written
from paperzoo.data.captions.composed import free_photographs
from paperzoo.data.dataset import Dataset, Images, Schema, Split
from paperzoo.data.fetch.prepared import prepared, writable
from paperzoo.data.fetch.sources import sha256
from paperzoo.data.pictures import Preparation
from paperzoo.errors import PaperzooError

SIZE, SPLITS = 256, ("train", "validation", "test")
#: lines in a picture, words in a line; least and largest height of letters as shares of the picture's side
NUMBER, WORDS, HEIGHTS = (2, 5), (1, 2), (0.07, 0.16)
#: how far apart words of a line are at least, as a share of the font's size
APART = 0.45
#: most letters of a word
LETTERS = 10
#: how often letters are too small to be read, which makes them do-not-care, and their heights
FAINT, SMALL = 0.07, (0.022, 0.03)
#: words whose shorter side is below this share of the picture's need not be found
READABLE = 0.031
#: of ``lines``: lines in a picture, heights of letters, and the share of them in Latin letters
ROWS, ROW_HEIGHTS, LATIN_SHARE = (2, 5), (0.05, 0.16), 0.3

#: grounds and faces of a split -> what composes a page of it
Writer = Callable[[Sequence[Image.Image], Sequence[Face]], Compose]

#: of the prepared arrays: change it whenever they come out differently
_VERSION = {"scene-text": 3, "lines": 1}


def scene_text(
    *packages: Path, unit: Literal["words", "lines"] = "words", image_size: int | None = None,
    counts: tuple[int, int, int] = (3000, 200, 400),
) -> Dataset:  # fmt: skip
    """English words on photographs: ``image`` (N, 3, S, S), ``quads`` (N, M, 4, 2) and their ``boxes``, ``difficult``, ``objects``.

    Two to five lines of one or two words, at any turn, most of them nearly level, seen from the side, with plates beneath where the
    photograph is restless; what is written differs in brightness from its ground by 80 of 255 or more. Words with letters too small to
    be read are ``difficult``. No family of fonts and no photograph is in two splits; the words themselves are the same in all.

    Args:
        packages: Debian's, in the order of ``table.SCENE_TEXT``: photographs, names, then fonts.
        unit: whether ``quads`` are around words or around lines.
        image_size: height and width. Default: 256.
        counts: pictures in each of ``SPLITS``.

    Raises:
        PaperzooError: a package is damaged, or another, or the size is too small to read anything.
    """
    size = _large_enough(image_size or SIZE)
    arrays = _prepared("scene-text", packages, size, counts, _words)
    return _built("scene-text" if unit == "words" else "scene-text-lines", arrays, unit, size, "English words, set in fonts of Debian")


def text_lines(*packages: Path, image_size: int | None = None, counts: tuple[int, int, int] = (3000, 200, 400)) -> Dataset:
    """Horizontal lines of text in Latin, Greek, Cyrillic, Georgian, Chinese, Japanese and Korean letters on photographs.

    Two to five in a picture; fields as of ``scene_text``, by line. No family of fonts and no photograph is in two splits; Georgian is in
    ``train`` and ``test`` alone, and there is one family to train Chinese, Japanese and Korean on.

    Args:
        packages: as of ``scene_text``, and fonts of the other scripts.
        image_size: height and width. Default: 256.
        counts: pictures in each of ``SPLITS``.

    Raises:
        PaperzooError: as of ``scene_text``.
    """
    size = _large_enough(image_size or SIZE)
    return _built("lines", _prepared("lines", packages, size, counts, _rows), "lines", size, "names, set in fonts of Debian")


def _large_enough(size: int) -> int:
    if size < 96:
        raise PaperzooError(f"text on pictures of {size}x{size} cannot be read: image_size is at least 96")
    return size


def _prepared(
    name: str, packages: Sequence[Path], size: int, counts: Sequence[int], kind: Callable[[Path, int], Writer]
) -> dict[str, np.ndarray]:
    gcompris, lomiri, codes, *fonts = packages
    digest = hashlib.sha256("".join(sha256(path) for path in packages).encode()).hexdigest()[:12]

    def make() -> dict[str, np.ndarray]:
        photographs, by_split, writer = free_photographs(gcompris, lomiri), faces(fonts), kind(codes, size)
        arrays = dict[str, np.ndarray]()
        for number, (split, count) in enumerate(zip(SPLITS, counts, strict=True)):
            grounds = [_short(photograph, 2 * size) for photograph in photographs[split]]
            arrays |= composed(writer(grounds, by_split[split]), split, count, number)
        return arrays

    return prepared(f"{name}-{_VERSION[name]}-{size}-{'-'.join(map(str, counts))}-{digest}", make)


def _short(photograph: np.ndarray, short: int) -> Image.Image:
    """A photograph with its short side of at most ``short`` pixels, for the parts are no finer than that."""
    picture = Image.fromarray(np.asarray(photograph))
    by = short / min(picture.size)
    wide, tall = (max(short, round(by * side)) for side in picture.size)
    return picture.resize((wide, tall), Image.Resampling.BICUBIC, reducing_gap=3) if by < 1 else picture


def _words(codes: Path, size: int) -> Writer:
    """Words at any turn, one or two in a line."""
    every = [word for word in words(codes) if len(word) <= LETTERS]

    def write(grounds: Sequence[Image.Image], fonts: Sequence[Face]) -> Compose:
        def compose(rng: np.random.Generator) -> Page:
            page = Page(ground(grounds, size, rng))
            for _ in range(int(rng.integers(NUMBER[0], NUMBER[1] + 1))):
                height = size * float(rng.uniform(*SMALL) if rng.random() < FAINT else np.exp(rng.uniform(*np.log(HEIGHTS))))
                lie = Lie(height, turn_of(rng), float(rng.normal(0, 0.12)), float(rng.normal(0, 0.08)))
                for _ in range(6):  # words and fonts, until a line has room
                    number = 1 if height > 0.12 * size else int(rng.integers(WORDS[0], WORDS[1] + 1))
                    texts = [_cased(every[int(rng.integers(len(every)))], rng) for _ in range(number)]
                    if _lay(page, texts, fonts, lie, rng, APART):
                        break
            return page

        return compose

    return write


def turn_of(rng: np.random.Generator) -> float:
    """How far a line is turned, in degrees: most lie nearly level, others within 45 degrees, one in ten anyhow."""
    kind = rng.random()
    if kind < 0.6:
        return float(rng.normal(0, 8))
    return float(rng.uniform(-45, 45) if kind < 0.9 else rng.uniform(-90, 90))


def _cased(word: str, rng: np.random.Generator) -> str:
    kind = rng.random()
    if kind < 0.08:
        return str(rng.integers(10, 10_000))
    return word.upper() if kind < 0.4 else word.capitalize() if kind < 0.7 else word.lower()


def _rows(codes: Path, size: int) -> Writer:
    """Horizontal lines, each in a script that the split's fonts have."""
    every = {script: names(codes, languages) for script, languages in LANGUAGES.items()}

    def write(grounds: Sequence[Image.Image], fonts: Sequence[Face]) -> Compose:
        able = {script: [face for face in fonts if sum(map(face.has, texts[::10])) > len(texts) / 20] for script, texts in every.items()}
        others = [script for script, faces in able.items() if faces and script != "Latin"]

        def compose(rng: np.random.Generator) -> Page:
            page = Page(ground(grounds, size, rng))
            for _ in range(int(rng.integers(ROWS[0], ROWS[1] + 1))):
                script = "Latin" if rng.random() < LATIN_SHARE else others[int(rng.integers(len(others)))]
                lie = Lie(size * float(np.exp(rng.uniform(*np.log(ROW_HEIGHTS)))), 0.0)
                for _ in range(6):
                    texts = [every[script][int(rng.integers(len(every[script])))] for _ in range(int(rng.integers(1, 3)))]
                    if _lay(page, [word for text in texts for word in text.split()], able[script], lie, rng):
                        break
            return page

        return compose

    return write


def _lay(page: Page, texts: Sequence[str], fonts: Sequence[Face], lie: Lie, rng: np.random.Generator, apart: float = 0.2) -> bool:
    """Lays words in a font of chance on a page; whether the font has their letters, and the page room."""
    face = fonts[int(rng.integers(len(fonts)))]
    if not all(map(face.has, texts)):
        return False
    line = written(texts, face.at(max(6, round(FINE * lie.height * 1.3))), apart)
    return line is not None and page.lay(line, lie, rng)


def _built(name: str, arrays: Mapping[str, np.ndarray], unit: str, size: int, content: str) -> Dataset:
    splits = {}
    for split in SPLITS:
        quads = np.split(arrays[f"{split}-{unit}"], arrays[f"{split}-{unit}-count"].cumsum()[:-1])
        marks = [Marks.of(around(corners), None, shorter(corners) < READABLE * size, None, corners) for corners in quads]
        splits[split] = Split(Images(torch.from_numpy(writable(arrays[f"{split}-image"]))), Marked(marks))
    fields = ("image", "boxes", "box_label", "difficult", "crowd", "objects", "quads")
    schema = Schema(name, fields, {"channels": 3, "image_size": size}, ("text",), Preparation(size, size, 3, ground=(0.0, 1.0)))
    source = f"{content}, on photographs of GCompris and Lomiri under CC0 or in the public domain"
    return Dataset(schema, splits, "by part, each free", source)


def shorter(quads: np.ndarray) -> np.ndarray:
    """The lengths (M) of the shorter pair of sides of quadrilaterals (M, 4, 2), the mean of the two."""
    sides = np.linalg.norm(np.roll(quads, -1, 1) - quads, axis=2)  # (M, 4)
    shorter_side: np.ndarray = np.minimum(sides[:, 0] + sides[:, 2], sides[:, 1] + sides[:, 3]) / 2
    return shorter_side
