"""The training of 1998: second derivatives by hand and by brute force, rates, one digit at a time."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paperzoo import PaperzooError
from paperzoo.data import Batch
from paperzoo.engine.players import Players
from paperzoo.papers.recognition import lenet
from paperzoo.papers.recognition.lenet_marquardt import RATES, Marquardt, Model, curvature, of_output, slope


def images(items: int = 3) -> tuple[Tensor, Tensor]:
    torch.manual_seed(2)
    return torch.rand(items, 1, 32, 32) * 1.275 - 0.1, torch.arange(items) % 10


def test_the_derivative_of_the_squashing_function() -> None:
    a = torch.linspace(-3, 3, 13, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(lenet.squash(a).sum(), a)
    assert torch.allclose(slope(a), expected)


def test_second_derivatives_of_the_output_are_those_of_the_criterion_without_mixed_terms() -> None:
    torch.manual_seed(0)
    x, targets = torch.randn(1, 6, dtype=torch.float64) / 2, torch.randn(10, 6, dtype=torch.float64).sign()

    def criterion(y: Tensor) -> Tensor:  # of penalties (10)
        return lenet.eq9(y[None], torch.tensor([3]), 0.1)

    y = lenet.rbf(x, targets)[0]
    first = torch.autograd.functional.jacobian(criterion, y)
    second = torch.autograd.functional.hessian(criterion, y).diagonal()
    away = x - targets  # (10, 6)
    expected = (first * 2).sum() + (second[:, None] * (2 * away).square()).sum(0)
    assert torch.allclose(of_output(x, targets, 0.1)[0], expected)
    exact = torch.autograd.functional.hessian(lambda v: criterion(lenet.rbf(v[None], targets)[0]), x[0]).diagonal()
    assert torch.allclose(exact, expected - mixed(y, away), atol=1e-9)


def mixed(y: Tensor, away: Tensor) -> Tensor:
    """What the terms p_i p_k of different classes take away, by hand."""
    p = torch.cat([-y, torch.tensor([-0.1], dtype=y.dtype)]).softmax(0)[:-1]
    pairs = p[:, None] * p * (1 - torch.eye(10, dtype=y.dtype))
    return torch.einsum("ik,id,kd->d", pairs, 2 * away, 2 * away)


def shared(x: Tensor, h: Tensor, kernel: int) -> Tensor:
    """sum over places of h x^2, by unfolding: (maps, inputs, kernel, kernel), a mean over images."""
    patches = F.unfold(x, kernel).square()  # (N, inputs k k, places)
    return torch.einsum("nmp,nkp->mk", h.flatten(2), patches).view(h.shape[1], x.shape[1], kernel, kernel) / len(x)


def test_curvature_layer_by_layer_as_the_appendix_says() -> None:
    """The same recursion with unfolded patches and explicit sums over places, in double precision."""
    torch.manual_seed(1)
    net = lenet.LeNet1998().double()
    image, label = images()
    image = image.double()
    found = dict(zip((name for name, _ in net.named_parameters()), curvature(net, image, label), strict=True))
    assert all(h.shape == p.shape and (h >= 0).all() for h, p in zip(found.values(), net.parameters(), strict=True))

    x1 = lenet.squash(net.c1(image))
    x2 = net.s2(x1)
    x3 = lenet.squash(net.c3(x2))
    x4 = net.s4(x3)
    x5 = lenet.squash(net.c5(x4)).flatten(1)

    def squared_slope(x: Tensor) -> Tensor:  # from a unit's state: squash' = 2/3 (1.7159 - x^2 / 1.7159)
        return (2 / 3 * (1.7159 - x.square() / 1.7159)).square()

    h6 = of_output(net.features(image), net.targets, 0.1) * squared_slope(net.features(image))
    assert torch.allclose(found["f6.weight"], torch.einsum("no,ni->noi", h6, x5.square()).mean(0))
    assert torch.allclose(found["f6.bias"], h6.mean(0))
    h5 = torch.einsum("no,oi->ni", h6, net.f6.weight.square()) * squared_slope(x5)
    assert torch.allclose(found["c5.weight"], torch.einsum("no,nihw->noihw", h5, x4.square()).mean(0))
    h4 = torch.einsum("no,oihw->nihw", h5, net.c5.weight.square()) * squared_slope(x4)  # of S4's sums
    total = x3.unfold(2, 2, 2).unfold(3, 2, 2).sum((4, 5))
    assert torch.allclose(found["s4.gain"][:, 0, 0], (h4 * total.square()).sum((2, 3)).mean(0))
    assert torch.allclose(found["s4.bias"][:, 0, 0], h4.sum((2, 3)).mean(0))
    h3 = (h4 * net.s4.gain.square()).repeat_interleave(2, 2).repeat_interleave(2, 3) * squared_slope(x3)
    whole = shared(x2, h3, 5)
    for k, inputs in enumerate(lenet.TABLE_I):
        assert torch.allclose(found[f"c3.maps.{k}.weight"][0], whole[k, list(inputs)])
        assert torch.allclose(found[f"c3.maps.{k}.bias"][0], h3[:, k].sum((1, 2)).mean())
    h2 = torch.zeros_like(x2)
    for k, inputs in enumerate(lenet.TABLE_I):
        for position, i in enumerate(inputs):
            for u in range(5):
                for v in range(5):
                    h2[:, i, u : u + 10, v : v + 10] += h3[:, k] * net.c3.maps[k].weight[0, position, u, v].square()
    h2 = h2 * squared_slope(x2)
    h1 = (h2 * net.s2.gain.square()).repeat_interleave(2, 2).repeat_interleave(2, 3) * squared_slope(x1)
    assert torch.allclose(found["c1.weight"], shared(image, h1, 5))
    assert torch.allclose(found["c1.bias"], h1.sum((2, 3)).mean(0))


def test_each_digit_moves_the_weights_at_rates_divided_by_the_curvature() -> None:
    torch.manual_seed(0)
    model, (image, label) = Model(every=3), images(4)
    opt = Players(model.optimizers(mu=0.05))
    copy = lenet.LeNet1998()
    copy.load_state_dict(model.network.state_dict())
    for call in range(2):  # curvature is taken anew by each
        bends = curvature(copy, model.scale(image), label)
        model.step(Batch(image=image, label=label), opt)
        for digit, answer in zip(model.scale(image).chunk(4), label.chunk(4), strict=True):
            grads = torch.autograd.grad(lenet.eq9(copy(digit), answer) / 84, list(copy.parameters()))
            with torch.no_grad():
                for p, g, h in zip(copy.parameters(), grads, bends, strict=True):
                    p -= 5e-4 / (0.05 + h / 84) * g
        pairs = zip(model.network.parameters(), copy.parameters(), strict=True)
        assert all(torch.allclose(a, b, atol=1e-6) for a, b in pairs), call
    assert len(opt.losses) == 8


def test_rates_by_pass() -> None:
    model = Model(every=120)
    optimizer, rate = model.optimizers()["network"]  # type: ignore[misc]
    assert isinstance(optimizer, Marquardt)
    found = [optimizer.param_groups[0]["lr"] * rate(120 * number + 60, 2400) for number in range(20)]
    assert found == pytest.approx([5e-4, 5e-4, 2e-4, 2e-4, 2e-4, 1e-4, 1e-4, 1e-4, *[5e-5] * 4, *[1e-5] * 8])
    assert len(RATES) == 20 and rate(119, 2400) == rate(0, 2400) and rate(240, 2400) == pytest.approx(0.4)


def test_only_the_network_of_1998_has_them() -> None:
    with pytest.raises(PaperzooError, match="network of 1998 only"):
        curvature(nn.Linear(2, 2), *images(1))
