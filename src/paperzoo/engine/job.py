"""What is to be trained: a name, a recipe and overrides, resolved and checked before anything is loaded."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from paperzoo import catalog, ranges
from paperzoo.data.augment import AUGMENTATIONS
from paperzoo.data.dataset import Dataset
from paperzoo.data.datasets import absolute, check_name, dataset
from paperzoo.engine.hashes import method_hash, protocol_hash
from paperzoo.engine.judge import JUDGES, judge
from paperzoo.errors import PaperzooError, unknown
from paperzoo.files import exists, path_of
from paperzoo.records import Recipe, Stage, record
from paperzoo.tasks.model import Model

#: how a run is done, not what is trained: these never enter the recipe's hash
OPTIONS: dict[str, Any] = {"checkpoint_every": 0, "measure_every": 0, "log_every": 0, "strict": 0}
_SETTABLE = {f.name for f in dataclasses.fields(Recipe)} - {"model", "optimizer", "stages", "variants", "targets", "note"}
_WHOLE = {"steps": 1, "accumulate": 1, **dict.fromkeys(OPTIONS, 0)}  # fields that are whole numbers, and their least value
_CHOICES = {"order": ("shuffle", "sequential"), "precision": ("auto", "bf16", "float32")}


@dataclass(frozen=True)
class Job:
    """A resolved training: everything that ``run.json`` must hold to begin it again.

    Attributes:
        name: as typed, ``paper``, ``paper:variant`` or a file.
        recipe: with all overrides in it.
        init: a run or weights file to start from, or ``""``.
        notes: what the user should be told about the resolution.
    """

    name: str
    recipe_name: str
    recipe: Recipe
    overrides: Mapping[str, Any]
    seed: int = 0
    init: str = ""
    options: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def entry(self) -> catalog.Entry:
        """The paper file behind the name."""
        return catalog.load(self.name)

    def explicit(self) -> dict[str, Any]:
        """Constructor arguments set by variant, recipe or user, before the data fills in the rest."""
        return {**self.entry.arguments, **self.recipe.model}

    def dataset(self, name: str = "", arguments: Mapping[str, Any] | None = None) -> Dataset:
        """The data (of one stage, if named), at the size set for the model, checked against the task.

        Args:
            arguments: of a model that there is already; default: those that are set by variant, recipe or user.
        """
        wanted = self.explicit() if arguments is None else arguments
        size, channels, strict = wanted.get("image_size"), wanted.get("channels"), bool(self.options.get("strict"))
        try:
            built = dataset(name or self.recipe.data, image_size=size, channels=channels, strict=strict)
        except (MemoryError, RuntimeError) as error:
            if size is None or not (isinstance(error, MemoryError) or "memory" in str(error)):
                raise
            data = f"{name or self.recipe.data} at {size}x{size} pixels"
            raise PaperzooError(f"{data} takes too much memory: set a smaller model.image_size") from error
        self.entry.model_class.check(built.schema)
        if channels is not None and built.schema.arguments.get("channels", channels) != channels:
            raise PaperzooError(
                f"model.channels is {channels}, but the images of {built.name} have {built.schema.arguments['channels']}"
            )
        return built

    def build(self, data: Dataset) -> Model:
        """A fresh model whose remaining arguments are filled from the data's schema."""
        legal, wanted = catalog.signature(self.entry), self.explicit()
        filled = {k: v for k, v in data.schema.arguments.items() if k in legal and k not in wanted}
        return catalog.build(self.entry, {**wanted, **filled})

    def check_judge(self, data: Dataset) -> None:
        """Raises ``PaperzooError`` if the judge, where there is one, cannot be had or cannot see such images."""
        if self.recipe.judge:
            judge(self.recipe.judge).check(int(data.schema.arguments.get("channels", 0)))


