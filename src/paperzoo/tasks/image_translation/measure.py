"""Errors of translations against the truth, beside baselines without a network; of unpaired domains also style and identity."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from paperzoo.data import Dataset
from paperzoo.metrics.psnr import psnr
from paperzoo.metrics.retrieval import retrieval
from paperzoo.metrics.sharpness import relative_sharpness
from paperzoo.metrics.ssim import ssim
from paperzoo.metrics.translation_baselines import affine_colours, colour_transfer, patch_regression

if TYPE_CHECKING:
    from paperzoo.tasks.image_translation.contract import ImageTranslator

#: held-out images that are measured; pixels of training images that baselines are fitted to
ITEMS, PIXELS = 500, 2**22

#: the greatest distance in dB that a pair counts with: equal images have an infinite one
MOST = 60.0


def scores(model: ImageTranslator, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
    """``nearness`` of at most 500 held-out pairs, ``cycle`` where there is a way back, and what a judge says; see there.

    Measured from domain A to B. Of a split that is not paired the truth is not known, and only the cycle is measured.
    """
    items, metrics = dataset[split], dict[str, float]()
    batch = items.batch(spread(len(items), ITEMS))
    source, truth = batch.image_a.cpu(), batch.image_b.cpu()
    answer = model.translated(source)
    paired = split in dataset.schema.arguments["paired"]
    others = {"source": source, **baselines(dataset, source)} if paired else {}
    if paired:
        metrics |= nearness(answer, truth, others)
    if len(model.domains) > 1:
        metrics |= cycle(model, source, answer)
    if judge is not None and paired:
        metrics |= judged(model, dataset.schema.arguments["domains"], judge, answer, truth, others)
    return metrics


def nearness(answer: Tensor, truth: Tensor, others: Mapping[str, Tensor]) -> dict[str, float]:
    """PSNR, SSIM and L1 error of translations, and of each baseline by its name, to the truth; all (N, C, H, W) in [0, 1].

    ``psnr above baselines (dB)``, ``ssim above baselines`` and ``l1 error below baselines %`` are over the best of them. PSNR and SSIM
    reward blur, so ``sharpness relative to truth`` stands beside them. All are means over images; a pair counts with at most 60 dB.
    """
    metrics: dict[str, float] = {}
    for name, images in (("", answer), *((f"{other} ", images) for other, images in others.items())):
        metrics[f"{name}psnr (dB)"] = float(psnr(images, truth).clamp(max=MOST).mean())
        metrics[f"{name}ssim"] = float(ssim(images, truth).mean())
        metrics[f"{name}l1 error"] = float((images - truth).abs().mean())
    metrics["psnr above baselines (dB)"] = metrics["psnr (dB)"] - max(metrics[f"{name} psnr (dB)"] for name in others)
    metrics["ssim above baselines"] = metrics["ssim"] - max(metrics[f"{name} ssim"] for name in others)
    best = min(metrics[f"{name} l1 error"] for name in others)
    if best:
        metrics["l1 error below baselines %"] = 100 * (1 - metrics["l1 error"] / best)
    metrics["sharpness relative to truth"] = relative_sharpness(answer, truth)
    return metrics


def baselines(dataset: Dataset, source: Tensor) -> dict[str, Tensor]:
    """The source (N, 3, H, W) as what needs no network translates it; of grey images none.

    From training pairs: the best affine map of colours, and ridge regression on 5x5 patches. Where the training images are not
    paired, Reinhard's transfer of colours.
    """
    if source.shape[1] != 3:
        return {}
    train = dataset["train"]
    most = max(2, PIXELS // source[0, 0].numel())
    fitted: dict[str, Callable[[Tensor], Tensor]]
    if "train" in dataset.schema.arguments["paired"]:
        batch = train.batch(spread(len(train), most))
        a, b = batch.image_a.cpu(), batch.image_b.cpu()
        fitted = {"affine": affine_colours(a, b), "patches": patch_regression(a, b)}
    else:
        batch = train.batch(spread(min(train.lengths), most))
        fitted = {"reinhard": colour_transfer(batch.image_a.cpu(), batch.image_b.cpu())}
    return {name: function(source) for name, function in fitted.items()}


def cycle(model: ImageTranslator, source: Tensor, answer: Tensor) -> dict[str, float]:
    """``cycle error``: mean absolute difference of images in [0, 1] to themselves, there and back.

    ``noisy cycle error``: the same after Gaussian noise of deviation 1/255 was added to the translation, which no eye sees. Where it
    is much larger the way back reads a message hidden in the translation, not what that shows (Chu et al. 2017, 1712.02950).
    """
    noise = torch.randn(answer.shape, generator=torch.Generator().manual_seed(0)) / 255
    back, noisy = model.translated(answer, "a"), model.translated((answer + noise).clamp(0, 1), "a")
    return {"cycle error": float((back - source).abs().mean()), "noisy cycle error": float((noisy - source).abs().mean())}


def judged(
    model: ImageTranslator, domains: tuple[str, str], judge: Any, answer: Tensor, truth: Tensor, others: Mapping[str, Tensor]
) -> dict[str, float]:
    """Style and identity by a judge; empty for one that does not know both domains. Its classes are named after the domains, or begin with
    their names: ``noto: Flags``.

    ``style %``: of the translations those that it takes for domain B's. ``identity top-1 %`` and ``top-5 %``: of the translations
    those whose true twin is the nearest, or among the five nearest, of the held-out images of B by the judge's features. Both also of
    the source and the other baselines, and by how much identity is more than under Reinhard's colours; ``truth style %`` and, of B
    translated to A, ``back style %``.
    """
    known = np.array([name.partition(":")[0] for name in judge.model.names])
    if not set(domains) <= set(known):
        return {}
    (a, b), at, metrics = domains, f"[{judge.name}]", dict[str, float]()
    of_truth, gallery = judge(truth)
    centre = gallery.mean(0)
    for name, images in {"": answer, **{f"{other} ": images for other, images in others.items()}}.items():
        p, features = judge(images)
        metrics[f"{name}style %{at}"] = share(p, known, b)
        near = retrieval(features - centre, gallery - centre)
        metrics |= {f"{name}identity top-{k} %{at}": percent for k, percent in near.items()}
        if name == "reinhard ":
            for k in near:
                metrics[f"identity top-{k} above reinhard %{at}"] = metrics[f"identity top-{k} %{at}"] - near[k]
    metrics[f"truth style %{at}"] = share(of_truth, known, b)
    if len(model.domains) > 1:
        metrics[f"back style %{at}"] = share(judge(model.translated(truth, "a"))[0], known, a)
    return metrics


def share(p: np.ndarray, known: np.ndarray, domain: str) -> float:
    """Percent of rows of probabilities (N, K) by which ``domain`` is the likeliest, whose classes ``known`` (K) names."""
    domains = sorted(set(known))
    summed = np.stack([p[:, known == one].sum(1) for one in domains], 1)  # (N, domains)
    return 100 * float((summed.argmax(1) == domains.index(domain)).mean())


def spread(items: int, most: int) -> np.ndarray:
    """At most ``most`` item numbers of ``items``, evenly spaced; int64."""
    return np.arange(items) if items <= most else np.linspace(0, items - 1, most).astype(np.int64)
