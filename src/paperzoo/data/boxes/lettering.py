"""Text on photographs: fonts and words out of packages, and lines of text laid on a picture, with the corners of what is written."""

from __future__ import annotations

import io
import json
import logging
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from paperzoo.data.boxes.fonts import FILES, SPLIT
from paperzoo.data.fetch.deb import deb_files
from paperzoo.errors import PaperzooError

#: least difference in brightness, of 255, between what is written and what it is written on
CONTRAST = 80
#: standard deviation of the brightness of what lies beneath a line, from which on it has a plate of its own
RESTLESS = 32
#: a picture is written on at twice its size, and then halved
FINE = 2

Point = tuple[float, float]


# Fonts and words -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Face:
    """A font file, and the characters that it has."""

    package: str
    name: str
    data: bytes
    characters: frozenset[str]

    def at(self, size: int) -> ImageFont.FreeTypeFont:
        """The font at so many pixels; letters one by one, so that every build of Pillow sets them alike."""
        return ImageFont.truetype(io.BytesIO(self.data), size, layout_engine=ImageFont.Layout.BASIC)

    def has(self, text: str) -> bool:
        """Whether it has all letters of a text."""
        return self.characters.issuperset(text.replace(" ", ""))


def faces(packages: Sequence[Path]) -> dict[str, list[Face]]:
    """Split -> the faces of its families, in the order of the packages and of ``fonts.FILES``.

    Raises:
        PaperzooError: a package lacks one, or has one that cannot be read.
    """
    from fontTools.ttLib import TTFont

    logging.getLogger("fontTools").setLevel(logging.ERROR)  # of tables that nobody reads here
    by_split: dict[str, list[Face]] = {"train": [], "validation": [], "test": []}
    for path in packages:
        package = path.name.partition("_")[0]
        files = {name.rpartition("/")[2]: data for name, data in deb_files(path, "usr/share/fonts")}
        for name in FILES[package]:
            try:
                with TTFont(io.BytesIO(files[name]), fontNumber=0, lazy=True) as font:
                    characters = frozenset(map(chr, font.getBestCmap()))
                by_split[SPLIT[package]].append(Face(package, name, files[name], characters))
            except Exception as error:  # fontTools raises a dozen kinds
                raise PaperzooError(f"{path} has no font {name} that can be read: another version of it") from error
    return by_split


#: script -> the languages of iso-codes that are written in it
LANGUAGES = {
    "Latin": ("en", "de", "fr", "es", "it", "pl", "fi", "tr"), "Greek": ("el",), "Cyrillic": ("ru", "uk", "bg"), "Georgian": ("ka",),
    "Chinese": ("zh_CN",), "Japanese": ("ja",), "Korean": ("ko",),
}  # fmt: skip
_CODES = ("iso_3166-1", "iso_3166-2", "iso_639-2", "iso_639-3", "iso_4217")


def names(package: Path, languages: Sequence[str]) -> list[str]:
    """Names of countries, places, languages and currencies in these languages, each once, in alphabetical order."""
    files, named = dict(deb_files(package, "usr/share")), set[str]()
    for language in languages:
        for code in _CODES:
            if language == "en":
                (entries,) = json.loads(files[f"iso-codes/json/{code}.json"]).values()
                texts = [entry["name"] for entry in entries]
            else:
                data = files.get(f"locale/{language}/LC_MESSAGES/{code}.mo")
                texts = [] if data is None else translations(data)
            named.update(re.split(r"[;,(/]", text)[0].strip() for text in texts)
    if len(named) < 100:
        raise PaperzooError(f"{package} has no names in {', '.join(languages)}: another version of it")
    return sorted(text for text in named if 2 <= len(text) <= 30)


def translations(data: bytes) -> list[str]:
    """The translations in a gettext .mo file, in its order, without the header."""
    order = "<" if data[:4] == b"\xde\x12\x04\x95" else ">"
    _, count, originals, translated = struct.unpack_from(f"{order}4I", data, 4)
    texts = []
    for number in range(count):
        length, at = struct.unpack_from(f"{order}2I", data, translated + 8 * number)
        if struct.unpack_from(f"{order}I", data, originals + 8 * number)[0]:
            texts.append(data[at : at + length].decode("utf-8", "replace"))
    return texts


def words(package: Path) -> list[str]:
    """English words of two to twelve letters from A to Z, out of ``names``, each once."""
    candidates = {word for name in names(package, ("en",)) for word in re.findall(r"[A-Za-z]+", name)}
    return sorted(word for word in candidates if 2 <= len(word) <= 12)


# Writing -------------------------------------------------------------------------------------------------------------


