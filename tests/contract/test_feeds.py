"""What a step of each adversarial paper feeds to which network, in what order, range and mode: one line a paper."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fixtures.training import job, loop
from torch import Tensor, nn

import paperzoo
from paperzoo import catalog
from paperzoo.data import Batch
from paperzoo.engine import loop as loops

GAME = "G(z), D(real), D(fake, detached), step discriminator, D(fake), step generator"
CRITIC = "G(z) without gradient, D(real), D(fake, detached)"
THEN = "step critic, G(z), D(fake), step generator"

#: what happens in one step. "detached": no gradient goes back to what made the input; "| y": under the labels of the batch
STORIES = {
    "gan": f"{GAME}, average",
    "gan:minimax": f"{GAME}, average",
    "gan:toy": GAME,
    "dcgan": f"{GAME}, average",
    "gan3d": f"{GAME}, average",
    "infogan": f"{GAME}, average",
    "acgan": f"{GAME.replace('G(z)', 'G(z | y)')}, average",
    "cgan": f"{GAME.replace(')', ' | y)').replace(', detached', '; detached').replace('; detached | y', ' | y, detached')}, average",
    "wgan": f"{CRITIC}, {THEN}",
    "wgan:toy": f"{CRITIC}, {THEN}",
    "wgan_gp": f"{CRITIC}, D(between), {THEN}, average",
    "wgan_gp:resnet": f"{CRITIC}, D(between), {THEN}, average",
    "wavegan": f"{CRITIC}, D(between), {THEN}, average",
    "wgan_gp:toy": f"{CRITIC}, D(between), {THEN}",
    "sgan": f"G(z), D(labelled), {GAME.removeprefix('G(z), ')}",
    "sgan:feature_matching": "G(z), D(labelled), D(real), D(fake, detached), step discriminator, D(fake), D(real) without gradient, "
    "step generator",
    "ssgan": "G(z), D(real), D(fake, detached), D(turned real), step discriminator, D(fake), D(turned fake), step generator, average",
    "cfggan:logd": GAME.replace("step generator", "step approximator"),
    "vaegan": "E(real), G(z), G(z), D(real), D(fake), D(fake), step encoder decoder discriminator",
    "aae": "E(image), G(code), step autoencoder, E(image), D(z), D(code, detached), step discriminator, D(code), step generator",
}
STORIES["cgan:conv"] = STORIES["cgan"]

#: of training's latent vectors: uniform in [-1, 1], or in [0, 1] (``unit``), standard normal, or normal with the paper's deviation
PRIORS = {
    **dict.fromkeys(("gan", "gan:minimax", "gan:toy", "dcgan", "acgan", "cgan", "cgan:conv", "sgan", "sgan:feature_matching"), "uniform"),
    "wavegan": "uniform",
    **dict.fromkeys(("wgan", "wgan:toy", "wgan_gp", "wgan_gp:resnet", "wgan_gp:toy", "ssgan", "cfggan:logd", "vaegan"), 1.0),
    "aae": 5.0,
    "gan3d": "unit",  # 1610.07584, section 3.2
}

#: ``average = None`` of the class Game in gan.py comes before the module of that name: what is called there is never the average
NETWORKS = {"generator": "G", "approximator": "G", "decoder": "G", "discriminator": "D", "critic": "D", "encoder": "E"}


class Spy:
    """Takes down what the networks of a loop's model are fed, and who steps."""

    def __init__(self, made: loops.Loop, batch: Batch) -> None:
        self.model, self.opt, self.batch = made.model, made.opt, batch
        self.story: list[str] = []
        self.inputs: list[tuple[str, Tensor]] = []  # what the networks were fed, with what it is
        self.known: list[tuple[str, Tensor]] = []  # what the networks have put out so far
        for name, network in self.model.named_children():
            if name in NETWORKS:
                network.register_forward_hook(lambda m, inputs, output, name=name: self.fed(NETWORKS[name], m, inputs, output))
        self.right, self.opt._minimize = self.opt._minimize, self.stepped  # type: ignore[method-assign]
        average = getattr(self.model, "average", None)
        if average is not None:
            update = average.update
            average.update = lambda network: (self.story.append("average"), update(network))

    def fed(self, network: str, module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        what = self.name(network, inputs[0])
        if what in ("fake", "turned fake", "code") and network == "D" and not inputs[0].requires_grad:
            what += ", detached"
        if len(inputs) > 1:
            classes = inputs[1].shape[1]
            assert torch.equal(inputs[1], nn.functional.one_hot(self.batch.label, classes).float()), "another label"
            what = what.replace("fake, detached", "fake | y, detached") if "," in what else f"{what} | y"
        self.inputs.append((f"{network}({what})", inputs[0].detach().clone()))
        self.story.append(f"{network}({what}){'' if torch.is_grad_enabled() else ' without gradient'}{'' if module.training else ', eval'}")
        if network != "D":
            self.known.append(("fake" if network == "G" else "code", output))

    def name(self, network: str, x: Tensor) -> str:
        if network == "E":
            return "real" if not torch.equal(x, self.batch.image) else "image"
        if network == "G":
            return "code" if any(what == "code" and found is x for what, found in self.known) else "z"
        reals = [(f, v) for f, v in vars(self.batch).items() if f in ("image", "labelled", "point", "volume", "audio")]
        for field, value in reals:
            if x.shape == value.shape and scaled(x, value):
                return "labelled" if field == "labelled" else "real"
        for what, found in self.known:
            if isinstance(found, Tensor) and torch.equal(x, found):
                return what
        for field, value in [*reals, *((w, f) for w, f in self.known if isinstance(f, Tensor))]:
            if x.ndim == 4 and scaled(x, torch.cat([value[: len(value) // 4].rot90(k, (2, 3)) for k in range(4)])):
                return "turned fake" if field == "fake" else "turned real"
        return "between" if any(what == "fake" and found.shape == x.shape for what, found in self.known) else "z"

    def stepped(self, losses: dict[str, Any]) -> None:
        self.story.append(f"step {' '.join(losses)}")
        self.right(losses)


def scaled(x: Tensor, value: Tensor) -> bool:
    """Whether x is ``value``, in [0, 1] or taken to [-1, 1]."""
    return torch.equal(x, value) or torch.allclose(x, 2 * value - 1, atol=1e-6)


def spied(name: str, folder: Path, **overrides: Any) -> Spy:
    """A smoke run of which every step is one of all players; the first two images are black and white, sounds at either end."""
    torch.manual_seed(0)
    if name.partition(":")[0] in ("wgan", "wgan_gp", "wavegan"):
        overrides |= {"model.critic_steps": 1}
    if name.partition(":")[0] == "wgan":
        overrides |= {"model.burst": 1}
    made = loop(job(name, "smoke", **overrides), folder)
    batch = made.split.batch(made.order.batch(0))
    for field in ("image", "labelled", "volume", "audio"):
        if field in vars(batch):
            images = vars(batch)[field].clone()
            images[0], images[1] = -1 if field == "audio" else 0, 1
            setattr(batch, field, images)
    return Spy(made, batch)


@pytest.mark.parametrize("name", STORIES)
def test_a_step_is_the_papers(name: str, tmp_path: Path) -> None:
    spy = spied(name, tmp_path)
    average = getattr(spy.model, "average", None)
    before = {n: p.detach().clone() for n, p in spy.model.named_parameters()}
    spy.model.step(spy.batch, spy.opt)
    assert ", ".join(spy.story) == STORIES[name]
    if average is not None:  # of the weights *after* the step; its decay is at most 2/11 in its first update
        for n, p in average.network.named_parameters():
            old, new = before[f"generator.{n}"], spy.model.generator.get_parameter(n).detach()
            assert torch.allclose(p, 2 / 11 * old + 9 / 11 * new, atol=1e-7), n
        assert not torch.equal(before[f"generator.{n}"], new)


@pytest.mark.parametrize("name", [n for n in STORIES if n != "aae" and not n.endswith("toy")])
def test_real_and_generated_images_reach_the_discriminator_in_one_range(name: str, tmp_path: Path) -> None:
    spy = spied(name, tmp_path)
    generator = next(network for n, network in spy.model.named_children() if NETWORKS.get(n) == "G")
    kinds = nn.Linear | nn.Conv2d | nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d
    *_, last = (m for m in generator.modules() if isinstance(m, kinds))
    with torch.no_grad():
        last.weight.mul_(1e6)  # sure of every pixel: it draws as black and as white as it can
    spy.model.step(spy.batch, spy.opt)
    ends = {}
    for what in ("real", "fake", "labelled"):
        found = [x for kind, x in spy.inputs if kind.startswith(f"D({what}")]
        if found:
            ends[what] = (round(min(float(x.min()) for x in found), 4), round(max(float(x.max()) for x in found), 4))
    assert set(ends) >= {"real", "fake"} and len(set(ends.values())) == 1, ends
    assert set(ends.values()) <= {(-1, 1), (0, 1)}
    spy.model.eval()
    with torch.no_grad():  # and what users get lies in [0, 1], a sound in [-1, 1]
        last.weight.mul_(0).add_(torch.randn_like(last.weight) * 1e6)
        average = getattr(spy.model, "average", None)
        if average is not None:
            average.network.load_state_dict(spy.model.generator.state_dict())
    samples = spy.model.sample(8)
    least = -1 if "audio" in vars(spy.batch) else 0
    assert samples.min().item() == pytest.approx(least, abs=1e-4) and samples.max().item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", PRIORS)
def test_noise_comes_from_the_papers_distribution(name: str, tmp_path: Path) -> None:
    spy = spied(name, tmp_path)
    spy.model.step(spy.batch, spy.opt)
    # what the networks were fed in this step, and what they are fed in general
    fed = torch.cat([x.flatten() for kind, x in spy.inputs if kind.startswith(("G(z", "D(z"))])
    if name == "vaegan":  # of its two the first is the code of an image
        fed = [x for kind, x in spy.inputs if kind == "G(z)"][1].flatten()
    drawn = spy.model.draw(20_000).flatten()
    ahead = spy.model.latents(20_000, seed=1).flatten()  # for samples
    for z in (fed, drawn, ahead):
        if PRIORS[name] == "unit":
            z = 2 * z - 1
        if PRIORS[name] in ("uniform", "unit"):
            deviation, kurtosis = 1 / math.sqrt(3), 1.8
            assert z.abs().max() <= 1
        else:
            deviation, kurtosis = PRIORS[name], 3.0
        assert abs(float(z.mean())) < 5 * deviation / math.sqrt(len(z))
        assert float(z.square().mean()) == pytest.approx(deviation**2, rel=5 * math.sqrt((kurtosis - 1) / len(z)))
        assert float(z.pow(4).mean()) == pytest.approx(kurtosis * deviation**4, rel=60 / math.sqrt(len(z)))


@pytest.mark.parametrize("name", ["wgan_gp", "wgan_gp:toy", "wgan_gp:resnet", "wavegan"])
def test_penalty_is_taken_at_one_point_a_pair_each_with_an_alpha_of_its_own(name: str, tmp_path: Path) -> None:
    shares = []
    for _ in range(4):
        spy = spied(name, tmp_path)
        spy.model.step(spy.batch, spy.opt)
        (real,), (fake, _), (between,) = (
            [x.flatten(1) for kind, x in spy.inputs if kind.startswith(f"D({what}")] for what in ("real", "fake", "between")
        )
        share = ((between - fake) * (real - fake)).sum(1) / (real - fake).square().sum(1)  # (N)
        assert torch.allclose(between, share[:, None] * real + (1 - share[:, None]) * fake, atol=1e-4), "not on the line between"
        assert len({round(float(a), 5) for a in share}) > 0.9 * len(share), "one alpha for the batch"
        shares.append(share)
    every = torch.cat(shares)
    assert every.min() > -1e-3 and every.max() < 1 + 1e-3
    assert abs(float(every.mean()) - 0.5) < 5 * math.sqrt(1 / 12 / len(every)) and float(every.var()) == pytest.approx(1 / 12, rel=0.6)


@pytest.mark.parametrize("name", paperzoo.list_papers())
def test_no_attribute_of_a_class_hides_a_network_or_a_tensor(name: str) -> None:
    average = {"average": 0.5} if name in ("acgan", "cgan", "dcgan", "gan", "gan3d", "infogan", "ssgan", "wavegan", "wgan_gp") else {}
    kinds = {catalog.load(f"{name}:{variant}").model_class: variant for variant in reversed(paperzoo.paper(name).variants)}
    for variant in kinds.values():  # one of each class
        with torch.device("meta"):
            model = paperzoo.create(f"{name}:{variant}", **({} if variant.startswith("toy") else average))
        for module in model.modules():
            for what, owned in {**module._modules, **module._parameters, **module._buffers}.items():
                assert getattr(module, what) is owned, f"{name}:{variant}: {type(module).__name__}.{what}"


def test_every_adversarial_paper_is_here() -> None:
    # fed pictures or sentences, with two critics, or growing: the step is pinned in the tests of each
    own = {"cyclegan", "discogan", "stargan", "srgan", "stackgan", "mocogan", "progan", "stylegan"}
    assert {name.partition(":")[0] for name in STORIES} | own >= {n for n in paperzoo.list_papers() if "gan" in n}


CLASSIFIERS = (
    "cnn", "eat_nas", "fractalnet", "lenet", "mobilenet", "preact_resnet", "ram:fc", "resnet", "rethinking", "stochastic_depth", "transfer",
    "vgg",
)  # fmt: skip


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifiers_step_is_the_cross_entropy_of_what_it_sees_in_use(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    made = loop(job(name, "smoke"), tmp_path)
    batch, calls, losses = made.split.batch(made.order.batch(0)), [], []
    network = made.model.get_submodule("network")
    network.register_forward_hook(lambda m, inputs, output: calls.append((inputs[0], output, m.training)))
    player = SimpleNamespace(minimize=losses.append)
    made.model.train()
    made.model.step(batch, SimpleNamespace(network=player, action=player, mean=lambda x: x, iteration=0, total=1))
    seen, logits, training = calls[-1]
    assert training or name == "transfer"  # whose body is frozen
    p = logits.detach().double().exp()
    expected = -(p[range(len(p)), batch.label] / p.sum(1)).log().mean()
    assert len(losses) == 1 and losses[0].item() == pytest.approx(expected.item(), rel=1e-4)
    with torch.no_grad():
        made.model.eval()(batch.image)
    assert torch.allclose(calls[-1][0], seen, atol=1e-6), "training sees other images than use does"


@pytest.mark.parametrize(
    ("name", "arguments", "side", "black", "white"),
    [
        ("lenet", {}, (1, 32, 32), -0.1, 1.175),  # section II-B
        ("inception:v3", {"width": 0.05, "aux": False, "stem": "small", "image_size": 35}, (3, 35, 35), -1.0, 1.0),
        ("t3d", {"blocks": (1, 1), "width": 4, "growth": 2, "ttl": 2}, (3, 4, 16, 16), -1.0, 1.0),
        ("t3d:densenet3d121", {"blocks": (1, 1), "width": 4, "growth": 2}, (3, 4, 16, 16), -1.0, 1.0),
        ("resnet", {"depth": 8, "mean": (0.25,), "std": (0.5,)}, (3, 16, 16), -0.5, 1.5),
        ("stochastic_depth", {"depth": 8, "mean": (0.25,), "std": (0.5,)}, (3, 16, 16), -0.5, 1.5),
        ("preact_resnet:preact20", {"depth": 8, "mean": (0.25,)}, (3, 16, 16), -0.25, 0.75),
        ("fractalnet", {"blocks": 2, "width": 4, "mean": (0.25,)}, (3, 16, 16), -0.25, 0.75),
        ("cnn", {"mean": (0.25,)}, (1, 28, 28), -0.25, 0.75),
        ("eat_nas", {"width": 0.25, "mean": (0.25,), "std": (0.5,)}, (3, 32, 32), -0.5, 1.5),
        ("mobilenet", {"width": 0.25, "mean": (0.25,), "std": (0.5,)}, (3, 32, 32), -0.5, 1.5),
        ("vgg:vgg11", {"width": 0.0625, "image_size": 32, "mean": (0.25,), "std": (0.5,)}, (3, 32, 32), -0.5, 1.5),
    ],
)
def test_black_and_white_as_the_network_sees_them(
    name: str, arguments: dict[str, Any], side: tuple[int, ...], black: float, white: float
) -> None:
    model, seen = paperzoo.create(name, **arguments).eval(), []
    model.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        model(torch.zeros(1, *side))
        model(torch.ones(1, *side))
        model.features(torch.ones(1, *side))
    for x, value in zip(seen, (black, white, white), strict=False):
        assert torch.allclose(x, torch.full_like(x, value), atol=1e-6)
    assert len(seen) >= 2
