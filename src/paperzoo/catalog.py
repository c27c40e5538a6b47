"""The catalogue: the records beside the paper files. A paper exists once its record does; its file is loaded when asked for."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, get_type_hints

from paperzoo import ranges, records
from paperzoo.errors import PaperzooError, unknown
from paperzoo.files import nearest_run, path_of
from paperzoo.records import Paper, Recipe

if TYPE_CHECKING:
    from paperzoo.tasks.model import Model


PAPERS, OURS = Path(__file__).parent / "papers", "paperzoo.papers"


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
        by_name: dict[str, Row] = {}
        for path in sorted(PAPERS.glob("*/*.toml"), key=lambda path: path.stem):
            if path.stem in by_name:
                raise PaperzooError(f"two papers are named {path.stem}: {by_name[path.stem].record} and {path}")
            by_name[path.stem] = Row(f"{path.parent.name}.{path.stem}", **vars(records.head(path)))
        return by_name

    def __getitem__(self, name: str) -> Row:
        return self.rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


CATALOG = Catalogue()

#: former names of variants, and of a paper's recipes, and those of today: saved runs have the former ones, and they go on working
FORMER = {"inception:v1": "googlenet:v1", "inception:v1_bn": "googlenet:v1_bn"}
FORMER_RECIPES = {
    "dcgan": {"small-avatars": "small-long-avatars"},
    "googlenet": {"paper-v1": "paper", "small-v1": "small", "smoke-v1": "smoke"},
    "mocogan": {"small-shapes": "small-long-shapes", "small-shapes-categorical": "small-long-shapes-categorical"},
}


def list_papers(task: str | None = None, family: str | None = None) -> list[str]:
    """Sorted names, optionally of one task or family. Imports no torch.

    Raises:
        PaperzooError: no paper has this task or family.
    """
    for kind, wanted, legal in (
        ("task", task, {r.task for r in CATALOG.values()}),
        ("family", family, {r.family for r in CATALOG.values()}),
    ):
        if wanted is not None and wanted not in legal:
            raise unknown(kind, wanted, legal)
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
    def place(self) -> tuple[Path, str]:
        """The file that defines the variant's model, and the class there.

        That is ``Model`` in the paper's file, unless the variant has ``"class": "Other"``, or ``"beside.Other"`` for a class in
        ``beside.py``, a second file of the paper in the same folder. A file of the user's own, which has no folder of papers, names
        it in full: ``"paperzoo.papers.family.beside.Other"``.
        """
        beside, _, name = str(self.paper.variants[self.variant].get("class", "Model")).rpartition(".")
        if beside.startswith(f"{OURS}."):
            return PAPERS.joinpath(*beside.removeprefix(f"{OURS}.").split(".")).with_suffix(".py"), name
        return self.file.with_name(f"{beside}.py") if beside else self.file, name

    @property
    def model_class(self) -> type[Model]:
        """The class in ``place``; a second file of a paper is imported when it is asked for.

        Raises:
            PaperzooError: a file of the user's own names a class in another file, or one that is not there.
        """
        file, name = self.place
        module = self.module
        if file != self.file:
            if not module.__package__ and file.is_file() and file.is_relative_to(PAPERS):
                module = importlib.import_module(".".join([OURS, *file.relative_to(PAPERS).with_suffix("").parts]))
            elif not module.__package__:
                raise PaperzooError(f"the class {file.stem}.{name} of {self.file} stands in another file: import it there, and name {name}")
            else:
                module = importlib.import_module(f"{module.__package__}.{file.stem}")
        if not hasattr(module, name):
            raise PaperzooError(f"{file} has no class {name}, which the variant {self.variant} of {self.paper.name} names")
        model_class: type[Model] = getattr(module, name)
        return model_class

    @property
    def name(self) -> str:
        """``paper`` or ``paper:variant``, as it is typed."""
        return self.paper.name if self.variant == next(iter(self.paper.variants)) else f"{self.paper.name}:{self.variant}"

    def renamed(self, recipe: str) -> str:
        """What a recipe of this name is called today."""
        return FORMER_RECIPES.get(self.paper.name, {}).get(recipe, recipe)

    def recipe(self, name: str) -> tuple[str, Recipe]:
        """The recipe's full name and the recipe. ``paper`` finds ``paper-imagenet`` for a variant that only that one serves.

        Raises:
            PaperzooError: there is none of this name for this variant.
        """
        name, recipes = self.renamed(name), self.paper.recipes
        fitting = {n: r for n, r in recipes.items() if not r.variants or self.variant in r.variants}
        for candidate in (name, *(n for n in fitting if n.startswith(f"{name}-"))):
            if candidate in fitting:
                return candidate, fitting[candidate]
        raise unknown("recipe", name, fitting, f"of {self.name}")


#: files of the user's own that may run, because the user named them in this very command or program
_NAMED: list[Path] = []


def allow(*names: str) -> None:
    """Lets the user's own files among these names run: to be called with what the user typed, and with nothing else.

    Raises:
        PaperzooError: there is no such file.
    """
    for path in (_file(name)[0] for name in names if _is_file(name)):
        if not path.is_file():
            raise PaperzooError(f"there is no file {path}")
        if path.resolve() not in _NAMED:
            _NAMED.append(path.resolve())


def allowed() -> list[str]:
    """The files that may run, for processes that this one starts."""
    return [str(path) for path in _NAMED]


def _is_file(name: str) -> bool:
    return name.endswith(".py") or ".py:" in name


def _no_paper(name: str) -> PaperzooError:
    """What is said of a name that is no paper's: of a path, the runs that lie there; of a word, the papers that are about it."""
    if {"/", "\\"} & set(name):
        return PaperzooError(f"there is no run or file {name}{nearest_run(Path(name))}")
    return unknown("paper", name, CATALOG, akin=find(name) if name else ())


