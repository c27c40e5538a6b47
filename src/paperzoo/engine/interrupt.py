"""Ctrl-C and SIGTERM: the step ends, everything is saved, and the run says how to go on."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol


class Stoppable(Protocol):
    """Whoever looks at ``stop`` after each step."""

    stop: bool


@contextmanager
def signals(loop: Stoppable) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM sets ``loop.stop``; a second Ctrl-C ends at once."""

    def ask(number: int, frame: Any) -> None:
        if loop.stop and number == signal.SIGINT:
            raise KeyboardInterrupt
        loop.stop = True

    try:
        before = {s: signal.signal(s, ask) for s in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: the caller keeps its own handlers
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
