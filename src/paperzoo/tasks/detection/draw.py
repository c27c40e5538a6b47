"""Held-out pictures with what the model finds in them, and how right it is where."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from paperzoo.data import Dataset
from paperzoo.tasks.detection.drawing import drawn
from paperzoo.tasks.generation import spread
from paperzoo.tasks.pictures import compact, save

if TYPE_CHECKING:
    from paperzoo.tasks.detection.contract import Detector

#: pictures that are shown, those in a row, and the least side at which each is; least score of what is drawn
SHOWN, COLUMNS, SIDE, THRESHOLD = 12, 4, 224, 0.3
_GAP = 4


def pictures(model: Detector, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
    """Twelve pictures of the split, evenly spaced, with what is found at a score of 0.3, and the same with what there is."""
    batch = dataset[split].batch(spread(len(dataset[split]), SHOWN))
    found = model.detect(batch.image, THRESHOLD, 0.45)
    said, true = [], []
    for i, own in enumerate(found):
        rows = zip(own.boxes.tolist(), own.scores.tolist(), own.labels.tolist(), strict=True)
        said.append([(f"{model.title(label)} {score:.2f}", label, box) for box, score, label in rows])
        real = zip(batch.boxes[i].tolist(), batch.box_label[i].tolist(), strict=True)
        true.append([(model.title(label), label, box) for box, label in list(real)[: int(batch.objects[i])]])
    array = batch.image.cpu().mul(255).round().byte().numpy()  # (N, C, H, W)
    images = [Image.fromarray(each.transpose(1, 2, 0) if each.shape[0] == 3 else each[0]) for each in array]
    times = max(1, SIDE // max(images[0].size))
    paths = []
    for name, boxes in (("found", said), ("true", true)):
        sheet = [drawn(image, own, times) for image, own in zip(images, boxes, strict=True)]
        wide, tall = sheet[0].width + _GAP, sheet[0].height + _GAP
        whole = Image.new("RGB", (COLUMNS * wide - _GAP, -(-len(sheet) // COLUMNS) * tall - _GAP), "white")
        for place, image in enumerate(sheet):
            whole.paste(image, (place % COLUMNS * wide, place // COLUMNS * tall))
        paths.append(save(compact(whole), folder / f"{stem}-{name}.png"))
    return paths
