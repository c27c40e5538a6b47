"""A new paper's method, record and tests, which train and pass as they stand: what ``paperzoo new`` writes."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from pathlib import Path

import jinja2

from paperzoo.catalog import CATALOG, OURS, load
from paperzoo.errors import PaperzooError, unknown
from paperzoo.files import path_of

TEMPLATES = Path(__file__).parent / "templates"


def write(name: str, folder: str | Path = ".", source: str = "") -> list[Path]:
    """Writes ``<name>.py``, ``<name>.toml`` and ``test_<name>.py`` into a folder, which is made if it is not there.

    Args:
        source: a paper of the catalogue whose file and record are copied; default: a network with one hidden layer.

    Returns:
        The three paths.

    Raises:
        PaperzooError: the name cannot be a module's or is taken, there is no paper ``source``, one of the files exists, or the
            folder cannot be written to. Nothing is ever overwritten.
    """
    folder = path_of(folder)
    for path in (folder / file for file in (f"{name}.py", f"{name}.toml", f"test_{name}.py")):
        if path.exists():
            raise PaperzooError(f"{path} exists already, and is not overwritten")
    check_name(name)
    texts = {folder / file: text for file, text in (copied(name, source) if source else fresh(name)).items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            with path.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
    except OSError as error:
        raise PaperzooError(f"cannot write to {folder}: {error.strerror or error}") from error
    return list(texts)


def fresh(name: str) -> dict[str, str]:
    """The files of a paper with one hidden layer: file name -> text."""
    parts = {f"{name}.py": "paper.py", f"{name}.toml": "paper.toml", f"test_{name}.py": "test_paper.py"}
    return {file: rendered(template, name=name) for file, template in parts.items()}


def copied(name: str, source: str) -> dict[str, str]:
    """The file, the record and a first test of a paper of the catalogue, under another name: file name -> text.

    What the paper imports stays where it is: also a second file of the paper, whose classes are then named in full.

    Raises:
        PaperzooError: it is not in the catalogue, or has no such variant.
    """
    paper = source.partition(":")[0]
    if paper not in CATALOG:
        raise unknown("paper", source, CATALOG)
    if ":" in source:
        load(source)  # is there such a variant?
    record = CATALOG[paper].record
    place = f"{OURS}.{record.parent.name}"
    method = re.sub(r'("class": ")(\w+\.\w+")', rf"\1{place}.\2", record.with_suffix(".py").read_text(encoding="utf-8"))
    test = rendered("test_copy.py", name=name, paper=paper)
    return {f"{name}.py": method, f"{name}.toml": record.read_text(encoding="utf-8"), f"test_{name}.py": test}


def rendered(template: str, **values: str) -> str:
    """A template with its values."""
    loader = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    return environment.get_template(f"{template}.jinja").render(**values)


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
