"""Show, Attend and Tell: the decoder by its equations, the penalty, hard attention's estimator against the exact gradient, learning."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.captioners import LITTLE, WORDS, Fixed, captioner, learnt, pictures
from torch import Tensor, nn

import paperzoo
from paperzoo.data import Batch
from paperzoo.data.captions.plain import plain_scenes
from paperzoo.engine.players import Players, optimizers
from paperzoo.errors import PaperzooError
from paperzoo.papers.vision_language import encoders
from paperzoo.papers.vision_language.show_attend_tell import Decoder, Model, Reader, estimate, look, penalty
from paperzoo.tasks.captioning import PAD, Told, log_likelihood


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max())
    return e / e.sum()  # type: ignore[no-any-return]


def arrays(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.detach().double().numpy() for name, tensor in module.state_dict().items()}


# The equations of section 3.1.2 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_decoder_is_what_its_equations_say(kind: str) -> None:
    """One caption of one picture at a time, one word at a time, in NumPy."""
    model = captioner(kind, sure=2.0)
    assert isinstance(model, Model)
    grid = torch.randn(2, 8, 2, 3)
    words = torch.tensor([[[1, 4, 9, 5], [1, 7, 7, 10]], [[1, 8, 4, 4], [1, 5, 6, 9]]])
    told = model.decoder(model.reader(grid), words)
    r, d = arrays(model.reader), arrays(model.decoder)
    for n, k in product(range(2), range(2)):
        a = grid[n].double().numpy().reshape(8, 6).T  # (L, D)
        h, c = (np.tanh(r[f"init_{x}.weight"] @ a.mean(0) + r[f"init_{x}.bias"]) for x in "hc")
        for t, word in enumerate(words[n, k].tolist()):
            e = [float((d["score.weight"] @ np.tanh(r["key.weight"] @ a_i + r["key.bias"] + d["query.weight"] @ h))[0]) for a_i in a]
            alpha = softmax(np.array(e))
            if kind == "soft":
                z = sigmoid(d["beta.weight"] @ h + d["beta.bias"]) * sum(p * a_i for p, a_i in zip(alpha, a, strict=True))
            else:
                z = a[alpha.argmax()]
            y = d["embedding.weight"][word]
            gates = d["from_word.weight"] @ y + d["from_word.bias"] + d["from_state.weight"] @ h + d["from_picture.weight"] @ z
            i, f, o, g = np.split(gates, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            logits = d["l_o.weight"] @ (y + d["l_h.weight"] @ h + d["l_z.weight"] @ z) + d["l_o.bias"]
            assert np.allclose(told.logits[n, k, t].detach().numpy(), logits, atol=1e-4)
            assert np.allclose(told.attention[n, k, t].detach().numpy(), alpha, atol=1e-5)
        assert np.allclose(told.state[0][n, k].detach().numpy(), h, atol=1e-5)
        assert np.allclose(told.state[1][n, k].detach().numpy(), c, atol=1e-5)


def test_attention_sums_to_one_and_follows_the_words() -> None:
    model = captioner("soft")
    words = torch.tensor([[[1, 4, 5], [1, 4, 5], [1, 6, 5]]])
    alpha = model.say(model.see(pictures(1)), words).attention
    assert alpha is not None and alpha.shape == (1, 3, 3, 4)
    assert torch.allclose(alpha.sum(3), torch.ones(1, 3, 3)) and alpha.min() >= 0
    assert torch.allclose(alpha[0, 0], alpha[0, 1], atol=1e-6)
    # y_{t-1} acts on h_t
    assert torch.allclose(alpha[0, 0, :2], alpha[0, 2, :2], atol=1e-6) and not torch.allclose(alpha[0, 0, 2], alpha[0, 2, 2])


def test_gate_shuts_the_picture_out_and_lets_it_in() -> None:
    model = captioner("soft")
    assert isinstance(model, Model) and model.decoder.beta is not None
    nn.init.zeros_(model.decoder.beta.weight)
    seen, words = model.see(pictures(2)), torch.tensor([[[1, 4, 5]]]).expand(2, 1, 3)
    seen = (*seen[:2], seen[2][:1].expand(2, -1), seen[3][:1].expand(2, -1))  # two pictures, one first state
    for bias, same in ((-200.0, True), (0.0, False)):
        nn.init.constant_(model.decoder.beta.bias, bias)
        one, other = model.say(seen, words).logits
        assert torch.allclose(one, other, atol=1e-6) is same


# Doubly stochastic attention (section 4.2.1) ---------------------------------------------------------------------------


def test_penalty_is_nothing_where_every_place_gets_one_and_counts_real_words() -> None:
    uniform, real = torch.full((1, 1, 6, 6), 1 / 6), torch.ones(1, 1, 6, dtype=torch.bool)
    assert penalty(uniform, real).abs().max() < 1e-10
    assert penalty(torch.eye(6)[None, None], real).abs().max() < 1e-10  # each place once
    assert torch.allclose(penalty(torch.eye(6)[[0] * 6][None, None], real), torch.tensor(25.0 + 5))  # one place six times
    torch.manual_seed(0)
    alpha, real = torch.randn(2, 3, 5, 4).softmax(3), torch.rand(2, 3, 5) > 0.4
    by_hand = [
        [sum((1 - sum(float(alpha[n, k, t, i]) for t in range(5) if real[n, k, t])) ** 2 for i in range(4)) for k in range(3)]
        for n in range(2)
    ]
    assert torch.allclose(penalty(alpha, real), torch.tensor(by_hand))


# Stochastic attention (section 4.1) ------------------------------------------------------------------------------------


def forced(model: Model, seen: tuple[Tensor, ...], words: Tensor, places: tuple[int, ...]) -> Told:
    """What the decoder says of one caption when these places are drawn: each is the middle of its quantiles."""
    chance = torch.zeros(1, 1, len(places), dtype=torch.float64)
    for t, place in enumerate(places):
        alpha = model.decoder(seen, words, None, chance).attention[0, 0, t].detach()
        chance[0, 0, t] = alpha[: place + 1].sum() - alpha[place] / 2
    told: Told = model.decoder(seen, words, None, chance)
    assert told.places is not None and told.places[0, 0].tolist() == list(places)
    return told


@pytest.mark.parametrize("baseline", [0.0, -3.0])
def test_estimator_is_the_exact_gradient_on_average(baseline: float) -> None:
    """All 16 ways to draw two of four places: the bound sum_s p(s | a) log p(y | s, a), differentiated as it stands."""
    model = captioner("hard", sure=1.5)
    assert isinstance(model, Model)
    model.double()
    words, target = torch.tensor([[[1, 4]]]), torch.tensor([[[4, 6]]])
    weights = [p for part in (model.reader, model.decoder) for p in part.parameters()]
    grid, real = torch.randn(1, 8, 2, 2, dtype=torch.float64), torch.ones(1, 1, 2, dtype=torch.bool)
    exact, estimated, total = torch.zeros((), dtype=torch.float64), [torch.zeros_like(p) for p in weights], 0.0
    for places in product(range(4), repeat=2):
        told = forced(model, model.reader(grid), words, places)
        log_y = log_likelihood(told.logits.double(), target)[0, 0]
        p_s = torch.stack([told.attention[0, 0, t, s] for t, s in enumerate(places)]).prod()  # type: ignore[index]
        exact = exact + p_s * log_y
        one = estimate(log_y[None, None], told.attention, told.places, real, baseline, 1.0, 0.0).sum()  # type: ignore[arg-type]
        found = torch.autograd.grad(one, weights, retain_graph=True, allow_unused=True)
        estimated = [e + p_s.detach() * (0 if g is None else g) for e, g in zip(estimated, found, strict=True)]
        total += p_s.item()
    assert total == pytest.approx(1, abs=1e-6)
    wanted = torch.autograd.grad(exact, weights, allow_unused=True)
    compared = [(e, torch.zeros_like(e) if w is None else w) for e, w in zip(estimated, wanted, strict=True)]
    assert all(torch.allclose(e, w, atol=1e-6, rtol=1e-4) for e, w in compared)
    reached = dict(zip([n for part in (model.reader, model.decoder) for n, _ in part.named_parameters()], compared, strict=True))
    assert reached["query.weight"][1].abs().max() > 1e-4  # which no gradient would reach but for the estimate


def test_estimate_by_its_definition() -> None:
    torch.manual_seed(0)
    alpha, log_p = torch.randn(2, 1, 3, 4).softmax(3), torch.tensor([[-2.0], [-5.0]])
    place = torch.tensor([[[0, 3, 1]], [[-1, -1, -1]]])
    real = torch.tensor([[[True, True, False]], [[True, True, True]]])
    entropy = [sum(-float((alpha[n, 0, t] * alpha[n, 0, t].log()).sum()) for t in range(3) if real[n, 0, t]) for n in range(2)]
    log_s = float(alpha[0, 0, 0, 0].log() + alpha[0, 0, 1, 3].log())
    found = estimate(log_p, alpha, place, real, -4.0, 0.1, 0.002)
    assert float(found[0, 0]) == pytest.approx(-2 + 0.1 * (-2 + 4) * log_s + 0.002 * entropy[0], rel=1e-5)
    assert float(found[1, 0]) == pytest.approx(-5 + 0.002 * entropy[1], rel=1e-5)  # nothing was drawn


def test_the_reward_is_no_path_for_the_gradient() -> None:
    log_p, alpha = torch.tensor([[-2.0]], requires_grad=True), torch.full((1, 1, 1, 2), 0.5)
    estimate(log_p, alpha, torch.tensor([[[0]]]), torch.ones(1, 1, 1, dtype=torch.bool), -4.0, 0.1, 0.0).sum().backward()  # type: ignore[no-untyped-call]
    assert log_p.grad is not None and log_p.grad.item() == 1


def test_places_are_drawn_as_alpha_says() -> None:
    alpha = torch.tensor([0.5, 0.0, 0.3, 0.2]).expand(1, 1000, 4)
    chance = (torch.arange(1000) + 0.5)[None] / 1000
    a = torch.randn(1, 4, 2)
    z, place = look(a, alpha, chance)
    assert Counter(place[0].tolist()) == {0: 500, 2: 300, 3: 200}
    assert torch.equal(z[0], a[0][place[0]])
    z, place = look(a, alpha, torch.full((1, 1000), -1.0))
    assert (place == -1).all() and torch.allclose(z[0], (alpha[0, 0] @ a[0]).expand(1000, 2))
    z, place = look(a, alpha, None)
    assert (place == 0).all() and torch.equal(z[0], a[0, :1].expand(1000, 2))
    assert look(a, alpha, torch.full((1, 1000), 1.0))[1].max() == 3


def test_half_of_the_pictures_see_the_expected_annotation() -> None:
    model = captioner("hard")
    assert isinstance(model, Model)
    torch.manual_seed(0)
    chance = model.chance(torch.ones(4000, 2, 3, dtype=torch.int64))
    expected = (chance < 0).flatten(1)
    assert (expected.all(1) == expected.any(1)).all()  # all words and captions of a picture, or none
    assert 0.46 < expected.any(1).float().mean() < 0.54
    drawn = chance[~expected.any(1)]
    assert drawn.min() >= 0 and drawn.max() < 1 and abs(float(drawn.mean()) - 0.5) < 0.02


CAPTIONS = torch.tensor([[[1, 4, 5, 2], [1, 6, 2, 0]], [[1, 7, 8, 2], [0, 0, 0, 0]]])


def test_step_is_equation_14() -> None:
    """The sum over a caption's words, the mean over captions; a row without words is none."""
    model, image, opt = captioner("soft", doubly=0.3), pictures(2), Fixed()
    model.step(Batch(image=image, captions=CAPTIONS), opt)  # type: ignore[arg-type]
    told, wanted = model.say(model.see(image), CAPTIONS[:, :, :-1]), []
    assert told.attention is not None
    for n, k, words in ((0, 0, 3), (0, 1, 2), (1, 0, 3)):
        logs = told.logits[n, k].log_softmax(1)
        nll = -sum(logs[t, CAPTIONS[n, k, t + 1]] for t in range(words))
        wanted.append(nll + 0.3 * ((1 - told.attention[n, k, :words].sum(0)) ** 2).sum())
    loss, count = opt.losses[0]
    assert torch.allclose(loss, torch.stack(wanted).mean()) and int(count) == 3  # type: ignore[arg-type]


