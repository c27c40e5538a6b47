"""What is known about a paper before anything runs: frozen records, no torch."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

#: How a claim's figure was obtained. ``memory`` is printed as "reported, not re-checked".
Mark = Literal["checked", "seen", "memory", "measured"]


@dataclass(frozen=True)
class Claim:
    """One figure that a paper prints, and under which protocol.

    ``value`` is in the unit named by ``metric`` (``"test error %"``). ``where`` names table or figure, ``printing`` the
    version of the paper, ``source`` where the figure was read if not in the paper itself.
    """

    metric: str
    data: str
    value: float | str
    where: str
    mark: Mark
    spread: float | None = None
    variant: str = ""
    printing: str = ""
    protocol: str = ""
    source: str = ""
    not_measured: str = ""


@dataclass(frozen=True)
class Deviation:
    """One point where this file departs from its paper: what the paper says, what is done here, and why."""

    paper: str
    here: str
    why: str


@dataclass(frozen=True)
class Exemption:
    """A tensor or output that a contract test must excuse, and the section of the paper that makes it so.

    ``test`` is the contract's name (``"moves"``, ``"samples independent"``, ...); ``match`` a glob over parameter names.
    """

    test: str
    match: str
    why: str


@dataclass(frozen=True)
class Target:
    """What a recipe promises of one metric over its seeds: ``mean <= at_most`` or ``mean >= at_least``.

    ``claim`` marks a target that is the paper's own figure: meeting it is ``reproduced``, any other is ``scaled``.
    ``variants`` are those it is promised of; empty means all that the recipe is for.
    """

    metric: str
    at_most: float | None = None
    at_least: float | None = None
    claim: bool = False
    variants: tuple[str, ...] = ()

    def met(self, value: float) -> bool:
        """Whether ``value`` keeps the promise; not-a-number never does."""
        return (self.at_most is None or value <= self.at_most) and (self.at_least is None or value >= self.at_least)

    def __str__(self) -> str:
        low = [] if self.at_least is None else [f"at least {self.at_least:g}"]
        high = [] if self.at_most is None else [f"at most {self.at_most:g}"]
        return " and ".join(low + high)


@dataclass(frozen=True)
class Stage:
    """A part of a recipe with settings of its own; see ``Recipe.stages``."""

    name: str
    steps: int
    data: str | None = None
    batch_size: int | None = None
    optimizer: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """How one model is trained. Everything here but ``targets``, ``note`` and ``variants`` enters the recipe's hash.

    Attributes:
        data: name of a dataset (``"mnist"``, ``"folder:PATH"``).
        steps: calls of ``Model.step``.
        batch_size: items a step over all processes, or ``"all"``.
        train_on: splits trained on, joined by ``+``.
        model: arguments of the model's constructor.
        optimizer: arguments of ``Model.optimizers`` and ``Model.schedules``.
        order: ``"shuffle"`` (a fresh permutation each epoch) or ``"sequential"``.
        augment: names from ``paperzoo.data.augment``, applied in order to each training batch.
        precision: ``"auto"`` (bfloat16 where the processor has it), ``"bf16"`` or ``"float32"``.
        clip: largest gradient norm, for all optimisers or by name.
        accumulate: parts into which each batch is cut before one update (one optimiser only).
        judge: name of the network used only for scoring, or ``""``.
        compile: networks handed to ``torch.compile``.
        stages: parts with overrides; their steps must add up to ``steps``.
        variants: the variants this recipe is for; empty means all.
    """

    data: str
    steps: int
    batch_size: int | Literal["all"] = 64
    train_on: str = "train"
    model: Mapping[str, Any] = field(default_factory=dict)
    optimizer: Mapping[str, Any] = field(default_factory=dict)
    order: Literal["shuffle", "sequential"] = "shuffle"
    augment: tuple[str, ...] = ()
    precision: Literal["auto", "bf16", "float32"] = "auto"
    clip: float | Mapping[str, float] | None = None
    accumulate: int = 1
    judge: str = ""
    compile: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()
    variants: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()
    note: str = ""

    def settings(self) -> dict[str, Any]:
        """What defines the training, as plain JSON values."""
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        for name in ("targets", "note", "variants"):
            del plain[name]
        return plain

    def hash(self) -> str:
        """First 12 hex digits of the SHA-256 of ``settings``."""
        return hashlib.sha256(json.dumps(self.settings(), sort_keys=True).encode()).hexdigest()[:12]

    def targets_of(self, variant: str) -> tuple[Target, ...]:
        """What is promised of this variant."""
        return tuple(t for t in self.targets if not t.variants or variant in t.variants)


@dataclass(frozen=True)
class Paper:
    """A paper (or, with ``kind="method"``, a method without one) and what this collection says of it.

    Attributes:
        parameters: trainable parameters by variant at the paper's size, pinned by a test.
        recipes, variants: filled from the paper file's ``RECIPES`` and ``VARIANTS`` when it is loaded.
        findings: what running it here showed, in plain words, for the paper's page.
        fails: how it fails when it fails, for the paper's page.
    """

    name: str
    title: str
    authors: str
    year: int
    task: str
    arxiv: str = ""
    url: str = ""
    kind: Literal["paper", "method"] = "paper"
    claims: tuple[Claim, ...] = ()
    deviations: tuple[Deviation, ...] = ()
    exemptions: tuple[Exemption, ...] = ()
    parameters: Mapping[str, int] = field(default_factory=dict)
    findings: str = ""
    fails: str = ""
    licence: str = "MIT, written from the paper"
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
