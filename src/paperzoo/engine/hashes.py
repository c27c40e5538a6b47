"""What a result depends on, as two hashes: the **method** that was trained and the **protocol** that measured it.

Both are read from source text, without running it. From the model class, names are followed to the definitions they stand for,
and these are written down in an order and a form that depend on what they say and on nothing else:

- *method*: all that training reaches (``ENTRY``) through ``papers/``, ``nn/`` and the user's own file, what it uses of ``tasks/``
  and ``metrics/`` (a noise, a range), and the variant's arguments;
- *protocol*: all that ``measure`` and ``history`` of the model's tasks, and of the paper where it has its own, reach through
  ``tasks/``, ``metrics/`` and whatever of the paper training does not (the method has that), and the judge: name, SHA-256, whether
  features are standardised. The tasks are read off the class bodies' ``tasks = (ThisTask(), ...)``; in a function of ``tasks/``,
  and in a task, the parameter ``model`` stands for the model.

Left out, so that they change no hash: docstrings, comments, formatting, imports and their aliases, where a definition lies and what
it is called, the order of methods, annotations, the names of local variables, messages of errors and assertions, ``PAPER`` and
``RECIPES`` (a recipe has a hash of its own), and what neither training nor measuring reaches (``show``, ``predict``, which tasks a
class names, for the method). Names that
callers use (parameters, attributes, methods) count. Data, published weights, engine and libraries are known by name only. What is
looked up by a name made at run time cannot be seen: ``getattr(self, name)`` reaches every member, ``globals()`` every function of
its file.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from paperzoo import catalog

#: rooms whose definitions are followed
ROOMS = ("papers", "nn", "fitted", "tasks", "metrics")
#: rooms in which only what is reached of a class counts, and which the protocol covers even where training reaches them, too
MEASURING = ("tasks", "metrics")
#: members that training calls by themselves: the engine's, and torch's
ENTRY = ("optimizers", "stage", "step", "forward", "train", "eval", "apply", "_apply", "to", "parameters", "named_parameters",
         "buffers", "named_buffers", "state_dict", "load_state_dict", "reset_parameters")  # fmt: skip
#: members that a measurement calls: of the tasks, and of the model
MEASURES = ("measure", "history")
ACTIVE = "active"
#: the class variable that names a model's tasks
TASKS = "tasks"
#: module-level names that are prose, or hashed by themselves
PROSE = ("PAPER", "RECIPES", "__all__")
#: what the user's own file is called as a module
OWN = "__own__"
_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
_OUT = {"ctx", "type_comment", "kind", "type_params", "annotation", "returns", "simple", "docstring"}


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
        found = (self.resolve(star, name) for star in file.stars)
        return next((f for f in found if f is not None), None)

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
        found = file.nodes.get(place.name, []) if file else []
        return next((n for n in found if isinstance(n, ast.ClassDef)), None)

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
        found: list[Place] = []
        stated = [n.value for n in self.members(place).get(TASKS, []) if isinstance(n, ast.Assign | ast.AnnAssign)]
        own = [self.expression(place.module, e.func if isinstance(e, ast.Call) else e) for v in stated for e in getattr(v, "elts", [])]
        classes = [self._class_of(target) for target in own if isinstance(target, Place)]
        for task in [*classes, *(task for base in self.bases(place) for task in self.tasks(base))]:
            if any(task in self.mro(other) for other in found):
                continue
            general = [i for i, other in enumerate(found) if other in self.mro(task)]
            if general:
                found[general[0]] = task
            found = [f for i, f in enumerate(found) if i not in general[1:]] + ([] if general else [task])
        return found

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
            found = self._members.setdefault(place, {})
            node = self.definition(place)
            for statement in node.body if node else []:
                for name in _bound(statement):
                    found.setdefault(name, []).append(statement)
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
            for name, target in _imports(node, package):
                if name == "*":
                    file.stars.append(target[0])
                else:
                    file.imports[name] = target
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            _collect(node.orelse, package, file)
        else:
            for inner in ast.walk(node):
                if isinstance(inner, ast.Import | ast.ImportFrom) and isinstance(node, ast.Try | ast.If | ast.With):
                    file.imports |= {n: t for n, t in _imports(inner, package) if n != "*"}
            for name in dict.fromkeys(_bound(node)):
                file.nodes.setdefault(name, []).append(node)


def _imports(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[tuple[str, tuple[str, str]]]:
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


def _bound(node: ast.stmt) -> list[str]:
    """Names that a statement of a module or class defines, or whose value it changes (``x[...] =``, ``x |=``, ``x.update()``)."""
    if isinstance(node, _FUNCTIONS | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return [name for target in targets for name in _roots(target)]
    if isinstance(node, ast.Expr):
        return _roots(node.value.func) if isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute) else []
    inner = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
    inner += [s for child in ast.iter_child_nodes(node) if isinstance(child, ast.ExceptHandler) for s in child.body]
    stored = _roots(node.target) if isinstance(node, ast.For) else []
    return [*stored, *(name for child in inner for name in _bound(child))]


def _roots(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Tuple | ast.List):
        return [name for element in node.elts for name in _roots(element)]
    while isinstance(node, ast.Subscript | ast.Attribute | ast.Starred):
        node = node.value
    return [node.id] if isinstance(node, ast.Name) else []


class Item(NamedTuple):
    """Something to be written down: a module-level definition, or a member of a model class.

    ``concrete`` is the model class that ``self`` is an instance of, where it is one; ``member`` its member, found in ``place``.
    """

    place: Place
    concrete: Place | None = None
    member: str = ""


class Walk:
    """Everything that some members of a model class reach.

    Args:
        known: items that the method holds; a protocol names those of papers and ``nn/`` without following them.
        tasks: classes of the tasks whose ``MEASURES`` are reached, too.
    """

    def __init__(
        self, sources: Sources, model: Place, roots: Iterable[str], known: Iterable[Item] = (), whole: bool = False,
        tasks: Iterable[Place] = (),
    ) -> None:  # fmt: skip
        self.sources, self.root, self.known, self.whole = sources, model, frozenset(known), whole
        self.order: dict[Item, int] = {}
        self.texts: list[str] = []
        self.queue: list[Item] = []
        self.touched = set(roots)
        self.models: dict[Place, None] = {}
        self.reaches_catalogue = False
        if sources.definition(model) is None:  # made by a call, say
            self.place(model)
        self._add_model(model)
        for name in sorted(self.touched):
            self.member(model, name)
        for task in tasks:
            for name in MEASURES:
                self.member(task, name)
        while self.queue or self._members_by_name():
            item = self.queue.pop(0)
            self.texts.append(Writer(self, item).text())

    def digest(self, *more: Any) -> str:
        """First 12 hex digits of the SHA-256 of all that was reached, and of plain values beside it."""
        plain = json.dumps(more, sort_keys=True, default=list)
        return hashlib.sha256("\n".join([*self.texts, plain]).encode()).hexdigest()[:12]

    def refer(self, item: Item) -> str:
        """How an item is referred to: by its turn, which does not depend on names and places."""
        if item in self.known and self.sources.room(item.place.module) not in MEASURING:
            return "@method"
        if item not in self.order:
            self.order[item] = len(self.order)
            self.queue.append(item)
        return f"@{self.order[item]}"

    def place(self, place: Place) -> str:
        """A reference to a module-level definition."""
        if place.name in PROSE:
            return place.name
        if self.sources.definition(place) is not None and self.sources.is_model(place):
            if self.sources.room(place.module) == "tasks":
                return "@task"
            if self.whole:
                self._add_model(place)
        return self.refer(Item(place))

    def member(self, concrete: Place, name: str, after: Place | None = None, within: Place | None = None) -> str:
        """A reference to what an attribute of an instance of ``concrete`` is, or ``""`` if no class that is followed defines it.

        ``after``: looked up behind this class, as ``super()`` does; ``within``: looked up from this class on.
        """
        line = self.sources.mro(concrete)
        start = after or within
        if start is not None:
            line = line[line.index(start) + (after is not None) :] if start in line else self.sources.mro(start)
        for owner in line:
            if not self.sources.is_seam(owner) and name in self.sources.members(owner):
                return self.refer(Item(owner, concrete, name))
        return ""

    def all_members(self, concrete: Place) -> None:
        """All members that the paper gives the class are reached."""
        for owner in self.sources.mro(concrete):
            if self.sources.room(owner.module) not in MEASURING:
                self.touched.update(self.sources.members(owner))

    def _add_model(self, place: Place) -> None:
        self.models.setdefault(place)

    def _members_by_name(self) -> bool:
        """Members of papers' model classes whose name was met as an attribute of anything; and those that are there by themselves."""
        for concrete in list(self.models):
            for owner in self.sources.mro(concrete):
                if self.sources.room(owner.module) in MEASURING:
                    continue
                for name, nodes in sorted(self.sources.members(owner).items()):
                    itself = name.startswith("__") or name in ENTRY or not all(isinstance(n, _FUNCTIONS) for n in nodes)
                    if name in self.touched or (itself and self.whole and name != TASKS):
                        self.member(concrete, name)
        return bool(self.queue)


