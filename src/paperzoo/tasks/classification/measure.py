"""Error with its interval, loss, calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from paperzoo.data import Dataset
from paperzoo.metrics.calibration import reliability
from paperzoo.metrics.interval import wilson

if TYPE_CHECKING:
    from paperzoo.tasks.classification.contract import Classifier


def errors(model: Classifier, dataset: Dataset, split: str) -> dict[str, float]:
    """``error %`` (top-1) and ``loss`` (mean cross-entropy in nats) over the whole split.

    ``error % low`` and ``error % high``: Wilson's 95 % interval, for this number of images. ``calibration error %``: how
    far, on average, the probability of the likeliest class is from the share of right answers, in 15 bins.
    """
    loss, confidence, right = 0.0, [], []
    for logits, label in model.outputs(dataset, split):
        confidence.append(logits.float().softmax(1).amax(1).nan_to_num(0).cpu())  # not finite: the loss says so
        right.append((logits.argmax(1) == label).cpu())
        loss += float(F.cross_entropy(logits, label, reduction="sum"))
    hit = torch.cat(right)
    total, wrong = len(hit), len(hit) - int(hit.sum())
    low, high = wilson(wrong, total)
    return {
        "error %": 100 * wrong / total,
        "loss": loss / total,
        "error % low": 100 * low,
        "error % high": 100 * high,
        "calibration error %": 100 * reliability(torch.cat(confidence).numpy(), hit.numpy()).error,
    }
