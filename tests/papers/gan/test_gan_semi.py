"""WGAN, semi-supervised GANs, the self-supervised GAN and WGAN-GP's residual networks: their maths, and what they learn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fixtures.training import constant, job, loop
from torch import Tensor, nn

import paperzoo
from paperzoo.data import Batch, Dataset, Schema, Split
from paperzoo.data.change.semi import Partnered, semi
from paperzoo.data.dataset import Values
from paperzoo.data.datasets import dataset
from paperzoo.data.images.digits import digits
from paperzoo.engine.players import Players
from paperzoo.papers.gan import sgan, ssgan, wgan, wgan_gp
from paperzoo.tasks.classification import Classifier, ImageClassification

# ---------------------------------------------------------------- WGAN


def test_wgan_losses_are_linear_in_the_critics_values() -> None:
    real, fake = torch.randn(2, 30, dtype=torch.float64) * 10
    assert wgan.critic_loss(real, fake).item() == pytest.approx((fake.mean() - real.mean()).item())
    assert wgan.generator_loss(fake).item() == pytest.approx(-fake.mean().item())


def test_every_weight_lies_in_the_box_after_every_step(tmp_path: Path) -> None:
    made = loop(job("wgan", "smoke", **{"model.bound": 0.02}), tmp_path)
    for _ in range(12):
        made.step()
        largest = max(p.abs().max().item() for p in made.model.critic.parameters())
        assert 0.01 < largest <= torch.tensor(0.02).item()
    variance = [m.running_var for m in made.model.critic.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(v.max() > 0.02 for v in variance)  # statistics are no weights


def test_optimisers_have_no_momentum() -> None:
    optimizers = constant(paperzoo.create("wgan", image_size=16, width=2).optimizers())
    for optimizer in optimizers.values():
        assert isinstance(optimizer, torch.optim.RMSprop)
        assert optimizer.defaults["momentum"] == 0 and optimizer.defaults["lr"] == 5e-5


@pytest.mark.parametrize("settings", [(5, 100, 25, 500), (2, 5, 2, 4), (3, 3, 0, 7), (1, 4, 3, 4)])
def test_rounds_of_the_critic_are_those_of_the_authors_loop(settings: tuple[int, int, int, int]) -> None:
    critic_steps, burst, warm_up, period = settings
    expected: list[bool] = []
    generation = 0
    while len(expected) < 12_000:
        rounds = burst if generation < warm_up or generation % period == 0 else critic_steps
        expected += [False] * (rounds - 1) + [True]
        generation += 1
    assert [wgan.generator_moves(i, *settings) for i in range(len(expected))] == expected


def test_the_papers_recipe_gives_the_generator_200_000_steps() -> None:
    rounds = [100 if g < 25 or g % 500 == 0 else 5 for g in range(200_000)]
    assert sum(rounds) == wgan.RECIPES["paper"].steps


def train_critic(
    bound: float, draw: Callable[[], Tensor], steps: int, still: bool, dimensions: int = 1
) -> tuple[wgan.Toy, list[float]]:
    """A toy after steps of its own whose generator never moves; and the estimate at each."""
    torch.manual_seed(1)
    model = paperzoo.create(
        "wgan:toy", dimensions=dimensions, latent=1, width=128, bound=bound, critic_steps=10**6, burst=10**6, warm_up=0, period=1
    )
    assert isinstance(model, wgan.Toy)
    if still:  # all samples at 0
        nn.init.zeros_(model.generator.body[-1].weight)
        nn.init.zeros_(model.generator.body[-1].bias)
    opt = Players(constant(model.optimizers(lr=5e-4)))
    estimates = []
    for _ in range(steps):
        estimates.append(model.step(Batch(point=draw()), opt)["distance"].item())
        opt.iteration += 1
    return model, estimates


@pytest.mark.parametrize("theta", [0.25, 0.5, -1.0])
def test_estimate_over_its_lipschitz_constant_is_the_distance_of_two_points(theta: float) -> None:
    # Example 1: W1 = |theta|; the largest slope of f between the points is its Lipschitz constant. Beyond |theta| = 1 the
    # box is felt: a unit with weight -c and bias c is dead there.
    model, estimates = train_critic(0.01, lambda: torch.full((16, 1), theta), 200, still=True)
    x = torch.linspace(0, theta, 200)[:, None].requires_grad_()
    (slope,) = torch.autograd.grad(model.critic(x).sum(), x)
    assert estimates[-1] / slope.abs().max().item() == pytest.approx(abs(theta), rel=0.03)


def test_estimate_goes_with_the_exact_distance_over_shifts_of_a_gaussian() -> None:
    # The box is the same for every shift and so is K: a correlation asks for no units.
    exact, estimates = [], []
    for shift in np.linspace(0.25, 4, 8):
        model, found = train_critic(0.05, lambda shift=shift: torch.randn(128, 1) + shift, 150, still=False)
        estimates.append(np.mean(found[-20:]))
        with torch.no_grad():
            fake = model.generator(model.draw(20_000))[:, 0].sort().values
        real = (torch.randn(20_000) + shift).sort().values
        exact.append(float((real - fake).abs().mean()))  # W1 in one dimension couples equal ranks
    assert np.corrcoef(exact, estimates)[0, 1] >= 0.98


def test_estimate_goes_with_the_exact_distance_of_a_point_from_gaussians_of_the_plane() -> None:
    exact, estimates = [], []
    for distance in np.linspace(0.25, 4, 8):
        centre = distance * torch.tensor([0.8, -0.6])
        # a wide box: with 0.05 the slope falls off with the distance, and the correlation is 0.94
        _, found = train_critic(0.2, lambda centre=centre: 0.3 * torch.randn(128, 2) + centre, 150, still=True, dimensions=2)
        estimates.append(np.mean(found[-20:]))
        exact.append(float((0.3 * torch.randn(20_000, 2) + centre).norm(dim=1).mean()))  # all mass of the other lies at 0
    assert np.corrcoef(exact, estimates)[0, 1] >= 0.98


def gaussian(dimensions: int) -> Dataset:
    random = np.random.default_rng(0)
    point = torch.from_numpy((random.standard_normal((2000, dimensions)) * 0.3 + 1.5).astype(np.float32))
    split = Split(Values("point", point), Values("label", torch.zeros(2000, dtype=torch.int64)))
    return Dataset(Schema("gaussian", ("point", "label"), {"dimensions": dimensions}, ("0",)), {"train": split}, "", "")


@pytest.mark.processor
@pytest.mark.parametrize("dimensions", [1, 2])
def test_wgan_learns_where_the_data_lie_and_the_distance_falls(dimensions: int) -> None:
    torch.manual_seed(0)
    data = gaussian(dimensions)
    settings = {"latent": 2, "width": 32, "bound": 0.1, "critic_steps": 5, "burst": 20, "warm_up": 2}
    far = {}
    for name, lr in (("learns", 2e-3), ("ablated", 0.0)):
        model = paperzoo.create("wgan:toy", dimensions=dimensions, **settings)
        assert isinstance(model, wgan.Toy)
        optimizers = constant(model.optimizers(lr=2e-3))
        optimizers["generator"].param_groups[0]["lr"] = lr
        opt = Players(optimizers)
        opt.total, distances = 800, []
        for i in range(opt.total):
            batch = data["train"].batch(np.arange(64) + (64 * i) % 1900)
            distances.append(model.step(batch, opt)["distance"].item())
            opt.iteration += 1
        far[name] = float((model.sample(500).mean(0) - 1.5).norm())
        if name == "learns":
            assert np.mean(distances[-50:]) < 0.3 * np.mean(distances[20:60])
            model.eval()
            with torch.no_grad():
                assert model.estimate(data, "train") == pytest.approx(np.mean(distances[-50:]), abs=0.3 * distances[40])
    assert far["learns"] < 0.3 < 1 < far["ablated"]


def test_measure_every_writes_estimate_and_scores_side_by_side(tmp_path: Path) -> None:
    run = paperzoo.train("wgan", "smoke", out=tmp_path, overrides={"steps": 12, "measure_every": 4})
    rows = [line["measured"] for line in run.lines if "measured" in line]
    assert len(rows) == 3
    for row in rows:
        assert {"critic estimate (test)", "mean image gap (test)"} <= set(row)
    assert len({row["critic estimate (test)"] for row in rows}) == 3


# ---------------------------------------------------------------- data with few labels


def test_every_image_has_a_partner_whose_label_is_its_own() -> None:
    data = digits()
    few = semi(data, 10, seed=3)
    train, full = few["train"], data["train"]
    batch = train.batch(np.arange(len(train)))
    assert torch.equal(batch.image, full.batch(np.arange(len(full))).image)  # all images, in their order
    known = full.batch(np.arange(len(full)))
    label_of = {image.numpy().tobytes(): int(label) for image, label in zip(known.image, known.label, strict=True)}
    assert [label_of[image.numpy().tobytes()] for image in batch.labelled] == batch.label.tolist()
    uses = Counter(image.numpy().tobytes() for image in batch.labelled)
    assert len(uses) == 100 and max(uses.values()) - min(uses.values()) <= 1
    assert Counter(label_of[image] for image in uses) == dict.fromkeys(range(10), 10)
    own = float((known.label == batch.label).float().mean())
    assert own < 0.2  # the label says nothing of the image beside it
    assert few["test"] is data["test"]


def test_partners_are_a_function_of_the_seed_and_a_bad_number_is_refused() -> None:
    first, again, other = (semi(digits(), 10, seed)["train"].batch(np.arange(50)) for seed in (0, 0, 1))
    assert torch.equal(first.labelled, again.labelled) and not torch.equal(first.labelled, other.labelled)
    with pytest.raises(paperzoo.PaperzooError, match="per_class must be from 1 to"):
        semi(digits(), 1000)
    with pytest.raises(paperzoo.PaperzooError, match="cannot be joined"):
        semi(digits(), 10)["train"].columns[1].join(digits()["test"].columns[0])


def test_a_classifier_that_would_pair_image_and_label_is_refused() -> None:
    few = semi(digits(), 10).schema
    with pytest.raises(paperzoo.PaperzooError, match="needs data with image and label"):
        Classifier.check(few)
    sgan.Model.check(few)


# ---------------------------------------------------------------- SGAN


def test_discriminator_is_a_softmax_over_k_plus_one_classes_with_last_logit_zero() -> None:
    logits = torch.randn(20, 7, dtype=torch.float64) * 3
    whole = torch.cat([logits, torch.zeros(20, 1, dtype=torch.float64)], 1).log_softmax(1)  # (N, K + 1)
    assert torch.allclose(sgan.log_fake(logits), whole[:, -1])
    assert torch.allclose(sgan.log_real(logits), whole[:, :-1].logsumexp(1))
    label = torch.randint(0, 7, (20,))
    # among the classes that are real: log p(y | x) = log p(y) of K + 1 less log D
    given = whole.gather(1, label[:, None])[:, 0] - sgan.log_real(logits)
    loss = sgan.discriminator_loss(logits, label, logits[:5], logits[5:9])
    assert loss.item() == pytest.approx((-given.mean() - whole[:5, :-1].logsumexp(1).mean() - whole[5:9, -1].mean()).item())
    assert sgan.generator_loss(logits).item() == pytest.approx(-sgan.log_real(logits).mean().item())


def test_losses_of_huge_logits_are_finite() -> None:
    huge = torch.tensor([[900.0, -900.0], [-900.0, -900.0], [2e4, 2e4]], requires_grad=True)
    loss = sgan.log_real(huge).sum() + sgan.log_fake(huge).sum()
    (gradient,) = torch.autograd.grad(loss, huge)
    assert torch.isfinite(loss) and torch.isfinite(gradient).all()


def test_feature_matching_compares_means_and_spares_the_real_side() -> None:
    real, fake = torch.randn(2, 8, 5, dtype=torch.float64)
    real.requires_grad_()
    loss = sgan.feature_matching_loss(real, fake.requires_grad_())
    assert loss.item() == pytest.approx(((real.mean(0) - fake.mean(0)) ** 2).sum().item())
    assert sgan.feature_matching_loss(real, real[torch.randperm(8)]).item() == pytest.approx(0, abs=1e-12)
    loss.backward()
    assert real.grad is None and torch.allclose(fake.grad, -2 * (real - fake).mean(0).detach().expand(8, 5) / 8)


def test_dense_networks_have_the_papers_layers() -> None:
    model = paperzoo.create("sgan:feature_matching")
    sizes = [(m.in_features, m.out_features) for m in model.discriminator.modules() if isinstance(m, nn.Linear)]
    assert sizes == [(784, 1000), (1000, 500), (500, 250), (250, 250), (250, 250), (250, 10)]
    assert [m.deviation for m in model.discriminator.modules() if isinstance(m, sgan.Noise)] == [0.3, 0.5, 0.5, 0.5, 0.5, 0.5]
    sizes = [(m.in_features, m.out_features) for m in model.generator.modules() if isinstance(m, nn.Linear)]
    assert sizes == [(100, 500), (500, 500), (500, 784)]
    x = torch.rand(3, 1, 28, 28)
    assert not torch.equal(model(x), model(x))  # noise while training
    assert torch.equal(model.eval()(x), model(x)) and model(x).min() < 0  # logits, no probabilities
    answer = model.predict(x[0, 0].numpy())
    assert sum(answer.probabilities) == pytest.approx(1) and len(answer.probabilities) == 10


def few_labels(steps: int, ablate: bool = False, **settings: object) -> sgan.Model:
    """A dense model trained on digits with a hundred labels; ablated, each label is another image's."""
    torch.manual_seed(0)
    data = semi(digits(), 10)
    partnered = data["train"].columns[1]
    assert isinstance(partnered, Partnered)
    if ablate:
        partnered.label = partnered.label[torch.randperm(100)]
    model = paperzoo.create("sgan:feature_matching", image_size=8, width=48, latent=16, **settings)
    assert isinstance(model, sgan.Model)
    opt = Players(constant(model.optimizers(lr=2e-3)))
    random = np.random.default_rng(0)
    for _ in range(steps):
        model.step(data["train"].batch(random.integers(0, len(data["train"]), 64)), opt)
        opt.iteration += 1
    return model.eval()


