"""Shapes in space: a step of 3D-GAN and its layers by precision and layout, and voxelising and unpacking in shapes a second.

    python benchmarks/volumes.py [--quick] [--json]

Volumes have 32 voxels along a side, networks half of the paper's width. All sides of a row run in one process and take turns; figures are
medians. trimesh's own way, which subdivides triangles until they are small, stands beside.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from translation import turns

import paperzoo
from paperzoo.data.volumes.columns import Volumes
from paperzoo.data.volumes.voxels import pack, voxelise
from paperzoo.papers.volumes.gan3d import discriminator_loss, generator_loss

SIDE, WIDTH, BATCH = 32, 32, 16
WAYS = [(precision, layout) for precision in ("float32", "bf16") for layout in ("as it is", "channels last")]


def autocast(precision: str) -> Any:
    return torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16", cache_enabled=False)


def laid(module: nn.Module, layout: str) -> nn.Module:
    return module.to(memory_format=torch.channels_last_3d) if layout == "channels last" else module  # type: ignore[call-overload]


def step(precision: str, layout: str) -> Callable[[], None]:
    """Both players' steps of a plain loop."""
    model = laid(paperzoo.create("gan3d", image_size=SIDE, width=WIDTH), layout)
    players = {name: torch.optim.Adam(getattr(model, name).parameters(), 1e-4) for name in ("discriminator", "generator")}
    real = (torch.rand(BATCH, 1, SIDE, SIDE, SIDE) < 0.1).float()

    def run() -> None:
        with autocast(precision):
            fake = model.generator(torch.rand(BATCH, 200)).float()
            on_real, on_fake = model.discriminator(real).logit.float(), model.discriminator(fake.detach()).logit.float()
        players["discriminator"].zero_grad()
        discriminator_loss(on_real, on_fake).backward()
        players["discriminator"].step()
        with autocast(precision):
            again = model.discriminator(fake).logit.float()
        players["generator"].zero_grad()
        generator_loss(again).backward()
        players["generator"].step()

    return run


def layer(up: bool, precision: str, layout: str) -> Callable[[], None]:
    """Forward and backward of one layer between 16 and 32 voxels a side, 32 channels at the larger."""
    kind, inputs, outputs, side = (nn.ConvTranspose3d, 2 * WIDTH, WIDTH, SIDE // 2) if up else (nn.Conv3d, WIDTH, 2 * WIDTH, SIDE)
    made, x = laid(kind(inputs, outputs, 4, 2, 1, bias=False), layout), torch.rand(BATCH, inputs, side, side, side, requires_grad=True)

    def run() -> None:
        with autocast(precision):
            y = made(x)
        y.float().sum().backward()

    return run


def networks(repeats: int) -> dict[str, dict[str, float]]:
    made: dict[str, Callable[[str, str], Callable[[], None]]] = {
        "a step": step, "a transposed convolution": partial(layer, True), "a convolution": partial(layer, False)
    }  # fmt: skip
    rows = {}
    for what, make in made.items():
        ms = turns({f"{precision}, {layout}": make(precision, layout) for precision, layout in WAYS}, repeats)
        rows[f"{what}, ms"] = ms
        rows[f"{what}, times faster than float32 as it is"] = {way: ms["float32, as it is"] / value for way, value in ms.items()}
    return rows


def shapes(repeats: int) -> dict[str, dict[str, float]]:
    """Shapes a second: a chair of boxes of 600 triangles voxelised, and packed volumes given out."""
    import trimesh

    parts = [trimesh.creation.box((0.08, 0.9, 0.08)).apply_translation((x, 0, z)) for x in (-0.4, 0.4) for z in (-0.4, 0.4)]
    parts += [trimesh.creation.box((0.9, 0.1, 0.9)), trimesh.creation.icosphere(2, 0.3).apply_translation((0, 0.4, 0))]
    chair, rows = trimesh.util.concatenate(parts), {}
    for size in (16, 32, 64):
        pitch = chair.extents.max() / (size - 1)
        ways: dict[str, Callable[[], Any]] = {
            "here": partial(voxelise, chair.vertices, chair.faces, size),
            "trimesh": lambda pitch=pitch: chair.voxelized(pitch).fill(method="holes"),
        }
        ms = turns(ways, repeats)
        rows[f"voxelised at {size}, a second"] = {way: 1000 / value for way, value in ms.items()}
        column = Volumes(torch.from_numpy(pack(np.random.default_rng(0).random((64, size, size, size)) < 0.1)), size, 8)
        items = np.random.default_rng(0).integers(0, len(column), 32)
        ms = turns({"posed": partial(column.take, items)}, repeats)
        rows[f"given out at {size}, a second"] = {way: 32_000 / value for way, value in ms.items()}
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    repeats = 2 if given.quick else 9
    rows = {**networks(repeats), **shapes(repeats)}
    if given.json:
        print(json.dumps({**rows, "threads": torch.get_num_threads()}))
        return
    for what, row in rows.items():
        print(f"{what}: ", "  ".join(f"{k} {v:.2f}" for k, v in row.items()), flush=True)


if __name__ == "__main__":
    main()
