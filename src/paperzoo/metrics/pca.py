"""Principal components: the bar for every autoencoder, as no linear code of equal size has a smaller squared error."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

#: up to so many dimensions the covariance matrix is made and its eigenvectors found; above, subspace iteration does with less
_EXACT = 1024

#: multiplications with the data, and directions more than wanted, of subspace iteration
_ROUNDS, _SPARE = 12, 20


class Components(NamedTuple):
    """``mean`` (D) and ``axes`` (K, D), orthonormal rows by falling variance; float32."""

    mean: Tensor
    axes: Tensor

    def encode(self, x: Tensor) -> Tensor:
        """Codes (N, K) of rows (N, D)."""
        return (x - self.mean) @ self.axes.T

    def decode(self, code: Tensor) -> Tensor:
        """Rows (N, D) of codes (N, K)."""
        return code @ self.axes + self.mean


def principal_components(x: Tensor, components: int) -> Components:
    """The ``components`` directions of largest variance of rows (N, D), float32.

    There are at most D, and at most N - 1 that mean anything: more are not given. Constant data have no direction of their
    own; they get an arbitrary one, and their mean, which is all that it takes.

    Raises:
        ValueError: no rows, or fewer than one component asked for.
    """
    if x.ndim != 2 or not len(x) or components < 1:
        raise ValueError(f"need rows (N, D) with N above 0 and at least one component, got {tuple(x.shape)}, {components}")
    x, k = x.float(), min(components, x.shape[1], len(x) - 1)
    mean = x.mean(0)
    x = x - mean
    if k == 0:
        return Components(mean, x.new_zeros(0, x.shape[1]))
    if x.shape[1] <= _EXACT:
        _, axes = np.linalg.eigh((x.T @ x).double().cpu().numpy())  # columns by rising variance
        return Components(mean, torch.from_numpy(axes[:, ::-1][:, :k].T.copy()).to(x))
    start = torch.randn(x.shape[1], min(k + _SPARE, *x.shape), generator=torch.Generator().manual_seed(0))
    q = torch.linalg.qr(start.to(x)).Q  # (D, k + spare)
    for _ in range(_ROUNDS):
        q = torch.linalg.qr(x.T @ (x @ q)).Q
    _, _, turn = torch.linalg.svd(x @ q, full_matrices=False)  # the directions of q, turned to those of the data
    return Components(mean, (turn @ q.T)[:k])


def subspace_angle(a: Tensor, b: Tensor) -> float:
    """The largest principal angle between the spans of rows (K, D) and (K, D), in degrees from 0 to 90.

    Zero if they span the same space, whatever the bases: an autoencoder finds PCA's space, not its axes.
    """
    q, p = (torch.linalg.qr(rows.double().T).Q for rows in (a, b))  # (D, K)
    cosines = torch.linalg.svdvals(q.T @ p)
    sine = torch.linalg.matrix_norm(p - q @ (q.T @ p), 2)  # of the same angle, exact where the cosine is not
    return float(torch.rad2deg(torch.atan2(sine, cosines[-1])))
