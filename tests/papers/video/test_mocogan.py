"""MoCoGAN: content that stays, motion that does not, what the critics see, categories, and a learning test with its ablation."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from fixtures.training import count, job
from torch import Tensor, nn

import paperzoo
from paperzoo import catalog
from paperzoo.data import Batch
from paperzoo.engine import precision
from paperzoo.engine.players import Players
from paperzoo.errors import PaperzooError
from paperzoo.metrics.content_distance import content_distance, shuffled
from paperzoo.metrics.frame_change import frame_change
from paperzoo.papers.video.mocogan import RECIPES, Categorical, Generator, Model, Noise, critic_loss, generator_loss

TINY: dict[str, Any] = {"image_size": 16, "frames": 8, "content": 8, "motion": 4, "noise": 4, "width": 8, "critic_width": 8}


def tiny(**arguments: Any) -> Any:
    torch.manual_seed(0)
    return (Categorical if "classes" in arguments else Model)(**TINY | arguments)


# Content and motion --------------------------------------------------------------------------------------------------


def test_the_generators_are_what_their_equations_say() -> None:
    """x_k = G_I(z_C, z_M^k), z_M^k = R_M(eps_k, z_M^(k-1)): one frame at a time, by a cell with the same weights."""
    generator = tiny().double().generator.eval()
    z = torch.randn(3, 8 + 4 + 8 * 4, dtype=torch.float64)
    clip, cell = generator(z), nn.GRUCell(4, 4).double()
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in generator.recurrent.state_dict().items()})
    content, state = z[:, :8], z[:, 8:12]
    for k in range(8):
        state = cell(z[:, 12 + 4 * k : 16 + 4 * k], state)
        frame = generator.image(torch.cat([content, state], 1)[:, :, None, None])
        assert torch.allclose(clip[:, :, k], frame)
    assert clip.shape == (3, 3, 8, 16, 16) and clip.abs().max() <= 1


def test_without_noise_frames_change_only_through_the_recurrent_network() -> None:
    model = tiny().eval()
    z = model.latents(4, 0)
    z[:, 12:] = 0  # no eps: the path still goes on from where it begins
    clip = model.render(z)
    assert (clip[:, :, 1:] - clip[:, :, :-1]).abs().amax((1, 2, 3, 4)).min() > 1e-4
    assert torch.allclose(model.render(z)[:2], model.render(z[:2]), atol=1e-5)  # kernels differ with the size of a batch
    for parameter in model.generator.recurrent.parameters():
        nn.init.zeros_(parameter)
    z[:, 8:] = 0  # a recurrent network of zeros stays where it is: at zero
    frozen = model.render(z)
    assert (frozen == frozen[:, :, :1]).all() and frame_change(frozen) == 0
    assert content_distance(frozen.mean((3, 4)).transpose(1, 2).numpy()) == 0
    assert not torch.equal(frozen[0], frozen[1])  # the contents differ


def test_content_is_one_for_all_frames_and_noise_is_each_frames_own() -> None:
    model = tiny().eval()
    spread = model.generator.spread(torch.arange(6.0).view(2, 3), 5)
    assert spread.shape == (2, 5, 3) and (spread == spread[:, :1]).all() and spread[1, 0].tolist() == [3, 4, 5]
    z = model.latents(1, 0)
    for k in range(8):  # eps_k has no part in the frames before it, and a part in its own
        changed = z.clone()
        changed[:, 12 + 4 * k : 16 + 4 * k] += 1
        differs = (model.render(changed) != model.render(z)).flatten(3).any(3).any(1)[0]
        assert not differs[:k].any() and differs[k:].all()
    other = z.clone()
    other[:, :8] += 1
    assert (model.render(other) != model.render(z)).flatten(3).any(3).any(1).all()


def test_what_is_drawn_is_standard_normal() -> None:
    model = tiny()
    assert model.latent == 8 + 4 + 8 * 4 == model.draw(5).shape[1]
    for z in (model.draw(4000), model.latents(4000, 1)):
        assert z.mean(0).abs().max() < 0.1 and (z.std(0) - 1).abs().max() < 0.1
        assert torch.corrcoef(z.T).fill_diagonal_(0).abs().max() < 0.1


def test_longer_clips_begin_as_shorter_ones() -> None:
    model = tiny()
    long, short = model.sample(3, seed=4, frames=20), model.sample(5, seed=4)
    assert long.shape == (3, 3, 20, 16, 16) and torch.allclose(long[:, :, :8], short[:3], atol=1e-6)
    assert (long[:, :, 8:] != long[:, :, :1]).any()


def test_contents_and_motions_are_exchanged() -> None:
    model = tiny()
    z = model.latents(5, 0)
    every = model.exchanged(z, 2, 3).view(2, 3, -1)
    assert (every[:, :, :8] == z[:2, None, :8]).all() and (every[:, :, 8:] == z[None, 2:, 8:]).all()


# What the critics see ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "frames"), [(16, 7), (16, 8), (32, 10), (32, 16), (64, 13), (64, 16)])
def test_critics_shapes(side: int, frames: int) -> None:
    model = Categorical(**TINY | {"image_size": side, "frames": frames}, classes=3)
    clip = torch.rand(2, 3, frames, side, side)
    judged = model.video_critic(clip)
    assert judged.source.shape == (2,) and judged.category.shape == (2, 3)
    assert model.image_critic(clip[:, :, 0]).shape == (2, 4, 4)
    with pytest.raises(PaperzooError, match=f"model.frames must be at least {3 * (side.bit_length() - 3) + 1} at {side} px"):
        Model(**TINY | {"image_size": side, "frames": 3 * (side.bit_length() - 3)})


def test_at_the_papers_size() -> None:
    """16 frames fall to 13, 10, 7 and 4, which the last kernel sees; single layers counted by hand."""
    with torch.device("meta"):
        model, seen = Model(), []
        for layer in model.video_critic.body:
            if isinstance(layer, nn.Conv3d):
                layer.register_forward_hook(lambda m, i, o: seen.append(tuple(o.shape[1:])))
        model.video_critic(torch.rand(2, 3, 16, 64, 64))
        assert seen == [(64, 13, 32, 32), (128, 10, 16, 16), (256, 7, 8, 8), (512, 4, 4, 4)]
        assert model.video_critic.answer.kernel_size == (4, 4, 4)
    assert count(model.generator.recurrent) == 3 * (10 * 10 + 10 * 10 + 2 * 10)
    assert count(model.generator.image) == 16 * (60 * 512 + 512 * 256 + 256 * 128 + 128 * 64 + 64 * 3) + 2 * (512 + 256 + 128 + 64)
    assert count(model.video_critic) == 64 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512) + 2 * (128 + 256 + 512)
    assert count(model.image_critic) == 16 * (3 * 64 + 64 * 128 + 128 * 256 + 256) + 2 * (128 + 256)
    assert catalog.paper("mocogan").parameters == {"mocogan": count(model), "categorical": count(Categorical().to("meta"))}


def test_only_the_critic_of_clips_knows_the_order_of_frames() -> None:
    model, clip = tiny().eval(), torch.rand(2, 3, 8, 16, 16)
    backwards = clip.flip(2)
    assert (model.video_critic(clip).source - model.video_critic(backwards).source).abs().max() > 1e-5
    one = model.image_critic(clip.transpose(1, 2).flatten(0, 1)).view(2, 8, 4, 4)
    assert torch.allclose(one.flip(1), model.image_critic(backwards.transpose(1, 2).flatten(0, 1)).view(2, 8, 4, 4), atol=1e-6)


def test_noise_is_added_in_training_alone() -> None:
    x = torch.zeros(100, 100)
    layer = Noise(0.3)
    assert layer(x).std().item() == pytest.approx(0.3, abs=0.01) and layer(x).mean().abs() < 0.02
    assert layer.eval()(x) is x and Noise(0.0)(x) is x
    model = tiny(critic_noise=0.5)
    for critic, kind in ((model.image_critic, nn.Conv2d), (model.video_critic, nn.Conv3d)):
        layers = list(critic.body)
        noisy = [a.deviation for a, b in zip(layers, layers[1:], strict=False) if isinstance(a, Noise) and isinstance(b, kind)]
        assert noisy == [0.5] * sum(isinstance(one, kind) for one in layers)


def test_clips_and_stills_are_of_the_video() -> None:
    model = tiny(frames=7, every=2)
    video = torch.arange(20.0).view(1, 1, 20, 1, 1).expand(50, 3, 20, 2, 2)
    firsts = set()
    for _ in range(60):
        clip = model.clip(video, model.every)
        assert clip.shape == (50, 3, 7, 2, 2) and (clip == clip[:1]).all()
        steps = clip[0, 0, :, 0, 0]
        assert (steps[1:] - steps[:-1] == 2).all()
        firsts.add(int(steps[0]))
    assert firsts == set(range(8))
    stills = model.still(video)
    assert stills.shape == (50, 3, 2, 2) and (stills == stills[:, :1, :1, :1]).all() and len(stills[:, 0, 0, 0].unique()) > 8
    with pytest.raises(PaperzooError, match=r"have 12 frames, the model's 7, one in 2 of 13: set model\.frames=6"):
        model.clip(video[:, :, :12], 2)


def test_losses() -> None:
    real, fake = torch.randn(3, 4, 4, dtype=torch.float64), torch.randn(3, 4, 4, dtype=torch.float64)
    ones, zeros = torch.ones_like(real), torch.zeros_like(real)
    cross = F.binary_cross_entropy_with_logits
    assert torch.allclose(critic_loss(real, fake), cross(real, ones) + cross(fake, zeros))
    assert torch.allclose(generator_loss(fake), cross(fake, ones))


class Told:
    """Stands for the optimisers: keeps each player's loss, and the gradients of it by network."""

    def __init__(self, model: nn.Module) -> None:
        self.model, self.losses, self.order = model, {}, []

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(minimize=lambda loss: self.take(name, loss))

    def take(self, name: str, loss: Tensor) -> None:
        self.order.append(name)
        own = {n: list(getattr(self.model, n).parameters()) for n in ("generator", "image_critic", "video_critic")}
        flat = [p for group in own.values() for p in group]
        gradient = iter(torch.autograd.grad(loss, flat, retain_graph=True, allow_unused=True))
        reached = {n: [next(gradient) for _ in group] for n, group in own.items()}
        self.losses[name] = (float(loss.detach()), {n: sum(g is not None and bool(g.any()) for g in found) for n, found in reached.items()})


