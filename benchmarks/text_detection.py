"""Text in pictures: merging of quadrilaterals against the usual suppression and against shapely, and reading beside a picture's network.

    python benchmarks/text_detection.py [--quick] [--json]

Both sides of a ratio run in one process and take turns; a ratio is that of medians. Networks have random weights.
"""

from __future__ import annotations

import argparse
import json
import time
from functools import partial
from typing import Any

import numpy as np
import torch
from translation import turns

from paperzoo.engine import precision
from paperzoo.papers.detection.east import Model
from paperzoo.tasks.decoding.locality_nms import locality_nms, quad_nms


def dense(number: int, texts: int) -> tuple[np.ndarray, np.ndarray]:
    """What the pixels of a map say of words in it, row by row, each a little wrong: (N, 4, 2) and (N)."""
    rng, each = np.random.default_rng(0), number // texts
    columns, wide = int(np.ceil(np.sqrt(texts))), int(np.sqrt(4 * each))
    tall, rows = each // wide, []
    for n in range(texts):
        left, top = (n % columns) * (4 * wide + 30), (n // columns) * (4 * tall + 30)
        rows += [(top + 4 * i, left + 4 * j, left + 2 * wide, top + 2 * tall) for i in range(tall) for j in range(wide)]
    rows.sort()
    middle = np.array([row[2:] for row in rows], np.float64) + rng.normal(0, 1, (len(rows), 2))
    side = np.array([[4.0 * wide + 8, 4.0 * tall + 8]]) + rng.normal(0, 1, (len(rows), 2))
    turn = rng.normal(0, 0.03, len(rows))
    quads = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2 * side[:, None]
    along = np.stack([np.cos(turn), np.sin(turn)], 1)
    return quads @ np.stack([along, along[:, ::-1] * [-1, 1]], 1) + middle[:, None], rng.uniform(0.5, 1, len(rows))


def by_shapely(quads: np.ndarray, scores: np.ndarray, overlap: float = 0.2) -> Any:
    """The same pass and suppression with shapely's polygons, a pair at a time, as published programs have it."""
    from shapely import Polygon

    def iou(a: np.ndarray, b: np.ndarray) -> float:
        one, other = Polygon(a), Polygon(b)
        both = one.intersection(other).area
        return float(both / (one.area + other.area - both))

    merged: list[tuple[np.ndarray, float]] = []
    for quad, score in zip(quads, scores.tolist(), strict=True):
        if merged and iou(quad, merged[-1][0]) > overlap:
            last, votes = merged[-1]
            merged[-1] = (votes * last + score * quad) / (votes + score), votes + score
        else:
            merged.append((quad, score))
    merged.sort(key=lambda pair: -pair[1])
    kept: list[np.ndarray] = []
    for quad, _ in merged:
        if all(iou(quad, other) <= overlap for other in kept):
            kept.append(quad)
    return kept


def merging(number: int, repeats: int) -> dict[str, dict[str, float]]:
    """Milliseconds for quadrilaterals of 25 texts."""
    quads, scores = dense(number, 25)
    ways: dict[str, Any] = {"locality-aware": partial(locality_nms, quads, scores), "usual": partial(quad_nms, quads, scores)}
    try:
        found = by_shapely(quads, scores)
        assert len(found) == len(locality_nms(quads, scores).quads)
        ways["shapely"] = partial(by_shapely, quads, scores)
    except ImportError:
        print("shapely is not installed")
    locality_nms(quads, scores)  # compiled
    ms = turns(ways, repeats)
    told = {f"{name}, ms": value for name, value in ms.items()}
    told |= {f"times faster than {name}": ms[name] / ms["locality-aware"] for name in ms if name != "locality-aware"}
    return {f"merging of {len(quads):,}": told}


def frames(width: float, size: int, repeats: int) -> dict[str, dict[str, float]]:
    """Pictures a second, and what share of one is reading, with about 1,000 pixels that vote."""
    model = Model(stem="pvanet", width=width, image_size=size).eval()
    precision.prepare(model, precision.resolve("auto", torch.device("cpu")), torch.device("cpu"))
    image = torch.rand(1, 3, size, size)
    with torch.no_grad():
        answers = model.answers(image).float()
    least = float(answers[0, 0].sigmoid().flatten().topk(1000).values[-1])

    def network() -> Any:
        with torch.no_grad():
            return model.answers(image)

    ms = turns({"network": network, "reading": partial(model.read, answers, least)}, repeats)
    whole = ms["network"] + ms["reading"]
    told = {f"{name}, ms": value for name, value in ms.items()}
    told |= {"pictures a second": 1000 / whole, "reading, share": ms["reading"] / whole}
    return {f"east, pvanet, width {width:g}, {size} px": told}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer quadrilaterals, a small network, few repeats")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    torch.manual_seed(0)
    repeats, began = (2 if chosen.quick else 7), time.perf_counter()
    rows = merging(2_000 if chosen.quick else 10_000, repeats)
    rows |= frames(0.25 if chosen.quick else 1.0, 128 if chosen.quick else 512, repeats)
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
