"""Squared error beside PCA's, sharpness, and bounds of the likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from paperzoo.data import Dataset
from paperzoo.metrics.iwae import bounds
from paperzoo.metrics.sharpness import relative_sharpness

if TYPE_CHECKING:
    from paperzoo.tasks.reconstruction.contract import Autoencoder, LikelihoodAutoencoder


def errors(model: Autoencoder, dataset: Dataset, split: str) -> dict[str, float]:
    """``squared error``: the mean over the split of the sum over pixels of squared differences; and PCA's.

    ``pca squared error`` is the same of PCA with as many components as the code has numbers, fitted on at most 20,000
    training items; ``squared error % of pca's`` their ratio, left out where PCA makes no error. For images also
    ``sharpness relative to real``, that of at most 1,000 reconstructions over their originals': see ``metrics/sharpness.py``.
    """
    items = dataset[split]
    first = model.given(items.batch(np.arange(1)))
    pca = model.pca(dataset, model.codes(*first).shape[1])
    error = linear = 0.0
    for indices in items.batches(500):
        x, *conditions = model.given(items.batch(indices))
        error += float(squared_errors(x.cpu(), model.reconstruct(x, *conditions)).sum())
        flat = x.cpu().flatten(1)
        linear += float(squared_errors(flat, pca.decode(pca.encode(flat))).sum())
    ratio = {"squared error % of pca's": 100 * error / linear} if linear > 1e-6 * len(items) else {}
    metrics = {"squared error": error / len(items), "pca squared error": linear / len(items), **ratio}
    real, *conditions = model.spaced(items, 1000)
    if real.ndim == 4 and min(real.shape[2:]) >= 3 and real.var() > 0:
        metrics["sharpness relative to real"] = relative_sharpness(model.reconstruct(real, *conditions), real)
    return metrics


def likelihood(model: LikelihoodAutoencoder, dataset: Dataset, split: str, samples: int = 100) -> dict[str, float]:
    """``elbo (nats)`` and ``iwae-100 (nats)``, from the same 100 samples of each item, so that the first is never above the
    second; and ``active codes``: dimensions of the code that vary over the data by more than 0.01 (Burda et al. 2015).

    Of at most 1,000 held-out items, evenly spaced; fewer of images of more than 2,500 numbers.
    """
    random, device = torch.Generator().manual_seed(0), next(model.parameters()).device
    inputs = model.spaced(dataset[split], model.bound_items)
    codes, most = model.codes(*inputs), max(1, model.bound_numbers // inputs[0][0].numel())
    chunks = zip(*(torch.split(tensor[:most], 10) for tensor in (model.targets(inputs[0], random), *inputs[1:])), strict=True)
    weights = [model.log_weights(samples, random, *(part.to(device) for part in row)).cpu() for row in chunks]
    elbo, iwae = bounds(torch.cat(weights, 1))
    unit = f"nats, {model.protocol}" if model.protocol else "nats"
    return {
        f"elbo ({unit})": float(elbo.mean()),
        f"iwae-{samples} ({unit})": float(iwae.mean()),
        "active codes": int((codes.var(0, correction=0) > 0.01).sum()),
    }


def squared_errors(x: Tensor, y: Tensor) -> Tensor:
    """The sum of squared differences of each row: (N) from (N, ...) and (N, ...)."""
    return (x - y).square().flatten(1).sum(1)
