"""Commands that measure and publish: ``new``, ``export``, ``card``, ``gallery``, ``compare``, ``study``, ``results``, ``report``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Optional

import typer

from paperzoo import catalog
from paperzoo.cli.app import MAKE, Code, On, Out, RunDirectory, Source, Workers, app
from paperzoo.errors import PaperzooError, unknown
from paperzoo.terminal import plain


@app.command(rich_help_panel=MAKE)
def new(
    name: Annotated[str, typer.Argument(help="Name of the paper: lower-case letters, digits and _.")],
    folder: Annotated[Path, typer.Option(help="Where the file and its tests are written.")] = Path(),
    source: Annotated[str, typer.Option("--from", help="A paper to start from; default: a small network.", metavar="PAPER")] = "",
) -> None:
    """Write a paper's skeleton, which trains as it stands: its method, its record, its tests."""
    from paperzoo.report.skeleton import write

    for path in (paths := write(name, folder, source)):
        print(path)
    print(f"Train it: paperzoo train {paths[0] if paths[0].is_absolute() else f'./{paths[0]}'} --recipe smoke")
    print(f"What is found goes to results/{name}: numbers by `paperzoo results --add RUN`, words by hand into notes.md")


@app.command(rich_help_panel=MAKE)
def export(
    source: Source,
    to: Annotated[str, typer.Option(help="onnx, which other programs read; torch, torch's own exported program; or litert.")] = "onnx",
    precision: Annotated[str, typer.Option(help="float32, or float16: weights of half the length, for onnx.")] = "float32",
    out: Annotated[Path | None, typer.Option(help="The file to write; default: the paper's name.")] = None,
    items: Annotated[int, typer.Option(help="For litert: how many items the file takes at a time.")] = 1,
    code: Code = None,
) -> None:
    """Take a trained network out of Python: a file that other programs run, compared with the model before it is kept."""
    from paperzoo.engine.export import ENDS, graph_of, use
    from paperzoo.engine.export import export as write_graph
    from paperzoo.engine.weights import load

    if to not in (*ENDS, "litert"):
        raise unknown("format", to, (*ENDS, "litert"))
    if precision not in ("float32", "float16"):
        raise unknown("precision", precision, ("float32", "float16"))
    model = load(source, code or ())
    if to == "litert":
        from paperzoo.engine import litert

        if precision != "float32":
            raise PaperzooError("LiteRT files keep weights in float32: float16 is for onnx")
        written = litert.export(model, graph_of(model), out or Path(model.name.replace(":", "-")), items)
        print(f"{plain(written)}\n\n{litert.use(written, graph_of(model))}")
        return
    path = write_graph(model, out or Path(model.name.replace(":", "-")), to, precision)  # type: ignore[arg-type]
    print(f"{plain(path)}\n\n{use(path, graph_of(model), to)}")  # type: ignore[arg-type]


@app.command(rich_help_panel=MAKE)
def card(
    source: Source,
    out: Annotated[Path, typer.Argument(help="The folder to write.")],
    code: Code = None,
) -> None:
    """Write a trained model as a folder for a hub of models: weights, config, a graph if it has one, and a page with its figures."""
    from paperzoo.report.hub import folder

    for path in folder(source, out, tuple(code or ())):
        print(plain(path))
    print(f"\nUse it: paperzoo.load({str(out)!r})\nUpload it: hf upload OWNER/NAME {plain(out)}")


@app.command(rich_help_panel=MAKE)
def gallery(
    out: Annotated[Optional[Path], typer.Argument(help="The folder to write; default: one of the cache, with --open.")] = None,  # noqa: UP045
    run: Annotated[Optional[list[str]], typer.Option(help="A run or weights file to add; may be repeated.", metavar="RUN")] = None,  # noqa: UP045
    only: Annotated[Optional[list[str]], typer.Option(help="Only this paper; may be repeated.", metavar="NAME")] = None,  # noqa: UP045
    opened: Annotated[bool, typer.Option("--open", help="Serve it on 127.0.0.1 and open it in the browser.")] = False,
    port: Annotated[int, typer.Option(help="Of the server; 0: any that is free.", min=0, max=65535)] = 0,
    examples: Annotated[bool, typer.Option(help="Show pictures of the test data, which may have to be fetched.")] = True,
    code: Code = None,
) -> None:
    """Write a static site on which every model that ships runs in the visitor's browser, or open it."""
    from paperzoo.data.fetch.sources import cache
    from paperzoo.report.gallery import build, serve

    if out is None and not opened:
        raise PaperzooError("name the folder to write the gallery to, or add --open to look at it")
    folder = out or cache() / "gallery"
    print(f"{len(rooms := build(folder, only or (), run or (), code or (), examples=examples))} rooms: {', '.join(map(plain, rooms))}")
    print(plain(folder))
    if opened:
        serve(folder, port)


