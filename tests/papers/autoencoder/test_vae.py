"""The variational autoencoder: its terms against closed forms, its bound against exact likelihoods, and what it learns."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.training import constant, digits, fit, pictures, train_images
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence

import paperzoo
from paperzoo import PaperzooError
from paperzoo.data import Batch, Dataset, Schema, Split, Values
from paperzoo.engine.players import Players, optimizers
from paperzoo.metrics.iwae import bounds
from paperzoo.metrics.ppca import gaussian_log_likelihood, ppca_log_likelihood
from paperzoo.papers.autoencoder import vae, vae_linear
from paperzoo.tasks.reconstruction import ImageReconstruction, Likelihood


def factors(items: int = 20_000, seed: int = 0) -> Dataset:
    """Two Gaussian factors in eight dimensions, and noise of deviation 0.5: ``point`` (N, 8)."""
    random = torch.Generator().manual_seed(seed)
    w, mean = torch.randn(8, 2, generator=random), torch.randn(8, generator=random)

    def split(count: int) -> Split:
        z, e = torch.randn(count, 2, generator=random), torch.randn(count, 8, generator=random)
        return Split(Values("point", z @ w.T + mean + 0.5 * e))

    return Dataset(Schema("factors", ("point",), {"dimensions": 8}), {"train": split(items), "test": split(2000)}, "", "")


def some_gaussian(items: int = 3, dimensions: int = 4) -> vae.Gaussian:
    torch.manual_seed(0)
    return vae.Gaussian(torch.randn(items, dimensions), torch.randn(items, dimensions))


# ---------------------------------------------------------------- terms


def test_kl_is_the_sum_over_dimensions_that_sampling_finds() -> None:
    q = some_gaussian()
    kl = vae.kl_divergence(q)
    closed = kl_divergence(Normal(q.mean, (q.log_variance / 2).exp()), Normal(0.0, 1.0)).sum(1)
    assert kl.shape == (3,) and torch.allclose(kl, closed, atol=1e-5)
    z = vae.draw(q, torch.randn(1_000_000, 3, 4))  # (K, N, D)
    sampled = (vae.log_normal(z, *q) - vae.log_normal(z, torch.zeros(4), torch.zeros(4))).mean(0)
    assert torch.allclose(kl, sampled, rtol=0.01)
    assert vae.kl_divergence(vae.Gaussian(torch.zeros(2, 5), torch.zeros(2, 5))).tolist() == [0, 0]


def test_likelihoods_are_sums_over_pixels_with_their_constants() -> None:
    torch.manual_seed(0)
    x, logits = torch.rand(2, 1, 5, 5), 3 * torch.randn(2, 1, 5, 5)
    assert torch.allclose(vae.log_bernoulli(x.round(), logits), Bernoulli(logits=logits).log_prob(x.round()).sum((1, 2, 3)), rtol=1e-4)
    expected = (x * torch.log(logits.sigmoid()) + (1 - x) * torch.log(1 - logits.sigmoid())).sum((1, 2, 3))
    assert torch.allclose(vae.log_bernoulli(x, logits), expected, rtol=1e-4)
    model = vae.Model(image_size=5, latent=3, hidden=7, likelihood="gaussian")
    z = torch.randn(2, 3)
    output = model.decoder(z, torch.zeros(2, 0)).detach()
    deviation = (output[:, 1:].exp() + vae.LEAST**2).sqrt()
    by_torch = Normal(output[:, :1].sigmoid(), deviation).log_prob(x).sum((1, 2, 3))
    assert torch.allclose(model.log_likelihood(x, z), by_torch, rtol=1e-4)
    assert float(deviation.min()) >= vae.LEAST and model.protocol == "density"


def test_the_step_descends_minus_the_bound_of_a_whole_image() -> None:
    """One step of plain gradient descent moves every parameter by the gradient of KL minus likelihood, sums both."""
    torch.manual_seed(0)
    model, x = vae.Model(image_size=5, latent=3, hidden=7), torch.rand(6, 1, 5, 5)
    start = {n: p.detach().clone() for n, p in model.named_parameters()}
    opt = Players({"vae": torch.optim.SGD(model.parameters(), 1.0)})
    torch.manual_seed(1)
    model.step(Batch(image=x), opt)
    moved = {n: start[n] - p.detach() for n, p in model.named_parameters()}
    model.load_state_dict(start)
    torch.manual_seed(1)
    mean, log_variance = model.encoder.body(x.flatten(1)).chunk(2, 1)
    z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
    p = model.decoder.body(z).sigmoid()
    target = x.flatten(1)
    bound = (0.5 * (1 + log_variance - mean**2 - log_variance.exp())).sum() + (target * p.log() + (1 - target) * (1 - p).log()).sum()
    (-bound / 6).backward()  # the mean over the batch, and over nothing else
    for name, parameter in model.named_parameters():
        assert torch.allclose(moved[name], parameter.grad, atol=1e-5, rtol=1e-4), name


# ---------------------------------------------------------------- bounds


def test_iwae_of_one_sample_is_the_elbo_and_of_more_never_below_it() -> None:
    torch.manual_seed(0)
    weights = 5 * torch.randn(100, 200) - 50
    elbo, iwae = bounds(weights[:1])
    assert torch.allclose(elbo, iwae, atol=1e-5)
    elbo, iwae = bounds(weights)
    assert (iwae >= elbo).all() and torch.allclose(iwae, weights.double().exp().mean(0).log().float(), atol=1e-4)


def test_ppca_likelihood_agrees_with_scikit_learn_and_is_refused_without_noise() -> None:
    from sklearn.decomposition import PCA

    data = factors(3000)
    train, held = (data[s].batch(np.arange(len(data[s]))).point for s in ("train", "test"))
    theirs = PCA(2, svd_solver="full").fit(train.numpy()).score(held.numpy())  # its covariance divides by N - 1
    assert ppca_log_likelihood(train, held, 2) == pytest.approx(theirs, abs=2e-3)
    covariance = torch.tensor([[2.0, 0.3], [0.3, 1.0]])
    by_torch = torch.distributions.MultivariateNormal(torch.ones(2), covariance).log_prob(held[:, :2]).mean()
    assert gaussian_log_likelihood(held[:, :2], torch.ones(2), covariance) == pytest.approx(float(by_torch), rel=1e-5)
    with pytest.raises(ValueError, match="no noise is left"):
        ppca_log_likelihood(torch.zeros(10, 3), torch.zeros(10, 3), 1)
    with pytest.raises(ValueError, match="1 to 2 components"):
        ppca_log_likelihood(train[:, :3], held[:, :3], 3)


def linear(slip: Any = None, monkeypatch: pytest.MonkeyPatch | None = None, **arguments: float) -> tuple[Any, dict[str, float]]:
    torch.manual_seed(0)
    data, model = factors(), vae_linear.Linear(**arguments)  # type: ignore[arg-type]
    if slip is not None:
        assert monkeypatch is not None
        monkeypatch.setattr(vae, "kl_divergence", slip)
    point = data["train"].batch(np.arange(20_000)).point
    fit(model, "point", point, 1500, 256, lr=2e-2, method="adam", decay_from=0.3)  # type: ignore[arg-type]
    with torch.no_grad():
        return model, model.measure(data, "test")


@pytest.mark.processor
def test_the_linear_model_reaches_the_exact_likelihood_of_probabilistic_pca() -> None:
    model, found = linear()
    assert found["elbo (nats)"] == pytest.approx(found["ppca log-likelihood (nats)"], abs=0.01)
    assert found["log-likelihood (nats)"] == pytest.approx(found["ppca log-likelihood (nats)"], abs=0.01)
    assert found["elbo (nats)"] <= found["iwae-100 (nats)"] <= found["log-likelihood (nats)"] + 0.01
    assert float(model.decoder.log_variance.detach().exp()) == pytest.approx(0.25, rel=0.02)
    w = model.decoder.mean.weight.detach()
    overlap = float(torch.nn.functional.cosine_similarity(w[:, 0], w[:, 1], dim=0))
    assert abs(overlap) < 0.1  # a diagonal posterior is exact only if the columns are orthogonal
    assert found["active codes"] == 2


@pytest.mark.processor
@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_wrong_weight_of_the_kl_misses_it(factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    right = vae.kl_divergence  # half of it is also what a mean over two dimensions gives
    _, found = linear(lambda q: factor * right(q), monkeypatch)
    assert found["elbo (nats)"] < found["ppca log-likelihood (nats)"] - 0.03


@pytest.mark.processor
def test_a_noise_that_is_given_is_kept_and_the_bound_stays_below_the_exact_likelihood() -> None:
    model, found = linear(deviation=1.0)
    assert not model.decoder.log_variance.requires_grad and float(model.decoder.log_variance.detach()) == 0
    assert found["elbo (nats)"] <= found["iwae-100 (nats)"] <= found["log-likelihood (nats)"] + 0.01
    assert found["log-likelihood (nats)"] < found["ppca log-likelihood (nats)"] - 0.5


# ---------------------------------------------------------------- what it learns


@pytest.mark.processor
def test_it_learns_digits_and_with_a_mean_over_pixels_the_code_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    def trained() -> dict[str, float]:
        torch.manual_seed(0)
        model = vae.Model(image_size=8, latent=6, hidden=64)
        fit(model, "image", train_images(), 600, lr=3e-3, method="adam", decay_from=0.5)  # type: ignore[arg-type]
        with torch.no_grad():
            return Likelihood().measure(model, digits(), "test") | ImageReconstruction().measure(model, digits(), "test")

    right = trained()
    monkeypatch.setattr(vae, "log_bernoulli", lambda x, logits, honest=vae.log_bernoulli: honest(x, logits) / 64)
    slip = trained()
    assert right["active codes"] == 6 and slip["active codes"] == 0
    assert right["squared error"] < 0.6 * slip["squared error"]
    bound, tighter = right["elbo (nats, real-valued)"], right["iwae-100 (nats, real-valued)"]
    assert bound <= tighter < bound + 3 and bound > -64 * math.log(2)


def test_the_conditional_one_draws_the_class_that_is_asked_for() -> None:
    from papers.gan.test_gan_family import agreement

    torch.manual_seed(0)
    model, train = vae.Conditional(image_size=8, latent=6, hidden=64), digits()["train"]
    batch = train.batch(np.arange(len(train)))
    options: dict[str, Any] = {"lr": 3e-3, "method": "adam", "decay_from": 0.5}
    opt = Players(model.optimizers(**options))
    opt.total = opt.stage_steps = 800
    for step in range(opt.total):
        opt.iteration, chosen = step, torch.randint(len(train), (100,))
        model.step(Batch(image=batch.image[chosen], label=batch.label[chosen]), opt)
    assert agreement(model) > 0.8
    assert agreement(Shuffled(model)) < 0.3
    image, label = batch.image[:50], batch.label[:50]
    other = (label + 1) % 10
    assert not torch.allclose(model.encode(image, label), model.encode(image, other), atol=0.1)  # the encoder is told too
    right, wrong = (((image - model.reconstruct(image, told)) ** 2).sum() for told in (label, other))
    assert right < 0.9 * wrong
    assert model.predict(image[0].numpy(), label=int(label[0])).squared_error > 0
    with pytest.raises(PaperzooError, match="must be told what it sees"):
        model.predict(image[0].numpy())
    with pytest.raises(PaperzooError, match="label 10 is no class"):
        model.predict(image[0].numpy(), label=10)


class Shuffled:
    """A conditional model that is asked for one class and draws another: what the agreement must see."""

    def __init__(self, model: Any) -> None:
        self.model, self.classes = model, model.classes

    def sample(self, items: int, seed: int) -> Tensor:
        images: Tensor = self.model.sample(items, seed, label=[(i + 1) % self.classes for i in range(items)])
        return images


# ---------------------------------------------------------------- use


@pytest.mark.parametrize("variant", ["vae", "conv", "conditional", "gaussian"])
def test_each_variant_measures_and_shows_what_it_promises(variant: str, tmp_path: Path) -> None:
    recipe = "smoke" if variant == "vae" else f"smoke-{variant}"
    run = paperzoo.train(f"vae:{variant}", recipe, out=tmp_path, overrides={"steps": 3})
    kind = {"vae": "real-valued", "conv": "binarised", "conditional": "real-valued", "gaussian": "density"}[variant]
    assert run.metrics[f"elbo (nats, {kind})"] <= run.metrics[f"iwae-100 (nats, {kind})"]
    assert {"squared error", "pca squared error", "mean image gap", "active codes"} <= run.metrics.keys()
    shown = {path.name for path in (run.directory / "figures").glob("final-*")}
    assert {"final-reconstructions.png", "final-samples.png", "final-walk.png", "final-nearest.png"} <= shown
    assert ({"final-map.png", "final-manifold.png"} <= shown) == (run.model.latent == 2)
    assert ("final-classes.png" in shown) == (variant == "conditional")
    few, many = run.model.sample(4, seed=3), run.model.sample(16, seed=3)
    assert torch.allclose(many[:4], few, atol=1e-6) and few.min() >= 0 and few.max() <= 1


def test_binary_targets_are_what_their_names_say() -> None:
    x = torch.linspace(0, 1, 4 * 28 * 28).view(4, 1, 28, 28)
    assert torch.equal(vae.Model().targets(x), x)
    assert torch.equal(vae.Model(binarise="threshold").targets(x), (x > 0.5).float())
    model = vae.Model(binarise="sample", latent=2, hidden=8)
    drawn = torch.stack([model.targets(x) for _ in range(300)])
    assert set(drawn.unique().tolist()) == {0.0, 1.0} and float((drawn.mean(0) - x).abs().mean()) < 0.03
    data = pictures(torch.randint(0, 256, (20, 1, 28, 28)).byte(), 10)
    with torch.no_grad():
        assert Likelihood().measure(model, data, "test") == Likelihood().measure(model, data, "test")  # drawn once, with a fixed seed


def test_bad_arguments_and_unlabelled_data_are_refused() -> None:
    for wrong, message in (
        ({"likelihood": "gausian"}, "did you mean gaussian"),
        ({"binarise": "treshold"}, "did you mean threshold"),
        ({"likelihood": "gaussian", "binarise": "sample"}, "not for"),
        ({"conv": True, "image_size": 28}, "not one of 8, 16, 32"),
        ({"latent": 0}, "at least 1"),
    ):
        with pytest.raises(PaperzooError, match=message):
            paperzoo.create("vae", **wrong)
    with pytest.raises(PaperzooError, match="did you mean adam"):
        optimizers(vae.Model(), {"method": "adan"})
    with pytest.raises(PaperzooError, match="less than the data's dimensions"):
        vae_linear.Linear(dimensions=2)
    with pytest.raises(PaperzooError, match="needs data with image and label"):
        vae.Conditional.check(Schema("plain", ("image",), {}))
    with pytest.raises(PaperzooError, match="at least 2 classes"):
        vae.Conditional.check(Schema("one", ("image", "label"), {"classes": 1}))
    vae.Model.check(Schema("plain", ("image",), {}))
    with pytest.raises(PaperzooError, match=r"must lie in \[0, 1\]"):
        vae.Model().encode(torch.full((1, 1, 28, 28), 2.0))


@pytest.mark.parametrize("items", [1, 30])
def test_constant_images_and_a_single_one_train_measure_and_show(items: int, tmp_path: Path) -> None:
    whole = pictures(torch.full((items, 1, 8, 8), 90, dtype=torch.uint8), min(items, 10), labelled=False)
    image = whole["train"].batch(np.arange(len(whole["train"]))).image
    for arguments in ({}, {"likelihood": "gaussian"}, {"conv": True, "width": 4}, {"binarise": "threshold"}):
        model = vae.Model(image_size=8, latent=2, hidden=16, **arguments)  # type: ignore[arg-type]
        fit(model, "image", image, 5)
        with torch.no_grad():
            assert all(math.isfinite(value) for value in model.measure(whole, "test").values())
            assert len(model.show(whole, "test", tmp_path, "final")) >= 6


@pytest.mark.parametrize(("binarise", "means"), [("sample", [0.3, 0.7]), ("threshold", [0.0, 1.0]), ("none", [0.3, 0.7])])
def test_bounds_and_steps_are_of_the_targets_that_the_protocol_names(
    binarise: str, means: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    grey = torch.tensor([0.3, 0.7]).view(2, 1, 1, 1).expand(2, 1, 28, 28).contiguous()
    data = Dataset(Schema("grey", ("image",), {"image_size": 28}), {"test": Split(Values("image", grey))}, "", "")
    model = paperzoo.create("vae", hidden=4, latent=2, binarise=binarise).eval()
    seen: list[Tensor] = []
    right = vae.Model.log_weights
    monkeypatch.setattr(vae.Model, "log_weights", lambda self, k, random, x: (seen.append(x), right(self, k, random, x))[1])
    with torch.no_grad():
        Likelihood().measure(model, data, "test")
    monkeypatch.setattr(vae.Model, "log_likelihood", lambda self, x, z: (seen.append(x), z.sum(1))[1])
    for _ in range(2):
        model.step(Batch(image=grey), Players(constant(model.optimizers())))
    assert len(seen) == 3
    for x in seen:
        assert x.shape == (2, 1, 28, 28) and (binarise == "none" or set(x.unique().tolist()) <= {0.0, 1.0})
        assert x.mean((1, 2, 3)).tolist() == pytest.approx(means, abs=5 * 0.46 / 28)  # of 784 draws
    assert torch.equal(seen[1], seen[2]) == (binarise != "sample")  # anew at each step
