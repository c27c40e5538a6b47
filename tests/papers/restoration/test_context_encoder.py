"""Context Encoders: both networks of figure 9, Eqs. 1 to 3 with their overlap, what each network sees, and what the features are."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.training import constant, pictures
from torch import Tensor, nn

import paperzoo
from paperzoo.data import Batch
from paperzoo.data.change.holes import random_blocks, random_regions
from paperzoo.engine.players import Players
from paperzoo.papers.restoration import context_encoder as paper

#: variant, arguments for a small network of it
SMALL: dict[str, dict[str, Any]] = {
    "centre": {"image_size": 64, "width": 4, "bottleneck": 8},
    "l2": {"image_size": 64, "width": 4, "bottleneck": 8},
    "random": {"image_size": 64, "width": 4, "bottleneck": 8},
    "alexnet": {"image_size": 99, "width": 4},
}
KINDS = [(variant, masks) for variant in SMALL for masks in ("centre", "blocks", "regions")]
every = pytest.mark.parametrize(("variant", "masks"), KINDS)


def images(*shape: int, seed: int = 1) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def small(variant: str, **arguments: Any) -> Any:
    torch.manual_seed(0)
    return paperzoo.create(f"context_encoder:{variant}", **{**SMALL[variant], **arguments})


class Taken:
    """Stands for the engine: keeps losses and the order of the steps."""

    def __init__(self) -> None:
        self.losses: dict[str, Tensor] = {}
        self.iteration, self.total = 0, 1

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(minimize=lambda loss: self.losses.__setitem__(name, loss))


def stepped(model: Any, batch: Batch, seed: int = 0) -> tuple[Taken, dict[str, list[tuple[Tensor, Tensor]]]]:
    """The losses of a step, and what each network was given and answered, by its name."""
    seen: dict[str, list[tuple[Tensor, Tensor]]] = {"generator": [], "discriminator": []}
    handles = [
        network.register_forward_hook(lambda m, given, out, name=name: seen[name].append((given[0], out)))
        for name, network in model.named_children()
    ]
    opt = Taken()
    torch.manual_seed(seed)
    model.step(batch, opt)
    for handle in handles:
        handle.remove()
    return opt, seen


# Networks ------------------------------------------------------------------------------------------------------------


def test_figure_9_a() -> None:
    with torch.device("meta"):
        network = paperzoo.create("context_encoder").generator
        shapes, x = [], torch.empty(2, 3, 128, 128)
        for layer in [*network.encoder, *network.between, *network.decoder]:
            x = layer(x)
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                shapes.append((x.shape[1], x.shape[2]))
    down, up = [(64, 64), (64, 32), (128, 16), (256, 8), (512, 4), (4000, 1)], [(512, 4), (256, 8), (128, 16), (64, 32), (3, 64)]
    assert shapes == down + up and not any(isinstance(m, nn.MaxPool2d | nn.AvgPool2d) for m in network.modules())
    kernels = {(m.kernel_size, m.stride, m.padding) for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)}
    assert kernels == {((4, 4), (2, 2), (1, 1)), ((4, 4), (1, 1), (0, 0))}
    weights = sum(m.weight.numel() for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d))
    assert weights == 16 * (3 * 64 + 64 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512 * 4000) + 16 * (
        4000 * 512 + 512 * 256 + 256 * 128 + 128 * 64 + 64 * 3
    )


def test_figure_9_b() -> None:
    with torch.device("meta"):
        network = paperzoo.create("context_encoder:alexnet").generator
        shapes, x = [], torch.empty(2, 3, 227, 227)
        for layer in [*network.encoder, *network.between, *network.decoder]:
            x = layer(x)
            shapes.append(tuple(x.shape[1:3]))
        assert network(torch.empty(2, 3, 227, 227)).shape == (2, 3, 227, 227)
    down = [(96, 55), (96, 27), (256, 27), (256, 13), (384, 13), (256, 6)]
    assert list(dict.fromkeys(shapes)) == [*down, (128, 11), (64, 21), (64, 41), (32, 81), (3, 161)]
    convolutions = [m for m in network.encoder if isinstance(m, nn.Conv2d)]
    assert sum(m.weight.numel() + m.bias.numel() for m in convolutions) == 2_334_080  # those of AlexNet
    assert network.between[0].weight.numel() == 256 * 6**4  # m n^4, and not m^2 n^4
    mixing = network.between[2]
    assert isinstance(mixing, nn.Conv2d) and mixing.stride == (1, 1) and mixing.groups == 1


def test_the_channel_wise_layer_by_hand() -> None:
    torch.manual_seed(0)
    layer, x = paper.ChannelWise(3, 4), images(2, 3, 4, 4)
    nn.init.normal_(layer.bias)
    assert sum(p.numel() for p in layer.parameters()) == 3 * 4**4 + 3 * 4**2
    found, w, b = layer(x), layer.weight.detach().numpy(), layer.bias.detach().numpy()
    for n in range(2):
        for m in range(3):
            assert np.allclose(found[n, m].detach().numpy().ravel(), w[m] @ x[n, m].numpy().ravel() + b[m], atol=1e-5)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(layer(x)[1, 2].sum(), x)
    assert gradient[1, 2].all() and gradient.abs().sum() == gradient[1, 2].abs().sum()  # no other map has a say, and all of this one


@pytest.mark.parametrize("variant", ["centre", "random", "alexnet"])
def test_every_painted_pixel_sees_the_whole_image(variant: str) -> None:
    model = small(variant).double().eval()
    image = images(1, 3, model.image_size, model.image_size).double().requires_grad_()
    painted = model.generator(image)
    for row, column in ((0, 0), (painted.shape[2] // 2, painted.shape[3] - 1)):
        (gradient,) = torch.autograd.grad(painted[0, :, row, column].sum(), image, retain_graph=True)
        seen = (gradient != 0).any(1)[0].double()
        assert seen[:2].any() and seen[-4:].any() and seen[:, :2].any() and seen[:, -4:].any()
        assert seen.mean() > (0.9 if variant != "alexnet" else 0.3)  # AlexNet's poolings and rectifiers let some through


def test_networks_of_every_side() -> None:
    for size in (16, 32, 64, 128, 256):
        model = small("centre", image_size=size, overlap=1)
        x = images(2, 3, size, size)
        assert model.generator(x).shape == (2, 3, size // 2, size // 2) and model.discriminator(model.generator(x)).shape == (2,)
        assert small("random", image_size=size, overlap=1).generator(x).shape == x.shape
    assert paper.widths(128, 64) == [64, 64, 128, 256, 512] and paper.widths(64, 64) == [64, 128, 256, 512]  # authors' program
    assert paper.pooled(227) == 6


# Losses --------------------------------------------------------------------------------------------------------------


def test_eq1_by_hand() -> None:
    a, b = images(3, 2, 5, 6), images(3, 2, 5, 6, seed=2)
    weight = torch.tensor([0.0, 1.0, 10.0])[torch.randint(3, (3, 1, 5, 6), generator=torch.Generator().manual_seed(0))]
    sums = []
    for n in range(3):
        w, total, count = weight[n, 0].numpy(), 0.0, 0
        for c in range(2):
            for i in range(5):
                for j in range(6):
                    if w[i, j]:
                        total, count = total + w[i, j] * float(a[n, c, i, j] - b[n, c, i, j]) ** 2, count + 1
        sums.append(total / count)
    assert paper.eq1(a, b, weight).item() == pytest.approx(np.mean(sums), rel=1e-5)


def test_eq2_by_its_definition() -> None:
    real, fake = 3 * images(7) - 1, 4 * images(7, seed=2) - 2
    p, q = torch.sigmoid(real.double()), torch.sigmoid(fake.double())
    assert paper.eq2(real, fake).item() == pytest.approx(-float(p.log().mean() + (1 - q).log().mean()), rel=1e-5)
    assert paper.fooled(fake).item() == pytest.approx(-float(q.log().mean()), rel=1e-5)


def test_the_middle_of_the_paper() -> None:
    """128 pixels, of which 64 are predicted: 50 are missing, and the 7 on each side of them known."""
    model = paperzoo.create("context_encoder", width=2, bottleneck=2)
    hole = model.holes(2)
    assert hole.shape == (2, 1, 128, 128) and hole[..., 39:89, 39:89].all() and hole.sum() == 2 * 50 * 50 and model.middle == 50
    assert model.cropped(hole).shape[2:] == (64, 64)
    assert small("centre", image_size=64, overlap=0).holes(1).sum() == 32 * 32
    for model, draw in ((small("random"), random_blocks), (small("random", masks="regions"), random_regions)):
        torch.manual_seed(3)
        drawn = model.holes(4)
        torch.manual_seed(3)
        assert torch.equal(drawn, draw(4, 64, 64)) and torch.equal(model.holes(4, torch.Generator().manual_seed(3)), drawn)
    assert small("alexnet").masks == "regions"


@every
def test_a_step_by_hand(variant: str, masks: str) -> None:
    """Every term of Eq. 3 from what the networks were given and answered."""
    model = small(variant, masks=masks, overlap=3)
    image = images(3, 3, model.image_size, model.image_size)
    opt, seen = stepped(model, Batch(image=image))
    torch.manual_seed(0)
    hole = model.holes(3)[:, 0].numpy() > 0
    size = model.image_size
    predicted = np.zeros_like(hole)
    for n, i, j in np.argwhere(hole):
        predicted[n, max(0, i - 3) : i + 4, max(0, j - 3) : j + 4] = True
    near = np.zeros_like(hole)  # within 3 pixels of what is not predicted: there are none beyond the image
    for n, i, j in np.argwhere(~predicted):
        near[n, max(0, i - 3) : i + 4, max(0, j - 3) : j + 4] = True
    weight = predicted * np.where(near, 10.0, 1.0)
    assert not (near & hole).any()  # only known pixels count ten times
    middle = variant != "alexnet" and masks == "centre"
    part = slice(size // 4, size // 4 + size // 2) if middle else slice(None)
    ((given, painted),) = seen["generator"]
    truth = 2 * image.numpy() - 1
    for n in range(3):
        for c, value in enumerate((123, 117, 104)):
            assert np.allclose(given[n, c].numpy()[hole[n]], 2 * value / 255 - 1, atol=1e-6)
            assert np.allclose(given[n, c].numpy()[~hole[n]], truth[n, c][~hole[n]], atol=1e-6)
    errors = weight[:, None, part, part] * (truth[:, :, part, part] - painted.detach().numpy()) ** 2
    l2 = np.mean([errors[n].sum() / (3 * predicted[n].sum()) for n in range(3)])
    if variant in ("l2", "alexnet"):
        assert list(opt.losses) == ["generator"] and not seen["discriminator"]
        assert opt.losses["generator"].item() == pytest.approx(0.999 * l2, rel=1e-4)
        return
    (real, p), (fake, q), (again, r) = seen["discriminator"]
    assert list(opt.losses) == ["discriminator", "generator"]
    patch = np.where(predicted[:, None, part, part], painted.detach().numpy(), truth[:, :, part, part])
    assert np.allclose(real, truth[:, :, part, part], atol=1e-6)
    assert np.allclose(fake, patch, atol=1e-6) and np.allclose(again.detach(), patch, atol=1e-6)
    assert not fake.requires_grad and again.requires_grad and torch.equal(q, r)
    adversary = lambda logits: float(np.mean(np.log1p(np.exp(logits.detach().double().numpy()))))  # noqa: E731
    assert opt.losses["discriminator"].item() == pytest.approx(adversary(-p) + adversary(q), rel=1e-4)
    assert opt.losses["generator"].item() == pytest.approx(0.999 * l2 + 0.001 * adversary(-r), rel=1e-4)


@every
def test_nothing_leaks_out_of_the_hole(variant: str, masks: str) -> None:
    """What is in the hole changes no bit: not of what the network is given in training, nor of what is painted."""
    model = small(variant, masks=masks)
    image = images(3, 3, model.image_size, model.image_size)
    torch.manual_seed(5)
    hole = model.holes(3)
    other = torch.where(hole > 0, images(*image.shape, seed=2), image)
    assert not torch.equal(image, other)
    given = [stepped(model, Batch(image=one), seed=5)[1]["generator"][0] for one in (image, other)]
    assert torch.equal(given[0][0], given[1][0]) and torch.equal(given[0][1], given[1][1])
    filled = model.filled(image, hole)
    assert torch.equal(filled[hole.expand_as(image) > 0], model.filled(other, hole)[hole.expand_as(image) > 0])
    around = torch.where(hole > 0, image, images(*image.shape, seed=2))
    assert not torch.equal(filled[hole.expand_as(image) > 0], model.filled(around, hole)[hole.expand_as(image) > 0])


@pytest.mark.parametrize("variant", ["centre", "random", "alexnet"])
def test_what_is_painted_lies_where_it_belongs(variant: str) -> None:
    model = small(variant)
    image, hole = images(2, 3, model.image_size, model.image_size), small(variant).holes(2)
    found = model.filled(image, hole)  # by the statistics of the training, though it is in training
    assert model.training
    model.eval()
    low = model.image_size // 4 if model.middle else 0
    punched = torch.where(hole > 0, model.fill.view(3, 1, 1), image)
    with torch.no_grad():
        painted = (model.generator(2 * punched - 1) + 1) / 2
    for n, _, i, j in hole.nonzero()[::50].tolist():
        assert torch.allclose(found[n, :, i, j], painted[n, :, i - low, j - low], atol=1e-6)


def test_the_discriminator_is_ten_times_slower() -> None:
    for recipe in paper.RECIPES.values():
        model = small("centre")
        rates = {name: one.param_groups[0]["lr"] for name, one in constant(model.optimizers(**recipe.optimizer)).items()}
        assert rates["discriminator"] == pytest.approx(rates["generator"] / 10)
    adams = constant(small("centre").optimizers())
    assert {name: (type(one), one.param_groups[0]["betas"]) for name, one in adams.items()} == dict.fromkeys(
        ("generator", "discriminator"), (torch.optim.Adam, (0.5, 0.999))
    )
    assert adams["generator"].param_groups[0]["lr"] == 2e-4 and list(constant(small("l2").optimizers())) == ["generator"]


# Learning ------------------------------------------------------------------------------------------------------------


def stripes(items: int, seed: int) -> Tensor:
    """Stripes of any direction, phase and colours, uint8 (N, 3, 32, 32): their surroundings tell what is in the middle."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:32, :32] / 32
    found = []
    for _ in range(items):
        angle, phase = random.uniform(0, np.pi), random.uniform(0, 2 * np.pi)
        wave = np.sin(2 * np.pi * 1.5 * (np.cos(angle) * x + np.sin(angle) * y) + phase)
        a, b = random.uniform(0, 1, (2, 3, 1, 1))
        found.append(np.where(wave > 0, a, b))
    return torch.from_numpy(np.stack(found) * 255).round().to(torch.uint8)


