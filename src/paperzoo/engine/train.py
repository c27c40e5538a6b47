"""Training, resuming, evaluating and loading: what stands behind the public functions of these names."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

from paperzoo.engine import precision
from paperzoo.engine.fit import fit, guarded
from paperzoo.engine.job import Job, resolve
from paperzoo.engine.judge import judge
from paperzoo.engine.run import Run, create, job_of, newest, open_run, read_json
from paperzoo.engine.weights import load_file, named
from paperzoo.errors import Interrupted, PaperzooError
from paperzoo.tasks.model import Model


def train(
    name: str,
    recipe: str = "small",
    data: str | None = None,
    init: str | None = None,
    seed: int = 0,
    out: str | Path = "runs",
    devices: int = 1,
    overrides: Mapping[str, Any] | None = None,
) -> Run:
    """See ``paperzoo.train``."""
    job = resolve(name, recipe, data, init, seed, overrides)
    checked = job.dataset()  # all is checked before a directory is made
    job.build(checked)
    job.check_judge(checked)
    precision.usual()
    _check_devices(job, devices)
    return _go(job, create(job, out), devices)


def resume(directory: str | Path, devices: int = 1) -> Run:
    """See ``paperzoo.resume``."""
    run = open_run(directory)
    if (run.directory / "result.json").exists():
        return run
    job = job_of(run)
    _check_devices(job, devices)
    return _go(job, run, devices)


def _check_devices(job: Job, devices: int) -> None:
    if not isinstance(devices, int) or devices < 1:
        raise PaperzooError(f"devices must be a whole number from 1, not {devices!r}")
    if devices == 1 or _under_torchrun():
        return
    if torch.cuda.is_available() and devices > torch.cuda.device_count():
        raise PaperzooError(f"devices={devices}, but this machine has {torch.cuda.device_count()}")
    for size in (job.recipe.batch_size, *(s.batch_size for s in job.recipe.stages if s.batch_size)):
        if size == "all" or size % devices:
            raise PaperzooError(f"batch_size {size} cannot be shared by {devices} processes: choose a multiple of {devices}")


def _under_torchrun() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ


def _go(job: Job, run: Run, devices: int) -> Run:
    if devices == 1 or _under_torchrun():
        one = fabric(devices)
        one.launch()
        fit(one, job, run)
    else:
        _spawn(devices, run)
    return open_run(run.directory)


def fabric(devices: int = 1, strategy: str = "auto") -> Fabric:
    """Fabric on whatever accelerator there is, without its talk."""
    import logging
    import warnings

    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", ".*`isinstance\\(treespec, LeafSpec\\)`.*")
    return Fabric(accelerator="auto", devices=devices, strategy=strategy)


def _spawn(devices: int, run: Run) -> None:
    try:
        fabric(devices, "ddp_spawn").launch(_worker, str(run.directory))  # type: ignore[arg-type]
    except ProcessExitedException as error:
        raise PaperzooError(f"a process died ({error}); go on with: paperzoo resume {run.directory}") from error
    except ProcessRaisedException as error:
        lines = [line for line in str(error).splitlines() if line.startswith("paperzoo.errors.")]
        if not lines:
            raise
        kind, _, message = lines[-1].removeprefix("paperzoo.errors.").partition(": ")
        raise (Interrupted if kind == "Interrupted" else PaperzooError)(message) from None


def _worker(one: Fabric, directory: str) -> None:
    if one.device.type == "cpu":
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // one.world_size))
    run = Run(Path(directory))
    fit(one, job_of(run), run)
    one.barrier()
    torch.distributed.destroy_process_group()  # together, or the first to leave may take the others' sockets with it


def load(source: str | Path) -> Model:
    """See ``paperzoo.load``."""
    path = Path(source)
    if path.is_dir():
        return load_file(newest(open_run(path).directory)[0])
    return load_file(path) if path.suffix == ".safetensors" else named(str(source))


def as_trained(run: Run) -> Model:
    """The run's newest model in eval mode, on the device and in the layout and precision in which the run measured it.

    Whoever measures a run or looks into its network takes this one; ``run.model`` is the plain model in float32 on the CPU. A
    run in bf16 is taken in float32, with a warning, where there is no bf16.
    """
    recipe, device, done = job_of(run).recipe, fabric(1).device, run.directory / "result.json"
    wanted = read_json(done).get("precision") if done.exists() else None  # older runs do not say
    if wanted == "bf16" and recipe.precision == "auto" and not precision.has_bf16(device):
        warnings.warn(f"{run.directory} was trained in bf16, which this machine lacks: it is measured in float32", stacklevel=2)
        wanted = "float32"
    model = load_file(newest(run.directory)[0])
    precision.prepare(model, wanted or precision.resolve(recipe.precision, device), device, recipe.compile)
    return model


def evaluate(directory: str | Path, split: str = "test") -> dict[str, float]:
    """See ``paperzoo.evaluate``."""
    run = open_run(directory)
    job = job_of(run)
    data = job.dataset()
    data[split]  # an unknown split is an error before anything is loaded
    model = as_trained(run)
    with guarded(model):
        scorer = judge(job.recipe.judge) if job.recipe.judge else None
        return {k: float(v) for k, v in model.measure(data, split, scorer).items()}
