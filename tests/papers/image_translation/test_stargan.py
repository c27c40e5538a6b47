"""StarGAN: its networks layer by layer, Eqs. 2 to 6 and 8 by hand, which label goes where, and that it learns what it is told."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fixtures.seam import Ledger
from fixtures.training import count
from torch import Tensor, nn

import paperzoo
from paperzoo.data import Batch
from paperzoo.data.images.attributes import exclusive
from paperzoo.papers.image_translation import stargan
from paperzoo.papers.image_translation.stargan import Block, Critique, Discriminator, Generator, Model

HAIR = ("black hair", "blonde hair", "red hair", "glasses")
SMALL = {"image_size": 16, "width": 4, "critic_width": 4, "blocks": 1, "layers": 2, "attributes": HAIR}
PLAYERS = ("discriminator", "generator")


def labels(items: int) -> Tensor:
    """One colour each, in turn, and glasses for every other."""
    colour = torch.eye(3)[torch.arange(items) % 3]
    return torch.cat([colour, (torch.arange(items) % 2)[:, None].float()], 1)


def faces(items: int = 6, side: int = 16) -> Batch:
    return Batch(image=torch.rand(items, 3, side, side), attributes=labels(items))


# The networks of the appendix ------------------------------------------------------------------------------------------


def test_parameters_of_the_papers_networks() -> None:
    with torch.device("meta"):
        model = paperzoo.create("stargan")
    assert count(model.generator) == 8_430_528 and count(model.discriminator) == 44_762_048


def test_the_generators_layers() -> None:
    with torch.device("meta"):
        body = Generator(3, 5, 64, 6).body
    part = ["InstanceNorm2d", "ReLU"]
    names = [type(m).__name__ for m in body]
    assert names == [*["Conv2d", *part] * 3, *["Block"] * 6, *["ConvTranspose2d", *part] * 2, "Conv2d", "Tanh"]
    outer = [m for m in body if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert [(m.in_channels, m.out_channels, m.kernel_size[0], m.stride[0], m.padding[0]) for m in outer] == [
        (8, 64, 7, 1, 3), (64, 128, 4, 2, 1), (128, 256, 4, 2, 1), (256, 128, 4, 2, 1), (128, 64, 4, 2, 1), (64, 3, 7, 1, 3),
    ]  # fmt: skip
    assert [type(m).__name__ for m in Block(8).body] == ["Conv2d", *part, "Conv2d", "InstanceNorm2d"]
    assert all(m.affine and not m.track_running_stats for m in body.modules() if isinstance(m, nn.InstanceNorm2d))


def test_a_block_adds_to_what_it_is_given() -> None:
    block, h = Block(4), torch.randn(2, 4, 8, 8)
    assert torch.allclose(block(h) - h, block.body(h), atol=1e-6)
    assert (block(h) < 0).any(), "no rectifier after the sum"


def test_the_discriminators_layers() -> None:
    with torch.device("meta"):
        one = Discriminator(128, 3, 5, 64, 6)
    assert [type(m).__name__ for m in one.body] == ["Conv2d", "LeakyReLU"] * 6
    assert [m.out_channels for m in one.body if isinstance(m, nn.Conv2d)] == [64, 128, 256, 512, 1024, 2048]
    assert {(m.kernel_size, m.stride, m.padding) for m in one.body if isinstance(m, nn.Conv2d)} == {((4, 4), (2, 2), (1, 1))}
    assert one.score.kernel_size == (3, 3) and one.attributes.kernel_size == (2, 2) and one.attributes.padding == (0, 0)
    said = Discriminator(32, 3, 5, 4, 3)(torch.rand(7, 3, 32, 32))
    assert said.score.shape == (7, 1, 4, 4) and said.attributes.shape == (7, 5)


def test_each_place_of_the_picture_is_told_the_same_label() -> None:
    network, image = Generator(3, 4, 4, 1), torch.rand(3, 3, 16, 16)
    seen: list[Tensor] = []
    network.body[0].register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    network(image, labels(3))
    assert torch.equal(seen[0][:, :3], image)
    assert torch.equal(seen[0][:, 3:], labels(3)[:, :, None, None].expand(3, 4, 16, 16))


# The losses ------------------------------------------------------------------------------------------------------------


def test_the_loss_of_attributes_is_a_sum_over_them_and_a_mean_over_the_batch() -> None:
    logits, has = torch.randn(6, 4, dtype=torch.float64), labels(6).double()
    p = 1 / (1 + np.exp(-logits.numpy()))
    entropy = -(has.numpy() * np.log(p) + (1 - has.numpy()) * np.log(1 - p))  # (N, A)
    assert stargan.attribute_loss(logits, has).item() == pytest.approx(entropy.sum() / 6)
    assert stargan.attribute_loss(torch.zeros(6, 4), has.float()).item() == pytest.approx(4 * np.log(2))


def test_the_reconstruction_is_measured_by_the_absolute_difference() -> None:
    x, back = torch.randn(2, 3, 3, 4, 4)
    assert stargan.reconstruction_loss(back, x).item() == pytest.approx(np.abs((x - back).numpy()).mean(), rel=1e-6)


class Stretch(nn.Module):
    """A generator that multiplies by a weight and adds its label's weighted sum; keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.6, dtype=torch.float64))
        self.label = nn.Parameter(torch.tensor([0.5, -0.3, 0.2, 0.7], dtype=torch.float64))
        self.told: list[tuple[Tensor, Tensor]] = []

    def forward(self, image: Tensor, attributes: Tensor) -> Tensor:
        self.told.append((image.detach().clone(), attributes.clone()))
        return self.weight * image + (attributes @ self.label)[:, None, None, None]


