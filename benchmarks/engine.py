"""What the engine costs: its loop against a plain loop, and a DCGAN step against plain float32 NCHW PyTorch, in one run.

    python benchmarks/engine.py [--json] [--quick]

Both sides take turns, so that a change of the machine's speed meets both; medians of the repeats are printed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn
from torch.optim import Adam

from paperzoo import catalog
from paperzoo.data import Batch, Dataset, Images, Schema, Split, Values
from paperzoo.engine import job, logbook, loop, run, start
from paperzoo.engine.processes import fabric
from paperzoo.papers.gan import dcgan
from paperzoo.records import Paper, Recipe
from paperzoo.tasks.model import Model


def data(size: int) -> Dataset:
    """Random images; what they show does not matter for time."""
    images = torch.randint(0, 256, (2048, 1, size, size), dtype=torch.uint8)
    split = Split(Images(images), Values("label", torch.zeros(2048, dtype=torch.int64)))
    return Dataset(
        Schema("random", ("image", "label"), {"channels": 1, "image_size": size}), {"train": split, "test": split}, "", ""
    )


class Sleeper(Model):
    """A step that does nothing, or keeps one core busy for ``seconds``, then one optimiser step on one number."""

    task, needs = "none", ("image",)

    def __init__(self, seconds: float, empty: bool) -> None:
        super().__init__()
        self.network = nn.Linear(1, 1)
        self.seconds, self.empty = seconds, empty

    def optimizers(self) -> dict[str, Adam]:
        return {} if self.empty else {"network": Adam(self.network.parameters(), 1e-3)}

    def step(self, batch: Batch, opt) -> None:
        if self.empty:
            return
        until = time.perf_counter() + self.seconds
        loss = self.network(torch.ones(1, 1)).sum()
        while time.perf_counter() < until:
            pass
        opt.network.minimize(loss)


def loop_for(model: Model, recipe: Recipe, dataset: Dataset, folder: Path) -> loop.Loop:
    """The engine's own loop around a model that is in no catalogue, with log, bar and finite check on."""
    entry = SimpleNamespace(
        name="bench", variant="bench", paper=Paper("bench", "", "", 2026, ""), file=Path(__file__), arguments={}
    )
    chosen = SimpleNamespace(
        name="bench", recipe_name="bench", recipe=recipe, overrides={}, seed=0, init="", options={}, notes=(), entry=entry,
        dataset=lambda name="": dataset,
    )  # fmt: skip
    directory = Path(tempfile.mkdtemp(dir=folder))
    (directory / "checkpoints").mkdir()
    (directory / "figures").mkdir()
    made = loop.Loop(fabric(1), chosen, run.Run(directory), start.Start(dataset, model))
    made.begin(job.stages(recipe)[0], 0)
    made.every["checkpoint"] = 0
    return made


def engine_seconds(made: loop.Loop, steps: int) -> float:
    began = time.perf_counter()
    for _ in range(steps):
        made.step()
    return (time.perf_counter() - began) / steps


def plain_seconds(model: Sleeper, dataset: Dataset, steps: int) -> float:
    """The loop everybody writes: permute, index, forward, backward, step, and ``loss.item()`` for the log at each 50th."""
    optimizer = Adam(model.network.parameters(), 1e-3)
    images = dataset["train"].columns[0].pixels
    began = time.perf_counter()
    for index in range(steps):
        chosen = torch.from_numpy(np.random.permutation(64))
        images[chosen].float().div_(255)
        until = time.perf_counter() + model.seconds
        loss = model.network(torch.ones(1, 1)).sum()
        while time.perf_counter() < until:
            pass
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if index % 50 == 49:
            loss.item()
    return (time.perf_counter() - began) / steps


def plain_dcgan(images: torch.Tensor, size: int, width: int, batch: int):
    """A DCGAN step as public copies write it: float32, NCHW, ``loss.backward()`` twice; the same networks and losses."""
    generator, discriminator = dcgan.Generator(size, 1, 32, width), dcgan.Discriminator(size, 1, width)
    first, second = Adam(discriminator.parameters(), 8e-4, (0.5, 0.999)), Adam(generator.parameters(), 8e-4, (0.5, 0.999))

    def step() -> None:
        real = images[torch.randint(0, len(images), (batch,))].float() / 127.5 - 1
        fake = generator(torch.rand(batch, 32) * 2 - 1)
        first.zero_grad()
        dcgan.discriminator_loss(discriminator(real), discriminator(fake.detach())).backward()
        first.step()
        second.zero_grad()
        dcgan.generator_loss(discriminator(fake)).backward()
        second.step()

    return step


def dcgan_seconds(size: int, width: int, batch: int, folder: Path, repeats: int, count: int) -> dict[str, float]:
    """Median seconds a step: plain PyTorch, and this project in float32 and as it comes; they take turns."""
    images = data(size)
    plain = plain_dcgan(images["train"].columns[0].pixels, size, width, batch)
    arguments = {"image_size": size, "channels": 1, "latent": 32, "width": width}
    loops = {}
    for precision in ("float32", "auto"):
        recipe = Recipe(data="random", steps=10**9, batch_size=batch, precision=precision, optimizer={"lr": 8e-4})
        loops[precision] = loop_for(catalog.build(catalog.load("dcgan"), arguments), recipe, images, folder)
    times: dict[str, list[float]] = {"plain": [], "float32": [], "auto": []}
    for _ in range(repeats + 1):  # the first round warms up
        began = time.perf_counter()
        for _ in range(count):
            plain()
        times["plain"].append((time.perf_counter() - began) / count)
        for precision, made in loops.items():
            times[precision].append(engine_seconds(made, count))
    return {k: statistics.median(v[1:]) for k, v in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    repeats, steps = (3, 300) if given.quick else (7, 1000)
    found: dict[str, float] = {}
    logbook.board = lambda directory, step: None
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        small = data(8)
        huge = Recipe(data="random", steps=10**9, batch_size=64, precision="float32")
        empty = loop_for(Sleeper(0, True), huge, small, folder)
        found["empty step, microseconds"] = 1e6 * statistics.median(engine_seconds(empty, 2000) for _ in range(repeats))
        busy, twin = loop_for(Sleeper(1e-3, False), huge, small, folder), Sleeper(1e-3, False)
        pairs = [(engine_seconds(busy, steps), plain_seconds(twin, small, steps)) for _ in range(repeats)]
        found["loop / plain loop at 1 ms a step"] = statistics.median(a / b for a, b in pairs)

        for size, width, batch in ((32, 24, 64), (64, 64, 32)):  # the small recipe, and the paper's shape at half its width
            at = f"dcgan {size}x{size}, width {width}"
            mid = dcgan_seconds(size, width, batch, folder, repeats, 10 if size == 32 else 2)
            found[f"{at}: plain float32 NCHW, ms a step"] = 1e3 * mid["plain"]
            found[f"{at}: times faster in float32"] = mid["plain"] / mid["float32"]
            found[f"{at}: times faster as it comes"] = mid["plain"] / mid["auto"]
    found["threads"] = torch.get_num_threads()
    print(json.dumps(found) if given.json else "\n".join(f"{k:55} {v:10.3f}" for k, v in found.items()))


if __name__ == "__main__":
    main()
