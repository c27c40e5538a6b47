"""The self-supervised GAN: turned images, hinge losses, spectral norms, and what the rotation head learns."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fixtures.training import constant
from torch import Tensor, nn

import paperzoo
from paperzoo.data import Batch, Dataset, Schema, Split
from paperzoo.data.dataset import Values
from paperzoo.data.datasets import dataset
from paperzoo.engine.players import Players
from paperzoo.papers.gan import ssgan


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
    """Without its loss the head stays as it begins: after 10, 20 and 40 steps it is right by 24.3 to 26.9 % on ten seeds."""
    data, found = dataset("digits", image_size=16), {}
    for beta, steps in ((1.0, 150), (0.0, 20)):
        torch.manual_seed(0)
        model = paperzoo.create("ssgan", image_size=16, width=8, latent=4, channels=1, beta=beta)
        assert isinstance(model, ssgan.Model)
        opt = Players(constant(model.optimizers(lr=1e-3)))
        opt.generator = SimpleNamespace(minimize=lambda loss: None)  # it may rest: this is about the discriminator
        for i in range(steps):
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
