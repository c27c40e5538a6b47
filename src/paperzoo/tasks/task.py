"""A task: what a model is for. It says what data it needs, how it measures and draws, and what using such a model takes and answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image
from torch import Tensor

from paperzoo.data import Batch, Dataset, Schema
from paperzoo.errors import PaperzooError
from paperzoo.tasks.graphs import Graph, Room


class Task:
    """What a model is for. A model has one or more of them, and whoever uses it asks these, never what kind of model it is.

    A task has no state: two of the same class are the same task. One whose class derives from another's takes that one's place in
    a model that has both. What a paper must define for it stands in a base class of models, which names it in ``tasks``.

    Attributes:
        name: as the catalogue prints it.
        needs: fields that the data must have.
        named: whether a saved model keeps what its data call the classes, as ``model.names``.
        samples: whether ``model.sample`` draws samples that ``write`` writes.
        judges: whether ``judgement`` says what the model sees in images.
        usual: what the command line passes to ``sample`` unless the user sets another value; ``items`` is how many.
        span: the least and the greatest value that a sample may have, where there are such.
    """

    name: ClassVar[str] = ""
    needs: ClassVar[tuple[str, ...]] = ()
    named: ClassVar[bool] = False
    samples: ClassVar[bool] = False
    judges: ClassVar[bool] = False
    usual: ClassVar[Mapping[str, Any]] = {"items": 64}
    span: ClassVar[tuple[float, float] | None] = None

    def check(self, model_class: Any, schema: Schema) -> None:
        """Raises ``PaperzooError`` if data of this schema cannot be used. A model's own ``needs`` stand in place of the task's."""
        needs = model_class.needs or self.needs
        if any(name not in schema.fields for name in needs):
            raise PaperzooError(
                f"{self.name or model_class.task} needs data with {' and '.join(needs)}, but {schema.name} has only "
                f"{', '.join(schema.fields)}"
            )

    def measure(self, model: Any, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """Metrics on one split. The engine calls for them in eval mode, without gradients, with chance guarded."""
        return {}

    def history(self, model: Any, measured: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """Metrics of a whole training, from those that ``measure`` found along it and at its end."""
        return {}

    def verdict(self, metrics: Mapping[str, float]) -> str:
        """A one-line verdict where numbers alone are easily misread, else nothing. ``Worse than ...`` is printed in red."""
        return ""

    def preview(self, model: Any, folder: Path, stem: str) -> list[Path]:
        """Cheap pictures of the present state, drawn with every checkpoint."""
        return []

    def show(self, model: Any, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        """Writes pictures named ``stem-*`` into ``folder`` and returns their paths."""
        return []

    def strip(self, model: Any, items: int) -> Image.Image | None:
        """A row of ``items`` samples, to be shown beside other models'; ``None`` where there is nothing to look at."""
        return None

    def write(self, samples: Any, out: Path) -> str:
        """Writes what ``model.sample`` returned, at ``out`` if a file is written; returns what the command line prints."""
        raise TypeError(f"{type(self).__name__} does not say how samples are written")

    def judgement(self, model: Any, images: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities (N, K) and features (N, D) of images (N, C, H, W) in [0, 1], on the model's device."""
        raise TypeError(f"{type(self).__name__} does not judge images")

    def inputs(self, model: Any, batch: Batch) -> Tensor | None:
        """An example of what the network is given, made of a batch of training data, an item a row (N, ...).

        ``None`` for a task that only stands beside another, whose example serves.
        """
        raise TypeError(f"{type(self).__name__} gives no example of an input")

    def answer(self, model: Any, inputs: Tensor) -> Tensor:
        """The network's output for ``inputs``, a row an item (N, ...), with gradients where there are any."""
        raise TypeError(f"{type(self).__name__} does not say what a network answers")

    def graph(self, model: Any) -> Graph | None:
        """The network as a function that can be exported; ``None`` where no part of it is one."""
        return None

    def room(self, model: Any) -> Room | None:
        """How the model is played with in a browser; ``None`` where it cannot be."""
        return None


def gathered(stated: Sequence[Task], bases: Sequence[type]) -> tuple[Task, ...]:
    """The tasks of a class of models: those that its body names, then those of its bases in order, each once.

    A task that refines another, because its class derives from the other's, takes the other's place.
    """
    kept: list[Task] = []
    for task in [*stated, *(task for base in bases for task in getattr(base, "tasks", ()))]:
        general = [i for i, other in enumerate(kept) if isinstance(task, type(other))]
        if any(isinstance(other, type(task)) for other in kept):
            continue
        if general:
            kept[general[0]] = task
            kept = [other for i, other in enumerate(kept) if i not in general[1:]]
        else:
            kept.append(task)
    return tuple(kept)
