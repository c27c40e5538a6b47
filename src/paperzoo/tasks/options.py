"""Options of a model's ``sample`` and ``predict`` beyond the common ones: read off their signatures, parsed from the command line."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt

from paperzoo.errors import PaperzooError, unknown

#: arguments that all take
COMMON = ("self", "items", "seed", "input")
#: types that a word can be converted to, the first that an annotation allows; and their names in messages
KINDS: dict[type, str] = {str: "a text", float: "a number", int: "a whole number", bool: "true or false"}


@dataclass(frozen=True)
class Option:
    """A keyword argument that can be given as a word.

    Attributes:
        kind: the type that the word is converted to.
        bounds: the values that are legal, as ``annotated_types`` says it.
        about: its description in the function's docstring.
    """

    kind: type
    default: Any
    bounds: tuple[Any, ...] = ()
    about: str = ""

    def wanted(self) -> str:
        """``a whole number from 1 to 10``."""
        words = {Ge: "from {ge}", Gt: "above {gt}", Le: "to {le}", Lt: "below {lt}"}
        return " ".join([KINDS[self.kind], *(words[type(b)].format_map(vars_of(b)) for b in self.bounds)])

    def read(self, word: str) -> Any:
        """The word as a value.

        Raises:
            ValueError: it is none, or out of bounds.
        """
        if self.kind is bool:
            return {"true": True, "false": False}[word.lower()] if word.lower() in ("true", "false") else _refused(word)
        value = self.kind(word)
        if isinstance(value, float) and not math.isfinite(value):
            return _refused(word)
        within = {Ge: lambda b: value >= b.ge, Gt: lambda b: value > b.gt, Le: lambda b: value <= b.le, Lt: lambda b: value < b.lt}
        return value if all(within[type(bound)](bound) for bound in self.bounds) else _refused(word)


def vars_of(bound: Any) -> dict[str, Any]:
    """The fields of a bound, which has slots."""
    return {name: getattr(bound, name) for name in ("ge", "gt", "le", "lt") if hasattr(bound, name)}


def _refused(word: str) -> Any:
    raise ValueError(word)


def options(function: Callable[..., Any]) -> dict[str, Option]:
    """The arguments of a model's ``sample`` or ``predict`` that can be given as words, by name."""
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError:  # annotations of a user's file that are imported for a type checker alone
        hints = {}
    about = {name: re.sub(r"\s+", " ", text) for name, text in re.findall(r"^ +(\w+): (.+(?:\n {13,}.+)*)", function.__doc__ or "", re.M)}
    accepted = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name in COMMON or parameter.kind is parameter.VAR_KEYWORD or parameter.kind is parameter.VAR_POSITIONAL:
            continue
        parts = _flat(hints.get(name, type(parameter.default)))
        kind = next((kind for kind in KINDS if kind in parts), str if not hints else None)
        if kind is not None:
            bounds = tuple(part for part in parts if isinstance(part, Ge | Gt | Le | Lt))
            accepted[name] = Option(kind, parameter.default, bounds, about.get(name, ""))
    return accepted


def _flat(annotation: Any) -> list[Any]:
    """The types of a union, and what annotates them."""
    if get_origin(annotation) in (Union, UnionType, Annotated):
        return [one for part in get_args(annotation) for one in _flat(part)]
    return [] if annotation is NoneType else [annotation]


def values(function: Callable[..., Any], words: Mapping[str, str | None], source: str, besides: Sequence[str] = ()) -> dict[str, Any]:
    """Keyword arguments of a model's ``sample`` or ``predict``.

    Args:
        words: by option as it is typed, ``--top-k``; ``None`` where nothing follows.
        source: what the user calls the model.
        besides: options that may be given whatever the model is, for the message.

    Raises:
        PaperzooError: an option that it does not take, or a value that is none.
    """
    legal = {f"--{name.replace('_', '-')}": (name, option) for name, option in options(function).items()}
    arguments: dict[str, Any] = {}
    for typed, word in words.items():
        if typed not in legal:
            raise unknown("option", typed, [*legal, *besides], f"of {source}")
        name, option = legal[typed]
        try:
            arguments[name] = option.read(word) if word is not None else _refused("")
        except (ValueError, OverflowError):
            raise PaperzooError(f"{typed} is {option.wanted()}, not {'left empty' if word is None else word}") from None
    return arguments