@pytest.mark.processor
def test_learns_the_hole_from_its_surroundings_and_not_from_those_of_others() -> None:
    torch.manual_seed(0)
    model = small("centre", image_size=32, width=8, bottleneck=64, overlap=2)
    train, test = stripes(400, 0), stripes(100, 1)
    data = pictures(torch.cat([train, test]), 100, labelled=False)
    opt = Players(model.optimizers(lr=2e-3, decay_from=0.3))
    opt.total = opt.stage_steps = 300
    for step in range(opt.total):
        opt.iteration = step
        model.step(data["train"].batch(np.random.default_rng(step).permutation(400)[:32]), opt)
    other = torch.where(model.holes(1) > 0, test.roll(1, 0), test)  # the hole of another image
    gains = [
        model.eval().measure(pictures(torch.cat([train, held]), 100, labelled=False), "test")["gain over surround fill (dB)"]
        for held in (test, other)
    ]
    assert gains[0] > 1 and gains[1] < gains[0] - 1.5, gains


# Features ------------------------------------------------------------------------------------------------------------


def test_features_are_the_encoders_of_the_whole_image() -> None:
    for variant, dimensions in (("centre", 8), ("alexnet", 16 * 2 * 2)):
        model, image = small(variant).eval(), images(2, 3, SMALL[variant]["image_size"], SMALL[variant]["image_size"])
        found = model.features(image)
        assert found.shape == (2, dimensions) and torch.equal(found, model.generator.encoder(2 * image - 1).flatten(1))


