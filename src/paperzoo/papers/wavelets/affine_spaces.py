"""Affine spaces: a classifier for features that vary in few directions within a class (Bruna and Mallat 2012, section 4.1).

The class k is its mean m_k and the d directions it varies in most, the rows of V_k (its principal components). An image x belongs to
the nearest of these spaces,

    argmin_k  |x - m_k|^2 - |V_k (x - m_k)|^2.

``scattering.py`` fits one to its coefficients. Read ``AffineSpaces.distances`` first.
"""

from __future__ import annotations

import torch
from torch import Tensor

from paperzoo.metrics.pca import principal_components
from paperzoo.nn.fitted import Fitted


class AffineSpaces(Fitted):
    """Section 4.1: a class is its mean and the directions it varies in most; an image belongs to the nearest such space.

    Scores are minus squared distances ``|x - mean_k|^2 - |V_k (x - mean_k)|^2``, with d rows in each V_k.

    Args:
        dimension: the most directions a class may have. How many it has is chosen by cross-validation, on each random fifth of the
            images in turn.
    """

    mean: Tensor
    axes: Tensor
    size: Tensor

    def __init__(self, dimensions: int, classes: int, dimension: int = 100) -> None:
        super().__init__()
        self.keep(mean=torch.zeros(classes, dimensions), axes=torch.zeros(classes, dimension, dimensions))  # rows above d are zero
        self.keep(size=torch.ones(()))  # mean squared norm of what was fitted on, the unit of the distances

    def fit(self, x: Tensor, label: Tensor, seed: int) -> None:
        """From features (N, D) and classes (N)."""
        self.size.copy_(x.square().sum(1).mean().clamp(min=1e-12))
        fold = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed)).to(x.device) % 5
        dimension, wrong = self.axes.shape[1], torch.zeros(self.axes.shape[1] + 1, dtype=torch.int64, device=x.device)
        for number in range(5):
            out = fold == number
            if len(torch.unique(label[~out])) < len(torch.unique(label)):
                break  # too few images to leave some out
            self._span(x[~out], label[~out], dimension)
            for some, true in zip(torch.split(x[out], 100), torch.split(label[out], 100), strict=True):
                wrong += (self.distances(some).argmin(1) != true[:, None]).sum(0)  # (dimension + 1), for every d at once
        else:
            dimension = int(wrong.argmin())
        self._span(x, label, dimension)

    def _span(self, x: Tensor, label: Tensor, dimension: int) -> None:
        self.axes.zero_()
        self.mean.fill_(1e3)  # a class without an example is far from everything
        for k in torch.unique(label).tolist():
            some = x[label == k]
            components = principal_components(some, max(1, dimension))
            self.mean[k] = components.mean
            self.axes[k, : min(dimension, len(components.axes))] = components.axes[:dimension]

    def distances(self, x: Tensor) -> Tensor:
        """Squared distances (N, K, dimension + 1) to the spaces of 0, 1, ... directions, in units of ``size``."""
        from_mean = x[:, None] - self.mean  # (N, K, D)
        code = torch.einsum("nkd,kad->nka", from_mean, self.axes)
        whole = from_mean.square().sum(2, keepdim=True)
        return torch.cat([whole, whole - code.square().cumsum(2)], 2) / self.size

    def forward(self, x: Tensor) -> Tensor:
        """Scores (N, K) of features (N, D)."""
        return torch.cat([-self.distances(part)[..., -1] for part in torch.split(x, 100)])
