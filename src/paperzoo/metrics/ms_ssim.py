"""Multi-scale structural similarity (Wang, Simoncelli and Bovik 2003): how alike two images look, at several sizes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

#: weights of the five scales, the finest first (table 1 of the paper)
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

#: the window: a Gaussian of this side and deviation, in pixels
WINDOW, DEVIATION = 11, 1.5

#: what keeps the quotients from 0 / 0, as shares of the range of values
K1, K2 = 0.01, 0.03


def ms_ssim(first: Tensor, second: Tensor) -> Tensor:
    """Similarity of image i of ``first`` with image i of ``second``, float32 (N) in [0, 1]; 1 for equal images.

    With mean mu, deviation sigma and covariance under the window, luminance l and contrast-structure cs are

        l = (2 mu_x mu_y + C1) / (mu_x^2 + mu_y^2 + C1),      cs = (2 sigma_xy + C2) / (sigma_x^2 + sigma_y^2 + C2),

    averaged over the image; the score is the product of cs^weight over the scales, with l * cs at the coarsest (Eq. 7).
    Each scale halves the sides by means of 2x2 pixels. A negative mean counts as 0, as its power is not real.

    A scale needs sides of 11 pixels. Five of them need 161; **smaller images use the scales that they have, the weights
    scaled up to the sum of all five** (21 to 40 pixels: two), and images under 11 pixels one scale with a window of the
    largest odd side that fits. Such scores are comparable at equal sides only.

    Args:
        first, second: (N, C, H, W) in [0, 1]. Each channel is scored by itself; the score is the mean over channels.

    Raises:
        ValueError: other shapes than each other's, or not four dimensions.
    """
    if first.shape != second.shape or first.ndim != 4:
        raise ValueError(f"two equal shapes (N, C, H, W) wanted, not {tuple(first.shape)} and {tuple(second.shape)}")
    x, y = first.float(), second.float()
    used = WEIGHTS[: scales(min(x.shape[-2:]))]
    score = torch.ones(x.shape[:2])  # (N, C)
    for scale, weight in enumerate(used):
        if scale:
            x, y = (F.avg_pool2d(image, 2, ceil_mode=True) for image in (x, y))
        whole, contrast = ssim(x, y)
        part = whole if scale == len(used) - 1 else contrast
        score = score * part.clamp(min=0) ** (weight * sum(WEIGHTS) / sum(used))
    return score.mean(1)


def ssim(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The means over the image of l * cs and of cs, each (N, C), for images (N, C, H, W) in [0, 1]; no padding."""
    side = min(*x.shape[-2:], WINDOW)
    place = torch.arange(side - 1 + side % 2) - (side - 1 + side % 2) // 2  # an odd side
    window = torch.exp(-(place**2) / (2 * DEVIATION**2))
    window = (window / window.sum()).view(1, 1, -1, 1)
    n, c, h, w = x.shape

    def blur(image: Tensor) -> Tensor:
        flat = image.reshape(n * c, 1, h, w)  # each channel by itself
        out = F.conv2d(F.conv2d(flat, window), window.transpose(2, 3))
        return out.view(n, c, *out.shape[2:])  # (N, C, H', W')

    mean_x, mean_y = blur(x), blur(y)
    variances, covariance = blur(x * x + y * y) - mean_x**2 - mean_y**2, blur(x * y) - mean_x * mean_y
    contrast = (2 * covariance + K2**2) / (variances + K2**2)
    luminance = (2 * mean_x * mean_y + K1**2) / (mean_x**2 + mean_y**2 + K1**2)
    return (luminance * contrast).mean((2, 3)), contrast.mean((2, 3))


def scales(side: int) -> int:
    """How many scales images of this smaller side have, 1 to 5."""
    count = 1
    while count < len(WEIGHTS) and (side := -(-side // 2)) >= WINDOW:
        count += 1
    return count
