"""The tasks: videos, videos of a motion that is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from PIL import Image
from torch import Tensor

from paperzoo.data import Dataset, Schema
from paperzoo.errors import PaperzooError
from paperzoo.tasks.generation.task import Generation, of_class
from paperzoo.tasks.graphs import Graph
from paperzoo.tasks.pictures import grid
from paperzoo.tasks.video_generation import draw, measure

if TYPE_CHECKING:
    from paperzoo.tasks.video_generation.contract import ConditionalVideoGenerator, VideoGenerator


class VideoGeneration(Generation):
    """Clips (N, C, T, H, W) in [0, 1]."""

    name = "video generation"
    needs: ClassVar[tuple[str, ...]] = ("video",)
    span = (0.0, 1.0)
    usual: ClassVar[Mapping[str, Any]] = {"items": 16}

    def measure(self, model: VideoGenerator, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        return measure.of_clips(model, dataset, split, judge)

    def preview(self, model: VideoGenerator, folder: Path, stem: str) -> list[Path]:
        return [draw.samples(model, folder, stem)]

    def show(self, model: VideoGenerator, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        return [draw.samples(model, folder, stem), *draw.exchange(model, folder, stem)]

    def strip(self, model: VideoGenerator, items: int) -> Image.Image:
        """A frame from the middle of each clip."""
        clips = model.sample(items, seed=0)
        return grid(clips[:, :, clips.shape[2] // 2], items)

    def write(self, samples: Tensor, out: Path) -> str:
        """All clips side by side, as an animated GIF and as MP4, or as one of them if ``out`` ends so."""
        return draw.write(samples, out)


class ConditionalVideoGeneration(VideoGeneration):
    """Clips of a motion that is asked for."""

    needs = ("video", "label")
    named = True

    def check(self, model_class: Any, schema: Schema) -> None:
        """Raises ``PaperzooError`` unless data of this schema has clips of at least two motions."""
        super().check(model_class, schema)
        classes = int(schema.arguments.get("classes", 0))
        if classes < 2:
            raise PaperzooError(f"{self.name} by motion needs data of at least 2 motions, but {schema.name} has {classes}")

    def measure(self, model: ConditionalVideoGenerator, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:  # type: ignore[override]
        return measure.of_motions(model, dataset, split, judge)

    def show(self, model: ConditionalVideoGenerator, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:  # type: ignore[override]
        return [*super().show(model, dataset, split, folder, stem), draw.motions(model, folder, stem)]

    def answer(self, model: ConditionalVideoGenerator, inputs: Tensor) -> Tensor:  # type: ignore[override]
        return model.generate(inputs, torch.arange(len(inputs)) % model.classes)

    def graph(self, model: ConditionalVideoGenerator) -> Graph:  # type: ignore[override]
        return of_class(model)
