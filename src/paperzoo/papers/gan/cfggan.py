"""CFG-GAN: a generator built of functional gradient steps instead of a game (Johnson and Zhang 2018).

Let D be the logit of a discriminator between data x* and samples. The best D is the log of the ratio of their densities, so its
gradient says for every sample which way the data lie. A generator may follow it directly:

    G_t(z) = G_{t-1}(z) + eta s(G_{t-1}(z)) grad D_t(G_{t-1}(z)),                                             (Algorithm 1)
    D_t minimises E ln(1 + exp(-D(x*))) + E ln(1 + exp(D(G_{t-1}(z)))),

and the KL divergence to the data falls at each step, for any s > 0, if D_t is strong and eta small (section 2). The generator is a
first map G~, then T steps. ``cfg`` solves for each D_t from the start (Algorithm 1); ``icfg`` goes on from D_{t-1} for U steps
(Algorithm 2); ``xicfg`` fits a network, the approximator, to G_T by regression, which as G~ begins the next T steps (Algorithm 3).
T = 1 and s = 1 - sigma(D) is a GAN with the log-D trick. Read ``functional_step``, then ``cfggan_networks.py``, ``cfggan_toy.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import RMSprop

from paperzoo.data import Batch, Dataset
from paperzoo.errors import PaperzooError
from paperzoo.nn.schedules import linear_decay
from paperzoo.papers.gan.cfggan_networks import Discriminator, FullyConnected, Generator, named, weights_of
from paperzoo.papers.gan.gan import discriminator_loss, generator_loss
from paperzoo.papers.gan.wgan_gp import ResidualCritic, ResidualGenerator
from paperzoo.ranges import Count, NotNegative, Positive, Share, Side, Size
from paperzoo.records import Recipe, Target
from paperzoo.tasks.composition import ComposedGenerator
from paperzoo.tasks.generation import Sampler
from paperzoo.tasks.model import Optimizers, Players


def scaling(logit: Tensor, scale: str) -> Tensor:
    """s of Algorithm 1 from logits (N): 1 (``"one"``, the paper's choice), 1 - sigma(D) (``"log-d"``) or sigma(D) (``"minimax"``).

    With the last two, and T = 1, the method moves the generator as the two losses of a GAN do.
    """
    return torch.ones_like(logit) if scale == "one" else torch.sigmoid(-logit if scale == "log-d" else logit)


def functional_step(x: Tensor, discriminator: Callable[[Tensor], Tensor], eta: float, scale: str = "one") -> Tensor:
    """``x + eta s(x) grad D(x)`` for x (N, ...) and ``discriminator`` from (N, ...) to logits (N).

    Row n moves along the gradient of its own logit, so ``discriminator`` must not tie rows together (batch statistics would). As to
    derivatives, the step is a constant added to x.
    """
    with torch.enable_grad():
        point = x.detach().requires_grad_()
        logit = discriminator(point)
        (slope,) = torch.autograd.grad(logit.sum(), point)  # (N, ...)
    share = scaling(logit.detach(), scale).view(-1, *[1] * (x.ndim - 1))  # (N, 1, ...)
    return x + eta * share * slope


def regression_loss(made: Tensor, target: Tensor) -> Tensor:
    """``1/2 E ||G~(z) - G_T(z)||^2`` over (N, ...): a mean over examples, a sum over all else (Algorithm 3)."""
    return 0.5 * (made - target).flatten(1).square().sum(1).mean()


def random_map(z: Tensor, shape: torch.Size) -> Tensor:
    """A random linear map of noise (N, latent), scaled to [-1, 1]; ``shape`` is (N, ...). What G~ is fitted to at first."""
    x = z @ torch.randn(z.shape[1], math.prod(shape[1:]), device=z.device)
    return (x / x.abs().max()).view(shape)


#: Algorithms 1 to 3; and the losses of the game, Algorithm 4
Method = Literal["cfg", "icfg", "xicfg", "log-d", "minimax"]
GAMES = ("log-d", "minimax")
Scale = Literal["one", "log-d", "minimax"]


class CompositeGradient(Sampler):
    """The method itself, for any two networks.

    Between two steps it remembers the pool, noise (N, latent) and where it has got to (N, ...), and the discriminators (T, P) of the
    functional steps taken since G~ was last fitted. Each process has a pool of its own.
    """

    approximator: nn.Module
    discriminator: nn.Module
    noise: Tensor
    pool: Tensor
    past: Tensor
    taken: Tensor
    start: Tensor
    evaluations: Tensor

    def compose(
        self, shape: tuple[int, ...], method: str, scale: str, T: int, U: int, pool: int, eta: float, epochs: int
    ) -> None:
        """Checks the method's settings and makes room for what it remembers; ``shape`` is that of one example.

        Raises:
            PaperzooError: an unknown method or scale, fewer than one step, example or pass, or an eta that is not positive.
        """
        self.method, self.scale, self.T, self.U, self.eta, self.epochs = method, scale, T, U, eta, epochs
        self.rate = 1.0  # factor on the approximator's learning rate, other than 1 only within a fit
        weights, rows = weights_of(self.discriminator), 0 if method in GAMES else pool
        self.register_buffer("noise", torch.zeros(rows, self.latent))
        self.register_buffer("pool", torch.zeros(rows, *shape))
        self.register_buffer("past", torch.zeros(T if rows else 0, len(weights)))
        self.register_buffer("taken", torch.zeros((), dtype=torch.int64))  # rows of ``past`` that count
        self.register_buffer("start", weights if method == "cfg" else torch.zeros(0))
        self.register_buffer("evaluations", torch.zeros(2, dtype=torch.int64))  # see ``measure``

    def optimizers(self, *, lr: NotNegative = 2.5e-4, decay_from: Share = 1.0) -> Optimizers:
        """RMSprop for both (authors' code), at a constant rate up to ``decay_from`` of all steps, then linearly to zero.

        The approximator's rate also falls within a fit.
        """
        fall = linear_decay(decay_from)
        return {
            "discriminator": (RMSprop(self.discriminator.parameters(), lr, 0.95, 1e-18), fall),
            "approximator": (
                RMSprop(self.approximator.parameters(), lr, 0.95, 1e-18),
                lambda iteration, total: self.rate * fall(iteration, total),
            ),
        }

    def real(self, batch: Batch) -> Tensor:
        """The batch in the networks' range."""
        raise TypeError(f"{type(self).__name__} does not say what is real")

    def output(self, x: Tensor) -> Tensor:
        """Examples in the task's range."""
        raise TypeError(f"{type(self).__name__} does not say what it puts out")

    def step(self, batch: Batch, opt: Players) -> dict[str, Tensor]:
        (self.play if self.method in GAMES else self.learn)(self.real(batch), opt)
        return dict(zip(("generator evaluations", "discriminator evaluations"), self.evaluations.clone(), strict=True))

    def learn(self, real: Tensor, opt: Players) -> None:
        """A step of the discriminator and, after each U of them, a functional step of the pool (Algorithms 1 to 3)."""
        t, u = divmod(opt.iteration % (self.T * self.U), self.U)
        if t == u == 0:
            self.begin(len(real), opt)
        if u == 0 and self.method == "cfg":  # each discriminator is solved for from the start
            self.discriminator.load_state_dict(named(self.discriminator, self.start))
        some = self.pool[torch.randperm(len(self.pool), device=real.device)[: len(real)]]
        opt.discriminator.minimize(discriminator_loss(self.discriminator(real), self.discriminator(some)))
        self.count(0, 2 * len(real))
        if u == self.U - 1:
            self.pool.copy_(torch.cat([self.move(x, self.discriminator) for x in torch.split(self.pool, 250)]))
            self.past[t] = weights_of(self.discriminator)
            self.taken.fill_(t + 1)
            self.count(0, len(self.pool))

    def play(self, real: Tensor, opt: Players) -> None:
        """A step of a plain GAN with the same networks (Algorithm 4)."""
        fake = self.approximator(self.draw(len(real)))
        opt.discriminator.minimize(discriminator_loss(self.discriminator(real), self.discriminator(fake.detach())))
        opt.approximator.minimize(generator_loss(self.discriminator(fake), self.method))
        self.count(len(real), 3 * len(real))

    def begin(self, size: int, opt: Players) -> None:
        """Fits G~ to where the pool has got to (at first: to a random linear map), then fills the pool anew from G~."""
        if opt.iteration == 0:
            if len(self.pool) < size:
                raise PaperzooError(f"the pool of {len(self.pool)} examples is smaller than a batch of {size}: set model.pool")
            if self.method != "xicfg" and opt.total > self.T * self.U:
                raise PaperzooError(
                    f"{self.method} ends after {self.T} functional steps of {self.U} discriminator steps each, but is to run for "
                    f"{opt.total} steps: set steps, or model.functional_steps and model.discriminator_steps"
                )
            self.noise.copy_(self.draw(len(self.noise)))
            self.pool.copy_(random_map(self.noise, self.pool.shape))
        self.fit(size, opt)
        self.noise.copy_(self.draw(len(self.noise)))
        self.eval()  # by batch statistics G~ would be no function of z
        with torch.no_grad():
            self.pool.copy_(torch.cat([self.approximator(z) for z in torch.split(self.noise, 250)]))
        self.train()
        self.taken.zero_()
        self.count(len(self.pool), 0)

    def fit(self, size: int, opt: Players) -> None:
        """Regression of the pool's examples on its noise; a pass whose loss is above the last one's divides the rate by 10, to 0.001."""
        last = math.inf
        for _ in range(self.epochs):
            losses = []
            order = torch.randperm(len(self.pool), device=self.pool.device)
            for some in order[: len(order) // size * size].view(-1, size):  # (batches, size)
                losses.append(regression_loss(self.approximator(self.noise[some]), self.pool[some]))
                opt.approximator.minimize(losses[-1])
                self.count(size, 0)
            mean = opt.mean(torch.stack(losses).mean()).item()
            self.rate = max(self.rate / 10, 1e-3) if mean > last else self.rate
            last = mean
        self.rate = 1.0

    def move(self, x: Tensor, discriminator: Callable[[Tensor], Tensor]) -> Tensor:
        """One functional step of examples (N, ...)."""
        return functional_step(x, discriminator, self.eta, self.scale)

    def count(self, generator: int, discriminator: int) -> None:
        """Adds up the examples that went through the approximator, and those that went through the discriminator."""
        self.evaluations += torch.tensor([generator, discriminator], device=self.evaluations.device)

    def composition(self, z: Tensor) -> Iterator[Tensor]:
        """G~(z), G_1(z) and so on, each (N, ...): the approximator's answer and the functional steps taken since its fit."""
        x = self.approximator(z)
        yield x
        for weights in self.past[: int(self.taken)]:
            x = self.move(x, partial(functional_call, self.discriminator, named(self.discriminator, weights)))
            yield x

    def generate(self, z: Tensor) -> Tensor:
        for x in self.composition(z):
            last = x
        return self.output(last)

    def measure(self, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """The task's metrics, and what training has cost so far: ``generator evaluations``, noise vectors that went through the
        approximator, and ``discriminator evaluations``, examples that went through the discriminator, in a functional step too."""
        generator, discriminator = self.evaluations.tolist()
        spent = {"generator evaluations": float(generator), "discriminator evaluations": float(discriminator)}
        return {**super().measure(dataset, split, judge), **spent}


class Model(CompositeGradient, ComposedGenerator):
    """The method on images.

    Args:
        image_size: side of the images, a power of two from 16 to 256.
        latent: dimensions of the noise, standard normal.
        width: channels of the widest image-sized layer; all layers of ``resnet`` have as many.
        network: ``dcganx``; ``resnet``; ``fc``, an approximator with two hidden layers of 512 units against DCGANx's discriminator.
        normalise: batch normalisation in DCGANx's approximator.
        method: ``cfg``, ``icfg`` or ``xicfg``; ``log-d`` or ``minimax`` for a plain GAN, which needs none of what follows.
        scale: s, see ``scaling``.
        functional_steps: T, between two fits of the approximator; for ``cfg`` and ``icfg``, which fit it once, in all.
        discriminator_steps: U, before each functional step.
        pool: N, examples that functional steps move and the approximator is fitted to; at least a batch.
        eta: size of a functional step.
        epochs: passes of a fit over the pool.
    """

    def __init__(
        self,
        *,
        image_size: Side = 32,
        channels: Size = 1,
        latent: Size = 100,
        width: Size = 32,
        network: Literal["dcganx", "resnet", "fc"] = "dcganx",
        normalise: bool = True,
        method: Method = "xicfg",
        scale: Scale = "one",
        functional_steps: Count = 15,
        discriminator_steps: Count = 1,
        pool: Size = 640,
        eta: Positive = 2.5,
        epochs: Count = 10,
    ) -> None:
        super().__init__()
        shape = (channels, image_size, image_size)
        approximators: dict[str, Callable[[], nn.Module]] = {
            "dcganx": lambda: Generator(image_size, channels, latent, width, normalise),
            "resnet": lambda: ResidualGenerator(image_size, channels, latent, width),
            "fc": lambda: FullyConnected(shape, latent, 512),
        }
        self.latent, self.approximator = latent, approximators[network]()
        self.discriminator = (ResidualCritic if network == "resnet" else Discriminator)(image_size, channels, width)
        self.compose(shape, method, scale, functional_steps, discriminator_steps, pool, eta, epochs)

    def real(self, batch: Batch) -> Tensor:
        """[0, 1] to [-1, 1], (N, C, S, S)."""
        image: Tensor = batch.image
        return 2 * image - 1

    def output(self, x: Tensor) -> Tensor:
        """[-1, 1] to [0, 1]; what functional steps have moved beyond is cut off."""
        return ((x + 1) / 2).clamp(0, 1)


TOY: dict[str, object] = {"class": "cfggan_toy.Toy"}
VARIANTS: dict[str, dict[str, object]] = {
    "xicfg": {},
    "nobn": {"normalise": False},
    "fc": {"network": "fc", "functional_steps": 25, "eta": 0.1},
    "resnet": {"network": "resnet", "image_size": 64, "channels": 3, "width": 64},
    "logd": {"method": "log-d"},
    "minimax": {"method": "minimax"},
    "toy": TOY,
    "toy_icfg": {**TOY, "method": "icfg", "functional_steps": 300, "discriminator_steps": 5, "eta": 0.05, "pool": 4096},
    "toy_cfg": {**TOY, "method": "cfg", "functional_steps": 100, "discriminator_steps": 100, "eta": 0.1, "pool": 4096},
    "toy_logd": {**TOY, "method": "log-d"},
}

#: a round of a small recipe on images: 4 steps of the discriminator, 4 x 128 examples moved, 4 steps of the approximator
SMALL: dict[str, object] = {"image_size": 32, "latent": 32, "width": 16, "functional_steps": 4, "pool": 128, "epochs": 2}
FALL = {"lr": 1e-3, "decay_from": 0.5}
FOUND = (Target("modes", at_least=8), Target("within 0.2 %", at_least=99))

RECIPES = {
    "paper": Recipe(
        "mnist", 150_000, model={"image_size": 32}, variants=("xicfg", "nobn", "logd", "minimax"), note="10,000 rounds (PyTorch code)"
    ),
    "paper-fc": Recipe(
        "mnist", 250_000, model={"image_size": 32}, optimizer={"lr": 1e-4}, variants=("fc",), note="10,000 rounds (PyTorch code)"
    ),
    "paper-resnet": Recipe(
        "lsun-bedroom", 150_000, variants=("resnet",), note="the paper adds living rooms, 2.6 million images in all"
    ),
    "small": Recipe(
        "mnist", 6000, model=SMALL, optimizer=FALL, judge="zoo-digits", variants=("xicfg", "nobn", "fc", "logd", "minimax")
    ),
    "small-logd": Recipe(
        "mnist", 9000, model={"image_size": 32, "latent": 32, "width": 16}, optimizer=FALL, judge="zoo-digits",
        variants=("logd", "minimax"), note="as many generator evaluations as the small recipe of xicfg: 64 a step, against 96",
    ),
    "small-emoji": Recipe(
        "emoji", 4000, model={**SMALL, "latent": 64, "width": 24}, optimizer=FALL, judge="zoo-emoji",
        variants=("xicfg", "logd", "minimax"),
    ),
    "small-toy": Recipe("ring8", 4000, 256, optimizer=FALL, precision="float32", targets=FOUND, variants=("toy",)),
    "small-icfg": Recipe("ring8", 1500, 256, optimizer={"lr": 1e-3}, precision="float32", targets=FOUND, variants=("toy_icfg",)),
    "smoke": Recipe(
        "digits", 60, 32, model={**SMALL, "image_size": 16, "latent": 8, "width": 8, "pool": 64}, optimizer={"lr": 1e-3},
        precision="float32", variants=("xicfg", "logd"),
    ),
    "smoke-toy": Recipe(
        "ring8", 60, model={"width": 32, "functional_steps": 5, "discriminator_steps": 3, "pool": 256, "epochs": 3},
        precision="float32", variants=("toy",),
    ),
    "smoke-cfg": Recipe(
        "ring8", 60, model={"width": 32, "functional_steps": 20, "discriminator_steps": 3, "pool": 256}, precision="float32",
        variants=("toy_cfg",),
    ),
}  # fmt: skip
