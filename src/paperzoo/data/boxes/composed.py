"""Emoji of twelve classes laid on photographs, at any size and turn, partly covering each other, with the boxes of what is seen."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter

from paperzoo.data.boxes.anchors import anchors_of
from paperzoo.data.boxes.columns import Marked, Marks
from paperzoo.data.captions.composed import free_photographs
from paperzoo.data.dataset import Dataset, Images, Schema, Split
from paperzoo.data.fetch.prepared import prepared, writable
from paperzoo.data.fetch.sources import sha256
from paperzoo.data.images.emoji import documents
from paperzoo.data.images.svg import cutout, require_renderer
from paperzoo.errors import PaperzooError

SIZE, SPLITS = 160, ("train", "validation", "test")

#: class -> the code points of its emoji: subjects that each of the three vendors has drawn
CLASSES = {
    "birds": "1f426 1f427 1f54a 1f985 1f986 1f989 1f99a 1f99c 1f9a2 1f9a4 1f9a9 1f414 1f413 1f424 1f425 1f983",
    "clocks": "1f550 1f551 1f552 1f553 1f554 1f555 1f556 1f557 1f558 1f559 1f55a 1f55b 23f0 231a 1f570 23f2 23f1",
    "clothing": "1f454 1f455 1f456 1f457 1f458 1f459 1fa71 1fa73 1f97b 1f9e5 1f97c 1f45a 1f9ba 1fa72 1f9e6 1f9e4",
    "flowers": "1f337 1f338 1f339 1f33a 1f33b 1f33c 1f490 1f940 1fab7 1fabb 1f4ae 1f3f5",
    "fruit": "1f347 1f348 1f349 1f34a 1f34b 1f34c 1f34d 1f34e 1f34f 1f350 1f351 1f352 1f353 1fad0 1f95d 1f96d",
    "insects": "1f41b 1f41c 1f41d 1f41e 1f997 1f577 1f98b 1fab2 1fab3 1fab0 1f99f 1f982",
    "instruments": "1f3b7 1f3b8 1f3b9 1f3ba 1f3bb 1fa95 1f941 1fa98 1fa97 1fa87 1fa88",
    "mammals": "1f400 1f401 1f402 1f403 1f404 1f405 1f406 1f407 1f408 1f40e 1f40f 1f410 1f411 1f412 1f415 1f416 1f418 1f42a 1f42b 1f98c "
    "1f992 1f993 1f98f 1f998 1f9a1",
    "sea animals": "1f419 1f41a 1f41f 1f420 1f421 1f42c 1f433 1f40b 1f980 1f981 1f988 1f990 1f991 1f99e 1f9ad 1fabc 1f9aa",
    "tools": "1f528 1fa93 26cf 2692 1f6e0 1fa9b 1f529 1f527 2699 1f5dc 1fa9a 1fa9c 1f5e1 1f52a 2702 1fa92 1f58a 1f58c 1f58d",
    "vegetables": "1f345 1fad2 1f951 1f346 1f954 1f955 1f33d 1f336 1fad1 1f952 1f96c 1f966 1f9c4 1f9c5 1f344 1fadb",
    "vehicles": "1f693 1f694 1f695 1f696 1f697 1f698 1f699 1f69a 1f69b 1f69c 1f68c 1f68d 1f68e 1f690 1f691 1f692 1f6fb 1f3ce 1f682 1f686",
}  # fmt: skip

#: shares of a class's subjects to test on, and to choose settings by
TEST, VALIDATION = 0.25, 0.125
#: things in a picture; their longer sides as shares of its side; most turn in degrees; least share of a thing that must be seen
NUMBER, SIDES, TURN, SEEN = (1, 5), (0.14, 0.5), 40.0, 0.6

_VERSION = 1  # of the prepared arrays: change it whenever they come out differently


def scenes_boxes(
    noto: Path, fluent: Path, twemoji: Path, gcompris: Path, lomiri: Path, classes: Sequence[str] = tuple(CLASSES),
    image_size: int | None = None, counts: tuple[int, int, int] = (4000, 300, 500),
) -> Dataset:  # fmt: skip
    """One to five things in a picture: ``image`` (N, 3, S, S), ``boxes`` (N, M, 4), ``box_label``, ``objects`` and their kin.

    Of each class the quarter of its subjects whose code points have the lowest SHA-256 is in ``test`` alone, the next eighth in
    ``validation``, with all three vendors. Grounds are parts of photographs of monuments under CC0 or in the public domain, no landmark
    in two splits; none shows what the classes are. Things are as bright as where they lie. A box is around what is seen of a thing, of
    which others cover 40 % at most.

    Args:
        noto, fluent, twemoji: iconify's packages. gcompris, lomiri: Debian's, see ``images.photographs.photographs``.
        classes: some of ``CLASSES``.
        image_size: height and width. Default: 160.
        counts: pictures in each of ``SPLITS``.

    Raises:
        PaperzooError: no renderer is installed, a package is damaged, or another, or the size is too small to see anything.
    """
    size, archives, packages = image_size or SIZE, (noto, fluent, twemoji), (gcompris, lomiri)
    if size < 32:
        raise PaperzooError(f"scenes of {size}x{size} show nothing that could be told: image_size is at least 32")
    digests = [sha256(path)[:6] for path in (*archives, *packages)]
    key = "-".join([str(size), hashlib.sha256(",".join(classes).encode()).hexdigest()[:6], *map(str, counts), *digests])

    def make() -> dict[str, np.ndarray]:
        stamps, photographs = cutouts(archives, classes, size), monuments(*packages)
        return {
            name: array
            for number, (split, count) in enumerate(zip(SPLITS, counts, strict=True))
            for name, array in compose(stamps[split], photographs[split], count, size, split, number).items()
        }

    arrays = prepared(f"scenes-boxes-{_VERSION}-{key}", make)
    splits, shapes = {}, np.zeros((0, 2))
    for split in SPLITS:
        ends = arrays[f"{split}-count"].cumsum()[:-1]
        boxes, labels = (np.split(arrays[f"{split}-{name}"], ends) for name in ("boxes", "label"))
        marks = [Marks.of(corners, label) for corners, label in zip(boxes, labels, strict=True)]
        splits[split] = Split(Images(torch.from_numpy(writable(arrays[f"{split}-image"]))), Marked(marks))
        if split == "train":
            shapes = arrays["train-boxes"][:, 2:] - arrays["train-boxes"][:, :2]
    arguments = {"channels": 3, "image_size": size, "classes": len(classes), **anchors_of(shapes)}
    fields = ("image", "boxes", "box_label", "difficult", "crowd", "objects")
    source = "drawn with emoji of Noto, Fluent and Twemoji, on photographs of GCompris under CC0 or in the public domain"
    return Dataset(Schema("scenes-boxes", fields, arguments, tuple(classes)), splits, "by part, each permissive", source)


def cutouts(archives: Sequence[Path], classes: Sequence[str], size: int) -> dict[str, list[list[Image.Image]]]:
    """Split -> for each class its cut-outs, all vendors' of the subjects that belong there."""
    require_renderer()
    drawn: dict[str, list[list[Image.Image]]] = {split: [[] for _ in classes] for split in SPLITS}
    for number, name in enumerate(classes):
        by_split = subjects(name)
        for archive in archives:
            drawings = documents(archive, CLASSES[name].split())
            for split, codes in by_split.items():
                for code in codes:
                    try:
                        drawn[split][number].append(cutout(drawings[code], max(64, size)))
                    except ValueError as error:
                        raise PaperzooError(f"{code} of {archive} cannot be drawn: {error}") from error
    return drawn


