"""One reader of pictures: what a data set is made of, and what ``predict`` is given, pass through the same steps."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor

from paperzoo.errors import PaperzooError
from paperzoo.ranges import shown

#: formats that Pillow knows by name only, or reads by running another program (Ghostscript): files of them are never opened
_CLOSED = {"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "PDF", "WMF"}

#: suffixes of pictures that Pillow does not read; they are counted and named when a folder holds them
UNREAD = frozenset(
    {
        ".heic", ".heif", ".hif", ".heics", ".heifs", ".svg", ".svgz", ".eps", ".ps", ".ai", ".wmf", ".emf", ".jxl",
        ".jxr", ".wdp", ".hdp", ".exr", ".hdr", ".xcf", ".kra", ".ora", ".clip", ".afphoto", ".djvu", ".dcm", ".dicom",
        ".flif", ".bpg", ".pam", ".cdr", ".sketch", ".vsd", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".srf",
        ".dng", ".orf", ".ori", ".rw2", ".raf", ".pef", ".ptx", ".x3f", ".srw", ".3fr", ".fff", ".erf", ".kdc", ".dcr",
        ".k25", ".mrw", ".mos", ".mef", ".iiq", ".cap", ".rwl", ".raw", ".rwz", ".bay", ".gpr",
    }  # fmt: skip
)

_COMMON = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True)
class Preparation:
    """How a data set's pictures were preprocessed into tensors.

    Attributes:
        side: the short side is resized to this, antialiased.
        square: the middle square of this side is kept.
        channels: 1 (the luma of ITU-R 601) or 3.
        filter: ``bicubic`` or ``bilinear``.
        size: height and width of the tensors; squares of another size become it by ``fit``. 0: that of ``square``.
        ground: between which two values in [0, 1] the mean brightness of the outermost pixels of a training image lies, but for the
            lowest and the highest twentieth of them; ``None`` where that is not known.
    """

    side: int
    square: int
    channels: int
    filter: str = "bicubic"
    size: int = 0
    ground: tuple[float, float] | None = None

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Preparation:
        """The inverse of ``dataclasses.asdict``; unknown keys are ignored.

        Raises:
            PaperzooError: a part is missing, or has another type.
        """
        known = [f.name for f in dataclasses.fields(cls)]
        fields = {k: plain[k] for k in known if k in plain} if isinstance(plain, Mapping) else {}
        ground = fields.get("ground") or None
        sides = [fields.get(k, 0) for k in ("side", "square", "channels", "size")]
        good = {"side", "square", "channels"} <= fields.keys() and str(fields.get("filter", "bicubic")) in _FILTERS
        good = good and all(isinstance(side, int) for side in sides) and isinstance(ground, list | tuple | None)
        if not good or (ground and not (len(ground) == 2 and all(isinstance(end, int | float) for end in ground))):
            raise PaperzooError(f"how the pictures of a model's data were prepared cannot be read in its file: {shown(plain)}")
        return cls(**{**fields, "ground": tuple(ground) if ground else None})


@cache
def formats() -> tuple[str, ...]:
    """The formats that the installed Pillow reads."""
    Image.init()
    return tuple(name for name in Image.OPEN if name not in _CLOSED)


@cache
def suffixes() -> tuple[str, ...]:
    """The suffixes of these formats, the commonest first."""
    legal = set(formats())
    return (*_COMMON, *sorted(s for s, name in Image.registered_extensions().items() if name in legal and s not in _COMMON))


def looks_like_a_picture(path: Path) -> bool:
    """Whether a file of no known suffix begins as a PNG, JPEG, GIF, WebP or AVIF does."""
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError:
        return False
    known = head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a"))
    return known or (head[:4] == b"RIFF" and head[8:] == b"WEBP") or head[4:] in (b"ftypavif", b"ftypavis")


def read_rgb(source: Path | Image.Image) -> Image.Image:
    """The first frame of an image file as 8-bit RGB, upright by its EXIF tag, transparency on white; of a PIL image the same.

    16-bit greys are divided by 257. 32-bit greys are taken as 0..255, floats as [0, 1], or scaled by their largest value.

    Raises:
        OSError, ValueError: it cannot be read, or has no pixels.
    """
    if isinstance(source, Image.Image):
        return _rgb(source)
    with Image.open(source, formats=formats()) as opened:
        return _rgb(opened)


def read_layers(source: Path | Image.Image) -> Image.Image:
    """The first frame of an image file, or a PIL image, in 8 bits and upright, with its transparency: of mode L, LA, RGB or RGBA.

    Raises:
        OSError, ValueError: as ``read_rgb``.
    """
    if isinstance(source, Path):
        with Image.open(source, formats=formats()) as opened:
            return read_layers(opened)
    image = _upright(source)
    if image.has_transparency_data:
        return image if image.mode == "LA" else image.convert("RGBA")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _rgb(opened: Image.Image) -> Image.Image:
    image = _upright(opened)
    if image.has_transparency_data:
        ground = Image.new("RGBA", image.size, "white")
        ground.alpha_composite(image.convert("RGBA"))
        image = ground
    return image.convert("RGB")


def _upright(opened: Image.Image) -> Image.Image:
    """The picture in 8 bits and upright; modes of 8 bits are kept."""
    if 0 in opened.size:
        raise ValueError("it has no pixels")
    deep = opened.format == "PNG" and opened.mode == "I"  # what Pillow before 10.3 makes of 16-bit greys
    image = ImageOps.exif_transpose(opened)
    image.load()
    if image.mode.startswith("I;16") or deep:
        image = Image.fromarray((np.asarray(image, np.float32) / 257).round().astype(np.uint8))
    elif image.mode in ("I", "F"):
        array = np.nan_to_num(np.asarray(image, np.float64), posinf=0, neginf=0)
        array /= max(1 if image.mode == "F" else 255, array.max())
        image = Image.fromarray((array.clip(0, 1) * 255).round().astype(np.uint8))
    return image


def read_square(
    source: Path | Image.Image, size: int, crop: int | None = None, filter: Image.Resampling = Image.Resampling.BICUBIC
) -> np.ndarray:
    """The image with its short side resized to ``size`` (antialiased) and the middle ``crop`` cut out; uint8 (3, S, S).

    Args:
        crop: side of the square; default: ``size``.
    """
    image, crop = read_rgb(source), crop or size
    short = min(image.size)
    if max(image.size) > 8 * short:  # what is far from the middle of a very long image is never seen
        image = ImageOps.fit(image, (min(image.width, 8 * short), min(image.height, 8 * short)), Image.Resampling.NEAREST)
    width, height = (max(crop, int(size * side / short)) for side in image.size)
    left, top = round((width - crop) / 2), round((height - crop) / 2)
    image = image.resize((width, height), filter).crop((left, top, left + crop, top + crop))
    return np.array(image).transpose(2, 0, 1)  # (H, W, C) -> (C, H, W)


def as_channels(image: np.ndarray, channels: int) -> np.ndarray:
    """uint8 (3, H, W) as (C, H, W); grey by the luma of ITU-R 601."""
    return image if channels == 3 else np.array(Image.fromarray(image.transpose(1, 2, 0)).convert("L"))[None]


def prepare(source: Path | Image.Image, how: Preparation) -> Tensor:
    """A picture as its data set has it, uint8 (C, S, S) of the side ``how.square``; ``fit`` makes the tensor's size of it."""
    return torch.from_numpy(as_channels(read_square(source, how.side, how.square, _FILTERS[how.filter]), how.channels).copy())


