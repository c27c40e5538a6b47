"""What a user may hand over as an image, made into a tensor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from paperzoo.errors import PaperzooError


def read_image(source: Any, channels: int, size: int) -> Tensor:
    """A path, PIL image, array or tensor as float32 (1, C, size, size) in [0, 1].

    Arrays are (H, W), (H, W, C) or (C, H, W); integers in 0..255, floats in [0, 1]. Other sizes are resized so that the
    short side fits, then cropped in the middle; a 28x28 digit for a 32x32 network gets a border of black, as in LeCun 1998.

    Raises:
        PaperzooError: not an image, an empty one, or values out of range.
    """
    if isinstance(source, str | Path):
        try:
            with Image.open(source) as opened:
                source = ImageOps.exif_transpose(opened)
                source.load()
        except FileNotFoundError as error:
            raise PaperzooError(f"there is no image {str(error.filename or source)!r}") from error
        except (UnidentifiedImageError, OSError) as error:
            raise PaperzooError(f"{source} cannot be read as an image") from error
    if isinstance(source, Image.Image):
        source = np.asarray(source.convert("L" if channels == 1 else "RGB"))
    array = source.detach().cpu().numpy() if isinstance(source, Tensor) else np.asarray(source)
    if array.ndim not in (2, 3) or 0 in array.shape or array.dtype.kind not in "uifb":
        raise PaperzooError(f"an image is (H, W), (H, W, C) or (C, H, W), not {array.dtype} {array.shape}")
    if array.ndim == 2:
        array = array[None]
    elif array.shape[0] not in (1, 3) and array.shape[-1] in (1, 3):
        array = array.transpose(2, 0, 1)
    image = torch.from_numpy(np.array(array)).float()[None]  # (1, C, H, W)
    if array.dtype.kind in "ui":
        image = image / 255
    if not torch.isfinite(image).all() or image.min() < 0 or image.max() > 1:
        raise PaperzooError(
            f"pixel values must lie in 0..255 (integers) or [0, 1] (floats), not [{image.min():g}, {image.max():g}]"
        )
    if image.shape[1] != channels:
        if {image.shape[1], channels} != {1, 3}:
            raise PaperzooError(f"an image with {image.shape[1]} channels for a model of {channels}")
        image = image.mean(1, keepdim=True) if channels == 1 else image.expand(-1, 3, -1, -1)
    height, width = image.shape[2:]
    if (height, width) == (size - 4, size - 4) and channels == 1:
        return F.pad(image, (2, 2, 2, 2))
    if (height, width) != (size, size):
        ratio = size / min(height, width)
        new = (max(size, round(height * ratio)), max(size, round(width * ratio)))
        image = F.interpolate(image, new, mode="bilinear", antialias=True).clamp(0, 1)
        top, left = (new[0] - size) // 2, (new[1] - size) // 2
        image = image[:, :, top : top + size, left : left + size]
    return image
