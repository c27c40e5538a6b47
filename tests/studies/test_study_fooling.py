"""The study of fooling images: genes, archives and gradients against what is known of them, and the same training once more."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

import paperzoo
from paperzoo.nn import evolution
from paperzoo.studies import fooling as study
from paperzoo.studies.trial import Outcome, Trial

pytestmark = pytest.mark.processor


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- genes -------------------------------------------------------------------------------------------------------------


def test_polynomial_mutation_has_its_distribution_and_its_rate_halves() -> None:
    u = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    d = evolution.polynomial(u)
    below = torch.where(d < 0, (1 + d) ** 16 / 2, 1 - (1 - d) ** 16 / 2)  # the integral of 16 / 2 (1 - |d|)^15 from -1
    assert torch.allclose(below, u, atol=1e-12) and float(d.abs().mean()) == pytest.approx(1 / 17, rel=1e-2)
    direct, random = study.Direct(1, 64), chance()
    parent = direct.start(20, random)
    before = parent["pixels"].clone()
    assert float(before.mean()) == pytest.approx(0.5, abs=0.01) and float(before.var()) == pytest.approx(1 / 12, abs=0.002)
    for generation, rate in ((0, 0.1), (999, 0.1), (1000, 0.05), (2500, 0.025)):
        child = direct.mutate(parent, generation, random)["pixels"]
        moved = child != before
        assert float(moved.float().mean()) == pytest.approx(rate, rel=0.05) and child.min() >= 0 and child.max() <= 1
        assert float((child - before)[moved].abs().mean()) == pytest.approx(1 / 17, rel=0.1)  # a little less at the edges
    assert torch.equal(parent["pixels"], before)


def grown(cppn: study.CPPN, count: int, generations: int, seed: int) -> evolution.Genome:
    random = chance(seed)
    genome = cppn.start(count, random)
    for generation in range(generations):
        genome = cppn.mutate(genome, generation, random)
    return genome


def test_a_cppn_paints_what_its_graph_says_pixel_by_pixel() -> None:
    cppn = study.CPPN(3, 5, hidden=4)
    genome = grown(cppn, 40, 30, seed=0)
    images = cppn.render(genome)
    units = (math.sin, lambda z: 2 * math.exp(-z * z) - 1, lambda z: math.tanh(z), lambda z: max(-1, min(1, z)))
    for n in (0, 7, 39):
        weight, kind = genome["weight"][n].double(), genome["kind"][n]

        def value(column: int, place: tuple[float, ...], n: int = n, weight: Tensor = weight, kind: Tensor = kind) -> float:
            return place[column] if column < 4 else unit(column - 4, place)

        def unit(row: int, place: tuple[float, ...]) -> float:
            reads = weight[row].nonzero()[:, 0].tolist()  # noqa: B023
            return units[int(kind[row])](sum(float(weight[row, c]) * value(c, place) for c in reads))  # noqa: B023

        for i in range(5):
            for j in range(5):
                x, y = -1 + j / 2, -1 + i / 2
                wanted = [(1 + unit(4 + c, (x, y, math.hypot(x, y), 1.0))) / 2 for c in range(3)]
                assert images[n, :, i, j].tolist() == pytest.approx(wanted, abs=1e-4)


def test_mutation_keeps_a_cppn_sound_and_lets_it_grow_from_nothing() -> None:
    cppn = study.CPPN(1, 6)
    assert not cppn.start(9, chance())["alive"].any()
    sizes = []
    for generations in (5, 40):
        genome = grown(cppn, 60, generations, seed=1)
        weight, alive = genome["weight"], genome["alive"]
        assert not weight[:, :8, 4:].triu().any()  # each reads those before it alone: no loops
        assert not weight[:, :8][~alive].any() and not weight.transpose(1, 2)[:, 4:][~alive].any()  # the dead neither read nor are read
        assert weight[:, :8][alive].any(1).all()  # a unit was born on a connection
        sizes.append(float(alive.float().sum(1).mean()))
    assert 0.5 < sizes[0] < 1.5 and sizes[1] > 3


def test_a_unit_that_splits_a_connection_changes_nothing_while_it_is_linear() -> None:
    cppn = study.CPPN(1, 6)
    parent = cppn.start(300, chance(2))
    child = cppn.mutate(parent, 0, chance(3))
    lost = (parent["weight"] != 0) & (child["weight"] == 0)
    n, row, a = lost.nonzero().unbind(1)
    assert len(n) == len(n.unique()) == int(child["alive"].sum()) and 30 < len(n) < 90  # one in five
    h = child["alive"][n].int().argmax(1)
    assert (child["weight"][n, h, a] == 1).all()
    whole = {name: genes.clone() for name, genes in child.items()}
    whole["weight"][n, row, a] = whole["weight"][n, row, 4 + h]  # the connection as it was, nobody in between
    whole["weight"][n, row, 4 + h] = 0
    child["kind"][:, :8] = 3
    inside = n[a != 2]  # the distance from the middle is more than 1 in the corners, where such a unit ends
    assert torch.allclose(cppn.render(child)[inside], cppn.render(whole)[inside], atol=1e-5)
    child["kind"][:, :8] = 1
    assert not torch.allclose(cppn.render(child)[inside], cppn.render(whole)[inside], atol=0.1)


# --- archives ----------------------------------------------------------------------------------------------------------


def test_an_archive_keeps_the_best_of_each_class_and_archives_do_not_mix() -> None:
    wanted = torch.linspace(0.35, 0.65, 5)
    seen: list[Tensor] = []

    def confidence(image: Tensor) -> Tensor:  # (N, 5): how near the mean is to what the class wants
        seen.append(torch.exp(-50 * (image.mean((1, 2, 3))[:, None] - wanted).abs()))
        return seen[-1]

    encoding, before = study.Direct(1, 4), torch.zeros(3, 5)
    for generations in (0, 1, 10, 200):  # with the same chance a longer search goes the same way, and further
        seen.clear()
        image, best = study.map_elites(confidence, encoding, generations, chance(1), archives=3, children=12)
        assert len(seen) == generations + 1 and {len(p) for p in seen} == {12} and image.shape == (3, 5, 1, 4, 4)
        assert torch.equal(best, torch.cat([p.view(3, 4, 5) for p in seen], 1).amax(1))  # of all that its archive ever saw
        assert torch.equal(confidence(image.flatten(0, 1)).view(3, 5, 5).diagonal(dim1=1, dim2=2), best)
        assert (best >= before).all()
        before = best
    assert best.min() > 0.8 and best.unique().numel() > 10  # each archive has found champions of its own


class Marked(study.Direct):
    """Every image is the number of the archive that its first ancestor was made for, four to an archive."""

    def start(self, count: int, random: torch.Generator) -> evolution.Genome:
        return {"pixels": (torch.arange(count) // 4).float()[:, None, None, None]}

    def mutate(self, genome: evolution.Genome, generation: int, random: torch.Generator) -> evolution.Genome:
        return genome


def test_children_stay_in_the_archive_of_their_parents() -> None:
    luck = chance(6)
    image, _ = study.map_elites(lambda image: torch.rand(12, 5, generator=luck), Marked(1, 1), 50, chance(), archives=3, children=12)
    assert image[:, :, 0, 0, 0].tolist() == [[0.0] * 5, [1.0] * 5, [2.0] * 5]


def test_the_way_to_one_class_leads_through_another() -> None:
    """The second class is nothing below a mean of 0.75, which noise never has: alone it cannot be reached, as the paper says of goals."""

    def both(image: Tensor) -> Tensor:
        mean = image.mean((1, 2, 3))
        return torch.stack([mean.clamp(max=0.8), (mean - 0.75).clamp(min=0)], 1)

    encoding = study.Direct(1, 6)
    alone = study.map_elites(lambda image: both(image)[:, 1:], encoding, 400, chance(2), 1, 20)[1]
    together = study.map_elites(both, encoding, 400, chance(2), 1, 20)[1]
    assert alone.max() == 0 and together[0, 1] > 0.05


# --- gradients ---------------------------------------------------------------------------------------------------------


class Straight(nn.Module):
    """Logits w . image."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, image: Tensor) -> Tensor:
        return image.flatten(1) @ self.weight.T


