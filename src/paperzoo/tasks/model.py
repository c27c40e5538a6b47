"""What every trainable thing here is: networks, optimisers, and one step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from torch import Tensor, nn
from torch.optim import Optimizer

from paperzoo.data import Batch, Dataset, Schema
from paperzoo.nn.schedules import Schedule
from paperzoo.tasks.task import Task, gathered

#: What ``Model.optimizers`` returns, by player: an optimiser, whose rate is constant, or an optimiser and its schedule.
Optimizers = Mapping[str, Optimizer | tuple[Optimizer, Schedule]]

#: A mean over the batch; or, where how many items count is known only in the batch (words chosen, windows that are valid), the pair
#: ``(mean, count)``: it is weighed so that the step is that of the mean over all processes' items, and over all parts' if gradients
#: are accumulated.
Loss = Tensor | tuple[Tensor, Tensor | float]


class Players(Protocol):
    """The seam between a paper and the engine, as ``step`` sees it; ``engine/players.py`` stands behind it."""

    iteration: int
    total: int
    #: at which iteration the present stage of the recipe began, and how many steps it has; of one without stages 0 and all
    start: int
    stage_steps: int

    def minimize(self, **losses: Loss) -> None:
        """All gradients first, then all steps: each loss moves the parameters of the optimiser of its name, no others."""

    def mean(self, value: Tensor) -> Tensor:
        """The mean of ``value`` over all processes, detached."""

    def __getattr__(self, name: str) -> Any:
        """``opt.generator.minimize(loss)`` for the optimiser called ``generator``; of several losses the sum is minimised."""


def noted(opt: Players, rows: int, index: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """What all processes have to note in this step in a table that each of them keeps, such as a state for each stream of a text.

    Args:
        rows: of the table.
        index: int64 (N), the rows that this process has seen, each once.
        value: (N, ...) for them.

    Returns:
        The rows that any process has seen, int64 (M), and their values (M, ...); the mean, where several have seen one.
    """
    table, seen = value.new_zeros(rows, *value.shape[1:]), value.new_zeros(rows)
    table[index], seen[index] = value, 1.0
    table, seen = opt.mean(table), opt.mean(seen)
    new = seen.nonzero()[:, 0]
    return new, table[new] / seen[new].reshape(-1, *[1] * (value.ndim - 1))


class Model(nn.Module):
    """Networks (its module attributes), their optimisers, and one training step. It knows no device, file or engine.

    Its ``tasks`` state what it is for, and measure and draw it. A class body's ``tasks = (...)`` adds to those of its bases.
    A paper with figures or pictures of its own overrides ``measure``, ``history``, ``preview`` or ``show`` and calls ``super()``.
    """

    #: what the model is for, as far as its class says
    tasks: ClassVar[tuple[Task, ...]] = ()
    #: the name of the first task, as the catalogue prints it
    task: ClassVar[str] = ""
    #: fields that the data must have, where that is not what the tasks say
    needs: ClassVar[tuple[str, ...]] = ()
    #: set by the catalogue: the name it was created by, and the constructor's arguments
    name: str = ""
    arguments: Mapping[str, Any] = {}
    #: how its data were prepared, as ``Schema.prepared`` says; set by training, kept with the weights, empty where it is not known
    prepared: Mapping[str, Any] = {}

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        cls.tasks = gathered(vars(cls).get("tasks", ()), cls.__bases__)
        if cls.tasks and "task" not in vars(cls):
            cls.task = cls.tasks[0].name

    def active(self) -> tuple[Task, ...]:
        """The tasks of this very model: those of its class, unless an argument takes some away."""
        return type(self).tasks

    def able(self, what: Literal["samples", "judges"]) -> Task | None:
        """The first task that ``samples`` or ``judges``, if there is one."""
        return next((task for task in self.active() if getattr(task, what)), None)

    def optimizers(self, *_: Any, **arguments: Any) -> Optimizers:
        """The optimisers by player, from keyword arguments: ``{"network": Adam(...)}`` or ``{"network": (Adam(...), schedule)}``.

        ``{}`` for a model that updates itself in ``step``.
        """
        return {}

    def stage(self, name: str) -> None:
        """A stage of the recipe begins; optimisers are made anew after this."""

    def reading(self, data: Dataset) -> Dataset:
        """The data as the present stage reads them: as they are, unless a model says otherwise."""
        return data

    def step(self, batch: Batch, opt: Players) -> Mapping[str, Tensor | float] | None:
        """One batch. May return numbers to be logged beside the losses."""
        raise TypeError(f"{type(self).__name__} does not say how it is trained: it has no step")

    def lean(self) -> tuple[dict[str, Any], Mapping[str, Tensor]]:
        """Constructor arguments and tensors for shipping; a task may leave out what only training needs."""
        return dict(self.arguments), self.state_dict()

    def measure(self, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """The tasks' metrics on one split. The engine calls it in eval mode, without gradients, with chance guarded."""
        return {name: value for task in self.active() for name, value in task.measure(self, dataset, split, judge).items()}

    def history(self, measured: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """Metrics of a whole training, from those that ``measure`` found along it (``measure_every``) and at its end."""
        return {name: value for task in self.active() for name, value in task.history(self, measured).items()}

    def preview(self, folder: Path, stem: str) -> list[Path]:
        """Cheap pictures of the present state, drawn with every checkpoint."""
        return [path for task in self.active() for path in task.preview(self, folder, stem)]

    def show(self, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        """Writes pictures named ``stem-*`` into ``folder`` and returns their paths."""
        return [path for task in self.active() for path in task.show(self, dataset, split, folder, stem)]

    @classmethod
    def check(cls, schema: Schema) -> None:
        """Raises ``PaperzooError`` if data of this schema cannot be used for the tasks."""
        for task in cls.tasks or (Task(),):
            task.check(cls, schema)
