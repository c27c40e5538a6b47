"""The filters of scattering: Morlet wavelets and the Gaussian average, periodic, as kymatio makes them (Andreux et al. 2018).

A Morlet wavelet is an elongated Gaussian times a plane wave, less so much of the Gaussian that it sums to zero. ``scattering.py``
multiplies spectra by theirs; read ``morlet`` first.
"""

from __future__ import annotations

import numpy as np

# kymatio's constants: sigma_j = 0.8 * 2^j pixels, central frequency 3 pi / 4 / 2^j, and 2 pi with three decimals of pi.
SIGMA, CENTRE, TWO_PI = 0.8, 0.75 * np.pi, 2 * 3.1415


def periods(n: int) -> np.ndarray:
    """Places (5, n): those of a signal of n pixels and of its two neighbours on each side, for filters are periodic."""
    return (np.arange(5)[:, None] - 2) * n + np.arange(n)


def morlet(rows: int, columns: int, j: int, turn: int, L: int) -> np.ndarray:
    """psi at scale j and angle ``turn`` of L: complex (rows, columns), the origin at [0, 0].

    ``g(u) (exp(i xi . u) - beta)``, g an elongated Gaussian and beta such that psi sums to zero.
    """
    angle, slant, sigma = (L // 2 - 1 - turn) * np.pi / L, 4 / L, SIGMA * 2**j
    y, x = periods(rows)[:, None, :, None], periods(columns)[None, :, None, :]
    along, across = y * np.cos(angle) + x * np.sin(angle), x * np.cos(angle) - y * np.sin(angle)
    envelope = np.exp(-(along**2 + (slant * across) ** 2) / (2 * sigma**2)) * slant / (TWO_PI * sigma**2)
    gabor = (envelope * np.exp(1j * along * CENTRE / 2**j)).sum((0, 1))
    gauss = envelope.sum((0, 1))
    return gabor - gabor.sum() / gauss.sum() * gauss  # type: ignore[no-any-return]


def crop(spectrum: np.ndarray, r: int, axis: int) -> np.ndarray:
    """The lowest frequencies along an axis, 2^r times fewer: the filter for a signal subsampled by 2^r."""
    n = spectrum.shape[axis]
    half = (n >> r) // 2
    return spectrum.take([*range(half), *range(n - half, n)], axis)


def average_matrix(n: int, J: int, r: int) -> np.ndarray:
    """phi along one axis of n pixels, 2^r times fewer, as a matrix (n / 2^J - 2, n / 2^r): to every 2^J-th pixel but the outermost."""
    sigma = SIGMA * 2 ** (J - 1)
    gauss = np.exp(-(periods(n) ** 2) / (2 * sigma**2)).sum(0) / np.sqrt(TWO_PI * sigma**2)
    phi = np.fft.ifft(crop(np.fft.fft(gauss).real, r, 0)).real  # (n / 2^r), the origin at [0]
    to = np.arange(1, (n >> J) - 1)[:, None] * 2 ** (J - r)
    return phi[(to - np.arange(n >> r)) % (n >> r)]  # type: ignore[no-any-return]
