"""The retina of recurrent attention (Mnih et al. 2014, section 3): patches round a place, the wider the coarser.

A cell of a patch is a mean over a square of pixels. Its sum takes four look-ups in an integral image, whatever the square's size,
and one integral image serves all glimpses at an image. ``ram.py`` has the network that looks through it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class GlimpseSensor(nn.Module):
    """Images and places (N, 2) to retinas (N, C, k, g, g): k square patches round the place (section 3, figure 1 A).

    A place is (x, y), from (-1, -1), the upper left corner of the image, to (1, 1), the lower right one. Patch i is 2^i g
    pixels wide, each of its g x g cells the mean of 2^i x 2^i pixels; what lies outside of the image is black.

    Args:
        size: g.
        scales: k.
    """

    def __init__(self, size: int, scales: int) -> None:
        super().__init__()
        self.size, self.scales = size, scales

    def integral(self, image: Tensor) -> Tensor:
        """Images (N, C, S, S) to (N, C, S + 1, S + 1): at [y, x] the sum of all pixels above y and left of x. One for all glimpses."""
        wide = torch.float32 if image.device.type == "mps" else torch.float64  # differences of large sums are small
        return F.pad(image, (1, 0, 1, 0)).to(wide).cumsum_(2).cumsum_(3)

    def forward(self, integral: Tensor, place: Tensor) -> Tensor:
        """Retinas (N, C, k, g, g) from integral images and places (N, 2)."""
        side = integral.shape[-1]  # S + 1
        width = 2 ** torch.arange(self.scales, device=place.device)  # (k), of a cell
        middle = (place.float().nan_to_num() + 1) * (side - 1) / 2  # (N, 2), in pixels
        first = torch.floor(middle[..., None] - width * self.size / 2 + 0.5)  # (N, 2, k), of the patch's pixels
        edge = first[..., None] + width[:, None] * torch.arange(self.size + 1, device=place.device)  # (N, 2, k, g + 1), of cells
        x, y = edge.clamp(0, side - 1).long().unbind(1)  # (N, k, g + 1); beyond the image nothing is added
        corner = (y[..., None] * side + x[:, :, None]).flatten(1)[:, None]  # (N, 1, k * (g + 1)^2)
        sums = integral.flatten(2).gather(2, corner.expand(-1, integral.shape[1], -1))  # (N, C, k * (g + 1)^2)
        total = sums.view(*sums.shape[:2], self.scales, self.size + 1, -1).diff(dim=3).diff(dim=4)  # (N, C, k, g, g)
        mean: Tensor = total / width[:, None, None] ** 2
        return mean
