"""Commands that train: ``train``, ``resume``, ``evaluate``, ``demo``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from paperzoo import catalog
from paperzoo.cli.app import TRAIN, Code, Devices, Name, On, Out, RunDirectory, Settings, Sharded, Workers, app
from paperzoo.cli.settings import parse_settings
from paperzoo.errors import PaperzooError
from paperzoo.terminal import plain

if TYPE_CHECKING:
    from paperzoo.engine.run import Run


@app.command(rich_help_panel=TRAIN)
def train(
    name: Name,
    recipe: Annotated[str, typer.Option(help="paper, small or smoke; `paperzoo show NAME` lists them.")] = "small",
    data: Annotated[
        str | None,
        typer.Option(help="Another data set, or your own: folder:PATH; text:, conll:, videos:, series: and machines:PATH too."),
    ] = None,
    init: Annotated[str | None, typer.Option(help="A run or weights file to start from.", metavar="RUN|FILE")] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights, order and chance.")] = 0,
    seeds: Annotated[
        str, typer.Option(help="Several: 0,1,2 or 0-4. What is finished is found again, what was interrupted goes on.", metavar="LIST")
    ] = "",
    folds: Annotated[int, typer.Option(help="Cross-validation, for few images: each is tested once, by a network new to it.")] = 0,
    out: Out = Path("runs"),
    devices: Devices = 1,
    sharded: Sharded = False,
    workers: Workers = 1,
    on: On = "local",
    strict: Annotated[bool, typer.Option("--strict", help="Refuse a folder with files that cannot be read.")] = False,
    code: Code = None,
    settings: Settings = None,
) -> None:
    """Train a paper by a recipe, measure it, and draw its report. The last line printed is the run's directory."""
    from paperzoo.engine.train import train

    overrides = {**parse_settings(settings or []), **({"strict": 1} if strict else {})}
    if not overrides and data is None and init is None:
        _expect(name, recipe, seed)
    if (workers != 1 or on != "local") and not seeds:
        raise PaperzooError("--workers and --on spread many runs: give --seeds too; one run is shared among processes by --devices")
    if sharded and (folds or seeds):
        raise PaperzooError(f"--sharded and --{'folds' if folds else 'seeds'} exclude each other: leave out one of them")
    if folds:
        from paperzoo.report.folds import of_folds, train_folds

        if seeds:
            raise PaperzooError("--folds and --seeds are given both: give one of them")
        catalog.allow(name)
        runs = train_folds(folds, name, recipe, data, init, seed, out, devices, overrides, code or ())
        for run in runs:
            _finish(run)
        print(of_folds(runs, out))
        return
    if seeds:
        from paperzoo.engine.seeds import parse, train_seeds
        from paperzoo.report.ending import of_seeds

        if seed:
            raise PaperzooError("--seed and --seeds are given both: give one of them")
        runs = train_seeds(parse(seeds), name, recipe, data, init, out, devices, overrides, code or (), workers, on)
        for run in runs:
            _finish(run)
        print(of_seeds(runs))
        return
    _finish(train(name, recipe, data, init, seed, out, devices, overrides, code or (), sharded))


def _expect(name: str, recipe: str, seed: int) -> None:
    """Says how long a recipe as it stands took where it was measured; nothing of one that never was, or that cannot be trained so."""
    from paperzoo.engine.job import resolve
    from paperzoo.engine.processes import first
    from paperzoo.report.ending import took

    catalog.allow(name)
    resolve(name, recipe, seed=seed)  # what is wrong is said alone
    if first() and (said := took(name, recipe)):
        print(said, file=sys.stderr, flush=True)


@app.command(rich_help_panel=TRAIN)
def resume(run: RunDirectory, devices: Devices = 1, sharded: Sharded = False, code: Code = None) -> None:
    """Go on with an interrupted run, from its newest good checkpoint."""
    from paperzoo.engine.train import resume

    _finish(resume(run, devices, code or (), sharded))


