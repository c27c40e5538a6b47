"""What the user sees while a run goes on: a bar on a terminal or in a notebook, plain lines elsewhere."""

from __future__ import annotations

import html
import sys
import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from paperzoo.terminal import plain

#: seconds between two movements of the bar
TICK = 0.2


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
        self.started, self.first, self.spoken, self.ticked, self.text = time.perf_counter(), done, 0.0, 0.0, ""
        self.notebook = _display(self._html(done)) if self.console.is_jupyter and not quiet else None
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

    def tick(self, step: int) -> None:
        """After each step: moves the bar, a few times a second, whether or not there is something to log."""
        if (self.terminal or self.notebook) and (now := time.perf_counter()) - self.ticked > TICK:
            self.ticked = now
            self._show(step)

    def _show(self, step: int) -> None:
        if self.terminal:
            self.bar.update(self.task, completed=step, text=self.text)
        elif self.notebook:
            self.notebook.update({"text/html": self._html(step), "text/plain": f"{self.title}: {step} of {self.total}"}, raw=True)

    def _html(self, step: int) -> str:
        """The bar as HTML, which needs no widgets."""
        said = html.escape(f"{plain(self.title)}  {step:,} of {self.total:,}  {self.text}")
        return f'<div style="font-family: monospace"><progress value="{step}" max="{self.total}"></progress> {said}</div>'

    def update(self, step: int, losses: dict[str, float]) -> None:
        """After a log: the losses' means since the last one."""
        if self.quiet:
            return
        now = time.perf_counter()
        speed = (step - self.first) / max(1e-9, now - self.started)
        text = "  ".join(f"{plain(k)} {v:.3g}" for k, v in losses.items()) + f"  {speed:.3g} steps/s"
        self.text = text
        if self.terminal or self.notebook:
            self._show(step)
        elif now - self.spoken > 10 or step == self.total:
            self.spoken = now
            left = (self.total - step) / max(1e-9, speed)
            print(f"{plain(self.title)}: step {step} of {self.total}  {text}  {left:.0f} s left", file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """A line beside the bar."""
        if not self.quiet:
            if self.notebook:
                print(plain(text))
            else:
                self.console.print(Text(plain(text)), highlight=False, soft_wrap=True)


def _display(shown: str) -> Any:
    """A handle by which a notebook's output is changed; nothing where there is no IPython after all."""
    try:
        from IPython.display import display  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return None
    return display({"text/html": shown, "text/plain": ""}, raw=True, display_id=True)
