"""StackGAN held to Zhang et al. 2016: the augmentation, three kinds of pairs, two stages of which the second leaves the first alone."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

import paperzoo
from paperzoo import PaperzooError
from paperzoo.data import Batch
from paperzoo.data.captions.words import END, SPECIAL, START
from paperzoo.engine.players import Players
from paperzoo.papers.vision_language import stackgan
from paperzoo.papers.vision_language.stackgan import (
    Augmentation,
    Discriminator,
    Model,
    StageI,
    StageII,
    discriminator_loss,
    generator_loss,
    kl,
)
from paperzoo.papers.vision_language.stackgan_text import (
    ALPHABET,
    CharCNNRNN,
    SentenceEncoder,
    joint_embedding_loss,
    one_hot,
)

COLOURS = {"red": (0.9, 0.1, 0.1), "green": (0.1, 0.7, 0.1), "blue": (0.1, 0.2, 0.9), "yellow": (0.9, 0.8, 0.1)}
WORDS = (*SPECIAL, *COLOURS, "crimson", "lime", "navy", "golden")
TINY: dict[str, Any] = {
    "encoder": "sentences", "embedding": 8, "hidden": 8, "condition": 4, "latent": 4, "compressed": 4, "width": 8, "critic_width": 8,
    "small": 16, "image_size": 32, "blocks": 1, "weight": 0.5, "vocabulary": WORDS, "longest": 4,
    "examples": ("red", "navy"),
}  # fmt: skip


def tiny(**changes: Any) -> Model:
    torch.manual_seed(0)
    return Model(**{**TINY, **changes})


def coloured(number: int, seed: int = 0, side: int = 32) -> tuple[Batch, Tensor]:
    """Plain pictures of one colour, more or less bright, each with its colour's name and another word for it; and the colours' numbers."""
    random = torch.Generator().manual_seed(seed)
    label = torch.randint(4, (number,), generator=random)
    colour = torch.tensor(list(COLOURS.values()))[label]
    image = (colour + 0.1 * torch.randn(number, 1, generator=random)).clamp(0, 1)[:, :, None, None].repeat(1, 1, side, side)
    words = 4 + label[:, None] + torch.tensor([0, 4])  # (N, 2)
    captions = torch.stack([torch.full_like(words, START), words, torch.full_like(words, END)], 2)  # (N, 2, 3)
    return Batch(image=image, captions=captions), label


class Noted:
    """Stands for the players: keeps the losses by name."""

    def __init__(self) -> None:
        self.iteration, self.total, self.losses = 0, 1, dict[str, Tensor]()

    def __getattr__(self, name: str) -> Any:
        kept = self.losses

        class One:
            def minimize(self, loss: Tensor) -> None:
                kept[name] = loss

        return One()


# The augmentation ---------------------------------------------------------------------------------------------------


def test_the_divergence_is_0_at_the_prior_and_else_that_of_two_gaussians() -> None:
    assert float(kl(torch.zeros(3, 5), torch.zeros(3, 5))) == 0
    torch.manual_seed(1)
    mu, log_variance = torch.randn(4, 6), torch.randn(4, 6)
    gaussian, prior = torch.distributions.Normal(mu, (log_variance / 2).exp()), torch.distributions.Normal(0.0, 1.0)
    expected = torch.distributions.kl_divergence(gaussian, prior).sum(1).mean()
    assert torch.allclose(kl(mu, log_variance), expected, atol=1e-5)


def test_c_has_the_mean_and_the_deviation_that_the_layer_says() -> None:
    torch.manual_seed(0)
    augment = Augmentation(6, 3)
    phi = torch.randn(1, 6)
    c, mu, log_variance = augment(phi.expand(20_000, -1), torch.randn(20_000, 3))
    out = augment.layer(phi)[0]
    assert torch.allclose(mu[0], out[:3], atol=1e-6) and torch.allclose(log_variance[0], out[3:], atol=1e-6)
    assert torch.allclose(c.mean(0), mu[0], atol=0.05)
    assert torch.allclose(c.std(0), torch.exp(out[3:]).sqrt(), rtol=0.05)
    assert torch.allclose(augment(phi, torch.zeros(1, 3))[0], out[None, :3])


# Losses --------------------------------------------------------------------------------------------------------------


def test_the_losses_by_hand() -> None:
    right, wrong, fake = torch.tensor([2.0, -1.0]), torch.tensor([0.5, 3.0]), torch.tensor([-2.0, 1.0])

    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    expected = sum(-math.log(sigmoid(x)) for x in (2.0, -1.0)) / 2
    expected -= sum(math.log(1 - sigmoid(x)) for x in (0.5, 3.0, -2.0, 1.0)) / 4
    assert math.isclose(float(discriminator_loss(right, wrong, fake)), expected, rel_tol=1e-5)
    assert math.isclose(float(generator_loss(fake)), -sum(math.log(sigmoid(x)) for x in (-2.0, 1.0)) / 2, rel_tol=1e-5)


class Stub(nn.Module):
    """A discriminator that keeps what it is asked and answers with the picture's mean, times a weight, plus the first number of phi."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.asked = nn.Parameter(torch.ones(())), list[tuple[Tensor, ...]]()

    def forward(self, image: Tensor, *phi: Tensor) -> tuple[Tensor, ...]:
        self.asked.append((image, *phi))
        return tuple(self.weight * image.mean((1, 2, 3)) + one[:, 0] for one in phi)


