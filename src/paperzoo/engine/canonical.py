"""The canonical form of a definition, which depends on its meaning and not on its wording: locals are numbered, docstrings,
annotations and messages are left out, and a reference is the number of the item's first occurrence."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from paperzoo.engine.sources import FUNCTIONS, Module, Outside, Place, Target, bound_names, imports_of

if TYPE_CHECKING:
    from paperzoo.engine.hashes import Item, Walk

_OUT = {"ctx", "type_comment", "kind", "type_params", "annotation", "returns", "simple", "docstring"}


@dataclass
class Scope:
    """Names of a function: parameters keep theirs, locals are numbered."""

    names: dict[str, str] = field(default_factory=dict)
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)


class Writer:
    """Writes one item in canonical form, and registers with the walk what it refers to."""

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

    # ---- Statements that are left out, or written only in part.

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
        if self.scopes or not isinstance(node.target, ast.Name):  # within a function an annotation has no effect
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
        referent = self._lookup(node.id)
        if referent is None:
            return node.id
        return referent if isinstance(referent, str) else self._refer(referent)

    def _resolved(self, node: ast.expr) -> Target | None:
        if isinstance(node, ast.Name):
            referent = self._lookup(node.id)
            return None if isinstance(referent, str) else referent
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
                reference = self.walk.member(self._class, node.attr, after=after) if isinstance(after, Place) else ""
                return f"super({reference}).{node.attr}"
        target = self._resolved(value)
        if isinstance(target, Place) and self.sources.definition(target) is not None and self.sources.is_model(target):
            concrete = self._class if self._class and target in self.sources.mro(self._class) else target
            return f"class({self.walk.member(concrete, node.attr, within=target)}).{node.attr}"
        return f"{self.write(value)}.{node.attr}"

    def _instance(self, name: str) -> None:
        """Registers the member ``self.name`` of a model. Those defined in ``tasks/`` are reached by this alone, a paper's by name too."""
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
        return file is not None and all(isinstance(n, FUNCTIONS) for n in file.nodes[name])

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
        functions = [n for n in node.body if isinstance(n, FUNCTIONS)]
        rest = [n for n in node.body if not isinstance(n, FUNCTIONS)]
        if self.scopes:  # within a function
            return f"class {head} {self._all(node.body)}"
        named = [f"{n.name}: {self.write(n)}" for n in sorted(functions, key=lambda n: n.name)]
        return f"class {head} {self._class_body(rest)} [{', '.join(named)}]"

    def _class_body(self, nodes: list[ast.stmt]) -> str:
        """Class variables keep their names, by which attributes find them."""
        names = {name: f"c:{name}" for node in nodes for name in bound_names(node)}
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
                scope.imports |= dict(imports_of(inner, self.module.rpartition(".")[0]))
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
        if isinstance(node, FUNCTIONS | ast.ClassDef):
            continue
        if not isinstance(node, ast.Lambda):
            waiting.extend(reversed(list(ast.iter_child_nodes(node))))


def _stored(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Name):
        return [node.id] if isinstance(node.ctx, ast.Store | ast.Del) else []
    if isinstance(node, FUNCTIONS | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
        return [node.name] if node.name else []
    if isinstance(node, ast.MatchMapping):
        return [node.rest] if node.rest else []
    return []
