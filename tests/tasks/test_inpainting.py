"""In-painting as a task: what is measured and drawn, and a user's photographs with holes of any kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import distance_transform_cdt
from torch import Tensor, nn

import paperzoo
from paperzoo.data.change.holes import centre_hole, random_blocks
from paperzoo.data.datasets import dataset
from paperzoo.metrics.inpainting import biharmonic
from paperzoo.tasks.inpainting import InPainter, Inpainting, draw
from paperzoo.tasks.inpainting import measure as measures
from paperzoo.tasks.inpainting.contract import covered, resized, window


class Painter(InPainter):
    """Paints every pixel with a ramp, plus ``share`` of the mean of what it sees: in the middle alone, or anywhere."""

    def __init__(self, size: int = 32, middle: int = 0, share: float = 0.0) -> None:
        super().__init__()
        self.channels, self.image_size, self.middle, self.share = 3, size, middle, share
        self.one = nn.Parameter(torch.ones(()))
        self.register_buffer("fill", torch.tensor([0.1, 0.5, 0.9]))
        self.looked: list[tuple[Tensor, Tensor]] = []

    def holes(self, number: int, generator: torch.Generator | None = None) -> Tensor:
        if not self.middle:
            return random_blocks(number, self.image_size, self.image_size, generator=generator)
        mask, low = torch.zeros(number, 1, self.image_size, self.image_size), (self.image_size - self.middle) // 2
        mask[..., low : low + self.middle, low : low + self.middle] = 1
        return mask

    def paint(self, image: Tensor, hole: Tensor) -> Tensor:
        self.looked.append((image.clone(), hole.clone()))
        ramp = torch.linspace(0.2, 0.8, image.shape[-1]).expand_as(image)
        return self.one * ramp + self.share * image.mean((1, 2, 3), keepdim=True)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def photographs(size: int = 32) -> Any:
    return dataset("photographs-sklearn", image_size=size)


# Figures -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("middle", [0, 16])
def test_figures_by_definition(middle: int) -> None:
    model, data = Painter(middle=middle).eval(), photographs()
    found = model.measure(data, "test")
    assert found == model.measure(data, "test")  # the same holes again
    images = data["test"].batch(np.arange(len(data["test"]))).image
    holes = model.holes(len(images), torch.Generator().manual_seed(0))
    ramp = torch.linspace(0.2, 0.8, 32).expand_as(images)
    ways = {"": ramp, "biharmonic ": biharmonic(images, holes), "mean fill ": model.fill.view(3, 1, 1).expand_as(images)}
    rows: dict[str, list[tuple[float, ...]]] = {name: [] for name in [*ways, "surround fill "]}
    for i in range(len(images)):
        mask, image = holes[i, 0].numpy() > 0, images[i].double().numpy()
        known = image[:, ~mask].mean(1)[:, None]
        for name, values in [*((n, way[i].double().numpy()[:, mask]) for n, way in ways.items()), ("surround fill ", known)]:
            apart = values - image[:, mask]
            rows[name].append((-10 * np.log10(np.square(apart).mean()), 100 * np.abs(apart).mean(), 100 * np.square(apart).mean()))
    wanted = {}
    for name, each in rows.items():
        figures = np.mean(each, 0)
        wanted |= dict(zip((f"{name}{f}" for f in ("psnr in the hole (dB)", "l1 in the hole %", "l2 in the hole %")), figures, strict=True))
        if name:
            wanted[f"gain over {name}(dB)"] = wanted["psnr in the hole (dB)"] - figures[0]
    assert found == pytest.approx(wanted, rel=1e-4) and len(images) > 50
    assert found["gain over surround fill (dB)"] > found["gain over biharmonic (dB)"] + 1


def test_only_so_many_are_measured_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    data, seen = photographs(), []
    monkeypatch.setattr(measures, "ITEMS", 7)
    right = measures.trial
    monkeypatch.setattr(measures, "trial", lambda model, data, split, items: seen.append(items) or right(model, data, split, items))
    Painter().measure(data, "test")
    (items,) = seen
    assert len(items) == 7 and items[0] == 0 and items[-1] == len(data["test"]) - 1 and np.ptp(np.diff(items)) <= 1


def test_known_pixels_stay_and_missing_ones_change_nothing() -> None:
    for middle in (0, 16):
        model = Painter(middle=middle, share=0.3)
        hole, image = model.holes(40), torch.rand(40, 3, 32, 32)
        other = torch.where(hole > 0, torch.rand_like(image), image)
        assert model.training and torch.equal(model.filled(image, hole), model.filled(other, hole)) and model.training
        mask = hole.expand_as(image) > 0
        found = model.filled(image, hole)
        assert torch.equal(found[~mask], image[~mask]) and not torch.equal(found[mask], image[mask])
        for seen, where in model.looked:
            assert all((seen[:, c][where[:, 0] > 0] == model.fill[c]).all() for c in range(3))
        assert not torch.equal(model.filled(image.flip(0), hole), found)


def test_the_example_of_the_contract_is_what_the_network_is_given() -> None:
    task, model = Inpainting(), Painter(share=0.5)
    batch = photographs()["train"].batch([0, 1])
    given = task.inputs(model, batch)
    assert given.shape == batch.image.shape and task.answer(model, given).shape == (2, 3 * 32 * 32)
    assert torch.equal(model.looked[-1][0], given)
    with pytest.raises(paperzoo.PaperzooError, match="in-painting needs data with image"):
        Painter.check(dataset("ring8").schema)


# Pictures ------------------------------------------------------------------------------------------------------------


def test_hole_surface_model_and_original_stand_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sheets: list[Image.Image] = []
    monkeypatch.setattr(draw, "compact", lambda sheet: sheets.append(sheet) or sheet)
    texts: list[str] = []
    right = draw.ImageDraw.ImageDraw.text
    monkeypatch.setattr(draw.ImageDraw.ImageDraw, "text", lambda pen, at, text, *a: texts.append(text) or right(pen, at, text, *a))
    model, data = Painter(middle=16).eval(), photographs()
    (path,) = model.show(data, "test", tmp_path, "final")
    assert path.name == "final-filled.png" and Image.open(path).size == sheets[0].size
    sheet, tried = np.asarray(sheets[0]), measures.trial(model, data, "test", draw.spread(len(data["test"]), draw.SHOWN))
    errors, tall = tried.errors(), draw.SIDE + draw._LINE + draw._GAP
    for number in (0, 7):  # of the left and of the right column
        top, left = number % 6 * tall, number // 6 * (4 * (draw.SIDE + draw._GAP) + 3 * draw._GAP)
        white = torch.where(tried.hole > 0, 1.0, tried.original)
        for place, image in enumerate((white, tried.filled["biharmonic"], tried.filled[""], tried.original)):
            panel = sheet[top : top + draw.SIDE, left + place * (draw.SIDE + draw._GAP) :][:, : draw.SIDE]
            assert np.array_equal(panel[1::4, 2::4], (image[number] * 255).round().byte().permute(1, 2, 0).numpy())
        said = [f"biharmonic: {errors['biharmonic'].psnr[number]:.1f} dB", f"filled: {errors[''].psnr[number]:.1f} dB"]
        assert texts[4 * number : 4 * number + 4] == ["with a hole", *said, "original"]


# A user's photograph -------------------------------------------------------------------------------------------------


def mask_of(tall: int, wide: int, top: int, left: int, down: int, across: int) -> Image.Image:
    mask = np.zeros((tall, wide), np.uint8)
    mask[top : top + down, left : left + across] = 255
    return Image.fromarray(mask)


@pytest.mark.parametrize("middle", [0, 16])
def test_a_picture_of_the_networks_size_is_filled_as_in_training(middle: int) -> None:
    model, array = Painter(middle=middle, share=0.2), noise(32, 32, 3)
    answer = model.predict(array)
    hole = centre_hole(1, 32, 32)
    wanted = model.filled(torch.from_numpy(array).permute(2, 0, 1)[None] / 255, hole)[0]
    assert np.array_equal(np.asarray(answer.image), (wanted * 255).round().byte().permute(1, 2, 0).numpy())
    assert answer.missing == 0.25 and str(answer) == "32x32 pixels, 25 % of them filled in, not written: --out FOLDER writes it"


@pytest.mark.parametrize("middle", [0, 16, 12])
@pytest.mark.parametrize("size", [(32, 32), (97, 61), (20, 50), (200, 33), (9, 8)])
@pytest.mark.parametrize("place", ["inside", "corner", "edge", "usual", "two"])
def test_holes_anywhere_in_pictures_of_any_size(middle: int, size: tuple[int, int], place: str) -> None:
    """What is known stays to the bit, what is missing is what the network paints there, and what was there has no say."""
    (tall, wide), model = size, Painter(middle=middle, share=0.1)
    shapes = {"inside": (tall // 3, wide // 3, tall // 4, wide // 5), "corner": (0, 0, tall // 2, wide // 4),
              "edge": (tall // 4, wide - wide // 8, tall // 3, wide // 8), "two": (1, 1, 2, 2)}  # fmt: skip
    mask = None if place == "usual" else np.array(mask_of(tall, wide, *shapes[place]))
    if place == "two":
        mask[-3:-1, -3:-1] = 255  # type: ignore[index]
    given = "" if mask is None else Image.fromarray(mask)
    hole = model.usual(tall, wide)[0, 0].numpy() > 0 if mask is None else mask > 0
    array = noise(tall, wide, 3)
    answer = np.asarray(model.predict(array, given).image)
    assert answer.shape == array.shape and np.array_equal(answer[~hole], array[~hole]) and hole.any()
    image, where = model.looked[-1]
    assert image.shape == (1, 3, 32, 32) and all((image[0, c][where[0, 0] > 0] == model.fill[c]).all() for c in range(3))
    other = np.where(hole[..., None], noise(tall, wide, 3, seed=1), array)
    assert np.array_equal(np.asarray(model.predict(other, given).image), answer)  # the leak test
    assert torch.equal(model.looked[-1][0], image)
    top, left, side = window(torch.from_numpy(hole)[None, None].float(), 32, middle)
    level = float(image.mean()) * 0.1
    ramp = resized((torch.linspace(0.2, 0.8, 32) + level).expand(1, 1, 32, 32), side)[0, 0, 0]
    # near its edge what is resized back is partly what surrounds it; beyond the picture is another edge of the middle
    deep = distance_transform_cdt(np.pad(hole, 1) if middle else np.pad(hole, 1, "edge"), "chessboard")[1:-1, 1:-1]
    for row, column in np.argwhere(hole & (deep > (0 if side == 32 else 2 * side / 32 + 1))):
        assert abs(answer[row, column, 0] / 255 - ramp[column - left]) < 0.01, (row, column)
    assert top <= np.argwhere(hole)[:, 0].min() and np.argwhere(hole)[:, 0].max() < top + side


def test_the_window_covers_the_hole_and_is_no_larger_than_it_must_be() -> None:
    random = np.random.default_rng(0)
    for _ in range(300):
        tall, wide = (int(n) for n in random.integers(8, 150, 2))
        down, across = (int(random.integers(1, max(2, n // 2))) for n in (tall, wide))
        top, left = int(random.integers(0, tall - down + 1)), int(random.integers(0, wide - across + 1))
        hole = torch.from_numpy(np.array(mask_of(tall, wide, top, left, down, across)))[None, None].float()
        for middle in (0, 24, 20):
            at = window(hole, 48, middle)
            side, spans = at[2], ((at[0], top, down), (at[1], left, across))
            assert all(low <= start and start + length <= low + side for low, start, length in spans)
            if middle:  # resized, the middle of the network's image covers the hole, by a pixel more where it is resized
                low, high = (48 - middle) / 2 * side / 48, (48 + middle) / 2 * side / 48
                spare = 0 if side == 48 else 0.4
                for corner, start, length in spans:
                    assert low + spare <= start - corner and start + length - corner <= high - spare
                assert side == min(48, tall, wide) or covered(side - 1, 48, middle) < max(down, across)
            else:
                assert side <= max(min(48, tall, wide), 2 * max(down, across))
                fits = [corner >= 0 and corner + side <= length for corner, length in zip(at, (tall, wide), strict=False)]
                assert fits == [side <= tall, side <= wide]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "PA"])
def test_a_picture_of_any_kind_is_read_and_written(mode: str, tmp_path: Path) -> None:
    source = Image.fromarray(noise(22, 31, 3))
    if mode == "I;16":
        source = Image.fromarray(noise(22, 31).astype(np.uint16) * 257)
    elif mode == "PA":
        source = Image.fromarray(noise(22, 31, 4)).quantize(32)
    elif mode != "RGB":
        source = source.convert(mode)
    place = tmp_path / f"photo{'.tif' if mode == 'CMYK' else '.png'}"
    source.save(place)
    answer = Painter(middle=16).predict(str(place), out=str(tmp_path / "filled"))
    kept = {"1": "L", "I;16": "L", "P": "RGB", "CMYK": "RGB", "PA": "RGBA"}.get(mode, mode)
    assert answer.image.mode == kept and answer.image.size == (31, 22)
    assert answer.path == tmp_path / "filled" / "photo-filled.png" and "31x22 pixels, " in str(answer) and str(answer.path) in str(answer)
    with Image.open(answer.path) as written:
        assert written.mode == kept and np.array_equal(np.asarray(written), np.asarray(answer.image))
    if mode in ("LA", "RGBA"):
        assert np.array_equal(np.asarray(answer.image)[..., -1], np.asarray(source)[..., -1])


def test_grey_networks_fill_colour_and_colour_networks_grey() -> None:
    grey = Painter()
    grey.channels, grey.fill = 1, torch.tensor([0.5])
    array = noise(40, 40, 3)
    filled = np.asarray(grey.predict(array).image)[10:30, 10:30]
    assert np.ptp(filled, 2).max() == 0 and grey.looked[-1][0].shape == (1, 1, 32, 32)
    assert Painter().predict(Image.fromarray(array).convert("L")).image.mode == "L"


def test_masks_by_path_picture_and_array_are_the_same(tmp_path: Path) -> None:
    model, array, mask = Painter(), noise(50, 40, 3), mask_of(50, 40, 10, 5, 12, 20)
    mask.save(tmp_path / "m.png")
    Image.fromarray(np.asarray(mask).astype(np.uint16) * 257).save(tmp_path / "deep.png")
    mask.convert("P").save(tmp_path / "palette.png")
    ways = [str(tmp_path / "m.png"), tmp_path / "m.png", mask, np.asarray(mask), str(tmp_path / "deep.png"), str(tmp_path / "palette.png")]
    answers = [np.asarray(model.predict(array, way).image) for way in ways]
    assert all(np.array_equal(one, answers[0]) for one in answers)
    one, other = model.predict([array, array[::-1]], ways[0])
    assert np.array_equal(np.asarray(one.image), answers[0]) and not np.array_equal(np.asarray(other.image), answers[0])
    assert one.missing == pytest.approx(12 * 20 / 2000)


def test_what_is_wrong_is_named_and_nothing_replaced(tmp_path: Path) -> None:
    photo, mask = tmp_path / "photo.png", tmp_path / "mask.png"
    Image.fromarray(noise(20, 30, 3)).save(photo)
    mask_of(20, 30, 5, 5, 6, 7).save(mask)
    model, out = Painter(), str(tmp_path / "out")
    model.predict(photo, str(mask), out)
    before = (tmp_path / "out" / "photo-filled.png").read_bytes()
    Image.new("L", (31, 20), 0).save(tmp_path / "other.png")
    (tmp_path / "text.png").write_text("no picture")
    for given, told, message in (
        (photo, {"mask": str(mask), "out": out}, "photo-filled.png is there already: choose another folder"),
        (photo, {"out": str(photo)}, "photo.png is a file, not a folder"),
        (photo, {"mask": str(tmp_path / "other.png")}, "other.png is 31x20 pixels, and the image 30x20: a mask has the size"),
        (photo, {"mask": Image.new("L", (30, 20), 0)}, "black all over, so that nothing is missing"),
        (photo, {"mask": Image.new("L", (30, 20), 255)}, "white all over, so that nothing of the image is left"),
        (photo, {"mask": str(tmp_path / "none.png")}, "there is no mask .*none.png"), (photo, {"mask": str(tmp_path)}, "is a folder"),
        (photo, {"mask": str(tmp_path / "text.png")}, "text.png cannot be read as a mask"),
        (tmp_path / "none.png", {}, "there is no image"), (tmp_path / "text.png", {}, "cannot be read"),
        (tmp_path, {"out": ""}, "is a folder: name another"), (tmp_path, {"out": str(tmp_path)}, "would be overwritten"),
        (Image.new("RGB", (1, 1)), {}, "a picture of 1x1 pixels is too small for a hole with something around it"),
    ):  # fmt: skip
        with pytest.raises(paperzoo.PaperzooError, match=message):
            model.predict(given, **{**told, **({} if "out" in told else {"out": str(tmp_path / "fresh")})})
    assert (tmp_path / "out" / "photo-filled.png").read_bytes() == before and not (tmp_path / "fresh").exists()


def test_the_command_line_takes_a_mask() -> None:
    from paperzoo.tasks.options import options, values

    found = options(InPainter.predict)
    assert set(found) == {"mask", "out"} and "white where something is missing" in found["mask"].about
    assert values(InPainter.predict, {"--mask": "m.png"}, "RUN") == {"mask": "m.png"}
