"""The first steps of a recipe once more, to hold their losses against recorded ones."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager

import torch

from paperzoo.engine.job import Job, stages
from paperzoo.engine.loop import Loop
from paperzoo.engine.processes import fabric
from paperzoo.engine.run import create


def first_steps(job: Job, steps: int) -> tuple[dict[str, list[list[float]]], dict[str, float]]:
    """Trains ``steps`` steps of a job in a folder that is thrown away.

    Returns:
        The losses of the first ``FIRST`` of these steps by name, as pairs of step (from 0) and loss; and their means over all.
    """
    steps = min(steps, job.recipe.steps)
    quiet = dataclasses.replace(job, options={"checkpoint_every": 10**9, "log_every": steps})
    one = fabric()
    one.launch()
    with tempfile.TemporaryDirectory() as scratch:
        run = create(quiet, scratch)
        loop = Loop(one, quiet, run)
        with closing(loop.book):
            done = 0
            for stage in stages(quiet.recipe):
                loop.begin(stage, done)
                done += stage.steps
                while loop.opt.iteration < min(done, steps):
                    loop.step()
                if done >= steps:
                    break
        line = next(line for line in run.lines if "loss" in line)
        return by_name(line.get("first", [])), line["loss"]


def by_name(first: list[list[object]]) -> dict[str, list[list[float]]]:
    """``[step, name, loss]`` as ``metrics.jsonl`` has them, to pairs of step and loss by name."""
    pairs: dict[str, list[list[float]]] = {}
    for step, name, loss in first:
        pairs.setdefault(str(name), []).append([step, loss])  # type: ignore[list-item]
    return pairs


@contextmanager
def threads(number: int) -> Iterator[None]:
    """So many threads of torch's; as many as there were afterwards. 0 leaves them."""
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
