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

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from paperzoo import catalog
from paperzoo.engine.canonical import Writer
from paperzoo.engine.sources import FUNCTIONS, OWN, TASKS, Place, Sources

#: rooms in which only what is reached of a class counts, and which the protocol covers even where training reaches them, too
MEASURING = ("tasks", "metrics")
#: members that training calls by themselves: the engine's, and torch's
ENTRY = ("optimizers", "stage", "reading", "step", "forward", "train", "eval", "apply", "_apply", "to", "parameters", "named_parameters",
         "buffers", "named_buffers", "state_dict", "load_state_dict", "reset_parameters")  # fmt: skip
#: members that a measurement calls: of the tasks, and of the model
MEASURES = ("measure", "history")
ACTIVE = "active"
#: module-level names that are prose, or hashed by themselves
PROSE = ("PAPER", "RECIPES", "__all__")


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
        """An item's reference: the number of its first occurrence, which does not depend on names and places."""
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
        """Members of papers' model classes whose name was met as an attribute; and those that need no mention (``ENTRY``, ...)."""
        for concrete in list(self.models):
            for owner in self.sources.mro(concrete):
                if self.sources.room(owner.module) in MEASURING:
                    continue
                for name, nodes in sorted(self.sources.members(owner).items()):
                    itself = name.startswith("__") or name in ENTRY or not all(isinstance(n, FUNCTIONS) for n in nodes)
                    if name in self.touched or (itself and self.whole and name != TASKS):
                        self.member(concrete, name)
        return bool(self.queue)


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
    target = sources.resolve(module, name)
    model = target if isinstance(target, Place) else Place(module, name)
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
    """12 hex digits that stay the same as long as the entry's model would be measured in the same way, by this judge if one is named."""
    return _of(entry)[1].digest(_judge(judge))


def _judge(name: str) -> list[Any]:
    if not name:
        return []
    from paperzoo.engine.judge import JUDGES

    record = JUDGES.get(name)  # none, if the judge has been removed since
    return [name, record.sha256, record.standardise, *_judge(record.frames)] if record else [name]
