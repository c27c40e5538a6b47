"""Runs ``paperzoo`` commands in several processes at once, with the environment that torchrun gives them.

A process of its own, because it forks: what a training imports is imported once, so that a training of two processes takes a second
or two. Each line on its standard input is a JSON object, each answer a line on its standard output. See ``Ranks``.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple


class Ended(NamedTuple):
    """How the processes of a command ended: exit codes (minus the signal of those killed), output and errors by rank."""

    codes: list[int]
    out: list[str]
    err: list[str]
    seconds: float  # from the kill, or else the start, to the end of the last one


class Ranks:
    """The process that forks. Use it as a context manager."""

    def __enter__(self) -> Ranks:
        self.process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        return self

    def __exit__(self, *_: Any) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(600)

    def __call__(self, *argv: object, world: int = 2, nodes: int = 1, kill: tuple[int, Path | str] | None = None, patch: str = "") -> Ended:
        """Runs ``paperzoo argv`` in ``world`` processes on so many nodes.

        Args:
            kill: a rank that is killed as soon as the file below this folder (a pattern relative to ``/``) is there.
            patch: a statement that each of them runs first.
        """
        assert self.process.stdin and self.process.stdout
        asked = {"argv": list(map(str, argv)), "world": world, "nodes": nodes, "kill": kill and [kill[0], str(kill[1])], "patch": patch}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        return Ended(**json.loads(self.process.stdout.readline()))


def child(rank: int, world: int, nodes: int, port: int, argv: list[str], patch: str, files: tuple[Path, Path]) -> int:
    pid = os.fork()
    if pid:
        return pid
    for descriptor, file in zip((1, 2), files, strict=True):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    here = world // nodes
    if world > 1:
        os.environ |= {
            "TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": str(world), "RANK": str(rank), "LOCAL_WORLD_SIZE": str(here),
            "LOCAL_RANK": str(rank % here), "GROUP_RANK": str(rank // here), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        }  # fmt: skip
    sys.argv = ["paperzoo", *argv]
    code = 0
    try:
        exec(patch, {})
        from paperzoo.cli import main

        main()
    except SystemExit as left:
        code = int(left.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def serve() -> None:
    import tempfile

    import torch

    torch.set_num_threads(1)
    import lightning_fabric  # noqa: F401
    import sklearn.metrics  # noqa: F401
    import torch._dynamo
    import torch.distributed.fsdp
    import torch.distributed.tensor

    import paperzoo.cli.train
    from paperzoo.engine import logbook
    from paperzoo.tasks.model import Model

    logbook.board = lambda directory, step: None
    Model.show = lambda *_: []  # type: ignore[method-assign]
    paperzoo.cli.train._finish = lambda run: print(run.directory)
    with tempfile.TemporaryDirectory() as scratch:
        for line in sys.stdin:
            print(json.dumps(run(Path(scratch), **json.loads(line))._asdict()), flush=True)


def run(scratch: Path, argv: list[str], world: int, nodes: int, kill: list[Any] | None, patch: str) -> Ended:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    files = [(scratch / f"{rank}.out", scratch / f"{rank}.err") for rank in range(world)]
    began = time.perf_counter()
    children = [child(rank, world, nodes, port, argv, patch, files[rank]) for rank in range(world)]
    if kill:
        while not list(Path("/").glob(kill[1].lstrip("/"))) and time.perf_counter() - began < 60:
            time.sleep(0.02)
        os.kill(children[kill[0]], signal.SIGKILL)
        began = time.perf_counter()
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    out, err = ([pair[which].read_text() for pair in files] for which in (0, 1))
    return Ended(codes, out, err, time.perf_counter() - began)


if __name__ == "__main__":
    serve()
