"""Source text read without running it: what each module-level name stands for, and what classes say."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

#: rooms whose definitions are followed
ROOMS = ("papers", "nn", "fitted", "tasks", "metrics")
#: the class variable that names a model's tasks
TASKS = "tasks"
#: what the user's own file is called as a module
OWN = "__own__"
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef


class Place(NamedTuple):
    """A module-level definition: module and name there."""

    module: str
    name: str


class Outside(NamedTuple):
    """Something that is known by name only: ``torch.nn.functional.softplus``, or a name of paperzoo's without its module."""

    name: str


class Module(NamedTuple):
    """An imported module of a room that is followed, or any other."""

    name: str


Target = Place | Outside | Module


@dataclass
class File:
    """A parsed module: what each module-level name is bound to.

    Attributes:
        imports: by name, the module and the name within it (``""`` for the module itself).
        nodes: by name, the statements that define or change it, in order.
        stars: modules imported from with ``*``.
    """

    imports: dict[str, tuple[str, str]] = field(default_factory=dict)
    nodes: dict[str, list[ast.stmt]] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)


class Sources:
    """The package's source text, and one file of the user's own.

    Args:
        root: the folder of the package ``paperzoo``.
        own: the file of a paper outside the package.
    """

    def __init__(self, root: Path, own: Path | None = None) -> None:
        self.root, self.own = root, own
        self._files: dict[str, File | None] = {}
        self._mro: dict[Place, list[Place]] = {}
        self._members: dict[Place, dict[str, list[ast.stmt]]] = {}

    def module_of(self, file: Path) -> str:
        """The dotted name of a file of the package; ``OWN`` for the user's."""
        try:
            parts = file.resolve().relative_to(self.root.resolve()).with_suffix("").parts
        except ValueError:
            return OWN
        return ".".join(["paperzoo", *parts])

    def room(self, module: str) -> str:
        """``nn`` of ``paperzoo.nn.average``; ``""`` for the user's own file and what is no part of paperzoo."""
        parts = module.split(".")
        return parts[1] if parts[0] == "paperzoo" and len(parts) > 1 else ""

    def file(self, module: str) -> File | None:
        """The parsed module, if it is one that is followed."""
        if module not in self._files:
            path = self._path(module)
            self._files[module] = None if path is None else _parsed(path, module)
        return self._files[module]

    def _path(self, module: str) -> Path | None:
        if module == OWN:
            return self.own
        if self.own is not None and "." not in module:
            beside = self.own.with_name(f"{module}.py")
            return beside if beside.is_file() else None
        if self.room(module) not in ROOMS:
            return None
        stem = self.root.joinpath(*module.split(".")[1:])
        return next((p for p in (stem.with_suffix(".py"), stem / "__init__.py") if p.is_file()), None)

    def resolve(self, module: str, name: str) -> Target | None:
        """What a module-level name stands for; ``None`` for one that the module does not bind (a builtin)."""
        file = self.file(module)
        if file is None:
            return None
        if name in file.imports:
            return self.imported(*file.imports[name])
        if name in file.nodes:
            return Place(module, name)
        targets = (self.resolve(star, name) for star in file.stars)
        return next((target for target in targets if target is not None), None)

    def imported(self, module: str, name: str) -> Target:
        """What ``from module import name`` (``import module`` if the name is empty) stands for."""
        if not name:
            return Module(module)
        if (target := self.resolve(module, name)) is not None:
            return target
        if self.file(f"{module}.{name}") is not None:
            return Module(f"{module}.{name}")
        return Outside(f"paperzoo: {name}" if module.split(".")[0] == "paperzoo" else f"{module}.{name}")

    def attribute(self, target: Target, name: str) -> Target | None:
        """What ``target.name`` stands for where ``target`` is a module or lies outside."""
        if isinstance(target, Module):
            if target.name == "paperzoo" and name in ROOMS:
                return Module(f"paperzoo.{name}")
            return self.imported(target.name, name)
        return Outside(f"{target.name}.{name}") if isinstance(target, Outside) else None

    def definition(self, place: Place) -> ast.ClassDef | None:
        """The class of this place, if it is one."""
        file = self.file(place.module)
        statements = file.nodes.get(place.name, []) if file else []
        return next((n for n in statements if isinstance(n, ast.ClassDef)), None)

    def bases(self, place: Place) -> list[Place]:
        """The bases of a class that are followed."""
        node = self.definition(place)
        targets = [self.expression(place.module, base) for base in node.bases] if node else []
        return [t for t in targets if isinstance(t, Place) and self.definition(t) is not None]

    def expression(self, module: str, node: ast.expr) -> Target | None:
        """What a dotted name stands for at module level."""
        if isinstance(node, ast.Subscript):  # Generic[T]
            return self.expression(module, node.value)
        if isinstance(node, ast.Name):
            return self.resolve(module, node.id)
        if isinstance(node, ast.Attribute) and (target := self.expression(module, node.value)) is not None:
            return self.attribute(target, node.attr)
        return None

    def mro(self, place: Place) -> list[Place]:
        """The class and its bases that are followed, in the order in which attributes are looked up."""
        if place not in self._mro:
            self._mro[place] = [place]  # a circle of bases is no Python, but shall not hang
            seen = [place, *(p for base in self.bases(place) for p in self.mro(base))]
            self._mro[place] = [p for at, p in enumerate(seen) if p not in seen[at + 1 :]]  # as a diamond: the last counts
        return self._mro[place]

    def is_seam(self, place: Place) -> bool:
        """Whether it is ``tasks.model.Model``, which only says what the engine calls, or ``tasks.task.Task``, what a model does."""
        return place.name in ("Model", "Task") and self.room(place.module) == "tasks"

    def is_model(self, place: Place) -> bool:
        """Whether it derives from ``tasks.model.Model`` or ``tasks.task.Task``."""
        return any(self.is_seam(p) for p in self.mro(place))

    def is_task(self, place: Place) -> bool:
        """Whether it derives from ``tasks.task.Task``."""
        return any(p.name == "Task" and self.is_seam(p) for p in self.mro(place))

    def tasks(self, place: Place) -> list[Place]:
        """The classes of a model class's tasks in order, as ``tasks.task.gathered`` finds them: its own, then those of its bases."""
        tasks: list[Place] = []
        stated = [n.value for n in self.members(place).get(TASKS, []) if isinstance(n, ast.Assign | ast.AnnAssign)]
        own = [self.expression(place.module, e.func if isinstance(e, ast.Call) else e) for v in stated for e in getattr(v, "elts", [])]
        classes = [self._class_of(target) for target in own if isinstance(target, Place)]
        for task in [*classes, *(task for base in self.bases(place) for task in self.tasks(base))]:
            if any(task in self.mro(other) for other in tasks):
                continue
            general = [i for i, other in enumerate(tasks) if other in self.mro(task)]
            if general:
                tasks[general[0]] = task
            tasks = [f for i, f in enumerate(tasks) if i not in general[1:]] + ([] if general else [task])
        return tasks

    def _class_of(self, place: Place) -> Place:
        """The class that a module-level name is an instance of, where it is one: ``THIS = ThisTask()``."""
        file = self.file(place.module)
        for node in file.nodes[place.name] if file else []:
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
                target = self.expression(place.module, node.value.func)
                return target if isinstance(target, Place) else place
        return place

    def members(self, place: Place) -> dict[str, list[ast.stmt]]:
        """The statements of a class's body by the name that they bind."""
        if place not in self._members:
            members = self._members.setdefault(place, {})
            node = self.definition(place)
            for statement in node.body if node else []:
                for name in bound_names(statement):
                    members.setdefault(name, []).append(statement)
        return self._members[place]


