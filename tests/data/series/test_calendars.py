"""Steps of a calendar and the dates that come next; clocks that change twice a year; statistics that know only the training windows."""

from __future__ import annotations

import re
import warnings
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import torch
from fixtures.training import job, loop

from paperzoo.data.series import machines
from paperzoo.data.series.calendars import DAY, HOUR, calendar, clock_changes
from paperzoo.data.series.series import Series, read_series, series_file
from paperzoo.errors import PaperzooError
from paperzoo.papers.series import forecaster


def write(path: Path, stamps: Any, head: str = "date,x") -> Path:
    """Values 0.5, 1.5, ...: they can be told from row numbers and are no thousands."""
    path.write_text(head + "\n" + "".join(f"{stamp},{i}.5\n" for i, stamp in enumerate(stamps)), encoding="utf-8")
    return path


def quiet(path: Path, **more: Any) -> Series:
    """A series in which nothing has to be mended."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read_series(path, **more)


def monthly(count: int, day: int, start: tuple[int, int] = (2020, 1), every: int = 1) -> list[date]:
    """The day of each month, or its last where it is shorter, by counting back from the first of the next."""
    found = []
    for month in range(12 * start[0] + start[1] - 1, 12 * start[0] + start[1] - 1 + count * every, every):
        first = date(month // 12, month % 12 + 1, 1)
        length = (date((month + 1) // 12, (month + 1) % 12 + 1, 1) - first).days
        found.append(first.replace(day=min(day, length)))
    return found


def weekdays(start: str, end: str, week: str = "1111100") -> np.ndarray:
    days = np.arange(start, end, dtype="M8[D]")
    return days[np.is_busday(days, weekmask=week)]


LAST = [date(2023, 3, 31), date(2023, 4, 28), date(2023, 5, 31), date(2023, 6, 30), date(2023, 7, 31), date(2023, 8, 31)]
FIRST = [date(2023, 3, 1), date(2023, 4, 3), date(2023, 5, 1), date(2023, 6, 1), date(2023, 7, 3), date(2023, 8, 1)]
FRIDAYS = [date(2023, 3, 17), date(2023, 4, 21), date(2023, 5, 19), date(2023, 6, 16), date(2023, 7, 21), date(2023, 8, 18)]


@pytest.mark.parametrize(
    ("stamps", "step", "ahead"),
    [
        (monthly(14, 31), (1, "month"), ["2021-03-31", "2021-04-30", "2021-05-31"]),
        (monthly(25, 30), (1, "month"), ["2022-02-28", "2022-03-30", "2022-04-30"]),
        (monthly(25, 29), (1, "month"), ["2022-02-28", "2022-03-29", "2022-04-29"]),
        (monthly(12, 1), (1, "month"), ["2021-01-01", "2021-02-01", "2021-03-01"]),
        (monthly(8, 31, (2020, 3), 3), (3, "month"), ["2022-03-31", "2022-06-30", "2022-09-30"]),
        (monthly(8, 30, (2023, 4), 2), (2, "month"), ["2024-08-30", "2024-10-30", "2024-12-30"]),
        (monthly(8, 31, (2023, 4), 2), (2, "month"), ["2024-08-31", "2024-10-31", "2024-12-31"]),
        (monthly(2, 31, (2023, 4), 2), (2, "month"), ["2023-08-31", "2023-10-31", "2023-12-31"]),  # ends, though of 30 days
        (monthly(6, 31, (2018, 12), 12), (1, "year"), ["2024-12-31", "2025-12-31", "2026-12-31"]),
        (monthly(6, 29, (2016, 2), 12), (1, "year"), ["2022-02-28", "2023-02-28", "2024-02-29"]),
        (range(2016, 2022), (1, "year"), ["2022", "2023", "2024"]),
        (LAST, (1, "month"), ["2023-09-29", "2023-10-31", "2023-11-30"]),
        ([date(2023, 3, 30), *LAST[1:]], (1, "month"), ["2023-09-29", "2023-10-31", "2023-11-30"]),  # a holiday
        (FIRST, (1, "month"), ["2023-09-01", "2023-10-02", "2023-11-01"]),
        (FRIDAYS, (1, "month"), ["2023-09", "2023-10", "2023-11"]),
        (weekdays("2024-01-01", "2024-03-02"), (1, "business day"), ["2024-03-04", "2024-03-05", "2024-03-06"]),
        (weekdays("2024-01-08", "2024-01-20"), (1, "business day"), ["2024-01-22", "2024-01-23", "2024-01-24"]),
        (weekdays("2024-01-01", "2024-03-01", "1111001"), (1, "business day"), ["2024-03-03", "2024-03-04", "2024-03-05"]),
        (weekdays("2024-01-01", "2024-03-03", "1111110"), (1, "business day"), ["2024-03-04", "2024-03-05", "2024-03-06"]),
        (np.arange("2024-01-01", "2024-03-01", dtype="M8[D]"), (1, "day"), ["2024-03-01", "2024-03-02", "2024-03-03"]),
        (np.arange("2024-01-01", "2024-01-06", dtype="M8[D]"), (1, "day"), ["2024-01-06", "2024-01-07", "2024-01-08"]),
        (np.arange("2024-01-01", "2024-03-01", 2, dtype="M8[D]"), (2, "day"), ["2024-03-01", "2024-03-03", "2024-03-05"]),
        (np.arange("2024-01-01", "2024-03-01", 7, dtype="M8[D]"), (7, "day"), ["2024-03-04", "2024-03-11", "2024-03-18"]),
        (
            np.arange("2024-01-01T00:00", "2024-01-02T00:00", 15, dtype="M8[m]"), (15, "min"),
            ["2024-01-02 00:00:00", "2024-01-02 00:15:00", "2024-01-02 00:30:00"],
        ),
    ],
)  # fmt: skip
def test_the_dates_that_come_next(stamps: Any, step: tuple[int, str], ahead: list[str], tmp_path: Path) -> None:
    series = quiet(write(tmp_path / "some.csv", stamps))
    assert (series.step, series.bounds, list(series.ahead(3))) == (step, (0, len(series.values)), ahead)
    assert series.values[:, 0].tolist() == [i + 0.5 for i in range(len(stamps))]


def test_a_holiday_is_no_gap_and_a_closed_fortnight_is_one(tmp_path: Path) -> None:
    days = weekdays("2024-01-01", "2024-06-29")
    with pytest.warns(UserWarning, match="2 business days have no row, after row 21, row 60: they are holidays"):
        series = read_series(write(tmp_path / "holidays.csv", np.delete(days, (20, 60))))
    assert series.bounds == (0, len(days) - 2) and series.step == (1, "business day")
    with pytest.warns(UserWarning, match="10 steps are missing, after row 21"):
        series = read_series(write(tmp_path / "closed.csv", np.delete(days, range(20, 30))))
    assert series.bounds == (0, 20, len(days) - 10)
    some = np.delete(np.arange("2024-01-01", "2024-01-10", dtype="M8[D]"), 6)  # one Sunday without a row is no rule
    with pytest.warns(UserWarning, match="1 steps are missing, after row 7"):
        assert read_series(write(tmp_path / "sunday.csv", some)).step == (1, "day")
    with pytest.warns(UserWarning, match="1 steps are missing, after row 15"):  # a month is no holiday
        assert read_series(write(tmp_path / "months.csv", np.delete(monthly(30, 31), 14))).bounds == (0, 14, 29)


def zoned(zone: str, days: int, minutes: int) -> list[datetime]:
    """Equal steps of time as a clock of that place shows them, from 1 September 2023 on."""
    start, place = datetime(2023, 9, 1, tzinfo=UTC), ZoneInfo(zone)
    return [
        (start + i * timedelta(minutes=minutes)).astimezone(place).replace(tzinfo=None, fold=0) for i in range(days * 1440 // minutes)
    ]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Sydney", "America/Havana", "Africa/Cairo"])
@pytest.mark.parametrize("minutes", [30, 60, 360])
def test_a_local_clock_leaves_out_an_hour_and_repeats_one(zone: str, minutes: int, tmp_path: Path) -> None:
    local = zoned(zone, 700, minutes)
    with pytest.warns(UserWarning) as caught:
        series = read_series(write(tmp_path / "local.csv", local))
    (said,) = (str(w.message) for w in caught)
    assert "read as local time" in said and said.count("row") == 4  # two autumns and two springs
    assert series.bounds == (0, len(local)) and series.values[:, 0].tolist() == [i + 0.5 for i in range(len(local))]
    assert series.ahead(1) == (str(local[-1] + timedelta(minutes=minutes)),)
    clock = np.array(local, "M8[us]").astype(np.int64)
    added = clock_changes(clock)
    assert added is not None and (np.diff(clock + added) == minutes * 60_000_000).all()


def test_what_is_no_change_of_the_clock_is_not_taken_for_one(tmp_path: Path) -> None:
    hours = np.arange("2024-01-01T00", "2024-12-31T00", dtype="M8[h]")
    tuesday, sunday = (np.flatnonzero(hours == np.datetime64(t, "h"))[0] for t in ("2024-03-05T02", "2024-03-31T02"))
    for missing in ((tuesday,), (sunday, sunday + 24 * 7), (sunday, sunday + 40 * 24)):
        clock = np.delete(hours, missing).astype("M8[us]").astype(np.int64)
        assert clock_changes(clock) is None  # an hour without a row; two in spring, and none repeated between them
    twice = np.insert(hours, tuesday, hours[tuesday])
    with pytest.raises(PaperzooError, match=r"rows 1540 and 1541 have the same time and different values$"):
        read_series(write(tmp_path / "twice.csv", twice))
    mixed = sorted(zoned("Europe/Berlin", 90, 15))  # 2:00, 2:00, 2:15, 2:15, ...: which is which has been lost
    with pytest.raises(PaperzooError, match=re.escape("clocks are put back from summer time") + ".*write times in UTC or with"):
        read_series(write(tmp_path / "mixed.csv", mixed))


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/London", "Europe/Berlin"])
def test_local_days_and_months_written_in_utc_are_days_and_months(zone: str, tmp_path: Path) -> None:
    def utc(day: date) -> str:
        local = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
        return f"{local.astimezone(UTC):%Y-%m-%d %H:%M}"

    days = quiet(write(tmp_path / "days.csv", [utc(date(2023, 1, 1) + timedelta(days=i)) for i in range(700)]))
    assert days.step == (1, "day") and days.bounds == (0, 700)
    months = quiet(write(tmp_path / "months.csv", map(utc, monthly(30, 1))))
    assert months.step == (1, "month") and months.bounds == (0, 30)
    jagged = [f"2023-01-{d:02d} 0{4 + (d % 2)}:00" for d in range(1, 29)] + ["2023-01-29 09:00"]
    with pytest.raises(PaperzooError, match=r"row 4 .* steps of equal length are needed"):
        quiet(write(tmp_path / "jagged.csv", jagged))


def test_dates_are_those_of_the_place_where_the_file_has_offsets(tmp_path: Path) -> None:
    days = [datetime(2023, 3, 20, tzinfo=ZoneInfo("Europe/Berlin")) + timedelta(days=i) for i in range(14)]
    assert {f"{day:%z}" for day in days} == {"+0100", "+0200"}
    assert quiet(write(tmp_path / "days.csv", days)).ahead(2) == ("2023-04-03", "2023-04-04")
    starts = [f"{month}T00:00:00+01:00" for month in monthly(12, 1)]
    assert quiet(write(tmp_path / "starts.csv", starts)).ahead(1) == ("2021-01-01",)


def test_days_first_or_months_first_is_decided_by_the_calendar(tmp_path: Path) -> None:
    starts = [f"{day:%d/%m/%Y}" for day in monthly(18, 1)]  # month first: eleven days of January, then a year's gap
    assert quiet(write(tmp_path / "starts.csv", starts)).ahead(1) == ("2021-07-01",)
    days = [f"{day.astype(object):%m/%d/%Y}" for day in weekdays("2024-01-01", "2024-03-02")]
    assert quiet(write(tmp_path / "days.csv", days)).ahead(1) == ("2024-03-04",)
    with pytest.raises(PaperzooError, match="row 2, column date: '01/01/2020' could be two dates"):
        quiet(write(tmp_path / "twelve.csv", starts[:12]))


def test_labels_end_with_the_calendar() -> None:
    years = np.array([f"{y}-01-01" for y in (9996, 9997, 9998)], "M8[us]").astype(np.int64)
    found = calendar(years)
    assert found is not None
    with pytest.raises(PaperzooError, match="beyond the year 9999"):
        found[0].after(datetime(9998, 1, 1), 2)
    assert found[0].after(datetime(9998, 1, 1), 1) == ("9999",)
    even = calendar(np.arange(5) * 10 * HOUR + DAY)
    assert even is not None and even[0].step == (10, "h") and even[1].tolist() == [0, 1, 2, 3, 4]


def test_a_forecast_has_dates(tmp_path: Path) -> None:
    path = write(tmp_path / "closing.csv", weekdays("2023-01-02", "2023-06-01"), "day,close")
    model = forecaster.Model(**series_file(path, "history=5&horizon=3").schema.arguments)
    said = model.predict(path)
    assert said.dates == ("2023-06-01", "2023-06-02", "2023-06-05")
    assert said.steps == ("1 business day", "2 business days", "3 business days")
    assert str(said).splitlines()[3].startswith("+3 business days  2023-06-05  close ")
    assert model.predict(np.arange(9.0)).dates == () and "\n+1 business day  close " in str(model.predict(np.arange(9.0)))


# --- logs of machines --------------------------------------------------------------------------------------------------


def log(path: Path, stamps: Any, **cells: Any) -> Path:
    rows = [f"{m},{stamp},{i % 7}.5,{'failure' if (i + m * 50) % 300 == 299 else ''}" for m in range(3) for i, stamp in enumerate(stamps)]
    path.write_text("machine,time,heat,event\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))


def test_a_machines_log_by_a_local_clock_is_that_by_utc(tmp_path: Path) -> None:
    local = zoned("Europe/Berlin", 90, 60)
    true = [local[-1] - timedelta(hours=len(local) - 1 - i) for i in range(len(local))]  # as if winter had been all along
    expected = machines.log_arrays(log(tmp_path / "true.csv", true))
    found = machines.log_arrays(log(tmp_path / "local.csv", local))
    assert found["notes"].tolist() == ["changes of the clock for summer or winter, times being read as local: 3"]
    for key in ("readings", "time", "until", "known"):
        np.testing.assert_array_equal(found[key], expected[key])
    shuffled = sorted(zoned("Europe/Berlin", 90, 15))
    with pytest.raises(PaperzooError, match=r"machine 0 has different readings at the same time, 2023-10-29 02:00:00: .*summer time.*UTC"):
        machines.log_arrays(log(tmp_path / "shuffled.csv", shuffled))


# --- what is known of the future ---------------------------------------------------------------------------------------


def changing(path: Path, changed: tuple[int, ...] = ()) -> Path:
    """Twelve machines over 100 days; the readings of the days in ``changed`` [a, b) are 1000 times as large."""
    random, rows = np.random.default_rng(0), ["machine,time,heat,load,event"]
    for machine in range(12):
        for half in range(200):
            heat, load = random.standard_normal(2) + 3
            factor = 1000 if changed and changed[0] <= half / 2 < changed[1] else 1
            time = datetime(2024, 1, 1) + timedelta(hours=12 * half)
            rows.append(f"m{machine},{time},{heat * factor:.9f},{load * factor:.9f},{'failure' if half % 18 == machine else ''}")
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.mark.parametrize("variant", ["logistic", "mlp"])
def test_no_statistic_of_a_machines_model_knows_later_windows(variant: str, tmp_path: Path) -> None:
    data = machines.machine_log(changing(tmp_path / "same.csv"))
    day = {name: (items.batch(range(len(items))).time.numpy() - data["train"].batch([0]).time.item()) / 86_400 + 16 for name, items in
           data.splits.items()}  # fmt: skip
    end = int(day["train"].max()) + 1
    later = machines.machine_log(changing(tmp_path / "later.csv", (end, 200)))
    earlier = machines.machine_log(changing(tmp_path / "earlier.csv", (end - 6, end)))
    train = data["train"].batch(range(len(data["train"]))).readings.double()  # (N, T, sensors)
    assert len(data["train"]) < 1000  # so that all of them are counted
    assert data.schema.arguments["mean"] == pytest.approx(train.mean((0, 1)).tolist(), rel=1e-12)
    assert data.schema.arguments["deviation"] == pytest.approx(train.std((0, 1), correction=0).tolist(), rel=1e-12)
    until = data["train"].batch(range(len(data["train"]))).until
    assert data.schema.arguments["shares"] == pytest.approx([(until <= days).double().mean().item() for days in (1, 2)])
    assert data.schema.arguments["shares"][0] != (data["validation"].batch(range(len(data["validation"]))).until <= 1).double().mean()
    for split in ("validation", "test"):
        assert later[split].batch(range(len(later[split]))).readings.mean() > 100  # the two choices differ
    kept = ("mean", "deviation", "shares")
    assert [later.schema.arguments[k] for k in kept] == [data.schema.arguments[k] for k in kept]
    assert earlier.schema.arguments["mean"][0] > 10  # what the training windows see counts
    recipe = "smoke" if variant == "logistic" else "smoke-network"
    states = []
    for name in ("same", "later"):
        made = loop(job(f"maintenance:{variant}", recipe, data=f"machines:{tmp_path / name}.csv", batch_size=200), tmp_path / name)
        for _ in range(1 if variant == "logistic" else 5):
            made.step()
        states.append(made.model.state_dict())
    assert torch.equal(states[0]["mean"], torch.tensor(data.schema.arguments["mean"]))
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_no_statistic_of_a_forecaster_knows_later_rows(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    states: dict[str, Any] = {}
    values = 5 + random.random(200)
    for name, rows in {"same": (200, 200), "test": (170, 200), "validation": (140, 170), "train": (100, 110)}.items():
        wild = values.copy()
        wild[rows[0] : rows[1]] *= 100
        path = tmp_path / f"{name}.csv"
        path.write_text("x\n" + "".join(f"{v:.9f}\n" for v in wild))
        settings = {"data": f"series:{path}#history=6&horizon=2&remove=none", "steps": 12, "model.transform": "sqrt"}
        made = loop(job("forecaster", "smoke", **settings), tmp_path / name)
        for _ in range(12):
            made.step()
        states[name] = made.model.state_dict()
        scale = series_file(path, "history=6").schema.arguments["statistics"]
        assert scale["sqrt"][0][:2] == pytest.approx([np.sqrt(wild[:140]).mean(), np.sqrt(wild[:140]).std()])
        assert states[name]["location"].item() == pytest.approx(scale["sqrt"][0][0])
    same = {name: {key for key in state if torch.equal(state[key], states["same"][key])} for name, state in states.items()}
    assert same["test"] == set(states["same"])  # nothing at all
    assert same["validation"] == set(states["same"]) - {"scores"}  # the intervals, and nothing else
    assert "location" not in same["train"]