@pytest.mark.parametrize(("stage", "side"), [("first", 16), ("second", 32)])
def test_the_discriminator_sees_three_kinds_of_pairs(stage: str, side: int) -> None:
    model, stub = tiny(), Stub()
    setattr(model, f"{stage}_critic", stub)
    model.stage(stage)
    batch, _ = coloured(6)
    batch.image = torch.rand_like(batch.image)  # not the same at every place
    batch.captions[:, 1] = 0  # one sentence each
    opt = Noted()
    found = model.step(batch, opt)  # type: ignore[arg-type]
    (real, right, wrong), (fake, told), (again, once_more) = stub.asked
    phi = model.embed(batch.captions[:, 0]).detach()
    assert torch.allclose(real, F.interpolate(2 * batch.image - 1, side, mode="area"), atol=1e-6)
    assert torch.allclose(right, phi) and torch.allclose(told, phi) and torch.allclose(once_more, phi)
    assert torch.allclose(wrong, phi[torch.arange(6) - 1]), "the sentence of another picture"
    assert fake.shape == real.shape and not fake.requires_grad and again.requires_grad and torch.equal(fake, again)
    with torch.no_grad():
        logits = [image.mean((1, 2, 3)) + one[:, 0] for image, one in ((real, right), (real, wrong), (fake, told))]
    assert torch.allclose(opt.losses[f"{stage}_discriminator"], discriminator_loss(*logits), atol=1e-6)
    assert torch.allclose(opt.losses[f"{stage}_generator"], generator_loss(logits[2]) + 0.5 * found["kl"], atol=1e-6)
    assert float(found["kl"]) > 0 and set(opt.losses) == {f"{stage}_generator", f"{stage}_discriminator"}


@pytest.mark.parametrize(("wrong", "tried"), [(1, 1), (3, 3), (9, 5)])
def test_of_several_others_sentences_the_rightest_is_the_wrong_one(wrong: int, tried: int) -> None:
    model, stub = tiny(wrong=wrong), Stub()
    model.first_critic = stub  # type: ignore[assignment]
    model.stage("first")
    batch, _ = coloured(6)
    batch.captions[:, 1] = 0
    opt = Noted()
    noted = model.step(batch, opt)  # type: ignore[arg-type]
    (real, right, *others), (fake, told), _ = stub.asked
    assert len(others) == tried and all(torch.equal(one, right.roll(k + 1, 0)) for k, one in enumerate(others))
    firsts = [[float(right[n - k, 0]) for k in range(1, 1 + tried)] for n in range(6)]
    expected = real.mean((1, 2, 3)) + torch.tensor([max(own) for own in firsts])
    assert torch.allclose(noted["wrong"], expected.mean(), atol=1e-6)
    with torch.no_grad():
        loss = discriminator_loss(real.mean((1, 2, 3)) + right[:, 0], expected, fake.mean((1, 2, 3)) + told[:, 0])
    assert torch.allclose(opt.losses["first_discriminator"], loss, atol=1e-6)


def test_the_joint_embedding_by_hand() -> None:
    theta, phi = torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]), torch.tensor([[2.0, 0.0], [0.5, 1.0], [0.0, 1.0]])
    score = [[float(v @ t) for t in phi] for v in theta]
    expected = 0.0
    for n in range(3):
        for other in range(3):
            if other != n:
                expected += max(0.0, 1 + score[n][other] - score[n][n]) + max(0.0, 1 + score[other][n] - score[n][n])
    assert math.isclose(float(joint_embedding_loss(theta, phi)), expected / 6, rel_tol=1e-5)
    own = 10 * torch.eye(3)
    assert float(joint_embedding_loss(own, own)) == 0