_cache: dict[tuple[Path, int, int], File] = {}


def _parsed(path: Path, module: str) -> File:
    stat = path.stat()
    key = (path, stat.st_mtime_ns, stat.st_size)
    if key not in _cache:
        file = File()
        package = module if path.stem == "__init__" else module.rpartition(".")[0]
        _collect(ast.parse(path.read_text(encoding="utf-8")).body, package, file)
        _cache[key] = file
    return _cache[key]


def _collect(body: Iterable[ast.stmt], package: str, file: File) -> None:
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name, target in imports_of(node, package):
                if name == "*":
                    file.stars.append(target[0])
                else:
                    file.imports[name] = target
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            _collect(node.orelse, package, file)
        else:
            for inner in ast.walk(node):
                if isinstance(inner, ast.Import | ast.ImportFrom) and isinstance(node, ast.Try | ast.If | ast.With):
                    file.imports |= {n: t for n, t in imports_of(inner, package) if n != "*"}
            for name in dict.fromkeys(bound_names(node)):
                file.nodes.setdefault(name, []).append(node)


def imports_of(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """The names that an import binds, each with module and name within it, as ``File.imports`` has them."""
    if isinstance(node, ast.Import):
        for alias in node.names:  # `import a.b` binds a
            yield alias.asname or alias.name.partition(".")[0], (alias.name if alias.asname else alias.name.partition(".")[0], "")
        return
    base = node.module or ""
    if node.level:
        above = package.split(".")
        base = ".".join([*above[: len(above) - node.level + 1], *([base] if base else [])])
    for alias in node.names:
        yield alias.asname or alias.name, (base, alias.name)


def bound_names(node: ast.stmt) -> list[str]:
    """Names that a statement of a module or class defines, or whose value it changes (``x[...] =``, ``x |=``, ``x.update()``)."""
    if isinstance(node, FUNCTIONS | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return [name for target in targets for name in _roots(target)]
    if isinstance(node, ast.Expr):
        return _roots(node.value.func) if isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute) else []
    inner = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
    inner += [s for child in ast.iter_child_nodes(node) if isinstance(child, ast.ExceptHandler) for s in child.body]
    stored = _roots(node.target) if isinstance(node, ast.For) else []
    return [*stored, *(name for child in inner for name in bound_names(child))]


def _roots(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Tuple | ast.List):
        return [name for element in node.elts for name in _roots(element)]
    while isinstance(node, ast.Subscript | ast.Attribute | ast.Starred):
        node = node.value
    return [node.id] if isinstance(node, ast.Name) else []
