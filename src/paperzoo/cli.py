"""The command line: the public functions of ``paperzoo``, one command each."""

from __future__ import annotations

import json
import os
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer
from typer.core import TyperCommand

from paperzoo import catalog
from paperzoo.errors import Interrupted, PaperzooError
from paperzoo.terminal import any_encoding, plain, rich_text

if TYPE_CHECKING:
    from paperzoo.engine.run import Run

app = typer.Typer(
    name="paperzoo",
    help="Landmark deep-learning papers: each one readable file, trained by one command, measured beside its own claim.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="List, fetch, verify and look at data sets.", no_args_is_help=True)
app.add_typer(data_app, name="data", rich_help_panel="Look up")

#: samples at a time
MOST_SAMPLES = 10_000

LOOK, TRAIN, USE, MAKE = "Look up", "Train", "Use", "Measure and publish"
Name = Annotated[str, typer.Argument(help="A paper, paper:variant, or the path of a file of your own.", metavar="NAME")]
RunDirectory = Annotated[Path, typer.Argument(help="A run's directory.", metavar="RUN")]
Source = Annotated[str, typer.Argument(help="A run, a weights file, or a paper whose weights ship.", metavar="RUN|FILE|NAME")]
Out = Annotated[Path, typer.Option(help="Folder below which the run's directory is made.")]
Devices = Annotated[int, typer.Option(help="Processes that share each batch.")]
Settings = Annotated[
    Optional[list[str]],  # noqa: UP045 (typer reads this at run time)
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override: model.width=32, optimizer.lr=1e-4, batch_size=64, steps=500 ..."
    ),
]
Code = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--code", help="The file of your own by which the run or weights were made; no other file's code runs.", metavar="FILE"),
]