@dataclass
class Scope:
    """Names of a function: parameters keep theirs, locals are numbered."""

    names: dict[str, str] = field(default_factory=dict)
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)


class Writer:
    """Writes one item down, and asks the walk for whatever it refers to."""

    def __init__(self, walk: Walk, item: Item) -> None:
        self.walk, self.item, self.sources = walk, item, walk.sources
        self.module = item.place.module
        self.scopes: list[Scope] = []
        self.own: list[str] = []  # what `self` is called in the function at hand
        self.numbers = 0

    def text(self) -> str:
        """The item's text."""
        place = self.item.place
        if self.item.member:
            return f"{self.item.member}: {self._all(self.sources.members(place)[self.item.member])}"
        node = self.sources.definition(place)
        if node is not None and self.sources.is_model(place):
            return "model"  # its members are items of their own
        file = self.sources.file(place.module)
        return self._all(file.nodes[place.name] if file else [])

    @cached_property
    def _class(self) -> Place | None:
        """The class that ``self`` is an instance of, whose members are looked up."""
        if self.item.concrete is not None:
            return self.item.concrete
        return self.item.place if self.sources.definition(self.item.place) is not None else None

    def _all(self, nodes: Iterable[ast.AST]) -> str:
        return "[" + ", ".join(text for node in nodes if (text := self.write(node))) + "]"

    def write(self, node: Any) -> str:
        """A node as text that depends on Python's grammar, and not on its version."""
        if isinstance(node, list):
            return self._all(node)
        if not isinstance(node, ast.AST):
            return f"{type(node).__name__} {node!a}"
        special = getattr(self, f"_{type(node).__name__}", None)
        if special is not None:
            return str(special(node))
        return self._generic(node)

    def _generic(self, node: ast.AST, *leave: str) -> str:
        parts = []
        for name in node._fields:
            value = getattr(node, name, None)
            if name not in _OUT and name not in leave and value is not None and value != []:
                parts.append(f"{name}={self.write(value)}")
        return f"{type(node).__name__}({', '.join(parts)})"

    # ---- Statements that say nothing, or less than is written.

    def _Import(self, node: ast.Import) -> str:
        return ""

    _ImportFrom = _Pass = _Import

    def _Expr(self, node: ast.Expr) -> str:
        return "" if isinstance(node.value, ast.Constant) else self._generic(node)

    def _Raise(self, node: ast.Raise) -> str:
        kind = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return f"Raise({self.write(kind) if kind is not None else ''})"

    def _Assert(self, node: ast.Assert) -> str:
        return f"Assert({self.write(node.test)})"

    def _AnnAssign(self, node: ast.AnnAssign) -> str:
        if self.scopes or not isinstance(node.target, ast.Name):  # of a function: nothing but a note to the reader
            return f"Assign(targets=[{self.write(node.target)}], value={self.write(node.value)})" if node.value else ""
        value = f" = {self.write(node.value)}" if node.value else ""
        if self._class is None:  # of a module
            return f"Assign(targets=[{self.write(node.target)}], value={self.write(node.value)})" if node.value else ""
        kind = "class variable" if "ClassVar" in ast.dump(node.annotation) else "field"
        return f"{kind} {node.target.id}{value}"

    def _Global(self, node: ast.Global) -> str:
        return ""

    _Nonlocal = _Global

    # ---- Names.

    def _lookup(self, name: str) -> str | Target | None:
        for scope in reversed(self.scopes):
            if name in scope.names:
                return scope.names[name]
            if name in scope.imports:
                return self.sources.imported(*scope.imports[name])
        return self.sources.resolve(self.module, name)

    def _refer(self, target: Target) -> str:
        if isinstance(target, Place):
            return self.walk.place(target)
        if target.name == "paperzoo: catalog" or target.name == "paperzoo.catalog":
            self.walk.reaches_catalogue = True
        return target.name.rpartition(".")[2] if target.name.startswith("paperzoo.") else target.name

    def _Name(self, node: ast.Name) -> str:
        found = self._lookup(node.id)
        if found is None:
            return node.id
        return found if isinstance(found, str) else self._refer(found)

    def _resolved(self, node: ast.expr) -> Target | None:
        if isinstance(node, ast.Name):
            found = self._lookup(node.id)
            return None if isinstance(found, str) else found
        if isinstance(node, ast.Attribute) and (target := self._resolved(node.value)) is not None:
            return self.sources.attribute(target, node.attr)
        return None

    def _Attribute(self, node: ast.Attribute) -> str:
        if (target := self._resolved(node)) is not None:
            inner = self._resolved(node.value)
            if isinstance(inner, Outside | Module):
                self._refer(inner)  # paperzoo.catalog.load
            return self._refer(target)
        self.walk.touched.add(node.attr)
        value = node.value
        if self._is_model(value):
            self.walk.member(self.walk.root, node.attr)
        if self._class is not None:
            if isinstance(value, ast.Name) and self.own and value.id == self.own[-1]:
                self._instance(node.attr)
            elif isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "super":
                after = self._resolved(value.args[0]) if value.args else self.item.place
                found = self.walk.member(self._class, node.attr, after=after) if isinstance(after, Place) else ""
                return f"super({found}).{node.attr}"
        target = self._resolved(value)
        if isinstance(target, Place) and self.sources.definition(target) is not None and self.sources.is_model(target):
            concrete = self._class if self._class and target in self.sources.mro(self._class) else target
            return f"class({self.walk.member(concrete, node.attr, within=target)}).{node.attr}"
        return f"{self.write(value)}.{node.attr}"

    def _instance(self, name: str) -> None:
        """``self.name`` is met: what a model's task says of it is reached; what its paper says is found by name."""
        if self.item.concrete is not None:
            self.walk.member(self.item.concrete, name)

    def _is_model(self, node: ast.expr) -> bool:
        """Whether it is the parameter ``model`` of something in ``tasks/``, or of a task that a paper has for itself."""
        if not isinstance(node, ast.Name) or self._lookup(node.id) != "p:model":
            return False
        concrete = self.item.concrete
        return self.sources.room(self.module) == "tasks" or (concrete is not None and self.sources.is_task(concrete))

    def _Call(self, node: ast.Call) -> str:
        function = node.func
        if isinstance(function, ast.Name):
            if self.own and function.id == self.own[-1]:  # self(x)
                self._instance("forward")
            if self._is_model(function):
                self.walk.member(self.walk.root, "forward")
            if function.id == "getattr" and len(node.args) > 1 and self._lookup("getattr") is None:
                self._reached_by(node.args[0], node.args[1])
            if function.id == "globals" and self._lookup("globals") is None:
                file = self.sources.file(self.module)
                names = sorted(file.nodes) if file else []
                return f"globals({' '.join(self.walk.place(Place(self.module, n)) for n in names if self._is_function(n))})"
        return self._generic(node)

    def _is_function(self, name: str) -> bool:
        file = self.sources.file(self.module)
        return file is not None and all(isinstance(n, _FUNCTIONS) for n in file.nodes[name])

    def _reached_by(self, owner: ast.expr, name: ast.expr) -> None:
        if isinstance(name, ast.Constant):
            self.walk.touched.add(str(name.value))
            if isinstance(owner, ast.Name) and self.own and owner.id == self.own[-1]:
                self._instance(str(name.value))
            if self._is_model(owner):
                self.walk.member(self.walk.root, str(name.value))
        elif self.item.concrete is not None and isinstance(owner, ast.Name) and self.own and owner.id == self.own[-1]:
            self.walk.all_members(self.item.concrete)

    # ---- Functions and classes.

    def _FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
        decorators = self._all(node.decorator_list)
        bound = self.scopes[-1].names.get(node.name, "") if self.scopes else ""
        defaults = self._defaults(node.args)
        plain = [*node.args.posonlyargs, *node.args.args]
        static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in node.decorator_list)
        method = self._class is not None and not self.scopes and plain and not static
        self.own.append(plain[0].arg if method else self.own[-1] if self.own else "")
        self.scopes.append(self._scope(node, {a.arg: f"p:{a.arg}" for a in _arguments(node.args)}))
        text = f"def {bound}({', '.join(_shape(node.args))}; {defaults}) {decorators} {self._all(node.body)}"
        self.scopes.pop()
        self.own.pop()
        return text

    _AsyncFunctionDef = _FunctionDef

    def _Lambda(self, node: ast.Lambda) -> str:
        defaults = self._defaults(node.args)
        self.scopes.append(self._scope(node, {a.arg: self._number() for a in _arguments(node.args)}))
        text = f"lambda({len(_arguments(node.args))}; {defaults}) {self.write(node.body)}"
        self.scopes.pop()
        return text

    def _ClassDef(self, node: ast.ClassDef) -> str:
        head = f"{self._all(node.bases)} {self._all(node.keywords)} {self._all(node.decorator_list)}"
        functions = [n for n in node.body if isinstance(n, _FUNCTIONS)]
        rest = [n for n in node.body if not isinstance(n, _FUNCTIONS)]
        if self.scopes:  # within a function
            return f"class {head} {self._all(node.body)}"
        named = [f"{n.name}: {self.write(n)}" for n in sorted(functions, key=lambda n: n.name)]
        return f"class {head} {self._class_body(rest)} [{', '.join(named)}]"

    def _class_body(self, nodes: list[ast.stmt]) -> str:
        """Class variables keep their names, by which attributes find them."""
        names = {name: f"c:{name}" for node in nodes for name in _bound(node)}
        self.scopes.append(Scope(names))
        inside, texts = self.scopes, []
        for node in nodes:
            if isinstance(node, ast.AnnAssign):  # a field
                value = f" = {self.write(node.value)}" if node.value else ""
                kind = "class variable" if "ClassVar" in ast.dump(node.annotation) else "field"
                texts.append(f"{kind} {ast.unparse(node.target)}{value}")
            else:
                texts.append(self.write(node))
        inside.pop()
        return "[" + ", ".join(t for t in texts if t) + "]"

    def _defaults(self, arguments: ast.arguments) -> str:
        return f"{self._all(arguments.defaults)} [{', '.join(self.write(d) if d else '' for d in arguments.kw_defaults)}]"

    def _number(self) -> str:
        self.numbers += 1
        return f"v{self.numbers}"

    def _scope(self, node: ast.AST, parameters: Mapping[str, str]) -> Scope:
        scope = Scope(dict(parameters))
        outer: set[str] = set()
        for inner in _within(node):
            if isinstance(inner, ast.Global | ast.Nonlocal):
                outer.update(inner.names)
            elif isinstance(inner, ast.Import | ast.ImportFrom):
                scope.imports |= dict(_imports(inner, self.module.rpartition(".")[0]))
        for inner in _within(node):
            for name in _stored(inner):
                if name not in scope.names and name not in outer:
                    scope.names[name] = self._number()
        return scope

    def _ExceptHandler(self, node: ast.ExceptHandler) -> str:
        return self._generic(node, "name")

    def _MatchAs(self, node: ast.MatchAs | ast.MatchStar) -> str:
        bound = self._lookup(node.name) if node.name else ""
        return f"{self._generic(node, 'name')} as {bound}"

    _MatchStar = _MatchAs

    def _MatchMapping(self, node: ast.MatchMapping) -> str:
        return f"{self._generic(node, 'rest')} rest {self._lookup(node.rest) if node.rest else ''}"


