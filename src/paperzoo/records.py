"""What is known about a paper before anything runs: frozen records, and the reader of the TOML beside its file. No torch."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from paperzoo.errors import PaperzooError, unknown
from paperzoo.ranges import shown

#: How a claim's figure was obtained. ``memory`` is printed as "reported, not re-checked".
Mark = Literal["checked", "seen", "memory", "measured"]


@dataclass(frozen=True)
class Claim:
    """One figure that a paper prints, and under which protocol.

    Attributes:
        metric, data, value: the figure, in the unit that ``metric`` names (``"test error %"``), in the paper's words.
        where: table or figure; ``printing``: the version of the paper; ``source``: where it was read if not there.
        spread: what the paper prints behind ±.
        protocol: in words. ``statistic`` and ``runs`` are what of it a comparison needs: of how many runs ``value`` is the
            mean, the median or the best; ``"single"`` is one run, or a paper that does not say.
        id: by which a ``Target`` names the claim; one of its own within a paper.
        measured_by: recipe -> its metric that is this figure, for a recipe without a target that names the claim.
        counted: of a figure that is counted rather than measured, the arguments of the model that it is of (often none). ``metric``
            is then ``"parameters"``, ``"weights"`` or ``"multiply-adds"``, with its unit (``", in millions"``); see ``report.sizes``.
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
    statistic: Literal["mean", "median", "best", "single"] = "single"
    runs: int | None = None
    id: str = ""
    measured_by: Mapping[str, str] = field(default_factory=dict)
    counted: Mapping[str, float | int | str] | None = None


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

    Attributes:
        claim: id of the paper's claim that this is: meeting it by the claim's protocol is ``reproduced``, any other target
            that is met ``scaled``.
        variants: those it is promised of; empty means all that the recipe is for.
        than: ``variant:recipe`` (or ``paper:variant:recipe``) whose result is taken off first, seed by seed: ``at_most=-4``
            asks for four points less, ``at_most=0`` for clearly less, which is that every seed agrees and the mean difference
            exceeds twice its standard error.
    """

    metric: str
    at_most: float | None = None
    at_least: float | None = None
    claim: str = ""
    variants: tuple[str, ...] = ()
    than: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.claim, str):
            raise PaperzooError(f"the target of {self.metric} must name its claim by the claim's id, not by {self.claim!r}")

    def met(self, value: float) -> bool:
        """Whether ``value`` keeps the promise; not-a-number never does."""
        return (self.at_most is None or value <= self.at_most) and (self.at_least is None or value >= self.at_least)

    def bounds(self) -> tuple[float, ...]:
        """The bounds that are set."""
        return tuple(bound for bound in (self.at_least, self.at_most) if bound is not None)

    def __str__(self) -> str:
        if self.than:
            low = [] if self.at_least is None else [f"at least {self.at_least:g} above" if self.at_least else "above"]
            high = [] if self.at_most is None else [f"at least {-self.at_most:g} below" if self.at_most else "below"]
            return f"{' and '.join(low + high)} {self.than}"
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
        optimizer: arguments of ``Model.optimizers``.
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

    def but(self, **changes: Any) -> Recipe:
        """A copy with these fields changed; what is given as ``model`` or ``optimizer`` is added to those of this recipe."""
        for name in ("model", "optimizer"):
            if name in changes:
                changes[name] = {**getattr(self, name), **changes[name]}
        return dataclasses.replace(self, **changes)

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
        equations: those of the file's docstring as LaTeX, one for each indented block; an empty one leaves its block as it is.
        recipes, variants: filled from the paper file's ``RECIPES`` and ``VARIANTS`` when it is loaded.
        findings, fails: what running it showed and how it fails, in plain words: of a user's own file only; what was found
            of a paper of the collection stands in ``results/<paper>/notes.md``.
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
    equations: tuple[str, ...] = ()
    findings: str = ""
    fails: str = ""
    licence: str = "MIT, written from the paper"
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def read(path: Path) -> Paper:
    """The record in a TOML file, named after the file: the fields of ``Paper``, a table ``[parameters]``, and a table each for
    ``[[claim]]``, ``[[deviation]]`` and ``[[exemption]]``.

    Raises:
        PaperzooError: the file is not TOML, or a key is missing, unknown or of a wrong type; it names file and key.
    """
    table = _toml(path, _text(path))
    for key in ("name", "findings", "fails", "recipes", "variants", "claims", "deviations", "exemptions"):
        if key in table:
            raise PaperzooError(f"{path}: {key} does not belong here: {ELSEWHERE.get(key, f'write [[{key[:-1]}]], a table each')}")
    claims: list[Claim] = _tables(path, table, "claim", Claim)
    deviations: list[Deviation] = _tables(path, table, "deviation", Deviation)
    exemptions: list[Exemption] = _tables(path, table, "exemption", Exemption)
    seen: set[str] = set()
    for at, claim in enumerate(claims, 1):
        if not re.fullmatch(r"[a-z0-9]+([-_.][a-z0-9]+)*", claim.id):
            raise PaperzooError(f"{path}: claim {at} needs an id of small letters, digits, -, _ and ., not {claim.id!r}")
        if claim.id in seen:
            raise PaperzooError(f"{path}: two claims have the id {claim.id!r}")
        seen.add(claim.id)
    paper: Paper = record(Paper, {**table, "name": path.stem}, str(path))
    return dataclasses.replace(paper, claims=tuple(claims), deviations=tuple(deviations), exemptions=tuple(exemptions))


def _tables(path: Path, given: dict[str, Any], key: str, kind: Any) -> list[Any]:
    """Takes the tables under ``[[key]]`` out of ``given``, as records."""
    tables = given.pop(key, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise PaperzooError(f"{path}: {key} must be tables, each under [[{key}]]")
    return [record(kind, table, f"{path}: {key} {at}") for at, table in enumerate(tables, 1)]


#: keys that belong in no record, and where they belong
ELSEWHERE = {
    "name": "a record is named after its file",
    "findings": "write results/<paper>/notes.md",
    "fails": "write results/<paper>/notes.md",
    "recipes": "RECIPES stands in the paper's file",
    "variants": "VARIANTS stands in the paper's file",
}


@dataclass(frozen=True)
class Head:
    """The part of a record that a list of papers needs."""

    title: str
    year: int
    task: str


def head(path: Path) -> Head:
    """The keys above a record's first table, which are read in a tenth of the time that the whole takes.

    Raises:
        PaperzooError: as ``read``.
    """
    keys = _toml(path, re.split(r"^\[", _text(path), maxsplit=1, flags=re.M)[0])
    header: Head = record(Head, {key: keys[key] for key in _types(Head) if key in keys}, str(path))
    return header


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PaperzooError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _toml(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PaperzooError(f"{path} is not TOML: {error}") from error


def record(kind: Any, given: Mapping[str, Any], where: str) -> Any:
    """A record, a dataclass, from plain values, checked by name and by the type that its field is annotated with.

    Raises:
        PaperzooError: a value is missing, unknown or of a wrong type; it names ``where`` and the field.
    """
    types = _types(kind)
    for key, value in given.items():
        if key not in types:
            raise unknown("key", key, types, f"in {where}")
        if not _fits(value, types[key]):
            raise PaperzooError(f"{where}: {key} must be {_spelt(types[key])}, not {shown(value)}")
    for part in dataclasses.fields(kind):
        if part.name not in given and part.default is dataclasses.MISSING and part.default_factory is dataclasses.MISSING:
            raise PaperzooError(f"{where} has no {part.name}")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in given.items()})


_types = cache(get_type_hints)
#: whole numbers beyond it are no numbers to reckon with
LARGE = 10**300


def _fits(value: Any, wanted: Any) -> bool:
    """Whether a plain value is what a field's annotation says; a whole number does for a float, a truth value for neither."""
    parts = get_args(wanted)
    if wanted is Any:
        return True
    if get_origin(wanted) is Literal:
        return value in parts
    if get_origin(wanted) is Mapping:
        return isinstance(value, dict) and all(_fits(item, parts[1]) for item in value.values())
    if get_origin(wanted) is tuple:
        return isinstance(value, list) and all(_fits(item, parts[0]) for item in value)
    if parts:
        return any(_fits(value, part) for part in parts)
    if isinstance(value, bool):
        return wanted is bool
    if wanted is float and isinstance(value, int):
        return abs(value) < LARGE
    return isinstance(value, wanted)


def _spelt(wanted: Any) -> str:
    """An annotation in words."""
    parts = get_args(wanted)
    if get_origin(wanted) is Literal:
        return " or ".join(map(repr, parts))
    if get_origin(wanted) is Mapping:
        return f"a table of {_spelt(parts[1])}"
    if get_origin(wanted) is tuple:
        return f"a list, each {_spelt(parts[0])}"
    if parts:
        return " or ".join(_spelt(part) for part in parts if part is not type(None))
    return {str: "a string", int: "a whole number", float: "a number", bool: "true or false", Any: "anything"}[wanted]