def test_ascent_ends_where_climbing_and_penalty_are_even(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "SHRINK", 0.5)
    weight = torch.stack([torch.linspace(-2, 1, 9), torch.linspace(1, -1, 9)])
    with study.frozen(Straight(weight)) as model:
        image = study.ascend(model, torch.tensor([0, 1]), torch.rand(2, 1, 3, 3, generator=chance()), 800, blur=False)
        p = model(image).softmax(1).diagonal()
        across = torch.stack([weight[0] - weight[1], weight[1] - weight[0]])
        assert torch.allclose(image.flatten(1), ((1 - p)[:, None] * across / (2 * 0.5)).clamp(0, 1), atol=2e-3)
        assert p.min() > 0.7
        monkeypatch.setattr(study, "SHRINK", 0.0)
        free, smooth = (
            study.ascend(model, torch.tensor([0, 1]), torch.rand(2, 1, 3, 3, generator=chance()), 100, blur) for blur in (False, True)
        )
    assert torch.allclose(free[0].flatten(), (across[0] > 0).float())  # without a penalty to the corner of the cube
    assert smooth.diff(dim=3).abs().sum() < 0.8 * free.diff(dim=3).abs().sum()
    point = torch.zeros(1, 2, 7, 7)
    point[0, 1, 3, 3] = 1
    line = torch.exp(-torch.tensor([2.0, 1.0, 0.0, 1.0, 2.0]) ** 2 / 2)
    assert torch.allclose(study.blurred(point)[0, 1, 1:6, 1:6], torch.outer(line, line) / line.sum() ** 2)
    assert not study.blurred(point)[0, 0].any() and torch.allclose(study.blurred(point + 1).mean((2, 3))[0, 0], torch.tensor(1.0))


