"""Regions of pictures, and what a published classifier sees of them: both models of Karpathy and Fei-Fei 2014 read it.

R-CNN proposed theirs; here they are windows on a grid, and the whole picture last.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paperzoo.nn.pixels import IMAGENET_MEAN, IMAGENET_STD, per_channel
from paperzoo.papers.recognition import vgg
from paperzoo.pretrained.published import load_published

#: pixels along each side of what VGG sees
SEEN = 224


def windows(grid: int, share: float) -> Tensor:
    """x0, y0, x1, y1 as shares of a picture's sides, (grid^2 + 1, 4): row by row from edge to edge, then the whole picture.

    Args:
        share: of each side that a window has.
    """
    starts = torch.linspace(0, 1 - share, grid) if grid > 1 else torch.full((grid,), (1 - share) / 2)
    y, x = (one.flatten() for one in torch.meshgrid(starts, starts, indexing="ij"))
    return torch.cat([torch.stack([x, y, x + share, y + share], 1), torch.tensor([[0.0, 0.0, 1.0, 1.0]])])


def coverage(boxes: Tensor, height: int, width: int) -> Tensor:
    """Weights (R, h, w) by which a map's mean over each box is taken; each region's sum to 1.

    Args:
        boxes: (R, 4), x0, y0, x1, y1 as shares of the sides.
    """

    def along(low: Tensor, high: Tensor, places: int) -> Tensor:
        edges = torch.linspace(0, 1, places + 1)
        inside = (torch.minimum(edges[1:], high[:, None]) - torch.maximum(edges[:-1], low[:, None])).clamp(min=0)  # (R, places)
        return inside / inside.sum(1, keepdim=True)

    rows, columns = along(boxes[:, 1], boxes[:, 3], height), along(boxes[:, 0], boxes[:, 2], width)
    return rows[:, :, None] * columns[:, None]


def cut(image: Tensor, boxes: Tensor, size: int = SEEN) -> Tensor:
    """The regions (R, 4) of images (N, C, H, W), each resized to a square: (N R, C, size, size)."""
    height, width = image.shape[2:]
    regions = []
    for x0, y0, x1, y1 in boxes.tolist():
        rows, columns = slice(round(y0 * height), round(y1 * height)), slice(round(x0 * width), round(x1 * width))
        regions.append(F.interpolate(image[:, :, rows, columns], (size, size), mode="bilinear", antialias=True))
    return torch.stack(regions, 1).flatten(0, 1)  # (N, R, C, size, size) -> (N R, C, size, size)


@cache
def fc7(weights: str) -> Callable[[Tensor], Tensor]:
    """VGG-19 up to the last layer before its classes, and the ReLU: images (N, 3, 224, 224) in [0, 1] to (N, 4096).

    Args:
        weights: ``"imagenet"``, which is fetched once and checked by its hash, or a file.

    Raises:
        PaperzooError: the weights cannot be had or do not fit.
    """
    with torch.device("meta"):
        network = vgg.VGG(19, False, 1.0, 3, 1000, SEEN, 0.0)
        network.classifier[6] = nn.Identity()
    network = network.to_empty(device="cpu")
    load_published(network, weights, {"imagenet": vgg.URL.format(vgg.FILES["vgg19"])}, spare=("classifier.6.",))
    network.eval().requires_grad_(False)

    @torch.no_grad()
    def features(image: Tensor) -> Tensor:
        mean, std = (per_channel("", values, 3).to(image) for values in (IMAGENET_MEAN, IMAGENET_STD))
        responses: Tensor = network.to(image.device)((image - mean) / std)
        return responses.relu()

    return features