@app.command(rich_help_panel=MAKE)
def compare(
    names: Annotated[Optional[list[str]], typer.Argument(help="Two or more papers.", metavar="NAME NAME ...")] = None,  # noqa: UP045
    family: Annotated[str, typer.Option(help="All papers of a family whose task and data agree, as gan.")] = "",
    data: Annotated[str | None, typer.Option(help="One data set for all; default: the first paper's.")] = None,
    seeds: Annotated[int, typer.Option(help="Seeds 0, 1, ... for each.")] = 3,
    seconds: Annotated[float, typer.Option(help="Training time for each; turned into steps once, by 20 timed ones.")] = 60.0,
    recipe: Annotated[str, typer.Option(help="Recipe to start from.")] = "small",
    workers: Workers = 1,
    on: On = "local",
    out: Out = Path("runs"),
) -> None:
    """Train several papers on the same data for equal time, and write a table with mean and spread, and a picture."""
    from paperzoo.report.compare import compare, relatives

    chosen = [*(names or []), *(relatives(family, data, recipe, names or []) if family else [])]
    print(compare(chosen, data, seeds, seconds, recipe, out, workers, on))


@app.command(rich_help_panel=MAKE)
def study(
    name: Annotated[str, typer.Argument(help="A study, or `list`.", metavar="NAME|list")],
    quick: Annotated[bool, typer.Option(help="A minute or two on data inside scikit-learn; the figures mean nothing.")] = False,
    workers: Workers = 1,
    on: On = "local",
    data: Annotated[str, typer.Option(help="The same analysis of your own: features takes raphael:FOLDER.", metavar="KIND:PATH")] = "",
    budget: Annotated[Optional[float], typer.Option(help="Of each arm of a search, in the study's unit.")] = None,  # noqa: UP045
    record: Annotated[bool, typer.Option(help="Keep table and figure in results/studies (in a checkout).")] = False,
    out: Out = Path("runs/studies"),
) -> None:
    """Run an experiment over several papers: one figure, one finding. Finished trainings are found again."""
    if name == "list":
        from paperzoo.studies import titles

        for one, title in titles().items():
            print(f"{one:16} {title}")
        return
    from paperzoo.report import study as studies

    if record and quick:
        raise PaperzooError("--record keeps what a whole study found: leave out --quick")
    if data:
        print(studies.own(name, data))
        return
    print(studies.run(name, quick, workers, on, out, budget))
    for path in studies.record(name, out) if record else ():
        print(path)


@app.command(rich_help_panel=MAKE)
def results(
    name: Annotated[Optional[str], typer.Argument(help="Only this paper, or paper:variant.", metavar="NAME")] = None,  # noqa: UP045
    status: Annotated[str, typer.Option(help="Only rows of this status: reproduced, scaled, missed, stale, unverified, measured.")] = "",
    reproduced: Annotated[bool, typer.Option(help="Only papers' own claims that a recipe at the paper's size was run for.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print every Result as a list of objects.")] = False,
    add: Annotated[Optional[list[Path]], typer.Option(help="Record this finished run.", metavar="RUN")] = None,  # noqa: UP045
    pictures: Annotated[Path | None, typer.Option(help="Keep this recorded run's pictures, such as redrawn ones.", metavar="RUN")] = None,
    ship: Annotated[Path | None, typer.Option(help="Write this run's weights as those that ship.", metavar="RUN")] = None,
    write: Annotated[bool, typer.Option(help="Write the tables in README and docs (in a checkout).")] = False,
    recheck: Annotated[str, typer.Option(help="Compare the first losses of this paper with the recorded ones.", metavar="NAME")] = "",
    recipe: Annotated[str, typer.Option(help="With --recheck: only this recipe.")] = "",
) -> None:
    """What was measured here, beside what the papers claim."""
    from paperzoo import results as store
    from paperzoo.report.tables import chosen, text_blocks, write_tables

    for run in add or []:
        print(store.add(run))
    for path in store.add_pictures(pictures) if pictures else ():
        print(path)
    if ship:
        print(store.ship(ship))
    for line in store.check_again(recheck, recipe) if recheck else ():
        print(line, flush=True)
    if write:
        for path in write_tables():
            print(path)
    elif reproduced:
        from paperzoo.report import sizes
        from paperzoo.report.reproduced import pairs, text

        print(text(pairs(chosen(store.rows(), name, status))))
        if not status and (counts := sizes.counts(name)):
            print(f"\nSizes, counted and not trained:\n{sizes.text(counts)}")
    elif as_json:
        print(json.dumps(chosen(store.rows(), name, status), indent=1))
    elif name or not (add or pictures or ship or recheck):
        print(text_blocks(chosen(store.rows(), name, status)))


@app.command(rich_help_panel=MAKE)
def report(
    run: RunDirectory,
    redraw: Annotated[bool, typer.Option(help="Draw the pictures of the trained network anew first.")] = False,
    code: Code = None,
) -> None:
    """Write a run's report: one HTML file with curves, pictures and numbers."""
    from paperzoo.engine.run import open_run
    from paperzoo.report.page import write_page

    catalog.allow(*(code or ()))
    if redraw:
        from paperzoo.engine.evaluate import redraw as draw

        for path in draw(open_run(run)):
            print(path)
    print(write_page(open_run(run)))