def subjects(name: str) -> dict[str, list[str]]:
    """Split -> the code points of a class's subjects."""
    codes = sorted(CLASSES[name].split(), key=lambda code: hashlib.sha256(code.encode()).digest())
    test, validation = round(TEST * len(codes)), max(1, round(VALIDATION * len(codes)))
    return {"test": codes[:test], "validation": codes[test : test + validation], "train": codes[test + validation :]}


def monuments(gcompris: Path, lomiri: Path) -> dict[str, list[np.ndarray]]:
    """Split -> photographs of monuments, uint8 (H, W, 3); those of animals and plants show what may be a class."""
    return free_photographs(gcompris, lomiri, "explore_monuments/")


def compose(
    stamps: Sequence[Sequence[Image.Image]], photographs: Sequence[np.ndarray], count: int, size: int, split: str, seed: int
) -> dict[str, np.ndarray]:
    """``SPLIT-image`` uint8 (N, 3, S, S), ``SPLIT-count`` (N), and flat ``SPLIT-boxes`` (T, 4) and ``SPLIT-label`` (T)."""
    rng = np.random.default_rng((seed, size))
    grounds = [_short(Image.fromarray(np.asarray(p)), 2 * size) for p in photographs]
    image, counts = np.empty((count, 3, size, size), np.uint8), np.zeros(count, np.int64)
    boxes, labels = list[np.ndarray](), list[int]()
    for number in range(count):
        picture, objects = scene(stamps, grounds, size, rng)
        image[number], counts[number] = picture.transpose(2, 0, 1), len(objects)
        for label, box in objects:
            boxes.append(box)
            labels.append(label)
    flat = np.array(boxes, np.float32).reshape(-1, 4)
    return {f"{split}-image": image, f"{split}-count": counts, f"{split}-boxes": flat, f"{split}-label": np.array(labels, np.int64)}


