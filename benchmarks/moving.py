"""The critic of clips: which layout and precision pay for 3-D convolutions; a step of MoCoGAN; clips read a second.

    python benchmarks/moving.py [--quick] [--json]

A training pass is forward and backward through MoCoGAN's D_V, at 32 pixels and at the paper's 64. Ways take turns in one process; a
ratio is that of medians. Gradients of every way are held against those of float32 in plain layout. ``--quick`` leaves out 64 pixels.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from translation import turns

from paperzoo.papers.video.mocogan import VideoCritic

#: by name, whether the network and its clips lie channels last, and whether it computes in bfloat16
WAYS = {
    "plain, float32": (False, False), "channels last, float32": (True, False),
    "plain, bf16": (False, True), "channels last, bf16": (True, True),
}  # fmt: skip


def training(critic: nn.Module, clip: Tensor, half: bool) -> list[Tensor]:
    """Gradients of the clip and of all weights."""
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        answer = critic(clip).source
    return list(torch.autograd.grad(answer.float().square().mean(), [clip, *critic.parameters()]))


def layouts(side: int, width: int, clips: int, repeats: int) -> dict[str, float]:
    """Milliseconds of a training pass by way, how many times faster than plain float32, and how far its gradients are off, at most."""
    passes: dict[str, Callable[[], list[Tensor]]] = {}
    for name, (last, half) in WAYS.items():
        torch.manual_seed(0)
        critic = VideoCritic(side, 3, 16, 0, width, 0.0)
        clip = torch.rand(clips, 3, 16, side, side)
        if last:
            critic, clip = (one.to(memory_format=torch.channels_last_3d) for one in (critic, clip))
        passes[name] = partial(training, critic, clip.requires_grad_(), half)
    ms = turns(passes, repeats)
    exact = passes["plain, float32"]()
    row: dict[str, float] = {}
    for name, one in passes.items():
        apart = max(float((a - b).norm() / b.norm()) for a, b in zip(one(), exact, strict=True))
        row |= {f"{name}, ms": ms[name], f"{name}, times faster": ms["plain, float32"] / ms[name], f"{name}, off %": 100 * apart}
    return row


def step(repeats: int) -> dict[str, float]:
    """Milliseconds of a step of the recipe ``small-long-shapes``: in float32, and as it comes."""
    from paperzoo.engine import logbook, processes, run
    from paperzoo.engine.job import resolve, stages
    from paperzoo.engine.loop import Loop

    logbook.board = lambda directory, step: None
    one, made = processes.fabric(), {}
    one.launch()
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("float32", "auto"):
            job = resolve("mocogan", "small-long-shapes", overrides={"precision": kind})
            loop = Loop(one, job, run.create(job, Path(folder) / kind))
            loop.begin(stages(job.recipe)[0], 0)
            loop.every = dict.fromkeys(loop.every, 0)
            made[kind] = loop.step
        ms = turns(made, repeats)
    return {"float32, ms": ms["float32"], "as it comes, ms": ms["auto"], "times faster": ms["float32"] / ms["auto"]}


def reading() -> dict[str, float]:
    """Clips of 16 frames at 32 pixels that are made a second."""
    from paperzoo.data.datasets import dataset

    split = dataset("shape-motion", image_size=32)["train"]
    began = time.perf_counter()
    split.batch(np.arange(512))
    return {"shape-motion, clips a second": 512 / (time.perf_counter() - began)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    repeats = 2 if given.quick else 7
    rows: dict[str, dict[str, Any]] = {"D_V, 32 px, width 16, 16 clips": layouts(32, 16, 16, repeats)}
    if not given.quick:
        rows["D_V, 64 px, width 64, 4 clips"] = layouts(64, 64, 4, repeats)
    rows |= {"a step of small-long-shapes": step(repeats), "data": reading()}
    if given.json:
        print(json.dumps({**rows, "threads": torch.get_num_threads()}))
        return
    for what, row in rows.items():
        print(f"{what}:")
        for name, value in row.items():
            print(f"  {name} {value:.2f}", flush=True)


if __name__ == "__main__":
    main()
