"""Precision, recall and their harmonic mean on a split."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from paperzoo.data import Dataset
from paperzoo.data.boxes.geometry import Letterbox
from paperzoo.metrics.hmean import ANGLES, Real, Said, rates, rates_by_angle

if TYPE_CHECKING:
    from paperzoo.tasks.text_detection.contract import TextDetector

#: images at a time
PART = 16


def harmonic(model: TextDetector, dataset: Dataset, split: str) -> dict[str, float]:
    """ICDAR 2015's precision, recall and hmean over the whole split, from 0 to 1, at the model's own threshold.

    ``hmean``, ``precision`` and ``recall`` at an IoU of 0.5; ``hmean at 0.7`` at one of 0.7; and ``hmean A-B degrees`` of text as steep
    as that, where some is written.
    """
    said, real = collected(model, dataset, split)
    half, strict = rates(said, real, 0.5), rates(said, real, 0.7)
    metrics = {"hmean": half.hmean, "precision": half.precision, "recall": half.recall, "hmean at 0.7": strict.hmean}
    for low, high, band in zip(ANGLES, ANGLES[1:], rates_by_angle(said, real, 0.5), strict=False):
        if band.real:
            metrics[f"hmean {low}-{high} degrees"] = band.hmean
    return metrics


def collected(model: TextDetector, dataset: Dataset, split: str) -> tuple[list[Said], list[Real]]:
    """Detections and ground truth of each image; in pixels of the original pictures."""
    items, said, real = dataset[split], list[Said](), list[Real]()
    for indices in items.batches(PART):
        batch = items.batch(indices)
        original, (tall, wide) = getattr(batch, "original", None), batch.image.shape[2:]
        for i, reading in enumerate(model.found(batch.image)):
            there = slice(0, int(batch.objects[i]))
            quads = batch.quads[i, there].numpy().astype(np.float64)
            if original is not None:
                box = Letterbox(int(original[i, 0]), int(original[i, 1]), tall, wide)
                quads, reading = box.back(quads), reading._replace(quads=box.back(reading.quads))
            said.append(Said(reading.quads))
            real.append(Real(quads, batch.difficult[i, there].numpy()))
    return said, real
