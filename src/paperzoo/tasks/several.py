"""Applies what works on one picture to a folder of pictures, and to an animation or video, frame by frame."""

from __future__ import annotations

import os
import struct
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from PIL import GifImagePlugin, Image, ImageSequence

from paperzoo.data.listing import Skipped, below, pictures_in, some
from paperzoo.data.pictures import formats, read_layers, suffixes
from paperzoo.data.video.videos import FILES
from paperzoo.data.video.whole import Frames, write_video, written_as
from paperzoo.errors import PaperzooError
from paperzoo.files import is_folder, ordinary, path_of, write
from paperzoo.tasks.images import read_whole, unused
from paperzoo.terminal import plain

Answer = TypeVar("Answer")

#: kinds of which Pillow writes no picture as it is: shrunk to sizes of its own choice, or in black and white alone
_OTHERWISE = ("ICO", "ICNS", "XBM", "MSP")
#: the longest side that a GIF has
_GIF = 2**16 - 1

#: whether a bar is shown: within it no other is
_shown = False


@dataclass(frozen=True)
class Pictures:
    """A folder of pictures, each changed: how many were written to ``path``, and why which were not."""

    path: Path
    written: int
    skipped: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"{self.written:,} picture{'s' * (self.written != 1)} written to {plain(self.path)}"]
        return "\n".join([*lines, *(f"left out, {why}: {some(names)} ({len(names)})" for why, names in self.skipped.items())])


@dataclass(frozen=True)
class Animated:
    """An animation or a video, each of its ``frames`` changed, as it was written to ``path``: (width, height) in pixels."""

    size: tuple[int, int]
    frames: int
    path: Path

    def __str__(self) -> str:
        silent = "" if self.path.suffix.lower() == ".gif" else ", without sound"
        return f"{self.frames:,} frames of {self.size[0]}x{self.size[1]} pixels written to {plain(self.path)}{silent}"


def several(source: Any, out: str, change: Callable[[Image.Image], Image.Image], doing: str) -> Pictures | Animated | None:
    """All pictures of a folder, or all frames of an animated GIF or a video, changed and written under the same names below ``out``;
    ``None`` of anything else, such as a single picture. Nothing that is there is replaced.

    Args:
        source: what a user named.
        change: pictures of mode L, LA, RGB or RGBA to such.
        doing: the work, in a word, for a bar.

    Raises:
        PaperzooError: nothing is there, it cannot be read or written, or no folder is named to write to.
    """
    if not isinstance(source, str | os.PathLike):
        return None
    if is_folder(os.fspath(source)):
        return folder(Path(source), out, lambda path, target: _changed(path, unused(target, out), change, doing), doing)
    path = ordinary(os.fspath(source), "image")
    if not moves(path):
        return None
    if not out:
        raise PaperzooError(f"{plain(path)} has many frames: name a folder, to write them to, by --out")
    name = path.name if path.suffix.lower() in suffixes() else written_as(path.name)
    return moving(path, unused(path_of(out) / name, out), change, doing)


def _changed(path: Path, target: Path, change: Callable[[Image.Image], Image.Image], doing: str) -> None:
    """One of a folder's pictures, changed and written."""
    if moves(path):
        moving(path, target, change, doing)
        return
    image, kind = change(read_whole(path)), Image.registered_extensions()[target.suffix.lower()]
    options = {"quality": 95} if kind in ("JPEG", "WEBP") else {}
    write(target, lambda file: image.save(file, format=kind, **options))