def scene(
    stamps: Sequence[Sequence[Image.Image]], grounds: Sequence[Image.Image], size: int, rng: np.random.Generator
) -> tuple[np.ndarray, list[tuple[int, np.ndarray]]]:
    """A picture uint8 (S, S, 3), and of each thing in it the class and the box float32 (4) around what is seen."""
    picture = ground(grounds, size, rng)
    owner, whole = np.full((size, size), -1), list[int]()  # whose each pixel is; how many pixels each thing has
    labels: list[int] = []
    for _ in range(int(rng.integers(NUMBER[0], NUMBER[1] + 1))):
        label = int(rng.integers(len(stamps)))
        thing = turned(stamps[label][int(rng.integers(len(stamps[label])))], size, rng)
        for _ in range(20):  # places, until one leaves enough of the others to be seen
            left, top = (int(rng.integers(-length // 6, size - length + length // 6 + 1)) for length in thing.size)
            alpha = np.zeros((size, size), np.float32)
            x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + thing.width, size), min(top + thing.height, size)
            colours = np.asarray(thing, np.float32)[y0 - top : y1 - top, x0 - left : x1 - left]
            alpha[y0:y1, x0:x1] = colours[..., 3] / 255
            solid = alpha >= 0.5
            below = np.bincount(owner[~solid & (owner >= 0)], minlength=len(whole))
            if solid.sum() >= 25 and all(visible >= SEEN * all_of for visible, all_of in zip(below, whole, strict=True)):
                part = picture[y0:y1, x0:x1]
                lit = lighted(colours[..., :3], part, rng)
                picture[y0:y1, x0:x1] = part + alpha[y0:y1, x0:x1, None] * (lit - part)
                owner[solid] = len(whole)
                whole.append(int(solid.sum()))
                labels.append(label)
                break
    marks = []
    for number, label in enumerate(labels):
        rows, columns = np.nonzero(owner == number)
        box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], np.float32)
        marks.append((label, box))
    return picture.round().clip(0, 255).astype(np.uint8), marks


def ground(grounds: Sequence[Image.Image], size: int, rng: np.random.Generator) -> np.ndarray:
    """A square of a photograph, of 0.4 to 1 of its short side, maybe mirrored; float32 (S, S, 3)."""
    photograph = grounds[int(rng.integers(len(grounds)))]
    side = int(rng.uniform(0.4, 1) * min(photograph.size))
    left, top = (int(rng.integers(length - side + 1)) for length in photograph.size)
    part = photograph.resize((size, size), Image.Resampling.BICUBIC, (left, top, left + side, top + side), 2)
    pixels = np.asarray(part, np.float32)
    return (pixels[:, ::-1] if rng.integers(2) else pixels).copy()


def turned(stamp: Image.Image, size: int, rng: np.random.Generator) -> Image.Image:
    """A cut-out at a size and turn of chance, maybe mirrored, its edge as soft as the photograph; RGBA without a border."""
    low, high = np.log(SIDES)
    longer = float(np.exp(rng.uniform(low, high))) * size
    by = longer / max(stamp.size)
    small = stamp.resize((max(3, round(stamp.width * by)), max(3, round(stamp.height * by))), Image.Resampling.BICUBIC)
    if rng.integers(2):
        small = small.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    small = small.rotate(float(rng.uniform(-TURN, TURN)), Image.Resampling.BICUBIC, expand=True)
    small = small.filter(ImageFilter.GaussianBlur(0.3))
    return small.crop(small.getchannel("A").point(lambda value: 255 * (value >= 128)).getbbox())


def lighted(colours: np.ndarray, part: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Colours (h, w, 3) as bright, and a little as warm, as the part of the photograph (h, w, 3) that they will lie on."""
    mean = part.mean((0, 1)) if part.size else np.full(3, 128.0)
    grey = float(mean.mean())
    bright = (0.6 + 0.6 * grey / 255) * float(rng.uniform(0.9, 1.1))
    tint = 1 + 0.3 * (mean / max(grey, 1) - 1)
    lit: np.ndarray = (colours * (bright * tint)).clip(0, 255)
    return lit


def _short(photograph: Image.Image, short: int) -> Image.Image:
    """A photograph with its short side of at most ``short`` pixels, for the parts are no finer than that."""
    by = short / min(photograph.size)
    wide, tall = (max(short, round(by * side)) for side in photograph.size)
    return photograph.resize((wide, tall), Image.Resampling.BICUBIC, reducing_gap=3) if by < 1 else photograph


def subjects_of(classes: Sequence[str]) -> Mapping[str, set[str]]:
    """Split -> the code points of all its subjects."""
    return {split: {code for name in classes for code in subjects(name)[split]} for split in SPLITS}