def error(model: sgan.Model) -> float:
    with torch.no_grad():
        return ImageClassification().measure(model, digits(), "test")["error %"]


@pytest.mark.processor
def test_sgan_learns_from_a_hundred_labels_and_not_from_wrong_ones() -> None:
    """After 300 steps ten seeds err by 12 to 18 %; after 1,000 the two that were slowest by 7 and 8."""
    learnt = few_labels(1000)
    assert error(learnt) < 15 < 70 < error(few_labels(100, ablate=True))
    gap = (learnt.sample(300).mean(0) - digits()["train"].batch(np.arange(300)).image.mean(0)).abs().mean()
    assert gap < 0.12


def test_supervised_looks_at_labelled_images_only() -> None:
    model = paperzoo.create("sgan", image_size=16, width=2, supervised=True)
    start = {n: p.detach().clone() for n, p in model.named_parameters()}
    nothing = torch.full((8, 1, 16, 16), float("nan"))
    batch = Batch(image=nothing, labelled=torch.rand(8, 1, 16, 16), label=torch.arange(8))
    model.step(batch, Players(constant(model.optimizers())))
    moved = {n for n, p in model.named_parameters() if not torch.equal(p, start[n])}
    assert moved and all(n.startswith("discriminator.") for n in moved)
    assert all(torch.isfinite(p).all() for p in model.parameters())


