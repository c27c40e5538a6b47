"""Ranking of windows before failures above others, cost of alarms, and importance of sensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from paperzoo.data import Batch, Dataset
from paperzoo.data.series.machines import Windows
from paperzoo.metrics import alarms

if TYPE_CHECKING:
    from paperzoo.tasks.maintenance.contract import AlarmModel

#: share of the windows that may raise an alarm, for ``recall at 5 % alarms``
ALARM_RATE = 0.05


def figures(model: AlarmModel, dataset: Dataset, split: str) -> dict[str, float]:
    """Figures of one split; of ``test`` also those of machines never seen, where the data has them.

    ``roc auc`` (0.5: nothing), ``average precision`` (``positives %``: nothing), ``recall at 5 % alarms``; ``log loss`` in nats
    of the probabilities; at the threshold of the costs: ``alarms %`` of the windows, ``failures found %``, ``lead time h``
    (median over true alarms), ``cost`` a window, and beside it ``cost of none`` (no alarm ever) and ``cost at best`` (the
    threshold chosen in hindsight). A split in which all windows are alike has no figures but its share.
    """
    measured = _figures(model, dataset, split)
    if split == "test" and "unseen" in dataset.splits:
        unseen = _figures(model, dataset, "unseen")
        kept = ("roc auc", "average precision", "recall at 5 % alarms", "positives %")
        measured |= {f"{name}, unseen machines": unseen[name] for name in kept if name in unseen}
    return measured


def _figures(model: AlarmModel, dataset: Dataset, split: str) -> dict[str, float]:
    logit, batch = model.outputs(dataset, split)
    until, label = batch.until.numpy(), model.label(batch).numpy()
    share = {"positives %": 100 * float(label.mean())}
    if label.all() or not label.any():
        return share
    curve, alarm = alarms.curve(logit, label), logit >= model.cut()
    none, best = curve.cost(model.alarm_cost, model.failure_cost)[0], curve.cost(model.alarm_cost, model.failure_cost).min()
    caught, failures = alarms.failures_found(alarm, batch.machine.numpy(), batch.time.numpy(), until, model.prediction)
    lead = alarms.lead_times(alarm, until, model.prediction)
    missed = (label & ~alarm).sum()
    return {
        "roc auc": alarms.roc_auc(logit, label),
        "average precision": alarms.average_precision(logit, label),
        "recall at 5 % alarms": alarms.recall_at(logit, label, ALARM_RATE),
        "log loss": float(np.logaddexp(0, np.where(label, -logit, logit)).mean()),
        "alarms %": 100 * float(alarm.mean()),
        "failures found %": 100 * caught / failures,
        **({"lead time h": float(np.median(lead))} if len(lead) else {}),
        "cost": float(model.alarm_cost * alarm.sum() + model.failure_cost * missed) / len(label),
        "cost of none": float(none),
        "cost at best": float(best),
        **share,
    }


def importance(model: AlarmModel, dataset: Dataset, split: str, repeats: int = 3, windows: int = 2000) -> dict[str, float]:
    """For each sensor, how much ROC AUC falls when its readings are those of other windows: mean over ``repeats`` shuffles.

    Every positive is looked at, and evenly spaced negatives up to ``windows`` in all.
    """
    items, random = dataset[split], np.random.default_rng(0)
    label = model.label(without_readings(dataset, split)).numpy()
    negative = np.flatnonzero(~label)
    spaced = negative[np.unique(np.linspace(0, len(negative) - 1, max(1, windows - int(label.sum()))).astype(np.int64))]
    chosen = np.sort(np.concatenate([np.flatnonzero(label)[:windows], spaced]))
    readings, label = items.batch(chosen).readings.cpu(), label[chosen]

    def auc(given: Tensor) -> float:
        return alarms.roc_auc(np.concatenate([model.logit(part) for part in torch.split(given, 500)]), label)

    whole, falls = auc(readings), {}
    for number, sensor in enumerate(model.sensors):
        drops = []
        for _ in range(repeats):
            other = readings.clone()
            other[:, :, number] = readings[torch.from_numpy(random.permutation(len(readings))), :, number]
            drops.append(whole - auc(other))
        falls[sensor] = float(np.mean(drops))
    return falls


def without_readings(dataset: Dataset, split: str) -> Batch:
    """All windows of a split in order, without the readings, which are long."""
    items = dataset[split]
    columns = [column.take(np.arange(len(items))) for column in items.columns if not isinstance(column, Windows)]
    return Batch(**{name: values for fields in columns for name, values in fields.items()}).to("cpu")
