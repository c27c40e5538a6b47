"""Generating images, or points of the plane: samples, their quality always beside their coverage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from paperzoo.data import Dataset
from paperzoo.errors import PaperzooError
from paperzoo.metrics.fid import fid
from paperzoo.metrics.inception_score import inception_score
from paperzoo.metrics.modes import modes
from paperzoo.tasks.model import Model
from paperzoo.tasks.pictures import grid, save

#: ``judge(images (N, C, H, W)) -> probabilities (N, K), features (N, D)``, both float32 numpy
Judge = Callable[[Tensor], tuple[np.ndarray, np.ndarray]]

#: samples drawn for a measurement
SAMPLES = 10_000


def noise(items: int, latent: int, kind: Literal["normal", "uniform"], seed: int) -> Tensor:
    """Latent vectors, float32 (items, latent), a row a sample: the first rows do not depend on how many are drawn."""
    random = np.random.Generator(np.random.Philox(seed))
    if kind == "normal":
        return torch.from_numpy(random.standard_normal((items, latent), np.float32))
    return torch.from_numpy(random.random((items, latent), np.float32) * 2 - 1)


class Sampler(Model):
    """A model that turns latent vectors into samples. Subclasses set ``latent`` and ``prior`` and define ``generate``."""

    latent: int
    prior: Literal["normal", "uniform"] = "normal"

    def generate(self, z: Tensor) -> Tensor:
        """Samples for latent vectors (N, latent), in the task's range."""
        raise TypeError(f"{type(self).__name__} does not say how it generates")

    def draw(self, items: int) -> Tensor:
        """Latent vectors (items, latent) for training, from torch's generator on the model's device."""
        device = next(self.parameters()).device
        shape = (items, self.latent)
        return torch.randn(shape, device=device) if self.prior == "normal" else torch.rand(shape, device=device) * 2 - 1

    def sample(self, items: int = 16, seed: int = 0) -> Tensor:
        """``items`` samples on the CPU, float32. Each has noise of its own: the first 4 of 16 are the 4 of 4.

        Raises:
            PaperzooError: fewer than one sample asked for.
        """
        if items < 1:
            raise PaperzooError(f"cannot draw {items} samples: ask for at least 1")
        was_training, device = self.training, next(self.parameters()).device
        self.eval()  # batch statistics would tie samples to each other
        with torch.no_grad():
            parts = [
                self.generate(z.to(device)).float().cpu()
                for z in torch.split(noise(items, self.latent, self.prior, seed), 250)
            ]
        self.train(was_training)
        return torch.cat(parts)


class ImageGenerator(Sampler):
    """Generates images (N, C, H, W) in [0, 1]."""

    task = "image generation"
    needs = ("image",)

    def lean(self) -> tuple[dict[str, Any], Mapping[str, Tensor]]:
        """The averaged generator in place of the last one, where there is an average: it is what samples come from."""
        arguments, state = super().lean()
        mark = "average.network."
        averaged = {f"generator.{k.removeprefix(mark)}": v for k, v in state.items() if k.startswith(mark)}
        if not averaged:
            return arguments, state
        return {**arguments, "average": 0.0}, {**{k: v for k, v in state.items() if not k.startswith("average.")}, **averaged}

    def measure(self, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """Scores of 10,000 samples; see ``scores``. Without a judge, only the distance of the mean image from the data's."""
        if judge is None:
            fake, items = self.sample(1000), dataset["train"]
            real = items.batch(np.arange(min(1000, len(items)))).image.cpu()
            return {"mean image gap": float((fake.mean(0) - real.mean(0)).abs().mean())}
        return scores(self.sample(SAMPLES), dataset, judge)

    def preview(self, folder: Path, stem: str) -> list[Path]:
        """A grid of 100 samples, from the same noise each time."""
        return [save(grid(self.sample(100), 10), folder / f"{stem}-samples.png")]

    def show(self, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        """A grid of 100 samples, and all such grids of the run as an animation."""
        path = self.preview(folder, stem)[0]
        frames = [Image.open(p).convert("P") for p in sorted(folder.glob("*-samples.png"))]
        if len(frames) > 1:
            frames[0].save(folder / "samples.gif", save_all=True, append_images=frames[1:], duration=400, loop=0)
        return [path, *([folder / "samples.gif"] if len(frames) > 1 else [])]


def scores(fake: Tensor, dataset: Dataset, judge: Any) -> dict[str, float]:
    """Inception score, FID and class balance of images (N, C, H, W), by a judge whose name becomes part of theirs.

    The judge's features are standardised on the training set; those that are silent there (a deviation under a hundredth of
    the median one) are left out, as dividing by it would let single outliers decide. FID is between the training set and
    the samples; its floor is that between training and test set. The least class share is over the classes that the judge
    sees in the samples.
    """
    p, fake_features = judge(fake)
    _, train = judge.real(dataset, "train")
    _, test = judge.real(dataset, "test")
    mean, deviation = train.mean(0), train.std(0)  # (D,)
    heard = deviation > np.median(deviation) / 100
    train, test, fake_features = ((x - mean)[:, heard] / deviation[heard] for x in (train, test, fake_features))
    floor, distance = fid(train, test), fid(train, fake_features)
    share = np.bincount(p.argmax(1), minlength=p.shape[1]) / len(p)
    name = judge.name
    return {
        f"inception score[{name}]": inception_score(p)[0],
        f"fid[{name}]": distance,
        f"fid floor[{name}]": floor,
        f"fid over floor[{name}]": distance / floor,
        f"least class share %[{name}]": 100 * float(share.min()),
    }


class PointGenerator(Sampler):
    """Generates points (N, D)."""

    task = "point generation"
    needs = ("point", "label")

    def measure(self, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """Modes covered and high-quality share of 10,000 samples, beside the same of the split's own points."""
        real = dataset[split].batch(np.arange(len(dataset[split])))
        point, label = real.point.cpu().numpy(), real.label.cpu().numpy()
        centres = np.stack([point[label == k].mean(0) for k in np.unique(label)])  # (K, D)
        deviation = float(np.sqrt(np.mean([point[label == k].var(0) for k in np.unique(label)])))
        fake = self.sample(SAMPLES).numpy()
        covered, quality = modes(fake, centres, deviation)
        within = float((np.linalg.norm(fake[:, None] - centres, axis=-1).min(1) < 0.2).mean())
        return {
            "modes": covered,
            "high quality %": 100 * quality,
            "within 0.2 %": 100 * within,
            "high quality % of real": 100 * modes(point, centres, deviation)[1],
        }

    def show(self, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        """2,000 samples over 2,000 points of the data."""
        from matplotlib.figure import Figure

        real = dataset[split].batch(np.arange(min(2000, len(dataset[split])))).point.cpu().numpy()
        fake = self.sample(2000).numpy()
        figure = Figure(figsize=(4, 4), layout="constrained")
        axes = figure.add_subplot(aspect="equal")
        axes.scatter(fake[:, 0], fake[:, 1], s=2, alpha=0.5, label="samples")
        axes.scatter(real[:, 0], real[:, 1], s=2, alpha=0.5, label="data")
        axes.legend(loc="upper right", markerscale=4)
        return [save(figure, folder / f"{stem}-points.png")]