def test_an_attack_goes_as_far_as_it_may_and_no_further() -> None:
    weight = torch.randn(2, 16, generator=chance(4))
    model, image, label = Straight(weight), torch.rand(30, 1, 4, 4, generator=chance(5)), torch.arange(30) % 2
    away = torch.where(label[:, None] == 0, weight[1] - weight[0], weight[0] - weight[1]).sign().view(-1, 1, 4, 4)
    farthest = (image + study.REACH * away).clamp(0, 1)  # of a linear network nothing within reach is worse
    with torch.no_grad():
        assert torch.allclose(study.attack(model, image, label, 1, study.REACH), farthest)
        assert torch.allclose(study.attack(model, image, label, 20, study.REACH / 8), farthest, atol=1e-6)
        found = study.attacks(model, model, image, label, image)["PGD"]
        right = model(image).argmax(1) == label
        wrong = model(farthest).argmax(1)[right] != label[right]
    assert found["wrong %"] == pytest.approx(100 * float(wrong.double().mean())) and 0 < found["wrong %"] < 100
    assert found["same %"] == 100 and len(found["distances"]) == int(wrong.sum())
    assert max(found["distances"]) <= found["change"] * 1.2 <= 0.4 * 1.2 + 1e-6  # its own original is near


# --- a network and its nonsense ----------------------------------------------------------------------------------------


def small(number: int = 1, steps: int = 30) -> Trial:
    planned = study.trials(True)[number]
    return Trial(planned.label, planned.x, planned.paper, planned.recipe, 0, {**planned.overrides, "steps": steps})


def test_training_anew_is_the_same_training_and_knows_nonsense_if_it_is_shown_some(tmp_path: Path) -> None:
    trial = small(steps=60)
    run = paperzoo.train(trial.paper, trial.recipe, seed=0, overrides=trial.overrides, out=tmp_path)
    data = paperzoo.dataset("digits")
    train = data["train"].batch(range(len(data["train"]))).image
    again, other = (study.trained(run, data, train[:0], seed).state_dict() for seed in (0, 5))
    assert all(torch.equal(v, again[k]) for k, v in run.model.state_dict().items())
    assert not torch.equal(other["network.output.weight"], again["network.output.weight"])
    nonsense = study.CPPN(1, 8).render(study.CPPN(1, 8).start(150, chance()))
    more = study.with_nonsense(data, nonsense)
    assert len(more["train"]) == len(train) + 150 and len(more["test"]) == len(data["test"])
    last = more["train"].batch([len(train) - 1, len(train), len(train) + 149])
    assert last.label[0] < 10 and last.label[1:].tolist() == [10, 10]
    assert torch.allclose(last.image[2], nonsense[-1], atol=0.5 / 255 + 1e-6)
    with study.frozen(study.trained(run, data, nonsense, 1)) as model:
        fresh = study.CPPN(1, 8).render(study.CPPN(1, 8).start(200, chance(1)))
        assert model(fresh).shape == (200, 11) and study.share(model(fresh).argmax(1) == 10) > 0.6
        assert study.share(model(train).argmax(1) == 10) < 0.2
        wrong = [model(data["test"].batch([i]).image).argmax(1) != data["test"].batch([i]).label for i in range(len(data["test"]))]
        assert study.error(model, data) == pytest.approx(100 * study.share(torch.cat(wrong)))
    away = study.nearest(nonsense[:5], train)
    assert away == pytest.approx([min(float((x - y).double().norm()) for y in train) for x in nonsense[:5]], abs=2e-3)
    assert study.nearest(train[3:5], train) == [0, 0]