@app.command(rich_help_panel=TRAIN)
def evaluate(
    run: RunDirectory,
    split: Annotated[str, typer.Option(help="Which split of the run's data.")] = "test",
    data: Annotated[str | None, typer.Option(help="Other data of the same classes; default: the run's.")] = None,
    code: Code = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure a run's last checkpoint."""
    from paperzoo.engine.evaluate import evaluate

    metrics = evaluate(run, split, data, code or ())
    if as_json:
        print(json.dumps(metrics))
    else:
        for key, value in metrics.items():
            print(f"{plain(key)}: {value:.6g}")


@app.command(rich_help_panel=TRAIN)
def reproduce(
    data: Annotated[str, typer.Argument(help="What papers' claims are of: cifar10, ptb, conll2003, set5, mnist ...", metavar="DATA")],
    path: Annotated[
        Path | None, typer.Option("--data", help="Where you have it: its files by their published names, or one unpacked.", metavar="PATH")
    ] = None,
    paper: Annotated[Optional[list[str]], typer.Option(help="Only this paper or paper:variant.", metavar="NAME")] = None,  # noqa: UP045
    seeds: Annotated[str, typer.Option(help="0,1,2 or 0-4; a claim is met by three at least.", metavar="LIST")] = "0,1,2",
    only_list: Annotated[bool, typer.Option("--list", help="Print what would be trained, and train nothing.")] = False,
    cost: Annotated[bool, typer.Option("--cost", help="With --list: minutes on a GPU too, computed from a step's operations.")] = False,
    out: Out = Path("runs"),
    devices: Devices = 1,
    settings: Settings = None,
) -> None:
    """Train every recipe at a paper's own size whose claim is of these data, and print each figure beside the claim."""
    from paperzoo.engine.seeds import parse
    from paperzoo.report import reproduce as rows
    from paperzoo.report.reproduced import text

    chosen, numbers, overrides = rows.wanted(data, paper or ()), parse(seeds), parse_settings(settings or [])
    if path:
        for link in rows.place(chosen, path):
            print(f"linked {plain(link)}", file=sys.stderr)
    if only_list or cost:
        for row in chosen:
            took = f", {max(1, round(rows.minutes(row))):,} min a seed on a GPU (computed)" if cost else ""
            print(f"{row.command}  # {row.recipe.steps:,} steps on {row.recipe.data}{took}", flush=True)
            for target, claim in row.promised:
                print(f"    {target.metric}: the paper's {claim.value}, {claim.where}")
        return
    pairs = []
    for measured in rows.run(chosen, numbers, out, devices, overrides):
        pairs += measured
        print(text(measured).rpartition("\n\n")[0] + "\n", flush=True)
    print(text(pairs).rpartition("\n\n")[2])


@app.command(rich_help_panel=TRAIN)
def demo(
    steps: Annotated[int, typer.Option(help="How many; the small recipe itself takes 5,500.", min=1)] = 4000,
    out: Out = Path("runs"),
) -> None:
    """Train DCGAN on real MNIST for about two minutes, measure it, and show it."""
    from paperzoo.engine.train import train

    print(f"DCGAN on real handwritten digits, {steps:,} steps: 4,000 take about two minutes on two cores.", file=sys.stderr)
    run = train("dcgan", "small", out=out, overrides={"steps": steps})
    _finish(run, demonstrated=True)


def _finish(run: Run, demonstrated: bool = False) -> None:
    from rich.console import Console

    from paperzoo.engine.processes import first
    from paperzoo.report.ending import after_demo, coloured, ending, table
    from paperzoo.report.page import write_page

    if not first():  # of several processes that torchrun has started
        return
    page = write_page(run)
    Console(soft_wrap=True).print(coloured(f"{table(run) if demonstrated else ending(run)}\n"), highlight=False)
    for path in (p for p in run.figures if demonstrated or not p.stem[:8].isdigit()):
        print(path)
    print(page)
    print(f"\n{after_demo(run)}" if demonstrated else run.directory)
