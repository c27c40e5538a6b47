"""Adversarial autoencoders: their priors, phases and labels; codes that follow the prior, and those that must not."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fixtures.training import constant, job, loop
from torch import Tensor, nn

import paperzoo
from paperzoo.data import Batch, Dataset, Schema, Split
from paperzoo.data.dataset import Images, Values
from paperzoo.data.datasets import dataset
from paperzoo.engine.players import Players
from paperzoo.metrics.mmd import mmd_test
from paperzoo.papers.autoencoder import aae, aae_factored

# ---------------------------------------------------------------- the two-sample test


def test_mmd_is_the_distance_of_kernel_means() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(7, 3)), random.normal(size=(5, 3)) + 1
    pooled = np.concatenate([x, y])
    apart = [np.sum((a - b) ** 2) for i, a in enumerate(pooled) for b in pooled[:i]]
    width = sorted(apart)[(len(apart) - 1) // 2]  # torch's median is the lower of the two

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.mean([[math.exp(-np.sum((u - v) ** 2) / (2 * width)) for v in b] for u in a]))

    assert mmd_test(x, y)[0] == pytest.approx(k(x, x) + k(y, y) - 2 * k(x, y), rel=1e-4)
    assert mmd_test(x, x)[0] == pytest.approx(0, abs=1e-9) and mmd_test(x, x)[1] == 1


def test_mmd_p_value_is_uniform_under_equality_and_small_under_a_shift() -> None:
    random = np.random.default_rng(1)
    equal = np.array([mmd_test(*random.normal(size=(2, 40, 2)), permutations=99, seed=i)[1] for i in range(200)])
    assert 0.4 < equal.mean() < 0.6 and (equal <= 0.05).mean() < 0.12 and equal.min() >= 0.01
    x, y = random.normal(size=(2, 200, 8))
    assert mmd_test(x, y)[1] > 0.01
    assert mmd_test(x, y + 0.5)[1] == mmd_test(x, 0.6 * y)[1] == 0.001, "neither another mean nor another scale is seen"
    for bad in ((x[:1], y), (x, y[:, :3]), (x, y * np.nan)):
        with pytest.raises(ValueError):
            mmd_test(*bad)


# ---------------------------------------------------------------- priors


def test_the_mixture_has_a_petal_a_class_and_the_roll_a_stretch() -> None:
    torch.manual_seed(0)
    label = torch.arange(10).repeat_interleave(2000)
    points = aae.mixture(torch.randn(len(label), 3), label, 10)
    for k in range(10):
        angle = 2 * math.pi * k / 10
        turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        own = points[label == k] @ turn  # component k turned onto the first axis
        assert torch.allclose(own.mean(0), torch.tensor([3.0, 0.0]), atol=0.1)
        assert torch.allclose(own.std(0), torch.tensor([1.0, 0.25]), rtol=0.05)
    roll = aae.swiss_roll(torch.randn(len(label), 3), label, 10)
    radius = roll.norm(dim=1)
    assert all(radius[label == k].mean() < radius[label == k + 1].mean() for k in range(9)) and radius.max() < 5.8
    # the length of r = c * angle up to an angle a grows with a^2, so the mean of r^2 over an even roll is half of 5^2
    assert radius.square().mean().item() == pytest.approx(12.5 + 2 * 0.15**2, rel=0.03)


@pytest.mark.parametrize("prior", aae.PRIORS)
def test_any_class_means_all_of_the_prior_and_samples_are_drawn_like_training_codes(prior: str) -> None:
    model = paperzoo.create("aae", image_size=8, width=4, latent=2, prior=prior)
    torch.manual_seed(0)
    drawn, fixed = model.draw(1000), model.latents(1000, seed=5)
    even = model.impose(torch.randn(1000, 3), torch.arange(1000) % 10)
    if prior == "gaussian":
        assert drawn.std().item() == pytest.approx(5, rel=0.05)
    assert mmd_test(drawn.numpy(), fixed.numpy())[1] > 0.01 < mmd_test(drawn.numpy(), even.numpy())[1]
    assert torch.equal(fixed[:7], model.latents(7, seed=5)) and not torch.equal(fixed, model.latents(1000, seed=6))


# ---------------------------------------------------------------- losses, phases, labels


def test_losses_are_the_game_and_half_the_squared_error() -> None:
    prior, code = torch.randn(2, 50, dtype=torch.float64) * 4
    s = torch.sigmoid
    value = s(prior).log().mean() + (1 - s(code)).log().mean()
    assert aae.discriminator_loss(prior, code).item() == pytest.approx(-value.item())
    assert aae.generator_loss(code).item() == pytest.approx(-s(code).log().mean().item())
    x, y = torch.rand(2, 6, 1, 4, 4)
    by_hand = sum(0.5 * float(((a - b) ** 2).sum()) for a, b in zip(x, y, strict=True)) / 6
    assert aae.reconstruction_loss(y, x).item() == pytest.approx(by_hand, rel=1e-5)


def moved(name: str, recipe: str, folder: Path, **rates: float) -> set[str]:
    """The networks that a step moves when only these rates are not zero."""
    silent = {f"optimizer.{k}": 0.0 for k in ("lr", "lr_discriminator", "lr_generator", "lr_classifier")}
    made = loop(job(name, recipe, **{**silent, **{f"optimizer.{k}": v for k, v in rates.items()}}), folder)
    before = {n: p.detach().clone() for n, p in made.model.named_parameters()}
    made.step()
    return {n.split(".")[0] for n, p in made.model.named_parameters() if not torch.equal(p, before[n])}


def test_each_phase_moves_its_own_networks_at_its_own_rate(tmp_path: Path) -> None:
    for name, recipe, judges in (
        ("aae", "smoke", {"discriminator"}),
        ("aae:map", "smoke", {"discriminator"}),
        ("aae:semi", "smoke-semi", {"content_discriminator", "style_discriminator"}),
    ):
        assert moved(name, recipe, tmp_path, lr=1e-3) == {"encoder", "decoder"}
        assert moved(name, recipe, tmp_path, lr_discriminator=1e-3) == judges
        assert moved(name, recipe, tmp_path, lr_generator=1e-3) == {"encoder"}
    assert moved("aae:semi", "smoke-semi", tmp_path, lr_classifier=1e-3) == {"encoder"}


class Seen(nn.Module):
    """A discriminator that keeps what it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.calls = nn.Parameter(torch.zeros(1)), []

    def forward(self, *parts: Tensor) -> Tensor:
        self.calls.append([part.detach() for part in parts])
        return self.weight * parts[0].sum(1)