class Looks(nn.Module):
    """A discriminator whose score is a multiple of the picture's upper row, and whose logits are of its mean."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.8, dtype=torch.float64))
        self.logits = nn.Parameter(torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64))

    def forward(self, image: Tensor) -> Critique:
        score = self.weight * image[:, :1, :2, :2] ** 2  # (N, 1, 2, 2)
        return Critique(score, image.mean((1, 2, 3))[:, None] * self.logits)


def known(**arguments: float) -> Model:
    model = Model(**{**SMALL, "critic_steps": 1, **arguments})
    model.generator, model.discriminator = Stretch(), Looks()
    return model


def entropy(logits: np.ndarray, has: np.ndarray) -> float:
    return float((np.log1p(np.exp(logits)) - has * logits).sum(1).mean())


@pytest.mark.parametrize("weights", [{}, {"classify": 2.0, "reconstruct": 3.0, "penalty": 5.0}, {"classify": 0.0, "reconstruct": 0.0}])
def test_a_step_asks_for_equations_5_and_6(weights: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = known(**weights), faces().map(lambda t: t.double())
    alpha = torch.linspace(0.1, 0.9, 6, dtype=torch.float64)
    monkeypatch.setattr(torch, "rand", lambda *shape, **told: alpha)
    opt = Ledger(model, PLAYERS)
    noted = model.step(batch, opt)
    (_, target), *_ = model.generator.told
    x, had, c = 2 * batch.image.numpy() - 1, labels(6).numpy(), target.numpy()
    label, logits = np.array([0.5, -0.3, 0.2, 0.7]), np.array([1.0, -2.0, 0.5, 3.0])

    def shift(given: np.ndarray) -> np.ndarray:
        return (given @ label)[:, None, None, None]

    fake = 0.6 * x + shift(c)
    score = lambda v: 0.8 * v[:, :1, :2, :2] ** 2  # noqa: E731
    mean = lambda v: v.mean((1, 2, 3))[:, None] * logits  # noqa: E731
    a = alpha.numpy()[:, None, None, None]
    between = a * x + (1 - a) * fake
    gradient = 1.6 * between[:, 0, :2, :2]  # of the sum over patches, by the picture
    norm = np.sqrt((gradient**2).sum((1, 2)))
    classify, rec, gp = (weights.get(k, v) for k, v in (("classify", 1.0), ("reconstruct", 10.0), ("penalty", 10.0)))
    critic = score(fake).mean() - score(x).mean() + gp * ((norm - 1) ** 2).mean() + classify * entropy(mean(x), had)
    assert opt.loss["discriminator"].item() == pytest.approx(critic, rel=1e-9)
    back = 0.6 * fake + shift(had)  # with the attributes that the picture had
    generator = -score(fake).mean() + classify * entropy(mean(fake), c) + rec * np.abs(x - back).mean()
    assert opt.loss["generator"].item() == pytest.approx(generator, rel=1e-9)
    assert noted["distance"].item() == pytest.approx(score(x).mean() - score(fake).mean())
    assert set(opt.reached["discriminator"]) <= {"discriminator.weight", "discriminator.logits"}, "the discriminator's step is not G's"


def test_targets_are_the_batchs_own_labels_and_the_way_back_is_told_the_original() -> None:
    model, batch = known(), faces(12).map(lambda t: t.double())
    model.step(batch, Ledger(model, PLAYERS))
    (x, target), (again, second), (fake, original) = model.generator.told
    assert torch.equal(x, again) and torch.equal(target, second) and torch.equal(x, 2 * batch.image - 1)
    assert torch.equal(original, batch.attributes) and not torch.equal(target, batch.attributes)
    assert sorted(map(tuple, target.tolist())) == sorted(map(tuple, batch.attributes.tolist()))
    (group,) = exclusive(HAIR)
    assert (target[:, list(group)].sum(1) == 1).all(), "one colour of the hair"
    assert torch.allclose(fake, 0.6 * x + (target @ model.generator.label.detach())[:, None, None, None])


def test_the_generator_moves_at_every_fifth_step() -> None:
    model, moves = Model(**SMALL), list[str]()
    for iteration in range(15):
        opt = Ledger(model, PLAYERS, lambda name: moves.append(name))
        opt.iteration = iteration  # type: ignore[misc]
        model.step(faces(), opt)
    assert moves == ([*["discriminator"] * 5, "generator"]) * 3


def test_only_what_was_chosen_is_learnt_whatever_its_place() -> None:
    model = known(chosen=("glasses", "red hair"))  # type: ignore[arg-type]
    batch = faces()
    assert model.attributes == ("glasses", "red hair") and torch.equal(model.has(batch), batch.attributes[:, [3, 2]])
    with torch.device("meta"):
        whole = paperzoo.create("stargan", attributes=HAIR, chosen=("glasses",))
    assert whole.generator.body[0].in_channels == 4 and whole.discriminator.attributes.out_channels == 1


def test_pictures_are_normalised_each_by_itself_in_both_modes() -> None:
    model, x = Model(**SMALL), torch.rand(3, 3, 16, 16)
    whole = model.train().edit(x, labels(3))
    assert torch.allclose(whole[1:2], model.eval().edit(x[1:2], labels(3)[1:2]), atol=1e-5)
    assert whole.min() >= 0 and whole.max() <= 1


def test_what_it_sees_has_one_colour_of_hair_at_most() -> None:
    model, said = Model(**SMALL), torch.tensor([[2.0, 3.0, -1.0, 1.0], [-1.0, -2.0, -3.0, -1.0], [0.5, -1.0, 0.2, 4.0]])
    given: list[Tensor] = []

    class Says(nn.Module):
        def forward(self, image: Tensor) -> Critique:
            given.append(image)
            return Critique(image, said[: len(image)])

    model.discriminator = Says()
    image = torch.rand(3, 3, 24, 40)
    assert model.seen(image).tolist() == [[0, 1, 0, 1], [0, 0, 0, 0], [1, 0, 0, 1]]
    assert given[0].shape == (3, 3, 16, 16) and given[0].min() < 0
    exact = torch.rand(3, 3, 16, 16)
    model.seen(exact)
    assert torch.equal(given[1], 2 * exact - 1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"image_size": 24, "layers": 4}, "image_size must be a multiple of 16, not 24"),
        ({"image_size": 30}, "model.image_size must be"),
        ({"chosen": ("glases",)}, "unknown attribute 'glases' of the data: did you mean glasses"),
    ],
)
def test_what_cannot_be_is_refused(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(paperzoo.PaperzooError, match=said):
        paperzoo.create("stargan", **{**SMALL, **arguments})
