"""What a number may be, as an annotation of a constructor's or optimiser's argument; ``check`` refuses the others.

``Annotated[int, Ge(1)]`` and its kin (annotated-types) say it where none of these names does, ``Literal["a", "b"]`` for names.
"""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen, MultipleOf

from paperzoo.errors import PaperzooError, unknown

#: units, layers, channels, pixels, classes: what memory is asked for, so that it has an end
Size = Annotated[int, Ge(1), Le(1_000_000)]
#: the side of an image
Pixels = Annotated[int, Ge(1), Le(4096)]
#: the side of an image that each layer halves down to 4, or doubles from there
Side = Literal[16, 32, 64, 128, 256]
#: the side of an image that three layers halve
Eighths = Annotated[Pixels, Ge(16), MultipleOf(8)]
#: units that are parted in two
Even = Annotated[int, Ge(2), MultipleOf(2), Le(1_000_000)]
#: as ``Size``, where there may be none
Sizeable = Annotated[int, Ge(0), Le(1_000_000)]
#: classes, clusters, leaves: where one alone leaves nothing to tell apart
Several = Annotated[int, Ge(2), Le(1_000_000)]
#: steps, epochs, rounds
Count = Annotated[int, Ge(1)]
#: as ``Count``, where there may be none
Whole = Annotated[int, Ge(0)]
#: a share of the steps or items, a chance, a factor that only shrinks
Share = Annotated[float, Ge(0), Le(1)]
#: a share of at least something
SomeShare = Annotated[float, Gt(0), Le(1)]
#: dropout, smoothing, momentum, decay of a mean: all of it would leave nothing
Part = Annotated[float, Ge(0), Lt(1)]
#: a deviation, a factor
Positive = Annotated[float, Gt(0)]
#: a rate, a weight of a loss, a penalty
NotNegative = Annotated[float, Ge(0)]
#: one or more of ``Size``
Sizes = Annotated[Sequence[Size], MinLen(1)]


def check(key: str, value: Any, parameter: inspect.Parameter) -> None:
    """Raises ``PaperzooError`` if a plain value does not fit the annotation's type or range, or is no number to reckon with."""
    wanted, said = parameter.annotation, shown(value)
    if not _fits(value, wanted):
        if (names := _names(wanted)) and isinstance(value, str):
            raise unknown(key, value, [name or "an empty string" for name in names])
        raise PaperzooError(f"{key} must be {written(wanted)}, not {said} ({type(value).__name__}); its default is {parameter.default!r}")
    for one in value if isinstance(value, list | tuple) and len(value) < 10_000 else [value]:
        if isinstance(one, float) and not math.isfinite(one) and one != parameter.default:
            raise PaperzooError(f"{key} must be finite, not {said}; its default is {parameter.default!r}")
    if wrong := _outside(value, wanted):
        raise PaperzooError(f"{key} must be {wrong}, not {said}")
    for one in value if isinstance(value, list | tuple) and len(value) < 10_000 else [value]:
        if isinstance(one, int) and abs(one) >= 2**63:
            raise PaperzooError(f"{key} is too large a number: {said}; its default is {parameter.default!r}")


def _fits(value: Any, wanted: Any) -> bool:
    """Whether the value is of the type, whatever its range; types that are not listed here take everything."""
    kind, parts = get_origin(wanted), get_args(wanted)
    if kind is Annotated:
        return _fits(value, parts[0])
    if kind in (Union, UnionType):
        return any(_fits(value, one) for one in parts)
    if kind is Literal:
        return any(value == one and type(value) is type(one) for one in parts)
    if kind is Sequence:
        text = _fits("", parts[0]) and parts[0] is not Any
        if value is None or isinstance(value, bool | int | float) or (isinstance(value, str) and not text):
            return False
        return not isinstance(value, list | tuple) or all(_fits(one, parts[0]) for one in value[:10_000])
    if wanted in (int, float):
        return isinstance(value, int if wanted is int else int | float) and not isinstance(value, bool)
    return isinstance(value, wanted) if wanted in (bool, str, type(None)) else True


def _outside(value: Any, wanted: Any) -> str:
    """What a value of the right type must be that it is not, in words; empty if it lies within its range."""
    kind, parts = get_origin(wanted), get_args(wanted)
    if kind is Annotated:
        return _outside(value, parts[0]) or " and ".join(words for good, words in _bounds(parts[1:]) if not good(value))
    if kind in (Union, UnionType):
        return next((_outside(value, one) for one in parts if _fits(value, one)), "")
    if kind is Sequence and isinstance(value, list | tuple):
        return next((f"a list of numbers, each {wrong}" for one in value[:10_000] if (wrong := _outside(one, parts[0]))), "")
    return ""


def _bounds(given: Iterable[Any]) -> list[tuple[Callable[[Any], bool], str]]:
    """A test and its words for each bound of annotated-types; of several of one kind the last, which narrows a named range."""
    bounds: dict[type, tuple[Callable[[Any], bool], str]] = {}
    for one in given:
        match one:
            case Ge(ge=least):
                bounds[Ge] = partial(operator.le, least), f"at least {least:,}"
            case Gt(gt=least):
                bounds[Gt] = partial(operator.lt, least), f"more than {least:,}" if least else "positive"
            case Le(le=most):
                bounds[Le] = partial(operator.ge, most), f"at most {most:,}"
            case Lt(lt=most):
                bounds[Lt] = partial(operator.gt, most), f"less than {most:,}"
            case MultipleOf(multiple_of=part):
                bounds[MultipleOf] = partial(_divides, part), f"a multiple of {part}"
            case MinLen(min_length=least):
                bounds[MinLen] = partial(_as_many, least), f"a list of at least {least}"
    return list(bounds.values())


def _divides(part: Any, value: Any) -> bool:
    return bool(value % part == 0)


def _as_many(least: int, value: Any) -> bool:
    return len(value) >= least


def _names(wanted: Any) -> list[str]:
    """The legal values of a ``Literal`` of names alone."""
    names = get_args(wanted) if get_origin(wanted) is Literal else ()
    return list(names) if all(isinstance(name, str) for name in names) else []


def written(wanted: Any) -> str:
    """A type and its range as a user reads them: ``int, at least 1 and at most 6``."""
    kind, parts = get_origin(wanted), get_args(wanted)
    if kind is Annotated:
        return ", ".join([written(parts[0]), *(words for _, words in _bounds(parts[1:]))])
    if kind in (Union, UnionType):
        return " or ".join(written(one) for one in parts)
    if kind is Literal:
        return f"one of {', '.join(map(repr, parts))}"
    if kind is Sequence:
        return f"a list of {written(parts[0])}"
    return "None" if wanted is type(None) else getattr(wanted, "__name__", str(wanted)) if not parts else str(wanted)


def as_meant(value: Any, parameter: inspect.Parameter) -> Any:
    """``none`` as a word where a word is wanted: the command line reads it as ``None``, as it is for what may be left out."""
    wanted = parameter.annotation
    return "none" if value is None and (wanted is str or "none" in _names(wanted)) else value


def shown(value: Any) -> str:
    """A value as an error prints it: what is long is cut."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}... ({len(text)} characters)"