def resolve(
    name: str,
    recipe: str = "small",
    data: str | None = None,
    init: str | None = None,
    seed: int = 0,
    overrides: Mapping[str, Any] | None = None,
) -> Job:
    """Checks every name, key and type, and returns the job.

    Raises:
        PaperzooError: anything unknown or of a wrong type, with the nearest legal names.
    """
    catalog.allow(name, *(v for v in (overrides or {}).values() if isinstance(v, str)))
    entry = catalog.load(name)
    full, chosen = entry.recipe(recipe)
    changes, options = dict(overrides or {}), {}
    if data is not None:
        if changes.get("data", data) != data:
            raise PaperzooError(f"data is given twice, as {ranges.shown(data)} and as {ranges.shown(changes['data'])}")
        changes["data"] = data
    model, optimizer, fields = dict(chosen.model), dict(chosen.optimizer), {}
    legal_model = catalog.signature(entry)
    legal_optimizer = catalog.keywords(entry.model_class.optimizers)
    legal_keys = [*(f"model.{n}" for n in legal_model), *(f"optimizer.{n}" for n in legal_optimizer), *_SETTABLE, *OPTIONS]
    for key, value in list(changes.items()):
        if key not in legal_keys:
            raise unknown("override", key, legal_keys, f"of {entry.name}")
        if key.startswith("model."):
            value = changes[key] = ranges.as_meant(value, legal_model[key[6:]])
            ranges.check(key, value, legal_model[key[6:]])
            if key[6:] in ("weights", "vectors") and exists(value):
                value = changes[key] = str(path_of(value).absolute())  # so that the run means the same from every folder
            model[key[6:]] = value
        elif key.startswith("optimizer."):
            value = changes[key] = ranges.as_meant(value, legal_optimizer[key[10:]])
            ranges.check(key, value, legal_optimizer[key[10:]])
            optimizer[key[10:]] = value
        elif key in OPTIONS:
            options[key] = _field(key, value)
        else:
            fields[key] = _field(key, value)
    if chosen.stages and "steps" in fields:
        raise PaperzooError(f"steps cannot be set: the recipe {full} of {entry.name} has stages with steps of their own")
    notes = []
    final = dataclasses.replace(chosen, model=model, optimizer=optimizer, **fields)
    try:
        check_name(final.data)
        begins = not init or Path(init).expanduser().exists()
    except (OSError, ValueError, RuntimeError) as error:  # a path of too long a name, with a NUL, or of a user that there is not
        raise PaperzooError(f"{ranges.shown(final.data)} or {ranges.shown(init)} is no path: {error}") from error
    final = dataclasses.replace(final, data=absolute(final.data))
    changes |= {"data": final.data} if "data" in changes else {}
    if final.judge and final.judge not in JUDGES:
        raise unknown("judge", final.judge, JUDGES)
    if final.judge and "judge" not in fields and not JUDGES[final.judge].fits(final.data):
        other = next((n for n, record in JUDGES.items() if record.fits(final.data) and not record.paper), "")  # one that ships
        instead = f"{other} does" if other else "scores that need a judge are left out"
        notes.append(f"{final.judge} cannot judge {final.data}: {instead}")
        final = dataclasses.replace(final, judge=other)
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**63:
        raise PaperzooError(f"seed must be a whole number from 0 to 2^63 - 1, not {ranges.shown(seed)}")
    if not begins:
        raise PaperzooError(f"--init {init}: there is no such run or file")
    own = name if name in catalog.CATALOG or name.partition(":")[0] in catalog.CATALOG else str(path_of(name).resolve())
    kept = {k: v for k, v in changes.items() if k not in OPTIONS}
    return Job(own, full, final, kept, seed, str(path_of(init).resolve()) if init else "", options, tuple(notes))


def _field(key: str, value: Any) -> Any:
    """A recipe field or run option, checked."""

    def wrong(wanted: str) -> PaperzooError:
        return PaperzooError(f"{key} must be {wanted}, not {ranges.shown(value)}")

    if key in _WHOLE:
        if not isinstance(value, int) or isinstance(value, bool) or not _WHOLE[key] <= value < 2**53:
            raise wrong(f"a whole number from {_WHOLE[key]}")
    elif key == "batch_size":
        if value != "all" and (not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 2**53):
            raise wrong("a whole number from 1, or all")
    elif key in _CHOICES:
        if value not in _CHOICES[key]:
            raise wrong(f"one of {', '.join(_CHOICES[key])}")
    elif key in ("augment", "compile"):
        named = value.split(",") if isinstance(value, str) and value else value or ()
        if not isinstance(named, list | tuple) or not all(isinstance(name, str) for name in named):
            raise wrong("names, parted by commas")
        value = tuple(named)
        if key == "augment":
            for name in value:
                if name not in AUGMENTATIONS:
                    raise unknown("augmentation", name, AUGMENTATIONS)
    elif key == "clip":
        numbers = value.values() if isinstance(value, Mapping) else [value]
        good = (isinstance(n, int | float) and not isinstance(n, bool) and 0 < n < math.inf for n in numbers)
        if value is not None and not all(good):
            raise wrong("a positive number, or one by optimiser")
    elif not isinstance(value, str) or "\0" in value:
        raise wrong("a string")
    return value


