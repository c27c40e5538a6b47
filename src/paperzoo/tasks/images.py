"""A user's image, in any form that is accepted, made into the tensor that a training image would be."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from paperzoo.data.pictures import Preparation, border, fit, formats, opposite, prepare, read_layers
from paperzoo.errors import PaperzooError
from paperzoo.files import exists, is_folder, ordinary, path_of
from paperzoo.terminal import plain

Read = TypeVar("Read")

#: formats whose further pictures are frames or pages; of others, such as what a phone's camera writes, they are other sizes of the first
MANY = ("GIF", "PNG", "WEBP", "AVIF", "TIFF")


def read_image(source: Any, channels: int, size: int, prepared: Preparation | Mapping[str, Any] | None = None) -> Tensor:
    """A path, PIL image, array or tensor as float32 (1, C, size, size) in [0, 1]: of a training file the training tensor.

    Arrays are (H, W), (H, W, C) or (C, H, W); integers in 0..255, floats in [0, 1]; one that has the tensor's shape is taken
    as it is. A ground that is the opposite of the training images' is warned of.

    Args:
        prepared: how the model's data were prepared: a saved model's ``prepared``. Where that is not known pictures are
            resized so that the short side fits, then cropped in the middle; a grey 28x28 digit for a 32x32 network gets a
            border of black, as in LeCun 1998.

    Raises:
        PaperzooError: not an image, an empty one, or values out of range.
    """
    how = _preparation(prepared, channels, size)
    name = "the image"
    if isinstance(source, str | os.PathLike):
        name = plain(source)
        source = ordinary(os.fspath(source), "image")
    elif not isinstance(source, Image.Image):
        array = array_of(source)
        if array.shape == (channels, size, size):
            image = torch.from_numpy(array)[None]  # (1, C, H, W)
            _look(image if how is None or how.square >= size else _middle(image, how.square), how, name)
            return image
        source = _eight_bits(array)
    pixels = _read(source, name, lambda: _pixels(source, how, channels, size))
    _look(pixels.to(torch.float32).div(255), how, name)
    if how is not None and channels == 1 and coloured(source):
        warnings.warn(f"{name} is in colour, and all training images were grey: it may be nothing that the model knows", stacklevel=2)
    return fit(pixels, size).to(torch.float32).div_(255)


def read_whole(source: Any) -> Image.Image:
    """A path, PIL image, array or tensor as a picture of its own size, in 8 bits and upright, of mode L, LA, RGB or RGBA.

    Raises:
        PaperzooError: as ``read_image``.
    """
    name = "the image"
    if isinstance(source, str | os.PathLike):
        name = plain(source)
        source = ordinary(os.fspath(source), "image")
    elif not isinstance(source, Image.Image):
        source = _eight_bits(array_of(source))
    picture = _read(source, name, lambda: read_layers(source))
    if isinstance(source, Path) and (more := _further(source)):
        warnings.warn(f"{name} has {more + 1} pictures, and the first alone is used", stacklevel=3)
    return picture


def _further(path: Path) -> int:
    """How many frames or pages a picture that can be read has beside its first."""
    try:
        with Image.open(path, formats=formats()) as opened:
            return getattr(opened, "n_frames", 1) - 1 if opened.format in MANY else 0
    except Exception:  # what lies behind the first is broken
        return 0


def new_file(source: Any, ending: str, out: str) -> Path | None:
    """Where what was made of ``source`` is to be written: NAME and the ending, in the folder ``out``; ``None`` if none is named.

    Raises:
        PaperzooError: ``out`` is a file, or what would be written is there already: nothing is replaced.
    """
    if not out:
        return None
    stem = Path(source).stem if isinstance(source, str | os.PathLike) else "image"
    return unused(path_of(out) / f"{stem}{ending}", out)


def unused(path: Path, out: str) -> Path:
    """The path, if nothing is there, in a folder ``out`` that the user named.

    Raises:
        PaperzooError: as ``new_file``.
    """
    if exists(out) and not is_folder(out):
        raise PaperzooError(f"--out {plain(out)} is a file, not a folder")
    if exists(path):
        raise PaperzooError(f"{plain(path)} is there already: choose another folder by --out")
    return path


def _read(source: Any, name: str, read: Callable[[], Read]) -> Read:
    """The result of ``read()``; any error that it raises becomes one sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow's, on odd metadata and large scans
            return read()
    except Exception as error:  # Pillow's plug-ins raise a dozen kinds, SyntaxError among them
        why = plain(str(error).replace(f" {str(source)!r}", "") or type(error).__name__)
        raise PaperzooError(f"{name} cannot be read as an image: {why}") from error


