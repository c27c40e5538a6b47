"""Measuring a trained run, exactly as the run measured itself."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from pathlib import Path

from paperzoo import catalog
from paperzoo.data import Dataset
from paperzoo.data.datasets import absolute, check_name
from paperzoo.engine import precision
from paperzoo.engine.chance import guarded
from paperzoo.engine.job import Job
from paperzoo.engine.judge import judge
from paperzoo.engine.machine import device
from paperzoo.engine.run import Run, job_of, open_run, read_json
from paperzoo.engine.start import Start
from paperzoo.engine.weights import newest_model
from paperzoo.errors import PaperzooError
from paperzoo.tasks.model import Model


def evaluate(directory: str | Path, split: str = "test", data: str | None = None, code: Sequence[str] = ()) -> dict[str, float]:
    """See ``paperzoo.evaluate``."""
    catalog.allow(*code)
    run = open_run(directory)
    model, dataset, notes = trained(run, data)
    dataset[split]  # an unknown split is an error before anything is measured
    for note in filter(None, notes):
        warnings.warn(note, stacklevel=2)
    name = job_of(run).recipe.judge
    with guarded(model):
        return {k: float(v) for k, v in model.measure(dataset, split, judge(name) if name else None).items()}


def redraw(run: Run) -> list[Path]:
    """Draws a run's last pictures anew, from its newest model and by today's code, as training did at its end; their paths."""
    model, dataset, _ = trained(run)
    with guarded(model):
        return model.show(dataset, "test" if "test" in dataset.splits else "train", run.directory / "figures", "final")


def as_trained(run: Run) -> Model:
    """The run's newest model in eval mode, on the device and in the layout and precision in which the run measured it.

    Whoever measures a run or looks into its network takes this one; ``run.model`` is the plain model in float32 on the CPU. A
    run in bf16 is taken in float32, with a warning, where there is no bf16.
    """
    return _prepared(newest_model(run.directory), run, job_of(run))


def _prepared(model: Model, run: Run, job: Job) -> Model:
    where, done = device(), run.directory / "result.json"
    wanted = read_json(done).get("precision") if done.exists() else None  # older runs do not say
    if wanted == "bf16" and job.recipe.precision == "auto" and not precision.has_bf16(where):
        warnings.warn(f"{run.directory} was trained in bf16, which this machine lacks: it is measured in float32", stacklevel=3)
        wanted = "float32"
    precision.prepare(model, wanted or precision.resolve(job.recipe.precision, where), where, job.recipe.compile)
    return model.eval()


def trained(run: Run, data: str | None = None) -> tuple[Model, Dataset, tuple[str, ...]]:
    """A run's model as ``as_trained`` gives it, with its data.

    Args:
        data: other data than the run's, of the same classes.

    Returns:
        Model in eval mode, data with classes numbered as the model has learnt them, and what the user should be told.

    Raises:
        PaperzooError: the run has no checkpoint that can be read, or the data are not what the model has learnt from.
    """
    job = job_of(run)
    if data is not None:
        check_name(data)
        job = dataclasses.replace(job, recipe=dataclasses.replace(job.recipe, data=absolute(data)))
    start = Start.of(job, run)
    if start.recall is None:
        raise PaperzooError(f"{run.directory} has no checkpoint yet: paperzoo resume {run.directory}")
    start.model.prepared = start.data.schema.prepared()
    return _prepared(start.model, run, job), start.data, start.notes if data is None else start.notes[:1]
