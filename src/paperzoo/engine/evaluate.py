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
from paperzoo.engine.judge import judge
from paperzoo.engine.machine import device
from paperzoo.engine.run import Run, job_of, open_run
from paperzoo.engine.start import Start
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


def trained(run: Run, data: str | None = None) -> tuple[Model, Dataset, tuple[str, ...]]:
    """A run's model in the precision, layout and on the device that the run has measured it in, with its data.

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
    where = device()
    precision.prepare(start.model, precision.resolve(job.recipe.precision, where), where)
    return start.model.eval(), start.data, start.notes if data is None else start.notes[:1]
