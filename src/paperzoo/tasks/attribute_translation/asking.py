"""Which attributes a picture shall have: as a user asks for them, and as a measurement changes them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from paperzoo.data.images.attributes import asked, exclusive
from paperzoo.errors import PaperzooError, unknown
from paperzoo.terminal import plain


def changes(text: str, names: Sequence[str]) -> dict[str, int]:
    """``blonde hair, no glasses`` as ``{"blonde hair": 1, "glasses": 0}``; CelebA's ``Blond_Hair`` is ``blond hair``, too.

    Raises:
        PaperzooError: an attribute that there is not, or that is asked for and not asked for.
    """
    known, values = {name.lower().replace("_", " "): name for name in names}, dict[str, int]()
    for part in filter(None, (" ".join(part.lower().replace("_", " ").split()) for part in text.split(","))):
        value = int(part in known or not part.startswith("no "))
        word = part if value else part.removeprefix("no ")
        if word not in known:
            raise unknown("attribute", word, known)
        if values.setdefault(known[word], value) != value:
            raise PaperzooError(f"{plain(known[word])} is to be there and not to be there: ask for one of them")
    return values


def kinds(names: Sequence[str]) -> list[tuple[int, ...]]:
    """Attributes by what they are about: those that exclude each other together, such as all colours of the hair, others alone."""
    groups = exclusive(names)
    first = {min(group): group for group in groups}
    inside = {k for group in groups for k in group}
    return [first.get(k, (k,)) for k in range(len(names)) if k in first or k not in inside]


def together(units: Sequence[tuple[int, ...]]) -> list[tuple[tuple[int, ...], ...]]:
    """Combinations of two or more, as table 2 of the StarGAN paper has them; of more than four kinds only all pairs."""
    most = len(units) if len(units) <= 4 else 2
    return [some for count in range(2, most + 1) for some in combinations(units, count)]


def one_changed(before: Tensor, names: Sequence[str], k: int) -> Tensor:
    """Attributes (N, A) with the k-th flipped; of those that exclude each other it is given, and never taken away."""
    alone = next(len(group) == 1 for group in kinds(names) if k in group)
    if not alone:
        return asked(before, names, {names[k]: 1})
    target = before.clone()
    target[:, k] = 1 - target[:, k]
    return target


def several_changed(before: Tensor, units: Sequence[tuple[int, ...]]) -> Tensor:
    """Attributes (N, A) with every unit changed: flipped, or another colour of the same thing, which in turn."""
    target = before.clone()
    for unit in units:
        if len(unit) == 1:
            target[:, unit[0]] = 1 - target[:, unit[0]]
            continue
        current = before[:, list(unit)].argmax(1)  # (N)
        step = 1 + torch.arange(len(before)) % (len(unit) - 1)
        new = (current + step) % len(unit)
        target[:, list(unit)] = torch.nn.functional.one_hot(new, len(unit)).to(target.dtype)
    return target
