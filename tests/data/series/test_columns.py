"""What stands in the columns of users' tables: times under every name, numbers in every country's writing, several series, damage."""

from __future__ import annotations

import gzip
import os
import re
import warnings
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import paperzoo
from paperzoo.data.options import options
from paperzoo.data.series import logs, machines
from paperzoo.data.series.columns import Numbers, WrongCell, read_table
from paperzoo.data.series.series import OPTIONS, called_time, read_series, series_file
from paperzoo.errors import PaperzooError
from paperzoo.papers.series import forecaster


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))


def write(folder: Path, head: str, rows: Sequence[str], name: str = "some.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


DAYS = [f"2020-01-{day:02d}" for day in range(1, 32)]


# --- numbers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "-2.5", "+3e-2", ".5", "4.", "", "NaN", "n/a"], [1, -2.5, 0.03, 0.5, 4, None, None, None]),
        (["11,78", "-12,5", "1013", "0,034", "987"], [11.78, -12.5, 1013, 0.034, 987]),
        (["987", "1.234,5", "12.345.678", "1.034"], [987, 1234.5, 12345678, 1034]),
        (["987", "1,234.5", "12,345,678", "1,034"], [987, 1234.5, 12345678, 1034]),
        (["1.034", "62.106", "987.500"], [1.034, 62.106, 987.5]),  # three decimals throughout
        (["1,034", "62,106", "987,500"], [1.034, 62.106, 987.5]),
        (["1.034", "1987"], [1.034, 1987]),  # thousands would have a sign in 1987 too
        (["1.034", "0.125", "7"], [1.034, 0.125, 7]),  # 0.125 is no group of thousands
        (["1.034", "987", "1.5"], [1.034, 987, 1.5]),
        (["1.034", "2.5e-3", "987"], [1.034, 0.0025, 987]),
        (["5e-324", "1e308"], [5e-324, 1e308]),
    ],
)
def test_the_writing_of_numbers_is_learnt_from_the_column(cells: list[str], values: list[float | None]) -> None:
    for order in (1, -1):
        reader = Numbers()
        found = reader.read(cells[::order], range(2, 2 + len(cells)))
        np.testing.assert_array_equal(found, np.array([np.nan if v is None else v for v in values[::order]]))
        assert not reader.ambiguous()


@pytest.mark.parametrize(
    ("cells", "comma_parts", "said"),
    [
        (["940", "1.019", "970"], False, "'1.019' beside '940' may be 1019 or 1.019: write 1019 if the point parts thousands, 1.0190 if"),
        (["0", "1.019"], True, "'1.019' beside '0' may be 1019 or 1.019"),
        (["940", "1,019"], False, "'1,019' beside '940' may be 1019 or 1.019: write 1019 if the comma parts thousands, 1,0190 if"),
        (["1,019", "2,500"], True, "'1,019' may be 1019 or 1.019"),  # in quotes, in a file that commas part
    ],
)
def test_thousands_or_decimals_are_not_guessed(cells: list[str], comma_parts: bool, said: str) -> None:
    for parts in ([cells], [[cell] for cell in cells]):  # at once, and a part at a time
        reader = Numbers(comma_parts)
        for at, part in enumerate(parts):
            reader.read(part, range(2 + at, 2 + at + len(part)))
        assert reader.ambiguous().startswith(said)


@pytest.mark.parametrize(
    ("cells", "bad", "why"),
    [
        (["1,5", "2.5"], 3, "'1,5' in row 2 has another decimal sign"),
        (["1.5", "2", "2,5"], 4, "'1.5' in row 2 has another decimal sign"),
        (["1,5", "many"], 3, ""),
        (["12", "1_000"], 3, ""),
        (["1.2.3"], 2, ""),
        (["12", "0x1F"], 3, ""),
    ],
)
def test_a_cell_that_is_no_number_like_the_others_is_named(cells: list[str], bad: int, why: str) -> None:
    for parts in ([cells], [[cell] for cell in cells]):
        reader = Numbers()
        with pytest.raises(WrongCell) as raised:
            for at, part in enumerate(parts):
                reader.read(part, range(2 + at, 2 + at + len(part)))
        assert raised.value.row == bad and why in raised.value.why


