"""StyleGAN: a generator that is told by styles, layer by layer, what to draw (Karras, Laine and Aila 2018).

A mapping network f makes w = f(z) of a latent vector; the picture begins with learnt pixels, and after each convolution w, through an
affine map of the layer's own, sets scale y_s and bias y_b of every feature map (figure 1):

    AdaIN(x_i, y) = y_{s,i} (x_i - mu(x_i)) / sigma(x_i) + y_{b,i}.                                             (Eq. 1)

What is left to chance comes from noise added to each pixel. Some pictures have two styles, one up to a layer, another from there (3.1).
Networks grow as ProGAN's do; the game is the usual one with R1 (appendix C), L_D = ``discriminator_loss`` + gamma / 2 ``r1``.
Variants are table 1's, ``a`` (ProGAN) to ``f``. Read ``Synthesis`` in stylegan_networks.py, then ``Generator`` and ``Model.step``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paperzoo.data import Batch, Dataset
from paperzoo.errors import PaperzooError
from paperzoo.metrics.path_length import path_length
from paperzoo.metrics.separability import separability
from paperzoo.nn.average import Average
from paperzoo.papers.gan.progan import Critic, Growing, Side, channels_of, growing, grown, pixel_norm, shrunk
from paperzoo.papers.gan.stylegan_networks import Mapping, Synthesis, halved, up
from paperzoo.ranges import NotNegative, Part, Share, Size, Whole
from paperzoo.records import Recipe, Stage, Target
from paperzoo.tasks.model import Players
from paperzoo.tasks.pictures import captioned, grid, save


class Generator(nn.Module):
    """Noise (N, latent) to images (N, channels, s, s): f, then g. ``centre`` is the running mean of w."""

    centre: Tensor

    def __init__(self, wide: Sequence[int], channels: int, latent: int, depth: int, constant: bool, noise: bool) -> None:
        super().__init__()
        self.mapping = Mapping(latent, depth) if depth else None
        self.synthesis = Synthesis(wide, channels, latent, latent if depth else 0, constant, noise)
        self.register_buffer("centre", torch.zeros(latent))

    def forward(
        self, z: Tensor, level: int, alpha: float = 1.0, other: Tensor | None = None, cut: Tensor | None = None, chance: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Images, and w (N, latent) of ``z``. With ``other`` (N, latent) styles from layer ``cut`` (N) on are those of these."""
        w = self.styles(z)
        layers = w[:, None].expand(-1, 2 * level + 2, -1)  # (N, layers, latent)
        if other is not None and cut is not None:
            late = torch.arange(2 * level + 2, device=z.device) >= cut[:, None]  # (N, layers)
            layers = torch.where(late[..., None], self.styles(other)[:, None], layers)
        return self.synthesis(layers, level, alpha, chance), w

    def styles(self, z: Tensor) -> Tensor:
        """w (N, latent) of z; z on its sphere where there is no mapping network."""
        w: Tensor = pixel_norm(z) if self.mapping is None else self.mapping(z)
        return w


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """``E softplus(D(G(z))) + E softplus(-D(x))`` from logits (N)."""
    return F.softplus(fake).mean() + F.softplus(-real).mean()


def generator_loss(fake: Tensor) -> Tensor:
    """``E softplus(-D(G(z)))`` from logits (N)."""
    return F.softplus(-fake).mean()


def r1(real: Tensor, image: Tensor) -> Tensor:
    """``E ||grad D(x)||^2`` of logits (N) by the images (N, ...) that they are of; those must ask for their gradient."""
    (gradient,) = torch.autograd.grad(real.sum(), image, create_graph=True)
    return gradient.flatten(1).square().sum(1).mean()


