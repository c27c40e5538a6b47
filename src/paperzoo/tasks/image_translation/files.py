"""Pictures in, pictures out: files, animations and folders, one at a time; transparency is kept apart."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image, ImageOps, ImageSequence
from torch import Tensor

from paperzoo.data.pictures import as_channels, formats, read_rgb
from paperzoo.errors import PaperzooError
from paperzoo.files import ordinary, write
from paperzoo.tasks.image_translation.whole import whole
from paperzoo.tasks.images import array_of
from paperzoo.tasks.several import Pictures, folder, target_of
from paperzoo.terminal import plain

if TYPE_CHECKING:
    from paperzoo.tasks.image_translation.contract import ImageTranslator

#: formats whose further pictures are frames of an animation, or pages
_MOVING = ("GIF", "PNG", "WEBP", "AVIF", "TIFF")


@dataclass(frozen=True)
class Translation:
    """A picture, translated: ``image`` float32 (C, H, W) in [0, 1], of an animation the first of its ``frames``; ``path`` if written."""

    image: Tensor = field(repr=False)
    frames: int = 1
    path: Path | None = None

    def __str__(self) -> str:
        height, width = self.image.shape[1:]
        size = f"{width}x{height}" + (f", {self.frames} frames" if self.frames > 1 else "")
        return f"{size}: {plain(self.path)}" if self.path else f"{size}, translated and not written: name a folder by --out"


def picture(model: ImageTranslator, source: Any, to: str, out: str, seed: int) -> Translation:
    """Translates a file, a PIL image, an array or a tensor; writes it to the folder ``out``, if one is named, under its name.

    Raises:
        PaperzooError: no picture, or one that cannot be written.
    """
    if isinstance(source, str | os.PathLike):
        path = ordinary(os.fspath(source), "image")
        return _file(model, path, target_of(path, Path(path.name), out) if out else None, to, seed)
    if not isinstance(source, Image.Image):
        whole_array = (array_of(source) * 255).round().astype(np.uint8)  # (C, H, W)
        source = Image.fromarray(whole_array[0] if len(whole_array) == 1 else whole_array.transpose(1, 2, 0))
    if out:
        raise PaperzooError("a picture that is no file has no name to be written under: save .image yourself")
    rgb, _ = _frame(source)
    return Translation(whole(model, _channels(rgb, model.channels), to, seed).float().div_(255))


def pictures(model: ImageTranslator, source: Path, to: str, out: str, seed: int) -> Pictures:
    """Translates the pictures of a folder and of those in it, one after another, into the same names below ``out``.

    Raises:
        PaperzooError: as ``several.folder``.
    """
    return folder(source, out, lambda path, target: _file(model, path, target, to, seed), "translating")


def _file(model: ImageTranslator, path: Path, target: Path | None, to: str, seed: int) -> Translation:
    """Translates a file and writes it as ``target``, if there is one."""
    done: list[Image.Image] = []
    first: Tensor | None = None
    try:
        with Image.open(path, formats=formats()) as opened:
            moving = opened.format in _MOVING and getattr(opened, "n_frames", 1) > 1
            durations, loop = [], opened.info.get("loop")
            for frame in ImageSequence.Iterator(opened) if moving else [opened]:
                durations.append(frame.info.get("duration", 100))
                rgb, alpha = _frame(frame)
                answer = whole(model, _channels(rgb, model.channels), to, seed)
                first = answer if first is None else first
                if target:
                    done.append(_image(answer, alpha))
                if not moving:
                    break
    except PaperzooError:
        raise
    except Exception as error:  # Pillow's plug-ins raise a dozen kinds, SyntaxError among them
        why = plain(str(error).replace(f" {str(path)!r}", "") or type(error).__name__)
        raise PaperzooError(f"{plain(path)} cannot be read as an image: {why}") from error
    assert first is not None
    if target:
        _save(done, target, durations, loop)
    return Translation(first.float().div_(255), len(durations), target)


def _frame(image: Image.Image) -> tuple[np.ndarray, Image.Image | None]:
    """A picture as it is read for training, transparency on white, uint8 (3, H, W); and its transparency, if it has any."""
    rgb = np.array(read_rgb(image)).transpose(2, 0, 1)  # (H, W, C) -> (C, H, W)
    if not image.has_transparency_data:
        return rgb, None
    return rgb, ImageOps.exif_transpose(image).convert("RGBA").getchannel("A")


def _channels(rgb: np.ndarray, channels: int) -> Tensor:
    return torch.from_numpy(as_channels(rgb, channels).copy())


def _image(pixels: Tensor, alpha: Image.Image | None) -> Image.Image:
    """uint8 (C, H, W) as a picture, with the transparency of its source."""
    array = pixels.numpy()
    image = Image.fromarray(array[0] if len(array) == 1 else array.transpose(1, 2, 0))
    if alpha is not None:
        image = image.convert("RGBA")
        image.putalpha(alpha)
    return image


def _save(images: Sequence[Image.Image], target: Path, durations: Sequence[float], loop: int | None) -> None:
    kind = Image.registered_extensions()[target.suffix.lower()]
    first, *others = images if kind in ("GIF", "PNG", "WEBP", "TIFF") else [_flat(image) for image in images]
    options: dict[str, Any] = {"quality": 95} if kind in ("JPEG", "WEBP") else {}
    if others:
        options |= {"save_all": True, "append_images": others, "duration": list(durations)}
        options |= {"disposal": 2} if kind == "GIF" and first.mode == "RGBA" else {}
        options |= {} if loop is None else {"loop": loop}
    write(target, lambda file: first.save(file, format=kind, **options))


def _flat(image: Image.Image) -> Image.Image:
    return image.convert("RGB") if image.mode == "RGBA" else image