def test_series_and_logs_read_the_same_tables(tmp_path: Path) -> None:
    rows = [f"Kühler;2020-01-{day:02d};{day},25;1.0{day:02d},5;" for day in range(1, 32)]
    path = write(tmp_path, "machine;time;heat;load;event", rows)
    expected = np.array([[day + 0.25, 1000 + day + 0.5] for day in range(1, 32)])
    series = read_series(path, targets=("heat", "load"))
    np.testing.assert_array_equal(series.values, expected)
    (part,) = logs.read(path)
    np.testing.assert_array_equal(part.values, expected.astype(np.float32))
    assert set(part.machine) == {"Kühler"} and series.step == (1, "day")
    tabs = write(tmp_path, "machine\ttime\theat\tload\tevent", [row.replace(";", "\t") for row in rows], "tabs.csv")
    assert read_table(tabs).cells == read_table(path).cells
    only = write(tmp_path, "x", [f"{day},5" for day in range(31)], "only.csv")  # nothing parts a single column
    assert read_series(only).values[:3, 0].tolist() == [0.5, 1.5, 2.5]
    quoted = write(tmp_path, '"a,b";c', ["1,5;2"] * 5, "quoted.csv")
    assert read_table(quoted).names == ("a,b", "c")
    for cells, said in (("940;", "row 2, column heat: '1.019' beside '940' may be"), ("9,5;", "'9,5' in row 3 has another decimal sign")):
        mixed = write(tmp_path, "machine;time;heat;event", ["a;2020-01-01;1.019;", f"a;2020-01-02;{cells}"], "mixed.csv")
        if "940" in cells:
            with pytest.raises(PaperzooError, match=re.escape("mixed.csv, row 2: heat '1.019' beside '940' may be 1019 or 1.019")):
                list(logs.read(mixed))
            with pytest.raises(PaperzooError, match=re.escape(said)):
                read_series(mixed, targets=("heat",))
        else:  # 1.019 is 1019 where 9,5 stands
            assert read_series(mixed, targets=("heat",)).values[:, 0].tolist() == [1019, 9.5]
            assert next(logs.read(mixed)).values[:, 0].tolist() == [1019, 9.5]


def test_rows_are_counted_as_a_spreadsheet_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_PART", 5)
    rows = ["", "a;1;2020-01-01;", "", "; ; ;", 'a;2;"2020-01-02";', "a;3;2020-01-03;", "a;4;2020-01-04;", "", "a;x;2020-01-05;"]
    path = write(tmp_path, "machine;heat;time;event", rows)
    assert read_table(path).rows == [3, 6, 7, 8, 10]
    with pytest.raises(PaperzooError, match="row 10, column heat: 'x' is no number"):
        read_series(path, targets=("heat",))
    with pytest.raises(PaperzooError, match=r"some\.csv, row 10: heat is 'x'"):
        list(logs.read(path))


def test_a_logs_numbers_are_judged_over_all_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_PART", 10)
    rows = [f"a;{day};{900 + at};" for at, day in enumerate(DAYS)]
    rows[25] = f"a;{DAYS[25]};1.019;"
    path = write(tmp_path, "machine;time;heat;event", rows)
    with pytest.raises(PaperzooError, match=re.escape("some.csv, row 27: heat '1.019' beside '900' may be 1019 or 1.019")):
        machines.machine_log(path)
    rows[25], rows[15], rows[28] = rows[24], f"a;{DAYS[15]};1.019;", f"a;{DAYS[28]};9,5;"  # by then 1.019 has been read as a decimal
    with pytest.raises(PaperzooError, match=re.escape("some.csv, row 30: heat is '9,5', not a number ('1.019' in row 17 has another")):
        machines.machine_log(write(tmp_path, "machine;time;heat;event", rows))


# --- times -------------------------------------------------------------------------------------------------------------


