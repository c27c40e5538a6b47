"""Recurrent models of visual attention: look here, then there, then say what it is (Mnih et al. 2014).

A convolution sees every pixel of an image, whether it matters or not. This network sees little: at each step a retina of k
patches round a place l, the finest g x g pixels, each next one twice as wide and half as sharp. A recurrent core takes in what
was seen and where, and says where to look next: it gives the mean of a Gaussian with a fixed deviation, from which the
next l is drawn. Looking cannot be differentiated, so its gradient is estimated (REINFORCE, Williams 1992): whatever was drawn is made
more likely if it led to more reward than the baseline b expected,

    sum over t of grad log N(l_t; mu_t, sigma^2) (R_t - b_t).                                                (section 3)

R is 1 if the last answer is right. The answer itself is learnt by cross-entropy, back through core and glimpses, which l_t,
being drawn, does not pass on. Read ``RecurrentAttention.forward``, then ``GlimpseSensor`` in ``ram_sensor.py`` and ``reinforce``
in ``ram_rewards.py``.

``ram:random`` is the same network looking at random places; the networks the paper compares with stand in ``ram_plain.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from paperzoo.data import Batch, Dataset
from paperzoo.errors import PaperzooError
from paperzoo.papers.attention.ram_rewards import REWARDS, answer_loss, hybrid
from paperzoo.papers.attention.ram_sensor import GlimpseSensor
from paperzoo.ranges import NotNegative, Pixels, Positive, Share, Size
from paperzoo.records import Recipe, Target
from paperzoo.tasks.glimpses import GlimpseClassifier
from paperzoo.tasks.model import Optimizers, Players


class GlimpseNetwork(nn.Module):
    """The glimpse feature vector, "what" and "where": integral images and locations (N, 2) to (N, 2 * part) (figure 1 B)."""

    def __init__(self, channels: int, size: int, scales: int, part: int) -> None:
        super().__init__()
        self.sensor = GlimpseSensor(size, scales)
        self.what, self.where = nn.Linear(channels * scales * size**2, part), nn.Linear(2, part)
        self.from_what, self.from_where = nn.Linear(part, 2 * part), nn.Linear(part, 2 * part)

    def forward(self, integral: Tensor, place: Tensor) -> Tensor:
        patches = self.sensor(integral, place).flatten(1).to(place.dtype)  # (N, C, k, g, g) to (N, C * k * g * g)
        h_g = self.what(patches).relu()  # (N, part)
        h_l = self.where(place).relu()  # (N, part)
        glimpse: Tensor = (self.from_what(h_g) + self.from_where(h_l)).relu()
        return glimpse


class Core(nn.Module):
    """h_t = Rect(Linear(h_{t-1}) + Linear(g_t)) (section 4)."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.from_glimpse, self.from_state = nn.Linear(inputs, hidden), nn.Linear(hidden, hidden)

    def forward(self, glimpse: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        h = (self.from_glimpse(glimpse) + self.from_state(state[0])).relu()
        return h, h


class Trace(NamedTuple):
    """The trajectory of T glimpses."""

    logits: Tensor  # (N, T, K), after each glimpse
    state: Tensor  # (N, H), the core's last
    place: Tensor  # (N, T, 2), as drawn: it may lie outside of [-1, 1]
    mean: Tensor  # (N, T - 1, 2), of what the places but the first were drawn from
    baseline: Tensor  # (N, T - 1), the reward expected before each of them was drawn


class RecurrentAttention(nn.Module):
    """T glimpses at images (N, C, S, S). Places are detached; the baseline does not train the core.

    Args:
        learnt: whether the location network chooses; else there is none, and places are given.
        joint: whether the core learns from its choices too; else what the location network sees of it is detached.
    """

    def __init__(
        self, channels: int, classes: int, glimpses: int, size: int, scales: int, hidden: int, part: int, core: str,
        learnt: bool, joint: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.glimpses, self.hidden, self.learnt, self.joint = glimpses, hidden, learnt, joint
        self.glimpse = GlimpseNetwork(channels, size, scales, part)
        self.core = nn.LSTMCell(2 * part, hidden) if core == "lstm" else Core(2 * part, hidden)
        if learnt:
            self.location, self.baseline = nn.Linear(hidden, 2), nn.Linear(hidden, 1)
        self.action = nn.Linear(hidden, classes)

    def forward(self, image: Tensor, chance: Tensor) -> Trace:
        """``chance`` (N, T, 2): the first place, and what is added to the means; if not ``learnt``, the places."""
        state = (image.new_zeros(len(image), self.hidden),) * 2
        place, states, mean = [chance[:, 0]], [], [image.new_zeros(len(image), 0, 2)]
        integral = self.glimpse.sensor.integral(image)
        for t in range(self.glimpses):
            state = self.core(self.glimpse(integral, place[t].clamp(-1, 1)), state)
            states.append(state[0])
            if t + 1 < self.glimpses and self.learnt:
                known = state[0] if self.joint else state[0].detach()
                mean.append(self.location(known).float()[:, None])  # (N, 1, 2)
                place.append((mean[-1][:, 0] + chance[:, t + 1]).detach())  # l_t is drawn, not computed
            elif t + 1 < self.glimpses:
                place.append(chance[:, t + 1])
        h = torch.stack(states, 1)  # (N, T, H)
        before = h[:, :-1].detach()  # the state before the place was drawn: a baseline may depend on nothing later
        baseline = self.baseline(before)[..., 0] if self.learnt else before[:, :0, 0]
        return Trace(self.action(h), h[:, -1], torch.stack(place, 1), torch.cat(mean, 1), baseline)


def falling(iteration: int, total: int) -> float:
    """Linearly from 1 to 0 (section 4.1)."""
    return 1 - iteration / total


def optimizer(name: str, parameters: Any, lr: float) -> Optimizer:
    """Momentum 0.9, as in the paper, or Adam."""
    return SGD(parameters, lr, momentum=0.9) if name == "SGD" else Adam(parameters, lr)


class Model(GlimpseClassifier):
    """The network, how it looks, and what it is rewarded for. Defaults are those of the paper's 28x28 digits.

    Args:
        glimpses: T, the first of them at a random place.
        size: side of the finest patch, in pixels.
        scales: patches of a retina.
        std: deviation of the places, in units of half an image.
        core: ``"rnn"`` (rectified) or ``"lstm"``.
        random: whether all glimpses are at random places.
        reward: ``"last"``, ``"discounted"``, ``"cross_entropy_each"`` or ``"mix"``; see ``hybrid``.
        discount: of ``"discounted"``, a step.
        mix: the weights of the first three in ``"mix"``.
        joint: how much the core and the glimpse network learn from REINFORCE, beside cross-entropy; 0 detaches them from it.
        hidden: width of the core.
        part: width of the glimpse network's two halves.

    Raises:
        PaperzooError: an unknown name, or a value out of range.
    """

    def __init__(
        self,
        *,
        glimpses: Size = 7,
        size: Size = 8,
        scales: Size = 1,
        std: Positive = 0.11,
        core: Literal["rnn", "lstm"] = "rnn",
        random: bool = False,
        reward: Literal["last", "discounted", "cross_entropy_each", "mix"] = "last",
        discount: Share = 0.9,
        mix: Sequence[NotNegative] = (0.25, 0.25, 0.5),
        joint: NotNegative = 0.0,
        hidden: Size = 256,
        part: Size = 128,
        channels: Size = 1,
        classes: Size = 10,
        image_size: Pixels = 28,
    ) -> None:
        super().__init__()
        if size > image_size:
            raise PaperzooError(f"a glimpse of {size}x{size} is larger than an image of {image_size}x{image_size}: set model.size")
        if len(mix) != 3 or sum(mix) <= 0:
            raise PaperzooError(f"mix of ram is three weights, not all of them 0, of {', '.join(REWARDS)}; not {list(mix)}")
        self.channels, self.image_size = channels, image_size
        self.names = tuple(str(i) for i in range(classes))
        self.std, self.discount, self.joint = std, discount, joint
        self.weights: Sequence[float] = REWARDS.get(reward) or tuple(mix)
        self.network = RecurrentAttention(channels, classes, glimpses, size, scales, hidden, part, core, not random, joint > 0)

    def optimizers(
        self,
        *,
        name: Literal["SGD", "Adam"] = "SGD",
        lr: NotNegative = 0.01,
        lr_location: NotNegative = 0.0,
    ) -> Optimizers:
        """A player for each loss: ``action`` (with the core and the glimpse network), ``location`` and ``baseline``.

        All rates fall linearly.

        Args:
            name: ``"SGD"`` with momentum 0.9, or ``"Adam"``.
            lr_location: rate of the location network; 0 means ``lr`` with Adam and a thousandth of it with SGD, for the gradient
                of a density is the larger the smaller ``std``.
        """
        net = self.network
        if not net.learnt:
            return {"action": (optimizer(name, net.parameters(), lr), falling)}
        lr_location = lr_location or (lr if name == "Adam" else lr / 1000)
        seeing = [*net.glimpse.parameters(), *net.core.parameters(), *net.action.parameters()]
        return {
            "action": (optimizer(name, seeing, lr), falling),
            "location": (optimizer(name, net.location.parameters(), lr_location), falling),
            "baseline": (optimizer(name, net.baseline.parameters(), lr), falling),
        }

    def chance(self, images: int, random: torch.Generator | None = None, drawn: bool = True) -> Tensor:
        """The noise of T glimpses, (images, T, 2): a first location, and deviations from the means, or zeros if not ``drawn``."""
        shape, device = (images, self.network.glimpses, 2), self.network.action.weight.device
        where = None if random else device  # a generator that is passed is the CPU's
        place = (2 * torch.rand(shape, generator=random, device=where) - 1).to(device)  # uniform over the image
        if not self.network.learnt:
            return place
        noise = self.std * torch.randn(shape, device=device) if drawn else torch.zeros_like(place)
        return torch.cat([place[:, :1], noise[:, 1:]], 1)

    def step(self, batch: Batch, opt: Players) -> dict[str, Tensor]:
        """One step on a batch, each image looked at once."""
        trace = self.look(batch.image, self.chance(len(batch)))
        if trace.mean.numel():
            losses = hybrid(trace, batch.label, self.std, self.weights, self.discount)
            action = losses.action + self.joint * losses.location if self.joint else losses.action
            opt.minimize(**losses._replace(action=action)._asdict())
        else:  # no place was chosen
            opt.action.minimize(answer_loss(trace.logits, batch.label, self.weights))
        return {"right": (trace.logits[:, -1].argmax(1) == batch.label).float().mean()}

    def look(self, image: Tensor, chance: Tensor | None = None) -> Trace:
        """T glimpses at images (N, C, S, S) in [0, 1]. Without ``chance`` nothing is drawn: they begin in the middle and go on at the
        means; random places are then the same for every image.

        Raises:
            PaperzooError: images of another size.
        """
        if image.shape[1:] != (self.channels, self.image_size, self.image_size):
            wanted = f"(N, {self.channels}, {self.image_size}, {self.image_size})"
            raise PaperzooError(f"this ram model looks at images {wanted}, not {tuple(image.shape)}")
        if chance is None:
            chance = self.chance(1, torch.Generator().manual_seed(0), drawn=False).expand(len(image), -1, -1)
            chance = chance * (torch.arange(chance.shape[1], device=chance.device) > 0)[:, None]
        trace: Trace = self.network(image, chance)
        return trace

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, classes) after the last glimpse, the first one being in the middle."""
        return self.look(image).logits[:, -1]

    def features(self, image: Tensor) -> Tensor:
        """The core's last state, (N, hidden)."""
        return self.look(image).state

    def head(self, features: Tensor) -> Tensor:
        """Logits (N, classes) of ``features``."""
        return self.network.action(features)  # type: ignore[no-any-return]

    def outputs(self, dataset: Dataset, split: str) -> Iterator[tuple[Tensor, Tensor]]:
        """The first glimpse is at a random place, as in the paper; the draws are the same at every call."""
        items, random = dataset[split], torch.Generator().manual_seed(0)
        for indices in items.batches(500):
            batch = items.batch(indices).to(self.network.action.weight.device)
            yield self.look(batch.image, self.chance(len(batch), random, drawn=False)).logits[:, -1], batch.label

    def retina(self) -> GlimpseSensor:
        """The glimpse sensor."""
        return self.network.glimpse.sensor


_ON_60: dict[str, Any] = {"glimpses": 8, "size": 12, "scales": 3, "image_size": 60}
_ON_100: dict[str, Any] = {**_ON_60, "scales": 4, "image_size": 100}
VARIANTS: dict[str, dict[str, Any]] = {
    "ram": {},
    "random": {"random": True},
    "lstm": {"core": "lstm"},
    "fc": {"class": "ram_plain.FullyConnected"},
    "conv": {"class": "ram_plain.Convolutional"},
    "translated": _ON_60,
    "translated-random": {**_ON_60, "random": True},
    "translated-discounted": {**_ON_60, "reward": "discounted"},
    "translated-each": {**_ON_60, "reward": "cross_entropy_each"},
    "translated-mix": {**_ON_60, "reward": "mix"},
    "cluttered": _ON_60,
    "cluttered-random": {**_ON_60, "random": True},
    "cluttered100": _ON_100,
    "cluttered100-random": {**_ON_100, "random": True},
}

_PLAIN = ("fc", "conv")


def _targets(**figures: tuple[str, float]) -> tuple[Target, ...]:
    """Variant -> id and figure of its claim, in % of the test images."""
    return tuple(Target("error %", at_most=value, claim=name, variants=(variant,)) for variant, (name, value) in figures.items())


_PAPER = Recipe("mnist", 500_000, 20, precision="float32")
_SMALL = Recipe("mnist", 4000, 128, optimizer={"name": "Adam", "lr": 1e-3}, precision="float32")
_TRANSLATED = (*(name for name in VARIANTS if name.startswith("translated")), *_PLAIN)
RECIPES = {
    "paper": _PAPER.but(
        variants=("ram", "random", "lstm", *_PLAIN),
        targets=_targets(ram=("ram-7-glimpses", 1.07), fc=("mnist-fc", 1.69), conv=("mnist-conv", 1.21)),
        note="200 passes over 50,000 digits in batches of 20; the paper's number of passes is not known",
    ),
    "paper-translated": _PAPER.but(
        data="translated-mnist", variants=_TRANSLATED, note="ten million scenes: each digit 200 times",
        targets=_targets(translated=("translated-8-glimpses", 1.20), fc=("translated-fc", 2.63), conv=("translated-conv", 1.62)),
    ),
    "paper-cluttered": _PAPER.but(
        data="cluttered-mnist", variants=("cluttered", "cluttered-random", *_PLAIN),
        targets=_targets(cluttered=("cluttered-8-glimpses", 4.04), fc=("cluttered-fc", 11.96), conv=("cluttered-conv", 8.09)),
    ),
    "paper-cluttered100": _PAPER.but(
        data="cluttered-mnist-100", variants=("cluttered100", "cluttered100-random", *_PLAIN),
        targets=_targets(cluttered100=("cluttered100-8-glimpses", 8.11), conv=("cluttered100-conv", 14.35)),
    ),
    "small": _SMALL.but(
        model={"image_size": 28}, variants=("ram", "random", "lstm", *_PLAIN), note="10 passes; the same batches for all networks"
    ),
    "small-translated": _SMALL.but(
        data="translated-mnist", steps=3500, variants=_TRANSLATED,
        targets=(
            Target("error %", at_most=-4, than="translated-random:small-translated", variants=("translated",)),
            Target("error %", at_most=0, than="conv:small-translated", variants=("translated",)),
        ),
        note="448,000 scenes, none of them twice; 8 glimpses; learnt ones are to be four points better than random ones. That the "
        "network errs less than a convolutional one, as the paper's does, was asked for after the first run",
    ),
    "small-cluttered": _SMALL.but(
        data="cluttered-mnist", steps=3500, variants=("cluttered", "cluttered-random", *_PLAIN),
        note="448,000 scenes, none of them twice; 8 glimpses",
    ),
    "small-cluttered100": _SMALL.but(
        data="cluttered-mnist-100", steps=2500, variants=("cluttered100", "cluttered100-random", *_PLAIN),
        note="320,000 scenes, none of them twice; 8 glimpses",
    ),
    "smoke": _SMALL.but(
        data="digits", steps=60, batch_size=64, model={"glimpses": 3, "size": 4, "scales": 2, "hidden": 64, "part": 32},
        optimizer={"lr": 5e-3}, variants=("ram", "random", "lstm"),
    ),
    "smoke-plain": _SMALL.but(
        data="digits", steps=60, batch_size=64, model={"hidden": 32}, optimizer={"lr": 5e-3}, variants=("fc",)
    ),
}  # fmt: skip
