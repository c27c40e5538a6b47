"""Generating images, or points of the plane: samples, their quality always beside their coverage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from paperzoo.data import Dataset, Schema
from paperzoo.errors import PaperzooError, unknown
from paperzoo.metrics.density_coverage import density_coverage
from paperzoo.metrics.diversity import diversity_score
from paperzoo.metrics.fid import fid, fid_floor
from paperzoo.metrics.inception_score import inception_score
from paperzoo.metrics.kid import kid
from paperzoo.metrics.modes import modes
from paperzoo.metrics.ms_ssim import ms_ssim
from paperzoo.metrics.nearest import nearest, share_below
from paperzoo.tasks.model import Model
from paperzoo.tasks.pictures import compact, grid, save, save_frames

#: ``judge(images (N, C, H, W)) -> probabilities (N, K), features (N, D)``, both float32 numpy
Judge = Callable[[Tensor], tuple[np.ndarray, np.ndarray]]

#: samples drawn for a measurement; as many training images, evenly spaced, stand against them where all would take long
SAMPLES = 10_000

#: training images among which nearest neighbours are looked for
NEIGHBOURS = 20_000


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

    def latents(self, items: int, seed: int) -> Tensor:
        """Latent vectors (items, latent) for sampling, on the CPU; row i must not depend on ``items``.

        A model whose latent vector has parts of its own (codes, say) overrides this.

        Raises:
            PaperzooError: fewer than one asked for, or a seed below 0.
        """
        if items < 1:
            raise PaperzooError(f"cannot draw {items} samples: ask for at least 1")
        if seed < 0:
            raise PaperzooError(f"the seed is a whole number from 0, not {seed}")
        return noise(items, self.latent, self.prior, seed)

    def sample(self, items: int = 16, seed: int = 0) -> Tensor:
        """``items`` samples on the CPU, float32. Each has noise of its own: the first 4 of 16 are the 4 of 4.

        Raises:
            PaperzooError: fewer than one sample asked for.
        """
        return self.render(self.latents(items, seed))

    def render(self, *given: Tensor) -> Tensor:
        """``generate(*given)`` in eval mode without gradients, 250 rows at a time; float32 on the CPU."""
        was_training, device = self.training, next(self.parameters()).device
        self.eval()  # batch statistics would tie samples to each other
        with torch.no_grad():
            chunks = zip(*(torch.split(tensor, 250) for tensor in given), strict=True)
            parts = [self.generate(*(chunk.to(device) for chunk in row)).float().cpu() for row in chunks]
        self.train(was_training)
        return torch.cat(parts)


class ImageGenerator(Sampler):
    """Generates images (N, C, H, W) in [0, 1]."""

    task = "image generation"
    needs: ClassVar[tuple[str, ...]] = ("image",)

    def lean(self) -> tuple[dict[str, Any], Mapping[str, Tensor]]:
        """The averaged generator in place of the last one, where there is an average: it is what samples come from."""
        arguments, state = super().lean()
        mark = "average.network."
        averaged = {f"generator.{k.removeprefix(mark)}": v for k, v in state.items() if k.startswith(mark)}
        if not averaged:
            return arguments, state
        return {**arguments, "average": 0.0}, {**{k: v for k, v in state.items() if not k.startswith("average.")}, **averaged}

    def measure(self, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """Scores of 10,000 samples by the judge; see ``scores``. Without one, how far their mean is from that of real images.

        With data that have a test split also whether training images were learnt by heart; see ``learnt_by_heart``.
        """
        fake = self.sample(SAMPLES if judge else 1000)
        found = scores(fake, dataset, judge) if judge else mean_image_gap(fake, dataset)
        return {**found, **learnt_by_heart(fake, dataset)}

    def preview(self, folder: Path, stem: str) -> list[Path]:
        """A grid of 100 samples, from the same noise each time."""
        return [save(compact(grid(self.sample(100), 10)), folder / f"{stem}-samples.png")]

    def show(self, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        """A grid of 100 samples, all such grids of the run as an animation, eight walks between two latent vectors each (a
        row a walk), and eight samples with the nearest training image below each."""
        path = self.preview(folder, stem)[0]
        frames = [Image.open(p).convert("RGB") for p in sorted(folder.glob("*-samples.png"))]
        size = min(frame.size for frame in frames)
        frames = [(frame if frame.size == size else frame.resize(size)).convert("P") for frame in frames]
        if len(frames) > 1:
            save_frames(frames, folder / "samples.gif", 400)
        walk = save(compact(grid(self.walk(), 10)), folder / f"{stem}-walk.png")
        fake, items = self.sample(8), dataset["train"]
        chosen = spread(len(items), NEIGHBOURS)
        _, which = nearest(fake.flatten(1), (part.flatten(1) for part in parts(dataset, "train", NEIGHBOURS)))
        beside = torch.cat([fake, items.batch(chosen[which.numpy()]).image.cpu()])  # (16, C, H, W)
        near = save(compact(grid(beside, 8)), folder / f"{stem}-nearest.png")
        return [path, walk, near, *([folder / "samples.gif"] if len(frames) > 1 else [])]

    def walk(self) -> Tensor:
        """Samples (80, C, H, W): eight walks of ten steps, each from one latent vector to another."""
        return self.render(self._paths())

    def _paths(self) -> Tensor:
        ends = self.latents(16, 0).view(8, 2, -1)  # (8, 2, latent)
        return between(ends[:, 0], ends[:, 1], 10, self.prior).flatten(0, 1)  # (80, latent)


def between(first: Tensor, second: Tensor, steps: int, kind: Literal["normal", "uniform"]) -> Tensor:
    """Points from each of (N, D) to each of (N, D), both ends included; (N, steps, D).

    On the straight line, but for normal noise along a great circle, as the middle of the line is nearer to zero than any
    noise that the generator has seen.
    """
    share = torch.linspace(0, 1, steps).view(1, -1, 1)
    a, b = first[:, None], second[:, None]  # (N, 1, D)
    angle = torch.nn.functional.cosine_similarity(a, b, dim=2).clamp(-1, 1).acos()[..., None]  # (N, 1, 1)
    line, sine = (1 - share) * a + share * b, angle.sin()
    circle = (((1 - share) * angle).sin() * a + (share * angle).sin() * b) / sine.clamp(min=1e-6)
    return torch.where(sine > 1e-3, circle, line) if kind == "normal" else line


def spread(items: int, most: int) -> np.ndarray:
    """At most ``most`` item numbers of ``items``, evenly spaced, as data may lie sorted by class; int64."""
    return np.arange(items) if items <= most else np.linspace(0, items - 1, most).astype(np.int64)


def parts(dataset: Dataset, split: str, most: int) -> Iterator[Tensor]:
    """At most ``most`` images of a split, evenly spaced, on the CPU, 1,000 at a time (N, C, H, W)."""
    chosen = spread(len(dataset[split]), most)
    for start in range(0, len(chosen), 1000):
        yield dataset[split].batch(chosen[start : start + 1000]).image.cpu()


def learnt_by_heart(fake: Tensor, dataset: Dataset) -> dict[str, float]:
    """``nearest below 1st percentile %``: samples that are nearer to the training set than real images hardly ever are.

    The share of 1,000 samples whose distance (of pixels, Euclidean) to the nearest of 20,000 training images is below the
    1st percentile of the same distance of 1,000 test images; real images would give 1. See ``metrics/nearest.py`` for what
    a high figure may mean. Nothing if the data have no test split.
    """
    if "test" not in dataset.splits:
        return {}
    real = torch.cat(list(parts(dataset, "test", 1000)))
    queries = torch.cat([fake[:1000], real]).flatten(1)
    distance, _ = nearest(queries, (part.flatten(1) for part in parts(dataset, "train", NEIGHBOURS)))
    return {"nearest below 1st percentile %": share_below(distance[: -len(real)], distance[-len(real) :])}


class ConditionalGenerator(ImageGenerator):
    """Generates images of a class that is asked for. Subclasses set ``classes`` and define ``generate(z, label)``."""

    needs = ("image", "label")
    classes: int
    #: what the data call the classes
    names: tuple[str, ...] = ()

    def named(self, label: str | None) -> int | None:
        """The number of the class that a user names: by its name, or by its number where names are no numbers.

        Raises:
            PaperzooError: there is no such class.
        """
        if label is None or label in self.names:
            return None if label is None else self.names.index(label)
        numbers = all(name.lstrip("-").replace(".", "", 1).isdigit() for name in self.names)
        if label.isascii() and label.isdigit() and len(label) < 10 and (not self.names or not numbers) and int(label) < self.classes:
            return int(label)
        counted = (*map(str, range(self.classes)),)
        if (self.names or counted) == counted:
            raise PaperzooError(f"label {label!r} is no class of {self.name}: its classes are 0 to {self.classes - 1}")
        raise unknown("label", label, self.names, f"of {self.name}")

    def generate(self, z: Tensor, label: Tensor) -> Tensor:  # type: ignore[override]  # what it needs besides the noise
        """Images (N, C, H, W) in [0, 1] for latent vectors (N, latent) and classes int64 (N)."""
        raise TypeError(f"{type(self).__name__} does not say how it generates")

    def labels(self, items: int, label: int | str | Sequence[int] | None = None) -> Tensor:
        """The classes of ``items`` samples, int64 (items): 0, 1, 2 and so on in turn, or the one asked for, or one each.

        Raises:
            PaperzooError: a class out of range, or not one for each sample.
        """
        if isinstance(label, str):
            label = self.named(label)
        one = isinstance(label, int | np.integer)
        asked = [label] * items if one else list(range(items)) if label is None else list(label)  # type: ignore[arg-type]
        if len(asked) != items:
            raise PaperzooError(f"{len(asked)} labels were given for {items} samples: give one, or one for each")
        whole = [int(given) for given in asked]  # type: ignore[arg-type]
        for given, number in zip(asked, whole, strict=True):
            if label is not None and (given != number or not 0 <= number < self.classes):
                raise PaperzooError(f"label {given!r} is no class of {self.name}: its classes are 0 to {self.classes - 1}")
        return torch.tensor(whole) % self.classes

    def sample(self, items: int = 16, seed: int = 0, label: int | str | Sequence[int] | None = None) -> Tensor:
        """``items`` images on the CPU, float32; sample i is of class ``i % classes`` unless ``label`` says otherwise.

        Args:
            label: the class of all samples, by number or name, or a sequence with one for each. Noise i is the same whatever the class.

        Raises:
            PaperzooError: fewer than one sample asked for, or a label that is no class.
        """
        return self.render(self.latents(items, seed), self.labels(items, label))

    def measure(self, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """As for any generator, with samples of all classes in turn; then how far they are of the class asked for.

        ``label agreement %[judge]``: the share of samples whose class, as the judge sees it, is the one asked for; left out
        if the judge knows other classes than the data's. ``ms-ssim within class``: see ``within_class``; beside it the same
        ``of real`` training images, left out if no class has two.
        """
        fake = self.sample(SAMPLES if judge else 1000)
        label = self.labels(len(fake))
        found = scores(fake, dataset, judge, label) if judge else mean_image_gap(fake, dataset)
        found |= learnt_by_heart(fake, dataset)
        items = dataset["train"]
        chosen = spread(len(items), NEIGHBOURS)
        real = torch.cat([items.batch(part).label.cpu() for part in np.array_split(chosen, -(-len(chosen) // 1000))])
        found["ms-ssim within class"] = within_class(lambda i: fake[i], label)
        found["ms-ssim within class of real"] = within_class(lambda i: items.batch(chosen[i.numpy()]).image.cpu(), real)
        return {name: value for name, value in found.items() if not np.isnan(value)}

    def show(self, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        """As for any generator, and a grid with a row a class (the first 20) and the same noise down each column."""
        rows = min(self.classes, 20)
        z = self.latents(10, 0).repeat(rows, 1)  # (rows * 10, latent)
        images = self.render(z, torch.arange(rows).repeat_interleave(10))
        path = save(compact(grid(images, 10)), folder / f"{stem}-classes.png")
        return [*super().show(dataset, split, folder, stem), path]

    def walk(self) -> Tensor:
        """As for any generator, each walk within one class."""
        return self.render(self._paths(), (torch.arange(8) % self.classes).repeat_interleave(10))

    @classmethod
    def check(cls, schema: Schema) -> None:
        """Raises ``PaperzooError`` unless data of this schema has images of at least two classes."""
        super().check(schema)
        classes = int(schema.arguments.get("classes", 0))
        if classes < 2:
            raise PaperzooError(f"{cls.task} by class needs data of at least 2 classes, but {schema.name} has {classes}")


def mean_image_gap(fake: Tensor, dataset: Dataset) -> dict[str, float]:
    """How far the mean of images (N, C, H, W) is from that of 1,000 training images, as a mean over pixels in [0, 1]."""
    items = dataset["train"]
    real = items.batch(np.arange(min(1000, len(items)))).image.cpu()
    return {"mean image gap": float((fake.mean(0) - real.mean(0)).abs().mean())}


def luminance(images: Tensor) -> Tensor:
    """Grey (N, 1, H, W) of images in [0, 1], with the weights of BT.601 for colour."""
    if images.shape[1] != 3:
        return images.mean(1, keepdim=True)
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    return (images * weights).sum(1, keepdim=True)


def within_class(image: Callable[[Tensor], Tensor], label: Tensor, pairs: int = 1000) -> float:
    """Mean MS-SSIM of pairs of images of one class, on luminance (Odena, Olah and Shlens 2016, section 4.2).

    Lower is more diverse; a class collapsed to one image gives 1. Up to ``pairs`` pairs over all classes, equally many of
    each, drawn with a fixed seed. See ``metrics/ms_ssim.py`` for small images.

    Args:
        image: gives the images (M, C, H, W) of item numbers int64 (M).
        label: the class of every item, int64 (N).

    Returns:
        In [0, 1]; not-a-number if no class has two images.
    """
    random, groups = np.random.default_rng(0), [np.flatnonzero(label.numpy() == k) for k in np.unique(label.numpy())]
    groups = [group for group in groups if len(group) > 1]
    each, chosen = max(1, pairs // max(1, len(groups))), []
    for group in groups:
        first = random.integers(len(group), size=each)
        second = (first + random.integers(1, len(group), size=each)) % len(group)  # another one
        chosen.append(np.stack([group[first], group[second]], 1))
    if not chosen:
        return float("nan")
    some = torch.split(torch.from_numpy(np.concatenate(chosen)), 250)  # (pairs, 2)
    return float(torch.cat([ms_ssim(*(luminance(image(side)) for side in part.T)) for part in some]).mean())


def scores(fake: Tensor, dataset: Dataset, judge: Any, asked: Tensor | None = None) -> dict[str, float]:
    """Quality and coverage of images (N, C, H, W) by a judge, whose name becomes part of theirs; N at least 11.

    The judge's features are standardised on the training set; those that are silent there (a deviation under a hundredth of
    the median one) are left out, as dividing by it would let single outliers decide. A judge with ``standardise`` false is
    taken as it is: so published scores want it. FID is between the training set and the samples; its floor is that between two
    random halves of the training set. Either is left out where there are not more images than features. KID, density and coverage are
    between the samples and at most 10,000 training images. The least class share is over the classes that the judge sees in
    the samples; the diversity score compares its classes in the samples with those in the training set.

    Args:
        asked: the class that each sample was to be of, int64 (N); ``label agreement %`` is the share that the judge
            takes for it. Left out if the judge knows another number of classes than the data.
    """
    p, fake_features = judge(fake)
    train_p, train = judge.real(dataset, "train")
    if getattr(judge, "standardise", True):
        mean, deviation = train.mean(0), train.std(0)  # (D,)
        heard = deviation > np.median(deviation) / 100
        train, fake_features = ((x - mean)[:, heard] / deviation[heard] for x in (train, fake_features))
    dimensions = train.shape[1]
    distance = fid(train, fake_features) if min(len(train), len(fake_features)) > dimensions else None
    floor = fid_floor(train) if len(train) // 2 > dimensions else None
    distances = {"fid": distance, "fid floor": floor, "fid over floor": distance / floor if distance and floor else None}
    some = train[spread(len(train), SAMPLES)]
    density, coverage = density_coverage(some, fake_features)
    share = np.bincount(p.argmax(1), minlength=p.shape[1]) / len(p)
    name = judge.name
    known = p.shape[1] == dataset.schema.arguments.get("classes")
    right = {} if asked is None or not known else {f"label agreement %[{name}]": 100 * float((p.argmax(1) == asked.numpy()).mean())}
    return {
        f"inception score[{name}]": inception_score(p)[0],
        **{f"{key}[{name}]": value for key, value in distances.items() if value is not None},
        f"least class share %[{name}]": 100 * float(share.min()),
        f"kid[{name}]": kid(some, fake_features),
        f"density[{name}]": density,
        f"coverage[{name}]": coverage,
        f"diversity score[{name}]": diversity_score(p, train_p),
        **right,
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
