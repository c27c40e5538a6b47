"""EAT-NAS's search: how architectures change, compete, hand down their weights, and move from a small task to a large one.

All are functions of codes, numbers and a seeded generator; what trains the candidates is not here (``paperzoo.studies.eat_nas``).

    evolution      the best of a few drawn from the population is the parent; its child differs by one primitive
    sharing        the child starts from the parent's weights, wherever its layers have a place for them
    reward         ACC (MAdds / T)^w, w < 0: accuracy, and less of it the more a network computes
    transfer       the best on the small task is the basic architecture; its perturbations are the first population on the large

Read ``mutated``, ``share``, then ``perturbed``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from paperzoo.errors import PaperzooError
from paperzoo.papers.recognition.eat_nas import CHOICES, Block, Layer, Network

Code = tuple[Block, ...]


def pick(values: Sequence[Any], random: torch.Generator) -> Any:
    """One of the values, each as likely."""
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


def multiply_adds(model: nn.Module, image: Tensor) -> int:
    """Multiplications, each with its addition, of convolutions and linear layers for the first image of (N, C, H, W).

    On the meta device nothing is computed. What normalises, adds or pools is not counted, as is the custom.
    """
    total = 0

    def add(layer: nn.Module, inputs: Any, output: Tensor) -> None:
        nonlocal total
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        total += output[0].numel() * layer.weight[0].numel()

    handles = [m.register_forward_hook(add) for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    try:
        with torch.no_grad():
            model(image)
    finally:
        for handle in handles:
            handle.remove()
    return total


# --- weights handed down -----------------------------------------------------------------------------------------------


def overlap(parent: Tensor, child: Tensor) -> None:
    """Copies what two tensors of as many dimensions have in common, in place.

    That is the first entries of the first two dimensions, channels out and in, and the middle of the others, a kernel's sides.
    """
    theirs, ours = [], []
    for place, (a, b) in enumerate(zip(parent.shape, child.shape, strict=True)):
        both = min(a, b)
        before = [(side - both) // 2 if place > 1 else 0 for side in (a, b)]
        theirs.append(slice(before[0], before[0] + both))
        ours.append(slice(before[1], before[1] + both))
    child[tuple(ours)] = parent[tuple(theirs)]


def share(parent: Network, child: Network) -> None:
    """The child starts from the parent's weights and statistics, in place; what the parent has none for stays as it is.

    Stem, head and classifier are matched as they are, layers by their place within their block, if both are separable or both
    inverted residuals. Narrower tensors take the first channels, smaller kernels the middle. A parent with the child's code
    makes the child the same function.
    """
    pairs: list[tuple[nn.Module, nn.Module]] = [(getattr(parent, n), getattr(child, n)) for n in ("stem", "head", "classifier")]
    for ours, theirs in zip(parent.blocks, child.blocks, strict=True):
        assert isinstance(ours, nn.Sequential) and isinstance(theirs, nn.Sequential)
        for a, b in zip(ours, theirs, strict=False):
            assert isinstance(a, Layer) and isinstance(b, Layer)
            if (a.spread is None) == (b.spread is None):
                pairs.append((a, b))
    with torch.no_grad():
        for source, target in pairs:
            state = source.state_dict()
            for name, tensor in target.state_dict().items():
                if name in state:
                    overlap(state[name], tensor)