# Networks ------------------------------------------------------------------------------------------------------------


def test_the_papers_sizes() -> None:
    with torch.device("meta"):
        model = paperzoo.create("stackgan")
        first = model.first(torch.zeros(2, 1024), torch.zeros(2, 100), torch.zeros(2, 128))
        second = model.second(torch.zeros(2, 1024), first.image, torch.zeros(2, 128))
    assert first.image.shape == (2, 3, 64, 64) and second.image.shape == (2, 3, 256, 256)
    assert first.mu.shape == second.log_variance.shape == (2, 128)
    assert model.latent == 100 + 2 * 128 and model.first.first == 1024
    blocks = [one for one in model.second.modules() if isinstance(one, stackgan.Block)]
    assert len(blocks) == 4 and model.weight == 1
    assert [one.in_channels for one in model.first.body if isinstance(one, nn.Conv2d)] == [1024, 512, 256, 128, 64]
    halvings = [one for one in model.second_critic.look if isinstance(one, nn.Conv2d)]
    assert [(one.kernel_size, one.stride) for one in halvings] == [((4, 4), (2, 2))] * 6
    assert model.second_critic.compress[0].out_features == 128


def test_no_batch_norm_where_pixels_begin_or_end() -> None:
    for network in (StageI(32, 3, 6, 4, 4, 8).body, StageII(16, 32, 3, 6, 4, 8, 1).body):
        assert isinstance(network[-1], nn.Tanh) and isinstance(network[-2], nn.Conv2d)
    look = Discriminator(32, 3, 6, 4, 8).look
    assert isinstance(look[0], nn.Conv2d) and isinstance(look[1], nn.LeakyReLU) and look[1].negative_slope == 0.2


def test_the_second_stage_sees_picture_and_sentence_and_the_discriminator_both() -> None:
    torch.manual_seed(0)
    second, critic = StageII(16, 32, 3, 6, 4, 8, 1).eval(), Discriminator(32, 3, 6, 4, 8).eval()
    phi, image, epsilon = torch.randn(2, 6), torch.rand(2, 3, 16, 16), torch.zeros(2, 4)
    before = second(phi, image, epsilon).image
    assert not torch.allclose(second(phi.flip(0), image, epsilon).image, before, atol=1e-6)
    assert not torch.allclose(second(phi, image.flip(0), epsilon).image, before, atol=1e-6)
    large = torch.rand(2, 3, 32, 32)
    right, wrong = critic(large, phi, phi.flip(0))
    assert right.shape == (2,) and not torch.allclose(right, wrong)
    assert torch.allclose(critic(large, phi.flip(0))[0], wrong) and not torch.allclose(critic(large.flip(0), phi)[0], right)


def test_rates_are_halved_every_hundred_of_600_epochs() -> None:
    model = tiny()
    for stage in ("first", "second"):
        model.stage(stage)
        for name, (adam, schedule) in model.optimizers().items():
            assert adam.param_groups[0]["lr"] == 2e-4 and adam.param_groups[0]["betas"] == (0.5, 0.999)
            assert [schedule(epoch, 600) for epoch in (0, 99, 100, 250, 599)] == [1, 1, 0.5, 0.25, 1 / 32]
            network = getattr(model, stage if name.endswith("generator") else f"{stage}_critic")
            assert {id(p) for group in adam.param_groups for p in group["params"]} == {id(p) for p in network.parameters()}


# Stages --------------------------------------------------------------------------------------------------------------


def run(model: Model, stage: str, steps: int, shuffled: bool = False, lr: float = 2e-3) -> None:
    model.stage(stage)
    opt = Players(model.optimizers(lr=lr, halvings=1))
    opt.total = opt.stage_steps = steps
    data, _ = coloured(400)
    for step in range(steps):
        opt.iteration, chosen = step, torch.randint(400, (32,))
        batch = data.map(lambda t, chosen=chosen: t[chosen])  # type: ignore[misc]
        if shuffled:
            batch.captions = batch.captions[torch.randperm(32)]
        model.step(batch, opt)


def test_each_stage_is_told_by_noise_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    model, asked = tiny(), list[tuple[Tensor, ...]]()
    for network in (model.first, model.second):
        network.register_forward_pre_hook(lambda _, given: asked.append(given))
    latent = torch.arange(4.0 * 12).view(4, 12)  # z, epsilon of the first stage, that of the second
    monkeypatch.setattr(model, "draw", lambda items: latent[:items])
    batch, _ = coloured(4)
    for stage in ("first", "second"):
        model.stage(stage)
        model.step(batch, Noted())  # type: ignore[arg-type]
    (_, z, epsilon), (_, again, same), (_, _, other) = asked
    assert torch.equal(z, latent[:, :4]) and torch.equal(epsilon, latent[:, 4:8])
    assert torch.equal(again, z) and torch.equal(same, epsilon) and torch.equal(other, latent[:, 8:])


