"""Logs of machines: every cell by hand, windows against a slow loop, causality, a planted leak, and what is wrong with a log."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from paperzoo.data.datasets import dataset
from paperzoo.data.series import logs, machines, wear
from paperzoo.data.series.machines import DAY, HORIZON, OBSERVATIONS, Repairs, Windows, in_order, outcome, regular
from paperzoo.errors import PaperzooError

START = datetime(2024, 1, 1, tzinfo=UTC)
SPAN = max(OBSERVATIONS)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))


def write(folder: Path, lines: list[str], name: str = "log.csv", header: str = "machine,time,heat,load,event") -> Path:
    path = folder / name
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def fleet(days: int = 60, count: int = 6, every: int = 12, life: int = 9) -> list[list[str]]:
    """Rows as cells; machine m fails each ``life + m`` days. Heat is the reading's number, load is 1 or 2."""
    rows = []
    for m in range(count):
        for step in range(days * 24 // every):
            time = START + timedelta(hours=every * step + 1)
            fails = step and (step * every) % (24 * (life + m)) == every
            rows.append([f"m{m}", f"{time:%Y-%m-%d %H:%M:%S}", str(step), str(1 + step % 2), "failure" if fails else ""])
    return rows


def lines(rows: list[list[str]]) -> list[str]:
    return [",".join(cells) for cells in rows]


def records(times: list[float], values: Any, events: dict[float, int] | None = None) -> np.ndarray:
    """Rows of one machine, times in hours."""
    values = np.asarray(values, np.float32).reshape(len(times), -1)
    rows = np.zeros(len(times), logs.rows_of(values.shape[1]))
    rows["time"], rows["values"], rows["row"] = np.asarray(times) * 3600, values, np.arange(len(times)) + 2
    rows["event"] = [(events or {}).get(t, 0) for t in times]
    return rows


# Reading -------------------------------------------------------------------------------------------------------------


def test_every_cell_as_written(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        ["a,2024-02-29T23:59:30+01:00,1.5,,", 'b,2024-03-01T00:00:00+02:00,"-2e1", nan ,Service', "a,2024-03-01T00:10:00-05:30,3,4,1"],
        header="\ufeffUnit,Timestamp,heat, load ,failure",
    )
    assert logs.header(path) == ({"machine": 0, "time": 1, "event": 4}, ("heat", "load"))
    (part,) = logs.read(path)
    assert list(part.machine) == ["a", "b", "a"] and part.row == 2
    expected = ["2024-02-29T22:59:30", "2024-02-29T22:00:00", "2024-03-01T05:40:00"]  # in UTC
    assert part.time.tolist() == [int(np.datetime64(t, "s").astype(int)) for t in expected]
    np.testing.assert_array_equal(part.values, np.float32([[1.5, np.nan], [-20, np.nan], [3, 4]]))
    assert part.event.tolist() == [0, logs.SERVICE, logs.FAILURE]


@pytest.mark.parametrize("layout", ["%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S.250", "%Y-%m-%dT%H:%M:%SZ"])
def test_times_against_datetime(layout: str, tmp_path: Path) -> None:
    times = [datetime(1996, 2, 29, tzinfo=UTC) + timedelta(days=37 * i, minutes=61 * i) for i in range(300)]
    (part,) = logs.read(write(tmp_path, [f"a,{t.strftime(layout)},1,2," for t in times]))
    exact = {"%Y-%m-%d": 86_400, "%Y-%m-%d %H:%M": 60}.get(layout, 1)
    assert part.time.tolist() == [int(t.timestamp()) // exact * exact for t in times]


def wrong(rows: list[list[str]], row: int, cell: int, value: str) -> list[str]:
    rows[row - 2][cell] = value  # the header is row 1
    return lines(rows)


@pytest.mark.parametrize(
    ("cell", "value", "says"),
    [
        (2, "hot", "log.csv, row 57: heat is 'hot', not a number"),
        (3, "1,5", "log.csv, row 57: 6 cells, and the header has 5"),
        (3, "1e999", "log.csv, row 57: load is too large"),
        (1, "05/01/2024 10:00", "log.csv, row 57: the time '05/01/2024 10:00' is not written like the first, 0000-00-00 00:00:00"),
        (1, "2024-01-29 01:00:00+01:00", "log.csv, row 57: the time '2024-01-29 01:00:00+01:00' is not written like the first"),
        (1, "2024-02-30 01:00:00", "log.csv, row 57: there is no time '2024-02-30 01:00:00'"),
        (1, "", "log.csv, row 57: the time '' is not"),
        (0, "", "log.csv, row 57: no machine is named"),
        (4, "broken", "log.csv, row 57: the event is 'broken'; it may be failure"),
        (1, "2024-01-28 01:00:00", "log.csv, rows 56 and 57: machine m0 has different readings at the same time"),
    ],
)  # fmt: skip
def test_a_bad_cell_is_named_by_its_row(cell: int, value: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_PART", 20)  # so that row 57 lies in the third part
    with pytest.raises(PaperzooError, match=re.escape(says)):
        machines.machine_log(write(tmp_path, wrong(fleet(), 57, cell, value)))


@pytest.mark.parametrize(
    ("header", "first", "says"),
    [
        ("machine,heat,event", "a,1,", "log.csv has no column time (or timestamp, date, datetime); it has machine, heat, event"),
        ("machine,time,event", "a,2024-01-01,", "log.csv has no sensor"),
        ("machine,time,heat,heat,event", "", "the column 'heat' is there twice"),
        ("machine,time,heat,event,failure", "", "event and failure could both be the column event"),
        ("machine,time,heat,event", "a,01.02.2024,1,", "row 2: the time is '01.02.2024'; times are written as 2024-01-31 13:45:00"),
        ("machine,time,heat,event", "", "log.csv has no row"),
    ],
)  # fmt: skip
def test_a_bad_header(header: str, first: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match=re.escape(says)):
        machines.machine_log(write(tmp_path, [first] if first else [], header=header))


def test_bad_logs(tmp_path: Path) -> None:
    rows = fleet()
    late = [["m5", "2024-03-05 09:00:00", "", "", "failure"]]  # its last reading is of 29 February, 13:00
    for made, says in (
        (rows + late, "row 722: an event of machine m5 4.8 days after its last reading"),
        ([[*cells[:4], ""] for cells in rows], "windows to train on, none is followed by a failure"),
        (fleet(days=90, life=1, count=1), "windows to train on, every one is followed by a failure"),
        (fleet(days=14), "log.csv has no window: none of its 6 machines has 16 days without a long gap"),
        (fleet(every=96), "log.csv has a reading every 4.0 days"),
    ):
        with pytest.raises(PaperzooError, match=re.escape(says)):
            machines.machine_log(write(tmp_path, lines(made)))
    with pytest.raises(PaperzooError, match=r"unknown kind of log '\.txt'"):
        machines.machine_log(write(tmp_path, lines(rows), "log.txt"))


def test_what_is_mended_is_said_and_refused_if_strict(tmp_path: Path) -> None:
    clean = fleet()
    whole = machines.machine_log(write(tmp_path, lines(clean), "clean.csv"), strict=True)
    rows = [list(cells) for cells in clean]
    rows[10], rows[11] = rows[11], rows[10]  # unsorted
    rows.insert(21, list(rows[20]))  # a repeat
    del rows[400:402]  # a gap of a day and a half, longer than a quarter of a day or one reading
    rows[300][2] = ""  # a blank
    for cells in rows:
        cells[3] = "7"  # a constant sensor
    rows += [["short", "2024-01-05 01:00:00", "1", "7", ""], ["short", "2024-01-05 13:00:00", "2", "7", ""]]
    path = write(tmp_path, lines(rows))
    with pytest.warns(UserWarning) as warned:
        mended = machines.machine_log(path)
    said = str(warned[0].message)
    for says in (
        "rows sorted in, being earlier than the row before: 1", "rows joined with another of the same machine and time: 1",
        "blank readings filled with the last one before: 3", "days without a window, a gap being less than 16 days before: 16",
        "machines left out, their logs being too short or too full of gaps: 1", "sensor 'load' never changes",
    ):  # fmt: skip
        assert says in said, said
    with pytest.raises(PaperzooError, match="never changes"):
        machines.machine_log(path, strict=True)
    assert mended.schema.arguments["deviation"][1] == 1
    first = mended["train"].batch(range(3)).readings
    assert (first[..., 0] == whole["train"].batch(range(3)).readings[..., 0]).all()  # order and repeats left no trace


def test_parquet_says_the_same_and_reads_its_own_types(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    rows = fleet()
    whole = machines.machine_log(write(tmp_path, lines(rows)))
    machine, time, heat, load, event = zip(*rows, strict=True)
    when = pyarrow.array([datetime.fromisoformat(t) for t in time], pyarrow.timestamp("ms", tz="Europe/Paris"))
    table = {
        "machine": pyarrow.array(machine).dictionary_encode(), "time": when, "heat": [float(h) for h in heat],
        "load": [int(v) for v in load], "event": [e == "failure" for e in event],
    }  # fmt: skip
    write_table(pyarrow.table(table), tmp_path / "log.parquet", row_group_size=100)
    other = machines.machine_log(tmp_path / "log.parquet")
    for split, items in whole.splits.items():
        a, b = items.batch(range(len(items))), other[split].batch(range(len(items)))
        assert all((a.__dict__[k] == b.__dict__[k]).all() for k in a.__dict__), split
    table["heat"] = [None, *heat[1:-1], "hot"]
    write_table(pyarrow.table(table), tmp_path / "bad.parquet")
    with pytest.raises(PaperzooError, match=r"bad\.parquet, row 720: heat is 'hot'"):
        machines.machine_log(tmp_path / "bad.parquet")


def test_without_pyarrow_parquet_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "log.parquet").write_bytes(b"PAR1")
    with pytest.raises(PaperzooError, match=re.escape('pip install "paperzoo[tables]"')):
        machines.machine_log(tmp_path / "log.parquet")


@pytest.mark.parametrize("order", ["grouped", "interleaved"])
def test_sorted_on_disk_as_in_memory(order: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_PART", 7)
    random = np.random.default_rng(0)
    names = random.choice(["x", "y", "z", "w"], 200)
    names = np.sort(names) if order == "grouped" else names
    cells = [f"{name},2024-01-01,{i},0," for i, name in enumerate(names)]
    found, each = logs.by_machine(logs.read(write(tmp_path, cells)), 2, tmp_path)
    assert found == list(dict.fromkeys(names))
    for name, rows in zip(found, each, strict=True):
        assert rows["values"][:, 0].tolist() == np.flatnonzero(names == name).tolist()
        assert rows["row"].tolist() == (np.flatnonzero(names == name) + 2).tolist()


# Windows -------------------------------------------------------------------------------------------------------------


def ragged(seed: int) -> np.ndarray:
    """Sixty days of three-hourly rows with missing rows, blank cells, events, and a long gap."""
    random = np.random.default_rng(seed)
    hours = [h for h in range(0, 60 * 24, 3) if random.random() > 0.04 and not 600 <= h < 630]
    values = random.standard_normal((len(hours), 2))
    values[random.random(values.shape) < 0.04] = np.nan
    return records(hours, values, {h: int(random.integers(1, 3)) for h in random.choice(hours, 12, replace=False)})


def slow(rows: np.ndarray, per_day: int) -> list[tuple[int, np.ndarray, float, bool]]:
    """(time, window, until, known) by loops over days, steps and sensors."""
    step, patience, found = DAY // per_day, max(1, per_day // 4), []
    read = [r for r in rows if not np.isnan(r["values"]).all()]
    begin = int(read[0]["time"])
    first: dict[tuple[int, int], np.float32] = {}
    for r in reversed(read):
        first |= {((int(r["time"]) - begin) // step, s): v for s, v in enumerate(r["values"]) if not np.isnan(v)}
    for day in sorted({int(r["time"]) // DAY for r in read}):
        end = next(int(r["time"]) for r in read if int(r["time"]) // DAY == day)
        last = (end - begin) // step
        if last < SPAN * per_day - 1:
            continue
        window = np.full((SPAN * per_day, rows["values"].shape[1]), np.nan, np.float32)
        for i, at in enumerate(range(last - SPAN * per_day + 1, last + 1)):
            for sensor in range(window.shape[1]):
                for back in range(patience, -1, -1):
                    window[i, sensor] = first.get((at - back, sensor), window[i, sensor])
        if np.isnan(window).any():
            continue
        after = [(int(r["time"]), int(r["event"])) for r in rows if r["event"] and r["time"] > end]
        until, known = np.inf, int(rows[-1]["time"]) - end >= HORIZON * DAY
        if after and after[0][0] <= end + HORIZON * DAY:
            until = (after[0][0] - end) / DAY if after[0][1] == logs.FAILURE else np.inf
            known = after[0][1] == logs.FAILURE or after[0][0] == end + HORIZON * DAY
        found.append((end, window, until, known))
    return found


@pytest.mark.parametrize("seed", range(3))
def test_windows_against_a_slow_loop(seed: int) -> None:
    rows = ragged(seed)
    one, expected = regular(rows, 8, Repairs()), slow(rows, 8)
    assert one is not None and len(expected) > 5
    assert one.time.tolist() == [time for time, *_ in expected]
    seen = Windows(one.readings, one.end, SPAN * 8).take(np.arange(len(one.end)))["readings"].numpy()
    np.testing.assert_array_equal(seen, np.stack([window for _, window, *_ in expected]))
    np.testing.assert_allclose(one.until, [until for *_, until, _ in expected], rtol=1e-6)
    assert one.known.tolist() == [known for *_, known in expected]
    assert np.isfinite(one.until).any() and not one.known.all()


def test_no_later_row_changes_a_window() -> None:
    """Cut the log anywhere: what a window showed, and when it ended, was fixed when its last reading came."""
    rows = ragged(5)
    whole = regular(rows, 8, Repairs())
    assert whole is not None
    for cut in range(150, len(rows), 7):
        part = regular(rows[:cut], 8, Repairs())
        count = 0 if part is None else len(part.end)
        assert count == (whole.time <= rows["time"][cut - 1]).sum()
        if part is not None:
            assert part.time.tolist() == whole.time[:count].tolist() and part.end.tolist() == whole.end[:count].tolist()
            stop = part.end[-1] + 1
            np.testing.assert_array_equal(part.readings[:stop], whole.readings[:stop])


def test_outcomes_by_hand() -> None:
    time = np.array([0, 10, 20, 24, 30, 60, 100, 150]) * 3600
    until, known = outcome(time, np.array([24, 110]) * 3600, np.array([70]) * 3600, 180 * 3600)
    # fails after 24, 14, 4 h; at 24 it is over; 30: quiet for 40 h, then service; 60: service; 100: fails; 150: the log ends too early
    np.testing.assert_allclose(until, np.array([24, 14, 4, np.inf, np.inf, np.inf, 10, np.inf]) / 24, rtol=1e-6)
    assert known.tolist() == [True, True, True, False, False, False, True, False]
    assert outcome(time[3:4], np.array([24]) * 3600, np.array([], int), 72 * 3600)[1].tolist() == [True]


def test_rows_of_one_time_become_one_and_finer_logs_keep_the_first() -> None:
    nan = np.nan
    rows = in_order(records([2, 0, 0, 1, 0], [[5, 6], [1, nan], [nan, nan], [3, 4], [1, 2]], {2: 1}), "a", "log", Repairs())
    assert rows["time"].tolist() == [0, 3600, 7200] and rows["values"].tolist() == [[1, 2], [3, 4], [5, 6]]
    hours = np.arange(0, 17 * 24, 0.5)
    repairs = Repairs()
    one = regular(records(hours.tolist(), hours), 24, repairs)
    assert one is not None and one.readings[:-1, 0].tolist()[:3] == [0, 1, 2]  # 0.5 came later
    assert repairs.counts["readings left out, an earlier one having their step of the grid"] == len(hours) // 2


def test_no_training_window_reaches_into_a_later_split(tmp_path: Path) -> None:
    built = machines.machine_log(write(tmp_path, lines(fleet(days=200, count=11))))
    split = {name: items.batch(range(len(items))) for name, items in built.splits.items()}
    gap = HORIZON * DAY
    assert split["train"].time.max() + gap <= split["validation"].time.min()
    assert split["validation"].time.max() + gap <= split["test"].time.min()
    ends = split["train"].time + split["train"].until.clamp(max=HORIZON) * DAY
    assert ends.max() <= split["validation"].time.min()
    known = set(split["train"].machine.tolist())
    assert len(set(split["unseen"].machine.tolist())) == 2 and not known & set(split["unseen"].machine.tolist())
    assert split["unseen"].time.min() >= split["test"].time.min() - DAY


def noise(seed: int) -> Iterator[logs.Part]:
    """Twelve machines that fail by chance, seen by noise and by a sensor that is 1 in the row of a failure: the label itself."""
    random = np.random.default_rng(seed)
    for machine in range(12):
        hours = np.arange(0, 150 * 24, 3)
        event = np.where(random.random(len(hours)) < 1 / 60, logs.FAILURE, 0).astype(np.uint8)
        values = np.stack([random.standard_normal(len(hours)), event > 0], 1).astype(np.float32)
        yield logs.Part(1, [str(machine)] * len(hours), hours * 3600, values, event)


def test_a_planted_leak_shows_only_where_windows_are_broken_on_purpose(tmp_path: Path) -> None:
    found = machines.arrays(noise(0), ("noise", "leak"), "noise", tmp_path)

    def auc(shift: int) -> float:
        """Of a window's last day; ``shift`` steps later than it should end."""
        moved = dataclasses.replace(machines.windows(found, "noise", "", "")) if not shift else machines.windows(
            {**found, "end": np.minimum(found["end"] + shift, len(found["readings"]) - 1)}, "noise", "", ""
        )
        seen = {}
        for name in ("train", "test"):
            batch = moved[name].batch(range(len(moved[name])))
            seen[name] = (batch.readings[:, -8:].flatten(1).numpy(), (batch.until <= 1).numpy())
        model = LogisticRegression(max_iter=300).fit(*seen["train"])
        return float(roc_auc_score(seen["test"][1], model.decision_function(seen["test"][0])))

    assert abs(auc(0) - 0.5) < 0.1  # failures come by chance: nothing can be known of them
    assert auc(8) > 0.99  # the window's end moved into its prediction window


# The simulator -------------------------------------------------------------------------------------------------------


def test_wear_follows_paris_law_and_parts_break_at_their_toughness() -> None:
    made = wear.simulate(20, 200, seed=3)
    failed, served = made.event == logs.FAILURE, made.event == logs.SERVICE
    assert failed.sum() > 20 and served.sum() > 20
    assert (made.wear[failed] >= made.toughness[failed]).all() and (made.wear[~failed] < made.toughness[~failed]).all()
    on = ~(failed | served)[:-1]
    before, after = made.wear[:-1][on], made.wear[1:][on]
    assert (after >= before).all()  # a part only wears
    rate = (after - before) / before**1.5 / np.maximum(made.load[1:][on], 1e-9) ** 3
    early = (made.load[1:][on] > 0) & (after < 0.5) & (before < 0.5)
    np.testing.assert_allclose(rate[early], wear.RATE, rtol=0.1)  # the differential equation, by differences
    assert (made.wear[1:][(failed | served)[:-1]] < 0.2).all()  # a new part
    assert not made.event[made.standing].any()


def test_growth_is_the_exact_solution() -> None:
    a = np.array([0.03])
    for _ in range(300):
        a = wear.grown(a, np.array([1.2]))
    np.testing.assert_allclose(a, wear.grown(np.array([0.03]), np.array([1.2]), 300), rtol=1e-9)
    life = 2 * (0.03**-0.5 - 0.8**-0.5) / wear.RATE / 1.2**3  # when 0.8 is reached
    np.testing.assert_allclose(wear.grown(np.array([0.03]), np.array([1.2]), life), 0.8, rtol=1e-9)
    assert np.isinf(wear.grown(np.array([1.0]), np.array([10.0]), 100))


def test_the_same_seed_gives_the_same_fleet() -> None:
    a, b, c = (wear.simulate(5, 30, seed) for seed in (0, 0, 1))
    for field in dataclasses.fields(wear.Fleet):
        assert (getattr(a, field.name) == getattr(b, field.name)).all()
    assert (a.values != c.values).any()
    daily = wear.wear(8, 150, per_day=1)
    assert daily.schema.arguments["per_day"] == 1 and daily["train"][0].readings.shape == (SPAN, len(wear.SENSORS))


def test_by_name_and_again_from_the_cache(tmp_path: Path) -> None:
    path = write(tmp_path, lines(fleet()))
    first = dataset(f"machines:{path}")
    dataset.__globals__["_build"].cache_clear()
    again = dataset(f"machines:{path}")
    assert (first["test"].batch([3]).readings == again["test"].batch([3]).readings).all()
    assert first.schema.names == tuple(f"m{m}" for m in range(6)) and first.schema.arguments["per_day"] == 2
    shorter = fleet(days=50)
    write(tmp_path, lines(shorter))
    dataset.__globals__["_build"].cache_clear()
    assert len(dataset(f"machines:{path}")["train"]) < len(first["train"])  # the file changed
    assert not list((tmp_path / "cache" / "prepared").glob("tmp*"))