def folder(source: Path, out: str, change: Callable[[Path, Path], object], doing: str) -> Pictures:
    """``change(picture, target)`` for each picture of a folder and of those in it; targets have the same names below ``out``.

    One that cannot be read or written is named in the answer; the others are changed. A bar shows how far it is, on a terminal.

    Raises:
        PaperzooError: no folder to write to, the folder itself, or no picture in it.
    """
    source = path_of(source)
    if not out:
        raise PaperzooError(f"{plain(source)} is a folder: name another, to write the pictures to, by --out")
    into, skipped = path_of(out), Skipped(list)
    if into.resolve() == source.resolve():
        raise PaperzooError(f"{plain(into)} is the folder of the pictures themselves, which would be overwritten: name another by --out")
    pictures = [p for p in pictures_in(source, True, skipped) if not p.resolve().is_relative_to(into.resolve())]
    if not pictures:
        raise PaperzooError(f"there are no pictures in {plain(source)}" + "".join(f"; {len(f)} {why}" for why, f in skipped.items()))
    written, names, taken = 0, defaultdict[str, list[str]](list), dict[Path, Path]()
    with bar(doing, len(pictures)) as done:
        for path in pictures:
            try:
                target = target_of(path, path.relative_to(source), out)
                if (other := taken.setdefault(target, path)) is not path:
                    raise PaperzooError(f"{below(other, source)} has the same name")
                change(path, target)
                written += 1
            except PaperzooError as error:
                names[str(error).replace(plain(path), "it")].append(below(path, source))
            done()
    left = {why: tuple(below(path, source) for path in paths) for why, paths in skipped.items()}
    return Pictures(into, written, {**left, **{why: tuple(paths) for why, paths in names.items()}})


def looked_at(source: str, look: Callable[[Path], Answer]) -> tuple[tuple[Answer, ...], dict[str, tuple[str, ...]]]:
    """A model's answers for the pictures of a folder and its subfolders; and the files left out, by reason.

    Raises:
        PaperzooError: there is no picture, or none that can be read.
    """
    root, skipped, failed = path_of(source), Skipped(list), dict[str, list[str]]()
    paths, each = pictures_in(root, True, skipped), list[Answer]()
    if not paths:
        raise PaperzooError(f"there are no pictures in {plain(root)}" + "".join(f"; {len(f)} {why}" for why, f in skipped.items()))
    with bar("looking", len(paths)) as done:
        for path in paths:
            try:
                each.append(look(path))
            except PaperzooError as error:
                failed.setdefault(str(error).replace(plain(path), "it"), []).append(below(path, root))
            done()
    if not each:
        raise PaperzooError(f"no picture in {plain(root)} could be looked at: {next(iter(failed))}")
    left = {why: tuple(below(path, root) for path in files) for why, files in skipped.items()}
    return tuple(each), {**left, **{why: tuple(names) for why, names in failed.items()}}


def target_of(path: Path, name: Path, out: str) -> Path:
    """Where what was made of a file goes: under this name below ``out``; of a kind that Pillow does not write, or not as it is, as PNG.

    Raises:
        PaperzooError: the file itself would be overwritten.
    """
    kind = Image.registered_extensions().get(name.suffix.lower(), "")
    target = path_of(out) / (name if kind in Image.SAVE and kind not in _OTHERWISE else name.with_name(f"{name.name}.png"))
    if target.exists() and target.resolve() == path.resolve():
        raise PaperzooError(f"{plain(path)} would be overwritten: name another folder by --out")
    return target


def moves(path: Path) -> bool:
    """Whether a file is a video, by its suffix, or a GIF of several frames."""
    if path.suffix.lower() not in suffixes():
        return path.suffix.lower() in FILES
    try:
        with Image.open(path, formats=["GIF"]) as opened:
            return getattr(opened, "n_frames", 1) > 1
    except Exception:  # no GIF, or a broken one: who reads it says so
        return False


