"""VQA held to Antol et al. 2015: both states of both layers, the norm, the product, the MLP; and that all of it is needed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fixtures.training import Taken, constant, count
from torch import Tensor, nn

import paperzoo
from paperzoo import PaperzooError
from paperzoo.data import Batch
from paperzoo.data.captions.words import SPECIAL
from paperzoo.engine.players import Players
from paperzoo.papers.recognition import vgg
from paperzoo.papers.vision_language import vqa
from paperzoo.papers.vision_language.vqa import RECIPES, DeeperLSTM, Model, fc7

WORDS = (*SPECIAL, *"abcdefgh")
TINY: dict[str, Any] = {
    "encoder": "convolutions", "filters": 4, "embedding": 6, "hidden": 5, "common": 7, "mlp": 9, "scale": 1.0, "dropout": 0.0,
    "vocabulary": WORDS, "classes": 3, "image_size": 32,
}  # fmt: skip


def tiny(**changes: Any) -> Model:
    torch.manual_seed(0)
    return Model(**{**TINY, **changes})


def asked(number: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures, questions of one to five words, and their lengths."""
    random = torch.Generator().manual_seed(1)
    length = torch.arange(number) % 5 + 1
    question = torch.randint(4, len(WORDS), (number, 5), generator=random)
    return torch.rand(number, 3, 32, 32, generator=random), question * (torch.arange(5) < length[:, None]), length