def main() -> None:
    """Entry point: runs a command; user errors are one sentence on standard error and exit code 2."""
    any_encoding()
    warnings.showwarning = lambda message, *_: _complain(message)
    try:
        app()
    except Interrupted as stop:
        print(plain(stop), file=sys.stderr)
        sys.exit(130)
    except (PaperzooError, MemoryError) as error:
        _complain(str(error) or "there is not enough memory for this")
        sys.exit(2)
    except KeyboardInterrupt:
        print("paperzoo: stopped", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader of a pipe has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:  # a full disk, a name that is too long, a folder that may not be read
        _complain(f"{error.filename or 'output'}: {error.strerror or error}"[:500])
        sys.exit(2)


def _complain(what: object) -> None:
    print(f"paperzoo: {plain(what)}", file=sys.stderr)


def version(value: bool) -> None:
    """Prints the version and leaves."""
    if value:
        from paperzoo import __version__

        print(f"paperzoo {__version__}")
        raise typer.Exit


@app.callback()
def options(
    _: Annotated[
        bool, typer.Option("--version", callback=version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Landmark deep-learning papers: each one readable file, trained by one command, measured beside its own claim."""


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
    width = max(map(len, names), default=0)
    for name in names:
        row = catalog.CATALOG[name]
        print(f"{name:{width}}  {row.year}  {row.task:18}  {row.title}")


@app.command(rich_help_panel=LOOK)
def show(name: Name) -> None:
    """A paper: claims, recipes, deviations, and what was measured here."""
    from paperzoo.report.cards import card

    catalog.allow(name)
    print(card(name))


@app.command(rich_help_panel=MAKE)
def new(
    name: Annotated[str, typer.Argument(help="Name of the paper: lower-case letters, digits and _.")],
    folder: Annotated[Path, typer.Option(help="Where the file and its tests are written.")] = Path(),
) -> None:
    """Write a paper's skeleton, which trains as it stands: its method, its record, its tests."""
    from paperzoo.report.skeleton import write

    for path in write(name, folder):
        print(path)
    print(f"What is found goes to results/{name}: numbers by `paperzoo results --add RUN`, words by hand into notes.md")


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
    out: Out = Path("runs"),
    devices: Devices = 1,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse a folder with files that cannot be read.")] = False,
    code: Code = None,
    settings: Settings = None,
) -> None:
    """Train a paper by a recipe, measure it, and draw its report. The last line printed is the run's directory."""
    from paperzoo.engine.train import train

    overrides = {**parse_settings(settings or []), **({"strict": 1} if strict else {})}
    _finish(train(name, recipe, data, init, seed, out, devices, overrides, code or ()))


@app.command(rich_help_panel=TRAIN)
def resume(run: RunDirectory, devices: Devices = 1, code: Code = None) -> None:
    """Go on with an interrupted run, from its newest good checkpoint."""
    from paperzoo.engine.train import resume

    _finish(resume(run, devices, code or ()))


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


class OfModel(TyperCommand):
    """A command that takes, besides its own options, those of the model that it is given: they are kept as words in ``ctx.obj``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Sets aside the options that are not the command's own."""
        own = {name: not getattr(p, "is_flag", False) for p in self.get_params(ctx) for name in (*p.opts, *p.secondary_opts)}
        kept: list[str] = []
        asked: dict[str, str | None] = {}
        waiting, places = list(args), []
        while waiting:
            word = waiting.pop(0)
            name, sign, value = word.partition("=")
            if word == "--":
                kept += [word, *waiting]
                break
            if name in own or not name.startswith("--"):
                kept.append(word)
                places += [word] if not word.startswith("-") else []
                if own.get(name) and not sign and waiting:
                    kept.append(waiting.pop(0))
                continue
            if name in asked:
                raise PaperzooError(f"{name} is given twice")
            asked[name] = value if sign else waiting.pop(0) if waiting else None
        ctx.obj, ctx.meta["source"] = asked, places[0] if places else ""
        return super().parse_args(ctx, kept)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Also says what the model that is named takes."""
        super().format_help(ctx, formatter)
        source = ctx.meta.get("source")
        formatter.write(_more(source, str(self.name)) if source else f"What else a model takes: paperzoo {self.name} NAME --help\n")


def _own(ctx: typer.Context) -> list[str]:
    """The command's own options."""
    return [name for parameter in ctx.command.params for name in parameter.opts if name.startswith("--")]


def _more(source: str, verb: str) -> str:
    """What ``sample`` or ``predict`` of a run's or a listed paper's model takes, a line an option."""
    from paperzoo.engine.run import read_json
    from paperzoo.tasks.options import options

    record = Path(source) / "run.json"
    catalog.allow(source)
    function = getattr(catalog.load(read_json(record)["name"] if record.is_file() else source).model_class, verb, None)
    if function is None:
        return f"{source} has nothing to {verb}.\n"
    lines = [f"  --{name.replace('_', '-')}  {option.about or option.wanted()}" for name, option in options(function).items()]
    return "\n".join([f"{source} also takes:", *lines, ""]) if lines else f"{source} takes no other options.\n"


@app.command(rich_help_panel=USE, cls=OfModel)
def sample(
    ctx: typer.Context,
    source: Source,
    items: Annotated[Optional[int], typer.Option("-n", help="How many samples; default: as the task has it.")] = None,  # noqa: UP045
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("samples.png"),
    code: Code = None,
) -> None:
    """Draw samples from a trained generator and write them as a picture or table, or print them if they are text.

    What else can be asked for is said by the model: the class of a conditional one by --label, the beginning of a text by --prompt.
    """
    from paperzoo.engine.weights import load
    from paperzoo.tasks.options import values

    if items is not None and not 1 <= items <= MOST_SAMPLES:
        raise PaperzooError(f"-n is a whole number from 1 to {MOST_SAMPLES}, not {items}")
    if not 0 <= seed < 2**63:
        raise PaperzooError(f"--seed is a whole number from 0 to {2**63 - 1}, not {seed}")
    model = load(source, code or ())
    task = model.able("samples")
    if task is None:
        raise PaperzooError(f"{source} is a model for {model.task}, which draws no samples: try `paperzoo predict`")
    draw: Callable[..., Any] = getattr(model, "sample")  # noqa: B009  (a task that samples has it)
    arguments = {**task.usual, **values(draw, ctx.obj, source, _own(ctx)), "seed": seed, **({} if items is None else {"items": items})}
    print(task.write(draw(**arguments), out))


@app.command(rich_help_panel=USE, cls=OfModel)
def predict(
    ctx: typer.Context,
    source: Source,
    inputs: Annotated[list[str], typer.Argument(help="Images by path, or sentences, or words, as the task wants.")],
    code: Code = None,
) -> None:
    """Ask a trained model. Of several inputs each answer names its own; one that cannot be read does not lose the others.

    What else can be said is said by the model: the class of an image by --label, for one that must be told it.
    """
    from rich.console import Console
    from rich.text import Text

    from paperzoo.engine.weights import load
    from paperzoo.tasks.options import values

    model = load(source, code or ())
    ask = getattr(model, "predict", None)
    if ask is None:
        raise PaperzooError(f"{source} is a model for {model.task}, which predicts nothing: try `paperzoo sample`")
    arguments = values(ask, ctx.obj, source, _own(ctx))
    console, failed = Console(soft_wrap=True), False
    for item in inputs:
        try:
            answer = rich_text(ask(item, **arguments))
        except PaperzooError as error:
            if len(inputs) == 1:
                raise
            failed = True
            _complain(error if plain(item) in plain(error) else f"{item}: {error}")
            continue
        if len(inputs) > 1:
            answer = Text(plain(item) + (":\n" if "\n" in answer.plain else ": ")).append_text(answer)
        console.print(answer, highlight=False)
    if failed:
        raise typer.Exit(2)


@app.command(rich_help_panel=MAKE)
def compare(
    names: Annotated[Optional[list[str]], typer.Argument(help="Two or more papers.", metavar="NAME NAME ...")] = None,  # noqa: UP045
    family: Annotated[str, typer.Option(help="All papers of a family whose task and data agree, as gan.")] = "",
    data: Annotated[str | None, typer.Option(help="One data set for all; default: the first paper's.")] = None,
    seeds: Annotated[int, typer.Option(help="Seeds 0, 1, ... for each.")] = 3,
    seconds: Annotated[float, typer.Option(help="Training time for each; turned into steps once, by 20 timed ones.")] = 60.0,
    recipe: Annotated[str, typer.Option(help="Recipe to start from.")] = "small",
    out: Out = Path("runs"),
) -> None:
    """Train several papers on the same data for equal time, and write a table with mean and spread, and a picture."""
    from paperzoo.report.compare import compare, relatives

    chosen = [*(names or []), *(relatives(family, data, recipe, names or []) if family else [])]
    print(compare(chosen, data, seeds, seconds, recipe, out))


@app.command(rich_help_panel=MAKE)
def study(
    name: Annotated[str, typer.Argument(help="A study, or `list`.", metavar="NAME|list")],
    quick: Annotated[bool, typer.Option(help="A minute or two on data inside scikit-learn; the figures mean nothing.")] = False,
    workers: Annotated[int, typer.Option(help="Trainings at a time.")] = 1,
    on: Annotated[str, typer.Option(help="local, or ray: the cluster of RAY_ADDRESS, else a Ray of this machine.")] = "local",
    data: Annotated[str, typer.Option(help="The same analysis of your own: features takes raphael:FOLDER.", metavar="KIND:PATH")] = "",
    record: Annotated[bool, typer.Option(help="Keep table and figure in results/studies (in a checkout).")] = False,
    out: Out = Path("runs/studies"),
) -> None:
    """Run an experiment over several papers: one figure, one finding. Finished trainings are found again."""
    from paperzoo.report import study as studies

    if name == "list":
        for one in studies.names():
            print(f"{one:16} {studies.load(one).TITLE}")
        return
    if record and quick:
        raise PaperzooError("--record keeps what a whole study found: leave out --quick")
    if data:
        print(studies.own(name, data))
        return
    print(studies.run(name, quick, workers, on, out))
    for path in studies.record(name, out) if record else ():
        print(path)


@app.command(rich_help_panel=MAKE)
def results(
    as_json: Annotated[bool, typer.Option("--json", help="Print every Result as a list of objects.")] = False,
    add: Annotated[Optional[list[Path]], typer.Option(help="Record this finished run.", metavar="RUN")] = None,  # noqa: UP045
    ship: Annotated[Path | None, typer.Option(help="Write this run's weights as those that ship.", metavar="RUN")] = None,
    write: Annotated[bool, typer.Option(help="Write the tables in README and docs (in a checkout).")] = False,
    recheck: Annotated[str, typer.Option(help="Compare the first losses of this paper with the recorded ones.", metavar="NAME")] = "",
    recipe: Annotated[str, typer.Option(help="With --recheck: only this recipe.")] = "",
) -> None:
    """What was measured here, beside what the papers claim."""
    from paperzoo import results as store
    from paperzoo.report.tables import text_table, write_tables

    for run in add or []:
        print(store.add(run))
    if ship:
        print(store.ship(ship))
    for line in store.check_again(recheck, recipe) if recheck else ():
        print(line, flush=True)
    if write:
        for path in write_tables():
            print(path)
    elif as_json:
        print(json.dumps(store.rows(), indent=1))
    elif not add and not ship and not recheck:
        print(text_table(store.rows()))


@app.command(rich_help_panel=MAKE)
def report(run: RunDirectory, code: Code = None) -> None:
    """Write a run's report: one HTML file with curves, pictures and numbers."""
    from paperzoo.engine.run import open_run
    from paperzoo.report.page import write_page

    catalog.allow(*(code or ()))
    print(write_page(open_run(run)))


@app.command(rich_help_panel=TRAIN)
def demo(
    steps: Annotated[int, typer.Option(help="How many; the small recipe itself takes 7,000.", min=1)] = 4000,
    out: Out = Path("runs"),
) -> None:
    """Train DCGAN on real MNIST for about two minutes, measure it, and show it."""
    from paperzoo.engine.train import train

    print(f"DCGAN on real handwritten digits, {steps:,} steps: 4,000 take about two minutes on two cores.", file=sys.stderr)
    run = train("dcgan", "small", out=out, overrides={"steps": steps})
    _finish(run, every_picture=True)


@data_app.command("list")
def data_list() -> None:
    """The data sets and their licences."""
    from paperzoo.data.datasets import DATASETS, OWN

    for name, entry in DATASETS.items():
        licence = entry.licence or "ships with the package or is made by formula"
        print(f"{name:14} {entry.about}; {licence}")
    for name, own in OWN.items():
        print(f"{name + ':PATH':14} {own.about}; yours")


@data_app.command("show")
def data_show(
    name: Annotated[str, typer.Argument(help="A data set.")],
    out: Annotated[Path | None, typer.Option(help="Where to write a contact sheet; default: NAME.png.")] = None,
) -> None:
    """A data set's splits, schema and licence, and a contact sheet if it holds images."""
    import numpy as np
    import torch

    from paperzoo.data.datasets import dataset
    from paperzoo.tasks.pictures import grid, save

    built = dataset(name)
    print(f"{plain(built.name)}: {plain(built.source)}\nlicence: {built.licence}")
    for split, items in built.splits.items():
        print(f"  {split}: {' and '.join(f'{n:,}' for n in items.lengths)} items")
    print("fields: " + ", ".join(built.schema.fields))
    for key, value in built.schema.arguments.items():
        print(plain(f"{key}: {value if not isinstance(value, tuple) else f'{len(value):,} entries, first {list(value[:8])}'}"))
    stem = re.sub(r"[:>,]", "-", name).replace("/", "_")[-200:]
    if "image_a" in built.schema.fields:
        items = built["train"]
        pairs = "train" in built.schema.arguments["paired"]
        columns = min(5 if pairs else 10, *items.lengths)
        rows = min(50 if pairs else 10, *items.lengths)
        numbers = np.array([[i * n // rows for n in items.lengths] for i in range(rows)])
        first = items.batch(numbers.squeeze(1) if len(items.lengths) == 1 else numbers)
        shown = torch.cat([first.image_a, first.image_b], 3 if pairs else 0)  # side by side, or a row of each
        print(plain(save(grid(shown, columns), out or Path(f"{stem}.png"))))
    elif "image" in built.schema.fields:
        items = built["train" if "train" in built.splits else "test"]
        chosen = [i * len(items) // 100 for i in range(100)] if len(items) > 100 else range(len(items))
        shown = items.batch(chosen).image
        if "labelled" in built.schema.fields:  # the few that have a label, class by class
            partners = items.batch(range(min(100, len(items))))
            shown = partners.labelled[partners.label.argsort(stable=True)]
        print(plain(save(grid(shown, 10), out or Path(f"{stem}.png"))))
    elif "high" in built.schema.fields:
        items = built["train" if "train" in built.splits else "test"]
        some = [items.batch([i]) for i in range(min(len(items), 25))]
        large = [torch.nn.functional.interpolate(one.low, one.high.shape[2:], mode="nearest") for one in some]
        side = min(min(one.high.shape[2:]) for one in some)
        parts = [torch.cat([part[..., :side, :side] for part in (low, one.high)], 3) for low, one in zip(large, some, strict=True)]
        print(plain(save(grid(torch.cat(parts), 5), out or Path(f"{stem}.png"))))
    else:
        print(f"first item: {plain(built['train'][0], keep=chr(10))}")


@data_app.command("fetch")
def data_fetch(names: Annotated[list[str], typer.Argument(help="Data sets.")]) -> None:
    """Fetch data sets into the cache ahead of time."""
    from paperzoo.data.datasets import check_name, dataset, listed

    for name in names:
        check_name(name)
    for name in names:
        entry = listed(name)
        if entry and entry.sources:
            for source in entry.sources:
                print(source.fetch())
        else:
            print(f"{name}: nothing to fetch ({dataset(name).source})")


@data_app.command("verify")
def data_verify() -> None:
    """Check every file that was fetched, put into the cache by hand, or installed, against its hash."""
    from paperzoo.data.datasets import sources
    from paperzoo.data.fetch.sources import cache
    from paperzoo.data.fetch.weights import weights

    wrong = []
    cache()
    for source in [*sources().values(), *weights()]:
        try:
            path = source.path
            there = path.exists()
            if there:
                source.verify(path, again=True)
        except (PaperzooError, OSError) as error:
            absent = source.transport == "installed" and "not installed" in str(error)
            print(f"{source.name}: {'not installed' if absent else error}")
            wrong += [] if absent else [source.name]
            continue
        good = f"good, but for this: {source.unpinned}" if source.unpinned and source.transport != "installed" else "good"
        print(f"{source.name}: {good if there else 'not fetched'}")
    if wrong:
        raise PaperzooError(f"not as they should be: {', '.join(wrong)}; the lines above say what to do")


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


def _finish(run: Run, every_picture: bool = False) -> None:
    from paperzoo.engine.processes import first
    from paperzoo.report.page import write_page

    if not first():  # of several processes that torchrun has started
        return
    page = write_page(run)
    for path in run.figures if every_picture else [p for p in run.figures if not p.stem[:8].isdigit()]:
        print(path)
    print(page)
    print(run.directory)


if __name__ == "__main__":
    main()
