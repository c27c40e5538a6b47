"""What captions are written from: the features of a published classifier, which stays frozen, or of a few convolutions of one's own.

Show and Tell reads GoogLeNet's last features (N, 1024), Show, Attend and Tell the 14 x 14 places of VGG-19's last convolution
(N, 196, 512). Both classifiers were trained on ImageNet and are not trained further; a network from elsewhere is no part of a model,
and is not saved with it. ``SmallEncoder`` is trained together with the decoder, on pictures of 64 pixels.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn

from paperzoo.nn.pixels import IMAGENET_MEAN, IMAGENET_STD, per_channel
from paperzoo.papers.recognition import googlenet, vgg
from paperzoo.pretrained.published import load_published


@cache
def frozen_grid(weights: str) -> Callable[[Tensor], Tensor]:
    """VGG-19 up to its sixteenth convolution, conv5_4, and its ReLU: images (N, 3, S, S) in [0, 1] to (N, 512, S / 16, S / 16).

    Args:
        weights: ``"imagenet"``, which is fetched once and checked by its hash, or a file.

    Raises:
        PaperzooError: the weights cannot be had or do not fit.
    """
    with torch.device("meta"):  # its fully connected layers, most of its weights, are not needed
        whole = vgg.VGG(19, False, 1.0, 3, 1000, 224, 0.0)
    network = nn.Sequential(OrderedDict(features=whole.features[:36])).to_empty(device="cpu")
    load_published(network, weights, {"imagenet": vgg.URL.format(vgg.FILES["vgg19"])}, spare=("classifier.",))
    network.eval().requires_grad_(False)

    @torch.no_grad()
    def grid(image: Tensor) -> Tensor:
        mean, std = (per_channel("", values, 3).to(image) for values in (IMAGENET_MEAN, IMAGENET_STD))
        return network.to(image.device)((image - mean) / std)  # type: ignore[no-any-return]

    return grid


@cache
def frozen_features(weights: str) -> Callable[[Tensor], Tensor]:
    """GoogLeNet with batch normalisation before its last layer: images (N, 3, S, S) in [0, 1] to (N, 1024).

    Args, Raises: as ``frozen_grid``.
    """
    network = googlenet.GoogLeNet("imagenet", False, 3, 1000, 0.0, lambda channels: channels, True)
    load_published(network, weights, googlenet.URLS["v1_bn"], spare=("aux1.", "aux2."))
    network.eval().requires_grad_(False)

    @torch.no_grad()
    def features(image: Tensor) -> Tensor:
        return network.to(image.device)(2 * image - 1)[0]  # type: ignore[no-any-return]

    return features


class SmallEncoder(nn.Module):
    """Convolutions of 3x3 pixels, each with batch normalisation and ReLU; three of them halve the sides.

    Args:
        width: channels of the grid; the first two layers have a quarter and a half of them.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        sizes = [channels, max(1, width // 4), max(1, width // 2), width]
        layers: list[nn.Module] = []
        for inputs, outputs in zip(sizes, sizes[1:], strict=False):
            layers += [nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        self.seen = nn.Sequential(*layers)
        # convolutions tell things apart and not where they lie: rows and columns are two more channels
        self.placed = nn.Sequential(nn.Conv2d(width + 2, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())

    def forward(self, image: Tensor) -> Tensor:
        """Images (N, C, S, S) in [0, 1] to (N, width, S / 8, S / 8), rounded up."""
        x = self.seen(2 * image - 1)
        rows, columns = (torch.linspace(-1, 1, side, dtype=x.dtype, device=x.device) for side in x.shape[2:])
        where = torch.stack(torch.meshgrid(rows, columns, indexing="ij")).expand(len(x), -1, -1, -1)  # (N, 2, h, w)
        grid: Tensor = self.placed(torch.cat([x, where], 1))
        return grid
