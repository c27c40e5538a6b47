"""The protocol of super-resolution: luminance, border, 8 bits."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from paperzoo.data.bicubic import eight_bits, enlarge, mod_crop, shrink
from paperzoo.metrics.restoration import luma, measured, psnr_y, rgb, ssim_y, without_border, ycbcr


def colour(red: float, green: float, blue: float) -> torch.Tensor:
    return torch.tensor([red, green, blue], dtype=torch.float32).view(1, 3, 1, 1).expand(1, 3, 12, 12)


def smooth(number: int = 1, height: int = 48, width: int = 60) -> torch.Tensor:
    noise = np.random.default_rng(0).random((number, 3, height, width))
    return torch.from_numpy(gaussian_filter(noise, (0, 0, 1, 1))).float().sub(0.5).mul(3).add(0.5).clamp(0, 1)


def test_luma_of_known_colours() -> None:
    """MATLAB's rgb2ycbcr of 8 bits: black 16, white 235, red 81, green 145, blue 41; grey has 128 in Cb and Cr."""
    for given, wanted in (((0, 0, 0), 16), ((1, 1, 1), 235), ((1, 0, 0), 81), ((0, 1, 0), 145), ((0, 0, 1), 41)):
        assert measured(colour(*given), 0).mul(255).round().unique().tolist() == [wanted]
    assert ycbcr(colour(0.5, 0.5, 0.5))[0, 1:].mul(255).unique().tolist() == pytest.approx([128], abs=1e-3)
    assert ycbcr(colour(1, 0, 0))[0, 1:, 0, 0].mul(255).tolist() == pytest.approx([90.203, 240], abs=1e-3)
    image = torch.rand(2, 3, 5, 4)
    assert torch.allclose(rgb(ycbcr(image)), image, atol=1e-5)
    assert luma(image).shape == (2, 1, 5, 4) and torch.equal(luma(luma(image)), luma(image))


def test_figures_are_of_the_luminance() -> None:
    """Y knows grey twice as well as it knows colour: by hand, at a mean squared error of one level."""
    original = colour(0.4, 0.4, 0.4)
    lighter = original + 10 / 255
    steps = round(16 + 219 * 112 / 255) - round(16 + 219 * 102 / 255)  # in 8 bits
    assert psnr_y(lighter, original, 2).item() == pytest.approx(20 * math.log10(255 / steps), abs=1e-3)
    assert psnr_y(original + torch.tensor([0, 0, 20 / 255]).view(1, 3, 1, 1), original, 2).item() == pytest.approx(
        20 * math.log10(255 / 2), abs=1e-3
    )
    tinted = eight_bits(original + torch.tensor([24.0, -15, 12.0]).view(1, 3, 1, 1) / 255)  # of nearly the same luminance
    assert psnr_y(tinted, original, 2).item() > 40 > 10 + -10 * math.log10((tinted - original).square().mean().item())


def test_the_border_and_what_8_bits_cannot_tell_count_nothing() -> None:
    original = smooth(2)
    wrong = original.clone()
    wrong[..., :3, :] = 0
    wrong[..., -3:] = 1
    assert psnr_y(wrong, original, 3).tolist() == [math.inf] * 2 and (ssim_y(wrong, original, 3) == 1).all()
    assert (psnr_y(wrong, original, 2) < 30).all()
    exact = eight_bits(original)
    assert psnr_y(exact + 0.4 / 255, exact, 0).tolist() == [math.inf] * 2
    assert (psnr_y(exact + 0.8 / 255, exact, 0) < 60).all()
    assert without_border(original, 4).shape == (2, 3, 40, 52) and without_border(original, 0).shape == original.shape
    with pytest.raises(ValueError, match="nothing inside a border of 24"):
        without_border(original, 24)
    with pytest.raises(ValueError, match="one channel or three"):
        psnr_y(original[:, :2], original[:, :2], 1)


def test_ssim_is_that_of_scikit_image_under_the_papers_settings() -> None:
    """By the definition of ``structural_similarity`` with Gaussian weights, and itself if it is there."""
    original = mod_crop(smooth(1, 61, 50), 2)
    restored = enlarge(shrink(original, 2), 2)
    x, y = (measured(image, 2)[0, 0].double().numpy() for image in (restored, original))
    blur = lambda a: gaussian_filter(a, 1.5, truncate=3.5)  # noqa: E731
    ux, uy = blur(x), blur(y)
    vx, vy, vxy = blur(x * x) - ux * ux, blur(y * y) - uy * uy, blur(x * y) - ux * uy
    s = (2 * ux * uy + 1e-4) * (2 * vxy + 9e-4) / ((ux * ux + uy * uy + 1e-4) * (vx + vy + 9e-4))
    assert ssim_y(restored, original, 2).item() == pytest.approx(s[5:-5, 5:-5].mean(), abs=1e-5)
    assert 0.3 < s.mean() < 0.99
    metrics = pytest.importorskip("skimage.metrics")
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    assert ssim_y(restored, original, 2).item() == pytest.approx(metrics.structural_similarity(x, y, **settings), abs=1e-5)


def test_each_image_has_its_own_figure() -> None:
    original = smooth(3)
    restored = original + torch.tensor([0.02, 0.1, 0.05]).view(3, 1, 1, 1) * torch.randn_like(original)
    figures = psnr_y(restored, original, 4)
    assert figures.argsort().tolist() == [1, 2, 0] and ssim_y(restored, original, 4).argsort().tolist() == [1, 2, 0]
    for one in range(3):
        assert psnr_y(restored[one : one + 1], original[one : one + 1], 4).item() == pytest.approx(figures[one].item(), abs=1e-6)


def test_twelve_megapixels_cost_a_few_passes_over_them() -> None:
    """A bound in seconds would be one of a machine; a plain mean squared error of three channels is one pass."""
    original = torch.rand(1, 3, 3000, 4000)
    restored = original.flip(3)

    def seconds(work: Callable[[], torch.Tensor]) -> float:
        began = time.process_time()
        work()
        return time.process_time() - began

    measured = min(seconds(lambda: psnr_y(restored, original, 4)) for _ in range(4))
    assert measured < 5 * min(seconds(lambda: (restored - original).square().mean()) for _ in range(4))  # 2.4 when it was written
