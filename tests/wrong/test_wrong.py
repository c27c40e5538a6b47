"""Known errors are rejected: the wrong version completes its smoke run, and the named test fails by AssertionError."""

from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path
from typing import Any

import pytest

import paperzoo

from wrong import conditional, errors, recognition, restoration, semi

pytestmark = pytest.mark.usefixtures("undrawn")


def put(wrong: errors.Wrong, test: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts the wrong version in place, also where it was imported by name, in the test's module too."""
    for dotted, instead in wrong.replace.items():
        parts = f"paperzoo.{dotted}".split(".")
        cut = next(i for i in range(len(parts), 0, -1) if _is_module(".".join(parts[:i])))
        owner: Any = importlib.import_module(".".join(parts[:cut]))
        for name in parts[cut:-1]:
            owner = getattr(owner, name)
        right = getattr(owner, parts[-1])
        monkeypatch.setattr(owner, parts[-1], instead)
        for module in [m for n, m in sys.modules.items() if n.startswith("paperzoo") or m is test]:
            for name, value in list(vars(module).items()):
                if value is right:
                    monkeypatch.setattr(module, name, instead)


def _is_module(name: str) -> bool:
    try:
        return importlib.import_module(name) is not None
    except ImportError:
        return False


@pytest.mark.parametrize("wrong", errors.WRONG + conditional.WRONG + semi.WRONG + recognition.WRONG + restoration.WRONG, ids=lambda w: w.name)
def test_known_error_is_rejected(wrong: errors.Wrong, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module_name, _, test_name = wrong.rejected_by.partition(":")
    module = importlib.import_module(module_name)
    put(wrong, module, monkeypatch)
    try:
        paperzoo.train(wrong.smoke, "smoke", out=tmp_path, overrides={"steps": 10})
        test = getattr(module, test_name)
        given = {"tmp_path": tmp_path, "monkeypatch": monkeypatch}
        arguments = {k: given.get(k, v) for k, v in wrong.arguments.items()}
        if "straight" in arguments:
            arguments["straight"] = module.Straight(arguments["straight"], tmp_path)
        assert set(inspect.signature(test).parameters) == set(arguments)
        with pytest.raises(AssertionError):
            test(**arguments)
    finally:
        while errors.OPEN:
            errors.OPEN.pop().__exit__(None, None, None)
