"""EAT-NAS's architectures as codes, and how they change, compete, and move from a small task to a large one.

All are functions of codes, numbers and a seeded generator. What trains candidates is ``paperzoo.studies.eat_nas``.

    evolution      the best of a few drawn from the population is the parent; its child differs by one primitive
    reward         ACC (MAdds / T)^w, w < 0: accuracy, and less of it the more a network computes
    transfer       the best on the small task is the basic architecture; its perturbations are the first population on the large

Read ``Block``, ``mutated``, then ``perturbed``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from paperzoo.errors import PaperzooError


class Block(NamedTuple):
    """The five primitives of one block; see ``CHOICES`` for their values."""

    kind: str
    kernel: int
    skip: int
    width: float
    depth: int

    def __str__(self) -> str:
        return f"{self.kind}k{self.kernel}s{self.skip}w{self.width:g}d{self.depth}"


#: primitive -> its values
CHOICES: dict[str, tuple[Any, ...]] = {
    "kind": ("sep", "mb3", "mb6"),
    "kernel": (3, 5, 7),
    "skip": (0, 1),
    "width": (0.5, 1.0, 1.5, 2.0),
    "depth": (1, 2, 3, 4),
}
_BLOCK = re.compile(r"([a-z]+\d?)k(\d+)s(\d+)w(\d+(?:\.\d+)?)d(\d+)")

Code = tuple[Block, ...]


def written(code: Sequence[Block]) -> str:
    """Blocks as text: ``mb6k3s1w1d2_sepk5s0w1.5d1``."""
    return "_".join(map(str, code))


def parsed(text: str) -> Code:
    """The blocks that ``written`` has written.

    Raises:
        PaperzooError: a block cannot be read, or a primitive has no such value; it names block, primitive and legal values.
    """
    code = []
    for number, part in enumerate(text.split("_"), 1):
        match = _BLOCK.fullmatch(part)
        if match is None:
            like = "mb6k3s1w1.5d2: kind, kernel, skip, width, depth"
            raise PaperzooError(f"block {number} of code is {part[:40]!r}, which does not read like {like}")
        kind, *numbers = match.groups()
        block = Block(kind, *(float(n) if "." in n else int(n) for n in numbers))  # type: ignore[arg-type]
        for name, value in block._asdict().items():
            if value not in CHOICES[name]:
                legal = ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in CHOICES[name])
                raise PaperzooError(f"block {number} of code, {part}: {name} must be one of {legal}, not {value}")
        code.append(block._replace(width=float(block.width)))
    return tuple(code)


def pick(values: Sequence[Any], random: torch.Generator) -> Any:
    """One of the values, drawn uniformly."""
    return values[int(torch.randint(len(values), (), generator=random, device="cpu"))]


def drawn(random: torch.Generator, blocks: int = 7) -> Code:
    """An architecture of which every primitive is any of its values, each as likely."""
    return tuple(Block(*(pick(values, random) for values in CHOICES.values())) for _ in range(blocks))


def changed(block: Block, random: torch.Generator) -> Block:
    """The block with one primitive, any, at another of its values, any."""
    name = pick(list(CHOICES), random)
    return block._replace(**{name: pick([v for v in CHOICES[name] if v != getattr(block, name)], random)})


def perturbed(code: Code, random: torch.Generator, blocks: int = 1) -> Code:
    """An elastic neighbour of the basic architecture: one primitive changed in each of ``blocks`` different blocks.

    Raises:
        PaperzooError: the architecture has not as many blocks.
    """
    if not 1 <= blocks <= len(code):
        raise PaperzooError(f"perturbed blocks must be from 1 to {len(code)}, as many as the architecture has, not {blocks}")
    chosen = torch.randperm(len(code), generator=random, device="cpu")[:blocks].tolist()
    return tuple(changed(block, random) if place in chosen else block for place, block in enumerate(code))


def mutated(code: Code, random: torch.Generator) -> Code:
    """A child: its parent but for exactly one primitive of one block."""
    return perturbed(code, random, 1)


def reward(accuracy: float, multiply_adds: float, target: float, power: float = -0.07) -> float:
    """``ACC (MAdds / T)^w``: it rises with accuracy, and with w < 0 falls as multiply-adds rise (MnasNet, 1807.11626, Eq. 2).

    Args:
        accuracy: share of right answers, 0 to 1; 0 where training has diverged.
        multiply_adds, target: of one image; at ``target`` the reward is the accuracy.
    """
    return float(accuracy * (multiply_adds / target) ** power)


class Quality(NamedTuple):
    """Of a population: mean and variance of its members' accuracies or rewards."""

    mean: float
    variance: float

    def better(self, other: Quality) -> bool:
        """A higher mean, or the same with less variance: a population all of which is good."""
        return (self.mean, -self.variance) > (other.mean, -other.variance)


def quality(values: Sequence[float]) -> Quality:
    """Mean and variance (about the mean, divided by N) of one value or more."""
    mean = math.fsum(values) / len(values)
    return Quality(mean, math.fsum((v - mean) ** 2 for v in values) / len(values))


def tournament(rewards: Sequence[float], size: int, random: torch.Generator) -> int:
    """The place of the best of ``size`` different members drawn from the population; all of it, where there are fewer."""
    entered = torch.randperm(len(rewards), generator=random, device="cpu")[:size].tolist()
    return int(max(entered, key=lambda place: rewards[place]))


def survivors(rewards: Sequence[float], size: int) -> list[int]:
    """The places of the ``size`` best, in their order; of equals the younger, who come later, stay."""
    best = sorted(range(len(rewards)), key=lambda place: (rewards[place], place), reverse=True)[:size]
    return sorted(best)
