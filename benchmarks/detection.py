"""Detection: frames a second of YOLOv3, decoding and suppression as shares of a frame, suppression, and the data beside a step.

    python benchmarks/detection.py [--quick] [--json]

Networks have random weights. Both sides of a ratio run in one process and take turns; a ratio is that of medians. OpenCV reads the same
cfg and weights, where a version is installed that reads darknet's files (4.x); its answers are compared too.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from translation import turns

from paperzoo.data import Batch
from paperzoo.data.augment import augmented
from paperzoo.data.boxes.plain import plain_boxes
from paperzoo.engine import precision
from paperzoo.engine.players import Players
from paperzoo.metrics.iou import iou
from paperzoo.papers.detection import yolov2, yolov3
from paperzoo.pretrained import darknet
from paperzoo.tasks.decoding.nms import nms


def frames(width: float, size: int, repeats: int) -> dict[str, dict[str, float]]:
    """Frames a second, and what of a frame is no network; against the plain network in float32 and against OpenCV."""
    model = yolov3.Model(width=width, image_size=size).eval()
    plain = yolov3.Model(width=width, image_size=size).eval()
    plain.load_state_dict(model.state_dict())
    precision.prepare(model, precision.resolve("auto", torch.device("cpu")), torch.device("cpu"))
    image = torch.rand(1, 3, size, size)
    with torch.no_grad():
        rows = model.proposed(image)
        boxes, _, scores = rows[0]
        busy = float(scores.flatten().topk(1001).values[-1])  # so many pairs of box and class are above it
        ways: dict[str, Any] = {
            "plain float32": partial(plain.network, image),
            "network": partial(model.network, image),
            "decoding": partial(_decoded, model, image),
            "suppression": partial(model.chosen, boxes, scores, busy, 0.45, 100),
        }
        if other := _opencv(plain, image):
            ways["OpenCV"] = other
        ms = turns(ways, repeats)
    decoding = max(0.0, ms["decoding"] - ms["network"])
    found = {"network, frames a second": 1000 / ms["network"], "plain float32, frames a second": 1000 / ms["plain float32"],
             "times faster than plain": ms["plain float32"] / ms["network"], "decoding, share of a frame": decoding / ms["decoding"],
             "suppression of 1,000 boxes, share of a frame": ms["suppression"] / ms["decoding"]}  # fmt: skip
    if "OpenCV" in ms:
        found |= {"OpenCV, frames a second": 1000 / ms["OpenCV"], "times faster than OpenCV": ms["OpenCV"] / ms["network"]}
    return {f"yolov3, width {width:g}, {size} px": found}


def _decoded(model: yolov3.Model, image: torch.Tensor) -> Any:
    return model.candidates(image)


def _opencv(model: yolov3.Model, image: torch.Tensor) -> Any:
    """The same network in OpenCV; ``None`` if none is there that reads darknet's files."""
    try:
        import cv2  # type: ignore[import-not-found]
    except ImportError:
        return None
    if not hasattr(cv2.dnn, "readNetFromDarknet"):
        return None
    with tempfile.TemporaryDirectory() as folder:
        cfg, weights = Path(folder) / "x.cfg", Path(folder) / "x.weights"
        cfg.write_text(darknet.cfg_text(yolov3.cfg(model)))
        darknet.write_weights(model.network, weights)
        network = cv2.dnn.readNetFromDarknet(str(cfg), str(weights))
    cv2.setNumThreads(torch.get_num_threads())
    names = network.getUnconnectedOutLayersNames()

    def run() -> Any:
        network.setInput(image.numpy())
        return network.forward(names)

    with torch.no_grad():
        own = model.candidates(image)
    theirs = np.concatenate([part.reshape(-1, part.shape[-1]) for part in run()])
    centre = torch.cat([own.boxes[0, :, :2] + own.boxes[0, :, 2:], 2 * (own.boxes[0, :, 2:] - own.boxes[0, :, :2])], 1) / 2 / image.shape[3]
    apart = np.abs(np.sort(theirs[:, :4].ravel()) - np.sort(centre.numpy().ravel())).max()
    print(f"OpenCV's boxes and ours differ by {apart:.2g} of the picture's side at most")
    return run


def suppression(repeats: int) -> dict[str, dict[str, float]]:
    """Milliseconds for 10,000 boxes around 50 places, of one class, of 20 and of 80, and anywhere, against one kept box at a time."""
    generator = torch.Generator().manual_seed(0)
    middle, side = 416 * torch.rand(50, 2, generator=generator), 20 + 80 * torch.rand(50, 2, generator=generator)
    which = torch.randint(50, (10_000,), generator=generator)
    at, half = middle[which] + 6 * torch.randn(10_000, 2, generator=generator), side[which] / 2
    boxes, scores = torch.cat([at - half, at + half], 1), torch.rand(10_000, generator=generator)
    anywhere = 400 * torch.rand(10_000, 2, generator=generator)
    spread = torch.cat([anywhere, anywhere + 4 + 60 * torch.rand(10_000, 2, generator=generator)], 1)
    some, many = (torch.randint(classes, (10_000,), generator=generator) for classes in (20, 80))

    def one_at_a_time() -> None:
        rest = torch.argsort(scores, descending=True)
        while len(rest):
            rest = rest[1:][iou(boxes[rest[:1]], boxes[rest[1:]])[0] <= 0.45]

    ways = {
        "one class": partial(nms, boxes, scores, 0.45), "20 classes": partial(nms, boxes, scores, 0.45, some),
        "80 classes": partial(nms, boxes, scores, 0.45, many), "anywhere": partial(nms, spread, scores, 0.45), "plain": one_at_a_time,
    }  # fmt: skip
    ms = turns(ways, repeats)
    told = {f"{way}, ms": ms[way] for way in ways if way != "plain"} | {"times faster": ms["plain"] / ms["one class"]}
    return {"suppression of 10,000 boxes": told}


def pipeline(repeats: int) -> dict[str, dict[str, float]]:
    """A batch and its changes as a share of a step of the small recipe's network."""
    data = plain_boxes(160)
    model = yolov2.Model(width=0.25, image_size=160, classes=3, memory=0.1)
    precision.prepare(model, precision.resolve("auto", torch.device("cpu")), torch.device("cpu"))
    opt = Players(model.optimizers(name="AdamW"))
    opt.total = opt.stage_steps = 10**6

    def batch() -> Batch:
        made = data["train"].batch(range(16))
        for name in ("flip", "zoom", "colour"):
            made = augmented(made, name)
        return made

    ready = batch()
    ms = turns({"batch": batch, "step": partial(model.step, ready, opt)}, repeats)
    return {"yolov2 small, batches of 16": {**{f"{k}, ms": v for k, v in ms.items()}, "data, share of a step": ms["batch"] / ms["step"]}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small networks, few repeats")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    torch.manual_seed(0)
    repeats, began = (2 if chosen.quick else 9), time.perf_counter()
    rows = {**frames(0.25 if chosen.quick else 1.0, 160 if chosen.quick else 416, repeats), **suppression(repeats), **pipeline(repeats)}
    if chosen.json:
        print(json.dumps(rows))
        return
    for name, values in rows.items():
        print(name)
        for what, value in values.items():
            print(f"  {what}: {value:.3g}")
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
