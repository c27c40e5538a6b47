"""CycleGAN: its networks, Eqs. 2 and 3 and the least-squares game by hand, and the pool that its discriminators are shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.seam import Ledger, patch_of
from fixtures.training import count, job, loop
from torch import Tensor, nn

import paperzoo
from paperzoo.data import Batch, Images, Order, Split
from paperzoo.data.dataset import Unpaired
from paperzoo.papers.image_translation import cyclegan
from paperzoo.papers.image_translation.cyclegan import Block, Generator, Model, Pool
from paperzoo.papers.image_translation.pix2pix import Discriminator

SMALL = {"image_size": 32, "width": 4, "critic_width": 4, "blocks": 1, "patch": 16, "pool": 4}
PLAYERS = ("generators", "discriminators")


def unpaired(items: int = 3, side: int = 32, channels: int = 3) -> Batch:
    return Batch(image_a=torch.rand(items, channels, side, side), image_b=torch.rand(items, channels, side, side))


# The networks of the appendix ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("variant", "generator"), [("nine_blocks", 11_378_179), ("six_blocks", 7_837_699)])
def test_parameters_of_the_papers_networks(variant: str, generator: int) -> None:
    with torch.device("meta"):
        model = paperzoo.create(f"cyclegan:{variant}")
    assert count(model.g) == count(model.f) == generator
    assert count(model.d_x) == count(model.d_y) == 2_764_737


def test_the_generators_layers() -> None:
    with torch.device("meta"):
        body = Generator(3, 64, 9).body
    names = [type(m).__name__ for m in body]
    part = ["InstanceNorm2d", "ReLU"]
    assert names == [*["Conv2d", *part] * 3, *["Block"] * 9, *["ConvTranspose2d", *part] * 2, "Conv2d", "Tanh"]
    outer = [m for m in body if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert [(m.out_channels, m.kernel_size[0], m.stride[0]) for m in outer] == [
        (64, 7, 1), (128, 3, 2), (256, 3, 2), (128, 3, 2), (64, 3, 2), (3, 7, 1),
    ]  # fmt: skip
    assert [type(m).__name__ for m in Block(8).body] == ["Conv2d", *part, "Conv2d", "InstanceNorm2d"]


def test_a_block_adds_to_what_it_is_given() -> None:
    block, h = Block(4), torch.randn(2, 4, 8, 8)
    assert torch.allclose(block(h) - h, block.body(h), atol=1e-6)
    assert (block(h) < 0).any(), "no rectifier after the sum"


def test_borders_are_reflected_so_that_a_flat_image_stays_flat() -> None:
    for layer in (m for m in Generator(3, 8, 2).modules() if isinstance(m, nn.Conv2d)):
        out = layer(torch.full((1, layer.in_channels, 16, 16), 0.7))
        assert (out - out[..., :1, :1]).abs().max() < 1e-5
    ramp = torch.arange(5.0).view(1, 1, 1, 5).expand(1, 1, 5, 5)
    layer = cyclegan.convolution(1, 1, 3)[0]
    nn.init.zeros_(layer.weight)
    layer.weight.data[0, 0, 1, 0] = 1  # the left neighbour: of the first column the second, and not the first once more
    assert layer(ramp)[0, 0, 2].tolist() == pytest.approx((np.array([1, 0, 1, 2, 3]) + layer.bias.item()).tolist())


def test_images_are_normalised_each_by_itself_in_both_modes() -> None:
    model, x = Model(**SMALL), torch.rand(3, 3, 32, 32)
    whole = model.train().translate(x)
    assert torch.allclose(whole[1:2], model.eval().translate(x[1:2]), atol=1e-5)
    h = 3 + 2 * torch.randn(2, 4, 9, 9)
    out = cyclegan.norm(4)(h)
    assert out.mean((2, 3)).abs().max() < 1e-5 and (out.var((2, 3), unbiased=False) - 1).abs().max() < 1e-3
    assert not list(cyclegan.norm(4).parameters()) and not list(cyclegan.norm(4).buffers())


def test_the_discriminators_see_70_pixels_and_normalise_all_but_their_first_layer() -> None:
    for first, last in patch_of(Discriminator(2, 2, 70, lambda channels: nn.Identity(), bias=True), 2, 128):
        assert last - first + 1 == 70
    with torch.device("meta"):
        body = Model().d_x.body
    assert [type(m).__name__ for m in body] == ["Conv2d", "LeakyReLU", *["Conv2d", "InstanceNorm2d", "LeakyReLU"] * 3, "Conv2d"]


def test_weights_begin_as_the_paper_says() -> None:
    model = Model(**{**SMALL, "width": 32, "critic_width": 32})
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            assert not module.bias.any()
            if module.weight.numel() > 5000:
                assert module.weight.std().item() == pytest.approx(0.02, rel=0.05)


# The losses ------------------------------------------------------------------------------------------------------------


def test_the_game_is_of_least_squares_and_the_discriminators_part_is_halved() -> None:
    real, fake = torch.randn(2, 3, 1, 5, 4, dtype=torch.float64)
    r, f = real.numpy(), fake.numpy()
    assert cyclegan.discriminator_loss(real, fake).item() == pytest.approx((((r - 1) ** 2).mean() + (f**2).mean()) / 2)
    assert cyclegan.generator_loss(fake).item() == pytest.approx(((f - 1) ** 2).mean())
    half = torch.full((2, 1, 3, 3), 0.5)
    assert cyclegan.discriminator_loss(half, half).item() == pytest.approx(0.25)  # neither side knows


class Scale(nn.Module):
    """A generator that multiplies, or a discriminator that scores by the mean of squares: each with one weight."""

    def __init__(self, weight: float, score: bool = False) -> None:
        super().__init__()
        self.weight, self.score = nn.Parameter(torch.tensor(weight, dtype=torch.float64)), score

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * (x.square().mean((1, 2, 3)) if self.score else x)


def scales(**arguments: float) -> Model:
    model = Model(**{**SMALL, **arguments}).double()
    model.g, model.f, model.d_y, model.d_x = Scale(1.5), Scale(0.4), Scale(0.3, True), Scale(-0.2, True)
    return model


@pytest.mark.parametrize(("cycle", "identity"), [(10.0, 0.0), (10.0, 0.5), (3.0, 0.5), (0.0, 0.0)])
def test_a_step_asks_for_equation_3(cycle: float, identity: float) -> None:
    model, batch = scales(cycle=cycle, identity=identity), unpaired().map(lambda t: t.double())
    opt = Ledger(model, PLAYERS)
    noted = model.step(batch, opt)
    x, y = (2 * t.numpy() - 1 for t in (batch.image_a, batch.image_b))
    score_y, score_x = (lambda v: 0.3 * (v**2).mean((1, 2, 3))), (lambda v: -0.2 * (v**2).mean((1, 2, 3)))
    game = ((score_y(1.5 * x) - 1) ** 2).mean() + ((score_x(0.4 * y) - 1) ** 2).mean()
    there_and_back = np.abs(0.6 * x - x).mean() + np.abs(0.6 * y - y).mean()  # lambda for both directions
    kept = np.abs(1.5 * y - y).mean() + np.abs(0.4 * x - x).mean()  # G is given y, F is given x
    assert opt.loss["generators"].item() == pytest.approx(game + cycle * there_and_back + identity * cycle * kept, rel=1e-6)
    judged = ((score_y(y) - 1) ** 2).mean() + (score_y(1.5 * x) ** 2).mean()
    judged += ((score_x(x) - 1) ** 2).mean() + (score_x(0.4 * y) ** 2).mean()
    assert opt.loss["discriminators"].item() == pytest.approx(judged / 2, rel=1e-6)  # the first images are shown as they are
    assert set(opt.reached["discriminators"]) == {"d_y.weight", "d_x.weight"}
    assert {"g.weight", "f.weight"} <= set(opt.reached["generators"])
    assert set(noted) == {name for name, weight in (("cycle", cycle), ("identity", identity)) if weight}


def test_the_cycle_of_networks_that_undo_each_other_is_nothing() -> None:
    model = scales()
    model.f.weight.data.fill_(1 / 1.5)
    assert model.step(unpaired().map(lambda t: t.double()), Ledger(model, PLAYERS))["cycle"].item() < 1e-12


def test_each_discriminator_is_shown_the_pool_of_its_own_domain() -> None:
    model = scales()
    model.pool_y.forward = lambda new: torch.full_like(new, 3.0)  # type: ignore[method-assign]
    model.pool_x.forward = lambda new: torch.full_like(new, 5.0)  # type: ignore[method-assign]
    batch = unpaired().map(lambda t: t.double())
    opt = Ledger(model, PLAYERS)
    model.step(batch, opt)
    x, y = (2 * t.numpy() - 1 for t in (batch.image_a, batch.image_b))
    judged = ((0.3 * (y**2).mean((1, 2, 3)) - 1) ** 2).mean() + (0.3 * 9) ** 2
    judged += ((-0.2 * (x**2).mean((1, 2, 3)) - 1) ** 2).mean() + (-0.2 * 25) ** 2
    assert opt.loss["discriminators"].item() == pytest.approx(judged / 2, rel=1e-6)


def test_g_translates_to_b_and_f_to_a() -> None:
    model, image = scales(), torch.rand(2, 3, 8, 8, dtype=torch.float64)
    for to, weight in (("b", 1.5), ("a", 0.4)):
        assert torch.allclose(model.translate(image, to), (weight * (2 * image - 1) + 1) / 2)
    assert torch.equal(model.translate(image), model.translate(image, "b"))


# The pool --------------------------------------------------------------------------------------------------------------


def numbered(first: int, items: int) -> Tensor:
    return torch.arange(first, first + items, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 2, 4, 4).contiguous()


def test_a_pool_shows_every_image_until_it_is_full() -> None:
    pool = Pool(5, 2, 4)
    for first in (0, 2, 4):
        assert torch.equal(pool(numbered(first, 2)), numbered(first, 2))
    assert int(pool.held) == 5 and pool.images[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("items", [1, 4, 16])
def test_then_half_of_what_it_shows_is_old_and_comes_from_it_once(items: int) -> None:
    pool, given, shown = Pool(16, 2, 4), set[float](), list[float]()
    old = total = 0
    for step in range(400):
        new = numbered(1000 * step, items)
        kept = set(pool.images[: int(pool.held), 0, 0, 0].tolist())
        out = pool(new)
        numbers = out[:, 0, 0, 0].tolist()
        assert (out == out[:, :1, :1, :1]).all(), "images are not mixed"
        assert len(set(numbers)) == items
        for at, number in enumerate(numbers):
            if number != 1000 * step + at:
                assert number in kept and number in given
                assert number not in pool.images[:, 0, 0, 0].tolist(), "what is shown leaves the pool"
                assert 1000 * step + at in pool.images[:, 0, 0, 0].tolist(), "and the new one takes its place"
                old += 1
            elif len(kept) == 16:
                assert number not in pool.images[:, 0, 0, 0].tolist(), "a new one that is shown is not kept"
        given |= set(new[:, 0, 0, 0].tolist())
        shown += numbers
        total += items if len(kept) == 16 else 0
    spread = 4 * 0.5 / total**0.5
    assert abs(old / total - 0.5) < spread


def test_every_place_of_a_pool_is_used() -> None:
    pool = Pool(8, 2, 4)
    pool(numbered(0, 8))
    for step in range(1, 200):
        pool(numbered(1000 * step, 2))
    assert (pool.images[:, 0, 0, 0] >= 1000).all()


def test_what_a_pool_shows_is_never_what_it_holds_or_was_given() -> None:
    pool = Pool(4, 2, 4)
    for step in range(20):
        new = numbered(10 * step, 2)
        before, out = new.clone(), pool(new)
        kept = pool.images.clone()
        out.fill_(-1)
        assert torch.equal(new, before) and torch.equal(pool.images, kept)
        new.fill_(-2)
        assert torch.equal(pool.images, kept)


def test_more_images_than_a_pool_holds() -> None:
    pool = Pool(3, 2, 4)
    assert torch.equal(pool(numbered(0, 5)), numbered(0, 5)) and int(pool.held) == 3
    assert len(set(pool(numbered(100, 8))[:, 0, 0, 0].tolist())) == 8


def test_pools_are_saved_and_left_out_of_what_ships() -> None:
    model = paperzoo.create("cyclegan", **SMALL)
    assert {"pool_y.images", "pool_y.held", "pool_x.images", "pool_x.held"} <= set(model.state_dict())
    arguments, tensors = model.lean()
    small = paperzoo.create("cyclegan", **arguments)
    small.load_state_dict(dict(tensors))
    image = torch.rand(1, 3, 32, 32)
    assert torch.equal(small.translate(image), model.translate(image))
    small.step(unpaired(), Ledger(small, PLAYERS))  # without a pool, what was just translated is shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"image_size": 28}, "model.image_size must be"),
        ({"image_size": 33}, "model.image_size must be"),
        ({"image_size": 32, "patch": 286}, "patch 286 needs images of at least 128 pixels, not 32"),
    ],
)
def test_what_cannot_be_is_refused(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(paperzoo.PaperzooError, match=said):
        paperzoo.create("cyclegan", **arguments)


# What training feeds it ------------------------------------------------------------------------------------------------


def test_the_domains_are_drawn_and_mirrored_independently(tmp_path: Path) -> None:
    made = loop(job("cyclegan", "smoke", batch_size=8), tmp_path)
    pixels = torch.randint(256, (16, 3, 32, 32), dtype=torch.uint8)
    made.split = Split(Unpaired(Images(pixels, "image_a"), Images(pixels[:10], "image_b")))
    made.order = Order(made.split.lengths, 8, "shuffle", 0)
    fed: list[Batch] = []
    made.model.step = lambda batch, opt: fed.append(batch)  # type: ignore[assignment,method-assign]
    for _ in range(10):
        made.step()
    a, b = (torch.cat([getattr(batch, field) for batch in fed]) for field in ("image_a", "image_b"))
    known = torch.stack([pixels / 255, pixels.flip(3) / 255])  # (2, 16, C, S, S)
    way = [[int(t) for t in ((x - known).abs().amax((2, 3, 4)) < 1e-6).nonzero()[0]] for x in torch.cat([a, b])]
    mirrored, which = torch.tensor(way).T.reshape(2, 2, 80)  # of A and of B
    assert (which[0].bincount(minlength=16) == 5).all() and (which[1].bincount(minlength=10) == 8).all()
    assert (which[0] == which[1]).float().mean() < 0.3
    assert 0.25 < (mirrored[0] == mirrored[1]).float().mean() < 0.75