@pytest.mark.parametrize("few", [False, True])
def test_the_discriminator_is_told_the_label_or_that_there_is_none(few: bool) -> None:
    model = paperzoo.create("aae:map", image_size=8, width=4)
    model.discriminator = Seen()
    data = dataset("digits-100" if few else "digits")
    batch = data["train"].batch(np.arange(20))
    model.step(batch, Players(constant(model.optimizers())))
    (prior, told), (code, beside), _ = model.discriminator.calls
    expected = torch.cat([torch.full((20,), 10), batch.label]) if few else batch.label
    assert torch.equal(told, F.one_hot(expected, 11).float()) and torch.equal(beside, told)
    image = torch.cat([batch.image, batch.labelled]) if few else batch.image
    assert code.shape == (len(image), 2) == prior.shape
    # what is told to be of a class comes from that class's component: nearer to its axis than to any other
    known = expected < 10
    angle = 2 * math.pi * torch.arange(10) / 10
    axes = torch.stack([angle.cos(), angle.sin()], 1)
    assert ((prior[known] @ axes.T).argmax(1) == expected[known]).float().mean() > 0.9


# ---------------------------------------------------------------- learning


@pytest.mark.processor
def test_codes_follow_the_prior_and_without_the_adversary_do_not(tmp_path: Path) -> None:
    """Ten seeds: 0.003 to 0.012 with the adversary, 0.16 to 0.32 without. That 359 codes cannot be told from the prior at all (a
    p-value above 0.01) is true of eight of the ten: the adversary comes close, it does not make them equal."""
    settings = {"steps": 800, "model.latent": 2, "batch_size": 100}
    held = paperzoo.train("aae", "smoke", out=tmp_path, overrides=settings).metrics
    free = paperzoo.train("aae", "smoke", out=tmp_path, overrides={**settings, "optimizer.lr_generator": 0.0}).metrics
    assert held["mmd"] < 0.03 < 0.1 < free["mmd"] and free["mmd p-value"] <= 0.01
    assert held["squared error"] < held["pca squared error"]
    assert free["squared error"] < 1.1 * held["squared error"], "an error of reconstruction tells the two apart, the test is needed"