def test_names_of_times() -> None:
    for name in ("time", "TIME", "Timestamp", "Date/Time", "time (UTC)", "timestamp_ms", "unix_time", "ds", "Datum", "month", "Day"):
        assert called_time(name), name
    for name in ("data", "downtime", "sales", "uptime", "response time", "daytime temperature", "x"):
        assert not called_time(name), name


@pytest.mark.parametrize("name", ["time", "Timestamp", "DATE", "ds", "created_date", "unix_time"])
@pytest.mark.parametrize(("unit", "factor"), [("seconds", 1), ("milliseconds", 1000), ("microseconds", 10**6), ("nanoseconds", 10**9)])
def test_times_since_1970_are_times(name: str, unit: str, factor: int, tmp_path: Path) -> None:
    first = int(np.datetime64("2024-02-28", "s").astype(int))
    rows = [f"{(first + day * 86_400) * factor},{day}.5" for day in range(40)]
    with pytest.warns(UserWarning, match=f"{name} is read as {unit} since 1970, UTC"):
        series = read_series(write(tmp_path, f"{name},x", rows))
    assert series.columns == ("x",) and series.labels[:3] == ("2024-02-28", "2024-02-29", "2024-03-01") and series.step == (1, "day")
    rows[7] = f"yesterday,{7}.5"
    with pytest.raises(PaperzooError, match=f"row 9, column {name}: 'yesterday' is no time in {unit} since 1970"):
        read_series(write(tmp_path, f"{name},x", rows))


@pytest.mark.parametrize("form", ["%Y%m%d%H", "%Y%m%d%H%M", "%Y%m%d%H%M%S"])
def test_dates_in_digits_alone_are_no_numbers_since_1970(form: str, tmp_path: Path) -> None:
    hours = [datetime(2020, 1, 30) + timedelta(hours=hour) for hour in range(60)]
    path = write(tmp_path, "time,x", [f"{hour.strftime(form)},{hour.hour}.5" for hour in hours])
    series = read_series(path)
    assert (series.step, series.labels[0], series.last) == ((1, "h"), "2020-01-30 00:00:00", hours[-1])
    log = write(tmp_path, "machine,time,heat,event", [f"a,{hour.strftime(form)},1.5," for hour in hours])
    with pytest.raises(PaperzooError, match=rf"row 2: the time is '{hours[0].strftime(form)}'; times are written as"):
        list(logs.read(log))


def test_a_logs_times_since_1970_are_times(tmp_path: Path) -> None:
    first = int(np.datetime64("2024-02-28", "s").astype(int))
    for factor in (1, 1000):
        path = write(tmp_path, "machine,time,heat,event", [f"a,{(first + i * 3600) * factor},{i}.5," for i in range(50)])
        (part,) = logs.read(path)
        assert part.time.tolist() == [first + i * 3600 for i in range(50)]
    with pytest.raises(PaperzooError, match=re.escape("some.csv, row 3: '17' is no time in seconds since 1970")):
        list(logs.read(write(tmp_path, "machine,time,heat,event", [f"a,{first},1.5,", "a,17,2.5,"])))


@pytest.mark.parametrize("name", ["time", "Timestamp", "DATE", "datetime", "ds", "day", "Month", "Zeit"])
@pytest.mark.parametrize("cells", [("1", "2", "3"), ("Monday", "Tuesday", "Friday"), ("43831", "43832", "43833")])
def test_a_column_called_a_time_is_never_dropped_and_no_target(name: str, cells: tuple[str, ...], tmp_path: Path) -> None:
    path = write(tmp_path, f"{name},x", [f"{cell},{at}.5" for at, cell in enumerate(cells)])
    with pytest.raises(PaperzooError, match=rf"row 2, column {name}: '{cells[0]}' is no date .*#date=none"):
        read_series(path)
    counted = read_series(path, date="none")
    assert counted.columns == ("x",) and counted.step == (1, "step") and counted.ahead(2) == ()


