"""Milliseconds a training step and a translation of CycleGAN at 128 pixels and pix2pix at 256, beside the same networks in plain PyTorch.

    python benchmarks/translation.py [--quick] [--json]

Both sides have the paper's sizes and a batch of one, in one process, and take turns; a ratio is that of medians. "Plain" is what most
copies do: float32, default memory layout, and for each player ``zero_grad``, ``backward`` through everything that the loss reaches,
``step``. "In float32" is this project's engine without bf16, "as it comes" with the precision that it chooses. A translation is one
picture through the generator, as ``paperzoo predict`` asks it, without gradients.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from generative import Plain

from paperzoo.data import Batch, Dataset, Images, Schema, Split
from paperzoo.engine.job import resolve, stages
from paperzoo.engine.loop import Loop
from paperzoo.engine.processes import fabric
from paperzoo.engine.run import create

SIDES = {"cyclegan:six_blocks": 128, "pix2pix": 256}


def data(side: int) -> Dataset:
    """Random pairs; what they show does not matter for time."""
    random = torch.Generator().manual_seed(0)
    a, b = (torch.randint(0, 256, (16, 3, side, side), dtype=torch.uint8, generator=random) for _ in range(2))
    split = Split(Images(a, "image_a"), Images(b, "image_b"))
    names = ("train", "validation", "test")
    arguments = {"channels": 3, "image_size": side, "domains": ("a", "b"), "paired": names}
    return Dataset(Schema("random", ("image_a", "image_b"), arguments), dict.fromkeys(names, split), "", "")


def loop(name: str, settings: dict[str, Any], dataset: Dataset, folder: Path) -> Loop:
    """The engine's own loop over the recipe ``paper`` with these settings, with log and finite check, on these data."""
    job = dataclasses.replace(resolve(name, "paper", overrides={"steps": 10**6, **settings}), options={"checkpoint_every": 10**9})
    object.__setattr__(job, "dataset", lambda name="": dataset)
    one = fabric()
    one.launch()
    made = Loop(one, job, create(job, folder))
    made.begin(stages(job.recipe)[0], 0)
    return made


def measure(name: str, repeats: int, folder: Path) -> dict[str, dict[str, float]]:
    """Median milliseconds of a training step and of a translation, by way of running."""
    dataset = data(SIDES[name])
    settings = {"model.image_size": SIDES[name], "batch_size": 1}
    loops = {way: loop(name, {**settings, "precision": way}, dataset, folder / way) for way in ("float32", "auto")}
    model = resolve(name, "paper").build(dataset).train()
    plain: Any = Plain(model, dict(resolve(name, "paper").recipe.optimizer))
    columns = dataset["train"].columns

    def step() -> None:
        chosen = torch.randint(0, 16, (1,))
        pair = {c.name: c.pixels[chosen].float() / 255 for c in columns}  # type: ignore[attr-defined]
        model.step(Batch(**pair), plain)
        plain.iteration += 1

    image = torch.rand(1, 3, SIDES[name], SIDES[name])
    models = {"plain": model, **{way: made.model for way, made in loops.items()}}
    steps: dict[str, Callable[[], Any]] = {"plain": step, **{way: made.step for way, made in loops.items()}}
    translations: dict[str, Callable[[], Any]] = {way: partial(m.translate, image) for way, m in models.items()}
    found = {"a step": turns(steps, repeats)}
    for one in models.values():
        one.eval()
    with torch.no_grad():
        found["a translation"] = turns(translations, repeats)
    return found


def turns(ways: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median milliseconds of each; they take turns, so that a busy moment meets all, and the first two rounds warm up."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(repeats + 2):
        for way, function in ways.items():
            began = time.perf_counter()
            function()
            if turn >= 2:
                times[way].append(1e3 * (time.perf_counter() - began))
    return {way: statistics.median(values) for way, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in SIDES:
            for what, ms in measure(name, 2 if given.quick else 9, Path(scratch) / name.partition(":")[0]).items():
                ratios = {"times faster in float32": ms["plain"] / ms["float32"], "times faster as it comes": ms["plain"] / ms["auto"]}
                row = {f"plain, ms {what}": ms["plain"], f"as it comes, ms {what}": ms["auto"], **ratios}
                found[f"{name}, {what}"] = row
                if not given.json:
                    print(f"{name:20}", "  ".join(f"{k} {v:.2f}" for k, v in row.items()), flush=True)
    if given.json:
        print(json.dumps({**found, "threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main()
