"""The task of image translation: scores beside what needs no network, and pictures of any size, kind and number."""

from __future__ import annotations

import base64
import io
import math
import re
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fixtures.files import type_in
from PIL import Image, ImageSequence
from torch import Tensor, nn

import paperzoo
from paperzoo.data import Dataset
from paperzoo.errors import PaperzooError
from paperzoo.tasks.image_translation import ImageTranslator, measure, whole
from paperzoo.tasks.image_translation.whole import reflected


class Inverts(ImageTranslator):
    """Light becomes dark and dark light. It notes what it is given, and takes nothing but multiples of 8 of at least 16."""

    multiple, least, channels, image_size = 8, 16, 3, 32
    domains = ("b", "a")
    tasks = ImageTranslator.tasks

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.seen: list[tuple[int, ...]] = []

    def translate(self, image: Tensor, to: str = "b") -> Tensor:
        self.seen.append(tuple(image.shape))
        assert not self.training and min(image.shape[2:]) >= 16 and not any(side % 8 for side in image.shape[2:])
        return 1 - image


def random(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def saved(place: Path, array: np.ndarray, **options: Any) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(place, **options)
    return place


def opened(path: Path, mode: str = "RGB") -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image.convert(mode))


# Any size --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 5), (16, 16), (17, 100), (33, 8)])
def test_a_picture_of_any_size_comes_back_at_its_size(size: tuple[int, int]) -> None:
    pixels = torch.from_numpy(random(*size).transpose(2, 0, 1).copy())
    assert torch.equal(whole.whole(Inverts().eval(), pixels, "b"), 255 - pixels)


def test_borders_are_reflected_evenly_and_only_as_far_as_needed() -> None:
    assert reflected(8, 8, 1).tolist() == list(range(8))
    assert reflected(5, 8, 1).tolist() == [1, 0, 1, 2, 3, 4, 3, 2]
    assert reflected(3, 8, 1).tolist() == [2, 1, 0, 1, 2, 1, 0, 1]  # a narrow one more than once
    assert reflected(1, 4, 8).tolist() == [0] * 8
    assert [len(reflected(side, 4, 8)) for side in (1, 8, 9, 13)] == [8, 8, 12, 16]


class Blurs(Inverts):
    """The mean over 3x3 pixels, with a border of nothing: what lies near the border of what it is given is wrong."""

    def translate(self, image: Tensor, to: str = "b") -> Tensor:
        self.seen.append(tuple(image.shape))
        return F.avg_pool2d(image, 3, 1, 1)


def test_a_large_picture_is_translated_in_tiles_that_show_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = torch.from_numpy(random(90, 200).transpose(2, 0, 1).copy())
    model = Blurs().eval()
    expected = whole.whole(model, pixels, "b").int()
    for name, value in (("WHOLE", 40 * 40), ("TILE", 44), ("OVERLAP", 16)):
        monkeypatch.setattr(whole, name, value)
    model.seen.clear()
    out = whole.whole(model, pixels, "b").int()
    assert {shape[2:] for shape in model.seen} == {(40, 40)} and len(model.seen) == 4 * 8  # a multiple of 8 below 44
    inside = (slice(None), slice(1, -1), slice(1, -1))
    assert (out - expected)[inside].abs().max() <= 255 * 5 / 9 / 16 + 1  # five pixels of nine lack at a tile's corner, of weight 1 / 16
    model = Inverts().eval()
    assert torch.equal(whole.whole(model, pixels, "b"), 255 - pixels)


def test_a_long_strip_is_cut_along_its_length_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("WHOLE", 1000), ("TILE", 40), ("OVERLAP", 16)):
        monkeypatch.setattr(whole, name, value)
    pixels, model = torch.from_numpy(random(16, 300).transpose(2, 0, 1).copy()), Inverts().eval()
    assert torch.equal(whole.whole(model, pixels, "b"), 255 - pixels)
    assert {shape[2:] for shape in model.seen} == {(16, 40)}


# Files -----------------------------------------------------------------------------------------------------------------


def test_a_training_file_is_seen_as_its_training_tensor(tmp_path: Path) -> None:
    given: list[Tensor] = []
    model = Inverts().eval()
    model.translate = lambda image, to="b": given.append(image) or image  # type: ignore[assignment,func-returns-value]
    array = random(32, 32)
    model.predict(saved(tmp_path / "x.png", array))
    assert torch.equal(given[0][0], torch.from_numpy(array).permute(2, 0, 1).float() / 255)


