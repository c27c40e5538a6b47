"""A new paper's method, record and tests, which train and pass as they stand: what ``paperzoo new`` writes."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from pathlib import Path

import jinja2

from paperzoo.catalog import CATALOG
from paperzoo.errors import PaperzooError

TEMPLATES = Path(__file__).parent / "templates"


def write(name: str, folder: str | Path = ".") -> list[Path]:
    """Writes ``<name>.py``, ``<name>.toml`` and ``test_<name>.py`` into a folder, which is made if it is not there.

    Returns:
        The three paths.

    Raises:
        PaperzooError: the name cannot be a module's or is taken, one of the files exists, or the folder cannot be
            written to. Nothing is ever overwritten.
    """
    check_name(name)
    folder = Path(folder)
    parts = {f"{name}.py": "paper.py", f"{name}.toml": "paper.toml", f"test_{name}.py": "test_paper.py"}
    files = {folder / file: f"{template}.jinja" for file, template in parts.items()}
    for path in files:
        if path.exists():
            raise PaperzooError(f"{path} exists already, and is not overwritten")
    loader = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, template in files.items():
            with path.open("x", encoding="utf-8", newline="\n") as file:
                file.write(environment.get_template(template).render(name=name))
    except OSError as error:
        raise PaperzooError(f"cannot write to {folder}: {error.strerror or error}") from error
    return list(files)


def check_name(name: str) -> None:
    """Raises ``PaperzooError`` unless the name can be a new paper's: a module of its own, in lower case, not yet taken."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        near = re.sub(r"[^a-z0-9_]+", "_", name.lower()).strip("_")
        hint = f", for example {near}" if re.fullmatch(r"[a-z][a-z0-9_]*", near) and not keyword.iskeyword(near) else ""
        rule = "lower-case letters, digits and _, a letter first, no Python keyword"
        raise PaperzooError(f"{name!r} cannot name a paper: use {rule}{hint}")
    if name in CATALOG:
        raise PaperzooError(f"{name} is in the catalogue already: see `paperzoo show {name}`")
    if name in sys.stdlib_module_names or name in sys.modules or importlib.util.find_spec(name):
        raise PaperzooError(f"{name}.py would hide the installed Python module {name}: try {name}_paper")