def test_baseline_is_a_moving_average() -> None:
    model, opt = captioner("hard"), Fixed()
    assert isinstance(model, Model)
    model.baseline.fill_(-2.0)
    image, held = pictures(2), model.chance
    chance = held(CAPTIONS[:, :, :-1])
    model.chance = lambda words: chance  # type: ignore[method-assign]
    told = model.decoder(model.see(image), CAPTIONS[:, :, :-1], None, chance)
    log_p = log_likelihood(told.logits, CAPTIONS[:, :, 1:])
    real = CAPTIONS[:, :, 1:] != PAD
    good = estimate(log_p, told.attention, told.places, real, -2.0, model.reward, model.entropy)
    model.step(Batch(image=image, captions=CAPTIONS), opt)  # type: ignore[arg-type]
    assert torch.allclose(opt.losses[0][0], -(good[0, 0] + good[0, 1] + good[1, 0]) / 3)  # with the baseline of before
    mean = (log_p[0, 0] + log_p[0, 1] + log_p[1, 0]).item() / 3
    assert float(model.baseline) == pytest.approx(0.9 * -2.0 + 0.1 * mean, rel=1e-5)


def test_baseline_of_two_processes_is_that_of_all_their_captions() -> None:
    """Of three and of one: a mean of the processes' means would be another."""
    model, image = captioner("hard"), pictures(2)
    parts = [(image, CAPTIONS), (image[1:], CAPTIONS[1:])]
    model.chance = lambda words: torch.full(words.shape, 0.3)  # type: ignore[method-assign]
    told: list[list[Tensor]] = [[], []]
    for own, (pixels, captions) in zip(told, parts, strict=True):
        opt = Fixed()
        opt.mean = lambda value, own=own: own.append(value.detach()) or value.detach()  # type: ignore[func-returns-value,method-assign,misc]
        model.step(Batch(image=pixels, captions=captions), opt)  # type: ignore[arg-type]
    means, opt = iter([(a + b) / 2 for a, b in zip(*told, strict=True)]), Fixed()
    opt.mean = lambda value: next(means)  # type: ignore[method-assign]
    model.baseline.zero_()
    model.step(Batch(image=image, captions=CAPTIONS), opt)  # type: ignore[arg-type]
    seen = model.see(image)
    answer = model.decoder(seen, CAPTIONS[:, :, :-1], None, torch.full(CAPTIONS[:, :, :-1].shape, 0.3))
    log_p = log_likelihood(answer.logits, CAPTIONS[:, :, 1:])
    every = (log_p[0, 0] + log_p[0, 1] + 2 * log_p[1, 0]).item() / 4
    assert float(model.baseline) == pytest.approx(0.1 * every, rel=1e-5)


