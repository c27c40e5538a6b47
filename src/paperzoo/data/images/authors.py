"""Drawings by author: the same subjects drawn by several hands, so that what is drawn does not say who drew it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from paperzoo.data.dataset import Dataset
from paperzoo.data.images.emoji import VENDORS, Emoji
from paperzoo.errors import PaperzooError


@dataclass(frozen=True)
class Drawings:
    """Every subject by each of K authors, once.

    Attributes:
        image: float32 (N, C, S, S) in [0, 1].
        author: int64 (N), 0 to K - 1.
        subject: int64 (N); items of one subject stand together.
        category: int64 (N), of the subject.
    """

    image: Tensor
    author: np.ndarray
    subject: np.ndarray
    category: np.ndarray


def emoji_drawings(whole: Dataset) -> Drawings:
    """Emoji of the set ``emoji`` with a single code point, colour 32x32 on white, that all four vendors have; an author is a vendor."""
    assert isinstance(whole, Emoji)
    items, codes = whole.joined("train+test"), whole.codes["train"] + whole.codes["test"]
    every = items.batch(np.arange(len(items)))
    by_code: dict[str, list[int]] = defaultdict(list)
    for item, code in enumerate(codes):
        by_code[code].append(item)
    vendor, category = every.vendor.numpy(), every.label.numpy()
    shared = [v for code, v in sorted(by_code.items()) if "-" not in code and sorted(vendor[v]) == list(range(len(VENDORS)))]
    order = np.concatenate(shared)
    first = np.repeat([v[0] for v in shared], len(VENDORS))  # vendors may sort a subject differently: one of them decides
    subject = np.repeat(np.arange(len(shared)), len(VENDORS))
    return Drawings(every.image[torch.from_numpy(order)], vendor[order], subject, category[first])


def made_up_drawings(subjects: int = 80) -> Drawings:
    """Grey blobs, 32x32 in three equal channels: a subject is a shape, its category one of four numbers of lobes.

    Each of four authors hatches them at an angle of his own, which is all that tells him from the others.
    """
    random = np.random.default_rng(0)
    y, x = np.mgrid[-1:1:32j, -1:1:32j]
    subject, author = np.repeat(np.arange(subjects), 4), np.tile(np.arange(4), subjects)
    category, turn, phase = subject % 4, random.uniform(0, 6, subjects)[subject], random.uniform(0, 6, len(subject))
    images = []
    for k, lobes, t, p in zip(author, category + 2, turn, phase, strict=True):
        inside = np.hypot(x, y) < 0.7 + 0.25 * np.cos(lobes * np.arctan2(y, x) + t)
        hatch = 0.5 + 0.5 * np.sin(20 * (x * np.cos(k * np.pi / 4) + y * np.sin(k * np.pi / 4)) + p)
        images.append(np.where(inside, hatch, 1.0) + random.normal(0, 0.1, x.shape))
    image = torch.from_numpy(np.stack(images)).float().clamp(0, 1)[:, None].repeat(1, 3, 1, 1)  # (N, 3, 32, 32)
    return Drawings(image, author, subject, category)


def chosen(drawings: Drawings, few: int, many: int, seed: int) -> Mapping[str, np.ndarray]:
    """Item numbers of four sets; no subject of the disputed is known.

    - ``few``, ``many``: so many subjects, by all authors; the few are among the many.
    - ``own``: ``many`` subjects of each author, by that one alone, and all of a category that is his.
    - ``disputed``: ``many`` other subjects, by all authors.

    Raises:
        PaperzooError: there are too few subjects, in all or in as many categories as there are authors.
    """
    random = np.random.default_rng(seed)
    order = random.permutation(np.unique(drawings.subject))
    if not 1 <= few <= many <= len(order) // 2:
        raise PaperzooError(f"{few} and {many} subjects of {len(order)}, half of them disputed: give 1 to {len(order) // 2}")
    sets = {name: np.flatnonzero(np.isin(drawings.subject, order[:n])) for name, n in (("few", few), ("many", many))}
    sets["disputed"] = np.flatnonzero(np.isin(drawings.subject, order[many : 2 * many]))
    rest, by_author = np.isin(drawings.subject, order[2 * many :]), []
    authors = int(drawings.author.max()) + 1
    largest = np.argsort(-np.bincount(drawings.category[rest]), kind="stable")[:authors]
    for author, category in enumerate(random.permutation(largest)):
        items = np.flatnonzero(rest & (drawings.author == author) & (drawings.category == category))
        by_author.append(random.permutation(items)[:many])
    if len(by_author) < authors or min(map(len, by_author)) < many:
        raise PaperzooError(f"no {many} subjects are left in each of {authors} categories, one for each author")
    return {**sets, "own": np.concatenate(by_author)}