def own_petal(model: Any) -> float:
    """Percent of held-out digits whose code lies in the direction of their own class's component."""
    test = dataset("digits")["test"].batch(np.arange(359))
    angle = 2 * math.pi * torch.arange(10) / 10
    axes = torch.stack([angle.cos(), angle.sin()], 1)
    return 100 * float(((model.codes(test.image) @ axes.T).argmax(1) == test.label).float().mean())


@pytest.mark.processor
def test_each_class_lies_in_its_own_component_and_untold_does_not(tmp_path: Path) -> None:
    settings = {"steps": 1500, "batch_size": 100} | {f"optimizer.{rate}": 3e-3 for rate in ("lr", "lr_generator", "lr_discriminator")}
    told = paperzoo.train("aae:map", "smoke", out=tmp_path, overrides=settings).model
    plain = {"model.prior": "mixture", "model.latent": 2}
    untold = paperzoo.train("aae", "smoke", out=tmp_path, overrides={**settings, **plain}).model
    assert own_petal(told) > 80 and own_petal(untold) < 50


@pytest.mark.processor
def test_few_labels_teach_all_classes_and_their_phase_is_needed(tmp_path: Path) -> None:
    run = paperzoo.train("aae:semi", "smoke-semi", out=tmp_path, overrides={"steps": 500, "batch_size": 100})
    assert run.metrics["error %"] < 15
    answer = run.model.predict(np.zeros((8, 8)))
    assert len(answer.probabilities) == 10 and answer.name in "0123456789"
    untaught = {"steps": 500, "batch_size": 100, "optimizer.lr_classifier": 0.0}
    assert paperzoo.train("aae:semi", "smoke-semi", out=tmp_path, overrides=untaught).metrics["error %"] > 60


@pytest.mark.processor
def test_clusters_are_of_one_digit_each_and_named_by_their_surest_image(tmp_path: Path) -> None:
    run = paperzoo.train("aae:clusters", "smoke", out=tmp_path, overrides={"steps": 600, "batch_size": 100})
    assert run.metrics["purity %"] > 60 and run.metrics["clusters used"] >= 10
    model = run.model
    with torch.no_grad():  # every image as sure of cluster 3, all others empty: the name is that of the surest, and all get it
        model.encoder.normalise.weight.zero_()
        model.encoder.normalise.bias.copy_(10 * F.one_hot(torch.tensor(3), 16))
    data = dataset("digits")
    found = model.measure(data, "test")
    name = int(data["train"][0].label)  # the first of equals
    share = float((data["test"].batch(np.arange(359)).label == name).float().mean())
    assert found["clusters used"] == 1 and found["cluster error %"] == pytest.approx(100 * (1 - share), abs=1e-3)


def test_a_row_is_a_class_and_a_column_a_style(tmp_path: Path) -> None:
    from PIL import Image

    model, data = paperzoo.create("aae:semi", image_size=8, width=8), dataset("digits-100")
    asked: list[Tensor] = []
    model.decoder.register_forward_pre_hook(lambda _, inputs: asked.append(inputs[0]))
    paths = {p.name: p for p in model.show(data, "test", tmp_path, "x")}
    assert {"x-confusion.png", "x-reconstructions.png", "x-samples.png", "x-walk.png", "x-styles.png"} <= set(paths)
    assert Image.open(paths["x-styles.png"]).size == (98, 98)  # ten by ten digits of 8 pixels, gaps of 2
    y, z = model.parts(next(a for a in asked if len(a) == 100 and not a[0, 10:].any()).view(10, 10, -1).flatten(0, 1))
    assert torch.equal(y.argmax(1), torch.arange(10).repeat_interleave(10)) and torch.equal(z, z[:10].repeat(10, 1))


# ---------------------------------------------------------------- bad input


def folder_data(fields: str, image: Tensor) -> Dataset:
    label = Values("label", torch.zeros(len(image), dtype=torch.int64))
    columns = [Images((image * 255).to(torch.uint8)), *([label] if "label" in fields else [])]
    schema = Schema("mine", tuple(fields.split()), {"channels": 1, "image_size": 8, "classes": 1}, ("all",))
    split = Split(*columns)
    return Dataset(schema, {"train": split, "test": split}, "", "")


