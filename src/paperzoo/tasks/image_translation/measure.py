"""How near translations come to the truth, beside what needs no network; and, of unpaired domains, their style and identity."""

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
    items, found = dataset[split], dict[str, float]()
    batch = items.batch(spread(len(items), ITEMS))
    source, truth = batch.image_a.cpu(), batch.image_b.cpu()
    answer = model.translated(source)
    paired = split in dataset.schema.arguments["paired"]
    others = {"source": source, **baselines(dataset, source)} if paired else {}
    if paired:
        found |= nearness(answer, truth, others)
    if len(model.domains) > 1:
        found |= cycle(model, source, answer)
    if judge is not None and paired:
        found |= judged(model, dataset.schema.arguments["domains"], judge, answer, truth, others)
    return found


def nearness(answer: Tensor, truth: Tensor, others: Mapping[str, Tensor]) -> dict[str, float]:
    """PSNR, SSIM and L1 error of translations, and of each baseline by its name, to the truth; all (N, C, H, W) in [0, 1].

    ``psnr above baselines (dB)``, ``ssim above baselines`` and ``l1 error below baselines %`` are over the best of them. PSNR and SSIM
    reward blur, so ``sharpness relative to truth`` stands beside them. All are means over images; a pair counts with at most 60 dB.
    """
    found: dict[str, float] = {}
    for name, images in (("", answer), *((f"{other} ", images) for other, images in others.items())):
        found[f"{name}psnr (dB)"] = float(psnr(images, truth).clamp(max=MOST).mean())
        found[f"{name}ssim"] = float(ssim(images, truth).mean())
        found[f"{name}l1 error"] = float((images - truth).abs().mean())
    found["psnr above baselines (dB)"] = found["psnr (dB)"] - max(found[f"{name} psnr (dB)"] for name in others)
    found["ssim above baselines"] = found["ssim"] - max(found[f"{name} ssim"] for name in others)
    best = min(found[f"{name} l1 error"] for name in others)
    if best:
        found["l1 error below baselines %"] = 100 * (1 - found["l1 error"] / best)
    found["sharpness relative to truth"] = relative_sharpness(answer, truth)
    return found


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
    """What a judge of domains sees; nothing for one that does not know both. Its classes are named after the domains, or begin with
    their names: ``noto: Flags``.

    ``style %``: of the translations those that it takes for domain B's. ``identity top-1 %`` and ``top-5 %``: of the translations
    those whose true twin is the nearest, or among the five nearest, of the held-out images of B by the judge's features. Both also of
    the source and the other baselines, and by how much identity is more than under Reinhard's colours; ``truth style %`` and, of B
    translated to A, ``back style %``.
    """
    known = np.array([name.partition(":")[0] for name in judge.model.names])
    if not set(domains) <= set(known):
        return {}
    (a, b), at, found = domains, f"[{judge.name}]", dict[str, float]()
    seen, gallery = judge(truth)
    centre = gallery.mean(0)
    for name, images in {"": answer, **{f"{other} ": images for other, images in others.items()}}.items():
        p, features = judge(images)
        found[f"{name}style %{at}"] = share(p, known, b)
        near = retrieval(features - centre, gallery - centre)
        found |= {f"{name}identity top-{k} %{at}": percent for k, percent in near.items()}
        if name == "reinhard ":
            for k in near:
                found[f"identity top-{k} above reinhard %{at}"] = found[f"identity top-{k} %{at}"] - near[k]
    found[f"truth style %{at}"] = share(seen, known, b)
    if len(model.domains) > 1:
        found[f"back style %{at}"] = share(judge(model.translated(truth, "a"))[0], known, a)
    return found


def share(p: np.ndarray, known: np.ndarray, domain: str) -> float:
    """Percent of rows of probabilities (N, K) by which ``domain`` is the likeliest, whose classes ``known`` (K) names."""
    domains = sorted(set(known))
    summed = np.stack([p[:, known == one].sum(1) for one in domains], 1)  # (N, domains)
    return 100 * float((summed.argmax(1) == domains.index(domain)).mean())


def spread(items: int, most: int) -> np.ndarray:
    """At most ``most`` item numbers of ``items``, evenly spaced; int64."""
    return np.arange(items) if items <= most else np.linspace(0, items - 1, most).astype(np.int64)
