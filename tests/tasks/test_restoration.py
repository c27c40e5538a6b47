"""Super-resolution: photographs in parts, figures beside the kernel's, pictures, and what a user's photograph becomes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import paperzoo
from paperzoo.data import Dataset
from paperzoo.data.bicubic import eight_bits, enlarge
from paperzoo.data.datasets import dataset
from paperzoo.metrics.psnr import psnr
from paperzoo.metrics.restoration import luma, ssim_y
from paperzoo.metrics.spectrum import power_above, radial_power
from paperzoo.tasks.restoration import SuperResolver, draw, tiles
from paperzoo.tasks.restoration.measure import trials


class Kernel(SuperResolver):
    """The bicubic kernel, and the mean of what lies within two pixels of each, by a weight: it sees two pixels of the small image on."""

    def __init__(self, scales: tuple[int, ...] = (2,), channels: Any = 1, weight: float = 0.0) -> None:
        super().__init__()
        self.scales, self.channels, self.weight = scales, channels, nn.Parameter(torch.tensor(weight))
        self.parts: list[tuple[int, ...]] = []

    def restore(self, image: Tensor, scale: int) -> Tensor:
        assert not self.training and not torch.is_grad_enabled()
        self.parts.append(tuple(image.shape))
        mean = nn.functional.avg_pool2d(image, 5, 1, 2, count_include_pad=False)
        return enlarge(image, scale) + self.weight * (mean - image).repeat_interleave(scale, 2).repeat_interleave(scale, 3)

    def reach(self, scale: int) -> int:
        return 2


def photographs(scale: str = "2") -> Dataset:
    return dataset(f"photographs-sklearn#scale={scale}", image_size=48)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


# Parts ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(("tall", "wide"), [(41, 30), (10, 65), (1, 7), (24, 24)])
def test_parts_are_the_whole(scale: int, tall: int, wide: int, monkeypatch: pytest.MonkeyPatch) -> None:
    image, model = noise(2, 1, tall, wide), Kernel(weight=0.7).eval()
    with torch.no_grad():
        whole = model.restore(image, scale)
    for side in (12 * scale, 5 * scale + 1, 2):
        monkeypatch.setattr(tiles, "TILE", side)
        model.parts.clear()
        assert (model.restored(image, scale) - whole).abs().max() < 1e-5
        low = max(1, side // scale)
        assert len(model.parts) == -(-tall // low) * -(-wide // low)
        assert all(max(part[2:]) <= low + 2 * 2 for part in model.parts)  # memory is that of one part
    if min(tall, wide) > 9:  # and less than that far around each part is not enough
        monkeypatch.setattr(Kernel, "reach", lambda self, scale: 1)
        assert (model.restored(image, scale) - whole).abs().max() > 1e-3


def test_parts_are_of_any_type_and_the_model_is_as_before() -> None:
    numbers = torch.arange(12, dtype=torch.uint8).view(1, 1, 3, 4)
    counted = tiles.by_tiles(numbers, 2, 1, lambda part: part.repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert counted.dtype == torch.uint8 and counted[0, 0, ::2, 1::2].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    model = Kernel().train()
    model.restored(noise(1, 1, 5, 5), 2)
    assert model.training and model.restored(noise(1, 1, 5, 5), 2).dtype == torch.float32


# Figures -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "scale"), [(1, 2), (3, 2), (1, 4)])
def test_figures_are_means_over_whole_photographs_without_the_border(channels: int, scale: int) -> None:
    data, model = photographs(str(scale)), Kernel((scale,), channels, weight=-0.4).eval()
    psnrs: dict[str, list[float]] = {"": [], "bicubic ": []}
    ssims: dict[str, list[float]] = {"": [], "bicubic ": []}
    fine: dict[str, float] = {"": 0.0, "bicubic ": 0.0, "original": 0.0}
    with torch.no_grad():
        found = model.measure(data, "test")
        for item in range(2):
            batch = data["test"].batch([item])
            given = luma(batch.low) if channels == 1 else batch.low
            for name, image in (("", model.restore(given, scale)), ("bicubic ", enlarge(given, scale))):
                y = eight_bits(luma(eight_bits(image)))[..., scale:-scale, scale:-scale]
                psnrs[name].append(float(psnr(y, eight_bits(luma(batch.high))[..., scale:-scale, scale:-scale])))
                ssims[name].append(float(ssim_y(image.clamp(0, 1), batch.high, scale)))
                fine[name] += float(power_above(y, 0.5 / scale))
            fine["original"] += float(power_above(eight_bits(luma(batch.high))[..., scale:-scale, scale:-scale], 0.5 / scale))
    gain = np.subtract(psnrs[""], psnrs["bicubic "])
    assert abs(gain[0] - gain[1]) > 0.3
    assert found == pytest.approx({
        f"psnr x{scale} (dB)": np.mean(psnrs[""]), f"ssim x{scale}": np.mean(ssims[""]),
        f"bicubic psnr x{scale} (dB)": np.mean(psnrs["bicubic "]), f"bicubic ssim x{scale}": np.mean(ssims["bicubic "]),
        f"gain over bicubic x{scale} (dB)": gain.mean(), f"least gain over bicubic x{scale} (dB)": gain.min(),
        f"high frequencies x{scale} relative to original": fine[""] / fine["original"],
        f"bicubic high frequencies x{scale} relative to original": fine["bicubic "] / fine["original"],
    }, abs=1e-5)  # fmt: skip


def test_each_scale_has_figures_of_its_own_and_the_kernel_gains_nothing() -> None:
    both = Kernel((2, 3)).eval().measure(photographs("2,3"), "test")
    alone = [Kernel((scale,)).eval().measure(photographs(str(scale)), "test") for scale in (2, 3)]
    assert both == pytest.approx(alone[0] | alone[1]) and len(both) == 16
    assert both["gain over bicubic x2 (dB)"] == both["least gain over bicubic x3 (dB)"] == 0
    assert both["psnr x2 (dB)"] > both["psnr x3 (dB)"] + 1


def test_what_cannot_be_measured_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(paperzoo.PaperzooError, match=r"enlarges by x2 and x4, not by x3: the data are photographs shrunk by it"):
        Kernel((2, 4)).measure(photographs("3"), "test")
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))
    for seed, (place, side) in enumerate({"train/a": 60, "validation/a": 60, "test/a": 6, "test/b": 60}.items()):
        path = tmp_path / "own" / f"{place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((255 * noise(side, side + 1, 3, seed=seed)).byte().numpy()).save(path)
    tiny = dataset(f"photos:{tmp_path / 'own'}#scale=3", image_size=48)
    with pytest.raises(paperzoo.PaperzooError, match=r"photograph 0 of test in photos:.* has 6x6 pixels: without a border of 3 pixels"):
        Kernel((3,)).measure(tiny, "test")


# Pictures ------------------------------------------------------------------------------------------------------------


def test_the_part_with_most_detail_is_found() -> None:
    image = 0.5 * torch.ones(1, 3, 300, 200) + 0.5 * torch.linspace(-1, 1, 200)  # a slope is no detail
    image[..., 140:220, 90:170] = noise(1, 1, 80, 80)
    assert draw.most_detail(image, 64) == (144, 96)  # corners are looked for at steps of 16
    assert draw.most_detail(image[..., :64, :64], 64) == (0, 0)


def test_kernel_model_and_original_stand_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sheets: list[Image.Image] = []
    monkeypatch.setattr(draw, "compact", lambda sheet: sheets.append(sheet) or sheet)
    path, spectra, page = Kernel(weight=-0.4).eval().show(photographs(), "test", tmp_path, "final")
    assert path.name == "final-restored.png" and Image.open(path).size == sheets[0].size
    assert spectra.name == "final-spectrum.png"
    assert page.read_text().count("data:image/png") == 2 and "left bicubic x2, right restored" in page.read_text()
    data, side = photographs()["test"], draw.TIMES * draw.DETAIL
    row, batch = np.asarray(sheets[0])[: side + 1], data.batch([0])
    wide = row.shape[1] - 3 * side - 2 * 6
    panels = [row[:side, wide + place * (side + 6) :][:, :side] for place in range(3)]
    top, left = draw.most_detail(batch.high, draw.DETAIL)
    y = [enlarge(luma(batch.low), 2), Kernel(weight=-0.4).eval().restored(luma(batch.low), 2)]
    images = [*(draw.in_colour(one, batch.low, 2) for one in y), batch.high]
    for panel, image in zip(panels, images, strict=True):
        part = image[0, :, top : top + draw.DETAIL, left : left + draw.DETAIL].permute(1, 2, 0)  # (H, W, C)
        assert np.array_equal(panel[::3, ::3], (part * 255).round().byte().numpy()) and np.array_equal(panel[2::3, 1::3], panel[::3, ::3])
    frame = (row == (255, 0, 0)).all(2)
    share = side / batch.high.shape[2]
    assert np.argwhere(frame)[0].tolist() == pytest.approx([share * top, share * left], abs=1)
    assert luma(images[1]).sub(y[1]).abs().median() < 1e-5  # its luminance is the model's, but where a colour leaves its range


def test_spectra_are_those_of_kernel_model_and_original(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    figures: list[Any] = []
    monkeypatch.setattr(draw, "save", lambda figure, path: figures.append(figure) or path)
    model, data = Kernel((2,), weight=-0.4).eval(), photographs()
    found = list(trials(model, data, "test", np.arange(2)))
    draw.spectra(found, tmp_path / "spectra.png")
    panels = figures[0].axes
    assert len(panels) == 2
    for one, axes in zip(found, panels, strict=True):
        *curves, limit = axes.lines
        for curve, image in zip(curves, (one.original, one.bicubic, one.restored), strict=True):
            y = eight_bits(luma(eight_bits(image)))[..., 2:-2, 2:-2]
            assert np.allclose(curve.get_ydata(), radial_power(y)[1][0])
        assert limit.get_xdata()[0] == 0.25 and axes.get_yscale() == "log"
        assert [text.get_text() for text in axes.get_legend().get_texts()] == ["original", "bicubic x2", "restored"]


# A user's photograph -------------------------------------------------------------------------------------------------


def picture(mode: str, size: tuple[int, int] = (31, 22)) -> Image.Image:
    """A smooth picture, so that no colour leaves its range."""
    across, down = np.meshgrid(np.linspace(0, 3, size[0]), np.linspace(0, 2, size[1]))
    layers = [127.5 + 90 * np.sin(across * (1 + k) + down) for k in range(4)]
    array = np.stack(layers[: len(Image.new(mode, (1, 1)).getbands())], 2).round().astype(np.uint8)
    return Image.fromarray(array[..., 0] if mode == "L" else array, mode)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("scale", [2, 3])
def test_colour_and_alpha_are_the_kernels_where_the_luminance_is(
    mode: str, channels: int, scale: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "TILE", 16)
    given, model = picture(mode), Kernel((2, 3), channels)
    large = model.enlarged(given, scale)
    assert large.mode == mode and large.size == (31 * scale, 22 * scale)
    array = np.array(given).reshape(22, 31, -1)
    wanted = enlarge(torch.from_numpy(array).permute(2, 0, 1)[None].float() / 255, scale)[0].permute(1, 2, 0)  # (H, W, C)
    found = torch.from_numpy(np.array(large).reshape(22 * scale, 31 * scale, -1)).float() / 255
    assert (found - wanted).abs().max() <= 0.5 / 255 + 1e-5
    assert {part[1] for part in model.parts} == {channels} and len(model.parts) > 4


def test_luminance_alone_is_restored() -> None:
    """A model that makes everything grey of one brightness leaves the colours."""
    class Flat(Kernel):
        def restore(self, image: Tensor, scale: int) -> Tensor:
            return torch.full_like(enlarge(image, scale), 0.5)

    large = np.asarray(Flat().enlarged(picture("RGB"), 2)).astype(np.float32) / 255
    plain = np.asarray(Kernel().enlarged(picture("RGB"), 2)).astype(np.float32) / 255
    assert np.allclose(luma(torch.from_numpy(large).permute(2, 0, 1)[None]), 0.5, atol=0.004)
    assert np.allclose(large[..., 0] - large[..., 1], plain[..., 0] - plain[..., 1], atol=0.01) and np.ptp(large) > 0.3


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "PA"])
def test_a_picture_of_any_kind_is_read_and_written(mode: str, tmp_path: Path) -> None:
    source = picture("RGBA" if mode == "PA" else "RGB")
    if mode == "I;16":
        source = Image.fromarray(np.asarray(picture("L")).astype(np.uint16) * 257)
        assert source.mode == "I;16"
    elif mode == "PA":  # a palette with transparency
        source = source.quantize(32)
    elif mode != "RGB":
        source = source.convert(mode)
    place = tmp_path / f"photo{'.tif' if mode == 'CMYK' else '.png'}"
    source.save(place)
    answer = Kernel().predict(str(place), out=str(tmp_path / "large"))
    kept = {"1": "L", "I;16": "L", "P": "RGB", "CMYK": "RGB", "PA": "RGBA"}.get(mode, mode)
    assert answer.image.mode == kept and answer.image.size == (62, 44) and answer.scale == 2
    assert answer.path == tmp_path / "large" / "photo-x2.png" and "31x22 pixels enlarged to 62x44" in str(answer)
    with Image.open(answer.path) as written:
        assert written.mode == kept and np.array_equal(np.asarray(written), np.asarray(answer.image))
    if mode == "I;16":
        assert abs(np.asarray(answer.image).astype(int)[::2, ::2] - np.asarray(picture("L"))).max() < 12


def test_photographs_lie_as_they_were_taken(tmp_path: Path) -> None:
    turned = picture("RGB").getexif()
    turned[0x0112] = 6  # to be turned by 90 degrees
    picture("RGB").save(tmp_path / "turned.png", exif=turned)
    assert Kernel().predict(tmp_path / "turned.png").image.size == (44, 62)


def test_arrays_lists_scales_and_single_pixels() -> None:
    model, array = Kernel((3, 2)), np.asarray(picture("RGB"))
    one, other = model.predict([array, picture("RGB")])
    assert np.array_equal(np.asarray(one.image), np.asarray(other.image)) and one.scale == 2 and one.path is None
    assert model.predict(array, scale=3).image.size == (93, 66) and "not written: --out" in str(one)
    for mode in ("L", "RGBA"):
        assert model.predict(picture(mode, (1, 1))).image.size == (2, 2)


def test_nothing_is_replaced_and_what_is_wrong_is_named(tmp_path: Path) -> None:
    picture("RGB").save(tmp_path / "photo.png")
    model, out = Kernel((2, 4)), str(tmp_path / "out")
    model.predict(tmp_path / "photo.png", out=out)
    before = (tmp_path / "out" / "photo-x2.png").read_bytes()
    for given, told, message in (
        (tmp_path / "photo.png", {"out": out}, "photo-x2.png is there already: choose another folder"),
        (tmp_path / "photo.png", {"out": str(tmp_path / "photo.png")}, "photo.png is a file, not a folder"),
        (tmp_path / "photo.png", {"scale": 3}, "enlarges by x2 and x4, not by x3: it was not trained for it"),
        (tmp_path / "none.png", {}, "there is no image"), (tmp_path, {}, "is a folder"), (np.zeros((2, 3, 4, 5)), {}, "an image is"),
    ):  # fmt: skip
        with pytest.raises(paperzoo.PaperzooError, match=message):
            model.predict(given, **told)
    assert (tmp_path / "out" / "photo-x2.png").read_bytes() == before and len(list(tmp_path.iterdir())) == 2
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(paperzoo.PaperzooError, match="cannot be read"):
        model.predict(tmp_path / "text.png", out=out)


def test_photographs_inside_scikit_learn_are_apart() -> None:
    from sklearn.datasets import load_sample_images

    built, pictures = dataset("photographs-sklearn"), load_sample_images().images
    assert {name: len(split.columns[0].all) for name, split in built.splits.items()} == {"train": 12, "validation": 2, "test": 2}
    parts = {name: [split.columns[0].all[i] for i in range(len(split.columns[0].all))] for name, split in built.splits.items()}
    for at, whole in enumerate(pictures):
        assert np.array_equal(parts["test"][at], whole[213:426, 480:640]) and np.array_equal(parts["validation"][at], whole[:213, 480:])
        assert np.array_equal(parts["train"][6 * at + 2], whole[:213, 160:320])
        assert np.array_equal(parts["train"][6 * at + 5], whole[213:426, 320:480])
    assert built.licence.startswith("CC BY 2.0")


def test_the_pairs_of_a_trial_are_the_photographs_themselves() -> None:
    data = photographs()
    (one,) = trials(Kernel().eval(), data, "test", np.array([1]))
    batch = data["test"].batch([1])
    assert torch.equal(one.original, batch.high) and one.scale == 2
    assert torch.equal(one.bicubic, enlarge(luma(batch.low), 2)) and (one.restored - one.bicubic).abs().max() < 1e-5
