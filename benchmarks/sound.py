"""Sound: a training step of WaveGAN at the paper's size beside the same networks in plain PyTorch; layouts and precisions of its
one-dimensional convolutions; sounds resampled, drawn and measured a second.

    python benchmarks/sound.py [--quick] [--json]

Both sides of a ratio run in one process and take turns; a ratio is that of medians. "Plain" is what most copies do: float32, and for each
player ``zero_grad``, ``backward`` through everything that the loss reaches, ``step``. "In float32" is this project's engine without
bf16, "as it comes" with the precision that it chooses. A step is one of the critic; every second one here makes one of the generator, too.
``--quick`` has width 16 instead of 64.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from generative import Plain
from torch import Tensor, nn
from translation import turns

import paperzoo
from paperzoo.data import Dataset, Schema, Split
from paperzoo.data.audio.sounds import Sounds, resampled
from paperzoo.data.spectrogram import spectrograms
from paperzoo.engine import precision
from paperzoo.engine.job import resolve, stages
from paperzoo.engine.loop import Loop
from paperzoo.engine.processes import fabric
from paperzoo.engine.run import create
from paperzoo.metrics.pitch import pitches

LENGTH, BATCH, TURN = 16_384, 8, 2


def loop(dataset: Dataset, settings: dict[str, Any], folder: Path) -> Loop:
    """The engine's own loop over the recipe ``paper`` with these settings, with log and finite check, on these data."""
    job = dataclasses.replace(
        resolve("wavegan", "paper", overrides={"steps": 10**6, "batch_size": BATCH, "model.critic_steps": TURN, **settings}),
        options={"checkpoint_every": 10**9},
    )
    object.__setattr__(job, "dataset", lambda name="": dataset)
    one = fabric()
    one.launch()
    made = Loop(one, job, create(job, folder))
    made.begin(stages(job.recipe)[0], 0)
    return made


def step(width: int, repeats: int, folder: Path) -> dict[str, float]:
    """Median milliseconds of ``TURN`` steps, the last of which is one of the generator, too, by way of running."""
    samples = torch.randint(-30_000, 30_000, (64, 1, LENGTH), dtype=torch.int16, generator=torch.Generator().manual_seed(0))
    split = Split(Sounds(samples))
    schema = Schema("random", ("audio",), {"channels": 1, "rate": 16_000, "length": LENGTH})
    data = Dataset(schema, dict.fromkeys(("train", "validation", "test"), split), "", "")
    loops = {
        way: loop(data, {"model.width": width, "precision": kind}, folder / way)
        for way, kind in (("in float32", "float32"), ("as it comes", "auto"))
    }
    model = paperzoo.create("wavegan", width=width, critic_steps=TURN).train()
    plain, batch = Plain(model, {}), split.batch(range(BATCH))

    def by_hand() -> None:
        for _ in range(TURN):
            model.step(batch, plain)
            plain.iteration += 1

    def by_engine(made: Loop) -> None:
        for _ in range(TURN):
            made.step()

    ms = turns({"plain": by_hand, **{way: partial(by_engine, made) for way, made in loops.items()}}, repeats)
    ratios = {f"{way}, times faster than plain": ms["plain"] / ms[way] for way in loops}
    return {**{f"{way}, ms": value / TURN for way, value in ms.items()}, **ratios}


class Flat(nn.Module):
    """A one-dimensional convolution as a two-dimensional one of height 1."""

    def __init__(self, one: nn.Conv1d) -> None:
        super().__init__()
        stride, padding = int(one.stride[0]), int(one.padding[0])  # type: ignore[arg-type]
        self.two = nn.Conv2d(one.in_channels, one.out_channels, (1, one.kernel_size[0]), (1, stride), (0, padding))

    def forward(self, x: Tensor) -> Tensor:
        return self.two(x)  # type: ignore[no-any-return]


def convolutions(width: int, repeats: int) -> dict[str, float]:
    """Milliseconds of a critic's loss with penalty and its gradients, by layout and precision of the convolutions."""
    critic = paperzoo.create("wavegan", width=width, shuffle=0).critic
    flat = nn.Sequential(*(Flat(m) if isinstance(m, nn.Conv1d) else copy.deepcopy(m) for m in critic.body), nn.Flatten(), critic.score)
    sound = torch.rand(BATCH, 1, LENGTH) * 2 - 1
    last = copy.deepcopy(flat).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    networks = {"1-D": (critic, sound), "2-D of height 1": (flat, sound[:, :, None]), "the same, channels last": (last, sound[:, :, None])}

    def loss(network: nn.Module, x: Tensor, half: bool) -> None:
        def value(given: Tensor) -> Tensor:
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                return network(given).float()  # type: ignore[no-any-return]

        between = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(value(between).sum(), between, create_graph=True)
        total = value(x).mean() + 10 * (slope.flatten(1).norm(dim=1) - 1).square().mean()
        torch.autograd.grad(total, list(network.parameters()), allow_unused=True)

    kinds = ("float32", "bf16") if precision.has_bf16(torch.device("cpu")) else ("float32",)
    ways: dict[str, Callable[[], Any]] = {
        f"{name}, {kind}": partial(loss, network, x, kind == "bf16") for name, (network, x) in networks.items() for kind in kinds
    }
    return turns(ways, repeats)


def items(repeats: int) -> dict[str, float]:
    """Sounds of a second that are resampled, drawn and asked for their pitch, in a second."""
    sound = np.random.default_rng(0).standard_normal((1, 44_100)).astype(np.float32)
    many = torch.randn(100, 1, 16_000)
    ways: dict[str, Callable[[], Any]] = {
        "resampled from 44,100 to 16,000 Hz": lambda: resampled(sound, 44_100, 16_000),
        "drawn as spectrograms of 32x32": lambda: spectrograms(many, 16_000),
        "asked for their pitch": lambda: pitches(many, 16_000),
    }
    counts = {"resampled from 44,100 to 16,000 Hz": 1}
    return {way: 1000 * counts.get(way, 100) / ms for way, ms in turns(ways, repeats).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    width, repeats = (16, 2) if given.quick else (64, 5)
    with tempfile.TemporaryDirectory() as scratch:
        rows = {
            f"a step of WaveGAN, {LENGTH:,} samples, width {width}, {BATCH} sounds": step(width, repeats, Path(scratch)),
            "a critic's loss by layout and precision, ms": convolutions(width, repeats),
            "sounds a second": items(repeats),
        }
    if given.json:
        print(json.dumps({**rows, "threads": torch.get_num_threads()}))
        return
    for what, row in rows.items():
        print(f"{what}: ", "  ".join(f"{k} {v:.2f}" for k, v in row.items()), flush=True)


if __name__ == "__main__":
    main()