# Learning ----------------------------------------------------------------------------------------------------------------


@pytest.mark.processor
def test_learns_to_tell_and_to_look_and_does_not_from_other_pictures(request: pytest.FixtureRequest) -> None:
    """Two shapes on one colour. Captions fit their pictures better than others', and attention is paid to what is named."""
    seed = request.config.getoption("--seed")
    data, gaps = plain_scenes(counts=(800, 80, 1, 1)), []
    sizes = {"embedding": 48, "hidden": 96, "annotation": 64, "width": 48, "doubly": 0.02, "captions": 1, "beam": 1}
    for steps, shuffled in ((200, False), (80, True)):
        torch.manual_seed(seed)
        model = Model(**{**LITTLE, **sizes, **{k: data.schema.arguments[k] for k in ("vocabulary", "longest", "image_size")}})
        found = learnt(model, data, steps, 32, 6e-3, seed, shuffled).measure(data, "validation")
        gaps.append(found["BLEU-4"] - found["BLEU-4 with shuffled pictures"])
        if not shuffled:
            assert found["attention on the thing"] > 1.15 * found["area of the thing"]
    assert gaps[0] > 12 and abs(gaps[1]) < 6, gaps


# The network at the paper's size, and what it is made of ----------------------------------------------------------------


def test_parameters_layer_by_layer() -> None:
    with torch.device("meta"):
        reader, decoder = Reader(512, 1000, 512), Decoder(10_000, 512, 512, 1000, 512, False, 0.5)
    def count(module: nn.Module) -> int:
        return sum(p.numel() for p in module.parameters())

    assert count(reader) == 513 * 512 + 2 * 513 * 1000
    lstm = 4 * 1000 * (512 + 1000 + 512 + 1)  # T_{D+m+n,n} of Eq. 1
    f_att, gate = 1000 * 512 + 512, 1001
    output = 512 * 10_000 + 10_000 + 1000 * 512 + 512 * 512
    assert count(decoder) == 10_000 * 512 + lstm + f_att + gate + output