def few() -> tuple[Batch, Batch]:
    """Two classes, horizontal and vertical stripes: 40 to learn from and 40 others."""
    label = torch.arange(80) % 2
    image = 0.4 * images(80, 3, 32, 32) + 0.6 * (torch.arange(32) // 4 % 2).float().expand(80, 3, 32, 32)
    image = torch.where(label.view(-1, 1, 1, 1) > 0, image, image.transpose(2, 3))
    return Batch(image=image[:40], label=label[:40]), Batch(image=image[40:], label=label[40:])


def test_a_logistic_regression_and_nothing_else_learns_from_labels() -> None:
    from sklearn.linear_model import LogisticRegression

    torch.manual_seed(0)
    model = paperzoo.create("context_encoder:features", **SMALL["centre"] | {"image_size": 32, "overlap": 2}, classes=2, cost=0.1)
    model.stage("fill")
    known, asked = few()
    opt = Players(model.optimizers(lr=1e-3))
    assert set(model.optimizers()) == {"generator", "discriminator"}
    before = model.features(known.image)
    model.step(known, opt)
    assert not torch.equal(model.features(known.image), before)
    model.stage("classify")
    assert model.optimizers() == {}
    kept = {name: tensor.clone() for name, tensor in model.painter.state_dict().items()}
    model.train().step(known, SimpleNamespace())
    assert all(torch.equal(tensor, kept[name]) for name, tensor in model.painter.state_dict().items()) and model.painter.training
    x = model.features(known.image).detach()
    z = ((x - x.mean(0)) / x.std(0, correction=0)).numpy()
    theirs = LogisticRegression(C=0.1, max_iter=200).fit(z, known.label.numpy())
    found = model(known.image).softmax(1)[:, 1].detach().numpy()
    assert np.allclose(found, theirs.predict_proba(z)[:, 1], atol=1e-2)
    with torch.no_grad():
        assert (model(asked.image).argmax(1) == asked.label).float().mean() > 0.8
    assert torch.equal(model.head(model.features(asked.image)), model(asked.image))


# Bad input -----------------------------------------------------------------------------------------------------------


def test_what_cannot_be_is_named() -> None:
    for name, arguments, message in (
        ("centre", {"image_size": 100}, "model.image_size is 100, and each layer halves it, down to 4: it is a power of two, such as 128"),
        ("centre", {"image_size": 64, "overlap": 16}, "model.overlap is 16, which leaves no hole: of 64 pixels it is less than a quarter"),
        ("alexnet", {"image_size": 66}, "model.image_size is 66, of which AlexNet's poolings leave nothing: it is at least 67"),
        ("centre", {"masks": "squares"}, "model.masks"), ("centre", {"channels": 2}, "model.channels must be one of 1, 3"),
    ):  # fmt: skip
        with pytest.raises(paperzoo.PaperzooError, match=message):
            paperzoo.create(f"context_encoder:{name}", **arguments)
    assert small("alexnet", image_size=67).generator(images(1, 3, 67, 67)).shape == (1, 3, 67, 67)
    assert small("centre", image_size=64, overlap=15).middle == 2
    with pytest.raises(paperzoo.PaperzooError, match="unknown stage 'inpaint' of context_encoder:features: there is classify, fill"):
        paperzoo.create("context_encoder:features", **SMALL["centre"]).stage("inpaint")
    with pytest.raises(paperzoo.PaperzooError, match="in-painting needs data with image"):
        paperzoo.train("context_encoder", "smoke", data="ring8")