def test_a_time_beside_the_dates_is_no_target(tmp_path: Path) -> None:
    rows = [f"{day},{at + 1},{at}.5,{at % 3}" for at, day in enumerate(DAYS)]
    path = write(tmp_path, "date,day,x,y", rows)
    with pytest.raises(PaperzooError, match=re.escape("columns of numbers x, y: name what to forecast, series:some.csv#target=x")):
        read_series(path)
    assert read_series(path, targets=("x",), covariates=("all",)).columns == ("x", "day", "y")
    assert read_series(write(tmp_path, "date,day,x", [row.rsplit(",", 1)[0] for row in rows])).columns == ("x",)


@pytest.mark.parametrize(
    ("head", "rows"),
    [
        ("Date;Time;x", [f"{16 + h // 24}/12/2006;{h % 24:02d}:24:00;{h}.5" for h in range(40)]),
        ("date,time,x", [f"2006-12-{16 + h // 24},{h % 24}:24,{h}.5" for h in range(40)]),
        ("year,month,day,hour,x", [f"2006,12,{16 + h // 24},{h % 24},{h}.5" for h in range(40)]),
        ("No,year,month,day,hour,x", [f"{h},2006,12,{16 + h // 24},{h % 24},{h}.5" for h in range(40)]),
        ("year,month,x", [f"{2000 + m // 12},{m % 12 + 1},{m}.5" for m in range(40)]),
        ("month,x", [f"{2000 + m // 12}{m % 12 + 1:02d},{m}.5" for m in range(40)]),
    ],
)
def test_the_parts_of_a_time_may_stand_apart(head: str, rows: list[str], tmp_path: Path) -> None:
    series = read_series(write(tmp_path, head, rows), targets=("x",))
    assert series.bounds == (0, 40) and series.values[:, 0].tolist() == [i + 0.5 for i in range(40)]
    hourly = "hour" in head or "ime" in head
    assert (series.step, series.labels[26][:13]) == (((1, "h"), "2006-12-17 02") if hourly else ((1, "month"), "2002-03-01"))


@pytest.mark.parametrize(
    ("head", "rows", "part"),
    [
        ("date,hour,x", [f"2020-01-{1 + h // 24:02d},{h % 24},{h}.5" for h in range(60)], "hour"),
        ("date,hour,x", [f"2020-01-{1 + h // 24:02d},{h % 24},{h // 24}.5" for h in range(60)], "hour"),  # no day says two things
        ("date,time,x", [f"2020-01-{1 + h // 12:02d},{1 + h % 12}:00 AM,{h}.5" for h in range(60)], "time"),
        ("year,quarter,x", [f"{2000 + q // 4},{1 + q % 4},{q}.5" for q in range(60)], "quarter"),
        ("year,week,x", [f"{2000 + w // 52},{1 + w % 52},{w}.5" for w in range(120)], "week"),
    ],
)
def test_a_part_of_a_time_that_is_not_read_is_named(head: str, rows: list[str], part: str, tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match=f"times of {head.split(',')[0]} come again with another {part} .* write both in one column"):
        read_series(write(tmp_path, head, rows), targets=("x",))


@pytest.mark.parametrize("bad", ["0000-01-01", "99999-01-01", "2026-02-30", "2026-13-01", "2026-01-01 25:00", "-2026-01-01"])
def test_dates_beyond_the_calendar_are_named(bad: str, tmp_path: Path) -> None:
    rows = [f"{day},{at}.5" for at, day in enumerate(DAYS)]
    rows[4] = f"{bad},4.5"
    with pytest.raises(PaperzooError, match=rf"row 6, column date: '{bad}' is no date"):
        read_series(write(tmp_path, "date,x", rows))
    log = [f"a,{day},{at}.5," for at, day in enumerate(DAYS)]
    log[4] = f"a,{bad},4.5,"
    with pytest.raises(PaperzooError, match=r"some\.csv, row 6: (there is no time|the time) '" + bad):
        machines.machine_log(write(tmp_path, "machine,time,heat,event", log))
    for first in ("0001-01-01T00:00+05:00", "9999-12-31T23:00-05:00"):
        path = write(tmp_path, "date,x", [f"{first},1.5", "2020-01-01T00:10+01:00,2.5"])
        with pytest.raises(PaperzooError, match="column date has times outside the years 1 to 9999"), pytest.warns(UserWarning):
            read_series(path)
    last = write(tmp_path, "date,x", [f"9999-12-{day},{day}.5" for day in range(10, 32)])
    with pytest.raises(PaperzooError, match="lie beyond the year 9999"):
        forecaster.Model(history=5, columns=("x",), targets=("x",), step=(1, "day")).predict(last)