class Written(NamedTuple):
    """A line of text as ink uint8 (h, w) from 0 to 255, and the box float (4) around the ink of each of its words."""

    ink: np.ndarray
    boxes: np.ndarray


def written(texts: Sequence[str], font: ImageFont.FreeTypeFont, apart: float = 0.2) -> Written | None:
    """Words on one baseline, a blank or ``apart`` of the font's size apart; ``None`` where a word leaves no ink."""
    gap, x, places = max(font.getlength(" "), apart * font.size), 0.0, []
    for text in texts:
        left, top, right, bottom = font.getbbox(text, anchor="ls")
        if right - left < 2 or bottom - top < 2:
            return None
        places.append((x, (x + left, top, x + right, bottom)))
        x += font.getlength(text) + gap
    low = np.floor(np.min([box[:2] for _, box in places], 0)).astype(int) - 1
    high = np.ceil(np.max([box[2:] for _, box in places], 0)).astype(int) + 1
    sheet = Image.new("L", (int(high[0] - low[0]), int(high[1] - low[1])))
    boxes = []
    for text, (at, _) in zip(texts, places, strict=True):
        one = Image.new("L", sheet.size)
        ImageDraw.Draw(one).text((round(at) - int(low[0]), -int(low[1])), text, 255, font, anchor="ls")
        box = one.point(lambda value: 255 * (value >= 96)).getbbox()
        if box is None:
            return None
        boxes.append(box)
        sheet.paste(255, (0, 0), one)
    return Written(np.asarray(sheet), np.array(boxes, np.float64))


@dataclass(frozen=True)
class Lie:
    """The pose of a line: letter height in pixels, rotation in degrees (positive is clockwise), and perspective at its ends."""

    height: float
    turn: float
    away: float = 0.0
    slant: float = 0.0


def corners_of(wide: float, tall: float, lie: Lie) -> np.ndarray:
    """Corners (4, 2) of a rectangle about the origin that is seen from the side, then turned; clockwise from the upper left."""
    half = np.array([[-wide, -tall], [wide, -tall], [wide, tall], [-wide, tall]]) / 2
    far = 1 + lie.away * np.array([-1, 1, 1, -1]) / 2
    half = half * np.stack([np.full(4, 1 - abs(lie.away) / 3), far], 1)
    half[:, 0] += lie.slant * half[:, 1]
    angle = np.deg2rad(lie.turn)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    turned: np.ndarray = half @ turn
    return turned


