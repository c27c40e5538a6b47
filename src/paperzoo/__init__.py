"""paperzoo: landmark deep-learning papers, each one readable file, trained by one command, measured beside its own claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paperzoo.errors import PaperzooError

if TYPE_CHECKING:
    from paperzoo.data import Dataset
    from paperzoo.engine.run import Run
    from paperzoo.records import Paper
    from paperzoo.tasks.model import Model

__version__ = "0.1.0"
__all__ = ["PaperzooError", "create", "dataset", "evaluate", "list_papers", "load", "paper", "resume", "train"]


def list_papers(task: str | None = None, family: str | None = None) -> list[str]:
    """Sorted names of the papers, optionally of one task or family. Imports no torch.

    Raises:
        PaperzooError: unknown task or family.
    """
    from paperzoo import catalog

    return catalog.list_papers(task, family)


def paper(name: str) -> Paper:
    """What is known of a paper: title, authors, claims, deviations, recipes, variants."""
    from paperzoo import catalog

    return catalog.paper(name)


def create(name: str, **arguments: Any) -> Model:
    """A model with fresh weights. Arguments default to the paper's sizes: ``create("resnet:resnet50", classes=10)``.

    Raises:
        PaperzooError: unknown name or argument, or a value of a wrong type or out of range.
    """
    from paperzoo import catalog

    catalog.allow(name)
    return catalog.create(name, **arguments)


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
    """Trains a paper by one of its recipes and measures it.

    Args:
        name: ``paper``, ``paper:variant``, or the path of a file of the same anatomy.
        recipe: ``paper``, ``small`` or ``smoke``; ``show`` lists them.
        data: another data set, such as ``folder:PATH`` for the user's own images.
        init: a run or weights file to start from.
        seed: of weights, order and chance.
        out: a directory for the run is made below it.
        devices: processes; the batch is shared among them.
        overrides: such as ``{"model.width": 32, "batch_size": 64, "optimizer.lr": 1e-4, "steps": 500}``.
        code: files of your own that made what ``init`` names; no code of a file runs that is not named in the call.
        sharded: each process holds a part of weights, gradients and optimiser state, not all; for models of one optimiser.

    Returns:
        The run: ``.directory``, ``.metrics``, ``.model``.

    Raises:
        PaperzooError: a wrong name, key or value (before anything is loaded), data that cannot be had, or a loss that
            is not finite.
    """
    from paperzoo.engine.train import train

    return train(name, recipe, data, init, seed, out, devices, overrides, code, sharded)


def resume(directory: str | Path, devices: int = 1, code: Sequence[str] = (), sharded: bool = False) -> Run:
    """Goes on with a run that was interrupted, from its newest good checkpoint; a finished run is returned as it is.

    Args:
        devices, sharded: as for ``train``; they need not be those that the run began with.
        code: the file of your own that the run was made by, if it was.

    Raises:
        PaperzooError: no run, one that another process is writing, or data of other classes than it began with.
    """
    from paperzoo.engine.train import resume

    return resume(directory, devices, code, sharded)


def load(source: str | Path, code: Sequence[str] = ()) -> Model:
    """A trained model in eval mode: from a run's directory, a weights file, or the name of a paper whose weights ship.

    Args:
        code: the file of your own that the model was made by, if it was.

    Raises:
        PaperzooError: nothing is there, it is damaged, or it was made by a file that is not named.
    """
    from paperzoo.engine.weights import load

    return load(source, code)


def evaluate(directory: str | Path, split: str = "test", data: str | None = None, code: Sequence[str] = ()) -> dict[str, float]:
    """The recipe's metrics of a run's last checkpoint on one split.

    Args:
        data: other data than the run's, of the same classes; they are matched by name.
        code: the file of your own that the run was made by, if it was.

    Raises:
        PaperzooError: no run, no checkpoint that can be read, or data of other classes than the model has learnt.
    """
    from paperzoo.engine.evaluate import evaluate

    return evaluate(directory, split, data, code)


def dataset(name: str) -> Dataset:
    """A data set by name: ``.splits``, ``.schema``, ``.licence``; ``dataset("mnist")["train"][0]`` is its first item."""
    from paperzoo.data.datasets import dataset

    return dataset(name)
