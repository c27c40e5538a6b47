"""WaveGAN: raw sound from an adversarial pair of one-dimensional convolutions (Donahue, McAuley and Puckette 2018).

DCGAN, flattened: 5x5 filters become filters of 25 samples, a doubling of both sides becomes four times the length, so that
16 -> 64 -> 256 -> 1024 -> 4096 -> 16384 samples, a second at 16 kHz, take as many layers as 64x64 pixels (tables 3 and 4). Nothing is
normalised, and the pair trains as in WGAN-GP: with the critic f, samples x and x^ between sample and fake,

    L_D = E f(G(z)) - E f(x) + 10 E (||grad f(x^)||_2 - 1)^2,        L_G = -E f(G(z)).

Transposed convolutions leave a tone of their own at a fixed phase, by which a critic could tell fakes without listening. **Phase
shuffle** (section 3.3) takes that away: behind each layer of the critic but the last, every sample's maps are moved along time by a
whole number drawn from -n..n, the same for all its channels, and what moved out is filled in by reflection:

    y[t] = h[reflect(t - m)],   m ~ U{-n, ..., n}.

Read ``PhaseShuffle`` first, then ``Critic``; the training is ``paperzoo read wgan_gp``.
"""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn
from torch.optim import Adam

from paperzoo.data import Batch
from paperzoo.nn.average import Average
from paperzoo.nn.schedules import linear_decay
from paperzoo.papers.gan.wgan_gp import WassersteinGAN
from paperzoo.ranges import Count, NotNegative, Part, Share, Size
from paperzoo.records import Recipe, Target
from paperzoo.tasks.model import Optimizers
from paperzoo.tasks.sound_generation import Length, SoundGenerator