def _eight_bits(array: np.ndarray) -> Image.Image:
    """Pixels float32 (C, H, W) in [0, 1] as a picture."""
    whole = (array * 255).round().astype(np.uint8)
    return Image.fromarray(whole[0] if len(whole) == 1 else whole.transpose(1, 2, 0))


def _preparation(prepared: Preparation | Mapping[str, Any] | None, channels: int, size: int) -> Preparation | None:
    """The preprocessing of the data of a model with such images, if it is known."""
    if isinstance(prepared, Mapping):
        prepared = Preparation.from_json(prepared["picture"]) if prepared.get("picture") else None
    fits = prepared is not None and prepared.channels == channels and (prepared.size or prepared.square) == size
    return prepared if fits else None


def _pixels(source: Path | Image.Image, how: Preparation | None, channels: int, size: int) -> Tensor:
    """uint8 (1, C, H, H), at the size that ``fit`` makes the tensor's."""
    if isinstance(source, Path):
        with Image.open(source, formats=formats()) as opened:
            return _pixels(opened, how, channels, size)
    if how is None:
        square = 28 if channels == 1 and size == 32 and source.size == (28, 28) else size
        how = Preparation(square, square, channels)
    elif how.square < size and source.size == (size, size):  # as large as a training tensor: it has its border
        how = Preparation(size, size, channels, how.filter)
    return prepare(source, how)[None]


def _look(image: Tensor, how: Preparation | None, name: str) -> None:
    """Warns if the ground of an image (1, C, H, W) in [0, 1] is the opposite of the training images'."""
    if how is None or how.ground is None or not opposite(brightness := float(border(image)), how.ground):
        return
    here, there = ("light", "dark") if brightness > 0.5 else ("dark", "light")
    low, high = how.ground
    warnings.warn(
        f"the ground of {name} is {here} ({brightness:.2f} of 1 at its edges), that of the training images {there} ({low:.2f} to "
        f"{high:.2f}): the answer means little, unless its brightness is inverted",
        stacklevel=3,
    )


def coloured(source: Path | Image.Image, least: float = 0.1) -> bool:
    """Whether the channels of a picture that can be read differ by ``least`` of their range or more, on average over a small copy."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        small = np.asarray(read_layers(source).convert("RGB").resize((32, 32)), np.float32) / 255  # (32, 32, 3)
    return float((small.max(2) - small.min(2)).mean()) >= least


def _middle(image: Tensor, side: int) -> Tensor:
    low = (image.shape[-1] - side) // 2
    return image[..., low : low + side, low : low + side]


def array_of(source: Any) -> np.ndarray:
    """An array or tensor of pixels as float32 (C, H, W) in [0, 1]."""
    array = source.detach().cpu().numpy() if isinstance(source, Tensor) else np.asarray(source)
    if array.ndim not in (2, 3) or 0 in array.shape or array.dtype.kind not in "uifb":
        raise PaperzooError(f"an image is (H, W), (H, W, C) or (C, H, W), not {array.dtype} {array.shape}")
    if array.ndim == 2:
        array = array[None]
    elif array.shape[0] not in (1, 3) and array.shape[-1] in (1, 2, 3, 4):
        array = array.transpose(2, 0, 1)
    if array.shape[0] not in (1, 2, 3, 4):
        raise PaperzooError(f"an image has 1 (grey) or 3 channels, or 2 or 4 with transparency, not {array.shape[0]}")
    image = array.astype(np.float32)
    if array.dtype.kind in "ui":
        image /= 255
    if not np.isfinite(image).all() or image.min() < 0 or image.max() > 1:
        raise PaperzooError(
            f"pixel values must lie in 0..255 (integers) or [0, 1] (floats), not [{image.min():g}, {image.max():g}]"
        )
    return np.ascontiguousarray(image)
