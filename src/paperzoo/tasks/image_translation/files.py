"""Pictures in, pictures out: files, animations and folders, one at a time; transparency is kept apart."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image, ImageOps, ImageSequence
from torch import Tensor

from paperzoo.data.listing import Skipped, below, pictures_in, some
from paperzoo.data.pictures import as_channels, formats, read_rgb
from paperzoo.errors import PaperzooError
from paperzoo.files import ordinary, path_of, write
from paperzoo.tasks.image_translation.whole import whole
from paperzoo.tasks.images import array_of
from paperzoo.terminal import plain

if TYPE_CHECKING:
    from paperzoo.tasks.image_translation.contract import ImageTranslator

#: formats whose further pictures are frames of an animation
_MOVING = ("GIF", "PNG", "WEBP", "AVIF")


@dataclass(frozen=True)
class Translation:
    """A picture, translated: ``image`` float32 (C, H, W) in [0, 1], of an animation the first of its ``frames``; ``path`` if written."""

    image: Tensor = field(repr=False)
    frames: int = 1
    path: Path | None = None

    def __str__(self) -> str:
        height, width = self.image.shape[1:]
        what = f"{width}x{height}" + (f", {self.frames} frames" if self.frames > 1 else "")
        return f"{what}: {plain(self.path)}" if self.path else f"{what}, translated and not written: name a folder by --out"


@dataclass(frozen=True)
class Translations:
    """A folder of pictures, translated: how many were written to ``path``, and why which were not."""

    path: Path
    written: int
    skipped: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"{self.written:,} picture{'s' * (self.written != 1)} written to {plain(self.path)}"]
        return "\n".join([*lines, *(f"left out, {why}: {some(names)} ({len(names)})" for why, names in self.skipped.items())])


def picture(model: ImageTranslator, source: Any, to: str, out: str, seed: int) -> Translation:
    """Translates a file, a PIL image, an array or a tensor; writes it to the folder ``out``, if one is named, under its name.

    Raises:
        PaperzooError: no picture, or one that cannot be written.
    """
    if isinstance(source, str | os.PathLike):
        path = ordinary(os.fspath(source), "image")
        return _file(model, path, _target(path, Path(path.name), out) if out else None, to, seed)
    if not isinstance(source, Image.Image):
        whole_array = (array_of(source) * 255).round().astype(np.uint8)  # (C, H, W)
        source = Image.fromarray(whole_array[0] if len(whole_array) == 1 else whole_array.transpose(1, 2, 0))
    if out:
        raise PaperzooError("a picture that is no file has no name to be written under: save .image yourself")
    rgb, _ = _frame(source)
    return Translation(whole(model, _channels(rgb, model.channels), to, seed).float().div_(255))


def pictures(model: ImageTranslator, folder: Path, to: str, out: str, seed: int) -> Translations:
    """Translates the pictures of a folder and of those in it, one after another, into the same names below ``out``.

    One that cannot be read or written is named in the answer; the others are translated. A bar shows how far it is, on a terminal.

    Raises:
        PaperzooError: no folder to write to, the folder itself, or no picture in it.
    """
    folder = path_of(folder)
    if not out:
        raise PaperzooError(f"{plain(folder)} is a folder: name another, to write its translations to, by --out")
    into, skipped = path_of(out), Skipped(list)
    if into.resolve() == folder.resolve():
        raise PaperzooError(f"{plain(into)} is the folder of the pictures themselves, which would be overwritten: name another by --out")
    found = [p for p in pictures_in(folder, True, skipped) if not p.resolve().is_relative_to(into.resolve())]
    if not found:
        raise PaperzooError(f"there are no pictures in {plain(folder)}" + "".join(f"; {len(f)} {why}" for why, f in skipped.items()))
    written, names = 0, defaultdict[str, list[str]](list)
    taken: dict[Path, Path] = {}
    for path in _shown(found):
        try:
            target = _target(path, path.relative_to(folder), out)
            if (other := taken.setdefault(target, path)) is not path:
                raise PaperzooError(f"{below(other, folder)} has the same name")
            _file(model, path, target, to, seed)
            written += 1
        except PaperzooError as error:
            names[str(error).replace(plain(path), "it")].append(below(path, folder))
    left = {why: tuple(below(path, folder) for path in paths) for why, paths in skipped.items()}
    return Translations(into, written, {**left, **{why: tuple(paths) for why, paths in names.items()}})


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


def _target(path: Path, name: Path, out: str) -> Path:
    """Where the translation of a file goes; of a kind that Pillow reads and does not write, as PNG.

    Raises:
        PaperzooError: the file itself would be overwritten.
    """
    kind = Image.registered_extensions().get(name.suffix.lower(), "")
    target = path_of(out) / (name if kind in Image.SAVE else name.with_name(f"{name.name}.png"))
    if target.exists() and target.resolve() == path.resolve():
        raise PaperzooError(f"{plain(path)} would be overwritten by its translation: name another folder by --out")
    return target


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


def _shown(paths: Sequence[Path]) -> Iterator[Path]:
    """The paths, with a bar on a terminal."""
    if not sys.stderr.isatty():
        yield from paths
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(paths, "translating", console=Console(stderr=True))
