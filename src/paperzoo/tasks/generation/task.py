"""The tasks: images, images of a class, points."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from PIL import Image
from torch import Tensor

from paperzoo.data import Batch, Dataset, Schema
from paperzoo.errors import PaperzooError
from paperzoo.files import write
from paperzoo.tasks.generation import draw, measure
from paperzoo.tasks.generation.room import room
from paperzoo.tasks.generation.way import draw_way
from paperzoo.tasks.graphs import Graph, Room
from paperzoo.tasks.pictures import grid, save, save_frames
from paperzoo.tasks.task import Task
from paperzoo.terminal import plain

if TYPE_CHECKING:
    from paperzoo.tasks.generation.contract import ConditionalGenerator, ImageGenerator, PointGenerator, Sampler


class Generation(Task):
    """The base of generating images and generating points."""

    samples = True

    def inputs(self, model: Sampler, batch: Batch) -> Tensor:
        """Noise (N, latent)."""
        return torch.randn(len(batch), model.latent)

    def answer(self, model: Sampler, inputs: Tensor) -> Tensor:
        return model.generate(inputs)

    def graph(self, model: Sampler) -> Graph | None:
        outputs = {"sample": "float32 (N, ...), an item a row"}
        return Graph(model.settled(), lambda items: (model.latents(items, items),), _noise(model), outputs)


class ImageGeneration(Generation):
    """Images (N, C, H, W) in [0, 1]."""

    name = "image generation"
    needs: ClassVar[tuple[str, ...]] = ("image",)
    span = (0.0, 1.0)

    def measure(self, model: ImageGenerator, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        return measure.of_images(model, dataset, judge)

    def preview(self, model: ImageGenerator, folder: Path, stem: str) -> list[Path]:
        return [draw.samples(model, folder, stem)]

    def show(self, model: ImageGenerator, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        return draw.images(model, dataset, folder, stem)

    def strip(self, model: ImageGenerator, items: int) -> Image.Image:
        return grid(model.sample(items, seed=0), items)

    def write(self, samples: Tensor, out: Path) -> str:
        """A grid as PNG, small images enlarged; or, to a name that ends with .gif, one after the other."""
        scale = max(1, 64 // samples.shape[-1])
        if out.suffix.lower() == ".gif":
            return plain(save_frames([grid(sample[None], scale=4 * scale) for sample in samples], out, 100))
        return plain(save(grid(samples, scale=scale), out))

    def room(self, model: ImageGenerator) -> Room | None:
        return room(model, self.graph(model))


class ConditionalGeneration(ImageGeneration):
    """Images of a class that is asked for."""

    needs = ("image", "label")
    named = True

    def check(self, model_class: Any, schema: Schema) -> None:
        """Raises ``PaperzooError`` unless data of this schema has images of at least two classes."""
        super().check(model_class, schema)
        classes = int(schema.arguments.get("classes", 0))
        if classes < 2:
            raise PaperzooError(f"{self.name} by class needs data of at least 2 classes, but {schema.name} has {classes}")

    def measure(self, model: ConditionalGenerator, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:  # type: ignore[override]
        return measure.of_classes(model, dataset, judge)

    def show(self, model: ConditionalGenerator, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:  # type: ignore[override]
        return [*draw.images(model, dataset, folder, stem), draw.classes(model, folder, stem)]

    def answer(self, model: ConditionalGenerator, inputs: Tensor) -> Tensor:  # type: ignore[override]
        return model.generate(inputs, torch.arange(len(inputs)) % model.classes)

    def graph(self, model: ConditionalGenerator) -> Graph:  # type: ignore[override]
        return of_class(model)


class PointGeneration(Generation):
    """Points (N, D)."""

    name = "point generation"
    needs = ("point", "label")

    def measure(self, model: PointGenerator, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        return measure.of_points(model, dataset, split)

    def show(self, model: PointGenerator, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        way = model.way(model.latents(4000, 0).to(next(model.parameters()).device))
        if way is None:
            return [draw.points(model, dataset, split, folder, stem)]
        real = dataset[split].batch(range(min(2000, len(dataset[split])))).point.cpu()
        return [draw_way(way.float().cpu(), real, folder / f"{stem}-points.png")]

    def write(self, samples: Tensor, out: Path) -> str:
        """A line a point, as CSV."""
        out = out.with_suffix(".csv") if out.name else out
        rows = (",".join(f"{value:.6g}" for value in row) for row in samples.flatten(1).tolist())
        return plain(write(out, "\n".join(rows) + "\n"))


def of_class(model: Any) -> Graph:
    """The graph of a sampler that is asked for a class."""

    def example(items: int) -> tuple[Tensor, ...]:
        return model.latents(items, items), torch.arange(items) % model.classes

    inputs = {**_noise(model), "label": f"int64 (N), from 0 to {model.classes - 1}"}
    return Graph(model.settled(), example, inputs, {"sample": "float32 (N, ...), an item a row"})


def _noise(model: Sampler) -> dict[str, str]:
    """What the latent vectors are; a model may have parts of its own in them."""
    kind = "standard normal" if model.prior == "normal" else "uniform in [-1, 1]"
    return {"z": f"float32 (N, {model.latents(1, 0).shape[1]}), {kind}"}
