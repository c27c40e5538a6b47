"""A step of ProGAN's and of StyleGAN's networks at 64 pixels against the plain ones; filters, noise and styles in it.

    python benchmarks/styles.py [--quick] [--json]

The plain network has the same weights and the same losses in float32, default memory layout, with gradients of all that a loss reaches.
Ways take turns in one process; a ratio is that of medians.
"""

from __future__ import annotations

import argparse
import copy
import json
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torch.optim import Adam
from translation import turns

from paperzoo.data.images.pyramid import _levels
from paperzoo.nn.equalized import EqualConv2d
from paperzoo.papers.gan.stylegan_networks import adain, halved, up


def steps(variant: str, repeats: int) -> dict[str, float]:
    """Milliseconds of a step at full size, in the engine in float32 and as it comes, and of the plain networks."""
    from paperzoo.engine import logbook, processes, run
    from paperzoo.engine.job import resolve
    from paperzoo.engine.loop import Loop

    logbook.board = lambda directory, step: None
    one, made = processes.fabric(), {}
    one.launch()
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("float32", "auto"):
            job = resolve(variant, "small", overrides={"precision": kind})
            loop = Loop(one, job, run.create(job, Path(folder) / kind))
            done = 0
            for stage in job.recipe.stages[:-1]:
                done += stage.steps
                loop.model.stage(stage.name)
            loop.opt.iteration = done
            loop.begin(job.recipe.stages[-1], done)
            loop.every = dict.fromkeys(loop.every, 0)
            made[kind] = loop.step
            if kind == "float32":
                model, batch = copy.deepcopy(loop.model).to(memory_format=torch.contiguous_format), loop.split.batch(loop.order.batch(done))
        made["plain"] = partial(plain, Plain(model), batch)
        ms = turns(made, repeats)
    return {
        **{f"{name}, ms": value for name, value in ms.items()},
        "float32, times faster": ms["plain"] / ms["float32"],
        "as it comes, times faster": ms["plain"] / ms["auto"],
    }


class Plain:
    """Optimisers as a loop by hand has them."""

    iteration, start, stage_steps = 1, 0, 1

    def __init__(self, model: Any) -> None:
        self.model = model
        self.critic, self.generator = (_Player(getattr(model, name), model) for name in ("critic", "generator"))

    def mean(self, value: Tensor) -> Tensor:
        return value.detach().clone()


class _Player:
    def __init__(self, network: torch.nn.Module, model: torch.nn.Module) -> None:
        self.optimizer, self.model = Adam(network.parameters(), 2e-3, (0.0, 0.99)), model

    def minimize(self, loss: Tensor) -> None:
        self.model.zero_grad()
        loss.backward(retain_graph=True)
        self.optimizer.step()


def plain(players: Plain, batch: Any) -> None:
    players.model.step(batch, players)


def shares(repeats: int) -> dict[str, float]:
    """Milliseconds, forward and backward, of what lies beside the convolutions at 64 pixels, 16 channels, 16 pictures."""
    x = torch.randn(16, 16, 64, 64, requires_grad=True)
    small, style, noise = torch.randn(16, 16, 32, 32, requires_grad=True), torch.randn(16, 32), torch.randn(16, 1, 64, 64)
    strength = torch.zeros(16, 1, 1, requires_grad=True)
    convolution = EqualConv2d(16, 16, 3)

    def both(make: Any) -> None:
        make().square().mean().backward()

    ways = {
        "convolution": lambda: convolution(x), "upsampling": lambda: up(small), "downsampling": lambda: halved(x),
        "nearest upsampling": lambda: F.interpolate(small, scale_factor=2.0), "mean of pixels": lambda: F.avg_pool2d(x, 2),
        "noise": lambda: x + strength * noise, "style": lambda: adain(x, style),
    }  # fmt: skip
    return {f"{name}, ms": value for name, value in turns({name: partial(both, make) for name, make in ways.items()}, repeats).items()}


def prepared(number: int) -> dict[str, float]:
    """Pictures of 96x96 a second made into levels from 4 to 64 pixels, of some and of four times as many, and memory that this took."""
    row, before = {}, own()
    with tempfile.TemporaryDirectory() as folder:
        for many in (number, 4 * number):
            root, random = Path(folder) / str(many), np.random.default_rng(0)
            root.mkdir()
            for i in range(many):
                Image.fromarray(random.integers(0, 256, (96, 96, 3), np.uint8)).save(root / f"{i}.bmp")
            began = time.perf_counter()
            levels = _levels(sorted(root.iterdir()), 64, 3)
            row[f"{many:,} pictures, a second"] = many / (time.perf_counter() - began)
            row[f"{many:,} pictures, MB on disk"] = sum(array.nbytes for array in levels.values()) / 1e6
    row["memory of its own, MB more than before"] = own() - before
    return row


def own() -> float:
    """Memory that is this process's own, in MB; pages of files are not."""
    status = Path("/proc/self/status")
    return int(status.read_text().split("RssAnon:")[1].split()[0]) / 1e3 if status.exists() else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    repeats = 2 if given.quick else 7
    rows = {f"a step of {name}": steps(name, repeats) for name in (("stylegan",) if given.quick else ("progan", "stylegan"))}
    rows["beside convolutions"] = shares(4 * repeats)
    rows["a pyramid"] = prepared(250 if given.quick else 2500)
    if given.json:
        print(json.dumps({**rows, "threads": torch.get_num_threads()}))
        return
    for what, row in rows.items():
        print(f"{what}:")
        for name, value in row.items():
            print(f"  {name} {value:.2f}", flush=True)


if __name__ == "__main__":
    main()
