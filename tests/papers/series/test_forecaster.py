"""Simple methods pinned and against statsmodels, intervals where they are known exactly, leaks, and what a network learns."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.training import count, job, loop
from torch import Tensor

import paperzoo
from paperzoo.data import Dataset
from paperzoo.data.series.series import AR2, Series, Windows, ar2, stretches_of, windows
from paperzoo.engine.players import Players
from paperzoo.errors import PaperzooError
from paperzoo.metrics import baselines
from paperzoo.metrics.coverage import conformal, coverage, followed
from paperzoo.metrics.forecasts import best_lag, errors, repeats
from paperzoo.metrics.great_circle import RADIUS, great_circle
from paperzoo.papers.series import forecaster
from paperzoo.tasks.forecasting import Forecaster, Forecasting
from paperzoo.tasks.forecasting import draw as forecast_pictures


def column(dataset: Dataset, split: str) -> Windows:
    (found,) = dataset[split].columns
    assert isinstance(found, Windows)
    return found


class Exact(Forecaster):
    """A forecaster by formula, with the scale and the intervals of any other."""

    def __init__(self, dataset: Dataset, formula: Any, horizon: int = 4) -> None:
        known = {**dataset.schema.arguments, "horizon": horizon}
        super().__init__(transform="none", **known)
        self.formula = formula
        self.calibrate(dataset["validation"].batch(range(len(dataset["validation"]))), Players({}))

    def forward(self, history: Tensor) -> Tensor:
        raw = self.formula(history)  # (N, H, K)
        return (raw - self.location[self.at]) / self.spread[self.at]


def best_ar2(history: Tensor) -> Tensor:
    """The conditional mean of ``ar2``, four steps ahead."""
    seen = [history[:, -2, 0], history[:, -1, 0]]
    for _ in range(4):
        seen.append(AR2[0] * seen[-1] + AR2[1] * seen[-2])
    return torch.stack(seen[2:], 1)[..., None]


def last_value(history: Tensor) -> Tensor:
    return history[:, -1:].expand(-1, 4, -1)


# --- metrics -----------------------------------------------------------------------------------------------------------


def test_great_circle() -> None:
    places = np.array([[0, 0, 0, 180], [90, 0, -90, 77], [0, 0, 0, 90], [10, 179.5, 10, -179.5]], float)
    found = great_circle(places[:, :2], places[:, 2:])
    quarter = np.pi / 2 * RADIUS
    assert found[:3] == pytest.approx([2 * quarter, 2 * quarter, quarter])
    assert found[3] == pytest.approx(np.radians(1) * RADIUS * np.cos(np.radians(10)), rel=1e-4)  # over the date line
    assert great_circle(np.array([52.5200, 13.4050]), np.array([48.8566, 2.3522])) == pytest.approx(877.5, abs=1)  # Berlin, Paris


def test_errors_and_coverage_by_hand() -> None:
    actual, forecast = np.array([[[1.0], [9.0]], [[3.0], [0.0]]]), np.array([[[2.0], [6.0]], [[0.0], [99.0]]])
    mask = np.array([[True, True], [True, False]])
    rmse, mae = errors(actual, forecast, mask)
    assert rmse[:, 0] == pytest.approx([np.sqrt(5), 3]) and mae[:, 0] == pytest.approx([2, 3])
    held, width = coverage(actual, forecast - 1, forecast + 1, mask)
    assert held[:, 0].tolist() == [50, 0] and width[:, 0].tolist() == [2, 2]


def test_conformal_is_an_order_statistic_and_holds_what_it_promises() -> None:
    scores = np.random.default_rng(0).permutation(np.arange(1.0, 20))[:, None]
    assert conformal(scores).item() == 18  # ceil(20 * 0.9) of 19
    assert np.isinf(conformal(scores[:8])).all() and np.isfinite(conformal(scores[:9])).all()
    padded = np.concatenate([scores, np.full((7, 1), np.nan)])
    assert conformal(padded).item() == 18
    held, scores, known = np.arange(1.0, 10), np.array([50.0, np.nan, 0.5, 60.0]), np.array([0, 1, 3, 3])
    assert followed(held, scores, known).tolist() == [9, 50, 50, 50]
    assert followed(held, np.full(12, 0.5), np.arange(12)).tolist() == [9] * 9 + [0.5] * 3  # the oldest leave first
    assert np.isinf(followed(held[:8], scores, known)).all()
    draws = np.random.default_rng(1).exponential(size=(40, 5000))  # 39 scores and one to come
    assert (draws[39] <= conformal(draws[:39])).mean() == pytest.approx(0.9, abs=0.02)


def test_a_forecast_that_repeats_is_found_out() -> None:
    series = np.cumsum(np.random.default_rng(0).standard_normal(300))
    past = np.stack([series[10 - lag : 300 - lag] for lag in range(8)], 1)  # (N, L)
    for lag in (0, 1, 4):
        assert best_lag(3 + 0.5 * past[:, lag], past) == (lag, pytest.approx(1))
    assert repeats(1, 0.99, 1.0) and repeats(4, 0.99, 1.2, 4)
    assert not any((repeats(0, 0.99, 1.0), repeats(1, 0.5, 1.0), repeats(1, 0.99, 1.0, 4), repeats(1, 0.99, 0.8)))
    assert best_lag(np.ones(290), past) == (0, 0)
    data = ar2()
    lazy, good = (Exact(data, formula) for formula in (last_value, best_ar2))
    for horizon in range(1, 5):
        assert lazy.lag(lazy.walk(column(data, "test")), horizon) == (horizon, pytest.approx(1))
    assert good.lag(good.walk(column(data, "test")), 1)[0] == 0
    assert "Little more than the last value" in lazy.predict(column(data, "test").values[:300]).note
    assert not good.predict(column(data, "test").values[:300]).note


# --- simple methods ----------------------------------------------------------------------------------------------------


def test_sunspots_persistence_and_ar9_are_what_they_are_known_to_be() -> None:
    pytest.importorskip("statsmodels")
    test = column(paperzoo.dataset("sunspots"), "test")
    actual, mask = test.ahead()
    fitted = baselines.autoregression(test, 0)
    assert len(fitted.weights) == 9  # by AIC
    found = {"persistence": baselines.persistence(test, 0), "ar": fitted(test, 0)}
    figures = {name: [float(e[0, 0]) for e in errors(actual, f[..., None], mask)] for name, f in found.items()}
    assert figures["persistence"] == pytest.approx([33.28, 25.44], abs=0.005)
    assert figures["ar"] == pytest.approx([19.44, 15.15], abs=0.005)


def test_autoregression_and_smoothing_are_those_of_statsmodels() -> None:
    pytest.importorskip("statsmodels")
    from statsmodels.tsa.ar_model import AutoReg
    from statsmodels.tsa.holtwinters import Holt

    test = column(paperzoo.dataset("sunspots-cycle"), "test")
    known = test.values[: test.origins[0], 0]
    ours = baselines.autoregression(test, 0, order=3)(test, 0)
    assert ours[0] == pytest.approx(AutoReg(known, 3).fit().forecast(11))
    theirs = Holt(known, damped_trend=True, initialization_method="estimated").fit()
    assert baselines.smoothing(test, 0)[0] == pytest.approx(theirs.forecast(11), rel=1e-4)


def test_simple_methods_by_hand() -> None:
    values = np.array([[0.0, 1], [10, 2], [20, 4], [30, 8], [40, 16], [50, 32]])
    some = Windows(values, (0, 1), np.array([3, 4]), np.array([6, 6]), np.array([0, 2]), 2, 3, (0, 3))
    assert baselines.persistence(some, 1).tolist() == [[4, 4, 4], [8, 8, 8]]
    assert baselines.motion(some, 1).tolist() == [[6, 8, 10], [12, 16, 20]]
    assert baselines.seasonal(some, 1, 2).tolist() == [[2, 4, 2], [4, 8, 4]]
    assert baselines.seasonal(some, 1, 3).tolist() == [[1, 2, 4], [8, 4, 8]]  # row 1 is of another series: its last value
    train = Windows(values, (0, 1), np.array([2, 4]), np.array([4, 6]), np.array([0, 0]), 2, 3, (0, 3))
    changes = [2 + 4 - 4, 6 + 4 - 4, 0 + 4 - 4]  # from 2 to 4 and 8; the band of 10 to 15 has one training window
    assert baselines.climatology(some.part(np.array([0])), train, 1, latitude=0).tolist() == [[4, 4, 4]]  # latitude 20: none
    here = Windows(values, (0, 1), np.array([2]), np.array([6]), np.array([0]), 2, 3, (0, 3))
    assert (baselines.climatology(here, train, 1, latitude=0) - 2).tolist() == [changes]


# --- intervals and leaks -----------------------------------------------------------------------------------------------


def test_intervals_of_a_gaussian_process_are_as_wide_as_they_should_be() -> None:
    data = ar2(rows=12_000)
    model = Exact(data, best_ar2)
    psi = [1.0, AR2[0]]
    for _ in range(2):
        psi.append(AR2[0] * psi[-1] + AR2[1] * psi[-2])
    wanted = 2 * 1.6449 * np.sqrt(np.cumsum(np.square(psi)))  # of the moving-average weights: h steps of unit noise
    walk = model.walk(column(data, "test"))
    held, width = coverage(walk.actual, walk.low, walk.high, walk.mask)
    assert width[:, 0] == pytest.approx(wanted, rel=0.06)
    assert (held > 87).all() and (held < 93).all()
    rmse, _ = errors(walk.actual, walk.value, walk.mask)
    assert rmse[:, 0] == pytest.approx(wanted / (2 * 1.6449), rel=0.05)


def test_the_future_changes_no_forecast() -> None:
    pytest.importorskip("statsmodels")
    data = paperzoo.dataset("sunspots-cycle")
    torch.manual_seed(0)
    model = forecaster.Model(**{**data.schema.arguments, "hidden": 4})
    model.calibrate(data["validation"].batch(range(44)), Players({}))
    test = column(data, "test")
    random = np.random.default_rng(0)
    for at in (0, 20, 50):
        values = test.values.copy()
        random.shuffle(values[test.origins[at] :])
        other = Windows(
            values, test.targets, test.origins, test.stops, test.firsts, test.history, test.horizon, test.known, test.held
        )
        for make in (
            lambda w: model.walk(w).value, lambda w: model.walk(w, follow=True).high,
            lambda w: baselines.persistence(w, 0), lambda w: baselines.seasonal(w, 0, 11),
            lambda w: baselines.autoregression(w, 0)(w, 0), lambda w: baselines.smoothing(w, 0),
        ):  # fmt: skip
            assert np.array_equal(make(other)[: at + 1], make(test)[: at + 1])
            assert not np.array_equal(make(other)[at + 1 :], make(test)[at + 1 :])


def test_what_is_held_out_moves_no_weight(tmp_path: Path) -> None:
    ends = []
    for held in (False, True):
        made = loop(job("forecaster", "smoke", steps=3), tmp_path)
        if held:
            (both,) = made.split.columns
            assert isinstance(both, Windows) and (both.held >= 0).sum() == 400
            both.values = both.values.copy()
            both.values[both.origins[both.held >= 0]] += 7  # histories of training windows end before these
        for _ in range(3):
            made.step()
        ends.append({n: p.detach().clone() for n, p in made.model.state_dict().items()})
    assert all(torch.equal(ends[0][n], ends[1][n]) for n in ends[0] if n.startswith("network"))
    assert not torch.equal(ends[0]["scores"], ends[1]["scores"])


# --- the networks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", list(forecaster.VARIANTS))
@pytest.mark.parametrize("difference", [False, True])
def test_every_step_of_a_window_counts_and_no_window_sees_another(variant: str, difference: bool) -> None:
    torch.manual_seed(0)
    known: dict[str, Any] = {"columns": ("a", "b", "c"), "targets": ("a", "c"), "history": 6, "horizon": 3, "hidden": 8}
    model = paperzoo.create(f"forecaster:{variant}", difference=difference, **known).eval()
    history = torch.randn(4, 9, 3, requires_grad=True)
    z = model(history)
    assert z.shape == (4, 3, 2)
    (gradient,) = torch.autograd.grad(z[1].square().sum(), history)
    assert not gradient[[0, 2, 3]].any() and not gradient[1, :3].any()
    assert (gradient[1, 3:] != 0).all()
    assert torch.allclose(model(history[2:3]), z[2:3], atol=1e-6)
    if difference:  # a network that says nothing is persistence
        for p in model.network.parameters():
            p.data.zero_()
        assert torch.allclose(model.forecasts(history)[0], history[:, -1:, [0, 2]].expand(-1, 3, -1), atol=1e-6)


@pytest.mark.processor
def test_it_learns_the_process_and_without_its_history_no_more_than_the_mean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = paperzoo.train("forecaster", recipe="smoke", out=tmp_path)
    found = run.metrics
    noise, spread = 1.0, float(column(ar2(), "test").values.std())
    assert noise * 0.9 < found["RMSE at 1 step"] < 0.9 * found["persistence RMSE at 1 step"]
    assert found["RMSE at 2 steps"] < 0.85 * found["persistence RMSE at 2 steps"]
    assert found["AR(2) RMSE at 1 step"] == pytest.approx(noise, abs=0.08)
    assert 85 <= found["lowest interval coverage %"] <= found["highest interval coverage %"] <= 95
    assert found["interval width at 2 steps"] < found["persistence interval width at 2 steps"]
    assert {p.name for p in run.figures} >= {"final-forecasts.png", "final-errors.png"}

    model, ahead = run.model, column(ar2(), "test").values[-60:]  # saved and loaded, intervals and all
    forecast = model.predict(ahead)
    (tmp_path / "new.csv").write_text("called otherwise\n" + "\n".join(str(x) for x in ahead[:, 0]) + "\n")
    same = model.predict(tmp_path / "new.csv")
    assert torch.equal(forecast.value, same.value) and (forecast.low < forecast.value).all() and torch.isfinite(forecast.high).all()
    assert str(forecast).splitlines()[1].startswith("+1 step  x ") and forecast.steps == ("1 step", "2 steps")

    take = Windows.take

    def shuffled(self: Windows, indices: np.ndarray) -> dict[str, Any]:  # windows whose histories are those of others
        other = np.random.default_rng(0).permutation(len(self))[indices]
        return {**take(self, indices), "history": take(self, other)["history"]}

    monkeypatch.setattr(Windows, "take", shuffled)
    blind = paperzoo.train("forecaster", recipe="smoke", out=tmp_path).metrics
    assert found["RMSE at 1 step"] < 0.6 * spread < 0.6 * blind["RMSE at 1 step"] * 1.03


def test_transforms_come_back_and_refuse_what_they_cannot() -> None:
    random = np.random.default_rng(0)
    series = Series(("x", "y"), ("x",), np.stack([random.random(60) * 90, random.standard_normal(60)], 1), (0, 60), (1, "day"))
    data = windows("some", series, stretches_of(60, 40, 50), 5, 2, "", "")
    batch = data["train"].batch(range(9))
    for transform in ("none", "sqrt", "log"):
        model = forecaster.Model(**{**data.schema.arguments, "transform": transform})
        z, mask = model.wanted(batch)
        assert torch.allclose(model.raw(z)[mask], batch.target[mask], rtol=1e-4)
        seen = model.scaled(data["train"].batch(range(len(data["train"]))).history)
        assert seen.mean().abs() < 0.2 and seen.std() == pytest.approx(1, abs=0.15)
        assert model.raw(torch.full((1,), -1e3)).item() >= -1 or transform == "none"
    both = windows("some", Series(("x", "y"), ("y",), series.values, (0, 60), (1, "day")), stretches_of(60, 40, 50), 5, 2, "", "")
    with pytest.raises(PaperzooError, match="y has values in the training split that have no sqrt"):
        forecaster.Model(**{**both.schema.arguments, "transform": "sqrt"})
    assert torch.isinf(forecaster.Model(history=5).half_width()).all()  # nothing was held out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"network": "transformer"}, "unknown model.network"),
        ({"transform": "root"}, "unknown model.transform"),
        ({"hidden": 0}, "at least 1"),
        ({"horizon": 0}, "horizon must be at least 1"),
        ({"history": 1}, "history must be at least 2"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(PaperzooError, match=message):
        paperzoo.create("forecaster", **arguments)


def test_what_predict_and_measure_refuse(tmp_path: Path) -> None:
    model = forecaster.Model(history=5, horizon=2, columns=("x",), targets=("x",))
    holed = tmp_path / "holed.csv"
    holed.write_text("date,x\n" + "\n".join(f"2020-01-{d:02d},{d}" for d in (*range(1, 9), *range(12, 15))) + "\n")
    for given, message in (
        ([1, 2, 3], "looks back on 5 steps; the series has 3"),
        (np.ones((9, 2)), "a series is .T, 1.: x"),
        ([1, 2, float("nan"), 4, 5, 6], "step 2 of the series is not finite"),
        (holed, "the series has 3, since the gap before 2020-01-12"),
        ({"x": 1}, "not dict"),
    ):
        with pytest.raises(PaperzooError, match=message), pytest.MonkeyPatch.context() as patch:
            patch.setattr("warnings.warn", lambda *_, **__: None)
            model.predict(given)
    with pytest.raises(PaperzooError, match="reach 4 steps ahead"):
        model = forecaster.Model(**{**ar2().schema.arguments, "horizon": 5})
        model.windows(ar2(), "test")
    with pytest.raises(PaperzooError, match="has the columns x, the model y"):
        forecaster.Model(history=5, columns=("y",), targets=("y",)).windows(ar2(), "test")
    with pytest.raises(PaperzooError, match="looks back on 9 steps"):
        forecaster.Model(**{**ar2().schema.arguments, "history": 9}).walk(column(ar2(), "test"))


def seasonal(tmp_path: Path, slope: float = 0.1) -> Dataset:
    t, random = np.arange(400), np.random.default_rng(0)
    values = slope * t + 9 * np.sin(2 * np.pi * t / 7) + random.standard_normal(400)
    (tmp_path / "some.csv").write_text("\n".join(["sold", *(f"{v:.5f}" for v in values)]) + "\n")
    return paperzoo.dataset(f"series:{tmp_path / 'some.csv'}#season=7&horizon=5")


def test_a_pattern_that_is_taken_out_comes_back(tmp_path: Path) -> None:
    data = seasonal(tmp_path)
    model = forecaster.Model(**data.schema.arguments, transform="sqrt")  # of values below 0: the pattern's own transform counts
    batch = data["train"].batch(range(50))
    z, mask = model.wanted(batch)
    assert torch.allclose(model.raw(z, batch.history)[mask], batch.target[mask], atol=1e-4)
    assert 0.5 < z[mask].std() < 1.5 and 0.5 < model.scaled(batch.history).std() < 1.5
    higher = model.forecasts(batch.history + 1000)[0] - model.forecasts(batch.history)[0]
    assert torch.allclose(higher, torch.tensor(1000.0), atol=1e-2)  # far beyond what it has seen
    with pytest.raises(PaperzooError, match="history must be at least 28"):
        forecaster.Model(**{**data.schema.arguments, "history": 20})


def test_a_network_is_believed_as_far_as_it_was_right_where_it_was_held_out(tmp_path: Path) -> None:
    data = seasonal(tmp_path)
    held = data["validation"].batch(range(len(data["validation"])))
    believed = {}
    for name, right in (("twice", 2.0), ("wrong", -1.0), ("nothing", 0.0)):
        model = forecaster.Model(**data.schema.arguments)
        truth = model.wanted(held)[0]
        model.forward = lambda history, truth=truth, right=right: right * truth[: len(history)]  # type: ignore[method-assign]
        model.calibrate(held, Players({}))
        believed[name] = model.pattern.trust
        if name == "twice":
            assert model.scores.abs().max() < 1e-4 and model.half_width().max() < 1e-4
        else:
            (alone,) = (model.pattern(held.history[:1, -model.window :]),)
            assert torch.allclose(model.forecasts(held.history[:1])[0], alone, atol=1e-3)
    assert torch.allclose(believed["twice"], torch.tensor(0.5))
    assert not believed["wrong"].any()


@pytest.mark.processor
def test_ones_own_series_with_a_season_and_a_trend_is_forecast_better_than_by_the_season_before(tmp_path: Path) -> None:
    data = seasonal(tmp_path)
    run = paperzoo.train("forecaster", data=data.name, out=tmp_path, overrides={"steps": 60})
    found = run.metrics
    for ahead in ("1 step", "5 steps"):
        assert found[f"RMSE at {ahead}"] < 0.95 * min(found[f"{simple} RMSE at {ahead}"] for simple in ("seasonal naive", "persistence"))
    assert Forecasting().verdict(found).startswith("Held out, it was off by ")
    assert run.model.predict(tmp_path / "some.csv").value.shape == (5, 1)


def test_a_verdict_names_the_best_simple_method_and_says_where_it_is_better() -> None:
    metrics = {"RMSE at 1 day": 20.0, "persistence RMSE at 1 day": 40.0, "AR(3) RMSE at 1 day": 25.0, "persistence MAE at 1 day": 1.0}
    verdict = Forecasting().verdict
    assert verdict(metrics) == "Held out, it was off by 20 % less than AR(3), the best simple method (RMSE at 1 day 20)."
    assert verdict({**metrics, "RMSE at 1 day": 30.0}).startswith("Worse than AR(3) where it was held out, by 20 %")
    assert "as much as AR(3)" in verdict({**metrics, "RMSE at 1 day": 25.05})
    assert "4 % more than AR(3)" in verdict({**metrics, "RMSE at 1 day": 26.0})
    assert verdict({**metrics, "RMSE at 1 day": 26.0, "AR(3) RMSE at 1 day": 41.0, "persistence RMSE at 1 day": 25.7}).startswith("Worse")
    two = {"a RMSE at 1 day": 2.0, "b RMSE at 1 day": 1.0, "persistence a RMSE at 1 day": 1.0, "persistence b RMSE at 1 day": 2.0}
    assert "as much as persistence" in verdict(two) and not verdict({"error %": 3.0})


def test_the_small_network_is_small() -> None:
    assert count(paperzoo.create("forecaster", hidden=8)) == 4 * 8 * (1 + 8 + 2) + 9


def test_a_network_of_differences_sees_changes_and_says_them(tmp_path: Path) -> None:
    made = loop(job("forecaster", "smoke", **{"model.difference": True, "model.horizon": 3}), tmp_path)
    model, seen = made.model, []
    model.change.fill_(0.25)  # a usual change from one step to the next, on the standardised scale
    said = torch.randn(4, 3, len(model.targets))
    model.network = Function(lambda x: (seen.append(x), said[: len(x)])[1])
    history = made.split.batch(np.arange(4)).history
    forecast, x = model(history), model.scaled(history)
    assert torch.allclose(seen[0], torch.cat([(x - x[:, -1:]) / 0.25, x], 2), atol=1e-6)
    ahead = torch.tensor([1.0, 2.0, 3.0])[:, None]
    assert torch.allclose(forecast, x[:, -1:][..., model.at] + said * 0.25 * ahead, atol=1e-6)


class Function(torch.nn.Module):
    """A network that is a function."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def test_only_the_last_fifth_of_the_steps_calibrates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, called = loop(job("forecaster", "smoke", steps=10), tmp_path), []
    monkeypatch.setattr(forecaster.Model, "calibrate", lambda self, batch, opt: called.append(made.opt.iteration))
    while made.opt.iteration < 10:
        made.step()
    assert called == [7, 8, 9]  # after the step number 7, from 0, eight of ten are done


