"""Commands that use a trained model: ``sample`` and ``predict``, whose further options are the model's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from typer.core import TyperCommand

from paperzoo import catalog
from paperzoo.cli.app import USE, Code, Source, app, complain
from paperzoo.errors import PaperzooError
from paperzoo.files import path_of
from paperzoo.terminal import plain, rich_text

#: samples at a time
MOST_SAMPLES = 10_000
#: answers of a model that are named before it answers
SOME = 10


class OfModel(TyperCommand):
    """A command that takes, besides its own options, those of the model that it is given: they are kept as words in ``ctx.obj``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Sets aside the options that are not the command's own."""
        takes_value = {
            name: not getattr(p, "is_flag", False) for p in self.get_params(ctx) for name in (*p.opts, *p.secondary_opts)
        }
        kept: list[str] = []
        of_model: dict[str, str | None] = {}
        waiting, places = list(args), []
        while waiting:
            word = waiting.pop(0)
            name, sign, value = word.partition("=")
            if word == "--":
                kept += [word, *waiting]
                break
            if name in takes_value or not name.startswith("--"):
                kept.append(word)
                places += [word] if not word.startswith("-") else []
                if takes_value.get(name) and not sign and waiting:
                    kept.append(waiting.pop(0))
                continue
            if name in of_model:
                raise PaperzooError(f"{name} is given twice")
            of_model[name] = value if sign else waiting.pop(0) if waiting else None
        ctx.obj, ctx.meta["source"] = of_model, places[0] if places else ""
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
    """What ``sample`` or ``predict`` of a run's, a weights file's or a listed paper's model takes, a line an option."""
    from paperzoo.engine.weights import paper_of
    from paperzoo.tasks.options import options

    catalog.allow(source)
    function = getattr(catalog.load(paper_of(source)).model_class, verb, None)
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
    from paperzoo.report.ending import coloured, verdicts
    from paperzoo.tasks.options import values

    model = load(source, code or ())
    ask = getattr(model, "predict", None)
    if ask is None:
        raise PaperzooError(f"{source} is a model for {model.task}, which predicts nothing: try `paperzoo sample`")
    arguments = values(ask, ctx.obj, source, _own(ctx))
    console, failed = Console(soft_wrap=True), False
    knows = _knows(source, getattr(model, "names", ())) or verdicts(source)
    for item in inputs:
        try:
            answer = rich_text(ask(item, **arguments))
        except PaperzooError as error:
            if len(inputs) == 1:
                raise
            failed = True
            complain(error if plain(item) in plain(error) else f"{item}: {error}")
            continue
        if knows:
            Console(stderr=True, soft_wrap=True).print(coloured(knows), highlight=False)
            knows = ""
        if len(inputs) > 1:
            answer = Text(plain(item) + (":\n" if "\n" in answer.plain else ": ")).append_text(answer)
        console.print(answer, highlight=False)
    if failed:
        raise typer.Exit(2)


def _knows(source: str, names: Sequence[str]) -> str:
    """What a classifier can answer, in a line; empty for other models."""
    some = ", ".join(map(plain, names[:SOME])) + (", ..." if len(names) > SOME else "")
    if not names:
        return ""
    learnt = f", learnt from {plain(data)}," if (data := _learnt_from(source)) else ""
    return f"{plain(source)} knows {len(names):,} answers{learnt} and has one of them for whatever it is shown: {some}"


def _learnt_from(source: str) -> str:
    """The data that a run, or weights that ship, were trained on; empty where that is not written down."""
    from paperzoo.data.datasets import parse
    from paperzoo.engine import checkpoint
    from paperzoo.engine.run import open_run
    from paperzoo.engine.weights import shipped

    if (path_of(source) / "run.json").is_file():
        return parse(open_run(source).info["recipe"]["data"]).short
    try:
        path = Path(source) if source.endswith(".safetensors") else shipped(source)
        licence = str(checkpoint.read(path)[1].get("licence", ""))  # learnt from mnist: see LICENSES.md
    except PaperzooError:
        return ""
    return licence.removeprefix("learnt from ").partition(": see")[0] if licence.startswith("learnt from ") else ""
