"""DiscoGAN: its networks, Eqs. 3 to 8 by hand, who moves by which of them, and the plane, where its rivals leave modes out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fixtures.seam import Ledger
from fixtures.training import count
from torch import Tensor, nn
from torch.optim import SGD

import paperzoo
from paperzoo.data import Batch
from paperzoo.engine.players import Players
from paperzoo.papers.image_translation import discogan
from paperzoo.papers.image_translation.discogan import Discriminator, Generator, Model, ToyNetwork

SMALL = {"image_size": 32, "width": 4}
PLAYERS = ("generators", "discriminators")
GAMES = ("discogan", "reconstruction", "gan")


def unpaired(items: int = 3, side: int = 32) -> Batch:
    return Batch(image_a=torch.rand(items, 3, side, side), image_b=torch.rand(items, 3, side, side))


# The networks ----------------------------------------------------------------------------------------------------------


def test_parameters_of_the_networks() -> None:
    there = 16 * (64 * 128 + 128 * 256 + 256 * 512)  # between the first and the last convolution
    encoder = 16 * 3 * 64 + 64 + there + 2 * (128 + 256 + 512)  # biases where there is no norm
    decoder = there + 2 * (256 + 128 + 64) + 16 * 64 * 3 + 3
    fifth = 2 * 16 * 512 * 100 + 2 * (100 + 512)
    with torch.device("meta"):
        plain, deep = paperzoo.create("discogan"), paperzoo.create("discogan:five_layers")
    assert count(plain.g_ab) == count(plain.g_ba) == encoder + decoder
    assert count(deep.g_ab) == count(deep.g_ba) == encoder + decoder + fifth
    assert count(plain.d_a) == count(plain.d_b) == count(deep.d_b) == encoder + 16 * 512 + 1


@pytest.mark.parametrize("bottleneck", [0, 100])
def test_the_generators_layers(bottleneck: int) -> None:
    with torch.device("meta"):
        body = Generator(64, 3, 64, bottleneck).body
    convolutions = [m for m in body if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert {(m.kernel_size, m.bias is None) for m in convolutions[1:-1]} == {((4, 4), True)}
    assert [m.out_channels for m in convolutions] == [
        64, 128, 256, 512, *([100, 512] if bottleneck else []), 256, 128, 64, 3,
    ]  # fmt: skip
    assert [type(m) is nn.ConvTranspose2d for m in convolutions] == [n >= len(convolutions) // 2 for n in range(len(convolutions))]
    names = [type(m).__name__ for m in body]
    norms = [name for name in names if name == "BatchNorm2d"]
    assert len(norms) == len(convolutions) - 2  # all layers but the first and the last (section 3.2)
    assert names[:5] == ["Conv2d", "LeakyReLU", "Conv2d", "BatchNorm2d", "LeakyReLU"]
    assert names[-5:] == ["ConvTranspose2d", "BatchNorm2d", "ReLU", "ConvTranspose2d", "Sigmoid"]


def test_the_discriminator_is_an_encoder_and_one_more_convolution() -> None:
    with torch.device("meta"):
        body = Discriminator(64, 3, 64).body
    inner = ["Conv2d", "BatchNorm2d", "LeakyReLU"]
    assert [type(m).__name__ for m in body] == ["Conv2d", "LeakyReLU", *inner * 3, "Conv2d"]
    assert [(m.out_channels, m.stride[0], m.padding[0]) for m in body if isinstance(m, nn.Conv2d)] == [
        (64, 2, 1), (128, 2, 1), (256, 2, 1), (512, 2, 1), (1, 1, 0),
    ]  # fmt: skip
    assert Discriminator(64, 3, 4)(torch.rand(5, 3, 64, 64)).shape == (5,)


@pytest.mark.parametrize(("side", "bottleneck"), [(16, 0), (64, 0), (64, 7), (128, 0)])
def test_the_side_is_halved_to_four_and_found_again(side: int, bottleneck: int) -> None:
    generator, seen = Generator(side, 3, 2, bottleneck).eval(), []
    for layer in generator.body:
        layer.register_forward_hook(lambda module, inputs, output: seen.append(output.shape[-1]))
    out = generator(torch.rand(1, 3, side, side))
    assert out.shape == (1, 3, side, side) and min(seen) == (1 if bottleneck else 4)
    assert out.min() > 0 and out.max() < 1
    assert generator(torch.rand(1, 3, side + side // 4, 2 * side)).shape == (1, 3, side + side // 4, 2 * side)


def test_the_toys_have_three_and_five_linear_layers_with_relus_between() -> None:
    model = paperzoo.create("discogan:toy", width=16)
    for network, depth in ((model.g_ab, 3), (model.g_ba, 3), (model.d_b, 5), (model.d_a, 5)):
        assert [type(m).__name__ for m in network.body] == ["Linear", "ReLU"] * (depth - 1) + ["Linear"]
    assert (model.g_ab(torch.randn(200, 2)) < 0).any()
    assert model.d_b(torch.randn(7, 2)).shape == (7,) and ToyNetwork(3, 2, 4, 3)(torch.randn(7, 3)).shape == (7, 2)


# The losses ------------------------------------------------------------------------------------------------------------


def test_the_losses_by_their_definitions() -> None:
    real, fake = torch.randn(2, 6, dtype=torch.float64)
    r, f = (1 / (1 + np.exp(-one.numpy())) for one in (real, fake))
    assert discogan.discriminator_loss(real, fake).item() == pytest.approx(-np.log(r).mean() - np.log(1 - f).mean())
    assert discogan.generator_loss(fake).item() == pytest.approx(-np.log(f).mean())
    x, back = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    assert discogan.distance(back, x).item() == pytest.approx(((back - x).numpy() ** 2).mean())
    assert torch.isfinite(discogan.discriminator_loss(torch.tensor([-200.0]), torch.tensor([200.0])))


class Scale(nn.Module):
    """A generator that multiplies, or a discriminator that scores by the mean of squares: each with one weight."""

    def __init__(self, weight: float, score: bool = False) -> None:
        super().__init__()
        self.weight, self.score = nn.Parameter(torch.tensor(weight, dtype=torch.float64)), score

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * (x.square().mean((1, 2, 3)) if self.score else x)


def scales(game: str = "discogan", reconstruct: float = 1.0) -> Model:
    model = Model(**SMALL, game=game, reconstruct=reconstruct)
    model.g_ab, model.d_b = Scale(1.5), Scale(0.3, True)
    model.g_ba = Scale(0.4) if model.g_ba is not None else None
    model.d_a = Scale(-0.2, True) if model.d_a is not None else None
    return model


def softplus(x: np.ndarray) -> np.ndarray:
    return np.log1p(np.exp(x))


@pytest.mark.parametrize("weight", [1, 30])
@pytest.mark.parametrize("game", GAMES)
def test_a_step_asks_for_equations_7_and_8(game: str, weight: float) -> None:
    model, batch = scales(game, weight), unpaired().map(lambda t: t.double())
    opt = Ledger(model, PLAYERS)
    noted = model.step(batch, opt)
    a, b = batch.image_a.numpy(), batch.image_b.numpy()  # as they are, in [0, 1]
    score_b, score_a = (lambda v: 0.3 * (v**2).mean((1, 2, 3))), (lambda v: -0.2 * (v**2).mean((1, 2, 3)))
    generators = softplus(-score_b(1.5 * a)).mean()
    discriminators = softplus(-score_b(b)).mean() + softplus(score_b(1.5 * a)).mean()
    if game != "gan":
        generators += weight * ((0.6 * a - a) ** 2).mean()  # of A alone
    if game == "discogan":
        generators += softplus(-score_a(0.4 * b)).mean() + weight * ((0.6 * b - b) ** 2).mean()
        discriminators += softplus(-score_a(a)).mean() + softplus(score_a(0.4 * b)).mean()
    assert opt.loss["generators"].item() == pytest.approx(generators, rel=1e-9)
    assert opt.loss["discriminators"].item() == pytest.approx(discriminators, rel=1e-9)
    there = {"gan": set(), "reconstruction": {"const_a"}, "discogan": {"const_a", "const_b"}}
    assert set(noted) == there[game] and not any(value.requires_grad for value in noted.values())


@pytest.mark.parametrize("game", GAMES)
def test_each_player_moves_by_its_own_loss_and_both_from_the_same_weights(game: str) -> None:
    model, batch = scales(game), unpaired().map(lambda t: t.double())
    w = {name: torch.tensor(value.item(), dtype=torch.float64, requires_grad=True) for name, value in model.named_parameters()}
    a, b = batch.image_a, batch.image_b

    def score(name: str, x: Tensor) -> Tensor:
        return w[f"{name}.weight"] * x.square().mean((1, 2, 3))

    ab = w["g_ab.weight"] * a
    generators, discriminators = discogan.generator_loss(score("d_b", ab)), discogan.discriminator_loss(score("d_b", b), score("d_b", ab))
    if game != "gan":
        generators = generators + (w["g_ba.weight"] * ab - a).square().mean()
    if game == "discogan":
        ba = w["g_ba.weight"] * b
        generators = generators + discogan.generator_loss(score("d_a", ba)) + (w["g_ab.weight"] * ba - b).square().mean()
        discriminators = discriminators + discogan.discriminator_loss(score("d_a", a), score("d_a", ba))
    expected = {}
    for loss, kind in ((generators, "g_"), (discriminators, "d_")):
        own = [name for name in w if name.startswith(kind)]
        for name, gradient in zip(own, torch.autograd.grad(loss, [w[n] for n in own], retain_graph=True), strict=True):
            expected[name] = w[name].item() - 0.1 * gradient.item()
    owned = {player: [p for n, p in model.named_parameters() if n.startswith(player[0])] for player in PLAYERS}
    model.step(batch, Players({player: SGD(parameters, 0.1) for player, parameters in owned.items()}))
    assert {name: value.item() for name, value in model.named_parameters()} == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("game", GAMES)
def test_the_discriminators_may_step_less_often(game: str) -> None:
    model, moves = Model(**SMALL, game=game, interval=3), list[str]()
    for iteration in range(7):
        opt = Ledger(model, PLAYERS, moves.append)
        opt.iteration = iteration  # type: ignore[misc]
        model.step(unpaired(), opt)
    both, one = ["generators", "discriminators"], ["generators"]
    assert moves == both + 2 * one + both + 2 * one + both
    assert Model(**SMALL).interval == paperzoo.create("discogan:toy").interval == 1


def test_no_term_has_a_weight_in_the_paper() -> None:
    assert Model(**SMALL).reconstruct == paperzoo.create("discogan:toy").reconstruct == 1


def test_who_has_which_networks() -> None:
    for game, names in (("gan", "g_ab d_b"), ("reconstruction", "g_ab g_ba d_b"), ("discogan", "g_ab g_ba d_b d_a")):
        for name in ("discogan", "discogan:toy"):
            model = paperzoo.create(name, game=game, width=4)
            assert {n for n, _ in model.named_children()} == set(names.split())
            optimizers = model.optimizers()
            for player, kind in (("generators", "g_"), ("discriminators", "d_")):
                own = {id(p) for n, p in model.named_parameters() if n.startswith(kind)}
                assert {id(p) for group in optimizers[player][0].param_groups for p in group["params"]} == own


def test_networks_that_undo_each_other_reconstruct_everything() -> None:
    model = scales()
    model.g_ba.weight.data.fill_(1 / 1.5)
    noted = model.step(unpaired().map(lambda t: t.double()), Ledger(model, PLAYERS))
    assert noted["const_a"].item() < 1e-12 and noted["const_b"].item() < 1e-12


def test_g_ab_translates_to_b_and_g_ba_to_a() -> None:
    model, image = scales(), torch.rand(2, 3, 8, 8, dtype=torch.float64)
    assert torch.equal(model.translate(image, "b"), 1.5 * image) and torch.equal(model.translate(image, "a"), 0.4 * image)
    assert torch.equal(model.translate(image), model.translate(image, "b"))
    assert [Model(**SMALL, game=game).domains for game in GAMES] == [("b", "a"), ("b", "a"), ("b",)]
    toy, point = paperzoo.create("discogan:toy", width=8), torch.randn(5, 2)
    there, back = toy.translated(point)
    assert torch.equal(there, toy.g_ab(point).detach()) and torch.equal(back, toy.g_ba(there).detach())
    assert paperzoo.create("discogan:toy_gan", width=8).translated(point)[1] is None


def test_batch_statistics_in_training_and_running_ones_afterwards() -> None:
    model, x = Model(**SMALL), torch.rand(6, 3, 32, 32)
    whole = model.train().translate(x)
    assert not torch.allclose(whole[:2], model.translate(x[:2]), atol=1e-4)
    model.eval()
    assert torch.allclose(model.translate(x)[:2], model.translate(x[:2]), atol=1e-6)
    with pytest.raises(paperzoo.PaperzooError, match="at least two images a batch"):
        model.train().step(unpaired(1), Ledger(model, PLAYERS))


@pytest.mark.parametrize("arguments", [{"image_size": 48}, {"image_size": 8}, {"game": "cyclegan"}, {"bottleneck": -1}])
def test_what_cannot_be_is_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(paperzoo.PaperzooError):
        paperzoo.create("discogan", **arguments)
