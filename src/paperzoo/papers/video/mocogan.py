"""MoCoGAN: a video is one content and a motion, a path in a space of its own (Tulyakov, Liu, Yang and Kautz 2017).

What a clip shows is one vector, drawn once and the same in all frames; what happens is a sequence of vectors that a recurrent
network makes from fresh noise at each frame. A generator of *images* turns each pair of them into a frame (section 3, figure 2):

    x_k = G_I(z_C, z_M^k),    z_M^k = R_M(eps_k, z_M^(k-1)),    z_C ~ N(0, I) once a clip,    eps_k ~ N(0, I) each frame.

Two critics judge: D_I single frames S_1(v), drawn at random, D_V clips S_T(v) of T frames, which alone see motion. The game is

    max over G_I, R_M   min over D_I, D_V   of   - E log D_I(S_1(v)) - E log(1 - D_I(S_1(v~)))
                                                 - E log D_V(S_T(v)) - E log(1 - D_V(S_T(v~)))      (Eq. 3)

up to which loss the generator has. With a category z_A of the motion (section 3.3) R_M is fed [z_A, eps_k], and D_V has a second
answer Q, which kind of motion it sees; lambda L_I, Q's log-likelihood of z_A, is added for G_I and R_M. Read ``Generator.forward``
first, where content and motion part, then ``Model.step``.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

from paperzoo.data import Batch
from paperzoo.errors import PaperzooError
from paperzoo.nn.average import Average
from paperzoo.nn.schedules import linear_decay
from paperzoo.ranges import Count, NotNegative, Part, Several, Share, Side, Size
from paperzoo.records import Recipe, Target
from paperzoo.tasks.model import Optimizers, Players
from paperzoo.tasks.video_generation import ConditionalVideoGenerator, VideoGenerator


class Generator(nn.Module):
    """R_M and G_I: latent vectors (N, content + motion + T noise) to clips (N, channels, T, S, S) in [-1, 1].

    R_M is one layer of gated recurrent units, whose state is z_M; the state before the first frame is drawn with the noise. G_I
    is DCGAN's generator of 4x4 kernels: 512-256-128-64 channels for S = 64 and width 64.
    """

    def __init__(self, image_size: int, channels: int, content: int, motion: int, noise: int, categories: int, width: int) -> None:
        super().__init__()
        self.content, self.motion, self.noise, self.categories = content, motion, noise, categories
        self.recurrent = nn.GRU(noise + categories, motion, batch_first=True)
        now = width * image_size // 8
        layers: list[nn.Module] = [nn.ConvTranspose2d(content + motion, now, 4, bias=False), nn.BatchNorm2d(now), nn.ReLU()]
        while now > width:
            layers += [nn.ConvTranspose2d(now, now // 2, 4, 2, 1, bias=False), nn.BatchNorm2d(now // 2), nn.ReLU()]
            now //= 2
        self.image = nn.Sequential(*layers, nn.ConvTranspose2d(now, channels, 4, 2, 1, bias=False), nn.Tanh())

    def forward(self, z: Tensor, category: Tensor | None = None) -> Tensor:
        fixed = self.content + self.motion
        content, start, eps = z[:, : self.content], z[:, self.content : fixed], z[:, fixed:].view(len(z), -1, self.noise)
        if category is not None:  # (N), the same motion all along
            one_hot = F.one_hot(category, self.categories).to(eps.dtype)[:, None].expand(-1, eps.shape[1], -1)
            eps = torch.cat([one_hot, eps], 2)  # (N, T, categories + noise)
        path, _ = self.recurrent(eps, start[None].contiguous())  # z_M (N, T, motion)
        code = torch.cat([self.spread(content, eps.shape[1]), path], 2).flatten(0, 1)  # (N T, content + motion)
        frames: Tensor = self.image(code[:, :, None, None])  # (N T, C, S, S)
        return frames.view(len(z), -1, *frames.shape[1:]).transpose(1, 2)  # (N, C, T, S, S)

    def spread(self, content: Tensor, frames: int) -> Tensor:
        """z_C (N, content), one for all frames: (N, T, content)."""
        return content[:, None].expand(-1, frames, -1)


class Noise(nn.Module):
    """Adds noise N(0, deviation^2) to what a layer of a critic is given (authors' code)."""

    def __init__(self, deviation: float) -> None:
        super().__init__()
        self.deviation = deviation

    def forward(self, x: Tensor) -> Tensor:
        if not self.deviation or not self.training:
            return x
        return x + self.deviation * torch.randn(x.shape, device=x.device)  # randn_like is many times slower where x is no flat memory


class ImageCritic(nn.Module):
    """D_I: images (N, channels, S, S) in [-1, 1] to logits of their patches (N, 4, 4): convolutions of stride 2 from S to 4."""

    def __init__(self, image_size: int, channels: int, width: int, noise: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs, outputs, side = channels, width, image_size
        while side > 8:
            layers += [Noise(noise), nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False)]
            layers += [nn.BatchNorm2d(outputs)] if inputs != channels else []
            layers.append(nn.LeakyReLU(0.2))
            inputs, outputs, side = outputs, 2 * outputs, side // 2
        self.body = nn.Sequential(*layers, Noise(noise), nn.Conv2d(inputs, 1, 4, 2, 1, bias=False))

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.body(image)[:, 0]  # (N, 4, 4)
        return logits


class Judgement(NamedTuple):
    """The video critic's outputs for clips: ``source``, a logit (N), and Q's logits of the category (N, categories)."""

    source: Tensor
    category: Tensor


class VideoCritic(nn.Module):
    """D_V with Q: clips (N, channels, T, S, S) in [-1, 1] to a ``Judgement``.

    4x4x4 convolutions halve the side, each seeing four frames and leaving three fewer; the last one sees all that is left.
    """

    def __init__(self, image_size: int, channels: int, frames: int, categories: int, width: int, noise: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs, outputs, side = channels, width, image_size
        while side > 4:
            layers += [Noise(noise), nn.Conv3d(inputs, outputs, 4, (1, 2, 2), (0, 1, 1), bias=False)]
            layers += [nn.BatchNorm3d(outputs)] if inputs != channels else []
            layers.append(nn.LeakyReLU(0.2))
            inputs, outputs, side, frames = outputs, 2 * outputs, side // 2, frames - 3
        self.body = nn.Sequential(*layers)
        self.answer = nn.Conv3d(inputs, 1 + categories, (frames, 4, 4), bias=False)

    def forward(self, clip: Tensor) -> Judgement:
        answer = self.answer(self.body(clip)).flatten(1)  # (N, 1 + categories)
        return Judgement(answer[:, 0], answer[:, 1:])


def critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """``-E log D(v) - E log(1 - D(v~))`` from logits of any shape: a critic's part of Eq. 3."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(fake: Tensor) -> Tensor:
    """``-E log D(v~)`` from logits: a critic's part of what the generator minimises."""
    return F.softplus(-fake).mean()


class Model(VideoGenerator):
    """The generator and both critics.

    Args:
        image_size: side of the frames, a power of two from 16 to 256.
        frames: T, of a clip that D_V sees.
        every: S_T takes each ``every``-th frame of a video.
        content, motion, noise: dimensions of z_C, z_M and eps.
        width, critic_width: channels of the widest image-sized layers of G_I and of both critics.
        critic_noise: deviation of the noise in the critics' layers.
        average: decay of the weights' moving average that samples are taken from; 0 for none.

    Raises:
        PaperzooError: too few frames for D_V's layers.
    """

    def __init__(
        self, categories: int = 0, *, image_size: Side = 64, channels: Size = 3, frames: Size = 16, every: Count = 1, content: Size = 50,
        motion: Size = 10, noise: Size = 10, width: Size = 64, critic_width: Size = 64, critic_noise: NotNegative = 0.1,
        average: Part = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        least = 3 * ((image_size // 4).bit_length() - 1) + 1
        if frames < least:
            raise PaperzooError(f"model.frames must be at least {least} at {image_size} px (three for each layer of D_V), not {frames}")
        self.frames, self.every, self.content, self.start, self.moving = frames, every, content, motion, noise
        self.generator = Generator(image_size, channels, content, motion, noise, categories, width)
        self.image_critic = ImageCritic(image_size, channels, critic_width, critic_noise)
        self.video_critic = VideoCritic(image_size, channels, frames, categories, critic_width, critic_noise)
        self.average = Average(self.generator, average) if average else None

    def optimizers(
        self, *, lr: NotNegative = 2e-4, lr_critics: NotNegative = 2e-4, beta1: Part = 0.5, weight_decay: NotNegative = 1e-5,
        decay_from: Share = 1.0,
    ) -> Optimizers:  # fmt: skip
        """Adam for all three, at constant rates up to ``decay_from`` of all steps, then linearly to zero."""
        fall, rates = linear_decay(decay_from), {"image_critic": lr_critics, "video_critic": lr_critics, "generator": lr}
        return {n: (Adam(getattr(self, n).parameters(), r, (beta1, 0.999), weight_decay=weight_decay), fall) for n, r in rates.items()}

    def step(self, batch: Batch, opt: Players) -> None:
        real = 2 * self.clip(batch.video, self.every) - 1  # (N, C, T, S, S), [0, 1] -> [-1, 1]
        category = self.category(len(real))
        fake = self.generator(self.draw(len(real)), category)
        image, shown = self.still(real), self.still(fake)  # S_1: (N, C, S, S)
        opt.image_critic.minimize(critic_loss(self.image_critic(image), self.image_critic(shown.detach())))
        on_real, on_fake = self.video_critic(real), self.video_critic(fake.detach())
        opt.video_critic.minimize(critic_loss(on_real.source, on_fake.source) + self.taught(on_real, on_fake, batch, category))
        on_fake = self.video_critic(fake)
        opt.generator.minimize(generator_loss(self.image_critic(shown)) + generator_loss(on_fake.source) + self.told(on_fake, category))
        if self.average is not None:
            self.average.update(self.generator)

    def category(self, items: int) -> Tensor | None:
        """z_A of the clips of a step, int64 (N); ``None`` without categories."""
        return None

    def taught(self, real: Judgement, fake: Judgement, batch: Batch, category: Tensor | None) -> Tensor | float:
        """The loss that Q minimises together with the video critic."""
        return 0.0

    def told(self, fake: Judgement, category: Tensor | None) -> Tensor | float:
        """-lambda L_I, what G_I and R_M minimise beside the game."""
        return 0.0

    def generate(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        network = self.generator if self.average is None else self.average
        clip: Tensor = network(z, label)
        return (clip + 1) / 2


class Categorical(Model, ConditionalVideoGenerator):
    """With z_A, the category of the motion (section 3.3); other arguments as of ``Model``.

    Args:
        classes: its values.
        weight: lambda of L_I.
        labelled: Q learns from the labels of real clips, as the paper has it where there are any; else, as in InfoGAN, from z_A
            of generated ones, so that which motion a category is of is found without being told.
    """

    def __init__(
        self, *, image_size: Side = 64, channels: Size = 3, frames: Size = 16, every: Count = 1, content: Size = 50, motion: Size = 10,
        noise: Size = 10, classes: Several = 4, weight: NotNegative = 1.0, labelled: bool = True, width: Size = 64,
        critic_width: Size = 64, critic_noise: NotNegative = 0.1, average: Part = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(
            classes, image_size=image_size, channels=channels, frames=frames, every=every, content=content, motion=motion, noise=noise,
            width=width, critic_width=critic_width, critic_noise=critic_noise, average=average,
        )  # fmt: skip
        self.classes, self.weight, self.labelled = classes, weight, labelled

    def category(self, items: int) -> Tensor:
        return torch.randint(self.classes, (items,), device=next(self.parameters()).device)

    def taught(self, real: Judgement, fake: Judgement, batch: Batch, category: Tensor | None) -> Tensor:
        assert category is not None
        return F.cross_entropy(real.category, batch.label) if self.labelled else F.cross_entropy(fake.category, category)

    def told(self, fake: Judgement, category: Tensor | None) -> Tensor:
        assert category is not None
        return self.weight * F.cross_entropy(fake.category, category)


VARIANTS: dict[str, dict[str, object]] = {"mocogan": {}, "categorical": {"class": "Categorical"}}

_SMALL = {"image_size": 32, "width": 32, "critic_width": 16, "average": 0.995}
_FALL = {"lr": 6e-4, "lr_critics": 4e-4, "decay_from": 0.5}
_STEADY = (Target("acd excess %", at_most=20), Target("frame change over data", at_least=0.5, at_most=1.5))

RECIPES = {
    "paper": Recipe(
        data="ucf101", steps=100_000, batch_size=32, model={"frames": 16, "every": 2}, variants=("mocogan",),
        note="not run here: the videos must be fetched by hand, and training takes a day on a GPU; the paper gives no number of steps",
    ),
    "paper-shapes": Recipe(data="shape-motion", steps=100_000, batch_size=32, variants=("mocogan",), note="not run here; as above"),
    "small": Recipe(
        data="avatar-expressions", steps=1050, batch_size=16, model=_SMALL, optimizer=_FALL, judge="zoo-motions", variants=("mocogan",),
        targets=(Target("acd excess %[zoo-avatars]", at_most=20), _STEADY[1]),
    ),
    "small-long-shapes": Recipe(
        data="shape-motion", steps=1500, batch_size=16, model=_SMALL, optimizer=_FALL, variants=("mocogan",), targets=_STEADY,
    ),
    "small-categorical": Recipe(
        data="avatar-expressions", steps=1500, batch_size=16, model=_SMALL, optimizer=_FALL, judge="zoo-motions",
        variants=("categorical",),
        targets=(Target("acd excess %[zoo-avatars]", at_most=20), Target("motion as asked %[zoo-motions]", at_least=60)),
    ),
    "smoke": Recipe(
        data="shape-motion", steps=20, batch_size=8, precision="float32", variants=("mocogan",), optimizer={"lr": 1e-3},
        model={"image_size": 16, "frames": 8, "content": 8, "motion": 4, "noise": 4, "width": 8, "critic_width": 8, "average": 0.9},
    ),
}  # fmt: skip
RECIPES = {
    **RECIPES,
    "small-long-shapes-categorical": RECIPES["small-long-shapes"].but(
        variants=("categorical",), targets=(*_STEADY, Target("motion as asked %", at_least=95))
    ),
    "smoke-categorical": RECIPES["smoke"].but(variants=("categorical",)),
}
