"""What ``--set KEY=VALUE`` says."""

from __future__ import annotations

import json
from typing import Any

from paperzoo.errors import PaperzooError


def parse_settings(settings: list[str]) -> dict[str, Any]:
    """``["model.width=32", "clip=none"]`` as a dictionary; values are JSON where they can be, else strings.

    Raises:
        PaperzooError: no ``=``, a key given twice, also within a value, or a value of too many digits or too deeply nested.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        if twice := [name for name in names if names.count(name) > 1]:
            raise PaperzooError(f"--set {key}: {twice[0]} is given twice")
        return dict(pairs)

    parsed: dict[str, Any] = {}
    for setting in settings:
        key, sign, text = setting.partition("=")
        if not sign or not key:
            raise PaperzooError(f"--set {setting!r}: write KEY=VALUE, for example --set steps=500")
        if key in parsed:
            raise PaperzooError(f"--set {key} is given twice")
        lowered = {"none": "null", "true": "true", "false": "false"}.get(text.lower(), text)
        try:
            value = json.loads(lowered, object_pairs_hook=once)
        except json.JSONDecodeError:
            value = text
        except (ValueError, RecursionError) as error:
            raise PaperzooError(f"--set {key}: a value of {len(text):,} characters cannot be read: {error}") from error
        if isinstance(value, dict | list) and text.count("[") + text.count("{") > 20 and _depth(value) > 5:
            raise PaperzooError(f"--set {key}: a value is a list in a list at most, not nested {_depth(value)} deep")
        parsed[key] = value
    return parsed


def _depth(value: Any) -> int:
    """How deep lists and dictionaries are nested."""
    deep, level = 0, [value]
    while level := [one for one in level if isinstance(one, dict | list)]:
        deep += 1
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
    return deep