# --- several series ----------------------------------------------------------------------------------------------------


def blocks(ids: Sequence[str], shift: int = 0) -> list[str]:
    return [f"{one},{DAYS[day + shift * at]},{10 * at + day}.5" for at, one in enumerate(ids) for day in range(20)]


@pytest.mark.parametrize(
    "rows",
    [
        blocks("ABC"),
        sorted(blocks("ABC"), key=lambda row: row.split(",")[1]),  # interleaved
        blocks("ABC", 5),  # of other days, in part
        [row for at, row in enumerate(blocks("AB")) if at % 2 == (at >= 20)],  # no day is there twice, but the days begin anew
        blocks("123"),
    ],
)
def test_several_series_in_one_file_are_never_one(rows: list[str], tmp_path: Path) -> None:
    path = write(tmp_path, "unique_id,ds,y", rows)
    first = rows[0][0]
    with pytest.raises(PaperzooError, match=rf"holds [23] series, told apart by unique_id .{first}, .* one, #where=unique_id={first}"):
        read_series(path, targets=("y",))
    series = read_series(path, where=f"unique_id={first}")
    own = [float(row.split(",")[2]) for row in rows if row[0] == first]
    assert series.columns == ("y",) and series.values[:, 0].tolist() == own
    with pytest.raises(PaperzooError, match=r"unknown unique_id 'Q' of some\.csv: there is"):
        read_series(path, where="unique_id=Q")
    with pytest.raises(PaperzooError, match=r"unknown column 'uniqueid'.*did you mean unique_id"):
        read_series(path, where="uniqueid=A")


def test_two_columns_may_tell_series_apart(tmp_path: Path) -> None:
    rows = [f"{s},{i},{day},{s}{i}{at}.5" for s in (1, 2) for i in (7, 8) for at, day in enumerate(DAYS)]
    path = write(tmp_path, "store,item,date,sales", rows)
    said = "holds 4 series, told apart by store and item (1,7, 1,8, 2,7, ...): choose one, #where=store=1,item=7"
    with pytest.raises(PaperzooError, match=re.escape(said)):
        read_series(path, targets=("sales",))
    data = paperzoo.dataset(f"series:{path}#where=store=2,item=7&history=4&horizon=2")
    assert data["train"].batch([0]).history[0, 0].item() == 270.5
    model = forecaster.Model(**data.schema.arguments)
    assert model.predict(f"{path}#where=store=2,item=7").dates == ("2020-02-01", "2020-02-02")
    with pytest.raises(PaperzooError, match="told apart by store and item"):
        model.predict(path)
    with pytest.raises(PaperzooError, match="unknown option 'target'"):
        model.predict(f"{path}#target=sales")


def test_one_series_with_a_column_of_words_is_one(tmp_path: Path) -> None:
    rows = [f"{day},{'winter' if at < 15 else 'spring'},{at}.5" for at, day in enumerate(DAYS)]
    rows[3], rows[4] = rows[4], rows[3]
    rows[20:20] = [rows[20]]
    with pytest.warns(UserWarning) as caught:
        series = read_series(write(tmp_path, "date,phase,x", rows))
    assert len(caught) == 2 and series.bounds == (0, 31)