def _arguments(arguments: ast.arguments) -> list[ast.arg]:
    rest = [a for a in (arguments.vararg, arguments.kwarg) if a is not None]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *rest]


def _shape(arguments: ast.arguments) -> list[str]:
    """Parameters by kind and name, without annotations."""
    groups: tuple[tuple[str, list[ast.arg]], ...] = (
        ("/", arguments.posonlyargs), ("", arguments.args), ("*", arguments.kwonlyargs),
        ("args", [arguments.vararg] if arguments.vararg else []), ("kwargs", [arguments.kwarg] if arguments.kwarg else []),
    )  # fmt: skip
    return [f"{kind} {argument.arg}" for kind, group in groups for argument in group]


def _within(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function's body in order, without those inside functions and classes of its own."""
    body = getattr(function, "body", [])
    waiting = list(reversed(body if isinstance(body, list) else [body]))
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, _FUNCTIONS | ast.ClassDef):
            continue
        if not isinstance(node, ast.Lambda):
            waiting.extend(reversed(list(ast.iter_child_nodes(node))))


def _stored(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Name):
        return [node.id] if isinstance(node.ctx, ast.Store | ast.Del) else []
    if isinstance(node, _FUNCTIONS | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
        return [node.name] if node.name else []
    if isinstance(node, ast.MatchMapping):
        return [node.rest] if node.rest else []
    return []


# ---- The two hashes.


def walks(root: Path, file: Path, name: str = "Model") -> tuple[Walk, Walk]:
    """All that training a model of a class reaches, and all that measuring it does.

    Args:
        root: the folder of the package.
        file: a paper's, in the package or not.
        name: of the class there, which may be an imported one.
    """
    sources = Sources(root, file)
    module = sources.module_of(file)
    if module != OWN:
        sources.own = None
    found = sources.resolve(module, name)
    model = found if isinstance(found, Place) else Place(module, name)
    method = Walk(sources, model, ENTRY, whole=True)
    return method, Walk(sources, model, (*MEASURES, ACTIVE), method.order, tasks=sources.tasks(model))


@lru_cache(maxsize=512)
def _walks(root: Path, file: Path, name: str, changed: int) -> tuple[Walk, Walk]:
    return walks(root, file, name)


def _of(entry: catalog.Entry) -> tuple[Walk, Walk]:
    file, name = entry.place
    return _walks(Path(catalog.__file__).parent, file, name, file.stat().st_mtime_ns)


def method_hash(entry: catalog.Entry, settings: Mapping[str, Any] | None = None) -> str:
    """12 hex digits that stay the same as long as the entry's model class would train as it does.

    Args:
        entry: a paper and its variant, whose arguments count.
        settings: the recipe's arguments of the model. They have a hash of their own, the recipe's; here they only say which other
            papers are built, for a model that makes a paper by its name (a backbone, a teacher): its method counts, too.
    """
    walk = _of(entry)[0]
    others = _others(entry, settings or {}) if walk.reaches_catalogue else []
    return walk.digest(entry.arguments, [method_hash(other) for other in others])


def _others(entry: catalog.Entry, settings: Mapping[str, Any]) -> list[catalog.Entry]:
    defaults = {n: p.default for n, p in catalog.signature(entry).items()}
    values = {**defaults, **entry.arguments, **settings}.values()
    names = [v for v in values if isinstance(v, str) and v.partition(":")[0] in catalog.CATALOG]
    return [catalog.load(name) for name in names if catalog.load(name).paper.name != entry.paper.name]


def protocol_hash(entry: catalog.Entry, judge: str = "") -> str:
    """12 hex digits that stay the same as long as the entry's model would be measured as it is, by this judge if one is named."""
    return _of(entry)[1].digest(_judge(judge))


def _judge(name: str) -> list[Any]:
    if not name:
        return []
    from paperzoo.engine.judge import JUDGES

    record = JUDGES.get(name)  # one that is no more
    return [name, record.sha256, record.standardise] if record else [name]
