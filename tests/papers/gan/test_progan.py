"""ProGAN: fading bit for bit, the three small things by hand, the losses, the stages, and that it learns."""

from __future__ import annotations

import dataclasses
import math
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from fixtures.training import count, fabric
from torch import Tensor, nn

import paperzoo
from paperzoo.data import Batch
from paperzoo.engine import loop, run
from paperzoo.engine.job import Job, resolve
from paperzoo.engine.loop import fit
from paperzoo.errors import PaperzooError
from paperzoo.nn.equalized import EqualConv2d, EqualLinear
from paperzoo.papers.gan.progan import RECIPES, channels_of, deviation, growing, grown, pixel_norm, shrunk, up
from paperzoo.records import Stage
from paperzoo.saved import newest, read

LITTLE: dict[str, Any] = {"image_size": 32, "channels": 2, "latent": 6, "width": 8, "most": 128}


def little(**changes: Any) -> Any:
    torch.manual_seed(0)
    return paperzoo.create("progan", **{**LITTLE, **changes})


def test_counts_and_channels_of_the_papers_table() -> None:
    assert channels_of([4 * 2**level for level in range(9)], 512, 16_384) == [512, 512, 512, 512, 256, 128, 64, 32, 16]
    with torch.device("meta"):
        model = paperzoo.create("progan")
    assert (count(model.generator), count(model.critic)) == (23_079_115, 23_087_249)
    

@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_level_begins_as_the_one_before_bit_for_bit(level: int, precision: str) -> None:
    model, z, image = little(), torch.randn(4, 6), torch.rand(4, 2, 4 * 2**level, 4 * 2**level)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        assert torch.equal(model.generator(z, level, 0.0), up(model.generator(z, level - 1)))
        assert torch.equal(model.critic(image, level, 0.0), model.critic(F.avg_pool2d(image, 2), level - 1))
        half, old, new = (model.generator(z, level, alpha) for alpha in (0.5, 0.0, 1.0))
        assert torch.allclose(half.float(), (old.float() + new.float()) / 2, atol=0.05 if precision == "bf16" else 1e-6)
        assert not torch.allclose(model.generator(z, level, 0.9).float(), old.float(), atol=1e-3)
    assert torch.equal(shrunk(image, 4 * 2**level, 0.0), up(F.avg_pool2d(image, 2)))


def test_once_it_is_in_the_older_layers_to_and_from_pictures_have_no_part() -> None:
    model, z, image = little(), torch.randn(4, 6), torch.rand(4, 2, 16, 16)
    for alpha, reached in ((1.0, False), (0.3, True)):
        model.zero_grad()
        (model.generator(z, 2, alpha).sum() + model.critic(image, 2, alpha).sum()).backward()
        for layers in (model.generator.to_image, model.critic.from_image):
            assert [layer.weight.grad is not None for layer in layers] == [False, reached, True, False]
        later = [layers[2] for network in (model.generator, model.critic) for layers in (network.wider, network.finer)]
        assert all(layer.weight.grad is None for layer in later)


def test_each_pixel_of_the_generator_has_mean_square_one() -> None:
    x = torch.randn(3, 5, 4, 4) * 7 + 2
    assert torch.allclose(pixel_norm(x).square().mean(1), torch.ones(3, 4, 4), atol=1e-5)
    assert torch.allclose(pixel_norm(torch.tensor([[3.0, 4.0]])), torch.tensor([[3.0, 4.0]]) / math.sqrt(12.5))
    model, seen = little(), []
    model.generator.to_image[3].register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    z = torch.randn(4, 6)
    first = model.generator(z, 3)
    assert torch.allclose(seen[0].square().mean(1), torch.ones(4, 32, 32), atol=1e-4)
    assert torch.allclose(model.generator(5 * z, 3), first, atol=1e-3)  # noise lies on a sphere
    blind = [m for m in model.critic.modules() if isinstance(m, EqualConv2d)]
    assert blind and not torch.allclose(model.critic(2 * torch.ones(2, 2, 32, 32), 3), model.critic(torch.ones(2, 2, 32, 32), 3))