def test_frozen_encoder_gives_196_annotations_and_is_no_part_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    def fill(network: nn.Module, weights: str, places: Any, **kinds: Any) -> None:
        asked.append((weights, list(places), kinds))
        for parameter in network.parameters():
            nn.init.normal_(parameter, std=0.02)

    monkeypatch.setattr(encoders, "load_published", fill)
    encoders.frozen_grid.cache_clear()
    try:
        model = Model(vocabulary=WORDS, hidden=8, embedding=8, width=8).eval()
        assert not any(name.startswith("encoder") for name in model.state_dict())
        a = model.see(torch.rand(1, 3, 224, 224))[0]
        assert a.shape == (1, 196, 512) and model.grid == (14, 14) and a.min() >= 0
        assert asked == [("imagenet", ["imagenet"], {"spare": ("classifier.",)})]
        told = model.say(model.see(torch.rand(1, 3, 64, 64)), torch.ones(1, 1, 1, dtype=torch.int64))
        assert told.logits.requires_grad and not a.requires_grad  # the decoder is trained, what it reads is not
    finally:
        encoders.frozen_grid.cache_clear()


def test_small_encoder_knows_where() -> None:
    torch.manual_seed(0)
    encoder = encoders.SmallEncoder(3, 8).eval()
    grid = encoder(torch.full((1, 3, 64, 64), 0.5))
    assert grid.shape == (1, 8, 8, 8)
    inner = grid[0, :, 2:6, 2:6].flatten(1)
    assert inner.std(1).max() > 1e-3  # an even picture, whose places differ by where they lie alone