def test_the_whole_analysis_table_and_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "DIGITS_QUICK", study.Effort(3, 3, 2, 8, 6))
    monkeypatch.setattr(study, "PHOTOGRAPHS_QUICK", study.Effort(1, 1, 1, 10, 2))
    trial = small(0, steps=10)
    run = paperzoo.train(trial.paper, trial.recipe, seed=0, overrides=trial.overrides, out=tmp_path)
    numbers = study.analyse(run, trial)
    assert len(numbers["rounds"]) == 3 and numbers["rounds"][0]["error %"] == pytest.approx(run.metrics["error %"], abs=0.3)
    assert not numbers["rounds"][0]["known %"] and set(numbers["rounds"][1]["known %"]) == set(study.METHODS)
    for each in numbers["rounds"]:
        assert len(each["CPPN"]["distances"]) == 2 * 10 and len(each["direct"]["distances"]) == 10
    assert set(numbers["strips"]) == {*study.METHODS, "PGD", "again"}
    found = [Outcome(t, "", {}, planted(numbers, 10 * t.seed), 1.0, "", ()) for t in study.trials(False)]
    header, *rows = study.table(found)
    assert len(rows) == 2 * 7 + 3 and all(len(row) == len(header) for row in rows)
    by_name = {(row[0], row[1].partition(":")[0].partition(",")[0]): row[2:] for row in rows if "gradient" not in row[1]}
    assert by_name["LeNet", "CPPN"] == [
        "60.00 (50.00 to 70.00)", "40.0 (40.0 to 40.0)", "2.0 (2.0 to 2.0)", "80.0 (80.0 to 80.0)",
        "70.00 (60.00 to 80.00) (40; 2.0; 99)", "80.00 (70.00 to 90.00) (40; 2.0; 99)",
    ]  # fmt: skip
    assert by_name["MobileNetV2", "direct"][:2] == ["30.00 (30.00 to 30.00)", "20.0 (20.0 to 20.0)"]
    assert by_name["CNN", "FGSM"][0] == "-"  # it fooled nobody
    figure = study.draw(found)
    assert isinstance(figure, Figure) and len(figure.axes) == 6 + 2 + 3 * 8 + 1


def planted(numbers: dict[str, Any], more: int) -> dict[str, Any]:
    """What would be found if the median rose by ten a round and a seed."""
    one = {"sure %": 40.0, "same %": 80.0, "distances": [1.0, 2.0, 9.0]}
    known = dict.fromkeys(study.METHODS, 99.0)
    rounds = [
        {"error %": 3.0, "known %": known, **{m: {**one, "confidence": 50.0 + more + 10 * r} for m in study.METHODS}} for r in range(3)
    ]
    attacks = {"FGSM": {"wrong %": 0.0, "distances": []}, "PGD": {"wrong %": 50.0, "confidence": 90.0, "change": 2.0, **one}}
    photos = {m: {**numbers["ImageNet"][m], "confidences": [10.0, 20.0, 30.0, 40.0, 99.5]} for m in study.METHODS[1:]}
    real = {"confidence": 99.0, "distances": [5.0]}
    return {"rounds": rounds, "real": real, "attacks": attacks, "strips": numbers["strips"], "ImageNet": photos}


def test_pictures_come_back_as_they_were() -> None:
    image = torch.randint(256, (3, 1, 5, 5), generator=chance()).float() / 255
    pixels = study.unstrip(study.strip(image))
    assert pixels.shape == (5, 15, 3)
    assert all((pixels[:, 5 * i : 5 * i + 5, 2] == (255 * image[i, 0]).round().numpy()).all() for i in range(3))
    assert len(study.strip(torch.rand(8, 3, 96, 96, generator=chance()))) < 54_000  # base64 of 40 KB
