"""The radial power spectrum, held against NumPy, waves of known frequency, noise and ramps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from paperzoo.metrics.spectrum import power_above, power_spectrum, radial_power


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def wave(height: int, width: int, down: float, across: float) -> Tensor:
    """Of amplitude 1, with so many cycles a pixel."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.cos(2 * torch.pi * (down * rows + across * columns))[None, None]


@pytest.mark.parametrize(("height", "width"), [(16, 25), (7, 4), (1, 9), (2, 2)])
def test_spectrum_by_numpy(height: int, width: int) -> None:
    images = noise(2, 1, height, width) + 3
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    frequency, power = power_spectrum(images)
    for image, found in zip(images[:, 0].double().numpy(), power, strict=True):
        free = (image - (image * window).sum() / window.sum()) * window
        assert np.allclose(found, np.abs(np.fft.fft2(free)) ** 2 / (window**2).sum(), atol=1e-9)
        assert found.mean().item() == pytest.approx((free**2).sum() / (window**2).sum(), abs=1e-9)  # Parseval
    by_hand = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    assert np.allclose(frequency, by_hand) and power.dtype == torch.float64


@pytest.mark.parametrize(("down", "across"), [(0.2, 0.0), (0.0, -0.3), (0.12, 0.16), (0.4, 0.4)])
def test_a_wave_lies_at_its_frequency_along_any_direction(down: float, across: float) -> None:
    image, at = wave(100, 140, down, across), np.hypot(down, across)
    assert power_above(image, at - 0.03).item() == pytest.approx(0.5, rel=0.01)  # the mean square of a cosine
    assert power_above(image, at + 0.03).item() < 5e-5
    if at < 0.5:
        frequency, power = radial_power(image, 25)
        assert abs(float(frequency[power[0].argmax()]) - at) < 0.011


def test_white_noise_has_its_variance_at_every_frequency() -> None:
    frequency, power = radial_power(3 * noise(8, 1, 64, 96), 16)
    assert frequency.tolist() == pytest.approx([(i + 0.5) / 32 for i in range(16)])
    assert power[:, 1:].mean(0).tolist() == pytest.approx([9.0] * 15, rel=0.15)
    share = 1 - torch.pi * 0.25**2  # of all frequencies, how many are above a quarter
    assert power_above(3 * noise(8, 1, 64, 96), 0.25).mean().item() == pytest.approx(9 * share, rel=0.03)


def test_brightness_counts_nothing_contrast_twice_and_borders_little() -> None:
    image = noise(1, 1, 40, 40) / 10
    base = power_above(image, 0.25)
    assert torch.allclose(power_above(image + 0.5, 0.25), base) and torch.allclose(power_above(2 * image, 0.25), 4 * base)
    ramp = torch.linspace(0, 1, 100).expand(1, 1, 100, 100)
    plain = torch.fft.fft2(ramp[0, 0]).abs().square()[:, 26:75].sum() / 100**4  # as if it went on from its left border
    assert power_above(ramp, 0.25).item() < 1e-4 * float(plain)


def test_each_image_counts_alone_and_colours_are_refused() -> None:
    images = noise(3, 1, 12, 20)
    assert torch.equal(power_above(images, 0.2), torch.cat([power_above(images[i : i + 1], 0.2) for i in range(3)]))
    assert torch.isnan(radial_power(images[..., :1, :2])[1]).any() and power_above(images[..., :1, :1], 0.1).tolist() == [0] * 3
    with pytest.raises(ValueError, match=r"one channel wanted, not \(1, 3, 4, 4\)"):
        power_above(torch.zeros(1, 3, 4, 4), 0.1)
