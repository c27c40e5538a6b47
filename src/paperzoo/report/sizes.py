"""Sizes that a paper prints of its networks, counted here: parameters, and multiply-adds of one image. Nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import nn

from paperzoo import catalog
from paperzoo.errors import PaperzooError, unknown
from paperzoo.records import Claim, Paper
from paperzoo.tasks.model import Model

UNITS = {"": 1, ", in thousands": 1e3, ", in millions": 1e6, ", in billions": 1e9}


def parameters(model: nn.Module) -> int:
    """Number of trainable parameters, biases and affine parameters of normalisation included."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def weights(model: nn.Module) -> int:
    """Number of parameters without biases and other per-channel vectors."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad and p.numel() > len(p))


def multiply_adds(model: Model) -> int:
    """Multiplications, each with its addition, of convolutions and matrices for one item of what the model's task is about.

    What is divided, normalised, pooled or added is not counted, as is the custom.
    """
    from torch.utils.flop_counter import FlopCounterMode

    from paperzoo.engine.export import graph_of

    graph = graph_of(model.eval())
    one = [example.to(next(model.parameters()).device) for example in graph.example(1)]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        graph.call(*one)
    return int(counter.get_total_flops()) // 2


KINDS = {"parameters": parameters, "weights": weights, "multiply-adds": multiply_adds}


@dataclass(frozen=True)
class Count:
    """A claim on the size of a network and what was counted, in the claim's unit."""

    name: str
    claim: Claim
    ours: float

    @property
    def theirs(self) -> str:
        return f"{self.claim.value:,}"

    @property
    def printed(self) -> str:
        """Ours, in one more decimal than the paper prints, unless it is a whole number."""
        return f"{self.ours:,.0f}" if self.ours.is_integer() else f"{self.ours:,.{self._decimals + 1}f}"

    @property
    def equal(self) -> bool:
        """Whether ours, in as many decimals as the paper prints, is the paper's figure."""
        return f"{self.ours:,.{self._decimals}f}" == self.theirs

    @property
    def _decimals(self) -> int:
        return len(str(self.claim.value).partition(".")[2]) if isinstance(self.claim.value, float) else 0


def count(paper: Paper, claim: Claim) -> Count:
    """What a claim with ``counted`` says, counted on the network that it is of, without memory for its weights.

    Raises:
        PaperzooError: the metric is not one that is counted, or the claim names no variant where there are several.
    """
    kind, comma, unit = claim.metric.partition(",")
    if kind not in KINDS:
        raise unknown("count", kind, KINDS, f"in claim {claim.id} of {paper.name}")
    if comma + unit not in UNITS:
        raise unknown("unit", claim.metric, [f"{kind}{each}" for each in UNITS], f"in claim {claim.id} of {paper.name}")
    if not isinstance(claim.value, int | float):
        raise PaperzooError(f"claim {claim.id} of {paper.name}: what is counted must be a number, not {claim.value!r}")
    name = f"{paper.name}:{claim.variant}" if claim.variant else paper.name
    return Count(catalog.load(name).name, claim, counted(name, tuple(sorted((claim.counted or {}).items())), kind) / UNITS[comma + unit])


@cache
def counted(name: str, arguments: tuple[tuple[str, Any], ...], kind: str) -> int:
    """A size of ``paper:variant`` with these arguments (name, value), of one of ``KINDS``; nothing is allocated for it."""
    settings: Mapping[str, Any] = dict(arguments)
    with torch.device("meta"):
        return KINDS[kind](catalog.create(name, **settings))


def counts(name: str | None = None) -> list[Count]:
    """Of all papers, or of ``paper`` or ``paper:variant``, every size that is printed and counted; those that agree first."""
    counted = []
    for each in [name.partition(":")[0]] if name else sorted(catalog.CATALOG):
        paper = catalog.paper(each)
        counted += [count(paper, claim) for claim in paper.claims if claim.counted is not None]
    wanted = [one for one in counted if not name or ":" not in name or one.name == catalog.load(name).name]
    return sorted(wanted, key=lambda one: (not one.equal, one.name))


def text(sizes: list[Count]) -> str:
    """A line a size, for a terminal."""
    lines = [
        f"{one.name}{_at(one)}: {one.claim.metric} {one.printed}, the paper's {one.theirs} ({one.claim.where}): "
        f"{'equal' if one.equal else 'differs'}"
        for one in sizes
    ]
    equal = [one for one in sizes if one.equal]
    papers = len({one.name.partition(":")[0] for one in equal})
    return "\n".join([*lines, f"{len(equal)} of {len(sizes)} sizes are as printed, of {papers} paper{'s' * (papers != 1)}"])


def table(counted: list[Count]) -> str:
    """The same in Markdown."""
    lines = ["| | paper | size | ours | the paper's | where |", "| --- |" + " --- |" * 5]
    for one in counted:
        lines.append(
            f"| {'equal' if one.equal else 'differs'} | `{one.name}`{_at(one)} | {one.claim.metric} | {one.printed} | {one.theirs} | "
            f"{one.claim.where} |"
        )
    return "\n".join(lines)


def _at(one: Count) -> str:
    """The arguments that differ from the model's defaults."""
    return "".join(f", {key} {value}" for key, value in (one.claim.counted or {}).items())