def stages(recipe: Recipe) -> list[Stage]:
    """The recipe's stages, or its one nameless stage."""
    if not recipe.stages:
        return [Stage("", recipe.steps)]
    if sum(s.steps for s in recipe.stages) != recipe.steps:
        raise PaperzooError(f"the stages' steps add up to {sum(s.steps for s in recipe.stages)}, not to {recipe.steps}")
    return list(recipe.stages)


def _assigned(node: ast.Assign | ast.AugAssign) -> str:
    """``x`` of ``x = ...``, ``x |= ...`` and ``x[...] = ...``."""
    target = node.target if isinstance(node, ast.AugAssign) else node.targets[0]
    return getattr(target.value if isinstance(target, ast.Subscript) else target, "id", "")


def code_hash(file: Path, prose: Collection[str] = ("PAPER", "RECIPES")) -> str:
    """First 12 hex digits of the SHA-256 of a paper file's syntax tree, without docstrings and what is assigned to ``prose``.

    The record is prose, and the recipe that a result used is hashed by itself.
    """
    return _code_hash(file.read_text(encoding="utf-8"), frozenset(prose))


@lru_cache(maxsize=256)
def _code_hash(source: str, prose: frozenset[str]) -> str:
    tree = ast.parse(source)
    tree.body = [
        node
        for node in tree.body
        if not isinstance(node, ast.Assign | ast.AugAssign) or _assigned(node) not in prose
    ]
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and ast.get_docstring(node, clean=False) is not None
        ):
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:12]


def to_json(job: Job) -> dict[str, Any]:
    """The job as plain JSON values."""
    plain = dataclasses.asdict(job)
    plain["recipe"] = job.recipe.settings()
    plain["recipe_hash"] = job.recipe.hash()
    plain["code_hash"] = code_hash(job.entry.file)
    plain["method_hash"] = method_hash(job.entry, job.recipe.model)
    plain["protocol_hash"] = protocol_hash(job.entry, job.recipe.judge)
    plain["paper"], plain["variant"] = job.entry.paper.name, job.entry.variant
    return json.loads(json.dumps(plain))  # type: ignore[no-any-return]


def unchanged(info: Mapping[str, Any], job: Job) -> bool:
    """Whether what ``to_json`` wrote before is what the job would train and measure now: recipe, method and protocol.

    A job written before these hashes existed is compared by the hash of the paper's file.
    """
    if info["recipe_hash"] != job.recipe.hash():
        return False
    if "method_hash" not in info:
        return bool(info["code_hash"] == code_hash(job.entry.file))
    now = method_hash(job.entry, job.recipe.model), protocol_hash(job.entry, job.recipe.judge)
    return (info["method_hash"], info.get("protocol_hash")) == now


def from_json(plain: Mapping[str, Any]) -> Job:
    """The job that ``to_json`` wrote; unknown keys are left to whoever added them.

    Raises:
        PaperzooError: a part is missing, or of a wrong type or range.
    """
    names, needed = [f.name for f in dataclasses.fields(Job)], ("name", "recipe_name", "recipe", "overrides", "seed")
    if missing := [name for name in needed if name not in plain]:  # the others came with later versions
        raise PaperzooError(f"it has no {missing[0]}")
    known = {name: plain[name] for name in names if name in plain}
    job: Job = record(Job, {**known, "recipe": _recipe(plain["recipe"])}, "it")
    if not 0 <= job.seed < 2**63:
        raise PaperzooError(f"seed must be a whole number from 0 to 2^63 - 1, not {ranges.shown(job.seed)}")
    for key in OPTIONS.keys() & job.options.keys():
        _field(key, job.options[key])
    return job


def _recipe(plain: Any) -> Recipe:
    """The recipe of these plain values, each checked as one that a user sets."""
    parts = plain.get("stages", []) if isinstance(plain, dict) else None
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise PaperzooError("its recipe is no recipe")
    made: Recipe = record(Recipe, {**plain, "stages": [record(Stage, part, "a stage of its recipe") for part in parts]}, "its recipe")
    for key in _SETTABLE & plain.keys():
        _field(key, plain[key])
    for part in parts:
        _field("steps", part["steps"])
    return made