# The question --------------------------------------------------------------------------------------------------------


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_q_is_made_of_hidden_state_and_cell_of_both_layers_behind_the_last_word() -> None:
    torch.manual_seed(2)
    read = DeeperLSTM(len(WORDS), 6, 5, 2, 7)
    _, question, length = asked()
    q = read(question, length).detach().numpy()
    weights = {name: p.detach().double().numpy() for name, p in read.named_parameters()}
    for row, (numbers, words) in enumerate(zip(question.tolist(), length.tolist(), strict=True)):
        inputs, states = [np.tanh(weights["words.weight"][n]) for n in numbers[:words]], []
        for layer in range(2):
            w, u, b, c_ = (weights[f"lstm.{kind}_l{layer}"] for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
            h, c, outputs = np.zeros(5), np.zeros(5), []
            for x in inputs:
                i, f, g, o = np.split(w @ x + b + u @ h + c_, 4)
                c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
                h = sigmoid(o) * np.tanh(c)
                outputs.append(h)
            inputs, states = outputs, [*states, h, c]
        expected = np.tanh(weights["project.weight"] @ np.concatenate(states) + weights["project.bias"])
        assert np.allclose(q[row], expected, atol=1e-5), f"question {row} of {words} words"


def test_padding_and_other_questions_change_nothing() -> None:
    model = tiny().eval()
    image, question, length = asked()
    whole = model(image, question, length)
    for row in range(len(image)):
        own = int(length[row])
        alone = model(image[row : row + 1], question[row : row + 1, :own], length[row : row + 1])
        assert torch.allclose(whole[row], alone[0], atol=1e-5)
    longer = model(image, F.pad(question, (0, 3), value=7), length)
    assert torch.allclose(whole, longer, atol=1e-6), "behind its end nothing of a question is read"


# The picture, and both ---------------------------------------------------------------------------------------------


def test_v_is_made_of_features_of_length_one() -> None:
    model, seen = tiny().eval(), []
    model.network.project.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    image, question, length = asked()
    model(image, question, length)
    f = model.network.look(image)
    assert torch.allclose(seen[-1].norm(dim=1), torch.ones(len(image)), atol=1e-5)
    assert torch.allclose(seen[-1], f / f.square().sum(1, keepdim=True).sqrt(), atol=1e-6)
    other = tiny(norm=False).eval()
    other.network.project.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    other(image, question, length)
    assert torch.allclose(seen[-1], other.network.look(image)) and float(seen[-1].detach().norm(dim=1).std()) > 0


@pytest.mark.parametrize("fusion", ["product", "concatenation"])
def test_logits_by_hand(fusion: str) -> None:
    model = tiny(fusion=fusion).eval()
    image, question, length = asked()
    network = model.network
    q = network.read(question, length)
    v = torch.tanh(network.project(F.normalize(network.look(image), dim=1)))
    x = q * v if fusion == "product" else torch.cat([q, v], 1)
    one, two, last = (layer for layer in network.classify if isinstance(layer, nn.Linear))
    expected = last(torch.tanh(two(torch.tanh(one(x)))))
    assert torch.allclose(model(image, question, length), expected, atol=1e-6)
    assert one.in_features == (7 if fusion == "product" else 14)


def test_blind_sees_no_picture_and_deaf_hears_no_question() -> None:
    image, question, length = asked()
    blind, deaf, both = tiny(sees="question").eval(), tiny(sees="picture").eval(), tiny().eval()
    other_image, other_question = image.flip(0), torch.where(question > 0, (question - 3) % 8 + 4, 0)

    def changes(model: Model) -> tuple[bool, bool]:
        before, seen, heard = (model(i, q, length) for i, q in ((image, question), (other_image, question), (image, other_question)))
        return not torch.allclose(before, seen), not torch.allclose(before, heard)

    assert changes(both) == (True, True) and changes(blind) == (False, True) and changes(deaf) == (True, False)
    assert blind.network.look is None and deaf.network.read is None
    q = blind.network.read(question, length)
    assert torch.allclose(blind(image, question, length), blind.network.classify(q))


def test_dropout_is_behind_both_hidden_layers_and_in_training_alone() -> None:
    model = tiny(dropout=0.5)
    kinds = [type(layer).__name__ for layer in model.network.classify]
    assert kinds == ["Linear", "Tanh", "Dropout", "Linear", "Tanh", "Dropout", "Linear"]
    image, question, length = asked()
    assert not torch.equal(model(image, question, length), model(image, question, length))
    model.eval()
    assert torch.equal(model(image, question, length), model(image, question, length))


# The paper's size ------------------------------------------------------------------------------------------------------


def test_layers_at_the_papers_size() -> None:
    with torch.device("meta"):
        model = paperzoo.create("vqa")
    network = model.network
    assert (network.read.lstm.input_size, network.read.lstm.hidden_size, network.read.lstm.num_layers) == (300, 512, 2)
    assert (network.read.project.in_features, network.read.project.out_features) == (2048, 1024)
    assert (network.project.in_features, network.project.out_features) == (4096, 1024)
    assert [tuple(p.shape) for p in network.classify.parameters() if p.ndim == 2] == [(1000, 1024), (1000, 1000), (1000, 1000)]
    assert [layer.p for layer in network.classify if isinstance(layer, nn.Dropout)] == [0.5, 0.5] and model.network.norm
    lstm = 4 * 512 * (300 + 512 + 2) + 4 * 512 * (512 + 512 + 2)
    rest = 15_000 * 300 + 2048 * 1024 + 1024 + 4096 * 1024 + 1024 + 1024 * 1000 + 1000 + 2 * (1000 * 1000 + 1000)
    assert count(model) == lstm + rest == paperzoo.paper("vqa").parameters["vqa"]


def test_vgg_is_frozen_and_no_part_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, networks = [], []

    def fill(network: nn.Module, weights: str, places: dict[str, str]) -> None:
        networks.append(network)
        loaded.append((weights, places))

    monkeypatch.setattr(vqa, "load_published", fill)
    real = vgg.VGG
    monkeypatch.setattr(vgg, "VGG", lambda depth, norm, width, *rest: real(depth, norm, width / 64, *rest))
    fc7.cache_clear()
    try:
        image = torch.rand(2, 3, 224, 224)
        found = fc7("imagenet")(image.requires_grad_())
        assert found.shape == (2, 64) and not found.requires_grad and bool((found >= 0).all()), "behind a ReLU"
        assert loaded == [("imagenet", {"imagenet": "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"})]
        assert fc7("imagenet") is fc7("imagenet"), "made once"
        fc6, second, _ = (layer for layer in networks[0].classifier if isinstance(layer, nn.Linear))
        mean, std = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        expected = second(fc6(networks[0].features((image - mean) / std).flatten(1)).relu()).relu()
        assert torch.allclose(found, expected, atol=1e-5)
        model = Model(vocabulary=WORDS, classes=3)
        model.network.project = nn.Linear(64, 1024)
        logits = model(image, torch.tensor([[4, 5], [6, 7]]), torch.tensor([2, 2]))
        logits.sum().backward()
        assert logits.shape == (2, 3) and not any("vgg" in n or "features" in n for n, _ in model.named_parameters())
        white, grey = (fc7("imagenet")(torch.full((1, 3, 224, 224), level)) for level in (1.0, 0.5))
        assert not torch.allclose(white, grey)
    finally:
        fc7.cache_clear()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"encoder": "vgg19"}, "VGG-19 sees 3 channels of 224x224 pixels, not 3 of 32: set model.encoder=convolutions"),
        ({"encoder": "vgg19", "image_size": 224, "channels": 1}, "not 1 of 224"),
        ({"image_size": 15}, "nothing of 15x15 pixels: model.image_size is at least 16"),
        ({"vocabulary": ("a", "b")}, "begins with <pad>"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(PaperzooError, match=said):
        tiny(**changes)


# Training ------------------------------------------------------------------------------------------------------------


def test_a_step_is_on_the_cross_entropy_of_the_answer_learnt() -> None:
    model = tiny()
    image, question, length = asked()
    label, taken = torch.tensor([0, 2, 1, 1, 0]), Taken()
    model.step(Batch(image=image, question=question, length=length, label=label), taken)  # type: ignore[arg-type]
    with torch.no_grad():
        p = model(image, question, length).softmax(1)
    assert taken.loss.item() == pytest.approx(-float(p[torch.arange(5), label].log().mean()), rel=1e-5)


def test_every_weight_that_can_matter_is_moved_by_a_step() -> None:
    model = tiny()
    image, question, length = asked()
    model.network(image, question, length).square().sum().backward()
    still = [name for name, p in model.network.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []


def test_optimisers_of_the_paper_and_of_the_small_recipes() -> None:
    model = tiny()
    (rms, schedule) = model.optimizers()["network"]  # type: ignore[misc]
    group = rms.param_groups[0]
    assert (type(rms).__name__, group["lr"], group["alpha"]) == ("RMSprop", 3e-4, 0.99)
    assert schedule(0, 100) == 1 and schedule(100, 100) == pytest.approx(0.027) and schedule(50, 100) == pytest.approx(0.027**0.5)
    adamw = constant(model.optimizers(method="adamw", lr=0.1, weight_decay=0.3))["network"]
    assert (type(adamw).__name__, adamw.param_groups[0]["lr"], adamw.param_groups[0]["weight_decay"]) == ("AdamW", 0.1, 0.3)


def test_projections_begin_uniform_within_the_scale() -> None:
    for scale in (0.08, 1.0):
        model = tiny(scale=scale, common=64)
        for project in (model.network.project, model.network.read.project):
            top = float(project.weight.detach().abs().max())
            assert 0.9 * scale < top <= scale and float(project.weight.detach().std()) == pytest.approx(scale / 3**0.5, rel=0.1)


ANSWERS = ("red", "green", "left", "right")


def coloured(items: int, seed: int) -> Batch:
    """A red or green square on the left or on the right, and what of both is asked: either alone, picture or question, leaves two
    answers open."""
    random = torch.Generator().manual_seed(seed)
    colour, side, sort = (torch.randint(2, (items,), generator=random) for _ in range(3))
    image = torch.ones(items, 3, 32, 32)
    for i in range(items):
        top, left = int(torch.randint(2, 20, (), generator=random)), 4 + 16 * int(side[i])
        image[i, :, top : top + 8, left : left + 8] = torch.tensor([[0.9, 0.1, 0.1], [0.1, 0.8, 0.1]])[colour[i]][:, None, None]
    question = torch.tensor([[4, 5, 6], [7, 6, 0]])[sort]  # what color is; where is
    label = torch.where(sort == 0, colour, 2 + side)
    return Batch(image=image, question=question, length=3 - sort, label=label)


def learnt(steps: int = 120, mixed: str = "", **changes: Any) -> float:
    """The share of held-out questions that are answered rightly after so many steps.

    Args:
        mixed: a field of the training batches whose rows are out of order.
    """
    little = {**RECIPES["small"].model, "filters": 8, "hidden": 16, "common": 32, "mlp": 32, "vocabulary": WORDS[:8], "classes": 4}
    model = Model(**{**little, "image_size": 32, **changes})
    opt = Players(model.optimizers(method="adamw", lr=5e-3))
    opt.total = opt.stage_steps = steps
    data, held = coloured(1000, 0), coloured(400, 1)
    for step in range(steps):
        opt.iteration, chosen = step, torch.randint(1000, (48,))
        batch = data.map(lambda t, chosen=chosen: t[chosen])  # type: ignore[misc]
        if mixed:
            setattr(batch, mixed, getattr(batch, mixed)[torch.randperm(len(batch))])
        model.step(batch, opt)
    model.eval()
    with torch.no_grad():
        return float((model(held.image, held.question, held.length).argmax(1) == held.label).float().mean())


@pytest.mark.processor
def test_it_learns_to_answer_and_with_the_pictures_of_others_it_does_not() -> None:
    assert learnt() > 0.9
    assert learnt(mixed="image") < 0.65


@pytest.mark.processor
@pytest.mark.parametrize("sees", ["question", "picture"])
def test_blind_or_deaf_it_can_only_guess(sees: str) -> None:
    assert learnt(sees=sees) < 0.65


@pytest.mark.processor
@pytest.mark.parametrize("changes", [{"norm": False}, {"fusion": "concatenation"}])
def test_the_variants_of_the_whole_learn_as_well(changes: dict[str, Any]) -> None:
    assert learnt(**changes) > 0.9
