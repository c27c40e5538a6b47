"""The options behind the # of an own data set's name, as in ``series:sales.csv#target=sales&history=12``."""

from __future__ import annotations

from collections.abc import Mapping

from paperzoo.errors import PaperzooError, unknown
from paperzoo.files import exists


def with_options(place: str) -> tuple[str, str]:
    """``sales.csv#target=sales`` as path and options; a path that is there may have a # of its own."""
    path, sign, options = place.rpartition("#")
    return (path, options) if sign and not exists(place) else (place, "")


def options(text: str, legal: Mapping[str, str], where: str, whole: Mapping[str, int] | None = None) -> dict[str, str]:
    """``target=wind&history=12`` as a dictionary.

    Args:
        legal: what each option means.
        whole: those that are whole numbers, and the least that each may be.

    Raises:
        PaperzooError: an option that there is not, that is given twice, or without a value, or is no such number.
    """
    chosen: dict[str, str] = {}
    for part in filter(None, text.split("&")):
        key, _, value = part.partition("=")
        if key not in legal:
            raise unknown("option", key, legal, f"of {where}")
        if not value or key in chosen:
            raise PaperzooError(f"{where}: write #{key}=..., once: {legal[key]}")
        chosen[key] = value
    for key, least in (whole or {}).items():
        value = chosen.get(key, str(least))
        if not (value.isascii() and value.isdigit() and len(value) < 10 and int(value) >= least):
            raise PaperzooError(f"{where}: {key} is a whole number from {least} on, not {value[:20]!r}")
    return chosen
