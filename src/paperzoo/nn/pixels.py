"""Mean and standard deviation for normalising pixels, channel by channel."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from paperzoo.errors import PaperzooError

#: of ImageNet's training images by channel, in units of [0, 1]: what torchvision's weights expect to be taken off and divided by
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def per_channel(what: str, values: Sequence[float], channels: int) -> Tensor:
    """One value, or one a channel, as (1, 1 or channels, 1, 1), to be taken off images (N, channels, H, W).

    Raises:
        PaperzooError: another number of values; ``what`` names them.
    """
    if len(values) not in (1, channels):
        raise PaperzooError(f"{what} has one value or one for each of {channels} channels, not {len(values)}")
    return torch.tensor(values).reshape(1, -1, 1, 1)