def test_the_deviation_over_the_minibatch_by_hand() -> None:
    h = torch.zeros(2, 3, 4, 4)
    h[1, 0], h[1, 1] = 2.0, 4.0  # deviations 1, 2 and 0 of the three features, everywhere
    assert torch.allclose(deviation(h), torch.ones(2, 1, 4, 4), atol=1e-4)
    assert deviation(torch.ones(5, 3, 4, 4)).abs().max() < 2e-4
    assert torch.equal(deviation(h[[1, 0]]), deviation(h))
    model, image = little(), torch.rand(3, 2, 32, 32)
    alone, together = model.critic(image[:1].expand(3, -1, -1, -1), 3), model.critic(image, 3)
    assert not torch.allclose(alone[0], together[0])  # the critic sees the company


def test_rates_are_equal_in_every_layer() -> None:
    torch.manual_seed(0)
    wide, narrow = EqualConv2d(400, 64, 3), EqualLinear(9, 64, gain=1.0, rate=0.01)
    assert abs(float(wide.weight.detach().std()) - 1) < 0.01 and abs(float(narrow.weight.detach().std()) - 100) < 4
    assert wide.scale == pytest.approx(math.sqrt(2 / (400 * 9))) and narrow.scale == pytest.approx(0.01 / 3)
    inside = wide(torch.randn(8, 400, 8, 8))[:, :, 1:-1, 1:-1]
    assert inside.var().item() == pytest.approx(2, rel=0.1)  # He's constant, at run time
    assert narrow(torch.randn(512, 9)).var().item() == pytest.approx(1, rel=0.15)
    biased = EqualLinear(3, 2, rate=0.01, start=1.0)
    assert torch.allclose(biased(torch.zeros(1, 3)), torch.ones(1, 2))
    network = nn.Sequential(EqualLinear(4, 100), EqualLinear(100, 1))
    optimizer = torch.optim.Adam(network.parameters(), 0.01, (0.0, 0.99))
    before = [layer.weight.detach().clone() for layer in network]
    network(torch.randn(16, 4)).square().mean().backward()
    optimizer.step()
    moved = [(layer.weight - old).abs().mean().item() for layer, old in zip(network, before, strict=True)]
    assert moved == pytest.approx([0.01, 0.01], rel=0.01)  # of weights that all have deviation 1
    assert EqualConv2d(3, 2, 3)(torch.zeros(1, 3, 5, 5)).shape == (1, 2, 5, 5)
    assert EqualConv2d(3, 2, 4, padding=0)(torch.zeros(1, 3, 4, 4)).shape == (1, 2, 1, 1)


def test_real_pictures_are_means_of_pixels() -> None:
    image = torch.arange(16.0).view(1, 1, 4, 4)
    assert shrunk(image, 2, 1.0).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert torch.allclose(shrunk(image, 4, 0.25), 0.25 * image + 0.75 * up(shrunk(image, 2, 1.0)))


class Seam(SimpleNamespace):
    """Stands where the engine stands: keeps the losses, moves nothing."""

    def __init__(self, iteration: int, start: int, steps: int) -> None:
        self.losses: dict[str, Tensor] = {}
        one = {n: SimpleNamespace(minimize=lambda loss, n=n: self.losses.update({n: loss})) for n in ("critic", "generator")}
        super().__init__(iteration=iteration, start=start, stage_steps=steps, **one)


def test_the_losses_and_how_far_a_level_has_come() -> None:
    model = little(penalty=0.0, drift=0.0)
    model.stage("16 fading")
    batch = Batch(image=torch.rand(4, 2, 32, 32))

    def losses(iteration: int, **settings: float) -> dict[str, float]:
        for name, value in settings.items():
            setattr(model, name, value)
        torch.manual_seed(1)
        seam = Seam(iteration, start=100, steps=40)
        model.step(batch, seam)
        return {name: float(value) for name, value in seam.losses.items()}

    plain = losses(110)
    assert float(model.alpha) == 0.25 and int(model.level) == 2
    torch.manual_seed(1)
    with torch.no_grad():
        fake = model.generator(model.draw(4), 2, 0.25)
        of_fake = model.critic(fake, 2, 0.25)
        of_real = model.critic(shrunk(2 * batch.image - 1, 16, 0.25), 2, 0.25)
    assert plain["critic"] == pytest.approx(float(of_fake.mean() - of_real.mean()), abs=1e-5)
    assert plain["generator"] == pytest.approx(-float(of_fake.mean()), abs=1e-5)
    assert losses(110, drift=2.0)["critic"] - plain["critic"] == pytest.approx(2 * float(of_real.square().mean()), rel=1e-3, abs=1e-6)
    one, ten = (losses(110, drift=0.0, penalty=weight)["critic"] - plain["critic"] for weight in (1.0, 10.0))
    assert ten == pytest.approx(10 * one, rel=1e-3) and one > 0
    losses(100)
    assert float(model.alpha) == 0.0
    model.stage("16")
    losses(110)
    assert float(model.alpha) == 1.0


