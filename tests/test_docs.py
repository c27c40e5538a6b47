"""What README and guides tell a reader to type is what the command line takes: commands, options, papers, recipes, settings, studies."""

from __future__ import annotations

import inspect
import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from paperzoo import catalog
from paperzoo.cli.app import command
from paperzoo.cli.settings import parse_settings
from paperzoo.data import datasets
from paperzoo.engine.job import resolve
from paperzoo.report.compare import STEPS, relatives
from paperzoo.studies import titles

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
#: words that stand for a reader's own: RUN, NAME, my_paper.py, runs/..., lenet2 (which CONTRIBUTING.md has just written)
OWN = re.compile(r"[A-Z]{3,}|.*\.py|runs/.*|lenet2|my_\w+|\.\.\.")


def written() -> list[tuple[str, str]]:
    """Every command in a block or in a line of text, with the page it is first on."""
    found: dict[str, str] = {}
    for page in PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        spans = [line for block in re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S) for line in block.splitlines()]
        spans += re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)
        for span in spans:
            match = re.match(r"\s*(?:\$ )?(?:\.venv/bin/)?paperzoo (\w.*)", span)
            if match:
                found.setdefault(match[1].strip(), str(page.relative_to(ROOT)))
    return sorted(found.items())


WRITTEN = written()


@cache
def options(command: str) -> set[str]:
    """What the models of the collection add to a command."""
    methods = [getattr(catalog.load(name).model_class, command, None) for name in catalog.list_papers()]
    return {f"--{name}" for method in filter(None, methods) for name in inspect.signature(method).parameters}


def test_the_pages_have_commands() -> None:
    assert len(WRITTEN) > 150
    assert {line.split()[0] for line, _ in WRITTEN} >= {"train", "sample", "predict", "compare", "study", "results", "export", "data"}


@pytest.mark.parametrize(("line", "page"), WRITTEN, ids=[line[:60] for line, _ in WRITTEN])
def test_a_command_of_a_page_is_taken(line: str, page: str) -> None:
    words = shlex.split(line, comments=True)
    group: Any = command()
    parents: list[str] = []
    while words and hasattr(group, "commands") and words[0] in group.commands:
        parents.append(group.name)
        group = group.commands[words.pop(0)]
    assert not hasattr(group, "commands") or words[:1] in ([], ["--help"]), f"{page}: no such command"
    if hasattr(group, "commands") or "--help" in words:
        return
    if group.name in ("predict", "sample"):  # the model has options of its own: RUN's, which is not there, are one model's or another's
        own = {option for parameter in group.params for option in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= own | options(group.name), page
    else:
        context = group.context_class(group, info_name=group.name, **group.context_settings)
        group.make_parser(context).parse_args(list(words))  # an unknown option is refused
    given = group.make_context(group.name, list(words), resilient_parsing=True).params  # RUN and FILE need not be there
    name, data = str(given.get("name") or given.get("source") or ""), given.get("data")
    if parents[-1:] == ["data"]:
        name, data = "", name
    if group.name == "study":
        assert name in ("", *titles()), page
        name, data = "", None
    if name and not OWN.fullmatch(name) and not Path(name).suffix:
        entry = catalog.load(name)
        assert group.name not in ("predict", "sample") or hasattr(entry.model_class, group.name), f"{page}: {name} has no {group.name}"
        if group.name == "train" and not OWN.fullmatch(str(given["recipe"])):
            resolve(name, given["recipe"], overrides=parse_settings(given.get("settings") or []))
    if data and not OWN.fullmatch(data) and not data.startswith("~"):
        there = datasets.parse(data)
        assert there.kind or there.base in datasets.DATASETS, f"{page}: no data {data}"
    if group.name == "compare":
        for each in [*given["names"], *(relatives(given["family"], "digits", given["recipe"]) if given["family"] else ())]:
            resolve(each, given["recipe"], overrides={"steps": STEPS})
