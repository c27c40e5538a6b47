"""Videos: clips drawn from them, files and folders of frames read, the splits of UCF-101 and HMDB-51, the user's own."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from paperzoo.data.dataset import Column, Dataset, Schema, Split, Values
from paperzoo.data.encoding import blocks, lines
from paperzoo.data.listing import (
    Item,
    Skipped,
    class_name,
    complain,
    copies,
    cut,
    entries,
    folders_of,
    say_copies,
    say_few,
    some,
    some_of_each,
    split_folders,
)
from paperzoo.data.pictures import as_channels, read_square, suffixes
from paperzoo.errors import PaperzooError
from paperzoo.files import kind_of, ordinary
from paperzoo.terminal import plain

FILES = (
    *(".avi", ".mp4", ".mkv", ".mov", ".webm", ".mpg", ".mpeg", ".m4v", ".gif", ".wmv", ".asf", ".flv", ".f4v", ".3gp", ".3g2", ".ts"),
    *(".mts", ".m2ts", ".m2v", ".ogv", ".ogg", ".vob", ".divx", ".dv", ".mxf", ".y4m"),
)

#: above this many bytes a folder's videos are not kept in memory but decoded as they are asked for
LARGE = 2**30


# One video -----------------------------------------------------------------------------------------------------------


class Reel(Protocol):
    """One video: its length is its number of frames, at least 1."""

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int) -> np.ndarray:
        """Frames ``start`` to ``stop`` without the last, uint8 (T, C, H, W)."""


class Held:
    """A video in memory, uint8 (T, C, H, W)."""

    def __init__(self, pixels: np.ndarray) -> None:
        assert pixels.dtype == np.uint8 and pixels.ndim == 4
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, start: int, stop: int) -> np.ndarray:
        return self.pixels[start:stop]


class FrameFolder:
    """A folder of images, one a frame, in the order of the numbers in their names (2 before 10).

    Args:
        size: every frame's short side becomes this long; the middle square is kept.
    """

    def __init__(self, path: Path, size: int, channels: int) -> None:
        self.path, self.size, self.channels = path, size, channels
        self.files = sorted(_visible(path, suffixes()), key=_by_number)
        if not self.files:
            raise PaperzooError(f"{plain(path)} has no frames ({', '.join(s[1:] for s in suffixes()[:8])} and others)")

    def __len__(self) -> int:
        return len(self.files)

    def read(self, start: int, stop: int) -> np.ndarray:
        return np.stack([self._frame(file) for file in self.files[start:stop]])

    def _frame(self, file: Path) -> np.ndarray:
        try:
            return as_channels(read_square(file, self.size), self.channels)
        except Exception as error:  # Pillow's plug-ins raise a dozen kinds
            raise PaperzooError(f"{plain(file)} cannot be read as a frame: {error}") from error


class VideoFile:
    """A video file, decoded by PyAV from its beginning, so that frames are counted right whatever its key frames are.

    Frames are turned and mirrored upright as the file's display matrix says, as pictures are by their EXIF tag.

    Args:
        size: every frame's short side becomes this long; the middle square is kept.
    """

    def __init__(self, path: Path, size: int, channels: int) -> None:
        self.path, self.size, self.channels = path, size, channels
        self._length = 0

    def __len__(self) -> int:
        if not self._length:
            with opened(self.path) as (container, stream):  # a header's own count may be missing or wrong
                self._length = sum(1 for packet in container.demux(stream) if packet.size)
            if not self._length:
                raise PaperzooError(f"{plain(self.path)} cannot be decoded as a video: it has no frames")
        return self._length

    def read(self, start: int, stop: int) -> np.ndarray:
        with opened(self.path) as (container, stream):
            frames = [self._square(frame) for frame in islice(container.decode(stream), start, stop)]
        if not frames:
            raise PaperzooError(f"{plain(self.path)} cannot be decoded as a video: nothing comes from frame {start} on")
        return np.stack(frames)

    def _square(self, frame: Any) -> np.ndarray:
        """One frame as uint8 (C, S, S)."""
        ratio = self.size / min(frame.width, frame.height)
        width, height = (max(self.size, round(ratio * side)) for side in (frame.width, frame.height))
        kind = "rgb24" if self.channels == 3 else "gray"
        pixels: np.ndarray = frame.reformat(width, height, kind, interpolation="AREA").to_ndarray()  # (H, W, 3) or (H, W)
        pixels = turned(frame, pixels)
        height, width = pixels.shape[:2]
        left, top = (width - self.size) // 2, (height - self.size) // 2
        middle = pixels[top : top + self.size, left : left + self.size]
        return middle.transpose(2, 0, 1) if self.channels == 3 else middle[None]


@contextmanager
def opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """A video file as PyAV's container, and the stream of its pictures.

    Raises:
        PaperzooError: there is no such file, it cannot be decoded, or there is no PyAV.
    """
    ordinary(path, "video")
    av = pyav()
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ValueError("it has no pictures")
            container.streams.video[0].thread_count = 1  # videos are read side by side instead
            yield container, container.streams.video[0]
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise PaperzooError(f"{plain(path)} cannot be decoded as a video: {error}") from error


def pyav() -> Any:
    """The library PyAV; ``PaperzooError`` where it is not installed."""
    try:
        return import_module("av")
    except ImportError as error:
        raise PaperzooError('reading video files needs PyAV: pip install "paperzoo[video]"') from error


def turned(frame: Any, pixels: np.ndarray) -> np.ndarray:
    """The pixels (H, W, ...) of PyAV's frame, upright as its file says."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    return pixels if matrix is None else upright(pixels, np.frombuffer(bytes(matrix), np.int32))