@pytest.mark.parametrize("labelled", [None, True, False])
def test_a_step_is_the_papers(labelled: bool | None) -> None:
    """Critics first, each on its own network alone; the generator through both, and R_M too."""
    arguments = {} if labelled is None else {"classes": 3, "labelled": labelled}
    model = tiny(**arguments, critic_noise=0.0)
    opt = Told(model)
    model.step(Batch(video=torch.rand(6, 3, 8, 16, 16), label=torch.arange(6) % 3), opt)
    assert opt.order == ["image_critic", "video_critic", "generator"]
    whole = {name: len(list(getattr(model, name).parameters())) for name in opt.order}
    assert opt.losses["image_critic"][1] == {"generator": 0, "image_critic": whole["image_critic"], "video_critic": 0}
    assert opt.losses["video_critic"][1] == {"generator": 0, "image_critic": 0, "video_critic": whole["video_critic"]}
    assert opt.losses["generator"][1] == {"generator": whole["generator"], **{n: whole[n] for n in opt.order[:2]}}


@pytest.mark.parametrize("labelled", [True, False])
def test_what_q_learns_from(labelled: bool) -> None:
    """Labels of real clips, or z_A of generated ones; the generator always from z_A, lambda times."""
    model = tiny(classes=3, labelled=labelled, weight=2.0)
    judged = [model.video_critic(torch.rand(4, 3, 8, 16, 16)) for _ in range(2)]
    label, category = torch.tensor([0, 1, 2, 0]), torch.tensor([2, 2, 1, 0])
    taught = model.taught(*judged, Batch(label=label), category)
    expected = F.cross_entropy(judged[0].category, label) if labelled else F.cross_entropy(judged[1].category, category)
    assert torch.equal(taught, expected)
    by_hand = -2 * judged[1].category.log_softmax(1)[torch.arange(4), category].mean()
    assert torch.allclose(model.told(judged[1], category), by_hand)
    assert model.category(3000).bincount().min() > 900


