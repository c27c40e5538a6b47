"""Dense pose: RoIAlign against a plain loop, pictures a second of the rasteriser, and ways on a surface.

    python benchmarks/dense_pose.py [--quick] [--json]

Both sides of a ratio run in one process and take turns; a ratio is that of medians.
"""

from __future__ import annotations

import argparse
import json
import time
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from translation import turns

from paperzoo.data.bodies.geodesics import on_cylinder, on_mesh
from paperzoo.data.bodies.plain import RADIUS, cylinder
from paperzoo.data.bodies.poses import about
from paperzoo.data.bodies.raster import rasterised
from paperzoo.papers.detection.regions import roi_align


def loop(features: Tensor, boxes: Tensor, image: Tensor, size: int, scale: float, ratio: int = 2) -> Tensor:
    """``roi_align`` bin by bin and value by value; a value takes all channels at once."""
    tall, wide = features.shape[2:]
    found = torch.zeros(len(boxes), features.shape[1], size, size)
    for k, (x0, y0, x1, y1) in enumerate(boxes.tolist()):
        own = features[int(image[k])]
        for i in range(size * ratio):
            y = min(max(scale * (y0 + (y1 - y0) * (i + 0.5) / (size * ratio)) - 0.5, 0.0), tall - 1.0)
            top, dy = int(y), y - int(y)
            for j in range(size * ratio):
                x = min(max(scale * (x0 + (x1 - x0) * (j + 0.5) / (size * ratio)) - 0.5, 0.0), wide - 1.0)
                left, dx = int(x), x - int(x)
                below, right = min(top + 1, tall - 1), min(left + 1, wide - 1)
                value = (1 - dy) * ((1 - dx) * own[:, top, left] + dx * own[:, top, right])
                value = value + dy * ((1 - dx) * own[:, below, left] + dx * own[:, below, right])
                found[k, :, i // ratio, j // ratio] += value / ratio**2
    return found


def aligning(number: int, channels: int, repeats: int) -> dict[str, dict[str, float]]:
    """Milliseconds for regions of two images, 14 x 14 bins."""
    torch.manual_seed(0)
    features = torch.randn(2, channels, 50, 50)
    corner = 120 * torch.rand(number, 2)
    boxes, image = torch.cat([corner, corner + 20 + 50 * torch.rand(number, 2)], 1), torch.randint(2, (number,))
    given = (features, boxes, image, 14, 0.25)
    assert torch.allclose(roi_align(*given), loop(*given), atol=1e-4)
    ms = turns({"roi_align": partial(roi_align, *given), "loop": partial(loop, *given)}, repeats)
    told = {f"{name}, ms": value for name, value in ms.items()}
    return {f"RoIAlign of {number} regions, {channels} channels": told | {"times faster than a loop": ms["loop"] / ms["roi_align"]}}


def grown(times: int) -> tuple[np.ndarray, np.ndarray]:
    """The cylinder with each triangle cut in four so often: vertices (V, 3) and faces (F, 3)."""
    vertices, faces = cylinder().vertices, cylinder().faces
    for _ in range(times):
        ends = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), 1)
        edges, which = np.unique(ends, axis=0, return_inverse=True)
        a, b, c = len(vertices) + which.reshape(3, -1)
        vertices = np.concatenate([vertices, vertices[edges].mean(1)])
        i, j, k = faces.T
        faces = np.concatenate([np.stack(own, 1) for own in ((i, a, c), (a, j, b), (c, b, k), (a, b, c))])
    return vertices, faces


def drawing(times: int, repeats: int) -> dict[str, dict[str, float]]:
    """Pictures a second, 384 x 384 samples for 128 x 128 pixels."""
    vertices, faces = grown(times)
    turn = about(np.array([0.2, 1, 0]), 40)
    points = (vertices - [0, 0.8, 0]) @ turn.T * [1, -1, -1] * 180 + [192, 192, 0]
    ms = turns({"rasteriser": partial(rasterised, points, faces, 384, 384)}, repeats)["rasteriser"]
    return {f"rasteriser, {len(faces):,} triangles, 384 x 384": {"ms": ms, "pictures a second": 1000 / ms}}


def ways(repeats: int) -> dict[str, dict[str, float]]:
    """How long and how exact ways on a cylinder are."""
    mesh, sources = cylinder(), np.arange(32)
    quads = np.concatenate([mesh.faces[0::2], mesh.faces[1::2, 2:]], 1)
    true = on_cylinder(mesh.angles[sources][:, None], mesh.angles[None], RADIUS)
    told = dict[str, float]()
    for between in (0, 1, 2, 5):
        found: Any = partial(on_mesh, mesh.vertices, quads, sources, between)
        told[f"{between} points on an edge, ms a source"] = turns({"x": found}, repeats)["x"] / len(sources)
        told[f"{between} points on an edge, mean excess %"] = float(100 * (found()[true > 0.2] / true[true > 0.2] - 1).mean())
    return {f"ways on a cylinder of {len(mesh.vertices):,} vertices": told}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer regions and triangles, few repeats")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    repeats, began = (2 if chosen.quick else 7), time.perf_counter()
    rows = aligning(2 if chosen.quick else 16, 64 if chosen.quick else 256, repeats)
    rows |= drawing(1 if chosen.quick else 2, repeats) | ways(2)
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
