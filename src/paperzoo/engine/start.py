"""Where a training stands before its next step: its data, its model, and what its newest checkpoint recalls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from paperzoo import catalog
from paperzoo.data import Dataset
from paperzoo.engine import checkpoint
from paperzoo.engine.chance import seed_all
from paperzoo.engine.job import Job
from paperzoo.engine.run import Run
from paperzoo.engine.weights import load, load_into, name_classes, of_paper
from paperzoo.errors import PaperzooError, compared
from paperzoo.saved import checkpoints, newest
from paperzoo.tasks.model import Model

#: arguments that say what the numbers in the data mean; filled in from the data, and fixed once a model has been trained
MEANING = ("channels", "classes", "vocabulary", "merges", "tags", "languages", "columns", "targets")


@dataclass
class Start:
    """What a loop begins with.

    Attributes:
        recall: tensors and header of the checkpoint, if there is one.
        notes: what the user should be told.
    """

    data: Dataset
    model: Model
    recall: tuple[dict[str, Tensor], dict[str, Any]] | None = None
    iteration: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        name_classes(self.model, self.data.schema.names)

    @classmethod
    def fresh(cls, job: Job, data: Dataset, model: Model) -> Start:
        """A model with fresh weights, or those of ``job.init``.

        Raises:
            PaperzooError: weights of another network.
        """
        if job.init:
            initial = load(job.init)
            load_into(model, initial.state_dict(), Path(job.init))
            names = getattr(initial, "names", ())
            if set(names) == set(data.schema.names):  # the same classes, maybe in another order
                data = data.named(names)
        return cls(data, model)

    @classmethod
    def of(cls, job: Job, run: Run) -> Start:
        """From the run's newest good checkpoint; if it has none yet, from the beginning.

        Raises:
            PaperzooError: the data cannot be had, or are not those that the model has learnt.
        """
        if not checkpoints(run.directory):
            data = job.dataset()
            seed_all(job.seed, -1, 0)  # the same weights on every process
            start = cls.fresh(job, data, job.build(data))
            start.notes = run.changes(start.data)
            return start
        path, note = newest(run.directory)
        tensors, header = checkpoint.read(path)
        of_paper(path, _part(header, "name", str, path), job.name)
        arguments = _part(header, "arguments", dict, path)
        _part(header, "optimizers", dict, path)
        data, model = job.dataset(arguments=arguments), catalog.build(job.entry, arguments)
        load_into(model, tensors, path)
        data = fitting(data, model, header)
        iteration, seconds = _part(header, "iteration", int, path), float(_part(header, "seconds", (int, float), path))
        if not 0 <= iteration <= job.recipe.steps:
            raise PaperzooError(f"{path} is of step {iteration:,}, and this run has {job.recipe.steps:,} steps: take it out of the run")
        return cls(data, model, (tensors, header), iteration, seconds, (note, *run.changes(data)))


def fitting(data: Dataset, model: Model, header: Mapping[str, Any]) -> Dataset:
    """The data as the model has learnt to number them: classes are matched by name.

    Raises:
        PaperzooError: other classes, words, tags or columns; what differs is named.
    """
    data = data.named(tuple(header.get("names") or ()))
    for key in MEANING:
        now, then = data.schema.arguments.get(key), model.arguments.get(key)
        if now is None or then is None or key not in data.schema.arguments or _plain(now) == _plain(then):
            continue
        raise PaperzooError(f"{data.name} is not what the model has learnt from: {_differs(key, _plain(then), _plain(now))}")
    return data


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple) else value


def _differs(key: str, then: Any, now: Any) -> str:
    if not isinstance(then, list) or not isinstance(now, list):
        return f"its {key} are {now}, not {then}"
    return f"of its {key} {compared(then, now) or 'the order is another'}"


def _part(header: Mapping[str, Any], key: str, kind: type | tuple[type, ...], path: Path) -> Any:
    if not isinstance(header.get(key), kind):
        raise PaperzooError(f"{path} is no checkpoint of a run: its header has no {key}")
    return header[key]
