"""Pre-activation: counts, the sum of Eq. 4 and the gradient of Eq. 5, the two special ends, and what a scaled shortcut costs."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import paperzoo
from paperzoo import catalog
from paperzoo.errors import PaperzooError
from paperzoo.papers.recognition.preact_resnet import VARIANTS, Model, Unit

PARAMETERS = catalog.paper("preact_resnet").parameters


def stages(model: Model) -> tuple[nn.Module, list[Unit], nn.Module, nn.Module]:
    network = model.network
    stem, units, norm, output = (network.get_submodule(name) for name in ("stem", "units", "norm", "output"))
    return stem, list(units), norm, output


def shake(model: nn.Module) -> nn.Module:
    """Statistics and scales as after some training, so that no batch normalisation is near the identity."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)
    return model.double().eval()


def trace(model: Model, image: Tensor) -> list[Tensor]:
    """x_0 (behind the stem), x_1, ..., x_L, one behind each unit."""
    stem, units, _, _ = stages(model)
    seen = [stem(image)]
    for unit in units:
        seen.append(unit(seen[-1]))
    return seen


def test_every_variant_has_its_count() -> None:
    assert set(PARAMETERS) == set(VARIANTS)  # and the contract's tests hold them against the networks
    projections = 16 * 32 + 32 * 64  # of 1x1, and no batch normalisation: their input has been through one
    for name in ("preact20", "preact110"):
        assert PARAMETERS[f"{name}-b"] - PARAMETERS[name] == projections


@pytest.mark.parametrize("name", VARIANTS)
def test_depth_is_the_number_of_weighted_layers(name: str) -> None:
    with torch.device("meta"):
        model = Model(**VARIANTS[name])
    on_the_way = [n for n, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear) and "shortcut" not in n]
    assert len(on_the_way) == int(re.search(r"\d+", name)[0])


def test_signal_is_the_sum_of_what_the_units_add() -> None:
    """Eq. 4, between any two units of a stage: x_L = x_l + sum F(x_i)."""
    torch.manual_seed(0)
    model = shake(Model(depth=26, bottleneck=False, width=4, channels=1))
    seen = trace(model, torch.randn(3, 1, 8, 8, dtype=torch.float64))
    added: list[Tensor] = []
    for unit, x in zip(stages(model)[1][1:4], seen[1:4], strict=True):  # the first stage, after its first unit
        f = x
        for norm, conv in zip(unit.norms, unit.convs, strict=True):
            f = conv(F.relu(norm(f)))
        added.append(f)
    assert torch.allclose(seen[4], seen[1] + sum(added), atol=1e-12)
    assert (seen[4] < 0).any() and (added[0] < 0).any()  # no ReLU stands behind an addition


def test_a_part_of_the_gradient_arrives_unchanged() -> None:
    """Eq. 5: dE/dx_l - dE/dx_L is the gradient through the residuals alone, so it vanishes with their weights."""
    torch.manual_seed(0)
    model = shake(Model(depth=26, bottleneck=False, width=4, channels=1))
    units = stages(model)[1][1:4]
    x = torch.randn(2, 4, 6, 6, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 4, 6, 6, dtype=torch.float64)  # dE/dx_L
    for scale in (1.0, 1e-3, 0.0):
        with torch.no_grad():
            for unit in units:
                unit.convs[-1].weight.mul_(scale)
        y = x
        for unit in units:
            y = unit(y)
        (gradient,) = torch.autograd.grad((weight * y).sum(), x, retain_graph=True)
        (rest,) = torch.autograd.grad((weight * (y - x)).sum(), x)
        assert torch.allclose(gradient - weight, rest, atol=1e-12)
        assert (gradient - weight).norm() <= 20 * scale * weight.norm()
    assert torch.equal(gradient, weight)  # at weights of zero, exactly


@pytest.mark.parametrize("depth", [20, 56])
def test_without_residuals_the_body_is_the_identity(depth: int) -> None:
    """With option A from end to end: what comes out is the first activation, every fourth pixel, and zeros behind it."""
    model = Model(depth=depth, bottleneck=False, width=4, channels=1).eval()
    stem, units, _, _ = stages(model)
    for unit in units:
        nn.init.zeros_(unit.convs[-1].weight)
    image = torch.rand(2, 1, 9, 8)
    begin, end = units[0].norms[0](stem(image)).relu(), trace(model, image)[-1]
    assert end.shape == (2, 16, 3, 2)
    assert torch.equal(end[:, :4], begin[:, :, ::4, ::4]) and not end[:, 4:].any()