def test_a_picture_is_written_under_its_name(tmp_path: Path) -> None:
    path, model = saved(tmp_path / "a" / "x.png", random(21, 30)), Inverts().eval()
    answer = model.predict(path, out=str(tmp_path / "out"))
    assert answer.path == tmp_path / "out" / "x.png" and str(answer) == f"30x21: {answer.path}"
    assert np.array_equal(opened(answer.path), 255 - opened(path))
    assert torch.equal((answer.image * 255).round().byte().permute(1, 2, 0), torch.from_numpy(255 - opened(path)))
    assert "translated and not written" in str(model.predict(path))


def test_transparency_is_kept_apart(tmp_path: Path) -> None:
    array = random(20, 24, 4)
    path = saved(tmp_path / "x.png", array)
    answer = Inverts().eval().predict(path, out=str(tmp_path / "out"))
    out = opened(answer.path, "RGBA")
    assert np.array_equal(out[..., 3], array[..., 3])
    white = Image.new("RGBA", (24, 20), "white")
    white.alpha_composite(Image.fromarray(array))
    assert np.array_equal(out[..., :3], 255 - np.array(white.convert("RGB")))


def test_a_picture_that_lies_on_its_side_is_turned_with_its_transparency(tmp_path: Path) -> None:
    array = random(20, 24, 4)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    path = saved(tmp_path / "x.png", array, exif=exif)
    out = opened(Inverts().eval().predict(path, out=str(tmp_path / "out")).path, "RGBA")
    assert np.array_equal(out[..., 3], np.rot90(array[..., 3], -1))


def test_an_animation_keeps_its_frames_their_times_and_its_loop(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (20, 30), colour) for colour in ("red", "lime", "blue")]
    path = tmp_path / "x.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=[50, 120, 200], loop=3)
    answer = Inverts().eval().predict(path, out=str(tmp_path / "out"))
    assert answer.frames == 3 and answer.path.name == "x.gif"
    with Image.open(answer.path) as out:
        assert out.n_frames == 3 and out.info["loop"] == 3
        found = [(f.info["duration"], f.convert("RGB").getpixel((5, 5))) for f in ImageSequence.Iterator(out)]
    assert found == [(50, (0, 255, 255)), (120, (255, 0, 255)), (200, (255, 255, 0))]


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".bmp", ".tif"])
def test_a_picture_keeps_its_kind(suffix: str, tmp_path: Path) -> None:
    path = saved(tmp_path / f"x{suffix}", np.full((16, 20, 3), 200, np.uint8))
    answer = Inverts().eval().predict(path, out=str(tmp_path / "out"))
    with Image.open(answer.path) as out, Image.open(path) as given:
        assert out.format == given.format
    assert abs(opened(answer.path).astype(int) - 55).max() <= 6


def test_a_network_for_grey_pictures_gives_grey_ones(tmp_path: Path) -> None:
    model = Inverts().eval()
    model.channels = 1
    path = saved(tmp_path / "x.png", random(17, 20))
    assert opened(model.predict(path, out=str(tmp_path / "out")).path, "L").shape == (17, 20)
    with Image.open(tmp_path / "out" / "x.png") as out, Image.open(path) as given:
        assert out.mode == "L"
        assert np.array_equal(np.array(out), 255 - np.array(given.convert("L")))


def test_arrays_and_lists(tmp_path: Path) -> None:
    model, array = Inverts().eval(), random(10, 13)
    one, other = model.predict([array, Image.fromarray(array)])
    assert torch.equal(one.image, other.image)
    assert torch.allclose(one.image, 1 - torch.from_numpy(array).permute(2, 0, 1) / 255)
    with pytest.raises(PaperzooError, match="no file has no name"):
        model.predict(array, out=str(tmp_path))


# Folders ---------------------------------------------------------------------------------------------------------------


