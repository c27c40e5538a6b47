"""Dropout with cheap noise is dropout."""

from __future__ import annotations

import pytest
import torch

from paperzoo.nn.dropout import Dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_as_many_are_dropped_as_asked_and_the_mean_stays(p: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(400, 1001)
    y = Dropout(p)(x)
    assert y.unique().tolist() == pytest.approx([0, 1 / (1 - p)], rel=2e-4)
    error = (p * (1 - p) / x.numel()) ** 0.5
    assert float((y == 0).float().mean()) == pytest.approx(p, abs=4 * error)
    assert float(y.mean()) == pytest.approx(1, abs=4 * error / (1 - p))


def test_every_bit_of_the_noise_is_used_and_fair() -> None:
    torch.manual_seed(0)
    dropped = torch.stack([Dropout(0.5)(torch.ones(64)) == 0 for _ in range(4000)]).float()  # (4000, 64)
    assert ((dropped.mean(0) - 0.5).abs() < 5 * 0.5 / 4000**0.5).all()  # each place
    together = torch.corrcoef(dropped.T) - torch.eye(64)
    assert together.abs().max() < 5 / 4000**0.5 + 0.01  # no two places go together


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_layout_type_and_gradient_are_those_of_the_input(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = (torch.rand(2, 6, 5, 3) + 0.5).to(dtype).to(memory_format=torch.channels_last).requires_grad_()
    y = Dropout(0.25)(x)
    assert y.stride() == x.stride() and y.dtype == dtype
    (gradient,) = torch.autograd.grad(y.float().sum(), x)
    assert torch.equal(gradient == 0, y == 0)
    expanded = torch.ones(1, 8).expand(500, 8)
    assert 0.2 < float((Dropout(0.25)(expanded) == 0).float().mean()) < 0.3 and expanded.eq(1).all()


def test_seeds_decide_and_ends_are_exact() -> None:
    x = torch.ones(1000)
    torch.manual_seed(3)
    first = Dropout(0.5)(x)
    torch.manual_seed(3)
    assert torch.equal(first, Dropout(0.5)(x)) and not torch.equal(first, Dropout(0.5)(x))
    assert torch.equal(Dropout(0.5).eval()(x), x) and torch.equal(Dropout(0.0)(x), x)
    assert torch.equal(Dropout(1.0)(x), torch.zeros(1000))
