"""Structural similarity (Wang, Bovik, Sheikh and Simoncelli 2004): how alike two images look, at one size."""

from __future__ import annotations

from torch import Tensor

from paperzoo.metrics import ms_ssim


def ssim(first: Tensor, second: Tensor) -> Tensor:
    """Similarity of image i of ``first`` with image i of ``second``, float32 (N) in [-1, 1]; 1 for equal images.

    Luminance times contrast and structure, see ``ms_ssim``, under a Gaussian window of deviation 1.5 and side 11, averaged over the
    places where the window lies inside, and over channels. This is scikit-image's ``structural_similarity`` with
    ``gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1``. Images under 11 pixels have a window of
    the largest odd side that fits.

    Args:
        first, second: (N, C, H, W) in [0, 1].

    Raises:
        ValueError: other shapes than each other's, or not four dimensions.
    """
    if first.shape != second.shape or first.ndim != 4:
        raise ValueError(f"two equal shapes (N, C, H, W) wanted, not {tuple(first.shape)} and {tuple(second.shape)}")
    return ms_ssim.ssim(first.float(), second.float())[0].mean(1)