# --- numbers that networks cannot tell ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0.0, 5e-324] * 20, "x hardly changes in the training rows, from 0 to 4.94066e-324: count it in a smaller unit"),
        ([1e308, -1e308] * 20, "x reaches 1e.308, more than 1e37: count it in a larger unit"),
        ([1e9 + at / 100 for at in range(40)], "x hardly changes in the training rows, from 1e.09 to 1e.09: take off what all"),
        ([7.5] * 40, "x is 7.5 in all 28 training rows"),
        ([7.5] * 28 + list(range(12)), "x is 7.5 in all 28 training rows"),
        ([1.5], "has 1 rows, too few"),
    ],
)
def test_numbers_that_networks_cannot_tell_are_refused(values: list[float], said: str, tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match=said):
        series_file(write(tmp_path, "x", [repr(float(v)) for v in values]), "history=3")


def test_a_model_refuses_numbers_beyond_float32(tmp_path: Path) -> None:
    model = forecaster.Model(history=3, columns=("x",), targets=("x",))
    with pytest.raises(PaperzooError, match="step 2 of the series is not finite"):
        model.predict(np.array([1.0, 2, 1e308, 4, 5]))
    with pytest.raises(PaperzooError, match="whole number from 1 on, not '9999999999"):
        options("history=" + "9" * 5000, OPTIONS, "some.csv", {"history": 1})


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "is empty"), ("\n \n", "is empty"), ("date,x\n", "a header and no rows"), (",\n1,2\n", "without a header")],
)
def test_files_with_nothing_in_them(content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "some.csv").write_text(content)
    with pytest.raises(PaperzooError, match=said):
        read_series(tmp_path / "some.csv")
    with pytest.raises(PaperzooError):
        machines.machine_log(tmp_path / "some.csv")


# --- files that are none -----------------------------------------------------------------------------------------------


def each_reader(path: Path) -> list[str]:
    """What both readers say of a file that is no table."""
    said = []
    for read in (read_series, machines.machine_log):
        with pytest.raises(PaperzooError) as raised:
            read(path)
        said.append(str(raised.value))
    return said


def test_other_encodings_are_read_or_named_with_their_place(tmp_path: Path) -> None:
    path, text = tmp_path / "some.csv", "machine,time,heat,event\r\na,2020-01-01,1,\r\nKühler,2020-01-01,1,\r\n"
    for content in (text.encode("utf-8-sig"), text.encode("utf-16"), text.encode("utf-32"), gzip.compress(text.encode())):
        path.write_bytes(content)
        assert read_table(path).cells["machine"] == ["a", "Kühler"] == [*next(logs.read(path)).machine]
    for content, said in (
        (text.encode("latin-1"), r"some\.csv is not UTF-8: byte 0xfc at .*\(line 3\); if 'Kühler' is right there, it is Windows-1252"),
        (text.encode("utf-16-le"), "looks like UTF-16LE without a byte order mark"),
        (b"machine,time,heat,event\n" + b"a,2020-01-01,1,\n" * 140_000 + b"\xe4,2020-01-01,1,\n", r"byte 0xe4 at .*\(line 140002\)"),
        (b"PK\3\4\x14\0\0\0\x08\0\xf4\x8b", "it is a zip archive, as spreadsheets"),
        (b"\xd0\xcf\x11\xe0" + bytes(600), "it is an old Office document"),
        (b'[{"machine": "a", "time": 1}]', "is JSON; a table is a CSV or parquet file"),
        (b"<html><table>", "is XML or HTML; a table is"),
    ):
        path.write_bytes(content)
        assert all(re.search(said, one) for one in each_reader(path))


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        ([f"{day},{at}.5" for at, day in enumerate(DAYS)], ""),
        ([f"{at}.5" for at in range(9)], ""),
        ([f"{at},{at}.5" for at in range(9)], ""),
        (["0,1", *(f"{at}.5,{at % 3}" for at in range(9))], "01"),  # as a table is written whose columns have no names
        (["1", *(f"{at}.5" for at in range(9))], "1"),
        (["unit,2019,2020", *(f"{at},{at}.5,{at % 3}" for at in range(9))], ""),
    ],
)
def test_a_first_row_of_values_is_no_header(rows: list[str], names: str, tmp_path: Path) -> None:
    path = write(tmp_path, rows[0], rows[1:])
    if names or "unit" in rows[0]:
        assert len(read_table(path).rows) == 9 and (not names or "".join(read_table(path).names) == names)
    else:
        with pytest.raises(PaperzooError, match=f"without a header: its first row, '{rows[0].replace(',', ', ')}', holds values"):
            read_series(path)


