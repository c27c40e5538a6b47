"""SRResNet and SRGAN: layers, losses, stages, ranges, the features that are compared, and what the second stage does to a photograph."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fixtures.photographs import rectangles, shrunk, taught
from fixtures.training import constant, job, loop, same, state
from torch import Tensor, nn

import paperzoo
from paperzoo.data import Batch, Dataset, Schema, Split
from paperzoo.data.bicubic import enlarge
from paperzoo.data.crops import Pairs, Photographs
from paperzoo.engine.job import Job
from paperzoo.engine.players import Players, parted
from paperzoo.papers.recognition import mobilenet
from paperzoo.papers.restoration import perceptual, srgan
from paperzoo.records import Stage

LITTLE = {"image_size": 32, "width": 6, "blocks": 2, "critic_width": 4, "hidden": 8, "content": "pixels"}


def images(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


def batch(items: int = 3, side: int = 32, scale: int = 4) -> Batch:
    high = images(items, 3, side, side)
    return Batch(low=F.avg_pool2d(high, scale), high=high)


def little(name: str = "srgan", **arguments: Any) -> Any:
    torch.manual_seed(0)
    return paperzoo.create(name, **{**LITTLE, **arguments})


def numbers(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


class Taken:
    """Stands for the optimisers: keeps what each is told to minimise."""

    def __init__(self) -> None:
        self.losses: dict[str, list[Tensor]] = {"generator": [], "discriminator": []}
        self.iteration, self.total = 0, 1

    def __getattr__(self, name: str) -> Any:
        return type("Player", (), {"minimize": lambda _, loss: self.losses[name].append(loss)})()


# Networks ------------------------------------------------------------------------------------------------------------


def test_weights_are_as_many_as_figure_4_has() -> None:
    with torch.device("meta"):
        model = paperzoo.create("srgan")
        assert numbers(model.generator) == 1_549_462 and numbers(model.discriminator) == 23_565_505
        assert paperzoo.create("srgan:srresnet").discriminator is None
    kinds = [type(m) for m in model.generator.modules()]
    assert kinds.count(nn.PReLU) == 1 + 16 + 2 and kinds.count(nn.BatchNorm2d) == 33 and kinds.count(nn.Conv2d) == 37
    assert [m.out_channels for m in model.discriminator.modules() if isinstance(m, nn.Conv2d)] == [64, 64, 128, 128, 256, 256, 512, 512]
    assert [m.in_features for m in model.discriminator.modules() if isinstance(m, nn.Linear)] == [512 * 6 * 6, 1024]


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize(("tall", "wide"), [(8, 8), (5, 9)])
def test_the_generator_takes_photographs_of_any_size(scale: int, tall: int, wide: int) -> None:
    model = little(scale=scale).eval()
    assert model.restore(images(2, 3, tall, wide), scale).shape == (2, 3, scale * tall, scale * wide)


def test_the_shuffle_by_its_indices() -> None:
    """Channel 4 c + 2 a + b is pixel (2 i + a, 2 j + b) of channel c."""
    doubled = srgan.Doubled(3)
    nn.init.ones_(doubled[2].weight)  # the rectifier lets everything through
    x = images(2, 3, 4, 5)
    made, out = doubled[0](x), doubled(x)
    assert made.shape == (2, 12, 4, 5) and out.shape == (2, 3, 8, 10)
    for c in range(3):
        for a in range(2):
            for b in range(2):
                assert torch.equal(out[:, c, a::2, b::2], made[:, 4 * c + 2 * a + b])


def test_the_generator_by_hand() -> None:
    model = little(blocks=1).double().train()
    g, low = model.generator, images(2, 3, 6, 7).double()

    def conv(layer: Any, x: Tensor) -> Tensor:
        pad = layer.kernel_size[0] // 2
        sums = layer.weight.flatten(1) @ F.unfold(F.pad(x, [pad] * 4), layer.kernel_size) + layer.bias[:, None]
        return sums.view(len(x), -1, *x.shape[2:])

    def norm(x: Tensor) -> Tensor:
        return (x - x.mean((0, 2, 3), keepdim=True)) / (x.var((0, 2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt()

    def rectified(layer: Any, x: Tensor) -> Tensor:
        return x.clamp(min=0) + layer.weight * x.clamp(max=0)

    first = rectified(g.head[1], conv(g.head[0], low))
    (block,) = g.blocks
    y = first + norm(conv(block[3], rectified(block[2], norm(conv(block[0], first)))))
    y = first + norm(conv(g.middle[0], y))
    for layer in g.larger:
        y = rectified(layer[2], F.pixel_shuffle(conv(layer[0], y), 2))
    assert torch.allclose(g(low), conv(g.tail, y), atol=1e-10)
    assert all(m.weight.shape == (1,) and m.weight.item() == 0.25 for m in g.modules() if isinstance(m, nn.PReLU))


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("name", ["srgan", "srgan:bicubic_skip"])
def test_reach_is_how_far_it_sees(name: str, scale: int) -> None:
    model, image = little(name, scale=scale, blocks=3).eval(), images(1, 3, 41, 41)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight.data.abs_().add_(0.01)
    image.requires_grad_()
    out = model.restore(image, scale)
    seen: set[int] = set()
    for phase in range(scale):  # of the pixels that one pixel becomes
        (gradient,) = torch.autograd.grad(out[0, 0, scale * 20 + phase, scale * 20 + phase], image, retain_graph=True)
        seen |= set(gradient[0].any(0).any(1).nonzero()[:, 0].tolist())
    assert max(20 - min(seen), max(seen) - 20) == model.reach(scale)


@pytest.mark.parametrize("name", ["srgan", "srgan:bicubic_skip"])
def test_parts_are_the_whole_to_1e_5(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paperzoo.tasks.restoration.tiles.TILE", 40)
    model, image = little(name).eval(), images(1, 3, 45, 28)
    nn.init.normal_(model.generator.tail.weight, 0, 0.1)
    with torch.no_grad():
        assert (model.restored(image, 4) - model.restore(image, 4)).abs().max() < 1e-5


def test_small_ones_are_in_0_1_and_large_ones_in_minus_1_1() -> None:
    """Section 3.2. What the network is given is the photograph as it is; an answer of -1 is black, one of 1 white."""
    model, low = little().eval(), images(2, 3, 6, 5)
    seen: list[Tensor] = []
    model.generator.register_forward_hook(lambda m, given, out: seen.append(given[0]) or torch.linspace(-1, 1, 24).expand(2, 3, 24, 24))
    restored = model.restore(low, 4)
    assert torch.equal(seen[0], low) and restored[0, 0, 0, 0] == 0 and restored[0, 0, 0, -1] == 1
    assert torch.allclose(restored[0, 0, 0], torch.linspace(0, 1, 24), atol=1e-6)


def test_the_running_means_normalise_a_photograph_that_is_restored() -> None:
    model, low = little(), images(3, 3, 8, 8)
    with torch.no_grad():
        for _ in range(5):
            model.generate(images(4, 3, 8, 8) ** 2, 4)
        alone, together = model.restored(low[:1], 4), model.restored(low, 4)
        assert torch.allclose(alone, together[:1], atol=1e-6) and model.training
        assert (model.restore(low, 4) - together).abs().max() > 1e-3  # that of training has the statistics of the batch


def test_with_the_skip_it_begins_at_the_kernel() -> None:
    model, low = little("srgan:bicubic_skip").eval(), images(2, 3, 8, 9)
    assert torch.allclose(model.restore(low, 4), enlarge(low, 4), atol=1e-6)
    nn.init.normal_(model.generator.tail.weight, 0, 0.1)
    plain = little(skip="none").eval()
    plain.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.allclose(model.generate(low, 4), plain.generate(low, 4) + 2 * enlarge(low, 4) - 1, atol=1e-5)


# Losses and stages ---------------------------------------------------------------------------------------------------


def test_losses_by_their_definitions() -> None:
    a, b = images(2, 3, 4, 5), images(2, 3, 4, 5).flip(0)
    assert srgan.eq4(a, b).item() == pytest.approx(np.square(a.numpy() - b.numpy()).mean(), rel=1e-5)
    real, fake = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0, 1.0])
    d = lambda x: 1 / (1 + math.exp(-x))  # noqa: E731
    expected = -np.mean([math.log(d(x)) for x in real.tolist()]) - np.mean([math.log(1 - d(x)) for x in fake.tolist()])
    assert srgan.discriminator_loss(real, fake).item() == pytest.approx(expected, rel=1e-5)
    assert srgan.eq6(fake).item() == pytest.approx(-np.mean([math.log(d(x)) for x in fake.tolist()]), rel=1e-5)


def test_the_first_stage_is_the_mean_squared_error_alone() -> None:
    model, taken, given = little(), Taken(), batch()
    before = {name: value.clone() for name, value in model.discriminator.state_dict().items()}
    model.stage("mse")
    model.step(given, taken)
    restored = model.generate(given.low, 4)
    expected = (restored - (2 * given.high - 1)).square().mean()
    assert taken.losses["discriminator"] == [] and [x.item() for x in taken.losses["generator"]] == pytest.approx([expected.item()])
    assert all(torch.equal(before[name], value) for name, value in model.discriminator.state_dict().items())


def test_the_second_stage_is_eq_3(monkeypatch: pytest.MonkeyPatch) -> None:
    def blurred(image: Tensor) -> Tensor:  # features of images in [0, 1]
        return 3 * F.avg_pool2d(image, 4)

    monkeypatch.setattr(srgan, "phi", lambda content, weights: {("vgg54", "imagenet"): blurred}[content, weights])
    for content, weight in (("vgg54", 1e-3), ("vgg54", 0.5), ("pixels", 0.1)):
        model, taken, given = little(content=content, **({} if weight == 1e-3 else {"weight": weight})), Taken(), batch()
        model.stage("adversarial")
        notes = model.step(given, taken)
        original, restored = 2 * given.high - 1, model.generate(given.low, 4)
        real, fake = model.discriminator(original), model.discriminator(restored)
        (d,), (g,) = taken.losses["discriminator"], taken.losses["generator"]
        assert d.item() == pytest.approx((F.softplus(-real).mean() + F.softplus(fake).mean()).item(), rel=1e-4)
        apart = (restored - original).square().mean()
        if content != "pixels":
            apart = (3 * F.avg_pool2d((restored + 1) / 2 - given.high, 4)).square().mean()
        assert g.item() == pytest.approx((apart - weight * F.logsigmoid(fake).mean()).item(), rel=1e-4)
        name = "content[pixels]" if content == "pixels" else "content[vgg19-5.4]"
        assert notes[name].item() == pytest.approx(apart.item(), rel=1e-4) and set(notes) == {"mse", name}


def in_stages(name: str, *steps: int) -> Job:
    """The smoke recipe as so many steps of the first stage, and so many of the second."""
    one, names = job(name, "smoke"), ("mse", "adversarial")
    stages = tuple(Stage(*stage) for stage in zip(names, steps, strict=True))
    return dataclasses.replace(one, recipe=one.recipe.but(stages=stages, steps=sum(steps)))


@pytest.mark.parametrize("variant", ["", "_bicubic_skip"])
def test_the_second_stage_goes_on_from_srresnet(variant: str, tmp_path: Path) -> None:
    """With one seed, the first stage is the training of ``srresnet`` bit for bit; then both networks move."""
    name = f"srgan:{variant[1:] or 'srgan'}"
    whole = loop(in_stages(name, 4, 3), tmp_path)
    alone = loop(job(f"srgan:srresnet{variant}", "smoke-srresnet"), tmp_path)
    for _ in range(4):
        whole.step()
        alone.step()
    first = {name: value.clone() for name, value in whole.model.generator.state_dict().items()}
    critic = {name: value.clone() for name, value in whole.model.discriminator.state_dict().items()}
    assert all(torch.equal(first[name], value) for name, value in alone.model.generator.state_dict().items())
    whole.begin(whole.recipe.stages[1], 4)
    assert all(torch.equal(first[name], value) for name, value in whole.model.generator.state_dict().items())
    whole.step()
    for now, then in ((whole.model.generator, first), (whole.model.discriminator, critic)):
        assert all(not torch.equal(then[n], value) for n, value in now.named_parameters())


def test_what_is_resumed_knows_its_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint before the second stage, one at its beginning and one within it go on as if nothing had happened."""
    monkeypatch.setattr("paperzoo.engine.run.KEPT", 10**6)
    straight = loop(dataclasses.replace(in_stages("srgan", 2, 3), options={"checkpoint_every": 1}), tmp_path / "straight")
    states = []
    for at in range(5):
        if at == 2:
            straight.begin(straight.recipe.stages[1], 2)
        straight.step()
        states.append(state(straight))
    for cut in range(1, 5):
        again = loop(in_stages("srgan", 2, 3), tmp_path / "again", straight.run.directory / "checkpoints" / f"{cut:08d}.safetensors")
        assert again.model.now == ("mse" if cut < 2 else "adversarial")
        again.step()
        assert same(state(again), states[cut]), cut


