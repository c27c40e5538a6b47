"""Quality of generated shapes: occupied share, connectedness, distance to held-out shapes, diversity, features by a classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from paperzoo.data import Dataset
from paperzoo.data.volumes.voxels import POSES, iou
from paperzoo.metrics.shapes import among, coverage, largest_component
from paperzoo.tasks.generation import spread

if TYPE_CHECKING:
    from paperzoo.tasks.volume_generation.contract import VolumeGenerator

#: samples, and as many training shapes and at most as many held-out ones beside them
SAMPLES = 256

#: labels of each class that a linear classifier is fitted on, and how often
LABELS, DRAWS = 10, 5


def of_volumes(model: VolumeGenerator, dataset: Dataset, split: str) -> dict[str, float]:
    """Figures of 256 samples, occupied where they are above 0.5, each beside the same of training shapes.

    ``occupied over data's`` is the ratio of the occupied shares. ``nearest iou`` is the mean over samples of the intersection over
    union with the nearest held-out shape, in the best of its eight poses; ``iou among samples`` that of pairs of samples, as they
    stand. Either alone can be had for nothing: by the mean shape, which is near to everything and always the same, and by noise
    with the mean of each voxel, which is never the same and near to nothing. Both stand beside. For coverage and minimum matching
    distance see ``metrics/shapes.py``.

    With labels, ``svm on features %`` is the accuracy on the split of a linear classifier on ``model.features`` fitted on 10 labels
    of each class, and ``svm on voxels %`` on the volumes themselves; see ``few_labels``.
    """
    fake, real = (model.sample(SAMPLES) > 0.5).float(), volumes(dataset, "train", SAMPLES)
    held = volumes(dataset, split, SAMPLES)
    mean, noise = controls(volumes(dataset, "train", 2000))
    metrics = {
        "occupied share %": 100 * float(fake.mean()),
        "occupied share % of data": 100 * float(real.mean()),
        "occupied over data's": float(fake.mean() / real.mean()),
        "largest component": largest_component(fake),
        "largest component of data": largest_component(real),
    }
    among_data = among(iou(real, real))
    for name, shapes in (("", fake), (" of data", real), (" of mean shape", mean), (" of noise", noise)):
        near = iou(shapes, held, POSES)
        covered, distance = coverage(near)
        metrics[f"nearest iou{name}"] = float(near.max(1).values.mean())
        metrics[f"iou among samples{name}"] = among_data if shapes is real else among(iou(shapes, shapes))
        metrics[f"coverage %{name}"] = 100 * covered
        metrics[f"minimum matching distance{name}"] = distance
    metrics["iou among over data's"] = metrics["iou among samples"] / max(among_data, 1e-6)
    return {**metrics, **few_labels(model, dataset, split)}


def volumes(dataset: Dataset, split: str, most: int) -> Tensor:
    """At most ``most`` volumes of a split, evenly spaced, on the CPU: (N, 1, S, S, S)."""
    chosen: Tensor = dataset[split].batch(spread(len(dataset[split]), most)).volume
    return chosen.cpu()


def controls(real: Tensor) -> tuple[Tensor, Tensor]:
    """Baselines that do well on half of the metrics, ``SAMPLES`` of each: the mean shape, and noise.

    The mean shape is occupied where most of the volumes (N, 1, S, S, S) are, as many voxels as they have on average; it is the same
    every time. In the noise every voxel is occupied by itself, as often as in the volumes.
    """
    mean = real.mean(0, keepdim=True)  # (1, 1, S, S, S)
    count = max(1, round(float(mean.sum())))
    least = mean.flatten().sort(descending=True).values[count - 1]
    random = torch.from_numpy(np.random.default_rng(0).random((SAMPLES, *mean.shape[1:]), np.float32))
    return (mean >= least).float().expand(SAMPLES, *mean.shape[1:]), (random < mean).float()


def few_labels(model: VolumeGenerator, dataset: Dataset, split: str) -> dict[str, float]:
    """Accuracy of linear support vector machines, the mean over five draws of 10 training items of each class, or all that there are.

    Items without a class are left out, and so are the features that are the same for all. ``largest class %`` is what naming the
    split's most frequent class is worth. Nothing where there are no labels.
    """
    if "label" not in dataset.schema.fields:
        return {}
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    kinds = {name: _labels(dataset, name) for name in ("train", split)}
    test = np.flatnonzero(kinds[split] >= 0)
    held, truth = dataset[split].batch(test).volume.cpu(), kinds[split][test]
    held_features = {"features": model.seen(held).numpy(), "voxels": held.flatten(1).numpy()}
    right: dict[str, list[float]] = {name: [] for name in held_features}
    for draw in range(DRAWS):
        random, chosen = np.random.default_rng(draw), []
        for kind in np.unique(kinds["train"][kinds["train"] >= 0]):
            chosen.append(random.permutation(np.flatnonzero(kinds["train"] == kind))[:LABELS])
        items = np.concatenate(chosen)
        train = dataset["train"].batch(items).volume.cpu()
        for name, known in (("features", model.seen(train).numpy()), ("voxels", train.flatten(1).numpy())):
            machine = make_pipeline(StandardScaler(), LinearSVC(C=0.01, max_iter=5000, random_state=0))
            machine.fit(known, kinds["train"][items])
            right[name].append(float((machine.predict(held_features[name]) == truth).mean()))
    share = np.bincount(truth).max() / len(truth)
    return {**{f"svm on {name} %": 100 * float(np.mean(each)) for name, each in right.items()}, "largest class %": 100 * float(share)}


def _labels(dataset: Dataset, split: str) -> np.ndarray:
    """The labels of a split, int64 (N), without its volumes."""
    columns = [column for column in dataset[split].columns if getattr(column, "name", "") == "label"]
    labels: np.ndarray = columns[0].take(np.arange(len(dataset[split])))["label"].cpu().numpy()
    return labels
