"""Training and resuming: what stands behind the public functions of these names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paperzoo import catalog
from paperzoo.engine import precision, processes, sharding
from paperzoo.engine.job import Job, resolve
from paperzoo.engine.loop import fit
from paperzoo.engine.rehearsal import rehearse
from paperzoo.engine.run import Run, create, job_of, locked, open_run
from paperzoo.engine.start import Start
from paperzoo.errors import PaperzooError

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def train(
    name: str,
    recipe: str = "small",
    data: str | None = None,
    init: str | None = None,
    seed: int = 0,
    out: str | Path = "runs",
    devices: int = 1,
    overrides: Mapping[str, Any] | None = None,
    code: Sequence[str] = (),
    sharded: bool = False,
) -> Run:
    """See ``paperzoo.train``."""
    catalog.allow(*code)
    job, world = resolve(name, recipe, data, init, seed, overrides), processes.world(devices)
    wanted = job.dataset()
    start = Start.fresh(job, wanted, rehearse(job, wanted))
    job.check_judge(wanted)
    precision.usual()
    _shared(job, world)  # all of it before a directory is made
    if sharded:
        sharding.check(job, start.model, world)
    return _go(job, lambda: create(job, out, wanted.schema.names), world, sharded, start)


def resume(directory: str | Path, devices: int = 1, code: Sequence[str] = (), sharded: bool = False) -> Run:
    """See ``paperzoo.resume``."""
    catalog.allow(*code)
    run, world = open_run(directory), processes.world(devices)
    if (run.directory / "result.json").exists():
        return run
    job = job_of(run)
    _shared(job, world)
    if sharded:
        sharding.check(job, Start.of(job, run).model, world)
    return _go(job, lambda: run, world, sharded)


def _shared(job: Job, world: int) -> None:
    for size in (job.recipe.batch_size, *(s.batch_size for s in job.recipe.stages if s.batch_size)) if world > 1 else ():
        if size == "all" or size % world:
            raise PaperzooError(f"batch_size {size} cannot be shared by {world} processes: choose a multiple of {world}")


def _go(job: Job, make: Any, world: int, sharded: bool, start: Start | None = None) -> Run:
    """Trains in one process, in those that torchrun has started, or in new ones; only one of them makes and locks the run."""
    with ExitStack() as held:

        def opened() -> Run:
            run: Run = make()
            held.enter_context(locked(run))
            return run

        if processes.under_torchrun() and world > 1:
            one = processes.joined()
            with processes.together():
                directory = processes.agreed(one, lambda: str(opened().directory))
            if not (Path(directory) / "run.json").is_file():
                raise PaperzooError(f"this node cannot see {directory}: all nodes need a folder that they share, by --out")
            with processes.together(directory), sharding.understood(job.entry.name):
                fit(one, job, Run(Path(directory)), sharded=sharded)
        elif world > 1:
            directory = str(opened().directory)
            try:
                processes.spawn(world, _work, directory, catalog.allowed(), sharded)
            except PaperzooError as error:
                if str(error).startswith("a process died"):
                    raise PaperzooError(f"{error}; go on with: paperzoo resume {directory}") from error
                raise
        else:
            run = opened()
            directory = str(run.directory)
            one = processes.fabric()
            one.launch()
            fit(one, job, run, start or Start.of(job, run))
    return open_run(directory)


def _work(one: Fabric, directory: str, code: list[str], sharded: bool) -> None:
    catalog.allow(*code)
    run = Run(Path(directory))
    job = job_of(run)
    with processes.together(directory), sharding.understood(job.entry.name):
        fit(one, job, run, sharded=sharded)