def test_a_folder_is_written_under_the_same_names(tmp_path: Path) -> None:
    given, out = tmp_path / "in", tmp_path / "out"
    paths = [saved(given / name, random(16 + i, 20, seed=i)) for i, name in enumerate(("a.png", "b.bmp", "deep/c.png"))]
    (given / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    (given / "notes.txt").write_text("no picture")
    (given / "raw.nef").write_bytes(b"raw")
    answer = Inverts().eval().predict(str(given), out=str(out))
    assert answer.written == 3 and answer.path == out
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()) == ["a.png", "b.bmp", "deep/c.png"]
    for path in paths:
        assert np.array_equal(opened(out / path.relative_to(given)), 255 - opened(path))
    said = str(answer)
    assert "3 pictures written" in said and "broken.png" in said and "raw.nef" in said and "notes.txt" not in said


def test_translations_within_the_folder_are_not_translated_again(tmp_path: Path) -> None:
    saved(tmp_path / "a.png", random(16, 16))
    for _ in range(2):
        assert Inverts().eval().predict(tmp_path, out=str(tmp_path / "out")).written == 1


def test_nothing_of_the_users_is_overwritten(tmp_path: Path) -> None:
    path, model = saved(tmp_path / "a.png", random(16, 16)), Inverts().eval()
    before = path.read_bytes()
    with pytest.raises(PaperzooError, match="would be overwritten"):
        model.predict(path, out=str(tmp_path))
    with pytest.raises(PaperzooError, match="would be overwritten"):
        model.predict(tmp_path, out=str(tmp_path))
    with pytest.raises(PaperzooError, match="is a folder: name another"):
        model.predict(tmp_path)
    assert path.read_bytes() == before
    (tmp_path / "empty").mkdir()
    with pytest.raises(PaperzooError, match="there are no pictures in"):
        model.predict(tmp_path / "empty", out=str(tmp_path / "out"))
    with pytest.raises(PaperzooError, match="there is no image"):
        model.predict(tmp_path / "missing.png")
    with pytest.raises(PaperzooError, match="unknown domain 'c'"):
        model.predict(path, to="c")


def test_a_folder_of_many_takes_the_memory_of_few(tmp_path: Path) -> None:
    model, peaks = Inverts().eval(), []
    model.translate = lambda image, to="b": image  # type: ignore[method-assign]
    for number in (20, 200):
        for index in range(number):
            saved(tmp_path / str(number) / f"{index}.bmp", random(64, 64))
        tracemalloc.start()
        model.predict(tmp_path / str(number), out=str(tmp_path / f"out{number}"))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 180 * 64 * 64 * 3 / 4  # a quarter of what the further ones would take


# Scores ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shapes() -> Dataset:
    return paperzoo.dataset("edges>shapes")


@pytest.fixture(scope="module")
def unpaired() -> Dataset:
    return paperzoo.dataset("shapes-unpaired")


class Remembers(Inverts):
    """Answers with whatever function it is told to."""

    def __init__(self, there: Any, back: Any = None) -> None:
        super().__init__()
        self.ways = {"b": there, "a": back}
        self.domains = ("b", "a") if back else ("b",)  # type: ignore[misc]

    def translate(self, image: Tensor, to: str = "b") -> Tensor:
        answer: Tensor = self.ways[to](image)
        return answer


def test_nearness_by_its_definition() -> None:
    truth = torch.full((2, 3, 16, 16), 0.5)
    found = measure.nearness(truth + 0.1, truth, {"source": truth - 0.2, "other": truth + 0.05})
    for name, off in (("", 0.1), ("source ", 0.2), ("other ", 0.05)):
        assert found[f"{name}psnr (dB)"] == pytest.approx(-20 * math.log10(off), abs=1e-4)
        assert found[f"{name}l1 error"] == pytest.approx(off, rel=1e-5)
    assert found["psnr above baselines (dB)"] == pytest.approx(20 * math.log10(0.05 / 0.1), abs=1e-4)  # over the best
    assert found["other ssim"] > found["source ssim"]
    assert found["ssim above baselines"] == pytest.approx(found["ssim"] - found["other ssim"])
    assert found["l1 error below baselines %"] == pytest.approx(-100, rel=1e-4)
    assert measure.nearness(truth, truth, {"source": truth})["psnr (dB)"] == 60


def _decoded(uri: str) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(base64.b64decode(uri))).convert("RGB"))


