"""The catalogue: the records beside the paper files. A paper exists once its record does; its file is loaded when asked for."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from paperzoo import records
from paperzoo.errors import PaperzooError, unknown
from paperzoo.records import Paper, Recipe

if TYPE_CHECKING:
    from paperzoo.tasks.model import Model


PAPERS = Path(__file__).parent / "papers"


@dataclass(frozen=True)
class Row:
    """What the catalogue knows without loading the paper's file: where it is, and the head of its record."""

    module: str
    title: str
    year: int
    task: str

    @property
    def family(self) -> str:
        """The folder of the paper's file, such as ``gan``."""
        return self.module.split(".")[0]

    @property
    def record(self) -> Path:
        """The paper's TOML file."""
        return PAPERS.joinpath(*self.module.split(".")).with_suffix(".toml")


class Catalogue(Mapping[str, Row]):
    """Name -> row, in order of name; the records are read when it is first asked."""

    @cached_property
    def rows(self) -> dict[str, Row]:
        """All of them.

        Raises:
            PaperzooError: a record cannot be read, or two files have one name.
        """
        found: dict[str, Row] = {}
        for path in sorted(PAPERS.glob("*/*.toml"), key=lambda path: path.stem):
            if path.stem in found:
                raise PaperzooError(f"two papers are named {path.stem}: {found[path.stem].record} and {path}")
            found[path.stem] = Row(f"{path.parent.name}.{path.stem}", **vars(records.head(path)))
        return found

    def __getitem__(self, name: str) -> Row:
        return self.rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


CATALOG = Catalogue()


def list_papers(task: str | None = None, family: str | None = None) -> list[str]:
    """Sorted names, optionally of one task or family. Imports no torch.

    Raises:
        PaperzooError: no paper has this task or family.
    """
    for what, wanted, legal in (
        ("task", task, {r.task for r in CATALOG.values()}),
        ("family", family, {r.family for r in CATALOG.values()}),
    ):
        if wanted is not None and wanted not in legal:
            raise unknown(what, wanted, legal)
    return sorted(n for n, r in CATALOG.items() if task in (None, r.task) and family in (None, r.family))


def find(text: str) -> list[str]:
    """Names of papers whose name, title, task or family contains ``text``, whatever its case."""
    wanted = text.lower()
    return [n for n, r in sorted(CATALOG.items()) if wanted in f"{n} {r.title} {r.task} {r.family} {r.year}".lower()]


@dataclass(frozen=True)
class Entry:
    """A paper's file, loaded, and the variant that was named."""

    paper: Paper
    module: ModuleType
    variant: str
    file: Path

    @property
    def arguments(self) -> dict[str, Any]:
        """The variant's constructor arguments."""
        return {k: v for k, v in self.paper.variants[self.variant].items() if k != "class"}

    @property
    def model_class(self) -> type[Model]:
        """``Model``, or the class that the variant names."""
        found: type[Model] = getattr(self.module, self.paper.variants[self.variant].get("class", "Model"))
        return found

    @property
    def name(self) -> str:
        """``paper`` or ``paper:variant``, as it is typed."""
        return self.paper.name if self.variant == next(iter(self.paper.variants)) else f"{self.paper.name}:{self.variant}"

    def recipe(self, name: str) -> tuple[str, Recipe]:
        """The recipe's full name and the recipe. ``paper`` finds ``paper-imagenet`` for a variant that only that one serves.

        Raises:
            PaperzooError: there is none of this name for this variant.
        """
        recipes = self.paper.recipes
        fitting = {n: r for n, r in recipes.items() if not r.variants or self.variant in r.variants}
        for candidate in (name, *(n for n in fitting if n.startswith(f"{name}-"))):
            if candidate in fitting:
                return candidate, fitting[candidate]
        raise unknown("recipe", name, fitting, f"of {self.name}")


