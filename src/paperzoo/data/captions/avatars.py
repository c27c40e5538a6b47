"""Cartoon faces with sentences that say how they look: hair, skin, glasses, beard, by many words for the same."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import torch

from paperzoo.data.captions.columns import Captions
from paperzoo.data.captions.words import Words, learn
from paperzoo.data.dataset import Dataset, Images, Schema, Split, Values
from paperzoo.data.fetch.prepared import prepared, writable
from paperzoo.data.images.avatars import CHOICES, HAIR_COLOURS, choose, draw
from paperzoo.data.images.table import AVATARS

#: columns of ``attributes``; a face has one colour of hair, and each of the others or not
ATTRIBUTES = (*(f"{colour} hair" for colour in HAIR_COLOURS), "long hair", "glasses", "beard", "dark skin")

#: what the labels are called: 16 x hair colour + 8 x long hair + 4 x glasses + 2 x beard + dark skin
NAMES = tuple(
    ", ".join([f"{colour} hair", *(name for name, has in zip(ATTRIBUTES[4:], rest, strict=True) if has)])
    for colour, *rest in product(HAIR_COLOURS, *[(False, True)] * 4)
)

SPLITS = ("train", "validation", "test")
#: sentences of a picture
SENTENCES = 5

_NAMED = 0.8  # chance that a sentence says anything of an attribute; each sentence says something of one at least
_VERSION = 1  # of the prepared arrays: change it whenever they come out differently

# Of what a sentence may name, only what is seen at 32 pixels: no thin beard, no skin between light and dark.
_PARTS = (
    *CHOICES[:2],
    ("#ffdbb4", "#edb98a", "#ae5d29", "#a0522d"),  # two light, two dark
    CHOICES[3],
    CHOICES[4],
    ("", "", "beard_medium", "beard_magestic"),
    *CHOICES[6:],
)
_DECIDES = (1, 4, 5, 2)  # columns of parts: long hair, glasses, beard, dark skin

_COLOURS = {
    "black": ("black", "jet-black", "raven"),
    "brown": ("brown", "chestnut", "brunette"),
    "blonde": ("blonde", "blond", "golden"),
    "red": ("red", "ginger", "copper"),
}
_LENGTHS = (("short", "cropped"), ("long", "flowing"))
_GLASSES = ("glasses", "spectacles", "eyeglasses")
_BEARDS = ("a beard", "a full beard", "a bushy beard")
_SKINS = (("light", "pale", "fair"), ("dark", "deep brown", "tanned"))
_ADJECTIVES = {"beard": (("clean-shaven", "beardless"), ("bearded",)), "dark skin": (("light-skinned", "pale"), ("dark-skinned",))}
_NOUNS = ("person", "face", "figure", "character")


def avatar_sentences(wheel: Path, image_size: int | None = None, counts: tuple[int, int, int] = (12_000, 1000, 1000)) -> Dataset:
    """Faces, no two alike, each in one split: ``image``, ``label``, ``attributes`` float32 (N, 8), ``captions``, ``texts``, ``named``.

    All parts are drawn independently and evenly with a fixed seed. Each of five sentences tells some of the attributes, of each with a
    chance of 0.8; ``named`` float32 (N, 5, 8) says which. What it leaves out may be one way or the other.

    Args:
        wheel: ``python_avatars-1.4.1-py3-none-any.whl``; its drawings are read, nothing of it is run.
        image_size: faces are drawn at 64 pixels, or at this size if it is larger; the caller makes them smaller.
        counts: pictures in each of ``SPLITS``.

    Raises:
        PaperzooError: no renderer is installed, or the wheel lacks a part.
    """
    size, total = max(64, image_size or 64), sum(counts)
    arrays = prepared(f"avatar-sentences-{_VERSION}-{size}-{total}", lambda: draw(wheel, choose(total, 0, _PARTS), size, _PARTS))
    attributes, label = describe(arrays["parts"])
    sentences = [tell(row, np.random.default_rng((0, number))) for number, row in enumerate(attributes)]
    words = Words(learn(text for texts, _ in sentences[: counts[0]] for text in texts))
    splits, start, longest = {}, 0, 0
    examples: tuple[str, ...] = ()
    for split, count in zip(SPLITS, counts, strict=True):
        items = slice(start, start + count)
        start += count
        column = Captions([texts for texts, _ in sentences[items]], words)
        examples = examples or column.examples
        longest = max(longest, column.longest)
        splits[split] = Split(
            Images(torch.from_numpy(writable(arrays["image"])[items])),
            Values("label", torch.from_numpy(label[items])),
            Values("attributes", torch.from_numpy(attributes[items])),
            Values("named", torch.from_numpy(np.stack([named for _, named in sentences[items]]))),
            column,
        )
    arguments = {
        "channels": 3, "image_size": size, "classes": len(NAMES), "attributes": ATTRIBUTES,
        "vocabulary": words.vocabulary, "longest": longest, "examples": examples,
    }  # fmt: skip
    schema = Schema("avatar-sentences", ("image", "label", "attributes", "named", "captions", "texts"), arguments, NAMES)
    source = "drawn from the parts of the package python-avatars 1.4.1, with seed 0"
    return Dataset(schema, splits, AVATARS.licence, source)


def describe(parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``attributes`` float32 (N, 8) and ``label`` int64 (N) of parts (N, 10)."""
    colour = parts[:, 0].astype(np.int64)
    has = np.stack([parts[:, k] >= len(_PARTS[k]) // 2 for k in _DECIDES], 1)  # (N, 4)
    coloured = colour[:, None] == np.arange(len(HAIR_COLOURS))
    label = 16 * colour + has @ np.array([8, 4, 2, 1])
    return np.concatenate([coloured, has], 1).astype(np.float32), label


def tell(attributes: np.ndarray, rng: np.random.Generator) -> tuple[tuple[str, ...], np.ndarray]:
    """Five sentences of a face with these attributes (8), and which of them each names, float32 (5, 8); no two say the same."""
    texts: list[str] = []
    named = []
    while len(texts) < SENTENCES:
        chosen = rng.random(5) < _NAMED
        if not chosen.any() or (text := sentence(attributes, chosen, rng)) in texts:
            continue
        texts.append(text)
        named.append(np.concatenate([np.repeat(chosen[:1], 4), chosen[1:]]).astype(np.float32))
    return tuple(texts), np.stack(named)


def sentence(attributes: np.ndarray, named: np.ndarray, rng: np.random.Generator) -> str:
    """A sentence that tells, of colour and length of the hair, glasses, beard and skin, those that are ``named``, bool (5).

    Args:
        attributes: of ``ATTRIBUTES``, 0 or 1, (8).
    """

    def one(options: tuple[str, ...]) -> str:
        return options[int(rng.integers(len(options)))]

    colour, length, glasses, beard, skin = named
    long, has_glasses, has_beard, dark = (int(value) for value in attributes[4:])
    adjectives: list[str] = []
    with_: list[str] = []
    without: list[str] = []
    hair = [one(_LENGTHS[long])] if length else []
    hair += [one(_COLOURS[list(HAIR_COLOURS)[int(attributes[:4].argmax())]])] if colour else []
    if hair:
        with_.append(" ".join([*hair, "hair"]))
    if glasses:
        (with_ if has_glasses else without).append(one(_GLASSES))
    if beard and rng.random() < 0.4:
        adjectives.append(one(_ADJECTIVES["beard"][has_beard]))
    elif beard:
        (with_ if has_beard else without).append(one(_BEARDS) if has_beard else "a beard")
    if skin and rng.random() < 0.4:
        adjectives.append(one(_ADJECTIVES["dark skin"][dark]))
    elif skin:
        with_.append(f"{one(_SKINS[dark])} skin")
    subject = " ".join([*(adjectives[i] for i in rng.permutation(len(adjectives))), one(_NOUNS)])
    has = _listed([with_[i] for i in rng.permutation(len(with_))], "and")
    lacks = _listed([without[i] for i in rng.permutation(len(without))], "or")
    if has and rng.random() < 0.4:
        return f"the {subject} has {has}" + (f" but no {lacks.replace('a beard', 'beard')}" if lacks else "")
    opening = ("a ", "this is a ", "a picture of a ")[int(rng.integers(3))]
    return " ".join([opening + subject, *([f"with {has}"] if has else []), *([f"without {lacks}"] if lacks else [])])


def _listed(parts: list[str], last: str) -> str:
    return f" {last} ".join([*([", ".join(parts[:-1])] if len(parts) > 1 else []), *parts[-1:]])
