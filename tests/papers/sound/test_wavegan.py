"""WaveGAN: its layers, its phase shuffle, its training, and that it learns where tones lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.training import count, job, loop
from torch import Tensor, nn

import paperzoo
from paperzoo.data import Batch
from paperzoo.errors import PaperzooError
from paperzoo.metrics.spectral_peak import peak_share
from paperzoo.papers.sound import wavegan
from paperzoo.papers.sound.wavegan import Critic, Generator, PhaseShuffle, shifted

# Networks ------------------------------------------------------------------------------------------------------------


def shapes(network: nn.Module, kinds: tuple[type[nn.Module], ...], given: Tensor) -> list[tuple[int, ...]]:
    """What layers of these kinds give, without the batch."""
    found: list[tuple[int, ...]] = []
    for module in network.modules():
        if isinstance(module, kinds):
            module.register_forward_hook(lambda m, i, out: found.append(tuple(out.shape[1:])))
    network(given)
    return found


def test_parameters_of_both_networks() -> None:
    with torch.device("meta"):
        model = paperzoo.create("wavegan")
    assert count(model.generator) == 19_065_345 and count(model.critic) == 17_427_969


def test_sizes_are_those_of_tables_3_and_4() -> None:
    with torch.device("meta"):
        model = paperzoo.create("wavegan")
        up = shapes(model.generator, (nn.ConvTranspose1d,), torch.rand(2, 100))
        down = shapes(model.critic, (nn.Conv1d,), torch.rand(2, 1, 16_384))
    assert model.generator.project.out_features == 1024 * 16
    assert up == [(512, 64), (256, 256), (128, 1024), (64, 4096), (1, 16_384)]
    assert down == [(64, 4096), (128, 1024), (256, 256), (512, 64), (1024, 16)]


@pytest.mark.parametrize(
    ("length", "along"), [(64, [4]), (1024, [4] * 3), (2048, [4, 4, 4, 2]), (32_768, [4] * 5 + [2]), (65_536, [4] * 6)]
)
def test_every_legal_length_is_met_exactly(length: int, along: list[int]) -> None:
    assert wavegan.strides(length) == along
    with torch.device("meta"):
        up = shapes(Generator(length, 2, 3, 2), (nn.ConvTranspose1d,), torch.rand(1, 3))
        down = shapes(Critic(length, 2, 2, 0), (nn.Conv1d,), torch.rand(1, 2, length))
    reached = [16 * int(np.prod(along[: i + 1])) for i in range(len(along))]
    assert [t for _, t in up] == reached and up[-1] == (2, length)
    assert [t for _, t in down] == [*reversed(reached[:-1]), 16]
    assert [c for c, _ in up[:-1]] == [c for c, _ in reversed(down[:-1])]


def test_filters_have_25_steps_and_their_ends_are_treated_alike() -> None:
    # an impulse in the middle step of 16 reaches 25 steps around 4 times its place; a critic's first layer sees 25 around every fourth
    layer = nn.ConvTranspose1d(1, 1, 25, 4, wavegan.padding(4), 1, bias=False)
    nn.init.ones_(layer.weight)
    reached = layer(torch.eye(16)[8][None, None])[0, 0].nonzero()[:, 0].tolist()
    assert reached == list(range(32 - 11, 32 + 14))
    layer = nn.Conv1d(1, 1, 25, 4, wavegan.padding(4), bias=False)
    nn.init.ones_(layer.weight)
    seen = [layer(torch.eye(64)[i][None, None])[0, 0].nonzero()[:, 0].tolist() for i in (32, 33, 35)]
    assert seen == [[5, 6, 7, 8, 9, 10], [5, 6, 7, 8, 9, 10, 11], [6, 7, 8, 9, 10, 11]] and layer(torch.ones(1, 1, 64))[0, 0, 5] == 25


def test_nothing_is_normalised() -> None:
    model = paperzoo.create("wavegan", length=256, width=2)
    assert {type(m) for m in model.modules()} == {
        wavegan.Model, Generator, Critic, PhaseShuffle, nn.Sequential, nn.Linear, nn.Conv1d, nn.ConvTranspose1d, nn.ReLU, nn.LeakyReLU,
        nn.Tanh,
    }  # fmt: skip


# Phase shuffle -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", range(-4, 5))
def test_a_shifted_ramp_is_numpys_reflection(by: int) -> None:
    ramp = np.arange(1.0, 13.0)
    padded = np.pad(ramp, 4, mode="reflect")
    assert shifted(torch.from_numpy(ramp)[None, None], torch.tensor([by]))[0, 0].tolist() == padded[4 - by : 16 - by].tolist()


def test_shuffle_moves_every_channel_of_a_sample_alike_and_samples_apart() -> None:
    torch.manual_seed(0)
    h = torch.rand(400, 3, 32)
    out = PhaseShuffle(2).train()(h)
    moved = []
    for before, after in zip(h, out, strict=True):
        fits = [by for by in range(-4, 5) if torch.equal(after, shifted(before[None], torch.tensor([by]))[0])]
        assert len(fits) == 1
        moved += fits
    counts = np.bincount(np.array(moved) + 2, minlength=5)
    assert len(counts) == 5 and counts.min() > 50  # each of -2..2, a fifth of the time


def test_no_shuffle_is_the_identity_and_none_is_done_when_measured() -> None:
    h = torch.rand(4, 3, 16)
    assert PhaseShuffle(0).train()(h) is h and PhaseShuffle(2).eval()(h) is h


def test_shuffle_stands_behind_each_layer_but_the_last() -> None:
    names = [type(m).__name__ for m in Critic(4096, 1, 2, 2).body]
    assert names == ["Conv1d", "LeakyReLU", "PhaseShuffle"] * 3 + ["Conv1d", "LeakyReLU"]


def test_shuffle_passes_gradients_twice() -> None:
    h = torch.rand(3, 2, 8, dtype=torch.float64, requires_grad=True)
    by = torch.tensor([-2, 0, 1])
    assert torch.autograd.gradcheck(lambda x: shifted(x, by).square(), (h,))
    assert torch.autograd.gradgradcheck(lambda x: shifted(x, by).square(), (h,))


def test_a_shuffled_critic_hears_a_shift_less_than_one_that_is_not() -> None:
    # the critic's answers to a sound scatter by their own shuffle; without it they are one
    torch.manual_seed(0)
    sound = torch.rand(1, 1, 1024) * 2 - 1
    for shuffle in (0, 2):
        critic = Critic(1024, 1, 4, shuffle).train()
        with torch.no_grad():
            scatter = torch.cat([critic(sound) for _ in range(20)]).std()
        assert (scatter > 1e-4) == bool(shuffle)


def test_more_shuffle_than_the_shortest_maps_take_is_refused() -> None:
    with pytest.raises(PaperzooError, match="shuffle"):
        paperzoo.create("wavegan", length=1024, shuffle=64)


# Training ------------------------------------------------------------------------------------------------------------


def test_the_critics_loss_is_wgan_gps_by_hand(tmp_path: Path) -> None:
    made = loop(job("wavegan", "smoke", **{"model.shuffle": 0, "model.critic_steps": 1}), tmp_path)
    model, batch, seen = made.model, made.split.batch(made.order.batch(0)), {}
    made.opt._minimize = seen.update  # type: ignore[method-assign]
    torch.manual_seed(5)
    logs = model.step(batch, made.opt)
    torch.manual_seed(5)
    with torch.no_grad():
        fake = model.generator(torch.rand(len(batch), 8) * 2 - 1)
        alpha = torch.rand(len(batch))
        between = alpha[:, None, None] * batch.audio + (1 - alpha[:, None, None]) * fake
        distance = model.critic(batch.audio).mean() - model.critic(fake).mean()
    slopes = []
    for x in between:
        x = x[None].requires_grad_()
        slopes.append(float(torch.autograd.grad(model.critic(x).sum(), x)[0].norm()))
    penalty = sum((s - 1) ** 2 for s in slopes) / len(slopes)
    assert float(seen["critic"][0].detach()) == pytest.approx(10 * penalty - float(distance), rel=1e-4)
    assert float(logs["distance"].detach()) == pytest.approx(float(distance), rel=1e-4)
    with torch.no_grad():
        value = model.critic(model.generator(torch.rand(16, 8) * 2 - 1)).mean()
    assert float(seen["generator"][0].detach()) == pytest.approx(-float(value), abs=1e-4)


def test_five_steps_of_the_critic_for_each_of_the_generator(tmp_path: Path) -> None:
    made = loop(job("wavegan", "smoke", **{"model.critic_steps": 5, "steps": 12}), tmp_path)
    moved = []
    for _ in range(12):
        before = [p.detach().clone() for p in made.model.generator.parameters()]
        made.step()
        moved.append(any(not torch.equal(a, b) for a, b in zip(before, made.model.generator.parameters(), strict=True)))
    assert [i for i, m in enumerate(moved) if m] == [4, 9]


def test_samples_know_their_rate_and_are_as_the_average_says() -> None:
    model = paperzoo.create("wavegan", length=256, rate=4000, width=2, average=0.9)
    sounds = model.sample(3, seed=1)
    assert sounds.shape == (3, 1, 256) and sounds.rate == 4000 and sounds.abs().max() <= 1
    for p in model.average.network.parameters():
        p.data.zero_()
    assert not model.sample(3).any()
    arguments, state = model.lean()
    assert arguments["average"] == 0 and not any(k.startswith("average") for k in state) and not state["generator.project.weight"].any()


BINS = (6, 12, 21, 33)


def tones(items: int) -> Tensor:
    """Sines of one of four frequencies, (N, 1, 256); a share of 12 in 128 bins would be met by chance."""
    turn = 2 * torch.pi * torch.tensor(BINS)[torch.randint(4, (items,))][:, None] * torch.arange(256) / 256
    return (0.7 * torch.sin(turn + 2 * torch.pi * torch.rand(items, 1)))[:, None]


class Hand:
    """``opt`` of a plain loop: Adam for both players, its rate falling over the second half."""

    def __init__(self, model: Any, rate: float, total: int) -> None:
        self.iteration, self.total, self.rate = 0, total, rate
        self.by = {name: torch.optim.Adam(getattr(model, name).parameters(), rate, (0.5, 0.9)) for name in ("critic", "generator")}

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(minimize=lambda loss: self.minimize(self.by[name], loss))

    def minimize(self, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        (group,) = optimizer.param_groups
        group["lr"] = self.rate * min(1.0, 2 * (1 - self.iteration / self.total))
        for parameter, gradient in zip(group["params"], torch.autograd.grad(loss, group["params"], allow_unused=True), strict=True):
            parameter.grad = gradient
        optimizer.step()


def learnt(seed: int, steps: int = 300, change: Callable[[Tensor], Tensor] = lambda sound: sound) -> float:
    """The share of 400 samples whose peak lies within a bin of one of the tones, after so many steps on sounds that were changed."""
    torch.manual_seed(seed)
    model = paperzoo.create("wavegan", length=256, width=6, latent=8, critic_steps=2, average=0.9).train()
    opt: Any = Hand(model, 3e-3, steps)
    for opt.iteration in range(steps):
        model.step(Batch(audio=change(tones(16))), opt)
    return peak_share(model.sample(400), 256, BINS)[0]


@pytest.mark.processor
def test_it_learns_where_tones_lie_and_not_from_the_same_values_at_other_times() -> None:
    assert learnt(0) > 0.6
    assert learnt(0, change=lambda sound: sound[..., torch.randperm(256)]) < 0.25
