"""Two domains of images: the same subject by two hands, edges and what they belong to, faces with and without an attribute.

``image_a`` is translated from and ``image_b`` to. In a paired set, item i of every split has one subject in both. In an unpaired set,
``train`` shows the domains on **disjoint** subjects, so that the twin of no image is ever seen, while the items of ``validation`` and
``test`` are paired: what a translation is scored against is the truth that it was not trained on. ``schema.arguments`` names both
``domains``, and in ``paired`` the splits that are so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from paperzoo.data.dataset import Dataset, Images, Schema, Split, Unpaired, Values
from paperzoo.data.fetch.prepared import prepared
from paperzoo.data.fetch.sources import sha256
from paperzoo.data.images import avatars as faces
from paperzoo.data.images.edges import edges
from paperzoo.data.images.emoji import VENDORS, emoji, share_of, subject_of
from paperzoo.data.images.stamps import stamps
from paperzoo.data.images.table import AVATARS

SPLITS = ("train", "validation", "test")

#: pixels uint8 (N, C, H, W) of two domains
Two = tuple[np.ndarray, np.ndarray]


def two_domains(
    name: str, splits: Mapping[str, Two], domains: tuple[str, str], paired: Sequence[str], licence: str, source: str,
    pictures: bool = True,
) -> Dataset:  # fmt: skip
    """A data set of ``image_a`` and ``image_b``; with streams of their own unless every split is paired."""
    built = {}
    for split, (a, b) in splits.items():
        columns = [Images(torch.from_numpy(np.ascontiguousarray(x)), f) for x, f in ((a, "image_a"), (b, "image_b"))]
        built[split] = Split(*columns) if set(paired) >= set(splits) else Split(Unpaired(*columns))
    channels, size = splits["train"][0].shape[1:3]
    arguments = {"channels": channels, "image_size": size, "domains": domains, "paired": tuple(paired)}
    return Dataset(Schema(name, ("image_a", "image_b"), arguments), built, licence, source, pictures)


# Emoji ---------------------------------------------------------------------------------------------------------------


def emoji_pairs(a: Path, b: Path, vendors: tuple[str, str], image_size: int | None = None) -> Dataset:
    """The same emoji by two vendors, in colour on white, aligned by code point: one of each subject that both drew.

    A subject is an emoji in all its skin tones and genders, of which that with the fewest code points is kept, for hands and people
    would otherwise be two thirds of the set; drawings that several subjects share are left out (Bouvet Island flies the flag of
    Norway). ``test`` holds the tenth of the subjects that it holds in ``emoji``, ``validation`` the
    next. Drawings of two vendors agree in what they show, not in where its parts lie.

    Args:
        a, b: iconify's packages of the vendors.
        image_size: they are drawn at 32 pixels, or at this size if it is larger; the caller makes them smaller.

    Raises:
        PaperzooError: as ``emoji``.
    """
    image, licence, source = _by_code((a, b), vendors, image_size)
    codes = _in_both(*image)
    splits = {s: _stacked([c for c in codes if _split(c) == s], *image) for s in SPLITS}
    origin = f"{source}; the {len(codes):,} subjects that both drew, one skin tone and gender of each"
    return two_domains(f"emoji-pairs:{'>'.join(vendors)}", splits, vendors, SPLITS, licence, origin)


def emoji_unpaired(a: Path, b: Path, vendors: tuple[str, str], image_size: int | None = None) -> Dataset:
    """Emoji by two vendors who, in ``train``, drew different subjects: a hash of the subject says whose it is.

    ``validation`` and ``test`` are those of ``emoji_pairs``.

    Args, Raises: as ``emoji_pairs``.
    """
    image, licence, source = _by_code((a, b), vendors, image_size)
    both = _in_both(*image)
    alone: list[np.ndarray] = []
    for side, known in enumerate(image):  # whatever the order of the two vendors, a subject is of the same one
        mine = vendors[side] == max(vendors)
        codes = [c for c in _alone(known) if _split(c) == "train" and (share_of(f"{subject_of(c)} half") < 0.5) == mine]
        alone.append(np.stack([known[c] for c in codes]))
    splits = {"train": (alone[0], alone[1])} | {s: _stacked([c for c in both if _split(c) == s], *image) for s in SPLITS[1:]}
    origin = f"{source}; {len(alone[0])} and {len(alone[1])} subjects to train on, none by both, one skin tone and gender of each"
    return two_domains(f"emoji-unpaired:{'>'.join(vendors)}", splits, vendors, SPLITS[1:], licence, origin)


def edges_emoji(*archives: Path, vendors: Sequence[str] = VENDORS, image_size: int | None = None) -> Dataset:
    """Emoji by one or several vendors, and their edges to translate from, which lie exactly where they do.

    Subjects and splits are those of ``emoji_pairs``; all drawings of a subject are in one split.

    Raises:
        PaperzooError: as ``emoji``.
    """
    image, licence, source = _by_code(archives, vendors, image_size)
    items = [(c, v) for v, known in enumerate(image) for c in _alone(known)]
    size = next(iter(image[0].values())).shape[1]
    stacked = np.stack([image[v][c] for c, v in items])
    key = "-".join(sha256(archive)[:8] for archive in archives)
    lines = prepared(f"edges-emoji-1-{key}-{size}", lambda: {"edges": np.stack([edges(x)[0] for x in stacked])})["edges"]
    splits = {}
    for split in SPLITS:
        chosen = [i for i, (code, _) in enumerate(items) if _split(code) == split]
        splits[split] = np.repeat(lines[chosen][:, None], 3, 1), stacked[chosen]
    return two_domains("edges>emoji", splits, ("edges", "emoji"), SPLITS, licence, f"{source}; edges by Pillow's FIND_EDGES")


def edges_photos(package: Path, image_size: int | None = None) -> Dataset:
    """The cut-out photographs of ``stamps``, and their edges to translate from. Splits are those of ``stamps``.

    Args, Raises: as ``stamps``.
    """
    whole = stamps(package, image_size)
    splits = {}
    for name, split in whole.splits.items():
        pixels = split.columns[0].pixels.numpy()  # type: ignore[attr-defined]
        splits[name] = np.stack([edges(x, pixels.shape[-1] / 96, 32) for x in pixels]), pixels
    origin = f"{whole.source}; edges by Pillow's FIND_EDGES"
    return two_domains("edges>photos", splits, ("edges", "photos"), SPLITS, whole.licence, origin, whole.pictures)


def _by_code(
    archives: Sequence[Path], vendors: Sequence[str], image_size: int | None
) -> tuple[list[dict[str, np.ndarray]], str, str]:
    """Each vendor's images uint8 (3, S, S) by code point; their licence and source."""
    by_code, wholes = [], []
    for archive, vendor in zip(archives, vendors, strict=True):
        whole = emoji(archive, vendors=[vendor], image_size=image_size)
        pixels = [(whole.codes[s], split.columns[0].pixels.numpy()) for s, split in whole.splits.items()]  # type: ignore[attr-defined]
        by_code.append({code: image for codes, images in pixels for code, image in zip(codes, images, strict=True)})
        wholes.append(whole)
    return by_code, "; ".join(dict.fromkeys(w.licence for w in wholes)), "; ".join(w.source for w in wholes)


