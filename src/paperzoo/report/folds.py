"""Cross-validation of a classifier on few images: every image tested once, by a network that has not seen it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from paperzoo.data.change.folds import MOST
from paperzoo.data.datasets import parse
from paperzoo.engine.job import resolve
from paperzoo.engine.run import Run, job_of
from paperzoo.engine.seeds import train_seeds
from paperzoo.errors import PaperzooError
from paperzoo.metrics.interval import wilson
from paperzoo.report.ending import columns
from paperzoo.tasks.classification import confusion
from paperzoo.terminal import plain

if TYPE_CHECKING:
    from paperzoo.tasks.classification import Classifier

#: images that it was least sure of
SHOWN = 10


def train_folds(
    parts: int, name: str, recipe: str, data: str | None, init: str | None, seed: int, out: Path, devices: int,
    overrides: Mapping[str, Any], code: Sequence[str],
) -> list[Run]:  # fmt: skip
    """A run for each fold; what is finished is found again.

    Raises:
        PaperzooError: as ``paperzoo.train``; a number of folds that cannot be, data with a change of their own, or no classifier.
    """
    if not 2 <= parts <= MOST:
        raise PaperzooError(f"--folds is a whole number from 2 to {MOST}, not {parts}")
    job = resolve(name, recipe, data, init, seed, overrides)
    if not any(task.judges and "image" in task.needs for task in job.entry.model_class.tasks):
        raise PaperzooError(f"--folds is for classifiers; {name} is a model for {job.entry.model_class.task}")
    if parse(job.recipe.data).change:
        raise PaperzooError(f"--folds cuts the data itself: leave out what stands behind the # of {job.recipe.data}")
    each = [f"{job.recipe.data}#fold={number}/{parts}" for number in range(1, parts + 1)]
    for one in each:
        resolve(name, recipe, one, init, seed, {k: v for k, v in overrides.items() if k != "data"})
    rest = {k: v for k, v in overrides.items() if k != "data"}
    return [train_seeds([seed], name, recipe, one, init, out, devices, rest, code)[0] for one in each]


def of_folds(runs: Sequence[Run], out: Path) -> str:
    """Errors over all folds with their interval, by class, and the images that the networks were least sure of; writes the confusion.

    Args:
        out: the folder that the picture ``folds-NAME.png`` is written to.
    """
    guesses, labels, sure, files = [], [], [], list[str]()
    names: tuple[str, ...] = ()
    for run in runs:
        data, model = job_of(run).dataset(), cast("Classifier", run.model)
        data, names = data.named(model.names), model.names
        files += data["test"].files or [""] * len(data["test"])
        with torch.no_grad():
            for logits, true in model.outputs(data, "test"):
                best = logits.float().softmax(1).max(1)
                guesses.append(best.indices.numpy())
                sure.append(best.values.numpy())
                labels.append(true.numpy())
    guess, label, p = (np.concatenate(parts) for parts in (guesses, labels, sure))
    wrong, total = int((guess != label).sum()), len(label)
    low, high = wilson(wrong, total)
    rows = [("class", "images", "wrong", "taken for")]
    for k, name in enumerate(names):
        of_class, taken = label == k, guess[(label == k) & (guess != k)]
        others = [f"{plain(names[j])} {n}" for j, n in enumerate(np.bincount(taken, minlength=len(names))) if n]
        rows.append((plain(name), str(int(of_class.sum())), str(len(taken)), ", ".join(others)))
    least = p.argsort()[:SHOWN]
    unsure = [("least sure of", "is", "taken for", "")]
    unsure += [(plain(files[i]), plain(names[label[i]]), plain(names[guess[i]]), f"{p[i]:.0%}") for i in least]
    picture = confusion(guess, label, names, out / f"folds-{runs[0].directory.name}.png")
    about = f"{wrong} of {total} wrong in {len(runs)} folds: {100 * wrong / total:.1f} % (95 %: {100 * low:.1f} to {100 * high:.1f})"
    return "\n".join(["", about, "", *columns(rows), "", *columns(unsure), "", str(picture)])
