"""What a study is made of: trainings, and what each of them gave."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

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
class Found:
    """What a trial gave: the run's metrics and curve, and the study's own numbers."""

    trial: Trial
    directory: str
    metrics: Numbers
    numbers: Numbers
    seconds: float
    recipe_hash: str
    #: (step, training loss) as logged
    curve: tuple[tuple[int, float], ...]


def each_seed(found: Iterable[Found], label: str, x: float, value: Callable[[Found], float]) -> list[float]:
    """A value of every seed at one place of one line."""
    return [value(one) for one in found if (one.trial.label, one.trial.x) == (label, x)]
