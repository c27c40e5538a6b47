"""Emoji of four vendors: the same subjects drawn by different hands, with nine categories."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from paperzoo.data.dataset import Dataset, Images, Schema, Split, Values
from paperzoo.data.fetch.prepared import prepared
from paperzoo.data.fetch.readers import archive_read
from paperzoo.data.fetch.sources import sha256
from paperzoo.data.images.svg import render, require_renderer
from paperzoo.data.images.table import EMOJI
from paperzoo.errors import PaperzooError

#: what the numbers in the field ``vendor`` mean
VENDORS = tuple(EMOJI)

#: what the labels are called
CATEGORIES = (
    "Activities", "Animals & Nature", "Flags", "Food & Drink", "Objects", "People & Body", "Smileys & Emotion", "Symbols",
    "Travel & Places",
)  # fmt: skip

# code points that do not change the subject: skin tones, woman's and man's sign, "facing right", joiners
_VARIANTS = {"1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff", "2640", "2642", "27a1", "200d", "fe0f"}
_PERSON = {"1f468": "1f9d1", "1f469": "1f9d1"}  # man and woman stand for person


@dataclass(frozen=True)
class Emoji(Dataset):
    """Splits of ``image``, ``label`` (N) and ``vendor`` (N); both numbers int64.

    Attributes:
        codes: split -> each item's code points, such as ``1f468-200d-1f33e``. Items with equal code points show the same
            subject by different vendors: pairs to translate from one style into another.
        titles: split -> each item's name at its vendor, such as ``man-farmer``.
    """

    codes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    titles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def emoji(*archives: Path, vendors: Sequence[str] = VENDORS, image_size: int | None = None) -> Emoji:
    """Emoji in colour on white. ``test`` is the tenth of the subjects whose code points hash below 0.1.

    The same emoji by another vendor, in another skin tone or of another gender is the same subject, and so never lies in
    both splits.

    Args:
        archives: iconify's packages, one of each vendor, as npm hands them out; they are read, never installed.
        image_size: they are drawn at 32 pixels, or at this size if it is larger; the caller makes them smaller.

    Raises:
        PaperzooError: no renderer is installed, or an archive is damaged or of another form.
    """
    size = max(32, image_size or 32)
    parts = [prepared(f"emoji-1-{sha256(archive)[:8]}-{size}", partial(_draw, archive, size)) for archive in archives]
    keys = ("image", "label", "code", "title", "broken")
    joined = {key: np.concatenate([np.atleast_1d(part[key]) for part in parts]) for key in keys}
    vendor_of = np.concatenate([np.full(len(p["label"]), VENDORS.index(v)) for p, v in zip(parts, vendors, strict=True)])
    splits, codes, titles = {}, {}, {}
    held_out = np.array([_held_out(code) for code in joined["code"]])
    for split, chosen in {"train": ~held_out, "test": held_out}.items():
        splits[split] = Split(
            Images(torch.from_numpy(joined["image"][chosen])),
            Values("label", torch.from_numpy(joined["label"][chosen])),
            Values("vendor", torch.from_numpy(vendor_of[chosen])),
        )
        codes[split], titles[split] = tuple(joined["code"][chosen].tolist()), tuple(joined["title"][chosen].tolist())
    arguments = {"channels": 3, "image_size": size, "classes": len(CATEGORIES)}
    schema = Schema("emoji", ("image", "label", "vendor"), arguments, CATEGORIES)
    licence = "; ".join(EMOJI[vendor].licence for vendor in vendors)
    source = f"iconify's packages of {', '.join(vendors)}; left out: {joined['broken'].sum()} that cannot be rendered"
    return Emoji(schema, splits, licence, source, codes=codes, titles=titles)


def emoji_category(*archives: Path, vendors: Sequence[str] = VENDORS, image_size: int | None = None) -> Dataset:
    """Emoji to be sorted into their nine categories: ``image`` and ``label`` (N), one item a subject and vendor.

    Of the same subject in other skin tones and of other genders only one is kept, that with the fewest code points, for
    hands and people would otherwise be two thirds of the set. No two images are equal. A subject lies in one split with all its vendors:
    ``test`` holds the subjects that it holds in ``emoji``, ``validation`` those whose code points hash below 0.2.

    Args:
        archives, image_size: see ``emoji``.

    Raises:
        PaperzooError: no renderer is installed, or an archive is damaged or of another form.
    """
    whole = emoji(*archives, vendors=vendors, image_size=image_size)
    splits = {name: Split(images, labels) for name, (images, labels, _) in _one_each(whole).items()}
    schema = Schema("emoji-category", ("image", "label"), whole.schema.arguments, CATEGORIES)
    return Dataset(schema, splits, whole.licence, f"{whole.source}; one skin tone and gender of each")


def emoji_vendor(*archives: Path, vendors: Sequence[str] = VENDORS, image_size: int | None = None) -> Dataset:
    """The emoji of ``emoji-category`` to be sorted by who drew them and what they show: a label for each vendor and category.

    Its names begin with the vendor's: ``noto: Flags``. Who is to tell one hand from another, and one subject from another, needs both.

    Args, Raises: as ``emoji_category``.
    """
    whole = emoji(*archives, vendors=vendors, image_size=image_size)
    splits = {}
    for name, (images, labels, vendor) in _one_each(whole).items():
        splits[name] = Split(images, Values("label", vendor.values * len(CATEGORIES) + labels.values))
    names = tuple(f"{vendor}: {category}" for vendor in VENDORS for category in CATEGORIES)
    schema = Schema("emoji-vendor", ("image", "label"), {**whole.schema.arguments, "classes": len(names)}, names)
    return Dataset(schema, splits, whole.licence, f"{whole.source}; one skin tone and gender of each")


def _one_each(whole: Emoji) -> dict[str, tuple[Images, Values, Values]]:
    """Split -> images, categories and vendors, one item a subject and vendor."""
    everything, codes = whole.joined("train+test"), whole.codes["train"] + whole.codes["test"]
    images, labels, vendor = everything.columns
    assert isinstance(images, Images) and isinstance(labels, Values) and isinstance(vendor, Values)
    first: dict[tuple[int, str], int] = {}  # (vendor, subject) -> item
    for item in sorted(range(len(codes)), key=lambda i: (codes[i].count("-"), codes[i])):
        first.setdefault((int(vendor.values[item]), subject_of(codes[item])), item)
    chosen: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    seen: set[bytes] = set()
    for (_, subject), item in sorted(first.items()):
        if (pixels := images.pixels[item].numpy().tobytes()) in seen:  # Bouvet Island flies the flag of Norway
            continue
        seen.add(pixels)
        share = _share(subject)
        chosen["test" if share < _TENTH else "validation" if share < 2 * _TENTH else "train"].append(item)
    return {
        split: (Images(images.pixels[items]), Values("label", labels.values[items]), Values("vendor", vendor.values[items]))
        for split, items in chosen.items()
    }


def documents(archive: Path, codes: Sequence[str]) -> dict[str, str]:
    """Code points -> the drawing of that emoji in one of iconify's packages, as the text of an SVG document.

    Raises:
        PaperzooError: the archive is damaged, of another form, or lacks one of them.
    """
    icons, chars = _json(archive, "icons"), _json(archive, "chars")
    try:
        return {code: _svg(icons, icons["icons"][chars[code]]) for code in codes}
    except (KeyError, TypeError, AttributeError) as error:
        raise PaperzooError(f"{archive} lacks an emoji, or is no set in iconify's form: {type(error).__name__}: {error}") from error


def _draw(archive: Path, size: int) -> dict[str, np.ndarray]:
    """Every emoji of one package that has code points and one of the nine categories, in the order of their code points."""
    require_renderer()
    icons, metadata, chars = (_json(archive, name) for name in ("icons", "metadata", "chars"))
    columns: dict[str, list[Any]] = {"image": [], "label": [], "code": [], "title": []}
    broken = 0
    try:
        category = {
            title: _CATEGORY[_letters(name)]
            for name, titles in metadata["categories"].items()
            if _letters(name) in _CATEGORY  # OpenMoji has more: logos and unassigned code points
            for title in titles
        }
        for code, title in sorted(chars.items()):
            if title not in category:
                continue
            try:
                image = render(_svg(icons, icons["icons"][title]), size)
            except ValueError:
                broken += 1
                continue
            for key, value in zip(columns, (image, category[title], code, title), strict=True):
                columns[key].append(value)
        return {**{key: np.array(values) for key, values in columns.items()}, "broken": np.array(broken)}
    except (KeyError, TypeError, AttributeError) as error:
        raise PaperzooError(f"{archive} is no set of emoji in iconify's form: {type(error).__name__}: {error}") from error


def _json(archive: Path, name: str) -> Any:
    try:
        return json.loads(archive_read(archive, f"package/{name}.json"))
    except ValueError as error:
        raise PaperzooError(f"{name}.json in {archive} is damaged: {error}") from error


def _svg(icons: Mapping[str, Any], icon: Mapping[str, Any]) -> str:
    """An icon as a document; what it does not say itself, its set says, and iconify's default for sides is 16."""
    left, top, width, height = (icon.get(k, icons.get(k, d)) for k, d in zip(_SIDES, (0, 0, 16, 16), strict=True))
    namespaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<svg {namespaces} viewBox="{left} {top} {width} {height}">{icon["body"]}</svg>'


def _letters(name: str) -> str:
    return "".join(c for c in name if c.isalpha())  # "Food & Drink" is "Food Drink" at OpenMoji


def _held_out(code: str) -> bool:
    return _share(subject_of(code)) < _TENTH


def subject_of(code: str) -> str:
    """The code points without skin tone and gender: equal for all variants of one subject."""
    return "-".join(_PERSON.get(part, part) for part in code.split("-") if part not in _VARIANTS)


def share_of(text: str) -> float:
    """A number in [0, 1) that a text decides."""
    return _share(text) / 2**64


def _share(subject: str) -> int:
    return int.from_bytes(hashlib.sha256(subject.encode()).digest()[:8], "big")


_TENTH = 2**64 // 10
_SIDES = ("left", "top", "width", "height")
_CATEGORY = {_letters(name): number for number, name in enumerate(CATEGORIES)}
