"""Bounds on a latent-variable model's log-likelihood from importance weights (Burda, Grosse and Salakhutdinov 2015)."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def bounds(log_weights: Tensor) -> tuple[Tensor, Tensor]:
    """The evidence lower bound and the IWAE-K bound of each item, both (N), from the same samples.

    Args:
        log_weights: ``log p(x, z_k) - log q(z_k | x)`` for K samples ``z_k ~ q(z | x)`` of each item; (K, N), in nats.

    Returns:
        ``1/K sum_k log w_k``, the estimate of the ELBO, and ``log 1/K sum_k w_k``. By Jensen the first is never above the
        second, and for K = 1 they are the same; in expectation the second grows with K towards ``log p(x)``.
    """
    return log_weights.mean(0), torch.logsumexp(log_weights, 0) - math.log(len(log_weights))
