"""CFG-GAN on points of the plane (Johnson and Zhang 2018): the method of ``cfggan.py`` where its steps can be watched.

``cfggan:toy``, ``cfggan:toy_icfg``, ``cfggan:toy_cfg`` and ``cfggan:toy_logd`` train it.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from paperzoo.data import Batch, Dataset
from paperzoo.papers.gan.cfggan import CompositeGradient, Method, Scale
from paperzoo.papers.gan.gan import ToyNetwork
from paperzoo.ranges import Count, Positive, Size
from paperzoo.tasks.generation import PointGenerator
from paperzoo.tasks.pictures import save


class Toy(CompositeGradient, PointGenerator):
    """The method on points, with two small ReLU networks; arguments as in ``cfggan.Model``."""

    def __init__(
        self,
        *,
        dimensions: Size = 2,
        latent: Size = 2,
        width: Size = 128,
        method: Method = "xicfg",
        scale: Scale = "one",
        functional_steps: Count = 100,
        discriminator_steps: Count = 2,
        pool: Size = 1024,
        eta: Positive = 0.02,
        epochs: Count = 20,
    ) -> None:
        super().__init__()
        self.latent, self.approximator = latent, ToyNetwork(latent, dimensions, width)
        self.discriminator = ToyNetwork(dimensions, 1, width)
        self.compose((dimensions,), method, scale, functional_steps, discriminator_steps, pool, eta, epochs)

    def real(self, batch: Batch) -> Tensor:
        """Points (N, D)."""
        points: Tensor = batch.point
        return points

    def output(self, x: Tensor) -> Tensor:
        """Points (N, D)."""
        return x

    def show(self, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        """In place of the task's picture: how thick samples lie beside the data, and the way of eighty through the functional steps."""
        z = self.latents(4000, 0).to(next(self.parameters()).device)
        way = torch.stack([x.float().cpu() for x in self.composition(z)])  # (steps + 1, N, 2)
        return [draw_way(way, dataset[split].batch(range(min(2000, len(dataset[split])))).point.cpu(), folder / f"{stem}-points.png")]


def draw_way(way: Tensor, real: Tensor, path: Path, shown: int = 80) -> Path:
    """Where samples end, as a density under points of the data (M, 2), and how the first of them came there; way (steps + 1, N, 2)."""
    from matplotlib.figure import Figure

    moved = float((way[-1] - way[0]).norm(dim=1).mean())
    figure = Figure(figsize=(9, 4.8), layout="constrained")
    figure.suptitle(f"The last {len(way) - 1} functional steps move a sample by {moved:.2g} on average", fontsize=10)
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    end, reach = way[-1].numpy(), 1.25 * float(real.abs().max())
    left.hist2d(*end.T, bins=60, range=[[-reach, reach]] * 2, cmap="Blues", norm="log")
    left.plot(*real[:400].T.numpy(), ".", color="tab:red", markersize=2, label="data")
    left.set_title("density of samples (blue, logarithmic) under the data", fontsize=9)
    for one in way[:, :shown].transpose(0, 1).numpy():
        right.plot(*one.T, color="0.6", linewidth=0.8)
    right.plot(*way[0, :shown].T.numpy(), "o", color="tab:orange", markersize=3, label="the approximator's answer")
    right.plot(*way[-1, :shown].T.numpy(), "o", color="tab:blue", markersize=3, label="after the steps")
    right.set_title("the way of single samples", fontsize=9)
    for axes in (left, right):
        axes.set_aspect("equal")
        axes.legend(fontsize=8, loc="center")
    return save(figure, path, dpi=120, colours=64)
