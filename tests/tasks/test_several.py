"""Folders, animations and videos: what is done with one picture is done with each, under the same names, one at a time."""

from __future__ import annotations

import io
import sys
import weakref
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.files import type_in, write_video
from PIL import Image, ImageOps, ImageSequence

import paperzoo
from paperzoo.data.bicubic import enlarge
from paperzoo.data.video import whole
from paperzoo.data.video.whole import Frames
from paperzoo.errors import PaperzooError
from paperzoo.papers.restoration import context_encoder, vdsr
from paperzoo.tasks import several as module
from paperzoo.tasks.images import read_whole
from paperzoo.tasks.restoration import tiles
from paperzoo.tasks.several import Animated, Pictures, several

COLOURS = [(200, 40, 30), (20, 160, 80), (30, 60, 220)]


def inverted(picture: Image.Image) -> Image.Image:
    """Twice as large, its colours inverted, its alpha not."""
    large = picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.NEAREST)
    if large.mode not in ("LA", "RGBA"):
        return ImageOps.invert(large)
    *colours, alpha = large.split()
    return Image.merge(large.mode, [*map(ImageOps.invert, colours), alpha])


def image(mode: str = "RGB", size: tuple[int, int] = (12, 9), seed: int = 0) -> Image.Image:
    shape = (size[1], size[0], len(Image.new(mode, (1, 1)).getbands()))
    array = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    return Image.fromarray(array[..., 0] if mode == "L" else array, mode)