class Model(Growing):
    """Both networks, and how far they have grown; stages as of ProGAN, from ``8`` on, with a rate that rises with the side (appendix C).

    Args:
        image_size: side of the pictures. latent: dimensions of z and w.
        width: channels at the coarse levels. most: channels times side at the fine ones.
        depth: layers of the mapping network; 0 for none, and no styles.
        constant: learnt pixels at the bottom; else the first style enters there. noise: noise is added to each pixel.
        mixing: share of pictures with two styles.
        gamma: weight of R1. average: decay of the weights' average that samples are taken from. remember: of w's running mean.
    """

    generator: Generator

    def __init__(
        self, *, image_size: Side = 1024, channels: Size = 3, latent: Size = 512, width: Size = 512, most: Size = 16_384, depth: Whole = 8,
        constant: bool = True, noise: bool = True, mixing: Share = 0.9, gamma: NotNegative = 10.0, average: Part = 0.999,
        remember: Part = 0.995,
    ) -> None:  # fmt: skip
        super().__init__(image_size)
        if not depth and (constant or mixing):
            raise PaperzooError("without styles (model.depth=0) pictures would be alike: set model.constant=false and model.mixing=0")
        wide = channels_of(self.sides, width, most)
        self.latent, self.mixing, self.gamma, self.remember = latent, mixing, gamma, remember
        self.generator, self.critic = Generator(wide, channels, latent, depth, constant, noise), Critic(wide, channels, halved)
        self.average = Average(self.generator, average) if average else None

    def step(self, batch: Batch, opt: Players) -> dict[str, Tensor]:
        level, alpha = self.grown(opt)
        real = shrunk(2 * batch.image - 1, self.sides[level], alpha, up).requires_grad_()
        z, second = self.draw(len(real)), tuple[Tensor, ...]()
        if self.mixing:
            second = self.draw(len(real)), self.cuts(len(real), 2 * level + 2)
        fake, w = self.generator(z, level, alpha, *second)
        of_real, of_fake = self.critic(real, level, alpha), self.critic(fake.detach(), level, alpha)
        penalty = r1(of_real, real)
        opt.critic.minimize(discriminator_loss(of_real, of_fake) + self.gamma / 2 * penalty)
        opt.generator.minimize(generator_loss(self.critic(fake, level, alpha)))
        self.generator.centre.lerp_(opt.mean(w.mean(0)), 1 - self.remember)
        if self.average is not None:
            self.average.update(self.generator)
        return {"r1": penalty.detach(), "side": torch.tensor(float(self.sides[level]))}

    def cuts(self, items: int, layers: int) -> Tensor:
        """From which layer on a picture has its second style, int64 (items): 1 to layers - 1 for ``mixing`` of them, else none has it."""
        device = self.alpha.device
        mixed = torch.rand(items, device=device) < self.mixing
        return torch.where(mixed, torch.randint(1, layers, (items,), device=device), layers)

    @property
    def drawing(self) -> Generator:
        """The generator that samples are taken from."""
        return self.generator if self.average is None else self.average.network  # type: ignore[return-value]

    def settled(self) -> Callable[..., Tensor]:
        drawing, level, alpha = self.drawing, int(self.level), float(self.alpha)
        return lambda z: self.shown(drawing(z, level, alpha, chance=False)[0])  # the same noise for all

    def sample(self, items: int = 16, seed: int = 0, psi: float = 1.0, mix: str = "", walk: str = "") -> Tensor:
        """``items`` samples on the CPU, float32, or a row between two or more of them; their styles are truncated.

        Args:
            psi: how far styles may be from their mean; 1: as they are, 0: all are the mean.
            mix: numbers of samples of this seed, as 3,7: the second's styles enter at the finest layer first, at the coarsest last.
            walk: numbers of samples, as 3,7,3: through their styles in 16 steps each; as frames if --out ends with .gif.

        Raises:
            PaperzooError: fewer than one sample asked for, or numbers that are none.
        """
        stops = asked(mix or walk, 2)
        if mix and walk:
            raise PaperzooError("--mix and --walk are two ways from one sample to another: choose one")
        if mix and self.drawing.mapping is None:
            raise PaperzooError(f"{self.name} has no mapping network, and no styles to mix: those from variant c on have")
        z = self.latents(max(stops) + 1 if stops else items, seed).to(self.alpha.device)
        with torch.no_grad():
            w = self.drawing.styles(z[list(stops)] if stops else z)
            w = w if psi == 1 else self.truncated(w, psi)
            if walk:
                w = torch.cat([torch.lerp(a, b, torch.linspace(0, 1, 17)[:-1, None].to(w)) for a, b in pairwise(w)])
            layers = w[:, None].expand(-1, 2 * int(self.level) + 2, -1)  # (N, layers, latent)
            if mix:
                late = torch.ones(layers.shape[1] + 1, layers.shape[1]).tril(-1).flip(1).bool().to(w.device)  # none, then the last, ...
                layers = torch.cat([torch.where(late[..., None], b, a) for a, b in pairwise(layers)])
            return in_parts(self.of_styles, layers)

    def of_styles(self, w: Tensor, loud: Sequence[float] | None = None, chance: bool = False) -> Tensor:
        """Pictures of styles (N, latent), or (N, layers, latent) with one for each layer; ``loud``: a factor on each layer's noise."""
        layers = w if w.ndim == 3 else w[:, None].expand(-1, 2 * int(self.level) + 2, -1)
        return self.shown(self.drawing.synthesis(layers, int(self.level), float(self.alpha), chance, loud))

    def truncated(self, w: Tensor, psi: float) -> Tensor:
        """``w' = centre + psi (w - centre)``: for psi in [0, 1] pictures vary less (appendix B). For the eye, not for a score."""
        centre = self.drawing.centre
        return centre + psi * (w - centre)

    def mixed(self, coarse: Tensor, fine: Tensor, cut: int) -> Tensor:
        """Pictures with the styles of z ``coarse`` (N, latent) up to layer ``cut``, those of ``fine`` (N, latent) from there.

        Raises:
            PaperzooError: there is no such layer.
        """
        layers = 2 * int(self.level) + 2
        if not 0 <= cut <= layers:
            raise PaperzooError(f"{self.name} has {layers} layers, 0 to {layers - 1}: styles cannot change at layer {cut}")
        first, second = (self.drawing.styles(z)[:, None].expand(-1, layers, -1) for z in (coarse, fine))
        return self.of_styles(torch.cat([first[:, :cut], second[:, cut:]], 1))

    def measure(self, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """Any generator's metrics; with a judge, perceptual path length and linear separability in Z and in W (section 4).

        Both are the paper's but for their numbers and networks: 2,000 pairs and 4,000 pictures rather than 100,000 and 200,000, the
        judge's features rather than VGG-16's, and as attributes whether the judge sees each of its classes. ``w over z``: the paper has
        less in W of both (tables 3 and 4).
        """
        metrics = super().measure(dataset, split, judge)
        if judge is None or self.drawing.mapping is None:
            return metrics
        ends = self.latents(4000, 7).to(self.alpha.device)
        w = self.drawing.styles(ends)
        probability, _ = judge(in_parts(self.generate, ends))
        predicted = probability.argmax(1)[:, None] == range(probability.shape[1])
        for space, points, draw in (("z", ends, self.generate), ("w", w, self.of_styles)):
            drawn = partial(in_parts, draw)
            length = path_length(drawn, lambda x: judge(x)[1], points[:2000], points[2000:], spherical=space == "z")
            metrics[f"path length in {space}[{judge.name}]"] = length
            metrics[f"separability in {space}[{judge.name}]"] = separability(points.cpu().numpy(), predicted, abs(probability - 0.5))
        for name in ("path length", "separability"):
            metrics[f"{name}, w over z[{judge.name}]"] = metrics[f"{name} in w[{judge.name}]"] / metrics[f"{name} in z[{judge.name}]"]
        return metrics

    def show(self, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        """Any generator's figures, and: styles of rows and columns mixed at coarse, middle and fine layers; truncation; noise."""
        paths = super().show(dataset, split, folder, stem)
        if self.drawing.mapping is None:
            return paths
        with torch.no_grad():
            return [*paths, *(save(captioned(grid(*rows), note), folder / f"{stem}-{name}.png") for name, rows, note in self.figures())]

    def figures(self) -> list[tuple[str, tuple[Tensor, int], str]]:
        """Name, pictures with their number in a row, and caption of each."""
        z, layers = self.latents(8, 3).to(self.alpha.device), 2 * int(self.level) + 2
        rows, columns = z[:3], z[3:]
        blocks = [self.generate(columns)]
        for cut in (max(1, layers - 2), max(1, layers // 2), 2):  # fine, middle and coarse layers from the row
            blocks += [self.mixed(columns, row[None].expand(len(columns), -1), cut) for row in rows]
        psi = torch.linspace(-1, 1, 9)
        towards = torch.cat([torch.stack([self.truncated(w, float(share)) for share in psi]) for w in self.drawing.styles(rows)])
        some = self.drawing.styles(z[:1])
        loudness = [[1.0] * layers, [0.0] * layers, [0.0] * 4 + [1.0] * (layers - 4), [1.0] * 4 + [0.0] * (layers - 4)]
        noisy = torch.cat([self.of_styles(some, loud) for loud in loudness])
        return [
            ("mixing", (torch.cat(blocks), len(columns)), "above: styles; below, three rows each: fine, middle, coarse layers of another"),
            ("truncation", (self.of_styles(towards), len(psi)), "psi from -1 to 1; in the middle the mean style"),
            ("noise", (noisy, 4), "noise in all layers, in none, in fine ones, in coarse ones"),
        ]


def asked(numbers: str, least: int) -> tuple[int, ...]:
    """``3,7`` as (3, 7); none for no text.

    Raises:
        PaperzooError: they are no whole numbers from 0 to 999, or fewer than ``least``.
    """
    parts = [part.strip() for part in numbers.split(",")] if numbers else []
    if any(not part.isascii() or not part.isdigit() or len(part) > 3 for part in parts) or 0 < len(parts) < least:
        raise PaperzooError(f"{numbers} does not say which samples: give {least} numbers or more from 0 to 999, as 3,7")
    return tuple(map(int, parts))


def in_parts(draw: Callable[[Tensor], Tensor], given: Tensor) -> Tensor:
    """``draw`` applied to many latent vectors, 250 at a time; on the CPU."""
    return torch.cat([draw(part).cpu() for part in torch.split(given, 250)])


VARIANTS: dict[str, dict[str, object]] = {
    "f": {},
    "e": {"mixing": 0.0},
    "d": {"mixing": 0.0, "noise": False},
    "c": {"mixing": 0.0, "noise": False, "constant": False},
    "b": {"mixing": 0.0, "noise": False, "constant": False, "depth": 0},
    "a": {"class": "progan.Model"},
}

_PAPER = {4: 256, 8: 256, 16: 128, 32: 64, 64: 32, 128: 16, 256: 8}
_SIZE = {"image_size": 64, "latent": 64, "width": 128, "most": 512, "average": 0.99}
_STAGES = (
    Stage("8", 200), Stage("16 fading", 150), Stage("16", 200),
    *(Stage(name, steps, batch_size=16) for name, steps in (("32 fading", 200), ("32", 350), ("64 fading", 300), ("64", 600))),
)  # fmt: skip
_LITTLE = {"image_size": 16, "latent": 8, "width": 8, "most": 128, "average": 0.9}

RECIPES = {
    "paper": grown(
        Recipe(
            data="lsun-bedroom", steps=0, batch_size=256, model={"image_size": 256}, variants=("f", "e", "d", "c", "b"),
            note="batches of 8 GPUs (appendix C), 600,000 images a stage; the rate of 256x256 is 0.0015 there",
        ),
        *growing(256, 600_000, _PAPER)[1:],
    ),
    "small": grown(
        Recipe(
            data="avatars", steps=0, batch_size=32, model=_SIZE, judge="zoo-avatars", optimizer={"lr": 1e-2}, targets=(
                Target("path length, w over z[zoo-avatars]", at_most=1, variants=("f",)),
                Target("separability, w over z[zoo-avatars]", at_most=1, variants=("f",)),
                Target("fid over floor[zoo-avatars]", at_most=0, than="stylegan:a:small", variants=("f", "e", "d", "c")),
            ),
        ),
        *_STAGES,
    ),
    "smoke": Recipe(
        data="digits", steps=24, batch_size=16, model=_LITTLE, precision="float32", optimizer={"lr": 5e-3}, variants=("f", "e", "d", "c"),
    ),
}  # fmt: skip
RECIPES["smoke-unstyled"] = RECIPES["smoke"].but(variants=("b", "a"))