def _alone(known: Mapping[str, np.ndarray]) -> list[str]:
    """One code of each subject, in order of the subjects, but for drawings that several subjects share."""
    codes = _one_each(known)
    count = Counter(known[code].tobytes() for code in codes)
    return [code for code in codes if count[known[code].tobytes()] == 1]


def _in_both(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> list[str]:
    shared = a.keys() & b.keys()
    fit = [set(_alone({code: known[code] for code in shared})) for known in (a, b)]
    return [code for code in _one_each(shared) if all(code in one for one in fit)]


def _one_each(codes: Iterable[str]) -> list[str]:
    """The code points with the fewest parts of every subject, in order of the subjects."""
    first: dict[str, str] = {}
    for code in sorted(codes, key=lambda c: (c.count("-"), c)):
        first.setdefault(subject_of(code), code)
    return [first[subject] for subject in sorted(first)]


def _split(code: str) -> str:
    share = share_of(subject_of(code))
    return "test" if share < 0.1 else "validation" if share < 0.2 else "train"


def _stacked(codes: Sequence[str], a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> Two:
    return np.stack([a[c] for c in codes]), np.stack([b[c] for c in codes])


# Faces ---------------------------------------------------------------------------------------------------------------


def avatars_unpaired(
    wheel: Path, attribute: str, other: str = "", image_size: int | None = None, train: int = 3000, held: int = 500
) -> Dataset:
    """Drawn faces without an attribute and other faces with it; or of one hair colour and of another.

    All other parts are drawn as in ``avatars``. No face of ``train`` is, but for the attribute, the same as one of the other domain
    or of a held-out split. In ``validation`` and ``test`` ``image_b`` is the very face of ``image_a`` drawn with the
    attribute changed, and with nothing else changed.

    Args:
        attribute: of domain B: ``glasses``, ``beard``, or a hair colour such as ``blonde``.
        other: of domain A, a hair colour; empty for an attribute that A is without.
        train: faces of each domain to train on.
        held: pairs in each held-out split.

    Raises:
        PaperzooError: as ``avatars``.
    """
    size = max(64, image_size or 64)
    column, values = faces.changes(attribute, other)  # which part decides, and its values without and with
    key = f"avatars-unpaired-1-{other or 'no'}-{attribute}-{size}-{train}-{held}"
    arrays = prepared(key, partial(_draw_faces, wheel, size, column, values, train, held))
    bounds = {"train": (0, train), "validation": (train, train + held), "test": (train + held, None)}
    splits = {s: (np.array(arrays["a"][slice(*cut)]), np.array(arrays["b"][slice(*cut)])) for s, cut in bounds.items()}
    domains = (f"{other} hair", f"{attribute} hair") if other else (f"no {attribute}", attribute)
    source = "drawn from the parts of the package python-avatars 1.4.1, with seed 0"
    return two_domains("avatars-unpaired", splits, domains, SPLITS[1:], AVATARS.licence, source)


def _draw_faces(
    wheel: Path, size: int, column: int, values: tuple[Sequence[int], Sequence[int]], each: int, held: int
) -> dict[str, np.ndarray]:
    """``a`` and ``b``: ``each`` faces of different people, then twice ``held`` of the same people in both."""
    drawn = faces.choose(4 * (each + held))
    anyone = drawn.copy()
    anyone[:, column] = 0
    drawn = drawn[np.sort(np.unique(anyone, axis=0, return_index=True)[1])]  # no two alike but for the attribute
    random = np.random.default_rng(0)
    people = drawn[: 2 * (each + held)]
    parts = {}
    for side, (domain, choices) in enumerate(zip("ab", values, strict=True)):
        mine = np.concatenate([people[side * each : (side + 1) * each], people[2 * each :]])
        mine[:, column] = random.choice(choices, len(mine))
        parts[domain] = mine
    return {domain: faces.draw(wheel, chosen, size)["image"] for domain, chosen in parts.items()}


# By formula ----------------------------------------------------------------------------------------------------------

SHAPES = ("disc", "square", "triangle", "ring")
COLOURS = {"red": (214, 40, 40), "green": (44, 160, 44), "blue": (31, 90, 200), "yellow": (235, 190, 30)}

#: columns of ``attributes`` of ``shapes``, in order; each is 0 or 1
SHAPE_ATTRIBUTES = (*(f"{colour} shape" for colour in COLOURS), "hollow")


def edges_shapes(number: int = 1200, held: int = 200) -> Dataset:
    """Coloured shapes 32x32 on white, and their edges: discs are red, squares green, triangles blue and rings yellow."""
    kind, a, b = _shapes_with_edges(number + 2 * held)
    splits = {s: (a[i], b[i]) for s, i in _thirds(len(kind), held).items()}
    return two_domains("edges>shapes", splits, ("edges", "shapes"), SPLITS, "none needed", "formula")


def shapes_unpaired(number: int = 1200, held: int = 200) -> Dataset:
    """The same with edges of the first half of the training shapes and colours of the second: no shape is seen in both."""
    kind, a, b = _shapes_with_edges(number + 2 * held)
    splits = {s: (a[i], b[i]) for s, i in _thirds(len(kind), held).items()}
    splits["train"] = splits["train"][0][: number // 2], splits["train"][1][number // 2 :]
    return two_domains("shapes-unpaired", splits, ("edges", "shapes"), SPLITS[1:], "none needed", "formula")


def shapes(number: int = 2000, held: int = 500) -> Dataset:
    """Shapes 32x32 on white with attributes: ``image`` and ``attributes`` float32 (N, 5), see ``SHAPE_ATTRIBUTES``.

    Each has one of four colours and is hollow or not, all drawn independently and evenly; so are its kind, place and size.
    """
    random = np.random.default_rng(1)
    total = number + 2 * held
    kind, colour, hollow = random.integers(3, size=total), random.integers(4, size=total), random.integers(2, size=total)
    paint = np.array(list(COLOURS.values()))[colour]
    pixels = _painted(random, kind, paint, hollow.astype(bool))
    attributes = np.concatenate([np.eye(4)[colour], hollow[:, None]], 1).astype(np.float32)
    splits = {}
    for split, chosen in _thirds(total, held).items():
        splits[split] = Split(Images(torch.from_numpy(pixels[chosen])), Values("attributes", torch.from_numpy(attributes[chosen])))
    arguments = {"channels": 3, "image_size": 32, "attributes": SHAPE_ATTRIBUTES}
    return Dataset(Schema("shapes", ("image", "attributes"), arguments), splits, "none needed", "formula")


def _thirds(total: int, held: int) -> dict[str, np.ndarray]:
    order = np.arange(total)
    return {"train": order[: total - 2 * held], "validation": order[total - 2 * held : total - held], "test": order[total - held :]}


def _shapes_with_edges(total: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    kind = random.integers(4, size=total)
    image = _painted(random, np.where(kind == 3, 0, kind), np.array(list(COLOURS.values()))[kind], kind == 3)
    return kind, np.stack([edges(x) for x in image]), image


def _painted(random: np.random.Generator, kind: np.ndarray, colour: np.ndarray, hollow: np.ndarray) -> np.ndarray:
    """Shapes of ``kind`` (N) 0 to 2, ``colour`` (N, 3), at random places; uint8 (N, 3, 32, 32), with soft borders."""
    y, x = np.mgrid[0:32, 0:32] + 0.5
    out = np.empty((len(kind), 3, 32, 32), np.uint8)
    for into, k, paint, hole in zip(out, kind, colour, hollow, strict=True):
        radius = random.uniform(7, 11)
        cx, cy = random.uniform(radius + 1, 31 - radius, 2)
        u, v = x - cx, y - cy
        triangle = np.maximum(v - radius / 2, np.sqrt(3) / 2 * np.abs(u) - v / 2 - radius / 2)
        away = (np.hypot(u, v) - radius, np.maximum(np.abs(u), np.abs(v)) - 0.85 * radius, triangle)[k]  # pixels from the border
        if hole:
            away = np.maximum(away, -away - 2)  # a band of 2 pixels
        inside = np.clip(0.5 - away, 0, 1)
        into[:] = np.round(255 + inside * (paint[:, None, None] - 255))
    return out
