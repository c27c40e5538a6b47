"""The first lesson: each layer by hand, every name of torch that it accepts, its pictures, and what non-linearity is for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fixtures.training import constant
from PIL import Image
from torch import Tensor, nn

import paperzoo
from paperzoo import catalog
from paperzoo.data import Batch
from paperzoo.data.augment import AUGMENTATIONS
from paperzoo.engine.players import Players
from paperzoo.errors import PaperzooError
from paperzoo.papers.recognition.cnn import LOSSES, VARIANTS, Activation, ConvNet, Loss, Model, loss_of, optimizer_names
from paperzoo.tasks.classification.stages import fields, strongest

PARAMETERS = catalog.paper("cnn").parameters


def test_every_variant_has_its_count() -> None:
    assert set(PARAMETERS) == set(VARIANTS)  # and the contract's tests hold them against the networks
    convs = 9 * (1 * 32 + 32 * 64 + 64 * 128)
    assert PARAMETERS["cnn"] == convs + 2 * (32 + 64 + 128) + (3 * 3 * 128 * 10 + 10)  # 28, 14, 7, 3
    assert PARAMETERS["plain"] == PARAMETERS["linear"] == convs + (32 + 64 + 128) + (3 * 3 * 128 * 10 + 10)


def test_layers_by_hand() -> None:
    """Convolution and pooling in plain loops, then flatten and linear."""
    torch.manual_seed(0)
    model = Model(widths=(2, 3), normalise=False, image_size=6, mean=(0.25,)).double()
    image = torch.rand(1, 1, 6, 6, dtype=torch.float64)
    x = (image[0] - 0.25).numpy()
    for stage in model.network.stages:
        conv = stage[0]
        w, b = conv.weight.detach().numpy(), conv.bias.detach().numpy()
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
        side = x.shape[1]
        x = np.zeros((len(w), side // 2, side // 2))  # pooling takes the largest, and none is below 0
        for o, i, j in np.ndindex(len(w), side - side % 2, side - side % 2):
            fit = (w[o] * padded[:, i : i + 3, j : j + 3]).sum() + b[o]
            x[o, i // 2, j // 2] = max(x[o, i // 2, j // 2], fit)
    out = model.network.output.weight.detach().numpy() @ x.reshape(-1) + model.network.output.bias.detach().numpy()
    assert np.allclose(model(image).detach().numpy()[0], out)


def test_without_non_linearity_the_network_is_one_linear_map() -> None:
    torch.manual_seed(0)
    a, b = torch.rand(2, 3, 1, 28, 28, dtype=torch.float64)
    for name, linear in (("linear", True), ("plain", False), ("cnn", False)):
        model = Model(**VARIANTS[name]).double().eval()
        left, right = model(a) + model(b), model(a + b) + model(0 * a)
        assert torch.allclose(left, right, atol=1e-9) is linear, name


@pytest.mark.parametrize("name", get_args(Activation))
def test_activations_need_no_argument_and_see_each_number_by_itself(name: str) -> None:
    layer = getattr(nn, name)().eval()
    x, order = torch.linspace(-4, 4, 60), torch.randperm(60)
    assert torch.equal(layer(x.view(3, 4, 5)).flatten(), layer(x))
    assert torch.allclose(layer(x[order]), layer(x)[order], atol=1e-6)
    assert Model(activation=name, image_size=8)(torch.rand(2, 1, 8, 8)).shape == (2, 10)


def test_losses_against_their_definitions() -> None:
    torch.manual_seed(0)
    y, label = torch.randn(5, 4, dtype=torch.float64), torch.tensor([0, 3, 1, 2, 3])
    z, hot = y.numpy(), np.eye(4)[label]
    right = z[np.arange(5), label][:, None]
    sigma = 1 / (1 + np.exp(-z))
    small = np.abs(z - hot) < 1
    expected = {
        "CrossEntropyLoss": (np.log(np.exp(z).sum(1)) - right[:, 0]).mean(),
        "MultiMarginLoss": ((np.maximum(0, 1 - right + z) * (1 - hot)).sum(1) / 4).mean(),
        "BCEWithLogitsLoss": -(hot * np.log(sigma) + (1 - hot) * np.log(1 - sigma)).mean(),
        "MSELoss": ((z - hot) ** 2).mean(),
        "L1Loss": np.abs(z - hot).mean(),
        "HuberLoss": np.where(small, (z - hot) ** 2 / 2, np.abs(z - hot) - 0.5).mean(),
    }
    expected["SmoothL1Loss"] = expected["HuberLoss"]
    assert set(get_args(Loss)) == set(LOSSES)
    assert {name: loss_of(name, y, label).item() for name in LOSSES} == pytest.approx(expected)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_is_least_where_the_answer_is_right(loss: str) -> None:
    label = torch.arange(4)
    right, wrong = 5 * torch.eye(4), 5 * torch.eye(4).flip(1)
    assert loss_of(loss, right, label) < loss_of(loss, wrong, label)


@pytest.mark.parametrize("name", optimizer_names())
def test_every_optimiser_moves_every_weight_downhill(name: str) -> None:
    torch.manual_seed(0)
    model = Model(widths=(4,), image_size=4)
    batch = Batch(image=torch.rand(16, 1, 4, 4), label=torch.arange(16) % 10)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    opt = Players(constant(model.optimizers(name=name, lr=1e-3)))
    for _ in range(3):
        model.step(batch, opt)
    assert all(not torch.equal(p, before[n]) for n, p in model.named_parameters())
    losses = [loss.item() for _, _, loss in opt.losses]
    assert losses[2] < losses[0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"activation": "ReLu"}, "unknown model.activation 'ReLu': did you mean ReLU"),
        ({"activation": "Softmax"}, "unknown model.activation 'Softmax'"),  # each number depends on all
        ({"loss": "CrossEntropy"}, "did you mean CrossEntropyLoss"),
        ({"pooling": "mean"}, "unknown model.pooling 'mean'"),
        ({"kernel": 4}, "kernel of cnn must be odd"),
        ({"widths": ()}, "model.widths must be a list of at least 1, not ()"),
        ({"widths": (8, 0)}, "model.widths must be a list of numbers, each at least 1, not (8, 0)"),
        ({"image_size": 7}, "images of 7 pixels vanish in 3 stages"),
        ({"dropout": 1.0}, "model.dropout must be less than 1"),
        ({"convolutions": 0}, "model.convolutions must be at least 1"),
        ({"mean": (0.1, 0.2)}, "mean of cnn"),
    ],
)
def test_arguments(arguments: dict[str, Any], says: str) -> None:
    with torch.device("meta"), pytest.raises(PaperzooError, match=re.escape(says)):
        paperzoo.create("cnn", **arguments)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"name": "adam"}, "unknown optimizer 'adam' of cnn: did you mean Adam"),
        ({"name": "LBFGS"}, "unknown optimizer 'LBFGS'"),
        ({"name": "SGD", "arguments": {"momentun": 0.9}}, "torch.optim.SGD does not take lr=0.006, momentun=0.9"),
        ({"name": "SGD", "arguments": {"momentum": -1}}, "torch.optim.SGD does not take"),
        ({"arguments": "momentum"}, "optimizer.arguments of cnn is written"),
    ],
)
def test_optimiser_arguments(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(PaperzooError, match=re.escape(says)):
        Model(image_size=8).optimizers(**arguments)


def test_rate_rises_and_falls_once() -> None:
    factor = Model(image_size=8).optimizers()["network"][1]
    rates = [factor(i, 100) for i in range(100)]
    assert rates[:25] == pytest.approx([(i + 1) / 25 for i in range(25)]) and rates[24] == max(rates) == 1
    assert all(a > b for a, b in zip(rates[24:], rates[25:], strict=False)) and rates[-1] == pytest.approx(0, abs=1e-12)
    assert rates[61] == pytest.approx(0.5, abs=0.02)  # half-way down
    assert Model(image_size=8).optimizers(rise=0.0)["network"][1](0, 100) == pytest.approx(1, abs=1e-3)


@pytest.mark.processor
def test_pictures_show_filters_and_maps(tmp_path: Path) -> None:
    run = paperzoo.train("cnn", "smoke", out=tmp_path)
    assert run.metrics["error %"] < 15
    pictures = {path.name: path for path in run.figures}
    assert {"final-confusion.png", "final-filters.png", "final-maps.png", "final-excited.png"} <= set(pictures)
    assert all(path.stat().st_size < 150_000 for path in pictures.values())
    filters = np.asarray(Image.open(pictures["final-filters.png"]).convert("L"))
    assert filters.shape == (36, 8 * 36 + 7 * 2)  # 8 filters of 3x3, each pixel 12 wide
    weight = run.model.network.stages[0][0].weight.detach()
    brightest = np.unravel_index(filters[:, :36].argmax(), (36, 36))
    assert tuple(i // 12 for i in brightest) == divmod(int(weight[0, 0].argmax()), 3)
    maps = run.model.network.maps(torch.rand(2, 1, 8, 8))
    assert [tuple(m.shape) for m in maps] == [(2, 8, 4, 4), (2, 16, 2, 2), (2, 32, 1, 1)]


def parity(number: int) -> tuple[Tensor, Tensor]:
    """8x8 images with two dots, each bright or dark on grey; the label is whether they differ. No linear map can tell."""
    sign = torch.randint(2, (number, 2)).float() * 2 - 1
    image = torch.full((number, 1, 8, 8), 0.5)
    image[:, 0, 1:3, 1:3] += 0.5 * sign[:, 0, None, None]
    image[:, 0, 5:7, 5:7] += 0.5 * sign[:, 1, None, None]
    return image, (sign[:, 0] != sign[:, 1]).long()


@pytest.mark.processor
@pytest.mark.parametrize(("variant", "learns"), [("cnn", True), ("plain", True), ("linear", False)])
def test_learns_what_no_linear_map_can(variant: str, learns: bool) -> None:
    torch.manual_seed(0)
    model = Model(**{**VARIANTS[variant], "widths": (8, 16, 16), "image_size": 8, "classes": 2, "mean": (0.5,)})
    opt = Players(model.optimizers(lr=1e-2))
    opt.total = opt.stage_steps = 120
    for opt.iteration in range(120):
        image, label = parity(64)
        model.step(Batch(image=image, label=label), opt)
    image, label = parity(500)
    with torch.no_grad():
        right = (model.eval()(image).argmax(1) == label).float().mean()
        loss = F.cross_entropy(model(image), label)
    assert (right == 1 and loss < 0.1) if learns else loss > 0.6, (float(right), float(loss))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentations_never_leave_the_device_of_the_batch(name: str) -> None:
    changed = AUGMENTATIONS[name](torch.empty(4, 3, 302, 302, device="meta"))  # where any look at a number would be an error
    assert changed.device.type == "meta" and changed.shape[:2] == (4, 3)


@pytest.mark.parametrize("convolutions, kernel", [(1, 3), (2, 3), (1, 5)])
def test_a_place_sees_the_square_that_it_is_said_to_see(convolutions: int, kernel: int) -> None:
    """By the gradient of one place in the middle: it is not 0 exactly within the square round the place's middle."""
    network = ConvNet((2, 2), convolutions, kernel, "Identity", "average", False, 0.0, 1, 10, 64)
    for stage, (side, step) in enumerate(fields(network.stages)):
        image = torch.rand(1, 1, 64, 64, requires_grad=True)
        answers = network.maps(image)[stage]
        row, column = answers.shape[2] // 2, answers.shape[2] // 2 - 1
        answers[0, 0, row, column].backward()
        assert image.grad is not None
        seen = torch.nonzero(image.grad[0, 0])
        top, left = (round(step * (at + 0.5) - side / 2) for at in (row, column))
        assert seen.min(0).values.tolist() == [top, left] and seen.max(0).values.tolist() == [top + side - 1, left + side - 1]
        only = torch.zeros_like(answers[:, 0])
        only[0, row, column] = 1
        assert torch.equal(strongest(image.detach(), only, side, step)[0], image.detach()[0, :, top : top + side, left : left + side])


def test_patches_begin_with_the_strongest_answer_and_are_of_different_images() -> None:
    images, answers = torch.arange(3.0)[:, None, None, None].expand(3, 1, 8, 8), torch.zeros(3, 4, 4)
    answers[0, 1, 1], answers[2, 2, 3], answers[2, 0, 0], answers[1, 3, 3] = 0.5, 2.0, 1.9, 1.0
    assert [patch.amax().item() for patch in strongest(images, answers, 4, 2)] == [2.0, 1.0, 0.0]
