"""The answer of a forecaster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Forecast:
    """A forecast: ``value`` float32 (H, K) in raw units, in a 90 % interval from ``low`` to ``high`` at each step.

    ``about`` says what is forecast, and from what; ``note`` what should make one doubt it, if anything. ``dates`` are those of the
    steps, by the calendar of the series (the next business day, the next end of a month); empty where it has none.
    """

    targets: tuple[str, ...]
    steps: tuple[str, ...]
    value: Tensor
    low: Tensor
    high: Tensor
    note: str = ""
    dates: tuple[str, ...] = ()
    about: str = ""

    def __str__(self) -> str:
        lines = []
        steps = [f"{step}  {date}" for step, date in zip(self.steps, self.dates, strict=True)] if self.dates else self.steps
        for step, *row in zip(steps, self.value.tolist(), self.low.tolist(), self.high.tolist(), strict=True):
            cells = (f"{t} {v:.4g} [{a:.4g}, {b:.4g}]" for t, v, a, b in zip(self.targets, *row, strict=True))
            lines.append(f"+{step}  {'  '.join(cells)}")
        return "\n".join(filter(None, [self.about, *lines, self.note]))

    def __rich__(self) -> Any:
        from rich.text import Text

        return Text(str(self))