class PhaseShuffle(nn.Module):
    """Moves each sample's maps (N, C, T) along time by a number of its own from -n..n; reflected at both ends (section 3.3)."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n

    def forward(self, h: Tensor) -> Tensor:
        if not self.n or not self.training:
            return h
        return shifted(h, torch.randint(-self.n, self.n + 1, (len(h),), device=h.device))


def shifted(h: Tensor, by: Tensor) -> Tensor:
    """Maps (N, C, T), sample i later by ``by[i]`` steps, int64 (N), fewer than T; reflected at the first and the last step."""
    last = h.shape[2] - 1
    source = torch.arange(last + 1, device=h.device) - by[:, None]  # (N, T): where each step comes from
    source = last - (last - source.abs()).abs()  # -1 is 1, T is T - 2
    return h.gather(2, source[:, None].expand_as(h))


def strides(length: int) -> list[int]:
    """From 16 steps to ``length``: layers of stride 4, and a last one of stride 2 where these do not end there."""
    doublings = (length // 16).bit_length() - 1
    return [4] * (doublings // 2) + [2] * (doublings % 2)


def padding(stride: int) -> int:
    """By which filters of 25 make exactly ``1 / stride`` of the length; transposed ones, with one more at the end, ``stride`` times."""
    return (26 - stride) // 2


class Generator(nn.Module):
    """Noise (N, latent) to sound (N, channels, length) in [-1, 1]; table 3.

    A dense layer to 16 steps, then transposed convolutions that halve the channels down to ``width``: 1024-512-256-128-64 for 16,384
    samples and width 64.
    """

    def __init__(self, length: int, channels: int, latent: int, width: int) -> None:
        super().__init__()
        along = strides(length)
        now = self.first = width * 2 ** (len(along) - 1)
        self.project = nn.Linear(latent, self.first * 16)
        layers: list[nn.Module] = [nn.ReLU()]
        for number, stride in enumerate(along, 1):
            wide = channels if number == len(along) else now // 2
            layers += [nn.ConvTranspose1d(now, wide, 25, stride, padding(stride), 1), nn.ReLU()]
            now = wide
        self.body = nn.Sequential(*layers[:-1], nn.Tanh())
        self.apply(init)

    def forward(self, z: Tensor) -> Tensor:
        h = self.project(z).view(-1, self.first, 16)  # (N, first, 16)
        sound: Tensor = self.body(h)  # (N, channels, length)
        return sound


class Critic(nn.Module):
    """Sound (N, channels, length) in [-1, 1] to values (N): strided convolutions down to 16 steps, then one linear unit; table 4.

    Phase shuffle by up to ``shuffle`` steps stands behind each but the last of them.
    """

    def __init__(self, length: int, channels: int, width: int, shuffle: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        now, wide = channels, width
        for stride in reversed(strides(length)):
            layers += [nn.Conv1d(now, wide, 25, stride, padding(stride)), nn.LeakyReLU(0.2), PhaseShuffle(shuffle)]
            now, wide = wide, wide * 2
        self.body = nn.Sequential(*layers[:-1])
        self.score = nn.Linear(now * 16, 1)
        self.apply(init)

    def forward(self, sound: Tensor) -> Tensor:
        h = self.body(sound)  # (N, width * 2 ** (layers - 1), 16)
        value: Tensor = self.score(h.flatten(1))[:, 0]  # (N)
        return value


def init(module: nn.Module) -> None:
    """Glorot's uniform weights, biases 0: the authors' library's, as the paper names none."""
    if isinstance(module, nn.Conv1d | nn.ConvTranspose1d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class Model(WassersteinGAN, SoundGenerator):
    """Generator and critic.

    Args:
        length: samples of a sound, a power of two.
        rate: samples a second; training does not need it, and who listens does.
        channels: 1, or 2 for stereo.
        latent: dimensions of the noise, uniform in [-1, 1].
        width: d, channels of the layer next to the sound.
        shuffle: n of the phase shuffle; 0 for none.
        penalty: lambda; critic_steps: the critic's steps for each of the generator.
        average: decay of the weights' moving average that samples are taken from; 0 for none.
    """

    prior = "uniform"

    def __init__(
        self,
        *,
        length: Length = 16_384,
        rate: Size = 16_000,
        channels: Size = 1,
        latent: Size = 100,
        width: Size = 64,
        shuffle: Annotated[int, Ge(0), Le(32)] = 2,
        penalty: NotNegative = 10.0,
        critic_steps: Count = 5,
        average: Part = 0.0,
    ) -> None:
        super().__init__()
        self.length, self.rate, self.channels, self.latent = length, rate, channels, latent
        self.penalty, self.critic_steps = penalty, critic_steps
        self.generator = Generator(length, channels, latent, width)
        self.critic = Critic(length, channels, width, shuffle)
        self.average = Average(self.generator, average) if average else None

    def optimizers(
        self, *, lr: NotNegative = 1e-4, beta1: Part = 0.5, beta2: Part = 0.9, decay_from: Share = 1.0
    ) -> Optimizers:
        """Adam for both (table 7), at a constant rate up to ``decay_from`` of all steps, then linearly to zero."""
        fall = linear_decay(decay_from)
        return {
            "critic": (Adam(self.critic.parameters(), lr, (beta1, beta2)), fall),
            "generator": (Adam(self.generator.parameters(), lr, (beta1, beta2)), fall),
        }

    def real(self, batch: Batch) -> Tensor:
        """The sounds as they are, (N, C, T) in [-1, 1]."""
        sound: Tensor = batch.audio
        return sound

    def generate(self, z: Tensor) -> Tensor:
        network = self.generator if self.average is None else self.average
        sound: Tensor = network(z)
        return sound


VARIANTS: dict[str, dict[str, object]] = {"wavegan": {}, "unshuffled": {"shuffle": 0}}

_CONTROLS = Target("inception score over controls[zoo-sounds]", at_least=0)
RECIPES = {
    "paper": Recipe(
        data="sc09",
        steps=1_000_000,
        batch_size=64,
        judge="zoo-sounds",
        note="200,000 steps of the generator (section 5.1), five of the critic for each",
    ),
    "small": Recipe(
        data="spoken-digits-4k",
        steps=1800,
        batch_size=32,
        model={"width": 16, "critic_steps": 2, "average": 0.99},
        optimizer={"lr": 1e-3, "decay_from": 0.3},
        judge="zoo-sounds",
        targets=(_CONTROLS,),
        note="half a second at 4,000 Hz",
    ),
    "small-drums": Recipe(
        data="drums-4k",
        steps=1800,
        batch_size=32,
        model={"width": 16, "critic_steps": 2, "average": 0.99},
        optimizer={"lr": 1e-3, "decay_from": 0.3},
        targets=(Target("nearest below 1st percentile %", at_most=10),),
        note="half a second at 4,000 Hz",
    ),
    "small-sines": Recipe(
        data="sine-mixtures",
        steps=2500,
        batch_size=32,
        model={"width": 12, "critic_steps": 4, "average": 0.98},
        optimizer={"lr": 1e-3, "decay_from": 0.3},
        targets=(Target("peak within a bin %", at_least=80), Target("frequencies", at_least=4)),
    ),
    "small-long": Recipe(
        data="spoken-digits-4k",
        steps=14_000,
        batch_size=32,
        model={"width": 24, "critic_steps": 2, "average": 0.995},
        optimizer={"lr": 1e-3, "decay_from": 0.3},
        judge="zoo-sounds",
        targets=(_CONTROLS,),
        variants=("wavegan",),
        note="as small, for the better part of an hour",
    ),
    "smoke": Recipe(
        data="sine-mixtures",
        steps=60,
        batch_size=16,
        model={"width": 4, "latent": 8, "average": 0.9},
        optimizer={"lr": 1e-3},
        precision="float32",
    ),
}
