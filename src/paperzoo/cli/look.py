"""Commands that look up: the catalogue, a paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from paperzoo import catalog
from paperzoo.cli.app import LOOK, Name, app
from paperzoo.errors import PaperzooError
from paperzoo.terminal import plain


@app.command("list", rich_help_panel=LOOK)
def list_command(
    task: Annotated[str | None, typer.Option(help="Only papers of this task.")] = None,
    family: Annotated[str | None, typer.Option(help="Only papers of this family.")] = None,
) -> None:
    """The papers in the catalogue."""
    _table(catalog.list_papers(task, family))


@app.command(rich_help_panel=LOOK)
def find(text: Annotated[str, typer.Argument(help="Part of a name, title, task or family.")]) -> None:
    """Papers whose name, title, task or family contains TEXT."""
    if matches := catalog.find(text):
        _table(matches)
        return
    raise PaperzooError(f"nothing in the catalogue contains {text!r}: `paperzoo list` shows all")


def _table(names: list[str]) -> None:
    rows = {name: catalog.CATALOG[name] for name in names}
    width, task = (max(map(len, texts), default=0) for texts in (names, [row.task for row in rows.values()]))
    for name, row in rows.items():
        print(f"{name:{width}}  {row.year}  {row.task:{task}}  {row.title}")


@app.command(rich_help_panel=LOOK)
def show(name: Name) -> None:
    """A paper: claims, recipes, deviations, and what was measured here."""
    from paperzoo.report.cards import card

    catalog.allow(name)
    print(card(name))


@app.command(rich_help_panel=LOOK)
def read(name: Name) -> None:
    """A paper's file, with its colours and in a pager on a terminal; no code of it runs."""
    from rich.console import Console
    from rich.syntax import Syntax

    texts = [_source(path) for path in catalog.files(name)]
    console = Console()
    if not console.is_terminal:
        print("\n\n".join(text.rstrip("\n") for text in texts))
        return
    with console.pager(styles=True):
        for text in texts:
            console.print(Syntax(text, "python", theme="ansi_dark", line_numbers=True))


def _source(path: Path) -> str:
    try:
        return plain(path.read_text(encoding="utf-8"), keep="\n\t")
    except UnicodeDecodeError as error:
        raise PaperzooError(f"{plain(path)} is no Python file: it is not UTF-8 text") from error