def test_stages_by_name_and_by_the_papers_numbers() -> None:
    stages = growing(32, 800, {4: 16, 8: 16, 16: 16, 32: 8})
    assert [(s.name, s.steps, s.batch_size) for s in stages] == [
        ("4", 50, 16), ("8 fading", 50, 16), ("8", 50, 16), ("16 fading", 50, 16), ("16", 50, 16), ("32 fading", 100, 8), ("32", 100, 8),
    ]  # fmt: skip
    paper = RECIPES["paper"]
    assert len(paper.stages) == 13 and paper.steps == sum(s.steps for s in paper.stages)
    assert all(s.steps * int(s.batch_size or 0) == pytest.approx(800_000, rel=1e-4) for s in paper.stages)
    model = little()
    for wrong in ("64", "4 fading", "8  fading", "7", "8 growing"):
        with pytest.raises(PaperzooError, match="stage"):
            model.stage(wrong)


def test_pictures_have_one_size_at_every_level() -> None:
    model = little(average=0.0)
    for name, side in (("4", 4), ("16 fading", 16), ("32", 32)):
        model.stage(name)
        model.alpha.fill_(0.5 if "fading" in name else 1.0)
        image = model.sample(2, 3)
        assert image.shape == (2, 2, 32, 32) and image.min() >= 0 and image.max() <= 1
        assert torch.equal(image, F.interpolate(image[:, :, :: 32 // side, :: 32 // side], 32))


def growing_job(*steps: int, **changes: Any) -> Job:
    """The smoke recipe in stages of so many steps."""
    made = resolve("progan", "smoke", overrides={"checkpoint_every": 1} if sum(steps) < 20 else None)
    names = ("4", "8 fading", "8", "16 fading", "16")[: len(steps)]
    recipe = grown(made.recipe.but(**changes), *(Stage(name, number) for name, number in zip(names, steps, strict=True)))
    return dataclasses.replace(made, recipe=recipe)


def test_in_the_middle_of_a_fade_it_goes_on_bit_for_bit(tmp_path: Path) -> None:
    job = growing_job(1, 4, 1, 1, 1, batch_size=4)
    job = dataclasses.replace(job, options={**job.options, "keep": 99})
    whole = run.create(job, tmp_path / "whole")
    saved = {}
    book = loop.Loop.save

    def save(self: loop.Loop) -> None:
        book(self)
        path = newest(self.run.directory)[0]
        saved.setdefault(self.opt.iteration, shutil.copy(path, tmp_path / path.name))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.Loop, "save", save)
        fit(fabric(), job, whole)
    end = read(newest(whole.directory)[0])[0]
    assert float(read(Path(saved[3]))[0]["model/alpha" if "model/alpha" in end else "alpha"]) == 0.25
    for step in (2, 3, 4):
        part = run.create(job, tmp_path / str(step))
        shutil.copy(saved[step], part.directory / "checkpoints" / Path(saved[step]).name)
        fit(fabric(), job, part)
        again = read(newest(part.directory)[0])[0]
        assert again.keys() == end.keys() and all(torch.equal(again[name], end[name]) for name in end)


@pytest.mark.processor
def test_it_grows_into_the_digits_and_without_its_critic_does_not(tmp_path: Path) -> None:
    size = {"image_size": 8, "latent": 8, "width": 16, "most": 128, "average": 0.9}
    learnt = growing_job(80, 80, 80, model=size)
    still = growing_job(8, 8, 8, model=size, optimizer={"lr": 0.0})
    gaps = [fit(fabric(), job, run.create(job, tmp_path / str(number)))["mean image gap"] for number, job in enumerate((learnt, still))]
    assert gaps[0] < 0.15 and gaps[1] > 0.2, gaps