def load(name: str) -> Entry:
    """The paper file behind ``paper``, ``paper:variant``, or a path to a file of the same anatomy (``./mine.py``).

    Raises:
        PaperzooError: unknown name or variant, or a file that lacks a part.
    """
    if name.endswith(".py") or ".py:" in name:
        place, _, variant = name.partition(".py")
        return _own(Path(place + ".py"), variant.removeprefix(":"))
    base, _, variant = name.partition(":")
    if base not in CATALOG:
        raise unknown("paper", base, CATALOG)
    module = importlib.import_module(f"paperzoo.papers.{CATALOG[base].module}")
    return _entry(module, _record(CATALOG[base].record), variant, Path(inspect.getfile(module)))


def _own(path: Path, variant: str) -> Entry:
    if not path.is_file():
        raise PaperzooError(f"there is no file {path}")
    key = f"paperzoo_own_{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(key, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[key] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[key]
        raise PaperzooError(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error
    beside = path.with_suffix(".toml")
    missing = [part for part in ("Model", "VARIANTS", "RECIPES") if not hasattr(module, part)]
    if not hasattr(module, "PAPER") and not beside.exists():
        missing.insert(0, f"PAPER (nor is there a record {beside.name} beside it)")
    if missing:
        raise PaperzooError(f"{path} has no {' and no '.join(missing)}: `paperzoo new NAME` writes a file with all parts")
    record = module.PAPER if hasattr(module, "PAPER") else records.read(beside)
    if not isinstance(record, Paper):
        raise PaperzooError(f"PAPER in {path} must be a paperzoo.records.Paper, not {type(record).__name__}")
    return _entry(module, record, variant, path)


@cache
def _record(path: Path) -> Paper:
    return records.read(path)


def _entry(module: ModuleType, record: Paper, variant: str, file: Path) -> Entry:
    paper = dataclasses.replace(record, recipes=module.RECIPES, variants=module.VARIANTS)
    chosen = variant or next(iter(paper.variants))
    if chosen not in paper.variants:
        raise unknown("variant", chosen, paper.variants, f"of {paper.name}")
    return Entry(paper, module, chosen, file)


def paper(name: str) -> Paper:
    """The record of a paper, with its recipes and variants."""
    return load(name).paper


def create(name: str, **arguments: Any) -> Model:
    """A model with fresh weights; arguments default to the variant's, then to the paper's sizes.

    Raises:
        PaperzooError: unknown name, or an argument that is unknown, of a wrong type or out of range.
    """
    entry = load(name)
    return build(entry, {**entry.arguments, **arguments})


def signature(entry: Entry) -> Mapping[str, inspect.Parameter]:
    """The constructor's keyword arguments."""
    parameters = inspect.signature(entry.model_class.__init__).parameters
    return {n: p for n, p in parameters.items() if n != "self" and p.kind is p.KEYWORD_ONLY}


def build(entry: Entry, arguments: Mapping[str, Any]) -> Model:
    """The model of these complete arguments, checked by name and type; they are kept as ``model.arguments``."""
    legal = signature(entry)
    for name, value in arguments.items():
        if name not in legal:
            raise unknown("argument", f"model.{name}", [f"model.{n}" for n in legal], f"of {entry.name}")
        check_type(f"model.{name}", value, legal[name])
    model = entry.model_class(**arguments)
    model.arguments = {k: "" if k == "weights" else v for k, v in arguments.items()}  # a saved model holds its weights itself
    model.arguments |= getattr(model, "brought", {})  # sizes and vocabulary that came with weights
    model.name = entry.name
    return model


def check_type(key: str, value: Any, parameter: inspect.Parameter) -> None:
    """Raises ``PaperzooError`` if a plain value does not fit the parameter's annotation."""
    wanted = str(parameter.annotation)
    fits = {
        "int": isinstance(value, int) and not isinstance(value, bool),
        "float": isinstance(value, int | float) and not isinstance(value, bool),
        "bool": isinstance(value, bool),
        "str": isinstance(value, str),
    }
    if not fits.get(wanted, True):
        raise PaperzooError(
            f"{key} must be {wanted}, not {value!r} ({type(value).__name__}); its default is {parameter.default!r}"
        )