def test_optimisers() -> None:
    model = captioner("soft")
    made = optimizers(model, {})["captioner"]
    assert isinstance(made, torch.optim.RMSprop) and made.param_groups[0]["lr"] == 1e-3
    made, schedule = optimizers(model, {"name": "Adam", "lr": 2e-3, "warmup": 10, "fall": True})["captioner"]  # type: ignore[misc]
    assert isinstance(made, torch.optim.Adam) and schedule(0, 100) == pytest.approx(0.1) and schedule(9, 100) == 1.0
    assert isinstance(Players({"captioner": made}), Players)


def test_hard_attention_has_no_gate_and_soft_draws_nothing() -> None:
    soft, hard = captioner("soft"), captioner("hard")
    assert isinstance(soft, Model) and isinstance(hard, Model)
    assert soft.decoder.beta is not None and hard.decoder.beta is None
    assert soft.say(soft.see(pictures(1)), torch.ones(1, 1, 1, dtype=torch.int64)).places is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"encoder": "vgg19", "channels": 1}, "encoder vgg19 sees pictures of 3 channels, not of 1"),
        ({"encoder": "vgg19", "image_size": 8}, "encoder vgg19 sees pictures of at least 16 pixels, not of 8"),
        ({"attention": "some"}, "unknown model.attention 'some'"),
        ({"longest": 2}, "longest counts <start> and <end>, so that it is at least 3, not 2"),
        ({"vocabulary": ("a", "b")}, "vocabulary must begin with <pad>, <start>, <end>, <unknown>, not with a, b"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(PaperzooError, match=said):
        paperzoo.create("show_attend_tell", **{"vocabulary": WORDS, **changes})