def fit(pixels: Tensor, size: int) -> Tensor:
    """Square images uint8 (N, C, H, H) of another size: a black border where that is enough (28 to 32), else bilinear, antialiased."""
    missing = size - pixels.shape[-1]
    if missing == 0:
        return pixels
    if 0 < missing <= pixels.shape[-1] // 5:
        low = missing // 2
        return F.pad(pixels, (low, missing - low, low, missing - low))
    parts = [
        F.interpolate(p.float(), (size, size), mode="bilinear", antialias=True).round() for p in torch.split(pixels, 4096)
    ]
    return torch.cat(parts).to(torch.uint8)


def border(images: Tensor) -> Tensor:
    """The mean brightness of the outermost pixels of images (N, C, H, W), of which the values' range is kept; (N)."""
    values = images.float().mean(1)  # (N, H, W)
    ring = torch.cat([values[:, 0], values[:, -1], values[:, 1:-1, 0], values[:, 1:-1, -1]], 1)
    return ring.mean(1)


def ground_of(images: Tensor) -> tuple[float, float]:
    """``Preparation.ground`` of images (N, C, H, W) in [0, 1]."""
    edges = border(images)
    low, high = torch.quantile(edges, edges.new_tensor([0.05, 0.95])).tolist()
    return round(low, 4), round(high, 4)


def opposite(brightness: float, ground: tuple[float, float]) -> bool:
    """Whether a border of this brightness in [0, 1] is light where the training images' are dark, or dark where theirs are light."""
    low, high = ground
    return (high < 0.5 and brightness > max(0.6, high + 0.4)) or (low > 0.5 and brightness < min(0.4, low - 0.4))