def upright(pixels: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Frames (H, W, ...) turned by quarters and mirrored as a display matrix says: int32 (9), fixed point, ``a b u, c d v, x y w``.

    The pixel at x and y is shown at ``a x + c y`` and ``b x + d y``. What is turned by less than a quarter stays as it is.
    """
    a, b, _, c, d = (int(value) for value in matrix[:5])
    if abs(b) > abs(a) and abs(c) > abs(d):
        pixels, across, down = pixels.swapaxes(0, 1), c, b
    else:
        across, down = a, d
    return pixels[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1]


def open_video(path: Path, size: int, channels: int) -> Reel:
    """A video file, or a folder with one image a frame, as squares of ``size`` pixels.

    Raises:
        PaperzooError: there is no such video, or (when it is read) it cannot be decoded.
    """
    return FrameFolder(path, size, channels) if path.is_dir() else VideoFile(path, size, channels)


def clip_of(reel: Reel, start: int, frames: int) -> np.ndarray:
    """``frames`` frames from ``start`` on, uint8 (T, C, H, W); after its last frame a video begins again."""
    clip = reel.read(start, min(start + frames, len(reel)))
    if len(clip) == frames:
        return clip
    whole = reel.read(0, len(reel)) if start else clip
    return whole[(start + np.arange(frames)) % len(whole)]


# Many videos ---------------------------------------------------------------------------------------------------------


class Videos:
    """A column of videos, of which each item gives one clip: ``video``, float32 (N, C, T, H, W) in [0, 1].

    A clip is ``frames`` consecutive frames; a video that is shorter is looped. With ``random``, as in training, the clip
    begins anywhere, and of larger frames a square of ``size`` is cut anywhere, the same for all frames of the clip; chance
    comes from torch's default generator. Without, both are taken from the middle.
    """

    def __init__(self, reels: Sequence[Reel], size: int, frames: int, random: bool = False) -> None:
        self.reels, self.size, self.frames, self.random = list(reels), size, frames, random

    def __len__(self) -> int:
        return len(self.reels)

    def take(self, indices: np.ndarray) -> dict[str, Any]:
        """A clip of each video with one of these numbers."""
        shares = torch.rand(len(indices), 3).tolist() if self.random else [(0.5,) * 3] * len(indices)
        reels = [self.reels[i] for i in indices]
        if not any(isinstance(reel, VideoFile | FrameFolder) for reel in reels):
            clips = list(map(self._clip, reels, shares))
        else:
            with ThreadPoolExecutor() as pool:
                clips = list(pool.map(self._clip, reels, shares))
        return {"video": as_video(np.stack(clips))}

    def _clip(self, reel: Reel, shares: Sequence[float]) -> np.ndarray:
        start = int(shares[0] * (max(0, len(reel) - self.frames) + 1))
        return self._cut(clip_of(reel, start, self.frames), shares[1:])

    def _cut(self, clip: np.ndarray, shares: Sequence[float]) -> np.ndarray:
        top, left = (int(share * (clip.shape[-1] - self.size + 1)) for share in shares)
        return clip[..., top : top + self.size, left : left + self.size]

    def clips(self, index: int, frames: int) -> Tensor:
        """All of one video in clips that do not overlap, float32 (K, C, ``frames``, H, W); what is left at its end is left
        out, unless it is all there is: then it is looped."""
        reel = self.reels[index]
        count = max(1, len(reel) // frames)
        whole = self._cut(clip_of(reel, 0, count * frames), (0.5, 0.5))
        return as_video(whole.reshape(count, frames, *whole.shape[1:]))  # (K T, C, H, W) -> (K, T, C, H, W)

    def to(self, device: torch.device) -> Videos:
        """The column itself: its clips are made on the host."""
        return self

    def join(self, other: Column) -> Videos:
        """The videos of this column, then those of the other."""
        assert isinstance(other, Videos) and (other.size, other.frames) == (self.size, self.frames)
        return Videos([*self.reels, *other.reels], self.size, self.frames, self.random)


def as_video(clips: np.ndarray) -> Tensor:
    """uint8 (N, T, C, H, W) as float32 (N, C, T, H, W) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(clips.swapaxes(1, 2))).to(torch.float32).div_(255)


