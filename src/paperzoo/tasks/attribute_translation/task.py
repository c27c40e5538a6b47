"""The task: images as they would be with other attributes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from paperzoo.data import Batch, Dataset, Schema
from paperzoo.data.images.attributes import exclusive
from paperzoo.errors import PaperzooError
from paperzoo.tasks.attribute_translation import draw, measure
from paperzoo.tasks.graphs import Graph, Room, noise_of
from paperzoo.tasks.image_translation.task import ImageTranslation
from paperzoo.tasks.pictures import compact, save
from paperzoo.terminal import plain

if TYPE_CHECKING:
    from paperzoo.tasks.attribute_translation.contract import AttributeTranslator


class AttributeTranslation(ImageTranslation):
    """Images (N, C, H, W) in [0, 1] as they would be with other attributes."""

    needs = ("image", "attributes")

    def check(self, model_class: Any, schema: Schema) -> None:
        """Raises ``PaperzooError`` unless data of this schema has images whose attributes are named."""
        super().check(model_class, schema)
        if "attributes" not in schema.arguments:
            raise PaperzooError(f"{self.name} by attributes needs data whose attributes have names, and those of {schema.name} have none")

    def measure(self, model: AttributeTranslator, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:  # type: ignore[override]
        return measure.edits(model, dataset, split, judge)

    def show(self, model: AttributeTranslator, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:  # type: ignore[override]
        return draw.changed(model, dataset, split, folder, stem)

    def write(self, samples: Tensor, out: Path) -> str:
        """A row a sample as PNG: the source, then each attribute."""
        return plain(save(compact(draw.table(samples, max(1, 64 // samples.shape[-1]))), out))

    def inputs(self, model: AttributeTranslator, batch: Batch) -> Tensor:  # type: ignore[override]
        """Images that are noise, so that no pixel is the same in all."""
        return torch.rand_like(batch.image)

    def answer(self, model: AttributeTranslator, inputs: Tensor) -> Tensor:  # type: ignore[override]
        """Every image with the first attribute alone."""
        target = torch.zeros(len(inputs), len(model.attributes), device=inputs.device)
        target[:, 0] = 1
        return model.edit(inputs, target).flatten(1)

    def graph(self, model: AttributeTranslator) -> Graph:  # type: ignore[override]
        """Images and the attributes that they shall have; those that they have are read off them by ``seen``, outside."""
        size, count = model.image_size, len(model.attributes)

        def example(items: int) -> tuple[Tensor, ...]:
            draws = torch.Generator().manual_seed(items)
            image = torch.rand(items, model.channels, size, size, generator=draws)
            return image, torch.randint(0, 2, (items, count), generator=draws).float()

        inputs = {"image": f"float32 (N, {model.channels}, {size}, {size}) in [0, 1]"}
        inputs["attributes"] = f"float32 (N, {count}), 1 for what shall be there: {', '.join(model.attributes)}"
        return Graph(model.edit, example, inputs, {"changed": "the image's shape, in [0, 1]"})

    def room(self, model: AttributeTranslator) -> Room:  # type: ignore[override]
        """Two graphs: what the model sees in a picture, and the picture changed."""
        size, graph = model.image_size, self.graph(model)
        shape = (model.channels, size, size)
        see = Graph(model.seen, noise_of(*shape), {"image": graph.inputs["image"]}, {"attributes": graph.inputs["attributes"]})
        groups = [list(group) for group in exclusive(model.attributes)]
        facts = {"size": size, "channels": model.channels, "attributes": list(model.attributes), "groups": groups}
        return Room("attributes", {"change": graph, "see": see}, facts, "image")
