"""3D-GAN: its networks and losses, the gate, what its discriminator's features are, and what it learns."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from fixtures.training import fit
from torch import Tensor, nn

import paperzoo
from paperzoo.data import Batch
from paperzoo.data.volumes.synthetic import boxes_spheres
from paperzoo.data.volumes.voxels import iou
from paperzoo.metrics.shapes import among, largest_component
from paperzoo.papers.volumes import gan3d
from paperzoo.tasks.volume_generation import measure


def counted(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_the_generator_has_the_papers_parameters() -> None:
    with torch.device("meta"):
        model = paperzoo.create("gan3d")
    up = [m for m in model.generator.modules() if isinstance(m, nn.ConvTranspose3d)]
    assert [(m.in_channels, m.out_channels) for m in up] == [(200, 512), (512, 256), (256, 128), (128, 64), (64, 1)]
    assert [(m.kernel_size[0], m.stride[0]) for m in up] == [(4, 1), (4, 2), (4, 2), (4, 2), (4, 2)]
    assert counted(model.generator) == 17_569_664
    down = [m for m in model.discriminator.modules() if isinstance(m, nn.Conv3d)]
    assert [(m.in_channels, m.out_channels) for m in down] == [(1, 64), (64, 128), (128, 256), (256, 512), (512, 1)]
    assert [(m.kernel_size[0], m.stride[0]) for m in down] == [(4, 2), (4, 2), (4, 2), (4, 2), (4, 1)]
    # the mirror of the generator without the layer from the noise, and with other normalisations: none of what sees the volumes,
    # which has biases instead, as the score has one
    assert counted(model.discriminator) == 17_569_664 - 512 * 200 * 64 + 512 * 64 - 2 * 64 + 64 + 1
    slopes = {m.negative_slope for m in model.modules() if isinstance(m, nn.LeakyReLU)}
    assert slopes == {0.2} and not any(isinstance(m, nn.ReLU) for m in model.discriminator.modules())


@pytest.mark.parametrize("size", [16, 32, 64])
def test_volumes_of_every_side(size: int) -> None:
    model = paperzoo.create("gan3d", image_size=size, width=2, latent=3)
    volume = model.generator(torch.rand(2, 3))
    assert volume.shape == (2, 1, size, size, size) and volume.min() > 0 and volume.max() < 1
    seen = model.discriminator(volume)
    assert seen.logit.shape == (2,) and [h.shape[-1] for h in seen.maps] == [s for s in (32, 16, 8, 4) if s < size]
    with pytest.raises(paperzoo.PaperzooError, match="16, 32, 64"):
        paperzoo.create("gan3d", image_size=48)


def test_losses_are_those_of_the_paper() -> None:
    real, fake = torch.randn(50, dtype=torch.float64) * 5, torch.randn(50, dtype=torch.float64) * 5
    s = torch.sigmoid
    expected = -(s(real).log() + (1 - s(fake)).log()).mean()  # Eq. 1
    assert gan3d.discriminator_loss(real, fake).item() == pytest.approx(expected.item())
    assert gan3d.generator_loss(fake).item() == pytest.approx(-s(fake).log().mean().item())
    zero = torch.zeros(1)
    assert gan3d.discriminator_loss(zero, zero).item() == pytest.approx(2 * math.log(2))
    assert gan3d.accuracy(torch.tensor([1.0, 2, -1, 3]), torch.tensor([-1.0, -2, -3, 4])).item() == 0.75
    assert gan3d.accuracy(torch.tensor([1.0, 2]), torch.tensor([1.0, 2])).item() == 0.5


def test_features_are_maxima_over_the_papers_kernels() -> None:
    model = paperzoo.create("gan3d", width=2, latent=3)
    maps = model.discriminator(torch.rand(2, 1, 64, 64, 64)).maps
    found = gan3d.pooled(maps)
    parts = [F.max_pool3d(h, kernel).flatten(1) for h, kernel in zip(maps[1:], (8, 4, 2), strict=True)]  # layers 2, 3 and 4
    assert torch.equal(found, torch.cat(parts, 1)) and found.shape == (2, 7168 // 32)
    small = paperzoo.create("gan3d", width=2, image_size=16)
    assert gan3d.pooled(small.discriminator(torch.rand(2, 1, 16, 16, 16)).maps).shape == (2, 8 * (2 + 4))


# The gate ------------------------------------------------------------------------------------------------------------


class Accuracies:
    """A seam whose mean over all processes is what the test says, batch by batch; it takes down who learns."""

    iteration, total = 0, 1

    def __init__(self, accuracies: list[float]) -> None:
        self.accuracies, self.learnt, self.local = list(accuracies), [], []
        self.discriminator, self.generator = (
            SimpleNamespace(minimize=lambda loss, name=name: self.learnt.append(name)) for name in ("D", "G")
        )

    def mean(self, value: Tensor) -> Tensor:
        self.local.append(float(value))
        return torch.tensor(self.accuracies.pop(0))


def small(**arguments: Any) -> Any:
    return paperzoo.create("gan3d", image_size=16, width=2, latent=3, **arguments)


def learners(model: Any, accuracies: list[float]) -> str:
    opt, steps = Accuracies(accuracies), []
    for _ in range(len(accuracies)):
        opt.learnt.clear()
        model.step(Batch(volume=(torch.rand(4, 1, 16, 16, 16) < 0.2).float()), opt)
        steps.append("".join(opt.learnt))
    return " ".join(steps)


def test_the_discriminator_learns_after_a_batch_in_which_it_was_right_at_most_80_percent() -> None:
    #          of this batch: 0.9  0.81 0.8001 0.8 0.5  0.99
    assert learners(small(), [0.9, 0.81, 0.8001, 0.8, 0.5, 0.99]) == "DG G G G DG DG"
    assert learners(small(gate=1.0), [1.0, 1.0, 1.0]) == "DG DG DG"
    assert learners(small(gate=0.5), [0.6, 0.5, 0.4]) == "DG G DG"


def test_the_decision_is_that_of_all_processes_and_is_kept_with_the_weights() -> None:
    model, opt = small(), Accuracies([0.95, 0.1])
    batch = Batch(volume=(torch.rand(4, 1, 16, 16, 16) < 0.2).float())
    model.step(batch, opt)
    assert float(model.accuracy) == pytest.approx(0.95) and opt.local[0] != pytest.approx(0.95)  # the mean, not what it saw
    again = small()
    again.load_state_dict(model.state_dict())
    assert learners(again, [0.1]) == "G"  # as the run that was interrupted would go on


def test_the_accuracy_is_of_the_batch_that_was_seen_before_learning() -> None:
    model, seen = small(), []
    model.discriminator.register_forward_hook(lambda m, inputs, output: seen.append(output.logit.detach()))
    opt = Accuracies([0.5])
    model.step(Batch(volume=(torch.rand(6, 1, 16, 16, 16) < 0.2).float()), opt)
    real, fake, _ = seen
    assert len(seen) == 3 and opt.local == [pytest.approx(float(gan3d.accuracy(real, fake)))]


def test_a_discriminator_that_stays_as_it_is_needs_no_gradient() -> None:
    model, seen = small(), []
    model.accuracy.fill_(1.0)
    model.discriminator.register_forward_hook(lambda m, inputs, output: seen.append(output.logit.requires_grad))
    learners(model, [0.5])
    assert seen == [False, False, True]


def test_noise_is_uniform_between_0_and_1() -> None:
    model = small()
    for z in (model.draw(4000), model.latents(4000, seed=1)):
        assert z.shape == (4000, 3) and z.min() >= 0 and z.max() <= 1
        assert z.mean().item() == pytest.approx(0.5, abs=0.02) and z.var().item() == pytest.approx(1 / 12, rel=0.05)
    sums = model.arithmetic()
    assert sums.shape == (16, 1, 16, 16, 16)
    a, b, c = model.latents(12, 1).view(4, 3, -1).unbind(1)
    assert torch.equal(sums[3::4], model.render((a - b + c).clamp(0, 1))) and torch.equal(sums[::4], model.render(a))


# Learning ------------------------------------------------------------------------------------------------------------


def learnt(centred: bool = True, steps: int = 150, **rates: float) -> tuple[float, float, float]:
    """After some steps on boxes and balls: occupied share over the data's, largest component, IoU among samples over that among data."""
    data = measure.volumes(boxes_spheres(16, (400, 10, 10)), "train", 400)
    model = paperzoo.create("gan3d", image_size=16, width=8, latent=16, average=0.9)
    if not centred:  # undoes it: the first layer is given the noise as it is
        for network in (model.generator, model.average.network):
            network.register_forward_pre_hook(lambda m, inputs: ((inputs[0] + 1) / 2,))
    fit(model, "volume", data, steps, 16, **{"lr": 2e-3, "lr_discriminator": 1e-3, "decay_from": 0.5, **rates})
    fake, real = (model.sample(64) > 0.5).float(), data[:64]
    return float(fake.mean() / data.mean()), largest_component(fake), among(iou(fake, fake)) / among(iou(real, real))


@pytest.mark.processor
def test_it_learns_shapes_as_large_whole_and_different_as_the_data() -> None:
    occupied, whole, alike = learnt()
    assert 0.1 < occupied < 1.8 and whole > 0.6 and alike < 3
    occupied, _, _ = learnt(steps=10, lr=0.0, lr_discriminator=0.0)
    assert occupied > 2.5  # what has learnt nothing is noise around a half


@pytest.mark.processor
def test_noise_that_is_not_centred_gives_samples_that_are_all_alike() -> None:
    _, _, alike = learnt(centred=False)
    assert alike > 4
