"""The networks of CFG-GAN on images (Johnson and Zhang 2018, section 4.1 and the authors' code): DCGANx, and a fully connected generator.

``cfggan.py`` has the method, which trains them; it keeps discriminators of the past as vectors (``weights_of``, ``named``).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from paperzoo.papers.gan.gan import ToyNetwork


class Generator(nn.Module):
    """Noise (N, latent) to images (N, channels, S, S) in [-1, 1]: DCGAN with a 1x1 convolution after each 5x5 one ("DCGANx").

    ``width * S / 8`` maps of 4x4, then transposed convolutions that double the side and halve the maps down to ``width``.
    """

    def __init__(self, image_size: int, channels: int, latent: int, width: int, normalise: bool) -> None:
        super().__init__()
        self.first = now = width * image_size // 8
        self.project = nn.Linear(latent, self.first * 16)
        layers: list[nn.Module] = [nn.ReLU()]
        while now > width:
            now //= 2
            layers += [nn.ConvTranspose2d(2 * now, now, 5, 2, 2, 1, bias=not normalise), *normed(now, normalise), nn.ReLU()]
            layers += [nn.Conv2d(now, now, 1, bias=not normalise), *normed(now, normalise), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.ConvTranspose2d(now, channels, 5, 2, 2, 1), nn.Tanh())
        self.apply(init)

    def forward(self, z: Tensor) -> Tensor:
        image: Tensor = self.body(self.project(z).view(-1, self.first, 4, 4))  # (N, channels, S, S)
        return image


class Discriminator(nn.Module):
    """Images (N, channels, S, S) in [-1, 1] to logits (N): strided 5x5 convolutions down to 4x4, each but the first with a 1x1 one."""

    def __init__(self, image_size: int, channels: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 5, 2, 2), nn.LeakyReLU(0.2)]
        now, side = width, image_size // 2
        while side > 4:
            now, side = 2 * now, side // 2
            layers += [nn.Conv2d(now // 2, now, 5, 2, 2), nn.LeakyReLU(0.2), nn.Conv2d(now, now, 1), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*layers)
        self.score = nn.Linear(now * 16, 1)
        self.apply(init)

    def forward(self, image: Tensor) -> Tensor:
        logit: Tensor = self.score(self.body(image).flatten(1))[:, 0]  # (N)
        return logit


class FullyConnected(nn.Module):
    """Noise (N, latent) to images (N, *shape) in [-1, 1]: two hidden ReLU layers of ``width`` units."""

    def __init__(self, shape: tuple[int, ...], latent: int, width: int) -> None:
        super().__init__()
        self.shape = shape
        self.body = nn.Sequential(ToyNetwork(latent, math.prod(shape), width), nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        image: Tensor = self.body(z).view(-1, *self.shape)  # (N, C, S, S)
        return image


def normed(maps: int, normalise: bool) -> list[nn.Module]:
    """Batch normalisation, or nothing."""
    return [nn.BatchNorm2d(maps)] if normalise else []


def init(module: nn.Module) -> None:
    """Convolutions from N(0, 0.01^2), linear layers by He's rule, biases zero (authors' code)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.01)
    elif isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight)
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def weights_of(network: nn.Module) -> Tensor:
    """All floating-point parameters and statistics, one vector (P)."""
    return torch.cat([v.flatten() for v in network.state_dict().values() if v.is_floating_point()])


def named(network: nn.Module, weights: Tensor) -> dict[str, Tensor]:
    """The inverse of ``weights_of``: a vector (P) as tensors by name, in the network's shapes."""
    state = {name: v for name, v in network.state_dict().items() if v.is_floating_point()}
    parts = torch.split(weights, [v.numel() for v in state.values()])
    return {name: part.view(v.shape) for (name, v), part in zip(state.items(), parts, strict=True)}
