"""The task: points of one distribution to points of another; modes covered, and whether the way back is found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from paperzoo.data import Batch, Dataset, Schema
from paperzoo.errors import PaperzooError
from paperzoo.metrics.modes import modes
from paperzoo.tasks.graphs import Graph, noise_of
from paperzoo.tasks.model import Model
from paperzoo.tasks.pictures import save
from paperzoo.tasks.task import Task

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: points that are translated for a measurement, and for a picture
ITEMS, SHOWN = 10_000, 2000
#: coordinates of a point
PLANE = 2


class PointTranslation(Task):
    """Points (N, D) of domain A to points of domain B, both mixtures of Gaussians, and maybe back."""

    name = "point translation"
    needs: ClassVar[tuple[str, ...]] = ("point_a", "point_b")

    def check(self, model_class: Any, schema: Schema) -> None:
        """Raises ``PaperzooError`` unless data of this schema has points whose modes are known."""
        super().check(model_class, schema)
        if "modes" not in schema.arguments:
            raise PaperzooError(f"{self.name} needs points whose modes are known, as those of modes5>10; {schema.name} names none")

    def measure(self, model: PointTranslator, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """``modes`` of B that 10,000 translated points of A cover, and the share of ``high quality %``, see ``metrics.modes``.

        ``modes % of real``: the like share of B's own points. ``modes of A told apart``: those whose points lie nearest to modes of B
        that points of no other mode of A lie nearest to, by more than a tenth of theirs; the paper's "one-to-one" at the level of
        modes. Where there is a way back, ``reconstruction error``: the mean distance of A's points from themselves, there and back.
        """
        batch = dataset[split].batch(np.arange(min(ITEMS, len(dataset[split]))))
        of_a, centres = (np.array(one) for one in dataset.schema.arguments["modes"])
        deviation = float(dataset.schema.arguments["deviation"])
        a = batch.point_a.cpu()
        answer, back = model.translated(a)
        covered, quality = modes(answer.numpy(), centres, deviation)
        metrics = {
            "modes": covered,
            "high quality %": 100 * quality,
            "high quality % of real": 100 * modes(batch.point_b.cpu().numpy(), centres, deviation)[1],
            "modes of A told apart": told_apart(nearest(a.numpy(), of_a), nearest(answer.numpy(), centres)),
        }
        if back is not None:
            metrics["reconstruction error"] = float(torch.linalg.vector_norm(back - a, dim=1).mean())
        return metrics

    def show(self, model: PointTranslator, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        """Figure 3 of the DiscoGAN paper: the points of A, and where they are translated to, by mode of A; the modes of B as crosses."""
        from matplotlib.figure import Figure

        batch = dataset[split].batch(np.arange(min(SHOWN, len(dataset[split]))))
        of_a, centres = (np.array(one) for one in dataset.schema.arguments["modes"])
        a = batch.point_a.cpu()
        answer, _ = model.translated(a)
        mode = nearest(a.numpy(), of_a)
        figure = Figure(figsize=(7, 3.5), layout="constrained")
        for axes, points, crosses, title in zip(
            figure.subplots(1, 2), (a.numpy(), answer.numpy()), (of_a, centres), ("domain A", "translated to B"), strict=True
        ):
            scatter(axes, points, mode, crosses, title)
        return [save(figure, folder / f"{stem}-points.png")]

    def inputs(self, model: PointTranslator, batch: Batch) -> Tensor:
        point: Tensor = batch.point_a
        return point

    def answer(self, model: PointTranslator, inputs: Tensor) -> Tensor:
        there = model.translate(inputs)
        back = model.back(there)
        return there if back is None else torch.cat([there, back], 1)

    def graph(self, model: PointTranslator) -> Graph:
        """Points of A to points of B and, where there is a way back, there and back."""

        def call(point: Tensor) -> tuple[Tensor, ...]:
            there = model.translate(point)
            back = model.back(there)
            return (there,) if back is None else (there, back)

        with torch.no_grad():
            ways = len(call(torch.zeros(1, PLANE)))
        outputs = {"translated": f"float32 (N, {PLANE})", "back": "the same, translated back"}
        return Graph(call, noise_of(PLANE), {"point": f"float32 (N, {PLANE})"}, dict(list(outputs.items())[:ways]))


def scatter(axes: Axes, points: np.ndarray, mode: np.ndarray, crosses: np.ndarray, title: str) -> None:
    """Points (N, 2), coloured by ``mode`` (N), and crosses (K, 2)."""
    axes.scatter(points[:, 0], points[:, 1], s=3, c=mode, cmap="tab10", vmin=0, vmax=9)
    axes.plot(crosses[:, 0], crosses[:, 1], "kx")
    axes.set_title(title)
    axes.set_aspect("equal")


def nearest(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The index of the nearest of centres (K, D) for each point (N, D); int64 (N)."""
    return np.linalg.norm(points[:, None] - centres[None], axis=-1).argmin(1)  # type: ignore[no-any-return]


def told_apart(source: np.ndarray, target: np.ndarray, share: float = 0.1) -> int:
    """The number of values of ``source`` (N) that share no value of ``target`` (N) with another.

    Two share one if each has it at more than ``share`` of its items.
    """
    kinds = np.unique(source)
    has = np.stack([np.bincount(target[source == k], minlength=target.max() + 1) / (source == k).sum() > share for k in kinds])
    return int((~(has & (has.sum(0) > 1)).any(1)).sum())


class PointTranslator(Model):
    """A model that translates points. Subclasses define ``translate``, and ``back`` if they can."""

    tasks: ClassVar[tuple[Task, ...]] = (PointTranslation(),)

    def translate(self, point: Tensor) -> Tensor:
        """Points (N, D) of domain A as points of domain B."""
        raise TypeError(f"{type(self).__name__} does not say how it translates")

    def back(self, point: Tensor) -> Tensor | None:
        """Points (N, D) of domain B as points of domain A; ``None`` where there is no way back."""
        return None

    def translated(self, point: Tensor) -> tuple[Tensor, Tensor | None]:
        """Points (N, D) of A there, and there and back, without gradients; float32 on the CPU."""
        was_training, device = self.training, next(self.parameters()).device
        self.eval()
        with torch.no_grad():
            there = self.translate(point.to(device))
            back = self.back(there)
        self.train(was_training)
        return there.float().cpu(), None if back is None else back.float().cpu()
