"""The task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from PIL import Image
from torch import Tensor

from paperzoo.data import Batch, Dataset, Schema
from paperzoo.data.audio.sounds import wav_bytes
from paperzoo.errors import PaperzooError
from paperzoo.files import write
from paperzoo.tasks.generation.room import room
from paperzoo.tasks.graphs import Graph, Room
from paperzoo.tasks.sound_generation import draw, measure
from paperzoo.tasks.task import Task
from paperzoo.terminal import plain

if TYPE_CHECKING:
    from paperzoo.tasks.sound_generation.contract import SoundGenerator

#: samples a second of sounds that do not say it
RATE = 16_000


class SoundGeneration(Task):
    """Sounds (N, C, T) in [-1, 1]."""

    name = "sound generation"
    needs: ClassVar[tuple[str, ...]] = ("audio",)
    samples = True
    usual: ClassVar[Mapping[str, Any]] = {"items": 16}
    span = (-1.0, 1.0)

    def check(self, model_class: Any, schema: Schema) -> None:
        """Raises ``PaperzooError`` unless data of this schema are sounds of a length that layers of 4 and 2 make of 16."""
        super().check(model_class, schema)
        length = int(schema.arguments["length"])
        if length < 64 or length & (length - 1):
            near = max(64, 2 ** (length.bit_length() - 1))
            raise PaperzooError(
                f"{self.name} needs sounds of 64, 128, 256, ... samples, but those of {schema.name} have {length}: try {near}"
            )

    def measure(self, model: SoundGenerator, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        return measure.of_sounds(model, dataset, judge)

    def preview(self, model: SoundGenerator, folder: Path, stem: str) -> list[Path]:
        return [draw.samples(model, folder, stem)]

    def show(self, model: SoundGenerator, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        return draw.sounds(model, dataset, folder, stem)

    def strip(self, model: SoundGenerator, items: int) -> Image.Image:
        return draw.strip(model, items)

    def write(self, samples: Tensor, out: Path) -> str:
        """Wav files ``00.wav``, ``01.wav``, ... in the folder ``out``, its ending left out; all in one file if that ending is ``.wav``."""
        rate = getattr(samples, "rate", 0) or RATE
        sounds = measure.plain_tensor(samples)
        if out.suffix.lower() == ".wav":
            return plain(write(out, wav_bytes(sounds.transpose(0, 1).flatten(1), rate)))  # (N, C, T) -> (C, N T)
        folder, digits = out.with_suffix("") if out.suffix == ".png" else out, max(2, len(str(len(sounds) - 1)))
        for number, sound in enumerate(sounds):
            write(folder / f"{number:0{digits}d}.wav", wav_bytes(sound, rate))
        return plain(folder)

    def inputs(self, model: SoundGenerator, batch: Batch) -> Tensor:
        """Noise (N, latent)."""
        return torch.randn(len(batch), model.latent)

    def answer(self, model: SoundGenerator, inputs: Tensor) -> Tensor:
        return model.generate(inputs)

    def graph(self, model: SoundGenerator) -> Graph:
        outputs = {"sound": f"float32 (N, {model.channels}, {model.length}) in [-1, 1], {model.rate:,} samples a second"}
        inputs = {"noise": f"float32 (N, {model.latent}), drawn as in training"}
        return Graph(model.generate, lambda items: (model.latents(items, items),), inputs, outputs)

    def room(self, model: SoundGenerator) -> Room | None:
        graph = self.graph(model)
        named = replace(graph, inputs={"z": graph.inputs["noise"]})
        return room(model, named, "sound", rate=model.rate, length=model.length)