def test_bad_input_is_named() -> None:
    with pytest.raises(paperzoo.PaperzooError, match="did you mean gaussian"):
        paperzoo.create("aae", prior="gausian")
    with pytest.raises(paperzoo.PaperzooError, match="latent must be 2"):
        paperzoo.create("aae", prior="swiss_roll")
    with pytest.raises(paperzoo.PaperzooError, match="no parts"):
        paperzoo.create("aae:map", prior="gaussian")
    wrong = (("aae", {"width": 0}), ("aae:semi", {"noise": -1.0}), ("aae:clusters", {"clusters": 1}), ("aae:semi", {"classes": 1}))
    for name, bad in wrong:
        with pytest.raises(paperzoo.PaperzooError, match=next(iter(bad))):
            paperzoo.create(name, **bad)
    unlabelled = folder_data("image", torch.rand(4, 1, 8, 8)).schema
    with pytest.raises(paperzoo.PaperzooError, match="needs data with labels"):
        aae.Map.check(unlabelled)
    for schema in (unlabelled, dataset("digits").schema):
        with pytest.raises(paperzoo.PaperzooError, match="labelled"):
            aae_factored.Semi.check(schema)
    with pytest.raises(paperzoo.PaperzooError, match=r"\[0, 1\]"):
        paperzoo.create("aae", image_size=8, width=4).encode(2 * torch.ones(1, 1, 8, 8))


@pytest.mark.parametrize("name", ["aae", "aae:clusters"])
@pytest.mark.parametrize("image", [torch.rand(1, 1, 8, 8), torch.full((30, 1, 8, 8), 0.5)], ids=["one image", "constant images"])
def test_one_image_or_constant_images_are_learnt_without_a_fault(name: str, image: Tensor) -> None:
    data = folder_data("image label", image)
    model = paperzoo.create(name, image_size=8, width=8)
    opt = Players(constant(model.optimizers(adam=True, lr=1e-2)))
    for _ in range(30):
        model.step(Batch(image=image.expand(30, -1, -1, -1)), opt)
    assert all(np.isfinite(float(loss)) for _, _, loss in opt.losses)
    model.eval()
    found = model.measure(data, "test")
    assert np.isfinite(list(found.values())).all() and ("mmd" in found) == (len(image) >= 20)


@pytest.mark.parametrize("name", ["aae:semi", "aae:clusters"])
def test_all_phases_of_the_factored_ones_see_images_with_noise_and_rebuild_clean_ones(name: str) -> None:
    torch.manual_seed(0)
    model = paperzoo.create(name, image_size=16, width=8, noise=0.3)
    image, labelled = torch.rand(2, 20, 1, 16, 16)
    seen, rebuilt, losses, judged = [], [], {}, {"content": [], "style": []}
    for player, found in judged.items():
        model.get_submodule(f"{player}_discriminator").register_forward_hook(lambda m, i, o, found=found: found.append(o.detach()))
    model.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model.decoder.register_forward_hook(lambda m, i, output: rebuilt.append(output.detach()))
    opt = Players(constant(model.optimizers()))
    right = opt._minimize
    opt._minimize = lambda given: (losses.update({k: v[0] for k, v in given.items()}), right(given))  # type: ignore[method-assign]
    model.step(Batch(image=image, labelled=labelled, label=torch.arange(20) % 10), opt)
    clean = [image, image, labelled][: 3 if name == "aae:semi" else 2]
    assert len(seen) == len(clean) and torch.equal(seen[0], seen[1])
    for x, without in zip(seen, clean, strict=True):
        noise = x - without
        assert float(noise.std()) == pytest.approx(0.3, rel=0.05) and abs(float(noise.mean())) < 0.02
    expected = 0.5 * (rebuilt[0] - image).square().sum((1, 2, 3)).mean()
    assert losses["autoencoder"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert {player: len(found) for player, found in judged.items()} == {"content": 3, "style": 3}
    for player, (prior, code, _) in judged.items():  # of codes before and after the discriminator's step
        expected = -(torch.sigmoid(prior).log().mean() + torch.sigmoid(-code).log().mean())
        assert losses[f"{player}_discriminator"].item() == pytest.approx(expected.item(), rel=1e-4)
    deceived = -sum(torch.sigmoid(after).log().mean() for _, _, after in judged.values())  # the encoder deceives both
    assert losses["generator"].item() == pytest.approx(deceived.item(), rel=1e-4)
