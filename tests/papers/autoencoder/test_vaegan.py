"""VAE/GAN: which loss moves which network, to the bit; what counts as an attribute and as sharp; faces that are learnt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.training import constant
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.optim import SGD

import paperzoo
from paperzoo.data import Batch, Dataset, Schema, Split
from paperzoo.data.dataset import Images, Values
from paperzoo.engine.players import Players
from paperzoo.metrics.attributes import attribute_vectors, changed, exclusive, readable
from paperzoo.metrics.sharpness import laplacian_variance, relative_sharpness
from paperzoo.papers.autoencoder import vaegan

SMALL = {"image_size": 16, "channels": 1, "width": 4, "latent": 8}

# ---------------------------------------------------------------- losses and who follows them


def test_losses_are_the_papers() -> None:
    mean, log_variance = torch.randn(2, 5, 7, dtype=torch.float64)
    exact = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(1).mean()
    assert vaegan.prior_loss(vaegan.Posterior(mean, log_variance)).item() == pytest.approx(exact.item())
    layer, other = torch.randn(2, 5, 9, dtype=torch.float64)
    assert vaegan.likelihood_loss(layer, layer).item() == 0
    gaussian = -Normal(other, 1.0).log_prob(layer).sum(1).mean() - 9 * 0.5 * np.log(2 * np.pi)
    assert vaegan.likelihood_loss(layer, other).item() == pytest.approx(gaussian.item())
    real, decoded, sampled = torch.randn(3, 50, dtype=torch.float64)
    s = torch.sigmoid
    value = s(real).log().mean() + (1 - s(decoded)).log().mean() + (1 - s(sampled)).log().mean()
    assert vaegan.gan_loss(real, decoded, sampled).item() == pytest.approx(-value.item())


class Recorded(vaegan.Model):
    """The model, keeping what its discriminator was shown and said."""

    def __init__(self, **arguments: object) -> None:
        super().__init__(**arguments)  # type: ignore[arg-type]
        self.seen: list[tuple[Tensor, vaegan.Judgement]] = []
        self.discriminator.register_forward_hook(lambda _, given, said: self.seen.append((given[0], said)))


def gradients(model: nn.Module, step: object) -> dict[str, Tensor]:
    """What gradient descent at rate 1 takes from each network in a step, one vector each."""
    before = {n: torch.cat([p.detach().clone().flatten() for p in net.parameters()]) for n, net in model.named_children()}
    step()  # type: ignore[operator]
    after = {n: torch.cat([p.detach().flatten() for p in net.parameters()]) for n, net in model.named_children()}
    return {n: before[n] - after[n] for n in before}


def test_each_network_follows_its_own_loss_and_no_other() -> None:
    torch.manual_seed(0)
    model = Recorded(**SMALL, gamma=0.1).double()
    batch = Batch(image=torch.rand(6, 1, 16, 16, dtype=torch.float64))
    opt = Players({n: SGD(net.parameters(), 1.0) for n, net in model.named_children()})
    torch.manual_seed(1)
    got = gradients(model, lambda: model.step(batch, opt))
    (x, _), (x_tilde, _), (x_p, _) = model.seen
    assert torch.equal(x, 2 * batch.image - 1) and not torch.equal(x_tilde, x_p), "x, x~ and x_p, each by itself"

    torch.manual_seed(0)  # the same step by hand, each loss differentiated with respect to everything
    again = Recorded(**SMALL, gamma=0.1).double()
    torch.manual_seed(1)
    q = again.encoder(2 * batch.image - 1)
    z = q.mean + (0.5 * q.log_variance).exp() * torch.randn_like(q.mean)
    images = 2 * batch.image - 1, again.decoder(z), again.decoder(torch.randn_like(z))
    said = [again.discriminator(i) for i in images]
    prior, like = vaegan.prior_loss(q), vaegan.likelihood_loss(said[0].layer, said[1].layer)
    gan = vaegan.gan_loss(*(s.logit for s in said))
    own = {"encoder": prior + like, "decoder": 0.1 * like - gan, "discriminator": gan}
    summed = prior + like + gan
    for name, network in again.named_children():
        parameters = list(network.parameters())

        def vector(loss: Tensor, parameters: list[nn.Parameter] = parameters) -> Tensor:
            found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
            return torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for p, g in zip(parameters, found, strict=True)])

        assert torch.allclose(got[name], vector(own[name]), rtol=1e-6, atol=1e-9), name
        assert not torch.allclose(got[name], vector(summed), rtol=1e-2, atol=1e-5), f"{name} follows the sum of all losses"
        assert bool(vector(prior).any()) == (name == "encoder"), "the prior reaches the encoder alone"
    # what a single loss for all would give the discriminator, and what algorithm 1 keeps from it
    found = torch.autograd.grad(like, list(again.discriminator.body.parameters()), allow_unused=True)
    assert any(g is not None and g.any() for g in found)


def test_a_player_far_ahead_rests_and_never_both() -> None:
    model = paperzoo.create("vaegan", **SMALL, margin=0.35)
    cost = lambda real, fake: model.resting(torch.tensor(real), torch.tensor(fake))  # noqa: E731
    assert cost(0.6, 0.6) == set()
    assert cost(0.1, 0.6) == {"discriminator"} and cost(0.6, 1.5) == {"decoder"} and cost(0.1, 1.5) == set()
    assert paperzoo.create("vaegan", **SMALL).resting(torch.tensor(0.0), torch.tensor(9.0)) == set()


# ---------------------------------------------------------------- attributes and sharpness


def test_attribute_vectors_are_differences_of_means_and_groups_exclude_each_other() -> None:
    random = np.random.default_rng(0)
    colour = np.eye(3)[random.integers(0, 3, 60)]  # exactly one of three
    glasses = random.integers(0, 2, (60, 1))
    has = np.concatenate([colour, glasses], 1)
    codes = random.normal(size=(60, 5)) + has @ np.arange(20).reshape(4, 5)
    vectors = attribute_vectors(codes, has)
    for k in range(4):
        assert np.allclose(vectors[k], codes[has[:, k] == 1].mean(0) - codes[has[:, k] == 0].mean(0))
    assert np.isnan(attribute_vectors(codes, np.ones((60, 1)))).all()
    group = exclusive(has)
    assert group[0] == group[1] == group[2] != group[3]
    label = (colour.argmax(1) + 3 * glasses[:, 0]).astype(int)
    assert (readable(label, has, 6) == [[k == c % 3 for k in range(3)] + [c > 2] for c in range(6)]).all()
    assert np.isnan(readable(colour.argmax(1), has, 3)[:, 3]).all(), "glasses cannot be read off the hair"

    truth = has[:10]
    flipped = truth.copy()
    flipped[:, 3] = 1 - flipped[:, 3]
    assert changed(truth, flipped, 3, group) == (100, 0) and changed(truth, truth, 3, group) == (0, 0)
    flipped[:5, :3] = np.roll(flipped[:5, :3], 1, 1)  # half of the hair dyed with it: one trait, not three
    assert changed(truth, flipped, 3, group) == (100, 50)


def test_sharpness_is_the_variance_of_scipys_laplacian_and_blur_lowers_it() -> None:
    from scipy.ndimage import gaussian_filter, laplace

    image = torch.rand(3, 3, 12, 12)
    for one, found in zip(image, laplacian_variance(image), strict=True):
        grey = np.tensordot([0.299, 0.587, 0.114], one.numpy().astype(np.float64), 1)
        assert found.item() == pytest.approx(laplace(grey)[1:-1, 1:-1].var(), rel=1e-4)
    blurred = torch.from_numpy(gaussian_filter(image.numpy(), (0, 0, 1, 1)))
    assert relative_sharpness(image, image) == pytest.approx(1) and relative_sharpness(blurred, image) < 0.2
    assert np.isnan(relative_sharpness(image, torch.full((2, 3, 8, 8), 0.5)))


# ---------------------------------------------------------------- learning


def squares(n: int) -> Dataset:
    """Dark or bright squares at the left or at the right, both known: two traits, four classes."""
    random = np.random.default_rng(0)
    bright, right = random.integers(0, 2, (2, n))
    image = np.full((n, 1, 16, 16), 100, np.uint8)
    for i in range(n):
        x, y = 2 + 7 * right[i], random.integers(1, 9)
        image[i, 0, y : y + 6, x : x + 5] = 230 if bright[i] else 10
    columns = (
        Images(torch.from_numpy(image)),
        Values("label", torch.from_numpy(2 * bright + right)),
        Values("attributes", torch.from_numpy(np.stack([bright, right], 1).astype(np.float32))),
    )
    arguments = {"channels": 1, "image_size": 16, "classes": 4, "attributes": ("bright", "right")}
    split = Split(*columns)
    return Dataset(Schema("squares", ("image", "label", "attributes"), arguments, tuple("abcd")), {"train": split, "test": split}, "", "")


class Eye:
    """A judge of ``squares`` without faults, from the means of the two halves."""

    name = "eye"

    def __call__(self, images: Tensor) -> tuple[np.ndarray, np.ndarray]:
        halves = torch.stack([images[..., :8].mean((1, 2, 3)), images[..., 8:].mean((1, 2, 3))], 1) - 100 / 255  # (N, 2)
        right = halves.abs().argmax(1)
        bright = (halves.gather(1, right[:, None])[:, 0] > 0).long()
        return torch.nn.functional.one_hot(2 * bright + right, 4).numpy(), halves.numpy()


class Exact(vaegan.Model):
    """Codes are what the squares are made from, (bright, right, y / 16); ``deaf`` ignores the first when it draws."""

    deaf = False

    def codes(self, *images: Tensor) -> Tensor:
        (image,) = images
        label = torch.from_numpy(Eye()(image)[0].argmax(1))
        row = ((image - 100 / 255).abs().amax((1, 3)) > 0.1).float().argmax(1)
        return torch.stack([label // 2, label % 2, row / 16], 1).float()

    def render(self, code: Tensor) -> Tensor:
        image = torch.full((len(code), 1, 16, 16), 100 / 255)
        for one, (bright, right, y) in zip(image, code.tolist(), strict=True):
            x, y = 2 + 7 * round(right), round(16 * y)
            one[0, y : y + 6, x : x + 5] = 0.9 if bright > 0.5 and not self.deaf else 0.05
        return image


def test_arithmetic_counts_what_a_judge_sees_change() -> None:
    data, model = squares(500), Exact(**SMALL)
    found = model.arithmetic(data, "test", Eye())
    assert found["attributes kept %[eye]"] == found["attribute changed %[eye]"] == 100 and found["others changed %[eye]"] == 0
    model.deaf = True
    found = model.arithmetic(data, "test", Eye())
    bright = 100 * float(data["test"].batch(np.arange(500)).attributes[:, 0].mean())
    assert found["bright changed %[eye]"] == pytest.approx(bright), "only what was bright is seen to change: all comes out dark"
    assert found["right changed %[eye]"] == 100 and found["others changed %[eye]"] == pytest.approx(bright / 2)


@pytest.mark.processor
def test_faces_come_back_and_without_the_likelihood_others_do() -> None:
    data = squares(500)
    image = data["test"].batch(np.arange(100)).image
    error = {}
    for gamma in (1e-2, 0.0):
        torch.manual_seed(0)
        model = vaegan.Model(**{**SMALL, "width": 8, "gamma": gamma})
        opt = Players(constant(model.optimizers(lr=1e-3)))
        for step in range(120):
            model.step(data["train"].batch(np.random.default_rng(step).integers(0, 500, 32)), opt)
        error[gamma] = float((model.eval().reconstruct(image) - image).square().flatten(1).sum(1).mean())
    assert 2 * error[1e-2] < error[0.0], "with gamma = 0 the decoder is told nothing of the image that it should repeat"


def test_bad_input_is_named(tmp_path: Path) -> None:
    for arguments, words in (
        ({"image_size": 20}, "multiple of 8"), ({"width": 3}, "multiple of 2"),
        ({"latent": 0}, "at least 1"), ({"gamma": -1.0}, "at least 0")
    ):  # fmt: skip
        with pytest.raises(paperzoo.PaperzooError, match=words):
            paperzoo.create("vaegan", **{**SMALL, **arguments})
    model = paperzoo.create("vaegan", **SMALL)
    with pytest.raises(paperzoo.PaperzooError, match="at least two images"):
        model.step(Batch(image=torch.rand(1, 1, 16, 16)), Players(constant(model.optimizers())))
    with pytest.raises(paperzoo.PaperzooError, match=r"\[0, 1\]"):
        model.encode(torch.full((1, 1, 16, 16), 255.0))
    plain = torch.full((4, 1, 16, 16), 0.5)  # constant images: no detail, yet no fault
    opt = Players(constant(model.optimizers()))
    for _ in range(5):
        model.step(Batch(image=plain), opt)
    assert all(np.isfinite(float(loss)) for _, _, loss in opt.losses)