def test_tracks_are_drawn_as_they_went_under_their_forecasts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Any] = []
    monkeypatch.setattr(forecast_pictures, "save", lambda figure, path, **_: figures.append(figure) or path)
    values = np.stack([10 + np.arange(8.0), -60 - 2 * np.arange(8.0)], 1)  # latitude, longitude
    windows = SimpleNamespace(firsts=np.zeros(2, int), origins=np.array([3, 6]), values=values, labels=["Ada"])
    model: Any = SimpleNamespace(targets=("lat", "long"), place=("lat", "long"), at={0: 0, 1: 1}, horizon=2, step_size=6, step_unit="hours")
    value = np.array([[[13.5, -67.0], [15.0, -69.0]], [[0.0, 0.0], [0.0, 0.0]]])
    walk: Any = SimpleNamespace(windows=windows, value=value, mask=np.ones((2, 2), bool))
    forecast_pictures._map(model, walk, tmp_path / "a.png", shown=2)
    axes = figures[0].axes[0]
    track, begin, forecast = axes.lines
    assert axes.get_title() == "Ada" and np.allclose(track.get_xydata(), values[:7, ::-1]) and np.allclose(begin.get_xydata(), [[-60, 10]])
    assert np.allclose(forecast.get_xydata(), [[-64, 12], [-67, 13.5], [-69, 15]])  # from the last known place
    assert [forecast_pictures.degrees(value, "EW") for value in np.array([-60.0, 0.0, 12.5])] == ["60° W", "0°", "12.5° E"]
    assert "the next 12 hours" in figures[0].get_suptitle()