def videos_of(dataset: Dataset, split: str) -> Videos:
    """The column of videos in a split.

    Raises:
        PaperzooError: it has none.
    """
    columns = [column for column in dataset[split].columns if isinstance(column, Videos)]
    if not columns:
        raise PaperzooError(f"{dataset.name} has no videos; its fields are {', '.join(dataset.schema.fields)}")
    return columns[0]


def labelled(
    name: str,
    videos: Mapping[str, Sequence[Reel]],
    labels: Mapping[str, Sequence[int] | np.ndarray],
    names: Sequence[str],
    size: int,
    channels: int,
    frames: int,
    licence: str,
    source: str,
    pictures: bool = False,
) -> Dataset:
    """The data set of these splits: ``video`` and ``label``; ``train`` gives clips at random, the others the middle ones."""
    splits = {
        split: Split(
            Videos(reels, size, frames, random=split == "train"),
            Values("label", torch.from_numpy(np.array(labels[split], np.int64))),
        )
        for split, reels in videos.items()
    }
    arguments = {"channels": channels, "image_size": size, "classes": len(names), "frames": frames}
    return Dataset(Schema(name, ("video", "label"), arguments, tuple(names)), splits, licence, source, pictures)


# The user's own ------------------------------------------------------------------------------------------------------


def video_folder(
    path: Path, image_size: int | None = None, channels: int | None = None, strict: bool = False, frames: int = 16
) -> Dataset:
    """The user's own videos, one folder a class; a video is a file or a folder of frames.

    Folders ``train``, ``validation`` (or ``val``, ``valid``) and ``test`` are taken as the splits. A split that has no folder
    is cut from ``train``, about a tenth of each class, by the SHA-256 of each path below ``path`` (see ``listing.cut`` for the
    rule); videos of equal content stay together. Clips that were cut from one recording belong in one split too: with such
    videos, make the folders yourself.

    Args:
        image_size: height and width; the middle square is kept. Default: 64.
        channels: 1 or 3. Default: 3.
        strict: refuse videos that cannot be read rather than skip them with a warning.
        frames: of a clip; shorter videos are looped.

    Videos of at most 1 GB in all are read at once; of more, one that is damaged in its middle is only found when it is decoded.

    Raises:
        PaperzooError: no such folder, fewer than two classes, no video that can be read, an unreadable one and ``strict``, or
            too few to keep any for a test.
    """
    size, wanted = image_size or 64, channels or 3
    if size < 1 or wanted not in (1, 3):
        raise PaperzooError(f"videos of size {size} with {channels} channels: the size is at least 1, channels are 1 or 3")
    by_split, names = _classes(path, strict)
    reels: dict[Path, Reel] = {}
    bad: dict[Path, str] = {}

    def attempt(place: Path, get: Callable[[], Reel]) -> None:
        try:
            reels[place] = get()
            len(reels[place])
        except PaperzooError as error:
            bad[place] = str(error)
            reels.pop(place, None)

    for place, _ in (item for items in by_split.values() for item in items):
        attempt(place, partial(open_video, place, size, wanted))
    if sum(map(len, reels.values())) * wanted * size**2 <= LARGE:
        for place, reel in list(reels.items()):
            attempt(place, partial(_held, reel))
    if bad:
        message = f"{len(bad)} of {len(bad) + len(reels)} videos in {plain(path)} cannot be read: {next(iter(bad.values()))}"
        if strict or not reels:
            raise PaperzooError(message)
        warnings.warn(f"{message}. They are left out", stacklevel=2)
        some_of_each(by_split["train"], names, bad, path, "video")
    kept = {split: [item for item in items if item[0] in reels] for split, items in by_split.items()}
    groups = copies(reels)
    splits = cut(kept, path, groups, "videos")
    say_copies(kept, groups, path)
    say_few(splits, names, path)
    if short := [place for place, reel in reels.items() if len(reel) < frames]:
        said = f"{len(short)} of {len(reels)} videos in {plain(path)} have fewer than {frames} frames and begin again at their end: "
        warnings.warn(f"{said}{some([place.name for place in short])}", stacklevel=2)
    videos = {split: [reels[place] for place, _ in items] for split, items in splits.items()}
    labels = {split: [label for _, label in items] for split, items in splits.items()}
    return labelled(
        f"videos:{path}", videos, labels, names, size, wanted, frames, "the user's own", f"videos in {path}"
    )


