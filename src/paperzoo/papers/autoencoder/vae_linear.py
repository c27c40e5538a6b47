"""The linear VAE: with linear networks the bound is tight, and the model is probabilistic PCA, whose likelihood is known exactly.

p(x|z) = N(Wz + b, s^2 I) and q(z|x) = N(Vx + a, diagonal). At its maximum the bound of ``vae.py`` is the log-likelihood

    log p(x) = log N(x; b, W W^T + s^2 I),

for the columns of W can be turned until the true posterior's covariance is diagonal (Tipping and Bishop 1999; Lucas et al. 2019,
1911.02469). So ``vae:linear`` must reach the optimum that an eigendecomposition gives: a test of the whole method.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from paperzoo.data import Dataset
from paperzoo.errors import PaperzooError
from paperzoo.metrics.ppca import gaussian_log_likelihood, ppca_log_likelihood
from paperzoo.papers.autoencoder.vae import Gaussian, Variational, log_normal
from paperzoo.ranges import NotNegative, Size
from paperzoo.tasks.reconstruction import PointAutoencoder


class LinearNetwork(nn.Module):
    """Rows (N, inputs) to a Gaussian with linear mean and one variance for all rows: a number, or one each output."""

    def __init__(self, inputs: int, outputs: int, variances: int, deviation: float = 0.0) -> None:
        super().__init__()
        self.mean = nn.Linear(inputs, outputs)
        self.log_variance = nn.Parameter(torch.full((variances,), 2 * math.log(deviation or 1)), requires_grad=not deviation)

    def forward(self, x: Tensor) -> Gaussian:
        mean = self.mean(x)
        return Gaussian(mean, self.log_variance.expand_as(mean))


class Linear(Variational, PointAutoencoder):
    """The linear Gaussian case, of points (N, dimensions).

    Args:
        dimensions: of the points.
        latent: of the code; fewer than ``dimensions``.
        deviation: s; 0 to learn it.
    """

    bound_items, bound_numbers = 10_000, 10**9

    def __init__(self, *, dimensions: Size = 8, latent: Size = 2, deviation: NotNegative = 0.0) -> None:
        super().__init__()
        if not 1 <= latent < dimensions:
            raise PaperzooError(f"latent must be from 1 to {dimensions - 1}, less than the data's dimensions, not {latent}")
        self.dimensions, self.latent = dimensions, latent
        self.encoder = LinearNetwork(dimensions, latent, latent)
        self.decoder = LinearNetwork(latent, dimensions, 1, deviation)

    def posterior(self, x: Tensor, *told: Tensor) -> Gaussian:
        q: Gaussian = self.encoder(x)
        return q

    def log_likelihood(self, x: Tensor, z: Tensor, *told: Tensor) -> Tensor:
        return log_normal(x, *self.decoder(z))

    def encode(self, image: Tensor) -> Tensor:
        return self.posterior(image).mean

    def decode(self, code: Tensor) -> Tensor:
        mean: Tensor = self.decoder(code).mean
        return mean

    def measure(self, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """The metrics of its tasks, the model's exact ``log-likelihood (nats)`` and that of probabilistic PCA.

        All of at most 10,000 points; ``elbo below ppca (nats)`` is what is to be at most 0.01.
        """
        metrics = super().measure(dataset, split)
        (held,), (train,) = self.spaced(dataset[split], self.bound_items), self.spaced(dataset["train"], 10**6)
        w, b = self.decoder.mean.weight.double().cpu(), self.decoder.mean.bias.cpu()
        noise = self.decoder.log_variance.double().exp().cpu() * torch.eye(self.dimensions)
        metrics["log-likelihood (nats)"] = gaussian_log_likelihood(held, b, w @ w.T + noise)
        metrics["ppca log-likelihood (nats)"] = ppca_log_likelihood(train, held, self.latent)
        metrics["elbo below ppca (nats)"] = metrics["ppca log-likelihood (nats)"] - metrics["elbo (nats)"]
        return metrics
