"""What the user sees while a run goes on: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from paperzoo.terminal import plain


class Reporter:
    """Shows step, losses, speed and time left, on standard error.

    Args:
        title: what is trained.
        total: steps.
        quiet: show nothing (processes other than the first).
    """

    def __init__(self, title: str, total: int, done: int = 0, quiet: bool = False) -> None:
        self.total, self.quiet, self.title = total, quiet, title
        self.console = Console(stderr=True)
        self.terminal = self.console.is_terminal and not quiet
        self.started, self.first, self.spoken = time.perf_counter(), done, 0.0
        if self.terminal:
            self.bar = Progress(
                TextColumn("{task.description}", "bold", markup=False), BarColumn(), MofNCompleteColumn(),
                TextColumn("{task.fields[text]}", markup=False),
                TimeRemainingColumn(compact=True), console=self.console,
            )  # fmt: skip
            self.task = self.bar.add_task(plain(title), total=total, completed=done, text="")

    def __enter__(self) -> Reporter:
        if self.terminal:
            self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.terminal:
            self.bar.stop()

    def update(self, step: int, losses: dict[str, float]) -> None:
        """After a log: the losses' means since the last one."""
        if self.quiet:
            return
        now = time.perf_counter()
        speed = (step - self.first) / max(1e-9, now - self.started)
        text = "  ".join(f"{plain(k)} {v:.3g}" for k, v in losses.items()) + f"  {speed:.3g} steps/s"
        if self.terminal:
            self.bar.update(self.task, completed=step, text=text)
        elif now - self.spoken > 10 or step == self.total:
            self.spoken = now
            left = (self.total - step) / max(1e-9, speed)
            print(f"{plain(self.title)}: step {step} of {self.total}  {text}  {left:.0f} s left", file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """A line beside the bar."""
        if not self.quiet:
            self.console.print(Text(plain(text)), highlight=False, soft_wrap=True)