# ---------------------------------------------------------------- residual networks of WGAN-GP


def test_residual_networks_are_those_of_the_paper() -> None:
    model = paperzoo.create("wgan_gp:resnet")
    assert isinstance(model, wgan_gp.Model)
    generator = [m for m in model.generator.body if isinstance(m, wgan_gp.ResidualBlock)]
    sides, h = [], torch.rand(1, 128, 4, 4)
    for block in generator:
        h = block.eval()(h)
        sides.append(tuple(h.shape[1:]))
    assert sides == [(128, 8, 8), (128, 16, 16), (128, 32, 32)]
    critic, sides, h = [m for m in model.critic.body if isinstance(m, wgan_gp.ResidualBlock)], [], torch.rand(1, 3, 32, 32)
    for block in critic:
        h = block(h)
        sides.append(tuple(h.shape[1:]))
    assert sides == [(128, 16, 16), (128, 8, 8), (128, 8, 8), (128, 8, 8)]
    assert sum(isinstance(m, nn.BatchNorm2d) for m in model.generator.modules()) == 7
    assert not any(isinstance(m, nn.BatchNorm2d) for m in model.critic.modules())
    assert not isinstance(critic[0].body[0], nn.ReLU) and isinstance(critic[1].body[0], nn.ReLU)


@pytest.mark.parametrize("size", [16, 64])
def test_residual_networks_grow_with_the_image(size: int) -> None:
    model = paperzoo.create("wgan_gp:resnet", image_size=size, width=4, latent=6)
    images = model.generator(torch.randn(2, 6))
    assert images.shape == (2, 3, size, size) and images.abs().max() <= 1
    assert model.critic.body(images).shape == (2, 4, 8, 8) and model.critic(images).shape == (2,)


