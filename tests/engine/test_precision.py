"""Half precision: the gradients of every convolution are those of float32, also where the image is smaller than the stride."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from paperzoo.engine import precision

pytestmark = pytest.mark.processor

#: layer, shape of its input; the first six left gradients unwritten in oneDNN's bfloat16 kernels
LAYERS: list[tuple[nn.Module, tuple[int, ...]]] = [
    (nn.Conv2d(32, 64, 3, 2, 1), (8, 32, 1, 1)),
    (nn.Conv2d(32, 32, 3, 2, 1), (8, 32, 4, 1)),
    (nn.Conv2d(32, 32, 5, 3, 2), (8, 32, 2, 2)),
    (nn.Conv1d(32, 32, 3, 2, 1), (8, 32, 1)),
    (nn.Conv3d(32, 32, 3, 2, 1), (8, 32, 1, 1, 1)),
    (nn.ConvTranspose2d(32, 32, 3, 2, 1), (8, 32, 1, 1)),
    (nn.Conv2d(32, 32, 3, 2, 1), (8, 32, 2, 2)),
    (nn.Conv2d(32, 32, 3, 1, 1), (8, 32, 1, 1)),
    (nn.Conv2d(32, 64, 1, 2), (8, 32, 1, 1)),
    (nn.ConvTranspose2d(32, 32, 4, 2, 1), (8, 32, 1, 1)),
    (nn.Conv2d(20, 24, 3, padding=2, dilation=2), (16, 20, 32, 32)),
    (nn.Conv2d(24, 40, 3, padding=8, dilation=8), (16, 24, 32, 32)),
    (nn.Conv2d(32, 32, 3, padding=2, dilation=2), (4, 32, 16, 16)),
]


def gradients(network: nn.Module, image: Tensor) -> list[Tensor]:
    weights = network.get_parameter("0.weight").numel()
    for kind in (torch.float32, torch.bfloat16):  # memory that is given back full of numbers
        [torch.full((weights * size // 2 + 7,), 3e4, dtype=kind) for size in (1, 2, 3, 4)]
    image = image.clone().requires_grad_()
    return list(torch.autograd.grad(network(image).square().mean(), [image, *network.parameters()]))


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=[f"{layer} {list(shape)}" for layer, shape in LAYERS])
def test_gradients_in_half_precision_are_those_of_single(layer: nn.Module, shape: tuple[int, ...]) -> None:
    device = torch.device("cpu")
    if not precision.has_bf16(device):
        pytest.skip("this processor has no bf16")
    torch.manual_seed(0)
    model, image = nn.Sequential(nn.Sequential(layer)), torch.randn(shape)
    precision.prepare(model, "float32", device)
    right = gradients(model[0], image)
    precision.prepare(model, "bf16", device)
    for _ in range(3):
        for good, half in zip(right, gradients(model[0], image), strict=True):
            assert (good - half).abs().max() <= 0.02 * good.abs().max()


def test_holes_are_computed_in_half_precision_where_that_is_right() -> None:
    odd, even = nn.Conv2d(24, 8, 3, dilation=2), nn.Conv2d(48, 8, 3, dilation=2)
    assert precision.has_odd_holes(odd) and not precision.has_odd_holes(even)
    assert not precision.has_odd_holes(nn.Conv2d(24, 8, 3)) and precision.has_odd_holes(nn.Conv2d(48, 48, 3, dilation=2, groups=48))


def test_only_what_is_smaller_than_the_stride_is_spared() -> None:
    """A convolution of float32 stays the exception: the first is spared, the second is not."""
    small, usual, transposed = (LAYERS[row][0] for row in (0, 6, 5))
    for layer, side, spared in ((small, 1, True), (small, 2, False), (usual, 8, False), (transposed, 1, True), (transposed, 2, False)):
        assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)  # of a transposed one the output is the larger: 1x1, 3x3
        assert precision.smaller_than_stride(layer, torch.zeros(8, 32, side, side)) is spared


def test_preparing_a_network_changes_nothing_that_it_has_learnt() -> None:
    """A weight divided by its spectral norm is computed, by a power iteration, whenever it is looked at: begin and resume would differ."""
    network = torch.nn.Module()
    network.body = torch.nn.utils.parametrizations.spectral_norm(torch.nn.Conv2d(3, 4, 3))
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    precision.prepare(network, "float32", torch.device("cpu"), ())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
