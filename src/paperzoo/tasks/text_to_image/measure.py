"""Whether pictures show what their sentences name, by a judge of traits; how sharp the stages are; the scores of any generator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from paperzoo.data import Dataset
from paperzoo.metrics.sharpness import laplacian_variance, relative_sharpness
from paperzoo.tasks.generation import learnt_by_heart, mean_image_gap, scores, spread
from paperzoo.tasks.image_translation.traits import read, traits

if TYPE_CHECKING:
    from paperzoo.tasks.text_to_image.contract import SentenceGenerator

#: pictures of a split whose first sentence is drawn
SENTENCES = 1000


def of_sentences(model: SentenceGenerator, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
    """The first sentences of at most 1,000 pictures of a split, each drawn once.

    By a judge whose classes are named after attributes of the data, ``all named right %`` are the pictures of the largest size in which
    it sees all that the sentence names as the sentence says, ``stage I all named right %`` those of the smallest; ``NAME right %``
    the same of one attribute, among the sentences that name it. ``wrong sentence right %`` holds each picture against the sentence of
    another, and ``chance right %`` a real picture: what a generator is worth that does not read. ``real right %`` is the judge's own
    limit, real pictures with their sentences. Then its scores, see ``generation.scores``.

    ``stage II sharpness``: see ``metrics.sharpness``, 1 is as sharp as real pictures; that of stage I's, enlarged, stands beside it.
    """
    items = dataset[split]
    batch = items.batch(spread(len(items), SENTENCES))
    with torch.no_grad():
        phi = torch.cat([model.embed(part.to(model.reached.device)).float().cpu() for part in torch.split(batch.captions[:, 0], 250)])
    sizes = model.every_size(model.latents(len(phi), 1), phi)
    small, fake, real = sizes[0], sizes[-1], batch.image.cpu()
    metrics = sharpnesses(small, fake, real)
    if judge is None:
        metrics |= mean_image_gap(fake, dataset)
        return {**metrics, **learnt_by_heart(fake, dataset)}
    names = tuple(dataset.schema.arguments.get("attributes", ()))
    known = [name for name in traits(judge.model.names) if name in names]
    if known and hasattr(batch, "named"):
        place = [names.index(name) for name in known]
        truth, named = batch.attributes[:, place].cpu().numpy() == 1, batch.named[:, 0, place].cpu().numpy() == 1
        readings = (read(judge, small, known), read(judge, fake, known), read(judge, real, known))
        metrics |= agreements(known, truth, named, *readings, f"[{judge.name}]")
    return {**metrics, **scores(fake, dataset, judge), **learnt_by_heart(fake, dataset)}


def agreements(
    names: list[str], truth: np.ndarray, named: np.ndarray, small: np.ndarray, fake: np.ndarray, real: np.ndarray, at: str = ""
) -> dict[str, float]:
    """See ``of_sentences``; all bool (N, A): what holds of the pictures, what their sentences name, what is seen in three pictures each."""

    def right(seen: np.ndarray, shift: int = 0) -> np.ndarray:
        return (np.roll(truth, shift, 0) == seen) | ~np.roll(named, shift, 0)  # type: ignore[no-any-return]

    with np.errstate(invalid="ignore"):
        each = {f"{name} right %{at}": 100 * float(right(fake)[named[:, k], k].mean()) for k, name in enumerate(names) if named[:, k].any()}
    return {
        f"all named right %{at}": 100 * float(right(fake).all(1).mean()),
        f"stage I all named right %{at}": 100 * float(right(small).all(1).mean()),
        f"wrong sentence right %{at}": 100 * float(right(fake, 1).all(1).mean()),
        f"chance right %{at}": 100 * float(right(truth, 1).all(1).mean()),
        f"real right %{at}": 100 * float(right(real).all(1).mean()),
        **each,
    }


def sharpnesses(small: Tensor, fake: Tensor, real: Tensor) -> dict[str, float]:
    """Relative sharpness of the last stage and of the first, enlarged to its size by a bicubic kernel, and the ratio of both."""
    enlarged = F.interpolate(small, fake.shape[-1], mode="bicubic").clamp(0, 1)
    ratio = laplacian_variance(fake).mean() / laplacian_variance(enlarged).mean().clamp(min=1e-12)
    return {
        "stage II sharpness": relative_sharpness(fake, real),
        "stage I enlarged sharpness": relative_sharpness(enlarged, real),
        "stage II sharpness over stage I enlarged": float(ratio),
    }
