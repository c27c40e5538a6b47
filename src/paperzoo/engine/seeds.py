"""One training with several seeds: what is finished is found again, what was interrupted goes on, the rest is trained."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paperzoo import catalog
from paperzoo.data.datasets import parse as parsed
from paperzoo.data.fetch.fingerprint import digest, fingerprint
from paperzoo.engine.job import Job, resolve, unchanged
from paperzoo.engine.run import Run, open_run
from paperzoo.engine.spread import check, spread
from paperzoo.engine.train import resume, train
from paperzoo.errors import PaperzooError
from paperzoo.files import path_of

#: seeds that one call trains
MOST = 1000


def parse(text: str) -> list[int]:
    """Seeds as they are typed: ``0,1,2`` or ``0-4``, or both.

    Raises:
        PaperzooError: something else, a seed twice, or too many.
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,18})\s*(?:-\s*(\d{1,18})\s*)?", part, re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first or last - first >= MOST:
            raise PaperzooError(f"--seeds is whole numbers from 0 with commas between them, or a range: 0,1,2 or 0-4, not {text!r}")
        seeds += range(first, last + 1)
    if len(set(seeds)) < len(seeds) or len(seeds) > MOST:
        raise PaperzooError(f"--seeds {text}: a seed stands there twice, or there are more than {MOST}")
    return seeds


def train_seeds(
    seeds: Sequence[int], name: str, recipe: str = "small", data: str | None = None, init: str | None = None, out: str | Path = "runs",
    devices: int = 1, overrides: Mapping[str, Any] | None = None, code: Sequence[str] = (), workers: int = 1, on: str = "local",
) -> list[Run]:  # fmt: skip
    """A run for each seed; see ``paperzoo.train``. Called again, it goes on where it was stopped.

    Args:
        workers, on: how many are trained at a time, and where; see ``engine.spread``.

    Raises:
        PaperzooError: as ``paperzoo.train``; what has been trained until then is kept.
    """
    check(workers, on)
    if devices > 1 and (workers > 1 or on != "local"):
        raise PaperzooError("--devices shares one run among processes, and --workers and --on spread whole runs: give one of them")
    catalog.allow(name, *code)
    jobs = [resolve(name, recipe, data, init, seed, overrides) for seed in seeds]  # all are refused before the first is trained
    if workers == 1 and on == "local":
        return [_trained(job, data, out, devices, overrides, code) for job in jobs]
    place, files = str(path_of(out).absolute()), [str(path_of(file).absolute()) for file in code]
    given = [{**job.overrides, **job.options} for job in jobs]
    calls = [(job.name, i, recipe, job.seed, job.init, given[i], place, files) for i, job in enumerate(jobs)]
    done = dict(spread(calls, _one, workers, on))
    return [open_run(path_of(out) / Path(done[number]).name) for number in range(len(jobs))]


def _trained(
    job: Job, data: str | None, out: str | Path, devices: int, overrides: Mapping[str, Any] | None, code: Sequence[str]
) -> Run:
    known = begun(job, path_of(out))
    if known:
        return resume(known.directory, devices, code)
    return train(job.name, job.recipe_name, data, job.init or None, job.seed, out, devices, overrides, code)


def _one(
    name: str, number: int, recipe: str, seed: int, init: str, overrides: Mapping[str, Any], out: str, code: Sequence[str]
) -> str:
    """One seed's run, in a process of its own and maybe on another machine; its directory."""
    catalog.allow(name, *code)
    job = resolve(name, recipe, None, init or None, seed, overrides)
    return str(_trained(job, None, out, 1, overrides, code).directory)


def begun(job: Job, out: Path) -> Run | None:
    """A run below ``out`` of this very training: recipe with overrides, seed, beginning, the user's own files, method and protocol; a
    finished one first. One that is damaged, or another program's, is none."""
    data_path = parsed(job.recipe.data).path
    files = digest(fingerprint(data_path)) if data_path else None
    runs = []
    for record in sorted(out.glob(f"*-s{job.seed}*/run.json")):
        try:
            run = open_run(record.parent)
            info = run.info
            same = all(info[key] == getattr(job, key) for key in ("name", "recipe_name", "seed", "init")) and unchanged(info, job)
            same = same and files == info.get("data_files", {}).get("digest")
        except (PaperzooError, KeyError, TypeError, AttributeError):
            continue
        if same:
            runs.append(run)
    return next((run for run in runs if run.metrics), runs[0] if runs else None)