def _held(reel: Reel) -> Held:
    """The whole video in memory. A decoder may lose a frame, where pictures change their size say.

    Raises:
        PaperzooError: it cannot be decoded, or more than a tenth of its frames cannot.
    """
    whole = reel.read(0, len(reel))
    if len(whole) < 0.9 * len(reel):
        name = plain(reel.path) if isinstance(reel, VideoFile | FrameFolder) else "a video"
        raise PaperzooError(f"{name} is damaged: {len(whole)} of its {len(reel)} frames can be decoded")
    return Held(whole)


def _classes(root: Path, strict: bool) -> tuple[dict[str, list[Item]], list[str]]:
    """Each split's videos with their labels, sorted by path, and the classes' names."""
    roots, skipped = split_folders(root), Skipped(list)
    by_split = {
        split: {class_name(f): videos for f in folders_of(place) if (videos := _videos(f, skipped))} for split, place in roots.items()
    }
    names = list(by_split["train"])
    if len(names) < 2:
        has = f"only one class folder with videos, {plain(names[0])}" if names else "no class folders with videos"
        some_kinds = f"a class is a folder of files ({FILES[0]}, {FILES[1]}, ...) or of frames"
        raise PaperzooError(f"{plain(roots['train'])} has {has}: {some_kinds}")
    complain(root, skipped, strict)
    for split, classes in by_split.items():
        if strange := sorted(set(classes) - set(names)):
            raise PaperzooError(f"{plain(roots[split])} has the class {plain(strange[0])}, which train has not")
    return {s: [(p, names.index(c)) for c, places in classes.items() for p in places] for s, classes in by_split.items()}, names


def _videos(folder: Path, skipped: Skipped) -> list[Path]:
    """The videos of a class: files, and folders with frames in them."""
    videos, pictures = [], []
    for path in entries(folder):
        try:
            kind = kind_of(path.stat().st_mode)
        except OSError:
            skipped["links to nothing, or files that may not be read"].append(path)
            continue
        suffix = path.suffix.lower()
        if kind == "a folder":
            if _visible(path, suffixes()):
                videos.append(path)
            else:
                skipped["folders in class folders that have no frames"].append(path)
        elif kind:
            skipped["pipes, devices or sockets, which are never opened"].append(path)
        elif suffix in FILES:
            videos.append(path)
        elif suffix in suffixes():
            pictures.append(path)
    if pictures:
        skipped["pictures in no folder of frames"] += pictures
    return videos


def _visible(folder: Path, wanted: Sequence[str]) -> list[Path]:
    return [p for p in entries(folder) if p.suffix.lower() in wanted and p.is_file()]


