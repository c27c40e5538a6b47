"""MATLAB's bicubic resizing: the kernel's published values, ramps by hand, a plain loop, and where other libraries differ."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from paperzoo.data.bicubic import check_scale, eight_bits, enlarge, imresize, kernel, mod_crop, shrink, weights
from paperzoo.errors import PaperzooError

TWICE = [-0.0234375, 0.2265625, 0.8671875, -0.0703125]  # Keys' kernel, a = -0.5, at 1.75, 0.75, 0.25 and 1.25
HALF = [-0.01171875, -0.03515625, 0.11328125, 0.43359375, 0.43359375, 0.11328125, -0.03515625, -0.01171875]


def line(values: torch.Tensor, across: bool) -> torch.Tensor:
    """An image (1, 1, 12, n) or (1, 1, n, 12) that changes along one side alone."""
    image = values.expand(1, 1, 12, -1)
    return image if across else image.transpose(2, 3)


def test_kernel_has_its_published_values() -> None:
    assert kernel(np.array([0, 0.5, 1, 1.5, 2, 2.5, -0.5])).tolist() == [1, 0.5625, 0, -0.0625, 0, 0, 0.5625]
    share, places = weights(Fraction(2))
    assert share[0][share[0] != 0].tolist() == TWICE and places[0][share[0] != 0].tolist() == [-2, -1, 0, 1]
    assert share[1][share[1] != 0].tolist() == TWICE[::-1] and places[1][share[1] != 0].tolist() == [-1, 0, 1, 2]
    share, places = weights(Fraction(1, 2))
    assert share[0][share[0] != 0].tolist() == HALF and places[0][share[0] != 0].tolist() == list(range(-3, 5))


@pytest.mark.parametrize("across", [True, False])
def test_a_point_is_spread_by_the_kernel_and_a_ramp_goes_on(across: bool) -> None:
    point = torch.zeros(16)
    point[8] = 1
    found = imresize(line(point, across), 2)
    found = found[0, 0, 12] if across else found[0, 0, :, 12]
    spread = [TWICE[0], TWICE[3], TWICE[1], TWICE[2], TWICE[2], TWICE[1], TWICE[3], TWICE[0]]
    assert torch.allclose(found[13:21], torch.tensor(spread), atol=1e-7) and found[:13].abs().max() < 1e-7 > found[21:].abs().max()
    ramp = torch.arange(16.0)
    for scale, first in ((Fraction(2), -0.09375), (Fraction(1, 2), 0.44921875)):
        found = imresize(line(ramp, across), scale)
        found = found[0, 0, 2] if across else found[0, 0, :, 2]
        places = (torch.arange(len(found)) + 0.5) / float(scale) - 0.5
        inside = (places >= 4) & (places <= 11)
        assert inside.any() and torch.allclose(found[inside], places[inside], atol=1e-5)
        assert found[0].item() == pytest.approx(first, abs=1e-6)  # mirrored: 1 0 | 0 1 2
        assert found[-1].item() == pytest.approx(15 - first, abs=1e-5)


def plainly(image: np.ndarray, scale: Fraction) -> np.ndarray:
    """One channel (H, W), pixel by pixel."""
    for axis in (0, 1):
        lines = np.moveaxis(image, axis, 0)
        out, wide = [], max(1.0, 1 / float(scale))
        for place in (np.arange(ceil(len(lines) * scale)) + 0.5) / float(scale) - 0.5:
            near = np.arange(int(place - 2 * wide) - 2, int(place + 2 * wide) + 3)
            share = kernel((place - near) / wide)
            turned = near % (2 * len(lines))
            there = np.where(turned < len(lines), turned, 2 * len(lines) - 1 - turned)
            out.append(np.tensordot(share / share.sum(), lines[there], 1))
        image = np.moveaxis(np.array(out), 0, axis)
    return image


@pytest.mark.parametrize("scale", [2, 3, 4, Fraction(1, 2), Fraction(1, 3), Fraction(1, 4), Fraction(3, 2), Fraction(5, 7)], ids=str)
def test_resizing_against_a_plain_loop(scale: Fraction) -> None:
    for size in ((31, 47), (128, 65), (3, 5), (1, 2)):
        image = torch.rand(2, 3, *size)
        found, wanted = imresize(image, scale), plainly(image[1, 2].double().numpy(), Fraction(scale))
        assert found.dtype == torch.float32 and found.shape == (2, 3, ceil(size[0] * scale), ceil(size[1] * scale))
        assert np.allclose(found[1, 2].numpy(), wanted, atol=3e-6)
    assert imresize(image[0, 0], 2).shape == (2, 4)


@pytest.mark.parametrize("scale", [2, 3, 4, Fraction(1, 2), Fraction(1, 3), Fraction(1, 4)], ids=str)
def test_other_libraries_agree_inside_and_not_at_the_border(scale: Fraction) -> None:
    image = torch.rand(1, 1, 96, 120)
    found = imresize(image, scale)
    size = found.shape[2:]
    pillow = np.asarray(Image.fromarray(image[0, 0].numpy()).resize(size[::-1], Image.Resampling.BICUBIC))
    border = ceil(2 * max(1, scale))  # as far as the kernel reaches, in new pixels
    for other in (torch.from_numpy(pillow.copy())[None, None], F.interpolate(image, size, mode="bicubic", antialias=True)):
        apart = (found - other).abs()
        assert apart[..., border:-border, border:-border].max() < 1e-4
        assert apart.max() > 0.01


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_torchs_plain_bicubic_is_another_everywhere(scale: int) -> None:
    image = torch.rand(1, 1, 48, 48)
    wrong = F.interpolate(imresize(image, Fraction(1, scale)), scale_factor=scale, mode="bicubic")
    assert (enlarge(imresize(image, Fraction(1, scale)), scale) - wrong).abs()[..., 12:-12, 12:-12].max() > 0.01
    wrong = F.interpolate(image, scale_factor=1 / scale, mode="bicubic")
    assert (imresize(image, Fraction(1, scale)) - wrong).abs()[..., 4:-4, 4:-4].max() > 0.1


def test_the_small_image_is_cut_to_the_scale_and_kept_in_8_bits() -> None:
    image = torch.rand(1, 3, 25, 34)
    assert [tuple(mod_crop(image, s).shape[2:]) for s in (2, 3, 4)] == [(24, 34), (24, 33), (24, 32)]
    assert torch.equal(mod_crop(image, 3), image[..., :24, :33])
    small, exact = shrink(mod_crop(image, 3), 3), shrink(mod_crop(image, 3), 3, rounded=False)
    levels = small * 255
    assert torch.allclose(levels, levels.round(), atol=1e-4) and 0 < (small - exact).abs().max() <= 0.5 / 255 + 1e-6
    bright = shrink((torch.arange(24) // 6 % 2).float().expand(1, 1, 24, 24), 2, rounded=False)
    assert bright.min() >= 0 and bright.max() <= 1  # the kernel overshoots, an image does not
    assert eight_bits(torch.tensor([-1.0, 0.5, 0.1, 2.0])).mul(255).tolist() == pytest.approx([0, 128, 26, 255])
    with pytest.raises(PaperzooError, match="25x34 is no multiple of 2: cut it by mod_crop"):
        shrink(image, 2)
    with pytest.raises(PaperzooError, match="x: scale 5 is not among 2, 3, 4"):
        check_scale(5, "x")
    with pytest.raises(PaperzooError, match="positive scale, not 0"):
        imresize(image, 0)


def test_gradients_and_halves_of_a_batch() -> None:
    image = torch.rand(3, 2, 9, 8, requires_grad=True)
    imresize(image, 2).sum().backward()
    assert image.grad is not None and torch.allclose(image.grad.sum(), torch.tensor(3 * 2 * 18 * 16.0), rtol=1e-4)
    assert torch.allclose(imresize(image, 2)[1:2], imresize(image[1:2], 2), atol=1e-6)
