"""Workers that die; in a module of its own, for new processes import it by name."""

import os
import signal
from pathlib import Path


def once(name: str, number: int, quick: bool, out: str) -> str:
    """Run 1 kills its worker at its first attempt."""
    attempts = Path(out) / f"attempts-{number}"
    with attempts.open("a") as file:
        file.write("x")
    if number == 1 and attempts.read_text() == "x":
        os.kill(os.getpid(), signal.SIGKILL)
    return f"{number}"


def always(name: str, number: int, quick: bool, out: str) -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return ""