def test_residual_block_with_silent_convolutions_is_its_shortcut() -> None:
    x = torch.rand(2, 4, 6, 6)
    for resample, expected in (("", x), ("up", x.repeat_interleave(2, 2).repeat_interleave(2, 3)), ("down", F.avg_pool2d(x, 2))):
        block = wgan_gp.ResidualBlock(4, 4, resample)
        for module in block.body:
            if isinstance(module, nn.Conv2d):
                nn.init.zeros_(module.weight)
                nn.init.zeros_(module.bias)
        if len(block.shortcut):
            change = [m for m in block.shortcut if isinstance(m, nn.Conv2d)]
            nn.init.dirac_(change[0].weight)
            nn.init.zeros_(change[0].bias)
        assert torch.allclose(block(x), expected, atol=1e-6)


# ---------------------------------------------------------------- SS-GAN


def test_turned_has_a_quarter_of_the_batch_in_all_four_directions() -> None:
    image = torch.rand(9, 2, 5, 5)
    out, turn = ssgan.turned(image)
    assert out.shape == (8, 2, 5, 5) and turn.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert torch.equal(out[:2], image[:2])  # the copy that is not turned
    corners = out[[0, 2, 4, 6], 0, 0, 0]  # what lies in the upper left corner after each turn, anticlockwise
    assert torch.equal(corners, torch.stack([image[0, 0, 0, 0], image[0, 0, 0, 4], image[0, 0, 4, 4], image[0, 0, 4, 0]]))
    back = torch.cat([part.rot90(-k, (2, 3)) for k, part in enumerate(out.chunk(4))])
    assert torch.equal(back, image[:2].repeat(4, 1, 1, 1))


