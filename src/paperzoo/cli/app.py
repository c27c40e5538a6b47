"""The command line itself: its panels, the arguments that commands share, and how an error is said."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Annotated, Optional

import typer

from paperzoo import catalog
from paperzoo.errors import Interrupted, PaperzooError
from paperzoo.terminal import any_encoding, plain

app = typer.Typer(
    name="paperzoo",
    help="Landmark deep-learning papers: each one readable file, trained by one command, measured beside its own claim.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

LOOK, TRAIN, USE, MAKE = "Look up", "Train", "Use", "Measure and publish"
def papers(incomplete: str) -> list[str]:
    """Names of papers that begin so, for the shell's completion."""
    return [name for name in catalog.list_papers() if name.startswith(incomplete)]


Name = Annotated[
    str, typer.Argument(help="A paper, paper:variant, or the path of a file of your own.", metavar="NAME", autocompletion=papers)
]
RunDirectory = Annotated[Path, typer.Argument(help="A run's directory.", metavar="RUN")]
Source = Annotated[
    str, typer.Argument(help="A run, a weights file, or a paper whose weights ship.", metavar="RUN|FILE|NAME", autocompletion=papers)
]
Out = Annotated[Path, typer.Option(help="Folder below which the run's directory is made.")]
Devices = Annotated[int, typer.Option(help="Processes that share each batch.")]
Sharded = Annotated[
    bool, typer.Option("--sharded", help="Each process holds a part of weights and optimiser state; for models of one optimiser.")
]
Workers = Annotated[int, typer.Option(help="Runs at a time, which share this machine's cores.")]
On = Annotated[str, typer.Option(help="local, or ray: the cluster of RAY_ADDRESS, else a Ray of this machine.")]
Settings = Annotated[
    Optional[list[str]],  # noqa: UP045 (typer reads this at run time)
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override: model.width=32, optimizer.lr=1e-4, batch_size=64, steps=500 ..."
    ),
]
Code = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--code", help="The file of your own by which the run or weights were made; no other file's code runs.", metavar="FILE"),
]


@cache
def command() -> Callable[[], None]:
    """The commands as click has them. To read them off all signatures takes longer than most of them run: it is done once."""
    return typer.main.get_command(app)


def main() -> None:
    """Entry point: runs a command; user errors are one sentence on standard error and exit code 2."""
    any_encoding()
    warnings.showwarning = lambda message, *_: complain(message)
    try:
        command()()
    except Interrupted as stop:
        print(plain(stop), file=sys.stderr)
        sys.exit(130)
    except (PaperzooError, MemoryError) as error:
        complain(str(error) or "there is not enough memory for this")
        sys.exit(2)
    except KeyboardInterrupt:
        print("paperzoo: stopped", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader of a pipe has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:  # a full disk, a name that is too long, a folder that may not be read
        complain(f"{error.filename or 'output'}: {error.strerror or error}"[:500])
        sys.exit(2)


def complain(what: object) -> None:
    """Prints one sentence on standard error."""
    print(f"paperzoo: {plain(what)}", file=sys.stderr)


def version(value: bool) -> None:
    """Prints the version and leaves."""
    if value:
        from paperzoo import __version__

        print(f"paperzoo {__version__}")
        raise typer.Exit


@app.callback()
def options(
    _: Annotated[
        bool, typer.Option("--version", callback=version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Landmark deep-learning papers: each one readable file, trained by one command, measured beside its own claim."""