def test_scores_of_pairs(shapes: Dataset) -> None:
    found = measure.scores(Remembers(lambda x: x), shapes, "test")
    assert {"source psnr (dB)", "affine ssim", "patches l1 error", "sharpness relative to truth"} <= found.keys()
    assert not any("reinhard" in name or "cycle" in name for name in found)
    assert found["psnr (dB)"] == found["source psnr (dB)"]
    test = shapes["test"].batch(np.arange(len(shapes["test"])))
    left = iter(torch.split(test.image_b, 32))
    perfect = measure.scores(Remembers(lambda x: next(left)), shapes, "test")
    assert perfect["psnr (dB)"] == 60 and perfect["l1 error"] == 0 and perfect["sharpness relative to truth"] == 1


def test_scores_where_training_has_no_pairs(unpaired: Dataset) -> None:
    found = measure.scores(Remembers(lambda x: x, lambda x: x), unpaired, "test")
    assert "reinhard psnr (dB)" in found and not any("affine" in name or "patches" in name for name in found)
    assert found["cycle error"] == 0
    alone = measure.scores(Remembers(lambda x: x, lambda x: x), unpaired, "train")
    assert set(alone) == {"cycle error", "noisy cycle error"}  # there is no truth


def test_a_message_hidden_in_the_translation_shows_under_noise() -> None:
    source = torch.rand(4, 3, 16, 16)
    honest = measure.cycle(Remembers(lambda x: 1 - x, lambda y: 1 - y), source, 1 - source)
    assert honest["noisy cycle error"] == pytest.approx(math.sqrt(2 / math.pi) / 255, rel=0.1)
    hidden = 0.5 + (source - 0.5) / 500  # grey to the eye
    sly = measure.cycle(Remembers(lambda x: hidden, lambda y: 0.5 + 500 * (y - 0.5)), source, hidden)
    assert sly["cycle error"] < 1e-3 and sly["noisy cycle error"] > 1


class BrightnessJudge:
    """Takes what is dark for one domain and what is bright for the other; its features are small pictures."""

    name = "brightness"

    def __init__(self, *names: str) -> None:
        self.model = type("Named", (), {"names": names})

    def __call__(self, images: Tensor) -> tuple[np.ndarray, np.ndarray]:
        bright = images.mean((1, 2, 3)).numpy()
        return np.stack([1 - bright, bright], 1), F.adaptive_avg_pool2d(images, 8).flatten(1).numpy()


def test_style_and_identity_by_a_judge(unpaired: Dataset) -> None:
    judge = BrightnessJudge("shapes: all", "edges: all")  # edges are drawn on white, and so, however, are the shapes
    found = measure.scores(Remembers(lambda x: x / 10, lambda x: 0.9 + x / 10), unpaired, "test", judge)
    assert found["style %[brightness]"] == 100 and found["source style %[brightness]"] == 0
    assert found["back style %[brightness]"] == 100 and found["truth style %[brightness]"] == 0
    above = found["identity top-5 %[brightness]"] - found["reinhard identity top-5 %[brightness]"]
    assert found["identity top-5 above reinhard %[brightness]"] == pytest.approx(above)
    test = unpaired["test"].batch(np.arange(len(unpaired["test"])))
    left = iter(torch.split(test.image_b, 32))
    there, truth = Remembers(lambda x: next(left)), test.image_b
    perfect = measure.judged(there, ("edges", "shapes"), judge, truth, truth, {"source": test.image_a})
    assert perfect["identity top-1 %[brightness]"] == 100 > perfect["source identity top-1 %[brightness]"]
    swapped = measure.judged(Remembers(lambda x: x), ("edges", "shapes"), judge, truth.roll(1, 0), truth, {})
    assert swapped["identity top-1 %[brightness]"] == 0
    assert measure.judged(Remembers(lambda x: x), ("cats", "dogs"), judge, test.image_a, truth, {}) == {}


def test_a_style_that_is_parted_into_classes_counts_as_a_whole() -> None:
    known = np.array(["noto", "twemoji", "noto", "fluent"])
    p = np.array([[0.3, 0.4, 0.3, 0.0], [0.1, 0.6, 0.3, 0.0], [0.0, 0.1, 0.4, 0.5]])
    assert [measure.share(p, known, domain) for domain in ("noto", "twemoji", "fluent")] == pytest.approx([100 / 3] * 3)


# Pictures and samples --------------------------------------------------------------------------------------------------