@pytest.mark.parametrize("bottleneck", [False, True])
def test_units_by_hand(bottleneck: bool) -> None:
    """Figure 4e; a projection takes the activated input, padding the raw one, and the first unit splits after its activation."""
    torch.manual_seed(0)

    def branch(unit: Unit, h: Tensor) -> Tensor:
        for index, (norm, conv) in enumerate(zip(unit.norms, unit.convs, strict=True)):
            h = F.batch_norm(h, norm.running_mean, norm.running_var, norm.weight, norm.bias)
            h = F.conv2d(F.relu(h), conv.weight, stride=2 if index == 0 and unit.convs[0].stride[0] == 2 else 1, padding=conv.padding)
        return h

    def activated(unit: Unit, x: Tensor) -> Tensor:
        norm = unit.norms[0]
        return F.relu(F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias))

    x = torch.randn(2, 4, 6, 6, dtype=torch.float64)
    projected = shake(Unit(4, 3, 2, bottleneck, project=True, first=False))
    by_hand = F.conv2d(activated(projected, x), projected.shortcut.weight, stride=2) + branch(projected, x)
    assert torch.allclose(projected(x), by_hand, atol=1e-12)
    padded = shake(Unit(4, 8, 2, bottleneck, project=False, first=False))
    by_hand = branch(padded, x)
    by_hand[:, :4] += x[:, :, ::2, ::2]
    assert torch.allclose(padded(x), by_hand, atol=1e-12)
    width = 1 if bottleneck else 4
    first = shake(Unit(4, width, 1, bottleneck, project=True, first=True))
    assert torch.allclose(first(x), activated(first, x) + branch(first, x), atol=1e-12)
    inner = shake(Unit(4, width, 1, bottleneck, project=True, first=False))
    assert torch.allclose(inner(x), x + branch(inner, x), atol=1e-12)
    assert [tuple(c.kernel_size) for c in inner.convs] == ([(1, 1), (3, 3), (1, 1)] if bottleneck else [(3, 3)] * 2)


def test_one_more_activation_stands_before_the_mean() -> None:
    torch.manual_seed(0)
    model = shake(Model(depth=20, width=4, channels=1, mean=(0.3,)))
    image = torch.rand(3, 1, 8, 8, dtype=torch.float64)
    _, _, norm, output = stages(model)
    x = trace(model, image - model.mean)[-1]
    assert x.shape == (3, 64, 2, 2)
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    activated = F.relu((x - norm.running_mean[:, None, None]) * scale[:, None, None] + norm.bias[:, None, None])
    assert torch.allclose(model(image), activated.mean((2, 3)) @ output.weight.T + output.bias, atol=1e-10)


def test_rates() -> None:
    factor = Model(depth=8, bottleneck=False).optimizers()["network"][1]
    at = {0: 0.1, 399: 0.1, 400: 1, 31_999: 1, 32_000: 0.1, 47_999: 0.1, 48_000: 0.01, 63_999: 0.01}
    assert {i: factor(i, 64_000) for i in at} == pytest.approx(at)
    assert Model(depth=8, bottleneck=False).optimizers(warm_up=0.0)["network"][1](0, 64_000) == 1
    group = Model(depth=8, bottleneck=False).optimizers()["network"][0].param_groups[0]
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.1, 0.9, 1e-4)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"depth": 56, "bottleneck": True, "width": 1}, None),  # 9 * 6 + 2
        ({"depth": 111}, "9n + 2, such as 11, 20, 164, 1001"),
        ({"depth": 164, "bottleneck": False}, None),  # 6 * 27 + 2
        ({"depth": 165, "bottleneck": False}, "6n + 2"),
        ({"depth": 2}, "9n + 2"),
        ({"shortcut": "C"}, "unknown model.shortcut 'C'"),
        ({"width": 0}, "model.width must be at least 1"),
        ({"mean": (0.1, 0.2)}, "mean of preact_resnet"),
    ],
)
def test_arguments(arguments: dict[str, object], says: str | None) -> None:
    with torch.device("meta"):
        if says is None:
            Model(**arguments)
        else:
            with pytest.raises(PaperzooError, match=re.escape(says)):
                paperzoo.create("preact_resnet", **arguments)


@pytest.mark.processor
def test_shortcuts_must_not_be_scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 3.1: with 0.5 on each shortcut of a deep network the gradient does not arrive, and nothing is learnt."""
    from sklearn.datasets import load_digits

    data = load_digits()
    image, label = torch.tensor(data.images, dtype=torch.float32)[:, None] / 16, torch.tensor(data.target)  # (N, 1, 8, 8)

    def last_loss() -> float:
        torch.manual_seed(0)
        model = Model(depth=74, bottleneck=False, width=8, channels=1)
        optimizer, losses = model.optimizers(lr=0.1)["network"][0], []
        for _ in range(50):
            items = torch.randint(len(image), (64,))
            loss = F.cross_entropy(model(image[items]), label[items])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return float(np.mean(losses[-15:]))

    identity = last_loss()
    right = Unit.forward

    def scaled(self: Unit, x: Tensor) -> Tensor:
        return right(self, x) - 0.5 * self.shortcut(self.norms[0](x).relu() if self.activates else x)

    monkeypatch.setattr(Unit, "forward", scaled)
    half = last_loss()
    assert identity < 1 and half > 3 * identity, (identity, half)
