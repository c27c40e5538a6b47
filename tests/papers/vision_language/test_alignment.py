"""Alignment: the score and both directions of the loss by their equations, the chain by trying all, words by a loop, learning."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.captioners import WORDS, pictures
from fixtures.seam import Ledger
from torch import Tensor

import paperzoo
from paperzoo.data import Batch, Dataset
from paperzoo.data.captions.plain import plain_scenes
from paperzoo.engine.players import Players, optimizers
from paperzoo.errors import PaperzooError
from paperzoo.papers.vision_language import alignment, regions
from paperzoo.papers.vision_language.alignment import Model, Words, chain, ranking, score

LITTLE: dict[str, Any] = {
    "vocabulary": WORDS, "image_size": 16, "longest": 8, "encoder": "small", "grid": 2, "share": 0.5, "embedding": 6, "hidden": 7,
    "size": 5, "annotation": 8, "dropout": 0.0,
}  # fmt: skip


def model_of(seed: int = 0, **changes: Any) -> Model:
    torch.manual_seed(seed)
    return Model(**{**LITTLE, **changes}).eval()


# The maths ---------------------------------------------------------------------------------------------------------------


def test_score_is_equation_8() -> None:
    """A sum over words of the best region's product, also where all products are negative; padding counts for nothing."""
    v, s = torch.randn(3, 4, 5), torch.randn(2, 6, 5)
    real = torch.arange(6)[None] < torch.tensor([6, 3])[:, None]
    s[0], v[1] = s[0].abs(), -v[1].abs()
    found = score(v, s, real)
    for k, m in np.ndindex(3, 2):
        wanted = sum(max(float(v[k, i] @ s[m, t]) for i in range(4)) for t in range(6 if m == 0 else 3))
        assert float(found[k, m]) == pytest.approx(wanted, abs=1e-4)
    assert float(found[1, 0]) < 0


def test_loss_is_equation_9_both_ways() -> None:
    scores = 2 * np.random.default_rng(0).normal(size=(5, 5))
    found = ranking(torch.tensor(scores))
    for k in range(5):
        sentences = sum(max(0.0, scores[k, m] - scores[k, k] + 1) for m in range(5) if m != k)
        images = sum(max(0.0, scores[m, k] - scores[k, k] + 1) for m in range(5) if m != k)
        assert float(found[k]) == pytest.approx(sentences + images)
    assert float(ranking(torch.tensor([[2.0, 1.0], [1.0, 2.0]])).sum()) == 0  # just a margin apart
    assert ranking(torch.tensor([[2.0, 1.5], [0.0, 2.0]])).tolist() == [0.5, 0.5]  # as S_12 for one, as S_12 for two


def test_chain_is_the_best_of_all() -> None:
    """Eqs. 10 to 12 against every way to give five words one of three regions each."""
    random, moved = np.random.default_rng(1), 0
    for _ in range(40):
        fit, beta = random.normal(size=(5, 3)), float(random.uniform(0, 2))

        def energy(places: tuple[int, ...], fit: np.ndarray = fit, beta: float = beta) -> float:
            return float(fit[range(5), places].sum()) + beta * sum(a == b for a, b in zip(places, places[1:], strict=False))

        best = max(product(range(3), repeat=5), key=energy)
        assert chain(torch.tensor(fit), beta).tolist() == list(best)
        moved += best != tuple(fit.argmax(1))
    assert 5 < moved < 40