def test_the_average_takes_in_the_weights_after_the_step() -> None:
    model = tiny(average=0.5)
    for stage in ("first", "second"):
        network, average = getattr(model, stage), getattr(model, f"average_{stage}")
        before = [p.clone() for p in network.parameters()]
        run(model, stage, 1)
        share = 2 / 11  # of what was, at the first of updates
        for old, new, mean in zip(before, network.parameters(), average.network.parameters(), strict=True):
            assert torch.allclose(mean, share * old + (1 - share) * new, atol=1e-6)
        assert any(not torch.allclose(old, new, atol=1e-4) for old, new in zip(before, network.parameters(), strict=True))


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_each_stage_moves_its_own_networks_and_the_first_gets_no_gradient_in_the_second(average: float) -> None:
    model = tiny(average=average)
    of = {"sentences": ("words_encoder", "picture_encoder"), "first": ("first",), "second": ("second",)}
    for stage, networks in of.items():
        before = {name: value.clone() for name, value in model.state_dict().items()}
        run(model, stage, 3)
        moved = {name.split(".")[0] for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
        beside = {f"{stage}_critic", *([f"average_{stage}"] if average else [])} if stage != "sentences" else set()
        assert moved - {"reached"} == {*networks, *beside}
        assert int(model.reached) == list(of).index(stage)
    batch, _ = coloured(4)
    opt = Noted()
    model.step(batch, opt)  # type: ignore[arg-type]
    opt.losses["second_generator"].backward()
    assert all(p.grad is not None for p in model.second.parameters())
    earlier = [p for name in ("first", "words_encoder", "average_first") if getattr(model, name) for p in getattr(model, name).parameters()]
    assert all(p.grad is None for p in earlier)


def test_pictures_come_from_both_stages_and_before_the_second_from_the_first() -> None:
    model = tiny().eval()
    z, phi = model.latents(3, 0), model.embed(coloured(3)[0].captions[:, 0]).detach()
    small, large = model.resolutions(z, phi)
    assert small.shape == (3, 3, 16, 16) and large.shape == (3, 3, 32, 32)
    model.reached.fill_(1)
    assert torch.equal(model.generate(z, phi), F.interpolate(small, 32))
    model.reached.fill_(2)
    assert torch.equal(model.generate(z, phi), large)
    again, _ = model.resolutions(torch.cat([z[:, :8], torch.randn(3, 4)], 1), phi)
    assert torch.equal(again, small), "the second stage draws its own epsilon"


def test_pictures_are_drawn_with_the_averages_which_are_kept_and_the_critics_are_not(tmp_path: Path) -> None:
    model = tiny(average=0.5)
    model.arguments, model.name = {**TINY, "average": 0.5}, "stackgan"
    run(model, "first", 3)
    run(model, "second", 3)
    model.eval()
    arguments, state = model.lean()
    lean = Model(**arguments)
    lean.load_state_dict(dict(state))
    lean.eval()
    assert lean.first_critic is None and lean.average_first is None
    z, phi = model.latents(2, 0), model.prompts(2)
    assert torch.allclose(model.generate(z, phi), lean.generate(z, lean.prompts(2)), atol=1e-6)
    given = (phi, torch.zeros(2, 3, 16, 16), z[:, 8:])
    assert not torch.allclose(model.second(*given).image, lean.second(*given).image)


# Text ----------------------------------------------------------------------------------------------------------------


def test_the_char_cnn_rnn_reads_characters() -> None:
    assert len(ALPHABET) == 70 and len(set(ALPHABET)) == 69, "the hyphen stands there twice"
    seen = one_hot("A bird.")
    assert seen.shape == (70, 201) and float(seen.sum()) == 7
    assert [ALPHABET[int(seen[:, k].argmax())] for k in range(7)] == list("a bird.")
    with torch.device("meta"):
        network = CharCNNRNN()
        assert network(torch.zeros(2, 70, 201)).shape == (2, 1024)
    torch.manual_seed(0)
    by_hand, given = CharCNNRNN(), torch.rand(2, 70, 201)
    h = F.max_pool1d(by_hand.conv1(given).relu(), 3)
    h = by_hand.conv3(F.max_pool1d(by_hand.conv2(h).relu(), 3)).relu()
    states, _ = by_hand.rnn(h.transpose(1, 2))
    assert states.shape[1] == 18 and torch.allclose(by_hand(given), by_hand.emb_proj(states.sum(1) / 18), atol=1e-5)
    assert sum(p.numel() for p in network.parameters()) == (
        70 * 384 * 4 + 384 + 384 * 512 * 4 + 512 + 512 * 512 * 4 + 512 + 2 * (3 * 512 * 512 + 3 * 512) + 512 * 1024 + 1024
    )


def test_the_papers_encoder_comes_from_a_file_and_is_no_part_of_the_model(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = CharCNNRNN().eval()
    save_file(network.state_dict(), tmp_path / "text.safetensors")
    changes = {"encoder": "char_cnn_rnn", "embedding": 1024}
    model = tiny(**changes, weights=str(tmp_path / "text.safetensors"))
    phi = model.embed(torch.tensor([[START, 4, 5, END], [START, 11, END, 0]]))
    expected = network(torch.stack([one_hot("red green"), one_hot("golden")]))
    assert torch.allclose(phi, expected, atol=1e-5) and not phi.requires_grad
    assert not [name for name in model.state_dict() if "rnn" in name]
    with pytest.raises(PaperzooError, match=r"name their file by model\.weights"):
        tiny(**changes).embed(torch.tensor([[START, 4, END]]))
    with pytest.raises(PaperzooError, match="stage"):
        tiny(**changes).stage("sentences")


def test_the_small_encoder_reads_words_in_order_and_no_padding() -> None:
    torch.manual_seed(0)
    read = SentenceEncoder(12, 6, 5, 4)
    one = torch.tensor([[START, 4, 5, 6, END]])
    phi = read(one)
    assert torch.allclose(read(F.pad(one, (0, 3))), phi, atol=1e-6)
    assert not torch.allclose(read(torch.tensor([[START, 6, 5, 4, END]])), phi, atol=1e-4)
    states, _ = read.rnn(read.words(one))
    assert torch.allclose(phi, read.project(states[:, 1:].mean(1)), atol=1e-6)


def test_what_the_small_encoder_says_is_made_louder_for_those_who_hear_it_alone() -> None:
    quiet, loud, batch = tiny(), tiny(scale=8.0), coloured(6)[0]
    batch.captions[:, 1] = 0  # one sentence each
    rows = batch.captions[:, 0]
    assert torch.allclose(loud.embed(rows), 8 * quiet.embed(rows)) and 0.5 < float(quiet.embed(rows).detach().square().mean()) < 1.5
    losses = []
    for model in (quiet, loud):
        model.stage("sentences")
        opt = Noted()
        model.step(batch, opt)  # type: ignore[arg-type]
        losses.append(float(opt.losses["encoders"].detach()))
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"image_size": 16}, "must be above"),
        ({"encoder": "char_cnn_rnn"}, "1024 numbers"),
        ({"width": 3, "image_size": 64}, "multiple of"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(PaperzooError, match=said):
        tiny(**changes)


# Learning ------------------------------------------------------------------------------------------------------------


def learnt(shuffled: bool = False, steps: int = 400) -> float:
    """The share of stage I's pictures whose colour is the one asked for."""
    model = Model(**{**TINY, "width": 32, "critic_width": 16, "condition": 8, "weight": 0.02, "average": 0.9})
    run(model, "sentences", 60, shuffled)
    run(model, "first", steps, shuffled, 4e-3)
    held, label = coloured(200, 1)
    model.eval()
    small, _ = model.every_size(model.latents(200, 0), model.embed(held.captions[:, 1]).detach())
    nearest = torch.cdist(small.mean((2, 3)), torch.tensor(list(COLOURS.values()))).argmin(1)
    return float((nearest == label).float().mean())


@pytest.mark.processor
def test_it_draws_what_the_sentence_says() -> None:
    assert learnt() > 0.8


@pytest.mark.processor
def test_with_the_sentences_of_others_it_does_not() -> None:
    assert learnt(shuffled=True, steps=200) < 0.5


@pytest.mark.processor
def test_the_joint_embedding_tells_sentences_apart() -> None:
    model = tiny()
    run(model, "sentences", 80)
    batch, label = coloured(100, 1)
    with torch.no_grad():
        model.eval()
        theta = model.picture_encoder(F.interpolate(2 * batch.image - 1, 16, mode="area"))
        phi = model.embed(batch.captions[:, 1])
    best = label[(theta @ phi.T).argmax(1)]
    assert float((best == label).float().mean()) > 0.9
    assert np.isfinite(float(joint_embedding_loss(theta, phi)))