def test_pictures_of_source_translation_and_truth(shapes: Dataset, unpaired: Dataset, tmp_path: Path) -> None:
    path, page = Remembers(lambda x: 1 - x).show(shapes, "test", tmp_path, "final")
    assert path.name == "final-translations.png" and page.name == "final-slider.html"
    under, over = (_decoded(uri) for uri in re.findall(r"data:image/png;base64,([^\"]+)", page.read_text()))  # translation, source
    assert under.shape == over.shape and np.array_equal(over[:160, :160], 255 - under[:160, :160]) and over[0, 0, 0] > 200
    batch = shapes["test"].batch(measure.spread(len(shapes["test"]), 12))
    scale = 2
    with Image.open(path) as picture:
        array = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1).float() / 255
    for row, expected in enumerate((batch.image_a, 1 - batch.image_a, batch.image_b)):
        top = row * (32 * scale + 2)
        found = array[:, top : top + 32 * scale : scale, : 32 * scale : scale]
        assert (found - expected[0]).abs().mean() < 0.03  # 256 colours
    names = [p.name for p in Remembers(lambda x: x, lambda x: x).show(unpaired, "test", tmp_path, "both")]
    assert names == ["both-translations.png", "both-translations-back.png", "both-slider.html"]


def test_samples_are_sources_translations_and_truths(shapes: Dataset, tmp_path: Path) -> None:
    model = Remembers(lambda x: 1 - x)
    many, few = model.sample(6, seed=1, data="edges>shapes"), model.sample(2, seed=1, data="edges>shapes")
    assert many.shape == (6, 3, 3, 32, 32) and torch.equal(many[:2], few)
    assert torch.equal(many[:, 1], 1 - many[:, 0])
    test = shapes["test"].batch(np.arange(len(shapes["test"])))
    at = [int((test.image_a == a).flatten(1).all(1).nonzero()[0]) for a in many[:, 0]]
    assert torch.equal(test.image_b[at], many[:, 2])
    assert not torch.equal(model.sample(2, seed=2, data="edges>shapes"), few)
    (task,) = model.active()
    assert task.write(many, tmp_path / "s.png") == str(tmp_path / "s.png") and (tmp_path / "s.png").is_file()
    with pytest.raises(PaperzooError, match="name a data set of two domains by --data"):
        model.sample(2)
    with pytest.raises(PaperzooError, match="needs data with image_a and image_b"):
        model.sample(2, data="digits")


# Trained networks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pix2pix", "cyclegan"])
def test_a_translation_does_not_depend_on_how_many_there_are(name: str) -> None:
    small = {"image_size": 32, "width": 4, "patch": 16}
    model = paperzoo.create(name, **small)
    images = torch.rand(3, 3, 32, 32)
    many, one = model.translated(images, seed=5), model.translated(images[2:], seed=5)
    assert torch.allclose(many[2:], one, atol=1e-5)
    assert torch.equal(one, model.translated(images[2:], seed=5))
    assert torch.equal(one, model.translated(images[2:], seed=6)) == (name == "cyclegan")
    before = torch.random.get_rng_state()
    model.translated(images[:1])
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_folder_is_translated_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = str(paperzoo.train("cyclegan", "smoke", out=tmp_path, overrides={"steps": 2}).directory)
    saved(tmp_path / "in" / "x.png", random(18, 45))

    def typed(*words: str) -> tuple[int, str, str]:
        return type_in(*words, capsys=capsys, monkeypatch=monkeypatch)

    for to in ("b", "a"):
        code, out, _ = typed("predict", run, str(tmp_path / "in"), "--to", to, "--out", str(tmp_path / to))
        assert code == 0 and "1 picture written to" in out
    assert opened(tmp_path / "a" / "x.png").shape == (18, 45, 3)
    assert not np.array_equal(opened(tmp_path / "a" / "x.png"), opened(tmp_path / "b" / "x.png"))
    code, _, said = typed("predict", run, str(tmp_path / "in" / "x.png"), "--to", "c")
    assert code == 2 and "unknown domain 'c'" in said
    assert typed("sample", run, "-n", "3", "--out", str(tmp_path / "rows.png"))[0] == 0
    with Image.open(tmp_path / "rows.png") as rows:
        assert rows.width == 3 * 64 + 2 * 2