def test_chain_without_payment_is_each_words_own_and_with_much_it_is_one_region() -> None:
    fit = torch.randn(7, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(chain(fit, 0.0), fit.argmax(1))
    assert chain(fit, 100.0).tolist() == [int(fit.sum(0).argmax())] * 7
    assert chain(fit[:1], 1.0).tolist() == [int(fit[0].argmax())]


@pytest.mark.parametrize("kind", ["brnn", "forward", "bag"])
def test_words_are_what_their_equations_say(kind: str) -> None:
    """Eqs. 2 to 6 in NumPy, a sentence at a time without padding."""
    torch.manual_seed(0)
    net = Words(11, 6, 7, 5, kind, 0.5).eval()
    d = {name: tensor.double().numpy() for name, tensor in net.state_dict().items()}
    rows = [[4, 9, 5, 4], [8, 7]]
    found = net(torch.tensor([[4, 9, 5, 4], [8, 7, 0, 0]])).detach().numpy()

    def linear(name: str, x: np.ndarray) -> np.ndarray:
        return np.asarray(d[f"{name}.weight"] @ x + d[f"{name}.bias"])

    for m, row in enumerate(rows):
        e = [np.maximum(0, linear("w_e", d["w_w.weight"][word])) for word in row]
        forward, backward, h = [], [], np.zeros(7)
        for one in e:
            h = np.maximum(0, one + linear("w_f", h)) if kind != "bag" else one
            forward.append(h)
        h = np.zeros(7)
        for one in e[::-1]:
            h = np.maximum(0, one + linear("w_b", h)) if kind == "brnn" else 0 * one
            backward.insert(0, h)
        for t in range(len(row)):
            assert np.allclose(found[m, t], np.maximum(0, linear("w_d", forward[t] + backward[t])), atol=1e-5)


def test_words_know_their_company_by_kind() -> None:
    """A word changes with what follows it read both ways alone, with what precedes it unless it is read by itself."""
    one, later, before = torch.tensor([[4, 5, 6]]), torch.tensor([[4, 5, 7]]), torch.tensor([[8, 5, 6]])
    for kind, follows, precedes in (("brnn", True, True), ("forward", False, True), ("bag", False, False)):
        model = model_of(3, words=kind, size=40, hidden=40)
        assert torch.equal(model.read(one)[0, 1], model.read(later)[0, 1]) != follows
        assert torch.equal(model.read(one)[0, 1], model.read(before)[0, 1]) != precedes


def test_windows_go_from_edge_to_edge_and_the_whole_comes_last() -> None:
    found = regions.windows(3, 0.4)
    assert found.shape == (10, 4) and found[-1].tolist() == [0, 0, 1, 1]
    assert torch.allclose(found[1], torch.tensor([0.3, 0, 0.7, 0.4])) and torch.allclose(found[8], torch.tensor([0.6, 0.6, 1, 1]))
    assert regions.windows(0, 0.4).tolist() == [[0, 0, 1, 1]]
    assert torch.allclose(regions.windows(1, 0.4)[0], torch.tensor([0.3, 0.3, 0.7, 0.7]))


def test_region_is_the_mean_of_its_part_of_the_map() -> None:
    """Also where its edges cut places in two."""
    boxes, grid = torch.tensor([[0.0, 0.5, 0.5, 1.0], [0.125, 0.0, 0.5, 0.25], [0, 0, 1, 1]]), torch.randn(4, 4)
    weight = regions.coverage(boxes, 4, 4)
    found = (weight * grid).sum((1, 2))
    wanted = [grid[2:, :2].mean(), (0.5 * grid[0, 0] + grid[0, 1]) / 1.5, grid.mean()]
    assert torch.allclose(found, torch.stack(wanted), atol=1e-6)


def test_regions_are_cut_out_in_order() -> None:
    image = pictures(2, side=16)
    found = regions.cut(image, regions.windows(2, 0.5), 8)
    assert torch.equal(found[1], image[0, :, :8, 8:]) and torch.equal(found[5 + 2], image[1, :, 8:, :8])
    assert torch.allclose(found[4].mean((1, 2)), image[0].mean((1, 2)), atol=1e-5)


def test_each_region_sees_its_part_of_the_picture() -> None:
    """Eq. 1: by the gradient, a window in a corner does not see the opposite one; the whole picture does."""
    model = model_of(image_size=64, grid=2, share=0.25)
    image = torch.rand(1, 3, 64, 64, requires_grad=True)
    seen = model.see(image)
    for place, sees in ((0, False), (4, True)):
        (gradient,) = torch.autograd.grad(seen[0, place].square().sum(), image, retain_graph=True)
        assert bool(gradient[..., :8, :8].any()) and bool(gradient[..., 56:, 56:].any()) == sees


def test_step_is_the_mean_of_equation_9_over_sentences_without_ends() -> None:
    model, image = model_of(), pictures(3)
    captions = torch.tensor([[[1, 4, 5, 6, 2]], [[1, 7, 2, 0, 0]], [[1, 8, 9, 2, 0]]])
    ledger = Ledger(model, ("aligner",))
    ledger_minimize(ledger, model, Batch(image=image, captions=captions))
    words = torch.tensor([[4, 5, 6], [7, 0, 0], [8, 9, 0]])
    wanted = ranking(score(model.see(image), model.read(words), words != 0)).mean()
    assert torch.allclose(ledger.loss["aligner"], wanted, atol=1e-5) and float(wanted.detach()) > 0.1
    assert ledger.reached["aligner"].keys() == dict(model.named_parameters()).keys()


def ledger_minimize(ledger: Ledger, model: Model, batch: Batch) -> None:
    model.step(batch, ledger)  # type: ignore[arg-type]


def test_sentence_of_a_picture_is_drawn_among_those_that_are_there() -> None:
    model, image, drawn = model_of(), pictures(2), set()
    captions = torch.tensor([[[1, 4, 2], [1, 5, 2], [0, 0, 0]], [[1, 6, 2], [0, 0, 0], [0, 0, 0]]])
    read = model.read
    model.read = lambda words: (drawn.add(tuple(words[:, 0].tolist())), read(words))[1]  # type: ignore[method-assign]
    for _ in range(30):
        model.step(Batch(image=image, captions=captions), Ledger(model, ("aligner",)))  # type: ignore[arg-type]
    assert drawn == {(4, 6), (5, 6)}


def test_dropout_acts_in_training_alone() -> None:
    model, words, image = model_of(dropout=0.5, size=40), torch.tensor([[4, 5]]), pictures(1)
    assert torch.equal(model.see(image), model.see(image)) and torch.equal(model.read(words), model.read(words))
    model.dropout.train()
    model.words.train()
    assert not torch.equal(model.see(image), model.see(image)) and not torch.equal(model.read(words), model.read(words))


# Learning ----------------------------------------------------------------------------------------------------------------


def learnt(data: Dataset, seed: int, steps: int, words: str, shuffled: bool = False) -> Model:
    torch.manual_seed(seed)
    sizes = {"grid": 6, "share": 0.375, "embedding": 32, "hidden": 48, "size": 48, "annotation": 48}
    given = {name: value for name, value in data.schema.arguments.items() if name != "examples"}
    model = Model(**{**LITTLE, **sizes, "words": words, **given})
    adam, schedule = optimizers(model, {"name": "Adam", "lr": 4e-3, "warmup": 20, "fall": True})["aligner"]  # type: ignore[misc]
    opt = Players({"aligner": (adam, schedule)}, clip=5.0)
    opt.total = opt.stage_steps = steps
    random = np.random.default_rng(seed)
    for opt.iteration in range(steps):
        batch = data["train"].batch(random.choice(len(data["train"]), 32, replace=False))
        if shuffled:
            batch.image = batch.image.roll(1, 0)
        model.step(batch, opt)
    return model.eval()


@pytest.mark.processor
def test_learns_what_fits_and_does_not_from_other_pictures(request: pytest.FixtureRequest) -> None:
    """Two shapes on one colour."""
    seed, data = request.config.getoption("--seed"), plain_scenes(counts=(800, 100, 1, 1))
    found = []
    for steps, shuffled in ((120, False), (60, True)):
        model = learnt(data, seed, steps, "brnn", shuffled)
        with torch.no_grad():
            found.append(model.measure(data, "validation")["R@10 of pictures"])
    assert found[0] > 40 > 20 > found[1], found


@pytest.mark.processor
def test_learns_where_things_are_that_nobody_shows(request: pytest.FixtureRequest) -> None:
    """Squares of two colours on grey ground, and their names in any order. No region sees beyond its borders."""
    seed, shares = request.config.getoption("--seed"), []
    colours = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1], [1, 0, 1]])
    for shuffled in (False, True):
        torch.manual_seed(seed)
        sizes = {"image_size": 32, "grid": 4, "share": 0.25, "size": 16, "hidden": 16, "embedding": 16, "annotation": 3}
        model = Model(**{**LITTLE, **sizes, "words": "bag"})
        model.encoder = torch.nn.AvgPool2d(8)  # type: ignore[assignment]
        opt = Players(optimizers(model, {"name": "Adam", "lr": 1e-2}), clip=5.0)
        opt.total = opt.stage_steps = steps = 300
        for opt.iteration in range(steps + 1):
            kinds, places = (torch.rand(64, many).argsort(1)[:, :2] for many in (6, 16))  # (N, 2)
            grid = torch.full((64, 16, 3), 0.5)
            grid[torch.arange(64)[:, None], places] = colours[kinds]
            image = grid.view(64, 4, 4, 3).permute(0, 3, 1, 2).repeat_interleave(8, 2).repeat_interleave(8, 3)  # (N, 3, 32, 32)
            words = torch.cat([torch.ones(64, 1, dtype=torch.int64), 4 + kinds, torch.full((64, 1), 2)], 1)[:, None]  # (N, 1, 4)
            if opt.iteration < steps:  # the last batch is new to it
                model.step(Batch(image=image.roll(int(shuffled), 0), captions=words), opt)
        seen, said = model.see(image), model.read(4 + kinds)
        shares.append(float(((said @ seen.mT).argmax(2) == places).float().mean()))
    assert shares[0] > 0.9 > 0.7 > shares[1], shares  # who sees squares and not which of the two is right in half of the cases


