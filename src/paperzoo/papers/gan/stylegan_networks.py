"""StyleGAN's generator: a mapping network, and a synthesis network that it styles at every layer (Karras et al. 2018, figure 1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paperzoo.nn.equalized import EqualConv2d, EqualLinear
from paperzoo.papers.gan.progan import pixel_norm, rectified


class Mapping(nn.Module):
    """f: Z -> W, eight fully connected layers at a hundredth of the rate (appendix C); (N, latent) -> (N, latent)."""

    def __init__(self, latent: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EqualLinear(latent, latent, rate=0.01) for _ in range(depth))

    def forward(self, z: Tensor) -> Tensor:
        w = pixel_norm(z)
        for layer in self.layers:
            w = rectified(layer(w))
        return w


class Layer(nn.Module):
    """The operations after a convolution, or the constant: noise, bias, leaky ReLU, and a style (Eq. 1) or pixel norm.

    Args:
        noise: whether each pixel gets noise, one map for all channels, times a weight of each channel that begins at 0.
        style: dimensions of w; 0 for ProGAN's pixel norm.
    """

    def __init__(self, channels: int, side: int, noise: bool, style: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))
        self.strength = nn.Parameter(torch.zeros(channels, 1, 1)) if noise else None
        self.affine = EqualLinear(style, 2 * channels, gain=1.0) if style else None
        self.side = side

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        """x (N, C, s, s), w (N, latent), noise (N or 1, 1, s, s) or none."""
        if self.strength is not None and noise is not None:
            x = x + self.strength * noise
        x = rectified(x + self.bias)
        return pixel_norm(x) if self.affine is None else adain(x, self.affine(w))


def adain(x: Tensor, style: Tensor) -> Tensor:
    """``y_s (x - mu(x)) / sigma(x) + y_b`` for each map of each picture (Eq. 1), x (N, C, H, W), style (N, 2 C): y_s - 1, then y_b."""
    scale, shift = style[:, :, None, None].chunk(2, 1)  # (N, C, 1, 1)
    return (1 + scale) * F.instance_norm(x, eps=1e-8 if x.dtype == torch.float32 else 1e-5) + shift


def up(x: Tensor) -> Tensor:
    """Twice the side, bilinear: each pixel four times, then the filter [1, 2, 1] / 4 across and down (section 2)."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear")


def halved(x: Tensor) -> Tensor:
    """Half the side after the filter [1, 2, 1] / 4: together [1, 3, 3, 1] / 8 across and down; pixels of the border are repeated."""
    across = torch.tensor([1, 3, 3, 1], dtype=x.dtype, device=x.device) / 8
    kernel = (across[:, None] * across).expand(x.shape[1], 1, 4, 4)
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, stride=2, groups=x.shape[1])


class Synthesis(nn.Module):
    """g: styles to images (N, channels, s, s), s = 4 * 2^level, growing as ProGAN's generator does.

    Args:
        wide: channels of each level, 4x4 first.
        style: dimensions of w, if styles enter; else 0.
        constant: begins with learnt 4x4 pixels; else with a layer that sees the first style.
        noise: see ``Layer``.
    """

    def __init__(self, wide: Sequence[int], channels: int, latent: int, style: int, constant: bool, noise: bool) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.ones(1, wide[0], 4, 4)) if constant else None
        self.project = None if constant else EqualLinear(latent, wide[0] * 16, bias=False, gain=2**0.5 / 4)
        before = [wide[0], *[number for number in wide for _ in (0, 1)][1:-1]]  # into each convolution: at 4x4 one, at others two
        after = [number for number in wide for _ in (0, 1)][1:]
        pairs = zip(before, after, strict=True)
        self.convolutions = nn.ModuleList(EqualConv2d(a, b, 3, bias=False) for a, b in pairs)  # biases stand behind the noise
        sides = [4 * 2 ** (number // 2) for number in range(2 * len(wide))]
        self.layers = nn.ModuleList(Layer(c, s, noise, style) for c, s in zip([wide[0], *after], sides, strict=True))
        self.to_image = nn.ModuleList(EqualConv2d(number, channels, 1, gain=1.0) for number in wide)
        for number, side in enumerate(sides if noise else ()):  # what every picture gets where nothing is to be left to chance
            self.register_buffer(f"noise{number}", torch.randn(1, 1, side, side))

    def forward(
        self, w: Tensor, level: int, alpha: float = 1.0, chance: bool = True, loud: Sequence[float] | None = None
    ) -> Tensor:
        """Images of styles.

        Args:
            w: (N, layers, latent), a style for each of the ``2 level + 2`` layers; the bottom sees the first where it is not constant.
            chance: noise is drawn for each picture; else it is the same maps for all.
            loud: a factor on the noise of each layer.
        """
        if self.project is not None:
            x = self.project(w[:, 0]).view(len(w), -1, 4, 4)  # (N, 16 C) -> (N, C, 4, 4)
        else:
            assert self.constant is not None
            x = self.constant.expand(len(w), -1, -1, -1)
        before = x
        for number in range(2 * level + 2):
            if number:
                if number % 2 == 0:  # the first convolution of a level
                    before, x = x, up(x)
                x = self.convolutions[number - 1](x)
            noise = self.noise(number, len(w), chance, x)
            x = self.layers[number](x, w[:, number], noise if loud is None or noise is None else loud[number] * noise)
        image: Tensor = self.to_image[level](x)
        return image if alpha >= 1 or not level else torch.lerp(up(self.to_image[level - 1](before)), image, alpha)

    def noise(self, number: int, items: int, chance: bool, like: Tensor) -> Tensor | None:
        """Of a layer, (items, 1, s, s) or (1, 1, s, s)."""
        fixed: Tensor | None = getattr(self, f"noise{number}", None)
        if fixed is None or not chance:
            return fixed
        return torch.randn(items, 1, *fixed.shape[2:], device=like.device, dtype=like.dtype)
