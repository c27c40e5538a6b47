"""Alarms: figures against scikit-learn and by hand, trees and lines against scikit-learn's own, what is learnt and what is not."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from sklearn import metrics as theirs
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from torch import Tensor

import paperzoo
from paperzoo import catalog
from paperzoo.data import Batch, Dataset, Schema, Split, Values
from paperzoo.data.series import logs, wear
from paperzoo.data.series.machines import Windows
from paperzoo.engine.players import Players
from paperzoo.errors import PaperzooError
from paperzoo.metrics import alarms
from paperzoo.papers.series import maintenance
from paperzoo.papers.series.maintenance import FITTED, OBSERVATIONS, RECIPES, VARIANTS, Kind, Model, statistics
from paperzoo.tasks.maintenance.measure import importance

PARAMETERS = catalog.paper("maintenance").parameters


def ranked(seed: int, ties: bool) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    label = random.random(300) < 0.1
    score = random.standard_normal(300) + label
    return (score.round() if ties else score), label


# The figures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ties", [False, True])
def test_ranking_against_scikit_learn(ties: bool) -> None:
    for seed in range(5):
        score, label = ranked(seed, ties)
        assert alarms.roc_auc(score, label) == pytest.approx(theirs.roc_auc_score(label, score), abs=1e-12)
        assert alarms.average_precision(score, label) == pytest.approx(theirs.average_precision_score(label, score), abs=1e-12)
        curve = alarms.curve(score, label)
        precision, recall, threshold = theirs.precision_recall_curve(label, score)
        np.testing.assert_allclose(curve.precision, precision[::-1])
        np.testing.assert_allclose(curve.recall, recall[::-1])
        np.testing.assert_allclose(curve.threshold[1:], threshold[::-1])


def test_recall_at_a_rate_and_cost_by_hand() -> None:
    score, label = np.array([0.9, 0.8, 0.8, 0.3, 0.1]), np.array([True, False, True, False, False])
    assert [alarms.recall_at(score, label, r) for r in (0.2, 0.4, 0.6, 1)] == pytest.approx([0.5, 0.75, 1, 1])  # a tie: one half of it
    assert alarms.curve(score, label).cost(1, 10) == pytest.approx([20 / 5, 11 / 5, 3 / 5, 4 / 5, 5 / 5])
    every = [sum(np.where(alarm, 1, 10 * label)) / 5 for t in (np.inf, 0.9, 0.8, 0.3, 0.1) for alarm in [score >= t]]
    assert alarms.curve(score, label).cost(1, 10) == pytest.approx(every)
    constant = np.zeros(5)
    assert alarms.roc_auc(constant, label) == 0.5 and alarms.average_precision(constant, label) == pytest.approx(0.4)
    assert alarms.recall_at(constant, label, 0.3) == pytest.approx(0.3)
    for bad, says in ((np.array([1, np.nan]), "score 1 of 2 is not a finite number"), (np.array([1.0, 2]), "all 2 windows are followed")):
        with pytest.raises(PaperzooError, match=says):
            alarms.curve(bad, np.array([True, True]))
    with pytest.raises(PaperzooError, match="not 0"):
        alarms.recall_at(score, label, 0)


def test_lead_times_and_failures_by_hand() -> None:
    """Machine 0 fails at hour 50 (windows at 0, 24, 48), machine 1 at hours 30 and 90 (windows at 0, 24, 48, 72)."""
    machine, time = np.array([0, 0, 0, 1, 1, 1, 1]), np.array([0, 24, 48, 0, 24, 48, 72]) * 3600
    until = np.array([np.inf, 26, 2, 30, 6, 42, 18], np.float32) / np.float32(24)
    alarm = np.array([True, True, False, False, True, True, False])
    assert alarms.lead_times(alarm, until, 1).tolist() == pytest.approx([6])
    assert sorted(alarms.lead_times(alarm, until, 2).tolist()) == pytest.approx([6, 26, 42])
    assert alarms.failures_found(alarm, machine, time, until, 1) == (1, 3)
    assert alarms.failures_found(alarm, machine, time, until, 2) == (3, 3)
    assert alarms.failures_found(alarm & False, machine, time, until, 2) == (0, 3)


# The models ----------------------------------------------------------------------------------------------------------


def test_statistics_by_hand() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 64, 2, dtype=torch.float64)
    found = statistics(x, (1, 4), per_day=4)
    assert found.shape == (3, (5 * 2 + 1) * 2)
    for n in range(3):
        expected: list[float] = []
        for days in (1, 4):
            w = x[n, -4 * days :].numpy()
            slope = [np.polyfit(np.arange(len(w)) / 4, w[:, s], 1)[0] for s in range(2)]
            expected += [*w.mean(0), *w.std(0), *w.min(0), *w.max(0), *slope]
        np.testing.assert_allclose(found[n].numpy(), [*expected, *x[n, -1].numpy()], atol=1e-12)
    assert (statistics(x, (1,), per_day=1)[:, [2, 3, 8, 9]] == 0).all()  # of one reading: no deviation, no slope


def problem(number: int = 3000, features: int = 5) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    x = torch.randn(number, features).round(decimals=2)  # ties with thresholds
    return x, torch.rand(number) < torch.sigmoid(2 * x[:, 0] - x[:, 1] ** 2 - 2)


def test_trees_and_lines_are_those_of_scikit_learn() -> None:
    x, y = problem()
    z, label = x.numpy(), y.numpy()
    boosted = maintenance.Trees("boosting", 30, 15)
    boosted.fit(x, y, seed=3)
    other: Any = HistGradientBoostingClassifier(
        max_iter=30, max_leaf_nodes=15, class_weight="balanced", early_stopping=False, random_state=3
    ).fit(z, label)
    np.testing.assert_allclose(boosted(x).numpy(), other.decision_function(z), atol=1e-5)
    forest = maintenance.Trees("forest", 30, 16)
    forest.fit(x, y, seed=3)
    other = RandomForestClassifier(30, max_leaf_nodes=16, min_samples_leaf=5, class_weight="balanced", random_state=3).fit(z, label)
    np.testing.assert_allclose(torch.sigmoid(forest(x)).numpy(), other.predict_proba(z)[:, 1].clip(1e-4, 1 - 1e-4), atol=1e-5)
    line = maintenance.Logistic(5)
    line.fit(3 * x + 7, y, seed=0)
    other = LogisticRegression(class_weight="balanced", max_iter=1000).fit((z - z.mean(0)) / z.std(0), label)
    np.testing.assert_allclose(line(3 * x + 7).numpy(), other.decision_function((z - z.mean(0)) / z.std(0)), atol=1e-3)


def toy(number: int, seed: int, shuffled: bool = False) -> Dataset:
    """Windows of 32 readings of two sensors, two a day; a rising last day of the first foretells a failure. One in eight fails."""
    splits = {}
    for index, split in enumerate(("train", "test")):
        random = np.random.default_rng([seed, index])
        label = random.random(number) < 0.125
        readings = random.standard_normal((number * 32, 2)).astype(np.float32)
        readings.reshape(number, 32, 2)[:, -2:, 0] += 1.5 * np.where(label, 1, 0)[:, None]
        until = np.where(random.permutation(label) if shuffled else label, 0.5, np.inf).astype(np.float32)
        splits[split] = Split(
            Windows(readings, np.arange(number) * 32 + 31, 32), Values("until", torch.from_numpy(until)),
            Values("machine", torch.arange(number) % 7), Values("time", torch.arange(number) * 86_400),
        )  # fmt: skip
    schema = Schema("toy", ("readings", "until", "machine", "time"), {}, tuple("abcdefg"))
    return Dataset(schema, splits, "", "")


SETTINGS: dict[str, Any] = {
    "observation": (2,), "per_day": 2, "sensors": ("rising", "noise"), "mean": (0.0, 0.0), "deviation": (1.0, 1.0),
    "shares": (0.125, 0.125), "hidden": 8, "trees": 30, "leaves": 15, "dropout": 0.0,
}  # fmt: skip


def trained(kind: str, data: Dataset, steps: int = 150) -> Model:
    torch.manual_seed(0)
    model = Model(kind=kind, **SETTINGS)
    opt = Players(model.optimizers(lr=1e-2))
    opt.total = opt.stage_steps = steps
    random = np.random.default_rng(0)
    for opt.iteration in range(1 if kind in FITTED else steps):
        chosen = range(len(data["train"])) if kind in FITTED else random.integers(0, len(data["train"]), 128)
        model.step(data["train"].batch(np.asarray(chosen)), opt)
    return model.eval()


@pytest.mark.processor
@pytest.mark.parametrize("kind", VARIANTS)
def test_learns_with_honest_probabilities_and_nothing_from_shuffled_labels(kind: str) -> None:
    data = toy(4000, 0)
    model = trained(kind, data)
    found = model.measure(data, "test")
    assert found["roc auc"] > 0.9 and found["average precision"] > 0.5
    p = 1 / (1 + np.exp(-model.outputs(data, "test")[0]))
    assert abs(p.mean() - 0.125) < 0.05, "probabilities must mean what they say"
    assert found["cost at best"] <= found["cost"] < 0.6 * found["cost of none"]
    falls = importance(model, data, "test")
    assert falls["rising"] > 0.3 and abs(falls["noise"]) < 0.05
    chance = [trained(kind, toy(2000, seed, shuffled=True), 60).measure(toy(2000, seed, shuffled=True), "test") for seed in range(4)]
    assert abs(np.mean([one["roc auc"] for one in chance]) - 0.5) < 0.03


def test_without_the_correction_probabilities_are_too_high() -> None:
    data = toy(4000, 0)
    model = trained("logistic", data)
    model.weight.fill_(1)
    assert (1 / (1 + np.exp(-model.outputs(data, "test")[0]))).mean() > 0.25  # one in eight fails


def test_figures_of_a_split_by_hand() -> None:
    data = toy(400, 3)
    model = trained("logistic", data)
    data = dataclasses.replace(data, splits={**data.splits, "unseen": data["train"]})
    found = model.measure(data, "test")
    items = data["test"].batch(range(400))
    p = 1 / (1 + np.exp(-model(items.readings).double().numpy()))
    label = (items.until <= 1).numpy()
    alarm = p >= 1 / 20
    assert model.threshold == 1 / 20
    assert found["log loss"] == pytest.approx(theirs.log_loss(label, p))
    assert found["alarms %"] == pytest.approx(100 * alarm.mean()) and found["positives %"] == pytest.approx(100 * label.mean())
    assert found["cost"] == pytest.approx((alarm.sum() + 20 * (label & ~alarm).sum()) / 400)
    assert found["cost of none"] == pytest.approx(20 * label.mean()) and found["lead time h"] == 12
    assert found["failures found %"] == pytest.approx(100 * (alarm & label).sum() / label.sum())
    assert found["roc auc, unseen machines"] == model.measure(data, "train")["roc auc"]
    quiet = Split(*data["test"].columns[:1], Values("until", torch.full((400,), torch.inf)), *data["test"].columns[2:])
    assert model.measure(dataclasses.replace(data, splits={"test": quiet}), "test") == {"positives %": 0.0}


def test_every_variant_has_its_count_and_every_contest_its_recipes() -> None:
    assert set(PARAMETERS) == set(VARIANTS) == set(get_args(Kind))
    assert PARAMETERS["mlp"] == (48 * 4 * 64 + 64) + (64 * 64 + 64) + (64 + 1)
    assert PARAMETERS["lstm"] == 4 * 32 * (4 + 32 + 2) + (32 + 1)
    for name, recipe in RECIPES.items():
        if name.startswith(("small", "paper")):
            assert recipe.model["observation"] == ((2,) if "mini" in name else OBSERVATIONS)
            assert recipe.model["prediction"] == (2 if "full-2" in name else 1)
    for variant in VARIANTS:
        serving = {name.removesuffix("-network") for name, recipe in RECIPES.items() if variant in recipe.variants}
        assert {"small-mini", "small-full-1", "small-full-2"} <= serving


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"kind": "boost"}, "unknown model.kind 'boost': did you mean boosting"),
        ({"observation": (3,)}, "lists days among [1, 2, 4, 8, 16], not [3]"),
        ({"observation": ()}, "lists days among"),
        ({"prediction": 3}, "model.prediction must be at most 2, not 3"),
        ({"kind": "mlp", "pool": 5}, "pool of maintenance must divide the 48 steps"),
        ({"alarm_cost": 30.0}, "an alarm must cost less than a missed failure, not 30 against 20"),
        ({"sensors": ("a",)}, "1 sensors, 4 means and 4 deviations"),
        ({"leaves": 1}, "model.leaves must be at least 2, not 1"),
        ({"dropout": 1.0}, "model.dropout must be less than 1"),
    ],
)
def test_arguments(arguments: dict[str, Any], says: str) -> None:
    with torch.device("meta"), pytest.raises(PaperzooError, match=re.escape(says)):
        paperzoo.create("maintenance", **arguments)


def test_a_batch_without_a_failure_cannot_be_fitted() -> None:
    batch = Batch(readings=torch.randn(9, 384, 4), until=torch.full((9,), torch.inf))
    with pytest.raises(PaperzooError, match="0 of the 9 windows of this step come before a failure"):
        Model().step(batch, Players({}))


@pytest.mark.processor
def test_a_run_its_pictures_and_alarms_for_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = paperzoo.train("maintenance", "smoke", out=tmp_path)
    names = {path.name for path in run.figures}
    assert {"final-curves.png", "final-importance.png"} <= names and sum("machine-M" in name for name in names) == 3
    assert all(path.stat().st_size < 150_000 for path in run.figures)
    assert run.metrics["roc auc"] > 0.8
    model = paperzoo.load(run.directory)
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))
    fleet = wear.simulate(4, 60, seed=9)
    rows = ["machine,time,load,current,vibration,temperature,extra,event"]  # another order, and a column more
    for part in wear.parts(fleet, 4):
        for name, time, values, event in zip(part.machine, part.time, part.values, part.event, strict=True):
            cells = ["" if np.isnan(v) else repr(float(v)) for v in values[[3, 2, 0, 1]]]
            rows.append(",".join([name, str(np.datetime64(int(time), "s")), *cells, "0", "failure" if event == logs.FAILURE else ""]))
    rows.append("new,2023-02-01T00:00:00,1,1,1,1,0,")
    path = tmp_path / "log.csv"
    path.write_text("\n".join(rows))
    said = model.predict(path)
    assert [one.machine for one in said.now] == sorted({f"M00{m}" for m in range(4)}, key=[one.machine for one in said.now].index)
    assert len(said.now) == 4 and said.skipped == ("new",) and said.threshold == 0.05
    assert [one.probability for one in said.now] == sorted((one.probability for one in said.now), reverse=True)
    assert all(one.probability >= 0.05 for one in said.past) and "of 4 machines may fail within a day" in str(said)
    newest = said.now[0]
    number, hour = int(newest.machine[1:]), int(newest.time.timestamp() - wear.BEGIN) // 3600
    assert hour % 24 == 0 and hour >= 58 * 24
    grid = np.arange(hour - 6 * 95, hour + 1, 6)
    if not fleet.standing[grid, number].any():
        window = torch.from_numpy(fleet.values[grid, number])[None]
        with torch.no_grad():
            assert newest.probability == pytest.approx(float(torch.sigmoid(model(window))[0]), abs=1e-4)
    for other, says in (("log.txt", "there is no log"), ("lacks.csv", "lacks.csv has no sensor vibration, which this model reads")):
        if other == "lacks.csv":
            (tmp_path / other).write_text("\n".join(rows).replace("vibration", "sound", 1))
        with pytest.raises(PaperzooError, match=re.escape(says)):
            model.predict(str(tmp_path / other))


def test_the_lstms_last_state_decides() -> None:
    torch.manual_seed(0)
    network, x = maintenance.Recurrent(3, 5, 0.0).eval(), torch.randn(4, 7, 3)
    _, (h, _) = network.lstm(x)  # (1, N, hidden), after the newest reading
    assert torch.allclose(network(x), (h[0] @ network.output.weight.T + network.output.bias)[:, 0], atol=1e-6)
    newest = x.clone()
    newest[:, -1] += 1
    assert (network(newest) - network(x)).abs().min() > 1e-4
