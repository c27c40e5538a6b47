"""Attention by plain products is torch's fused attention."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from paperzoo.nn.attention import attention


@pytest.mark.parametrize("masked", [False, True])
def test_both_ways_agree_in_value_and_gradient(masked: bool) -> None:
    torch.manual_seed(0)
    whole = [torch.randn(3, 2, 7, 16, dtype=torch.float64) for _ in range(3)]
    visible = torch.rand(3, 1, 1, 7) < 0.6 if masked else None
    if visible is not None:
        visible[..., 0] = True
    found = []
    for dtype in (torch.float64, torch.bfloat16):  # fused, and plain
        given = [x.to(dtype).requires_grad_() for x in whole]
        out = attention(*given, visible)
        found.append([out.double(), *(g.double() for g in torch.autograd.grad(out.square().sum(), given))])
    for exact, rough in zip(*found, strict=True):
        assert (exact - rough).abs().max() < 0.03 * exact.abs().max()
    assert torch.allclose(found[0][0], F.scaled_dot_product_attention(*whole, visible))


def test_dropout_leaves_out_weights_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    queries, keys = torch.zeros(64, 8, 16, 4), torch.zeros(64, 8, 16, 4)
    values = torch.ones(64, 8, 16, 4)
    given = [x.bfloat16().requires_grad_() for x in (queries, keys, values)]
    out = attention(*given, rate=0.25).detach().float()  # each is a mean of 16 ones, of which a quarter is dropped
    assert abs(float(out.mean()) - 1) < 0.01 and float(out.std()) > 0.1
    assert float((out * 16 * 0.75 - (out * 16 * 0.75).round()).abs().max()) < 0.1
