"""What ``predict`` sees of a training file is the training tensor; what is said of a picture that cannot be read or looks odd."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.files import write_frames
from fixtures.training import loop
from PIL import Image
from torch import Tensor

import paperzoo
from paperzoo.data import Schema
from paperzoo.data.change.picture import resized, with_picture
from paperzoo.data.dataset import Dataset, Images, Split, Values
from paperzoo.data.datasets import dataset
from paperzoo.data.pictures import Preparation, fit, ground_of, opposite, prepare
from paperzoo.data.video.videos import upright, videos_of
from paperzoo.engine.job import resolve
from paperzoo.engine.weights import export, load_file
from paperzoo.errors import PaperzooError
from paperzoo.tasks.images import read_image

RANDOM = np.random.default_rng(0)


def noise(mode: str, width: int, height: int, seed: int) -> Image.Image:
    """A picture of this mode, another one for each seed, with light and dark, colour and transparency."""
    random = np.random.default_rng(seed)
    grey = random.integers(0, 256, (height, width), np.uint8)
    colour = random.integers(0, 256, (height, width, 4), np.uint8)
    if mode in ("RGB", "YCbCr", "LAB", "HSV"):
        picture = Image.fromarray(colour[..., :3])
        return picture if mode == "RGB" else Image.frombytes(mode, (width, height), colour[..., :3].tobytes())
    if mode in ("RGBA", "CMYK"):
        return Image.frombytes(mode, (width, height), colour.tobytes())
    if mode == "LA":
        return Image.frombytes("LA", (width, height), colour[..., :2].tobytes())
    if mode in ("P", "P transparent"):
        picture = Image.fromarray(colour[..., :3]).quantize(16)
        if mode != "P":
            picture.info["transparency"] = 3
        return picture
    if mode == "I;16":
        return Image.fromarray(random.integers(0, 65536, (height, width)).astype(np.uint16))
    if mode == "I":
        return Image.fromarray(random.integers(0, 100_000, (height, width)).astype(np.int32))
    if mode == "F":
        return Image.fromarray(random.random((height, width)).astype(np.float32) * 3)
    return Image.fromarray(grey).convert(mode)


#: mode -> suffixes of formats that keep it
MODES = {
    "1": (".png", ".tif"), "L": (".png", ".jpg", ".pgm"), "LA": (".png",), "P": (".png", ".gif"), "P transparent": (".png", ".gif"),
    "RGB": (".png", ".jpg", ".jfif", ".webp", ".bmp", ".avif", ".tga"), "RGBA": (".png", ".webp", ".tif"), "I;16": (".png", ".tif"),
    "I": (".tif",), "F": (".tif",), "CMYK": (".jpg", ".tif"), "YCbCr": (".jpg", ".tif"), "LAB": (".tif",),
}  # fmt: skip


def caught(name: str, folder: Path, out: Path, **overrides: Any) -> tuple[Dataset, Any]:
    """A saved model of one step on a folder, read again, and the data that it was trained on."""
    given = {"steps": 1, **overrides}
    made = loop(resolve(name, "smoke", f"folder:{folder}", overrides=given), out)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made.step()
    export(made.model, out / "small.safetensors", half=False, header={})
    made.book.close()
    return made.data, load_file(out / "small.safetensors")


def seen_by(model: Any, ask: Callable[[], Any]) -> Tensor:
    """What the network receives while ``ask`` runs."""
    seen: list[Tensor] = []
    handle = model.register_forward_pre_hook(lambda module, given: seen.append(given[0].clone()))
    try:
        ask()
    finally:
        handle.remove()
    return seen[0]


def every(data: Dataset) -> Tensor:
    """The images of all splits (N, C, H, W)."""
    return torch.cat([split.batch(range(len(split))).image for split in data.splits.values()])


def is_among(image: Tensor, images: Tensor) -> bool:
    """Whether one image (1, C, H, W) is one of those, bit for bit."""
    return bool((images == image).flatten(1).all(1).any())


def matrix(root: Path, modes: list[str]) -> list[Path]:
    """Two class folders with a file of each mode, format, size and orientation."""
    files = []
    for number, mode in enumerate(modes):
        for suffix in MODES[mode]:
            for size in ((9, 7), (40, 40), (28, 28), (1, 30), (33, 50)):
                for turn in (None, 6, 4) if suffix in (".jpg", ".png", ".webp", ".tif") else (None,):
                    path = root / ("even", "odd")[len(files) % 2] / f"{number}-{len(files)}{suffix}"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    picture, options = noise(mode, *size, seed=len(files)), {}
                    if turn:
                        tag = Image.Exif()
                        tag[0x0112] = turn
                        options["exif"] = tag
                    if "transparency" in picture.info:
                        options["transparency"] = picture.info["transparency"]
                    picture.save(path, {".jfif": "JPEG", ".pgm": "PPM"}.get(suffix), **options)
                    files.append(path)
    return files


@pytest.mark.parametrize(
    ("name", "overrides", "modes", "channels"),
    [
        ("lenet", {}, ["1", "L", "I;16", "I", "F"], 1),  # all grey: 32x32, of which 28x28 is not bordered
        ("lenet", {"model.channels": 1}, list(MODES), 1),
        ("resnet", {"model.image_size": 20, "model.channels": 3}, list(MODES), 3),
    ],
)
def test_predict_sees_the_training_tensor_of_every_file(
    name: str, overrides: dict[str, Any], modes: list[str], channels: int, tmp_path: Path
) -> None:
    files = matrix(tmp_path / "own", modes)
    data, model = caught(name, tmp_path / "own", tmp_path / "run", **overrides)
    images = every(data)
    assert images.shape[1] == channels and len(images) == len(files) > 40
    for path in files:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the ground of noise is what it is
            received = seen_by(model, lambda: model.predict(path))  # noqa: B023 (asked at once)
            with Image.open(path) as opened:
                again = seen_by(model, lambda: model.predict(opened))
        assert is_among(received, images), path.name
        assert torch.equal(received, again), path.name


def test_the_order_of_files_and_tensors_is_the_same(tmp_path: Path) -> None:
    """Not only among the training tensors: the very one of this file."""
    (tmp_path / "own").mkdir()
    for number in range(12):
        noise("RGB", 30, 20, number).save(tmp_path / "own" / f"{number:02d}.png")
    data = dataset(f"folder:{tmp_path / 'own'}", image_size=16)
    path = tmp_path / "own" / "05.png"
    assert data.schema.picture is not None
    mine = read_image(path, 3, 16, data.schema.prepared())
    path.unlink()
    left = dataset(f"folder:{tmp_path / 'own'}", image_size=16, strict=True)
    assert is_among(mine, every(data)) and not is_among(mine, every(left))


@pytest.mark.parametrize(("native", "size"), [(28, 32), (28, 28), (28, 64), (28, 20), (32, 36), (32, 40), (8, 16)])
@pytest.mark.parametrize("channels", [1, 3])
def test_sets_of_a_fixed_size_are_bordered_orresized_alike(native: int, size: int, channels: int, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (6, channels, native, native), np.uint8)
    schema = Schema("set", ("image", "label"), {"channels": channels, "image_size": native, "classes": 2})
    split = Split(Images(torch.from_numpy(pixels)), Values("label", torch.arange(6) % 2))
    built = with_picture(Dataset(schema, {"train": split}, "", ""))
    if size != native:
        built = resized(built, size)
    image = built["train"].batch(range(6)).image
    assert image.shape == (6, channels, size, size)
    for number, one in enumerate(pixels):
        Image.fromarray(one[0] if channels == 1 else one.transpose(1, 2, 0)).save(tmp_path / "a.png")
        for given in (tmp_path / "a.png", one, one / 255.0, image[number]):  # the last is the tensor itself
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                assert torch.equal(read_image(given, channels, size, built.schema.prepared()), image[number : number + 1])


def test_a_border_is_black_and_as_wide_on_all_sides() -> None:
    bordered = fit(torch.full((1, 1, 28, 28), 255, dtype=torch.uint8), 32)
    assert bordered[0, 0, 2:30, 2:30].min() == 255 and bordered.sum() == 255 * 28 * 28
    assert fit(torch.full((1, 1, 28, 28), 255, dtype=torch.uint8), 34).min() == 255  # more than a fifth: enlarged


def test_the_published_crop_is_that_of_imagenet_s_test_images(tmp_path: Path) -> None:
    from paperzoo.data.images.folders import imagenet_folder

    for split in ("train", "val"):
        for kind in ("n01", "n02"):
            (tmp_path / split / kind).mkdir(parents=True)
            noise("RGB", 300, 200, len(split) + ord(kind[-1])).save(tmp_path / split / kind / "a.jpg")
    data = imagenet_folder(tmp_path, 56)
    how = data.schema.picture
    assert how == Preparation(64, 56, 3, "bilinear")
    for index, kind in enumerate(("n01", "n02")):
        want = data["test"].batch([index]).image
        assert torch.equal(read_image(tmp_path / "val" / kind / "a.jpg", 3, 56, how), want)


def test_a_model_saved_before_this_borders_digits_as_it_did() -> None:
    digit = np.random.default_rng(3).integers(0, 256, (28, 28), np.uint8)
    old = read_image(digit, 1, 32)
    assert torch.equal(old[0, 0, 2:30, 2:30] * 255, torch.from_numpy(digit).float()) and old[0, 0, :2].max() == 0
    assert read_image(digit, 3, 32).shape == (1, 3, 32, 32) and read_image(np.zeros((50, 70)), 1, 32).shape == (1, 1, 32, 32)


def test_arrays_with_transparency_lie_on_white() -> None:
    half = np.zeros((9, 9, 4), np.uint8)
    half[..., 3] = 128
    assert (read_image(half, 3, 9) * 255).round().unique().tolist() == [127]
    with pytest.raises(PaperzooError, match=r"1 \(grey\) or 3 channels"):
        read_image(np.zeros((9, 9, 5)), 3, 9)


# What is no picture --------------------------------------------------------------------------------------------------


def test_what_cannot_be_read_is_one_sentence_that_names_it(tmp_path: Path) -> None:
    good = tmp_path / "good.png"
    noise("RGB", 50, 50, 0).save(good)
    (tmp_path / "cut.png").write_bytes(good.read_bytes()[:200])
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "empty.png").touch()
    (tmp_path / "program.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    Image.new("1", (20000, 20000)).save(tmp_path / "bomb.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    (tmp_path / "broken.png").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    for name, says in {
        "cut.png": "cannot be read as an image: ", "text.png": "cannot be read as an image", "empty.png": "cannot be read as an image",
        "program.png": "cannot be read as an image", "bomb.png": "cannot be read as an image: Image size .400000000 pixels. exceeds",
        "loop.png": "cannot be read as an image", "broken.png": "there is no image", "pipe.png": "is a pipe, not an image",
        "zero.png": "is a device, not an image", "none.png": "there is no image", "": "is a folder, not an image: name the files in it",
        "n" * 300: "name too long", "a\0b": "null",
    }.items():  # fmt: skip
        with pytest.raises(PaperzooError, match=f"(?i){says}") as refused:
            read_image(tmp_path / name if "\0" not in name else name, 3, 16)
        assert "\n" not in str(refused.value) and (name[:20] in str(refused.value) or "\0" in name)


# The ground ----------------------------------------------------------------------------------------------------------


def test_the_ground_of_training_images_is_kept_and_its_opposite_said(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(40):  # light strokes on dark grounds, somewhere
        array = random.integers(0, 40, (28, 28), np.uint8)
        array[10:18, 5 + number % 8 : 9 + number % 8] = 250 if number % 2 else 200
        path = tmp_path / "own" / ("thin", "thick")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(path)
    data, model = caught("lenet", tmp_path / "own", tmp_path / "run")
    low, high = model.prepared["picture"]["ground"]
    assert 0.05 < low < high < 0.1 and data.schema.arguments["image_size"] == 32
    dark = np.full((28, 28), 10, np.uint8)
    dark[10:18, 8:12] = 240
    Image.fromarray(dark).save(tmp_path / "dark.png")
    Image.fromarray(255 - dark).save(tmp_path / "light.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(tmp_path / "dark.png")
    with pytest.warns(UserWarning, match=r"the ground of .*light.png is light \(0.96 of 1 .*, that of the training images dark"):
        model.predict(tmp_path / "light.png")
    model.prepared = {}  # not known: nothing is said
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(tmp_path / "light.png")


def test_a_border_of_black_is_not_taken_for_the_ground() -> None:
    """A data set of light grounds whose images are bordered for the network: the picture itself is looked at."""
    how = Preparation(28, 28, 1, size=32, ground=(0.9, 1.0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_image(np.full((28, 28), 250, np.uint8), 1, 32, how)
        read_image(fit(torch.full((1, 1, 28, 28), 250, dtype=torch.uint8), 32)[0], 1, 32, how)
    with pytest.warns(UserWarning, match="is dark .* training images light"):
        read_image(np.zeros((28, 28), np.uint8), 1, 32, how)


def test_which_grounds_are_opposite() -> None:
    assert opposite(0.9, (0.0, 0.1)) and opposite(0.65, (0.0, 0.1)) and opposite(0.1, (0.8, 1.0)) and opposite(0.35, (0.9, 1.0))
    assert not opposite(0.55, (0.0, 0.1)) and not opposite(0.45, (0.9, 1.0)) and not opposite(0.8, (0.2, 0.45))
    assert not opposite(0.9, (0.0, 0.9)) and not opposite(0.55, (0.3, 0.45))
    images = torch.zeros(20, 1, 5, 5)
    images[:, :, 1:4, 1:4] = 1  # all but the edge
    assert ground_of(images) == (0, 0) and ground_of(1 - images) == (1, 1)
    images[:, :, 0, 0] = 1  # one of the 16 pixels at the edge
    assert ground_of(images) == (0.0625, 0.0625)


# Videos --------------------------------------------------------------------------------------------------------------


def film(path: Path, turned: tuple[int, int, int, int] | None = None, seed: int = 0, frames: int = 5) -> Path:
    """An mp4 of 48x32 with blocks of its own, and a display matrix (a, b, c, d) in its header."""
    av = pytest.importorskip("av")
    import struct

    path.parent.mkdir(parents=True, exist_ok=True)
    blocks = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 48, 32, "yuv420p", 2_000_000
        for _ in range(frames):
            for packet in stream.encode(av.VideoFrame.from_ndarray(blocks, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    if turned:
        data = bytearray(path.read_bytes())
        at = data.index(b"tkhd") + 44
        assert struct.unpack(">9i", data[at : at + 36])[:5] == (65536, 0, 0, 0, 65536)
        a, b, c, d = (65536 * value for value in turned)
        data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
        path.write_bytes(data)
    return path


WAYS = {
    "by a quarter to the right": (0, 1, -1, 0), "to the left": (0, -1, 1, 0), "by a half": (-1, 0, 0, -1), "mirrored": (-1, 0, 0, 1),
    "upside down": (1, 0, 0, -1), "transposed": (0, 1, 1, 0),
}  # fmt: skip
SHOWN = {
    "by a quarter to the right": lambda x: np.rot90(x, -1), "to the left": lambda x: np.rot90(x, 1),
    "by a half": lambda x: np.rot90(x, 2), "mirrored": lambda x: x[:, ::-1], "upside down": lambda x: x[::-1],
    "transposed": lambda x: x.swapaxes(0, 1),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_videos_are_turned_upright_by_their_display_matrix(way: str, tmp_path: Path) -> None:
    from paperzoo.data.video.videos import VideoFile

    plain_one = VideoFile(film(tmp_path / "a.mp4"), 16, 3).read(0, 1)[0]  # the middle 16x16 of 24x16
    turned = VideoFile(film(tmp_path / "b.mp4", WAYS[way]), 16, 3).read(0, 1)[0]
    assert np.array_equal(turned.transpose(1, 2, 0), SHOWN[way](plain_one.transpose(1, 2, 0)))
    a, b, c, d = WAYS[way]
    pixels = np.arange(12).reshape(3, 4)
    fixed = np.array([a, b, 0, c, d, 0, 5, 7, 1 << 14], np.int32) * 65536
    assert np.array_equal(upright(pixels, fixed), SHOWN[way](pixels))


def test_predict_sees_the_training_clips_of_a_video(tmp_path: Path) -> None:
    ways = [None, *WAYS.values()]
    for number in range(8):
        film(tmp_path / "own" / "files" / f"{number}.mp4", ways[number % 7], seed=number, frames=5 + number)
        write_frames(tmp_path / "own" / "frames" / f"{number}", 5 + number, 18 + number)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = loop(resolve("t3d", "smoke", f"videos:{tmp_path / 'own'}", overrides={"steps": 1, "model.frames": 4}), tmp_path / "run")
    export(made.model, tmp_path / "small.safetensors", half=False, header={})
    model: Any = load_file(tmp_path / "small.safetensors")
    made.book.close()
    clips = [videos_of(made.data, s).clips(i, model.frames) for s in made.data.splits for i in range(len(made.data[s]))]
    for path in sorted((tmp_path / "own").glob("*/*")):
        received = seen_by(model, lambda: model.predict(path))  # noqa: B023 (asked at once)
        assert any(torch.equal(received, clip) for clip in clips), path


def test_one_reader_for_a_file_the_open_picture_and_a_copy(tmp_path: Path) -> None:
    noise("RGBA", 40, 30, 0).save(tmp_path / "a.png")
    shutil.copy(tmp_path / "a.png", tmp_path / "b")
    how = Preparation(12, 12, 3)
    with Image.open(tmp_path / "a.png") as opened:
        assert torch.equal(prepare(opened, how), prepare(tmp_path / "b", how))


def test_a_set_knows_how_its_pictures_were_prepared() -> None:
    how = paperzoo.dataset("digits").schema.picture
    assert how is not None and (how.side, how.square, how.channels, how.size) == (8, 8, 1, 0)
    assert how.ground is not None and 0.05 < how.ground[0] < how.ground[1] < 0.3  # digits on black, some of them up to the edge
    larger = dataset("digits", image_size=9).schema.picture
    assert larger is not None and (larger.square, larger.size, larger.ground) == (8, 9, how.ground)
    assert dataset("ring8").schema.picture is None and dataset("moving-digits-8x8").schema.prepared() == {}
    for name, kept in (("emoji-pairs", True), ("unpaired:/home/me/a,/home/me/b", False), (r"unpaired:C:\me\a,C:\me\b", False)):
        assert ("data" in Schema(name, ("image_a", "image_b")).prepared()) is kept  # a path of the user's does not travel