def gif(path: Path, frames: list[Image.Image], **more: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    frames[0].save(path, save_all=True, append_images=frames[1:], **more)
    return path


def flags(path: Path, **more: Any) -> Path:
    """Three frames, the left half of one colour, the right half of another."""
    frames = []
    for colour in COLOURS:
        frames.append(Image.new("RGB", (20, 14), colour))
        frames[-1].paste((250, 250, 250), (10, 0, 20, 14))
    return gif(path, frames, **more)


# Folders -------------------------------------------------------------------------------------------------------------


def test_a_folder_is_written_under_the_same_names(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    given = {"a.png": image(), "b.jpg": image("L", (16, 16)), "c.bmp": image(seed=2), "deep/d.tif": image("L")}
    given["e.png"] = image("RGBA", seed=3)
    for name, one in given.items():
        one.save(tmp_path / "in" / name)
    flags(tmp_path / "in" / "f.gif")
    (tmp_path / "in" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    (tmp_path / "in" / "raw.nef").write_bytes(b"raw")
    answer = several(str(tmp_path / "in"), str(tmp_path / "out"), inverted, "inverting")
    assert isinstance(answer, Pictures) and answer.written == 6
    found = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert found == sorted([*given, "f.gif"])
    for name, one in given.items():
        with Image.open(tmp_path / "out" / name) as made, Image.open(tmp_path / "in" / name) as source:
            assert made.format == source.format and made.mode == one.mode
            assert abs(np.asarray(made).astype(int) - np.asarray(inverted(source))).max() <= (0 if name != "b.jpg" else 60)
    with Image.open(tmp_path / "out" / "f.gif") as made:
        assert made.n_frames == 3
    said = str(answer)
    assert "6 pictures written" in said and "broken.png" in said and "raw.nef" in said
    before = (tmp_path / "out" / "a.png").read_bytes()
    image(seed=9).save(tmp_path / "in" / "a.png")
    again = several(tmp_path / "in", str(tmp_path / "out"), inverted, "inverting")
    assert isinstance(again, Pictures) and again.written == 0 and "is there already" in str(again)
    assert (tmp_path / "out" / "a.png").read_bytes() == before


def test_a_folder_needs_another_to_be_written_to(tmp_path: Path) -> None:
    image().save(tmp_path / "a.png")
    (tmp_path / "empty").mkdir()
    for place, out, message in (
        (tmp_path, "", "is a folder: name another"), (tmp_path, str(tmp_path), "would be overwritten"),
        (tmp_path / "empty", str(tmp_path / "out"), "there are no pictures in"), (tmp_path / "none", "", "there is no image"),
    ):  # fmt: skip
        with pytest.raises(PaperzooError, match=message):
            several(place, out, inverted, "inverting")
    (tmp_path / "out").mkdir()
    image().save(tmp_path / "out" / "old.png")  # what was written inside it is not a picture of it
    answer = several(tmp_path, str(tmp_path / "out"), inverted, "inverting")
    assert isinstance(answer, Pictures) and answer.written == 1 and not (tmp_path / "out" / "out").exists()


# Animations ----------------------------------------------------------------------------------------------------------


def test_an_animation_keeps_its_frames_times_and_loop(tmp_path: Path) -> None:
    path = flags(tmp_path / "x.gif", duration=[50, 120, 200], loop=3)
    answer = several(path, str(tmp_path / "out"), inverted, "inverting")
    assert answer == Animated((40, 28), 3, tmp_path / "out" / "x.gif") and str(answer).startswith("3 frames of 40x28 pixels written")
    assert "sound" not in str(answer)
    with Image.open(answer.path) as out:
        assert out.n_frames == 3 and out.info["loop"] == 3 and out.size == (40, 28)
        for frame, duration, colour in zip(ImageSequence.Iterator(out), (50, 120, 200), COLOURS, strict=True):
            pixels = frame.convert("RGB")
            assert frame.info["duration"] == duration
            assert pixels.getpixel((19, 27)) == tuple(255 - c for c in colour) and pixels.getpixel((20, 0)) == (5, 5, 5)
    plays_once = several(flags(tmp_path / "once.gif"), str(tmp_path / "out"), inverted, "inverting")
    assert isinstance(plays_once, Animated)
    with Image.open(plays_once.path) as out, Image.open(tmp_path / "once.gif") as given:
        assert "loop" not in out.info and "loop" not in given.info


def test_transparent_pixels_of_an_animation_stay_so_in_each_frame(tmp_path: Path) -> None:
    frames = []
    for place, colour in enumerate(COLOURS):
        frame = Image.new("RGBA", (20, 14), (0, 0, 0, 0))
        frame.paste((*colour, 255), (5 * place, 0, 5 * place + 5, 14))
        frames.append(frame)
    path = gif(tmp_path / "x.gif", frames, disposal=2, duration=40)
    answer = several(path, str(tmp_path / "out"), inverted, "inverting")
    assert isinstance(answer, Animated)
    with Image.open(answer.path) as out:
        for place, frame in enumerate(ImageSequence.Iterator(out)):
            pixels = np.asarray(frame.convert("RGBA"))
            shown = np.zeros((28, 40), bool)
            shown[:, 10 * place : 10 * place + 10] = True
            assert np.array_equal(pixels[..., 3] > 0, shown)
            assert (pixels[shown][:, :3] == 255 - np.array(COLOURS[place])).all()


def test_frames_have_the_colours_that_a_palette_of_their_own_allows(tmp_path: Path) -> None:
    ramp = np.zeros((32, 32, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = np.arange(0, 256, 8)[None], np.arange(0, 256, 8)[:, None]
    other = 255 - ramp
    shown = iter((Image.fromarray(ramp), Image.fromarray(other)))
    path = gif(tmp_path / "x.gif", [Image.new("RGB", (32, 32), c) for c in ("red", "lime")])
    answer = several(path, str(tmp_path / "out"), lambda picture: next(shown), "painting")
    assert isinstance(answer, Animated)
    with Image.open(answer.path) as out:
        for frame, wanted in zip(ImageSequence.Iterator(out), (ramp, other), strict=True):
            assert abs(np.asarray(frame.convert("RGB")).astype(int) - wanted).mean() < 6


@pytest.mark.parametrize("kind", ["gif", "mp4"])
def test_frames_are_held_one_at_a_time(kind: str, tmp_path: Path) -> None:
    alive: list[weakref.ref[Any]] = []
    most = 0

    def watched(picture: Image.Image) -> Image.Image:
        nonlocal most
        most = max(most, sum(ref() is not None for ref in alive))
        made = picture.copy()
        alive.append(weakref.ref(made))
        return made

    if kind == "gif":
        frames = [image(seed=seed) for seed in range(30)]
        path = gif(tmp_path / "x.gif", frames)
    else:
        path = write_video(tmp_path / "x.mp4", 20, "mpeg4")
    answer = several(path, str(tmp_path / "out"), watched, "watching")
    assert isinstance(answer, Animated) and answer.frames == len(alive) >= 20 and most <= 2


def test_a_gif_of_one_frame_is_a_picture_and_a_broken_one_is_named(tmp_path: Path) -> None:
    image().save(tmp_path / "still.gif")
    assert several(tmp_path / "still.gif", str(tmp_path / "out"), inverted, "inverting") is None
    assert several(image(), "", inverted, "inverting") is None
    with pytest.raises(PaperzooError, match=r"x.gif has many frames: name a folder, to write them to, by --out"):
        several(flags(tmp_path / "x.gif"), "", inverted, "inverting")
    flags(tmp_path / "out" / "x.gif")
    before = (tmp_path / "out" / "x.gif").read_bytes()
    with pytest.raises(PaperzooError, match=r"x.gif is there already: choose another folder"):
        several(tmp_path / "x.gif", str(tmp_path / "out"), inverted, "inverting")
    assert (tmp_path / "out" / "x.gif").read_bytes() == before
    noisy = gif(tmp_path / "cut.gif", [image(size=(60, 60), seed=s) for s in range(4)])
    noisy.write_bytes(noisy.read_bytes()[:-3000])
    with pytest.raises(PaperzooError, match=r"cut.gif cannot be read as an image"):
        several(noisy, str(tmp_path / "out"), inverted, "inverting")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["x.gif"]


# Videos --------------------------------------------------------------------------------------------------------------


def grey(path: Path) -> tuple[list[float], list[Fraction]]:
    frames = list(Frames(path))
    return [float(pixels.mean()) for pixels, _ in frames], [seconds for _, seconds in frames]


@pytest.mark.parametrize(
    ("name", "codec", "written"), [("a.mp4", "mpeg4", "a.mp4"), ("A.MP4", "mpeg4", "A.MP4"), ("a.avi", "mjpeg", "a.avi.mp4"),
                                   ("a.mkv", "mpeg4", "a.mkv"), ("a.mov", "mpeg4", "a.mov"), ("a.webm", "libvpx-vp9", "a.webm")],
)  # fmt: skip
def test_a_video_is_changed_frame_by_frame(name: str, codec: str, written: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / name, 9, codec)
    answer = several(path, str(tmp_path / "out"), inverted, "inverting")
    assert answer == Animated((48, 32), 9, tmp_path / "out" / written) and str(answer).endswith(f"{written}, without sound")
    (before, then), (after, now) = grey(path), grey(answer.path)
    assert after == pytest.approx([255 - one for one in before], abs=3) and np.ptp(after) > 70
    assert [float(t) for t in now] == pytest.approx([float(t) for t in then], abs=2e-3)
    first, _ = next(iter(Frames(answer.path)))
    assert first.shape == (32, 48, 3)


@pytest.mark.parametrize("size", [(30, 40), (31, 40), (30, 41), (33, 41)])
def test_frames_of_any_size_and_uneven_times_are_written(size: tuple[int, int], tmp_path: Path) -> None:
    times = [Fraction(n * n, 10) for n in range(5)]
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[:, :20], pixels[:, 20:] = (200, 40, 30), (20, 60, 180)
    whole.write_video(tmp_path / "x.mp4", ((pixels, t) for t in times), Fraction(10))
    found = list(Frames(tmp_path / "x.mp4"))
    assert [seconds for _, seconds in found] == times
    assert all(abs(one.astype(int) - pixels).mean() < 4 for one, _ in found)
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "x.mp4")) as container:
        assert next(container.decode(video=0)).colorspace == whole.BT601


def test_a_video_that_lies_on_its_side_is_turned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "turned", lambda frame, pixels: pixels.swapaxes(0, 1)[:, ::-1])
    path = write_video(tmp_path / "x.mp4", 3, "mpeg4")
    answer = several(path, str(tmp_path / "out"), inverted, "inverting")
    assert isinstance(answer, Animated) and answer.size == (32, 48)


def test_what_cannot_be_decoded_is_named_and_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = write_video(tmp_path / "good.avi", 40, width=320, height=240)
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mkv").write_bytes(b"")
    (tmp_path / "cut.avi").write_bytes(good.read_bytes()[:300])
    for name in ("text.mp4", "empty.mkv", "cut.avi"):
        with pytest.raises(PaperzooError, match=rf"{name} cannot be decoded as a video"):
            several(tmp_path / name, str(tmp_path / "out"), inverted, "inverting")
    with pytest.raises(PaperzooError, match=r"there is no image .*none.mp4"):
        several(tmp_path / "none.mp4", str(tmp_path / "out"), inverted, "inverting")
    with pytest.raises(PaperzooError, match=r"good.avi has many frames: name a folder"):
        several(good, "", inverted, "inverting")

    def stops(picture: Image.Image) -> Image.Image:
        raise PaperzooError("it is too dark")

    with pytest.raises(PaperzooError, match="it is too dark"):
        several(good, str(tmp_path / "out"), stops, "stopping")
    assert not list((tmp_path / "out").glob("*"))
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(PaperzooError, match=r'pip install "paperzoo\[video\]"'):
        several(good, str(tmp_path / "out"), inverted, "inverting")


# From the command line -----------------------------------------------------------------------------------------------


def test_srcnn_enlarges_folders_animations_and_videos(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def typed(*words: str) -> tuple[int, str, str]:
        return type_in("predict", "srcnn", *words, capsys=capsys, monkeypatch=monkeypatch)

    image(size=(15, 11)).save(tmp_path / "x.png")
    (tmp_path / "in").mkdir()
    image(size=(15, 11)).save(tmp_path / "in" / "x.png")
    assert typed(str(tmp_path / "x.png"), "--out", str(tmp_path / "one"))[0] == 0
    code, out, _ = typed(str(tmp_path / "in"), "--out", str(tmp_path / "all"))
    assert code == 0 and "1 picture written to" in out
    assert (tmp_path / "one" / "x-x2.png").read_bytes() == (tmp_path / "all" / "x.png").read_bytes()  # the folder's is the same
    video = write_video(tmp_path / "x.mp4", 4, "mpeg4")
    code, out, _ = typed(str(video), str(flags(tmp_path / "x.gif")), "--out", str(tmp_path / "all"))
    assert code == 0 and "4 frames of 48x32 pixels" in out and "3 frames of 40x28 pixels" in out
    assert grey(tmp_path / "all" / "x.mp4")[0] == pytest.approx(grey(video)[0], abs=4)
    (tmp_path / "text.mp4").write_text("no video")
    code, out, said = typed(str(tmp_path / "text.mp4"), "--out", str(tmp_path / "none"))
    assert code == 2 and out == "" and said.strip().count("\n") == 0 and "cannot be decoded as a video" in said
    assert not (tmp_path / "none").exists()


def test_frames_are_enlarged_by_the_scale_that_is_asked_for(tmp_path: Path) -> None:
    model, path = vdsr.Model(scales=(2, 3), depth=2, width=2).eval(), flags(tmp_path / "x.gif")
    assert model.predict(path, scale=3, out=str(tmp_path / "three")).size == (60, 42)
    assert model.predict(path, out=str(tmp_path / "two")).size == (40, 28)
    with pytest.raises(PaperzooError, match="not by x4: it was not trained for it"):
        model.predict(path, scale=4, out=str(tmp_path / "four"))


def test_holes_of_all_frames_are_filled_with_one_mask(tmp_path: Path) -> None:
    model = context_encoder.Model(image_size=32, width=8, bottleneck=16, overlap=2).eval()
    mask = Image.new("L", (20, 14), 0)
    mask.paste(255, (12, 3, 18, 9))
    path = flags(tmp_path / "in" / "x.gif")
    answer = model.predict(path, mask, str(tmp_path / "out"))
    assert answer.frames == 3 and answer.size == (20, 14)
    hole = np.asarray(mask) > 0
    with Image.open(answer.path) as out, Image.open(path) as given:
        for one, other in zip(ImageSequence.Iterator(out), ImageSequence.Iterator(given), strict=True):
            made, source = (np.asarray(frame.convert("RGB")).astype(int) for frame in (one, other))
            assert abs(made - source)[~hole].max() <= 8 and abs(made - source)[hole].mean() > 20
    image(size=(21, 14)).save(tmp_path / "in" / "y.png")
    folder = model.predict(tmp_path / "in", mask, str(tmp_path / "all"))
    assert folder.written == 1 and "the mask is 20x14 pixels, and the image 21x14" in str(folder)
    video = write_video(tmp_path / "x.mp4", 3, "mpeg4")
    assert model.predict(video, out=str(tmp_path / "out")).frames == 3


# Bars ----------------------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_a_bar_moves_by_parts_of_a_picture_or_by_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rich import progress

    bars: list[list[Any]] = []

    class Counted(progress.Progress):
        def add_task(self, description: str, *args: Any, **told: Any) -> progress.TaskID:
            bars.append([description, told["total"], 0])
            return super().add_task(description, *args, **told)

        def advance(self, task_id: progress.TaskID, advance: float = 1) -> None:
            bars[-1][2] += advance
            super().advance(task_id, advance)

    monkeypatch.setattr(progress, "Progress", Counted)
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(tiles, "TILE", 16)
    model, photo = paperzoo.load("srcnn"), image(size=(31, 22))
    large = model.predict(photo).image
    assert bars == [["enlarging", 12, 12]]  # parts of 8 pixels
    monkeypatch.setattr(tiles, "TILE", 32)
    photo.save(tmp_path / "a.png")
    model.predict(image(size=(8, 8)))
    assert len(bars) == 1  # one part needs no bar
    (tmp_path / "in").mkdir()
    for name in ("a", "b", "c"):
        photo.save(tmp_path / "in" / f"{name}.png")
    model.predict(tmp_path / "in", out=str(tmp_path / "out"))
    assert bars[1:] == [["enlarging", 3, 3]]  # and none inside it
    with pytest.raises(PaperzooError):
        model.predict(tmp_path / "in")
    model.predict(flags(tmp_path / "x.gif"), out=str(tmp_path / "out"))
    model.predict(write_video(tmp_path / "x.mp4", 4, "mpeg4"), out=str(tmp_path / "out"))
    assert bars[2:] == [["enlarging", 3, 3], ["enlarging", 4, 4]] and not module._shown
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert np.array_equal(np.asarray(model.predict(photo).image), np.asarray(large)) and len(bars) == 4


def test_the_number_of_parts_is_that_of_the_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    for side, scale, shape in ((16, 2, (22, 31)), (16, 3, (22, 31)), (384, 4, (5, 5)), (2, 4, (3, 2))):
        monkeypatch.setattr(tiles, "TILE", side)
        calls, given = [], torch.rand(1, 1, *shape)
        tiles.by_tiles(given, scale, 1, lambda part, scale=scale, calls=calls: calls.append(1) or enlarge(part, scale))  # type: ignore
        assert tiles.number(given, scale) == len(calls)


def test_kinds_that_shrink_what_is_written_become_png(tmp_path: Path) -> None:
    """Pillow writes an icon at sizes of its own: 24 x 20 became 16 x 13 without a word."""
    image(size=(24, 20)).save(tmp_path / "favicon.ico", sizes=[(24, 20)])
    answer = several(tmp_path, str(tmp_path / "out"), inverted, "turning")
    assert isinstance(answer, Pictures) and answer.written == 1
    assert Image.open(tmp_path / "out" / "favicon.ico.png").size == (48, 40)


def test_a_gif_of_more_pixels_than_it_can_have_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    gif(tmp_path / "wide.gif", [image(size=(33_000, 1), seed=seed) for seed in (0, 1)])
    with pytest.raises(PaperzooError, match=r"at most 65,535 pixels a side, not 66,000"):
        several(tmp_path / "wide.gif", str(tmp_path / "out"), inverted, "turning")
    assert not list((tmp_path / "out").iterdir())


def test_further_pages_and_frames_are_said_where_the_first_alone_is_used(tmp_path: Path) -> None:
    path = gif(tmp_path / "pages.tif", [image(seed=seed) for seed in range(3)])
    with pytest.warns(UserWarning, match=r"pages.tif has 3 pictures, and the first alone is used"):
        assert read_whole(path).size == (12, 9)