def test_the_category_goes_into_the_recurrent_network_at_every_frame() -> None:
    model = tiny(classes=3)
    assert model.generator.recurrent.input_size == 3 + 4
    given: list[Tensor] = []
    model.generator.recurrent.register_forward_pre_hook(lambda m, inputs: given.append(inputs[0]))
    z = model.latents(2, 0)
    model.render(z, torch.tensor([2, 0]))
    assert given[0][:, :, :3].tolist() == [[[0, 0, 1]] * 8, [[1, 0, 0]] * 8]
    assert torch.equal(given[0][:, :, 3:], z[:, 12:].view(2, 8, 4))
    first, second = model.sample(6, label=0), model.sample(6)
    assert torch.allclose(first[[0, 3]], second[[0, 3]], atol=1e-6) and (first[1] - second[1]).abs().max() > 1e-5
    with pytest.raises(PaperzooError, match="label 3 is no class"):
        model.sample(2, label=3)


def test_the_average_is_what_ships() -> None:
    model = tiny(average=0.5)
    for parameter in model.generator.parameters():
        nn.init.normal_(parameter)
    assert model.average is not None
    _, state = model.lean()
    other = Model(**TINY | {"average": 0.0})
    other.load_state_dict(state)
    assert torch.allclose(model.sample(2), other.sample(2)) and not any(name.startswith("average") for name in state)