# Sizes, settings, what is refused ----------------------------------------------------------------------------------------


def test_sizes_of_the_paper() -> None:
    with torch.device("meta"):
        model = Model()
    assert (model.w_m.in_features, model.w_m.out_features, len(model.regions), model.beta) == (4096, 1000, 17, 1.0)
    words = model.words
    assert words.w_w.weight.shape == (2542, 300) and words.w_e.weight.shape == (300, 300) and words.w_d.weight.shape == (1000, 300)
    assert words.w_f is not None and words.w_b is not None
    assert sum(p.numel() for p in model.parameters()) == 4097 * 1000 + 2542 * 300 + 3 * 301 * 300 + 301 * 1000


def test_optimisers() -> None:
    model = model_of()
    sgd = optimizers(model, {})["aligner"]
    assert isinstance(sgd, torch.optim.SGD)
    assert (sgd.param_groups[0]["lr"], sgd.param_groups[0]["momentum"], sgd.param_groups[0]["weight_decay"]) == (0.01, 0.9, 1e-5)
    adam, schedule = optimizers(model, {"name": "Adam", "lr": 2e-3, "warmup": 10, "fall": True})["aligner"]  # type: ignore[misc]
    assert isinstance(adam, torch.optim.Adam) and schedule(0, 100) == pytest.approx(0.1) and schedule(9, 100) == 1.0


