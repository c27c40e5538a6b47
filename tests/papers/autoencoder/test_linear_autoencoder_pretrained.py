"""Pre-training as restricted Boltzmann machines, and logistic PCA: their identities, and what pre-training is for."""

from __future__ import annotations

import itertools

import pytest
import torch
from fixtures.training import digits, fit, train_images
from torch import Tensor

from paperzoo import PaperzooError
from paperzoo.data import Batch
from paperzoo.engine.players import Players
from paperzoo.papers.autoencoder import linear_autoencoder, linear_autoencoder_pretrained
from paperzoo.papers.autoencoder.linear_autoencoder_pretrained import LogisticPCA, Model, free_energy, reconstruct


def machine(hidden: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(hidden, 4, dtype=torch.float64), torch.randn(4, dtype=torch.float64), torch.randn(hidden, dtype=torch.float64)


def test_the_free_energy_is_what_is_left_when_hidden_units_are_summed_out() -> None:
    weight, b, c = machine()
    v = torch.rand(5, 4, dtype=torch.float64)
    all_h = torch.tensor(list(itertools.product((0.0, 1.0), repeat=3)), dtype=torch.float64)  # (8, 3)
    energy = -(v @ b)[:, None] - (all_h @ c)[None] - v @ (all_h @ weight).T  # equation 1 of the paper, (5, 8)
    assert torch.allclose(free_energy(v, weight, b, c, False), -torch.logsumexp(-energy, 1))
    grid = torch.linspace(-30, 30, 60_001, dtype=torch.float64)
    weight, b, c = machine(hidden=1)
    energy = -(v @ b)[:, None] - grid * c - (v @ weight.T) * grid + grid**2 / 2
    summed = -torch.log(torch.exp(-energy).sum(1) * float(grid[1] - grid[0]) / (2 * torch.pi) ** 0.5)
    assert torch.allclose(free_energy(v, weight, b, c, True), summed)


@pytest.mark.parametrize("linear", [False, True])
def test_a_step_is_contrastive_divergence(linear: bool) -> None:
    parameters = [p.requires_grad_() for p in machine()]
    weight, b, c = parameters
    v = torch.rand(6, 4, dtype=torch.float64)
    with torch.no_grad():
        again = reconstruct(v, weight, b, c, linear)
    loss = (free_energy(v, weight, b, c, linear) - free_energy(again, weight, b, c, linear)).mean()
    gradient = torch.autograd.grad(loss, parameters)
    h, h_again = (x @ weight.T + c if linear else (x @ weight.T + c).sigmoid() for x in (v, again))
    assert torch.allclose(gradient[0], -(h.T @ v - h_again.T @ again) / 6)  # equation 2
    assert torch.allclose(gradient[1], -(v - again).mean(0)) and torch.allclose(gradient[2], -(h - h_again).mean(0))


def test_a_reconstruction_is_made_of_drawn_hidden_units() -> None:
    weight, b, c = machine()
    v = torch.rand(1, 4, dtype=torch.float64).expand(20_000, -1)
    possible = torch.stack([(b + torch.tensor(h, dtype=torch.float64) @ weight).sigmoid() for h in itertools.product((0.0, 1.0), repeat=3)])
    found = reconstruct(v, weight, b, c, False)
    which = (found[:, None] - possible).abs().sum(2).argmin(1)
    assert torch.allclose(found, possible[which])
    probability = torch.stack([(v[0] @ weight.T + c).sigmoid(), 1 - (v[0] @ weight.T + c).sigmoid()])
    states = itertools.product((0, 1), repeat=3)
    expected = torch.stack([torch.stack([probability[1 - bit, j] for j, bit in enumerate(h)]).prod() for h in states])
    assert torch.allclose(which.bincount(minlength=8) / 20_000, expected.to(torch.float32), atol=0.015)
    linear = torch.logit(reconstruct(v, weight, b, c, True)) - b  # W^T h, of h with variance 1 around c + W v
    assert torch.allclose(linear.mean(0), (v[0] @ weight.T + c) @ weight, atol=0.1)
    assert torch.allclose(linear.T.cov(), weight.T @ weight, atol=0.25)


def test_a_machine_learns_alone_from_what_those_below_say_and_is_unrolled() -> None:
    torch.manual_seed(0)
    model = Model(image_size=8, code=3, hidden=[20, 10])
    image = torch.rand(30, 1, 8, 8)
    model.stage("layer 2")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    opt = Players(model.optimizers(lr=0.1))
    model.step(Batch(image=image), opt)
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {"encoder.2.weight", "encoder.2.bias", "decoder.2.weight", "decoder.2.bias"}
    assert torch.equal(model.decoder[2].weight, model.encoder[2].weight.T)
    v = model.encoder[:2](image.flatten(1)).detach()  # a fresh step by hand, from the same draws
    rate = 0.1 * 0.2
    torch.manual_seed(9)
    weight, b, c = (x.detach().clone() for x in (model.encoder[2].weight, model.decoder[2].bias, model.encoder[2].bias))
    again = reconstruct(v, weight, b, c, False)
    push = ((v @ weight.T + c).sigmoid().T @ v - (again @ weight.T + c).sigmoid().T @ again) / 30 - 2e-4 * weight
    torch.manual_seed(9)
    model.stage("layer 2")
    fresh = Players(model.optimizers(lr=0.1))
    fresh.stage_steps = 100
    model.step(Batch(image=image), fresh)
    assert torch.allclose(model.encoder[2].weight, weight + rate * push, atol=1e-6)
    with pytest.raises(PaperzooError, match="unknown stage 'layer 4'"):
        model.stage("layer 4")
    model.stage("layer 3")  # the code: linear units
    torch.manual_seed(9)
    v = model.encoder[:4](image.flatten(1)).detach()
    args = (model.encoder[4].weight, model.decoder[0].bias, model.encoder[4].bias, True)
    expected = (free_energy(v, *args) - free_energy(reconstruct(v, *args).detach(), *args)).mean()
    torch.manual_seed(9)
    opt = Players(model.optimizers(lr=0.001))
    model.step(Batch(image=image), opt)
    assert float(opt.losses[0][2]) == pytest.approx(float(expected.detach()), abs=1e-5)


def errors(pretrain: int, seed: int = 0) -> float:
    torch.manual_seed(seed)
    model = Model(image_size=8, code=8, hidden=[100, 50, 25])
    image = train_images()
    for layer in range(4 if pretrain else 0):
        model.stage(f"layer {layer + 1}")
        fit(model, "image", image, pretrain, 100, lr=0.1 if layer < 3 else 0.001)
    model.stage("all")
    return fit(model, "image", image, 150, 100, lr=3e-3).measure(digits(), "test")["squared error"]


@pytest.mark.processor
def test_a_deep_network_of_logistic_units_learns_from_pretrained_weights_and_not_from_random_ones() -> None:
    good, bad = errors(300), errors(0)
    assert good < 0.6 * bad, (good, bad)


@pytest.mark.processor
def test_logistic_pca_has_a_smaller_squared_error_than_pca() -> None:
    torch.manual_seed(0)
    model = fit(LogisticPCA(image_size=8, code=5), "image", train_images(), 1500, lr=3e-2)
    found = model.measure(digits(), "test")
    assert found["squared error"] < 0.96 * found["pca squared error"], found


def test_logistic_pca_is_linear_up_to_the_last_logistic() -> None:
    torch.manual_seed(0)
    model, image = LogisticPCA(image_size=8, code=5), torch.rand(7, 1, 8, 8)
    x = image.flatten(1)
    logits = model.decoder(model.encoder(x))
    assert [type(layer).__name__ for layer in (*model.encoder, *model.decoder)] == ["Linear", "Linear"]
    assert torch.allclose(model.reconstruct(image).flatten(1), logits.sigmoid())
    assert torch.allclose(model.loss(image), linear_autoencoder.cross_entropy(x, logits))
    assert linear_autoencoder_pretrained.logistic([3, 2])[0].weight.abs().max() < 0.5