@pytest.mark.processor
@pytest.mark.parametrize(("side", "frames"), [(16, 7), (16, 8), (32, 10), (32, 16)])
def test_gradients_of_deep_kernels_are_right_in_bf16(side: int, frames: int) -> None:
    """oneDNN's bfloat16 gradients of kernels deeper than the clip they meet are garbage; D_V's never are deeper."""
    gradients = []
    video = torch.rand(4, 3, frames, side, side)
    for kind in ("float32", "bf16", "bf16"):
        model = tiny(image_size=side, frames=frames, critic_noise=0.0)
        precision.prepare(model, kind, torch.device("cpu"))
        rubbish = [torch.full((1 << 14,), float("nan")) for _ in range(20)]
        del rubbish
        gradients.append(torch.autograd.grad(model.video_critic(video).source.square().sum(), list(model.video_critic.parameters())))
    for exact, first, again in zip(*gradients, strict=True):
        assert torch.equal(first, again) and (first - exact).norm() <= 0.15 * exact.norm()


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipes_build_their_models(recipe: str) -> None:
    variant = RECIPES[recipe].variants[0]
    assert job(f"mocogan:{variant}", recipe).recipe.data == RECIPES[recipe].data
    entry = catalog.load(f"mocogan:{variant}")
    with torch.device("meta"):
        catalog.build(entry, {**entry.arguments, **RECIPES[recipe].model})


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"frames": 6}, "model.frames must be at least 7 at 16 px"),
        ({"image_size": 24}, "model.image_size must be"),
        ({"critic_noise": -0.1}, "model.critic_noise must be"),
        ({"categories": 3}, "unknown argument 'model.categories'"),
    ],
)
def test_arguments(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(PaperzooError, match=re.escape(says)):
        paperzoo.create("mocogan", **TINY | arguments)


# Learning ------------------------------------------------------------------------------------------------------------


STEPS = 80


def bands(number: int) -> Tensor:
    """Clips of one colour each, a white band moving down: (N, 3, 8, 16, 16)."""
    colour = torch.rand(number, 3, 1, 1, 1).expand(-1, -1, 8, 16, 16).clone()
    start = torch.randint(0, 9, (number,))
    row = torch.arange(16)[None, None] - start[:, None, None] - torch.arange(8)[None, :, None]  # (N, T, H)
    lit = ((row >= 0) & (row < 2))[:, None, :, :, None].expand_as(colour)
    return torch.where(lit, torch.ones(()), 0.8 * colour)


class Anew(Generator):
    """The mistake: content drawn anew for every frame."""

    def spread(self, content: Tensor, frames: int) -> Tensor:
        return torch.randn(len(content), frames, content.shape[1])


@pytest.mark.processor
@pytest.mark.parametrize("anew", [False, True])
def test_content_stays_in_a_clip(anew: bool) -> None:
    """Colours of a clip are nearer to each other than those of shuffled frames; not so if z_C is drawn for each frame."""
    torch.manual_seed(0)
    model = Model(**TINY)
    if anew:
        model.generator.__class__ = Anew
    opt = Players(model.optimizers(lr=2e-3, lr_critics=1e-3))
    opt.total = opt.stage_steps = STEPS
    for step in range(STEPS):
        opt.iteration = step
        model.step(Batch(video=bands(16)), opt)
    clips = model.eval().sample(200)
    colours = clips.mean((3, 4)).transpose(1, 2).numpy()
    share = content_distance(colours) / content_distance(shuffled(colours))
    assert share > 0.8 if anew else share < 0.7, share  # of six seeds 0.12 to 0.54
    assert anew or frame_change(clips) > 0.15 * frame_change(bands(200))  # 0.22 to 0.36; frozen clips have 0
