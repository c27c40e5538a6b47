"""pix2pix: its networks layer by layer, Eqs. 1 to 4 by hand, the noise that stays on, and what a step asks of whom."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.seam import Ledger, patch_of
from fixtures.training import count, loop
from torch import Tensor, nn

import paperzoo
from paperzoo.data import Batch, Images, Order, Split
from paperzoo.engine.job import resolve
from paperzoo.papers.image_translation import pix2pix
from paperzoo.papers.image_translation.pix2pix import Discriminator, Generator, Model, Noise

SMALL = {"image_size": 32, "width": 4, "patch": 16}


def pairs(items: int = 3, side: int = 32, channels: int = 3) -> Batch:
    return Batch(image_a=torch.rand(items, channels, side, side), image_b=torch.rand(items, channels, side, side))


# The networks of the appendix ------------------------------------------------------------------------------------------


def test_parameters_of_the_papers_networks() -> None:
    with torch.device("meta"):
        model = paperzoo.create("pix2pix")
    assert count(model.discriminator) == 2_768_705
    widths = [3, 64, 128, 256, 512, 512, 512, 512, 512]
    encoder = sum(16 * i * o for i, o in zip(widths, widths[1:], strict=False)) + 64 + 512  # two biases, where there is no norm
    ups = [(512, 512), (1024, 512), (1024, 512), (1024, 512), (1024, 256), (512, 128), (256, 64), (128, 3)]
    decoder = sum(16 * i * o for i, o in ups) + 3
    norms = 2 * sum(widths[2:-1]) + 2 * sum(o for _, o in ups[:-1])
    assert count(model.generator) == encoder + decoder + norms == 54_414_531


@pytest.mark.parametrize(("side", "deepest"), [(256, 5), (128, 4), (64, 3)])
def test_the_generator_halves_the_side_to_one_and_doubles_it_again(side: int, deepest: int) -> None:
    encoder = [64, 128, 256, *[512] * deepest]
    with torch.device("meta"):
        network, seen = Generator(side, 3, 64), list[tuple[int, ...]]()
        for layer in (*network.encoder, *network.decoder):
            layer.register_forward_hook(lambda m, i, o: seen.append(tuple(o.shape[1:])))
        assert network(torch.empty(2, 3, side, side)).shape == (2, 3, side, side)
    levels = len(encoder)
    down = [(width, side >> level + 1, side >> level + 1) for level, width in enumerate(encoder)]
    assert seen == [*down, *down[-2::-1], (3, side, side)] and down[-1][1] == 1
    assert [isinstance(layer[-1], nn.BatchNorm2d) for layer in network.encoder] == [False, *[True] * (levels - 2), False]
    assert [any(isinstance(m, nn.BatchNorm2d) for m in layer) for layer in network.decoder] == [True] * (levels - 1) + [False]
    noisy = [any(isinstance(m, Noise) for m in layer) for layer in network.decoder]
    assert noisy == [True] * min(3, levels - 4) + [False] * (levels - min(3, levels - 4))
    assert all(isinstance(layer[0], nn.LeakyReLU) and layer[0].negative_slope == 0.2 for layer in network.encoder[1:])
    assert isinstance(network.encoder[0][0], nn.Conv2d) and all(isinstance(layer[0], nn.ReLU) for layer in network.decoder)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert {(m.kernel_size, m.stride, m.padding) for m in convolutions} == {((4, 4), (2, 2), (1, 1))}
    assert isinstance(network.decoder[-1][-1], nn.Tanh)


@pytest.mark.parametrize("skips", [True, False])
def test_every_level_of_the_decoder_sees_the_encoders_level_of_its_size(skips: bool) -> None:
    network, kept = Generator(32, 3, 4, skips), list[Tensor]()
    for layer in network.encoder:
        layer.register_forward_hook(lambda m, i, o: kept.append(o))
    for level in range(4):  # where what comes from below is cut off, the encoder's output of this size is still seen
        kept.clear()
        with network.decoder[level].register_forward_hook(lambda m, i, o: o.detach()):
            out = network(torch.rand(2, 3, 32, 32))
        gradients = torch.autograd.grad(out.square().sum(), kept, allow_unused=True)
        seen = [gradient is not None and bool(gradient.any()) for gradient in gradients]
        assert seen == [skips] * (4 - level) + [False] * (level + 1)


@pytest.mark.parametrize("patch", [1, 16, 70, 286])
def test_a_logit_sees_a_patch_of_exactly_so_many_pixels(patch: int) -> None:
    network = Discriminator(1, 1, patch, lambda channels: nn.Identity())
    for first, last in patch_of(network, 1, 512 if patch == 286 else 128):
        assert last - first + 1 == patch


def test_the_discriminators_layers() -> None:
    expected = {
        70: [(64, 4, 2), (128, 4, 2), (256, 4, 2), (512, 4, 1), (1, 4, 1)],
        1: [(64, 1, 1), (128, 1, 1), (1, 1, 1)],
        16: [(64, 4, 2), (128, 4, 1), (1, 4, 1)],
        286: [(64, 4, 2), (128, 4, 2), (256, 4, 2), (512, 4, 2), (512, 4, 2), (512, 4, 1), (1, 4, 1)],
    }
    for patch, layers in expected.items():
        with torch.device("meta"):
            body = Discriminator(6, 64, patch).body
        found = [m for m in body if isinstance(m, nn.Conv2d)]
        assert [(m.out_channels, m.kernel_size[0], m.stride[0]) for m in found] == layers
        assert [m.bias is not None for m in found] == [True, *[False] * (len(found) - 2), True]
        assert [type(m).__name__ for m in body[:3]] == ["Conv2d", "LeakyReLU", "Conv2d"]
        assert sum(isinstance(m, nn.BatchNorm2d) for m in body) == len(layers) - 2
        assert {m.negative_slope for m in body if isinstance(m, nn.LeakyReLU)} == {0.2}


def test_weights_begin_as_the_paper_says() -> None:
    model = Model(image_size=64, width=32)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module.weight.numel() > 5000:
            assert module.weight.std().item() == pytest.approx(0.02, rel=0.05) and abs(module.weight.mean().item()) < 1e-3
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module.bias is not None:
            assert not module.bias.any()


# The losses ------------------------------------------------------------------------------------------------------------


def test_losses_are_equations_1_and_3() -> None:
    real, fake = torch.randn(2, 3, 1, 5, 4, dtype=torch.float64) * 4
    d_real, d_fake = (1 / (1 + np.exp(-t.numpy())) for t in (real, fake))
    value = np.log(d_real).mean() + np.log(1 - d_fake).mean()
    assert pix2pix.discriminator_loss(real, fake).item() == pytest.approx(-value / 2)
    assert pix2pix.generator_loss(fake).item() == pytest.approx(-np.log(d_fake).mean())
    zero = torch.zeros(2, 1, 3, 3)
    assert pix2pix.discriminator_loss(zero, zero).item() == pytest.approx(math.log(2))  # halved: log 4 / 2
    huge = torch.tensor([1e4, -1e4])
    assert torch.isfinite(pix2pix.discriminator_loss(huge, huge)) and torch.isfinite(pix2pix.generator_loss(huge))
    x, y = torch.rand(2, 3, 3, 4, 5)
    assert pix2pix.l1(x, y).item() == pytest.approx(np.abs(x.numpy() - y.numpy()).mean(), rel=1e-6)


# What stays on at test time --------------------------------------------------------------------------------------------


def test_the_noise_stays_on_and_is_all_that_differs_between_two_translations(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = Model(**SMALL).eval(), torch.rand(2, 3, 32, 32)
    assert not torch.equal(model.translate(x), model.translate(x))
    monkeypatch.setattr(pix2pix, "dropout", lambda h, p: h)
    assert torch.equal(model.translate(x), model.translate(x))


def test_half_of_what_passes_the_noise_is_dropped_and_the_rest_doubled() -> None:
    out = Noise(0.5).eval()(torch.ones(4, 64, 32, 32))
    assert set(out.unique().tolist()) == {0.0, 2.0} and out.mean().item() == pytest.approx(1, abs=0.01)


def test_the_statistics_are_those_of_the_batch_in_both_modes() -> None:
    model, x = Model(**SMALL), torch.rand(3, 3, 32, 32)
    ends = []
    for mode in (True, False):
        torch.manual_seed(3)
        ends.append(model.train(mode).translate(x))
    assert torch.equal(*ends)
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms and all(m.running_mean is None for m in norms)
    h = 5 + 3 * torch.randn(4, 8, 6, 6)
    out = pix2pix.norm(8).eval()(h)
    assert out.mean((0, 2, 3)).abs().max() < 1e-5 and (out.var((0, 2, 3), unbiased=False) - 1).abs().max() < 1e-3


def test_the_statistics_of_each_image_are_those_of_batches_of_one() -> None:
    batch, image = (Model(**{**SMALL, "statistics": kind}) for kind in ("batch", "image"))
    image.load_state_dict(batch.state_dict())
    x = torch.rand(3, 3, 32, 32)
    y = 2 * torch.rand(3, 3, 32, 32) - 1
    assert torch.allclose(batch.translated(x), image.translated(x), atol=1e-5)
    together = image.discriminator(image.pair(x, y))
    for at in range(3):
        one = slice(at, at + 1)
        assert torch.allclose(batch.discriminator(batch.pair(x[one], y[one])), together[one], atol=1e-4)
    assert not torch.allclose(batch.discriminator(batch.pair(x, y)), together, atol=1e-2)
    scales = [m.weight for m in Model(**{**SMALL, "width": 16, "statistics": "image"}).modules() if isinstance(m, nn.InstanceNorm2d)]
    assert torch.cat(scales).std().item() == pytest.approx(0.02, rel=0.2)


# A step ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["l1_cgan", "cgan", "unconditional"])
def test_a_step_asks_for_equation_4(variant: str) -> None:
    model, batch = paperzoo.create(f"pix2pix:{variant}", **SMALL).double(), pairs().map(lambda t: t.double())
    opt = Ledger(model, ("discriminator", "generator"))
    torch.manual_seed(0)
    noted = model.step(batch, opt)
    torch.manual_seed(0)
    x, y = 2 * batch.image_a - 1, 2 * batch.image_b - 1
    fake = model.generator(x)

    def d(answer: Tensor) -> Tensor:
        seen = answer if variant == "unconditional" else torch.cat([x, answer], dim=1)  # input first, along the channels
        return torch.sigmoid(model.discriminator(seen))

    judged = -(d(y).log().mean() + (1 - d(fake.detach())).log().mean()) / 2
    distance = (y - fake).abs().mean()
    wanted = {"cgan": 0.0}.get(variant, 100.0) * distance - d(fake).log().mean()
    assert opt.loss["discriminator"].item() == pytest.approx(judged.item(), rel=1e-9)
    assert opt.loss["generator"].item() == pytest.approx(wanted.item(), rel=1e-9)
    assert noted["l1"].item() == pytest.approx(distance.item(), rel=1e-9) and not noted["l1"].requires_grad
    assert not [n for n in opt.reached["discriminator"] if n.startswith("generator")], "the answer was not detached"
    wished = torch.autograd.grad(wanted, list(model.generator.parameters()))
    for (name, _), gradient in zip(model.generator.named_parameters(), wished, strict=True):
        assert torch.allclose(opt.reached["generator"][f"generator.{name}"], gradient, atol=1e-10)


def test_the_generator_meets_the_discriminator_that_has_just_stepped() -> None:
    model, batch = Model(**SMALL, weight=0.0), pairs()

    def forget(player: str) -> None:
        if player == "discriminator":
            nn.init.zeros_(model.discriminator.body[-1].weight)

    opt = Ledger(model, ("discriminator", "generator"), forget)
    model.step(batch, opt)
    assert opt.loss["generator"].item() == pytest.approx(math.log(2), rel=1e-6)


def test_l1_alone_has_one_player() -> None:
    model = paperzoo.create("pix2pix:l1", **SMALL)
    assert list(model.optimizers()) == ["generator"] and model.discriminator is None
    opt = Ledger(model, ("generator",))
    noted = model.step(pairs(), opt)
    assert opt.loss["generator"].item() == pytest.approx(100 * noted["l1"].item(), rel=1e-6)


def test_translating_maps_ranges_there_and_back() -> None:
    model, given = Model(**SMALL), list[Tensor]()
    model.generator.forward = lambda x: given.append(x) or x  # type: ignore[func-returns-value,method-assign]
    image = torch.rand(2, 3, 32, 32)
    assert torch.allclose(model.translate(image), image, atol=1e-6)
    assert torch.allclose(given[0], 2 * image - 1)


# Bad arguments ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"image_size": 48}, "model.image_size must be"),
        ({"image_size": 64, "patch": 286}, "patch 286 needs images of at least 128 pixels, not 64"),
        ({"adversarial": False, "weight": 0.0}, "there is no loss"),
        ({"patch": 34}, "model.patch must be"),
    ],
)
def test_what_cannot_be_is_refused(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(paperzoo.PaperzooError, match=said):
        paperzoo.create("pix2pix", **arguments)


# What training feeds it ------------------------------------------------------------------------------------------------


def test_a_pair_is_cut_and_mirrored_as_one(tmp_path: Path) -> None:
    made = loop(resolve("pix2pix", "smoke", overrides={"augment": "jitter,flip"}), tmp_path)
    pixels = torch.randint(256, (40, 3, 32, 32), dtype=torch.uint8)
    made.split = Split(Images(pixels, "image_a"), Images(255 - pixels, "image_b"))
    made.order = Order(made.split.lengths, 4, "shuffle", 0)
    fed: list[Batch] = []
    made.model.step = lambda batch, opt: fed.append(batch)  # type: ignore[assignment,method-assign]
    for _ in range(5):
        made.step()
    for batch in fed:  # B = f(A) still holds for a known f
        assert (batch.image_b - (1 - batch.image_a)).abs().max() < 1e-5
    shown = torch.cat([batch.image_a for batch in fed])
    apart = (shown[:, None] - pixels[None] / 255).abs().mean((2, 3, 4)).amin(1)
    assert (apart > 0.05).all(), "no image is as it was: each is enlarged and cut"
