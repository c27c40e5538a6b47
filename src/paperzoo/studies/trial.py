"""What a study is made of: trainings, and their outcomes."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from paperzoo.data import Dataset
    from paperzoo.engine.loop import Loop
    from paperzoo.engine.run import Run

#: values that stand in a study's record for each trial
Numbers = Mapping[str, Any]


@dataclass(frozen=True)
class Trial:
    """One training.

    Attributes:
        label: the line or column that it belongs to.
        x: where on it, such as a depth.
        paper, recipe, seed, overrides: what is trained, as ``paperzoo.train`` takes it.
    """

    label: str
    x: float
    paper: str
    recipe: str
    seed: int = 0
    overrides: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Candidate(Trial):
    """One training of a search: which candidates come next depends on earlier outcomes.

    Attributes:
        parent: number of the candidate that it starts from, by the study's ``inherit``; -1: none, fresh weights.
    """

    parent: int = -1


@dataclass(frozen=True)
class Outcome:
    """The outcome of a trial: the run's metrics and curve, and the study's own numbers."""

    trial: Trial
    directory: str
    metrics: Numbers
    numbers: Numbers
    seconds: float
    recipe_hash: str
    #: (step, training loss) as logged
    curve: tuple[tuple[int, float], ...]


def each_seed(outcomes: Iterable[Outcome], label: str, x: float, value: Callable[[Outcome], float]) -> list[float]:
    """One value per seed, of the trials with this label and this x."""
    return [value(one) for one in outcomes if (one.trial.label, one.trial.x) == (label, x)]


@contextmanager
def again(run: Run, data: Dataset | None = None, **changes: Any) -> Iterator[Loop]:
    """A finished run's training before its first step. Unless something is changed, its steps are the run's own, bit for bit.

    Args:
        data: in place of the run's own.
        changes: of its job: ``recipe``, ``seed``.
    """
    from paperzoo.engine.job import stages
    from paperzoo.engine.loop import Loop
    from paperzoo.engine.processes import fabric
    from paperzoo.engine.run import create, job_of

    one = fabric()
    one.launch()
    job = dataclasses.replace(job_of(run), **changes, options={"checkpoint_every": 10**9, "log_every": 10**9})
    with torch.enable_grad(), tempfile.TemporaryDirectory() as scratch:
        loop = Loop(one, job, create(job, scratch))
        with closing(loop.book):
            loop.data = loop.data if data is None else data
            loop.begin(stages(job.recipe)[0], 0)
            yield loop