@pytest.mark.parametrize("content", [b'a,b\n1,"2\n', b'a,b\n1,"2"3\n', b"a,b\n1," + b"2" * 200_000 + b"\n"])
def test_what_is_no_csv_is_said(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "some.csv").write_bytes(content)
    with pytest.raises(PaperzooError, match=r"some\.csv"):
        read_series(tmp_path / "some.csv")


def test_pipes_devices_and_folders_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    assert all("is a pipe or a device, which may never end" in said for said in each_reader(tmp_path / "pipe.csv"))
    assert all("is a folder" in said for said in each_reader(tmp_path / "folder.csv"))
    for name in ("pipe", "pipe.parquet"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(PaperzooError, match="is a pipe or a device"):
            read_series(tmp_path / name)
    with pytest.raises(PaperzooError, match="is a pipe or a device"):
        read_series(Path("/dev/zero"))
    with pytest.raises(PaperzooError, match=r"cannot read .*: No such file"):
        read_series(tmp_path / "not there.csv")
    with pytest.raises(PaperzooError, match=r"cannot read .*: File name too long"):
        read_series(tmp_path / ("x" * 300))


def test_damaged_parquet_is_one_sentence(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    times = np.arange("2020-01-01", "2020-04-01", dtype="M8[D]").astype("M8[ns]")
    random = np.random.default_rng(0)
    table = pyarrow.table({
        "machine": ["a"] * len(times), "time": times, "heat": random.standard_normal(len(times)), "event": [""] * len(times)
    })  # fmt: skip
    parquet.write_table(table, tmp_path / "whole.parquet", write_page_checksum=True)
    whole = (tmp_path / "whole.parquet").read_bytes()
    assert read_series(tmp_path / "whole.parquet", targets=("heat",)).step == (1, "day")
    path, refused = tmp_path / "damaged.parquet", 0
    ends = [int(end) for end in np.linspace(0, len(whole) - 1, 25)]
    flips = [(int(at), int(bit)) for at, bit in zip(random.integers(4, len(whole), 60), random.integers(0, 8, 60), strict=True)]
    for damage in (*ends, *flips):
        content = bytearray(whole[:damage] if isinstance(damage, int) else whole)
        if not isinstance(damage, int):
            content[damage[0]] ^= 1 << damage[1]
        path.write_bytes(content)
        for read in (lambda: read_series(path, targets=("heat",)), lambda: list(logs.read(path))):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    read()
                except PaperzooError as error:
                    refused += 1
                    assert "\n" not in str(error) and "damaged.parquet" in str(error)
                    assert not isinstance(damage, int) or "cannot be read as parquet" in str(error)
    assert refused > 2 * (len(ends) + 20)  # not every bit of a file means something
    parquet.write_table(pyarrow.table({"time": pyarrow.array([2**40] * 3, pyarrow.timestamp("s")), "x": [1.5, 2.5, 3.5]}), path)
    with pytest.raises(PaperzooError, match=r"damaged\.parquet cannot be read as parquet"):
        read_series(path)


def test_names_reach_answers_as_they_are(tmp_path: Path) -> None:
    head, name = "machine,time,[b]heat[/b],event", "pump[a]"
    rows = [f"{name},2020-01-{1 + h // 24:02d} {h % 24:02d}:00,{h % 5}.5,{'failure' if h % 200 == 199 else ''}" for h in range(24 * 31)]
    found: Any = machines.log_arrays(write(tmp_path, head, rows))
    assert found["names"].tolist() == [name] and found["sensors"].tolist() == ["[b]heat[/b]"]
    model = forecaster.Model(history=3, columns=("[b]x",), targets=("[b]x",))
    said = model.predict(write(tmp_path, "date,[b]x", [f"{day},{at}.5" for at, day in enumerate(DAYS)]))
    assert said.targets == ("[b]x",) and "2020-02-01  [b]x " in str(said)
