"""What a training ends with on a terminal: its figures beside what was promised, and what can be done next."""

from __future__ import annotations

import shlex
from itertools import zip_longest

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
    widths = [max(map(len, column)) for column in zip_longest(*shown, fillvalue="")]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in shown]
    return "\n".join(["", *lines, "", *_next(entry, run)])


def _row(name: str, value: float, asked: tuple[Target, ...]) -> tuple[str, str, str]:
    """A metric, its value, and each target that needs no other run, kept or missed by this one seed."""
    targets = [t for t in asked if t.metric == name and not t.than]
    return plain(name), f"{value:.4g}", "; ".join(f"{target}: {'kept' if target.met(value) else 'missed'}" for target in targets)


def _next(entry: Entry, run: Run) -> list[str]:
    place = shlex.quote(str(run.directory))
    model = entry.model_class
    commands = []
    if any(task.samples for task in model.tasks):
        commands.append(f"paperzoo sample {place}")
    if hasattr(model, "predict"):
        commands.append(f"paperzoo predict {place} ...")
    return [f"{'next:' if i == 0 else '':5} {command}" for i, command in enumerate([*commands, f"open {place}/report.html"])]
