"""Videos at their own size: frames one after another, and such written as a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import IO

import numpy as np

from paperzoo.data.video.videos import opened, pyav, turned
from paperzoo.errors import PaperzooError
from paperzoo.files import write
from paperzoo.terminal import plain

#: of files that are written: the container, the encoder, and the constant quality at which hardly anything is lost
KINDS = {
    ".mp4": ("mp4", "libx264", "17"), ".m4v": ("mp4", "libx264", "17"), ".mov": ("mov", "libx264", "17"),
    ".mkv": ("matroska", "libx264", "17"), ".webm": ("webm", "libvpx-vp9", "24"),
}  # fmt: skip

#: by which RGB becomes luminance and colours in a file that is written, as FFmpeg numbers them
BT601 = 5

#: the unit of times in a file that is written, in seconds
CLOCK = Fraction(1, 90_000)


class Frames:
    """The frames of a video file, upright, one at a time: uint8 (H, W, 3) with its time in seconds.

    Attributes:
        rate: frames a second, on average; ``expected``: how many its header tells of, ``None`` where it does not.

    Raises:
        PaperzooError: it cannot be decoded: at once, or while frames are asked for.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with opened(path) as (_, stream):
            self.rate, self.expected = Fraction(stream.average_rate or 25), stream.frames or None

    def __iter__(self) -> Iterator[tuple[np.ndarray, Fraction]]:
        number = -1
        with opened(self.path) as (container, stream):
            for number, frame in enumerate(container.decode(stream)):
                seconds = number / self.rate if frame.pts is None else frame.pts * frame.time_base
                yield np.ascontiguousarray(turned(frame, frame.to_ndarray(format="rgb24"))), seconds
        if number < 0:
            raise PaperzooError(f"{plain(self.path)} cannot be decoded as a video: it has no frames")


def written_as(name: str) -> str:
    """The name of what is made of a video: its own, of a kind that is not written here with ``.mp4`` behind it."""
    return name if Path(name).suffix.lower() in KINDS else f"{name}.mp4"


def write_video(target: Path, frames: Iterable[tuple[np.ndarray, Fraction]], rate: Fraction) -> None:
    """Writes frames uint8 (H, W, 3), all of one size, each at its time in seconds, without sound; as ``files.write`` does.

    Args:
        rate: frames a second, on average.

    Raises:
        PaperzooError: it cannot be written.
    """
    av = pyav()
    container, encoder, quality = KINDS[target.suffix.lower()]

    def fill(file: IO[bytes]) -> None:
        with av.open(file, "w", format=container) as out:
            stream = None
            for pixels, seconds in frames:
                if stream is None:
                    stream = out.add_stream(encoder, rate=rate, options={"crf": quality, "b": "0"})
                    stream.height, stream.width = pixels.shape[:2]
                    # colours of two pixels each, along both sides, if these are even
                    stream.pix_fmt = "yuv444p" if stream.height % 2 or stream.width % 2 else "yuv420p"
                    stream.codec_context.time_base = CLOCK
                    stream.codec_context.colorspace = BT601  # said, or players take another for large frames
                frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
                frame.pts, frame.time_base = round(seconds / CLOCK), CLOCK
                out.mux(stream.encode(frame))
            if stream is not None:
                out.mux(stream.encode(None))

    try:
        write(target, fill)
    except av.error.FFmpegError as error:
        raise PaperzooError(f"cannot write {plain(target)}: {error}") from error
