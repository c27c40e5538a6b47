"""Quality of samples: by a judge, by their mean, by nearest neighbours among training images; modes of points."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from paperzoo.data import Dataset
from paperzoo.metrics.density_coverage import density_coverage
from paperzoo.metrics.diversity import diversity_score
from paperzoo.metrics.fid import fid, fid_floor
from paperzoo.metrics.inception_score import inception_score
from paperzoo.metrics.kid import kid
from paperzoo.metrics.modes import modes
from paperzoo.metrics.ms_ssim import ms_ssim
from paperzoo.metrics.nearest import nearest, share_below

if TYPE_CHECKING:
    from paperzoo.tasks.generation.contract import ConditionalGenerator, ImageGenerator, PointGenerator

#: ``judge(images (N, C, H, W)) -> probabilities (N, K), features (N, D)``, both float32 numpy
Judge = Callable[[Tensor], tuple[np.ndarray, np.ndarray]]

#: samples drawn for a measurement; as many training images, evenly spaced, stand against them where all would take long
SAMPLES = 10_000

#: training images among which nearest neighbours are looked for
NEIGHBOURS = 20_000


def of_images(model: ImageGenerator, dataset: Dataset, judge: Any = None) -> dict[str, float]:
    """Scores of 10,000 samples by the judge; see ``scores``. Without one, how far their mean is from that of real images.

    With data that have a test split also whether training images were learnt by heart; see ``learnt_by_heart``.
    """
    fake = model.sample(SAMPLES if judge else 1000)
    metrics = scores(fake, dataset, judge) if judge else mean_image_gap(fake, dataset)
    return {**metrics, **learnt_by_heart(fake, dataset)}


def of_classes(model: ConditionalGenerator, dataset: Dataset, judge: Any = None) -> dict[str, float]:
    """Any generator's metrics, with samples of all classes in turn; then how often samples are of the class asked for.

    ``label agreement %[judge]``: the share of samples whose class, as the judge sees it, is the one asked for; left out
    if the judge knows other classes than the data's. ``ms-ssim within class``: see ``within_class``; beside it the same
    ``of real`` training images, left out if no class has two.
    """
    fake = model.sample(SAMPLES if judge else 1000)
    label = model.labels(len(fake))
    metrics = scores(fake, dataset, judge, label) if judge else mean_image_gap(fake, dataset)
    metrics |= learnt_by_heart(fake, dataset)
    items = dataset["train"]
    chosen = spread(len(items), NEIGHBOURS)
    real = torch.cat([items.batch(part).label.cpu() for part in np.array_split(chosen, -(-len(chosen) // 1000))])
    metrics["ms-ssim within class"] = within_class(lambda i: fake[i], label)
    metrics["ms-ssim within class of real"] = within_class(lambda i: items.batch(chosen[i.numpy()]).image.cpu(), real)
    return {name: value for name, value in metrics.items() if not np.isnan(value)}


def of_points(model: PointGenerator, dataset: Dataset, split: str) -> dict[str, float]:
    """Modes covered and high-quality share of 10,000 samples, beside the same of the split's own points."""
    real = dataset[split].batch(np.arange(len(dataset[split])))
    point, label = real.point.cpu().numpy(), real.label.cpu().numpy()
    centres = np.stack([point[label == k].mean(0) for k in np.unique(label)])  # (K, D)
    deviation = float(np.sqrt(np.mean([point[label == k].var(0) for k in np.unique(label)])))
    fake = model.sample(SAMPLES).numpy()
    covered, quality = modes(fake, centres, deviation)
    within = float((np.linalg.norm(fake[:, None] - centres, axis=-1).min(1) < 0.2).mean())
    return {
        "modes": covered,
        "high quality %": 100 * quality,
        "within 0.2 %": 100 * within,
        "high quality % of real": 100 * modes(point, centres, deviation)[1],
    }


def mean_image_gap(fake: Tensor, dataset: Dataset) -> dict[str, float]:
    """Distance of the mean of images (N, C, H, W) from that of 1,000 training images, as a mean over pixels in [0, 1]."""
    items = dataset["train"]
    real = items.batch(np.arange(min(1000, len(items)))).image.cpu()
    return {"mean image gap": float((fake.mean(0) - real.mean(0)).abs().mean())}


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


def spread(items: int, most: int) -> np.ndarray:
    """At most ``most`` item numbers of ``items``, evenly spaced, as data may lie sorted by class; int64."""
    return np.arange(items) if items <= most else np.linspace(0, items - 1, most).astype(np.int64)


def parts(dataset: Dataset, split: str, most: int) -> Iterator[Tensor]:
    """At most ``most`` images of a split, evenly spaced, on the CPU, 1,000 at a time (N, C, H, W)."""
    chosen = spread(len(dataset[split]), most)
    for start in range(0, len(chosen), 1000):
        yield dataset[split].batch(chosen[start : start + 1000]).image.cpu()


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
    the median one) are left out, as dividing by it would let single outliers decide. The features of a judge with ``standardise`` false
    are not changed, as for published scores. FID is between the training set and the samples; its floor is that between two
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