def test_hinge_losses_stop_where_the_margin_is_kept() -> None:
    real, fake = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-3.0, 0.0])
    assert ssgan.discriminator_loss(real, fake).item() == pytest.approx((0 + 0.5 + 2) / 3 + (0 + 1) / 2)
    assert ssgan.generator_loss(fake).item() == pytest.approx(1.5)


class Listener:
    """Stands for the engine: takes the losses and moves nothing."""

    def __init__(self) -> None:
        self.losses: dict[str, Tensor] = {}
        self.iteration = 0
        for name in ("discriminator", "generator"):
            setattr(self, name, SimpleNamespace(minimize=lambda loss, name=name: self.losses.update({name: loss})))


def losses(**settings: object) -> tuple[ssgan.Model, dict[str, Tensor]]:
    torch.manual_seed(0)
    model = paperzoo.create("ssgan", image_size=16, width=4, latent=4, channels=1, **settings)
    assert isinstance(model, ssgan.Model)
    model.eval()  # no power iteration between two calls
    listener = Listener()
    torch.manual_seed(1)
    model.step(Batch(image=torch.rand(8, 1, 16, 16)), listener)  # type: ignore[arg-type]
    return model, listener.losses


def test_discriminator_learns_turns_of_real_images_only_and_the_generator_of_its_own() -> None:
    model, with_turns = losses(alpha=0.5, beta=2.0)
    _, without = losses(rotation=False)
    torch.manual_seed(1)
    real = 2 * torch.rand(8, 1, 16, 16) - 1
    fake = model.generator(model.draw(8))
    for name, image, weight in (("discriminator", real, 2.0), ("generator", fake, 0.5)):
        turned = torch.cat([image[:2].rot90(k, (2, 3)) for k in range(4)])
        expected = weight * F.cross_entropy(model.discriminator(turned).turn, torch.tensor([0, 0, 1, 1, 2, 2, 3, 3]))
        assert (with_turns[name] - without[name]).item() == pytest.approx(expected.item(), rel=1e-4)
    # the discriminator's loss says nothing to the generator
    (gradient,) = torch.autograd.grad(with_turns["discriminator"], model.generator.project.weight, allow_unused=True)
    assert gradient is None


