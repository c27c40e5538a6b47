"""Level, trend and season of windows: by hand, where they are exact, and what is chosen of series of known kinds."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from paperzoo.data.series.patterns import chosen, described, weights
from paperzoo.data.series.series import Series, Windows, series_file, stretches_of, windows
from paperzoo.errors import PaperzooError

T, H, M = 21, 9, 7
STEPS = np.arange(T + H)


def test_persistence_the_seasonal_naive_forecast_and_the_mean_are_patterns() -> None:
    x = np.random.default_rng(0).standard_normal(T)
    assert weights(T, H, 0, 1, 0)[1] @ x == pytest.approx(np.full(H, x[-1]))
    assert weights(T, H, M, M, 1)[1] @ x == pytest.approx([*x[-M:], *x[-M:][: H - M]])
    assert weights(T, H, 0, T, 0)[1] @ x == pytest.approx(np.full(H, x.mean()))
    left, _ = weights(T, H, 0, 4, 0)
    assert left @ x == pytest.approx(x - x[-4:].mean())


@pytest.mark.parametrize("cycles", [1, 2, 3])
def test_a_season_on_a_level_leaves_nothing_and_goes_on(cycles: int) -> None:
    shape = np.random.default_rng(1).standard_normal(M)
    x = 50 + shape[(STEPS + 3) % M]  # at any place in its season
    left, ahead = weights(T, H, M, M, cycles)
    assert left @ x[:T] == pytest.approx(np.zeros(T), abs=1e-12)
    assert ahead @ x[:T] == pytest.approx(x[T:])


def days(count: int) -> str:
    return f"{count} days"


def of(values: np.ndarray, history: int = T, horizon: int = H) -> tuple[Windows, Windows]:
    rows = len(values)
    series = Series(("x",), ("x",), values[:, None], (0, rows), (1, "day"))
    data = windows("some", series, stretches_of(rows, round(0.7 * rows), round(0.85 * rows)), history, horizon, "", "", season=M)
    (train,), (validation,) = data["train"].columns, data["validation"].columns
    assert isinstance(train, Windows) and isinstance(validation, Windows)
    return train, validation


def test_a_line_with_a_season_is_forecast_exactly_by_level_trend_and_season() -> None:
    t = np.arange(300)
    train, validation = of(0.5 * t + 10 * np.sin(2 * np.pi * t / M))
    found = chosen(train, validation, M)
    assert found["cycles"] and found["transform"] == "none"
    _, ahead = weights(T, H, M, found["level"], found["cycles"])
    came, mask = validation.ahead()
    past = validation.values[validation.origins[:, None] - T + np.arange(T)]  # (N, T, 1)
    assert np.abs((ahead @ past + np.array(found["trend"]) - came)[mask]).max() < 1e-9


def test_what_is_chosen_is_what_the_series_shows() -> None:
    random, t = np.random.default_rng(2), np.arange(600)
    noise = random.standard_normal(600)
    kinds = {"noise": noise, "season": noise + 20 * np.sin(2 * np.pi * t / M), "walk": noise.cumsum()}
    found = {name: chosen(*of(x), M) for name, x in kinds.items()}
    assert found["noise"]["level"] > 1 and not found["noise"]["cycles"]
    assert found["season"]["cycles"] == 3
    assert (found["walk"]["level"], found["walk"]["cycles"]) == (1, 0)
    growth = np.exp(0.01 * t + 0.3 * np.sin(2 * np.pi * t / M) + 0.02 * noise)
    assert chosen(*of(growth), M)["transform"] == "log"
    assert "logarithms" in described(chosen(*of(growth), M), days)
    assert described({**found["walk"], "trend": [[0.0]]}, days) == "the last value"
    seasonal = {"level": M, "cycles": 1, "season": M, "trend": [[1.0]], "transform": "none"}
    assert described(seasonal, days) == "what was 7 days before, the mean trend"


def test_nothing_of_the_test_stretch_is_looked_at() -> None:
    x = np.random.default_rng(3).standard_normal(300)
    other = x.copy()
    other[round(0.85 * 300) :] += 100
    assert chosen(*of(x), M) == chosen(*of(other), M)


def test_the_users_own_series_bring_their_pattern_unless_it_is_not_wanted(tmp_path: Path) -> None:
    path, t = tmp_path / "some.csv", np.arange(400)
    values = np.random.default_rng(0).standard_normal(400) + 9 * np.sin(2 * np.pi * t / 7) - 3
    rows = [f"{date(2020, 1, 1) + timedelta(int(i))},{v:.4f}" for i, v in zip(t, values, strict=True)]
    path.write_text("\n".join(["day,sold", *rows]) + "\n")
    arguments = series_file(path, "horizon=3").schema.arguments
    assert arguments["removed"]["season"] == 7 and np.shape(arguments["removed"]["trend"]) == (3, 1)
    assert "removed" not in series_file(path, "remove=none").schema.arguments
    with pytest.raises(PaperzooError, match="write #remove=none or leave it out, not #remove=season"):
        series_file(path, "remove=season")