def _by_number(file: Path) -> tuple[tuple[int, int | str], ...]:
    """A key that sorts frame2 before frame10."""
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", file.stem) if part)


# Published sets ------------------------------------------------------------------------------------------------------


def ucf101(path: Path, image_size: int = 224, fold: int = 1, frames: int = 32) -> Dataset:
    """UCF-101: class folders of .avi files, and ``ucfTrainTestlist/`` with ``classInd.txt``, ``trainlist01.txt`` and so on.

    The lists keep all clips of one recording on one side. ``train`` has a short side of 8/7 of ``image_size`` (256 for 224),
    of which a square is cut at random; ``test`` the middle one.

    Args:
        fold: which of the three published splits.

    Raises:
        PaperzooError: a list or a video that it names is missing, or a line is not of the format.
    """
    lists = path / "ucfTrainTestlist"
    number = {name: int(n) - 1 for n, name in _lines(lists / "classInd.txt", r"(\d+)\s+(\S+)")}
    names = sorted(number, key=lambda name: number[name])
    if sorted(number.values()) != list(range(len(names))):
        raise PaperzooError(f"{lists / 'classInd.txt'} does not number its classes from 1 on")
    splits: dict[str, list[Item]] = {}
    for split in ("train", "test"):
        file = lists / f"{split}list{fold:02d}.txt"
        splits[split] = []
        for kind, name in _lines(file, r"([^/\s]+)/(\S+)(?:\s+\d+)?"):
            if kind not in number:
                raise PaperzooError(f"{file} names the class {kind}, which classInd.txt has not")
            splits[split].append((path / kind / name, number[kind]))
    return _published("ucf101", path, splits, names, image_size, frames, "research only (UCF-101, Soomro et al. 2012)")


def hmdb51(path: Path, image_size: int = 224, fold: int = 1, frames: int = 32) -> Dataset:
    """HMDB-51: class folders of .avi files, and ``testTrainMulti_7030_splits/`` with ``CLASS_test_split1.txt`` and so on.

    In a list, 1 marks a video to train on, 2 one to test on, 0 one that this split leaves out. Sizes as ``ucf101``.

    Raises:
        PaperzooError: a list or a video that it names is missing, or a line is not of the format.
    """
    lists = path / "testTrainMulti_7030_splits"
    ending = f"_test_split{fold}.txt"
    names = sorted(file.name.removesuffix(ending) for file in lists.glob(f"*{ending}"))
    if not names:
        raise PaperzooError(f"{lists} has no files CLASS{ending}")
    splits: dict[str, list[Item]] = {"train": [], "test": []}
    for label, kind in enumerate(names):
        for name, use in _lines(lists / f"{kind}{ending}", r"(.+?)\s+([012])"):
            if use != "0":
                splits["train" if use == "1" else "test"].append((path / kind / name, label))
    return _published("hmdb51", path, splits, names, image_size, frames, "CC BY 4.0 (HMDB-51, Kuehne et al. 2011)")


def _lines(file: Path, pattern: str) -> list[tuple[str, str]]:
    """The two groups of ``pattern`` in each line that is not empty."""
    if not file.is_file():
        raise PaperzooError(f"there is no list {file}")
    groups = []
    for number, line in enumerate(lines("".join(blocks(file))), 1):
        if line := line.strip():
            match = re.fullmatch(pattern, line)
            if not match:
                raise PaperzooError(f"{file}, line {number}: {line!r} is not of its format")
            groups.append((match[1], match[2]))
    return groups


def _published(
    name: str, path: Path, items_of: Mapping[str, list[Item]], names: Sequence[str], size: int, frames: int, licence: str
) -> Dataset:
    for split, items in items_of.items():
        if not items:
            raise PaperzooError(f"the lists of {path} name no video of {split}")
        if lost := [place for place, _ in items if not place.is_file()]:
            raise PaperzooError(f"{len(lost)} of {len(items)} videos of {split} are missing in {path}, the first is {lost[0]}")
    sides = {"train": round(size * 8 / 7), "test": size}
    videos = {split: [VideoFile(place, sides[split], 3) for place, _ in items] for split, items in items_of.items()}
    labels = {split: [label for _, label in items] for split, items in items_of.items()}
    return labelled(name, videos, labels, names, size, 3, frames, licence, f"videos in {path}")