def homography(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The 3x3 matrix, its last number 1, that takes four points (4, 2) to four others."""
    rows = []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    eight = np.linalg.solve(np.array(rows, np.float64), np.asarray(target, np.float64).reshape(8))
    return np.append(eight, 1).reshape(3, 3)


def carried(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Points (..., 2) where a homography takes them."""
    there = points @ matrix[:, :2].T + matrix[:, 2]
    at: np.ndarray = there[..., :2] / there[..., 2:]
    return at


class Page:
    """A picture float32 (S, S, 3), from 0 to 255, that lines of text are laid on where there is room.

    Attributes:
        words, lines: corners (4, 2) of each word and each line, clockwise from where reading begins.
    """

    def __init__(self, picture: np.ndarray) -> None:
        self.picture, self.size = picture, len(picture)
        self.taken = Image.new("1", (self.size, self.size))
        self.words, self.lines = list[np.ndarray](), list[np.ndarray]()

    def lay(self, text: Written, lie: Lie, rng: np.random.Generator, plate: float = 0.25) -> bool:
        """Lays a line at a place of chance; whether there was one.

        Args:
            text: written so that its letters are about ``FINE`` times as high as ``lie`` says.
            plate: how often it has a ground of its own, as it always has where the photograph is restless.
        """
        tall, wide = text.ink.shape
        shape = corners_of(wide / FINE, tall / FINE, lie)
        low, high = shape.min(0) - 2, shape.max(0) + 2
        if (high - low > self.size).any():
            return False
        frame = np.array([[0, 0], [wide, 0], [wide, tall], [0, tall]], np.float64)
        for _ in range(12):
            at = shape + rng.uniform(-low, self.size - high)
            if self._free(at):
                break
        else:
            return False
        matrix = homography(frame, at)
        self._ink(text.ink, matrix, at, rng, plate)
        draw = ImageDraw.Draw(self.taken)
        draw.polygon([tuple(point) for point in _grown(at, 3)], fill=1)
        for box in text.boxes:
            self.words.append(carried(_frame(box), matrix))
        whole = np.concatenate([text.boxes[:, :2].min(0), text.boxes[:, 2:].max(0)])
        self.lines.append(carried(_frame(whole), matrix))
        return True

    def _free(self, at: np.ndarray) -> bool:
        mask = Image.new("1", self.taken.size)
        ImageDraw.Draw(mask).polygon([tuple(point) for point in _grown(at, 3)], fill=1)
        return not bool((np.asarray(mask) & np.asarray(self.taken)).any())

    def _ink(self, ink: np.ndarray, matrix: np.ndarray, at: np.ndarray, rng: np.random.Generator, plate: float) -> None:
        x0, y0 = np.clip(np.floor(at.min(0)) - 4, 0, None).astype(int)
        x1, y1 = np.clip(np.ceil(at.max(0)) + 4, None, self.size).astype(int)
        back = np.linalg.inv(matrix) @ np.array([[1 / FINE, 0, x0], [0, 1 / FINE, y0], [0, 0, 1]])  # of a part twice as large, to the ink
        back = back / back[2, 2]
        sheet = Image.fromarray(ink).transform(
            (int(x1 - x0) * FINE, int(y1 - y0) * FINE), Image.Transform.PERSPECTIVE, back.ravel()[:8].tolist(), Image.Resampling.BILINEAR
        )
        height = float(np.linalg.norm(at[3] - at[0]))
        sheet = sheet.reduce(FINE).filter(ImageFilter.GaussianBlur(float(rng.uniform(0, min(1.2, height / 30)))))
        alpha = np.asarray(sheet, np.float32)[..., None] / 255
        part = self.picture[y0:y1, x0:x1]
        inside = Image.new("L", sheet.size)
        ImageDraw.Draw(inside).polygon([(x - x0, y - y0) for x, y in _grown(at, 2)], fill=255)
        mask = np.asarray(inside.filter(ImageFilter.GaussianBlur(0.7)), np.float32)[..., None] / 255
        under = part[mask[..., 0] > 0.5]
        restless = float(_bright(under).std()) > RESTLESS
        ground = under.mean(0)
        if restless or rng.random() < plate:
            ground = rng.uniform(0, 255, 3)
            part = part + float(rng.uniform(0.8, 0.97)) * mask * (ground - part)
        colour = contrasting(ground, rng)
        self.picture[y0:y1, x0:x1] = part + float(rng.uniform(0.85, 1)) * alpha * (colour - part)


def contrasting(ground: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A colour float (3) of chance that differs in brightness from the ground by ``CONTRAST`` or more."""
    while True:
        colour = rng.uniform(0, 255, 3)
        if rng.random() < 0.4:
            colour = np.full(3, float(rng.choice([rng.uniform(0, 40), rng.uniform(215, 255)])))
        if abs(float(_bright(colour) - _bright(ground))) >= CONTRAST:
            return colour


def _bright(colours: np.ndarray) -> np.ndarray:
    bright: np.ndarray = colours @ np.array([0.299, 0.587, 0.114])
    return bright


def _frame(box: np.ndarray) -> np.ndarray:
    x0, y0, x1, y1 = box
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float64)


def _grown(quad: np.ndarray, by: float) -> np.ndarray:
    """Corners moved away from their middle by so many pixels."""
    middle = quad.mean(0)
    away = quad - middle
    grown: np.ndarray = quad + by * away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-6)
    return grown


def finished(page: Page, rng: np.random.Generator) -> np.ndarray:
    """The picture uint8 (3, S, S), with a little noise of a camera."""
    noisy = page.picture + float(rng.uniform(0, 5)) * rng.standard_normal(page.picture.shape)
    pixels: np.ndarray = noisy.round().clip(0, 255).astype(np.uint8).transpose(2, 0, 1)
    return pixels


Compose = Callable[[np.random.Generator], Page]


def composed(compose: Compose, split: str, count: int, seed: int) -> Mapping[str, np.ndarray]:
    """``SPLIT-image`` uint8 (N, 3, S, S), and flat ``SPLIT-words`` (W, 4, 2) and ``SPLIT-lines`` (L, 4, 2) with the numbers of each."""
    image, pages = list[np.ndarray](), list[Page]()
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        pages.append(compose(rng))
        image.append(finished(pages[-1], rng))
    arrays = {f"{split}-image": np.stack(image)}
    for unit in ("words", "lines"):
        quads = [quad for page in pages for quad in getattr(page, unit)]
        arrays[f"{split}-{unit}"] = np.array(quads, np.float32).reshape(-1, 4, 2)
        arrays[f"{split}-{unit}-count"] = np.array([len(getattr(page, unit)) for page in pages], np.int64)
    return arrays