def test_every_layer_of_the_discriminator_has_spectral_norm_one() -> None:
    torch.manual_seed(0)
    network = ssgan.Discriminator(16, 1, 6)
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    for _ in range(60):
        network(torch.rand(2, 1, 16, 16))  # a power iteration a call
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.02)
    state = {k: v.clone() for k, v in network.state_dict().items()}
    network.eval()(torch.rand(2, 1, 16, 16))
    assert all(torch.equal(v, state[k]) for k, v in network.state_dict().items())


@pytest.mark.processor
def test_rotation_head_learns_the_turn_of_digits_and_without_its_loss_does_not() -> None:
    data, found = dataset("digits", image_size=16), {}
    for beta in (1.0, 0.0):
        torch.manual_seed(0)
        model = paperzoo.create("ssgan", image_size=16, width=8, latent=4, channels=1, beta=beta)
        assert isinstance(model, ssgan.Model)
        opt = Players(constant(model.optimizers(lr=1e-3)))
        opt.generator = SimpleNamespace(minimize=lambda loss: None)  # it may rest: this is about the discriminator
        for i in range(150):
            model.step(data["train"].batch(np.arange(48) + 48 * (i % 25)), opt)
            opt.iteration += 1
        model.eval()
        with torch.no_grad():
            found[beta] = model.rotation_accuracy(data, "test")
    assert found[1.0] > 40 > 32 > found[0.0], found


def test_a_head_that_reads_every_turn_scores_exactly_100() -> None:
    # one bright corner, upper left; anticlockwise by 90 degrees it is lower left, then lower right, then upper right
    image = torch.zeros(10, 1, 16, 16)
    image[:, :, :8, :8] = 1
    split = Split(Values("image", image))
    data = Dataset(Schema("corner", ("image",), {"image_size": 16, "channels": 1}, ()), {"test": split}, "", "")
    model = paperzoo.create("ssgan", image_size=16, width=4, latent=4, channels=1)
    assert isinstance(model, ssgan.Model)

    class Reader(nn.Module):
        def __init__(self, turns: tuple[int, ...]) -> None:
            super().__init__()
            self.turns = turns

        def forward(self, x: Tensor) -> ssgan.Answer:
            assert set(x.unique().tolist()) == {-1.0, 1.0}
            corners = torch.stack([x[:, 0, 0, 0], x[:, 0, -1, 0], x[:, 0, -1, -1], x[:, 0, 0, -1]], 1)
            return ssgan.Answer(x[:, 0, 0, 0], corners[:, self.turns])

    for turns, right in (((0, 1, 2, 3), 100), ((0, 3, 2, 1), 50), ((1, 2, 3, 0), 0)):
        model.discriminator = Reader(turns)
        assert model.rotation_accuracy(data, "test") == right
        if right == 100:  # what is taught is what is asked
            turned, turn = ssgan.turned(2 * image[:8] - 1)
            assert torch.equal(model.discriminator(turned).turn.argmax(1), turn)


def test_the_turns_of_its_images_move_the_generator() -> None:
    (model, with_turns), (other, without) = losses(alpha=0.5), losses(rotation=False)
    ours, theirs = model.generator.project.weight, other.generator.project.weight
    assert torch.equal(ours, theirs)
    (both,), (game,) = (
        torch.autograd.grad(found["generator"], w, retain_graph=True) for found, w in ((with_turns, ours), (without, theirs))
    )
    torch.manual_seed(1)
    torch.rand(8, 1, 16, 16)
    fake = model.generator(model.draw(8))
    turned = torch.cat([fake[:2].rot90(k, (2, 3)) for k in range(4)])
    term = 0.5 * F.cross_entropy(model.discriminator(turned).turn, torch.tensor([0, 0, 1, 1, 2, 2, 3, 3]))
    (expected,) = torch.autograd.grad(term, ours)
    assert expected.abs().max() > 1e-6 and torch.allclose(both - game, expected, atol=1e-6)


