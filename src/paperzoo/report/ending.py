"""What a training ends with on a terminal: its figures beside what was promised, and what can be done next."""

from __future__ import annotations

import shlex
import shutil
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from paperzoo.catalog import Entry
from paperzoo.engine.run import Run, job_of
from paperzoo.records import Target
from paperzoo.terminal import plain


def ending(run: Run) -> str:
    """The table of metrics, with targets if the recipe is as the catalogue has it, and the commands that come next."""
    job = job_of(run)
    entry, info = job.entry, run.info
    listed = entry.paper.recipes.get(job.recipe_name)
    asked = listed.targets_of(entry.variant) if listed and not info.get("overrides") and not job.init else ()
    rows = [("metric", "value", "target")] + [_row(name, value, asked) for name, value in run.metrics.items()]
    shown = [row[:2] for row in rows] if all(not row[2] for row in rows[1:]) else rows
    return "\n".join(["", *_columns(shown), "", *_next(entry, run)])


def of_seeds(runs: Sequence[Run]) -> str:
    """The table of several seeds: mean and standard deviation of each metric, and the runs."""
    names = dict.fromkeys(name for run in runs for name in run.metrics)
    rows = [("metric", "mean", "deviation", "seeds")]
    for name in names:
        values = [run.metrics[name] for run in runs if name in run.metrics]
        spread = f"{statistics.stdev(values):.2g}" if len(values) > 1 else ""
        rows.append((plain(name), f"{statistics.fmean(values):.4g}", spread, str(len(values))))
    return "\n".join(["", *_columns(rows), "", *(plain(run.directory) for run in runs)])


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _row(name: str, value: float, asked: tuple[Target, ...]) -> tuple[str, str, str]:
    """A metric, its value, and each target that needs no other run, kept or missed by this one seed."""
    targets = [t for t in asked if t.metric == name and not t.than]
    return plain(name), f"{value:.4g}", "; ".join(f"{target}: {'kept' if target.met(value) else 'missed'}" for target in targets)


def program() -> str:
    """What to type for ``paperzoo``: the word, or the path by which it was started where no shell finds the word."""
    started = Path(sys.argv[0])
    return "paperzoo" if started.name != "paperzoo" or shutil.which("paperzoo") else shlex.quote(str(started))


def _next(entry: Entry, run: Run) -> list[str]:
    place = shlex.quote(str(run.directory))
    model = entry.model_class
    commands = []
    if any(task.samples for task in model.tasks):
        commands.append(f"{program()} sample {place}")
    if hasattr(model, "predict"):
        commands.append(f"{program()} predict {place} ...")
    return [f"{'next:' if i == 0 else '':5} {command}" for i, command in enumerate([*commands, f"open {place}/report.html"])]
