"""What a training ends with on a terminal: its figures beside what was promised, and what can be done next."""

from __future__ import annotations

import shlex
import shutil
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from paperzoo import catalog, results
from paperzoo.catalog import Entry
from paperzoo.engine.run import Run, job_of, open_run
from paperzoo.errors import PaperzooError
from paperzoo.records import Target
from paperzoo.terminal import plain

if TYPE_CHECKING:
    from rich.text import Text


def ending(run: Run) -> str:
    """The table of a run's metrics, and the commands that come next."""
    return "\n".join([table(run), "", *_next(job_of(run).entry, run)])


def table(run: Run) -> str:
    """A run's metrics, with targets if the recipe is as the catalogue has it, and what the model's tasks say of them."""
    job = job_of(run)
    entry, info = job.entry, run.info
    listed = entry.paper.recipes.get(job.recipe_name)
    targets = listed.targets_of(entry.variant) if listed and not info.get("overrides") and not job.init else ()
    rows = [("metric", "value", "target")] + [_row(name, value, targets) for name, value in run.metrics.items()]
    shown = [row[:2] for row in rows] if all(not row[2] for row in rows[1:]) else rows
    said = verdicts(run.directory)
    return "\n".join(["", *columns(shown), *(["", said] if said else [])])


def verdicts(directory: str | Path) -> str:
    """What the tasks of a finished run's model say of its figures; empty for what is no run, or has not finished."""
    if not (Path(directory) / "result.json").is_file():
        return ""
    run = open_run(directory)
    return "\n".join(line for task in job_of(run).entry.model_class.tasks if (line := task.verdict(run.metrics)))


def coloured(text: str) -> Text:
    """The same for a terminal: what is met in green, what is missed or worse in red."""
    from rich.text import Text

    shown = Text(text)
    shown.highlight_regex(r"(?m): met\b", "green")
    shown.highlight_regex(r"(?m): missed\b|^Worse than .*$", "bold red")
    return shown


def took(name: str, recipe: str) -> str:
    """How long a recipe took where it was measured, in a line; empty for one that never was, and for a name or recipe that there is not."""
    try:
        entry = catalog.load(name)
        full, _ = entry.recipe(recipe)
    except PaperzooError:  # the training itself says what is wrong
        return ""
    measured = results.took(entry.name, full)
    return f"{entry.name}, {full}: {minutes(measured[0])} where it was measured ({measured[1]})" if measured else ""


def minutes(seconds: float) -> str:
    """``40 seconds``, ``6 minutes``, ``3.2 hours``."""
    if seconds < 90:
        return f"{max(2, round(seconds))} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def of_seeds(runs: Sequence[Run]) -> str:
    """The table of several seeds: mean and standard deviation of each metric, and the runs."""
    names = dict.fromkeys(name for run in runs for name in run.metrics)
    rows = [("metric", "mean", "deviation", "seeds")]
    for name in names:
        values = [run.metrics[name] for run in runs if name in run.metrics]
        spread = f"{statistics.stdev(values):.2g}" if len(values) > 1 else ""
        rows.append((plain(name), f"{statistics.fmean(values):.4g}", spread, str(len(values))))
    return "\n".join(["", *columns(rows), "", *(plain(run.directory) for run in runs)])


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _row(name: str, value: float, wanted: tuple[Target, ...]) -> tuple[str, str, str]:
    """A metric, its value, and each target that needs no other run, met or missed by this one seed."""
    targets = [t for t in wanted if t.metric == name and not t.than]
    return plain(name), f"{value:.4g}", "; ".join(f"{target}: {'met' if target.met(value) else 'missed'}" for target in targets)


def program() -> str:
    """What to type for ``paperzoo``: the word, or the path by which it was started where no shell finds the word."""
    started = Path(sys.argv[0])
    return "paperzoo" if started.name != "paperzoo" or shutil.which("paperzoo") else shlex.quote(str(started))


def _input(fields: set[str]) -> str:
    """A placeholder for the user's own input, by the fields of the data that the model was trained on."""
    for name, example in (("history", "SERIES.csv"), ("readings", "LOG.csv"), ("video", "CLIP.gif"), ("image", "PICTURE.png")):
        if name in fields:
            return example
    if fields & {"low", "image_a"}:
        return "PICTURE.png"
    return '"words of yours"' if fields & {"tokens", "texts"} else "INPUT"


def after_demo(run: Run) -> str:
    """The commands that come after the demonstration: sample, have what was sampled read, train on pictures of one's own."""
    place = shlex.quote(str(run.directory))
    commands = {
        f"{program()} sample {place} -n 1 --out digit.png": "draws a digit",
        f"{program()} predict lenet digit.png": "reads it",
        f"{program()} train dcgan --data folder:PICTURES": "learns from a folder of your own, in place of PICTURES",
    }
    width = max(map(len, commands))
    return "\n".join(f"{'next:' if i == 0 else '':5} {c:{width}}  # {about}" for i, (c, about) in enumerate(commands.items()))


def _next(entry: Entry, run: Run) -> list[str]:
    place = shlex.quote(str(run.directory))
    model = entry.model_class
    commands = []
    if any(task.samples for task in model.tasks):
        commands.append(f"{program()} sample {place}")
    if hasattr(model, "predict"):
        commands.append(f"{program()} predict {place} {_input({field for task in model.tasks for field in task.needs})}")
    return [f"{'next:' if i == 0 else '':5} {command}" for i, command in enumerate([*commands, f"{program()} report {place}"])]