def test_the_discriminator_adds_up_places_and_its_heads_are_linear() -> None:
    torch.manual_seed(0)
    network = ssgan.Discriminator(16, 1, 6).eval()
    features = torch.randn(3, 6)

    class Constant(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return features[:, :, None, None].expand(-1, -1, 8, 8)

    network.body = Constant()
    answer = network(torch.zeros(3, 1, 16, 16))
    h = 64 * features  # 8x8 places; a mean would leave them as they are
    assert torch.allclose(answer.logit, (h @ network.score.weight.T + network.score.bias)[:, 0], atol=1e-4)
    assert torch.allclose(answer.turn, h @ network.turn.weight.T + network.turn.bias, atol=1e-4)


def test_the_estimate_normalises_each_batch_by_itself_as_training_does() -> None:
    # A critic that is a batch norm and a linear unit: normalised by its own statistics every batch has mean 0, so that the
    # values of real images and of samples have one mean and the estimate is 0, however far apart they lie.
    class Critic(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.score = nn.BatchNorm1d(2), nn.Linear(2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.score(self.norm(x))

    torch.manual_seed(0)
    model = paperzoo.create("wgan:toy", width=8)
    assert isinstance(model, wgan.Toy)
    model.critic = Critic()
    nn.init.constant_(model.critic.score.weight, 3.0)
    split = Split(Values("point", torch.randn(700, 2) + 5), Values("label", torch.zeros(700, dtype=torch.int64)))
    data = Dataset(Schema("far", ("point", "label"), {"dimensions": 2}, ("0",)), {"test": split}, "", "")
    state = {k: v.clone() for k, v in model.critic.state_dict().items()}
    model.eval()
    with torch.no_grad():
        assert model.estimate(data, "test") == pytest.approx(0, abs=1e-4)
        assert model.critic(split.batch(np.arange(500)).point).mean() > 20  # with the running statistics, 0 and 1 at first
    assert not model.critic.training and all(torch.equal(v, state[k]) for k, v in model.critic.state_dict().items())


def test_the_estimate_is_the_mean_gap_over_all_items_of_a_split() -> None:
    torch.manual_seed(0)
    model = paperzoo.create("wgan:toy", width=8)
    assert isinstance(model, wgan.Toy)
    split = Split(Values("point", torch.randn(700, 2) + torch.arange(700)[:, None] / 100), Values("label", torch.zeros(700).long()))
    data = Dataset(Schema("drift", ("point", "label"), {"dimensions": 2}, ("0",)), {"test": split}, "", "")
    with torch.no_grad():
        real = model.critic(split.batch(np.arange(700)).point).mean()
        fake = model.critic(model.generator(model.latents(700, seed=0))).mean()
        assert model.estimate(data, "test") == pytest.approx(float(real - fake), rel=1e-4)


def test_features_are_the_last_hidden_layer_before_its_noise() -> None:
    torch.manual_seed(0)
    network = sgan.DenseDiscriminator(8, 1, 6, 10)
    assert network.training
    answer = network(torch.rand(20, 1, 8, 8))
    assert (answer.features >= 0).all() and (answer.features == 0).any()  # ReLUs; noise of 0.5 would make half of the zeros negative
    assert not torch.allclose(network.output(answer.features), answer.logits)  # what is classified has noise
    hidden = [m for m in network.modules() if isinstance(m, sgan.Noise) and m is not network.noise]
    for module in hidden:
        module.deviation = 0.0
    x = h = torch.rand(5, 1, 8, 8)
    h = x.flatten(1)
    linear = [m for m in network.body if isinstance(m, nn.Linear)]
    assert len(linear) == len(hidden) == 5
    for layer in linear:
        h = (h @ layer.weight.T + layer.bias).clamp(min=0)
    assert torch.allclose(network(x).features, h, atol=1e-6)
    network.noise.deviation = 0.0
    assert torch.allclose(network(x).logits, h @ network.output.weight.T + network.output.bias, atol=1e-6)


def test_dense_generator_by_hand() -> None:
    torch.manual_seed(0)
    network, z = sgan.DenseGenerator(8, 1, 5, 6), torch.rand(9, 5) * 2 - 1
    first, second, last = (m for m in network.body if isinstance(m, nn.Linear))
    h = z
    for layer in (first, second):
        a = h @ layer.weight.T
        h = F.softplus((a - a.mean(0)) / (a.var(0, correction=0) + 1e-5).sqrt())
    expected = 2 * torch.sigmoid(h @ last.weight.T + last.bias) - 1
    assert torch.allclose(network(z).flatten(1), expected, atol=1e-5)