def moving(path: Path, target: Path, change: Callable[[Image.Image], Image.Image], doing: str) -> Animated:
    """A video or an animated GIF, each of its frames changed, one at a time, with the times that they had; videos lose their sound.

    Args:
        target: where to; of a video a name that ``whole.written_as`` gives.
        change: pictures of mode L, LA, RGB or RGBA, all of one size, to such, all of one size.
        doing: the work, in a word, for the bar.

    Raises:
        PaperzooError: it cannot be read or written.
    """
    size, frames = (0, 0), 0

    def changed(picture: Image.Image, done: Callable[[], None]) -> Image.Image:
        nonlocal size, frames
        made = change(picture)
        size, frames = made.size, frames + 1
        done()
        return made

    if path.suffix.lower() in suffixes():
        _animation(path, target, changed, doing)
    else:
        video = Frames(path)
        with bar(doing, video.expected) as done:
            made = ((np.asarray(changed(Image.fromarray(pixels), done)), seconds) for pixels, seconds in video)
            write_video(target, made, video.rate)
    return Animated(size, frames, target)


def _animation(path: Path, target: Path, changed: Callable[[Image.Image, Callable[[], None]], Image.Image], doing: str) -> None:
    try:
        opened = Image.open(path, formats=formats())
    except Exception as error:  # Pillow's plug-ins raise a dozen kinds
        raise _unread(path, error) from error
    with opened, bar(doing, getattr(opened, "n_frames", 1)) as done:
        made = ((changed(picture, done), duration) for picture, duration in _frames(opened, path))
        write(target, lambda file: _write_gif(file, made, opened.info.get("loop")))


def _frames(opened: Image.Image, path: Path) -> Iterator[tuple[Image.Image, int]]:
    """The whole pictures of an animation, with the milliseconds that each is shown."""
    frames = ImageSequence.Iterator(opened)
    while True:
        try:
            frame = next(frames)
            picture = read_layers(frame)
        except StopIteration:
            return
        except Exception as error:
            raise _unread(path, error) from error
        yield picture, round(frame.info.get("duration", 100))


def _unread(path: Path, error: Exception) -> PaperzooError:
    return PaperzooError(f"{plain(path)} cannot be read as an image: {plain(str(error)) or type(error).__name__}")


def _write_gif(file: IO[bytes], frames: Iterator[tuple[Image.Image, int]], loop: int | None) -> None:
    """Writes an animation, a frame at a time; Pillow's own way to do it keeps all of them in memory.

    Each frame has a palette of its own, of 255 colours, and the last entry for what is transparent; after it the ground is cleared.
    """
    began = False
    for picture, duration in frames:
        if not began:
            if max(picture.size) > _GIF:
                raise PaperzooError(f"a GIF has at most {_GIF:,} pixels a side, not {max(picture.size):,}: nothing is written")
            file.write(b"GIF89a" + struct.pack("<HHBBB", *picture.size, 0, 0, 0))  # no palette for all
            if loop is not None:
                file.write(b"!\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<HB", loop, 0))
            began = True
        image, clear = _paletted(picture)
        for part in GifImagePlugin.getdata(image, duration=duration, disposal=2, include_color_table=True, transparency=clear):
            file.write(part)
    file.write(b";")


def _paletted(picture: Image.Image) -> tuple[Image.Image, int | None]:
    """The picture with at most 255 colours, and 255, if any of it is transparent: that is entry 255 where it is so by more than half."""
    clear = np.asarray(picture.getchannel("A")) < 128 if picture.mode in ("LA", "RGBA") else None
    quantized = picture.convert("RGB").quantize(255)
    colours = (quantized.getpalette() or [])[: 3 * 255]
    indices = np.array(quantized)
    if clear is not None:
        indices[clear] = 255
    image = Image.fromarray(indices, "P")
    image.putpalette([*colours, *[0] * (768 - len(colours))])
    return image, 255 if clear is not None and clear.any() else None


@contextmanager
def bar(doing: str, parts: int | None) -> Iterator[Callable[[], None]]:
    """A function to be called after each of so many parts of a work: on a terminal it moves a bar, if there is none around it."""
    global _shown
    if _shown or parts == 1 or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    _shown = True
    try:
        with Progress(console=Console(stderr=True)) as progress:
            task = progress.add_task(doing, total=parts)
            yield lambda: progress.advance(task)
    finally:
        _shown = False
