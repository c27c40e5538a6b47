"""The task: volumes of occupied voxels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from PIL import Image
from torch import Tensor

from paperzoo.data import Dataset
from paperzoo.tasks.generation.room import room
from paperzoo.tasks.generation.task import Generation
from paperzoo.tasks.graphs import Room
from paperzoo.tasks.volume_generation import draw, measure
from paperzoo.tasks.volume_generation.files import write_shapes

if TYPE_CHECKING:
    from paperzoo.tasks.generation import Sampler
    from paperzoo.tasks.volume_generation.contract import VolumeGenerator


class VolumeGeneration(Generation):
    """Volumes (N, 1, S, S, S) in [0, 1]; a voxel above 0.5 is occupied."""

    name = "volume generation"
    needs: ClassVar[tuple[str, ...]] = ("volume",)
    usual: ClassVar[dict[str, Any]] = {"items": 16}
    span = (0.0, 1.0)

    def measure(self, model: VolumeGenerator, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        return measure.of_volumes(model, dataset, split)

    def preview(self, model: VolumeGenerator, folder: Path, stem: str) -> list[Path]:
        return [draw.samples(model, folder, stem)]

    def show(self, model: VolumeGenerator, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        return draw.shapes(model, dataset, folder, stem)

    def strip(self, model: VolumeGenerator, items: int) -> Image.Image:
        return draw.row(model.sample(items, seed=0))

    def inputs(self, model: Sampler, batch: Any) -> Tensor:
        """Noise (N, latent)."""
        return model.draw(len(batch))

    def write(self, samples: Tensor, out: Path) -> str:
        """Meshes as .obj, .stl, .ply, .glb or .off, all side by side; a folder of .obj, one a shape; a picture as .png, turning as .gif; or
        a page on which they are turned by hand as .html."""
        return write_shapes(samples, out)

    def room(self, model: VolumeGenerator) -> Room | None:
        return room(model, self.graph(model), "volume", size=model.image_size)
