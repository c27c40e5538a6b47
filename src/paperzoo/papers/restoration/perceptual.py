"""The features of which SRGAN's perceptual loss is made (Ledig et al. 2016, section 2.2.1)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from torch import Tensor

from paperzoo.nn.pixels import IMAGENET_MEAN, IMAGENET_STD, per_channel
from paperzoo.papers.recognition import mobilenet, vgg
from paperzoo.pretrained.published import load_published

#: what l_VGG compares -> its name in scores: the last layers before the second and the fifth pooling of VGG-19 after their ReLU, as
#: the paper has them; or, for VGG-19 is in no package, the third inverted residual block of MobileNetV2, a quarter of the side
CONTENT = {"vgg22": "vgg19-2.2", "vgg54": "vgg19-5.4", "mobilenet": "mobilenetv2-3"}


@cache
def phi(content: str, weights: str) -> Callable[[Tensor], Tensor]:
    """The features that l_VGG compares, of images (N, 3, H, W) in [0, 1]; of a frozen network, which no model has as a part.

    Args:
        content: of ``CONTENT``.
        weights: ``"imagenet"``, which is fetched once and checked by its hash, or a file.

    Raises:
        PaperzooError: the weights cannot be had or do not fit.
    """
    network: Any
    if content == "mobilenet":
        network = mobilenet.MobileNet("v2", 1.0, 5, 3, 1000, 0.0)
        load_published(network, weights, mobilenet.PLACES["v2"])
        layers, factor = network.features[:4], 0.2
    else:
        network = vgg.VGG(19, False, 1.0, 3, 1000, 224, 0.0)
        load_published(network, weights, {"imagenet": vgg.URL.format(vgg.FILES["vgg19"])})
        layers, factor = network.features[: 9 if content == "vgg22" else 36], 1 / 12.75  # section 3.2
    layers.eval().requires_grad_(False)

    def features(image: Tensor) -> Tensor:
        mean, std = (per_channel("", values, 3).to(image) for values in (IMAGENET_MEAN, IMAGENET_STD))
        maps: Tensor = layers.to(image.device)((image - mean) / std)
        return factor * maps

    return features
