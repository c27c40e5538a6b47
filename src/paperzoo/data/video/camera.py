"""A webcam's frames, as they come."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from paperzoo.data.video.videos import pyav
from paperzoo.errors import PaperzooError


def device(number: int) -> tuple[str, str | None]:
    """FFmpeg's name of a webcam, and its input format.

    Raises:
        PaperzooError: there is no such webcam, or none is read on this system.
    """
    if sys.platform == "darwin":
        return str(number), "avfoundation"
    if sys.platform != "linux":
        raise PaperzooError("a webcam is read on Linux and macOS: elsewhere record a video and name that")
    place = Path(f"/dev/video{number}")
    if not place.exists():
        there = ", ".join(sorted(path.name.removeprefix("video") for path in Path("/dev").glob("video[0-9]*")))
        raise PaperzooError(f"there is no webcam {number}: {place} is not there ({f'there is {there}' if there else 'nor any other'})")
    return str(place), "v4l2"


def frames(number: int, seconds: float) -> Iterator[np.ndarray]:
    """Frames uint8 (H, W, 3) of a webcam, for so many seconds after the first.

    Raises:
        PaperzooError: as ``device``, it is in use or may not be read, or PyAV is not installed.
    """
    av, (place, kind) = pyav(), device(number)
    try:
        with av.open(place, format=kind) as container:
            until = None
            for frame in container.decode(video=0):
                yield frame.to_ndarray(format="rgb24")
                until = until or time.monotonic() + seconds
                if time.monotonic() >= until:
                    return
    except (av.error.FFmpegError, OSError) as error:
        raise PaperzooError(f"webcam {number} cannot be read: {error}") from error
