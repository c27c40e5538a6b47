"""The one kind of error a user sees: a sentence that names what was wrong, where, and the nearest right thing."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

#: legal names that an error lists where none is near, and those that mean something alike
MOST_NAMED, MOST_AKIN = 30, 4
#: so alike are two spellings of one name
SURE = 0.75


class PaperzooError(Exception):
    """Something the user typed or handed over cannot be used. The command line prints it and exits with code 2."""


class Interrupted(PaperzooError):
    """The user stopped a run; what was done is saved. The command line exits with code 130."""


def diverged(error: PaperzooError) -> bool:
    """Whether a training ended since a loss was infinite or no number: a finding about its settings, not a fault of what was asked."""
    return "is not finite at step" in str(error)


def listed(names: Iterable[object], most: int = 3) -> str:
    """The first names of several, as text: ``a, b, c, ...``."""
    some = list(map(str, names))
    return ", ".join(some[:most]) + (", ..." if len(some) > most else "")


def compared(before: Iterable[object], now: Iterable[object]) -> str:
    """What is new and what is missing among names, in words; empty if they are the same, whatever their order."""
    old, fresh = list(map(str, before)), list(map(str, now))
    parts = (("new", [n for n in fresh if n not in set(old)]), ("missing", [n for n in old if n not in set(fresh)]))
    return "; ".join(f"{len(names)} {what} ({listed(names)})" for what, names in parts if names)


def unknown(what: str, name: object, legal: Iterable[str], where: str = "", akin: Sequence[str] = ()) -> PaperzooError:
    """An error for a name that is not among the legal ones, with the nearest of them.

    Args:
        what: the kind of thing named, for example ``"recipe"``.
        name: what was given.
        legal: every legal name.
        where: optional place, for example ``"of dcgan"``.
        akin: legal names that mean something alike, where none is spelt nearly the same.
    """
    names = sorted(legal)
    by_lower = {one.lower().lstrip("-"): one for one in names}  # that all options begin with -- makes none of them near
    near = difflib.get_close_matches(str(name).lower().lstrip("-"), by_lower, n=3, cutoff=0.5)
    spelt = [by_lower[one] for one in near]
    alike = difflib.SequenceMatcher(None, near[0], str(name).lower().lstrip("-")).ratio() if near else 0.0
    close = spelt if alike > SURE or not akin else list(akin)[:MOST_AKIN]  # a slip of the hand before a word that is meant otherwise
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    hint = f"did you mean {' or '.join(close)}?" if close else f"there is {', '.join(names[:MOST_NAMED]) or 'none'}{more}."
    return PaperzooError(f"unknown {what} {str(name)!r}{' ' + where if where else ''}: {hint}")
