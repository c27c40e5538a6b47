"""Spectrograms of samples beside real ones, samples beside their nearest training sounds, and the samples themselves, to be played."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from paperzoo.data import Dataset
from paperzoo.data.audio.sounds import wav_bytes
from paperzoo.data.change.heard import heard
from paperzoo.data.spectrogram import LOW, spectrograms
from paperzoo.files import write
from paperzoo.metrics.nearest import nearest
from paperzoo.tasks.generation import NEIGHBOURS, parts, spread
from paperzoo.tasks.pictures import compact, grid, save
from paperzoo.tasks.sound_generation.measure import SIDE, plain_tensor, training

if TYPE_CHECKING:
    from paperzoo.tasks.sound_generation.contract import SoundGenerator

#: sounds to play, at most, and the bytes that they may take in a page
PLAYED, BYTES = 12, 200_000
#: the side of the pictures that are drawn
FINE = 64


def drawn(sounds: Tensor, rate: int, side: int = FINE) -> Tensor:
    """Spectrograms of the whole of sounds (N, C, T), up to half their rate."""
    return spectrograms(sounds, rate, side, sounds.shape[2] / rate, rate / 2)


def samples(model: SoundGenerator, folder: Path, stem: str) -> Path:
    """Spectrograms of 64 samples, from the same noise each time."""
    pictures = drawn(plain_tensor(model.sample(64)), model.rate, SIDE)
    return save(compact(grid(pictures, 8, scale=2)), folder / f"{stem}-samples.png")


def strip(model: SoundGenerator, items: int) -> Image.Image:
    """A row of spectrograms."""
    return grid(drawn(plain_tensor(model.sample(items)), model.rate), items)


def sounds(model: SoundGenerator, dataset: Dataset, folder: Path, stem: str) -> list[Path]:
    """Spectrograms of samples, of training sounds and of samples with their nearest ones below; and samples and training sounds to play,
    as a fragment of the report's page."""
    fake, real = plain_tensor(model.sample(16)), training(dataset)[:16]
    pictures = [drawn(x, model.rate) for x in (fake, real)]
    seen = heard(dataset, f"spectrogram={SIDE}")
    chosen = spread(len(seen["train"]), NEIGHBOURS)
    _, which = nearest(
        spectrograms(fake[:8], model.rate, SIDE).flatten(1), (part.flatten(1) for part in parts(seen, "train", NEIGHBOURS))
    )
    near = dataset["train"].batch(chosen[which.numpy()]).audio.cpu()
    beside = torch.cat([drawn(x, model.rate) for x in (fake[:8], near)])
    axes = f"{fake.shape[2] / model.rate:g} s to the right, {LOW:g} to {model.rate / 2:g} Hz upwards"
    pages = [
        captioned(
            [("samples", pictures[0]), ("training sounds", pictures[1])], 4, axes, folder / f"{stem}-spectrograms.png"
        ),
        captioned(
            [("eight samples, and below each the training sound that looks most like it", beside)],
            8,
            axes,
            folder / f"{stem}-nearest.png",
        ),
    ]
    return [*pages, play([("samples", fake), ("training sounds", real)], model.rate, folder / f"{stem}-play.html")]


def captioned(groups: Sequence[tuple[str, Tensor]], columns: int, axes: str, path: Path) -> Path:
    """Pictures (N, 1, S, S) in [0, 1] as grids side by side, what each shows above it, and the axes in words below."""
    from matplotlib.figure import Figure

    rows = max(-(-len(pictures) // columns) for _, pictures in groups)
    figure = Figure(figsize=(0.95 * columns * len(groups), 0.95 * rows + 0.7), layout="constrained")
    for number, (title, pictures) in enumerate(groups, 1):
        part = figure.add_subplot(1, len(groups), number)
        part.imshow(np.asarray(grid(pictures, columns)), cmap="gray", interpolation="nearest")
        part.set_title(title, fontsize=9)
        part.set(xticks=[], yticks=[])
    figure.supxlabel(f"each: {axes} in mel; white is its own loudest place, black 60 dB below", fontsize=8)
    return save(figure, path, dpi=100)


def play(groups: Sequence[tuple[str, Tensor]], rate: int, path: Path) -> Path:
    """A fragment of a page that plays sounds (N, C, T), as many of each group as fit into 200 KB, 12 at most."""
    each = len(wav_bytes(groups[0][1][0], rate)) * 4 // 3
    count = max(1, min(PLAYED, BYTES // len(groups) // each))
    lines = []
    for title, some in groups:
        players = [
            f'<audio controls preload="none" style="width:9em" src="data:audio/wav;base64,{base64.b64encode(wav_bytes(s, rate)).decode()}">'
            "</audio>"
            for s in some[:count]
        ]
        lines.append(f"<p>{html.escape(title)}, {rate:,} samples a second</p>\n<p>{' '.join(players)}</p>")
    return write(path, "\n".join(lines) + "\n")