def _file(name: str) -> tuple[Path, str]:
    """``./mine.py:large`` as file and variant."""
    place, _, variant = name.partition(".py")
    return path_of(place + ".py"), variant.removeprefix(":")


def load(name: str) -> Entry:
    """The paper file behind ``paper``, ``paper:variant``, or a path to a file of the same anatomy (``./mine.py``) that was allowed.

    A name may come out of a run's directory or a weights file that somebody else wrote: a file that it names runs only if the user
    has named it too (or one of the same file name, where the run was made on another machine).

    Raises:
        PaperzooError: unknown name or variant, a file that lacks a part, or one that the user did not name.
    """
    if _is_file(name):
        path, variant = _file(name)
        if path.resolve() in _NAMED:
            return _own(path, variant)
        if same := [file for file in _NAMED if file.name == path.name]:
            return _own(same[-1], variant)
        raise PaperzooError(
            f"this was made by the file {path}, whose code runs only if you name it in the same command: add --code {path.name} "
            "(in Python: code=...) with the place where you keep it"
        )
    base, _, variant = FORMER.get(name, name).partition(":")
    if base not in CATALOG:
        raise _no_paper(base)
    module = importlib.import_module(f"{OURS}.{CATALOG[base].module}")
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
    except (Exception, SystemExit) as error:
        del sys.modules[key]
        raise PaperzooError(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error
    beside = path.with_suffix(".toml")
    missing = [part for part in ("Model", "VARIANTS", "RECIPES") if not hasattr(module, part)]
    if not hasattr(module, "PAPER") and not beside.exists():
        missing.insert(0, f"PAPER (nor is there a record {beside.name} beside it)")
    if missing:
        raise PaperzooError(f"{path} has no {' and no '.join(missing)}: `paperzoo new NAME` writes a file with all parts")
    record = module.PAPER if hasattr(module, "PAPER") else records.read(beside)
    parts = {
        "PAPER": (record, "a paperzoo.Paper", isinstance(record, Paper)),
        "Model": (module.Model, "a class", isinstance(module.Model, type) and hasattr(module.Model, "step")),
        "VARIANTS": (module.VARIANTS, "arguments by name", _by_name(module.VARIANTS, Mapping)),
        "RECIPES": (module.RECIPES, "paperzoo.Recipe by name", _by_name(module.RECIPES, Recipe)),
    }
    if wrong := [f"{name} is {wanted}, not {type(part).__name__}" for name, (part, wanted, good) in parts.items() if not good]:
        raise PaperzooError(f"in {path}, {'; '.join(wrong)}: `paperzoo new NAME` writes a file with all parts")
    return _entry(module, record, variant, path)


def _by_name(value: Any, kind: type) -> bool:
    named = isinstance(value, Mapping) and bool(value)
    return named and all(isinstance(name, str) and isinstance(member, kind) for name, member in value.items())


@cache
def _record(path: Path) -> Paper:
    return records.read(path)


def _entry(module: ModuleType, record: Paper, variant: str, file: Path) -> Entry:
    paper = dataclasses.replace(record, recipes=module.RECIPES, variants=module.VARIANTS)
    chosen = variant or next(iter(paper.variants))
    if chosen not in paper.variants:
        raise unknown("variant", chosen, paper.variants, f"of {paper.name}")
    return Entry(paper, module, chosen, file)


def files(name: str) -> list[Path]:
    """The files of a paper's method, its own first; of a name with a variant, that of the variant's class. Nothing of them runs
    unless a variant is named.

    Raises:
        PaperzooError: unknown name, or no such file.
    """
    if _is_file(name):
        path, _ = _file(name)
        if not path.is_file():
            raise PaperzooError(f"there is no file {path}")
        return [path]
    base, _, variant = FORMER.get(name, name).partition(":")
    if base not in CATALOG:
        raise _no_paper(base)
    if variant:
        return [load(name).place[0]]
    first = CATALOG[base].record.with_suffix(".py")
    return [first, *sorted(p for p in first.parent.glob(f"{base}_*.py") if not p.with_suffix(".toml").exists())]


def same(one: str, other: str) -> bool:
    """Whether two names are those of one paper and variant, however they are spelt, and wherever a file of the user's own lies."""
    first, second = load(one), load(other)
    return (first.file, first.variant) == (second.file, second.variant)


def paper(name: str) -> Paper:
    """The record of a paper, with its recipes and variants; ``name`` is what the user typed."""
    allow(name)
    return load(name).paper


def create(name: str, **arguments: Any) -> Model:
    """A model with fresh weights; arguments default to the variant's, then to the paper's sizes.

    Raises:
        PaperzooError: unknown name, or an argument that is unknown, of a wrong type or out of range.
    """
    entry = load(name)  # not allowed here: a model may make another by a name that came with its weights
    return build(entry, {**entry.arguments, **arguments})


def signature(entry: Entry) -> Mapping[str, inspect.Parameter]:
    """The constructor's keyword arguments."""
    return keywords(entry.model_class.__init__)


@cache
def keywords(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """A function's keyword arguments; each annotation is the type that it names, with its range if it has one.

    Raises:
        PaperzooError: an annotation cannot be read.
    """
    parameters = {n: p for n, p in inspect.signature(function).parameters.items() if p.kind is p.KEYWORD_ONLY}
    annotated = SimpleNamespace(__annotations__={n: p.annotation for n, p in parameters.items() if p.annotation is not p.empty})
    try:
        meant = get_type_hints(annotated, function.__globals__, include_extras=True)
    except Exception as error:  # an annotation is an expression, which may raise anything
        raise PaperzooError(f"an annotation of {function.__qualname__} cannot be read: {error}") from error
    return {n: p.replace(annotation=meant.get(n, Any)) for n, p in parameters.items()}


def build(entry: Entry, arguments: Mapping[str, Any]) -> Model:
    """The model of these complete arguments, checked by name, type and range; they are kept as ``model.arguments``."""
    legal = signature(entry)
    for name, value in arguments.items():
        if name not in legal:
            raise unknown("argument", f"model.{name}", [f"model.{n}" for n in legal], f"of {entry.name}")
        ranges.check(f"model.{name}", value, legal[name])
    model = entry.model_class(**arguments)
    model.arguments = {k: "" if k == "weights" else v for k, v in arguments.items()}  # a saved model holds its weights itself
    model.arguments |= getattr(model, "brought", {})  # sizes and vocabulary that came with weights
    model.name = entry.name
    return model
