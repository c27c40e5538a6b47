"""Bright rectangles on grey, in three classes by their shape and colour: what tests train on."""

from __future__ import annotations

import numpy as np
import torch

from paperzoo.data.boxes.anchors import anchors_of
from paperzoo.data.boxes.columns import Marked, Marks
from paperzoo.data.dataset import Dataset, Images, Schema, Split

SIZE, COUNTS = 64, {"train": 160, "validation": 40, "test": 40}
#: class -> its colour, and width and height as shares of the picture's side
KINDS = {
    "tall": ((220, 60, 40), (0.16, 0.4)),
    "wide": ((40, 90, 220), (0.42, 0.18)),
    "square": ((60, 200, 70), (0.27, 0.27)),
}


def plain_boxes(image_size: int | None = None) -> Dataset:
    """One to three rectangles that do not touch: ``image`` (N, 3, S, S), ``boxes``, ``box_label`` and their kin.

    Args:
        image_size: height and width. Default: 64.
    """
    size, splits, shapes = image_size or SIZE, {}, list[np.ndarray]()
    for number, (split, count) in enumerate(COUNTS.items()):
        rng = np.random.default_rng(number)
        image, marks = np.empty((count, 3, size, size), np.uint8), []
        for into in image:
            into[:] = rng.integers(90, 150) + rng.integers(-12, 13, (3, size, size))
            boxes, labels = list[np.ndarray](), list[int]()
            for _ in range(int(rng.integers(1, 4))):
                label = int(rng.integers(len(KINDS)))
                colour, share = list(KINDS.values())[label]
                side = np.maximum(3, (np.array(share) * rng.uniform(0.8, 1.2, 2) * size).round())
                corner = rng.integers(0, size - side + 1)
                box = np.concatenate([corner, corner + side]).astype(np.float32)
                if all((box[:2] > other[2:]).any() or (box[2:] < other[:2]).any() for other in boxes):
                    x0, y0, x1, y1 = box.astype(int)
                    into[:, y0:y1, x0:x1] = np.array(colour)[:, None, None]
                    boxes.append(box)
                    labels.append(label)
            marks.append(Marks.of(boxes, labels))
        splits[split] = Split(Images(torch.from_numpy(image)), Marked(marks))
        shapes += [one.boxes[:, 2:] - one.boxes[:, :2] for one in marks] if split == "train" else []
    arguments = {"channels": 3, "image_size": size, "classes": len(KINDS), **anchors_of(np.concatenate(shapes))}
    fields = ("image", "boxes", "box_label", "difficult", "crowd", "objects")
    return Dataset(Schema("boxes-plain", fields, arguments, tuple(KINDS)), splits, "MIT", "drawn by formula")
