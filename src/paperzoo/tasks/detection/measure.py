"""Average precision on a split, with all that is proposed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from paperzoo.data import Dataset
from paperzoo.data.boxes.geometry import Letterbox, clipped
from paperzoo.metrics.coco_ap import coco_ap
from paperzoo.metrics.voc_ap import Found, Truth, voc_ap

if TYPE_CHECKING:
    from paperzoo.tasks.detection.contract import Detector

#: least score and most overlap of what is measured; a threshold of 0.1 and more, as in use, cuts recall off and AP with it
THRESHOLD, OVERLAP, MOST = 0.001, 0.45, 100
#: images at a time
PART = 16
SIZES = ("small", "medium", "large")


def precision(model: Detector, dataset: Dataset, split: str) -> dict[str, float]:
    """COCO's and VOC's average precision over the whole split, from 0 to 1, at a score threshold of 0.001.

    ``AP50`` and ``AP75``, COCO's AP at one IoU, and ``AP``, its mean over 0.5 to 0.95; ``AP50 small``, ``medium`` and ``large``, with
    sides below 32, up to 96 and above 96 pixels of the picture; ``AP (VOC 2007)`` and ``AP (VOC 2010)``, at IoU 0.5 with eleven
    recalls and with all; and ``class-agnostic AP50``, of objectness alone, as if there were one class.
    """
    said, plain, true = collected(model, dataset, split)
    coco, alone = coco_ap(said, true, model.classes), coco_ap(plain, [objects._replace(labels=0 * objects.labels) for objects in true], 1)
    metrics = {"AP50": coco.mean(overlap=0), "AP75": coco.mean(overlap=5), "AP": coco.mean()}
    metrics |= {f"AP50 {name}": coco.mean(area, 0) for area, name in enumerate(SIZES, 1)}
    for year, eleven in (("2007", True), ("2010", False)):
        values = torch.from_numpy(voc_ap(said, true, model.classes, 0.5, eleven))
        metrics[f"AP (VOC {year})"] = float(values.nanmean())
    metrics["class-agnostic AP50"] = alone.mean(overlap=0)
    return {name: value for name, value in metrics.items() if not math.isnan(value)}


def by_class(model: Detector, dataset: Dataset, split: str) -> dict[str, float]:
    """``AP50`` of each class by its name."""
    said, _, true = collected(model, dataset, split)
    values = coco_ap(said, true, model.classes).precision[0, :, 0].tolist()
    return {model.title(label): value for label, value in enumerate(values)}


def collected(model: Detector, dataset: Dataset, split: str) -> tuple[list[Found], list[Found], list[Truth]]:
    """Detections in each image by class, and by objectness alone, and the ground truth; in pixels of the original pictures."""
    items = dataset[split]
    said, plain, true = list[Found](), list[Found](), list[Truth]()
    for indices in items.batches(PART):
        batch = items.batch(indices)
        original, (tall, wide) = getattr(batch, "original", None), batch.image.shape[2:]
        for i, (boxes, objectness, scores) in enumerate(model.proposed(batch.image)):
            box = None if original is None else Letterbox(int(original[i, 0]), int(original[i, 1]), tall, wide)

            def back(points: Tensor, box: Letterbox | None = box, size: tuple[int, int] = (tall, wide)) -> Tensor:
                if box is None:
                    return clipped(points.double(), *size)
                return clipped(box.back(points.double()), box.height, box.width)

            kept = model.chosen(boxes, scores, THRESHOLD, OVERLAP, MOST)
            said.append(Found(back(kept.boxes).numpy(), kept.scores.numpy(), kept.labels.numpy()))
            one = model.chosen(boxes, objectness[:, None], THRESHOLD, OVERLAP, MOST)
            plain.append(Found(back(one.boxes).numpy(), one.scores.numpy(), one.labels.numpy()))
            real = slice(0, int(batch.objects[i]))
            flags = (batch.difficult[i, real].numpy(), batch.crowd[i, real].numpy())
            true.append(Truth(back(batch.boxes[i, real]).numpy(), batch.box_label[i, real].numpy(), *flags))
    return said, plain, true