def test_rates_of_the_papers_stages() -> None:
    """Section 3.2: 10^6 steps at 10^-4; then 10^5 at 10^-4 and 10^5 at 10^-5. Adam's first moment is 0.9."""
    recipe = srgan.RECIPES["paper"]
    with torch.device("meta"):
        model = paperzoo.create("srgan")
    found = {}
    for stage in recipe.stages:
        optimizers, schedules = parted(model.optimizers(**{**recipe.optimizer, **stage.optimizer}))
        for name, optimizer in constant(optimizers).items():
            assert optimizer.param_groups[0]["betas"] == (0.9, 0.999)
            places = (0, stage.steps // 2 - 1, stage.steps // 2)
            found[stage.name, name] = [optimizer.param_groups[0]["lr"] * schedules[name](at, stage.steps) for at in places]
    for player in ("generator", "discriminator"):
        assert found["mse", player] == pytest.approx([1e-4] * 3) and found["adversarial", player] == pytest.approx([1e-4, 1e-4, 1e-5])
    assert [stage.steps for stage in recipe.stages] == [1_000_000, 200_000] and srgan.RECIPES["paper-srresnet"].steps == 1_000_000


# Features ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def weights(tmp_path: Path) -> Iterator[Path]:
    """A file of MobileNetV2 with weights of its own."""
    torch.manual_seed(3)
    network = mobilenet.MobileNet("v2", 1.0, 5, 3, 1000, 0.0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 2)
    torch.save(network.state_dict(), tmp_path / "seen.pth")
    srgan.phi.cache_clear()
    yield tmp_path / "seen.pth"
    srgan.phi.cache_clear()


def test_features_of_mobilenet(weights: Path) -> None:
    image = images(2, 3, 32, 40).requires_grad_()
    found = srgan.phi("mobilenet", str(weights))(image)
    network = mobilenet.MobileNet("v2", 1.0, 5, 3, 1000, 0.0)
    network.load_state_dict(torch.load(weights, weights_only=True))
    network.eval()
    x = (image - torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    for layer in list(network.features)[:4]:
        x = layer(x)
    assert found.shape == (2, 24, 8, 10) and torch.allclose(found, 0.2 * x, atol=1e-5)
    (gradient,) = torch.autograd.grad(found.sum(), image)
    assert gradient.any()


@pytest.mark.parametrize(("content", "convolutions", "channels"), [("vgg22", 4, 128), ("vgg54", 16, 512)])
def test_features_of_vgg_19_are_those_before_a_pooling(
    content: str, convolutions: int, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind the ReLU of the second convolution before the second pooling, or of the fourth before the fifth; times 1/12.75."""
    kept: list[Any] = []

    def filled(network: Any, weights: str, places: dict[str, str]) -> None:
        assert weights == "imagenet" and places == {"imagenet": "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"}
        network.features.to_empty(device="cpu")
        torch.manual_seed(0)
        for layer in network.features:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
                nn.init.zeros_(layer.bias)
        kept.append(network)

    monkeypatch.setattr(perceptual, "load_published", filled)
    srgan.phi.cache_clear()
    with torch.device("meta"):
        made = srgan.phi(content, "imagenet")
    srgan.phi.cache_clear()
    image = images(1, 3, 32, 32)
    found, x, count = made(image), (image - torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)), 0
    x = x / torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    for layer in kept[0].features:
        if count == convolutions and not isinstance(layer, nn.ReLU):
            assert isinstance(layer, nn.MaxPool2d)
            break
        x, count = layer(x), count + isinstance(layer, nn.Conv2d)
    assert found.shape[1] == channels and (found >= 0).all() and torch.allclose(found, x / 12.75, atol=1e-5)


def test_the_network_of_features_is_frozen_and_no_part_of_a_model(weights: Path) -> None:
    model = little(content="mobilenet", weights=str(weights))
    names, opt = list(model.state_dict()), Players(model.optimizers())
    opt.total = opt.stage_steps = 2
    model.stage("adversarial")
    layers = model.features().__closure__
    network = next(cell.cell_contents for cell in layers if isinstance(cell.cell_contents, nn.Module))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert not any(p.requires_grad for p in network.parameters()) and not any(m.training for m in network.modules())
    for _ in range(2):
        model.train()
        notes = model.step(batch(), opt)
        opt.iteration += 1
    assert set(notes) == {"mse", "content[mobilenetv2-3]"}
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert list(model.state_dict()) == names and not any(network is module for module in model.modules())


def test_the_distance_of_features_has_their_networks_name(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = Dataset(Schema("r", ("low", "high", "scale", "size"), {"scale": 4}), {"test": Split(Pairs(rectangles(3, 1), [4]))}, "", "")
    model = little("srgan:bicubic_skip", content="mobilenet", weights=str(weights)).eval()
    nn.init.normal_(model.generator.tail.weight, 0, 0.05)
    with torch.no_grad():
        found, apart, plain = model.measure(data, "test"), [], []
        for item in range(3):
            one = data["test"].batch([item])
            seen = srgan.phi("mobilenet", str(weights))
            for image, values in ((model.restore(one.low, 4), apart), (enlarge(one.low, 4), plain)):
                values.append((seen(image.clamp(0, 1)) - seen(one.high)).square().mean().item())
    assert found["feature distance[mobilenetv2-3] x4"] == pytest.approx(np.mean(apart), rel=1e-3)
    assert found["bicubic feature distance[mobilenetv2-3] x4"] == pytest.approx(np.mean(plain), rel=1e-3)
    monkeypatch.setattr(srgan, "phi", lambda *_: pytest.fail("features are not needed"))
    for other in (little("srgan:srresnet", content="vgg54"), little()):
        assert not any("feature" in name for name in other.eval().measure(data, "test"))


def test_what_cannot_be_had_is_said_before_a_training_begins(tmp_path: Path) -> None:
    srgan.phi.cache_clear()
    for content in ("vgg54", "mobilenet"):
        settings = {"model.content": content, "model.weights": "nowhere.pth"}
        with pytest.raises(paperzoo.PaperzooError, match=r"nowhere\.pth"):
            paperzoo.train("srgan", "small", data="photographs-sklearn#scale=4", out=tmp_path, overrides=settings)
    assert not list(tmp_path.iterdir())


def test_stages_are_named_and_need_a_discriminator() -> None:
    with pytest.raises(paperzoo.PaperzooError, match=r"stage 'advers' .*did you mean adversarial"):
        little().stage("advers")
    with pytest.raises(paperzoo.PaperzooError, match="srresnet has no discriminator"):
        little("srgan:srresnet").stage("adversarial")
    with pytest.raises(paperzoo.PaperzooError, match=r"this srgan enlarges by x4, not by x2"):
        little().step(batch(scale=2), Taken())
    with pytest.raises(paperzoo.PaperzooError, match=r"model\.scale must be one of 2, 4"):
        little(scale=3)


def test_the_discriminator_does_not_ship() -> None:
    model = little()
    arguments, tensors = model.lean()
    shipped = paperzoo.create("srgan", **arguments)
    shipped.load_state_dict(tensors)
    low = images(1, 3, 8, 8)
    assert shipped.discriminator is None and torch.equal(shipped.eval().restore(low, 4), model.eval().restore(low, 4))


# Learning ------------------------------------------------------------------------------------------------------------


def textures(items: int, seed: int) -> Photographs:
    """Pictures of 64x64 pixels of noise over a few brightnesses: when it is shrunk, little tells where its grains lay."""
    random = np.random.default_rng(seed)
    ground = random.integers(60, 196, (items, 4, 4, 1)).repeat(16, 1).repeat(16, 2)
    grain = random.choice([-45, 45], (items, 32, 32, 1)).repeat(2, 1).repeat(2, 2)
    return Photographs((ground + grain).astype(np.uint8).repeat(3, 3).ravel(), np.array([(64, 64)] * items))


@pytest.mark.processor
def test_the_first_stage_is_above_the_kernel_and_the_second_gives_up_error() -> None:
    data = shrunk(textures(64, 0), textures(6, 1), [4], 32)
    torch.manual_seed(0)
    model = paperzoo.create("srgan:bicubic_skip", **{**LITTLE, "width": 8, "critic_width": 12, "weight": 0.1})
    found = []
    for stage, steps in (("mse", 60), ("adversarial", 140)):
        model.stage(stage)
        taught(model, model.optimizers(lr=3e-3), data, steps)
        with torch.no_grad():
            found.append(model.eval().measure(data, "test"))
    first, second = found
    assert first["gain over bicubic x4 (dB)"] > 0.1 and second["psnr x4 (dB)"] < first["psnr x4 (dB)"] - 0.5, found
