"""Milliseconds a training step of generative adversarial networks, beside the same networks in plain float32 NCHW PyTorch.

    python benchmarks/generative.py [--quick] [--json] [NAME ...]

Both sides run the same ``Model.step`` on 64 random images of 32x32 with the sizes of the paper's ``small`` recipe, in one
process, and take turns; a ratio is that of medians. "Plain" is what most copies do: default memory layout, float32, and for
each player ``zero_grad``, ``loss.backward()`` through everything that the loss reaches, ``step`` with the optimiser's
defaults. "In float32" is this project's engine without bf16, "as it comes" with the precision that it chooses.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from paperzoo.data import Batch, Dataset, Images, Schema, Split, Values
from paperzoo.engine.job import Job, resolve, stages
from paperzoo.engine.loop import Loop
from paperzoo.engine.players import parted
from paperzoo.engine.processes import fabric
from paperzoo.engine.run import create

NAMES = ("gan", "dcgan", "acgan", "infogan", "wgan_gp")
SIZE, BATCH = 32, 64


class Plain:
    """``opt`` as a plain loop has it: ``backward`` fills every gradient that it reaches, used or not."""

    def __init__(self, model: Any, arguments: dict[str, Any]) -> None:
        self.optimizers, self.iteration, self.total = parted(model.optimizers(**arguments))[0], 0, 10**6
        for name in self.optimizers:
            setattr(self, name, _One(self, name))

    def minimize(self, **losses: Tensor) -> None:
        for index, (name, loss) in enumerate(losses.items()):
            self.optimizers[name].zero_grad()
            loss.backward(retain_graph=index < len(losses) - 1)
            self.optimizers[name].step()

    def mean(self, value: Tensor) -> Tensor:
        return value.detach()


class _One:
    def __init__(self, players: Plain, name: str) -> None:
        self.players, self.name = players, name

    def minimize(self, loss: Tensor) -> None:
        self.players.minimize(**{self.name: loss})


def data() -> Dataset:
    """Random images; what they show does not matter for time."""
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2048, 1, SIZE, SIZE), dtype=torch.uint8, generator=random)
    split = Split(Images(images), Values("label", torch.randint(0, 10, (2048,), generator=random)))
    arguments = {"channels": 1, "image_size": SIZE, "classes": 10}
    schema = Schema("random", ("image", "label"), arguments, tuple("0123456789"))
    return Dataset(schema, {"train": split, "test": split}, "", "")


def loop(job: Job, dataset: Dataset, folder: Path) -> Loop:
    """The engine's own loop, with log and finite check, on these images."""
    one = fabric()
    one.launch()
    quiet = dataclasses.replace(job, options={"checkpoint_every": 10**9})
    object.__setattr__(quiet, "dataset", lambda name="": dataset)
    made = Loop(one, quiet, create(quiet, folder))
    made.begin(stages(quiet.recipe)[0], 0)
    return made


def measure(name: str, repeats: int, count: int, folder: Path) -> dict[str, float]:
    """Median milliseconds a step, by way of running."""
    dataset = data()
    settings = {"model.image_size": SIZE, "batch_size": BATCH, "steps": 10**6}
    jobs = {p: resolve(name, "small", overrides={**settings, "precision": p}) for p in ("float32", "auto")}
    loops = {p: loop(job, dataset, folder / p) for p, job in jobs.items()}
    model = jobs["float32"].build(dataset).train()
    plain = Plain(model, dict(jobs["float32"].recipe.optimizer))

    def steps(way: str) -> None:
        for _ in range(count):
            if way != "plain":
                loops[way].step()
                continue
            chosen = torch.randint(0, 2048, (BATCH,))
            images, labels = dataset["train"].columns
            fields = {"image": images.pixels[chosen].float() / 255, "label": labels.values[chosen]}  # type: ignore[attr-defined]
            model.step(Batch(**fields), plain)
            plain.iteration += 1

    times: dict[str, list[float]] = {"plain": [], "float32": [], "auto": []}
    for _ in range(repeats + 1):  # the first round warms up
        for way, found in times.items():
            began = time.perf_counter()
            steps(way)
            found.append(1e3 * (time.perf_counter() - began) / count)
    return {way: statistics.median(found[1:]) for way, found in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in given.names:
            ms = measure(name, *((2, 5) if given.quick else (7, 10)), Path(scratch) / name)
            ratios = {"times faster in float32": ms["plain"] / ms["float32"], "times faster as it comes": ms["plain"] / ms["auto"]}
            found[name] = {"plain, ms a step": ms["plain"], "as it comes, ms a step": ms["auto"], **ratios}
            if not given.json:
                print(f"{name:10}", "  ".join(f"{k} {v:.2f}" for k, v in found[name].items()), flush=True)
    if given.json:
        print(json.dumps({**found, "threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main()
