"""Wrong versions of how super-resolution is measured. No network stands behind them: the smoke run shows that nothing else breaks."""

from __future__ import annotations

from fractions import Fraction

import torch
import torch.nn.functional as F

from wrong.errors import Wrong


def rgb_instead_of_luma(image):
    return image


def torchs_plain_bicubic(image, scale):
    flat = image.reshape(-1, 1, *image.shape[-2:])
    out = F.interpolate(flat, scale_factor=float(Fraction(scale)), mode="bicubic")
    return out.reshape(*image.shape[:-2], *out.shape[-2:])


def border_of_the_antialiased(image, scale):
    flat = image.reshape(-1, 1, *image.shape[-2:])
    out = F.interpolate(flat, [-int(-side * scale // 1) for side in image.shape[-2:]], mode="bicubic", antialias=True)
    return out.reshape(*image.shape[:-2], *out.shape[-2:])


def whole_picture(image, border):
    return torch.as_tensor(image)


WRONG = [
    Wrong("RGB instead of luminance", {"metrics.restoration.luma": rgb_instead_of_luma}, "lenet",
          "metrics.test_restoration_metrics:test_figures_are_of_the_luminance"),
    Wrong("torch's plain bicubic", {"data.bicubic.imresize": torchs_plain_bicubic}, "lenet",
          "data.test_bicubic:test_a_point_is_spread_by_the_kernel_and_a_ramp_goes_on", {"across": True}),
    Wrong("a border that is not mirrored", {"data.bicubic.imresize": border_of_the_antialiased}, "lenet",
          "data.test_bicubic:test_a_point_is_spread_by_the_kernel_and_a_ramp_goes_on", {"across": False}),
    Wrong("the border counted", {"metrics.restoration.without_border": whole_picture}, "lenet",
          "metrics.test_restoration_metrics:test_the_border_and_what_8_bits_cannot_tell_count_nothing"),
]  # fmt: skip
