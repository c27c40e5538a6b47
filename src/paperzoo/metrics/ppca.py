"""The exact likelihood of probabilistic PCA (Tipping and Bishop 1999): what a linear Gaussian model can reach at best."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor


def ppca_log_likelihood(train: Tensor, held: Tensor, components: int) -> float:
    """Mean log-density in nats of rows (M, D) under probabilistic PCA fitted by maximum likelihood to rows (N, D).

    The model is ``x = W z + mu + sigma e`` with z (components) and e (D) standard normal. At its maximum (their Eqs. 7 and 8)
    sigma^2 is the mean of the D - components smallest eigenvalues of the covariance, and ``W = U (Lambda - sigma^2)^1/2`` with
    the largest; the covariance of the model is then that of the data with its small eigenvalues made equal.

    Raises:
        ValueError: not 1 to D - 1 components, or data that lie in fewer dimensions than the model needs (sigma would be 0).
    """
    x = train.double()
    if not 1 <= components < x.shape[1]:
        raise ValueError(f"need 1 to {x.shape[1] - 1} components, not {components}")
    mean = x.mean(0)
    values, axes = np.linalg.eigh(((x - mean).T @ (x - mean) / len(x)).cpu().numpy())  # rising
    values[:-components] = values[:-components].mean()
    if values[0] <= 0:
        raise ValueError(f"the data lie in {components} dimensions exactly: no noise is left, and the likelihood has no maximum")
    return gaussian_log_likelihood(held, mean, torch.from_numpy(axes * values @ axes.T).to(x))


def gaussian_log_likelihood(x: Tensor, mean: Tensor, covariance: Tensor) -> float:
    """Mean log-density in nats of rows (N, D) under a normal distribution with mean (D) and covariance (D, D)."""
    root = torch.linalg.cholesky(covariance.double())
    white = torch.linalg.solve_triangular(root, (x.double() - mean.double()).T, upper=False)  # (D, N)
    constant = x.shape[1] * math.log(2 * math.pi) / 2 + root.diagonal().log().sum()
    return -float(white.square().sum(0).mean() / 2 + constant)
