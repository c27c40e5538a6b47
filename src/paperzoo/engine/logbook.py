"""What a run says of itself while it goes on: losses and measurements in ``metrics.jsonl``, TensorBoard, and on the screen."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from paperzoo.data import Dataset
from paperzoo.engine.job import Job
from paperzoo.engine.players import Players
from paperzoo.engine.processes import Everyone
from paperzoo.engine.progress import Reporter
from paperzoo.engine.run import cut_back, read_lines
from paperzoo.errors import PaperzooError
from paperzoo.saved import checkpoints
from paperzoo.tasks.model import Model

#: steps whose losses are kept one by one, so that a rewritten method can be held against them
FIRST = 10


class Logbook:
    """Collects numbers on the device and writes their means when asked to.

    Args:
        directory: of the run; lines behind ``step`` are dropped, for they will come again.
        first: whether this process writes; the others only take part in the means.
    """

    def __init__(self, directory: Path, title: str, step: int, total: int, everyone: Everyone, first: bool) -> None:
        self.directory, self.everyone, self.reporter = directory, everyone, Reporter(title, total, step, quiet=not first)
        self.extras: dict[str, list[Tensor]] = {}
        self.first: list[tuple[int, str, Tensor]] = []  # extras of the first steps
        self.file: Any = None
        self.board: Any = None
        if first:
            path = directory / "metrics.jsonl"
            cut_back(path, step)
            self.file, self.board = path.open("a", encoding="utf-8"), board(directory, step)

    def note(self, step: int, extras: Mapping[str, Tensor | float] | None) -> None:
        """Keeps what a step returned beside its losses, and moves the bar."""
        self.reporter.tick(step)
        for name, value in (extras or {}).items():
            kept = torch.as_tensor(value).detach()
            self.extras.setdefault(name, []).append(kept)
            if step < FIRST:
                self.first.append((step, name, kept))

    def say(self, notes: Iterable[str]) -> None:
        """Lines beside the bar; empty ones are left out."""
        for note in filter(None, notes):
            self.reporter.say(note)

    def log(self, opt: Players, seconds: float) -> None:
        """Writes the means of losses and notes since the last log.

        Raises:
            PaperzooError: a loss was not finite; its name and first step.
        """
        means: dict[str, Tensor] = {}
        taken, opt.losses = opt.losses, []
        if taken:
            values = torch.stack([loss.float() for _, _, loss in taken])
            self._check(taken, values.isfinite(), opt.iteration)
            for name in dict.fromkeys(n for _, n, _ in taken):
                means[name] = values[[n == name for _, n, _ in taken]].mean()
        means |= {name: torch.stack([v.float() for v in kept]).mean() for name, kept in self.extras.items()}
        self.extras = {}
        shown = {name: float(self.everyone.mean(value)) for name, value in means.items()}
        early, self.first = [*(row for row in taken if row[0] < FIRST), *self.first], []
        device = self.everyone.device
        first = [[step, name, float(self.everyone.mean(value.float().clone().to(device)))] for step, name, value in early]
        self.write(opt.iteration, seconds, {"loss": shown}, first)
        self.reporter.update(opt.iteration, shown)

    def _check(self, taken: list[tuple[int, str, Tensor]], finite: Tensor, iteration: int) -> None:
        if not self.everyone.any(not bool(finite.all())):
            return
        bad = next(((i, n) for (i, n, _), good in zip(taken, finite.tolist(), strict=True) if not good), None)
        step, name = bad or (iteration - 1, "another process's loss")
        saved = checkpoints(self.directory)
        kept = f"the checkpoint of step {int(saved[-1].stem)} is kept." if saved else "no checkpoint had been written yet."
        raise PaperzooError(
            f"the loss {name!r} is not finite at step {step}; {kept} A lower learning rate "
            f"(--set optimizer.lr=...), clipping (--set clip=1) or --set precision=float32 may help"
        )

    def write(
        self, step: int, seconds: float, values: Mapping[str, Mapping[str, float]], first: Sequence[Sequence[Any]] = ()
    ) -> None:
        """One line of ``metrics.jsonl``, and the same to TensorBoard; ``first`` are (step, name, value) of the first steps."""
        if self.file is None:
            return
        line = {"step": step, "seconds": round(seconds, 3), **values, **({"first": first} if first else {})}
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()
        try:
            for group, items in values.items():
                for name, value in items.items():
                    if self.board is not None:
                        self.board.add_scalar(f"{group}/{name}", value, step)
        except OSError as error:  # the run itself is worth more than its copy in another format
            self.board = None
            self.reporter.say(f"TensorBoard's events are written no further: {error}")

    def measured(self) -> list[dict[str, float]]:
        """Every measurement so far, by metric without its split."""
        rows = [line["measured"] for line in read_lines(self.directory / "metrics.jsonl") if "measured" in line]
        return [{name.rpartition(" (")[0]: value for name, value in row.items()} for row in rows]

    def close(self) -> None:
        """Closes what is written to; a full disk has been reported before."""
        for opened in (self.file, self.board):
            try:
                if opened is not None:
                    opened.close()
            except OSError:
                continue


def heading(job: Job, data: Dataset, model: Model, how: str, directory: Path) -> str:
    """What a training is, in a line, before its first step."""
    recipe, parameters = job.recipe, sum(p.numel() for p in model.parameters())
    items = " and ".join(f"{n:,}" for n in data.joined(recipe.train_on).lengths)
    batch = "all at once" if recipe.batch_size == "all" else f"batches of {recipe.batch_size:,}"
    network = f"{parameters:,} parameters, {how}" if parameters else how
    return f"{job.entry.name}, {job.recipe_name}: {recipe.steps:,} steps on {data.name} ({items} items, {batch}); {network}; in {directory}"


def board(directory: Path, step: int) -> Any:
    """TensorBoard's writer, which drops what was written after ``step``."""
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(directory), purge_step=step + 1)