def test_frozen_encoder_sees_each_region_and_is_no_part_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def features(image: Tensor) -> Tensor:
        asked.append(image.shape)
        return image.mean((2, 3)).repeat(1, 1366)[:, :4096]

    monkeypatch.setattr(alignment, "fc7", lambda weights: features if weights == "imagenet" else None)
    model = Model(vocabulary=WORDS, size=5, hidden=4, embedding=4, dropout=0.0)
    image = pictures(2, side=224)
    seen = model.see(image)
    assert asked == [(34, 3, 224, 224)] and seen.shape == (2, 17, 5)
    whole = image[1].mean((1, 2)).repeat(1366)[:4096]
    assert torch.allclose(seen[1, 16], model.w_m(whole), atol=1e-4)
    assert not any(name.startswith("encoder") for name in model.state_dict())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"channels": 1, "encoder": "vgg19"}, "encoder vgg19 sees pictures of 3 channels, not of 1"),
        ({"grid": 17}, "too fine for pictures of 16 pixels"),
        ({"share": 0.05}, "too fine for pictures of 16 pixels"),
        ({"words": "lstm"}, r"unknown model\.words 'lstm'"),
        ({"longest": 2}, "at least 3, not 2"),
        ({"vocabulary": WORDS[:4]}, "no word besides"),
        ({"vocabulary": ("a", "b")}, "begins with <pad>"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(PaperzooError, match=said):
        paperzoo.create("alignment", **{**LITTLE, **changes})
