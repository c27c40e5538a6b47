"""Kills a training at seeded instants and resumes it each time; prints how its weights compare with those of a run never killed.

A process of its own, because it forks: ``python kill.py NAME RECIPE FOLDER KILLS``.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

torch.set_num_threads(1)
import lightning_fabric  # noqa: E402, F401  (what a training imports is imported once, not by each child)
import seqeval.metrics  # noqa: E402, F401
import torch._dynamo  # noqa: E402

import paperzoo  # noqa: E402
from paperzoo import saved  # noqa: E402
from paperzoo.engine import checkpoint, logbook, run  # noqa: E402
from paperzoo.engine.job import resolve  # noqa: E402
from paperzoo.engine.train import resume  # noqa: E402
from paperzoo.tasks.model import Model  # noqa: E402


def child(work) -> int:
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            work()
            os._exit(0)
        except BaseException as error:
            print(repr(error), flush=True)
            os._exit(1)
    return pid


def main(name: str, recipe: str, folder: Path, kills: int) -> None:
    logbook.board = lambda directory, step: None
    if name != "dcgan":  # whose final pictures are few; of others an instant would mostly lie in those, and seldom in a step
        Model.show = lambda *_: []  # type: ignore[method-assign]
    job = resolve(name, recipe, overrides={"checkpoint_every": 1, "steps": 24})
    job.build(job.dataset())  # data is read before the first fork
    straight = run.create(job, folder / "straight")
    began = time.perf_counter()
    os.waitpid(child(lambda: resume(straight.directory)), 0)
    length = time.perf_counter() - began
    expected = checkpoint.digest(checkpoint.read(saved.newest(straight.directory)[0])[0])
    chance, done, inside, finished, equal = random.Random(0), 0, 0, 0, True
    while done < kills:
        killed = run.create(job, folder / "killed")
        while not (killed.directory / "result.json").exists():
            pid = child(lambda: resume(killed.directory))  # noqa: B023
            if done < kills:
                time.sleep(chance.uniform(0.02, 0.35 * length))
                os.kill(pid, signal.SIGKILL)
                done += os.waitpid(pid, 0)[1] == signal.SIGKILL
                inside += any((killed.directory / "checkpoints").glob(".*.part"))
            elif os.waitpid(pid, 0)[1]:
                print(json.dumps({"error": "a resumed run failed"}))
                return
        finished += 1
        equal &= checkpoint.digest(checkpoint.read(saved.newest(killed.directory)[0])[0]) == expected
    steps = [line["step"] for line in run.read_lines(killed.directory / "metrics.jsonl")]
    print(
        json.dumps(
            {"kills": done, "inside a write": inside, "runs": finished, "equal": equal, "ordered": steps == sorted(steps)}
        )
    )


if __name__ == "__main__":
    assert paperzoo
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
